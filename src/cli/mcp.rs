//! `carrel mcp`: the Model Context Protocol on standard input and output, for programs that start their servers themselves.
//!
//! A bridge and no more: each message goes to `/workspaces/{id}/mcp` as it came, with the headers that the protocol has on
//! HTTP, and the answer comes back as one line. So the command can do what the interface can, and a client of either finds
//! the same. Nothing but messages goes to standard output.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Args;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use uuid::Uuid;

use super::client::Client;
use super::{DONE, Failure, Options, Outcome};
use crate::app::DEFAULT_WORKSPACE;

/// Answers that may wait to be written.
const AHEAD: usize = 32;
/// Codes of JSON-RPC: no JSON, no message, and what went wrong between here and the server.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const NOT_REACHED: i32 = -32000;
/// Where a message says which revision it speaks.
const REVISION: &str = "io.modelcontextprotocol/protocolVersion";

#[derive(Args)]
pub struct Mcp {
    /// The workspace's id
    #[arg(long, default_value_t = DEFAULT_WORKSPACE)]
    workspace: Uuid,
}

/// What the requests under way share.
struct Bridge {
    path: String,
    answers: mpsc::Sender<Value>,
    /// The revision that was agreed on at the beginning, by clients that do that.
    agreed: Mutex<Option<String>>,
    /// The requests under way by their ids.
    under_way: Mutex<HashMap<String, AbortHandle>>,
    /// Whether the server was not to be reached the last time, or did not know the key.
    is_lost: AtomicBool,
}

pub async fn run(options: &Options, verb: Mcp) -> Outcome {
    let mut client = Client::open_existing(options).await?;
    let (answers, waiting) = mpsc::channel(AHEAD);
    let bridge = Arc::new(Bridge {
        path: format!("/workspaces/{}/mcp", verb.workspace),
        answers,
        agreed: Mutex::default(),
        under_way: Mutex::default(),
        is_lost: AtomicBool::new(false),
    });
    let writing = tokio::spawn(write(waiting));
    let outcome = tokio::select! {
        read = read(options, &mut client, &bridge) => read,
        // Whoever read the answers has gone.
        () = bridge.answers.closed() => Ok(()),
    };
    drop(bridge);
    let written = writing.await.map_err(|e| Failure::Failed(e.to_string()))?;
    client.close().await;
    outcome.and(written).map(|()| DONE)
}

/// Writes each answer as a line.
async fn write(mut waiting: mpsc::Receiver<Value>) -> Outcome<()> {
    let mut out = tokio::io::stdout();
    while let Some(answer) = waiting.recv().await {
        out.write_all(format!("{answer}\n").as_bytes()).await?;
        out.flush().await?;
    }
    Ok(())
}

/// Takes messages until the input ends, and then waits for the answers to those under way.
async fn read(options: &Options, client: &mut Client, bridge: &Arc<Bridge>) -> Outcome<()> {
    let mut input = BufReader::new(tokio::io::stdin());
    let mut work = JoinSet::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line).await? == 0 {
            break;
        }
        while work.try_join_next().is_some() {}
        if line.trim_ascii().is_empty() {
            continue;
        }
        if bridge.is_lost.swap(false, Ordering::Relaxed) {
            client.find_again(options)?;
        }
        match message(&line) {
            Ok(message) => bridge.take(client, message, &mut work),
            Err(refusal) => bridge.answer(refusal).await,
        }
    }
    while work.join_next().await.is_some() {}
    Ok(())
}

/// A line as a message, or what is said of one that is none.
fn message(line: &[u8]) -> Result<Value, Value> {
    match serde_json::from_slice(line) {
        Ok(message @ Value::Object(_)) => Ok(message),
        Ok(Value::Array(_)) => {
            Err(error(&Value::Null, INVALID_REQUEST, "messages come one by one, not in batches".into(), Value::Null))
        }
        Ok(_) => Err(error(&Value::Null, INVALID_REQUEST, "a message is a JSON object".into(), Value::Null)),
        Err(cause) => Err(error(&Value::Null, PARSE_ERROR, format!("this line is no JSON: {cause}"), Value::Null)),
    }
}

fn error(id: &Value, code: i32, message: String, data: Value) -> Value {
    let mut error = json!({"code": code, "message": message});
    if !data.is_null() {
        error["data"] = data;
    }
    json!({"jsonrpc": "2.0", "id": id, "error": error})
}

/// The headers that a message has on HTTP. A client that agreed on a revision before says it there alone.
fn headers(message: &Value, agreed: Option<&str>) -> HeaderMap {
    let method = message["method"].as_str().unwrap_or_default();
    let params = &message["params"];
    let own = params["_meta"][REVISION].as_str();
    // The first message of such a client names what it would like in its body, and nothing was agreed on then.
    let revision = own.or(agreed).filter(|_| method != "initialize");
    let name = match method {
        "tools/call" | "prompts/get" => params["name"].as_str(),
        "resources/read" => params["uri"].as_str(),
        _ => None,
    };
    let given = [("mcp-protocol-version", revision), ("mcp-method", Some(method)), ("mcp-name", name)];
    let given = given.into_iter().filter_map(|(header, value)| Some((header, sendable(value?)?)));
    given.map(|(header, value)| (http::HeaderName::from_static(header), value)).collect()
}

