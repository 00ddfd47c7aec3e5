//! The messages of Anthropic's API.
//!
//! Source of the shapes: Anthropic's API reference, "Messages" and "Streaming messages", version 2023-06-01.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::endpoint::{Address, Endpoint, Events, garbled};
use super::request::{Message, Request, ToolCall};
use super::speech::{Completion, End, Failure, Finish, MOST_CALLS, Piece, Tokens};
use crate::error::Result;

const VERSION: &str = "2023-06-01";
/// The highest temperature that it takes.
const HOTTEST: f64 = 1.0;

/// A provider that speaks so.
#[derive(Debug)]
pub struct Anthropic(Endpoint);

#[derive(Deserialize)]
struct Answer {
    content: Vec<Block>,
    stop_reason: Option<String>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        #[serde(default)]
        text: String,
    },
    ToolUse {
        id: String,
        name: String,
        #[serde(default)]
        input: Value,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Started,
    },
    ContentBlockStart {
        content_block: Block,
    },
    ContentBlockDelta {
        delta: Delta,
    },
    MessageDelta {
        delta: Ending,
        #[serde(default)]
        usage: Usage,
    },
    MessageStop,
    Error,
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Started {
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Ending {
    stop_reason: Option<String>,
}

#[derive(Deserialize, Default)]
struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
}

impl Anthropic {
    /// The provider at `base_url` (`https://api.anthropic.com/v1`). An answer may take as long as `timeout`.
    ///
    /// # Errors
    /// For what is no address, or a key that no header can hold.
    pub fn new(base_url: &str, key: Option<&str>, timeout: Duration) -> Result<Self> {
        let mut headers = vec![("anthropic-version", VERSION.to_owned())];
        headers.extend(key.map(|key| ("x-api-key", key.to_owned())));
        Endpoint::new(Address { base_url, path: "messages", headers, timeout }).map(Anthropic)
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.0
    }

    pub(super) async fn stream(&self, request: &Request) -> Result<Pieces, Failure> {
        Ok(Pieces { events: self.0.stream(&body(request, true)).await?, end: Unfinished::default() })
    }

    pub(super) async fn complete(&self, request: &Request) -> Result<Completion, Failure> {
        let answer = self.0.ask(&body(request, false)).await?;
        let answer: Answer = serde_json::from_slice(&answer).map_err(|_| garbled())?;
        let mut end = Unfinished::default();
        end.count(&answer.usage);
        end.stop(answer.stop_reason);
        let mut text = String::new();
        for block in answer.content {
            text += &end.begin(block)?;
        }
        let mut end = end.finished();
        // A shape is asked for as the arguments of a tool.
        if request.shape.is_some() {
            text = end.calls.drain(..).next().map_or(text, |call| call.arguments);
            end.finish = Finish::Stop;
        }
        Ok(Completion { text, end })
    }
}

fn body(request: &Request, stream: bool) -> Value {
    let is_system = |message: &&Message| matches!(message, Message::System(_));
    let system: Vec<&str> = request.messages.iter().filter_map(system).collect();
    let mut body = json!({
        "model": request.model,
        "messages": merged(request.messages.iter().filter(|message| !is_system(message))),
        "max_tokens": request.max_tokens,
        "stream": stream,
    });
    let mut set = |name: &str, value: Value| {
        body[name] = value;
    };
    if !system.is_empty() {
        set("system", system.join("\n\n").into());
    }
    if let Some(temperature) = request.temperature {
        set("temperature", json!(temperature.min(HOTTEST)));
    }
    let tool = |name: &str, description: &str, schema: &Value| json!({"name": name, "description": description, "input_schema": schema});
    let mut tools: Vec<Value> =
        request.tools.iter().map(|known| tool(known.name, known.description, &known.parameters)).collect();
    if request.must_answer && !tools.is_empty() {
        set("tool_choice", json!({"type": "none"}));
    }
    if let Some(shape) = &request.shape {
        tools.push(tool(shape.name, "Gives the answer.", &shape.schema));
        set("tool_choice", json!({"type": "tool", "name": shape.name}));
    }
    if !tools.is_empty() {
        set("tools", tools.into());
    }
    body
}

