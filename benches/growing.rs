//! One workspace that grows.

use std::path::Path;
use std::time::{Duration, Instant};

use carrel::auth::{Access, Permission, Principal};
use carrel::embed::Embedder;
use carrel::search::SearchType;
use carrel::workspace::{Comparison, Filter, IndexState, Probe, Scalar};

use crate::corpus::Corpus;
use crate::instance::Instance;
use crate::measure::{Times, descriptors, resident, size_of};
use crate::plot::{Line, Plot};
use crate::store::{PARTS, ask, put, rate, store};

/// Questions that are also answered by comparing with every vector.
const EXACT: usize = 100;
const CLIENTS: [usize; 3] = [1, 4, 16];

/// What was found at one size.
#[derive(Default)]
struct Size {
    chunks: usize,
    /// Chunks stored a second since the size before.
    stored: f64,
    /// Bringing all that was stored to rest, and after that a change of one chunk.
    rest: [Duration; 2],
    opened: Duration,
    first: Duration,
    vector: Times,
    scan: Times,
    /// Of each question that was answered exactly too.
    recall: Vec<f64>,
    /// Within a hundredth and a half of the documents: finding out which chunks those are, and the nearest of them.
    bitmap: [Times; 2],
    within: [Times; 2],
    fulltext: Times,
    hybrid: Times,
    embedded: Times,
    /// Questions a second by number of clients, with their vectors known and not.
    rates: [Vec<f64>; 2],
    /// Bytes of the process before anything was stored, and now.
    resident: [u64; 2],
    /// Bytes of the vector index in memory.
    codes: u64,
    descriptors: usize,
    /// Bytes of the database, the full-text index, the vector index and the originals.
    disk: [u64; 4],
}

