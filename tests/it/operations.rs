//! What an operator relies on: restarts, locks, signals, keys, health, headers, clear words where a start fails.

use serde_json::json;

use crate::client::Client;
use crate::handbook::HANDBOOK;
use crate::server::{ADMIN_KEY, Home, Server, finish};
use crate::tenant::{Tenant, id};

const QUESTION: &str = "Who services the centrifuge?";

/// The tenant as it is seen through a server that was started again.
fn again(tenant: Tenant, server: &Server) -> Tenant {
    let (admin, client) = (server.admin(), server.admin().with_token(tenant.client.token()));
    Tenant { admin, client, ..tenant }
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let answer = tenant.ask(QUESTION).await;
    let session = answer["session_id"].as_str().unwrap().to_owned();
    let reads = [
        format!("/v1/organizations/{}", tenant.organization),
        tenant.path("/agents"),
        tenant.path("/documents"),
        tenant.path(&format!("/documents/{}", answer["citations"][0]["document_id"].as_str().unwrap())),
        tenant.path("/jobs"),
        tenant.path(&format!("/sessions/{session}/messages")),
    ];
    let read = async |tenant: &Tenant| {
        let mut bodies = Vec::new();
        for path in &reads {
            bodies.push(tenant.admin.get(path).await.is(200).json());
        }
        let found = tenant.search(json!({"query": QUESTION})).await;
        // Sums of floats may differ in their last digits; places and passages may not.
        let hits = found["results"].as_array().unwrap().iter();
        bodies.push(hits.map(|hit| json!([hit["chunk_id"], (hit["score"].as_f64().unwrap() * 1e4).round()])).collect());
        bodies
    };
    let before = read(&tenant).await;
    let server = Server::within(server.stop(), &[]);
    let tenant = again(tenant, &server);
    for (after, before) in read(&tenant).await.iter().zip(&before) {
        assert_eq!(after, before);
    }
    let body = json!({"agent_id": tenant.agent, "query": "And how long does it take?", "session_id": session});
    let answer = tenant.client.post(&tenant.path("/chat"), &body).await.is(200).json();
    assert!(answer["message"].as_str().unwrap().contains("three hours"), "{answer}");
}

#[tokio::test]
async fn what_was_answered_survives_a_sudden_death() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let row = tenant.document("last.md", "The last document speaks of a violet umbrella.").await;
    let server = Server::within(server.kill(), &[]);
    let tenant = again(tenant, &server);
    assert_eq!(tenant.document_count().await, HANDBOOK.len() as u64 + 1);
    for search_type in ["vector", "fulltext", "hybrid"] {
        let found = tenant.search(json!({"query": "violet umbrella", "search_type": search_type})).await;
        assert_eq!(found["results"][0]["document_id"], row["id"], "{search_type}");
    }
}

#[tokio::test]
async fn an_index_that_was_deleted_or_damaged_heals() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let home = server.stop();
    std::fs::remove_dir_all(home.workspace(&tenant.workspace).join("index")).unwrap();
    std::fs::remove_dir_all(home.data().join("cache")).unwrap();

    let server = Server::within(home, &[]);
    let tenant = again(tenant, &server);
    let fulltext = json!({"query": "centrifuge", "search_type": "fulltext"});
    assert_eq!(tenant.search(fulltext.clone()).await["results"][0]["document_source"], "laboratory.md");
    let home = server.stop();
    let index = walkdir::WalkDir::new(home.workspace(&tenant.workspace).join("index")).into_iter().flatten();
    for file in index.filter(|entry| entry.file_type().is_file()) {
        std::fs::write(file.path(), b"this is no index").unwrap();
    }

    let server = Server::within(home, &[]);
    let tenant = again(tenant, &server);
    assert_eq!(tenant.search(fulltext).await["results"][0]["document_source"], "laboratory.md");
    tenant.document("new.md", "After the damage a violet umbrella arrived.").await;
    let found = tenant.search(json!({"query": "violet umbrella", "search_type": "fulltext"})).await;
    assert_eq!(found["results"][0]["document_source"], "new.md");
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused_in_one_sentence() {
    let server = Server::start();
    let second = server.home().run(&["serve", "--data", "data", "--listen", "127.0.0.1:0"]).exits(1);
    let said: Vec<&str> = second.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    assert_eq!(said.len(), 1, "{}", second.stderr);
    assert!(said[0].contains("data") && said[0].contains(&server.url), "{}", said[0]);
    server.admin().get("/v1/organizations").await.is(200);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let server = Server::start();
    let address = server.url.trim_start_matches("http://");
    let other = Home::new();
    let second = other.run(&["serve", "--data", "data", "--listen", address]).exits(1);
    assert!(second.stderr.contains(address), "{}", second.stderr);
}

