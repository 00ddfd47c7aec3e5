//! The original's routes: its clients carry on working, with a key or as instance admin, with and without `/v1`.

use serde_json::{Value, json};

use crate::client::Client;
use crate::handbook::HANDBOOK;
use crate::server::Server;
use crate::tenant::Tenant;

const DEFAULT_WORKSPACE: &str = "00000000-0000-0000-0000-000000000002";
const QUESTION: &str = "Who services the centrifuge?";

/// Asks all that a client of the original asks, at `prefix`.
async fn speak(client: &Client, prefix: &str) {
    let path = |rest: &str| format!("{prefix}{rest}");

    let health = client.anonymous().get(&path("/health")).await.is(200).json();
    assert_eq!(health["status"], "healthy");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));

    let answer = client.post(&path("/chat"), &json!({"message": QUESTION})).await.is(200).json();
    assert!(answer["message"].as_str().unwrap().contains("Helena Brandt"), "{answer}");
    assert!(answer["tools_used"].as_array().is_some_and(|tools| tools[0]["tool_name"].is_string()), "{answer}");
    let session = answer["session_id"].as_str().unwrap();

    let body = json!({"message": "And how long does it take?", "session_id": session});
    let events = client.stream("POST", &path("/chat/stream"), Some(&body)).await.all().await;
    assert_eq!(events[0], json!({"type": "session", "session_id": session}));
    let text: String = events.iter().filter(|e| e["type"] == "text").map(|e| e["content"].as_str().unwrap()).collect();
    assert!(text.contains("three hours"), "{text}");
    assert_in_the_originals_order(&events);

    let history = client.get(&path(&format!("/sessions/{session}/messages"))).await.is(200).json();
    assert_eq!((&history["session_id"], &history["total"]), (&json!(session), &json!(4)));
    let said: Vec<&Value> = history["messages"].as_array().unwrap().iter().map(|m| &m["role"]).collect();
    assert_eq!(said, ["user", "assistant", "user", "assistant"]);
    assert_eq!(history["messages"][3]["content"], text);
    assert!(client.get(&path(&format!("/sessions/{session}"))).await.is(200).text().contains(session));

    for kind in ["vector", "hybrid"] {
        let found = client
            .post(&path(&format!("/search/{kind}")), &json!({"query": QUESTION, "limit": 2}))
            .await
            .is(200)
            .json();
        assert_eq!((&found["search_type"], found["results"].as_array().unwrap().len()), (&json!(kind), 2));
        assert_eq!(found["results"][0]["document_source"], "laboratory.md");
    }
    let found = client.post(&path("/search/graph"), &json!({"query": QUESTION})).await.is(200).json();
    assert_eq!(found["graph_results"], json!([]));

    let documents = client.get(&path("/documents?limit=2")).await.is(200).json();
    assert_eq!(documents["total"], HANDBOOK.len());
    assert_eq!(documents["documents"].as_array().unwrap().len(), 2);
}

/// Asserts session → text… → tools → end, whatever of ours stands between.
fn assert_in_the_originals_order(events: &[Value]) {
    let mut kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    kinds.retain(|kind| ["session", "text", "tools", "end"].contains(kind));
    kinds.dedup();
    assert_eq!(kinds, ["session", "text", "tools", "end"]);
    assert_eq!(events.last().unwrap()["type"], "end");
}

#[tokio::test]
async fn a_key_speaks_to_its_own_workspace() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let key = tenant.key(&["chat", "search", "read"]).await;
    speak(&key, "").await;
    speak(&key, "/v1").await;
}

#[tokio::test]
async fn the_instance_admin_speaks_to_the_default_workspace() {
    let server = Server::start();
    let admin = server.admin();
    for (source, content) in HANDBOOK {
        let path = format!("/v1/workspaces/{DEFAULT_WORKSPACE}/documents");
        admin.post(&path, &json!({"source": source, "content": content})).await.is(201);
    }
    speak(&admin, "").await;
    speak(&admin, "/v1").await;
}

#[tokio::test]
async fn the_agent_can_be_named_and_is_the_only_one_otherwise() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let body = json!({"message": QUESTION, "agent_id": tenant.agent});
    let answer = tenant.client.post("/chat", &body).await.is(200).json();
    assert_eq!(answer["metadata"]["agent_id"], tenant.agent);
    tenant.check_citations(&answer).await;
    let answer = tenant.client.post("/chat", &json!({"message": QUESTION})).await.is(200).json();
    assert_eq!(answer["metadata"]["agent_id"], tenant.agent);
}
