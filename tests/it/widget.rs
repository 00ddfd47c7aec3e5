//! The chat for other sites' pages from the server's side: which pages may use a key and read an answer, what is said
//! of a key, and what the script and the page are served with.

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::server::Server;
use crate::tenant::{Tenant, id};

const SITE: &str = "https://www.example.org";
const OTHER: &str = "https://other.example.org";

const ORIGINS_OF_NOBODY: [&str; 9] = [
    "https://evil.example",
    "null",
    "https://www.example.org.evil.example",
    "https://evilwww.example.org",
    "http://www.example.org",
    "https://www.example.org:8443",
    "https://www.example.org/",
    "https://WWW.example.org",
    "*",
];

/// A key with these scopes for pages of these origins, and its row.
async fn key_for(tenant: &Tenant, scopes: &[&str], origins: &[&str]) -> (Client, Value) {
    let body = json!({"name": "A page's", "scopes": scopes, "allowed_origins": origins, "rate_limit_per_minute": 1000});
    let row = tenant.admin.post(&tenant.path("/api-keys"), &body).await.is(201).json();
    (tenant.admin.with_token(row["key"].as_str().unwrap()), row)
}

fn path_of(tenant: &Tenant, key: &Value) -> String {
    tenant.path(&format!("/api-keys/{}", id(key)))
}

/// A question from a page, or without an origin from a program.
async fn ask(key: &Client, path: &str, origin: Option<&str>) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(origin.map(|origin| ("origin", origin)));
    key.raw("POST", path, &headers, json!({"message": "Who services the centrifuge?"}).to_string()).await
}

/// What a browser asks before it sends a key.
async fn may_i(client: &Client, path: &str, origin: &str) -> Answer {
    let asks = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    client.anonymous().raw("OPTIONS", path, &asks, "").await
}

/// Asserts that pages of other sites learn nothing from an answer.
#[track_caller]
fn is_for_nobody(answer: &Answer) {
    let told: Vec<String> = answer.headers.keys().map(|name| name.to_string()).collect();
    assert!(!told.iter().any(|name| name.starts_with("access-control")), "{told:?}");
}

/// Asserts that pages of `origin`, and no others, may read an answer.
#[track_caller]
fn is_for(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), origin, "{}", answer.text());
    let vary: Vec<String> = answer.headers.get_all("vary").iter().map(|v| v.to_str().unwrap().to_lowercase()).collect();
    assert!(vary.iter().any(|value| value.contains("origin")), "{vary:?}");
    assert!(answer.headers.get("access-control-allow-credentials").is_none());
}

#[tokio::test]
async fn a_key_that_lists_origins_opens_nothing_elsewhere() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let (key, row) = key_for(&tenant, &["chat"], &[SITE, "http://localhost:8080"]).await;
    assert_eq!(row["allowed_origins"], json!([SITE, "http://localhost:8080"]));
    for path in ["/chat", "/v1/chat", "/chat/stream", "/v1/chat/stream", "/n8n/chat"] {
        for origin in [SITE, "http://localhost:8080"] {
            let answer = ask(&key, path, Some(origin)).await.is(200);
            is_for(&answer, origin);
            assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
            assert!(answer.text().contains("Helena Brandt"));
        }
        for origin in ORIGINS_OF_NOBODY {
            let answer = ask(&key, path, Some(origin)).await;
            answer.problem(403, "forbidden");
            is_for_nobody(&answer);
        }
        ask(&key, path, None).await.problem(403, "forbidden");
    }
    let twice = [("content-type", "application/json"), ("origin", SITE), ("origin", "https://evil.example")];
    let answer = key.raw("POST", "/chat", &twice, json!({"message": "Hello?"}).to_string()).await;
    answer.problem(403, "forbidden");
    is_for_nobody(&answer);
    // Not only chat, and whatever else it may.
    let (wide, _) = key_for(&tenant, &["chat", "search", "read", "admin"], &[SITE]).await;
    wide.get("/auth/me").await.problem(403, "forbidden");
    wide.get(&tenant.path("/api-keys")).await.problem(403, "forbidden");
    wide.raw("GET", &tenant.path("/api-keys"), &[("origin", SITE)], "").await.is(200);
}

