//! Judgments: listed with what they judge, and turned into an evaluation set.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::server::{Home, Server};
use crate::tenant::{Tenant, id};

/// Asks, judges the answer, and gives it.
async fn judged(tenant: &Tenant, query: &str, session: Option<&Value>, judgment: &Value) -> Value {
    let body = json!({"agent_id": tenant.agent, "query": query, "session_id": session});
    let answer = tenant.client.post(&tenant.path("/chat"), &body).await.is(200).json();
    let message = answer["message_id"].as_str().unwrap();
    tenant.client.post(&tenant.path(&format!("/messages/{message}/feedback")), judgment).await.is(200);
    answer
}

async fn listed(tenant: &Tenant, query: &str) -> Vec<Value> {
    tenant.client.pages(&tenant.path(&format!("/feedback?{query}"))).await
}

async fn set(tenant: &Tenant) -> Value {
    tenant.client.get(&tenant.path("/feedback/questions")).await.is(200).json()
}

#[tokio::test]
async fn judgments_are_listed_with_what_they_judge() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    assert_eq!(listed(&tenant, "").await, Vec::<Value>::new());
    let first = judged(&tenant, "Who services the centrifuge?", None, &json!({"rating": 1})).await;
    let session = &first["session_id"];
    let second =
        judged(&tenant, "And how long does it take?", Some(session), &json!({"rating": -1, "comment": "Too short"}))
            .await;
    tenant.ask("Where do visitors park?").await;

    let rows = listed(&tenant, "limit=1").await;
    let of = |row: &Value| row["message_id"].clone();
    assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), [second["message_id"].clone(), first["message_id"].clone()]);
    let row = &rows[0];
    assert_eq!(row["question"], "And how long does it take?");
    assert_eq!(row["understood"], "Who services the centrifuge? And how long does it take?", "{row}");
    assert_eq!((&row["rating"], &row["comment"]), (&json!(-1), &json!("Too short")));
    assert_eq!((&row["answer"], &row["session_id"]), (&second["message"], session));
    assert_eq!((&row["agent_id"], &row["agent_name"]), (&json!(tenant.agent), &json!("An agent")));
    let quotes =
        |citations: &Value| citations.as_array().unwrap().iter().map(|c| c["quote"].clone()).collect::<Vec<_>>();
    assert_eq!(quotes(&row["citations"]), quotes(&second["citations"]));
    let (answered, rated) = (row["answered_at"].as_str().unwrap(), row["rated_at"].as_str().unwrap());
    assert!(answered < rated, "{row}");

    assert_eq!(listed(&tenant, "rating=1").await.iter().map(of).collect::<Vec<_>>(), [first["message_id"].clone()]);
    assert_eq!(listed(&tenant, "rating=-1").await.len(), 1);
    assert_eq!(listed(&tenant, &format!("from={rated}")).await.iter().map(of).collect::<Vec<_>>(), [of(row)]);
    assert_eq!(listed(&tenant, &format!("to={rated}")).await.iter().map(of).collect::<Vec<_>>(), [of(&rows[1])]);
    let today = &rated[..10];
    assert_eq!(listed(&tenant, &format!("from={today}&to={today}")).await.len(), 2, "a day is all of it");
    assert_eq!(listed(&tenant, "to=2001-02-03").await.len(), 0);
    for query in ["rating=0", "rating=good", "from=soon", "to=2026-13-01", "limit=0"] {
        tenant.client.get(&tenant.path(&format!("/feedback?{query}"))).await.problem(422, "validation_failed");
    }

    // Another judgment of the same answer takes the place of the first.
    let message = second["message_id"].as_str().unwrap();
    let path = tenant.path(&format!("/messages/{message}/feedback"));
    tenant.client.post(&path, &json!({"rating": 1})).await.is(200);
    let rows = listed(&tenant, "").await;
    assert_eq!((rows.len(), &rows[0]["rating"], &rows[0]["comment"]), (2, &json!(1), &Value::Null));
    assert!(rows[0]["rated_at"].as_str().unwrap() > rated);
}

