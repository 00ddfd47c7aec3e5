//! The one place that a provider is reached at, and how: nothing else is spoken to.
//!
//! No redirect is followed, no proxy asked. What is transient is tried again after a pause. Neither key nor text nor
//! answer comes into an error or the log; that something was sent, where to, and how it went does.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode, Url};
use serde_json::Value;
use sse_stream::SseStream;
use tokio::time::Instant;

use super::speech::{Failure, LONGEST_ANSWER};
use crate::error::{Error, Result};

/// How often a request is sent, and what is waited after the first time; it doubles.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// What is waited at most where the provider says how long.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// What a connection may take at most.
const CONNECT: Duration = Duration::from_secs(10);

/// Parameters that some models do not take.
const PARAMETERS: [&str; 2] = ["max_tokens", "temperature"];
/// Words of providers for a question that is too long for the model.
const TOO_LONG: [&str; 6] =
    ["context length", "context size", "context window", "context limit", "maximum context", "too long"];

/// What a provider's address is made of.
pub(super) struct Address<'a> {
    /// As the operator configured it: `http://127.0.0.1:11434/v1`.
    pub base_url: &'a str,
    /// What is asked there: `chat/completions`.
    pub path: &'a str,
    /// Headers of every request; values are secrets.
    pub headers: Vec<(&'static str, String)>,
    /// What an answer may take as a whole.
    pub timeout: Duration,
}

/// A place that answers requests.
#[derive(Debug)]
pub(super) struct Endpoint {
    http: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    timeout: Duration,
}

/// A try that failed.
struct Miss {
    failure: Failure,
    /// Whether and when another may fare better.
    again: Option<Duration>,
}

