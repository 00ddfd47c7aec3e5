//! The same question on today's knowledge: what would be answered now, and what is different from then.
//!
//! Asks the agent as it is now, with what was said before the question then. Nothing of it is stored.

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::time::Instant;
use uuid::Uuid;

use super::answering::{self, Answer, Desk, blocking};
use super::event::{Listener, Usage};
use super::turn::LOOK_BACK;
use super::understanding::{Asked, understand};
use super::{Citation, ledger};
use crate::error::{Error, Result};
use crate::workspace::Workspace;
use crate::workspace::agents::Agent;
use crate::workspace::answers::{Evidence, Rested};
use crate::workspace::sessions::Message;

/// An answer of before and the one to the same question now.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    pub query: String,
    /// The answer of before, and what it rested on.
    pub message: Message,
    pub rested: Rested,
    /// The answer of now.
    pub answer: String,
    pub citations: Vec<Citation>,
    pub grounded: bool,
    pub unsupported: Vec<String>,
    pub usage: Usage,
    pub provider: String,
    pub model: String,
    pub fallback: Option<String>,
    pub generation: u64,
    /// The question as it is understood now.
    pub search_query: String,
    /// Passages that are new among the evidence.
    pub added: Vec<Seen>,
    /// Passages that are there no more.
    pub removed: Vec<Gone>,
    /// Passages that have another place.
    pub moved: Vec<Moved>,
    /// Names of parameters that have changed since.
    pub parameters: Vec<String>,
}

/// A passage among the evidence.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Seen {
    pub number: usize,
    pub document_id: Uuid,
    pub chunk_id: Uuid,
    pub title: String,
    pub source: String,
    pub score: f64,
}

/// A passage that is no longer among the evidence, and why.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Gone {
    pub number: usize,
    /// Of a document that was deleted nothing else is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passage: Option<Seen>,
    /// `document_deleted`, `document_changed` or `found_no_more`.
    pub reason: &'static str,
}

/// A passage with its place then and now.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Moved {
    pub passage: Seen,
    pub before: usize,
}

/// What was asked then.
struct Past {
    message: Message,
    before: Vec<Message>,
    rested: Rested,
    agent: Agent,
}

/// Asks the question of the answer `message` again.
///
/// # Errors
/// [`Error::NotFound`] for what is no answer of this workspace; else as a turn.
pub async fn replay(desk: &Desk, message: Uuid) -> Result<Replayed> {
    let started = Instant::now();
    let _place = desk.queue.place()?;
    let past = blocking({
        let workspace = desk.workspace.clone();
        move || past(&workspace, message)
    })
    .await?;
    let parameters = &past.rested.record["parameters"];
    let overrides = serde_json::from_value(past.rested.record["overrides"].clone()).unwrap_or_default();
    let asked = Asked {
        query: past.rested.record["query"].as_str().unwrap_or_default().to_owned(),
        instructions: serde_json::from_value(parameters["instructions"].clone()).unwrap_or_default(),
        search_type: serde_json::from_value(parameters["search_type"].clone()).unwrap_or_default(),
        overrides,
    };
    let ask = Arc::new(understand(desk, &past.agent, &past.before, asked, started).await?);
    let generation = blocking({
        let workspace = desk.workspace.clone();
        move || workspace.generation()
    })
    .await?;
    let answer = answering::answer(desk, ask.clone(), &Listener::default()).await?;
    let workspace = desk.workspace.clone();
    blocking(move || {
        let now = ledger::rested(&ask, overrides, &answer, generation, 0)?;
        compared(&workspace, past, answer, now, &ask.question)
    })
    .await
}

fn past(workspace: &Workspace, message: Uuid) -> Result<Past> {
    let (message, mut before) = workspace.message_and_before(message, LOOK_BACK + 1)?;
    if message.role != "assistant" {
        return Err(Error::NotFound("answer"));
    }
    let rested = workspace.rested(message.id)?;
    // The last of what was said before is the question itself.
    before.pop();
    let agent = workspace.agent(workspace.session(message.session_id)?.agent_id)?;
    Ok(Past { message, before, rested, agent })
}

fn compared(workspace: &Workspace, past: Past, answer: Answer, now: Rested, search_query: &str) -> Result<Replayed> {
    let Past { message, rested, .. } = past;
    let same = |a: &&Evidence, b: &Evidence| a.chunk_id == b.chunk_id;
    let mut removed = Vec::new();
    for number in 1..=rested.record["evidence_count"].as_u64().unwrap_or_default() as usize {
        let Some(then) = rested.evidence.iter().find(|one| one.number == number) else {
            removed.push(Gone { number, passage: None, reason: "document_deleted" });
            continue;
        };
        if now.evidence.iter().any(|one| same(&then, one)) {
            continue;
        }
        let reason = if workspace.has_chunk(then.chunk_id)? { "found_no_more" } else { "document_changed" };
        removed.push(Gone { number, passage: Some(seen(then)), reason });
    }
    let then = |one: &Evidence| rested.evidence.iter().find(|then| same(then, one));
    let added = now.evidence.iter().filter(|one| then(one).is_none()).map(seen).collect();
    let moved = now.evidence.iter().filter_map(|one| {
        let before = then(one)?.number;
        (before != one.number).then(|| Moved { passage: seen(one), before })
    });
    Ok(Replayed {
        query: rested.record["query"].as_str().unwrap_or_default().to_owned(),
        added,
        moved: moved.collect(),
        removed,
        parameters: changed(&rested.record, &now.record),
        answer: answer.message,
        citations: answer.citations,
        grounded: answer.grounded,
        unsupported: answer.unsupported,
        usage: answer.usage,
        provider: answer.provider,
        model: answer.model,
        fallback: answer.fallback,
        generation: now.generation,
        search_query: search_query.to_owned(),
        message,
        rested,
    })
}

fn seen(one: &Evidence) -> Seen {
    let text = |name: &str| one.hit.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Seen {
        number: one.number,
        document_id: one.document_id,
        chunk_id: one.chunk_id,
        title: text("title"),
        source: text("source"),
        score: one.hit.get("score").and_then(Value::as_f64).unwrap_or_default(),
    }
}

/// Names of the parameters that differ.
fn changed(then: &Map<String, Value>, now: &Map<String, Value>) -> Vec<String> {
    let (Some(then), Some(now)) = (then["parameters"].as_object(), now["parameters"].as_object()) else {
        return Vec::new();
    };
    now.iter().filter(|(name, value)| then.get(*name) != Some(*value)).map(|(name, _)| name.clone()).collect()
}
