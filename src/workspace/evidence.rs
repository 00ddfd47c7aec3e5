//! What facts and entities rest on: the sentences and places of documents, and the documents that are about an entity.

use std::collections::HashMap;

use rusqlite::Row;
use uuid::Uuid;

use super::{Workspace, id, json};
use crate::error::Result;
use crate::place::{self, Location, Mark};
use crate::sqlite::array;

/// Chunks of a document about an entity that are given where they were not asked for: its beginning.
const BEGINNING: i64 = 3;
/// Documents about the same entities that are looked at.
const DOCUMENTS: i64 = 500;

/// A stretch of a document: a sentence that states a fact, or a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    pub document_id: Uuid,
    pub document_title: String,
    pub document_source: String,
    pub chunk: u32,
    pub chunk_id: Uuid,
    /// Bytes of the document's content.
    pub start: usize,
    pub end: usize,
    /// The document's `content[start..end]`, as far as it lies in the chunk.
    pub text: String,
    /// Where in the original it came from.
    pub location: Option<Location>,
    /// The language model that read a fact in it; none where it was read without one.
    pub model: Option<String>,
}

/// Chunks of documents that are about entities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Entities with a document that is about them.
    pub documents: Vec<(i64, i64)>,
    /// The documents of the chunks asked for, and of the beginnings of those above.
    pub chunks: HashMap<u32, i64>,
}

const PASSAGE: &str =
    "d.id AS document_id, d.title, d.source, c.number AS chunk, c.id AS chunk_id, c.content, c.start AS first,
                       c.places";

fn passage(row: &Row<'_>) -> rusqlite::Result<Passage> {
    let (content, first): (String, usize) = (row.get("content")?, row.get("first")?);
    let (start, end): (usize, usize) = (row.get("start")?, row.get("end")?);
    let places: Vec<Mark> =
        if row.get_ref("places")?.as_str_or_null()?.is_some() { json(row, "places")? } else { Vec::new() };
    let end = end.min(first + content.len());
    Ok(Passage {
        document_id: id(row, "document_id")?,
        document_title: row.get("title")?,
        document_source: row.get("source")?,
        chunk: row.get("chunk")?,
        chunk_id: id(row, "chunk_id")?,
        start,
        end,
        model: None,
        location: place::locate(&places, &content, first, &(start..end)),
        text: content.get(start.saturating_sub(first)..end.saturating_sub(first)).unwrap_or_default().to_owned(),
    })
}

impl Workspace {
    /// The passages that each of these facts rests on: at most `each`, the oldest document's first.
    pub fn evidence(&self, facts: &[i64], each: usize) -> Result<HashMap<i64, Vec<Passage>>> {
        self.read(|db| {
            // One by one, each in the order of the index: thousands of documents may say the same.
            let mut query = db.prepare_cached(&format!(
                "SELECT v.start, v.\"end\", v.model, {PASSAGE} FROM
                     (SELECT * FROM evidence WHERE fact = ?1 ORDER BY document, start LIMIT ?2) v
                 JOIN chunks c ON c.number = v.chunk JOIN documents d ON d.number = v.document
                 ORDER BY v.document, v.start"
            ))?;
            let mut found = HashMap::new();
            for fact in facts {
                let rows = query
                    .query_map((fact, each as i64), |row| Ok(Passage { model: row.get("model")?, ..passage(row)? }))?;
                let passages: Vec<Passage> = rows.collect::<rusqlite::Result<_>>()?;
                if !passages.is_empty() {
                    found.insert(*fact, passages);
                }
            }
            Ok(found)
        })
    }

    /// The first chunk that states each fact.
    pub fn first_chunks(&self) -> Result<HashMap<i64, Uuid>> {
        self.read(|db| {
            // Of a group with one minimum, the other columns are of its row.
            let mut query = db.prepare_cached(
                "SELECT v.fact, c.id, min(v.document) FROM evidence v JOIN chunks c ON c.number = v.chunk GROUP BY v.fact",
            )?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, id(row, "id")?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Where an entity is named: `limit` places from `offset` on, and in how many there are in all.
    pub fn mentions(&self, entity: i64, limit: usize, offset: usize) -> Result<(Vec<Passage>, u64)> {
        self.read(|db| {
            let count = "SELECT count(*) FROM mentions WHERE entity = ?1";
            let total = db.prepare_cached(count)?.query_row([entity], |row| row.get(0))?;
            let mut query = db.prepare_cached(&format!(
                "SELECT m.start, m.\"end\", {PASSAGE} FROM mentions m
                 JOIN chunks c ON c.number = m.chunk JOIN documents d ON d.number = c.document
                 WHERE m.entity = ?1 ORDER BY m.chunk, m.start LIMIT ?2 OFFSET ?3"
            ))?;
            let rows = query.query_map((entity, limit as i64, offset as i64), passage)?;
            Ok((rows.collect::<rusqlite::Result<_>>()?, total))
        })
    }

    /// The documents that are about these entities: whose title names them. With them the documents of `chunks`.
    pub fn about(&self, entities: &[i64], chunks: &[u32]) -> Result<About> {
        self.read(|db| {
            let mut about = About::default();
            let mut query = db.prepare_cached(
                "SELECT e.number, d.number FROM entities e JOIN documents d ON d.subject = e.key
                 WHERE e.number IN (SELECT value FROM rarray(?1)) ORDER BY e.number, d.number LIMIT ?2",
            )?;
            let rows =
                query.query_map((array(entities.iter().copied()), DOCUMENTS), |row| Ok((row.get(0)?, row.get(1)?)))?;
            about.documents = rows.collect::<rusqlite::Result<_>>()?;
            if about.documents.is_empty() {
                return Ok(about);
            }
            let documents = about.documents.iter().map(|(_, document)| *document);
            let mut query = db.prepare_cached(
                "SELECT number, document FROM chunks WHERE number IN (SELECT value FROM rarray(?1))
                 UNION SELECT number, document FROM chunks
                 WHERE document IN (SELECT value FROM rarray(?2)) AND position < ?3",
            )?;
            let values = (array(chunks.iter().copied()), array(documents), BEGINNING);
            let rows = query.query_map(values, |row| Ok((row.get(0)?, row.get(1)?)))?;
            about.chunks = rows.collect::<rusqlite::Result<_>>()?;
            Ok(about)
        })
    }
}
