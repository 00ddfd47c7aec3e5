//! What machines and those who run them do: network file systems, clocks that jump, disks full at the start, no more
//! names for files, herds of first questions, signals in the midst of work.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::client::Client;
use crate::faults::{again, assert_whole, under};
use crate::faulty::Faulty;
use crate::server::{ADMIN_KEY, Home, Server, finish};
use crate::tenant::{Tenant, id};

#[tokio::test]
async fn a_file_system_of_another_machine_is_refused_unless_that_is_allowed() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    let faulty = Faulty::new(&home);
    for (magic, name) in [(0x6969, "NFS"), (0xFF53_4D42, "CIFS"), (0xFE53_4D42, "SMB"), (0x0102_1997, "9p")] {
        faulty.set_file_system(magic);
        let mut command = home.carrel(&["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(home.data());
        faulty.load_into(&mut command);
        let refused = finish(command, "").exits(1);
        assert!(refused.stderr.contains(name) && refused.stderr.contains("allow_network_fs"), "{}", refused.stderr);
        assert_eq!(std::fs::read_dir(home.data()).unwrap().count(), 0, "nothing was made there");
    }
    let server = faulty.server(&[("CARREL_ALLOW_NETWORK_FS", "true")]);
    server.admin().get("/readyz").await.is(200);
    assert!(home.log().contains("network file system"), "{}", home.log());
    server.stop();
}

#[tokio::test]
async fn a_clock_that_jumps_changes_what_is_past_and_nothing_else() {
    let home = Home::new();
    let faulty = Faulty::new(&home);
    let mut server = faulty.server(&[("TZ", "Asia/Tokyo")]);
    let mut tenant = Tenant::new(&server.admin()).await;
    let doomed = Tenant::within(&server.admin(), &tenant.organization).await;
    let tomorrow = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(12);
    let key = json!({"name": "until noon", "scopes": ["read"], "expires_at": tomorrow.to_string()});
    let key = tenant.admin.post(&tenant.path("/api-keys"), &key).await.is(201).json();
    let mut ids = HashSet::new();
    let day = 24 * 3600;
    for (round, (ahead, accepted)) in [(0, 200), (day, 401), (-day, 200), (30 * 60, 200), (0, 200)].iter().enumerate() {
        faulty.set_clock(*ahead);
        let expiring = server.admin().with_token(key["key"].as_str().unwrap());
        expiring.get(&tenant.path("/documents")).await.is(*accepted);
        let stored = tenant.document(&format!("{round}.md"), &format!("Round {round} of the kestrel.")).await;
        assert!(stored["created_at"].as_str().unwrap().ends_with('Z'), "{stored}");
        ids.insert(id(&stored));
        let job = tenant.ingest(&[json!({"source": format!("job-{round}.md"), "content": "Of the falcon."})]).await;
        assert_eq!(job["status"], "succeeded", "{job}");
        let found = tenant.search(json!({"query": "kestrel", "search_type": "fulltext", "limit": 20})).await;
        assert_eq!(found["total_results"], round + 1, "{found}");
        if round == 0 {
            tenant.admin.delete(&format!("/workspaces/{}", doomed.workspace)).await.is(200);
        }
        if round == 2 {
            // A machine without a battery: it starts in the past.
            let home = server.stop();
            let restarted = Faulty::new(&home);
            restarted.set_clock(-day);
            server = restarted.server(&[]);
            tenant = again(&tenant, &server);
        }
    }
    assert_eq!(ids.len(), 5);
    tenant
        .admin
        .post(&format!("/organizations/{}/trash/{}/restore", tenant.organization, doomed.workspace), &json!({}))
        .await
        .is(200);
    assert_whole(&tenant).await;
    server.stop();
}

/// Leaves a furnished data directory in `seed` and lets a server start on a copy of it that fills its disk.
async fn on_a_full_disk(ballast: bool) -> Option<(Server, Tenant)> {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let home = server.stop();
    std::fs::rename(home.data(), home.path().join("seed")).unwrap();
    std::fs::create_dir(home.data()).unwrap();
    assert!(home.path().join("seed/ballast").exists(), "room was set aside");
    if !ballast {
        std::fs::remove_file(home.path().join("seed/ballast")).unwrap();
    }
    let script = "mount -t tmpfs -o size=48m none data && cp -a seed/. data && \
                  { dd if=/dev/zero of=data/filler bs=4k 2>/dev/null; exec \"$@\"; }";
    let command = under(&home, script)?;
    let server = Server::launch(home, command);
    let tenant = again(&tenant, &server);
    Some((server, tenant))
}

#[tokio::test]
async fn a_start_on_a_full_disk_takes_the_room_that_was_set_aside() {
    let Some((server, tenant)) = on_a_full_disk(true).await else { return };
    let ready = server.admin().get("/readyz").await.is(200).json();
    assert_eq!(ready["mode"], "read-write");
    tenant.document("new.md", "A kestrel.").await;
    assert_whole(&tenant).await;
    server.kill();
}

#[tokio::test]
async fn a_start_on_a_full_disk_without_any_room_serves_for_reading() {
    let Some((server, tenant)) = on_a_full_disk(false).await else { return };
    server.admin().get("/livez").await.is(200);
    let ready = server.admin().get("/readyz").await.is(200).json();
    assert_eq!(ready["mode"], "read-only");
    for search_type in ["vector", "fulltext", "hybrid"] {
        let found = tenant.search(json!({"query": "centrifuge", "search_type": search_type})).await;
        assert!(found["total_results"].as_u64().unwrap() > 0, "{search_type}: {found}");
    }
    let answer = tenant.ask("Who repairs the centrifuge?").await;
    tenant.check_citations(&answer).await;
    let body = json!({"source": "new.md", "content": "A kestrel."});
    tenant.client.post(&tenant.path("/documents"), &body).await.problem(507, "insufficient_storage");
    server.kill();
}

#[tokio::test]
async fn a_file_system_without_room_for_names_refuses_what_is_new_reads_on_and_recovers() {
    let home = Home::new();
    std::fs::create_dir(home.data()).unwrap();
    let script = "mount -t tmpfs -o size=64m,nr_inodes=160 none data && exec \"$@\"";
    let Some(command) = under(&home, script) else { return };
    let server = Server::launch(home, command);
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let mut stored = Vec::new();
    let refused = loop {
        let number = stored.len();
        let body = json!({"source": format!("{number}.md"), "content": format!("Number {number} of the kestrels.")});
        let answer = tenant.client.post(&tenant.path("/documents"), &body).await;
        match answer.status {
            201 => stored.push(id(&answer.json())),
            _ => break answer,
        }
        assert!(number < 200, "it must be full by now");
    };
    assert_eq!(refused.is(507).any_problem()["code"], "insufficient_storage");
    assert!(tenant.search(json!({"query": "centrifuge"})).await["total_results"].as_u64().unwrap() > 0);
    tenant.client.get(&tenant.path("/documents")).await.is(200);
    for document in &stored {
        tenant.client.delete(&tenant.path(&format!("/documents/{document}"))).await.is(200);
    }
    for attempt in 0.. {
        let body = json!({"source": "after.md", "content": "A violet umbrella arrived afterwards."});
        let answer = tenant.client.post(&tenant.path("/documents"), &body).await;
        if answer.status == 201 {
            break;
        }
        answer.is(507);
        assert!(attempt < 2_000, "writing works again when there is room");
    }
    assert_whole(&tenant).await;
    server.kill();
}

/// `count` workspaces of one organization, each with one document that names its number.
async fn flock(admin: &Client, count: usize) -> Vec<String> {
    let tenant = Tenant::new(admin).await;
    let mut workspaces = Vec::new();
    for number in 0..count {
        let path = format!("/organizations/{}/workspaces", tenant.organization);
        let workspace = json!({"name": format!("Flock {number}"), "slug": format!("flock-{number}")});
        let workspace = id(&admin.post(&path, &workspace).await.is(201).json());
        let body = json!({"source": "own.md", "content": format!("The kestrel of flock number {number}.")});
        admin.post(&format!("/workspaces/{workspace}/documents"), &body).await.is(201);
        workspaces.push(workspace);
    }
    workspaces
}

#[tokio::test]
async fn a_herd_of_first_questions_is_answered_or_told_to_come_again() {
    let server = Server::start();
    let workspaces = flock(&server.admin(), 40).await;
    let home = server.stop();
    let server = Server::within(home, &[("CARREL_MEMORY_OPEN_WORKSPACES", "4")]);
    let admin = server.admin();
    let asked = (0..400).map(|number| {
        let (client, place) = (admin.clone(), number % workspaces.len());
        let path = format!("/workspaces/{}/search", workspaces[place]);
        tokio::spawn(async move {
            let body = json!({"query": "kestrel", "search_type": "fulltext"});
            (place, client.post(&path, &body).await)
        })
    });
    let asked: Vec<_> = asked.collect();
    let mut answered = 0;
    for question in asked {
        let (place, answer) = question.await.unwrap();
        match answer.status {
            200 => {
                let found = answer.json();
                let text = found["results"][0]["content"].as_str().unwrap();
                assert!(text.contains(&format!("number {place}.")), "{found}");
                answered += 1;
            }
            _ => {
                assert!(!answer.header("retry-after").is_empty());
                answer.problem(503, "unavailable");
            }
        }
    }
    assert!(answered >= 40, "{answered} of 400 were answered");
    let ready = admin.get("/readyz").await.is(200).json();
    assert!(ready["workspaces"]["open"].as_u64().unwrap() <= 4, "{ready}");
    for workspace in &workspaces {
        let body = json!({"query": "kestrel", "search_type": "fulltext"});
        admin.post(&format!("/workspaces/{workspace}/search"), &body).await.is(200);
    }
}

#[tokio::test]
async fn workspaces_that_are_opened_and_closed_all_the_time_lose_and_mix_nothing() {
    let server = Server::with(&[("CARREL_MEMORY_OPEN_WORKSPACES", "2"), ("CARREL_MEMORY_IDLE_SECONDS", "0")]);
    let workspaces = flock(&server.admin(), 5).await;
    let mut workers = Vec::new();
    for (place, workspace) in workspaces.iter().enumerate() {
        let (admin, root) = (server.admin(), format!("/workspaces/{workspace}"));
        workers.push(tokio::spawn(async move {
            for number in 0..25 {
                let body = json!({"source": format!("{number}.md"), "content": format!("Falcon {number} of {place}.")});
                persist(&admin, &format!("{root}/documents"), &body, 201).await;
                let query = json!({"query": "falcon", "search_type": "fulltext", "limit": 100});
                let found = persist(&admin, &format!("{root}/search"), &query, 200).await;
                assert_eq!(found["total_results"], number + 1, "{place}: what was answered is there");
                for hit in found["results"].as_array().unwrap() {
                    assert!(hit["content"].as_str().unwrap().contains(&format!(" of {place}.")), "{hit}");
                }
            }
        }));
    }
    for worker in workers {
        worker.await.unwrap();
    }
    for workspace in &workspaces {
        let report = server.admin().send("POST", &format!("/workspaces/{workspace}/check"), None).await.is(200).json();
        assert_eq!(report["whole"], true, "{report}");
    }
}

/// Posts until it is not told to come again.
async fn persist(client: &Client, path: &str, body: &Value, expected: u16) -> Value {
    loop {
        let answer = client.post(path, body).await;
        if answer.status != 503 {
            return answer.is(expected).json();
        }
    }
}

#[tokio::test]
async fn a_server_told_to_stop_ends_streams_and_keeps_the_rest_of_a_job() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let documents: Vec<Value> = (0..3000)
        .map(|n| json!({"source": format!("d{n}"), "content": format!("Document {n} of many, with words about kettles.")}))
        .collect();
    let job = tenant.client.post(&tenant.path("/ingest"), &json!({"documents": documents})).await.is(202).json();
    let job = id(&job);
    let mut streams = Vec::new();
    for _ in 0..100 {
        let path = tenant.path(&format!("/jobs/{job}/events"));
        let mut stream = tenant.client.stream("GET", &path, None).await;
        stream.next().await.unwrap();
        streams.push(stream);
    }
    // Ending well is asserted by stopping; that it did not take force, by what the log does not say.
    let home: Arc<Home> = server.stop();
    for warning in ["requests are still open", "still at work", "in the middle of its work"] {
        assert!(!home.log().contains(warning), "{warning}\n{}", home.log());
    }
    for stream in streams {
        let last = stream.all().await.pop();
        assert!(last.is_none_or(|job| job["status"] == "running"), "the job was under way");
    }
    let server = Server::within(home, &[("CARREL_ADMIN_KEY", ADMIN_KEY)]);
    let tenant = again(&tenant, &server);
    let ended = tenant.finished(&job).await;
    assert_eq!((&ended["status"], &ended["done"], &ended["failed"]), (&json!("succeeded"), &json!(3000), &json!(0)));
    assert_eq!(tenant.document_count().await, 3000);
}
