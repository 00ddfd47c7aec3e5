//! The HTTP interface as a command reaches it: over the network, or in this process where no server runs.

use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt;

use super::{Failure, Options, Outcome};
use crate::app::App;
use crate::datadir::DataDir;
use crate::{api, server};

/// Characters of a body that are shown where it is no problem document.
const SHOWN: usize = 300;

/// A way to the interface, with a key.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    token: String,
}

#[derive(Clone)]
enum Transport {
    Remote { http: reqwest::Client, base: String },
    Local { router: Router, app: Arc<App> },
}

/// A body as each way wants it.
enum Sent {
    Remote(reqwest::Body),
    Local(Body),
}

/// An answer whose body has not been read.
pub struct Reply {
    pub status: StatusCode,
    body: Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>>,
}

impl Client {
    /// As [`Client::open`], for a command that only asks: where there is no data, there is nothing to ask.
    pub async fn open_existing(options: &Options) -> Outcome<Client> {
        let config = options.quiet_config()?;
        if options.url.is_none() && !DataDir::is_one(&config.data) {
            return Err(Failure::Failed(format!(
                "there is no data directory at {}; start `carrel serve`, or name it with --data",
                config.data.display()
            )));
        }
        Client::open(options).await
    }

    /// The server at `--url`, else the one that holds the data directory, else the directory itself.
    pub async fn open(options: &Options) -> Outcome<Client> {
        let config = options.quiet_config()?;
        server::init_logging(&config.log)?;
        let key = std::env::var("CARREL_API_KEY").ok().filter(|key| !key.is_empty());
        if let Some(url) = &options.url {
            let token = key.ok_or_else(|| Failure::Usage("--url needs a key in CARREL_API_KEY".to_owned()))?;
            return Ok(Client::remote(url, token));
        }
        if let Some(owner) = DataDir::owner(&config.data)? {
            return Ok(Client::remote(&owner.url, key.unwrap_or(owner.token)));
        }
        let opened = tokio::task::spawn_blocking(move || App::open(config)).await;
        let app = opened.map_err(|e| Failure::Failed(e.to_string()))??;
        app.start_workers();
        if let Some(key) = &app.first_start {
            eprintln!("admin key: {key}\nIt is shown this once; keep it.");
        }
        let client = Client::local(app);
        Ok(Client { token: key.unwrap_or(client.token), ..client })
    }

    /// The interface of `app`, in this process.
    pub fn local(app: Arc<App>) -> Client {
        let token = app.local_token.clone();
        Client { transport: Transport::Local { router: api::router(app.clone()), app }, token }
    }

    fn remote(url: &str, token: String) -> Client {
        let base = url.trim_end_matches('/').to_owned();
        Client { transport: Transport::Remote { http: reqwest::Client::new(), base }, token }
    }

    /// Looks anew for the server that holds the data directory, which may have come back at another address and with
    /// another key. Whether there is something new; a client of `--url`, or one that holds the directory itself, stays as
    /// it is.
    pub fn find_again(&mut self, options: &Options) -> Outcome<bool> {
        let found_by_directory = matches!(self.transport, Transport::Remote { .. }) && options.url.is_none();
        if found_by_directory && let Ok(Some(owner)) = DataDir::owner(&options.quiet_config()?.data) {
            let key = std::env::var("CARREL_API_KEY").ok().filter(|key| !key.is_empty());
            let found = Client::remote(&owner.url, key.unwrap_or(owner.token));
            let is_new = found.token != self.token;
            *self = found;
            return Ok(is_new);
        }
        Ok(false)
    }

    /// Lets go of the data directory, where this process opened it.
    pub async fn close(self) {
        if let Transport::Local { app, .. } = self.transport {
            app.close().await;
        }
    }

