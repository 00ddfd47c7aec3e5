//! Bad input gets a clear 4xx in one shape, and the server goes on.

use serde_json::{Value, json};

use crate::client::{Client, file};
use crate::server::Server;
use crate::tenant::{Tenant, id};

const JSON: (&str, &str) = ("content-type", "application/json");

/// The routes that read JSON.
fn readers(tenant: &Tenant) -> Vec<(&'static str, String)> {
    vec![
        ("POST", "/v1/organizations".to_owned()),
        ("PATCH", format!("/v1/organizations/{}", tenant.organization)),
        ("POST", format!("/v1/organizations/{}/workspaces", tenant.organization)),
        ("PATCH", tenant.path("")),
        ("POST", tenant.path("/agents")),
        ("PATCH", tenant.path(&format!("/agents/{}", tenant.agent))),
        ("POST", tenant.path("/api-keys")),
        ("POST", tenant.path("/documents")),
        ("POST", tenant.path("/ingest")),
        ("POST", tenant.path("/search")),
        ("POST", tenant.path("/evaluations")),
        ("POST", tenant.path("/chat")),
        ("POST", "/chat".to_owned()),
        ("POST", "/chat/stream".to_owned()),
        ("POST", "/search/hybrid".to_owned()),
    ]
}

/// Asserts that the server still does its work.
async fn assert_alive(tenant: &Tenant) {
    let row = tenant.document("alive.md", "The server is alive and well.").await;
    let found = tenant.search(json!({"query": "alive and well"})).await;
    assert_eq!(found["results"][0]["document_id"], row["id"]);
    tenant.client.delete(&tenant.path(&format!("/documents/{}", id(&row)))).await.is(200);
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_on_every_route() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let deep = format!("{{\"metadata\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", vec![]),
        ("white space", b"  \n".to_vec()),
        ("binary", vec![0x00, 0xff, 0xfe, 0x80, 0x7f, 0x01]),
        ("broken UTF-8", b"{\"name\": \"caf\xe9\"}".to_vec()),
        ("no JSON", b"name=x&slug=y".to_vec()),
        ("cut off", b"{\"name\": \"x\", ".to_vec()),
        ("trailing bytes", b"{\"name\": \"x\"} {}".to_vec()),
        ("a lone surrogate", br#"{"name": "\ud800"}"#.to_vec()),
        ("a raw control character", b"{\"name\": \"a\x00b\"}".to_vec()),
        ("an infinite number", br#"{"limit": 1e999}"#.to_vec()),
        ("10,000 lists deep", deep.into_bytes()),
        ("10,000 objects deep", deep_objects.into_bytes()),
        ("a list", b"[]".to_vec()),
        ("a string", b"\"x\"".to_vec()),
        ("null", b"null".to_vec()),
        ("twice the same field", br#"{"name": "a", "name": "b"}"#.to_vec()),
        ("an unknown field", br#"{"nonsense": true}"#.to_vec()),
    ];
    for (method, path) in readers(&tenant) {
        for (what, body) in &bodies {
            let answer = tenant.admin.raw(method, &path, &[JSON], body.clone()).await;
            let name = format!("{what} to {method} {path}: {} {}", answer.status, answer.text());
            assert!([400, 422].contains(&answer.status), "{name}");
            assert_eq!(answer.any_problem()["code"], "validation_failed", "{name}");
            for internal in ["/src/", ".rs:", "SELECT", "sqlite", "serde"] {
                assert!(!answer.text().contains(internal), "{internal} in {name}");
            }
        }
    }
    assert_alive(&tenant).await;
}

#[tokio::test]
async fn bodies_of_another_kind_are_refused() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let body = br#"{"query": "x"}"#.to_vec();
    for kind in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "nonsense"] {
        tenant
            .client
            .raw("POST", &tenant.path("/search"), &[("content-type", kind)], body.clone())
            .await
            .problem(415, "unsupported_media_type");
        tenant
            .client
            .raw("POST", &tenant.path("/ingest"), &[("content-type", kind)], body.clone())
            .await
            .problem(415, "unsupported_media_type");
    }
    assert_alive(&tenant).await;
}

#[tokio::test]
async fn absurd_values_are_refused() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let huge = "n".repeat(1_000_000);
    let names =
        [json!(huge), json!("a\u{0}b"), json!(""), json!("   "), json!(1), json!(["a"]), json!(null), json!({"a": 1})];
    for name in names {
        let start: String = name.to_string().chars().take(40).collect();
        let organization = json!({"name": name, "slug": "absurd", "contact_email": "a@example.com"});
        let answers = [
            tenant.admin.post("/v1/organizations", &organization).await,
            tenant.client.post(&tenant.path("/agents"), &json!({"name": name, "slug": "absurd"})).await,
            tenant.client.post(&tenant.path("/api-keys"), &json!({"name": name})).await,
            tenant
                .admin
                .post(
                    &format!("/v1/organizations/{}/workspaces", tenant.organization),
                    &json!({"name": name, "slug": "absurd"}),
                )
                .await,
        ];
        for answer in answers {
            assert!([413, 422].contains(&answer.status), "{start}: {} {}", answer.status, answer.text());
            answer.any_problem();
        }
    }
    let documents = [
        json!({"content": 7}),
        json!({"content": null}),
        json!({"content": "x", "metadata": "y"}),
        json!({"content": "x", "title": {"a": 1}}),
        json!({"content": "x", "title": "t".repeat(1_000_000)}),
        json!({"content": "x", "source": "s".repeat(1_000_000)}),
        json!({"content": "x", "source": ""}),
        json!({"content": "x", "id": "00000000-0000-0000-0000-000000000009"}),
        json!({"content": "x", "workspace_id": "00000000-0000-0000-0000-000000000002"}),
    ];
    for body in documents {
        let answer = tenant.client.post(&tenant.path("/documents"), &body).await;
        let start: String = body.to_string().chars().take(60).collect();
        assert!([413, 422].contains(&answer.status), "{start}: {} {}", answer.status, answer.text());
    }
    let nul = tenant.client.post(&tenant.path("/documents"), &json!({"content": "a\u{0}b"})).await;
    assert!([415, 422].contains(&nul.status), "{}", nul.text());
    assert_alive(&tenant).await;
    assert_eq!(tenant.document_count().await, 0);
}

