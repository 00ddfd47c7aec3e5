//! What is done to directories: copies by every way there is, at rest, frozen and in the middle of changes.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::server::Server;
use crate::tenant::{Tenant, id};

/// Copies a tree as `cp -r` does; between two files `pause` is called.
pub fn copy(from: &Path, to: &Path, mut pause: impl FnMut(&Path)) {
    for entry in walkdir::WalkDir::new(from).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        // A file may go while others are being copied.
        let _ = std::fs::copy(entry.path(), target);
        pause(entry.path());
    }
}

/// Waits until the manifest says that the directory is at rest.
pub async fn at_rest(tenant: &Tenant, directory: &Path) {
    // Reading facts is a change, too.
    tenant.facts_read().await;
    for _ in 0..2_000 {
        let manifest = std::fs::read_to_string(directory.join("workspace.json")).unwrap_or_default();
        let manifest: Value = serde_json::from_str(&manifest).unwrap_or_default();
        if manifest["clean"].is_object() {
            return;
        }
        // Each question takes its time, and none is a change.
        tenant.client.get(&tenant.path("/documents?limit=1")).await.is(200);
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the directory did not come to rest");
}

/// The same tenant as it came in elsewhere.
pub async fn arrived(admin: &Client, organization: &str, arrival: &Answer) -> Tenant {
    let workspace = id(&arrival.json());
    let agents = admin.get(&format!("/v1/workspaces/{workspace}/agents")).await.is(200).json();
    let mut tenant = Tenant {
        admin: admin.clone(),
        organization: organization.to_owned(),
        workspace,
        agent: id(&agents[0]),
        client: admin.anonymous(),
    };
    tenant.client = tenant.key(&crate::tenant::SCOPES).await;
    tenant
}

async fn snapshot(tenant: &Tenant) -> Vec<u8> {
    tenant.client.send("POST", &tenant.path("/snapshot"), None).await.is(200).bytes
}

async fn import(admin: &Client, organization: &str, query: &str, archive: Vec<u8>) -> Answer {
    let path = format!("/v1/organizations/{organization}/workspaces/import{query}");
    admin.raw("POST", &path, &[("content-type", "application/zstd")], archive).await
}

async fn adopt(admin: &Client, organization: &str, body: Value) -> Answer {
    admin.post(&format!("/v1/organizations/{organization}/workspaces/adopt"), &body).await
}

async fn check(tenant: &Tenant) -> Value {
    tenant.admin.send("POST", &tenant.path("/check"), None).await.is(200).json()
}

/// The sources of all documents, sorted.
async fn sources(tenant: &Tenant) -> Vec<String> {
    let mut sources = Vec::new();
    loop {
        let path = tenant.path(&format!("/documents?limit=200&offset={}", sources.len()));
        let page = tenant.client.get(&path).await.is(200).json();
        let page = page["documents"].as_array().unwrap();
        if page.is_empty() {
            sources.sort();
            return sources;
        }
        sources.extend(page.iter().map(|document| document["source"].as_str().unwrap().to_owned()));
    }
}

/// Asserts that both answer every question alike, to the score.
async fn assert_alike(one: &Tenant, other: &Tenant) {
    for search_type in ["vector", "fulltext", "hybrid"] {
        for query in ["vaccine fridge", "Who repairs the centrifuge?", "Urlaub"] {
            let body = json!({"query": query, "search_type": search_type, "limit": 5});
            let (one, other) = (one.search(body.clone()).await, other.search(body).await);
            assert_eq!(one["results"], other["results"], "{search_type} {query}");
        }
    }
    assert_eq!(sources(one).await, sources(other).await);
}

#[tokio::test]
async fn a_snapshot_becomes_a_workspace_on_another_server() {
    let (server, other) = (Server::start(), Server::start());
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let asked = tenant.ask("What is in the laboratory?").await;
    let archive = snapshot(&tenant).await;
    let organization = Tenant::new(&other.admin()).await.organization;
    let arrival = import(&other.admin(), &organization, "?name=Moved%20here&slug=moved", archive.clone()).await.is(201);
    let row = arrival.json();
    assert_eq!((row["name"].as_str(), row["slug"].as_str()), (Some("Moved here"), Some("moved")));
    assert_ne!(row["id"], json!(tenant.workspace), "an id of its own");
    let moved = arrived(&other.admin(), &organization, &arrival).await;
    assert_alike(&tenant, &moved).await;
    assert_eq!(check(&moved).await["whole"], true);
    let session = asked["session_id"].as_str().unwrap();
    let messages = moved.client.get(&moved.path(&format!("/sessions/{session}/messages"))).await.is(200).json();
    assert_eq!(messages["total"], 2, "conversations come along");
    // No way in comes along.
    let stranger = other.admin().with_token(tenant.client.token());
    stranger.get(&moved.path("/documents")).await.is(401);
    // Twice is two workspaces; a slug that is taken is refused, and one that is not given is found.
    import(&other.admin(), &organization, "?slug=moved", archive.clone()).await.is(409);
    let again = import(&other.admin(), &organization, "", archive).await.is(201).json();
    assert_ne!(again["id"], row["id"]);
    assert!(other.home().names().iter().all(|name| !name.starts_with("data/tmp/")), "nothing is left behind");
}

#[tokio::test]
async fn a_snapshot_under_changes_is_of_one_moment() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let (stop, stored) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writer = tokio::spawn(write_numbered(tenant.client.clone(), tenant.path(""), stop.clone(), stored.clone()));
    for round in 0..4 {
        while stored.load(Ordering::SeqCst) < 10 * round {
            tokio::task::yield_now().await;
        }
        let before = stored.load(Ordering::SeqCst);
        let archive = snapshot(&tenant).await;
        let arrival = import(&server.admin(), &tenant.organization, "", archive).await.is(201);
        let copy = arrived(&server.admin(), &tenant.organization, &arrival).await;
        assert_prefix(&sources(&copy).await, before);
        assert_eq!(check(&copy).await["whole"], true);
    }
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
}

