//! Language models inside: a GGUF file in the folder of models answers for an agent. The models here are tiny and of random
//! weights (`tests/tiny_gguf.py`), so that what they say is nonsense: what is looked at is that they say it, and how.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::server::{Home, Server};
use crate::tenant::{Tenant, id};

/// A home with a provider of models inside, and `settings` for it; `tiny` lies in its folder of models.
fn home(settings: &str) -> Arc<Home> {
    let home = Home::new();
    let text = format!("[providers.local]\nkind = \"llama\"\nthreads = 1\n{settings}\n");
    std::fs::write(home.path().join("carrel.toml"), text).unwrap();
    std::fs::create_dir(home.path().join("models")).unwrap();
    make(&home.path().join("models/tiny.gguf"));
    home
}

fn make(file: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiny_gguf.py");
    // Every letter is a token to it, and the tools are described to it.
    let mut command = Command::new("python3");
    command.arg(script).arg(file).args(["--context", "16384"]);
    assert!(command.status().unwrap().success());
}

/// An agent with this model.
async fn agent(tenant: &Tenant, model: &str, more: Value) -> String {
    let mut body = json!({"name": model, "slug": model, "model_provider": "local", "model_name": model,
        "temperature": 1.0, "max_tokens": 40});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    id(&tenant.admin.post(&tenant.path("/agents"), &body).await.is(201).json())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_answers_with_a_model_inside() {
    let server = Server::within(home(""), &[]);
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("a.md", "The boiler is serviced by Helena Brandt.").await;
    let agent = agent(&tenant, "tiny", json!({"enabled_tools": []})).await;
    let body = json!({"agent_id": agent, "query": "Who services the boiler?"});
    let answer = tenant.client.post(&tenant.path("/chat"), &body).await.is(200).json();
    assert!(!answer["message"].as_str().unwrap().is_empty(), "{answer}");
    let tokens = |name: &str| answer["usage"][name].as_u64().unwrap();
    assert!(tokens("prompt_tokens") > 20 && (1..=200).contains(&tokens("completion_tokens")), "{answer}");
    assert_eq!(tokens("total_tokens"), tokens("prompt_tokens") + tokens("completion_tokens"));

    let body = json!({"agent_id": agent, "query": "Who services the boiler?", "stream": true});
    let events = tenant.client.stream("POST", &tenant.path("/chat"), Some(&body)).await.all().await;
    assert_eq!(events.last().unwrap()["type"], "end", "{events:?}");
    assert!(events.iter().filter(|event| event["type"] == "text").count() > 1, "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_ask_at_once_both_get_an_answer() {
    let server = Server::within(home(""), &[]);
    let tenant = Tenant::new(&server.admin()).await;
    let agent = agent(&tenant, "tiny", json!({})).await;
    let ask = async || {
        let body = json!({"agent_id": agent, "query": "Hello?"});
        tenant.client.post(&tenant.path("/chat"), &body).await.is(200).json()
    };
    let answers = tokio::join!(ask(), ask(), ask());
    for answer in [answers.0, answers.1, answers.2] {
        assert!(answer["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_does_not_keep_the_model_busy() {
    let server = Server::within(home("context_tokens = 16384"), &[]);
    let tenant = Tenant::new(&server.admin()).await;
    let long = agent(&tenant, "tiny", json!({"max_tokens": 3000})).await;
    for _ in 0..5 {
        let body = json!({"agent_id": long, "query": "Hello?", "stream": true});
        let mut events = tenant.client.stream("POST", &tenant.path("/chat"), Some(&body)).await;
        events.next().await.unwrap();
    }
    let body = json!({"agent_id": long, "query": "Is anybody there?"});
    tenant.client.post(&tenant.path("/chat"), &body).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_cannot_be_run_is_named_and_nothing_falls() {
    let home = home("");
    let folder = home.path().join("models");
    let whole = std::fs::read(folder.join("tiny.gguf")).unwrap();
    std::fs::write(folder.join("cut.gguf"), &whole[..whole.len() / 2]).unwrap();
    make(&folder.join("gone.gguf"));
    let server = Server::within(home.clone(), &[]);
    let tenant = Tenant::new(&server.admin()).await;
    std::fs::remove_file(folder.join("gone.gguf")).unwrap();
    for (model, why) in [("cut", "cannot be loaded"), ("gone", "is not in the folder of models")] {
        let agent = agent(&tenant, model, json!({})).await;
        let body = json!({"agent_id": agent, "query": "Hello?"});
        let problem = tenant.client.post(&tenant.path("/chat"), &body).await.problem(503, "unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("the model {model} {why}")), "{detail}");
        assert!(!detail.contains(folder.to_str().unwrap()), "{detail}");
    }
    let agent = agent(&tenant, "tiny", json!({})).await;
    tenant.client.post(&tenant.path("/chat"), &json!({"agent_id": agent, "query": "Hello?"})).await.is(200);
    // Not asked how it ended: what llama.cpp says of such a file are errors in its log.
    server.kill();
}

/// Some bytes of the file are others: those of its words, its sizes, its descriptions.
#[tokio::test(flavor = "multi_thread")]
async fn no_damage_to_a_file_ends_the_server() {
    let home = home("");
    let folder = home.path().join("models");
    let whole = std::fs::read(folder.join("tiny.gguf")).unwrap();
    let place = |text: &[u8]| whole.windows(text.len()).position(|window| window == text).unwrap();
    let damages = [
        // Without this word the end of a line cannot be read.
        ("word", place(b"<0x0A>") + 2, b'y'),
        ("heads", place(b"llama.attention.head_count") + 30, 0),
        ("layers", place(b"llama.block_count") + 21, 200),
        ("width", place(b"llama.embedding_length") + 26, 31),
        ("epsilon", place(b"rms_epsilon") + 18, 255),
        ("kind", place(b"blk.0.ffn_up.weight") + 19 + 4 + 16, 30),
        ("place", place(b"output.weight") + 13 + 4 + 16 + 4 + 7, 255),
        ("tokens", place(b"tokenizer.ggml.tokens") + 30, 1),
    ];
    for (name, at, byte) in damages {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        std::fs::write(folder.join(format!("{name}.gguf")), bytes).unwrap();
    }
    let server = Server::within(home, &[]);
    let tenant = Tenant::new(&server.admin()).await;
    for (name, _, _) in damages {
        let agent = agent(&tenant, name, json!({})).await;
        let body = json!({"agent_id": agent, "query": "Hello?\nHow are you?"});
        let reply = tenant.client.post(&tenant.path("/chat"), &body).await;
        // Of some damage nobody can tell.
        assert!([200, 503].contains(&reply.status), "{name}: {}", reply.text());
        let ends_its_process = ["word", "epsilon"].contains(&name);
        assert_eq!(reply.text().contains("cannot be run: its file is damaged"), ends_its_process, "{}", reply.text());
    }
    let agent = agent(&tenant, "tiny", json!({})).await;
    tenant.client.post(&tenant.path("/chat"), &json!({"agent_id": agent, "query": "Hello?"})).await.is(200);
    // Not asked how it ended: what llama.cpp says of such a file are errors in its log.
    server.kill();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_inside_reads_facts() {
    let server = Server::within(home("[graph]\nprovider = \"local\"\nmodel = \"tiny\""), &[]);
    let tenant = Tenant::new(&server.admin()).await;
    tenant.document("a.md", "Okafor audits Kettlewright Works.").await;
    loop {
        let stats = tenant.client.get(&tenant.path("/stats")).await.is(200).json();
        if stats["facts_pending"] == 0 && stats["chunks_to_ask"] == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(server.home().log().contains("a language model was asked"), "{}", server.home().log());
}

#[test]
fn the_doctor_names_the_models_and_what_is_missing() {
    let home = home("");
    make(&home.path().join("models/small.gguf"));
    let run = home.run(&["doctor"]).exits(0);
    assert!(run.stdout.contains("language models: local runs small, tiny"), "{}", run.stdout);
    std::fs::remove_dir_all(home.path().join("models")).unwrap();
    let run = home.run(&["doctor"]).exits(1);
    assert!(run.stdout.contains("local: there is no file *.gguf in models"), "{}", run.stdout);
}
