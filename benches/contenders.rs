//! The two contenders of the side-by-side that are asked from here: ours, and SQLite with FTS5 and sqlite-vec.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

use carrel::auth::{Access, Permission, Principal};
use carrel::search::SearchType;
use carrel::workspace::Probe;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::K;
use crate::corpus::{Corpus, Query};
use crate::instance::Instance;
use crate::measure::{Times, process_time, resident, size_of};
use crate::store::{ask, store};

/// Candidates of each leg that are fused, and the constant of reciprocal rank fusion.
const DEPTH: usize = 60;
const RRF: f64 = 60.0;

/// Carries out one phase and prints what it came to as JSON.
pub fn run(name: &str, phase: &str, directory: &Path) {
    let told = match (name, phase) {
        ("carrel", "build") => build(directory, build_ours),
        ("carrel", _) => ask_ours(directory),
        ("sqlite", "build") => build(directory, build_sqlite),
        (_, _) => ask_sqlite(directory),
    };
    println!("{told}");
}

fn build(directory: &Path, build: impl FnOnce(&Path, Corpus) -> (f64, f64)) -> Value {
    let (processor, wall) = build(directory, Corpus::of(read(directory, "texts", "vectors")));
    json!({"processor": processor, "wall": wall})
}

fn read(directory: &Path, texts: &str, vectors: &str) -> Vec<Query> {
    let file = std::fs::File::open(directory.join(texts).with_extension("jsonl")).unwrap();
    let texts = BufReader::new(file).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    texts
        .zip(array(&directory.join(vectors).with_extension("npy")))
        .map(|(text, vector)| Query { text, vector })
        .collect()
}

/// The rows of a file that `side_by_side.rs` wrote.
fn array(path: &Path) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(path).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[10..start]);
    let width: usize = header.split(", ").filter_map(|part| part.strip_suffix(')')?.parse().ok()).next().unwrap();
    let numbers = bytes[start..].as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number));
    numbers.collect::<Vec<f32>>().chunks(width).map(<[f32]>::to_vec).collect()
}

/// Seconds of processor time and on the wall.
fn timed(work: impl FnOnce()) -> (f64, f64) {
    let (started, processor) = (Instant::now(), process_time());
    work();
    ((process_time() - processor).as_secs_f64(), started.elapsed().as_secs_f64())
}

/// Asks everything, and puts together what is told of it. `words` and `hybrid` read the passages that they find.
fn questions(
    directory: &Path,
    place: &Path,
    nearest: impl Fn(&Query) -> Vec<usize>,
    words: impl Fn(&Query) -> usize,
    hybrid: impl Fn(&Query) -> usize,
) -> Value {
    let queries = read(directory, "queries", "queries");
    let truth = array(&directory.join("truth.npy"));
    let (mut by_vector, mut by_words, mut by_both) = (Times::default(), Times::default(), Times::default());
    let mut recall = 0.0;
    // The first question of each kind finds nothing at hand, and is not counted.
    nearest(&queries[0]);
    words(&queries[0]);
    hybrid(&queries[0]);
    for (query, truth) in queries.iter().zip(&truth) {
        let found = by_vector.of(|| nearest(query));
        recall += truth.iter().filter(|number| found.contains(&(**number as usize))).count() as f64;
    }
    for query in &queries {
        by_words.of(|| words(query));
    }
    for query in &queries {
        by_both.of(|| hybrid(query));
    }
    let told = |times: &Times| json!({"processor": times.processor(0.5), "wall": times.wall(0.5)});
    json!({
        "recall": recall / (K * queries.len()) as f64,
        "vector": told(&by_vector), "text": told(&by_words), "hybrid": told(&by_both),
        "bytes": size_of(place), "resident": resident(),
    })
}

fn build_ours(directory: &Path, corpus: Corpus) -> (f64, f64) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _context = runtime.enter();
    let instance = Instance::at(&directory.join("carrel"), |_| {});
    let access = instance.workspace("en");
    std::fs::write(directory.join("carrel.id"), access.workspace.id().to_string()).unwrap();
    let chunks = corpus.distinct();
    let took = timed(|| {
        store(&instance, &access, &corpus, 0, chunks);
        assert!(access.workspace.checkpoint().unwrap());
    });
    drop(access);
    instance.app.tenancy.close();
    took
}