pub fn measure(instance: &Instance, corpus: &Corpus, sizes: &[usize]) {
    let mut access = instance.workspace("en");
    let (before, mut filled, mut measured) = (resident(), 0, Vec::new());
    for &chunks in sizes {
        let took = store(instance, &access, corpus, filled, chunks);
        let mut size = Size { chunks, stored: (chunks - filled) as f64 / took.as_secs_f64(), ..Size::default() };
        eprintln!("{chunks} chunks: stored {:.0}/s", size.stored);
        filled = chunks;
        size.rest[0] = timed(|| assert!(access.workspace.checkpoint().unwrap()));
        put(instance, &access, corpus, std::iter::once((chunks, 0..1)));
        size.rest[1] = timed(|| assert!(access.workspace.checkpoint().unwrap()));
        size.opened = reopen(instance, &mut access);
        let embedder = instance.app.embedder(&access.workspace).unwrap();
        let embedder = embedder.as_ref();
        size.first = timed(|| ask(&access, embedder, &corpus.queries[0], SearchType::Hybrid, true));
        questions(&access, embedder, corpus, &mut size);
        size.rates = [true, false]
            .map(|is_known| CLIENTS.map(|clients| rate(&access, embedder, corpus, clients, is_known)).to_vec());
        size.resident = [before, resident()];
        size.descriptors = descriptors();
        let root = instance.app.directory.workspaces().join(access.workspace.id().to_string());
        let parts = ["knowledge.db", "index/fulltext", "index/vectors", "files"];
        size.disk = parts.map(|part| size_of(&root.join(part)));
        let rows = (2 * embedder.model().dimension * chunks) as u64;
        // The file of codes is what lies in memory, and a sum of each entry.
        size.codes = size.disk[2] - rows;
        measured.push(size);
        eprintln!("{}", tables(&measured));
    }
    println!("{}", tables(&measured));
    draw(&measured);
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// Closes the workspace and opens it again; how long the opening took, until both its indexes can be asked.
fn reopen(instance: &Instance, access: &mut Access) -> Duration {
    let id = access.workspace.id();
    let other = instance.workspace("en");
    // The last handle closes it.
    drop(std::mem::replace(access, other));
    drop(instance.app.tenancy.registry().take(id));
    let started = Instant::now();
    *access = instance.app.auth.enter(&Principal::InstanceAdmin, Permission::Search, id).unwrap();
    while access.workspace.stats().unwrap().vector_state != IndexState::Ready {
        std::thread::yield_now();
    }
    started.elapsed()
}

fn questions(access: &Access, embedder: &dyn Embedder, corpus: &Corpus, size: &mut Size) {
    let workspace = &access.workspace;
    let model = &embedder.model().sha256;
    let filters = [1, PARTS / 2].map(|parts| {
        let range = Comparison::Between(Some(Scalar::Number(0.0)), Some(Scalar::Number(parts as f64 - 1.0)));
        Filter { metadata: vec![("part".to_owned(), range)], ..Filter::default() }
    });
    let allowed = [0, 1].map(|which| {
        (0..5).for_each(|_| drop(size.bitmap[which].of(|| workspace.allowed_chunks(&filters[which]).unwrap())));
        workspace.allowed_chunks(&filters[which]).unwrap()
    });
    // One kind after another, so that none finds the processor's caches as another has left them.
    let probes: Vec<Probe> = corpus.queries.iter().map(|query| Probe { model, vector: &query.vector }).collect();
    let mut found = Vec::new();
    for probe in &probes {
        found.push(size.vector.of(|| workspace.nearest_chunks(*probe, 10, None).unwrap()));
    }
    for (times, allowed) in size.within.iter_mut().zip(&allowed) {
        for probe in &probes {
            times.of(|| workspace.nearest_chunks(*probe, 10, allowed.as_ref()).unwrap());
        }
    }
    for (times, kind, is_known) in [
        (&mut size.fulltext, SearchType::Fulltext, true),
        (&mut size.hybrid, SearchType::Hybrid, true),
        (&mut size.embedded, SearchType::Hybrid, false),
    ] {
        for query in &corpus.queries {
            times.of(|| ask(access, embedder, query, kind, is_known));
        }
    }
    for (probe, found) in probes.iter().zip(&found).step_by(probes.len().div_ceil(EXACT)) {
        let exact = size.scan.of(|| workspace.nearest_chunks_exactly(*probe, 10).unwrap());
        let hits = exact.iter().filter(|(chunk, _)| found.iter().any(|(other, _)| other == chunk)).count();
        size.recall.push(hits as f64 / exact.len() as f64);
    }
}

/// Of processor time: half of all stay within the first, all but a hundredth within the second.
fn both(times: &Times) -> String {
    format!("{:.2} · {:.2}", times.processor(0.5), times.processor(0.99))
}

fn tables(sizes: &[Size]) -> String {
    let mut text = String::from(
        "\n| chunks | vector index | its recall@10 | sqlite-vec's scan | scan ÷ index | within 1 % | within 50 % | full-text | hybrid | with embedding |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for size in sizes {
        text += &format!(
            "| {} | {} | {:.4} | {} | {:.0} | {} | {} | {} | {} | {} |\n",
            size.chunks,
            both(&size.vector),
            size.recall.iter().sum::<f64>() / size.recall.len() as f64,
            both(&size.scan),
            size.scan.processor(0.5) / size.vector.processor(0.5),
            both(&size.within[0]),
            both(&size.within[1]),
            both(&size.fulltext),
            both(&size.hybrid),
            both(&size.embedded),
        );
    }
    text += "\n| chunks | on the wall: vector index | full-text | hybrid | with embedding | filter to chunks, 1 % | 50 % | questions/s of 1 · 4 · 16 clients | with embedding |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for size in sizes {
        let wall = |times: &Times| format!("{:.2} · {:.2}", times.wall(0.5), times.wall(0.99));
        let rates = size
            .rates
            .each_ref()
            .map(|rates| rates.iter().map(|rate| format!("{rate:.0}")).collect::<Vec<_>>().join(" · "));
        text += &format!(
            "| {} | {} | {} | {} | {} | {:.1} | {:.1} | {} | {} |\n",
            size.chunks,
            wall(&size.vector),
            wall(&size.fulltext),
            wall(&size.hybrid),
            wall(&size.embedded),
            size.bitmap[0].processor(0.5),
            size.bitmap[1].processor(0.5),
            rates[0],
            rates[1],
        );
    }
    text += "\n| chunks | stored/s | resident | of it codes | of float32 | descriptors | bytes a chunk: database · full-text · vectors · originals | opened | first question | to rest, all | to rest, one chunk |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for size in sizes {
        let disk: Vec<String> = size.disk.iter().map(|bytes| (*bytes / size.chunks as u64).to_string()).collect();
        text += &format!(
            "| {} | {:.0} | {} MB ({} before) | {:.1} MB | {:.1} % | {} | {} | {:.0} ms | {:.1} ms | {:.0} ms | {:.0} ms |\n",
            size.chunks,
            size.stored,
            size.resident[1] >> 20,
            size.resident[0] >> 20,
            size.codes as f64 / 1e6,
            // Four bytes a number: twice the rows' float16.
            100.0 * size.codes as f64 / (2 * (size.disk[2] - size.codes)) as f64,
            size.descriptors,
            disk.join(" · "),
            size.opened.as_secs_f64() * 1e3,
            size.first.as_secs_f64() * 1e3,
            size.rest[0].as_secs_f64() * 1e3,
            size.rest[1].as_secs_f64() * 1e3,
        );
    }
    text
}

fn draw(sizes: &[Size]) {
    let line = |name: &str, of: &dyn Fn(&Size) -> f64| Line {
        name: name.to_owned(),
        points: sizes.iter().map(|size| (size.chunks as f64, of(size))).collect(),
    };
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
    let latency = Plot {
        title: "A question's processor time, median".into(),
        across: "chunks".into(),
        up: "milliseconds".into(),
        lines: vec![
            line("sqlite-vec's scan", &|size| size.scan.processor(0.5)),
            line("hybrid", &|size| size.hybrid.processor(0.5)),
            line("full-text", &|size| size.fulltext.processor(0.5)),
            line("vector index", &|size| size.vector.processor(0.5)),
        ],
    };
    latency.write(&directory.join("scale-latency.svg"));
    let bytes = |size: &Size, bytes: u64| bytes as f64 / size.chunks as f64;
    let room = Plot {
        title: "Bytes a chunk".into(),
        across: "chunks".into(),
        up: "bytes".into(),
        lines: vec![
            line("disk: database", &|size| bytes(size, size.disk[0])),
            line("disk: full-text", &|size| bytes(size, size.disk[1])),
            line("disk: vectors", &|size| bytes(size, size.disk[2])),
            line("memory: whole process", &|size| bytes(size, size.resident[1])),
            line("memory: codes", &|size| bytes(size, size.codes)),
        ],
    };
    room.write(&directory.join("scale-bytes.svg"));
}
