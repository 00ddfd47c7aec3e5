//! Another embedding model for a workspace: beside the old vectors, in one moment, and back again.

use std::path::Path;

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::{Home, Server};
use crate::tenant::{Tenant, id};

const DEFAULT: &str = "all-MiniLM-L6-v2";
const OTHER: &str = "sines";

const THIRD: &str = "more-sines";

/// Puts a second, tiny model beside the default one, and a third that differs from it in name and bytes alone.
fn shelve(home: &Home) {
    shelve_as(home, OTHER, &[]);
    // A field that the format does not know, so that it is another file of the same model.
    shelve_as(home, THIRD, &[0xC0, 0x3E, 0x01]);
}

fn shelve_as(home: &Home, name: &str, extra: &[u8]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shelf = home.path().join("models").join(name);
    std::fs::create_dir_all(&shelf).unwrap();
    for file in ["tokenizer.json", "config.json", "tokenizer_config.json", "sentence_bert_config.json"] {
        std::fs::copy(root.join("models").join(DEFAULT).join(file), shelf.join(file)).unwrap();
    }
    let model = std::fs::read(root.join("tests/fixtures/embedder-sines/model.onnx")).unwrap();
    std::fs::write(shelf.join("model.onnx"), [model.as_slice(), extra].concat()).unwrap();
}

async fn tenant(server: &Server) -> Tenant {
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    tenant
}

/// Files a reindexing and gives its job at its end.
async fn reindex(tenant: &Tenant, rest: &str, body: Value) -> Value {
    let job = tenant.client.post(&tenant.path(&format!("/reindex{rest}")), &body).await.is(202).json();
    assert_eq!(job["kind"], "reindex");
    tenant.finished(&id(&job)).await
}

async fn models(client: &Client, tenant: &Tenant) -> Vec<(String, bool, u64)> {
    let found = client.get(&tenant.path("/reindex")).await.is(200).json();
    let model = |model: &Value| {
        assert_eq!(model["lacking"], 0, "{model}");
        let name = model["name"].as_str().unwrap().to_owned();
        (name, model["is_active"] == true, model["vectors"].as_u64().unwrap())
    };
    found["models"].as_array().unwrap().iter().map(model).collect()
}

async fn nearest(tenant: &Tenant, query: &str) -> Value {
    tenant.search(json!({"query": query, "search_type": "vector", "limit": 1})).await["results"][0].clone()
}

async fn is_whole(tenant: &Tenant) {
    let report = tenant.client.post(&tenant.path("/check"), &json!({})).await.is(200).json();
    assert_eq!(report["whole"], true, "{report}");
}

#[tokio::test]
async fn another_model_takes_over_in_one_moment_and_the_way_back_stays_open_until_it_is_confirmed() {
    let server = Server::start();
    shelve(server.home());
    let tenant = tenant(&server).await;
    let chunks = tenant.client.get(&tenant.path("/stats")).await.is(200).json()["chunks"].as_u64().unwrap();
    let before = nearest(&tenant, "Who repairs the centrifuge?").await;

    let job = reindex(&tenant, "", json!({"embedding_model": OTHER})).await;
    assert_eq!((&job["status"], job["done"].as_u64()), (&json!("succeeded"), Some(chunks)), "{job}");
    assert_eq!(models(&tenant.client, &tenant).await, [(OTHER.into(), true, chunks), (DEFAULT.into(), false, chunks)]);
    assert_eq!(tenant.client.get(&tenant.path("")).await.is(200).json()["embedding_model"], OTHER);
    // The other model knows a text by its tokens alone; asked for one word for word it is sure.
    let document = tenant.document("new.md", "A violet umbrella arrived.").await;
    let exact = nearest(&tenant, "A violet umbrella arrived.").await;
    assert_eq!(exact["document_id"], document["id"]);
    is_whole(&tenant).await;

    // Back again: only what came in since has to be embedded.
    let job = reindex(&tenant, "/rollback", json!({})).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    let again = nearest(&tenant, "Who repairs the centrifuge?").await;
    assert_eq!((&again["chunk_id"], &again["vector_similarity"]), (&before["chunk_id"], &before["vector_similarity"]));
    assert_eq!(nearest(&tenant, "A purple parasol came.").await["document_id"], document["id"]);
    is_whole(&tenant).await;

    tenant.client.post(&tenant.path("/reindex/confirm"), &json!({})).await.is(200);
    assert_eq!(models(&tenant.client, &tenant).await, [(DEFAULT.into(), true, chunks + 1)]);
    tenant.client.post(&tenant.path("/reindex/confirm"), &json!({})).await.problem(409, "conflict");
    tenant.client.post(&tenant.path("/reindex/rollback"), &json!({})).await.problem(409, "conflict");
    is_whole(&tenant).await;
    server.stop();
}

