//! What happens to machines: sudden deaths, full disks, media that take no writes, files cut short under the server.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::directory::{at_rest, copy, flip};
use crate::server::{ADMIN_KEY, Home, Server};
use crate::tenant::Tenant;

/// The same tenant on the server that took the other's place.
pub fn again(tenant: &Tenant, server: &Server) -> Tenant {
    Tenant {
        admin: server.admin(),
        client: server.admin().with_token(tenant.client.token()),
        organization: tenant.organization.clone(),
        workspace: tenant.workspace.clone(),
        agent: tenant.agent.clone(),
    }
}

pub async fn assert_whole(tenant: &Tenant) {
    let report = tenant.admin.send("POST", &tenant.path("/check"), None).await.is(200).json();
    assert_eq!(report["whole"], true, "{report}");
}

#[tokio::test]
async fn nothing_that_was_answered_is_lost_in_sudden_deaths() {
    let mut server = Server::start();
    let mut tenant = Tenant::new(&server.admin()).await;
    let mut answered: Vec<String> = Vec::new();
    for round in 0..8u64 {
        let (client, path) = (tenant.client.clone(), tenant.path("/documents"));
        let stored = Arc::new(AtomicU64::new(0));
        let counter = stored.clone();
        let writer = tokio::spawn(async move {
            let mut done = Vec::new();
            for number in 0.. {
                let source = format!("{round}-{number}");
                let body =
                    json!({"source": source, "content": format!("Round {round}, document {number}, of kettles.")});
                match client.try_post(&path, &body).await {
                    Some(201) => {
                        done.push(source);
                        counter.fetch_add(1, Ordering::SeqCst);
                    }
                    _ => return done,
                }
            }
            done
        });
        // A different moment each round: after so many documents, and so many questions more.
        while stored.load(Ordering::SeqCst) < 2 * round {
            tenant.client.get(&tenant.path("/documents?limit=1")).await.is(200);
        }
        for _ in 0..(round * 7) % 23 {
            tenant.client.get(&tenant.path("/documents?limit=1")).await.is(200);
        }
        let home = server.kill();
        answered.extend(writer.await.unwrap());
        server = Server::within(home, &[]);
        tenant = again(&tenant, &server);
        for source in &answered {
            let found = tenant.client.get(&tenant.path(&format!("/documents?q={source}"))).await.is(200).json();
            assert!(found["total"].as_u64().unwrap() >= 1, "{source} is lost");
        }
        assert_whole(&tenant).await;
        let stored = tenant.document_count().await;
        let most = answered.len() as u64 + round + 1;
        assert!(stored <= most, "{stored} documents, and at most one in flight each round");
    }
    assert!(!answered.is_empty());
    let found = tenant.search(json!({"query": "kettles", "search_type": "fulltext", "limit": 100})).await;
    assert_eq!(found["total_results"].as_u64().unwrap(), tenant.document_count().await.min(100));
    assert!(server.home().names().iter().all(|name| !name.starts_with("data/tmp/")), "uploads in flight are cleaned");
}

#[tokio::test]
async fn a_job_that_was_cut_off_goes_on() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let documents: Vec<Value> = (0..600)
        .map(|n| json!({"source": format!("d{n}"), "content": format!("Document {n} of many, with some words about kettles.")}))
        .collect();
    let job = tenant.client.post(&tenant.path("/ingest"), &json!({"documents": documents})).await.is(202).json();
    let job = crate::tenant::id(&job);
    let mut server = server;
    let mut tenant = tenant;
    for _ in 0..3 {
        let home = server.kill();
        server = Server::within(home, &[]);
        tenant = again(&tenant, &server);
    }
    let ended = tenant.finished(&job).await;
    assert_eq!((&ended["status"], &ended["done"], &ended["failed"]), (&json!("succeeded"), &json!(600), &json!(0)));
    assert_eq!(tenant.document_count().await, 600);
    assert_whole(&tenant).await;
}

/// A command that runs `script` with file systems of its own, or `None` where this machine does not allow that.
fn with_own_mounts(script: &str) -> Option<Command> {
    let ways: [&[&str]; 2] = [&["-m"], &["-Urm"]];
    let way = ways.into_iter().find(|way| {
        let tried = Command::new("unshare").args(*way).args(["sh", "-c", "mount -t tmpfs none /mnt"]).output();
        tried.is_ok_and(|output| output.status.success())
    });
    if way.is_none() {
        eprintln!("this machine allows no mounts; nothing was tried");
    }
    let mut command = Command::new("unshare");
    command.args(way?).args(["sh", "-c", script, "sh"]);
    Some(command)
}

