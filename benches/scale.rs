//! How it grows: one workspace through several sizes, and many small workspaces.
//!
//! `cargo bench --bench scale -- [--sets DIRECTORY] [--workspaces COUNT] [CHUNKS…]`: 10000, 100000 and 1000000 chunks
//! and 1000 workspaces of 1,000 unless told otherwise. `corpus.rs` says what the chunks are; with retrieval sets in
//! BEIR's form they are real passages and variations of them. Chunks are stored with vectors that are ready. Draws
//! its plots into `benches/`.

mod corpus;
mod growing;
#[expect(dead_code, reason = "documents are stored here with vectors that are ready")]
mod instance;
mod many;
#[expect(dead_code, reason = "one thread's time is enough here")]
mod measure;
mod plot;
mod random;
mod store;

use std::path::PathBuf;

use corpus::Corpus;
use instance::Instance;

struct Arguments {
    sets: Option<PathBuf>,
    workspaces: usize,
    sizes: Vec<usize>,
}

fn main() {
    let arguments = arguments();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _context = runtime.enter();
    let instance = Instance::start(|_| {});
    let corpus = Corpus::load(arguments.sets.as_deref(), instance.app.models.default_model().as_ref());
    println!("processes that run or want to, before: {}", measure::load());
    if !arguments.sizes.is_empty() {
        growing::measure(&instance, &corpus, &arguments.sizes);
    }
    if arguments.workspaces > 0 {
        many::measure(&instance, &corpus, arguments.workspaces);
    }
    println!("processes that run or want to, after: {}", measure::load());
}

fn arguments() -> Arguments {
    let mut arguments = Arguments { sets: None, workspaces: 1_000, sizes: vec![10_000, 100_000, 1_000_000] };
    let mut sizes = Vec::new();
    let mut given = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--sets" => arguments.sets = Some(given.next().expect("--sets takes a directory").into()),
            "--workspaces" => {
                arguments.workspaces =
                    given.next().and_then(|count| count.parse().ok()).expect("--workspaces takes a number");
            }
            size => sizes.push(size.parse().expect("a size is a number of chunks")),
        }
    }
    if !sizes.is_empty() {
        arguments.sizes = sizes;
        arguments.sizes.retain(|size| *size > 0);
        arguments.sizes.sort_unstable();
    }
    arguments
}
