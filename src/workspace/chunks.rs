//! Chunks: the pieces of a document that are found and cited.

use std::ops::Range;

use rusqlite::{OptionalExtension, Row};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Change, Workspace, id, json, models, to_json, vectors};
use crate::error::{Error, Result};
use crate::place::{self, Location, Mark};

/// A chunk as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Chunk {
    /// Its number in the workspace: what the indexes know it by.
    pub number: u32,
    pub id: Uuid,
    pub document_id: Uuid,
    /// Its place among the document's chunks, from 0.
    pub index: u32,
    /// The document's `content[start..end]`, to the byte.
    pub content: String,
    pub start: usize,
    pub end: usize,
    /// The headings it stands under, outermost first.
    pub heading_path: Vec<String>,
    /// Where in the original it came from, from its first byte on; bytes of the document's content.
    pub places: Vec<Mark>,
    pub token_count: u32,
}

impl Chunk {
    /// Where in the original `range` of the document's bytes, which lies in this chunk, came from.
    pub fn locate(&self, range: &Range<usize>) -> Option<Location> {
        place::locate(&self.places, &self.content, self.start, range)
    }

    /// Where in the original it came from.
    pub fn location(&self) -> Option<Location> {
        self.locate(&(self.start..self.end))
    }
}

/// A chunk that was found, with what is told of its document.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    pub chunk: Chunk,
    pub title: String,
    pub source: String,
    pub metadata: Map<String, Value>,
}

/// A chunk that is ready to be stored.
#[derive(Debug, Clone)]
pub struct Draft {
    pub start: usize,
    pub end: usize,
    pub heading_path: Vec<String>,
    pub places: Vec<Mark>,
    pub token_count: u32,
    /// Unit length, as long as the workspace's model has it.
    pub vector: Vec<f32>,
}

/// Stores the chunks of document `number`, whose text is `content`; `model` is the SHA-256 of the model that made their
/// vectors.
///
/// # Errors
/// [`Error::Unavailable`] where the workspace has changed models since the vectors were made.
pub(super) fn insert(change: &Change<'_>, document: i64, content: &str, model: &str, drafts: &[Draft]) -> Result<()> {
    let changed = || Error::Unavailable("the workspace has just changed its embedding model; send it again".into());
    let set = models::active(change.db)?.filter(|set| set.model.sha256 == model).ok_or_else(changed)?;
    let generation = change.generation();
    let mut insert = change.db.prepare_cached(
        "INSERT INTO chunks (id, document, position, content, start, \"end\", heading_path, places, token_count, generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    for (position, draft) in drafts.iter().enumerate() {
        let text = content.get(draft.start..draft.end);
        let text = text.ok_or_else(|| Error::Internal("a chunk lies outside its document".into()))?;
        let (start, end) = (draft.start as i64, draft.end as i64);
        let headings = to_json(&draft.heading_path)?;
        let places = if draft.places.is_empty() { None } else { Some(to_json(&draft.places)?) };
        insert.execute(rusqlite::params![
            Uuid::now_v7().to_string(),
            document,
            position as i64,
            text,
            start,
            end,
            headings,
            places,
            draft.token_count,
            generation,
        ])?;
        vectors::insert(change.db, &set, change.db.last_insert_rowid(), &draft.vector)?;
    }
    Ok(())
}

