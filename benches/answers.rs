//! How well an agent without a language model answers: the share of answers whose first two sentences hold what was asked
//! for, of refusals where the answer is there, and of refusals where the document that answers was removed.
//!
//! `cargo bench --bench answers -- [--half 1|2] [--sample COUNT] [--show] DIRECTORY [SET…]`: each set is a folder in
//! BEIR's form (`corpus.jsonl`, `queries.jsonl`, `qrels.tsv`) with `answers.jsonl`. `--half` takes the first or the
//! second half of the questions, `--sample` so many of them at even distances, and `--show` prints what was answered.
//! A document is removed by itself, the questions that it answers are asked, and it is put back; another document may
//! still hold the answer, which nobody looks after.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Method, Request, header};
use carrel::api;
use carrel::auth::Access;
use carrel::text;
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

#[path = "instance.rs"]
#[allow(dead_code, reason = "others start on a directory that goes with them")]
mod instance;

use instance::Instance;

/// Questions of a set that are asked where no other count is given.
const SAMPLE: usize = 600;
/// Sentences of a message in which the answer must stand.
const SENTENCES: usize = 2;
/// Bytes of an answer of the interface at most.
const LONGEST: usize = 16 << 20;

struct Options {
    half: Option<usize>,
    sample: usize,
    show: bool,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mut options = Options { half: None, sample: SAMPLE, show: false };
    let mut names: Vec<String> = Vec::new();
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|number| number.parse().ok()).expect("a number");
        match argument.as_str() {
            "--half" => options.half = Some(number()),
            "--sample" => options.sample = number(),
            "--show" => options.show = true,
            _ => names.push(argument),
        }
    }
    if names.is_empty() {
        println!("name a directory with sets of questions and answers; benches/README.md says where to get some");
        return;
    }
    let root = PathBuf::from(names.remove(0));
    if names.is_empty() {
        let folders = std::fs::read_dir(&root).unwrap().flatten().filter(|f| f.path().join("answers.jsonl").exists());
        names = folders.filter_map(|folder| folder.file_name().into_string().ok()).collect();
        names.retain(|name| root.join(name).join("qrels.tsv").exists());
        names.sort();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!(
        "| set | questions | exact | first sentence | anywhere in the answer | false refusals | refused once removed | refused of those that nothing answers | seconds |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for name in &names {
        runtime.block_on(measure(&root.join(name), name, &options));
    }
}

struct Question {
    text: String,
    /// Each with all that it must hold.
    answers: Vec<Vec<String>>,
    /// Documents that answer it.
    documents: Vec<String>,
}

async fn measure(folder: &Path, name: &str, options: &Options) {
    let started = Instant::now();
    let documents: Vec<(String, String, String)> = lines(&folder.join("corpus.jsonl"))
        .into_iter()
        .map(|document| {
            // One set has stray NULs, which no text document may hold.
            let text = |field: &str| document[field].as_str().unwrap_or_default().replace('\0', " ");
            (text("_id"), text("title"), text("text"))
        })
        .filter(|(_, _, text)| !text.trim().is_empty())
        .collect();
    let mut questions = questions(folder);
    let middle = questions.len() / 2;
    match options.half {
        Some(1) => questions.truncate(middle),
        Some(_) => drop(questions.drain(..middle)),
        None => {}
    }
    let questions = spread(questions, options.sample);
    let directory = tempfile::tempdir().unwrap();
    let instance = Instance::at(&directory.path().join("data"), |_| {});
    let language = name.strip_prefix("xquad_").and_then(|rest| rest.split('_').next()).unwrap_or("en");
    let entered = instance.workspace(language);
    instance.fill(&entered, documents.iter().cloned()).await;
    facts_read(&entered).await;
    let asked = Asked::new(&instance, &entered).await;

    let (mut exact, mut first, mut anywhere, mut refused) = (0, 0, 0, 0);
    for question in &questions {
        let answer = asked.ask(&question.text).await;
        let told = sentences(&answer);
        let place = (1..=told.len()).find(|count| question.is_answered_by(&told[..*count]));
        exact += usize::from(place.is_some_and(|place| place <= SENTENCES));
        first += usize::from(place == Some(1));
        anywhere += usize::from(place.is_some());
        refused += usize::from(is_refusal(&answer));
        if options.show {
            let verdict = if is_refusal(&answer) { "refused".into() } else { format!("{place:?}") };
            println!("{verdict} | {} | {:?} | {}", question.text, question.answers, answer["message"]);
        }
    }
    let mut by_documents: BTreeMap<&[String], Vec<&Question>> = BTreeMap::new();
    questions.iter().for_each(|question| by_documents.entry(&question.documents).or_default().push(question));
    let mut honest = 0;
    for (removed, questions) in by_documents {
        let removed: Vec<_> = documents.iter().filter(|(source, _, _)| removed.contains(source)).cloned().collect();
        for (source, _, _) in &removed {
            asked.remove(entered.workspace.document_with_source(source).unwrap().unwrap().id).await;
        }
        for question in questions {
            let answer = asked.ask(&question.text).await;
            honest += usize::from(is_refusal(&answer));
            if options.show && !is_refusal(&answer) {
                println!("removed | {} | {:?} | {}", question.text, question.answers, answer["message"]);
            }
        }
        instance.fill(&entered, removed.into_iter()).await;
        facts_read(&entered).await;
    }
    let mut unanswerable = Vec::new();
    for file in ["queries_noanswer.jsonl", "queries_adversarial.jsonl"] {
        if folder.join(file).exists() {
            unanswerable.extend(lines(&folder.join(file)));
        }
    }
    let unanswerable = spread(unanswerable, options.sample);
    let mut silent = 0;
    for question in &unanswerable {
        let answer = asked.ask(question["text"].as_str().unwrap()).await;
        silent += usize::from(is_refusal(&answer));
        if options.show && !is_refusal(&answer) {
            println!("nothing answers | {} | {}", question["text"], answer["message"]);
        }
    }
    let share =
        |count: usize, of: usize| if of == 0 { "–".into() } else { format!("{:.3}", count as f64 / of as f64) };
    let all = questions.len();
    let shares = [exact, first, anywhere, refused, honest].map(|count| share(count, all)).join(" | ");
    let seconds = started.elapsed().as_secs();
    println!("| {name} | {all} | {shares} | {} | {seconds} |", share(silent, unanswerable.len()));
    drop(asked);
    drop(entered);
    instance.app.close().await;
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// `count` of `all` at even distances.
fn spread<T>(all: Vec<T>, count: usize) -> Vec<T> {
    let (from, count) = (all.len(), count.min(all.len()).max(1));
    let taken = |place: usize| (place * count).div_ceil(from) * from / count == place;
    all.into_iter().enumerate().filter(|(place, _)| taken(*place)).map(|(_, one)| one).collect()
}

fn questions(folder: &Path) -> Vec<Question> {
    let mut documents: HashMap<String, Vec<String>> = HashMap::new();
    for line in std::fs::read_to_string(folder.join("qrels.tsv")).unwrap().lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        if fields[2].parse::<f64>().unwrap() > 0.0 {
            documents.entry(fields[0].to_owned()).or_default().push(fields[1].to_owned());
        }
    }
    let id = |row: &Value| row["_id"].as_str().unwrap().to_owned();
    let strings = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    // An answer is a text, or an object with all the values that belong to it.
    let answers = |row: &Value| -> Vec<Vec<String>> {
        let each = row["answers"].as_array().unwrap().iter();
        each.map(|answer| answer.as_str().map_or_else(|| strings(&answer["values"]), |text| vec![text.into()]))
            .collect()
    };
    let mut known: HashMap<String, Vec<Vec<String>>> =
        lines(&folder.join("answers.jsonl")).iter().map(|row| (id(row), answers(row))).collect();
    let questions = lines(&folder.join("queries.jsonl")).into_iter().filter_map(|row| {
        let answers = known.remove(&id(&row))?;
        let documents = documents.remove(&id(&row))?;
        Some(Question { text: row["text"].as_str().unwrap().to_owned(), answers, documents })
    });
    questions.collect()
}

