//! Sudden death at every step of what must not be half done. Needs a build with the feature `failpoints`.

use std::sync::Arc;

use serde_json::json;

use crate::directory::{copy, downgrade};
use crate::server::{Home, Server, finish};
use crate::tenant::{Tenant, id};

fn dying_at(place: &str, home: Arc<Home>) -> Server {
    Server::within(home, &[("CARREL_FAILPOINT", place)])
}

fn again(tenant: &Tenant, server: &Server) -> Tenant {
    Tenant {
        admin: server.admin(),
        client: server.admin().with_token(tenant.client.token()),
        organization: tenant.organization.clone(),
        workspace: tenant.workspace.clone(),
        agent: tenant.agent.clone(),
    }
}

async fn assert_whole(tenant: &Tenant) {
    let report = tenant.admin.send("POST", &tenant.path("/check"), None).await.is(200).json();
    assert_eq!(report["whole"], true, "{report}");
}

async fn furnished() -> (Tenant, Arc<Home>) {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    tenant.document("changes.md", "The kestrel hovers over the first version.").await;
    // Or the commit that is to be cut off would be that of its facts.
    tenant.facts_read().await;
    (tenant, server.stop())
}

/// How often `word` is found by its letters, and in how many documents it stands.
async fn found(tenant: &Tenant, word: &str) -> u64 {
    tenant.search(json!({"query": word, "search_type": "fulltext"})).await["total_results"].as_u64().unwrap()
}

#[tokio::test]
async fn a_commit_is_whole_or_has_left_no_trace_wherever_it_is_cut_off() {
    let places = [
        "file.fresh",
        "file.renamed",
        "commit.moved",
        "commit.durable",
        "commit.written",
        "commit.committed",
        "commit.released",
        "commit.followed",
    ];
    for place in places {
        let (tenant, home) = furnished().await;
        let server = dying_at(place, home);
        let dying = again(&tenant, &server);
        let body = json!({"source": "changes.md", "content": "The falcon dives in the second version."});
        assert_eq!(dying.client.try_post(&dying.path("/documents"), &body).await, None, "{place}: it died");
        let server = Server::within(server.kill(), &[]);
        let tenant = again(&tenant, &server);
        let (before, after) = (found(&tenant, "kestrel").await, found(&tenant, "falcon").await);
        let expected =
            if matches!(place, "commit.committed" | "commit.released" | "commit.followed") { (0, 1) } else { (1, 0) };
        assert_eq!((before, after), expected, "{place}");
        assert_whole(&tenant).await;
        tenant.client.post(&tenant.path("/documents"), &body).await;
        assert_eq!((found(&tenant, "kestrel").await, found(&tenant, "falcon").await), (0, 1), "{place}: once more");
        assert_whole(&tenant).await;
        let files = home_files(&server, &tenant);
        assert_eq!(files as u64, tenant.document_count().await, "{place}: no original is left over");
    }
}

fn home_files(server: &Server, tenant: &Tenant) -> usize {
    let originals = server.home().workspace(&tenant.workspace).join("files");
    walkdir::WalkDir::new(originals).into_iter().flatten().filter(|entry| entry.file_type().is_file()).count()
}

#[tokio::test]
async fn a_rest_that_is_cut_off_loses_nothing() {
    for place in ["checkpoint.purged", "checkpoint.emptied", "checkpoint.told"] {
        let (tenant, home) = furnished().await;
        let server = dying_at(place, home);
        let dying = again(&tenant, &server);
        let body = json!({"source": "changes.md", "content": "The falcon dives in the second version."});
        dying.client.post(&dying.path("/documents"), &body).await.is(201);
        assert_eq!(dying.client.try_post(&dying.path("/freeze"), &json!({})).await, None, "{place}: it died");
        let server = Server::within(server.kill(), &[]);
        let tenant = again(&tenant, &server);
        assert_eq!((found(&tenant, "kestrel").await, found(&tenant, "falcon").await), (0, 1), "{place}");
        assert_whole(&tenant).await;
    }
}

#[tokio::test]
async fn an_adoption_that_is_cut_off_can_be_taken_up_again() {
    for place in ["adopt.moved", "adopt.admitted", "adopt.placed"] {
        let (tenant, home) = furnished().await;
        copy(&home.workspace(&tenant.workspace), &home.workspace("stick"), |_| {});
        let server = dying_at(place, home);
        let path = format!("/v1/organizations/{}/workspaces/adopt", tenant.organization);
        let died = server.admin().try_post(&path, &json!({"directory": "stick"})).await;
        assert_eq!(died, None, "{place}: it died");
        let server = Server::within(server.kill(), &[]);
        let left = server.admin().get("/v1/workspaces/unadopted").await.is(200).json();
        assert_eq!(left.as_array().unwrap().len(), 1, "{place}: {left}");
        let adopted = server.admin().post(&path, &json!({"directory": left[0]["directory"]})).await.is(201).json();
        let check = format!("/v1/workspaces/{}/check", id(&adopted));
        assert_eq!(server.admin().send("POST", &check, None).await.is(200).json()["whole"], true, "{place}");
    }
}

