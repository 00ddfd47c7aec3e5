//! What happens to a directory that is treated badly, counted.
//!
//! `cargo bench --bench reliability [-- KILLS COPIES WORKSPACES FLIPS]` (200, 200, 2000 and 500 unless told otherwise).
//! Cuts the power and kills the server at random moments of writing; copies a workspace's directory in every way while it
//! is at rest, frozen and being written; opens many workspaces on one instance, each for the first time; flips bits in
//! databases and indexes.

// The very harness that the tests use.
#[allow(dead_code)]
#[path = "../tests/it/client.rs"]
mod client;
#[cfg(target_os = "linux")]
#[allow(dead_code)]
#[path = "../tests/it/faulty.rs"]
mod faulty;
#[allow(dead_code)]
#[path = "../tests/it/handbook.rs"]
mod handbook;
#[cfg(target_os = "linux")]
#[allow(dead_code)]
#[path = "../tests/it/power.rs"]
mod power;
#[cfg(target_os = "linux")]
#[allow(dead_code)]
#[path = "../tests/it/rot.rs"]
mod rot;
#[allow(dead_code)]
#[path = "../tests/it/server.rs"]
mod server;
#[allow(dead_code)]
#[path = "../tests/it/tenant.rs"]
mod tenant;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use client::Client;
use server::Server;
use tenant::Tenant;

/// Copies that are taken of one workspace.
const BATCH: usize = 10;

fn main() {
    let given: Vec<usize> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let count = |place: usize, otherwise: usize| given.get(place).copied().unwrap_or(otherwise);
    let (kills, copies, workspaces, flips) = (count(0, 200), count(1, 200), count(2, 2_000), count(3, 500));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        if kills > 0 {
            #[cfg(target_os = "linux")]
            power_cuts(kills).await;
            sudden_deaths(kills).await;
        }
        if copies > 0 {
            live_copies(copies).await;
        }
        if workspaces > 0 {
            many_workspaces(workspaces).await;
        }
        #[cfg(target_os = "linux")]
        if flips > 0 {
            flipped_bits(flips).await;
        }
    });
}

/// The same tenant on the server that took the other's place.
fn again(tenant: &Tenant, server: &Server) -> Tenant {
    Tenant {
        admin: server.admin(),
        client: server.admin().with_token(tenant.client.token()),
        organization: tenant.organization.clone(),
        workspace: tenant.workspace.clone(),
        agent: tenant.agent.clone(),
    }
}

/// Stores documents one after another, numbered from `first`; `stored` is how many were answered.
async fn write(client: Client, path: String, first: usize, stop: Arc<AtomicBool>, stored: Arc<AtomicUsize>) {
    let mut number = first;
    while !stop.load(Ordering::SeqCst) {
        let content = format!("Document {number} of a series, about {}.", "kettles and lids ".repeat(number % 7));
        let body = json!({"source": format!("{number:06}"), "content": content});
        match client.try_post(&path, &body).await {
            Some(201) => {
                number += 1;
                stored.store(number, Ordering::SeqCst);
            }
            Some(_) => {}
            None => return,
        }
    }
}

async fn is_whole(tenant: &Tenant) -> bool {
    let report = tenant.admin.send("POST", &tenant.path("/check"), None).await.is(200).json();
    if report["whole"] != true {
        println!("not whole: {report}");
    }
    report["whole"] == true
}

/// The number of documents, if they are 0, 1, 2, … without a gap.
async fn prefix(tenant: &Tenant) -> Option<usize> {
    let mut sources: Vec<String> = Vec::new();
    loop {
        let path = tenant.path(&format!("/documents?limit=200&offset={}", sources.len()));
        let page = tenant.client.get(&path).await.is(200).json();
        let page = page["documents"].as_array().unwrap();
        if page.is_empty() {
            break;
        }
        sources.extend(page.iter().map(|document| document["source"].as_str().unwrap().to_owned()));
    }
    sources.sort();
    let gapless = sources.iter().enumerate().all(|(number, source)| *source == format!("{number:06}"));
    gapless.then_some(sources.len())
}

