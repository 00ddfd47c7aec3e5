//! A completion as it comes: chunks of OpenAI's shape, `[DONE]` at the end of those that came to one.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::annotations::{self, Address};
use super::completions::{FINGERPRINT, about, id, now, reason};
use super::refusal::{Answer, last_word};
use crate::agent::{Chat, Event};
use crate::api::chat::{linked, steps};
use crate::app::App;
use crate::auth::Access;
use crate::error::{Error, Result};

/// What has been told so far, and what all chunks have in common.
pub struct Stream {
    workspace: Uuid,
    model: String,
    address: Address,
    is_kept: bool,
    /// Whether the client wants to know the tokens.
    tells_usage: bool,
    created: i64,
    session: Uuid,
    message: Uuid,
    content: String,
    citations: Vec<Value>,
    usage: Value,
}

impl Stream {
    pub fn new(workspace: Uuid, model: String, address: Address, is_kept: bool, tells_usage: bool) -> Self {
        Stream {
            workspace,
            model,
            address,
            is_kept,
            tells_usage,
            created: now(),
            session: Uuid::nil(),
            message: Uuid::nil(),
            content: String::new(),
            citations: Vec::new(),
            usage: Value::Null,
        }
    }

    /// The chunks that tell of a step; the last ones tell of the whole.
    fn chunks(&mut self, event: Event) -> Vec<Value> {
        match event {
            Event::Session { session_id, message_id } => {
                (self.session, self.message) = (session_id, message_id);
                vec![self.chunk(json!({"role": "assistant", "content": ""}), None)]
            }
            Event::Text { content } => {
                self.content.push_str(&content);
                vec![self.chunk(json!({"content": content}), None)]
            }
            Event::Citations(citations) => {
                self.citations = linked(self.workspace, citations);
                Vec::new()
            }
            Event::Usage(usage) => {
                self.usage = json!(usage);
                Vec::new()
            }
            // The agent's tools are its own affair.
            Event::ToolCall(_) | Event::ToolResult { .. } | Event::Tools(_) => Vec::new(),
            Event::End { metadata, finish, .. } => {
                let annotations = annotations::of(&self.content, &self.citations, &self.address);
                let mut told = self.chunk(json!({"annotations": annotations}), None);
                told["citations"] = std::mem::take(&mut self.citations).into();
                told["carrel"] = about(&metadata, self.session, self.message, self.is_kept);
                let mut chunks = vec![told, self.chunk(json!({}), Some(reason(finish)))];
                if self.tells_usage {
                    let mut usage = self.chunk(json!({}), None);
                    usage["choices"] = json!([]);
                    usage["usage"] = self.usage.take();
                    chunks.push(usage);
                }
                chunks
            }
        }
    }

    fn chunk(&self, delta: Value, finish: Option<&str>) -> Value {
        let mut chunk = json!({
            "id": id(self.message),
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": FINGERPRINT,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish, "logprobs": null}],
        });
        if self.tells_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }
}

/// Takes a turn and tells of it as it goes. Where the reader goes away, so does the turn.
pub async fn answer(app: &App, access: &Access, chat: Chat, mut stream: Stream) -> Answer<Response> {
    let mut receiver = steps(app, access, chat)?;
    // What fails before the first step is an ordinary error, with a status.
    let first = receiver.recv().await.unwrap_or_else(|| Err(broken_off()))?;
    let first = stream.chunks(first).iter().map(data).collect::<Vec<_>>();
    let rest = stream::unfold(Some((receiver, stream)), |state| async {
        let (mut receiver, mut stream) = state?;
        let (events, ends) = next(&mut receiver, &mut stream).await;
        Some((events, (!ends).then_some((receiver, stream))))
    });
    let events = stream::iter([first]).chain(rest).flat_map(stream::iter).map(Ok::<_, Infallible>);
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15)).text("keep-alive");
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The events of the next step, and whether it was the last.
async fn next(receiver: &mut mpsc::Receiver<Result<Event>>, stream: &mut Stream) -> (Vec<sse::Event>, bool) {
    match receiver.recv().await.unwrap_or_else(|| Err(broken_off())) {
        Ok(event) => {
            let ends = matches!(event, Event::End { .. });
            let mut events: Vec<sse::Event> = stream.chunks(event).iter().map(data).collect();
            if ends {
                events.push(sse::Event::default().data("[DONE]"));
            }
            (events, ends)
        }
        Err(error) => (vec![data(&last_word(error))], true),
    }
}

fn data(value: &Value) -> sse::Event {
    sse::Event::default().data(value.to_string())
}

fn broken_off() -> Error {
    Error::Internal("a turn ended without its last event".into())
}