/// Stores documents 0, 1, 2, … one after another until told to stop; `stored` is how many were answered.
async fn write_numbered(client: Client, workspace: String, stop: Arc<AtomicBool>, stored: Arc<AtomicUsize>) {
    let mut number = stored.load(Ordering::SeqCst);
    while !stop.load(Ordering::SeqCst) {
        let content =
            format!("Document number {number} of the series, about {}.", "kettles and lids ".repeat(number % 7));
        let body = json!({"source": format!("{number:06}"), "content": content});
        let answer = client.post(&format!("{workspace}/documents"), &body).await;
        if answer.status == 201 {
            number += 1;
            stored.store(number, Ordering::SeqCst);
        }
    }
}

/// Asserts that these are documents 0, 1, 2, … without a gap, at least `least` of them.
#[track_caller]
fn assert_prefix(sources: &[String], least: usize) {
    let expected: Vec<String> = (0..sources.len()).map(|number| format!("{number:06}")).collect();
    assert_eq!(sources, expected);
    assert!(sources.len() >= least, "{} of at least {least}", sources.len());
}

#[tokio::test]
async fn an_archive_can_neither_lead_out_nor_lie() {
    let server = Server::with(&[("CARREL_LIMITS_IMPORT_BYTES", "3000000")]);
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let whole = snapshot(&tenant).await;
    let plain = zstd::decode_all(whole.as_slice()).unwrap();
    let packed = |tar: Vec<u8>| zstd::encode_all(tar.as_slice(), 1).unwrap();
    let entry = |name: &str, kind: tar::EntryType, bytes: &[u8]| {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        if kind == tar::EntryType::Symlink {
            header.set_link_name("/etc").unwrap();
        }
        // The field itself: the library would refuse to write such names.
        let field = header.as_mut_bytes().get_mut(..name.len()).unwrap();
        field.copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, bytes).unwrap();
        archive.into_inner().unwrap()
    };
    let mut flipped = plain.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let file = tar::EntryType::Regular;
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("nothing", Vec::new(), &[400]),
        ("rubbish", b"this is no archive".to_vec(), &[400]),
        ("a tar without compression", plain.clone(), &[400]),
        ("cut off", whole[..whole.len() / 2].to_vec(), &[400]),
        ("cut off at the end", whole[..whole.len() - 5].to_vec(), &[400]),
        ("a flipped bit", packed(flipped), &[400, 422]),
        ("a name that climbs", packed(entry("../../escaped", file, b"x")), &[400]),
        ("an absolute name", packed(entry("/tmp/escaped", file, b"x")), &[400]),
        ("a name that is no file of ours", packed(entry("knowledge.db-wal", file, b"x")), &[400]),
        ("a shelf that climbs", packed(entry("files/../escaped", file, b"x")), &[400]),
        ("a link", packed(entry("files/ab", tar::EntryType::Symlink, b"")), &[400]),
        ("a device", packed(entry("knowledge.db", tar::EntryType::Char, b"")), &[400]),
        ("a manifest alone", packed(entry("workspace.json", file, b"{}")), &[400]),
        ("too much", packed(entry("knowledge.db", file, &vec![0; 4_000_000])), &[413]),
    ];
    let before = server.home().names();
    for (what, archive, statuses) in cases {
        let answer = import(&server.admin(), &tenant.organization, "", archive).await;
        assert!(statuses.contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
        answer.any_problem();
    }
    assert_eq!(server.home().names(), before, "nothing of them is left anywhere");
}

