//! Chat completions as OpenAI's API has them, and with it Ollama, llama.cpp, vLLM, LM Studio, LiteLLM and many others.
//!
//! Source of the shapes: OpenAI's API reference, "Chat Completions". What others leave out, or write otherwise, is borne.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::endpoint::{Address, Endpoint, Events, garbled};
use super::request::{Message, Request, ToolCall};
use super::speech::{Completion, End, Failure, Finish, MOST_CALLS, Piece, Tokens};
use crate::error::Result;

/// A provider that speaks so.
#[derive(Debug)]
pub struct OpenAi {
    endpoint: Endpoint,
    /// What its models have been found not to take, by their names.
    refuses: Mutex<BTreeMap<String, Refuses>>,
}

/// What a model does not take: newer ones want another limit, and no temperature.
#[derive(Debug, Clone, Copy, Default)]
struct Refuses {
    limit: bool,
    temperature: bool,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    /// Some say so what went wrong once they had begun.
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(alias = "message")]
    delta: Option<Said>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    index: Option<usize>,
    id: Option<String>,
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
}

impl OpenAi {
    /// The provider at `base_url` (`http://127.0.0.1:11434/v1`). An answer may take as long as `timeout`.
    ///
    /// # Errors
    /// For what is no address, or a key that no header can hold.
    pub fn new(base_url: &str, key: Option<&str>, timeout: Duration) -> Result<Self> {
        let headers = key.map(|key| ("authorization", format!("Bearer {key}"))).into_iter().collect();
        let endpoint = Endpoint::new(Address { base_url, path: "chat/completions", headers, timeout })?;
        Ok(OpenAi { endpoint, refuses: Mutex::default() })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) async fn stream(&self, request: &Request) -> Result<Pieces, Failure> {
        let mut without = self.refuses(&request.model);
        loop {
            match self.endpoint.stream(&body(request, true, without)).await {
                Ok(events) => return Ok(Pieces { events, end: Unfinished::default() }),
                Err(failure) => without = self.adapted(request, without, failure)?,
            }
        }
    }

    pub(super) async fn complete(&self, request: &Request) -> Result<Completion, Failure> {
        let mut without = self.refuses(&request.model);
        let answer = loop {
            match self.endpoint.ask(&body(request, false, without)).await {
                Ok(answer) => break answer,
                Err(failure) => without = self.adapted(request, without, failure)?,
            }
        };
        let answer: Answer = serde_json::from_slice(&answer).map_err(|_| garbled())?;
        let mut end = Unfinished::default();
        let text = end.take(answer)?.ok_or_else(garbled)?;
        Ok(Completion { text, end: end.finished() })
    }

    fn refuses(&self, model: &str) -> Refuses {
        self.refuses.lock().unwrap_or_else(PoisonError::into_inner).get(model).copied().unwrap_or_default()
    }

    /// What the next try does without, where this one, which did without `before`, held the parameter that was refused. It
    /// is remembered for the model. What was refused though it was not there is a failure like any other.
    fn adapted(&self, request: &Request, before: Refuses, failure: Failure) -> Result<Refuses, Failure> {
        let without = match failure {
            Failure::Parameter("max_tokens") if !before.limit => Refuses { limit: true, ..before },
            Failure::Parameter("temperature") if !before.temperature && request.temperature.is_some() => {
                Refuses { temperature: true, ..before }
            }
            _ => return Err(failure),
        };
        let mut known = self.refuses.lock().unwrap_or_else(PoisonError::into_inner);
        let refuses = known.entry(request.model.clone()).or_default();
        refuses.limit |= without.limit;
        refuses.temperature |= without.temperature;
        Ok(without)
    }
}

fn body(request: &Request, stream: bool, without: Refuses) -> Value {
    let mut body = json!({
        "model": request.model,
        "messages": request.messages.iter().map(message).collect::<Vec<_>>(),
        "stream": stream,
    });
    let mut set = |name: &str, value: Value| {
        body[name] = value;
    };
    set(if without.limit { "max_completion_tokens" } else { "max_tokens" }, request.max_tokens.into());
    if stream {
        set("stream_options", json!({"include_usage": true}));
    }
    if let Some(temperature) = request.temperature.filter(|_| !without.temperature) {
        set("temperature", json!(temperature));
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|tool| {
            let function = json!({"name": tool.name, "description": tool.description, "parameters": tool.parameters});
            json!({"type": "function", "function": function})
        });
        set("tools", tools.collect());
        if request.must_answer {
            set("tool_choice", "none".into());
        }
    }
    if let Some(shape) = &request.shape {
        let schema = json!({"name": shape.name, "strict": true, "schema": shape.schema});
        set("response_format", json!({"type": "json_schema", "json_schema": schema}));
    }
    body
}

