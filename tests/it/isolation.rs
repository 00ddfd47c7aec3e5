//! Two tenants, every route: what is another's is out of reach, and its existence cannot be told.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Answer, Client};
use crate::routes::{Ids, ROUTES, Route, Verdict};
use crate::server::{ADMIN_KEY, Server};
use crate::tenant::{SCOPES, Tenant, id};

/// A word that the other tenant asks for.
const CANARY: &str = "zanzibarquux";
/// A word beside it that nobody but its owner knows.
const SECRET: &str = "marmaladefish";

/// A tenant whose every row bears the canary and the secret, and the ids of those rows.
async fn furnished(admin: &Client) -> (Tenant, Ids) {
    let tenant = Tenant::new(admin).await;
    let name = format!("{CANARY} {SECRET}");
    let content = format!("# {name}\n\nThe {CANARY} opens with the word {SECRET}. Orla Quimby was born in Leeds.\n");
    let body =
        json!({"source": format!("{SECRET}.md"), "title": name, "content": content, "metadata": {"word": SECRET}});
    let document = id(&tenant.client.post(&tenant.path("/documents"), &body).await.is(201).json());
    let agent = format!("/agents/{}", tenant.agent);
    tenant.client.patch(&tenant.path(&agent), &json!({"name": name, "system_prompt": name})).await.is(200);
    tenant.client.patch(&tenant.path(""), &json!({"name": name, "description": name})).await.is(200);
    let key = tenant.client.post(&tenant.path("/api-keys"), &json!({"name": name})).await.is(201).json();
    let job = tenant.ingest(&[json!({"source": format!("{SECRET}-2.md"), "content": content})]).await;
    let answer = tenant.ask(&format!("Which word opens the {CANARY}? Is it {SECRET}?")).await;
    assert!(answer["citations"].to_string().contains(SECRET), "the owner finds it: {answer}");
    let session = answer["session_id"].as_str().unwrap().to_owned();
    let messages = tenant.client.get(&tenant.path(&format!("/sessions/{session}/messages"))).await.is(200).json();
    let message = id(&messages["messages"][1]);
    let question = json!({"question": name, "expected": [{"source": format!("{SECRET}.md"), "passage": content}]});
    let body = json!({"name": name, "questions": [question]});
    let set = id(&tenant.client.post(&tenant.path("/evaluations"), &body).await.is(201).json());
    let runs = tenant.path(&format!("/evaluations/{set}/runs"));
    let run = tenant.client.post(&runs, &json!({})).await.is(201).json();
    tenant.facts_read().await;
    let entities = tenant.client.get(&tenant.path("/graph/entities?q=Orla%20Quimby")).await.is(200).json();
    assert_eq!(entities[0]["name"], "Orla Quimby", "{entities}");
    let ids = Ids::from([
        ("entity", id(&entities[0])),
        ("evaluation", set),
        ("question", run["questions"][0]["question_id"].as_str().unwrap().to_owned()),
        ("run", id(&run)),
        ("workspace", tenant.workspace.clone()),
        ("agent", tenant.agent.clone()),
        ("key", id(&key)),
        ("document", document),
        ("job", id(&job)),
        ("session", session),
        ("message", message),
    ]);
    (tenant, ids)
}

async fn call(client: &Client, route: &Route, ids: &Ids) -> Answer {
    let answer = client.send(route.method, &route.path(ids), route.body(ids).as_ref()).await;
    assert!(answer.status < 500, "{} {}: {}", route.method, route.path, answer.text());
    answer
}

/// The same ids in another workspace.
fn in_workspace(ids: &Ids, workspace: &str) -> Ids {
    let mut ids = ids.clone();
    ids.insert("workspace", workspace.to_owned());
    ids
}

