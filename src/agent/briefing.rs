//! What a model that is not ours is told: what a tool found, and what an agent would begin its answer with.
//!
//! The words are those that our own models are told ([`super::prompt`]): numbered passages between fences, named as data.

use std::sync::Arc;

use tokio::time::Instant;

use super::answering::{self, Ask, Desk, Spent};
use super::calling;
use super::event::Listener;
use super::evidence::Evidence;
use super::prompt::{Role, Said};
use super::requests::Requests;
use super::speaking;
use super::tools::Outcome;
use crate::error::Result;
use crate::llm::Message;
use crate::workspace::agents::Agent;

/// What a tool found, in words. Passages are numbered from 1 in their order.
pub fn told(outcome: Outcome) -> String {
    let mut evidence = Evidence::default();
    let parts = calling::found(outcome, &mut evidence, &speaking::fence());
    let said = Said { role: Role::User, parts, calls: Vec::new(), call_id: None };
    text(said.message(&evidence))
}

/// What `agent` is told before it answers `question`: its instructions, and the question with what its tools find.
///
/// # Errors
/// As those of the agent's searches.
pub async fn brief(desk: &Desk, agent: Agent, question: &str) -> Result<(String, String)> {
    let ask = Arc::new(Ask {
        temperature: agent.temperature,
        max_tokens: agent.max_tokens,
        agent,
        query: question.to_owned(),
        question: question.to_owned(),
        history: Vec::new(),
        instructions: Vec::new(),
        search_type: None,
        chain: Vec::new(),
        deadline: Instant::now() + desk.patience,
        requests: Requests::new(),
        spent: Spent::default(),
    });
    let found = answering::retrieve(desk, &ask, &Listener::default()).await?;
    let said = speaking::opening(desk, &ask, &found, &speaking::fence());
    let mut texts = said.iter().map(|said| text(said.message(&found.evidence)));
    Ok((texts.next().unwrap_or_default(), texts.next().unwrap_or_default()))
}

fn text(message: Message) -> String {
    match message {
        Message::System(text) | Message::User(text) => text,
        Message::Assistant { text, .. } | Message::Tool { text, .. } => text,
    }
}
