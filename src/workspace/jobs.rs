//! Jobs: work that goes on after the answer, and survives the process.
//!
//! What a job has still to do lies in `job_items`; doing an item and striking it off is one transaction, so a job
//! that was cut off goes on where it stopped, and nothing is done twice.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::job_results::{self, Entry};
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

/// One thing to do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The name that the bytes came with.
    pub file_name: Option<String>,
    /// The media type that the client gave.
    pub content_type: Option<String>,
    pub title: Option<String>,
    pub source: Option<String>,
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// Tokens that a chunk aims at, where the client said so.
    #[serde(default)]
    pub chunk_tokens: Option<u32>,
    /// Whether the bytes are an archive of documents.
    #[serde(default)]
    pub archive: bool,
    /// How many archives it was taken out of.
    #[serde(default)]
    pub depth: u32,
    /// SHA-256 of the bytes, which lie among the originals.
    pub sha256: String,
    pub size: u64,
}

/// An item with its place in its job.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    pub position: u32,
    pub item: Item,
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
    add_items(change, id, items)?;
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

/// Adds things to do to a job: what an archive turned out to hold.
pub fn add_items(change: &Change<'_>, job: Uuid, items: &[Item]) -> Result<()> {
    let next = "SELECT ifnull(max(position), -1) + 1 FROM job_items WHERE job_id = ?1";
    let first: u32 = change.db.query_row(next, [job.to_string()], |row| row.get(0))?;
    let mut insert = change.db.prepare_cached("INSERT INTO job_items VALUES (?1, ?2, ?3, ?4)")?;
    for (position, item) in (first..).zip(items) {
        insert.execute((job.to_string(), position, to_json(item)?, &item.sha256))?;
    }
    let documents = items.iter().filter(|item| !item.archive).count();
    let bytes: u64 = items.iter().map(|item| item.size).sum();
    let sql = "UPDATE jobs SET total = total + ?2, bytes_total = bytes_total + ?3 WHERE id = ?1";
    change.db.execute(sql, (job.to_string(), documents as i64, bytes as i64))?;
    Ok(())
}

/// Says that `count` documents, or chunks, of a job were done or failed in the time `worked`.
pub fn add_work(change: &Change<'_>, job: Uuid, count: usize, worked: Duration) -> Result<()> {
    let sql = "UPDATE jobs SET worked_count = worked_count + ?2, worked_ms = worked_ms + ?3 WHERE id = ?1";
    let milliseconds = i64::try_from(worked.as_millis()).unwrap_or(i64::MAX);
    change.db.prepare_cached(sql)?.execute((job.to_string(), count as i64, milliseconds))?;
    Ok(())
}

/// Strikes a document off that went in, or was there already, as `entry` says.
///
/// # Errors
/// [`Error::Conflict`] where the job was cancelled.
pub fn strike_done(change: &Change<'_>, job: Uuid, pending: &Pending, entry: &Entry) -> Result<()> {
    remove(change, job, pending)?;
    let sql = "UPDATE jobs SET done = done + 1, bytes_done = bytes_done + ?2 WHERE id = ?1";
    change.db.prepare_cached(sql)?.execute((job.to_string(), pending.item.size as i64))?;
    job_results::add(change, job, entry)
}

/// Strikes an item off that failed.
///
/// # Errors
/// [`Error::Conflict`] where the job was cancelled.
pub fn strike_failed(change: &Change<'_>, job: Uuid, pending: &Pending, failure: Failure) -> Result<()> {
    remove(change, job, pending)?;
    let sql = "UPDATE jobs SET bytes_done = bytes_done + ?2 WHERE id = ?1";
    change.db.prepare_cached(sql)?.execute((job.to_string(), pending.item.size as i64))?;
    // An archive was not counted as a document; as a failure it is one.
    let uncounted = if pending.item.archive { 1 } else { 0 };
    count_failure(change, job, failure, uncounted)
}

/// Strikes an archive off whose documents stand in its stead: they count, and it does not.
///
/// # Errors
/// [`Error::Conflict`] where the job was cancelled.
pub fn strike_unpacked(change: &Change<'_>, job: Uuid, pending: &Pending) -> Result<()> {
    remove(change, job, pending)?;
    // What was not known to be one was counted as a document.
    let counted = if pending.item.archive { 0 } else { 1 };
    let sql = "UPDATE jobs SET total = total - ?3, bytes_total = bytes_total - ?2 WHERE id = ?1";
    change.db.execute(sql, (job.to_string(), pending.item.size as i64, counted))?;
    Ok(())
}

fn remove(change: &Change<'_>, job: Uuid, pending: &Pending) -> Result<()> {
    let mut delete = change.db.prepare_cached("DELETE FROM job_items WHERE job_id = ?1 AND position = ?2")?;
    match delete.execute((job.to_string(), pending.position))? {
        0 => Err(Error::Conflict("the job was cancelled".into())),
        _ => change.release_file(&pending.item.sha256),
    }
}

/// Counts a document that was refused before it became an item.
pub fn note_failure(change: &Change<'_>, job: Uuid, failure: Failure) -> Result<()> {
    count_failure(change, job, failure, 1)
}

fn count_failure(change: &Change<'_>, job: Uuid, failure: Failure, uncounted: i64) -> Result<()> {
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

    /// The next things to do of a job, at most `limit`, from the start or after a place.
    pub fn pending_items(&self, job: Uuid, after: Option<u32>, limit: usize) -> Result<Vec<Pending>> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT position, item FROM job_items WHERE job_id = ?1 AND position > ?2 ORDER BY position LIMIT ?3",
            )?;
            let after = after.map_or(-1, i64::from);
            let rows = query.query_map((job.to_string(), after, limit as i64), |row| {
                Ok(Pending { position: row.get("position")?, item: json(row, "item")? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The bytes of an item.
    pub fn item_bytes(&self, item: &Item) -> Result<Vec<u8>> {
        Ok(std::fs::read(self.layout.file(&item.sha256)?)?)
    }

    /// The bytes of an item, opened for reading.
    pub fn open_item(&self, item: &Item) -> Result<std::fs::File> {
        Ok(std::fs::File::open(self.layout.file(&item.sha256)?)?)
    }

    /// Marks a job as running. `false` where it has ended already.
    pub fn start_job(&self, job: Uuid) -> Result<bool> {
        self.write(|tx| {
            let sql = "UPDATE jobs SET status = 'running', started_at = ifnull(started_at, ?2)
                       WHERE id = ?1 AND status IN ('queued', 'running')";
            Ok(tx.execute(sql, (job.to_string(), clock::now()))? > 0)
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
