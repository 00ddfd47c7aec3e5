//! Conversations: found by what was said in them, named, kept for a time, and written out.

use std::path::Path;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::directory::at_rest;
use crate::server::Server;
use crate::tenant::{Tenant, id};

async fn with_handbook(server: &Server) -> Tenant {
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    tenant
}

async fn say(tenant: &Tenant, body: Value) -> String {
    let mut body = body;
    body["agent_id"] = body["agent_id"].as_str().unwrap_or(&tenant.agent).into();
    let answer = tenant.client.post(&tenant.path("/chat"), &body).await.is(200).json();
    answer["session_id"].as_str().unwrap().to_owned()
}

/// The ids of the sessions that a list shows.
async fn listed(tenant: &Tenant, query: &str) -> Vec<String> {
    tenant.client.pages(&tenant.path(&format!("/sessions?{query}"))).await.iter().map(id).collect()
}

#[tokio::test]
async fn sessions_are_found_by_what_was_said_in_them() {
    let server = Server::shared();
    let tenant = with_handbook(&server).await;
    let other = json!({"name": "Other", "slug": "other"});
    let other = id(&tenant.client.post(&tenant.path("/agents"), &other).await.is(201).json());
    let centrifuge = say(&tenant, json!({"query": "Who services the centrifuge?", "user_id": "kim"})).await;
    let leave = say(&tenant, json!({"query": "Wie viele Tage beträgt der Urlaubsanspruch?", "user_id": "kim"})).await;
    let park = say(&tenant, json!({"query": "Where do 100% of visitors park?", "agent_id": other})).await;

    assert_eq!(listed(&tenant, "limit=2").await, [&*park, &leave, &centrifuge]);
    assert_eq!(listed(&tenant, "q=").await.len(), 3);
    // Helena Brandt is in the answer alone; words may stand in different messages.
    for query in ["q=centrifuge", "q=CENTRI", "q=helena%20services", "q=helena&user_id=kim"] {
        assert_eq!(listed(&tenant, query).await, [&*centrifuge], "{query}");
    }
    for query in ["q=BETR%C3%84GT", "q=betr%C3%A4gt%20DREI%C3%9FIG", "q=urlaubsanspruch"] {
        assert_eq!(listed(&tenant, query).await, [&*leave], "{query}");
    }
    for query in ["q=100%25", "q=100%25%20of", &format!("agent_id={other}"), &format!("agent_id={other}&q=park")] {
        assert_eq!(listed(&tenant, query).await, [&*park], "{query}");
    }
    assert_eq!(listed(&tenant, "user_id=kim&limit=1").await, [&*leave, &centrifuge]);
    let agent = format!("agent_id={other}&user_id=kim");
    let nothing = ["q=c%25e", "q=c_ntrifuge", "q=centrifuge%20visitors", "q=%27%20OR%201=1", "user_id=k", &agent];
    for query in nothing {
        assert_eq!(listed(&tenant, query).await, Vec::<String>::new(), "{query}");
    }
    let rows = tenant.client.get(&tenant.path("/sessions?q=centrifuge")).await.is(200).json();
    assert_eq!(rows[0]["message_count"], 2, "{rows}");
    assert!(rows[0]["last_message_at"].as_str().unwrap() <= rows[0]["updated_at"].as_str().unwrap(), "{rows}");
    let many = "a%20".repeat(17);
    for query in ["agent_id=none", &format!("q={many}"), &format!("q={}", "a".repeat(1001)), "q=%00"] {
        tenant.client.get(&tenant.path(&format!("/sessions?{query}"))).await.problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn a_session_is_renamed_and_noted_on() {
    let server = Server::shared();
    let tenant = with_handbook(&server).await;
    let body = json!({"query": "Who services the centrifuge?", "metadata": {"page": "/help", "team": "lab"}});
    let session = say(&tenant, body).await;
    let path = tenant.path(&format!("/sessions/{session}"));
    let before = tenant.client.get(&path).await.is(200).json();
    let body = json!({"title": "Die Zentrifuge 🧪", "metadata": {"team": null, "done": true}});
    let changed = tenant.client.patch(&path, &body).await.is(200).json();
    assert_eq!(changed["title"], "Die Zentrifuge 🧪");
    assert_eq!(changed["metadata"], json!({"page": "/help", "done": true}));
    assert_eq!(changed["updated_at"], before["updated_at"], "it has gone on no later for that");
    assert_eq!(tenant.client.get(&path).await.is(200).json(), changed);
    assert_eq!(tenant.client.patch(&path, &json!({})).await.is(200).json(), changed);
    assert_eq!(listed(&tenant, "q=zentrifuge").await, [&*session], "it is found by its new title");
    for body in [
        json!({"title": ""}),
        json!({"title": "  "}),
        json!({"title": "a\nb"}),
        json!({"title": "a\u{2028}b"}),
        json!({"title": "a".repeat(201)}),
        json!({"title": 7}),
        json!({"metadata": []}),
        json!({"metadata": {"long": "a".repeat(70_000)}}),
        json!({"agent_id": tenant.agent}),
        json!({"user_id": "me"}),
    ] {
        tenant.client.patch(&path, &body).await.problem(422, "validation_failed");
    }
    assert_eq!(tenant.client.get(&path).await.is(200).json(), changed);
    let nowhere = tenant.path(&format!("/sessions/{}", Uuid::now_v7()));
    tenant.client.patch(&nowhere, &json!({"title": "x"})).await.problem(404, "not_found");
}

/// Makes all sessions of a workspace, but for one, `days` older than they are. Nobody may have it open.
fn age(directory: &Path, but: &str, days: i64) {
    let db = rusqlite::Connection::open(directory.join("knowledge.db")).unwrap();
    // A row that grows leaves its old place, and what stood there.
    db.execute_batch("PRAGMA secure_delete = ON").unwrap();
    let time = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days)).to_string();
    let aged = db.execute("UPDATE sessions SET updated_at = ?1 WHERE id <> ?2", [&time, but]).unwrap();
    assert!(aged > 0);
}

