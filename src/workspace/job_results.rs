//! What became of each document of a job, in the order in which it did.
//!
//! Kept for the last [`JOBS`] jobs and [`ROWS`] documents of a workspace; older ones are given up a few at a time, along
//! with the commits that add new ones, so that no commit waits for it. Holds nothing of what documents say.

use rusqlite::{Connection, OptionalExtension, Row, ToSql};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::documents::Document;
use super::jobs::Failure;
use super::{Change, Workspace, json, to_json};
use crate::error::{Error, Result};
use crate::extract::Warning;

/// Jobs whose results are kept.
const JOBS: usize = 100;
/// Results that are kept of jobs that have ended.
const ROWS: u64 = 200_000;
/// Results that are given up with one commit at most: more than one adds.
const GIVEN_UP: usize = 2048;

/// What became of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Added,
    /// Another content of the same document made room.
    Replaced,
    /// The same bytes were there.
    Unchanged,
    Failed,
}

impl Status {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Status::Added => "added",
            Status::Replaced => "replaced",
            Status::Unchanged => "unchanged",
            Status::Failed => "failed",
        }
    }
}

/// What became of one document of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobResult {
    /// Its place among the results of the job, from 0.
    pub position: u32,
    pub entry: Entry,
}

/// A document of a job and its fate.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub source: String,
    pub status: Status,
    /// The document that it became or was; none where it failed.
    pub document_id: Option<Uuid>,
    pub chunk_count: Option<u64>,
    /// Why it failed.
    pub code: Option<String>,
    pub message: Option<String>,
    /// Parts of it that were left out.
    pub warnings: Vec<Warning>,
}

impl Entry {
    /// Of a document that is there.
    pub fn of(document: Document, status: Status) -> Self {
        Entry {
            source: document.source,
            status,
            document_id: Some(document.id),
            chunk_count: Some(document.chunk_count),
            code: None,
            message: None,
            warnings: document.warnings,
        }
    }
}

impl From<Failure> for Entry {
    fn from(failure: Failure) -> Self {
        Entry {
            source: failure.source,
            status: Status::Failed,
            document_id: None,
            chunk_count: None,
            code: Some(failure.code),
            message: Some(failure.message),
            warnings: Vec::new(),
        }
    }
}

