//! A language model behind a provider, as its clients see it: it streams, calls tools, stalls, breaks off and fails as a
//! test says, in OpenAI's words and in Anthropic's.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::post;
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::{Barrier, Notify};

use crate::server::{Home, Server};

/// The key that the provider is given.
pub const KEY: &str = "sk-provider-0123456789abcdef";

/// What the model does when it is asked.
pub enum Deed {
    Say(String),
    /// Calls for tools with these arguments.
    Call(Vec<(&'static str, Value)>),
    /// Says this first.
    SayAndCall(&'static str, Vec<(&'static str, Value)>),
    /// Says this and closes the connection.
    BreakOff(&'static str),
    /// Says this and nothing more.
    Stall(&'static str),
    /// Says this when it is let go on.
    Wait(Arc<Notify>, String),
    /// Says this, and then calls for a tool in parts, each after this while.
    Trickle(&'static str, Duration),
    /// Waits for others that do, too.
    Together(Arc<Barrier>, Box<Deed>),
    /// Takes the question and does not answer.
    Hang,
    /// Says what nobody understands.
    Garbage,
    /// A status, and the seconds after which to try again.
    Fail(u16, Option<u32>),
    /// Does not take this parameter.
    Refuse(&'static str),
    /// Does not take the question, and says why in a sentence.
    Decline(&'static str),
}

pub fn say(text: impl Into<String>) -> Deed {
    Deed::Say(text.into())
}

/// What a model is asked.
pub struct Asked {
    /// How often it was asked, this time included.
    pub number: usize,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Asked {
    /// The text of all that it is told, the newest last.
    pub fn text(&self) -> String {
        let system = self.body["system"].as_str().map(str::to_owned);
        let said = self.body["messages"].as_array().into_iter().flatten().map(|message| words(&message["content"]));
        system.into_iter().chain(said).collect::<Vec<_>>().join("\n\n")
    }

    /// The text of the last thing that it is told.
    pub fn last(&self) -> String {
        words(&self.body["messages"].as_array().unwrap().last().unwrap()["content"])
    }

    /// Whether it is to put a follow-up question in full.
    pub fn is_rewriting(&self) -> bool {
        self.last().contains("The question in full:")
    }

    /// The number of the passage that holds these words.
    #[track_caller]
    pub fn passage(&self, words: &str) -> usize {
        let text = self.text();
        let until = text.find(words).unwrap_or_else(|| panic!("no passage holds {words}: {text}"));
        let mut lines = text[..until].lines().rev();
        let is_head = |line: &&str| line.starts_with('[') && line.contains("(document ");
        let head = lines.find(is_head).expect("a passage has a head");
        head[1..head.find(']').unwrap()].parse().unwrap()
    }
}

fn words(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let text = |block: &Value| block["text"].as_str().map_or_else(|| words(&block["content"]), str::to_owned);
            blocks.iter().map(text).collect()
        }
        _ => String::new(),
    }
}

type Mind = dyn Fn(&Asked) -> Deed + Send + Sync;

/// The model: what it does, what it was asked, and whether who asked went away.
#[derive(Clone)]
pub struct Model {
    mind: Arc<Mind>,
    asked: Arc<Mutex<Vec<Arc<Asked>>>>,
    /// Told when somebody goes away before it has answered.
    pub left: Arc<Notify>,
    pub url: String,
}

impl Model {
    /// One on this machine.
    pub async fn start(mind: impl Fn(&Asked) -> Deed + Send + Sync + 'static) -> Model {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let model = Model { mind: Arc::new(mind), asked: Arc::default(), left: Arc::default(), url };
        let routes = Router::new().route("/v1/chat/completions", post(answer)).route("/v1/messages", post(answer));
        let routes = routes.with_state(model.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        model
    }

    /// All that it was asked, in order.
    pub fn asked(&self) -> Vec<Arc<Asked>> {
        self.asked.lock().unwrap().clone()
    }

    /// A server with this model as provider `local` of the given kind, with `more` in its section.
    pub fn server(&self, kind: &str, more: &str) -> Server {
        let home = Home::new();
        let base_url = &self.url;
        let text = format!(
            "[providers.local]\nkind = \"{kind}\"\nbase_url = \"{base_url}\"\napi_key = \"{KEY}\"\nmodels = [\"small\", \"large\"]\n{more}\n"
        );
        std::fs::write(home.path().join("carrel.toml"), text).unwrap();
        Server::within(home, &[])
    }
}

/// Says so when it is dropped before its work is done.
struct Presence(Option<Arc<Notify>>);

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(left) = self.0.take() {
            left.notify_one();
        }
    }
}

async fn answer(State(model): State<Model>, uri: Uri, headers: HeaderMap, body: String) -> Response {
    let mut presence = Presence(Some(model.left.clone()));
    let body: Value = serde_json::from_str(&body).unwrap();
    let asked = {
        let mut all = model.asked.lock().unwrap();
        let asked = Arc::new(Asked { number: all.len() + 1, headers, body });
        all.push(asked.clone());
        asked
    };
    let anthropic = uri.path().ends_with("/messages");
    let mut deed = (model.mind)(&asked);
    while let Deed::Together(barrier, next) = deed {
        barrier.wait().await;
        deed = *next;
    }
    let said = match deed {
        Deed::Fail(status, again) => {
            presence.0 = None;
            let told = json!({"error": {"message": format!("{KEY} asked: {}", asked.text()), "code": "out_of_order"}});
            let mut response = Response::builder().status(status);
            if let Some(seconds) = again {
                response = response.header("retry-after", seconds);
            }
            return response.body(Body::from(told.to_string())).unwrap();
        }
        Deed::Refuse(parameter) => {
            presence.0 = None;
            let told =
                json!({"error": {"message": "unsupported", "type": "invalid_request_error", "param": parameter}});
            return Response::builder().status(400).body(Body::from(told.to_string())).unwrap();
        }
        Deed::Decline(why) => {
            presence.0 = None;
            let told = json!({"error": {"message": why, "type": "invalid_request_error"}});
            return Response::builder().status(400).body(Body::from(told.to_string())).unwrap();
        }
        Deed::Hang => std::future::pending().await,
        Deed::Wait(go, text) => {
            go.notified().await;
            Deed::Say(text)
        }
        deed => deed,
    };
    if let Deed::Trickle(text, pause) = said {
        presence.0 = None;
        let events = spoken(anthropic, text, &[("list_documents", json!({"limit": 3}))]);
        let first = events.len() - 5;
        let slow = stream::iter(events.into_iter().enumerate()).then(move |(place, event)| async move {
            if place >= first {
                tokio::time::sleep(pause).await;
            }
            Ok::<_, Infallible>(Bytes::from(event))
        });
        return Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(slow)).unwrap();
    }
    if asked.body["stream"] != true {
        presence.0 = None;
        return whole(anthropic, said);
    }
    let (events, stalls) = match said {
        Deed::Say(text) => (spoken(anthropic, &text, &[]), false),
        Deed::Call(calls) => (spoken(anthropic, "", &calls), false),
        Deed::SayAndCall(text, calls) => (spoken(anthropic, text, &calls), false),
        Deed::BreakOff(text) => (begun(anthropic, text), false),
        Deed::Stall(text) => (begun(anthropic, text), true),
        _ => (vec!["event: noise\ndata: {\"choices\": [}\n\n".to_owned()], false),
    };
    if !stalls {
        presence.0 = None;
    }
    let events = stream::iter(events.into_iter().map(|event| Ok::<_, Infallible>(Bytes::from(event))));
    let rest: std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>> + Send>> = match stalls {
        true => Box::pin(stream::pending()),
        false => Box::pin(stream::empty()),
    };
    let events = events.chain(rest).inspect(move |_| {
        let _ = &presence;
    });
    Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(events)).unwrap()
}

fn whole(anthropic: bool, deed: Deed) -> Response {
    let (text, calls) = match deed {
        Deed::Say(text) => (text, Vec::new()),
        Deed::Call(calls) => (String::new(), calls),
        Deed::SayAndCall(text, calls) => (text.to_owned(), calls),
        _ => return Response::new(Body::from("neither here nor there")),
    };
    let body = match anthropic {
        true => {
            let calls = calls.into_iter().enumerate().map(|(n, (name, input))| {
                json!({"type": "tool_use", "id": format!("toolu_{n}"), "name": name, "input": input})
            });
            let content: Vec<Value> = std::iter::once(json!({"type": "text", "text": text})).chain(calls).collect();
            json!({"content": content, "stop_reason": "end_turn", "usage": {"input_tokens": 40, "output_tokens": 20}})
        }
        false => json!({
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 20, "total_tokens": 60},
        }),
    };
    Response::new(Body::from(body.to_string()))
}

/// A text in pieces that cut words and characters' neighbours apart.
fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(7).map(|piece| piece.iter().collect()).collect()
}