#[tokio::test]
async fn a_key_without_origins_is_for_programs() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    // Some key of the instance is for that site; that is nothing to the others.
    key_for(&tenant, &["chat"], &[SITE]).await;
    let (key, row) = key_for(&tenant, &["chat"], &[]).await;
    assert_eq!(row["allowed_origins"], json!([]));
    ask(&key, "/chat", None).await.is(200);
    for client in [&key, &tenant.client] {
        let answer = ask(client, "/chat", Some(SITE)).await.is(200);
        is_for_nobody(&answer);
        let answer = client.raw("GET", "/auth/me", &[("origin", SITE)], "").await.is(200);
        is_for_nobody(&answer);
        let answer = client.raw("POST", "/chat", &[("origin", SITE)], "{").await;
        assert!(answer.status >= 400);
        is_for_nobody(&answer);
    }
    let answer = tenant.admin.raw("GET", "/v1/organizations", &[("origin", SITE)], "").await.is(200);
    is_for_nobody(&answer);
}

#[tokio::test]
async fn browsers_are_told_beforehand_of_origins_that_a_living_key_lists() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let listed = async |origin: &str| {
        let answer = may_i(&tenant.admin, "/v1/chat/stream", origin).await;
        match answer.header("access-control-allow-origin") {
            "" => is_for_nobody(&answer),
            _ => is_for(&answer.is(204), origin),
        }
        may_i(&tenant.admin, "/widget/validate", origin).await.header("access-control-allow-origin") == origin
    };
    assert!(!listed(SITE).await, "off where no key lists anything");
    let (_, one) = key_for(&tenant, &["chat"], &[SITE]).await;
    let (_, two) = key_for(&tenant, &["chat"], &[SITE, OTHER]).await;
    assert!(listed(SITE).await && listed(OTHER).await);
    for origin in ORIGINS_OF_NOBODY {
        assert!(!listed(origin).await, "{origin}");
    }
    let answer = may_i(&tenant.admin, "/chat", SITE).await.is(204);
    let words = |name| answer.header(name).split(", ").map(str::to_lowercase).collect::<Vec<_>>();
    assert_eq!(words("access-control-allow-methods"), ["get", "post"]);
    let headers = ["authorization", "content-type", "x-api-key", "idempotency-key"];
    let of_protocols = ["mcp-protocol-version", "mcp-method", "mcp-name"];
    assert_eq!(words("access-control-allow-headers"), [&headers[..], &of_protocols].concat());
    assert!((60..=3600).contains(&answer.header("access-control-max-age").parse::<u32>().unwrap()));
    assert!(!answer.header("x-request-id").is_empty());
    // A plain OPTIONS is no such question.
    let plain = tenant.admin.anonymous().raw("OPTIONS", "/chat", &[("origin", SITE)], "").await;
    plain.problem(405, "method_not_allowed");

    tenant.admin.patch(&path_of(&tenant, &two), &json!({"allowed_origins": [SITE]})).await.is(200);
    assert!(listed(SITE).await && !listed(OTHER).await);
    tenant.admin.delete(&path_of(&tenant, &one)).await.is(200);
    assert!(listed(SITE).await, "the other key lists it still");
    for (change, holds) in [
        (json!({"is_active": false}), false),
        (json!({"is_active": true}), true),
        (json!({"expires_at": "2020-01-01T00:00:00Z"}), false),
        (json!({"expires_at": "2199-01-01T00:00:00Z"}), true),
        (json!({"allowed_origins": []}), false),
        (json!({"allowed_origins": [SITE]}), true),
    ] {
        tenant.admin.patch(&path_of(&tenant, &two), &change).await.is(200);
        assert_eq!(listed(SITE).await, holds, "{change}");
    }
    tenant.admin.delete(&tenant.path("")).await.is(200);
    assert!(!listed(SITE).await);
}

#[tokio::test]
async fn pages_can_say_in_words_what_went_wrong() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let (key, row) = key_for(&tenant, &["chat"], &[SITE]).await;
    let (elsewhere, _) = key_for(&tenant, &["chat"], &[OTHER]).await;
    let from_site = [("content-type", "application/json"), ("origin", SITE)];
    for (path, body, status) in [
        ("/chat", json!({"message": " "}).to_string(), 422),
        ("/chat", "{".to_owned(), 400),
        ("/chat", json!({"message": "Hello?", "agent_id": "none"}).to_string(), 404),
        ("/search/vector", json!({"query": "kettles"}).to_string(), 403),
        ("/nowhere", String::new(), 404),
    ] {
        let answer = key.raw("POST", path, &from_site, body).await.is(status);
        answer.any_problem();
        is_for(&answer, SITE);
    }
    // Neither a key that is for other pages nor one that is over keeps this page from hearing so.
    for (client, status) in
        [(&elsewhere, 403), (&tenant.admin.with_token("sk_live_nothing"), 401), (&key.anonymous(), 401)]
    {
        let answer = ask(client, "/chat", Some(SITE)).await.is(status);
        is_for(&answer, SITE);
    }
    tenant.admin.delete(&path_of(&tenant, &row)).await.is(200);
    let answer = ask(&key, "/chat", Some("https://evil.example")).await.is(401);
    is_for_nobody(&answer);
}

