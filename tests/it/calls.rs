//! Calls of the system that fail, one after another: every write, every name, every `fsync`, every read of a
//! workspace's directory. Whatever fails, the answer is honest, nothing that was answered is lost, and nobody else
//! notices; when the disk is well again, so is the workspace.

use serde_json::json;

use crate::faulty::{EDQUOT, EINTR, EIO, ENOSPC, EROFS, Faulty, NAME, READ, SHORT, SYNC, WRITE};
use crate::server::{Home, Server};
use crate::tenant::{Tenant, id};

struct Bench {
    faulty: Faulty,
    server: Server,
    tenant: Tenant,
    neighbour: Tenant,
}

impl Bench {
    async fn new() -> Bench {
        let home = Home::new();
        let faulty = Faulty::new(&home);
        let server = faulty.server(&[]);
        let tenant = Tenant::new(&server.admin()).await;
        tenant.handbook().await;
        let neighbour = Tenant::new(&server.admin()).await;
        neighbour.document("only.md", "The neighbour keeps a violet umbrella.").await;
        Bench { faulty, server, tenant, neighbour }
    }

    /// Works while `many` calls fail from the `first` one on. The answers' codes, and how many calls there were.
    async fn work(&self, kinds: u64, first: u64, many: u64, error: u64) -> (Vec<u16>, u64) {
        let (tenant, client) = (&self.tenant, &self.tenant.client);
        self.faulty.fail(kinds, &tenant.workspace, first, many, error);
        let body = json!({"source": "fresh.md", "content": format!("The number {first} is written on a kestrel.")});
        let stored = client.post(&tenant.path("/documents"), &body).await;
        let found = client.post(&tenant.path("/search"), &json!({"query": "kestrel", "search_type": "fulltext"})).await;
        let rested = client.post(&tenant.path("/freeze"), &json!({})).await;
        let neighbours = self.neighbour.search(json!({"query": "violet umbrella"})).await;
        assert!(neighbours["total_results"].as_u64().unwrap() > 0, "the neighbour notices nothing");
        let seen = self.faulty.seen();
        self.faulty.heal();
        client.delete(&tenant.path("/freeze")).await.is(200);
        if found.status == 200 && stored.status == 201 {
            let found = found.json();
            let hit = found["results"][0]["content"].as_str().unwrap_or_default();
            let honest = hit.contains(&format!("number {first} ")) || found["legs"][0]["status"] != "ok";
            assert!(honest, "call {first}: {found}");
        }
        for answer in [&stored, &found, &rested].into_iter().filter(|answer| answer.status >= 400) {
            answer.any_problem();
        }
        self.assert_well(first, stored.status == 201).await;
        (vec![stored.status, found.status, rested.status], seen)
    }

    /// Asserts that everything is there and that work goes on.
    async fn assert_well(&self, first: u64, was_stored: bool) {
        let tenant = &self.tenant;
        let report = tenant.admin.send("POST", &tenant.path("/check"), None).await.is(200).json();
        assert_eq!(report["whole"], true, "call {first}: {report}");
        let listed = tenant.client.get(&tenant.path("/documents?q=fresh.md")).await.is(200).json();
        if was_stored {
            let document = tenant.read(listed["documents"][0]["id"].as_str().unwrap()).await;
            assert!(document["content"].as_str().unwrap().contains(&format!("number {first} ")), "{document}");
        }
        let body = json!({"source": "fresh.md", "content": format!("After call {first} it goes on with a falcon.")});
        let stored = tenant.client.post(&tenant.path("/documents"), &body).await.is(201).json();
        let found = tenant.search(json!({"query": "falcon", "search_type": "fulltext"})).await;
        assert!(found["results"][0]["content"].as_str().unwrap().contains(&format!("call {first} ")), "{found}");
        tenant.client.delete(&tenant.path(&format!("/documents/{}", id(&stored)))).await.is(200);
    }

    /// Fails each call of these kinds in turn, or a good part of them where there are more than `most`.
    async fn sweep(&self, kinds: u64, many: u64, error: u64, most: u64) -> Vec<Vec<u16>> {
        let (well, calls) = self.work(kinds, 0, 0, error).await;
        assert_eq!(well, [201, 200, 200]);
        assert!(calls > 0, "there is something to fail");
        let mut answers = Vec::new();
        for number in 0..calls.min(most) {
            let first = 1 + number * calls / calls.min(most);
            answers.push(self.work(kinds, first, many, error).await.0);
        }
        answers
    }
}

#[tokio::test]
async fn a_disk_or_quota_that_is_full_at_any_write_refuses_with_507() {
    let bench = Bench::new().await;
    for (many, error, most) in [(1, ENOSPC, 40), (u64::MAX, ENOSPC, 40), (u64::MAX, EDQUOT, 20)] {
        let answers = bench.sweep(WRITE | NAME, many, error, most).await;
        let stored: Vec<u16> = answers.iter().map(|answers| answers[0]).collect();
        assert!(stored.iter().all(|status| [201, 507].contains(status)), "{stored:?}");
        assert!(stored.contains(&507), "{stored:?}");
        assert!(answers.iter().all(|answers| answers[1] == 200), "reading goes on: {answers:?}");
    }
    bench.server.kill();
}

#[tokio::test]
async fn a_disk_that_takes_no_writes_any_more_is_read_on_and_recovers() {
    let bench = Bench::new().await;
    let (tenant, client) = (&bench.tenant, &bench.tenant.client);
    // What a file system does when it finds an error of its own: the whole data directory takes no writes.
    bench.faulty.fail(WRITE | NAME | SYNC, "", 1, u64::MAX, EROFS);
    for _ in 0..3 {
        let body = json!({"source": "fresh.md", "content": "A kestrel."});
        let problem = client.post(&tenant.path("/documents"), &body).await.is(503).any_problem();
        assert_eq!(problem["code"], "unavailable");
        assert!(tenant.search(json!({"query": "centrifuge"})).await["total_results"].as_u64().unwrap() > 0);
        tenant.client.get(&tenant.path("/documents")).await.is(200);
        bench.server.admin().get("/livez").await.is(200);
        bench.server.admin().get("/readyz").await.is(200);
    }
    bench.faulty.heal();
    bench.assert_well(0, false).await;
    bench.server.kill();
}

#[tokio::test]
async fn a_disk_that_fails_at_any_call_hurts_nobody_else_and_loses_nothing() {
    let bench = Bench::new().await;
    for (kinds, error) in [(WRITE, EIO), (SYNC, EIO), (NAME, EIO), (READ, EIO)] {
        for many in [1, u64::MAX] {
            bench.sweep(kinds, many, error, 20).await;
        }
    }
    bench.server.kill();
}

#[tokio::test]
async fn calls_that_do_half_or_are_interrupted_are_carried_on() {
    let bench = Bench::new().await;
    for (kinds, error) in [(READ, SHORT), (WRITE, SHORT), (READ, EINTR), (WRITE, EINTR)] {
        let answers = bench.sweep(kinds, 1, error, 20).await;
        assert!(answers.iter().all(|answers| *answers == [201, 200, 200]), "{answers:?}");
    }
    bench.server.kill();
}