#[tokio::test]
async fn another_tenants_workspace_is_refused_as_one_that_does_not_exist() {
    let server = Server::shared();
    let (victim, theirs) = furnished(&server.admin()).await;
    let attacker = Tenant::new(&server.admin()).await;
    let nowhere = in_workspace(&theirs, &Uuid::now_v7().to_string());
    for route in ROUTES.iter().filter(|route| route.names_workspace()) {
        let name = format!("{} {}", route.method, route.path);
        let (there, not_there) =
            (call(&attacker.client, route, &theirs).await, call(&attacker.client, route, &nowhere).await);
        there.problem(403, "forbidden");
        assert_eq!(there.status, not_there.status, "{name}");
        assert_eq!(there.without_ids(), not_there.without_ids(), "{name}");
        let names = |answer: &Answer| answer.headers.keys().map(|name| name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&there), names(&not_there), "{name}");
        assert!(!there.text().contains(SECRET), "{name}");
    }
    victim.client.get(&victim.path(&format!("/documents/{}", theirs["document"]))).await.is(200);
    assert_eq!(victim.client.get(&victim.path("")).await.is(200).json()["description"], format!("{CANARY} {SECRET}"));
}

#[tokio::test]
async fn another_tenants_rows_are_not_found_in_ones_own_workspace() {
    let server = Server::shared();
    let (victim, theirs) = furnished(&server.admin()).await;
    let attacker = Tenant::new(&server.admin()).await;
    let mixed = in_workspace(&theirs, &attacker.workspace);
    let absent: Ids = mixed.keys().map(|name| (*name, Uuid::now_v7().to_string())).collect();
    let absent = in_workspace(&absent, &attacker.workspace);
    for route in ROUTES.iter().filter(|route| route.names_row()) {
        let answer = call(&attacker.client, route, &mixed).await;
        let problem = answer.problem(404, "not_found");
        assert!(!answer.text().contains(SECRET), "{problem}");
        assert_eq!(answer.without_ids(), call(&attacker.client, route, &absent).await.without_ids(), "{}", route.path);
    }
    // Nothing was touched on the other side.
    for route in ROUTES.iter().filter(|route| route.method == "GET" && route.names_workspace()) {
        call(&victim.client, route, &theirs).await.is(200);
    }
    assert!(victim.read(&theirs["document"]).await["content"].as_str().unwrap().contains(SECRET));
    let sessions = attacker.client.pages(&attacker.path("/sessions")).await;
    assert_eq!(sessions, Vec::<Value>::new(), "a refused turn leaves no session");
}

#[tokio::test]
async fn ids_in_a_body_reach_no_further_than_ids_in_a_path() {
    let server = Server::shared();
    let (_victim, theirs) = furnished(&server.admin()).await;
    let attacker = Tenant::new(&server.admin()).await;
    attacker.handbook().await;
    let body = json!({"agent_id": attacker.agent, "query": "Hello?", "session_id": theirs["session"]});
    attacker.client.post(&attacker.path("/chat"), &body).await.problem(404, "not_found");
    let body = json!({"message": "Hello?", "session_id": theirs["session"]});
    attacker.client.post("/chat", &body).await.problem(404, "not_found");
    for search_type in ["vector", "fulltext", "hybrid"] {
        let filters = json!({"document_ids": [theirs["document"]]});
        let body = json!({"query": CANARY, "search_type": search_type, "filters": filters});
        assert_eq!(attacker.search(body).await["results"], json!([]), "{search_type}");
        let filters = json!({"sources": [format!("{SECRET}.md")]});
        let body = json!({"query": CANARY, "search_type": search_type, "filters": filters});
        assert_eq!(attacker.search(body).await["results"], json!([]), "{search_type}");
    }
}

