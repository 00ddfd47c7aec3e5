//! Ingestion jobs: many documents at once, each succeeding or failing alone, across restarts.

use std::io::Write;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{field, file};
use crate::handbook::{HANDBOOK, numbered};
use crate::server::Server;
use crate::tenant::{Tenant, id};

/// The beginning of a program: nothing that can be read.
const PROGRAM: &[u8] = b"MZ\x90\0\x03\0\0\0";

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ::tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        entry(&mut archive, ::tar::EntryType::Regular, name, "", bytes);
    }
    archive.into_inner().unwrap()
}

/// Adds an entry whose name nobody checks.
fn entry(archive: &mut ::tar::Builder<Vec<u8>>, kind: ::tar::EntryType, name: &str, link: &str, bytes: &[u8]) {
    let mut header = ::tar::Header::new_gnu();
    let fields = header.as_gnu_mut().unwrap();
    fields.name[..name.len()].copy_from_slice(name.as_bytes());
    fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(bytes.len() as u64);
    header.set_cksum();
    archive.append(&header, bytes).unwrap();
}

fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        archive.start_file(*name, ::zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Uploads `parts` as a job and gives the job at its end.
async fn ingest(tenant: &Tenant, parts: &[crate::client::Part<'_>]) -> Value {
    let answer = tenant.client.upload("POST", &tenant.path("/ingest"), parts).await.is(202);
    tenant.finished(&id(&answer.json())).await
}

async fn sources(tenant: &Tenant) -> Vec<String> {
    let (mut sources, mut offset) = (Vec::new(), 0);
    loop {
        let page =
            tenant.client.get(&tenant.path(&format!("/documents?limit=200&offset={offset}"))).await.is(200).json();
        let rows = page["documents"].as_array().unwrap();
        if rows.is_empty() {
            break;
        }
        sources.extend(rows.iter().map(|row| row["source"].as_str().unwrap().to_owned()));
        offset += rows.len();
    }
    sources.sort();
    sources
}

#[tokio::test]
async fn json_documents_go_in_as_a_job() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let documents = numbered(0..20, 2);
    let answer = tenant.client.post(&tenant.path("/ingest"), &json!({"documents": documents})).await.is(202);
    let job = id(&answer.json());
    let located = tenant.client.get(answer.header("location")).await.is(200).json();
    assert_eq!(located["id"], job);
    let ended = tenant.finished(&job).await;
    assert_eq!(
        (&ended["status"], &ended["total"], &ended["done"], &ended["failed"]),
        (&json!("succeeded"), &json!(20), &json!(20), &json!(0))
    );
    assert!(ended["finished_at"].as_str() >= ended["started_at"].as_str(), "{ended}");
    assert_eq!(sources(&tenant).await.len(), 20);
    let found = tenant.search(json!({"query": "district 7", "search_type": "fulltext", "limit": 1})).await;
    assert_eq!(found["results"][0]["document_source"], "note-00007.md");
    let jobs = tenant.client.pages(&tenant.path("/jobs")).await;
    assert_eq!(jobs, [ended]);
}

#[tokio::test]
async fn a_bad_file_fails_alone_and_says_why() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let deep = "[".repeat(1000);
    let parts = [
        file("good.md", b"# Good\n\nThe bridge opens at six."),
        file("bad.exe", PROGRAM),
        file("deep.json", deep.as_bytes()),
        file("empty.md", b""),
        file("fine.html", b"<p>The gate closes at ten.</p>"),
    ];
    let job = ingest(&tenant, &parts).await;
    assert_eq!(
        (&job["status"], &job["total"], &job["done"], &job["failed"]),
        (&json!("succeeded"), &json!(5), &json!(2), &json!(3))
    );
    let errors = job["errors"].as_array().unwrap();
    let code_of = |source: &str| errors.iter().find(|error| error["source"] == source).unwrap()["code"].clone();
    assert_eq!(code_of("bad.exe"), "unsupported_media_type");
    assert_eq!(code_of("deep.json"), "too_complex");
    assert_eq!(code_of("empty.md"), "validation_failed");
    assert!(
        errors.iter().all(|error| error["message"].as_str().is_some_and(|m| !m.is_empty() && !m.contains("/tmp"))),
        "{job}"
    );
    assert_eq!(sources(&tenant).await, ["fine.html", "good.md"]);
}

#[tokio::test]
async fn a_job_where_nothing_went_in_has_failed() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let job = ingest(&tenant, &[file("bad.exe", PROGRAM)]).await;
    assert_eq!((&job["status"], &job["done"], &job["failed"]), (&json!("failed"), &json!(0), &json!(1)));
}

