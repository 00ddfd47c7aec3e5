//! From a question to an answer: what is found for it, and who speaks.
//!
//! The documents are searched once before anybody speaks, whatever a model would do by itself. The agent's model speaks,
//! or what answers without one: because the agent has it so, or because the model failed and the agent lets it be replaced.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::citations::Citation;
use super::event::{Event, Listener, ToolUse, Usage};
use super::evidence::Evidence;
use super::prompt::Said;
use super::requests::Requests;
use super::tools::{self, Tools};
use super::{quoting, speaking};
use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::llm::{self, Finish, Providers, Request, Tokens};
use crate::search::SearchType;
use crate::workspace::Workspace;
use crate::workspace::agents::Agent;

/// What turns are taken with: a workspace that the caller was let into, and what speaks.
#[derive(Clone)]
pub struct Desk {
    pub workspace: Arc<Workspace>,
    /// The workspace's name and what it is for.
    pub name: String,
    pub description: Option<String>,
    pub embedder: Arc<dyn Embedder>,
    pub providers: Arc<Providers>,
    pub queue: Arc<super::Queue>,
    /// What a turn may take as a whole.
    pub patience: std::time::Duration,
}

/// A question to an agent.
pub(super) struct Ask {
    pub agent: Agent,
    /// As it was said.
    pub query: String,
    /// As it is understood without what was said before.
    pub question: String,
    pub history: Vec<Said>,
    /// What the client adds to the agent's prompt.
    pub instructions: Vec<String>,
    pub search_type: Option<SearchType>,
    pub temperature: f64,
    pub max_tokens: u32,
    /// The agents that asked for this answer, the first of them first.
    pub chain: Vec<Uuid>,
    /// When it has to be there.
    pub deadline: Instant,
    /// The questions to language models that are left for it.
    pub requests: Requests,
    /// What it took to understand the question.
    pub spent: Spent,
}

impl Ask {
    /// A question to `agent` that nothing was said before, asked by the agents of `chain`.
    pub fn alone(agent: Agent, query: String, chain: Vec<Uuid>, deadline: Instant, requests: Requests) -> Self {
        Ask {
            temperature: agent.temperature,
            max_tokens: agent.max_tokens,
            agent,
            question: query.clone(),
            query,
            history: Vec::new(),
            instructions: Vec::new(),
            search_type: None,
            chain,
            deadline,
            requests,
            spent: Spent::default(),
        }
    }
}

/// What a question to a model took that is not the answer.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Spent {
    pub tokens: Tokens,
    /// Whether tokens were counted here, as the provider did not.
    pub is_estimate: bool,
    pub cost: Option<f64>,
}

/// An answer, and what it rests on.
#[derive(Debug, Clone, Default)]
pub(super) struct Answer {
    pub message: String,
    pub citations: Vec<Citation>,
    /// Numbers of the evidence by marker: the first is that of `[1]`.
    pub cited: Vec<usize>,
    pub evidence: Evidence,
    /// Whether the evidence bears out any of it.
    pub grounded: bool,
    pub unsupported: Vec<String>,
    pub tools_used: Vec<ToolUse>,
    pub searched: Option<SearchType>,
    pub usage: Usage,
    /// Whether tokens were counted here, as the provider did not.
    pub is_estimate: bool,
    pub cost: Option<f64>,
    pub finish: Finish,
    /// What the model was told, and said until it answered.
    pub prompt: Vec<Said>,
    pub provider: String,
    pub model: String,
    /// Why the agent's own model did not speak.
    pub fallback: Option<String>,
    pub search_ms: u64,
    /// From the beginning to the first text.
    pub first_text_ms: Option<u64>,
}

/// Runs what blocks where it may, within the current span.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    done.unwrap_or_else(|error| Err(Error::internal("a turn's work ended early", error)))
}

/// The tokens of a question and what was said to it, by our own measure: where the provider does not count.
pub(super) async fn counted(desk: &Desk, request: &Request, said: &str) -> Result<Tokens> {
    let (embedder, asked, said) = (desk.embedder.clone(), request.messages.clone(), said.to_owned());
    blocking(move || {
        let prompt: usize = asked.iter().map(|message| embedder.count_tokens(message.text())).sum();
        Ok(Tokens { prompt: prompt as u64, completion: embedder.count_tokens(&said) as u64 })
    })
    .await
}

pub(super) fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Answers `ask`, and tells of each step.
///
/// # Errors
/// [`Error::Unavailable`] where the model gives no answer in time and nothing may take its place.
pub(super) async fn answer(desk: &Desk, ask: Arc<Ask>, listener: &Listener) -> Result<Answer> {
    let spent = ask.spent;
    let answer = from_anybody(desk, ask, listener).await?;
    let usage = answer.usage;
    Ok(Answer {
        usage: Usage::new(usage.prompt_tokens + spent.tokens.prompt, usage.completion_tokens + spent.tokens.completion),
        is_estimate: answer.is_estimate || spent.is_estimate,
        cost: spent.cost.map(|cost| cost + answer.cost.unwrap_or(0.0)).or(answer.cost),
        ..answer
    })
}