#[tokio::test]
async fn a_copy_has_the_same_knowledge_and_goes_its_own_way() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let body = json!({"name": "Second", "slug": "second"});
    let arrival = server.admin().post(&tenant.path("/copy"), &body).await.is(201);
    let copy = arrived(&server.admin(), &tenant.organization, &arrival).await;
    assert_alike(&tenant, &copy).await;
    copy.document("own.md", "Only the copy speaks of a violet umbrella.").await;
    let found = tenant.search(json!({"query": "violet umbrella", "search_type": "fulltext"})).await;
    assert_eq!(found["total_results"], 0);
    server.admin().post(&tenant.path("/copy"), &body).await.is(409);
    tenant.client.post(&tenant.path("/copy"), &json!({"name": "No", "slug": "no"})).await.is(403);
}

#[tokio::test]
async fn a_directory_left_alone_is_a_whole_workspace_to_plain_copying() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let directory = server.home().workspace(&tenant.workspace);
    at_rest(&tenant, &directory).await;
    let place = server.home().workspace("from-a-stick");
    copy(&directory, &place, |_| {});
    let listed = server.admin().get("/v1/workspaces/unadopted").await.is(200).json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let found = &listed[0];
    assert_eq!(found["directory"], "from-a-stick");
    assert_eq!((&found["is_copy"], &found["at_rest"], &found["problem"]), (&json!(true), &json!(true), &Value::Null));
    tenant.client.get("/v1/workspaces/unadopted").await.is(403);
    tenant
        .client
        .post(
            &format!("/v1/organizations/{}/workspaces/adopt", tenant.organization),
            &json!({"directory": "from-a-stick"}),
        )
        .await
        .is(403);
    for name in ["../from-a-stick", "", "/etc", &tenant.workspace] {
        adopt(&server.admin(), &tenant.organization, json!({"directory": name})).await.is(404);
    }
    let body = json!({"directory": "from-a-stick", "slug": "adopted"});
    let arrival = adopt(&server.admin(), &tenant.organization, body).await.is(201);
    let adopted = arrived(&server.admin(), &tenant.organization, &arrival).await;
    assert_alike(&tenant, &adopted).await;
    assert!(!place.exists());
    assert_eq!(server.admin().get("/v1/workspaces/unadopted").await.is(200).json(), json!([]));
}