#[tokio::test]
async fn the_way_back_is_kept_whatever_else_is_tried() {
    let server = Server::start();
    shelve(server.home());
    let tenant = tenant(&server).await;
    tenant.client.post(&tenant.path("/reindex/rollback"), &json!({})).await.problem(409, "conflict");
    reindex(&tenant, "", json!({"embedding_model": OTHER})).await;
    // A third model would take the first one's place.
    let third = tenant.client.post(&tenant.path("/reindex"), &json!({"embedding_model": THIRD})).await;
    assert!(third.problem(409, "conflict")["detail"].as_str().unwrap().contains(DEFAULT));
    let names = |found: Vec<(String, bool, u64)>| found.into_iter().map(|(name, _, _)| name).collect::<Vec<_>>();
    assert_eq!(names(models(&tenant.client, &tenant).await), [OTHER, DEFAULT]);
    // Nor do the indexes' own vectors change that.
    reindex(&tenant, "", json!({})).await;
    assert_eq!(reindex(&tenant, "/rollback", json!({})).await["status"], "succeeded");
    assert_eq!(names(models(&tenant.client, &tenant).await), [DEFAULT, OTHER]);
    tenant.client.post(&tenant.path("/reindex/confirm"), &json!({})).await.is(200);
    let indexes = server.home().workspace(&tenant.workspace).join("index/vectors");
    assert_eq!(std::fs::read_dir(indexes).unwrap().count(), 1);
    assert_eq!(reindex(&tenant, "", json!({"embedding_model": THIRD})).await["status"], "succeeded");
    assert_eq!(names(models(&tenant.client, &tenant).await), [THIRD, DEFAULT]);
    server.stop();
}

#[tokio::test]
async fn one_that_was_cancelled_is_nothing_to_go_back_to() {
    let server = Server::start();
    shelve(server.home());
    let tenant = tenant(&server).await;
    let job = tenant.client.post(&tenant.path("/reindex"), &json!({"embedding_model": OTHER})).await.is(202).json();
    let cancelled = tenant.client.delete(&tenant.path(&format!("/jobs/{}", id(&job)))).await;
    let job = tenant.finished(&id(&job)).await;
    if cancelled.status == 200 {
        assert_eq!(job["status"], "cancelled");
        tenant.client.post(&tenant.path("/reindex/rollback"), &json!({})).await.problem(409, "conflict");
        let active = tenant.client.get(&tenant.path("/reindex")).await.is(200).json()["models"][0].clone();
        assert_eq!((&active["name"], &active["is_active"]), (&json!(DEFAULT), &json!(true)));
    }
    // What was made of it is made use of.
    assert_eq!(reindex(&tenant, "", json!({"embedding_model": OTHER})).await["status"], "succeeded");
    is_whole(&tenant).await;
    server.stop();
}

#[tokio::test]
async fn both_legs_answer_all_the_while() {
    let server = Server::start();
    shelve(server.home());
    let tenant = tenant(&server).await;
    for body in [json!({}), json!({"embedding_model": OTHER}), json!({"embedding_model": DEFAULT}), json!({})] {
        let job = tenant.client.post(&tenant.path("/reindex"), &body).await.is(202).json();
        loop {
            let found = tenant.search(json!({"query": "Who repairs the centrifuge?", "explain": true})).await;
            for leg in found["legs"].as_array().unwrap() {
                assert_eq!(leg["status"], "ok", "{body}: {leg}");
            }
            assert_eq!(found["results"][0]["document_source"], "laboratory.md", "{body}: {found}");
            let path = tenant.path(&format!("/jobs/{}", id(&job)));
            if tenant.client.get(&path).await.is(200).json()["status"] == "succeeded" {
                break;
            }
        }
    }
    server.stop();
}