#[tokio::test]
async fn ids_that_are_none_are_answered_calmly() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let long = "a".repeat(5000);
    let ids = ["1", "not-a-uuid", "%00", "..%2f..%2fcontrol.db", "%F0%9F%92%A9", "%FF", "'%20OR%201=1", "null", &long];
    for bad in ids {
        let paths = [
            format!("/v1/organizations/{bad}"),
            format!("/v1/workspaces/{bad}"),
            format!("/v1/workspaces/{bad}/documents"),
            tenant.path(&format!("/documents/{bad}")),
            tenant.path(&format!("/documents/{bad}/file")),
            tenant.path(&format!("/agents/{bad}")),
            tenant.path(&format!("/jobs/{bad}/events")),
            tenant.path(&format!("/sessions/{bad}/messages")),
        ];
        for path in paths {
            let answer = tenant.admin.get(&path).await;
            assert!([400, 404, 414, 422, 431].contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
            answer.any_problem();
        }
    }
    assert_alive(&tenant).await;
}

#[tokio::test]
async fn names_of_uploads_lead_nowhere() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let files_of_data = || -> Vec<String> {
        let names = server.home().names().into_iter();
        // SQLite, sled and tantivy make and drop files of their own beside what they keep.
        names.filter(|name| name.contains("evil") || !name.starts_with("data")).collect()
    };
    let before = files_of_data();
    let long = format!("{}.md", "evil".repeat(1250));
    // Names that lead elsewhere, or are none, are refused; odd ones are words like any other.
    let refused = [
        "../../evil.md",
        "..\\evil.md",
        "..\\..\\evil.md",
        "/tmp/evil.md",
        "/evil.md",
        "C:\\evil.md",
        "evil.md/../../../evil.md",
        "a/../evil.md",
        ".",
        "..",
        "evil\u{0}.md",
        "evil\u{7}.md",
        &long,
    ];
    let odd = ["%2e%2e/evil.md", "..%2fevil.md", "．．／evil.md", "CON.md"];
    for (name, good) in refused.iter().map(|name| (*name, false)).chain(odd.map(|name| (name, true))) {
        let bytes = format!("# Evil\n\nThis came as {}.", name.len());
        for (path, status) in [("/documents", [200, 201]), ("/ingest", [202, 202])] {
            let answer = tenant.client.upload("POST", &tenant.path(path), &[file(name, bytes.as_bytes())]).await;
            let expected = if good { status } else { [400, 422] };
            assert!(expected.contains(&answer.status), "{name:?} to {path}: {} {}", answer.status, answer.text());
            match answer.status {
                202 => assert_eq!(tenant.finished(&id(&answer.json())).await["failed"], 0),
                400.. => drop(answer.any_problem()),
                _ => {}
            }
        }
        // A source is a word about a document, and may be an address.
        let body = json!({"source": name, "content": bytes});
        let answer = tenant.client.post(&tenant.path("/documents"), &body).await;
        let hidden = name.chars().any(char::is_control) || name.len() > 1024;
        let expected = if hidden { [422, 422] } else { [200, 201] };
        assert!(expected.contains(&answer.status), "{name:?}: {} {}", answer.status, answer.text());
    }
    assert_eq!(files_of_data(), before);
    for place in ["/tmp/evil.md", "/evil.md"] {
        assert!(!std::path::Path::new(place).exists());
    }
    let documents = tenant.client.get(&tenant.path("/documents?limit=200")).await.is(200).json();
    for document in documents["documents"].as_array().unwrap() {
        let file = tenant.client.get(&tenant.path(&format!("/documents/{}/file", id(document)))).await.is(200);
        let disposition = file.header("content-disposition").to_owned();
        assert!(
            !disposition.contains("..") && !disposition.contains('\\') && !disposition.contains("filename=\"/"),
            "{disposition}"
        );
    }
    assert_alive(&tenant).await;
}