fn begun(anthropic: bool, text: &str) -> Vec<String> {
    match anthropic {
        true => {
            let start =
                json!({"type": "message_start", "message": {"usage": {"input_tokens": 40, "output_tokens": 1}}});
            let block =
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
            let deltas = pieces(text).into_iter().map(|piece| {
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
            });
            [start, json!({"type": "ping"}), block].into_iter().chain(deltas).map(|event| named(&event)).collect()
        }
        false => {
            let chunk = |delta: Value| {
                let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
                format!("data: {}\n\n", json!({"object": "chat.completion.chunk", "choices": [choice], "usage": null}))
            };
            let role = chunk(json!({"role": "assistant", "content": ""}));
            let said = pieces(text).into_iter().map(|piece| chunk(json!({"content": piece})));
            [": a comment\n\n".to_owned(), role].into_iter().chain(said).collect()
        }
    }
}

fn spoken(anthropic: bool, text: &str, calls: &[(&str, Value)]) -> Vec<String> {
    let mut events = begun(anthropic, text);
    for (place, (name, args)) in calls.iter().enumerate() {
        let args = args.to_string();
        let (first, rest) = args.split_at(args.len() / 2);
        let id = format!("call_{}_{place}", uuid::Uuid::now_v7().simple());
        match anthropic {
            true => {
                let block = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
                events.push(named(&json!({"type": "content_block_start", "index": place + 1, "content_block": block})));
                for part in [first, rest] {
                    let delta = json!({"type": "input_json_delta", "partial_json": part});
                    events.push(named(&json!({"type": "content_block_delta", "index": place + 1, "delta": delta})));
                }
            }
            false => {
                let head = json!({"index": place, "id": id, "type": "function", "function": {"name": name, "arguments": first}});
                let tail = json!({"index": place, "function": {"arguments": rest}});
                for call in [head, tail] {
                    let choice = json!({"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": null});
                    events.push(format!("data: {}\n\n", json!({"choices": [choice]})));
                }
            }
        }
    }
    let is_call = !calls.is_empty();
    match anthropic {
        true => {
            let reason = if is_call { "tool_use" } else { "end_turn" };
            let delta =
                json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 20}});
            events.push(named(&delta));
            events.push(named(&json!({"type": "message_stop"})));
        }
        false => {
            let reason = if is_call { "tool_calls" } else { "stop" };
            let choice = json!({"index": 0, "delta": {}, "finish_reason": reason});
            events.push(format!("data: {}\n\n", json!({"choices": [choice]})));
            let usage = json!({"prompt_tokens": 40, "completion_tokens": 20, "total_tokens": 60});
            events.push(format!("data: {}\n\n", json!({"choices": [], "usage": usage})));
            events.push("data: [DONE]\n\n".to_owned());
        }
    }
    events
}

fn named(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}