#[tokio::test]
async fn archives_of_every_kind_are_unpacked() {
    let server = Server::shared();
    let files: Vec<(&str, &[u8])> = HANDBOOK.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    let tarred = tar(&files);
    let archives = [
        ("handbook.zip", zip(&files)),
        ("handbook.tar", tarred.clone()),
        ("handbook.tar.gz", gzip(&tarred)),
        ("handbook.tar.zst", zstd::encode_all(tarred.as_slice(), 3).unwrap()),
    ];
    let tenant = Tenant::new(&server.admin()).await;
    let mut expected: Vec<&str> = HANDBOOK.iter().map(|(name, _)| *name).collect();
    expected.sort();
    for (name, bytes) in archives {
        let tenant = Tenant::within(&tenant.admin, &tenant.organization).await;
        let job = ingest(&tenant, &[file(name, &bytes)]).await;
        assert_eq!(
            (&job["status"], &job["done"], &job["total"]),
            (&json!("succeeded"), &json!(5), &json!(5)),
            "{name}: {job}"
        );
        assert_eq!(sources(&tenant).await, expected, "{name}");
        let found = tenant.search(json!({"query": "Who services the centrifuge?"})).await;
        assert_eq!(found["results"][0]["document_source"], "laboratory.md", "{name}");
    }
}

#[tokio::test]
async fn a_file_that_is_compressed_alone_is_a_document_under_its_own_name() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let (one, two) =
        (gzip(b"# One\n\nThe first note."), zstd::encode_all(b"# Two\n\nThe second.".as_slice(), 3).unwrap());
    let outer = zip(&[("three.txt.gz", &gzip(b"The third."))]);
    let files = [file("one.md.gz", &one), file("two.md.zst", &two), file("outer.zip", &outer)];
    let job = ingest(&tenant, &files).await;
    assert_eq!((&job["status"], &job["done"], &job["failed"]), (&json!("succeeded"), &json!(3), &json!(0)), "{job}");
    assert_eq!(sources(&tenant).await, ["one.md", "three.txt.gz/three.txt", "two.md"]);
}

#[tokio::test]
async fn an_archive_leaves_out_what_a_folder_does() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let text = b"# Note\n\nThe bridge opens at six.".as_slice();
    let clutter =
        ["a/.hidden.md", ".git/config", "node_modules/m/x.md", "__MACOSX/a/._b.md", "Desktop.ini", "~$b.docx"];
    let files: Vec<(&str, &[u8])> = clutter.iter().map(|name| (*name, text)).collect();
    let files = [files.as_slice(), &[("./a/b.md", text), ("empty.txt", b"")]].concat();
    let job = ingest(&tenant, &[file("share.zip", &zip(&files))]).await;
    assert_eq!((&job["total"], &job["done"], &job["failed"]), (&json!(1), &json!(1), &json!(0)), "{job}");
    assert_eq!(sources(&tenant).await, ["a/b.md"]);
}

#[tokio::test]
async fn what_fails_in_an_archive_is_called_as_its_document_would_be() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let mut archive = ::tar::Builder::new(Vec::new());
    entry(&mut archive, ::tar::EntryType::Regular, "./a/whole.md", "", b"# Whole\n\nThe bridge opens at six.");
    entry(&mut archive, ::tar::EntryType::Link, "./a/b.md", "./a/whole.md", b"");
    let job = ingest(&tenant, &[file("all.tar", &archive.into_inner().unwrap())]).await;
    assert_eq!((&job["done"], &job["errors"][0]["source"]), (&json!(1), &json!("a/b.md")), "{job}");
    assert_eq!(sources(&tenant).await, ["a/whole.md"]);
}

#[tokio::test]
async fn one_compressed_file_without_a_name_is_no_document() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let send = async |bytes: Vec<u8>| {
        let path = tenant.path("/ingest");
        let answer = tenant.client.raw("POST", &path, &[("content-type", "application/gzip")], bytes).await.is(202);
        tenant.finished(&id(&answer.json())).await
    };
    let job = send(gzip(b"# One\n\nThe first note.")).await;
    assert_eq!((&job["status"], &job["done"], &job["total"]), (&json!("failed"), &json!(0), &json!(1)), "{job}");
    let said = job["errors"][0]["message"].as_str().unwrap();
    assert!(said.contains("one compressed file needs a name: send it as a form"), "{job}");
    let job = send(gzip(&tar(&[("two.md", b"# Two\n\nThe second note.")]))).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert_eq!(sources(&tenant).await, ["two.md"]);
}