#[tokio::test]
async fn a_word_of_one_tenant_never_reaches_another() {
    let server = Server::shared();
    let (victim, _) = furnished(&server.admin()).await;
    let (attacker, own) = {
        let tenant = Tenant::new(&server.admin()).await;
        tenant.handbook().await;
        let own = Ids::from([("workspace", tenant.workspace.clone()), ("agent", tenant.agent.clone())]);
        (tenant, own)
    };
    let listings = |route: &&Route| route.method == "GET" && !route.names_row();
    for route in ROUTES.iter().filter(listings) {
        let answer = call(&attacker.client, route, &own).await.is(200);
        assert!(!answer.text().contains(SECRET) && !answer.text().contains(CANARY), "{}", route.path);
    }
    for query in [CANARY, "Which word opens it?", "opens with the word", "*", "zanzibar"] {
        for search_type in ["vector", "fulltext", "hybrid", "graph"] {
            let body = json!({"query": query, "search_type": search_type, "limit": 100, "explain": true});
            let found = attacker.search(body).await;
            assert!(!found.to_string().contains(SECRET), "{found}");
        }
        let answer = attacker.ask(query).await;
        assert!(!answer.to_string().contains(SECRET), "{answer}");
    }
    let organizations = attacker.client.get("/v1/organizations").await;
    assert!(!organizations.text().contains(&victim.organization), "{}", organizations.text());
    let (theirs, nowhere) = (victim.organization.clone(), Uuid::now_v7().to_string());
    let restore = format!("/trash/{}/restore", victim.workspace);
    let routes = [
        ("GET", "", None),
        ("PATCH", "", Some(json!({"name": "Taken"}))),
        ("DELETE", "?force=true", None),
        ("GET", "/workspaces", None),
        ("POST", "/workspaces", Some(json!({"name": "Mine", "slug": "mine"}))),
        ("POST", "/workspaces/import", None),
        ("POST", "/workspaces/adopt", Some(json!({"directory": "any"}))),
        ("GET", "/trash", None),
        ("POST", restore.as_str(), None),
    ];
    for (method, rest, body) in routes {
        for prefix in ["/v1", ""] {
            let at = |organization: &str| format!("{prefix}/organizations/{organization}{rest}");
            let there = attacker.client.send(method, &at(&theirs), body.as_ref()).await;
            there.problem(403, "forbidden");
            let not_there = attacker.client.send(method, &at(&nowhere), body.as_ref()).await;
            assert_eq!(there.without_ids(), not_there.without_ids(), "{method} {rest}");
        }
    }
}