impl Question {
    fn is_answered_by(&self, sentences: &[String]) -> bool {
        let told = normalised(&sentences.join(" "));
        let holds = |value: &String| {
            let value = normalised(value);
            !value.is_empty() && told.windows(value.len()).any(|window| window == value)
        };
        self.answers.iter().any(|values| !values.is_empty() && values.iter().all(holds))
    }
}

/// As SQuAD compares answers: without case, punctuation and articles. Of a script without spaces each sign is a word.
fn normalised(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in text.chars() {
        if text::is_unspaced(c) {
            words.extend([c.to_string(), String::new()]);
        } else if c.is_alphanumeric() {
            words.last_mut().unwrap().extend(c.to_lowercase());
        } else {
            words.push(String::new());
        }
    }
    words.retain(|word| !word.is_empty() && !["a", "an", "the"].contains(&word.as_str()));
    words
}

/// The sentences of a message. What stands before a marker and after it are never one.
fn sentences(answer: &Value) -> Vec<String> {
    let mut parts = vec![answer["message"].as_str().unwrap().to_owned()];
    for marker in answer["citations"].as_array().unwrap().iter().map(|citation| format!("[{}]", citation["marker"])) {
        parts = parts.iter().flat_map(|part| part.split(&marker)).map(|part| part.trim().to_owned()).collect();
    }
    parts.iter().flat_map(|part| text::sentences(part).into_iter().map(|range| part[range].to_owned())).collect()
}

fn is_refusal(answer: &Value) -> bool {
    answer["citations"].as_array().unwrap().is_empty()
}

async fn facts_read(entered: &Access) {
    while entered.workspace.stats().unwrap().facts_pending > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An agent that is asked as clients ask it.
struct Asked {
    router: axum::Router,
    token: String,
    path: String,
    agent: Value,
}

impl Asked {
    async fn new(instance: &Instance, entered: &Access) -> Self {
        let path = format!("/v1/workspaces/{}", entered.workspace.id());
        let token = instance.app.local_token.clone();
        let mut asked = Asked { router: api::router(instance.app.clone()), token, path, agent: Value::Null };
        let agent = asked.send(Method::POST, "/agents", &json!({"name": "Bench", "slug": "bench"})).await;
        asked.agent = agent["id"].clone();
        asked
    }

    async fn ask(&self, question: &str) -> Value {
        self.send(Method::POST, "/chat", &json!({"agent_id": self.agent, "query": question})).await
    }

    async fn remove(&self, document: Uuid) {
        self.send(Method::DELETE, &format!("/documents/{document}"), &Value::Null).await;
    }

    async fn send(&self, method: Method, rest: &str, body: &Value) -> Value {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{rest}", self.path))
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let reply = self.router.clone().oneshot(request).await.unwrap();
        let status = reply.status();
        let bytes = axum::body::to_bytes(reply.into_body(), LONGEST).await.unwrap();
        assert!(status.is_success(), "{rest}: {status} {}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).unwrap()
    }
}