async fn sudden_deaths(kills: usize) {
    let mut server = Server::start();
    let mut tenant = Tenant::new(&server.admin()).await;
    let stored = Arc::new(AtomicUsize::new(0));
    let (mut lost, mut damaged, mut starts) = (0, 0, Vec::new());
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..kills {
        let stop = Arc::new(AtomicBool::new(false));
        let first = stored.load(Ordering::SeqCst);
        let writer = tokio::spawn(write(tenant.client.clone(), tenant.path("/documents"), first, stop, stored.clone()));
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        tokio::time::sleep(Duration::from_micros(random >> 46)).await;
        let home = server.kill();
        writer.await.unwrap();
        let started = Instant::now();
        server = Server::within(home, &[]);
        tenant = again(&tenant, &server);
        let found = prefix(&tenant).await;
        starts.push(started.elapsed().as_secs_f64() * 1e3);
        lost += usize::from(found.is_none_or(|found| found < stored.load(Ordering::SeqCst)));
        damaged += usize::from(!is_whole(&tenant).await);
        // What was in flight may have been stored without its answer.
        stored.store(found.unwrap_or(0), Ordering::SeqCst);
    }
    starts.sort_by(f64::total_cmp);
    let at = |quantile: f64| starts[((starts.len() - 1) as f64 * quantile) as usize];
    println!(
        "{kills} kills, {} documents answered: {lost} times something lost, {damaged} times not whole; start to first \
         complete answer p50 {:.0} ms, p99 {:.0} ms",
        stored.load(Ordering::SeqCst),
        at(0.5),
        at(0.99)
    );
    server.kill();
}

#[cfg(target_os = "linux")]
async fn power_cuts(count: usize) {
    let run = power::Run::new().await;
    run.assert_complete();
    let wrong = run.cut(count).await;
    println!("{count} power cuts: {} times something lost or not whole", wrong.len());
    wrong.iter().for_each(|complaint| println!("{complaint}"));
}

#[cfg(target_os = "linux")]
async fn flipped_bits(count: usize) {
    let sample = rot::Sample::new().await;
    for (name, place) in [("databases", rot::Place::Database), ("indexes", rot::Place::Index)] {
        let tally = sample.flip(place, count, 0x5DEE_CE66).await;
        println!(
            "{count} bits flipped in {name}: {} unharmed, {} healed, {} found, {} found after another answer, {} wrong",
            tally.unharmed,
            tally.healed,
            tally.found,
            tally.late,
            tally.wrong.len()
        );
        tally.wrong.iter().for_each(|complaint| println!("{complaint}"));
    }
}

async fn live_copies(copies: usize) {
    let server = Server::start();
    let ways: [(&str, bool, bool, bool); 6] = [
        ("at rest", false, false, false),
        ("frozen", false, false, false),
        ("busy, fast", true, false, false),
        ("busy, slow", true, true, false),
        ("busy, fast, without the log", true, false, true),
        ("busy, slow, without the log", true, true, true),
    ];
    println!("copies            whole  refused  wrong");
    for (name, busy, slow, without_log) in ways {
        let mut counts = [0; 3];
        // A workspace that is written to grows, so each serves for a few copies only.
        for batch in 0..copies.div_ceil(BATCH) {
            let some = BATCH.min(copies - batch * BATCH);
            let found = copies_of_one(&server, name, busy, slow, without_log, some).await;
            counts.iter_mut().zip(found).for_each(|(count, found)| *count += found);
        }
        println!("{name:28} {:5} {:8} {:6}", counts[0], counts[1], counts[2]);
    }
    server.kill();
}

