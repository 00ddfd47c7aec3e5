//! `carrel search`

use std::io::IsTerminal;

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::Client;
use super::{DONE, Options, Outcome, say};
use crate::app::DEFAULT_WORKSPACE;

#[derive(Args)]
pub struct Search {
    /// The workspace's id
    #[arg(long, default_value_t = DEFAULT_WORKSPACE)]
    workspace: Uuid,
    /// hybrid, vector, fulltext or graph
    #[arg(long = "type", default_value = "hybrid", value_name = "TYPE")]
    search_type: String,
    /// Hits at most
    #[arg(long, default_value_t = 5)]
    limit: u32,
    /// Let the reranker in models/ rank the best hits anew
    #[arg(long)]
    rerank: bool,
    /// What to look for: words, +must, -not, "a phrase", begin*. Put signs in single quotes, and `--` before a query that
    /// begins with `-`
    #[arg(required = true)]
    query: Vec<String>,
}

pub async fn run(options: &Options, verb: Search) -> Outcome {
    let client = Client::open_existing(options).await?;
    let query = verb.query.join(" ");
    let (search_type, limit, rerank) = (verb.search_type, verb.limit, verb.rerank);
    let body = json!({"query": query, "search_type": search_type, "limit": limit, "rerank": rerank});
    let found = client.json(Method::POST, &format!("/workspaces/{}/search", verb.workspace), Some(&body)).await;
    client.close().await;
    let found = found?;
    if options.json {
        say(&found.to_string())?;
        return Ok(DONE);
    }
    let hits = found["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    if hits.is_empty() {
        say("nothing found")?;
    }
    let bold = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    hits.iter().try_for_each(|hit| say(&show(hit, bold)))?;
    Ok(DONE)
}

fn show(hit: &Value, bold: bool) -> String {
    let text = |name: &str| hit[name].as_str().unwrap_or_default().to_owned();
    let headings: Vec<&str> = hit["heading_path"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut title: Vec<String> =
        std::iter::once(text("document_title")).chain(headings.into_iter().map(str::to_owned)).collect();
    // A document's title is often its first heading.
    title.dedup();
    let title = title.join(" › ");
    let score = hit["score"].as_f64().unwrap_or(0.0);
    let content = if bold { marked(hit) } else { text("content") };
    let lines: Vec<String> = content.lines().map(|line| format!("      {line}")).collect();
    let place = hit["location"]["label"].as_str().map(|label| format!(", {label}")).unwrap_or_default();
    format!("{score:.3} {title}  ({}{place})\n{}\n", text("document_source"), lines.join("\n"))
}

/// The content with its highlights in bold.
fn marked(hit: &Value) -> String {
    let content = hit["content"].as_str().unwrap_or_default();
    let mut out = String::with_capacity(content.len() + 64);
    let mut at = 0;
    for range in hit["highlights"].as_array().into_iter().flatten() {
        let bound = |place: usize| range[place].as_u64().and_then(|n| usize::try_from(n).ok());
        let (Some(start), Some(end)) = (bound(0), bound(1)) else { continue };
        if let (Some(before), Some(word)) = (content.get(at..start), content.get(start..end)) {
            out.push_str(&format!("{before}\x1b[1m{word}\x1b[0m"));
            at = end;
        }
    }
    out.push_str(content.get(at..).unwrap_or_default());
    out
}
