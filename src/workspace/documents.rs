//! Documents: put, replace, read, list, delete.

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Change, Workspace, chunks, facts, forgetting, id, json, to_json};
use crate::clock;
use crate::digest::sha256;
use crate::error::{Error, Result};
use crate::extract::Warning;

/// A document without its content.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub id: Uuid,
    pub title: String,
    /// Where it came from; no two documents of a workspace have the same.
    pub source: String,
    /// Media type of `content`, the text that was made of the original.
    pub content_type: String,
    pub metadata: Map<String, Value>,
    /// What of the original was left out.
    pub warnings: Vec<Warning>,
    pub chunk_count: u64,
    /// Bytes of the original.
    pub size_bytes: u64,
    /// SHA-256 of the original in hexadecimal.
    pub content_hash: String,
    /// Media type of the original.
    pub file_type: String,
    pub created_at: String,
    pub updated_at: String,
}

/// A document that is ready to be stored: extracted, cut and embedded.
#[derive(Debug, Clone)]
pub struct Draft {
    pub title: String,
    pub source: String,
    pub content: String,
    pub content_type: String,
    pub metadata: Map<String, Value>,
    pub warnings: Vec<Warning>,
    pub size_bytes: u64,
    pub content_hash: String,
    pub file_type: String,
    /// SHA-256 of the model that made the chunks' vectors.
    pub model: String,
    pub chunks: Vec<chunks::Draft>,
}

/// What storing a document came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub document: Document,
    /// Whether another content of the same document made room.
    pub replaced: bool,
}

/// Stores `draft` in place of `target`, or else of the document with the same source, or else as a new one.
///
/// # Errors
/// [`Error::NotFound`] where `target` is gone, [`Error::Conflict`] where the source belongs to another document.
pub fn put(change: &Change<'_>, target: Option<Uuid>, draft: &Draft) -> Result<Stored> {
    let db = change.db;
    let holder = find_by_source(db, &draft.source)?;
    let previous = match target {
        None => holder,
        Some(target) if holder.as_ref().is_some_and(|(_, found)| found.id != target) => {
            return Err(Error::Conflict("another document has this source".into()));
        }
        Some(target) => Some(find(db, target)?.ok_or(Error::NotFound("document"))?),
    };
    let now = clock::now();
    let (id, created_at) = match &previous {
        Some((number, document)) => {
            facts::remember(db, *number, document.id)?;
            delete_row(change, *number, &document.content_hash)?;
            (document.id, document.created_at.clone())
        }
        None => (Uuid::now_v7(), now.clone()),
    };
    let document = Document {
        id,
        title: draft.title.clone(),
        source: draft.source.clone(),
        content_type: draft.content_type.clone(),
        metadata: draft.metadata.clone(),
        warnings: draft.warnings.clone(),
        chunk_count: draft.chunks.len() as u64,
        size_bytes: draft.size_bytes,
        content_hash: draft.content_hash.clone(),
        file_type: draft.file_type.clone(),
        created_at,
        updated_at: now,
    };
    db.prepare_cached(
        "INSERT INTO documents (id, title, source, content, content_type, metadata, chunk_count, size_bytes,
                                content_hash, file_type, created_at, updated_at, content_sum, warnings)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(rusqlite::params![
        document.id.to_string(),
        document.title,
        document.source,
        draft.content,
        document.content_type,
        to_json(&document.metadata)?,
        document.chunk_count as i64,
        document.size_bytes as i64,
        document.content_hash,
        document.file_type,
        document.created_at,
        document.updated_at,
        sha256(draft.content.as_bytes()),
        to_json(&document.warnings)?,
    ])?;
    chunks::insert(change, db.last_insert_rowid(), &draft.content, &draft.model, &draft.chunks)?;
    Ok(Stored { document, replaced: previous.is_some() })
}

