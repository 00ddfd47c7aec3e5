//! How fast it is and what it takes, as ratios to a baseline of the same run.
//!
//! `cargo bench --bench speed [-- CHUNKS…]` (10000 and 100000 unless told otherwise). Texts are generated from a seed.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use carrel::auth::Access;
use carrel::embed::{Embedder, ModelInfo, Purpose};
use carrel::error::Result;
use carrel::search::{self, SearchRequest, SearchType};
use carrel::workspace::Probe;

#[path = "instance.rs"]
mod instance;

use instance::Instance;

/// Words that texts are made of: enough that rare and frequent ones differ as in real text.
const WORDS: usize = 20_000;
const QUERIES: usize = 200;

fn main() {
    let given: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if given.is_empty() { vec![10_000, 100_000] } else { given };
    println!("start to first readiness (release binary, empty directory): {:.0} ms", start_up().as_secs_f64() * 1e3);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure(&sizes));
}

/// From the start of the process to its line that it listens, on a directory that it has to make.
fn start_up() -> Duration {
    let home = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_carrel"))
        .args(["serve", "--listen", "127.0.0.1:0", "--log-filter", "error"])
        .current_dir(home.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.map_while(|line| line.ok()).find(|line| line.starts_with("listening")).unwrap();
    let took = started.elapsed();
    println!("resident, idle after the start: {} MB", resident(child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    took
}

/// Resident memory of a process in MB, where the system tells.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// A small generator (SplitMix64), so that every run has the same texts.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A word; low numbers are frequent, as Zipf has it.
    fn word(&mut self) -> String {
        let uniform = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        let rank = (WORDS as f64).powf(uniform) as usize;
        let syllables =
            ["ba", "ko", "ri", "ten", "mu", "sal", "vo", "de", "lin", "par", "gu", "ho", "fa", "nes", "ti", "wor"];
        (0..3).map(|place| syllables[(rank >> (place * 4)) & 15]).collect::<String>() + syllables[rank % 13]
    }

    fn text(&mut self, words: usize) -> String {
        let words: Vec<String> = (0..words).map(|_| self.word()).collect();
        words.join(" ") + "."
    }
}

async fn measure(sizes: &[usize]) {
    let instance = Instance::start();
    let access = instance.workspace("en");
    let mut random = Random(7);
    ingest(&instance, &mut random).await;
    let mut filled = 0;
    for &size in sizes {
        let texts: Vec<String> = (filled..size).map(|_| random.text(12)).collect();
        let documents =
            texts.into_iter().enumerate().map(|(n, text)| (format!("d{}", filled + n), "t".to_owned(), text));
        instance.fill(&access, documents).await;
        filled = size;
        queries(&instance, &access, size, &mut random);
    }
}

/// End-to-end ingestion against the embedder alone on the very same texts.
async fn ingest(instance: &Instance, random: &mut Random) {
    let texts: Vec<String> = (0..2_000).map(|_| random.text(45)).collect();
    let model = instance.app.models.default_model();
    let tokens: usize = texts.iter().map(|text| model.count_tokens(text)).sum();
    let raw: Vec<&str> = texts.iter().map(String::as_str).collect();
    let started = Instant::now();
    model.embed(&raw, Purpose::Passage).unwrap();
    let embedding = started.elapsed().as_secs_f64();
    let access = instance.workspace("en");
    let documents = texts.iter().enumerate().map(|(n, text)| (format!("s{n}"), "t".to_owned(), text.clone()));
    let started = Instant::now();
    instance.fill(&access, documents).await;
    let whole = started.elapsed().as_secs_f64();
    let rate = |seconds: f64| texts.len() as f64 / seconds;
    println!(
        "ingest, {} passages of {} tokens: embedder alone {:.0}/s, end to end {:.0}/s, ratio {:.2}",
        texts.len(),
        tokens / texts.len(),
        rate(embedding),
        rate(whole),
        embedding / whole
    );
}

/// Answers every query with one vector that is known beforehand.
struct Known<'a> {
    inner: &'a dyn Embedder,
    vector: Vec<f32>,
}

impl Embedder for Known<'_> {
    fn model(&self) -> &ModelInfo {
        self.inner.model()
    }

    fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>> {
        Ok(vec![self.vector.clone(); texts.len()])
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.inner.count_tokens(text)
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.inner.token_offsets(text)
    }
}

fn queries(instance: &Instance, access: &Access, size: usize, random: &mut Random) {
    let embedder = instance.app.embedder(&access.workspace).unwrap();
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..QUERIES {
        let query = random.text(5);
        let vector = embedder.embed(&[&query], Purpose::Query).unwrap().pop().unwrap();
        let run = |embedder: &dyn Embedder, search_type| {
            let request = SearchRequest { query: query.clone(), search_type, limit: 10, ..SearchRequest::default() };
            let started = Instant::now();
            search::search(&access.workspace, embedder, &request).unwrap();
            started.elapsed().as_secs_f64() * 1e3
        };
        let known = Known { inner: embedder.as_ref(), vector: vector.clone() };
        times[0].push(run(&known, SearchType::Hybrid));
        times[1].push(run(embedder.as_ref(), SearchType::Hybrid));
        times[2].push(run(&known, SearchType::Fulltext));
        let started = Instant::now();
        let probe = Probe { model: &embedder.model().sha256, vector: &vector };
        access.workspace.nearest_chunks_exactly(probe, 10).unwrap();
        times[3].push(started.elapsed().as_secs_f64() * 1e3);
    }
    let mut at = |place: usize, quantile: f64| {
        times[place].sort_by(f64::total_cmp);
        times[place][((QUERIES - 1) as f64 * quantile) as usize]
    };
    let (scan, hybrid) = (at(3, 0.5), at(0, 0.5));
    println!(
        "{size} chunks: hybrid p50 {hybrid:.1} p99 {:.1} ms; with the query's embedding p50 {:.1} p99 {:.1} ms; \
         full-text p50 {:.1} ms; sqlite-vec scan alone p50 {scan:.1} ms; hybrid/scan {:.2}; resident {} MB",
        at(0, 0.99),
        at(1, 0.5),
        at(1, 0.99),
        at(2, 0.5),
        hybrid / scan,
        resident(std::process::id())
    );
}