#[tokio::test]
async fn an_archive_in_an_archive_is_unpacked_and_none_within_that() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let deepest = zip(&[("deep.md", b"# Deep\n\nToo deep.")]);
    let inner = gzip(&tar(&[("note.md", b"# Note\n\nThe inner note."), ("deepest.zip", &deepest)]));
    let mailbox = "From kim@example.com Tue Nov  3 10:00:00 2026\nFrom: kim@example.com\nSubject: One\n\nThe first.\n\n\
                   From kim@example.com Tue Nov  3 11:00:00 2026\nFrom: kim@example.com\nSubject: Two\n\nThe second.\n";
    let outer = zip(&[("inner.tar.gz", &inner), ("note.md", b"# Note\n\nThe outer note.")]);
    let job = ingest(&tenant, &[file("outer.zip", &outer), file("old.mbox", mailbox.as_bytes())]).await;
    assert_eq!((&job["total"], &job["done"], &job["failed"]), (&json!(5), &json!(4), &json!(1)), "{job}");
    assert_eq!(job["errors"][0]["source"], "inner.tar.gz/deepest.zip");
    let expected = ["inner.tar.gz/note.md", "note.md", "old.mbox/00001.eml", "old.mbox/00002.eml"];
    assert_eq!(sources(&tenant).await, expected);
}

#[tokio::test]
async fn names_in_an_archive_lead_nowhere() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let evil = format!("evil-{}.md", Uuid::new_v4());
    let names = [
        format!("../{evil}"),
        format!("../../../../{evil}"),
        format!("/tmp/{evil}"),
        format!("a/../../{evil}"),
        format!("..\\{evil}"),
    ];
    let before = outside(&server);

    let mut archive = ::tar::Builder::new(Vec::new());
    let text = b"# Evil\n\nThis text was sent to a strange place.".as_slice();
    entry(&mut archive, ::tar::EntryType::Regular, "good/inner.md", "", b"# Good\n\nThis one is fine.");
    for name in &names {
        entry(&mut archive, ::tar::EntryType::Regular, name, "", text);
    }
    entry(&mut archive, ::tar::EntryType::Symlink, "passwd.md", "/etc/passwd", b"");
    entry(&mut archive, ::tar::EntryType::Link, "hard.md", "/etc/passwd", b"");
    entry(&mut archive, ::tar::EntryType::Symlink, "dir", "../../..", b"");
    entry(&mut archive, ::tar::EntryType::Regular, &format!("dir/{evil}"), "", b"# Through a link\n\nThis is inside.");
    entry(&mut archive, ::tar::EntryType::Fifo, "pipe.md", "", b"");
    let job = ingest(&tenant, &[file("tricks.tar", &archive.into_inner().unwrap())]).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert!(sources(&tenant).await.contains(&"good/inner.md".to_owned()), "{job}");

    let entries: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), text)).chain([("ok.md", b"# Ok\n\nFine.".as_slice())]).collect();
    let job = ingest(&tenant, &[file("tricks.zip", &zip(&entries))]).await;
    assert_eq!(job["status"], "succeeded", "{job}");

    assert_eq!(outside(&server), before);
    assert!(!server.home().names().iter().any(|name| name.contains("evil")), "{:?}", server.home().names());
    for place in [std::path::Path::new("/tmp"), std::path::Path::new("/"), server.home().path().parent().unwrap()] {
        assert!(!place.join(&evil).exists());
    }
    let documents = sources(&tenant).await;
    assert!(documents.iter().all(|source| !source.contains("..") && !source.starts_with('/')), "{documents:?}");
    let found = tenant.search(json!({"query": "root:x:0:0", "search_type": "fulltext", "limit": 100})).await;
    assert!(!found.to_string().contains("/bin/"), "{found}");
}

/// What lies in the server's directory beside its data.
fn outside(server: &Server) -> Vec<String> {
    server.home().names().into_iter().filter(|name| !name.starts_with("data")).collect()
}

#[tokio::test]
async fn what_is_no_archive_fails_with_a_reason() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let whole = zip(&[("a.md", b"# A\n\nText.".as_slice())]);
    let cut = &gzip(&tar(&[("a.md", "Text. ".repeat(5000).as_bytes())]))[..40];
    for (name, bytes) in [
        ("noise.zip", b"this is no archive".as_slice()),
        ("cut.zip", &whole[..whole.len() / 2]),
        ("cut.tar.gz", cut),
        ("empty.zip", b""),
    ] {
        let answer = tenant.client.upload("POST", &tenant.path("/ingest"), &[file(name, bytes)]).await;
        if answer.status != 202 {
            answer.problem(422, "validation_failed");
            continue;
        }
        let job = tenant.finished(&id(&answer.json())).await;
        assert_eq!((&job["status"], &job["done"]), (&json!("failed"), &json!(0)), "{name}: {job}");
        assert_eq!(job["errors"][0]["source"], name, "{job}");
        if name == "cut.zip" {
            let said = "the archive breaks off: its directory is missing";
            assert_eq!(job["errors"][0]["message"], said, "{job}");
        }
    }
}