fn message(message: &Message) -> Value {
    match message {
        Message::System(text) => json!({"role": "system", "content": text}),
        Message::User(text) => json!({"role": "user", "content": text}),
        Message::Tool { call_id, text } => json!({"role": "tool", "tool_call_id": call_id, "content": text}),
        Message::Assistant { text, calls } if calls.is_empty() => json!({"role": "assistant", "content": text}),
        Message::Assistant { text, calls } => {
            let calls = calls.iter().map(|call| {
                let function = json!({"name": call.name, "arguments": call.arguments});
                json!({"id": call.id, "type": "function", "function": function})
            });
            json!({"role": "assistant", "content": text, "tool_calls": calls.collect::<Vec<_>>()})
        }
    }
}

/// What a model has said so far, but for its text.
#[derive(Default)]
struct Unfinished {
    calls: Vec<ToolCall>,
    finish: Option<Finish>,
    tokens: Option<Tokens>,
}

impl Unfinished {
    /// Takes in a part of an answer and gives its text; `None` where it has no choice.
    fn take(&mut self, answer: Answer) -> Result<Option<String>, Failure> {
        if answer.error.is_some_and(|error| !error.is_null()) {
            return Err(Failure::Unavailable("it broke off with an error".into()));
        }
        if let Some(usage) = answer.usage {
            let prompt = usage.prompt_tokens.unwrap_or_default();
            let total = usage.total_tokens.unwrap_or_default();
            let completion = usage.completion_tokens.unwrap_or(total.saturating_sub(prompt));
            self.tokens = Some(Tokens { prompt, completion }).filter(|tokens| tokens.prompt + tokens.completion > 0);
        }
        let Some(choice) = answer.choices.into_iter().next() else { return Ok(None) };
        if let Some(reason) = choice.finish_reason {
            self.finish = Some(match reason.as_str() {
                "length" => Finish::Length,
                "content_filter" => Finish::ContentFilter,
                "tool_calls" | "function_call" => Finish::ToolCalls,
                _ => Finish::Stop,
            });
        }
        let Some(said) = choice.delta else { return Ok(Some(String::new())) };
        for call in said.tool_calls.into_iter().flatten() {
            self.call(call)?;
        }
        Ok(Some(said.content.unwrap_or_default()))
    }

    fn call(&mut self, call: Call) -> Result<(), Failure> {
        let is_new = call.id.as_ref().is_some_and(|id| !id.is_empty() && !self.calls.iter().any(|c| c.id == *id));
        // Some give no index; then an id begins a call, and what has none goes on with the last.
        let place = match call.index {
            Some(index) => index,
            None if is_new => self.calls.len(),
            None => self.calls.len().saturating_sub(1),
        };
        if place >= MOST_CALLS {
            return Err(Failure::Refused("it calls for too many tools".into()));
        }
        while self.calls.len() <= place {
            let id = format!("call_{}", uuid::Uuid::now_v7().simple());
            self.calls.push(ToolCall { id, name: String::new(), arguments: String::new() });
        }
        let Some(known) = self.calls.get_mut(place) else { return Ok(()) };
        if let Some(id) = call.id.filter(|id| !id.is_empty()) {
            known.id = id;
        }
        if let Some(function) = call.function {
            known.name.push_str(&function.name.unwrap_or_default());
            match function.arguments {
                Some(Value::String(part)) => known.arguments.push_str(&part),
                // Some write the object itself.
                Some(whole) if !whole.is_null() => known.arguments = whole.to_string(),
                _ => {}
            }
        }
        Ok(())
    }

    fn finished(self) -> End {
        let mut calls = self.calls;
        calls.retain(|call| !call.name.is_empty());
        let finish = self.finish.unwrap_or_default();
        End { finish: if calls.is_empty() { finish } else { Finish::ToolCalls }, calls, tokens: self.tokens }
    }
}

/// The pieces of an answer.
pub(super) struct Pieces {
    events: Events,
    end: Unfinished,
}

impl Pieces {
    /// What the next event brings; `None` where that is nothing to hear, as a part of a call.
    pub async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        let data = self.events.next().await?;
        match data.as_deref().map(str::trim) {
            Some("[DONE]") => Ok(Some(self.ended())),
            // Some close the stream once they gave the reason; without one they broke off.
            None if self.end.finish.is_some() => Ok(Some(self.ended())),
            None => Err(Failure::Unavailable("the connection broke off".into())),
            Some(data) => {
                let answer: Answer = serde_json::from_str(data).map_err(|_| garbled())?;
                Ok(self.end.take(answer)?.filter(|text| !text.is_empty()).map(Piece::Text))
            }
        }
    }

    fn ended(&mut self) -> Piece {
        Piece::End(std::mem::take(&mut self.end).finished())
    }
}
