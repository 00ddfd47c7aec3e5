//! Jobs: work that goes on after the answer, and survives the process.
//!
//! What a job has still to do is in [`super::job_items`].

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::job_items::{self, Item};
use super::job_results;
use super::pace::Pace;
use super::{Change, Workspace, id, json, to_json};
use crate::clock;
use crate::error::{Error, Result};

/// Failures that a job names one by one; of the rest it keeps the count.
const NAMED_ERRORS: usize = 1000;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

impl Status {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Status::Succeeded | Status::Failed | Status::Cancelled)
    }

    fn name(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }
}

/// A job as it is told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: Uuid,
    pub kind: String,
    pub status: Status,
    /// Documents known so far; an archive's are known once it is open.
    pub total: u64,
    pub done: u64,
    pub failed: u64,
    pub pace: Pace,
    pub errors: Vec<Failure>,
    pub created_at: String,
    pub started_at: Option<String>,
    pub finished_at: Option<String>,
}

/// A document of a job that did not go in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub source: String,
    pub code: String,
    pub message: String,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Job> {
    let status: String = row.get("status")?;
    Ok(Job {
        id: id(row, "id")?,
        kind: row.get("kind")?,
        status: serde_json::from_value(Value::from(status))
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))?,
        total: row.get("total")?,
        done: row.get("done")?,
        failed: row.get("failed")?,
        pace: Pace {
            bytes_total: row.get("bytes_total")?,
            bytes_done: row.get("bytes_done")?,
            count: row.get("worked_count")?,
            worked: Duration::from_millis(row.get("worked_ms")?),
        },
        errors: json(row, "errors")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        finished_at: row.get("finished_at")?,
    })
}

fn find(db: &Connection, job: Uuid) -> Result<Job> {
    let mut query = db.prepare_cached("SELECT * FROM jobs WHERE id = ?1")?;
    query.query_row([job.to_string()], read).optional()?.ok_or(Error::NotFound("job"))
}

/// The jobs that wait or were cut off, oldest first.
pub(super) fn unfinished(db: &Connection) -> Result<Vec<Uuid>> {
    let mut query = db.prepare("SELECT id FROM jobs WHERE status IN ('queued', 'running') ORDER BY created_at")?;
    Ok(query.query_map([], |row| id(row, "id"))?.collect::<rusqlite::Result<_>>()?)
}

/// Files a new job with `items` to do.
pub fn create(change: &Change<'_>, kind: &str, items: &[Item]) -> Result<Job> {
    let id = Uuid::now_v7();
    change.db.execute(
        "INSERT INTO jobs (id, kind, status, total, done, failed, errors, created_at) VALUES (?1, ?2, 'queued', 0, 0, 0, '[]', ?3)",
        (id.to_string(), kind, clock::now()),
    )?;
    job_items::add(change, id, items)?;
    job_results::give_up(change)?;
    find(change.db, id)
}

/// Says how far a job is that counts for itself.
pub(super) fn set_progress(change: &Change<'_>, job: Uuid, total: u64, done: u64) -> Result<Job> {
    let sql = "UPDATE jobs SET total = ?2, done = ?3 WHERE id = ?1";
    change.db.prepare_cached(sql)?.execute((job.to_string(), total as i64, done as i64))?;
    find(change.db, job)
}

/// Whether a job still is to be worked on.
///
/// # Errors
/// [`Error::Conflict`] where it was cancelled.
pub(super) fn expect_running(change: &Change<'_>, job: Uuid) -> Result<()> {
    match find(change.db, job)?.status {
        Status::Running => Ok(()),
        _ => Err(Error::Conflict("the job was cancelled".into())),
    }
}

/// Says that `count` documents, or chunks, of a job were done or failed in the time `worked`. With none of them the job is no
/// further than when it was begun.
pub fn add_work(change: &Change<'_>, job: Uuid, count: usize, worked: Duration) -> Result<()> {
    let sql = "UPDATE jobs SET worked_count = worked_count + ?2, worked_ms = worked_ms + ?3,
                   begun = iif(?2 > 0, 0, begun) WHERE id = ?1";
    let milliseconds = i64::try_from(worked.as_millis()).unwrap_or(i64::MAX);
    change.db.prepare_cached(sql)?.execute((job.to_string(), count as i64, milliseconds))?;
    Ok(())
}

/// Counts a document that was refused before it became an item.
pub fn note_failure(change: &Change<'_>, job: Uuid, failure: Failure) -> Result<()> {
    count_failure(change, job, failure, 1)
}