#[tokio::test]
async fn an_archive_that_unpacks_to_too_much_fails_and_its_neighbours_do_not_suffer() {
    let server =
        Server::with(&[("CARREL_LIMITS_ARCHIVE_BYTES", "2000000"), ("CARREL_LIMITS_DOCUMENT_BYTES", "1000000")]);
    let tenant = Tenant::new(&server.admin()).await;
    let bomb = zip(&[("zeros.txt", vec![b'0'; 50_000_000].as_slice())]);
    let job = ingest(&tenant, &[file("bomb.zip", &bomb)]).await;
    assert_eq!((&job["status"], &job["done"]), (&json!("failed"), &json!(0)), "{job}");
    assert_eq!(job["errors"][0]["code"], "payload_too_large", "{job}");
    tenant.handbook().await;
    assert_eq!(tenant.document_count().await, HANDBOOK.len() as u64);
}

#[tokio::test]
async fn events_follow_a_job_to_its_end() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let body = json!({"documents": numbered(0..60, 6)});
    let job = id(&tenant.client.post(&tenant.path("/ingest"), &body).await.is(202).json());
    let path = tenant.path(&format!("/jobs/{job}/events"));
    let events = tenant.client.stream("GET", &path, None).await.all().await;
    let last = events.last().unwrap();
    assert_eq!((&last["id"], &last["status"], &last["done"]), (&json!(job), &json!("succeeded"), &json!(60)));
    let done: Vec<u64> = events.iter().map(|event| event["done"].as_u64().unwrap()).collect();
    assert!(done.is_sorted(), "{done:?}");
    let of_an_ended_job = tenant.client.stream("GET", &path, None).await.all().await;
    assert_eq!(of_an_ended_job.last(), Some(last));
}

#[tokio::test]
async fn a_cancelled_job_stops_and_keeps_what_was_done() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let body = json!({"documents": numbered(0..2500, 8)});
    let job = id(&tenant.client.post(&tenant.path("/ingest"), &body).await.is(202).json());
    let path = tenant.path(&format!("/jobs/{job}"));
    tenant.client.delete(&path).await.is(200);
    let ended = tenant.finished(&job).await;
    assert_eq!(ended["status"], "cancelled", "{ended}");
    assert!(ended["done"].as_u64() < Some(2500), "{ended}");
    assert_eq!(tenant.document_count().await, ended["done"]);
    tenant.client.delete(&path).await.problem(409, "conflict");
}

#[tokio::test]
async fn a_job_goes_on_after_the_servers_sudden_death() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let total = 1200;
    let body = json!({"documents": numbered(0..total, 6)});
    let job = id(&tenant.client.post(&tenant.path("/ingest"), &body).await.is(202).json());
    let mut events = tenant.client.stream("GET", &tenant.path(&format!("/jobs/{job}/events")), None).await;
    let seen = loop {
        let event = events.next().await.unwrap();
        if event["done"].as_u64() > Some(0) {
            break event;
        }
    };
    assert_eq!(seen["status"], "running", "the job ended before the server could be killed");
    drop(events);
    let server = Server::within(server.kill(), &[]);
    let (admin, client) = (server.admin(), server.admin().with_token(tenant.client.token()));
    let tenant = Tenant { admin, client, ..tenant };
    let ended = tenant.finished(&job).await;
    assert_eq!((&ended["status"], &ended["done"], &ended["failed"]), (&json!("succeeded"), &json!(total), &json!(0)));
    let mut found = sources(&tenant).await;
    assert_eq!(found.len(), total);
    found.dedup();
    assert_eq!(found.len(), total, "no source twice");
    let stats = tenant.client.get(&tenant.path("/stats")).await.is(200).json();
    assert_eq!(stats["vectors"], stats["chunks"]);
    let found = tenant.search(json!({"query": "district 1199", "search_type": "fulltext", "limit": 1})).await;
    assert_eq!(found["results"][0]["document_source"], "note-01199.md");
}

#[tokio::test]
async fn a_second_job_of_the_same_documents_changes_nothing() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let documents = numbered(0..5, 2);
    tenant.ingest(&documents).await;
    let before = tenant.client.get(&tenant.path("/documents")).await.is(200).json();
    let job = tenant.ingest(&documents).await;
    assert_eq!((&job["status"], &job["done"]), (&json!("succeeded"), &json!(5)));
    assert_eq!(tenant.client.get(&tenant.path("/documents")).await.is(200).json(), before);
}

