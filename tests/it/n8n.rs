//! What workflows of n8n send, and what they get.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Client;
use crate::server::Server;
use crate::tenant::{Tenant, id};

const QUESTION: &str = "Who services the centrifuge?";

async fn with_handbook(server: &Server) -> (Tenant, Client) {
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let key = tenant.key(&["chat"]).await;
    (tenant, key)
}

async fn say(key: &Client, body: Value) -> Value {
    key.post("/n8n/chat", &body).await.is(200).json()
}

async fn sessions(tenant: &Tenant) -> Vec<Value> {
    tenant.client.pages(&tenant.path("/sessions")).await
}

#[tokio::test]
async fn a_workflow_gets_the_shape_that_it_knows() {
    let server = Server::shared();
    let (_tenant, key) = with_handbook(&server).await;
    for prefix in ["", "/v1"] {
        for field in ["chatInput", "message", "question"] {
            // What n8n's own trigger sends along.
            let body = json!({field: QUESTION, "action": "sendMessage", "metadata": [1], "userId": "u-1", "files": []});
            let answer = key.post(&format!("{prefix}/n8n/chat"), &body).await.is(200).json();
            let mut names: Vec<&String> = answer.as_object().unwrap().keys().collect();
            names.sort();
            assert_eq!(names, ["response", "sessionId", "timestamp", "tools", "toolsUsed", "userId"]);
            assert!(answer["response"].as_str().unwrap().contains("Helena Brandt"), "{answer}");
            assert_eq!(answer["userId"], "u-1");
            assert!(Uuid::parse_str(answer["sessionId"].as_str().unwrap()).is_ok(), "{answer}");
            assert_eq!(answer["toolsUsed"], json!(["hybrid_search"]));
            let tool = &answer["tools"][0];
            assert_eq!((&tool["tool_name"], &tool["args"]["query"]), (&json!("hybrid_search"), &json!(QUESTION)));
            let time: jiff::Timestamp = answer["timestamp"].as_str().unwrap().parse().unwrap();
            assert!(answer["timestamp"].as_str().unwrap().ends_with('Z') && time > jiff::Timestamp::UNIX_EPOCH);

            let body = json!({field: QUESTION, "whatever": true});
            let answer = key.post(&format!("{prefix}/n8n/simple"), &body).await.is(200).json();
            assert_eq!(answer.as_object().unwrap().len(), 1, "{answer}");
            assert!(answer["answer"].as_str().unwrap().contains("Helena Brandt"), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_name_of_the_workflows_own_is_one_session() {
    let server = Server::shared();
    let (tenant, key) = with_handbook(&server).await;
    let names = [
        json!("a hash: 9f86d081884c7d65"),
        json!("用户 7"),
        json!(4711),
        json!(Uuid::new_v4().to_string().to_uppercase()),
    ];
    for (place, name) in names.iter().enumerate() {
        let first = say(&key, json!({"chatInput": QUESTION, "sessionId": name})).await;
        assert_eq!(&first["sessionId"], name);
        let second = say(&key, json!({"chatInput": "And how long does it take?", "sessionId": name})).await;
        assert_eq!(&second["sessionId"], name);
        assert!(second["response"].as_str().unwrap().contains("three hours"), "it knows what was said: {second}");
        assert_eq!(sessions(&tenant).await.len(), place + 1);
    }
    // A session is found again by its real id, as it is told elsewhere.
    let session = id(&sessions(&tenant).await[0]);
    let went_on = say(&key, json!({"chatInput": QUESTION, "sessionId": session})).await;
    assert_eq!(went_on["sessionId"], session.as_str());
    assert_eq!(sessions(&tenant).await.len(), names.len());
    let messages = tenant.client.get(&tenant.path(&format!("/sessions/{session}/messages"))).await.is(200).json();
    assert_eq!(messages["total"], 6);
}

#[tokio::test]
async fn without_a_name_each_question_begins_a_session_that_can_go_on() {
    let server = Server::shared();
    let (tenant, key) = with_handbook(&server).await;
    for nothing in [json!(null), json!("")] {
        say(&key, json!({"chatInput": QUESTION, "sessionId": nothing, "userId": nothing})).await;
    }
    let first = say(&key, json!({"chatInput": QUESTION})).await;
    assert_eq!(first["userId"], Value::Null);
    let second = say(&key, json!({"chatInput": "And how long does it take?", "sessionId": first["sessionId"]})).await;
    assert_eq!(first["sessionId"], second["sessionId"]);
    assert!(second["response"].as_str().unwrap().contains("three hours"), "{second}");
    assert_eq!(sessions(&tenant).await.len(), 3);
}

#[tokio::test]
async fn the_same_name_is_another_session_with_another_agent_or_in_another_workspace() {
    let server = Server::shared();
    let (tenant, key) = with_handbook(&server).await;
    let (other, other_key) = with_handbook(&server).await;
    let second = json!({"name": "Second", "slug": "second"});
    let agent = id(&tenant.client.post(&tenant.path("/agents"), &second).await.is(201).json());
    for field in ["agentId", "agent_id"] {
        say(&key, json!({"chatInput": QUESTION, "sessionId": "abc", field: agent})).await;
    }
    say(&key, json!({"chatInput": QUESTION, "sessionId": "abc"})).await;
    say(&other_key, json!({"chatInput": QUESTION, "sessionId": "abc"})).await;
    let ours = sessions(&tenant).await;
    let agents: Vec<&Value> = ours.iter().map(|session| &session["agent_id"]).collect();
    assert_eq!(agents, [&json!(tenant.agent), &json!(agent)]);
    let theirs = sessions(&other).await;
    assert_eq!(theirs.len(), 1);
    assert!(ours.iter().all(|session| session["id"] != theirs[0]["id"]));
}

#[tokio::test]
async fn no_key_finds_what_the_names_of_another_stand_for() {
    let server = Server::shared();
    let (tenant, key) = with_handbook(&server).await;
    say(&key, json!({"chatInput": QUESTION, "sessionId": "user-1"})).await;
    let guessing = tenant.key(&["chat"]).await;
    let answer = say(&guessing, json!({"chatInput": "And how long does it take?", "sessionId": "user-1"})).await;
    assert!(!answer["tools"].to_string().contains("centrifuge"), "{answer}");
    assert_eq!(sessions(&tenant).await.len(), 2);
}

#[tokio::test]
async fn an_id_of_another_workspaces_session_is_a_name_like_any_other() {
    let server = Server::shared();
    let (victim, _) = with_handbook(&server).await;
    let (tenant, key) = with_handbook(&server).await;
    let theirs = victim.ask(QUESTION).await["session_id"].as_str().unwrap().to_owned();
    let answer = say(&key, json!({"chatInput": "And how long does it take?", "sessionId": theirs})).await;
    assert_eq!(answer["sessionId"], theirs.as_str());
    assert!(!answer["tools"].to_string().contains("centrifuge"), "nothing is known of what was said there: {answer}");
    assert_ne!(id(&sessions(&tenant).await[0]), theirs);
    let messages = victim.client.get(&victim.path(&format!("/sessions/{theirs}/messages"))).await.is(200).json();
    assert_eq!(messages["total"], 2);
}

#[tokio::test]
async fn a_session_that_was_deleted_begins_again_under_its_name() {
    let server = Server::shared();
    let (tenant, key) = with_handbook(&server).await;
    say(&key, json!({"chatInput": QUESTION, "sessionId": "abc"})).await;
    let before = id(&sessions(&tenant).await[0]);
    key.delete(&tenant.path(&format!("/sessions/{before}"))).await.is(200);
    let answer = say(&key, json!({"chatInput": QUESTION, "sessionId": "abc"})).await;
    assert_eq!(answer["sessionId"], "abc");
    assert_eq!(id(&sessions(&tenant).await[0]), before);
}

#[tokio::test]
async fn first_questions_that_arrive_together_are_one_session() {
    let server = Server::shared();
    let (tenant, key) = with_handbook(&server).await;
    let ask = || say(&key, json!({"chatInput": QUESTION, "sessionId": "together"}));
    futures_util::future::join_all((0..4).map(|_| ask())).await;
    let sessions = sessions(&tenant).await;
    assert_eq!(sessions.len(), 1);
    let path = tenant.path(&format!("/sessions/{}/messages", id(&sessions[0])));
    assert_eq!(tenant.client.get(&path).await.is(200).json()["total"], 8);
}

#[tokio::test]
async fn what_cannot_be_understood_is_refused_by_name() {
    let server = Server::shared();
    let (tenant, key) = with_handbook(&server).await;
    let long = "x".repeat(513);
    let wrong = [
        (json!({}), "chatInput"),
        (json!({"chatInput": "  "}), "chatInput"),
        (json!({"chatInput": 7}), "chatInput"),
        (json!({"chatInput": QUESTION, "sessionId": {"id": 1}}), "sessionId"),
        (json!({"chatInput": QUESTION, "sessionId": long}), "sessionId"),
        (json!({"chatInput": QUESTION, "sessionId": "a\u{0}b"}), "sessionId"),
        (json!({"chatInput": QUESTION, "userId": long}), "userId"),
    ];
    for path in ["/n8n/chat", "/n8n/simple"] {
        for (body, field) in &wrong {
            let problem = key.post(path, body).await.problem(422, "validation_failed");
            assert_eq!(problem["errors"][0]["field"], *field, "{body}: {problem}");
        }
        let body = json!({"chatInput": QUESTION, "agentId": Uuid::now_v7()});
        key.post(path, &body).await.problem(404, "not_found");
        key.post(path, &json!({"chatInput": QUESTION, "agentId": "general"})).await.problem(404, "not_found");
        tenant
            .key(&["search", "read"])
            .await
            .post(path, &json!({"chatInput": QUESTION}))
            .await
            .problem(403, "forbidden");
    }
    // The first that says something is the question.
    say(&key, json!({"chatInput": "", "message": null, "question": QUESTION})).await;
    assert_eq!(sessions(&tenant).await.len(), 1);
}
