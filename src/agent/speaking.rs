//! A language model answers: in steps, between which its tools are used, each step heard as it is said.
//!
//! Bounded in steps, in tools at once, in passages and in time. What the model says goes through [`Gate`] before anybody
//! hears it, and is held against its evidence at the end.

use std::sync::Arc;

use tokio::time::Instant;

use super::answering::{Answer, Ask, Desk, blocking, counted, millis};
use super::calling::{self, Calls};
use super::citations::{self, Citation};
use super::event::{Event, Listener, Usage};
use super::gate::{Gate, with_markers};
use super::grounding::{self, Verdict};
use super::prompt::{self, Fence, Place, Role, Said};
use super::tools;
use crate::clock;
use crate::error::{Error, Result};
use crate::llm::{End, Failure, Piece, Provider, Request, Tokens, Tool};

/// How often a model may use tools in one turn.
const STEPS: usize = 6;

/// Why a model said nothing, or not all.
pub(super) enum Silence {
    /// Before anybody heard anything of it; where nobody listens, at any time.
    Before(String),
    /// After somebody had heard its beginning.
    Within(String),
    /// It was not the model's fault.
    Ours(Error),
}

impl From<Error> for Silence {
    fn from(error: Error) -> Self {
        Silence::Ours(error)
    }
}

/// An answer while it is being given.
struct Speaking<'a> {
    desk: &'a Desk,
    ask: &'a Arc<Ask>,
    provider: &'a Provider,
    listener: &'a Listener,
    begun: Instant,
    fence: Fence,
    gate: Gate,
    answer: Answer,
    tokens: Tokens,
}

/// Has the agent's model answer from what was `found`, and what it finds itself.
pub(super) async fn speak(
    desk: &Desk,
    ask: &Arc<Ask>,
    provider: &Arc<Provider>,
    found: Answer,
    listener: &Listener,
    begun: Instant,
) -> Result<Answer, Silence> {
    let fence = fence();
    let mut speaking = Speaking {
        desk,
        ask,
        provider,
        listener,
        begun,
        fence,
        gate: Gate::default(),
        answer: found,
        tokens: Tokens::default(),
    };
    let in_time = tokio::time::timeout_at(ask.deadline, speaking.steps()).await;
    in_time.unwrap_or_else(|_| Err(speaking.fell_silent("it took too long".into())))?;
    speaking.finished().await
}

/// A fence that nobody knows yet.
pub(super) fn fence() -> Fence {
    Fence::new(&uuid::Uuid::new_v4().simple().to_string())
}

/// What a model is told before it speaks: who it is, what was said before, and the question with what was `found`.
pub(super) fn opening(desk: &Desk, ask: &Ask, found: &Answer, fence: &Fence) -> Vec<Said> {
    let place =
        Place { workspace: &desk.name, description: desk.description.as_deref(), today: clock::today().to_string() };
    let mut said = vec![prompt::instructions(&ask.agent.system_prompt, &ask.instructions, &place, fence)];
    said.extend(ask.history.iter().cloned());
    let numbers: Vec<usize> = (1..=found.evidence.hits().len()).collect();
    let passages = match found.tools_used.is_empty() {
        true => Vec::new(),
        false => prompt::passages(&found.evidence, &numbers, "", fence),
    };
    said.push(prompt::question(&ask.query, passages));
    said
}