fn system(message: &Message) -> Option<&str> {
    match message {
        Message::System(text) => Some(text),
        _ => None,
    }
}

/// The messages with those of one side that follow each other joined, as the API has them take turns.
fn merged<'a>(messages: impl Iterator<Item = &'a Message>) -> Vec<Value> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let text = |text: &str| (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
        let (role, blocks) = match message {
            Message::System(said) | Message::User(said) => ("user", text(said).into_iter().collect()),
            Message::Tool { call_id, text } => {
                ("user", vec![json!({"type": "tool_result", "tool_use_id": call_id, "content": text})])
            }
            Message::Assistant { text: said, calls } => {
                let calls = calls.iter().map(|call| {
                    let input: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
                    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
                });
                ("assistant", text(said).into_iter().chain(calls).collect::<Vec<_>>())
            }
        };
        match turns.last_mut() {
            Some((last, said)) if *last == role => said.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    let said = turns.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    said.map(|(role, content)| json!({"role": role, "content": content})).collect()
}

/// What a model has said so far, but for its text.
#[derive(Default)]
struct Unfinished {
    calls: Vec<ToolCall>,
    finish: Option<Finish>,
    tokens: Tokens,
}

impl Unfinished {
    fn count(&mut self, usage: &Usage) {
        let cached = usage.cache_creation_input_tokens.unwrap_or(0) + usage.cache_read_input_tokens.unwrap_or(0);
        if let Some(input) = usage.input_tokens {
            self.tokens.prompt = input + cached;
        }
        if let Some(output) = usage.output_tokens {
            self.tokens.completion = output;
        }
    }

    fn stop(&mut self, reason: Option<String>) {
        if let Some(reason) = reason {
            self.finish = Some(match reason.as_str() {
                "max_tokens" | "model_context_window_exceeded" => Finish::Length,
                "tool_use" => Finish::ToolCalls,
                "refusal" => Finish::ContentFilter,
                _ => Finish::Stop,
            });
        }
    }

    /// Takes in a block, or the beginning of one, and gives its text.
    fn begin(&mut self, block: Block) -> Result<String, Failure> {
        match block {
            Block::Text { text } => Ok(text),
            Block::ToolUse { id, name, input } => {
                if self.calls.len() >= MOST_CALLS {
                    return Err(Failure::Refused("it calls for too many tools".into()));
                }
                let empty = input.as_object().is_none_or(serde_json::Map::is_empty);
                let arguments = if empty { String::new() } else { input.to_string() };
                self.calls.push(ToolCall { id, name, arguments });
                Ok(String::new())
            }
            Block::Other => Ok(String::new()),
        }
    }

    fn finished(self) -> End {
        let finish = if self.calls.is_empty() { self.finish.unwrap_or_default() } else { Finish::ToolCalls };
        let tokens = Some(self.tokens).filter(|tokens| tokens.prompt + tokens.completion > 0);
        End { calls: self.calls, finish, tokens }
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
        let broke_off = || Failure::Unavailable("the connection broke off".into());
        let data = self.events.next().await?.ok_or_else(broke_off)?;
        let text = match serde_json::from_str(&data).map_err(|_| garbled())? {
            Event::MessageStart { message } => {
                self.end.count(&message.usage);
                String::new()
            }
            Event::ContentBlockStart { content_block } => self.end.begin(content_block)?,
            Event::ContentBlockDelta { delta: Delta::Text { text } } => text,
            Event::ContentBlockDelta { delta: Delta::Input { partial_json } } => {
                if let Some(call) = self.end.calls.last_mut() {
                    call.arguments.push_str(&partial_json);
                }
                String::new()
            }
            Event::MessageDelta { delta, usage } => {
                self.end.count(&usage);
                self.end.stop(delta.stop_reason);
                String::new()
            }
            Event::MessageStop => return Ok(Some(Piece::End(std::mem::take(&mut self.end).finished()))),
            Event::Error => return Err(Failure::Unavailable("it broke off with an error".into())),
            Event::ContentBlockDelta { delta: Delta::Other } | Event::Other => String::new(),
        };
        Ok((!text.is_empty()).then_some(Piece::Text(text)))
    }
}
