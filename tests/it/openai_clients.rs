//! OpenAI's own package, LangChain and LlamaIndex, as their users run them, against a server.
//!
//! They need Python packages, which `.ci/run` puts into `target/clients`; without these the tests say that they are
//! skipped. `tests/clients` has what is run.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::server::{Server, finish};
use crate::tenant::Tenant;

/// The Python that has the packages, where there is one.
fn python() -> Option<PathBuf> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/bin/python");
    if !python.exists() {
        eprintln!("skipped: {} is not there; .ci/run makes it", python.display());
        return None;
    }
    Some(python)
}

/// Runs a client's script to its end, which must be a good one.
async fn run(python: PathBuf, script: &str, arguments: Vec<String>) {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(python);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    command.arg("-B").arg(scripts.join(script)).args(arguments).env_clear().current_dir(home.path());
    command.env("HOME", home.path()).env("TIKTOKEN_CACHE_DIR", home.path());
    command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    // What tiktoken else fetches from the network; its cache names a file by the digest of where it is from.
    std::fs::write(home.path().join("9b5ad71b2ce5302211f9c61530b329a4922fc6a4"), vocabulary()).unwrap();
    let run = tokio::task::spawn_blocking(move || finish(command, "")).await.unwrap();
    assert!(run.exits(0).stdout.contains("done"));
}

/// OpenAI's vocabulary `cl100k_base` as it is published.
fn vocabulary() -> String {
    let tokenizer = tiktoken_rs::cl100k_base_singleton();
    let line = |rank| format!("{} {rank}\n", STANDARD.encode(tokenizer.decode_bytes(&[rank]).unwrap()));
    (0..100_256).map(line).collect()
}

/// A tenant with the handbook and an agent of a name that OpenAI's models have.
async fn tenant(server: &Server) -> Tenant {
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    tenant.client.post(&tenant.path("/agents"), &json!({"name": "Another", "slug": "gpt-4o"})).await.is(201);
    tenant
}

#[tokio::test]
async fn openais_package_works() {
    let Some(python) = python() else { return };
    let server = Server::shared();
    let (own, foreign) = (tenant(&server).await, Tenant::new(&server.admin()).await);
    let key = own.key(&["chat", "search"]).await.token().to_owned();
    let foreign = format!("{}/first", foreign.workspace);
    run(python, "openai_client.py", vec![format!("{}/v1", server.url), key, foreign]).await;
}

#[tokio::test]
async fn langchain_works() {
    let Some(python) = python() else { return };
    let server = Server::shared();
    let key = tenant(&server).await.key(&["chat", "search"]).await.token().to_owned();
    run(python, "langchain_client.py", vec![format!("{}/v1", server.url), key]).await;
}

#[tokio::test]
async fn llama_index_works() {
    let Some(python) = python() else { return };
    let server = Server::shared();
    let key = tenant(&server).await.key(&["chat", "search"]).await.token().to_owned();
    run(python, "llama_index_client.py", vec![format!("{}/v1", server.url), key]).await;
}