/// Lets the program of `home` run under `script`, which ends in `exec "$@"`.
pub fn under(home: &Home, script: &str) -> Option<Command> {
    let mut command = with_own_mounts(script)?;
    command.arg(env!("CARGO_BIN_EXE_carrel")).arg("serve").current_dir(home.path()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap()).env("CARREL_ADMIN_KEY", ADMIN_KEY);
    command.process_group(0);
    Some(command)
}

#[tokio::test]
async fn a_full_disk_refuses_what_is_new_reads_on_and_recovers() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    // The mount is the server's alone, so what fills it must be asked of the server.
    let Some(command) = under(&home, "mount -t tmpfs -o size=24m none data && exec \"$@\"") else { return };
    let server = Server::launch(home, command);
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    // Of a page whose text is short, so that it takes no time but room.
    let filler = "k".repeat(1_000_000);
    let mut stored = Vec::new();
    let refused = loop {
        let number = stored.len();
        let (name, content) = (format!("filler-{number}.html"), format!("<p>Filler {number}</p><!-- {filler} -->"));
        let upload = crate::client::file(&name, content.as_bytes()).of("text/html");
        let answer = tenant.client.upload("POST", &tenant.path("/documents"), &[upload]).await;
        match answer.status {
            201 => stored.push(crate::tenant::id(&answer.json())),
            _ => break answer,
        }
        assert!(number < 60, "it must be full by now");
    };
    let problem = refused.is(507).any_problem();
    assert_eq!(problem["code"], "insufficient_storage");
    let found = tenant.search(json!({"query": "centrifuge"})).await;
    assert_eq!(found["results"][0]["document_source"], "laboratory.md", "reading goes on");
    tenant.client.get(&tenant.path("/documents")).await.is(200);
    for document in &stored {
        tenant.client.delete(&tenant.path(&format!("/documents/{document}"))).await.is(200);
    }
    // Space comes back with the next rest; until then a refusal is honest.
    for attempt in 0.. {
        let body = json!({"source": "after.md", "content": "A violet umbrella arrived afterwards."});
        let answer = tenant.client.post(&tenant.path("/documents"), &body).await;
        if answer.status == 201 {
            break;
        }
        answer.is(507);
        assert!(attempt < 2_000, "writing works again when there is room");
    }
    let found = tenant.search(json!({"query": "violet umbrella", "search_type": "fulltext"})).await;
    assert_eq!(found["results"][0]["document_source"], "after.md");
    assert_whole(&tenant).await;
    server.kill();
}

#[tokio::test]
async fn a_disk_that_fills_up_in_the_midst_of_many_vectors_is_told_as_full() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    let Some(command) = under(&home, "mount -t tmpfs -o size=16m none data && exec \"$@\"") else { return };
    let server = Server::launch(home, command);
    let tenant = Tenant::new(&server.admin()).await;
    for number in 0..40 {
        let body = json!({"source": format!("{number}.txt"), "content": format!("{number} {}", "k".repeat(400_000))});
        let answer = tenant.client.post(&tenant.path("/documents"), &body).await;
        if answer.status != 201 {
            answer.problem(507, "insufficient_storage");
            server.kill();
            return;
        }
    }
    panic!("it must be full by now");
}

#[tokio::test]
async fn a_medium_that_takes_no_writes_can_be_searched() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let home: Arc<Home> = server.stop();
    let Some(command) = under(&home, "mount --bind data data && mount -o remount,ro,bind data && exec \"$@\"") else {
        return;
    };
    let server = Server::launch(home, command);
    let tenant = again(&tenant, &server);
    for search_type in ["vector", "fulltext", "hybrid"] {
        let found = tenant.search(json!({"query": "centrifuge", "search_type": search_type})).await;
        assert!(found["total_results"].as_u64().unwrap() > 0, "{search_type}: {found}");
    }
    let answer = tenant.ask("Who repairs the centrifuge?").await;
    tenant.check_citations(&answer).await;
    let body = json!({"source": "new.md", "content": "New."});
    tenant.client.post(&tenant.path("/documents"), &body).await.is(503);
    tenant.client.get(&tenant.path("/stats")).await.is(200);
    server.kill();
}

#[tokio::test]
async fn an_index_cut_short_under_the_server_kills_nobody() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let directory = server.home().workspace(&tenant.workspace);
    at_rest(&tenant, &directory).await;
    for file in files_below(&directory.join("index")) {
        std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(0).unwrap();
    }
    // Whatever it answers, it lives; and a repair brings everything back.
    let body = json!({"query": "centrifuge", "search_type": "hybrid"});
    tenant.client.post(&tenant.path("/search"), &body).await;
    let repaired = tenant.admin.post(&tenant.path("/check"), &json!({"repair": true})).await.is(200).json();
    assert_eq!(repaired["whole"], true, "{repaired}");
    let found = tenant.search(json!({"query": "centrifuge", "search_type": "fulltext"})).await;
    assert_eq!(found["results"][0]["document_source"], "laboratory.md");
    server.kill();
}

