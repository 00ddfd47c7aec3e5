//! `carrel quickstart`: from nothing to a first answer, and a server that goes on.

use std::sync::Arc;
use std::time::Instant;

use http::Method;
use include_dir::{Dir, include_dir};
use serde_json::{Value, json};

use super::chat::cite;
use super::client::Client;
use super::serve::{self, Serve};
use super::{DONE, Options, Outcome, multipart, say};
use crate::app::{App, DEFAULT_AGENT, DEFAULT_WORKSPACE};
use crate::server::{self, Signals};

/// A small handbook of a clinic that does not exist.
static HANDBOOK: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/assets/handbook");
const QUESTION: &str = "What do I do when the vaccine fridge alarm goes off?";

pub async fn run(options: &Options, verb: Serve) -> Outcome {
    let (app, listener) = serve::open(options, &verb, true).await?;
    let url = format!("http://{}", listener.local_addr()?);
    let client = Client::local(app.clone());
    fill(&client).await?;
    ask(&client).await?;
    invite(&app, &url)?;
    let signals = Signals::catch()?;
    say(&format!("listening on {url}"))?;
    server::run(app, listener, signals).await?;
    Ok(DONE)
}

async fn fill(client: &Client) -> Outcome<()> {
    let started = Instant::now();
    let (mut documents, mut chunks) = (0u64, 0u64);
    for file in HANDBOOK.files() {
        let name = file.path().to_string_lossy();
        let (kind, body) = multipart::form(&name, file.contents(), &[("source", &format!("handbook/{name}"))]);
        let path = format!("/workspaces/{DEFAULT_WORKSPACE}/documents");
        let document = client.send(Method::POST, &path, &kind, body).await?.json().await?;
        documents += 1;
        chunks += document["chunk_count"].as_u64().unwrap_or(0);
    }
    let seconds = started.elapsed().as_secs_f64();
    say(&format!("\nA clinic's handbook is in: {documents} documents, {chunks} chunks, {seconds:.1} s."))
}

async fn ask(client: &Client) -> Outcome<()> {
    let started = Instant::now();
    let body = json!({"agent_id": DEFAULT_AGENT, "query": QUESTION});
    let path = format!("/workspaces/{DEFAULT_WORKSPACE}/chat");
    let answer = client.json(Method::POST, &path, Some(&body)).await?;
    let millis = started.elapsed().as_millis();
    say(&format!("\n> {QUESTION}\n\n{}\n", answer["message"].as_str().unwrap_or_default()))?;
    for citation in answer["citations"].as_array().into_iter().flatten() {
        say(&format!("{}\n      “{}”", cite(citation), one_line(&citation["quote"])))?;
    }
    say(&format!("\nAnswered in {millis} ms, from these documents alone.\n"))
}

fn one_line(quote: &Value) -> String {
    quote.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn invite(app: &Arc<App>, url: &str) -> Outcome<()> {
    serve::show_admin_key(app)?;
    let key = app.first_start.clone().unwrap_or_else(|| "$CARREL_ADMIN_KEY".to_owned());
    let auth = format!("-H 'Authorization: Bearer {key}'");
    let auth = if app.first_start.is_some() { auth } else { auth.replace('\'', "\"") };
    let workspace = format!("{url}/v1/workspaces/{DEFAULT_WORKSPACE}");
    say(&format!(
        "\nTry:\n  curl {url}/health\n  \
         curl {auth} -H 'Content-Type: application/json' {workspace}/search -d '{{\"query\":\"面会時間は何時からですか\"}}'\n  \
         curl {auth} -H 'Content-Type: application/json' {workspace}/chat \
         -d '{{\"agent_id\":\"{DEFAULT_AGENT}\",\"query\":\"How many days of annual leave do I have?\"}}'\n"
    ))
}
