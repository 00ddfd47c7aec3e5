//! How well search ranks, on retrieval sets with judgments: nDCG@10 of each leg, of reciprocal rank fusion and of
//! the product's own hybrid search without the graph and with it, and the recall of the last two, all from one run over
//! the same stored workspace.
//!
//! `cargo bench --bench retrieval -- DIRECTORY [SET…]`: each set is a folder in BEIR's form (`corpus.jsonl`,
//! `queries.jsonl`, `qrels.tsv`). With `--dump FILE` the legs' rankings are written there, a line a query; with
//! `--chunk TOKENS` documents are cut into pieces of that size.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use carrel::auth::{Access, Permission, Principal};
use carrel::config::Config;
use carrel::evaluation::metrics::{self, Judged};
use carrel::search::{self, SearchRequest, SearchType};
use serde_json::{Value, json};

#[path = "instance.rs"]
#[allow(dead_code, reason = "others start on a directory that goes with them")]
mod instance;

use instance::Instance;

/// Candidates that a leg is asked for.
const DEPTH: usize = 100;
/// The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009).
const RRF: f64 = 60.0;
/// Figures of a set: nDCG of the legs, of their fusion, of hybrid search without the graph and with it; recall of both.
const FIGURES: usize = 7;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench").peekable();
    let Some(root) = arguments.next().map(PathBuf::from) else {
        println!("name a directory with retrieval sets; benches/README.md says where to get some");
        return;
    };
    let (mut dump, mut chunk) = (None, None);
    let mut sets: Vec<String> = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--dump" => dump = arguments.next().map(|path| std::fs::File::create(path).unwrap()),
            "--chunk" => chunk = arguments.next().map(|tokens| tokens.parse().unwrap()),
            _ => sets.push(argument),
        }
    }
    if sets.is_empty() {
        let folders = std::fs::read_dir(&root).unwrap().flatten().filter(|f| f.path().join("qrels.tsv").exists());
        sets = folders.filter_map(|folder| folder.file_name().into_string().ok()).collect();
        sets.sort();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!(
        "| set | queries | vector | fulltext | RRF | hybrid without graph | hybrid | recall@10 without | recall@10 |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut sums = [0.0; FIGURES];
    for set in &sets {
        let scores = runtime.block_on(measure(&root.join(set), set, chunk, dump.as_mut()));
        sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score);
    }
    row("mean", "", sums.map(|sum| sum / sets.len() as f64));
}