impl Endpoint {
    /// # Errors
    /// For what is no address, or a key that no header can hold.
    pub fn new(address: Address<'_>) -> Result<Self> {
        let url = Url::parse(&format!("{}/{}", address.base_url.trim_end_matches('/'), address.path));
        let url = url.map_err(|e| Error::invalid("base_url", e.to_string()))?;
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(address.timeout.min(CONNECT));
        if url.scheme() == "http" {
            // A machine without certificates can still ask its neighbour.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|e| Error::internal("the client of a provider", e))?;
        let mut headers = HeaderMap::new();
        for (name, value) in address.headers {
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| Error::invalid("api_key", "holds characters that no key has"))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(Endpoint { http, url, headers, timeout: address.timeout })
    }

    /// When an answer that is asked for now has to be there.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Asks and gives the whole answer.
    pub async fn ask(&self, body: &Value) -> Result<Bytes, Failure> {
        let whole = async {
            let mut response = self.send(body).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = response.chunk().await.map_err(|error| unreached(&error).failure)? {
                bytes.extend_from_slice(&piece);
                if bytes.len() > LONGEST_ANSWER {
                    return Err(Failure::Refused("an answer without end".into()));
                }
            }
            Ok(Bytes::from(bytes))
        };
        tokio::time::timeout(self.timeout, whole).await.map_err(|_| Failure::Late)?
    }

    /// Asks for a stream of events and gives it once it begins.
    pub async fn stream(&self, body: &Value) -> Result<Events, Failure> {
        let response = tokio::time::timeout(self.timeout, self.send(body)).await.map_err(|_| Failure::Late)??;
        let mut left = LONGEST_ANSWER;
        let pieces = response.bytes_stream().map(move |piece| {
            let piece = piece.map_err(|error| unreached(&error).failure)?;
            left = left.checked_sub(piece.len()).ok_or_else(|| Failure::Refused("an answer without end".into()))?;
            Ok::<Bytes, Failure>(piece)
        });
        Ok(Events { events: SseStream::from_bytes_stream(pieces).boxed() })
    }

    /// Sends a request until it is answered well, or trying again does not help.
    async fn send(&self, body: &Value) -> Result<Response, Failure> {
        let mut pause = PAUSE;
        let mut tries = 1;
        loop {
            let sent = Instant::now();
            let answer = self.try_once(body).await;
            let told = match &answer {
                Ok(response) => response.status().to_string(),
                Err(miss) => miss.failure.to_string(),
            };
            let (host, millis) = (self.url.host_str().unwrap_or_default(), sent.elapsed().as_millis());
            tracing::info!(
                host,
                port = self.url.port_or_known_default(),
                tries,
                millis,
                answer = told,
                "a language model was asked"
            );
            match answer {
                Ok(response) => return Ok(response),
                Err(Miss { again: Some(wished), .. }) if tries < TRIES => {
                    tokio::time::sleep(pause.max(wished).min(LONGEST_PAUSE)).await;
                    pause *= 2;
                    tries += 1;
                }
                Err(miss) => return Err(miss.failure),
            }
        }
    }

    async fn try_once(&self, body: &Value) -> Result<Response, Miss> {
        let request = self.http.post(self.url.clone()).headers(self.headers.clone()).json(body);
        let mut response = request.send().await.map_err(|error| unreached(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let wished = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| unreached(&error))? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > LONGEST_ANSWER {
                break;
            }
        }
        Err(refused(status, &bytes, Duration::from_secs(wished.unwrap_or(0))))
    }
}

/// The events of an answer as they come.
pub(super) struct Events {
    events: BoxStream<'static, Result<sse_stream::Sse, sse_stream::Error>>,
}

impl Events {
    /// The data of the next event that has some; `None` at the end of the stream.
    pub async fn next(&mut self) -> Result<Option<String>, Failure> {
        loop {
            match self.events.next().await {
                None => return Ok(None),
                Some(Ok(event)) => {
                    if let Some(data) = event.data {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(broken(error)),
            }
        }
    }
}

fn broken(error: sse_stream::Error) -> Failure {
    match error {
        sse_stream::Error::Body(cause) => match cause.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(_) => Failure::Unavailable("the connection broke off".into()),
        },
        _ => garbled(),
    }
}

/// What is said of an answer that cannot be read.
pub(super) fn garbled() -> Failure {
    Failure::Unavailable("what it says cannot be read".into())
}

fn unreached(error: &reqwest::Error) -> Miss {
    let why = if error.is_connect() { "no connection" } else { "the connection broke off" };
    Miss { failure: Failure::Unavailable(why.into()), again: Some(Duration::ZERO) }
}

/// What a provider's word for a failure comes to, where it is a plain one: its sentences may quote the question or the key.
pub(super) fn code(answer: &Value) -> Option<&str> {
    let is_code = |code: &&str| code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    ["code", "type"].iter().filter_map(|name| answer["error"][name].as_str()).find(is_code)
}

fn refused(status: StatusCode, answer: &[u8], wished: Duration) -> Miss {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let why = format!("{} {}", status.as_u16(), code(&answer).unwrap_or(status.canonical_reason().unwrap_or_default()));
    let is_refusal =
        matches!(status, StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY);
    let failure = match is_refusal {
        true => told_apart(&answer, status).unwrap_or(Failure::Refused(why)),
        false => Failure::Unavailable(why),
    };
    let passes =
        matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) || status.is_server_error();
    Miss { failure, again: passes.then_some(wished) }
}

/// What a refusal is about, where that can be told. The provider's sentence is read for this alone.
fn told_apart(answer: &Value, status: StatusCode) -> Option<Failure> {
    let error = &answer["error"];
    let texts = [error, &error["message"], &answer["message"], &answer["detail"]];
    let said = texts.iter().find_map(|text| text.as_str()).unwrap_or_default().to_lowercase();
    let parameter = error["param"].as_str().unwrap_or_default();
    let has_code =
        |word: &str| ["code", "type"].iter().any(|name| error[*name].as_str().is_some_and(|c| c.contains(word)));
    let is_bad = status == StatusCode::BAD_REQUEST;
    if is_bad && parameter.starts_with("tool") {
        return Some(Failure::Parameter("tools"));
    }
    if has_code("context") || TOO_LONG.iter().any(|words| said.contains(words)) {
        let why = format!("{}: it is longer than the model's context", status.as_u16());
        return Some(Failure::Refused(why));
    }
    let known = PARAMETERS.into_iter().find(|name| *name == parameter);
    let is_of_tools = || has_code("tool") || said.contains("tool");
    known.or_else(|| is_of_tools().then_some("tools")).filter(|_| is_bad).map(Failure::Parameter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(status: StatusCode, answer: &Value) -> Failure {
        refused(status, answer.to_string().as_bytes(), Duration::ZERO).failure
    }

    #[test]
    fn a_refusal_is_of_the_tools_only_where_it_says_so() {
        for error in [
            json!({"error": {"message": "registry.ollama.ai/library/gemma:2b does not support tools"}}),
            json!({"error": {"message": "unsupported", "param": "tools"}}),
            json!({"error": {"message": "unsupported", "param": "tool_choice"}}),
            json!({"error": "Tool use is not supported"}),
            json!({"object": "error", "message": "\"auto\" tool choice requires --enable-auto-tool-choice"}),
        ] {
            assert_eq!(of(StatusCode::BAD_REQUEST, &error), Failure::Parameter("tools"), "{error}");
            assert!(matches!(of(StatusCode::UNAUTHORIZED, &error), Failure::Unavailable(_)), "{error}");
        }
        for error in [
            json!({"error": {"message": "the messages are flagged", "code": "content_policy"}}),
            json!({"error": {"message": "bad", "param": "messages"}}),
            json!("nothing that anybody knows"),
        ] {
            assert!(matches!(of(StatusCode::BAD_REQUEST, &error), Failure::Refused(_)), "{error}");
        }
        let limit = json!({"error": {"message": "unsupported, use max_completion_tokens", "param": "max_tokens"}});
        assert_eq!(of(StatusCode::BAD_REQUEST, &limit), Failure::Parameter("max_tokens"));
    }

    #[test]
    fn a_question_that_is_too_long_is_called_so_and_nothing_is_passed_on() {
        for error in [
            json!({"error": {"message": "secret", "code": "context_length_exceeded", "param": "messages"}}),
            json!({"error": {"message": "secret: the request exceeds it", "type": "exceed_context_size_error"}}),
            json!({"error": {"message": "This model's maximum context length is 8192 tokens, secret 500 in the tools"}}),
            json!({"error": {"message": "This model's maximum context length is 8 tokens", "param": "max_tokens"}}),
            json!({"type": "error", "error": {"type": "invalid_request_error", "message": "Prompt is too long: secret"}}),
        ] {
            let failure = of(StatusCode::BAD_REQUEST, &error);
            let Failure::Refused(why) = &failure else { panic!("{failure}: {error}") };
            assert!(why.contains("longer than the model's context") && !why.contains("secret"), "{why}");
        }
    }
}