#[tokio::test]
async fn what_is_no_origin_is_refused_by_its_place_in_the_list() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let (_, row) = key_for(&tenant, &["chat"], &[SITE]).await;
    let path = path_of(&tenant, &row);
    for origin in ["*", "null", "", "https://*.example.org", "example.org", "https://a.example/shop", "ftp://a.example"]
    {
        let list = json!([SITE, origin]);
        for answer in [
            tenant.admin.post(&tenant.path("/api-keys"), &json!({"name": "Bot", "allowed_origins": list})).await,
            tenant.admin.patch(&path, &json!({"allowed_origins": list})).await,
        ] {
            let problem = answer.problem(422, "validation_failed");
            assert_eq!(problem["errors"][0]["field"], "allowed_origins[1]", "{origin}: {problem}");
        }
    }
    for wrong in [json!("https://a.example"), json!({"0": SITE}), json!([7])] {
        tenant.admin.patch(&path, &json!({"allowed_origins": wrong})).await.problem(422, "validation_failed");
    }
    let many = |count: usize| (0..count).map(|n| format!("https://s{n}.example")).collect::<Vec<_>>();
    tenant.admin.patch(&path, &json!({"allowed_origins": many(51)})).await.problem(422, "validation_failed");
    tenant.admin.patch(&path, &json!({"allowed_origins": many(50)})).await.is(200);
    let written = json!(["HTTPS://Www.Example.org:443/", SITE, "http://localhost:8080"]);
    let kept = tenant.admin.patch(&path, &json!({"allowed_origins": written})).await.is(200).json();
    assert_eq!(kept["allowed_origins"], json!([SITE, "http://localhost:8080"]));
    let listed = tenant.client.pages(&tenant.path("/api-keys")).await;
    assert!(listed.iter().any(|key| key["allowed_origins"] == kept["allowed_origins"]));
    let untouched = tenant.admin.patch(&path, &json!({"name": "Changed"})).await.is(200).json();
    assert_eq!(untouched["allowed_origins"], kept["allowed_origins"]);
}

async fn validated(client: &Client, body: Option<Value>, origin: Option<&str>) -> Answer {
    let mut headers = vec![("content-type", "application/json")];
    headers.extend(origin.map(|origin| ("origin", origin)));
    let body = body.map_or_else(String::new, |body| body.to_string());
    let answer = client.raw("POST", "/v1/widget/validate", &headers, body.clone()).await.is(200);
    let same = client.raw("POST", "/widget/validate", &headers, body).await.is(200);
    assert_eq!(answer.json(), same.json());
    answer
}

