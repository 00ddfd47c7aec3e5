//! `carrel chat`: questions line by line, answers as they come.

use std::io::{IsTerminal, Write};

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use uuid::Uuid;

use super::client::Client;
use super::{DONE, Failure, Options, Outcome, say};
use crate::app::DEFAULT_WORKSPACE;

#[derive(Args)]
pub struct Chat {
    /// The workspace's id
    #[arg(long, default_value_t = DEFAULT_WORKSPACE)]
    workspace: Uuid,
    /// The agent's slug [default: the workspace's first agent]
    #[arg(long)]
    agent: Option<String>,
    /// A conversation to go on with
    #[arg(long, value_name = "ID")]
    session: Option<String>,
}

pub async fn run(options: &Options, verb: Chat) -> Outcome {
    let client = Client::open_existing(options).await?;
    let outcome = talk(options, &verb, &client).await;
    client.close().await;
    outcome
}

async fn talk(options: &Options, verb: &Chat, client: &Client) -> Outcome {
    let agent = find_agent(client, verb).await?;
    let mut session = verb.session.clone();
    let interactive = std::io::stdin().is_terminal();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        if interactive {
            eprint!("> ");
            std::io::stderr().flush()?;
        }
        let Some(line) = lines.next_line().await? else { return Ok(DONE) };
        let question = line.trim();
        if matches!(question, "/quit" | "/exit") {
            return Ok(DONE);
        }
        if !question.is_empty() {
            ask(options, client, &verb.workspace.to_string(), &agent, question, &mut session).await?;
        }
    }
}

async fn ask(
    options: &Options,
    client: &Client,
    workspace: &str,
    agent: &str,
    question: &str,
    session: &mut Option<String>,
) -> Outcome<()> {
    let body = json!({"agent_id": agent, "query": question, "session_id": session, "stream": true});
    let path = format!("/workspaces/{workspace}/chat");
    let reply = client.send(Method::POST, &path, "application/json", body.to_string().into()).await?;
    let mut ended = false;
    reply
        .events(|event| {
            ended |= event["type"] == "end";
            if let Some(id) = event["session_id"].as_str() {
                *session = Some(id.to_owned());
            }
            if options.json {
                say(&event.to_string())?;
                return failed(&event);
            }
            show(&event)
        })
        .await?;
    if ended { Ok(()) } else { Err(Failure::Failed("the answer broke off".to_owned())) }
}

fn failed(event: &Value) -> Outcome<()> {
    match event["type"].as_str() {
        Some("error") => Err(Failure::Failed(event["content"].as_str().unwrap_or("the answer broke off").to_owned())),
        _ => Ok(()),
    }
}

fn show(event: &Value) -> Outcome<()> {
    match event["type"].as_str() {
        Some("text") => {
            let mut out = std::io::stdout().lock();
            write!(out, "{}", event["content"].as_str().unwrap_or_default())?;
            Ok(out.flush()?)
        }
        Some("citations") => {
            say("")?;
            event["citations"].as_array().into_iter().flatten().try_for_each(|citation| say(&cite(citation)))
        }
        Some("end") => doubts(&event["metadata"]),
        _ => failed(event),
    }
}

/// What a reader should know who believes an answer: what its passages do not bear out, and where to look without one.
fn doubts(metadata: &Value) -> Outcome<()> {
    for sentence in metadata["unsupported"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        say(&format!("  (not borne out by the documents: {sentence})"))?;
    }
    for place in metadata["nearest"].as_array().into_iter().flatten() {
        let headings = place["heading_path"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut parts: Vec<&str> = place["title"].as_str().into_iter().chain(headings).collect();
        parts.dedup();
        say(&format!("  nearest: {} ({})", parts.join(" › "), place["source"].as_str().unwrap_or_default()))?;
    }
    Ok(())
}

/// A citation in a line: `[1] Title › heading (source, page 2, bytes 10–20)`. Of a text, its bytes say as much as its lines.
pub fn cite(citation: &Value) -> String {
    let text = |name: &str| citation[name].as_str().unwrap_or_default();
    let headings = citation["heading_path"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut parts: Vec<&str> = std::iter::once(text("title")).chain(headings).collect();
    parts.dedup();
    let location =
        Some(&citation["location"]).filter(|place| place["line"].is_null() || place["attachment"].is_string());
    let place = location.and_then(|location| location["label"].as_str());
    let place = place.map_or_else(String::new, |place| format!(", {place}"));
    format!(
        "  [{}] {} ({}{place}, bytes {}–{})",
        citation["marker"],
        parts.join(" › "),
        text("source"),
        citation["start"],
        citation["end"]
    )
}

async fn find_agent(client: &Client, verb: &Chat) -> Outcome<String> {
    let agents = client.json(Method::GET, &format!("/workspaces/{}/agents?limit=200", verb.workspace), None).await?;
    let agents = agents.as_array().map(Vec::as_slice).unwrap_or_default();
    let found = match &verb.agent {
        Some(slug) => agents.iter().find(|agent| agent["slug"] == slug.as_str()),
        None => agents.first(),
    };
    let found = found.and_then(|agent| agent["id"].as_str());
    found.map(str::to_owned).ok_or_else(|| {
        let slugs: Vec<&str> = agents.iter().filter_map(|agent| agent["slug"].as_str()).collect();
        Failure::Failed(format!("there is no such agent; there are: {}", slugs.join(", ")))
    })
}