fn files_below(directory: &Path) -> Vec<std::path::PathBuf> {
    let entries = walkdir::WalkDir::new(directory).into_iter().flatten();
    entries.filter(|entry| entry.file_type().is_file()).map(|entry| entry.path().to_owned()).collect()
}

#[tokio::test]
async fn flipped_bits_in_an_index_are_found_when_it_is_opened() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let home = server.stop();
    let directory = home.workspace(&tenant.workspace);
    let kept = home.path().join("kept");
    copy(&directory, &kept, |_| {});
    let segments = files_below(&directory.join("index"));
    let segments: Vec<_> = segments.into_iter().filter(|path| !path.to_string_lossy().ends_with(".lock")).collect();
    let mut home = home;
    for segment in segments {
        flip(&segment);
        let server = Server::within(home, &[]);
        let tenant = again(&tenant, &server);
        let found = tenant.search(json!({"query": "centrifuge", "search_type": "fulltext"})).await;
        assert_eq!(found["results"][0]["document_source"], "laboratory.md", "{}", segment.display());
        home = server.kill();
        std::fs::remove_dir_all(&directory).unwrap();
        copy(&kept, &directory, |_| {});
    }
}

#[tokio::test]
async fn a_lost_or_unusable_cache_stops_nothing() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let home = server.stop();
    let cache = home.data().join("cache");
    std::fs::remove_dir_all(&cache).unwrap();
    std::fs::write(&cache, "no directory").unwrap();
    let server = Server::within(home, &[]);
    let tenant = again(&tenant, &server);
    assert!(tenant.search(json!({"query": "centrifuge"})).await["total_results"].as_u64().unwrap() > 0);
    tenant.document("new.md", "Goes in all the same.").await;
}

#[tokio::test]
async fn a_backup_beside_a_running_server_restores_everything() {
    let server = Server::start();
    let admin = server.admin();
    let (one, two) = (Tenant::new(&admin).await, Tenant::new(&admin).await);
    one.handbook().await;
    two.document("only.md", "The violet umbrella is in the second workspace.").await;
    let first = server.home().run(&["backup", "backups", "--json"]).exits(0).json();
    assert_eq!(first["workspaces"], 3, "{first}");
    one.document("later.md", "Between two backups a kestrel came.").await;
    let second = server.home().run(&["backup", "backups", "--json"]).exits(0).json();
    let (before, after) = (first["copied_bytes"].as_u64().unwrap(), second["copied_bytes"].as_u64().unwrap());
    assert!(after < before, "only what changed is copied: {after} of {before}");
    let home = server.home().clone();
    let occupied = home.run(&["restore", "backups"]).exits(1);
    assert!(occupied.stderr.contains("holds data already"), "{}", occupied.stderr);
    drop(server);
    std::fs::remove_dir_all(home.data()).unwrap();
    home.run(&["restore", "backups"]).exits(0);
    home.run(&["doctor"]).exits(0);
    let server = Server::within(home.clone(), &[]);
    let (one, two) = (again(&one, &server), again(&two, &server));
    for tenant in [&one, &two] {
        assert_whole(tenant).await;
    }
    let found = one.search(json!({"query": "kestrel", "search_type": "fulltext"})).await;
    assert_eq!(found["results"][0]["document_source"], "later.md");
    let found = two.search(json!({"query": "violet umbrella"})).await;
    assert_eq!(found["results"][0]["document_source"], "only.md");
    drop(server);
    // An older one, and none that is damaged.
    let older = Path::new(first["directory"].as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::remove_dir_all(home.data()).unwrap();
    home.run(&["restore", "backups", "--at", &older]).exits(0);
    let server = Server::within(home.clone(), &[]);
    assert_eq!(again(&one, &server).document_count().await, crate::handbook::HANDBOOK.len() as u64);
    drop(server);
    let database = files_below(&home.path().join("backups")).into_iter().filter(|path| path.ends_with("knowledge.db"));
    database.for_each(|path| flip(&path));
    std::fs::remove_dir_all(home.data()).unwrap();
    let damaged = home.run(&["restore", "backups"]).exits(1);
    assert!(damaged.stderr.contains("damaged"), "{}", damaged.stderr);
    assert!(!home.data().join("control.db").exists(), "half a restoration is none");
}