/// A value as headers can carry it: in base 64, marked as that, where it has signs that they cannot.
fn sendable(value: &str) -> Option<HeaderValue> {
    let is_plain =
        value.bytes().all(|b| matches!(b, b' '..=b'~')) && value.trim() == value && !value.starts_with("=?base64?");
    match is_plain {
        true => HeaderValue::from_str(value).ok(),
        false => HeaderValue::from_str(&format!("=?base64?{}?=", BASE64.encode(value))).ok(),
    }
}

impl Bridge {
    fn under_way(&self) -> MutexGuard<'_, HashMap<String, AbortHandle>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn agreed(&self) -> MutexGuard<'_, Option<String>> {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, answer: Value) {
        // Where nobody reads any more, the command ends.
        let _ = self.answers.send(answer).await;
    }

    /// Sends a message on its way, beside those that are under way.
    fn take(self: &Arc<Self>, client: &Client, message: Value, work: &mut JoinSet<()>) {
        if message["method"] == "notifications/cancelled" {
            // Letting go of a request is how it is cancelled on HTTP; nothing is answered to it then.
            let request = message["params"]["requestId"].to_string();
            if let Some(request) = self.under_way().remove(&request) {
                request.abort();
            }
            return;
        }
        let (bridge, client) = (self.clone(), client.clone());
        let id = message.get("id").filter(|id| !id.is_null()).map(Value::to_string);
        // Held until it is noted, so that it cannot be done before.
        let mut under_way = self.under_way();
        let carried = work.spawn({
            let id = id.clone();
            async move {
                let answer = bridge.carry(&client, &message).await;
                if let Some(id) = id {
                    bridge.under_way().remove(&id);
                    bridge.answer(answer).await;
                }
            }
        });
        if let Some(id) = id {
            under_way.insert(id, carried);
        }
    }

    /// What the server answers to a message, or what is said in its place.
    async fn carry(&self, client: &Client, message: &Value) -> Value {
        let id = &message["id"];
        let agreed = self.agreed().clone();
        let headers = headers(message, agreed.as_deref());
        let sent = client.send_with(&self.path, headers, message.to_string().into()).await;
        let answered = match sent {
            Ok(reply) => {
                let status = reply.status;
                reply.bytes().await.map(|bytes| (status, bytes))
            }
            Err(failure) => Err(failure),
        };
        let (status, bytes) = match answered {
            Ok(answered) => answered,
            Err(failure) => {
                self.is_lost.store(true, Ordering::Relaxed);
                return error(id, NOT_REACHED, failure.to_string(), Value::Null);
            }
        };
        if status == StatusCode::UNAUTHORIZED {
            // A server that was started anew has another key for commands on its machine.
            self.is_lost.store(true, Ordering::Relaxed);
        }
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if answer["jsonrpc"] != "2.0" {
            let detail =
                answer["detail"].as_str().map_or_else(|| format!("the server answered {status}"), str::to_owned);
            return error(id, NOT_REACHED, detail, json!({"status": status.as_u16(), "code": answer["code"]}));
        }
        if message["method"] == "initialize"
            && let Some(agreed) = answer["result"]["protocolVersion"].as_str()
        {
            *self.agreed() = Some(agreed.to_owned());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_gets_the_headers_that_it_has_on_http() {
        let of = |message: Value, agreed: Option<&str>| {
            let headers = headers(&message, agreed);
            let told = headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            told.collect::<Vec<_>>().join("; ")
        };
        let call = json!({"method": "tools/call", "params": {"name": "grüße", "_meta": {REVISION: "2026-07-28"}}});
        let expected = "mcp-protocol-version: 2026-07-28; mcp-method: tools/call; mcp-name: =?base64?Z3LDvMOfZQ==?=";
        assert_eq!(of(call, Some("2025-11-25")), expected);
        let list = json!({"method": "tools/list"});
        assert_eq!(of(list, Some("2025-11-25")), "mcp-protocol-version: 2025-11-25; mcp-method: tools/list");
        let first = json!({"method": "initialize", "params": {"protocolVersion": "2025-11-25"}});
        assert_eq!(of(first, Some("2025-11-25")), "mcp-method: initialize");
    }

    #[test]
    fn what_is_no_message_is_told_so() {
        let code = |line: &str| message(line.as_bytes()).unwrap_err()["error"]["code"].clone();
        assert_eq!(
            (code("{"), code("[]"), code("7")),
            (json!(PARSE_ERROR), json!(INVALID_REQUEST), json!(INVALID_REQUEST))
        );
        assert_eq!(message(br#"{"id": 1}"#), Ok(json!({"id": 1})));
        assert!(message(b"\xff\xfe").is_err());
    }
}