#[tokio::test]
async fn a_key_is_fit_for_a_widget_where_it_may_chat_and_no_more_and_only_here() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let about = json!({"name": "The clinic", "description": "Knows the handbook"});
    tenant.client.patch(&tenant.path(&format!("/agents/{}", tenant.agent)), &about).await.is(200);
    let (key, row) = key_for(&tenant, &["chat"], &[SITE]).await;
    let (token, anonymous) = (key.token().to_owned(), key.anonymous());
    let expected = json!({
        "valid": true,
        "workspace_id": tenant.workspace,
        "agent": {"id": tenant.agent, "name": "The clinic", "description": "Knows the handbook"},
        "languages": ["de", "en"],
    });
    let in_the_body = [json!({"key": token}), json!({"api_key": token, "anything": 1})];
    let answer = validated(&key, None, Some(SITE)).await;
    is_for(&answer, SITE);
    assert_eq!(answer.json(), expected);
    for body in in_the_body {
        let answer = validated(&anonymous, Some(body), Some(SITE)).await;
        is_for(&answer, SITE);
        assert_eq!(answer.json(), expected);
    }
    let named = validated(&key, Some(json!({"agent_id": tenant.agent})), Some(SITE)).await;
    assert_eq!(named.json(), expected);

    let unfit = async |client: &Client, origin: Option<&str>, reason: &str| {
        let answer = validated(client, None, origin).await;
        assert_eq!(answer.json(), json!({"valid": false, "reason": reason}));
        let in_the_body = validated(&anonymous, Some(json!({"key": client.token()})), origin).await;
        assert_eq!(in_the_body.json(), answer.json());
        answer
    };
    for origin in ORIGINS_OF_NOBODY {
        is_for_nobody(&unfit(&key, Some(origin), "other_origin").await);
    }
    unfit(&key, None, "other_origin").await;
    for scopes in [&["chat", "search"][..], &["search"], &["chat", "admin"], &["read"]] {
        let (wide, _) = key_for(&tenant, scopes, &[SITE]).await;
        is_for(&unfit(&wide, Some(SITE), "more_than_chat").await, SITE);
    }
    unfit(&tenant.client, Some(SITE), "more_than_chat").await;
    unfit(&tenant.admin, Some(SITE), "more_than_chat").await;
    let (anywhere, _) = key_for(&tenant, &["chat"], &[]).await;
    unfit(&anywhere, Some(SITE), "no_origins").await;
    for agent in [uuid::Uuid::now_v7().to_string(), "general".to_owned()] {
        let answer = validated(&key, Some(json!({"agent_id": agent})), Some(SITE)).await.json();
        assert_eq!(answer, json!({"valid": false, "reason": "no_agent"}));
    }

    // What opens nothing is told apart by nothing.
    let expired =
        json!({"name": "Bot", "scopes": ["chat"], "allowed_origins": [SITE], "expires_at": "2020-01-01T00:00:00Z"});
    let expired = tenant.admin.post(&tenant.path("/api-keys"), &expired).await.is(201).json();
    let (revoked, its_row) = key_for(&tenant, &["chat", "search"], &[]).await;
    tenant.admin.delete(&path_of(&tenant, &its_row)).await.is(200);
    let (sleeping, its_row) = key_for(&tenant, &["chat"], &[OTHER]).await;
    tenant.admin.patch(&path_of(&tenant, &its_row), &json!({"is_active": false})).await.is(200);
    let tokens = [expired["key"].as_str().unwrap(), revoked.token(), sleeping.token(), "x", "", &"a".repeat(5000)];
    for token in tokens.into_iter().chain([format!("sk_live_{}", "b".repeat(51)).as_str()]) {
        let answer = unfit(&anonymous.with_token(token), Some(SITE), "unknown_key").await;
        is_for(&answer, SITE);
        is_for_nobody(&unfit(&anonymous.with_token(token), Some("https://evil.example"), "unknown_key").await);
    }
    assert_eq!(validated(&anonymous, None, None).await.json(), json!({"valid": false, "reason": "unknown_key"}));
    tenant.admin.delete(&path_of(&tenant, &row)).await.is(200);
    unfit(&key, Some(SITE), "unknown_key").await;
    anonymous.raw("POST", "/widget/validate", &[], "{").await.problem(400, "validation_failed");
}

#[tokio::test]
async fn the_script_is_for_every_page_and_is_asked_for_once() {
    let server = Server::shared();
    let anonymous = server.admin().anonymous();
    for path in ["/static/chat-widget.js", "/v1/static/chat-widget.js"] {
        let script = anonymous.get(path).await.is(200);
        assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
        assert!(script.header("cache-control").starts_with("public, max-age="));
        assert_eq!(script.header("cross-origin-resource-policy"), "cross-origin");
        assert_eq!(script.header("x-content-type-options"), "nosniff");
        assert_eq!(script.header("referrer-policy"), "no-referrer");
        is_for_nobody(&script);
        let tag = script.header("etag").to_owned();
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
        for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let same = anonymous.raw("GET", path, &[("if-none-match", &known)], "").await.is(304);
            assert_eq!((same.bytes.len(), same.header("etag")), (0, tag.as_str()));
        }
        anonymous.raw("GET", path, &[("if-none-match", "\"other\"")], "").await.is(200);
        let head = anonymous.send("HEAD", path, None).await.is(200);
        assert_eq!((head.bytes.len(), head.header("etag")), (0, tag.as_str()));
    }
}

#[tokio::test]
async fn the_script_can_do_no_harm() {
    let server = Server::shared();
    let script = server.admin().anonymous().get("/static/chat-widget.js").await.is(200).text();
    let never = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval",
        "Function(",
        "http://",
        "https://",
        "import(",
        "createElement('a')",
        "createElement('img')",
        "localStorage",
        "document.cookie",
        "setAttribute('style'",
        "createContextualFragment",
        "DOMParser",
        ".src =",
        ".href =",
        "XMLHttpRequest",
        "sendBeacon",
        "WebSocket",
    ];
    for word in never {
        assert!(!script.contains(word), "{word}");
    }
    assert!(script.len() < 60_000, "{} bytes", script.len());
}

