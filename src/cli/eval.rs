//! `carrel eval`: how well a workspace finds what questions should find, and what changed since the last time.

use std::path::{Path, PathBuf};

use clap::Args;
use http::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::client::Client;
use super::{DONE, Failure, Options, Outcome, questions, say};
use crate::app::DEFAULT_WORKSPACE;

/// Questions that are shown of a kind.
const SHOWN: usize = 5;
/// The figures of a leg, with their names for people; those of `true` count the first `k` alone.
const FIGURES: [(&str, &str, bool); 4] =
    [("ndcg", "nDCG", true), ("recall", "recall", true), ("mrr", "MRR", true), ("success_at_1", "success@1", false)];
/// The legs in the order they are shown.
const LEGS: [&str; 3] = ["vector", "fulltext", "hybrid"];

#[derive(Args)]
pub struct Eval {
    /// The workspace's id
    #[arg(long, default_value_t = DEFAULT_WORKSPACE)]
    workspace: Uuid,
    /// Questions with what they should find: JSON, JSON lines, or a folder in BEIR's form; without it, those that are
    /// stored under the name
    #[arg(long, value_name = "FILE")]
    questions: Option<PathBuf>,
    /// What the set is called in the workspace [default: the file's name, or the only set there is]
    #[arg(long)]
    name: Option<String>,
    /// Weight of the text leg in the hybrid search, 0 to 1
    #[arg(long, value_name = "X")]
    text_weight: Option<f32>,
    /// Rerank the fused hits with the reranker in models/
    #[arg(long)]
    rerank: bool,
    /// Hits that are looked at [default: 10]
    #[arg(long, value_name = "K")]
    limit: Option<u32>,
}

pub async fn run(options: &Options, verb: Eval) -> Outcome {
    let read = match verb.questions.as_deref() {
        Some(path) => Some((path, questions::read(path)?)),
        None => None,
    };
    let client = Client::open_existing(options).await?;
    let measured = measure(&client, &verb, read).await;
    client.close().await;
    let (name, run) = measured?;
    match options.json {
        true => say(&run.to_string())?,
        false => say(&show(&name, &run))?,
    }
    Ok(DONE)
}

/// Stores the questions, where there are some, and runs the set. Its name, and the run.
async fn measure(
    client: &Client,
    verb: &Eval,
    read: Option<(&Path, questions::Questions)>,
) -> Outcome<(String, Value)> {
    let sets = format!("/workspaces/{}/evaluations", verb.workspace);
    let set = match read {
        Some((path, read)) => {
            if read.joined > 0 {
                eprintln!("{} questions have the words of another and became one with it", read.joined);
            }
            let file = path.file_stem().map(|name| name.to_string_lossy().into_owned());
            let name = verb.name.clone().or(file).unwrap_or_else(|| "questions".to_owned());
            client.json(Method::POST, &sets, Some(&json!({"name": name, "questions": read.values}))).await?
        }
        None => stored(client, &sets, verb.name.as_deref()).await?,
    };
    let text = |field: &str| set[field].as_str().unwrap_or_default().to_owned();
    let mut settings = Map::new();
    settings.extend(verb.limit.map(|limit| ("limit".to_owned(), json!(limit))));
    settings.insert("rerank".to_owned(), json!(verb.rerank));
    settings.extend(verb.text_weight.map(|weight| ("text_weight".to_owned(), json!(weight))));
    let run = client.json(Method::POST, &format!("{sets}/{}/runs", text("id")), Some(&Value::Object(settings))).await?;
    Ok((text("name"), run))
}

