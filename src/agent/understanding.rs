//! What a question means in the light of what was said before: put in full by the agent's model, where it has one, and by a rule
//! where not.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::answering::{Ask, Desk, Spent, blocking, counted};
use super::history;
use super::prompt::{self, Said};
use super::requests::Requests;
use super::turn::Chat;
use crate::error::Result;
use crate::llm::{self, Completion, Provider, Request};
use crate::search::SearchType;
use crate::workspace::agents::Agent;
use crate::workspace::sessions::Message;

/// Tokens of what was said before that a model is told, where the agent's settings say nothing.
const HISTORY_TOKENS: usize = 2_000;
/// The key of an agent's settings under which they do.
pub const HISTORY: &str = "history_tokens";
/// Tokens of a question in full at most.
const QUESTION_TOKENS: u32 = 200;
/// How long a model may think about what a question means; after that there is the rule.
const REWRITING: Duration = Duration::from_secs(10);

/// What a question is asked with.
pub(super) struct Asked {
    pub query: String,
    pub instructions: Vec<String>,
    pub search_type: Option<SearchType>,
    pub overrides: Overrides,
}

/// What the caller would have instead of the agent's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Overrides {
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
}

impl Asked {
    pub fn of(chat: &Chat) -> Self {
        Asked {
            query: chat.query.clone(),
            instructions: chat.instructions.clone(),
            search_type: chat.search_type,
            overrides: Overrides { temperature: chat.temperature, max_tokens: chat.max_tokens },
        }
    }
}

/// What the agent is asked: the question as it is understood in the light of what was said before.
pub(super) async fn understand(
    desk: &Desk,
    agent: &Agent,
    before: &[Message],
    asked: Asked,
    started: Instant,
) -> Result<Ask> {
    let budget = agent.settings.get(HISTORY).and_then(Value::as_u64).map_or(HISTORY_TOKENS, |tokens| tokens as usize);
    let (told, question, follows) = blocking({
        let (workspace, embedder) = (desk.workspace.clone(), desk.embedder.clone());
        let (before, query) = (before.to_vec(), asked.query.clone());
        move || {
            let fulltext = workspace.fulltext();
            let analyzer = fulltext.analyzer();
            let told = history::told(&before, budget, |text| embedder.count_tokens(text));
            let follows = !before.is_empty() && history::is_follow_up(&query, analyzer);
            Ok((told, history::understood(&query, &before, analyzer), follows))
        }
    })
    .await?;
    let deadline = started + desk.patience;
    let (rewritten, spent) = match follows {
        true => rewritten(desk, agent, &asked.query, &told, deadline).await?,
        false => (None, Spent::default()),
    };
    Ok(Ask {
        agent: agent.clone(),
        query: asked.query,
        question: rewritten.unwrap_or(question),
        history: told,
        instructions: asked.instructions,
        search_type: asked.search_type,
        temperature: asked.overrides.temperature.unwrap_or(agent.temperature),
        max_tokens: asked.overrides.max_tokens.map_or(agent.max_tokens, |most| most.min(agent.max_tokens)),
        chain: Vec::new(),
        deadline,
        requests: Requests::new(),
        spent,
    })
}

/// A follow-up question in full, where the agent has a model that can say so, and what that took; without one there is a rule.
async fn rewritten(
    desk: &Desk,
    agent: &Agent,
    query: &str,
    before: &[Said],
    deadline: Instant,
) -> Result<(Option<String>, Spent)> {
    let provider = desk.providers.get(&agent.model_provider).filter(|_| agent.model_provider != llm::EXTRACTIVE);
    let Some(provider) = provider else { return Ok((None, Spent::default())) };
    let said = prompt::rewriting(query, before);
    let request = Request {
        model: agent.model_name.clone(),
        messages: said.iter().map(|said| said.message(&Default::default())).collect(),
        temperature: Some(0.0),
        max_tokens: QUESTION_TOKENS,
        ..Request::default()
    };
    let until = rewriting_ends(Instant::now(), deadline);
    match tokio::time::timeout_at(until, provider.model.complete(&request)).await {
        Ok(Ok(completion)) => {
            let line = completion.text.rsplit("</think>").next().unwrap_or_default().trim();
            let line = line.lines().next().unwrap_or_default().trim().trim_matches('"');
            let line = (!line.is_empty() && line.len() <= 2_000).then(|| line.to_owned());
            Ok((line, spent(desk, provider, request, completion).await?))
        }
        Ok(Err(failure)) => {
            tracing::debug!(%failure, "a follow-up question was not rewritten by the model");
            Ok((None, Spent::default()))
        }
        Err(_) => {
            tracing::debug!("a follow-up question was not rewritten by the model in time");
            Ok((None, Spent::default()))
        }
    }
}

fn rewriting_ends(now: Instant, deadline: Instant) -> Instant {
    deadline.min(now + REWRITING)
}

/// What a question and its answer took; by our own measure where the provider does not count.
async fn spent(desk: &Desk, provider: &Provider, request: Request, completion: Completion) -> Result<Spent> {
    let (tokens, is_estimate) = match completion.end.tokens {
        Some(tokens) => (tokens, false),
        None => (counted(desk, &request, &completion.text).await?, true),
    };
    Ok(Spent { tokens, is_estimate, cost: provider.cost(&request.model, tokens) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_thinks_about_a_question_leaves_time_for_the_answer() {
        let now = Instant::now();
        assert_eq!(rewriting_ends(now, now + Duration::from_secs(300)), now + REWRITING);
        assert_eq!(rewriting_ends(now, now + Duration::from_secs(3)), now + Duration::from_secs(3));
    }
}
