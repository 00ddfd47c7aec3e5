//! Prompts: the agents, for clients that bring a model of their own. A prompt is what the agent's model would be told,
//! but for the agent's own words to it where the caller may not read agents.

use rmcp::ErrorData;
use rmcp::model::{GetPromptResult, ListPromptsResult, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::{Map, Value};

use super::door::{Answered, Door, cursor, failed};
use crate::agent;
use crate::api::error::{Failure, blocking};
use crate::api::search::check_query;
use crate::api::validate::Checks;
use crate::auth::Permission;
use crate::error::Error;

/// The argument that every prompt takes.
const QUESTION: &str = "question";
/// Agents on a page of the list.
const PAGE: usize = 100;

/// The active agents from `place` on, the oldest first.
pub async fn list(door: &Door, place: usize) -> Answered<ListPromptsResult> {
    if !door.access.may(Permission::Chat) {
        return Ok(ListPromptsResult::default());
    }
    let workspace = door.access.workspace.clone();
    let (agents, total) = blocking(move || workspace.agents(false, PAGE, place)).await.map_err(failed)?;
    let next = cursor(place, agents.len(), total);
    let prompts = agents.into_iter().map(|agent| {
        let question = PromptArgument::new(QUESTION).with_description("What to answer from the documents.");
        Prompt::new(agent.slug, agent.description, Some(vec![question.with_required(true)])).with_title(agent.name)
    });
    let mut listed = ListPromptsResult::with_all_items(prompts.collect());
    listed.next_cursor = next;
    Ok(listed)
}

/// What an agent would be told before it answers a question.
pub async fn get(door: &Door, name: &str, args: &Map<String, Value>) -> Answered<GetPromptResult> {
    let unknown = || ErrorData::invalid_params(format!("Unknown prompt: {name}"), None);
    if !door.access.may(Permission::Chat) {
        return Err(unknown());
    }
    let (workspace, slug) = (door.access.workspace.clone(), name.to_owned());
    let mut agent = match blocking(move || workspace.agent_called(&slug)).await {
        Ok(agent) => agent,
        Err(Failure(Error::NotFound(_))) => return Err(unknown()),
        Err(failure) => return Err(failed(failure)),
    };
    // What an agent is told by who made it is for those who may read agents.
    if !door.access.may(Permission::ReadAgents) {
        agent.system_prompt.clear();
    }
    let question = args.get(QUESTION).and_then(Value::as_str).map(str::trim).unwrap_or_default();
    let mut checks = Checks::default();
    check_query(&mut checks, QUESTION, question);
    checks.done().map_err(|error| failed(error.into()))?;
    let desk = door.app.desk(&door.access).map_err(|error| failed(error.into()))?;
    let description = agent.description.clone().unwrap_or_else(|| agent.name.clone());
    let (instructions, asked) = agent::brief(&desk, agent, question).await.map_err(|error| failed(error.into()))?;
    // The protocol knows no system's role here.
    let said = [instructions, asked].map(|text| PromptMessage::new_text(Role::User, text));
    Ok(GetPromptResult::new(said.into()).with_description(description))
}
