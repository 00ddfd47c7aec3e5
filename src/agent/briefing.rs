//! What a model that is not ours is told: what a tool found, and what an agent would begin its answer with.
//!
//! The words are those that our own models are told ([`super::prompt`]): numbered passages between fences, named as data.

use std::sync::Arc;

use tokio::time::Instant;

use super::answering::{self, Ask, Desk};
use super::calling;
use super::event::Listener;
use super::evidence::Evidence;
use super::prompt::{Role, Said};
use super::requests::Requests;
use super::speaking;
use super::tools::Outcome;
use crate::error::Result;
use crate::workspace::agents::Agent;

/// What a tool found, in words. Passages are numbered from 1 in their order.
pub fn told(outcome: Outcome) -> String {
    let mut evidence = Evidence::default();
    let parts = calling::found(outcome, &mut evidence, &speaking::fence());
    let said = Said { role: Role::User, parts, calls: Vec::new(), call_id: None };
    said.message(&evidence).text().to_owned()
}

/// What `agent` is told before it answers `question`: its instructions, and the question with what its tools find.
///
/// # Errors
/// As those of the agent's searches.
pub async fn brief(desk: &Desk, agent: Agent, question: &str) -> Result<(String, String)> {
    let deadline = Instant::now() + desk.patience;
    let ask = Arc::new(Ask::alone(agent, question.to_owned(), Vec::new(), deadline, Requests::new()));
    let found = answering::retrieve(desk, &ask, &Listener::default()).await?;
    let said = speaking::opening(desk, &ask, &found, &speaking::fence());
    let mut texts = said.iter().map(|said| said.message(&found.evidence).text().to_owned());
    Ok((texts.next().unwrap_or_default(), texts.next().unwrap_or_default()))
}