/// The set called `name`, or the only one.
async fn stored(client: &Client, sets: &str, name: Option<&str>) -> Outcome<Value> {
    let (mut offset, mut found) = (0, Vec::new());
    loop {
        let page = client.json(Method::GET, &format!("{sets}?limit=200&offset={offset}"), None).await?;
        let rows = page.as_array().cloned().unwrap_or_default();
        offset += rows.len();
        let is_last = rows.len() < 200;
        found.extend(rows);
        if is_last {
            break;
        }
    }
    let names: Vec<&str> = found.iter().filter_map(|set| set["name"].as_str()).collect();
    let there = if names.is_empty() { "no sets".to_owned() } else { names.join(", ") };
    let only = match name {
        Some(name) => found.iter().find(|set| set["name"] == name),
        None => found.first().filter(|_| found.len() == 1),
    };
    match (only, name) {
        (Some(set), _) => Ok(set.clone()),
        (None, Some(name)) => Err(Failure::Failed(format!("there is no set called {name}; there are: {there}"))),
        (None, None) => Err(Failure::Usage(format!(
            "say which with --name, or give questions with --questions; there are: {there}"
        ))),
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn show(name: &str, run: &Value) -> String {
    let comparison = &run["comparison"];
    let mut out = vec![format!("{name}: {} questions in {}", run["question_count"], conditions(&run["conditions"]))];
    out.extend(table(run));
    if comparison.is_object() {
        out.push(format!(
            "\ncompared with {} on {} questions that both asked: {} better, {} worse",
            text(&comparison["created_at"]),
            comparison["question_count"],
            comparison["better"].as_array().map_or(0, Vec::len),
            comparison["worse"].as_array().map_or(0, Vec::len),
        ));
        if conditions(&comparison["conditions"]) != conditions(&run["conditions"]) {
            out.push(format!("then: {}", conditions(&comparison["conditions"])));
        }
        for kind in ["worse", "better"] {
            let moved = comparison[kind].as_array().map(Vec::as_slice).unwrap_or_default();
            out.extend(moved.iter().take(SHOWN).map(|moved| {
                let (before, after) = (number(&moved["before"]), number(&moved["after"]));
                format!("  {kind:6}  {before:.3} -> {after:.3}  {}", line(text(&moved["question"])))
            }));
            out.extend((moved.len() > SHOWN).then(|| format!("  {kind:6}  and {} more", moved.len() - SHOWN)));
        }
    }
    out.extend(worst(run));
    let missing = run["missing"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !missing.is_empty() {
        out.push("\nnot in the workspace, so that no search can find them:".to_owned());
        out.extend(missing.iter().map(|one| {
            let document = one["source"].as_str().unwrap_or_else(|| text(&one["document_id"]));
            format!("  {document}  ({} questions)", one["questions"])
        }));
    }
    out.join("\n")
}

/// What a run ran with, in a line.
fn conditions(conditions: &Value) -> String {
    let weight = conditions["text_weight"].as_f64().map(|weight| format!(", text weight {weight:.2}"));
    let reranker = conditions["reranker"].as_str().map(|name| format!(", reranked by {name}"));
    format!(
        "{} documents, {} chunks, {}, carrel {}{}{}",
        conditions["documents"],
        conditions["chunks"],
        text(&conditions["embedding_model"]),
        text(&conditions["carrel_version"]),
        weight.unwrap_or_default(),
        reranker.unwrap_or_default()
    )
}

/// A line for each leg, with what changed since the run before.
fn table(run: &Value) -> Vec<String> {
    let heading = FIGURES.map(|(_, name, at_k)| if at_k { format!("{name}@{}", run["k"]) } else { name.to_owned() });
    let cells = heading.iter().map(|heading| format!("{heading:16}")).collect::<String>();
    let mut lines = vec![format!("\n{:10}{}", "", cells.trim_end())];
    for leg in LEGS {
        let cells = FIGURES.iter().map(|(field, _, _)| {
            let change = run["comparison"]["changes"][leg][field].as_f64();
            // Rounded first: what rounds to nothing has no sign.
            let change = change.map(|change| (change * 1e3).round() / 1e3 + 0.0);
            let change = change.map(|change| format!(" ({change:+.3})")).unwrap_or_default();
            format!("{:16}", format!("{:.3}{change}", number(&run["metrics"][leg][field])))
        });
        lines.push(format!("{leg:10}{}", cells.collect::<String>().trim_end()));
    }
    lines
}

/// The questions that the fused search answers worst, where it does not answer them perfectly.
fn worst(run: &Value) -> Vec<String> {
    let mut questions: Vec<(f64, &str)> = run["questions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| (number(&one["metrics"]["hybrid"]["ndcg"]), text(&one["question"])))
        .filter(|(ndcg, _)| *ndcg < 1.0)
        .collect();
    questions.sort_by(|a, b| a.0.total_cmp(&b.0));
    let lines = questions.iter().take(SHOWN).map(|(ndcg, question)| format!("  {ndcg:.3}  {}", line(question)));
    let lines: Vec<String> = lines.collect();
    let heading = (!lines.is_empty()).then(|| "\nworst in the hybrid search:".to_owned());
    heading.into_iter().chain(lines).collect()
}

/// A question in a line of bearable length.
fn line(question: &str) -> String {
    let words = question.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", words.get(..end).unwrap_or_default()),
        None => words,
    }
}