/// Deletes the chunks of document `number` and their vectors, and leaves word for the indexes.
pub(super) fn delete_of(change: &Change<'_>, document: i64) -> Result<()> {
    let generation = change.generation();
    let mut numbers = change.db.prepare_cached("SELECT number FROM chunks WHERE document = ?1")?;
    let numbers: Vec<i64> = numbers.query_map([document], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for number in numbers {
        vectors::delete(change.db, number)?;
        change.db.prepare_cached("INSERT INTO deleted_chunks VALUES (?1, ?2)")?.execute((number, generation))?;
    }
    change.db.prepare_cached("DELETE FROM chunks WHERE document = ?1")?.execute([document])?;
    Ok(())
}

const COLUMNS: &str = "c.number, c.id, d.id AS document_id, c.position, c.content, c.start, c.\"end\", c.heading_path,
                       c.places, c.token_count";

fn read(row: &Row<'_>) -> rusqlite::Result<Chunk> {
    Ok(Chunk {
        number: row.get("number")?,
        id: id(row, "id")?,
        document_id: id(row, "document_id")?,
        index: row.get("position")?,
        content: row.get("content")?,
        start: row.get("start")?,
        end: row.get("end")?,
        heading_path: json(row, "heading_path")?,
        places: if row.get_ref("places")?.as_str_or_null()?.is_some() { json(row, "places")? } else { Vec::new() },
        token_count: row.get("token_count")?,
    })
}

impl Workspace {
    /// The chunk with this number and its document, or `None` where it is gone.
    pub fn locate(&self, number: u32) -> Result<Option<Located>> {
        self.read(|db| {
            let mut query = db.prepare_cached(&format!(
                "SELECT {COLUMNS}, d.title, d.source, d.metadata
                 FROM chunks c JOIN documents d ON d.number = c.document WHERE c.number = ?1"
            ))?;
            let located = query.query_row([number], |row| {
                Ok(Located {
                    chunk: read(row)?,
                    title: row.get("title")?,
                    source: row.get("source")?,
                    metadata: json(row, "metadata")?,
                })
            });
            Ok(located.optional()?)
        })
    }

    /// Whether there is a chunk with this id.
    pub fn has_chunk(&self, chunk: Uuid) -> Result<bool> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT 1 FROM chunks WHERE id = ?1")?;
            Ok(query.exists([chunk.to_string()])?)
        })
    }

    /// The chunks of a document in order, from `offset`, `limit` of them, and how many there are in all.
    pub fn chunks(&self, document: Uuid, limit: usize, offset: usize) -> Result<(Vec<Chunk>, u64)> {
        let total = self.document(document)?.chunk_count;
        self.read(|db| {
            let mut query = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM chunks c JOIN documents d ON d.number = c.document
                 WHERE d.id = ?1 ORDER BY c.position LIMIT ?2 OFFSET ?3"
            ))?;
            let rows = query.query_map((document.to_string(), limit as i64, offset as i64), read)?;
            Ok((rows.collect::<rusqlite::Result<_>>()?, total))
        })
    }

    /// The text of a document from the chunk `around` before `chunk` to the one `around` after it, with its
    /// first byte in the document.
    pub fn surroundings(&self, chunk: &Chunk, around: u32) -> Result<(usize, String)> {
        let (first, last) = (chunk.index.saturating_sub(around), chunk.index.saturating_add(around));
        let found: Option<(usize, Vec<u8>)> = self.read(|db| {
            // Cut by SQLite, in bytes: a document can be large, and what is wanted of it is not.
            let mut query = db.prepare_cached(
                "SELECT span.start, substr(CAST(d.content AS BLOB), span.start + 1, span.\"end\" - span.start)
                 FROM documents d JOIN (
                     SELECT document, min(start) AS start, max(\"end\") AS \"end\" FROM chunks
                     WHERE document = (SELECT number FROM documents WHERE id = ?1) AND position BETWEEN ?2 AND ?3
                     GROUP BY document
                 ) span ON span.document = d.number",
            )?;
            let values = (chunk.document_id.to_string(), first, last);
            Ok(query.query_row(values, |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
        })?;
        // A document that was replaced in the meantime has other bytes there.
        let text = found.and_then(|(start, bytes)| Some((start, String::from_utf8(bytes).ok()?)));
        let holds = |(_, text): &(usize, String)| text.contains(&chunk.content);
        Ok(text.filter(holds).unwrap_or_else(|| (chunk.start, chunk.content.clone())))
    }

    /// The texts of a document's chunks as they were embedded.
    pub fn embedded_texts(&self, document: Uuid) -> Result<Vec<String>> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT d.title, c.heading_path, c.content FROM chunks c JOIN documents d ON d.number = c.document
                 WHERE d.id = ?1",
            )?;
            let rows = query.query_map([document.to_string()], |row| {
                let headings: Vec<String> = json(row, "heading_path")?;
                Ok(super::in_context(&row.get::<_, String>("title")?, &headings, &row.get::<_, String>("content")?))
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