/// Waits until a workspace's database holds no more than `count` sessions, without asking its server.
async fn gone_but(directory: &Path, count: u64) {
    for _ in 0..3_000 {
        let db = rusqlite::Connection::open(directory.join("knowledge.db")).unwrap();
        let left: u64 = db.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap();
        if left <= count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the sessions did not go");
}

#[tokio::test]
async fn what_is_not_kept_is_told_of_no_more_and_goes_with_every_word() {
    let server = Server::start();
    let tenant = with_handbook(&server).await;
    let old = say(&tenant, json!({"query": "Is the xylograph of Quetzaltenango here?"})).await;
    let messages = tenant.client.get(&tenant.path(&format!("/sessions/{old}/messages"))).await.is(200).json();
    let answer = id(&messages["messages"][1]);
    let judgment = tenant.path(&format!("/messages/{answer}/feedback"));
    tenant.client.post(&judgment, &json!({"rating": -1})).await.is(200);
    let fresh = say(&tenant, json!({"query": "Who services the centrifuge?"})).await;
    let directory = server.home().workspace(&tenant.workspace);
    let home = server.stop();
    age(&directory, &fresh, 31);

    // Kept for ever by default, and longer than that for 32 days.
    let server = Server::within(home, &[("CARREL_LIMITS_SESSION_DAYS", "32")]);
    let tenant = tenant.on(&server);
    assert_eq!(listed(&tenant, "").await, [&*fresh, &old]);
    // A workspace may say fewer days than the instance, and that holds at once.
    for wrong in [json!(-1), json!("7"), json!(1.5), json!(40_000)] {
        let body = json!({"settings": {"session_days": wrong}});
        tenant.client.patch(&tenant.path(""), &body).await.problem(422, "validation_failed");
    }
    tenant.client.patch(&tenant.path(""), &json!({"settings": {"session_days": 30}})).await.is(200);
    assert_eq!(listed(&tenant, "").await, [&*fresh]);
    assert_eq!(listed(&tenant, "q=quetzaltenango").await, Vec::<String>::new());
    let path = tenant.path(&format!("/sessions/{old}"));
    for rest in ["", "/messages", "/export"] {
        tenant.client.get(&format!("{path}{rest}")).await.problem(404, "not_found");
    }
    tenant.client.get(&format!("/sessions/{old}/messages")).await.problem(404, "not_found");
    tenant.client.patch(&path, &json!({"title": "x"})).await.problem(404, "not_found");
    tenant.client.delete(&path).await.problem(404, "not_found");
    tenant
        .client
        .post(&tenant.path(&format!("/messages/{answer}/feedback")), &json!({"rating": 1}))
        .await
        .problem(404, "not_found");
    assert_eq!(tenant.client.pages(&tenant.path("/feedback")).await, Vec::<Value>::new());
    let body = json!({"agent_id": tenant.agent, "query": "And now?", "session_id": old});
    tenant.client.post(&tenant.path("/chat"), &body).await.problem(404, "not_found");

    // Nobody asks for the workspace after this start.
    let home = server.stop();
    let server = Server::within(home, &[]);
    gone_but(&directory, 1).await;
    let tenant = tenant.on(&server);
    assert_eq!(listed(&tenant, "").await, [&*fresh]);
    assert_eq!(
        tenant.client.get(&tenant.path(&format!("/sessions/{fresh}/messages"))).await.is(200).json()["total"],
        2
    );
    at_rest(&tenant, &directory).await;
    let bytes = std::fs::read(directory.join("knowledge.db")).unwrap();
    assert!(!bytes.windows(14).any(|window| window.eq_ignore_ascii_case(b"quetzaltenango")), "its words are gone");
    let check = tenant.admin.send("POST", &tenant.path("/check"), None).await.is(200).json();
    assert_eq!(check["whole"], true, "{check}");
}

#[tokio::test]
async fn a_name_whose_session_is_kept_no_more_begins_again_without_a_word_of_it() {
    let server = Server::start();
    let tenant = with_handbook(&server).await;
    let key = tenant.key(&["chat"]).await;
    let body = json!({"chatInput": "Is the xylograph of Quetzaltenango here?", "sessionId": "abc"});
    key.post("/n8n/chat", &body).await.is(200);
    let directory = server.home().workspace(&tenant.workspace);
    let home = server.stop();
    age(&directory, "", 31);

    let server = Server::within(home, &[]);
    let (tenant, key) = (tenant.on(&server), server.admin().with_token(key.token()));
    tenant.client.patch(&tenant.path(""), &json!({"settings": {"session_days": 30}})).await.is(200);
    let body = json!({"chatInput": "Who services the centrifuge?", "sessionId": "abc"});
    key.post("/n8n/chat", &body).await.is(200);
    let sessions = tenant.client.pages(&tenant.path("/sessions")).await;
    assert_eq!(sessions.len(), 1);
    assert_eq!(sessions[0]["title"], "Who services the centrifuge?");
    let path = tenant.path(&format!("/sessions/{}/messages", id(&sessions[0])));
    let messages = tenant.client.get(&path).await.is(200);
    assert_eq!(messages.json()["total"], 2, "{}", messages.text());
    let check = tenant.admin.send("POST", &tenant.path("/check"), None).await.is(200).json();
    assert_eq!(check["whole"], true, "{check}");
}

#[tokio::test]
async fn the_instance_lets_sessions_go_in_every_workspace() {
    let server = Server::start();
    let tenants = [Tenant::new(&server.admin()).await, Tenant::new(&server.admin()).await];
    for tenant in &tenants {
        say(tenant, json!({"query": "Who services the centrifuge?"})).await;
    }
    let keeps = json!({"settings": {"session_days": 365}});
    tenants[1].client.patch(&tenants[1].path(""), &keeps).await.is(200);
    let directories = tenants.each_ref().map(|tenant| server.home().workspace(&tenant.workspace));
    let home = server.stop();
    directories.iter().for_each(|directory| age(directory, "", 8));
    let server = Server::within(home, &[("CARREL_LIMITS_SESSION_DAYS", "7")]);
    for directory in &directories {
        gone_but(directory, 0).await;
    }
    assert_eq!(listed(&tenants[1].on(&server), "").await, Vec::<String>::new(), "no workspace keeps them longer");
}

#[tokio::test]
async fn a_session_is_written_out_whole_and_harmless() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let text = "# Turbine\n\nThe turbine is inspected by [Oskar Lund](https://evil.example/?q=1) <img src=x> ![p](https://evil.example/p).\n";
    let body = json!({"source": "turbine.md", "title": "The <b>turbine</b>", "content": text});
    tenant.client.post(&tenant.path("/documents"), &body).await.is(201);
    let session = say(&tenant, json!({"query": "Who inspects the turbine?", "user_id": "kim"})).await;
    let path = tenant.path(&format!("/sessions/{session}"));
    tenant.client.patch(&path, &json!({"title": "../Turbine \"one\" [x](http://y)"})).await.is(200);
    let messages = tenant.client.get(&format!("{path}/messages")).await.is(200).json();

    let written = tenant.client.get(&format!("{path}/export")).await.is(200);
    assert_eq!(written.header("content-type"), "text/markdown; charset=utf-8");
    assert_eq!(written.header("content-disposition"), "attachment; filename=\"session-turbine-one-x-http-y.md\"");
    let markdown = written.text();
    assert!(
        markdown.starts_with("# ../Turbine \"one\" \\[x\\](http://y)\n\n- Agent: An agent\n- User: kim\n"),
        "{markdown}"
    );
    let [asked, answered] = [0, 1].map(|place| messages["messages"][place]["created_at"].as_str().unwrap().to_owned());
    assert!(markdown.contains(&format!("\n## User, {asked}\n\nWho inspects the turbine?\n")), "{markdown}");
    assert!(markdown.contains(&format!("\n## An agent, {answered}\n\n")), "{markdown}");
    assert!(
        markdown.contains("[1]\n") && markdown.contains("\n- [1] The \\<b>turbine\\</b>, line 3 (turbine.md): “"),
        "{markdown}"
    );
    assert!(
        !markdown.contains("[Oskar Lund](") && !markdown.contains(" <img") && !markdown.contains("![p]"),
        "{markdown}"
    );

    let written = tenant.client.get(&format!("{path}/export?format=json")).await.is(200);
    assert_eq!(written.header("content-disposition"), "attachment; filename=\"session-turbine-one-x-http-y.json\"");
    let exported = written.json();
    assert_eq!(exported["session"], tenant.client.get(&path).await.is(200).json());
    assert_eq!((&exported["agent"]["id"], &exported["messages"]), (&json!(tenant.agent), &messages["messages"]));
    tenant.client.get(&format!("{path}/export?format=pdf")).await.problem(422, "validation_failed");
    let nowhere = tenant.path(&format!("/sessions/{}/export", Uuid::now_v7()));
    tenant.client.get(&nowhere).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_session_of_ten_thousand_messages_is_written_out() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    let session = say(&tenant, json!({"query": "Hello?"})).await;
    let directory = server.home().workspace(&tenant.workspace);
    let home = server.stop();
    let db = rusqlite::Connection::open(directory.join("knowledge.db")).unwrap();
    db.execute(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9998)
         INSERT INTO messages (id, session_id, role, content, details, created_at)
         SELECT printf('00000000-0000-7000-8000-%012d', i), ?1, iif(i % 2, 'user', 'assistant'), 'Number ' || i, '{}', '' FROM n",
        [&session],
    )
    .unwrap();
    drop(db);
    let server = Server::within(home, &[]);
    let tenant = tenant.on(&server);
    let path = tenant.path(&format!("/sessions/{session}/export?format="));
    let exported = tenant.client.get(&format!("{path}json")).await.is(200).json();
    let messages = exported["messages"].as_array().unwrap();
    assert_eq!((messages.len(), &messages[9_999]["content"]), (10_000, &json!("Number 9998")));
    assert_eq!(exported["session"]["message_count"], 10_000);
    let markdown = tenant.client.get(&format!("{path}markdown")).await.is(200).text();
    assert_eq!(markdown.matches("\n## ").count(), 10_000);
    assert!(markdown.ends_with("\n\nNumber 9998\n"));
}