/// Copies a new workspace so many times. How many copies were whole, refused and wrong.
async fn copies_of_one(
    server: &Server,
    name: &str,
    busy: bool,
    slow: bool,
    without_log: bool,
    copies: usize,
) -> [usize; 3] {
    let tenant = Tenant::new(&server.admin()).await;
    let (stop, stored) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let path = tenant.path("/documents");
    let mut writer = Some(tokio::spawn(write(tenant.client.clone(), path, 0, stop.clone(), stored.clone())));
    while stored.load(Ordering::SeqCst) < 20 {
        tokio::task::yield_now().await;
    }
    if !busy {
        stop.store(true, Ordering::SeqCst);
        writer.take().unwrap().await.unwrap();
        tenant.client.post(&tenant.path("/freeze"), &json!({"seconds": 3600})).await.is(200);
        if name == "at rest" {
            tenant.client.delete(&tenant.path("/freeze")).await.is(200);
        }
    }
    let mut counts = [0; 3];
    for number in 0..copies {
        let directory = format!("copy-{number}");
        let place = server.home().workspace(&directory);
        let from = server.home().workspace(&tenant.workspace);
        tokio::task::spawn_blocking(move || copy(&from, &place, slow, without_log)).await.unwrap();
        match adopt(&server.admin(), &tenant.organization, &directory).await {
            None => {
                counts[1] += 1;
                std::fs::remove_dir_all(server.home().workspace(&directory)).unwrap();
            }
            Some(copy) => {
                let right = prefix(&copy).await.is_some() && is_whole(&copy).await;
                counts[if right { 0 } else { 2 }] += 1;
                server.admin().delete(&copy.path("")).await.is(200);
            }
        }
    }
    stop.store(true, Ordering::SeqCst);
    if let Some(writer) = writer {
        writer.await.unwrap();
    }
    counts
}

fn copy(from: &Path, to: &Path, slow: bool, without_log: bool) {
    for entry in walkdir::WalkDir::new(from).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
        if without_log && entry.path().ends_with("knowledge.db-wal") {
            continue;
        }
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        // A file may go while others are being copied.
        let _ = std::fs::copy(entry.path(), target);
        if slow {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

async fn adopt(admin: &Client, organization: &str, directory: &str) -> Option<Tenant> {
    let path = format!("/v1/organizations/{organization}/workspaces/adopt");
    let answer = admin.post(&path, &json!({"directory": directory})).await;
    if answer.status == 409 {
        return None;
    }
    let row: Value = answer.is(201).json();
    let mut tenant = Tenant {
        admin: admin.clone(),
        organization: organization.to_owned(),
        workspace: tenant::id(&row),
        agent: String::new(),
        client: admin.anonymous(),
    };
    tenant.client = tenant.key(&["read"]).await;
    Some(tenant)
}

async fn many_workspaces(count: usize) {
    let server = Server::with(&[("CARREL_MEMORY_OPEN_WORKSPACES", "64")]);
    let admin = server.admin();
    let organization = "00000000-0000-0000-0000-000000000001";
    let mut workspaces = Vec::with_capacity(count);
    for number in 0..count {
        let body = json!({"name": format!("Workspace {number}"), "slug": format!("w{number}")});
        let path = format!("/v1/organizations/{organization}/workspaces");
        let workspace = tenant::id(&admin.post(&path, &body).await.is(201).json());
        let body =
            json!({"source": "only.md", "content": format!("Workspace {number} keeps its kettles in room {number}.")});
        admin.post(&format!("/v1/workspaces/{workspace}/documents"), &body).await.is(201);
        workspaces.push(workspace);
    }
    let home = server.stop();
    let started = Instant::now();
    let server = Server::within(home, &[("CARREL_MEMORY_OPEN_WORKSPACES", "64")]);
    let start = started.elapsed().as_secs_f64() * 1e3;
    let (mut cold, mut warm, mut wrong) = (Vec::new(), Vec::new(), 0);
    for (number, workspace) in workspaces.iter().enumerate() {
        let ask = json!({"query": "kettles", "search_type": "fulltext"});
        let path = format!("/v1/workspaces/{workspace}/search");
        for times in [&mut cold, &mut warm] {
            let started = Instant::now();
            let found = server.admin().post(&path, &ask).await.is(200).json();
            times.push(started.elapsed().as_secs_f64() * 1e3);
            let content = found["results"][0]["content"].as_str().unwrap_or_default();
            wrong += usize::from(!content.contains(&format!("room {number}.")));
        }
    }
    let at = |times: &mut Vec<f64>, quantile: f64| {
        times.sort_by(f64::total_cmp);
        times[((times.len() - 1) as f64 * quantile) as usize]
    };
    println!(
        "{count} workspaces, 64 open at most: start {start:.0} ms; first question p50 {:.1} p99 {:.1} ms, second p50 {:.1} p99 {:.1} ms; \
         {wrong} wrong answers",
        at(&mut cold, 0.5),
        at(&mut cold, 0.99),
        at(&mut warm, 0.5),
        at(&mut warm, 0.99)
    );
    server.stop();
}