pub(super) fn count_failure(change: &Change<'_>, job: Uuid, failure: Failure, uncounted: i64) -> Result<()> {
    job_results::add(change, job, &failure.clone().into())?;
    name_failure(change, job, failure)?;
    let sql = "UPDATE jobs SET total = total + ?2, failed = failed + 1 WHERE id = ?1";
    change.db.prepare_cached(sql)?.execute((job.to_string(), uncounted))?;
    Ok(())
}

/// Puts a failure among those that a job names.
fn name_failure(change: &Change<'_>, job: Uuid, failure: Failure) -> Result<()> {
    let mut errors = find(change.db, job)?.errors;
    if errors.len() < NAMED_ERRORS {
        errors.push(failure);
        let sql = "UPDATE jobs SET errors = ?2 WHERE id = ?1";
        change.db.prepare_cached(sql)?.execute((job.to_string(), to_json(&errors)?))?;
    }
    Ok(())
}

impl Workspace {
    pub fn job(&self, job: Uuid) -> Result<Job> {
        self.read(|db| find(db, job))
    }

    /// The jobs, newest first, and how many there are.
    pub fn jobs(&self, limit: usize, offset: usize) -> Result<(Vec<Job>, u64)> {
        self.read(|db| {
            let total = db.query_row("SELECT count(*) FROM jobs", [], |row| row.get(0))?;
            let mut query =
                db.prepare_cached("SELECT * FROM jobs ORDER BY created_at DESC, id DESC LIMIT ?1 OFFSET ?2")?;
            let rows = query.query_map((limit as i64, offset as i64), read)?;
            Ok((rows.collect::<rusqlite::Result<_>>()?, total))
        })
    }

    /// Marks a job as running, and gives how often it was begun without getting further. `None` where it has ended already.
    pub fn start_job(&self, job: Uuid) -> Result<Option<u32>> {
        self.write(|tx| {
            let sql = "UPDATE jobs SET status = 'running', started_at = ifnull(started_at, ?2), begun = begun + 1
                       WHERE id = ?1 AND status IN ('queued', 'running') RETURNING begun";
            Ok(tx.query_row(sql, (job.to_string(), clock::now()), |row| row.get(0)).optional()?)
        })
    }

    /// Notes that a job was left in good order, so that this beginning does not count. Those that ended badly still do: what
    /// ended them may come further on in the document.
    pub fn leave_job(&self, job: Uuid) -> Result<()> {
        self.write(|tx| {
            tx.execute("UPDATE jobs SET begun = max(begun - 1, 0) WHERE id = ?1", [job.to_string()])?;
            Ok(())
        })
    }

    /// Ends a job that has nothing left to do: failed where nothing at all went in, else succeeded.
    pub fn finish_job(&self, job: Uuid) -> Result<()> {
        self.write(|tx| {
            let sql = "UPDATE jobs SET finished_at = ?2,
                           status = CASE WHEN failed > 0 AND done = 0 THEN 'failed' ELSE 'succeeded' END
                       WHERE id = ?1 AND status = 'running'";
            tx.execute(sql, (job.to_string(), clock::now()))?;
            Ok(())
        })
    }

    /// Ends a job that cannot be done.
    pub fn fail_job(&self, job: Uuid, failure: Failure) -> Result<()> {
        self.commit(move |change| {
            name_failure(change, job, failure)?;
            let sql = "UPDATE jobs SET failed = failed + 1, status = 'failed', finished_at = ?2 WHERE id = ?1 AND status = 'running'";
            change.db.execute(sql, (job.to_string(), clock::now()))?;
            Ok(())
        })
    }

    /// Cancels a job; what is done stays. One that has ended is [`Error::Conflict`].
    pub fn cancel_job(&self, job: Uuid) -> Result<Job> {
        self.commit(move |change| {
            let found = find(change.db, job)?;
            if found.status.is_final() {
                return Err(Error::Conflict(format!("the job has {} already", found.status.name())));
            }
            let (id, now) = (job.to_string(), clock::now());
            change.db.execute("UPDATE jobs SET status = 'cancelled', finished_at = ?2 WHERE id = ?1", (&id, now))?;
            let sql = "INSERT OR IGNORE INTO unreferenced_files SELECT sha256 FROM job_items WHERE job_id = ?1";
            change.db.execute(sql, [&id])?;
            change.db.execute("DELETE FROM job_items WHERE job_id = ?1", [&id])?;
            find(change.db, job)
        })
    }
}
