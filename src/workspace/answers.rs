//! The answer ledger: what every answer rested on, kept beside it for as long as it is kept.
//!
//! The text of evidence is kept by itself, so that it goes with its document and what remains tells that something was there.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Workspace, forgetting, id, json, to_json};
use crate::error::{Error, Result};

/// What an answer rested on.
#[derive(Debug, Clone, PartialEq)]
pub struct Rested {
    /// The generation of the knowledge that was asked.
    pub generation: u64,
    pub provider: String,
    pub model: String,
    /// The question as it was understood, tools, parameters, what the model was told, tokens, times.
    pub record: Map<String, Value>,
    /// The passages that it was made from, numbered from 1.
    pub evidence: Vec<Evidence>,
}

/// A passage that an answer was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    pub number: usize,
    pub document_id: Uuid,
    pub chunk_id: Uuid,
    pub text: String,
    /// Title, source, place, score and rank in each leg.
    pub hit: Map<String, Value>,
}

/// The key of a record under which stands what the model was told and said until it answered.
pub const PROMPT: &str = "prompt";

/// Stores what the answer `message`, which is there, rested on.
pub(super) fn put(db: &Connection, message: Uuid, rested: &Rested) -> Result<()> {
    let record = to_json(&rested.record)?;
    db.execute(
        "INSERT INTO answers (message, generation, provider, model, record) VALUES (?1, ?2, ?3, ?4, ?5)",
        (message.to_string(), rested.generation, &rested.provider, &rested.model, record),
    )?;
    let mut insert = db.prepare_cached(
        "INSERT INTO answer_evidence (message, number, document, chunk, text, hit) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for one in &rested.evidence {
        let ids = (one.document_id.to_string(), one.chunk_id.to_string());
        insert.execute((message.to_string(), one.number, ids.0, ids.1, &one.text, to_json(&one.hit)?))?;
    }
    forget_deleted(db, rested)
}

/// Forgets the documents that were deleted while the answer was being given.
fn forget_deleted(db: &Connection, rested: &Rested) -> Result<()> {
    let documents: BTreeSet<Uuid> = rested.evidence.iter().map(|one| one.document_id).collect();
    let mut is_there = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM documents WHERE id = ?1)")?;
    for document in documents {
        if !is_there.query_row([document.to_string()], |row| row.get(0))? {
            forgetting::forget(db, document)?;
        }
    }
    Ok(())
}

impl Workspace {
    /// What an answer rested on.
    ///
    /// # Errors
    /// [`Error::NotFound`] for what is no answer of this workspace, or one from before there was a ledger.
    pub fn rested(&self, message: Uuid) -> Result<Rested> {
        let message = message.to_string();
        self.read(|db| {
            let mut find = db.prepare_cached(
                "SELECT generation, provider, model, record FROM answers JOIN messages ON messages.id = answers.message
                 JOIN sessions ON sessions.id = session_id WHERE answers.message = ?1 AND sessions.updated_at >= ?2",
            )?;
            let found = find.query_row((&message, self.kept_since()?), |row| {
                Ok(Rested {
                    generation: row.get(0)?,
                    provider: row.get(1)?,
                    model: row.get(2)?,
                    record: json(row, "record")?,
                    evidence: Vec::new(),
                })
            });
            let mut rested = found.optional()?.ok_or(Error::NotFound("answer"))?;
            let mut evidence = db.prepare_cached("SELECT * FROM answer_evidence WHERE message = ?1 ORDER BY number")?;
            let rows = evidence.query_map([&message], |row| {
                Ok(Evidence {
                    number: row.get("number")?,
                    document_id: id(row, "document")?,
                    chunk_id: id(row, "chunk")?,
                    text: row.get("text")?,
                    hit: json(row, "hit")?,
                })
            })?;
            rested.evidence = rows.collect::<rusqlite::Result<_>>()?;
            Ok(rested)
        })
    }
}
