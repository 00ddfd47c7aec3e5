//! The original's quick start, by `curl`.

use std::process::Command;

use serde_json::{Value, json};

use crate::client::Client;
use crate::handbook::HANDBOOK;
use crate::server::{ADMIN_KEY, Server};
use crate::tenant::{assert_stands, id};

/// Runs `curl` as the quick start writes it; where there is no `curl`, sends the same request.
async fn curl(server: &Server, method: &str, path: &str, token: &str, body: Option<&Value>) -> Value {
    let mut command = Command::new("curl");
    command.args(["-sS", "--noproxy", "*", "-X", method, &format!("{}{path}", server.url)]);
    command.args(["-H", &format!("Authorization: Bearer {token}"), "-H", "Content-Type: application/json"]);
    if let Some(body) = body {
        command.args(["-d", &body.to_string()]);
    }
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice(&output.stdout)
                .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&output.stdout)))
        }
        Err(_) => Client::new(&server.url, Some(token)).send(method, path, body).await.json(),
    }
}

#[tokio::test]
async fn from_organization_to_cited_answer() {
    let server = Server::start();
    let post = async |path: String, token: &str, body: Value| curl(&server, "POST", &path, token, Some(&body)).await;

    let body = json!({"name": "Acme Corp", "slug": "acme", "contact_email": "admin@acme.example"});
    let organization = id(&post("/v1/organizations".into(), ADMIN_KEY, body).await);

    let body = json!({"name": "Handbook", "slug": "handbook"});
    let workspace = id(&post(format!("/v1/organizations/{organization}/workspaces"), ADMIN_KEY, body).await);
    let path = |rest: &str| format!("/v1/workspaces/{workspace}{rest}");

    let body = json!({"name": "Support", "slug": "support", "system_prompt": "You answer from the handbook."});
    let agent = id(&post(path("/agents"), ADMIN_KEY, body).await);

    let body = json!({"name": "Production key", "scopes": ["chat", "search", "ingest", "read"]});
    let key = post(path("/api-keys"), ADMIN_KEY, body).await["key"].as_str().unwrap().to_owned();

    let documents: Vec<Value> =
        HANDBOOK.iter().map(|(source, content)| json!({"source": source, "content": content})).collect();
    let (first, rest) = documents.split_first().unwrap();
    assert_eq!(post(path("/documents"), &key, first.clone()).await["source"], "travel.md");
    let job = id(&post(path("/ingest"), &key, json!({"documents": rest})).await);
    let client = Client::new(&server.url, Some(&key));
    client.stream("GET", &path(&format!("/jobs/{job}/events")), None).await.all().await;
    let job = curl(&server, "GET", &path(&format!("/jobs/{job}")), &key, None).await;
    assert_eq!((&job["status"], &job["done"]), (&json!("succeeded"), &json!(rest.len())));

    let query = "How long does the reimbursement of travel expenses take?";
    let answer = post(path("/chat"), &key, json!({"agent_id": agent, "query": query})).await;
    assert!(answer["message"].as_str().unwrap().contains("ten working days"), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains("[1]"), "{answer}");
    assert_eq!(answer["metadata"]["grounded"], true);
    let citation = &answer["citations"][0];
    assert_eq!(citation["source"], "travel.md");
    let document = path(&format!("/documents/{}", citation["document_id"].as_str().unwrap()));
    assert_stands(&curl(&server, "GET", &document, &key, None).await, citation);
}