#[tokio::test]
async fn broken_multipart_is_refused() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let boundary = "multipart/form-data; boundary=b";
    let part = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.md\"\r\n\r\nText.";
    let many = format!("{}--b--\r\n", "--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\ny\r\n".repeat(10_000));
    let header = format!(
        "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\r\nx\r\n--b--\r\n",
        "a".repeat(500_000)
    );
    let bodies: Vec<(&str, &str, String)> = vec![
        ("no boundary", "multipart/form-data", format!("{part}\r\n--b--\r\n")),
        ("nothing", boundary, String::new()),
        ("no end", boundary, part.to_owned()),
        ("another boundary", "multipart/form-data; boundary=c", format!("{part}\r\n--b--\r\n")),
        ("no parts", boundary, "--b--\r\n".to_owned()),
        ("10,000 fields", boundary, many),
        ("half a megabyte of header", boundary, header),
        (
            "metadata that is no JSON",
            boundary,
            format!("{part}\r\n--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n{{oops\r\n--b--\r\n"),
        ),
        (
            "metadata that is a list",
            boundary,
            format!("{part}\r\n--b\r\nContent-Disposition: form-data; name=\"metadata\"\r\n\r\n[]\r\n--b--\r\n"),
        ),
    ];
    for (what, kind, body) in bodies {
        for path in ["/documents", "/ingest"] {
            if path == "/ingest" && what.starts_with("metadata") {
                continue;
            }
            eprintln!("{what} to {path}");
            let answer = tenant.client.raw("POST", &tenant.path(path), &[("content-type", kind)], body.clone()).await;
            assert!([400, 413, 415, 422].contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
            answer.any_problem();
        }
    }
    assert_alive(&tenant).await;
    assert_eq!(tenant.document_count().await, 0);
}

