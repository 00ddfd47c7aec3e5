//! Reranking: a cross-encoder that an operator brought decides, and without one the answer says how to get one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::server::{Home, Server};
use crate::tenant::Tenant;

const QUERY: &str = "copper kettles";
const TEXTS: [(&str, &str); 4] = [
    ("named.md", "Copper kettles, copper kettles: a page about copper kettles."),
    ("once.md", "Copper kettles are sold on the first floor."),
    ("polish.md", "Lemon and salt clean the green verdigris off a kettle."),
    ("other.md", "The harbour report speaks of iron and granite."),
];

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/reranker-tiny")
}

/// A home whose folder of models holds the tiny cross-encoder under `name`.
fn bring(home: &Home, name: &str) -> PathBuf {
    let root = home.path().join("models").join(name);
    std::fs::create_dir_all(&root).unwrap();
    for file in ["model.onnx", "tokenizer.json", "tokenizer_config.json", "config.json"] {
        std::fs::copy(fixture().join(file), root.join(file)).unwrap();
    }
    root
}

fn home_with(names: &[&str]) -> Arc<Home> {
    let home = Home::new();
    names.iter().for_each(|name| drop(bring(&home, name)));
    home
}

async fn shop(server: &Server) -> Tenant {
    let tenant = Tenant::new(&server.admin()).await;
    for (source, text) in TEXTS {
        let body = json!({"source": source, "title": "A page", "content": text});
        tenant.client.post(&tenant.path("/documents"), &body).await.is(201);
    }
    tenant
}

fn sources(found: &Value) -> Vec<&str> {
    found["results"].as_array().unwrap().iter().map(|hit| hit["document_source"].as_str().unwrap()).collect()
}