#[tokio::test]
async fn a_request_without_documents_is_refused() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let path = tenant.path("/ingest");
    for body in [
        json!({}),
        json!({"documents": []}),
        json!({"documents": "x"}),
        json!({"documents": [{"title": "no content"}]}),
        json!({"documents": [{"content": "x", "url": "http://localhost/"}]}),
    ] {
        tenant.client.post(&path, &body).await.problem(422, "validation_failed");
    }
    tenant.client.upload("POST", &path, &[field("note", "no file here")]).await.problem(422, "validation_failed");
    assert_eq!(tenant.client.pages(&tenant.path("/jobs")).await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_later_of_two_documents_of_one_source_wins() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let version = |text: &str| json!({"source": "rules.md", "content": format!("# Rules\n\nThe gate is {text}.")});
    tenant.ingest(&[version("green")]).await;
    let other = json!({"source": "other.md", "content": "Something else."});
    // The last is what was there before the job: that it is unchanged must be seen after the one between.
    let job = tenant.ingest(&[version("red"), other, version("blue"), version("green")]).await;
    assert_eq!((&job["status"], &job["done"], &job["failed"]), (&json!("succeeded"), &json!(4), &json!(0)));
    assert_eq!(sources(&tenant).await, ["other.md", "rules.md"]);
    for (colour, count) in [("green", 1), ("red", 0), ("blue", 0)] {
        let found = tenant.search(json!({"query": colour, "search_type": "fulltext"})).await;
        assert_eq!(found["total_results"], count, "{colour}: {found}");
    }
    let job = tenant.ingest(&[version("yellow"), version("black")]).await;
    assert_eq!(job["done"], 2, "{job}");
    let found = tenant.search(json!({"query": "black", "search_type": "fulltext"})).await;
    assert_eq!(found["total_results"], 1, "{found}");
}

#[tokio::test]
async fn a_document_that_fails_in_the_midst_stops_nothing() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let good: Vec<(String, Vec<u8>)> = (0..40)
        .map(|n| (format!("{n:02}.md"), format!("# Note {n}\n\nThe bridge opens at six.").into_bytes()))
        .collect();
    let mut parts: Vec<crate::client::Part<'_>> = good.iter().map(|(name, bytes)| file(name, bytes)).collect();
    parts.insert(20, file("zeros.txt", b"text\0with\0zeros"));
    parts.insert(21, file("bad.exe", PROGRAM));
    let job = ingest(&tenant, &parts).await;
    assert_eq!(
        (&job["status"], &job["total"], &job["done"], &job["failed"]),
        (&json!("succeeded"), &json!(42), &json!(40), &json!(2))
    );
    let errors: Vec<&Value> = job["errors"].as_array().unwrap().iter().map(|error| &error["source"]).collect();
    assert_eq!(errors, ["zeros.txt", "bad.exe"], "in the order of the job");
    assert_eq!(sources(&tenant).await, good.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_cancelled_job_leaves_is_whole() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let body = json!({"documents": numbered(0..2500, 6)});
    let job = id(&tenant.client.post(&tenant.path("/ingest"), &body).await.is(202).json());
    let path = tenant.path(&format!("/jobs/{job}"));
    let mut events = tenant.client.stream("GET", &format!("{path}/events"), None).await;
    while events.next().await.unwrap()["done"].as_u64() == Some(0) {}
    tenant.client.delete(&path).await.is(200);
    let ended = tenant.finished(&job).await;
    assert_eq!(ended["status"], "cancelled", "{ended}");
    assert_eq!(json!(tenant.document_count().await), ended["done"]);
    let report = tenant.admin.send("POST", &tenant.path("/check"), None).await.is(200).json();
    assert_eq!(report["whole"], true, "{report}");
    let stats = tenant.client.get(&tenant.path("/stats")).await.is(200).json();
    assert_eq!(stats["vectors"], stats["chunks"]);
}

#[tokio::test]
async fn a_small_job_does_not_wait_for_the_end_of_a_big_one() {
    let server = Server::start();
    let big = Tenant::new(&server.admin()).await;
    let small = Tenant::within(&big.admin, &big.organization).await;
    let body = json!({"documents": numbered(0..2500, 6)});
    let job = id(&big.client.post(&big.path("/ingest"), &body).await.is(202).json());
    let path = big.path(&format!("/jobs/{job}"));
    let mut events = big.client.stream("GET", &format!("{path}/events"), None).await;
    while events.next().await.unwrap()["status"] == "queued" {}
    let ended = small.ingest(&numbered(0..20, 3)).await;
    assert_eq!((&ended["status"], &ended["done"]), (&json!("succeeded"), &json!(20)));
    let meanwhile = big.client.get(&path).await.is(200).json();
    assert_eq!(meanwhile["status"], "running", "{meanwhile}");
    while events.next().await.unwrap()["done"].as_u64() == Some(0) {}
    big.client.delete(&path).await.is(200);
}