fn row(name: &str, queries: &str, figures: [f64; FIGURES]) {
    println!("| {name} | {queries} | {} |", figures.map(|figure| format!("{figure:.4}")).join(" | "));
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn measure(
    folder: &Path,
    name: &str,
    chunk: Option<usize>,
    mut dump: Option<&mut std::fs::File>,
) -> [f64; FIGURES] {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let chunks = |config: &mut Config| config.ingest.chunk_tokens = chunk.unwrap_or(config.ingest.chunk_tokens);
    let queries = queries(folder);
    let mut sums = [0.0; FIGURES];
    let id = {
        let instance = Instance::at(&data, |config| {
            chunks(config);
            config.graph.entities = 0;
        });
        let language = name.strip_prefix("xquad_").and_then(|rest| rest.split('_').next()).unwrap_or("en");
        let entered = instance.workspace(language);
        instance.fill(&entered, documents(folder)).await;
        for query in &queries {
            let found = figures(&run(&instance, &entered, &query.text, SearchType::Hybrid, 50), &query.judged);
            (sums[3], sums[5]) = (sums[3] + found.0, sums[5] + found.1);
        }
        let id = entered.workspace.id();
        drop(entered);
        instance.app.close().await;
        id
    };
    // The same again, with the graph, which is read behind the documents.
    let instance = Instance::at(&data, chunks);
    let entered = instance.app.auth.enter(&Principal::InstanceAdmin, Permission::Search, id).unwrap();
    while entered.workspace.stats().unwrap().facts_pending > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for query in &queries {
        let run = |search_type, limit| run(&instance, &entered, &query.text, search_type, limit);
        let (vector, fulltext) = (run(SearchType::Vector, DEPTH), run(SearchType::Fulltext, DEPTH));
        let hybrid = run(SearchType::Hybrid, 50);
        let fused = reciprocal_ranks(&[&vector, &fulltext]);
        for (place, ranking) in [(0, &vector), (1, &fulltext), (2, &fused), (4, &hybrid)] {
            sums[place] += figures(ranking, &query.judged).0;
        }
        sums[6] += figures(&hybrid, &query.judged).1;
        if let Some(file) = dump.as_deref_mut() {
            let line = json!({"set": name, "query": query.id, "text": query.text, "vector": vector, "fulltext": fulltext, "judged": query.judged});
            writeln!(file, "{line}").unwrap();
        }
    }
    drop(entered);
    instance.app.close().await;
    let mean = sums.map(|sum| sum / queries.len() as f64);
    row(name, &queries.len().to_string(), mean);
    mean
}

struct Query {
    id: String,
    text: String,
    judged: HashMap<String, f64>,
}

fn queries(folder: &Path) -> Vec<Query> {
    let mut judgments: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for line in std::fs::read_to_string(folder.join("qrels.tsv")).unwrap().lines().skip(1) {
        let mut fields = line.split('\t');
        let (query, document) = (fields.next().unwrap().to_owned(), fields.next().unwrap().to_owned());
        judgments.entry(query).or_default().insert(document, fields.next().unwrap().parse().unwrap());
    }
    let queries = lines(&folder.join("queries.jsonl")).into_iter().filter_map(|query| {
        let id = query["_id"].as_str().unwrap().to_owned();
        Some(Query { judged: judgments.remove(&id)?, text: query["text"].as_str().unwrap().to_owned(), id })
    });
    queries.collect()
}

/// Documents `(source, title, text)`.
fn documents(folder: &Path) -> impl Iterator<Item = (String, String, String)> {
    let documents = lines(&folder.join("corpus.jsonl")).into_iter().map(|document| {
        // One set has stray NULs, which no text document may hold.
        let text = |field: &str| document[field].as_str().unwrap_or_default().replace('\0', " ");
        (text("_id"), text("title"), text("text"))
    });
    documents.filter(|(_, _, text)| !text.trim().is_empty())
}

fn run(
    instance: &Instance,
    entered: &Access,
    query: &str,
    search_type: SearchType,
    limit: usize,
) -> Vec<(String, f64)> {
    let embedder = instance.app.embedder(&entered.workspace).unwrap();
    let request = SearchRequest { query: query.to_owned(), search_type, limit, ..SearchRequest::default() };
    let found = search::search(&entered.workspace, embedder.as_ref(), &request).unwrap();
    by_document(found.hits.into_iter().map(|hit| (hit.located.source, f64::from(hit.score))))
}

/// A document is as good as its best chunk.
fn by_document(hits: impl Iterator<Item = (String, f64)>) -> Vec<(String, f64)> {
    let mut ranking: Vec<(String, f64)> = Vec::new();
    for (document, score) in hits {
        if !ranking.iter().any(|(seen, _)| *seen == document) {
            ranking.push((document, score));
        }
    }
    ranking
}

fn reciprocal_ranks(rankings: &[&Vec<(String, f64)>]) -> Vec<(String, f64)> {
    let mut scores: HashMap<&str, f64> = HashMap::new();
    for ranking in rankings {
        for (rank, (document, _)) in ranking.iter().enumerate() {
            *scores.entry(document).or_default() += 1.0 / (RRF + rank as f64 + 1.0);
        }
    }
    let mut fused: Vec<(String, f64)> =
        scores.into_iter().map(|(document, score)| (document.to_owned(), score)).collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    fused
}

/// nDCG@10 and recall@10 of a ranking, gains as judged.
fn figures(ranking: &[(String, f64)], judged: &HashMap<String, f64>) -> (f64, f64) {
    let wanted = judged.iter().filter(|(_, grade)| **grade > 0.0);
    let judged: Vec<Judged> = wanted
        .map(|(document, grade)| {
            let place = ranking.iter().position(|(found, _)| found == document).map(|at| at + 1);
            Judged { grade: *grade, place }
        })
        .collect();
    let figures = metrics::figures(&judged, 10);
    (figures.ndcg, figures.recall)
}
