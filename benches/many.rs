//! Many small workspaces.

use std::time::Instant;

use carrel::app::DEFAULT_ORGANIZATION;
use carrel::auth::{Access, Permission, Principal};
use carrel::search::SearchType;
use carrel::tenancy::adoption::Naming;
use carrel::workspace::IndexState;
use uuid::Uuid;

use crate::corpus::Corpus;
use crate::instance::Instance;
use crate::measure::{Times, descriptors, resident, size_of};
use crate::random::Random;
use crate::store::{ask, store};

/// Chunks of each.
const CHUNKS: usize = 1_000;

pub fn measure(instance: &Instance, corpus: &Corpus, count: usize) {
    let first = instance.workspace("en");
    store(instance, &first, corpus, 0, CHUNKS);
    let mut all = vec![first.workspace.id()];
    let tenancy = &instance.app.tenancy;
    let started = Instant::now();
    for number in 1..count {
        let snapshot = first.workspace.snapshot(&tenancy.staging()).unwrap();
        let naming = Naming { slug: Some(format!("copy-{number}")), ..Naming::default() };
        all.push(tenancy.copy_workspace(DEFAULT_ORGANIZATION, &snapshot, naming).unwrap().workspace.id);
        if number % 100 == 0 {
            eprintln!("{number} workspaces, {:.0} ms each", started.elapsed().as_secs_f64() * 1e3 / number as f64);
        }
    }
    let copied = started.elapsed().as_secs_f64() * 1e3 / count.max(2) as f64;
    drop(first);
    // A copy has no indexes; they are made when it is first opened.
    let mut indexed = Times::default();
    for id in &all {
        indexed.of(|| wait_until_ready(&enter(instance, *id)));
    }
    tenancy.registry().close_all();
    let (idle, idle_descriptors) = (resident(), descriptors());
    let mut rows = Vec::new();
    let mut random = Random(11);
    let mut ask_each = |name: &str, workspaces: &[Uuid]| {
        let mut times = Times::default();
        for (id, query) in workspaces.iter().zip(corpus.queries.iter().cycle()) {
            times.of(|| {
                let access = enter(instance, *id);
                let embedder = instance.app.embedder(&access.workspace).unwrap();
                ask(&access, embedder.as_ref(), query, SearchType::Hybrid, true)
            });
        }
        let open = tenancy.registry().state().0;
        rows.push(format!(
            "| {name} | {} | {:.2} · {:.2} ms | {open} | {} MB | {} |",
            workspaces.len(),
            times.wall(0.5),
            times.wall(0.99),
            resident().saturating_sub(idle) >> 20,
            descriptors() - idle_descriptors,
        ));
        open
    };
    random.shuffle(&mut all);
    ask_each("all, closed before", &all);
    random.shuffle(&mut all);
    let open = ask_each("all again", &all);
    // The last ones are those that are open.
    ask_each("those that are open", &all[all.len() - open.min(all.len())..]);
    let sizes: Vec<u64> =
        all.iter().map(|id| size_of(&instance.app.directory.workspaces().join(id.to_string()))).collect();
    println!(
        "\n{count} workspaces of {CHUNKS} chunks: {copied:.0} ms to copy one, {:.0} ms to open a copy the first time \
         and make its indexes, {} bytes on disk a chunk\n",
        indexed.wall(0.5),
        sizes.iter().sum::<u64>() / (count * CHUNKS) as u64
    );
    println!(
        "| a question to each, in random order | workspaces | p50 · p99 | then open | more resident | more descriptors |"
    );
    println!("| --- | --- | --- | --- | --- | --- |\n{}", rows.join("\n"));
}

fn enter(instance: &Instance, workspace: Uuid) -> Access {
    instance.app.auth.enter(&Principal::InstanceAdmin, Permission::Search, workspace).unwrap()
}

fn wait_until_ready(access: &Access) {
    loop {
        let stats = access.workspace.stats().unwrap();
        if (stats.vector_state, stats.fulltext_state) == (IndexState::Ready, IndexState::Ready) {
            return;
        }
        std::thread::yield_now();
    }
}
