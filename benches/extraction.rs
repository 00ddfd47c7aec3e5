//! Reading documents: how fast for each format, what doing it apart costs, whether hostile files end, and what a
//! large archive takes.
//!
//! `cargo bench --bench extraction -- [DIR…] [--archive MB]`: `DIR`s hold documents (real ones, hostile ones).
//! Without any, documents are made here. Where `expected.jsonl` lies beside a `DIR`, what is not as it says is told. Nothing asserts a time; a figure is told beside its baseline.

use std::fs;
use std::io::{BufRead, BufReader, Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use carrel::extract::{self, Format, Input};
use carrel::sandbox::{Limits, Sandbox};
use uuid::Uuid;
use zip::write::SimpleFileOptions;

#[path = "expected.rs"]
mod expected;
#[path = "random.rs"]
#[allow(dead_code, reason = "others draw vectors, too")]
mod random;

use expected::Expected;
use random::Random;

/// How long each document is read over and over.
const EACH: Duration = Duration::from_millis(1500);
const LIMITS: Limits = Limits { memory: 1 << 30, seconds: 120, at_once: 2 };

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let (mut directories, mut archive) = (Vec::new(), None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--archive" => archive = arguments.next().and_then(|size| size.parse::<usize>().ok()),
            directory => directories.push(PathBuf::from(directory)),
        }
    }
    let (mut documents, mut expected) = (made(), Expected::default());
    for directory in directories {
        expected.add(&directory);
        let mut found: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        found.sort();
        documents.extend(
            found
                .into_iter()
                .filter(|path| path.is_file())
                .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())),
        );
    }
    let sandbox = Sandbox::new(PathBuf::from(env!("CARGO_BIN_EXE_carrel")), LIMITS, None);
    println!("apart: {:?}; a process starts in {:.1} ms", sandbox.confinement().unwrap(), starting(&sandbox));
    println!("| document | bytes | text | MB/s | apart : here | outcome |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for (name, bytes) in &documents {
        row(&sandbox, name, bytes, &expected);
    }
    println!("{} documents have an expectation beside them", expected.count());
    if let Some(megabytes) = archive {
        unpack(megabytes);
    }
}

/// Milliseconds until a process is ready to read.
fn starting(sandbox: &Sandbox) -> f64 {
    let started = Instant::now();
    for _ in 0..20 {
        sandbox.confinement().unwrap();
    }
    started.elapsed().as_secs_f64() * 1e3 / 20.0
}

fn row(sandbox: &Sandbox, name: &str, bytes: &[u8], expected: &Expected) {
    let megabytes = bytes.len() as f64 / 1e6;
    let format = match Format::detect(bytes, Some(name), None) {
        Ok(format) => format,
        Err(fault) => return println!("| {name} | {} | – | – | – | {} |", bytes.len(), fault.kind.code()),
    };
    let input = Input { bytes, format, name: Some(name), charset: None, wants_scans: false };
    let apart = || sandbox.extract(Uuid::nil(), input).unwrap();
    let started = Instant::now();
    let first = apart();
    let once = started.elapsed();
    match first {
        Err(fault) => println!("| {name} | {} | – | – | – | {} after {:.0?} |", bytes.len(), fault.kind.code(), once),
        Ok(found) => {
            let there = seconds(|| drop(apart()));
            // Here, and not apart: only what was read once without harm.
            let here = seconds(|| drop(extract::extract(input)));
            let (text, rate, ratio) = (found.content.len(), megabytes / there, there / here);
            let left_out = match found.warnings.len() {
                0 => String::new(),
                count => format!(", {count} warnings"),
            };
            println!("| {name} | {} | {text} | {rate:.1} | {ratio:.2} | ok{left_out} |", bytes.len());
            expected.misses(name, &found).iter().for_each(|miss| println!("miss: {name} {miss}"));
        }
    }
}

/// Seconds that it takes, on average.
fn seconds(work: impl Fn()) -> f64 {
    let (started, mut times) = (Instant::now(), 0);
    while times == 0 || started.elapsed() < EACH {
        work();
        times += 1;
    }
    started.elapsed().as_secs_f64() / f64::from(times)
}