#[tokio::test]
async fn a_document_of_thousands_of_chunks_goes_in_between_others() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    // Sections so short that vectors are a hundred times as long as the text: they count, too.
    let sections: String = (0..3000).map(|n| format!("# {n}\n\nx\n\n")).collect();
    let mut documents = numbered(0..30, 2);
    documents.insert(15, json!({"source": "long.md", "title": "Long", "content": sections}));
    let job = tenant.ingest(&documents).await;
    assert_eq!((&job["done"], &job["failed"]), (&json!(31), &json!(0)), "{job}");
    let stats = tenant.client.get(&tenant.path("/stats")).await.is(200).json();
    assert_eq!((&stats["vectors"], stats["chunks"].as_u64() >= Some(3030)), (&stats["chunks"], true), "{stats}");
}

/// What became of the documents of a job: source and status of each.
async fn results(tenant: &Tenant, job: &Value, query: &str) -> Vec<(String, String)> {
    let rows = tenant.client.pages(&tenant.path(&format!("/jobs/{}/results?{query}", id(job)))).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(&row["source"]), text(&row["status"]))).collect()
}

#[tokio::test]
async fn a_job_tells_what_became_of_each_document() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let same = tenant.document("same.md", "The bridge opens at six.").await;
    let changed = tenant.document("changed.md", "The gate is green.").await;
    let archive =
        zip(&[("inner/good.md", b"# Good\n\nIt is fine."), ("inner/empty.txt", b" \n"), ("../up.md", b"Up.")]);
    let parts = [
        file("same.md", b"The bridge opens at six."),
        file("changed.md", b"The gate is red."),
        file("bundle.zip", &archive),
        file("new.md", b"The well is deep."),
        file("new.md", b"The well is dry."),
    ];
    let job = ingest(&tenant, &parts).await;
    assert_eq!((&job["total"], &job["done"], &job["failed"]), (&json!(7), &json!(5), &json!(2)), "{job}");
    let mut found = results(&tenant, &job, "limit=3").await;
    assert_eq!(
        found.iter().filter(|(source, _)| source == "new.md").map(|(_, status)| status.as_str()).collect::<Vec<_>>(),
        ["added", "replaced"],
        "in the order in which it happened"
    );
    found.sort();
    let expected = [
        ("../up.md", "failed"),
        ("changed.md", "replaced"),
        ("inner/empty.txt", "failed"),
        ("inner/good.md", "added"),
        ("new.md", "added"),
        ("new.md", "replaced"),
        ("same.md", "unchanged"),
    ];
    assert_eq!(found, expected.map(|(source, status)| (source.to_owned(), status.to_owned())));
    let path = tenant.path(&format!("/jobs/{}/results", id(&job)));
    for (status, document) in [("unchanged", &same), ("replaced", &changed)] {
        let rows = tenant.client.pages(&format!("{path}?status={status}&limit=1")).await;
        let row = rows.iter().find(|row| row["source"] == document["source"]).unwrap();
        assert_eq!((&row["document_id"], &row["chunk_count"]), (&document["id"], &json!(1)), "{row}");
    }
    let failed = tenant.client.pages(&format!("{path}?status=failed")).await;
    for row in &failed {
        let told = ["code", "message"].iter().all(|name| row[name].as_str().is_some_and(|text| !text.is_empty()));
        assert!(told && row["document_id"].is_null(), "{row}");
    }
    assert_eq!(failed.len(), 2);
    let positions: Vec<Value> = tenant.client.pages(&path).await.iter().map(|row| row["position"].clone()).collect();
    assert_eq!(positions, (0..7).map(|n| json!(n)).collect::<Vec<_>>());
    tenant.client.get(&format!("{path}?status=lost")).await.problem(422, "validation_failed");
    let absent = tenant.path(&format!("/jobs/{}/results", Uuid::now_v7()));
    tenant.client.get(&absent).await.problem(404, "not_found");
}

#[tokio::test]
async fn what_was_refused_before_a_job_began_is_among_its_results() {
    let server = Server::with(&[("CARREL_LIMITS_DOCUMENT_BYTES", "1000")]);
    let tenant = Tenant::new(&server.admin()).await;
    let documents = [
        json!({"source": "large.md", "content": "word ".repeat(1000)}),
        json!({"source": "small.md", "content": "The bridge opens at six."}),
    ];
    let job = tenant.ingest(&documents).await;
    let expected = [("large.md", "failed"), ("small.md", "added")];
    let expected = expected.map(|(source, status)| (source.to_owned(), status.to_owned()));
    assert_eq!(results(&tenant, &job, "").await, expected);
    assert_eq!(
        (&job["bytes_total"], &job["bytes_done"]),
        (&json!(24), &json!(24)),
        "what was not taken is not counted"
    );
}

