//! How well search ranks, on retrieval sets with judgments: nDCG@10 of each leg, of reciprocal rank fusion and of
//! the product's own hybrid search, all from one run over the same stored workspace.
//!
//! `cargo bench --bench retrieval -- DIRECTORY [SET…]`: each set is a folder in BEIR's form (`corpus.jsonl`,
//! `queries.jsonl`, `qrels.tsv`). With `--dump FILE` the legs' rankings are written there, a line a query; with
//! `--chunk TOKENS` documents are cut into pieces of that size.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use carrel::evaluation::metrics::{self, Judged};
use carrel::search::{self, SearchRequest, SearchType};
use serde_json::{Value, json};

#[path = "instance.rs"]
mod instance;

use instance::Instance;

/// Candidates that a leg is asked for.
const DEPTH: usize = 100;
/// The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009).
const RRF: f64 = 60.0;

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
    println!("| set | queries | vector | fulltext | RRF | hybrid |\n| --- | --- | --- | --- | --- | --- |");
    let mut sums = [0.0; 4];
    for set in &sets {
        let scores = runtime.block_on(measure(&root.join(set), set, chunk, dump.as_mut()));
        sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score);
    }
    let mean = sums.map(|sum| sum / sets.len() as f64);
    println!("| mean | | {:.4} | {:.4} | {:.4} | {:.4} |", mean[0], mean[1], mean[2], mean[3]);
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn measure(folder: &Path, name: &str, chunk: Option<usize>, mut dump: Option<&mut std::fs::File>) -> [f64; 4] {
    let instance = Instance::start(|config| config.ingest.chunk_tokens = chunk.unwrap_or(config.ingest.chunk_tokens));
    let language = name.strip_prefix("xquad_").and_then(|rest| rest.split('_').next()).unwrap_or("en");
    let workspace = instance.workspace(language);
    let corpus = lines(&folder.join("corpus.jsonl"));
    let documents = corpus.iter().map(|document| {
        // One set has stray NULs, which no text document may hold.
        let text = |field: &str| document[field].as_str().unwrap_or_default().replace('\0', " ");
        (text("_id"), text("title"), text("text"))
    });
    instance.fill(&workspace, documents.filter(|(_, _, text)| !text.trim().is_empty())).await;
    let embedder = instance.app.embedder(&workspace.workspace).unwrap();
    // The graph is a leg, and is read behind the documents.
    while workspace.workspace.stats().unwrap().facts_pending > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    let mut judgments: HashMap<String, HashMap<String, f64>> = HashMap::new();
    for line in std::fs::read_to_string(folder.join("qrels.tsv")).unwrap().lines().skip(1) {
        let mut fields = line.split('\t');
        let (query, document) = (fields.next().unwrap().to_owned(), fields.next().unwrap().to_owned());
        judgments.entry(query).or_default().insert(document, fields.next().unwrap().parse().unwrap());
    }
    let mut sums = [0.0; 4];
    let mut count = 0;
    for query in lines(&folder.join("queries.jsonl")) {
        let id = query["_id"].as_str().unwrap().to_owned();
        let Some(judged) = judgments.get(&id) else { continue };
        let run = |search_type, limit| {
            let query = query["text"].as_str().unwrap().to_owned();
            let request = SearchRequest { query, search_type, limit, ..SearchRequest::default() };
            let found = search::search(&workspace.workspace, embedder.as_ref(), &request).unwrap();
            by_document(found.hits.into_iter().map(|hit| (hit.located.source, f64::from(hit.score))))
        };
        let (vector, fulltext) = (run(SearchType::Vector, DEPTH), run(SearchType::Fulltext, DEPTH));
        let hybrid = run(SearchType::Hybrid, 50);
        let fused = reciprocal_ranks(&[&vector, &fulltext]);
        for (sum, ranking) in sums.iter_mut().zip([&vector, &fulltext, &fused, &hybrid]) {
            *sum += ndcg(ranking, judged);
        }
        count += 1;
        if let Some(file) = dump.as_deref_mut() {
            let line = json!({"set": name, "query": id, "text": query["text"], "vector": vector, "fulltext": fulltext, "judged": judged});
            writeln!(file, "{line}").unwrap();
        }
    }
    let mean = sums.map(|sum| sum / f64::from(count));
    println!("| {name} | {count} | {:.4} | {:.4} | {:.4} | {:.4} |", mean[0], mean[1], mean[2], mean[3]);
    mean
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

/// nDCG@10 of a ranking, gains as judged.
fn ndcg(ranking: &[(String, f64)], judged: &HashMap<String, f64>) -> f64 {
    let wanted = judged.iter().filter(|(_, grade)| **grade > 0.0);
    let judged: Vec<Judged> = wanted
        .map(|(document, grade)| {
            let place = ranking.iter().position(|(found, _)| found == document).map(|at| at + 1);
            Judged { grade: *grade, place }
        })
        .collect();
    metrics::figures(&judged, 10).ndcg
}