/// Documents of some size in the formats that can be written with little ado.
fn made() -> Vec<(String, Vec<u8>)> {
    let mut random = Random(3);
    let mut words = |count: usize| -> String {
        (0..count).map(|_| format!("word{} ", random.below(5000))).collect::<String>().trim_end().to_owned()
    };
    let paragraphs: Vec<String> = (0..2000).map(|_| words(60)).collect();
    let rows: Vec<[String; 4]> = (0..10_000).map(|n| [n.to_string(), words(2), words(1), words(3)]).collect();
    let csv: String = rows.iter().map(|row| row.join(",") + "\n").collect();
    let html: String = paragraphs.iter().map(|text| format!("<h2>Part</h2><p>{text}</p>\n")).collect();
    let xml: String = paragraphs.iter().map(|text| format!("<part><text>{text}</text></part>\n")).collect();
    let json = serde_json::to_vec(&paragraphs.iter().map(|text| serde_json::json!({"text": text})).collect::<Vec<_>>());
    let parts: String = paragraphs.iter().map(|text| format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")).collect();
    vec![
        ("made.txt".into(), paragraphs.join("\n\n").into_bytes()),
        ("made.md".into(), paragraphs.join("\n\n## Part\n\n").into_bytes()),
        ("made.html".into(), format!("<html><body>{html}</body></html>").into_bytes()),
        ("made.csv".into(), format!("a,b,c,d\n{csv}").into_bytes()),
        ("made.xml".into(), format!("<?xml version=\"1.0\"?><all>{xml}</all>").into_bytes()),
        ("made.json".into(), json.unwrap()),
        ("made.docx".into(), docx(&parts, &[])),
    ]
}

/// A Word document with a picture.
fn docx(body: &str, picture: &[u8]) -> Vec<u8> {
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut part = |name: &str, content: &[u8]| {
        out.start_file(name, SimpleFileOptions::default()).unwrap();
        out.write_all(content).unwrap();
    };
    part(
        "[Content_Types].xml",
        br#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>"#,
    );
    let namespace = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";
    let document =
        format!("<?xml version=\"1.0\"?><w:document xmlns:w=\"{namespace}\"><w:body>{body}</w:body></w:document>");
    part("word/document.xml", document.as_bytes());
    part("word/media/image1.png", picture);
    out.finish().unwrap().into_inner()
}

/// A running server; killed when dropped.
struct Server {
    child: Child,
    url: String,
    _home: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start() -> Server {
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_carrel"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log-filter", "error"])
            .env("CARREL_ADMIN_KEY", "sk_admin_for_benchmarks_only")
            .current_dir(home.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let line = lines.find(|line| line.starts_with("listening")).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Server { child, url: line.trim_start_matches("listening on ").to_owned(), _home: home }
    }
}

/// Megabytes that an archive of any size may bring the server to, and a reader of its documents.
const SERVER_BOUND: u64 = 512;
const READER_BOUND: u64 = 64;

/// Sends an archive of this size, of documents with pictures, and tells what the server and its readers took.
fn unpack(megabytes: usize) {
    let path = std::env::temp_dir().join(format!("carrel-archive-{}.zip", std::process::id()));
    let mut random = Random(5);
    let mut out = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let each = 5_usize;
    for number in 0..megabytes / each {
        let picture: Vec<u8> = (0..(each << 20) / 8).flat_map(|_| random.next().to_le_bytes()).collect();
        let text: String =
            (0..200).map(|n| format!("<w:p><w:r><w:t>Sentence {n} of {number}.</w:t></w:r></w:p>")).collect();
        out.start_file(format!("report-{number}.docx"), SimpleFileOptions::default()).unwrap();
        out.write_all(&docx(&text, &picture)).unwrap();
    }
    out.finish().unwrap();
    let size = fs::metadata(&path).unwrap().len();
    let server = Server::start();
    let before = peak(server.child.id());
    let started = Instant::now();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let readers = std::sync::atomic::AtomicU64::new(0);
    let job = runtime.block_on(async {
        let client = reqwest::Client::new();
        let workspace = format!("{}/v1/workspaces/00000000-0000-0000-0000-000000000002", server.url);
        let body =
            reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(tokio::fs::File::open(&path).await.unwrap()));
        let sent = client.post(format!("{workspace}/ingest")).bearer_auth("sk_admin_for_benchmarks_only");
        let sent = sent.header("content-type", "application/zip").body(body).send().await.unwrap();
        let mut job: serde_json::Value = sent.error_for_status().unwrap().json().await.unwrap();
        while matches!(job["status"].as_str(), Some("queued" | "running")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            readers.fetch_max(readers_of(server.child.id()), std::sync::atomic::Ordering::Relaxed);
            let path = format!("{workspace}/jobs/{}", job["id"].as_str().unwrap());
            let asked = client.get(path).bearer_auth("sk_admin_for_benchmarks_only").send().await.unwrap();
            job = asked.json().await.unwrap();
        }
        job
    });
    let (peak_of_server, peak_of_readers) = (peak(server.child.id()), readers.into_inner());
    println!(
        "archive of {} MB: {} documents, {} failed, {:.0} s; the server's peak {} MB (before: {} MB), its readers' {} MB",
        size >> 20,
        job["done"],
        job["failed"],
        started.elapsed().as_secs_f64(),
        peak_of_server,
        before,
        peak_of_readers
    );
    assert!(peak_of_server <= SERVER_BOUND && peak_of_readers <= READER_BOUND, "memory is bounded");
    fs::remove_file(path).unwrap();
}

/// The most that a process had resident, in MB.
fn peak(process: u32) -> u64 {
    status(Path::new(&format!("/proc/{process}/status")), "VmHWM:")
}

/// The most that any reader of a server has had resident, in MB, of those that there are.
fn readers_of(server: u32) -> u64 {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let own = processes.filter(|process| kilobytes(&process.join("status"), "PPid:") == u64::from(server));
    // Until it runs its own program, a child's memory is the server's.
    let reading = own.filter(|process| {
        fs::read_to_string(process.join("cmdline")).is_ok_and(|line| line.contains("read-documents"))
    });
    reading.map(|process| status(&process.join("status"), "VmHWM:")).max().unwrap_or(0)
}

fn status(path: &Path, field: &str) -> u64 {
    kilobytes(path, field) / 1024
}

fn kilobytes(path: &Path, field: &str) -> u64 {
    let status = fs::read_to_string(path).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}
