//! Chat completions as OpenAI's API has them, and with it Ollama, llama.cpp, vLLM, LM Studio and many others.
//!
//! Speaks to the one place that it was given: no redirect is followed, no proxy asked. Neither key nor text nor answer
//! comes into an error or the log.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use thiserror::Error;

use crate::error::{Error, Result};

/// How often a request is sent, and what is waited after the first time; it doubles.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// What is waited at most where the provider says how long.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Bytes of an answer at most.
const LONGEST_ANSWER: usize = 4 << 20;
/// Bytes that count as a token where the provider does not count.
const BYTES_PER_TOKEN: usize = 4;

/// A provider that speaks so.
pub struct OpenAi {
    http: reqwest::Client,
    url: Url,
    authorization: Option<HeaderValue>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub model: &'a str,
    pub instructions: &'a str,
    pub prompt: &'a str,
    /// The name and JSON schema of the answer.
    pub schema: (&'a str, &'a Value),
    pub most_tokens: u32,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Empty where the model said nothing.
    pub text: String,
    /// Tokens of question and answer.
    pub tokens: u64,
}

/// Why nothing came back.
#[derive(Debug, Error)]
pub enum Failure {
    /// The provider does not answer, or does not let us in: every question fares so.
    #[error("the provider does not answer: {0}")]
    Unavailable(String),
    /// It does not take this question.
    #[error("the provider does not take the question: {0}")]
    Refused(String),
    /// It took the question, and too long for it.
    #[error("the provider gives no answer in time")]
    Late,
}

/// A try that failed.
struct Miss {
    failure: Failure,
    /// Whether and when another may fare better.
    again: Option<Duration>,
}

#[derive(Deserialize)]
struct Answer {
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    total_tokens: u64,
}

impl OpenAi {
    /// The provider at `base_url` (`http://127.0.0.1:11434/v1`). An answer may take as long as `timeout`.
    ///
    /// # Errors
    /// For what is no address, or a key that no header can hold.
    pub fn new(base_url: &str, key: Option<&str>, timeout: Duration) -> Result<Self> {
        let url = Url::parse(&format!("{}/chat/completions", base_url.trim_end_matches('/')));
        let url = url.map_err(|e| Error::invalid("base_url", e.to_string()))?;
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .timeout(timeout);
        if url.scheme() == "http" {
            // A machine without certificates can still ask its neighbour.
            http = http.tls_certs_only([]);
        }
        let http = http.build().map_err(|e| Error::internal("the client of a provider", e))?;
        let header = |key: &str| {
            let mut header = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| Error::invalid("api_key", "holds characters that no key has"))?;
            header.set_sensitive(true);
            Ok::<_, Error>(header)
        };
        Ok(OpenAi { http, url, authorization: key.map(header).transpose()? })
    }

    /// Asks, and asks again where that may help.
    pub async fn complete(&self, request: &Request<'_>) -> std::result::Result<Completion, Failure> {
        let (name, schema) = request.schema;
        let body = json!({
            "model": request.model,
            "messages": [
                {"role": "system", "content": request.instructions},
                {"role": "user", "content": request.prompt},
            ],
            "response_format": {"type": "json_schema", "json_schema": {"name": name, "strict": true, "schema": schema}},
            "max_tokens": request.most_tokens,
            "temperature": 0,
            "stream": false,
        });
        let mut pause = PAUSE;
        let mut tries = 1;
        let answer = loop {
            match self.send(&body).await {
                Ok(answer) => break answer,
                Err(Miss { again: Some(wished), .. }) if tries < TRIES => {
                    tokio::time::sleep(pause.max(wished).min(LONGEST_PAUSE)).await;
                    pause *= 2;
                    tries += 1;
                }
                Err(miss) => return Err(miss.failure),
            }
        };
        let text = answer.choices.into_iter().next().and_then(|choice| choice.message.content).unwrap_or_default();
        let bytes = request.instructions.len() + request.prompt.len() + text.len();
        let counted = answer.usage.map(|usage| usage.total_tokens).filter(|tokens| *tokens > 0);
        Ok(Completion { text, tokens: counted.unwrap_or(bytes.div_ceil(BYTES_PER_TOKEN) as u64) })
    }

    async fn send(&self, body: &Value) -> std::result::Result<Answer, Miss> {
        let mut request = self.http.post(self.url.clone()).json(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let mut response = request.send().await.map_err(unreached)?;
        let status = response.status();
        let wished = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(unreached)? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > LONGEST_ANSWER {
                return Err(Miss { failure: Failure::Refused("an answer without end".into()), again: None });
            }
        }
        if !status.is_success() {
            return Err(refused(status, &bytes, Duration::from_secs(wished.unwrap_or(0))));
        }
        serde_json::from_slice(&bytes).map_err(|_| {
            let failure = Failure::Unavailable("what answers does not speak of chat completions".into());
            Miss { failure, again: None }
        })
    }
}

fn unreached(error: reqwest::Error) -> Miss {
    if error.is_timeout() && !error.is_connect() {
        // It would take as long again; whether that is worth it is the asker's to say.
        return Miss { failure: Failure::Late, again: None };
    }
    let why = if error.is_connect() { "no connection" } else { "the connection broke off" };
    Miss { failure: Failure::Unavailable(why.into()), again: Some(Duration::ZERO) }
}

/// What a status says, with the code in the answer: its sentences may quote the question or the key.
fn refused(status: StatusCode, answer: &[u8], wished: Duration) -> Miss {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let is_code = |code: &&str| code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let code = ["code", "type"].iter().filter_map(|name| answer["error"][name].as_str()).find(is_code);
    let why = format!("{} {}", status.as_u16(), code.unwrap_or(status.canonical_reason().unwrap_or_default()));
    let failure = match status {
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            Failure::Refused(why)
        }
        _ => Failure::Unavailable(why),
    };
    let passes =
        matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) || status.is_server_error();
    Miss { failure, again: passes.then_some(wished) }
}
