//! HTTP as a client of Carrel speaks it: requests with a token, answers with their bytes, streams of events.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use serde_json::Value;

/// Speaks to one server with one token, or without.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
}

impl Client {
    pub fn new(url: &str, token: Option<&str>) -> Client {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().unwrap();
        Client { http, url: url.to_owned(), token: token.map(str::to_owned) }
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str) -> Client {
        Client { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same without a token.
    pub fn anonymous(&self) -> Client {
        Client { token: None, ..self.clone() }
    }

    /// The token that it bears.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body)).await
    }

    /// The status of an answer, or nothing where the server went away.
    pub async fn try_post(&self, path: &str, body: &Value) -> Option<u16> {
        self.request("POST", path, Some(body)).send().await.ok().map(|response| response.status().as_u16())
    }

    /// The same for a deletion.
    #[cfg(feature = "failpoints")]
    pub async fn try_delete(&self, path: &str) -> Option<u16> {
        self.request("DELETE", path, None).send().await.ok().map(|response| response.status().as_u16())
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None).await
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        Answer::read(self.request(method, path, body).send().await.unwrap()).await
    }

    /// Sends exactly these bytes and, beside the token, exactly these headers.
    pub async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let mut request = self.request(method, path, None).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::read(request.send().await.unwrap()).await
    }

    /// Sends `parts` as `multipart/form-data`.
    pub async fn upload(&self, method: &str, path: &str, parts: &[Part<'_>]) -> Answer {
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        self.raw(method, path, &[("content-type", &kind)], multipart(parts)).await
    }

    /// Opens a stream of server-sent events.
    pub async fn stream(&self, method: &str, path: &str, body: Option<&Value>) -> Events {
        let response = self.request(method, path, body).send().await.unwrap();
        assert_eq!(response.status(), 200, "{method} {path}: {}", response.text().await.unwrap());
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Events { response: Box::pin(response.bytes_stream()), buffer: Vec::new() }
    }

    /// All pages of a list, by its `Link` headers. Each page must tell the same total.
    pub async fn pages(&self, path: &str) -> Vec<Value> {
        let (mut rows, mut next) = (Vec::new(), Some(path.to_owned()));
        while let Some(path) = next {
            let page = self.get(&path).await.is(200);
            let total: usize = page.header("x-total-count").parse().unwrap();
            rows.extend(page.json().as_array().unwrap().clone());
            assert!(rows.len() <= total, "{} rows of {total}", rows.len());
            next = page.next();
            assert_eq!(next.is_some(), rows.len() < total, "a next page exactly where there is more");
        }
        rows
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> reqwest::RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.url) };
        let mut request = self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub bytes: Vec<u8>,
}

impl Answer {
    async fn read(response: reqwest::Response) -> Answer {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answer { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
    }

    /// Asserts the status.
    #[track_caller]
    pub fn is(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// A header's value, empty where it is not there.
    pub fn header(&self, name: &'static str) -> &str {
        self.headers.get(HeaderName::from_static(name)).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts a problem as RFC 9457 and the contract have it, and gives it.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        let problem = self.any_problem();
        assert_eq!(problem["code"], code, "{problem}");
        problem
    }

    /// Asserts a problem of any kind, consistent in itself, and gives it.
    #[track_caller]
    pub fn any_problem(&self) -> Value {
        assert!(self.status >= 400, "{} {}", self.status, self.text());
        let kind = self.header("content-type");
        assert!(kind.starts_with("application/problem+json"), "{} as {kind}: {}", self.status, self.text());
        let problem = self.json();
        let code = problem["code"].as_str().unwrap_or_else(|| panic!("no code in {problem}"));
        assert_eq!(problem["type"], format!("about:blank#{code}"));
        assert_eq!(problem["status"], self.status);
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        problem
    }

    /// The body without what is new in every answer.
    pub fn without_ids(&self) -> Value {
        let mut body = self.json();
        if let Some(fields) = body.as_object_mut() {
            fields.remove("request_id");
            fields.remove("instance");
        }
        body
    }

    /// Where the next page is, from the `Link` header.
    fn next(&self) -> Option<String> {
        let link = self.header("link").split(',').find(|link| link.contains("rel=\"next\""))?.to_owned();
        Some(link.split_once('<')?.1.split_once('>')?.0.to_owned())
    }
}

/// A stream of server-sent events, each with JSON as its data.
pub struct Events {
    response: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<bytes::Bytes>> + Send>>,
    buffer: Vec<u8>,
}

impl Events {
    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                let block = String::from_utf8(block).unwrap();
                let data: Vec<&str> = block.lines().filter_map(|line| line.strip_prefix("data:")).collect();
                if !data.is_empty() {
                    let data = data.join("\n");
                    return Some(serde_json::from_str(&data).unwrap_or_else(|e| panic!("{e}: {data}")));
                }
            }
            self.buffer.extend(self.response.next().await?.unwrap());
        }
    }

    /// All events up to the end of the stream.
    pub async fn all(mut self) -> Vec<Value> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

const BOUNDARY: &str = "carrel-it-boundary";

/// A part of a multipart body.
pub struct Part<'a> {
    name: &'a str,
    file: Option<&'a str>,
    kind: Option<&'a str>,
    bytes: &'a [u8],
}

/// A file in the field `file`.
pub fn file<'a>(file_name: &'a str, bytes: &'a [u8]) -> Part<'a> {
    Part { name: "file", file: Some(file_name), kind: Some("application/octet-stream"), bytes }
}

/// A field of text.
pub fn field<'a>(name: &'a str, text: &'a str) -> Part<'a> {
    Part { name, file: None, kind: None, bytes: text.as_bytes() }
}

impl<'a> Part<'a> {
    /// The same with a media type.
    pub fn of(self, kind: &'a str) -> Part<'a> {
        Part { kind: Some(kind), ..self }
    }
}

fn multipart(parts: &[Part<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for Part { name, file, kind, bytes } in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        let kind = kind.map(|kind| format!("Content-Type: {kind}\r\n")).unwrap_or_default();
        body.extend(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n{kind}\r\n").bytes(),
        );
        body.extend_from_slice(bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}