    /// Sends a request whose body is of type `kind`.
    pub async fn send(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Outcome<Reply> {
        let body = match &self.transport {
            Transport::Remote { .. } => Sent::Remote(body.into()),
            Transport::Local { .. } => Sent::Local(body.into()),
        };
        self.dispatch(method, path, kind, HeaderMap::new(), body).await
    }

    /// Posts a JSON body with more headers.
    pub async fn send_with(&self, path: &str, headers: HeaderMap, body: Bytes) -> Outcome<Reply> {
        let body = match &self.transport {
            Transport::Remote { .. } => Sent::Remote(body.into()),
            Transport::Local { .. } => Sent::Local(body.into()),
        };
        self.dispatch(Method::POST, path, "application/json", headers, body).await
    }

    /// Sends a request with a body of type `kind` as it comes.
    pub async fn upload(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Outcome<Reply> {
        let body = match &self.transport {
            Transport::Remote { .. } => Sent::Remote(reqwest::Body::wrap_stream(body)),
            Transport::Local { .. } => Sent::Local(Body::from_stream(body)),
        };
        self.dispatch(method, path, kind, HeaderMap::new(), body).await
    }

    async fn dispatch(&self, method: Method, path: &str, kind: &str, headers: HeaderMap, body: Sent) -> Outcome<Reply> {
        let failed = |e: &dyn std::fmt::Display| Failure::Failed(e.to_string());
        let request = |uri: String| {
            let mut request = Request::builder().method(method.clone()).uri(uri);
            if let Some(all) = request.headers_mut() {
                all.extend(headers.clone());
            }
            request
                .header(AUTHORIZATION, format!("Bearer {}", self.token))
                .header(ACCEPT, "application/json, text/event-stream")
                .header(CONTENT_TYPE, kind)
        };
        match (&self.transport, body) {
            (Transport::Remote { http, base }, Sent::Remote(body)) => {
                let request = request(format!("{base}{path}")).body(body).map_err(|e| failed(&e))?;
                let request = reqwest::Request::try_from(request).map_err(|e| failed(&e))?;
                let reply = http.execute(request).await.map_err(|e| {
                    Failure::Unreachable(format!("the server at {base} cannot be reached: {}", e.without_url()))
                })?;
                let status = reply.status();
                let body = reply.bytes_stream().map_err(|e| e.without_url().to_string());
                Ok(Reply { status, body: Box::pin(body) })
            }
            (Transport::Local { router, .. }, Sent::Local(body)) => {
                let request = request(path.to_owned()).body(body).map_err(|e| failed(&e))?;
                let reply = router.clone().oneshot(request).await.map_err(|e| failed(&e))?;
                let status = reply.status();
                let body = reply.into_body().into_data_stream().map_err(|e| e.to_string());
                Ok(Reply { status, body: Box::pin(body) })
            }
            _ => Err(Failure::Failed("a body was made for another way".to_owned())),
        }
    }

    /// Sends a request with a JSON body, or without one, and reads the JSON answer.
    pub async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Outcome<Value> {
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        self.send(method, path, "application/json", bytes).await?.json().await
    }
}

/// A query string of those that are given.
pub fn query(given: &[(&str, Option<String>)]) -> String {
    let given = given.iter().filter_map(|(name, value)| Some((*name, value.clone()?)));
    let mut query = String::new();
    for (name, value) in given {
        let value: String = value.bytes().map(encoded).collect();
        query.push_str(&format!("{}{name}={value}", if query.is_empty() { '?' } else { '&' }));
    }
    query
}

fn encoded(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

impl Reply {
    /// The body as it comes.
    pub fn into_stream(self) -> Pin<Box<dyn Stream<Item = Result<Bytes, String>> + Send>> {
        self.body
    }

    /// Writes the body of an answer that went well, as it comes; a problem becomes a sentence.
    pub async fn write_to(self, out: &mut impl Write) -> Outcome<()> {
        if !self.status.is_success() {
            return self.json().await.map(|_| ());
        }
        let mut body = self.body;
        while let Some(piece) = body.next().await {
            out.write_all(&piece.map_err(broken_off)?)?;
        }
        Ok(out.flush()?)
    }

    /// The whole body.
    pub async fn bytes(self) -> Outcome<Vec<u8>> {
        let pieces: Vec<Bytes> = self.body.try_collect().await.map_err(broken_off)?;
        Ok(pieces.concat())
    }

    /// The JSON body of an answer that went well; a problem becomes a sentence.
    pub async fn json(self) -> Outcome<Value> {
        let status = self.status;
        let bytes = self.bytes().await?;
        let value: Result<Value, _> = serde_json::from_slice(&bytes);
        match value {
            Ok(value) if status.is_success() => Ok(value),
            Ok(problem) => Err(refusal(&problem, status)),
            Err(_) => {
                let text: String = String::from_utf8_lossy(&bytes).chars().take(SHOWN).collect();
                let said = format!("the server answered {status} {text}");
                // What stands before a server answers so while there is none.
                match status {
                    StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                        Err(Failure::Unreachable(said))
                    }
                    _ => Err(Failure::Failed(said)),
                }
            }
        }
    }

    /// The events of a stream, each with its JSON data, as they come.
    pub async fn events(self, mut each: impl FnMut(Value) -> Outcome<()>) -> Outcome<()> {
        if !self.status.is_success() {
            return self.json().await.map(|_| ());
        }
        let mut body = self.body;
        let mut waiting: Vec<u8> = Vec::new();
        while let Some(piece) = body.next().await {
            waiting.extend_from_slice(&piece.map_err(broken_off)?);
            while let Some(end) = waiting.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = waiting.drain(..=end).collect();
                let data = line.strip_prefix(b"data:").and_then(|data| serde_json::from_slice(data).ok());
                if let Some(data) = data {
                    each(data)?;
                }
            }
        }
        Ok(())
    }
}

fn broken_off(cause: String) -> Failure {
    Failure::Unreachable(format!("the answer broke off: {cause}"))
}

fn refusal(problem: &Value, status: StatusCode) -> Failure {
    let detail = problem["detail"].as_str().map_or_else(|| status.to_string(), str::to_owned);
    match problem["code"].as_str() {
        Some(code) => Failure::Refused { code: code.to_owned(), detail },
        None => Failure::Failed(detail),
    }
}
