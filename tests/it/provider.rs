//! A provider of language models as its clients see it: chat completions, answered as a test says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};

/// The key that it is given.
pub const KEY: &str = "sk-provider-0123456789abcdef";

/// What the provider does with a question.
pub enum Deed {
    /// Proposes these facts.
    Propose(Vec<Value>),
    /// Says something else.
    Say(&'static str),
    Fail(u16),
    /// Never answers.
    Hang,
}

type Mind = dyn Fn(usize, &str) -> Deed + Send + Sync;

/// Something that speaks chat completions: how it answers its nth question, and what it was asked.
#[derive(Clone)]
pub struct Provider {
    mind: Arc<Mind>,
    asked: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Provider {
    /// One on this machine, and its address.
    pub async fn start(mind: impl Fn(usize, &str) -> Deed + Send + Sync + 'static) -> (Provider, String) {
        let provider = Provider { mind: Arc::new(mind), asked: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(provider.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (provider, url)
    }

    /// Headers and bodies of all questions, in order.
    pub fn asked(&self) -> Vec<(HeaderMap, Value)> {
        self.asked.lock().unwrap().clone()
    }

    /// The passages that it was asked about, in order.
    pub fn prompts(&self) -> Vec<String> {
        self.asked().iter().map(|(_, body)| body["messages"][1]["content"].as_str().unwrap().to_owned()).collect()
    }
}

async fn complete(State(provider): State<Provider>, headers: HeaderMap, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let prompt = body["messages"][1]["content"].as_str().unwrap().to_owned();
    let number = {
        let mut asked = provider.asked.lock().unwrap();
        asked.push((headers, body));
        asked.len()
    };
    let (status, text) = match (provider.mind)(number, &prompt) {
        Deed::Propose(facts) => (200, json!({"facts": facts}).to_string()),
        Deed::Say(text) => (200, text.to_owned()),
        Deed::Fail(status) => (status, String::new()),
        Deed::Hang => std::future::pending().await,
    };
    let answer = match status {
        200 => json!({"choices": [{"message": {"role": "assistant", "content": text}}], "usage": {"total_tokens": 60}}),
        // Some tell everything again.
        _ => json!({"error": {"message": format!("{KEY} asked: {prompt}"), "code": "out_of_order"}}),
    };
    Response::builder().status(status).body(Body::from(answer.to_string())).unwrap()
}
