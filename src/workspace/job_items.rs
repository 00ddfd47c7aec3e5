//! What a job has still to do.
//!
//! Doing an item and striking it off is one transaction, so a job that was cut off goes on where it stopped, and
//! nothing is done twice.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::job_results::{self, Entry};
use super::jobs::{Failure, count_failure};
use super::{Change, Workspace, json, to_json};
use crate::error::{Error, Result};

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
    /// Whether what the archive holds is called by the archive's source and its own name.
    #[serde(default)]
    pub within: bool,
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

/// Adds things to do to a job: what an archive turned out to hold.
pub fn add(change: &Change<'_>, job: Uuid, items: &[Item]) -> Result<()> {
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

/// Strikes a document off that went in, or was there already, as `entry` says.
///
/// # Errors
/// [`Error::Conflict`] where the job was cancelled.
pub fn strike_done(change: &Change<'_>, job: Uuid, pending: &Pending, entry: &Entry) -> Result<()> {
    remove(change, job, pending)?;
    // What looked like an archive was not counted as a document.
    let uncounted = i64::from(pending.item.archive);
    let sql = "UPDATE jobs SET total = total + ?3, done = done + 1, bytes_done = bytes_done + ?2 WHERE id = ?1";
    change.db.prepare_cached(sql)?.execute((job.to_string(), pending.item.size as i64, uncounted))?;
    job_results::add(change, job, entry)
}

/// Strikes an item off that failed.
///
/// # Errors
/// [`Error::Conflict`] where the job was cancelled.
pub fn strike_failed(change: &Change<'_>, job: Uuid, pending: &Pending, failure: Failure) -> Result<()> {
    remove(change, job, pending)?;
    let sql = "UPDATE jobs SET bytes_done = bytes_done + ?2, begun = 0 WHERE id = ?1";
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
    let sql = "UPDATE jobs SET total = total - ?3, bytes_total = bytes_total - ?2, begun = 0 WHERE id = ?1";
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

impl Workspace {
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
}