#[tokio::test]
async fn a_runtime_that_is_missing_or_damaged_stops_the_start_in_one_sentence() {
    let home = Home::new();
    let damaged = home.path().join("libonnxruntime.so");
    std::fs::write(&damaged, b"this is no library").unwrap();
    for library in [damaged, home.path().join("missing.so")] {
        let mut command = home.carrel(&["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
        command.env("ORT_DYLIB_PATH", &library);
        let run = finish(command, "").exits(1);
        let said: Vec<&str> = run.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        assert_eq!(said.len(), 1, "{}", run.stderr);
        assert!(said[0].contains(library.to_str().unwrap()), "{}", said[0]);
        assert!(!run.stdout.contains("listening"), "{}", run.stdout);
    }
}

#[tokio::test]
async fn an_admin_key_is_made_and_shown_on_the_first_start_alone() {
    let home = Home::new();
    let server = Server::launch(home.clone(), home.carrel(&["serve"]));
    let keys: Vec<String> = server
        .greeting
        .iter()
        .filter_map(|line| line.strip_prefix("admin key: "))
        .map(|key| key.trim().to_owned())
        .collect();
    assert_eq!(keys.len(), 1, "{:?}", server.greeting);
    assert!(keys[0].starts_with("sk_admin_") && keys[0].len() >= 40, "{keys:?}");
    Client::new(&server.url, Some(&keys[0])).get("/v1/organizations").await.is(200);
    server.stop();

    let server = Server::launch(home.clone(), home.carrel(&["serve"]));
    assert!(!server.greeting.iter().any(|line| line.contains("sk_admin_")), "{:?}", server.greeting);
    Client::new(&server.url, Some(&keys[0])).get("/v1/organizations").await.is(200);
    Client::new(&server.url, Some(ADMIN_KEY)).get("/v1/organizations").await.problem(401, "unauthorized");
    server.stop();
    assert!(!home.log().contains(&keys[0]));

    let server = Server::within(home.clone(), &[]);
    Client::new(&server.url, Some(ADMIN_KEY)).get("/v1/organizations").await.is(200);
    Client::new(&server.url, Some(&keys[0])).get("/v1/organizations").await.problem(401, "unauthorized");
}

#[tokio::test]
async fn the_first_start_makes_the_fixed_rows() {
    let server = Server::start();
    let admin = server.admin();
    let fixed = |last: u8| format!("00000000-0000-0000-0000-00000000000{last}");
    assert_eq!(admin.get(&format!("/v1/organizations/{}", fixed(1))).await.is(200).json()["slug"], "default");
    let workspace = admin.get(&format!("/v1/workspaces/{}", fixed(2))).await.is(200).json();
    assert_eq!((&workspace["slug"], &workspace["organization_id"]), (&json!("default"), &json!(fixed(1))));
    let agent = admin.get(&format!("/v1/workspaces/{}/agents/{}", fixed(2), fixed(3))).await.is(200).json();
    assert_eq!(agent["slug"], "general");
    let server = Server::within(server.stop(), &[]);
    assert_eq!(server.admin().pages("/v1/organizations").await.len(), 1, "a second start makes no more");
}

/// From the moment that it says so, it can be told to stop: several at once, so that some are told early.
#[test]
fn one_that_listens_ends_well() {
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| Server::start().stop());
        }
    });
}

#[tokio::test]
async fn a_signal_lets_open_requests_end() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let asked = {
        let (client, path) = (tenant.client.clone(), tenant.path("/chat"));
        let body = json!({"agent_id": tenant.agent, "query": QUESTION, "stream": true});
        let mut events = client.stream("POST", &path, Some(&body)).await;
        assert_eq!(events.next().await.unwrap()["type"], "session");
        events
    };
    let events = tokio::task::spawn_blocking(move || drop(server.stop()));
    let rest = asked.all().await;
    assert_eq!(rest.last().unwrap()["type"], "end");
    events.await.unwrap();
}

#[tokio::test]
async fn a_sane_request_id_is_kept_and_any_other_replaced() {
    let server = Server::shared();
    let anonymous = server.admin().anonymous();
    let with = async |id: &str| {
        let answer = anonymous.raw("GET", "/health", &[("x-request-id", id)], "").await.is(200);
        answer.header("x-request-id").to_owned()
    };
    assert_eq!(with("trace-0123_ABC.def").await, "trace-0123_ABC.def");
    let long = "a".repeat(1000);
    for odd in ["", "two words", "<script>", "a\"b", "a;b=c", &long] {
        let given = with(odd).await;
        assert!(given != odd && given.len() >= 16, "{odd:?} became {given:?}");
    }
    let refused = anonymous.raw("GET", "/v1/organizations", &[("x-request-id", "mine-1")], "").await;
    assert_eq!(refused.problem(401, "unauthorized")["request_id"], "mine-1");
    let (one, other) = (anonymous.get("/health").await, anonymous.get("/health").await);
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
}