#[tokio::test]
async fn a_switched_workspace_stays_switched_over_a_restart_a_copy_and_a_deletion() {
    let server = Server::start();
    shelve(server.home());
    let tenant = tenant(&server).await;
    let extra = tenant.document("extra.md", "A kestrel in the yard.").await;
    reindex(&tenant, "", json!({"embedding_model": OTHER})).await;
    tenant.client.delete(&tenant.path(&format!("/documents/{}", id(&extra)))).await.is(200);
    let counts: Vec<u64> = models(&tenant.client, &tenant).await.into_iter().map(|(_, _, count)| count).collect();
    assert_eq!(counts[0], counts[1], "a deleted chunk leaves no vector of any model");
    let indexes = server.home().workspace(&tenant.workspace).join("index/vectors");
    assert_eq!(std::fs::read_dir(indexes).unwrap().count(), 1, "nor in an index that nobody asks");
    let before = nearest(&tenant, "The centrifuge is repaired by").await;

    let server = Server::within(server.stop(), &[]);
    let tenant = Tenant { client: server.admin().with_token(tenant.client.token()), admin: server.admin(), ..tenant };
    assert_eq!(nearest(&tenant, "The centrifuge is repaired by").await, before);
    let body = json!({"name": "Copy", "slug": "copy"});
    let copy = tenant.admin.post(&tenant.path("/copy"), &body).await.is(201).json();
    assert_eq!(copy["embedding_model"], OTHER);
    let path = format!("/v1/workspaces/{}/search", id(&copy));
    let body = json!({"query": "The centrifuge is repaired by", "search_type": "vector", "limit": 1});
    let found = tenant.admin.post(&path, &body).await.is(200).json();
    assert_eq!(found["results"][0]["content"], before["content"]);
    server.stop();
}

#[tokio::test]
async fn searching_and_ingesting_go_on_while_models_change() {
    let server = Server::start();
    shelve(server.home());
    let tenant = tenant(&server).await;
    for round in 0..3 {
        let target = if round % 2 == 0 { OTHER } else { DEFAULT };
        let body = json!({"embedding_model": target});
        let job = tenant.client.post(&tenant.path("/reindex"), &body).await.is(202).json();
        for number in 0..4 {
            let found = tenant.client.post(&tenant.path("/search"), &json!({"query": "centrifuge"})).await;
            assert_eq!(found.status, 200);
            let source = format!("round-{round}-{number}.md");
            let body = json!({"source": source, "content": format!("Number {number} of round {round}.")});
            for attempt in 0.. {
                let stored = tenant.client.post(&tenant.path("/documents"), &body).await;
                if stored.status == 201 {
                    break;
                }
                // Embedded for the model that was just given up.
                stored.problem(503, "unavailable");
                assert!(attempt < 100, "it must go in at last");
            }
        }
        assert_eq!(tenant.finished(&id(&job)).await["status"], "succeeded");
    }
    let total = tenant.client.get(&tenant.path("/stats")).await.is(200).json();
    assert_eq!((&total["vectors"], &total["embedding_model"]["name"]), (&total["chunks"], &json!(OTHER)));
    is_whole(&tenant).await;
    server.stop();
}

#[tokio::test]
async fn without_a_model_the_indexes_are_made_anew() {
    let server = Server::start();
    let tenant = tenant(&server).await;
    let before = nearest(&tenant, "Who repairs the centrifuge?").await;
    let job = reindex(&tenant, "", json!({})).await;
    assert_eq!(job["status"], "succeeded", "{job}");
    assert_eq!(nearest(&tenant, "Who repairs the centrifuge?").await, before);
    let path = tenant.path("/reindex");
    tenant.client.post(&path, &json!({"embedding_model": "absent"})).await.problem(422, "validation_failed");
    tenant.client.post(&path, &json!({"model": "absent"})).await.problem(422, "validation_failed");
    let reader = tenant.key(&["read", "search", "ingest"]).await;
    reader.post(&path, &json!({})).await.problem(403, "forbidden");
    reader.get(&path).await.is(200);
    server.stop();
}

#[tokio::test]
async fn a_reindexing_that_is_cut_off_goes_on_after_the_next_start() {
    let server = Server::start();
    shelve(server.home());
    let tenant = tenant(&server).await;
    let job = tenant.client.post(&tenant.path("/reindex"), &json!({"embedding_model": OTHER})).await.is(202).json();
    let server = Server::within(server.kill(), &[]);
    let tenant = Tenant { client: server.admin().with_token(tenant.client.token()), admin: server.admin(), ..tenant };
    assert_eq!(tenant.finished(&id(&job)).await["status"], "succeeded");
    assert_eq!(models(&tenant.client, &tenant).await[0].0, OTHER);
    is_whole(&tenant).await;
    server.stop();
}
