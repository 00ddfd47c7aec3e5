//! Ours against what people would pick instead, on the same passages, vectors and questions, in one run.
//!
//! `cargo bench --bench side_by_side -- [--sets DIRECTORY] [CHUNKS]` (100000 unless told otherwise). SQLite's FTS5 with
//! sqlite-vec is asked from here; FAISS, LanceDB, Chroma and Qdrant's local mode by `side_by_side.py`, where there is
//! a Python 3 into whose own environment they can be installed. Each builds in one process and is asked in another.

mod contenders;
mod corpus;
#[expect(dead_code, reason = "documents are stored here with vectors that are ready")]
mod instance;
#[expect(dead_code, reason = "some is counted at scale only")]
mod measure;
#[expect(dead_code, reason = "some is drawn by lot at scale only")]
mod random;
#[expect(dead_code, reason = "nobody asks at the same time here")]
mod store;

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use corpus::Corpus;
use instance::Instance;

/// Neighbours that are asked for.
pub const K: usize = 10;
/// What is installed for the products that speak Python, with what each is called here.
const PACKAGES: [(&str, &str, &str); 5] = [
    ("faiss", "faiss-cpu", "FAISS, flat"),
    ("lancedb", "lancedb", "LanceDB, no vector index"),
    ("lancedb-ivf", "lancedb", "LanceDB, IVF_PQ"),
    ("chroma", "chromadb", "Chroma"),
    ("qdrant", "qdrant-client", "Qdrant, local mode"),
];
/// How long a product may build, or be asked.
const PATIENCE: Duration = Duration::from_secs(600);

fn main() {
    let mut given: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if given.first().is_some_and(|argument| argument == "--contender") {
        contenders::run(&given[1], &given[2], Path::new(&given[3]));
        return;
    }
    let mut sets = None;
    if let Some(at) = given.iter().position(|argument| argument == "--sets") {
        sets = Some(PathBuf::from(given.remove(at + 1)));
        given.remove(at);
    }
    let chunks: usize = given.first().map_or(100_000, |count| count.parse().expect("a number of chunks"));
    let directory = tempfile::tempdir().unwrap();
    lay_down(sets.as_deref(), chunks, directory.path());
    println!("processes that run or want to, before: {}", measure::load());
    let myself = std::env::current_exe().unwrap();
    let run = |name: &str, phase: &str| {
        let mut command = Command::new(&myself);
        command.args(["--contender", name, phase]);
        ended(command.arg(directory.path()))
    };
    let mut rows = vec![
        ("**Carrel**".to_owned(), product(|phase| run("carrel", phase))),
        ("SQLite FTS5 + sqlite-vec".to_owned(), product(|phase| run("sqlite", phase))),
    ];
    eprintln!("{}", table(&rows));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/side_by_side.py");
    for (name, package, title) in PACKAGES {
        let told = install(package).and_then(|(python, version)| {
            let run = |phase: &str| ended(Command::new(&python).arg(&script).args([name, phase]).arg(directory.path()));
            Ok((product(run)?, version))
        });
        match told {
            Ok((told, version)) => rows.push((format!("{title} ({version})"), Ok(told))),
            Err(why) => rows.push((title.to_owned(), Err(why))),
        }
        eprintln!("{}", table(&rows));
    }
    println!("{chunks} chunks\n{}", table(&rows));
    println!("processes that run or want to, after: {}", measure::load());
}

/// Writes what all products are given, and the exact answers.
fn lay_down(sets: Option<&Path>, chunks: usize, directory: &Path) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _context = runtime.enter();
    let instance = Instance::start(|_| {});
    let corpus = Corpus::load(sets, instance.app.models.default_model().as_ref());
    let (mut texts, mut vectors) = (Vec::new(), Vec::new());
    for (text, vector) in (0..chunks).map(|n| corpus.passage(n)) {
        texts.push(text);
        vectors.push(vector);
    }
    let truth: Vec<Vec<f32>> = corpus.queries.iter().map(|query| exactly(&vectors, &query.vector)).collect();
    let queries: Vec<String> = corpus.queries.iter().map(|query| query.text.clone()).collect();
    let query_vectors: Vec<Vec<f32>> = corpus.queries.iter().map(|query| query.vector.clone()).collect();
    for (name, texts, arrays) in
        [("texts", &texts, ("vectors", &vectors)), ("queries", &queries, ("queries", &query_vectors))]
    {
        let mut file = BufWriter::new(File::create(directory.join(name).with_extension("jsonl")).unwrap());
        texts.iter().for_each(|text| writeln!(file, "{}", Value::from(text.as_str())).unwrap());
        write_array(&directory.join(arrays.0).with_extension("npy"), arrays.1);
    }
    write_array(&directory.join("truth.npy"), &truth);
}