#[tokio::test]
async fn good_answers_become_an_evaluation_set() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    assert_eq!(set(&tenant).await, json!({"name": "feedback", "questions": []}));
    let good = json!({"rating": 1});
    let first = judged(&tenant, "Who services the centrifuge?", None, &good).await;
    judged(&tenant, "And how long does it take?", Some(&first["session_id"]), &good).await;
    judged(&tenant, "who services  the CENTRIFUGE?", None, &good).await;
    judged(&tenant, "Where do visitors park?", None, &json!({"rating": -1})).await;
    judged(&tenant, "What is the capital of Mongolia?", None, &good).await;
    let document = json!({"source": "umbrella.md", "content": "The violet umbrella hangs in the cloakroom."});
    let document = tenant.client.post(&tenant.path("/documents"), &document).await.is(201).json();
    let forgotten = judged(&tenant, "Where does the violet umbrella hang?", None, &good).await;
    assert_eq!(forgotten["citations"][0]["source"], "umbrella.md", "{forgotten}");
    assert_eq!(set(&tenant).await["questions"].as_array().unwrap().len(), 3);
    tenant.client.delete(&tenant.path(&format!("/documents/{}", id(&document)))).await.is(200);

    let made = set(&tenant).await;
    let questions: Vec<&str> =
        made["questions"].as_array().unwrap().iter().map(|one| one["question"].as_str().unwrap()).collect();
    let follow_up = "Who services the centrifuge? And how long does it take?";
    assert_eq!(questions, ["who services  the CENTRIFUGE?", follow_up], "{made}");
    let cited = &first["citations"][0];
    let expected = json!({"source": "laboratory.md", "passage": cited["quote"], "grade": 1});
    assert!(made["questions"][0]["expected"].as_array().unwrap().contains(&expected), "{made}");
    tenant.client.get(&tenant.path("/feedback/questions?rating=1")).await.is(200);
    tenant.client.get(&tenant.path("/feedback/questions?rating=-1")).await.problem(422, "validation_failed");
    assert_eq!(
        tenant.client.get(&tenant.path("/feedback/questions?to=2001-02-03")).await.is(200).json()["questions"],
        json!([])
    );

    // It is taken as it is, and what was cited is found.
    let stored = tenant.client.post(&tenant.path("/evaluations"), &made).await.is(201).json();
    assert_eq!(stored["question_count"], 2);
    let runs = tenant.path(&format!("/evaluations/{}/runs", id(&stored)));
    let run = tenant.client.post(&runs, &json!({})).await.is(201).json();
    assert_eq!(run["metrics"]["hybrid"]["recall"], 1.0, "{run}");
}

/// What the verbs for conversations and judgments do, with and without a server.
fn work_through(home: &Arc<Home>, sessions: &[String; 2]) {
    let run = |arguments: &[&str]| home.run(&[arguments, &["--json"]].concat());
    let done = |arguments: &[&str]| run(arguments).exits(0).json();
    let [first, second] = sessions;
    let found = done(&["session", "list", "centrifuge"]);
    assert_eq!((id(&found[0]), found.as_array().unwrap().len()), (first.clone(), 1));
    assert_eq!(done(&["session", "list", "--limit", "1", "--offset", "1"]).as_array().unwrap().len(), 1);
    assert_eq!(done(&["session", "rename", second, "Where to park"])["title"], "Where to park");
    assert_eq!(done(&["session", "show", second])["title"], "Where to park");
    let listed = home.run(&["session", "list"]).exits(0).stdout;
    assert!(listed.starts_with("ID ") && listed.contains("Where to park"), "{listed}");
    let markdown = home.run(&["session", "export", first]).exits(0).stdout;
    assert!(markdown.starts_with("# Who services the centrifuge?\n") && markdown.contains("\n- [1] "), "{markdown}");
    assert_eq!(done(&["session", "export", first])["session"]["id"], *first);
    let file = home.path().join("talk.md");
    let written = home.run(&["session", "export", first, "--output", "talk.md"]).exits(0);
    assert_eq!((written.stdout.as_str(), std::fs::read_to_string(&file).unwrap()), ("", markdown));
    let missing = uuid::Uuid::now_v7().to_string();
    let failed = home.run(&["session", "export", &missing, "--output", "missing.md"]).exits(1);
    assert!(failed.stderr.contains("not_found") && !home.path().join("missing.md").exists(), "{failed:?}");

    let judged = done(&["feedback", "list", "--rating", "1"]);
    assert_eq!((judged[0]["rating"].as_i64(), judged[0]["session_id"].as_str()), (Some(1), Some(first.as_str())));
    assert!(home.run(&["feedback", "list"]).exits(0).stdout.contains("Who services the centrifuge?"));
    assert_eq!(done(&["feedback", "list", "--rating", "-1"]), json!([]));
    assert_eq!(done(&["feedback", "questions"])["questions"].as_array().unwrap().len(), 1);
    home.run(&["feedback", "questions", "--output", "feedback.json"]).exits(0);
    let run = done(&["eval", "--questions", "feedback.json"]);
    assert_eq!((&run["question_count"], &run["metrics"]["hybrid"]["recall"]), (&json!(1), &json!(1.0)), "{run}");
}

#[tokio::test]
async fn commands_do_what_the_interface_does() {
    let server = Server::start();
    let home = server.home().clone();
    let workspace = "00000000-0000-0000-0000-000000000002".to_owned();
    let agent = "00000000-0000-0000-0000-000000000003".to_owned();
    let admin = server.admin();
    let tenant = Tenant { client: admin.clone(), admin, organization: String::new(), workspace, agent };
    tenant.handbook().await;
    let first = judged(&tenant, "Who services the centrifuge?", None, &json!({"rating": 1})).await;
    let second = tenant.ask("Where do visitors park?").await;
    let sessions = [&first, &second].map(|answer| answer["session_id"].as_str().unwrap().to_owned());
    let both = (home.clone(), sessions.clone());
    tokio::task::spawn_blocking(move || work_through(&both.0, &both.1)).await.unwrap();
    server.stop();
    work_through(&home, &sessions);
    let gone = home.run(&["session", "delete", &sessions[1], "--json"]).exits(0).json();
    assert_eq!(gone["status"], "success");
    home.run(&["session", "show", &sessions[1]]).exits(1);
}