async fn refusal(tenant: &Tenant, body: Value) -> String {
    let problem = tenant.client.post(&tenant.path("/search"), &body).await.problem(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "rerank", "{problem}");
    problem["errors"][0]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_cross_encoder_decides_where_it_is_asked() {
    let server = Server::within(home_with(&["tiny"]), &[]);
    let tenant = shop(&server).await;
    for search_type in ["hybrid", "vector"] {
        let body =
            |rerank: Value| json!({"query": QUERY, "search_type": search_type, "rerank": rerank, "explain": true});
        let plain = tenant.search(body(json!(false))).await;
        assert_ne!(sources(&plain)[0], "polish.md", "neither words nor meaning put it first: {plain}");
        assert_eq!(plain["results"][0]["explain"]["rerank"], Value::Null);
        assert_eq!(sources(&tenant.search(body(Value::Null)).await), sources(&plain), "not asked for, not done");

        let reranked = tenant.search(body(json!(true))).await;
        assert_eq!(sources(&reranked)[..2], ["polish.md", "named.md"], "{reranked}");
        let hits = reranked["results"].as_array().unwrap();
        assert_eq!(hits.len(), plain["results"].as_array().unwrap().len(), "nothing is lost");
        let scores: Vec<f64> = hits.iter().map(|hit| hit["score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|one, next| one >= next), "{scores:?}");
        // Its logit is −2 + 4: one `verdigris`, and no word of the question.
        assert!((scores[0] - 1.0 / (1.0 + (-2.0f64).exp())).abs() < 1e-4, "{scores:?}");
        for hit in hits {
            let before = hit["explain"]["rerank"]["rank_before"].as_u64().unwrap() as usize;
            assert_eq!(plain["results"][before - 1]["chunk_id"], hit["chunk_id"], "{hit}");
            assert_eq!(hit["explain"]["rerank"]["score"], hit["score"]);
            assert!(hit["vector_similarity"].is_number(), "what the legs found is still told: {hit}");
        }
        let page = json!({"query": QUERY, "search_type": search_type, "rerank": true, "limit": 1, "offset": 1});
        assert_eq!(sources(&tenant.search(page).await), ["named.md"], "pages are cut from the reranked order");
    }
}

#[tokio::test]
async fn it_reads_a_passage_with_its_title_and_headings() {
    let server = Server::within(home_with(&["tiny"]), &[]);
    let tenant = shop(&server).await;
    let body = json!({"source": "care.md", "title": "Verdigris, verdigris", "content": "Rub gently."});
    tenant.client.post(&tenant.path("/documents"), &body).await.is(201);
    let found = tenant.search(json!({"query": QUERY, "rerank": true})).await;
    assert_eq!(sources(&found)[0], "care.md", "{found}");
}

#[tokio::test]
async fn without_one_the_answer_says_how_to_get_one() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let message = refusal(&tenant, json!({"query": QUERY, "rerank": true})).await;
    assert!(message.contains("there is none") && message.contains("folder of models"), "{message}");
    tenant.search(json!({"query": QUERY, "rerank": false})).await;
}

#[tokio::test]
async fn of_several_the_setting_names_one() {
    let home = home_with(&["first", "second"]);
    let server = Server::within(home.clone(), &[]);
    let tenant = shop(&server).await;
    let message = refusal(&tenant, json!({"query": QUERY, "rerank": true})).await;
    assert!(message.contains("first, second") && message.contains("`reranker`"), "{message}");
    server.stop();
    let server = Server::within(home.clone(), &[("CARREL_RERANKER", "second")]);
    let body = json!({"query": QUERY, "rerank": true});
    let path = tenant.path("/search");
    server.admin().post(&path, &body).await.is(200);
    server.stop();
    let run = home.run(&["serve", "--data", "data", "--listen", "127.0.0.1:0", "--set", "reranker=third"]);
    let run = run.exits(1);
    assert!(
        run.stderr.contains("first, second"),
        "a setting that names nothing keeps it from starting: {}",
        run.stderr
    );
}

#[tokio::test]
async fn a_reranker_is_no_embedding_model() {
    let server = Server::within(home_with(&["tiny"]), &[]);
    let tenant = Tenant::new(&server.admin()).await;
    let path = format!("/v1/organizations/{}/workspaces", tenant.organization);
    let body = |model: &str| json!({"name": "Another", "slug": "another", "embedding_model": model});
    let problem = server.admin().post(&path, &body("tiny")).await.problem(422, "validation_failed");
    let message = problem["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains("is a reranking model") && message.contains("all-MiniLM-L6-v2"), "{problem}");
    let problem = server.admin().post(&path, &body("absent")).await.problem(422, "validation_failed");
    assert!(!problem["errors"][0]["message"].as_str().unwrap().contains("tiny"), "{problem}");
}

#[tokio::test]
async fn a_damaged_one_is_a_sentence_and_the_server_lives() {
    let onnx = std::fs::read(fixture().join("model.onnx")).unwrap();
    let labels =
        br#"{"architectures": ["BertForSequenceClassification"], "num_labels": 3, "max_position_embeddings": 128}"#;
    let windowless = br#"{"architectures": ["BertForSequenceClassification"]}"#;
    let damages: [(&str, &[u8], &str); 7] = [
        ("model.onnx", b"not a model", "ONNX file is damaged"),
        ("model.onnx", &onnx[..onnx.len() / 2], "ONNX file is damaged"),
        ("model.onnx", &renamed(&onnx, b"logits", b"legits"), "no output `logits`"),
        ("config.json", labels, "3 labels"),
        ("config.json", windowless, "neither config.json nor tokenizer_config.json states its window"),
        ("tokenizer.json", b"{}", "tokenizer.json"),
        ("tokenizer_config.json", b"[", "tokenizer_config.json is damaged"),
    ];
    let home = home_with(&["tiny"]);
    let server = Server::within(home.clone(), &[]);
    let tenant = shop(&server).await;
    for (file, bytes, reason) in damages {
        let root = bring(&home, "tiny");
        std::fs::write(root.join(file), bytes).unwrap();
        if file == "config.json" && bytes == windowless {
            std::fs::write(root.join("tokenizer_config.json"), br#"{"model_max_length": 1e30, "pad_token": "[PAD]"}"#)
                .unwrap();
        }
        let answer = tenant.client.post(&tenant.path("/search"), &json!({"query": QUERY, "rerank": true})).await;
        let problem = answer.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("tiny") && detail.contains(reason), "{file}, {reason}: {detail}");
        assert!(!detail.contains(home.path().to_str().unwrap()), "no path: {detail}");
        tenant.search(json!({"query": QUERY})).await;
    }
    bring(&home, "tiny");
    tenant.search(json!({"query": QUERY, "rerank": true})).await;
}

fn renamed(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    while let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + from.len()].copy_from_slice(to);
    }
    bytes
}

#[tokio::test]
async fn texts_longer_than_its_window_and_strange_ones_are_ranked_too() {
    let server = Server::within(home_with(&["tiny"]), &[]);
    let tenant = shop(&server).await;
    tenant.document("long.md", &format!("Verdigris. {}", "Iron granite quarry. ".repeat(400))).await;
    for query in ["verdigris ".repeat(3000).as_str(), "面会時間", "((((", "🦊"] {
        let found = tenant.search(json!({"query": query, "rerank": true})).await;
        assert!(found["results"].as_array().unwrap().iter().all(|hit| hit["score"].is_number()), "{found}");
    }
}

#[tokio::test]
async fn what_can_be_reranked_is_bounded() {
    let server = Server::within(home_with(&["tiny"]), &[]);
    let tenant = shop(&server).await;
    let body = json!({"query": QUERY, "rerank": true, "limit": 100, "offset": 101});
    let problem = tenant.client.post(&tenant.path("/search"), &body).await.problem(422, "validation_failed");
    assert_eq!(problem["errors"][0]["field"], "offset");
    tenant.search(json!({"query": QUERY, "rerank": true, "limit": 100, "offset": 100})).await;
}

#[tokio::test]
async fn the_doctor_looks_at_it() {
    let home = home_with(&["tiny"]);
    let checks =
        |run: Value| run["checks"].as_array().unwrap().iter().find(|c| c["check"] == "reranking").cloned().unwrap();
    let found = checks(home.run(&["doctor", "--json"]).exits(0).json());
    assert_eq!((&found["ok"], &found["detail"]), (&json!(true), &json!("tiny reranks")));
    std::fs::write(home.path().join("models/tiny/model.onnx"), b"rot").unwrap();
    let found = checks(home.run(&["doctor", "--json"]).exits(1).json());
    assert!(found["detail"].as_str().unwrap().contains("damaged"), "{found}");
}
