//! `POST /v1/chat/completions`: a turn of an agent, whole or streamed.
//!
//! The client keeps the conversation and sends all of it each time; a turn whose beginning is known goes on in its session.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::annotations::{self, Address};
use super::messages::{self, Message};
use super::models;
use super::refusal::Answer;
use super::streaming::{self, Stream};
use crate::agent::{Chat, Reply, Thread};
use crate::api::access::{self, Among};
use crate::api::body::JsonBody;
use crate::api::chat::{linked, reply};
use crate::api::validate::Checks;
use crate::app::App;
use crate::error::Result;
use crate::llm::Finish;

/// What makes answers, as far as a client may want to know whether it changed.
pub const FINGERPRINT: &str = concat!("carrel-", env!("CARGO_PKG_VERSION"));

#[derive(Deserialize)]
pub struct Body {
    model: String,
    messages: Vec<Message>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    n: Option<i64>,
    temperature: Option<f64>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    user: Option<String>,
    safety_identifier: Option<String>,
    metadata: Option<Map<String, Value>>,
    store: Option<bool>,
    tool_choice: Option<Value>,
    function_call: Option<Value>,
    response_format: Option<Value>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl Body {
    /// What is wrong with it, but for its messages.
    fn check(&self) -> Result<()> {
        let mut checks = Checks::default();
        checks.require(self.n.is_none_or(|n| n == 1), "n", "must be 1: an agent gives one answer");
        let temperature = self.temperature.is_none_or(|temperature| (0.0..=2.0).contains(&temperature));
        checks.require(temperature, "temperature", "must be from 0 to 2");
        for (name, tokens) in [("max_tokens", self.max_tokens), ("max_completion_tokens", self.max_completion_tokens)] {
            checks.require(tokens.is_none_or(|tokens| tokens >= 1), name, "must be at least 1");
        }
        for (name, user) in [("user", &self.user), ("safety_identifier", &self.safety_identifier)] {
            user.iter().for_each(|user| checks.text(name, user, 512));
        }
        self.metadata.iter().for_each(|metadata| checks.object("metadata", metadata));
        let left_to_us = |choice: &Option<Value>| match choice {
            None | Some(Value::Null) => true,
            Some(choice) => matches!(choice.as_str(), Some("auto" | "none")),
        };
        let message = "must be auto or none: an agent uses its own tools, and calls none of the client's";
        checks.require(left_to_us(&self.tool_choice), "tool_choice", message);
        checks.require(left_to_us(&self.function_call), "function_call", message);
        let is_text = match &self.response_format {
            None | Some(Value::Null) => true,
            Some(format) => format["type"] == "text",
        };
        let message = "must be of type text: answers are prose with citations, and hold to no schema";
        checks.require(is_text, "response_format", message);
        checks.done()
    }

    fn most_tokens(&self) -> Option<u32> {
        let most = self.max_completion_tokens.or(self.max_tokens);
        most.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX))
    }
}

/// `POST /v1/chat/completions`
pub async fn complete(
    among: Among<access::Chat>,
    State(app): State<Arc<App>>,
    address: Address,
    JsonBody(body): JsonBody<Body>,
) -> Answer<Response> {
    body.check()?;
    let max_tokens = body.most_tokens();
    let said = messages::read(body.messages)?;
    let (access, agent) = models::find(app.clone(), among, body.model.clone()).await?;
    let is_kept = body.store.unwrap_or(true);
    let chat = Chat {
        agent_id: agent.id,
        owner: access.principal.name(),
        query: said.query,
        thread: Thread::Held { before: said.before, is_kept },
        user_id: body.user.or(body.safety_identifier),
        metadata: body.metadata.unwrap_or_default(),
        search_type: None,
        instructions: said.instructions,
        temperature: body.temperature,
        max_tokens,
    };
    let model = body.model;
    if body.stream == Some(true) {
        let tells_usage = body.stream_options.and_then(|options| options.include_usage).unwrap_or(false);
        let stream = Stream::new(access.record.id, model, address, is_kept, tells_usage);
        return streaming::answer(&app, &access, chat, stream).await;
    }
    let reply = reply(&app, &access, chat).await?;
    Ok(Json(whole(reply, access.record.id, model, &address, is_kept)).into_response())
}

fn whole(reply: Reply, workspace: Uuid, model: String, address: &Address, is_kept: bool) -> Value {
    let metadata = about(&reply.metadata, reply.session_id, reply.message_id, is_kept);
    let citations = linked(workspace, reply.citations);
    let annotations = annotations::of(&reply.message, &citations, address);
    let message = json!({"role": "assistant", "content": reply.message, "refusal": null, "annotations": annotations});
    json!({
        "id": id(reply.message_id),
        "object": "chat.completion",
        "created": now(),
        "model": model,
        "system_fingerprint": FINGERPRINT,
        "choices": [{"index": 0, "message": message, "finish_reason": reason(reply.finish), "logprobs": null}],
        "usage": reply.usage,
        "citations": citations,
        // The official package knows `metadata` as a map of texts.
        "carrel": metadata,
    })
}

/// The id of a completion, made of its message's.
pub fn id(message: Uuid) -> String {
    format!("chatcmpl-{message}")
}

pub fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// Why an answer ended, in OpenAI's words.
pub fn reason(finish: Finish) -> &'static str {
    match finish {
        // The agent's tools are its own.
        Finish::Stop | Finish::ToolCalls => "stop",
        Finish::Length => "length",
        Finish::ContentFilter => "content_filter",
    }
}

/// What there is to know of an answer beside OpenAI's fields. What is not kept is in no session.
pub fn about(metadata: &Map<String, Value>, session: Uuid, message: Uuid, is_kept: bool) -> Value {
    json!({
        "grounded": metadata.get("grounded"),
        "unsupported": metadata.get("unsupported"),
        "session_id": is_kept.then_some(session),
        "message_id": is_kept.then_some(message),
    })
}