#[tokio::test]
async fn a_frozen_workspace_holds_still_and_answers() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let stranger = Tenant::new(&server.admin()).await.client;
    stranger.post(&tenant.path("/freeze"), &json!({})).await.is(403);
    stranger.delete(&tenant.path("/freeze")).await.is(403);
    tenant.key(&["read", "ingest"]).await.post(&tenant.path("/freeze"), &json!({})).await.is(403);
    tenant.client.post(&tenant.path("/freeze"), &json!({"seconds": 0})).await.is(422);
    let frozen = tenant.client.post(&tenant.path("/freeze"), &json!({"seconds": 60})).await.is(200).json();
    assert_eq!(frozen["status"], "frozen");
    let late = json!({"source": "late.md", "content": "Too late."});
    tenant.client.post(&tenant.path("/documents"), &late).await.is(503);
    assert!(tenant.search(json!({"query": "centrifuge"})).await["total_results"].as_u64().unwrap() > 0);
    copy(&server.home().workspace(&tenant.workspace), &server.home().workspace("held"), |_| {});
    tenant.client.delete(&tenant.path("/freeze")).await.is(200);
    tenant.client.post(&tenant.path("/documents"), &late).await.is(201);
    let arrival = adopt(&server.admin(), &tenant.organization, json!({"directory": "held"})).await.is(201);
    let adopted = arrived(&server.admin(), &tenant.organization, &arrival).await;
    assert_eq!(adopted.document_count().await, crate::handbook::HANDBOOK.len() as u64);
}