#[tokio::test]
async fn bodies_beyond_the_limits_are_refused() {
    let limits = [
        ("CARREL_LIMITS_JSON_BYTES", "20000"),
        ("CARREL_LIMITS_UPLOAD_BYTES", "100000"),
        ("CARREL_LIMITS_DOCUMENT_BYTES", "50000"),
    ];
    let server = Server::with(&limits);
    let tenant = Tenant::new(&server.admin()).await;
    let path = tenant.path("/documents");
    let text = |bytes: usize| "x ".repeat(bytes / 2);
    tenant.client.post(&path, &json!({"content": text(10_000)})).await.is(201);
    tenant.client.post(&path, &json!({"content": text(30_000)})).await.problem(413, "payload_too_large");
    tenant
        .client
        .post(&tenant.path("/search"), &json!({"query": text(30_000)}))
        .await
        .problem(413, "payload_too_large");
    tenant.client.upload("POST", &path, &[file("fits.txt", text(40_000).as_bytes())]).await.is(201);
    tenant
        .client
        .upload("POST", &path, &[file("large.txt", text(60_000).as_bytes())])
        .await
        .problem(413, "payload_too_large");
    tenant
        .client
        .upload("POST", &path, &[file("larger.txt", text(200_000).as_bytes())])
        .await
        .problem(413, "payload_too_large");
    let job = tenant
        .client
        .upload("POST", &tenant.path("/ingest"), &[file("a.txt", text(60_000).as_bytes()), file("b.txt", b"Fits.")])
        .await;
    let job = tenant.finished(&id(&job.is(202).json())).await;
    assert_eq!((&job["done"], &job["failed"], &job["total"]), (&json!(1), &json!(1), &json!(2)), "{job}");
    let error = &job["errors"][0];
    assert_eq!((&error["source"], &error["code"]), (&json!("a.txt"), &json!("payload_too_large")), "{job}");
    assert!(error["message"].as_str().unwrap().contains("50000"), "the limit is told: {error}");
    let parts = [file("../../climbs.txt", b"Climbs."), file("stays.txt", b"Stays.")];
    let job = tenant.client.upload("POST", &tenant.path("/ingest"), &parts).await;
    let job = tenant.finished(&id(&job.is(202).json())).await;
    assert_eq!((&job["done"], &job["errors"][0]["source"]), (&json!(1), &json!("../../climbs.txt")), "{job}");

    // Without a length: the limit holds while the bytes come in.
    let pieces = futures_util::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1000])));
    let answer = tenant.client.raw("POST", &tenant.path("/search"), &[JSON], reqwest::Body::wrap_stream(pieces)).await;
    answer.problem(413, "payload_too_large");
    assert_alive(&tenant).await;
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_are_named_as_such() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    for path in [
        "/nowhere",
        "/v1/nowhere",
        "/v1",
        "/v2/organizations",
        "/v1/v1/organizations",
        "/v1/organizations/",
        "//",
        "/data/control.db",
    ] {
        let answer = tenant.admin.get(path).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        answer.problem(404, "not_found");
    }
    let wrong = [
        ("DELETE", "/v1/organizations".to_owned()),
        ("GET", tenant.path("/search")),
        ("GET", tenant.path("/chat")),
        ("PUT", tenant.path("/agents")),
        ("POST", tenant.path("/stats")),
        ("DELETE", "/health".to_owned()),
        ("BREW", tenant.path("/documents")),
    ];
    for (method, path) in wrong {
        let answer = tenant.admin.send(method, &path, None).await;
        assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
        answer.any_problem();
        assert!(!answer.header("allow").is_empty(), "{method} {path} says what is allowed");
    }
    assert_alive(&tenant).await;
}

#[tokio::test]
async fn nothing_of_the_machine_is_in_an_error() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let home = server.home().path().to_string_lossy().into_owned();
    let anonymous = Client::new(&server.url, None);
    let answers = [
        anonymous.get("/v1/organizations").await,
        tenant.client.get("/v1/organizations/x").await,
        tenant.client.get(&tenant.path("/documents/x")).await,
        tenant.client.post(&tenant.path("/documents"), &json!({"content": 1})).await,
        tenant.client.upload("POST", &tenant.path("/documents"), &[file("a.pdf", b"%PDF-1.4")]).await,
    ];
    for answer in answers {
        let problem: Value = answer.any_problem();
        for word in [home.as_str(), env!("CARGO_MANIFEST_DIR"), "SELECT", "rusqlite", "tantivy", "panicked", ".rs:"] {
            assert!(!answer.text().contains(word), "{word} in {problem}");
        }
    }
}