#[tokio::test]
async fn one_workspace_of_an_organization_is_closed_to_the_keys_of_the_next() {
    let server = Server::shared();
    let (one, ids) = furnished(&server.admin()).await;
    let next = Tenant::within(&one.admin, &one.organization).await;
    for route in ROUTES.iter().filter(|route| route.names_workspace()) {
        call(&next.client, route, &ids).await.problem(403, "forbidden");
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_the_answer_is_the_same() {
    let server = Server::shared();
    let (tenant, ids) = furnished(&server.admin()).await;
    let revoked = tenant.client.post(&tenant.path("/api-keys"), &json!({"name": "Bot"})).await.is(201).json();
    tenant.client.delete(&tenant.path(&format!("/api-keys/{}", id(&revoked)))).await.is(200);
    let body = json!({"name": "Bot", "expires_at": "2020-01-01T00:00:00Z"});
    let expired = tenant.client.post(&tenant.path("/api-keys"), &body).await.is(201).json();
    let key = tenant.client.token();
    let (revoked, expired) = (revoked["key"].as_str().unwrap(), expired["key"].as_str().unwrap());
    let right_prefix = format!("{}{}", &key[..key.len() - 1], if key.ends_with('x') { 'y' } else { 'x' });
    let tokens = [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        "Bearer x".to_owned(),
        format!("Bearer {}", "a".repeat(5000)),
        format!("Bearer sk_live_{}", "a".repeat(51)),
        format!("Bearer sk_test_{}", "a".repeat(51)),
        format!("Bearer sk_admin_{}", "a".repeat(51)),
        format!("Bearer {right_prefix}"),
        format!("Bearer {key}x"),
        format!("Bearer {}", key.to_uppercase()),
        format!("Bearer {key} {key}"),
        format!("Bearer {revoked}"),
        format!("Bearer {expired}"),
        format!("Bearer {ADMIN_KEY}x"),
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.".to_owned(),
        format!("Basic {key}"),
        key.to_owned(),
    ];
    let anonymous = tenant.client.anonymous();
    let expected = anonymous.get(&tenant.path("/documents")).await;
    let body = expected.problem(401, "unauthorized");
    assert!(!body.to_string().contains(&tenant.workspace) || body["instance"].is_string(), "{body}");
    for token in tokens {
        let answer = anonymous.raw("GET", &tenant.path("/documents"), &[("authorization", &token)], "").await;
        answer.problem(401, "unauthorized");
        assert_eq!(answer.without_ids(), expected.without_ids(), "{token}");
        assert_eq!(answer.header("www-authenticate"), "Bearer", "{token}");
    }
    let unknown = anonymous.with_token(&format!("sk_live_{}", "b".repeat(51)));
    for route in ROUTES {
        for client in [&anonymous, &unknown] {
            let answer = call(client, route, &ids).await;
            answer.problem(401, "unauthorized");
            assert_eq!(answer.without_ids(), expected.without_ids(), "{} {}", route.method, route.path);
            assert_eq!(answer.header("www-authenticate"), "Bearer", "{} {}", route.method, route.path);
        }
    }
}

#[tokio::test]
async fn each_scope_opens_its_routes_and_no_others() {
    let server = Server::shared();
    let (tenant, ids) = furnished(&server.admin()).await;
    let absent: Ids = ids.keys().map(|name| (*name, Uuid::now_v7().to_string())).collect();
    let absent = in_workspace(&absent, &tenant.workspace);
    let mut wrong = Vec::new();
    for scope in SCOPES {
        let key = tenant.key(&[scope]).await;
        for route in ROUTES {
            // A change is tried on a row that is not there, so that it is there for the next scope.
            let changes_a_row = route.method != "GET" && route.path.replace("{workspace}", "").contains('{');
            let (ids, success) = if changes_a_row { (&absent, 404) } else { (&ids, route.status) };
            let status = call(&key, route, ids).await.status;
            let right = match route.verdict(scope) {
                Verdict::Allowed => status == success,
                Verdict::Refused => status == 403,
                Verdict::Either => status == success || status == 403,
            };
            if !right {
                wrong.push(format!("{scope}: {} {} gave {status}", route.method, route.path));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[tokio::test]
async fn the_instance_admin_may_use_every_route() {
    let server = Server::shared();
    let (tenant, ids) = furnished(&server.admin()).await;
    // What deletes comes last, the workspace itself at the very end; an ended job is not cancelled any more.
    let deletes = |route: &&Route| match (route.method, route.path.matches('{').count()) {
        ("DELETE", 1) => 2,
        ("DELETE", _) => 1,
        _ => 0,
    };
    let mut routes: Vec<&Route> = ROUTES
        .iter()
        .filter(|r| r.names_workspace() && (r.method, r.path.contains("{job}")) != ("DELETE", true))
        .collect();
    // Sessions go with their agent, so the agent goes after them.
    routes.sort_by_key(|route| (deletes(route), route.path.ends_with("{agent}")));
    for route in routes {
        let answer = call(&tenant.admin, route, &ids).await;
        let success = answer.status == route.status || (route.path.ends_with("/feedback") && answer.status < 300);
        assert!(success, "{} {}: {} {}", route.method, route.path, answer.status, answer.text());
    }
}

#[tokio::test]
async fn a_role_in_a_body_gives_no_rights() {
    let server = Server::shared();
    let (tenant, _) = furnished(&server.admin()).await;
    let reader = tenant.key(&["read"]).await;
    for field in ["role", "scopes", "owner", "organization_id", "workspace_id", "is_admin"] {
        let answer = reader.post(&tenant.path("/documents"), &json!({"content": "x", field: "admin"})).await;
        answer.problem(403, "forbidden");
        let answer = tenant.client.post(&tenant.path("/documents"), &json!({"content": "x", field: "admin"})).await;
        answer.problem(422, "validation_failed");
    }
    assert_eq!(tenant.document_count().await, 2);
}
