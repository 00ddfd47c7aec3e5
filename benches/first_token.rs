//! What Carrel adds to the time until a language model's first word, with a model that has it at once.
//!
//! `cargo bench --bench first_token [-- CHUNKS]` (100000 unless told otherwise). The provider is an HTTP server in this
//! process that streams as OpenAI's API does. Each question goes to it directly, with what a prompt holds, and through
//! Carrel's own HTTP interface, in turns: the difference is what we add (search, prompt, checks, another hop).

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::post;
use axum::serve::ListenerExt;
use carrel::config::{Provider, ProviderKind};
use futures_util::StreamExt;
use serde_json::{Value, json};

#[path = "instance.rs"]
mod instance;
#[allow(dead_code)]
#[path = "random.rs"]
mod random;

use instance::Instance;
use random::Random;

const QUESTIONS: usize = 300;
/// What the model says; the first piece is what is waited for.
const PIECES: [&str; 3] = ["It is so", " [1]", "."];

fn main() {
    let chunks = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    tokio::runtime::Runtime::new().unwrap().block_on(measure(chunks));
}

async fn measure(chunks: usize) {
    let provider = listen(Router::new().route("/v1/chat/completions", post(speak))).await;
    let configured = Provider {
        base_url: format!("{provider}/v1"),
        models: vec!["instant".into()],
        ..Provider::new(ProviderKind::OpenAi)
    };
    let instance = Instance::start(|config| {
        config.providers.insert("instant".into(), configured);
        config.log.filter = "error".into();
    });
    let access = instance.workspace("en");
    let mut random = Random(5);
    let documents = (0..chunks).map(|n| (format!("d{n}"), "t".to_owned(), random.text(12))).collect::<Vec<_>>();
    instance.fill(&access, documents.into_iter()).await;
    let carrel = listen(carrel::api::router(instance.app.clone())).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (token, workspace) = (instance.app.local_token.clone(), access.record.id);
    let agents = format!("{carrel}/v1/workspaces/{workspace}/agents");
    let agent = json!({"name": "Bench", "slug": "bench", "model_provider": "instant"});
    let agent = http.post(agents).bearer_auth(&token).json(&agent).send().await.unwrap().text().await.unwrap();
    let agent: Value = serde_json::from_str(&agent).unwrap();
    let (mut direct, mut through) = (Vec::new(), Vec::new());
    for _ in 0..QUESTIONS {
        let question = random.text(5);
        // As long as a prompt with eight passages of usual length.
        let told =
            json!({"model": "instant", "stream": true, "messages": [{"role": "user", "content": random.text(1200)}]});
        direct.push(first(http.post(format!("{provider}/v1/chat/completions")).json(&told), "content\":\"It").await);
        let chat = json!({"agent_id": agent["id"], "query": question, "stream": true});
        let url = format!("{carrel}/v1/workspaces/{workspace}/chat");
        through.push(first(http.post(url).bearer_auth(&token).json(&chat), "\"type\":\"text\"").await);
    }
    let added: Vec<f64> = direct.iter().zip(&through).map(|(direct, through)| through - direct).collect();
    println!("{chunks} chunks, {QUESTIONS} questions; milliseconds to the first word, p50 · p99");
    for (name, times) in [("provider alone", direct), ("through Carrel", through), ("added", added)] {
        println!("{name:>15}: {:.1} · {:.1}", quantile(&times, 0.5), quantile(&times, 0.99));
    }
    instance.app.close().await;
}

fn quantile(times: &[f64], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * part) as usize]
}

/// Milliseconds until a stream has said `word`; it is read to its end.
async fn first(request: reqwest::RequestBuilder, word: &str) -> f64 {
    let started = Instant::now();
    let response = request.send().await.unwrap();
    assert!(response.status().is_success(), "{}", response.status());
    let (mut pieces, mut said, mut took) = (response.bytes_stream(), String::new(), None);
    while let Some(piece) = pieces.next().await {
        said += &String::from_utf8_lossy(&piece.unwrap());
        if took.is_none() && said.contains(word) {
            took = Some(started.elapsed());
        }
    }
    took.unwrap_or_else(|| panic!("it said: {said}")).as_secs_f64() * 1e3
}

/// Serves on a port of this machine and gives its address.
async fn listen(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    // As the server does.
    let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

async fn speak() -> Response {
    let chunk = |choices: Value| format!("data: {}\n\n", json!({"choices": choices}));
    let said = PIECES.map(|piece| chunk(json!([{"index": 0, "delta": {"content": piece}, "finish_reason": null}])));
    let end = [chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}])), "data: [DONE]\n\n".to_owned()];
    let events = said.into_iter().chain(end).map(|event| Ok::<_, Infallible>(Bytes::from(event)));
    let events = futures_util::stream::iter(events.collect::<Vec<_>>()).then(|event| async {
        // Each piece is a packet of its own.
        tokio::time::sleep(Duration::from_millis(1)).await;
        event
    });
    Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(events)).unwrap()
}