/// A copy taken under changes comes in whole up to some commit, or is refused with a sentence; never anything else.
#[tokio::test]
async fn a_copy_under_changes_is_a_prefix_of_history_or_refused() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let (stop, stored) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let writer = tokio::spawn(write_numbered(tenant.client.clone(), tenant.path(""), stop.clone(), stored.clone()));
    let directory = server.home().workspace(&tenant.workspace);
    let copies: Vec<PathBuf> = (0..24).map(|n| server.home().workspace(&format!("copy-{n:02}"))).collect();
    for (number, place) in copies.iter().enumerate() {
        while stored.load(Ordering::SeqCst) < 3 * number {
            tokio::task::yield_now().await;
        }
        let (directory, place) = (directory.clone(), place.clone());
        let (slow, stored) = (number % 3 == 2, stored.clone());
        tokio::task::spawn_blocking(move || {
            let mut pauses = 0;
            copy(&directory, &place, |_| {
                let now = stored.load(Ordering::SeqCst);
                pauses += 1;
                // A slow copy sees a commit between two files; each commit adds one, so not between any two.
                while slow && pauses < 8 && stored.load(Ordering::SeqCst) == now {
                    std::thread::yield_now();
                }
            });
            if number % 4 == 3 {
                let _ = std::fs::remove_file(place.join("knowledge.db-wal"));
            }
        })
        .await
        .unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    writer.await.unwrap();
    let mut whole = 0;
    for place in copies {
        let name = place.file_name().unwrap().to_str().unwrap();
        let answer = adopt(&server.admin(), &tenant.organization, json!({"directory": name})).await;
        match answer.status {
            201 => {
                whole += 1;
                let adopted = arrived(&server.admin(), &tenant.organization, &answer).await;
                assert_prefix(&sources(&adopted).await, 0);
                assert_eq!(check(&adopted).await["whole"], true);
            }
            409 => {
                let problem = answer.any_problem();
                assert!(problem["detail"].as_str().unwrap().contains("copy it again"), "{problem}");
                assert!(place.exists(), "what is refused stays where it is");
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    assert!(whole > 0, "some came in whole");
}

#[tokio::test]
async fn what_a_partial_copy_lacks_is_made_anew_or_named() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let directory = server.home().workspace(&tenant.workspace);
    at_rest(&tenant, &directory).await;
    let files: Vec<PathBuf> = walkdir::WalkDir::new(&directory)
        .into_iter()
        .flatten()
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.path().strip_prefix(&directory).unwrap().to_owned())
        .filter(|path| !path.to_string_lossy().ends_with("-shm"))
        .collect();
    let mut originals = 0;
    for (number, missing) in files.iter().enumerate() {
        let missing_name = missing.to_string_lossy().into_owned();
        // One original stands for all.
        if missing_name.starts_with("files/") {
            originals += 1;
            if originals > 1 {
                continue;
            }
        }
        let name = format!("part-{number}");
        let place = server.home().workspace(&name);
        copy(&directory, &place, |_| {});
        std::fs::remove_file(place.join(missing)).unwrap();
        let answer = adopt(&server.admin(), &tenant.organization, json!({"directory": name})).await;
        let derived = missing_name.starts_with("index/") || missing_name.ends_with("-wal");
        assert_eq!(answer.status, if derived { 201 } else { 409 }, "without {missing_name}: {}", answer.text());
        if derived {
            let adopted = arrived(&server.admin(), &tenant.organization, &answer).await;
            assert_alike(&tenant, &adopted).await;
        } else if missing_name.starts_with("files/") {
            let body = json!({"directory": name, "accept_loss": true});
            let accepted = adopt(&server.admin(), &tenant.organization, body).await.is(201).json();
            assert!(accepted["losses"][0].as_str().unwrap().contains("missing"), "{accepted}");
        }
    }
    assert!(files.len() > 5, "{files:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_directory_with_links_is_refused() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let directory = server.home().workspace(&tenant.workspace);
    at_rest(&tenant, &directory).await;
    let outside = server.home().path().join("outside");
    std::fs::write(&outside, "secret").unwrap();
    for name in ["soft", "hard"] {
        let place = server.home().workspace(name);
        copy(&directory, &place, |_| {});
        let link = place.join("files").join("link");
        match name {
            "soft" => std::os::unix::fs::symlink(&outside, link).unwrap(),
            _ => std::fs::hard_link(&outside, link).unwrap(),
        }
        let answer = adopt(&server.admin(), &tenant.organization, json!({"directory": name})).await.is(409);
        assert!(answer.text().contains("link"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_database_with_programs_in_it_is_refused() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let directory = server.home().workspace(&tenant.workspace);
    at_rest(&tenant, &directory).await;
    let place = server.home().workspace("tampered");
    copy(&directory, &place, |_| {});
    let db = rusqlite::Connection::open(place.join("knowledge.db")).unwrap();
    db.execute_batch("CREATE TRIGGER evil AFTER INSERT ON messages BEGIN DELETE FROM documents; END;").unwrap();
    drop(db);
    let body = json!({"directory": "tampered", "accept_loss": true});
    let answer = adopt(&server.admin(), &tenant.organization, body).await.is(409);
    assert!(answer.text().contains("program"), "{}", answer.text());
}

#[tokio::test]
async fn a_deleted_workspace_can_be_restored_for_a_while() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    server.admin().delete(&tenant.path("")).await.is(200);
    let trash = format!("/v1/organizations/{}/trash", tenant.organization);
    let listed = server.admin().get(&trash).await.is(200).json();
    assert_eq!(listed[0]["id"], json!(tenant.workspace));
    server.admin().get(&tenant.path("")).await.is(404);
    let other = Tenant::new(&server.admin()).await;
    let elsewhere = format!("/v1/organizations/{}/trash/{}/restore", other.organization, tenant.workspace);
    server.admin().send("POST", &elsewhere, None).await.is(404);
    let restore = format!("{trash}/{}/restore", tenant.workspace);
    server.admin().send("POST", &restore, None).await.is(200);
    server.admin().send("POST", &restore, None).await.is(404);
    tenant.client.get(&tenant.path("")).await.is(401);
    let restored = Tenant { client: tenant.key(&crate::tenant::SCOPES).await, ..tenant };
    assert_eq!(restored.document_count().await, crate::handbook::HANDBOOK.len() as u64);
    assert!(restored.search(json!({"query": "centrifuge"})).await["total_results"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn nothing_of_a_deleted_document_is_left_on_the_disk() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let content = "# Zaunkoenig\n\nThe xylograph of Quetzaltenango hangs in the vestibule.";
    let row = tenant.document("secret-zaunkoenig.md", content).await;
    let asked = tenant.ask("What hangs in the vestibule of the clinic?").await;
    assert!(asked["message"].as_str().unwrap().contains("xylograph"), "{asked}");
    let directory = server.home().data();
    at_rest(&tenant, &server.home().workspace(&tenant.workspace)).await;
    let words = ["xylograph", "quetzaltenango", "zaunkoenig"];
    assert!(!holders(&directory, &words).is_empty(), "the words are on the disk before");
    tenant.client.delete(&tenant.path(&format!("/documents/{}", id(&row)))).await.is(200);
    at_rest(&tenant, &server.home().workspace(&tenant.workspace)).await;
    assert_eq!(holders(&directory, &words), Vec::<String>::new());
    let session = asked["session_id"].as_str().unwrap();
    let kept = tenant.client.get(&tenant.path(&format!("/sessions/{session}/messages"))).await.is(200).json();
    assert_eq!(kept["total"], 2, "the conversation itself stays: {kept}");
}

/// The files that hold one of the words, in any case.
fn holders(directory: &Path, words: &[&str]) -> Vec<String> {
    let files = walkdir::WalkDir::new(directory).into_iter().flatten().filter(|entry| entry.file_type().is_file());
    let holds = |path: &Path| {
        let mut bytes = Vec::new();
        std::fs::File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
        bytes.make_ascii_lowercase();
        words.iter().any(|word| bytes.windows(word.len()).any(|window| window == word.as_bytes()))
    };
    files.map(|entry| entry.path().to_owned()).filter(|path| holds(path)).map(|p| p.display().to_string()).collect()
}

#[tokio::test]
async fn a_check_names_what_is_wrong_and_repairs_what_is_derived() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let report = check(&tenant).await;
    assert_eq!(report["whole"], true, "{report}");
    assert_eq!(report["documents"], crate::handbook::HANDBOOK.len() as u64);
    let directory = server.home().workspace(&tenant.workspace);
    at_rest(&tenant, &directory).await;
    let largest = |below: &str| -> PathBuf {
        let files = walkdir::WalkDir::new(directory.join(below)).into_iter().flatten();
        let files =
            files.filter(|entry| entry.file_type().is_file() && !entry.path().to_string_lossy().ends_with("json"));
        files.max_by_key(|entry| entry.metadata().unwrap().len()).unwrap().path().to_owned()
    };
    flip(&largest("index"));
    let report = check(&tenant).await;
    assert_eq!((&report["whole"], &report["findings"][0]["part"]), (&json!(false), &json!("index")), "{report}");
    let repaired = tenant.admin.post(&tenant.path("/check"), &json!({"repair": true})).await.is(200).json();
    assert_eq!((&repaired["whole"], &repaired["findings"][0]["repaired"]), (&json!(true), &json!(true)), "{repaired}");
    let found = tenant.search(json!({"query": "centrifuge", "search_type": "fulltext"})).await;
    assert_eq!(found["results"][0]["document_source"], "laboratory.md");
    flip(&largest("files"));
    let report = check(&tenant).await;
    assert_eq!((&report["whole"], &report["findings"][0]["part"]), (&json!(false), &json!("originals")), "{report}");
    let run = server.home().run(&["workspace", "check", &tenant.workspace, "--json"]).exits(1);
    assert_eq!(run.json(), report);
    let doctor = server.home().run(&["doctor"]).exits(1);
    assert!(doctor.stdout.contains("originals"), "{}", doctor.stdout);
}

/// Turns one bit over in the middle of a file.
pub fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    // In place, as rot does it.
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(&bytes).unwrap();
}

#[tokio::test]
async fn a_damaged_workspace_neither_stops_the_start_nor_its_neighbours() {
    let server = Server::start();
    let admin = server.admin();
    let (damaged, neighbour) = (Tenant::new(&admin).await, Tenant::new(&admin).await);
    damaged.handbook().await;
    neighbour.handbook().await;
    let home = server.kill();
    let database = home.workspace(&damaged.workspace).join("knowledge.db");
    let mut bytes = std::fs::read(&database).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 20_000].fill(0xAB);
    std::fs::write(&database, bytes).unwrap();
    let server = Server::within(home, &[]);
    let at = |tenant: &Tenant| server.admin().with_token(tenant.client.token());
    let answer = at(&damaged).get(&damaged.path("/documents")).await.is(503);
    assert!(answer.text().contains("damaged"), "{}", answer.text());
    at(&neighbour).get(&neighbour.path("/documents")).await.is(200);
    let report = server.admin().send("POST", &damaged.path("/check"), None).await.is(200).json();
    assert_eq!(report["whole"], false);
    let list = format!("/v1/organizations/{}/workspaces", damaged.organization);
    server.admin().get(&list).await.is(200);
    // The damage is logged as an error, which a quiet end would complain about.
    server.kill();
}

#[tokio::test]
async fn a_database_of_an_older_version_is_brought_up_and_kept() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let home = server.stop();
    let directory = home.workspace(&tenant.workspace);
    downgrade(&directory);
    let server = Server::within(home, &[]);
    let tenant = Tenant { client: server.admin().with_token(tenant.client.token()), admin: server.admin(), ..tenant };
    let found = tenant.search(json!({"query": "centrifuge", "search_type": "fulltext"})).await;
    assert_eq!(found["results"][0]["document_source"], "laboratory.md");
    tenant.document("new.md", "A violet umbrella arrived.").await;
    assert_eq!(check(&tenant).await["whole"], true);
    assert!(directory.join("knowledge.db.before-2").exists(), "the older file is kept for a while");
}

/// Makes a workspace's database one of the first version.
pub fn downgrade(directory: &Path) {
    let db = rusqlite::Connection::open(directory.join("knowledge.db")).unwrap();
    let triggers: Vec<String> = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for trigger in triggers {
        db.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    db.execute_batch(
        "DROP INDEX messages_by_judgment; ALTER TABLE messages DROP COLUMN rated_at;
         DROP TABLE answer_evidence; DROP TABLE answers; DROP INDEX sessions_by_transcript; DROP INDEX sessions_by_time;
         ALTER TABLE sessions DROP COLUMN transcript;
         DROP TABLE recorded_facts; DROP TABLE evidence; DROP TABLE facts; DROP TABLE mentions; DROP TABLE entity_names;
         DROP TABLE entities; DELETE FROM meta WHERE key LIKE 'graph%'; DROP INDEX documents_by_subject;
         DROP INDEX documents_by_facts_read; DROP INDEX documents_to_ask_about; ALTER TABLE documents DROP COLUMN subject;
         ALTER TABLE documents DROP COLUMN chunks_asked; ALTER TABLE documents DROP COLUMN tokens_used;
         ALTER TABLE documents DROP COLUMN facts_read;
         DROP TABLE job_results; ALTER TABLE jobs DROP COLUMN bytes_total; ALTER TABLE jobs DROP COLUMN bytes_done;
         ALTER TABLE jobs DROP COLUMN worked_count; ALTER TABLE jobs DROP COLUMN begun; ALTER TABLE jobs DROP COLUMN worked_ms;
         DROP TABLE evaluation_runs; DROP TABLE evaluation_questions; DROP TABLE evaluations;
         DROP TABLE tallies; DROP TABLE generations; INSERT INTO meta VALUES ('tombstones_since', 0);
         ALTER TABLE documents DROP COLUMN warnings; ALTER TABLE chunks DROP COLUMN places;
         ALTER TABLE chunks ADD COLUMN page INTEGER;
         ALTER TABLE documents DROP COLUMN content_sum; DROP TABLE embedding_models; DROP TABLE vector_sums;
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(db);
}

#[tokio::test]
async fn one_directory_copied_twice_is_two_workspaces_of_whoever_adopts_them() {
    let server = Server::start();
    let (tenant, other) = (Tenant::new(&server.admin()).await, Tenant::new(&server.admin()).await);
    tenant.handbook().await;
    let directory = server.home().workspace(&tenant.workspace);
    at_rest(&tenant, &directory).await;
    for name in ["one", "two"] {
        copy(&directory, &server.home().workspace(name), |_| {});
    }
    let one = adopt(&server.admin(), &tenant.organization, json!({"directory": "one"})).await.is(201);
    let two = adopt(&server.admin(), &other.organization, json!({"directory": "two"})).await.is(201);
    let one = arrived(&server.admin(), &tenant.organization, &one).await;
    let two = arrived(&server.admin(), &other.organization, &two).await;
    assert_ne!(one.workspace, two.workspace);
    one.document("canary.md", "The kestrel is in the first alone.").await;
    for elsewhere in [&two, &tenant] {
        let found = elsewhere.search(json!({"query": "kestrel", "search_type": "fulltext"})).await;
        assert_eq!(found["total_results"], 0);
        one.client.get(&elsewhere.path("/documents")).await.is(403);
    }
    tenant.client.get(&one.path("/documents")).await.is(403);
}

#[tokio::test]
async fn a_log_of_another_database_is_never_believed() {
    let server = Server::start();
    let (tenant, other) = (Tenant::new(&server.admin()).await, Tenant::new(&server.admin()).await);
    tenant.handbook().await;
    let directory = server.home().workspace(&tenant.workspace);
    at_rest(&tenant, &directory).await;
    other.handbook().await;
    other.document("more.md", "Another workspace, with other pages in its log.").await;
    let log = server.home().workspace(&other.workspace).join("knowledge.db-wal");
    let foreign = std::fs::read(log).unwrap();
    // Beside a database at rest it is left aside.
    let place = server.home().workspace("rest");
    copy(&directory, &place, |_| {});
    std::fs::write(place.join("knowledge.db-wal"), &foreign).unwrap();
    std::fs::write(place.join("knowledge.db-shm"), vec![0xAB; 32768]).unwrap();
    let adopted = adopt(&server.admin(), &tenant.organization, json!({"directory": "rest"})).await.is(201);
    assert_alike(&tenant, &arrived(&server.admin(), &tenant.organization, &adopted).await).await;
    // Beside one that does not say that it was at rest, the whole is refused, or is what it was.
    let place = server.home().workspace("busy");
    copy(&directory, &place, |_| {});
    let manifest = std::fs::read_to_string(place.join("workspace.json")).unwrap();
    let mut manifest: Value = serde_json::from_str(&manifest).unwrap();
    manifest.as_object_mut().unwrap().remove("clean");
    std::fs::write(place.join("workspace.json"), manifest.to_string()).unwrap();
    std::fs::write(place.join("knowledge.db-wal"), &foreign).unwrap();
    let answer = adopt(&server.admin(), &tenant.organization, json!({"directory": "busy"})).await;
    match answer.status {
        409 => {}
        201 => {
            let adopted = arrived(&server.admin(), &tenant.organization, &answer).await;
            let sources = sources(&adopted).await;
            let (ours, theirs) = (self::sources(&tenant).await, self::sources(&other).await);
            assert!(sources == ours || sources == theirs, "a state that was committed, of one of both: {sources:?}");
            assert_eq!(check(&adopted).await["whole"], true);
        }
        status => panic!("{status}: {}", answer.text()),
    }
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_refused_and_not_touched() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let home = server.stop();
    let directory = home.workspace(&tenant.workspace);
    let database = directory.join("knowledge.db");
    let db = rusqlite::Connection::open(&database).unwrap();
    db.execute_batch("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    drop(db);
    let before = std::fs::read(&database).unwrap();
    let server = Server::within(home, &[]);
    let client = server.admin().with_token(tenant.client.token());
    let answer = client.get(&tenant.path("/documents")).await.is(503);
    assert!(answer.text().contains("newer version"), "{}", answer.text());
    client.post(&tenant.path("/documents"), &json!({"content": "No."})).await.is(503);
    let home = server.stop();
    assert!(std::fs::read(&database).unwrap() == before, "not a byte of it changed");
    std::fs::write(home.data().join("FORMAT"), "99").unwrap();
    let refused = home.run(&["serve", "--listen", "127.0.0.1:0"]).exits(1);
    assert!(refused.stderr.contains("99"), "{}", refused.stderr);
}

#[tokio::test]
async fn reading_changes_nothing_of_a_directory_at_rest() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    tenant.facts_read().await;
    let home = server.stop();
    let directory = home.workspace(&tenant.workspace);
    let files = || {
        let entries = walkdir::WalkDir::new(&directory).sort_by_file_name().into_iter().flatten();
        let files = entries.filter(|entry| entry.file_type().is_file());
        files.map(|entry| (entry.path().to_owned(), std::fs::read(entry.path()).unwrap())).collect::<Vec<_>>()
    };
    let before = files();
    let server = Server::within(home, &[]);
    let client = server.admin().with_token(tenant.client.token());
    let body = json!({"query": "centrifuge", "search_type": "hybrid"});
    client.post(&tenant.path("/search"), &body).await.is(200);
    client.get(&tenant.path("/documents")).await.is(200);
    client.get(&tenant.path("/stats")).await.is(200);
    let _home = server.stop();
    let after = files();
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(names(&after), names(&before));
    for ((path, before), (_, after)) in before.iter().zip(&after) {
        assert!(before == after, "{} has other bytes", path.display());
    }
}