/// The numbers of the nearest vectors, as floats: whole ones up to 16 million are exact.
fn exactly(vectors: &[Vec<f32>], query: &[f32]) -> Vec<f32> {
    let mut all: Vec<(f32, usize)> = vectors
        .iter()
        .enumerate()
        .map(|(number, vector)| (vector.iter().zip(query).map(|(a, b)| a * b).sum(), number))
        .collect();
    all.select_nth_unstable_by(K, |a, b| b.0.total_cmp(&a.0));
    all[..K].iter().map(|(_, number)| *number as f32).collect()
}

/// Rows of float32 in the format of NumPy, version 1.0.
fn write_array(path: &Path, rows: &[Vec<f32>]) {
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows.len(), rows[0].len());
    // Padded, so that the numbers begin at a multiple of 64.
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut file = BufWriter::new(File::create(path).unwrap());
    file.write_all(b"\x93NUMPY\x01\x00").unwrap();
    file.write_all(&(header.len() as u16).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    rows.iter().flatten().for_each(|number| file.write_all(&number.to_le_bytes()).unwrap());
}

/// What both phases of a product told, or why one failed.
fn product(run: impl Fn(&str) -> Result<Value, String>) -> Result<[Value; 2], String> {
    Ok([run("build")?, run("ask")?])
}

/// The line of JSON that a command ends with, or the last line of its errors.
fn ended(command: &mut Command) -> Result<Value, String> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let (mut out, mut errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = errors.read_to_string(&mut text);
        text
    });
    let told = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = out.read_to_string(&mut text);
        text
    });
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            return Err(format!("took longer than {} minutes", PATIENCE.as_secs() / 60));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let (told, errors) = (told.join().unwrap(), reading.join().unwrap());
    match told.lines().last().filter(|_| status.success()).map(serde_json::from_str) {
        Some(Ok(value)) => Ok(value),
        _ => Err(errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("ended without a word").to_owned()),
    }
}

/// Installs a Python package into an environment of the benches' own; the interpreter and the package's version.
fn install(package: &str) -> Result<(PathBuf, String), String> {
    let environment = std::env::temp_dir().join("carrel-bench-python");
    let python = environment.join("bin/python");
    let run = |command: &mut Command| {
        let done = command.output().map_err(|error| format!("no Python 3: {error}"))?;
        let last = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().lines().last().unwrap_or_default().to_owned();
        if done.status.success() {
            Ok(last(&done.stdout))
        } else {
            Err(format!("not installed: {}", last(&done.stderr)))
        }
    };
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let version = format!("import importlib.metadata as m; print(m.version('{package}'))");
    let known = || run(Command::new(&python).args(["-c", &version]));
    let installed = known().or_else(|_| {
        eprintln!("installing {package}");
        let arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy", package];
        run(Command::new(&python).args(arguments)).and_then(|_| known())
    })?;
    Ok((python, installed))
}

/// What is told of a product.
struct Column {
    title: &'static str,
    /// Whether it is of the building (0) or of the asking (1), and its place in what that told.
    phase: usize,
    place: &'static str,
    written: fn(f64) -> String,
}

const fn column(title: &'static str, phase: usize, place: &'static str, written: fn(f64) -> String) -> Column {
    Column { title, phase, place, written }
}

const COLUMNS: [Column; 6] = [
    column("build", 0, "/processor", |seconds| format!("{seconds:.1} s")),
    column("on disk", 1, "/bytes", megabytes),
    column("vector query", 1, "/vector/processor", milliseconds),
    column("full-text query", 1, "/text/processor", milliseconds),
    column("hybrid query", 1, "/hybrid/processor", milliseconds),
    column("resident", 1, "/resident", megabytes),
];

fn megabytes(bytes: f64) -> String {
    format!("{:.0} MB", bytes / 1e6)
}

fn milliseconds(time: f64) -> String {
    format!("{time:.2} ms")
}

fn table(rows: &[(String, Result<[Value; 2], String>)]) -> String {
    let mut text = String::from("| ");
    COLUMNS.iter().for_each(|column| text += &format!("| {} ", column.title));
    text += "| recall@10 |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    let ours = rows[0].1.clone().unwrap_or_default();
    for (name, told) in rows {
        text += &format!("| {name} ");
        let told = match told {
            Ok(told) => told,
            Err(why) => {
                text += &format!("| {why} | | | | | | |\n");
                continue;
            }
        };
        for Column { phase, place, written, .. } in COLUMNS {
            let number = |told: &[Value; 2]| told[phase].pointer(place).and_then(Value::as_f64);
            match (number(told), number(&ours)) {
                (Some(theirs), Some(ours)) => text += &format!("| {:.2} ({}) ", theirs / ours, written(theirs)),
                _ => text += "| – ",
            }
        }
        text += &format!("| {:.4} |\n", told[1]["recall"].as_f64().unwrap_or(f64::NAN));
    }
    text
}