#[tokio::test]
async fn a_job_under_way_tells_how_fast_it_is_and_how_long_it_takes() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let documents = numbered(0..800, 6);
    let bytes: usize = documents.iter().map(|document| document["content"].as_str().unwrap().len()).sum();
    let job = id(&tenant.client.post(&tenant.path("/ingest"), &json!({"documents": documents})).await.is(202).json());
    let events = tenant.client.stream("GET", &tenant.path(&format!("/jobs/{job}/events")), None).await.all().await;
    for event in &events {
        let (done, is_over) = (event["done"].as_u64().unwrap(), event["status"] == "succeeded");
        assert_eq!(event["bytes_total"], bytes, "{event}");
        assert_eq!(event["seconds_left"].is_u64(), done > 0 && !is_over, "{event}");
        for rate in ["documents_per_second", "bytes_per_second"] {
            assert_eq!(event[rate].as_f64() > Some(0.0), done > 0, "{event}");
        }
    }
    let under_way = events.iter().filter(|event| event["status"] == "running" && event["done"] != 0);
    assert!(under_way.count() > 0, "after each commit it is told of: {events:?}");
    let ended = events.last().unwrap();
    assert_eq!((&ended["bytes_done"], &ended["done"]), (&json!(bytes), &json!(800)));
}

#[tokio::test]
async fn an_archive_counts_as_what_it_holds() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let text = b"# Note\n\nThe bridge opens at six.".as_slice();
    let broken = b"this is no archive".as_slice();
    let archive = zip(&[("a.md", text), ("b.md", text)]);
    let job = ingest(&tenant, &[file("bundle.zip", &archive), file("noise.zip", broken)]).await;
    assert_eq!((&job["done"], &job["failed"]), (&json!(2), &json!(1)), "{job}");
    let bytes = json!(2 * text.len() + broken.len());
    assert_eq!((&job["bytes_total"], &job["bytes_done"]), (&bytes, &bytes), "{job}");
}

#[tokio::test]
async fn workspaces_take_turns_with_the_only_worker() {
    // One thread, so that the big jobs take several turns on a machine of many cores, too.
    let server = Server::with(&[("CARREL_INGEST_WORKERS", "1"), ("CARREL_MEMORY_EMBEDDING_THREADS", "1")]);
    let big = Tenant::new(&server.admin()).await;
    let small = Tenant::within(&big.admin, &big.organization).await;
    let last = Tenant::within(&big.admin, &big.organization).await;
    let begin = async |tenant: &Tenant, documents: &[Value]| {
        id(&tenant.client.post(&tenant.path("/ingest"), &json!({"documents": documents})).await.is(202).json())
    };
    let total = 1500;
    let job = begin(&big, &numbered(0..total, 6)).await;
    let path = big.path(&format!("/jobs/{job}"));
    let mut events = big.client.stream("GET", &format!("{path}/events"), None).await;
    while events.next().await.unwrap()["status"] == "queued" {}
    // Another big job of the same workspace is no reason for anybody to wait.
    let second = begin(&big, &numbered(5000..6000, 6)).await;
    let third = begin(&last, &numbered(0..1500, 6)).await;
    let ended = small.ingest(&numbered(0..1, 2)).await;
    assert_eq!((&ended["status"], &ended["done"]), (&json!("succeeded"), &json!(1)));
    for (tenant, job) in [(&big, &job), (&last, &third)] {
        let meanwhile = tenant.client.get(&tenant.path(&format!("/jobs/{job}"))).await.is(200).json();
        assert!(meanwhile["finished_at"].is_null(), "{meanwhile}");
    }
    // A job that waits for its turn, whether it was worked on or not, can be cancelled like any other.
    for (tenant, job) in [(&big, &second), (&last, &third)] {
        let cancelled = tenant.client.delete(&tenant.path(&format!("/jobs/{job}"))).await.is(200).json();
        assert_eq!(cancelled["status"], "cancelled", "{cancelled}");
        let ended = tenant.finished(job).await;
        assert_eq!(ended["status"], "cancelled");
    }
    assert_eq!(json!(last.document_count().await), last.finished(&third).await["done"]);
    // What gave way goes on where it was, as often as need be, and loses nothing.
    small.ingest(&numbered(1..2, 2)).await;
    let ended = big.finished(&job).await;
    assert_eq!((&ended["status"], &ended["done"], &ended["failed"]), (&json!("succeeded"), &json!(total), &json!(0)));
    let second = big.finished(&second).await;
    assert_eq!(json!(big.document_count().await), json!(total as u64 + second["done"].as_u64().unwrap()));
    assert_eq!(results(&big, &ended, "status=added&limit=200").await.len(), total);
    let report = big.admin.send("POST", &big.path("/check"), None).await.is(200).json();
    assert_eq!(report["whole"], true, "{report}");
}