#[tokio::test]
async fn a_deletion_and_a_restoration_that_are_cut_off_end_on_one_side() {
    let (tenant, home) = furnished().await;
    let server = dying_at("trash.marked", home);
    assert!(server.admin().try_delete(&tenant.path("")).await.is_none(), "it died");
    let home = server.kill();
    let server = dying_at("trash.returned", home);
    server.admin().get(&tenant.path("")).await.is(404);
    let restore = format!("/v1/organizations/{}/trash/{}/restore", tenant.organization, tenant.workspace);
    assert_eq!(server.admin().try_post(&restore, &json!({})).await, None, "it died");
    let server = Server::within(server.kill(), &[]);
    server.admin().get(&tenant.path("")).await.is(404);
    server.admin().send("POST", &restore, None).await.is(200);
    let tenant = again(&tenant, &server);
    assert_whole(&tenant).await;
}

#[tokio::test]
async fn a_migration_that_is_cut_off_is_carried_out_by_the_next_start() {
    for place in ["migration.copied", "migration.written"] {
        let (tenant, home) = furnished().await;
        downgrade(&home.workspace(&tenant.workspace));
        let server = dying_at(place, home);
        let dying = again(&tenant, &server);
        assert!(dying.client.try_delete(&dying.path("/sessions/none")).await.is_none(), "{place}: it died");
        let home = server.kill();
        assert!(
            home.workspace(&tenant.workspace).join("knowledge.db.before-2").exists(),
            "{place}: a copy was made before"
        );
        let server = Server::within(home, &[]);
        let tenant = again(&tenant, &server);
        assert_eq!(found(&tenant, "kestrel").await, 1, "{place}");
        assert_whole(&tenant).await;
    }
}

#[tokio::test]
async fn a_panic_in_the_midst_of_a_commit_is_answered_and_hurts_nobody_else() {
    let places =
        ["commit.moved", "commit.durable", "commit.written", "commit.committed", "commit.released", "commit.followed"];
    for place in places {
        let (tenant, home) = furnished().await;
        let panics = [("CARREL_FAILPOINT", place), ("CARREL_FAILPOINT_PANICS", "1")];
        let server = Server::within(home, &panics);
        let tenant = again(&tenant, &server);
        let neighbour = Tenant::new(&server.admin()).await;
        let writers = (0..8).map(|number| {
            let (client, path) = (tenant.client.clone(), tenant.path("/documents"));
            let body = json!({"source": format!("{number}.md"), "content": format!("Falcon {number} dives.")});
            tokio::spawn(async move { (number, client.post(&path, &body).await) })
        });
        let mut panicked = 0;
        for writer in writers.collect::<Vec<_>>() {
            let (number, answer) = writer.await.unwrap();
            match answer.status {
                201 => {
                    let listed = tenant.client.get(&tenant.path(&format!("/documents?q={number}.md"))).await.is(200);
                    assert_eq!(listed.json()["total"], 1, "{place}: {number} was answered");
                }
                _ => {
                    assert!(!answer.header("x-request-id").is_empty());
                    answer.problem(500, "internal");
                    panicked += 1;
                }
            }
        }
        assert!(panicked >= 1, "{place}");
        neighbour.document("own.md", "The neighbour notices nothing.").await;
        tenant.document("after.md", "And the kestrel hovers on.").await;
        assert_eq!(found(&tenant, "hovers").await, 2, "{place}");
        assert_whole(&tenant).await;
        server.kill();
    }
}

#[tokio::test]
async fn a_document_that_ends_the_program_does_not_end_every_start_of_it() {
    let (tenant, home) = furnished().await;
    let server = dying_at("job.reading", home);
    let dying = again(&tenant, &server);
    let documents =
        json!({"documents": [{"source": "deadly.md", "content": "One."}, {"source": "good.md", "content": "Two."}]});
    // The answer may come before the end, or not.
    dying.client.try_post(&dying.path("/ingest"), &documents).await;
    let home = server.kill();
    for _ in 0..5 {
        let mut command = home.carrel(&["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(home.data()).env("CARREL_FAILPOINT", "job.reading");
        assert_eq!(finish(command, "").code, None, "it was ended by a signal");
    }
    let server = Server::within(home, &[]);
    let tenant = again(&tenant, &server);
    let jobs = tenant.client.get(&tenant.path("/jobs")).await.is(200).json();
    let job = tenant.finished(&id(&jobs[0])).await;
    assert_eq!((&job["status"], &job["failed"]), (&json!("succeeded"), &json!(1)), "{job}");
    assert_eq!((&job["errors"][0]["source"], &job["errors"][0]["code"]), (&json!("deadly.md"), &json!("too_complex")));
    assert_eq!(found(&tenant, "two").await, 1);
}
