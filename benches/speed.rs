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
use carrel::workspace::{Probe, in_context};

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
    let instance = Instance::start(|_| {});
    let access = instance.workspace("en");
    let mut random = Random(7);
    ingest(&instance, &mut random).await;
    search_during_ingest(&instance, &mut random).await;
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

/// End-to-end ingestion against the embedder alone, all its sessions busy, on the very same texts: of documents of one
/// passage, of short ones, and of a few long ones.
async fn ingest(instance: &Instance, random: &mut Random) {
    for (documents, passages, words) in [(2_000, 1, 45), (10_000, 1, 8), (4, 500, 45)] {
        let mut texts = || (0..passages).map(|_| random.text(words)).collect::<Vec<_>>();
        let documents: Vec<Vec<String>> = (0..documents).map(|_| texts()).collect();
        let embedded: Vec<String> = documents.iter().flatten().map(|text| in_context("t", &[], text)).collect();
        let model = instance.app.models.default_model();
        let tokens: usize = embedded.iter().map(|text| model.count_tokens(text)).sum();
        let embedded: Vec<&str> = embedded.iter().map(String::as_str).collect();
        // Half before and half after, so that both see the same machine.
        let (before, after) = embedded.split_at(embedded.len() / 2);
        let (mut alone, mut whole) = (Spent::default(), Spent::default());
        alone.on(|| model.embed(before, Purpose::Passage).unwrap());
        let access = instance.workspace("en");
        let numbered =
            documents.iter().enumerate().map(|(n, texts)| (format!("s{n}"), "t".to_owned(), texts.join("\n\n")));
        let started = Spent::now();
        instance.fill(&access, numbered).await;
        whole.add(started);
        alone.on(|| model.embed(after, Purpose::Passage).unwrap());
        assert_eq!(access.workspace.stats().unwrap().chunks, embedded.len() as u64);
        println!(
            "ingest, {} documents, {} passages of {} tokens: embedder alone {:.0}/s, end to end {:.0}/s, ratio {:.2}; \
             ratio of processor time {:.2}",
            documents.len(),
            embedded.len(),
            tokens / embedded.len(),
            embedded.len() as f64 / alone.seconds,
            embedded.len() as f64 / whole.seconds,
            alone.seconds / whole.seconds,
            alone.processor / whole.processor
        );
    }
}

/// Time that passed, and time that this process had a processor.
#[derive(Clone, Copy, Default)]
struct Spent {
    seconds: f64,
    processor: f64,
}

impl Spent {
    fn now() -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        // Clock ticks of a hundredth of a second, where the system tells.
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let ticks = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        Spent { seconds: now.as_secs_f64(), processor: ticks / 100.0 }
    }

    fn add(&mut self, since: Spent) {
        let now = Spent::now();
        self.seconds += now.seconds - since.seconds;
        self.processor += now.processor - since.processor;
    }

    fn on<T>(&mut self, work: impl FnOnce() -> T) {
        let started = Spent::now();
        work();
        self.add(started);
    }
}

/// Searches of a workspace at rest and while a job fills it.
async fn search_during_ingest(instance: &Instance, random: &mut Random) {
    let access = instance.workspace("en");
    let mut documents = |from: usize, to: usize, words: usize| -> Vec<(String, String, String)> {
        (from..to).map(|n| (format!("d{n}"), "t".to_owned(), random.text(words))).collect()
    };
    let (first, more) = (documents(0, 2_000, 8), documents(2_000, 6_000, 45));
    instance.fill(&access, first.into_iter()).await;
    let embedder = instance.app.embedder(&access.workspace).unwrap();
    let mut random = Random(11);
    let mut searched = |count: usize| -> Vec<f64> {
        let search = |_| {
            let request = SearchRequest { query: random.text(5), limit: 10, ..SearchRequest::default() };
            let started = Instant::now();
            search::search(&access.workspace, embedder.as_ref(), &request).unwrap();
            started.elapsed().as_secs_f64() * 1e3
        };
        (0..count).map(search).collect()
    };
    let mut at_rest = searched(300);
    let (_, mut during) = tokio::join!(instance.fill(&access, more.into_iter()), async {
        let during = tokio::task::block_in_place(|| searched(600));
        assert!(access.workspace.stats().unwrap().documents < 6_000, "the job lasted as long as the searches");
        during
    });
    at_rest.extend(searched(300));
    let at = |times: &mut Vec<f64>, quantile: f64| {
        times.sort_by(f64::total_cmp);
        times[((times.len() - 1) as f64 * quantile) as usize]
    };
    let (rest, busy) =
        [0.5, 0.99].map(|q| (at(&mut at_rest, q), at(&mut during, q))).into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    println!(
        "search at rest p50 {:.1} p99 {:.1} ms, during ingest p50 {:.1} p99 {:.1} ms; ratios {:.2} and {:.2}",
        rest[0],
        rest[1],
        busy[0],
        busy[1],
        busy[0] / rest[0],
        busy[1] / rest[1]
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
