//! How well invented sentences are told from those that their passages bear out.
//!
//! `cargo bench --bench grounding -- DIRECTORY` (a folder in BEIR's form with `answers.jsonl`, as `squad_a`). Statements are
//! made of questions with the answer in the place of the question word: with the right one and with the right passage
//! (these should be borne out), with an answer of another passage, and with the best passage that does not answer (these
//! should not). An answer of another question about the same passage is told beside them: its words stand there, so that
//! it is hard to find out.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use carrel::agent::evidence::Evidence;
use carrel::agent::grounding;
use carrel::search::{self, Hit, SearchRequest};
use serde_json::Value;

#[path = "instance.rs"]
mod instance;

use instance::Instance;

/// How questions begin whose answer takes the place of these words.
const BEGINNINGS: [&str; 14] = [
    "How many ",
    "How much ",
    "In what year ",
    "In which year ",
    "What year ",
    "What type of ",
    "What kind of ",
    "What is ",
    "What was ",
    "Who ",
    "When ",
    "Where ",
    "Which ",
    "What ",
];

fn main() {
    let Some(set) = std::env::args().skip(1).find(|argument| argument != "--bench").map(PathBuf::from) else {
        println!("name a set of questions with answers; benches/README.md says where to get one");
        return;
    };
    tokio::runtime::Runtime::new().unwrap().block_on(measure(&set));
}

struct Question {
    text: String,
    answer: String,
    document: String,
}

async fn measure(set: &Path) {
    let instance = Instance::start(|config| config.log.filter = "error".into());
    let access = instance.workspace("en");
    let documents = lines(&set.join("corpus.jsonl")).into_iter().map(|row| {
        let field = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        (field("_id"), field("title"), field("text"))
    });
    instance.fill(&access, documents).await;
    let questions = questions(set);
    let embedder = instance.app.embedder(&access.workspace).unwrap();
    let fulltext = access.workspace.fulltext();
    let mut counts = [
        ("right answer, right passage", 0, 0),
        ("answer of another passage", 0, 0),
        ("right answer, wrong passage", 0, 0),
        ("another answer of the passage", 0, 0),
    ];
    for (place, question) in questions.iter().enumerate() {
        let request =
            SearchRequest { query: question.text.clone(), is_prose: true, limit: 8, ..SearchRequest::default() };
        let hits = search::search(&access.workspace, embedder.as_ref(), &request).unwrap().hits;
        let of_it = |hit: &Hit| hit.located.source == question.document;
        let right = hits.iter().position(|hit| of_it(hit) && hit.located.chunk.content.contains(&question.answer));
        let wrong = hits.iter().position(|hit| !of_it(hit) && !hit.located.chunk.content.contains(&question.answer));
        let (Some(right), Some(wrong)) = (right, wrong) else { continue };
        let text = hits[right].located.chunk.content.clone();
        let others = questions.iter().cycle().skip(place + 1).take(questions.len());
        let strange = others.clone().find(|other| other.document != question.document && !text.contains(&other.answer));
        let near = others.clone().find(|other| other.document == question.document && other.answer != question.answer);
        let mut evidence = Evidence::default();
        evidence.add(hits);
        let cases = [
            Some((&question.answer, right)),
            strange.map(|other| (&other.answer, right)),
            Some((&question.answer, wrong)),
            near.map(|other| (&other.answer, right)),
        ];
        for (case, count) in cases.into_iter().zip(&mut counts) {
            let Some(claim) = case.and_then(|(answer, passage)| Some((statement(&question.text, answer)?, passage)))
            else {
                continue;
            };
            let (claim, passage) = claim;
            let idf = |terms: &[String]| access.workspace.idf(terms);
            let message = format!("{claim} [1].");
            let verdict =
                grounding::judge(&message, &[passage + 1], &evidence, fulltext.analyzer(), idf, embedder.as_ref())
                    .unwrap();
            count.1 += verdict.supported;
            count.2 += 1;
        }
    }
    println!("| statement | borne out | of |\n| --- | --- | --- |");
    for (name, supported, of) in counts {
        println!("| {name} | {:.3} | {of} |", supported as f64 / of as f64);
    }
    instance.app.close().await;
}

/// The question as a statement with this answer.
fn statement(question: &str, answer: &str) -> Option<String> {
    let beginning = BEGINNINGS.iter().find(|beginning| question.starts_with(*beginning))?;
    Some(format!("{answer} {}", question.strip_prefix(beginning)?.trim_end_matches('?')))
}

fn questions(set: &Path) -> Vec<Question> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let texts: HashMap<String, String> =
        lines(&set.join("queries.jsonl")).iter().map(|row| (text(row, "_id"), text(row, "text"))).collect();
    let judged = std::fs::read_to_string(set.join("qrels.tsv")).unwrap();
    let documents: HashMap<&str, &str> = judged
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once('\t'))
        .map(|(id, rest)| (id, rest.split('\t').next().unwrap_or_default()))
        .collect();
    let answers = lines(&set.join("answers.jsonl")).into_iter().filter_map(|row| {
        let id = text(&row, "_id");
        Some(Question {
            text: texts.get(&id)?.clone(),
            answer: row["answers"][0].as_str()?.to_owned(),
            document: documents.get(id.as_str())?.to_string(),
        })
    });
    answers.collect()
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