fn ask_ours(directory: &Path) -> Value {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _context = runtime.enter();
    let instance = Instance::at(&directory.join("carrel"), |_| {});
    let id = std::fs::read_to_string(directory.join("carrel.id")).unwrap().parse().unwrap();
    let access: Access = instance.app.auth.enter(&Principal::InstanceAdmin, Permission::Search, id).unwrap();
    let embedder = instance.app.embedder(&access.workspace).unwrap();
    let embedder = embedder.as_ref();
    let model = access.workspace.model().sha256;
    let nearest = |query: &Query| {
        let probe = Probe { model: &model, vector: &query.vector };
        let found = access.workspace.nearest_chunks(probe, K, None).unwrap();
        // Chunks are numbered from 1 in the order that they were stored in.
        found.into_iter().map(|(number, _)| number as usize - 1).collect()
    };
    let search = |query: &Query, kind| ask(&access, embedder, query, kind, true).hits.len();
    questions(
        directory,
        &instance.app.directory.workspaces().join(access.workspace.id().to_string()),
        nearest,
        |query| search(query, SearchType::Fulltext),
        |query| search(query, SearchType::Hybrid),
    )
}

fn open_sqlite(directory: &Path) -> Connection {
    // Registers sqlite-vec for every connection of the process.
    drop(carrel::sqlite::Database::open(&directory.join("none.db"), &[], carrel::sqlite::Access::Write).unwrap());
    let db = Connection::open(directory.join("sqlite.db")).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").unwrap();
    db
}

fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn build_sqlite(directory: &Path, corpus: Corpus) -> (f64, f64) {
    let mut db = open_sqlite(directory);
    let dimension = corpus.passage(0).1.len();
    db.execute_batch(&format!(
        "CREATE TABLE passages (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
         CREATE VIRTUAL TABLE words USING fts5(text, content='passages', content_rowid='id', tokenize='porter unicode61');
         CREATE VIRTUAL TABLE vectors USING vec0(embedding float[{dimension}] distance_metric=cosine);"
    ))
    .unwrap();
    timed(|| {
        let all: Vec<usize> = (0..corpus.distinct()).collect();
        for part in all.chunks(5_000) {
            let transaction = db.transaction().unwrap();
            for number in part {
                let (text, vector) = corpus.passage(*number);
                let id = *number as i64 + 1;
                let insert = |sql: &str, value: &dyn rusqlite::ToSql| {
                    transaction.prepare_cached(sql).unwrap().execute((id, value)).unwrap();
                };
                insert("INSERT INTO passages VALUES (?1, ?2)", &text);
                insert("INSERT INTO words (rowid, text) VALUES (?1, ?2)", &text);
                insert("INSERT INTO vectors (rowid, embedding) VALUES (?1, ?2)", &bytes(&vector));
            }
            transaction.commit().unwrap();
        }
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    })
}

fn ask_sqlite(directory: &Path) -> Value {
    let db = open_sqlite(directory);
    let by_vector = |query: &Query, limit: usize| -> Vec<usize> {
        let sql = "SELECT rowid FROM vectors WHERE embedding MATCH ?1 AND k = ?2 ORDER BY distance";
        let mut found = db.prepare_cached(sql).unwrap();
        let rows = found.query_map((bytes(&query.vector), limit as i64), |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let by_words = |query: &Query, limit: usize| -> Vec<usize> {
        let words: Vec<String> = query
            .text
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| format!("\"{word}\""))
            .collect();
        let sql = "SELECT rowid FROM words WHERE words MATCH ?1 ORDER BY bm25(words) LIMIT ?2";
        let mut found = db.prepare_cached(sql).unwrap();
        let rows = found.query_map((words.join(" OR "), limit as i64), |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let texts = |ids: &[usize]| {
        let mut text = db.prepare_cached("SELECT text FROM passages WHERE id = ?1").unwrap();
        ids.iter().map(|id| text.query_row([*id as i64], |row| row.get::<_, String>(0)).unwrap().len()).sum::<usize>()
    };
    let hybrid = |query: &Query| {
        let mut scores: HashMap<usize, f64> = HashMap::new();
        for ranking in [by_vector(query, DEPTH), by_words(query, DEPTH)] {
            for (rank, id) in ranking.into_iter().enumerate() {
                *scores.entry(id).or_default() += 1.0 / (RRF + rank as f64 + 1.0);
            }
        }
        let mut fused: Vec<(usize, f64)> = scores.into_iter().collect();
        fused.sort_by(|a, b| b.1.total_cmp(&a.1));
        let best: Vec<usize> = fused.into_iter().take(K).map(|(id, _)| id).collect();
        texts(&best)
    };
    questions(
        directory,
        &directory.join("sqlite.db"),
        |query| by_vector(query, K).into_iter().map(|id| id - 1).collect(),
        |query| texts(&by_words(query, K)),
        hybrid,
    )
}