/// The directives of a page's policy.
fn policy(page: &Answer) -> Vec<String> {
    page.header("content-security-policy").split("; ").map(str::to_owned).collect()
}

#[tokio::test]
async fn the_page_may_be_framed_by_the_pages_that_its_key_lists() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let (key, row) = key_for(&tenant, &["chat"], &[SITE, OTHER]).await;
    let anonymous = key.anonymous();
    let framed_by = async |query: &str| {
        let page = anonymous.get(&format!("/widget/chat{query}")).await.is(200);
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("x-frame-options"), "SAMEORIGIN");
        assert_eq!(page.header("cache-control"), "no-store");
        let policy = policy(&page);
        for directive in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "base-uri 'none'"] {
            assert!(policy.iter().any(|own| own == directive), "{directive}: {policy:?}");
        }
        assert!(!page.text().contains("sk_live_"), "the page does not repeat its address");
        policy.into_iter().find(|directive| directive.starts_with("frame-ancestors")).unwrap()
    };
    assert_eq!(framed_by("").await, "frame-ancestors 'self'");
    let token = key.token();
    assert_eq!(framed_by(&format!("?key={token}&lang=de")).await, format!("frame-ancestors 'self' {SITE} {OTHER}"));
    let (wide, _) = key_for(&tenant, &["chat", "read"], &[SITE]).await;
    let (anywhere, _) = key_for(&tenant, &["chat"], &[]).await;
    let unknown = format!("sk_live_{}", "b".repeat(51));
    for token in [
        wide.token(),
        anywhere.token(),
        tenant.admin.token(),
        &unknown,
        "x%0d%0aset-cookie:%20a=b",
        "%3Bscript-src%20*",
    ] {
        assert_eq!(framed_by(&format!("?key={token}")).await, "frame-ancestors 'self'", "{token}");
    }
    tenant.admin.delete(&path_of(&tenant, &row)).await.is(200);
    assert_eq!(framed_by(&format!("?key={token}")).await, "frame-ancestors 'self'");
    anonymous.get("/v1/widget/chat").await.is(200);
}

#[tokio::test]
async fn a_key_in_an_address_is_in_no_log() {
    let server = Server::with(&[("CARREL_LOG_FILTER", "trace")]);
    let tenant = Tenant::new(&server.admin()).await;
    let (key, _) = key_for(&tenant, &["chat"], &[SITE]).await;
    let token = key.token().to_owned();
    let anonymous = key.anonymous();
    anonymous.get(&format!("/widget/chat?key={token}")).await.is(200);
    anonymous.get(&format!("/nowhere?key={token}")).await.problem(404, "not_found");
    anonymous.post(&format!("/chat?key={token}"), &json!({"message": "Hello?"})).await.problem(401, "unauthorized");
    anonymous.post("/widget/validate", &json!({"key": token})).await.is(200);
    let (_, secret) = token.split_at(token.len() - 32);
    let home = server.stop();
    assert!(home.log().contains("/widget/chat"), "the log was read");
    assert!(!home.log().contains(secret));
}

#[tokio::test]
async fn keys_of_an_older_register_list_nothing() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let home = server.stop();
    let db = rusqlite::Connection::open(home.data().join("control.db")).unwrap();
    db.execute_batch("ALTER TABLE api_keys DROP COLUMN allowed_origins; PRAGMA user_version = 1;").unwrap();
    drop(db);
    let server = Server::within(home, &[]);
    let tenant = tenant.on(&server);
    tenant.client.get("/auth/me").await.is(200);
    let keys = tenant.client.pages(&tenant.path("/api-keys")).await;
    assert_eq!(keys[0]["allowed_origins"], json!([]));
    let (key, _) = key_for(&tenant, &["chat"], &[SITE]).await;
    ask(&key, "/chat", None).await.problem(403, "forbidden");
}

#[test]
fn a_command_makes_a_key_for_pages() {
    let home = crate::server::Home::new();
    let made = home
        .run(&["--json", "key", "create", "--name", "site", "--scope", "chat", "--origin", SITE, "--origin", OTHER]);
    let row = made.exits(0).json();
    assert_eq!((&row["scopes"], &row["allowed_origins"]), (&json!(["chat"]), &json!([SITE, OTHER])));
    let id = row["id"].as_str().unwrap();
    let changed = home.run(&["--json", "key", "update", id, "--origin", SITE]).exits(0).json();
    assert_eq!(changed["allowed_origins"], json!([SITE]));
    home.run(&["key", "create", "--name", "site", "--origin", "*"]).exits(1);
}