/// The answer of the agent's model, or of what takes its place.
async fn from_anybody(desk: &Desk, ask: Arc<Ask>, listener: &Listener) -> Result<Answer> {
    let begun = Instant::now();
    let mut found = retrieve(desk, &ask, listener).await?;
    found.search_ms = millis(begun);
    let agent = &ask.agent;
    if agent.model_provider == llm::EXTRACTIVE {
        return quoting::quote(desk, &ask, found, listener, begun).await;
    }
    let spoken = match desk.providers.get(&agent.model_provider) {
        Some(provider) => speaking::speak(desk, &ask, provider, found.clone(), listener, begun).await,
        None => Err(speaking::Silence::Before("this provider is not configured".into())),
    };
    let why = match spoken {
        Ok(answer) => return Ok(answer),
        Err(speaking::Silence::Ours(error)) => return Err(error),
        Err(speaking::Silence::Before(why)) => {
            tracing::warn!(
                provider = agent.model_provider,
                model = agent.model_name,
                why,
                "a language model gave no answer"
            );
            if agent.settings.get(FALLBACK).and_then(Value::as_str) == Some(llm::EXTRACTIVE) {
                found.fallback = Some(why);
                return quoting::quote(desk, &ask, found, listener, begun).await;
            }
            why
        }
        Err(speaking::Silence::Within(why)) => {
            tracing::warn!(
                provider = agent.model_provider,
                model = agent.model_name,
                why,
                "a language model broke off"
            );
            why
        }
    };
    Err(Error::Unavailable(format!("the language model of provider `{}` gave no answer: {why}", agent.model_provider)))
}

/// The key of an agent's settings under which it says what may take its model's place.
pub const FALLBACK: &str = "fallback";

/// What the tools find that are used before anybody speaks.
pub(super) async fn retrieve(desk: &Desk, ask: &Arc<Ask>, listener: &Listener) -> Result<Answer> {
    let mut found = Answer::default();
    if let Some((tool, search_type)) = tools::search_tool(&ask.agent, ask.search_type) {
        let call = ToolUse::new(tool, first_search(&ask.agent, tool, search_type, &ask.question));
        use_tool(desk, ask, call, &mut found, listener).await?;
        found.searched = Some(search_type);
    }
    let (asked, workspace) = (ask.clone(), desk.workspace.clone());
    let wished = blocking(move || tools::wished(&asked.agent, &workspace, &asked.question)).await?;
    if let Some(wished) = wished {
        use_tool(desk, ask, ToolUse::new(wished.tool, wished.args), &mut found, listener).await?;
    }
    Ok(found)
}

async fn use_tool(desk: &Desk, ask: &Arc<Ask>, call: ToolUse, found: &mut Answer, listener: &Listener) -> Result<()> {
    listener.tell(Event::ToolCall(call.clone())).await?;
    let outcome = run(desk, ask, &call).await;
    let outcome = match outcome {
        // An entity that was forgotten in between is none that anything is known of.
        Err(Error::NotFound(_)) => tools::Outcome { summary: "nothing found".into(), ..tools::Outcome::default() },
        outcome => outcome?,
    };
    // What a later tool adds is no better than what was found first.
    let least = found.evidence.hits().last().map(|hit| hit.score);
    found.evidence.add(outcome.hits.into_iter().map(|mut hit| {
        hit.score = least.map_or(hit.score, |least| hit.score.min(least));
        hit
    }));
    listener.tell(Event::ToolResult { tool_call_id: call.tool_call_id.clone(), summary: outcome.summary }).await?;
    found.tools_used.push(call);
    Ok(())
}

/// Carries out a tool that only looks into the workspace.
pub(super) async fn run(desk: &Desk, ask: &Arc<Ask>, call: &ToolUse) -> Result<tools::Outcome> {
    let (workspace, embedder) = (desk.workspace.clone(), desk.embedder.clone());
    let (ask, tool, args) = (ask.clone(), call.tool_name.clone(), call.args.clone());
    blocking(move || {
        let tools = Tools { workspace: &workspace, embedder: embedder.as_ref(), config: &ask.agent.tool_config };
        tools.run(&tool, &args)
    })
    .await
}

/// What the first search is asked, with what the agent's configuration says of it.
fn first_search(agent: &Agent, tool: &str, search_type: SearchType, question: &str) -> Map<String, Value> {
    let configured =
        |name: &str| agent.tool_config.get(tool).and_then(|config| config.get(name)).filter(|v| v.is_number());
    let mut args = Map::from_iter([("query".to_owned(), json!(question))]);
    args.insert("limit".into(), configured("limit").cloned().unwrap_or(json!(tools::PASSAGES)));
    if let (SearchType::Hybrid, Some(weight)) = (search_type, configured("text_weight")) {
        args.insert("text_weight".into(), weight.clone());
    }
    args
}