/// One document of about so many kilobytes, no sentence of it like another.
fn long_document(kilobytes: usize) -> Value {
    let mut document = numbered(0..1, kilobytes * 11).remove(0);
    document["title"] = json!("Long");
    document
}

/// Takes `document` in with a job, and meanwhile small ones in another workspace until they have gone before it `times` times or
/// it is in. Gives how often they did, and the workspace.
async fn pass(server: &Server, document: &Value, times: usize) -> (usize, Tenant) {
    let big = Tenant::new(&server.admin()).await;
    let small = Tenant::within(&big.admin, &big.organization).await;
    let job = id(&big.client.post(&big.path("/ingest"), &json!({"documents": [document]})).await.is(202).json());
    let path = big.path(&format!("/jobs/{job}"));
    let mut events = big.client.stream("GET", &format!("{path}/events"), None).await;
    while events.next().await.unwrap()["status"] == "queued" {}
    let mut passed = 0;
    while passed < times {
        let ended = small.ingest(&numbered(passed..passed + 1, 1)).await;
        assert_eq!((&ended["status"], &ended["done"]), (&json!("succeeded"), &json!(1)));
        // A job may give way, too, when its last document is in.
        if big.client.get(&path).await.is(200).json()["done"] != 0 {
            break;
        }
        passed += 1;
    }
    let ended = big.finished(&job).await;
    assert_eq!((&ended["status"], &ended["done"], &ended["failed"]), (&json!("succeeded"), &json!(1), &json!(0)));
    let report = big.admin.send("POST", &big.path("/check"), None).await.is(200).json();
    assert_eq!(report["whole"], true, "{report}");
    (passed, big)
}

#[tokio::test]
async fn a_job_gives_way_midway_through_a_document() {
    // One thread, so that the document takes several turns on a machine of many cores, too.
    let server = Server::with(&[("CARREL_INGEST_WORKERS", "1"), ("CARREL_MEMORY_EMBEDDING_THREADS", "1")]);
    let document = long_document(350);
    let (passed, tenant) = pass(&server, &document, 2).await;
    assert_eq!(passed, 2, "it gives way in each of its turns");
    // As it is when nobody waits.
    let mut again = document.clone();
    again["source"] = json!("again.md");
    tenant.ingest(&[again]).await;
    let listed = tenant.client.get(&tenant.path("/documents")).await.is(200).json();
    let [copy, original] = &listed["documents"].as_array().unwrap()[..] else { panic!("{listed}") };
    assert_eq!(copy["chunk_count"], original["chunk_count"]);
    let stats = tenant.client.get(&tenant.path("/stats")).await.is(200).json();
    assert_eq!(
        (&stats["vectors"], stats["chunks"].as_u64()),
        (&stats["chunks"], original["chunk_count"].as_u64().map(|n| 2 * n))
    );
    let read = tenant.read(&id(original)).await;
    assert_eq!(read["content"].as_str().unwrap().trim(), document["content"].as_str().unwrap().trim());
}

#[tokio::test]
async fn a_document_that_is_ready_does_not_wait_for_a_long_one_after_it() {
    // One thread, so that the long one takes its time on a machine of many cores, too.
    let server = Server::with(&[("CARREL_INGEST_WORKERS", "1"), ("CARREL_MEMORY_EMBEDDING_THREADS", "1")]);
    let tenant = Tenant::new(&server.admin()).await;
    let mut documents = numbered(1..2, 2);
    documents.push(long_document(350));
    let job = id(&tenant.client.post(&tenant.path("/ingest"), &json!({"documents": documents})).await.is(202).json());
    let events = tenant.client.stream("GET", &tenant.path(&format!("/jobs/{job}/events")), None).await.all().await;
    let between = events.iter().filter(|event| event["status"] == "running" && event["done"] == 1);
    assert!(between.count() > 0, "{events:?}");
    assert_eq!(events.last().unwrap()["done"], 2);
}

#[tokio::test]
async fn a_document_whose_vectors_cannot_be_remembered_ends_all_the_same() {
    let home = Server::start().stop();
    let cache = home.data().join("cache");
    std::fs::remove_dir_all(&cache).unwrap();
    std::fs::write(&cache, "in the way").unwrap();
    let only_worker = [("CARREL_INGEST_WORKERS", "1"), ("CARREL_MEMORY_EMBEDDING_THREADS", "1")];
    let server = Server::within(home, &only_worker);
    let (passed, tenant) = pass(&server, &long_document(120), usize::MAX).await;
    assert!(server.home().log().contains("there is no cache"));
    assert!(passed <= 1, "once it is begun anew, it is not left before it is whole");
    assert_eq!(tenant.document_count().await, 1);
}