impl Speaking<'_> {
    fn fell_silent(&self, why: String) -> Silence {
        match self.answer.message.is_empty() || !self.listener.is_there() {
            true => Silence::Before(why),
            false => Silence::Within(why),
        }
    }

    /// Goes on until the model has answered.
    async fn steps(&mut self) -> Result<(), Silence> {
        self.answer.prompt = opening(self.desk, self.ask, &self.answer, &self.fence);
        let agent = &self.ask.agent;
        let takes_tools = self.provider.takes_tools(&agent.model_name);
        let tools = if takes_tools { tools::described(&agent.enabled_tools) } else { Vec::new() };
        let mut calls = Calls::default();
        for step in 0..=STEPS {
            // The last question of all is one that is set aside for each answer.
            let must_answer = step == STEPS || !self.ask.requests.take();
            let (said, end) = self.hear(&tools, must_answer).await?;
            self.answer.finish = end.finish;
            if must_answer {
                break;
            }
            if end.calls.is_empty() {
                self.ask.requests.give_back();
                break;
            }
            let called = Said { calls: end.calls.clone(), ..Said::new(Role::Assistant, said) };
            self.answer.prompt.push(called);
            let results = calling::carry_out(
                self.desk,
                self.ask,
                end.calls,
                &mut calls,
                &mut self.answer,
                &self.fence,
                self.listener,
            )
            .await?;
            self.answer.prompt.extend(results);
            if !self.answer.message.is_empty() {
                self.let_through("\n\n").await?;
            }
        }
        let rest = self.gate.finish();
        self.say(rest).await?;
        match self.answer.message.is_empty() {
            true => Err(Silence::Before("it said nothing".into())),
            false => Ok(()),
        }
    }

    /// One step of the model: its words as they came, and how it ended.
    async fn hear(&mut self, tools: &[Tool], must_answer: bool) -> Result<(String, End), Silence> {
        let ask = self.ask;
        let request = Request {
            model: ask.agent.model_name.clone(),
            messages: self.answer.prompt.iter().map(|said| said.message(&self.answer.evidence)).collect(),
            tools: tools.to_vec(),
            must_answer,
            shape: None,
            temperature: Some(ask.temperature),
            max_tokens: ask.max_tokens,
        };
        let failed = |failure: Failure, this: &Self| this.fell_silent(failure.to_string());
        let (model, silence) = (&self.provider.model, self.provider.silence);
        let speech = match model.stream(&request, silence).await {
            // Many a small model takes no tools; without them it may well answer.
            Err(Failure::Parameter("tools")) if !request.tools.is_empty() => {
                let bare = Request { tools: Vec::new(), ..request.clone() };
                let speech = model.stream(&bare, silence).await;
                // One that called for some before does take them, and found fault with something else.
                if speech.is_ok() && self.answer.prompt.iter().all(|said| said.calls.is_empty()) {
                    tracing::info!(model = request.model, "a language model takes no tools");
                    self.provider.note_toolless(&request.model);
                }
                speech
            }
            speech => speech,
        };
        let mut speech = speech.map_err(|failure| failed(failure, self))?;
        self.gate.set_evidence(self.answer.evidence.hits().len());
        self.gate.begin();
        let mut said = String::new();
        loop {
            match speech.next().await.map_err(|failure| failed(failure, self))? {
                Piece::Text(text) => {
                    said.push_str(&text);
                    self.let_through(&text).await?;
                }
                Piece::End(end) => {
                    self.count(&request, &said, &end).await?;
                    return Ok((said, end));
                }
            }
        }
    }

    async fn let_through(&mut self, text: &str) -> Result<(), Silence> {
        let content = self.gate.push(text);
        self.say(content).await
    }

    async fn say(&mut self, content: String) -> Result<(), Silence> {
        if content.is_empty() {
            return Ok(());
        }
        self.answer.first_text_ms.get_or_insert_with(|| millis(self.begun));
        self.answer.message.push_str(&content);
        Ok(self.listener.tell(Event::Text { content }).await?)
    }

    /// Counts the tokens of a step; by our own measure where the provider does not count.
    async fn count(&mut self, request: &Request, said: &str, end: &End) -> Result<(), Silence> {
        let tokens = match end.tokens {
            Some(tokens) => tokens,
            None => {
                self.answer.is_estimate = true;
                counted(self.desk, request, said).await?
            }
        };
        self.tokens.prompt += tokens.prompt;
        self.tokens.completion += tokens.completion;
        Ok(())
    }

    /// Holds what was said against its evidence.
    async fn finished(self) -> Result<Answer, Silence> {
        let (desk, ask, mut answer) = (self.desk.clone(), self.ask, self.answer);
        let cited = self.gate.cited().to_vec();
        let (message, evidence) = (answer.message.clone(), answer.evidence.clone());
        let (citations, verdict) = blocking({
            let cited = cited.clone();
            move || held_against(&desk, &message, &cited, &evidence)
        })
        .await?;
        // A document that changed in the last moment bears nothing out; its markers go.
        let is_there = |marker| citations.iter().any(|citation| citation.marker == marker);
        answer.message = with_markers(&answer.message, |marker| (!is_there(marker)).then(String::new));
        // What other agents took that were asked counts, too.
        let (others, model) = (answer.usage, &ask.agent.model_name);
        Ok(Answer {
            cited,
            grounded: verdict.supported > 0 && !citations.is_empty(),
            citations,
            unsupported: verdict.unsupported,
            usage: Usage::new(
                self.tokens.prompt + others.prompt_tokens,
                self.tokens.completion + others.completion_tokens,
            ),
            cost: self.provider.cost(model, self.tokens).map(|cost| cost + answer.cost.unwrap_or(0.0)).or(answer.cost),
            provider: ask.agent.model_provider.clone(),
            model: model.clone(),
            ..answer
        })
    }
}

fn held_against(
    desk: &Desk,
    message: &str,
    cited: &[usize],
    evidence: &super::evidence::Evidence,
) -> Result<(Vec<Citation>, Verdict)> {
    let (workspace, fulltext) = (&desk.workspace, desk.workspace.fulltext());
    let idf = |terms: &[String]| workspace.idf(terms);
    let verdict = grounding::judge(message, cited, evidence, fulltext.analyzer(), idf, desk.embedder.as_ref())?;
    let mut citations = Vec::new();
    for (place, (number, quote)) in cited.iter().zip(&verdict.quotes).enumerate() {
        let Some(hit) = evidence.get(*number) else { continue };
        // A marker that stands for no sentence is for the passage as a whole.
        let quote = quote.clone().unwrap_or(0..hit.located.chunk.content.len());
        citations.extend(citations::cite(workspace, hit, quote, place + 1, hit.score)?);
    }
    Ok((citations, verdict))
}