/// Adds a result at the end of those of a job.
pub(super) fn add(change: &Change<'_>, job: Uuid, entry: &Entry) -> Result<()> {
    let mut insert = change.db.prepare_cached(
        "INSERT INTO job_results VALUES
             (?1, (SELECT ifnull(max(position), -1) + 1 FROM job_results WHERE job_id = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    insert.execute(rusqlite::params![
        job.to_string(),
        entry.source,
        entry.status.name(),
        entry.document_id.map(|id| id.to_string()),
        entry.chunk_count.map(|count| count as i64),
        entry.code,
        entry.message,
        to_json(&entry.warnings)?,
    ])?;
    Ok(())
}

/// Gives up some of the results of old jobs that have ended, where there are too many.
pub fn give_up(change: &Change<'_>) -> Result<()> {
    give_up_beyond(change.db, JOBS, ROWS, GIVEN_UP)
}

fn give_up_beyond(db: &Connection, jobs: usize, rows: u64, at_once: usize) -> Result<()> {
    // Ids of jobs are in the order of time.
    let mut nth = db.prepare_cached("SELECT id FROM jobs ORDER BY id DESC LIMIT 1 OFFSET ?1")?;
    let oldest_kept: Option<String> = nth.query_row([jobs as i64 - 1], |row| row.get(0)).optional()?;
    let mut tally = db.prepare_cached("SELECT rows FROM tallies WHERE name = 'job_results'")?;
    let mut beyond = tally.query_row([], |row| row.get::<_, u64>(0))?.saturating_sub(rows);
    let mut next = db.prepare_cached(
        "SELECT r.job_id, j.status IN ('queued', 'running') FROM job_results r JOIN jobs j ON j.id = r.job_id
         WHERE r.job_id > ?1 ORDER BY r.job_id LIMIT 1",
    )?;
    let mut delete = db.prepare_cached(
        "DELETE FROM job_results WHERE job_id = ?1 AND position IN
             (SELECT position FROM job_results WHERE job_id = ?1 ORDER BY position LIMIT ?2)",
    )?;
    let (mut left, mut job) = (at_once as u64, String::new());
    while left > 0 {
        let found = next.query_row([&job], |row| Ok((row.get(0)?, row.get::<_, bool>(1)?))).optional()?;
        let Some((id, is_under_way)) = found else { break };
        job = id;
        let is_old = oldest_kept.as_ref().is_some_and(|oldest| job < *oldest);
        let most = if is_old { left } else { left.min(beyond) };
        if most == 0 {
            break;
        }
        if !is_under_way {
            let deleted = delete.execute((&job, most as i64))? as u64;
            (left, beyond) = (left.saturating_sub(deleted), beyond.saturating_sub(deleted));
        }
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<JobResult> {
    let malformed = |e: Box<dyn std::error::Error + Send + Sync>| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, e)
    };
    let status: String = row.get("status")?;
    let document: Option<String> = row.get("document_id")?;
    Ok(JobResult {
        position: row.get("position")?,
        entry: Entry {
            source: row.get("source")?,
            status: serde_json::from_value(Value::from(status)).map_err(|e| malformed(e.into()))?,
            document_id: document.map(|id| Uuid::parse_str(&id)).transpose().map_err(|e| malformed(e.into()))?,
            chunk_count: row.get("chunk_count")?,
            code: row.get("code")?,
            message: row.get("message")?,
            warnings: json(row, "warnings")?,
        },
    })
}

impl Workspace {
    /// A page of what became of the documents of a job, those with `status` alone where one is given, and how many there
    /// are in all.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such job.
    pub fn job_results(
        &self,
        job: Uuid,
        status: Option<Status>,
        limit: usize,
        offset: usize,
    ) -> Result<(Vec<JobResult>, u64)> {
        self.read(|db| {
            let job = job.to_string();
            let is_there: bool =
                db.query_row("SELECT EXISTS (SELECT 1 FROM jobs WHERE id = ?1)", [&job], |row| row.get(0))?;
            if !is_there {
                return Err(Error::NotFound("job"));
            }
            let status = status.map(Status::name);
            let which = "FROM job_results WHERE job_id = ?1 AND (?2 IS NULL OR status = ?2)";
            let mut count = db.prepare_cached(&format!("SELECT count(*) {which}"))?;
            let total = count.query_row((&job, status), |row| row.get(0))?;
            let mut page = db.prepare_cached(&format!("SELECT * {which} ORDER BY position LIMIT ?3 OFFSET ?4"))?;
            let values: [&dyn ToSql; 4] = [&job, &status, &(limit as i64), &(offset as i64)];
            Ok((page.query_map(values, read)?.collect::<rusqlite::Result<_>>()?, total))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::schema::MIGRATIONS;

    /// The results that are left of `jobs` with as many each, the first of which is still running.
    fn left(jobs: &[u32], kept: usize, rows: u64, at_once: usize) -> Vec<u32> {
        let db = Connection::open_in_memory().unwrap();
        MIGRATIONS.iter().for_each(|sql| db.execute_batch(sql).unwrap());
        let ids: Vec<String> = jobs.iter().map(|_| Uuid::now_v7().to_string()).collect();
        for (place, (id, count)) in ids.iter().zip(jobs).enumerate() {
            let status = if place == 0 { "running" } else { "succeeded" };
            let sql = "INSERT INTO jobs (id, kind, status, total, done, failed, errors, created_at)
                       VALUES (?1, 'ingest', ?2, 0, 0, 0, '[]', '')";
            db.execute(sql, (id, status)).unwrap();
            for position in 0..*count {
                let sql = "INSERT INTO job_results VALUES (?1, ?2, 'a', 'added', NULL, NULL, NULL, NULL, '[]')";
                db.execute(sql, (id, position)).unwrap();
            }
        }
        give_up_beyond(&db, kept, rows, at_once).unwrap();
        let count = |id: &String| {
            db.query_row("SELECT count(*) FROM job_results WHERE job_id = ?1", [id], |row| row.get(0)).unwrap()
        };
        ids.iter().map(count).collect()
    }

    #[test]
    fn results_of_old_jobs_are_given_up_a_few_at_a_time() {
        assert_eq!(left(&[5, 5, 5, 5], 4, 100, 10), [5, 5, 5, 5]);
        assert_eq!(left(&[5, 5, 5, 5], 2, 100, 10), [5, 0, 5, 5], "a job that runs keeps its own");
        assert_eq!(left(&[5, 5, 5, 5], 1, 100, 3), [5, 2, 5, 5]);
        assert_eq!(left(&[5, 5, 5, 5], 4, 12, 10), [5, 0, 2, 5]);
        assert_eq!(left(&[5], 4, 2, 10), [5]);
    }
}