#[tokio::test]
async fn health_is_told_without_a_token() {
    let server = Server::shared();
    let anonymous = server.admin().anonymous();
    for path in ["/healthz", "/readyz", "/health", "/v1/health"] {
        let answer = anonymous.get(path).await.is(200);
        assert!(!answer.text().contains(server.home().path().to_str().unwrap()), "{}", answer.text());
    }
    assert_eq!(anonymous.get("/health").await.json()["status"], "healthy");
}

#[tokio::test]
async fn every_answer_bears_the_security_headers() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let row = tenant.document("a.md", "Text.").await;
    let anonymous = tenant.client.anonymous();
    let answers = [
        anonymous.get("/health").await,
        anonymous.get("/v1/organizations").await,
        anonymous.get("/nowhere").await,
        tenant.client.get(&tenant.path("/documents")).await,
        tenant.client.get(&tenant.path(&format!("/documents/{}/file", id(&row)))).await,
    ];
    for answer in answers {
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{:?}", answer.headers);
        assert!(!answer.header("referrer-policy").is_empty(), "{:?}", answer.headers);
        let framed = answer.header("x-frame-options").to_owned() + answer.header("content-security-policy");
        assert!(framed.contains("DENY") || framed.contains("frame-ancestors 'none'"), "{:?}", answer.headers);
        assert_eq!(answer.header("access-control-allow-origin"), "");
        assert_eq!(answer.header("server"), "");
    }
}

#[tokio::test]
async fn the_data_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("a.md", "Text.").await;
    let data = server.home().data();
    for directory in [data.clone(), data.join("workspaces"), server.home().workspace(&tenant.workspace)] {
        let mode = std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{mode:o} of {}", directory.display());
    }
    let mode = std::fs::metadata(data.join("LOCK")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[tokio::test]
async fn nothing_is_written_beside_the_data() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    tenant.ask(QUESTION).await;
    let home = server.stop();
    let beside: Vec<String> = home.names().into_iter().filter(|name| !name.starts_with("data")).collect();
    assert_eq!(beside, ["", "stderr.log"]);
}

#[tokio::test]
async fn secrets_and_contents_stay_out_of_the_log() {
    let server = Server::with(&[("CARREL_LOG_FILTER", "debug"), ("CARREL_LOG_FORMAT", "json")]);
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("a.md", "The word is marmaladefish.").await;
    tenant.search(json!({"query": "marmaladefish"})).await;
    tenant.ask("What is marmaladefish?").await;
    let key = tenant.client.token().to_owned();
    let log = server.stop().log();
    assert!(!log.is_empty());
    for secret in [ADMIN_KEY, &key, "marmaladefish", "argon2"] {
        assert!(!log.contains(secret), "{secret} in the log");
    }
}

#[tokio::test]
async fn an_index_of_an_older_state_catches_up() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("a", "The kestrel hovers.").await;
    let home = server.stop();
    let (index, older) = (home.workspace(&tenant.workspace).join("index"), home.path().join("older"));
    copy(&index, &older);

    let server = Server::within(home, &[]);
    let tenant = again(tenant, &server);
    tenant.document("a", "The falcon dives.").await;
    tenant.document("b", "The osprey fishes.").await;
    let home = server.stop();
    std::fs::remove_dir_all(&index).unwrap();
    copy(&older, &index);

    let server = Server::within(home, &[]);
    let tenant = again(tenant, &server);
    for (word, hits) in [("kestrel", 0), ("falcon", 1), ("osprey", 1)] {
        let found = tenant.search(json!({"query": word, "search_type": "fulltext"})).await;
        assert_eq!(found["results"].as_array().unwrap().len(), hits, "{word}");
    }
    let stats = tenant.client.get(&tenant.path("/stats")).await.is(200).json();
    assert_eq!(stats["generation"], stats["generations"]["fulltext"]);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in walkdir::WalkDir::new(from).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(entry.path(), target).unwrap();
    }
}

#[tokio::test]
async fn a_flood_of_requests_is_turned_away_and_does_no_harm() {
    let server = Server::with(&[("CARREL_LIMITS_REQUESTS", "4")]);
    let tenant = Tenant::new(&server.admin()).await;
    let (path, body) = (tenant.path("/search"), json!({"query": "x"}));
    let answers = futures_util::future::join_all((0..64).map(|_| tenant.client.post(&path, &body))).await;
    assert!(answers.iter().any(|answer| answer.status == 200));
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.problem(503, "unavailable");
        assert!(!answer.header("retry-after").is_empty());
    }
    server.admin().get("/readyz").await.is(200);
}