/// Lets `edit` change a document's metadata; text and chunks stay.
///
/// # Errors
/// [`Error::NotFound`] where the document is gone, and what `edit` says.
pub fn edit_metadata(
    change: &Change<'_>,
    document: Uuid,
    edit: impl FnOnce(&mut Map<String, Value>) -> Result<()>,
) -> Result<Document> {
    let (number, mut found) = find(change.db, document)?.ok_or(Error::NotFound("document"))?;
    let told = facts::inputs(&found.metadata);
    edit(&mut found.metadata)?;
    if facts::inputs(&found.metadata) != told {
        facts::read_again(change.db, number)?;
    }
    found.updated_at = clock::now();
    let sql = "UPDATE documents SET metadata = ?2, updated_at = ?3 WHERE number = ?1";
    change.db.prepare_cached(sql)?.execute((number, to_json(&found.metadata)?, &found.updated_at))?;
    Ok(found)
}

/// Deletes a document and all that came of it, down to its quotes in conversations. Returns how many chunks went.
pub fn delete(change: &Change<'_>, document: Uuid) -> Result<u64> {
    let (number, found) = find(change.db, document)?.ok_or(Error::NotFound("document"))?;
    delete_row(change, number, &found.content_hash)?;
    facts::forget_recorded(change.db, document)?;
    forgetting::forget(change.db, document)?;
    Ok(found.chunk_count)
}

fn delete_row(change: &Change<'_>, number: i64, content_hash: &str) -> Result<()> {
    facts::forget(change, number)?;
    chunks::delete_of(change, number)?;
    change.db.prepare_cached("DELETE FROM documents WHERE number = ?1")?.execute([number])?;
    change.release_file(content_hash)
}

pub(super) const COLUMNS: &str =
    "d.number, d.id, d.title, d.source, d.content_type, d.metadata, d.chunk_count, d.size_bytes,
                       d.content_hash, d.file_type, d.created_at, d.updated_at, d.warnings";

fn find(db: &Connection, document: Uuid) -> Result<Option<(i64, Document)>> {
    one(db, "d.id = ?1", &document.to_string())
}

fn find_by_source(db: &Connection, source: &str) -> Result<Option<(i64, Document)>> {
    one(db, "d.source = ?1", source)
}

fn one(db: &Connection, condition: &str, value: &str) -> Result<Option<(i64, Document)>> {
    let mut query = db.prepare_cached(&format!("SELECT {COLUMNS} FROM documents d WHERE {condition}"))?;
    Ok(query.query_row([value], |row| Ok((row.get("number")?, read(row)?))).optional()?)
}

/// A row of [`COLUMNS`].
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document {
        id: id(row, "id")?,
        title: row.get("title")?,
        source: row.get("source")?,
        content_type: row.get("content_type")?,
        metadata: json(row, "metadata")?,
        warnings: json(row, "warnings")?,
        chunk_count: row.get("chunk_count")?,
        size_bytes: row.get("size_bytes")?,
        content_hash: row.get("content_hash")?,
        file_type: row.get("file_type")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

impl Workspace {
    /// A document without its content.
    pub fn document(&self, document: Uuid) -> Result<Document> {
        let found = self.read(|db| find(db, document))?;
        found.map(|(_, document)| document).ok_or(Error::NotFound("document"))
    }

    /// The document with this source.
    pub fn document_with_source(&self, source: &str) -> Result<Option<Document>> {
        Ok(self.read(|db| find_by_source(db, source))?.map(|(_, document)| document))
    }

    /// The text of a document: what chunks and citations count their bytes in.
    pub fn content(&self, document: Uuid) -> Result<String> {
        let found = self.read(|db| {
            let mut query = db.prepare_cached("SELECT content FROM documents WHERE id = ?1")?;
            Ok(query.query_row([document.to_string()], |row| row.get(0)).optional()?)
        })?;
        found.ok_or(Error::NotFound("document"))
    }

    /// Whether `quote` stands in the document's text at byte `start`.
    pub fn stands_at(&self, document: Uuid, start: usize, quote: &str) -> Result<bool> {
        self.read(|db| {
            // Bytes, not characters: that is what offsets count.
            let sql =
                "SELECT substr(CAST(content AS BLOB), ?2 + 1, ?3) = CAST(?4 AS BLOB) FROM documents WHERE id = ?1";
            let values = (document.to_string(), start, quote.len(), quote);
            Ok(db.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?.unwrap_or(false))
        })
    }

    /// The original of a document, opened for reading.
    pub fn open_file(&self, document: &Document) -> Result<std::fs::File> {
        Ok(std::fs::File::open(self.layout.file(&document.content_hash)?)?)
    }
}
