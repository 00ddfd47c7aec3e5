//! What a language model reads of documents, chunk by chunk, beside what was read without one.
//!
//! How far it came is on file with what it found, in one commit: a stop loses one answer at most, and asks for none twice.
//! A document that changes is read anew from its beginning.

use std::collections::HashMap;

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::facts::{self, Origin};
use super::{Change, Workspace, json};
use crate::error::Result;
use crate::graph::proposal::Asked;
use crate::graph::{Extraction, extract};

/// The next chunk of a document that a model was not asked about.
#[derive(Debug, Clone)]
pub struct Unasked {
    document: i64,
    id: Uuid,
    title: String,
    date: Option<Date>,
    updated_at: String,
    chunk: i64,
    position: i64,
    start: usize,
    text: String,
}

/// What asking about a chunk came to.
#[derive(Debug, Clone)]
pub struct Reply<'a> {
    pub said: Extraction,
    /// The model that was asked.
    pub model: &'a str,
    /// What it took, and what a document may take in all.
    pub tokens: u64,
    pub budget: u64,
}

impl Unasked {
    /// The chunk as it is asked about.
    pub fn asked(&self) -> Asked<'_> {
        Asked { title: &self.title, text: &self.text, start: self.start, date: self.date }
    }
}

/// Adds what a model said of a chunk, and goes on to the next, or to the document's end where its budget is used up. One
/// that changed meanwhile says nothing.
pub fn put(change: &Change<'_>, unasked: &Unasked, reply: &Reply<'_>) -> Result<()> {
    let db = change.db;
    let mut update = db.prepare_cached(
        "UPDATE documents SET tokens_used = tokens_used + ?4,
             chunks_asked = CASE WHEN tokens_used + ?4 >= ?5 THEN chunk_count ELSE chunks_asked + 1 END
         WHERE number = ?1 AND facts_read = ?2 AND chunks_asked = ?3 RETURNING chunks_asked >= chunk_count",
    )?;
    let (tokens, budget) = (reply.tokens as i64, i64::try_from(reply.budget).unwrap_or(i64::MAX));
    let values = (unasked.document, extract::VERSION, unasked.position, tokens, budget);
    let Some(is_all) = update.query_row(values, |row| row.get::<_, bool>(0)).optional()? else { return Ok(()) };
    let (said, numbers) = merged(db, unasked.document, &reply.said)?;
    put_names(change, unasked, &said, &numbers)?;
    let Unasked { document, id, updated_at, chunk, .. } = unasked;
    let origin = Origin { number: *document, id: *id, updated_at, model: Some(reply.model) };
    for fact in said.facts.iter().filter(|fact| numbers.get(fact.subject) != numbers.get(fact.object)) {
        facts::put_fact(change, &origin, &said, fact, &numbers, *chunk)?;
    }
    change.graph().entities.extend(numbers);
    if is_all { facts::forget_recorded(db, *id) } else { Ok(()) }
}

/// What a model said, of the entities that the document already has under those names, and of new ones.
fn merged(db: &Connection, document: i64, said: &Extraction) -> Result<(Extraction, Vec<i64>)> {
    let mut known = db.prepare_cached(
        "SELECT e.number, e.key FROM entity_names n JOIN entities e ON e.number = n.entity
         WHERE n.document = ?1 AND n.name = ?2 ORDER BY n.count DESC, e.number LIMIT 1",
    )?;
    let (mut said, mut numbers) = (said.clone(), Vec::new());
    for named in &mut said.entities {
        let found = known.query_row((document, &named.name), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        numbers.push(match found {
            Some((number, key)) => {
                named.key = key;
                number
            }
            None => facts::entity(db, &named.key)?,
        });
    }
    Ok((said, numbers))
}

/// Stores mentions that were not known and counts them among the names; the names of an entity that the document had
/// already stay the fuller ones.
fn put_names(change: &Change<'_>, unasked: &Unasked, said: &Extraction, numbers: &[i64]) -> Result<()> {
    let db = change.db;
    let mut counts: HashMap<(usize, &str), i64> = HashMap::new();
    let mut insert = db.prepare_cached("INSERT OR IGNORE INTO mentions VALUES (?1, ?2, ?3, ?4)")?;
    for mention in &said.mentions {
        let (Some(named), Some(number)) = (said.entities.get(mention.entity), numbers.get(mention.entity)) else {
            continue;
        };
        let (start, end) = (mention.start as i64, mention.end as i64);
        if insert.execute((unasked.chunk, start, end, number))? == 1 {
            let within = mention.start.saturating_sub(unasked.start)..mention.end.saturating_sub(unasked.start);
            let text = unasked.text.get(within).unwrap_or_default();
            let form = named.aliases.iter().find(|alias| *alias == text).unwrap_or(&named.name);
            *counts.entry((mention.entity, form)).or_default() += 1;
            change.graph().chunks.insert(unasked.chunk);
        }
    }
    let mut known =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM entity_names WHERE document = ?1 AND entity = ?2)")?;
    let mut insert = db.prepare_cached(
        "INSERT INTO entity_names VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET count = count + excluded.count",
    )?;
    for (place, (named, number)) in said.entities.iter().zip(numbers).enumerate() {
        let is_known: bool = known.query_row((unasked.document, number), |row| row.get(0))?;
        for form in std::iter::once(&named.name).chain(&named.aliases) {
            let count = counts.get(&(place, form.as_str())).copied().unwrap_or(0);
            let is_fullest = !is_known && *form == named.name;
            insert.execute(params![unasked.document, number, form, named.kind.name(), is_fullest, count])?;
        }
    }
    Ok(())
}

impl Workspace {
    /// The next chunk to ask a model about: the oldest document's whose facts were read.
    pub fn unasked(&self) -> Result<Option<Unasked>> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT d.number AS document, d.id, d.title, d.metadata, d.updated_at,
                        c.number AS chunk, c.position, c.start, c.content
                 FROM documents d INDEXED BY documents_to_ask_about
                 JOIN chunks c ON c.document = d.number AND c.position = d.chunks_asked
                 WHERE d.chunks_asked < d.chunk_count AND d.facts_read = ?1 ORDER BY d.number LIMIT 1",
            )?;
            let found = query.query_row([extract::VERSION], |row| {
                let metadata: Map<String, Value> = json(row, "metadata")?;
                Ok(Unasked {
                    document: row.get("document")?,
                    id: super::id(row, "id")?,
                    title: row.get("title")?,
                    date: facts::date_of(&metadata),
                    updated_at: row.get("updated_at")?,
                    chunk: row.get("chunk")?,
                    position: row.get("position")?,
                    start: row.get("start")?,
                    text: row.get("content")?,
                })
            });
            Ok(found.optional()?)
        })
    }

    /// Whether there is such a chunk.
    pub fn has_unasked(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM documents INDEXED BY documents_to_ask_about
                                  WHERE chunks_asked < chunk_count AND facts_read = ?1)";
        self.read(|db| Ok(db.prepare_cached(sql)?.query_row([extract::VERSION], |row| row.get(0))?))
    }

    /// Chunks that a model was not asked about, of all documents.
    pub fn chunks_to_ask(&self) -> Result<u64> {
        self.read(to_ask)
    }
}

/// Chunks that a model was not asked about, of all documents.
pub(super) fn to_ask(db: &Connection) -> Result<u64> {
    let mut query = db.prepare_cached(
        "SELECT ifnull(sum(chunk_count - chunks_asked), 0) FROM documents INDEXED BY documents_to_ask_about
         WHERE chunks_asked < chunk_count",
    )?;
    Ok(query.query_row([], |row| row.get(0))?)
}
