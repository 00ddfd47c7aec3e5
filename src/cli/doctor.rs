//! `carrel doctor` and `carrel healthcheck`

use clap::Args;
use http::Method;
use serde_json::Value;

use super::client::Client;
use super::{DONE, FAILED, Failure, Options, Outcome, say};
use crate::config::Config;
use crate::datadir::DataDir;
use crate::embed::{Models, Purpose};
use crate::sandbox::{self, Confinement, Recognizer, Sandbox};

/// One thing that was looked at: what, and what was found or is wrong.
type Finding = (&'static str, Result<String, String>);

#[derive(Args)]
pub struct Doctor {
    /// Open no socket, not even to a server on this machine
    #[arg(long)]
    offline: bool,
}

pub async fn run(options: &Options, verb: Doctor) -> Outcome {
    let findings = examine(options, verb.offline).await?;
    let healthy = findings.iter().all(|(_, found)| found.is_ok());
    if options.json {
        let checks = findings.iter().map(|(name, found)| {
            let detail = found.as_ref().unwrap_or_else(|why| why);
            serde_json::json!({"check": name, "ok": found.is_ok(), "detail": detail})
        });
        say(&serde_json::json!({"ok": healthy, "checks": checks.collect::<Vec<_>>()}).to_string())?;
    } else {
        for (name, found) in &findings {
            say(&match found {
                Ok(detail) => format!("ok      {name}: {detail}"),
                Err(why) => format!("failed  {name}: {why}"),
            })?;
        }
    }
    Ok(if healthy { DONE } else { FAILED })
}

async fn examine(options: &Options, offline: bool) -> Outcome<Vec<Finding>> {
    let config = match options.quiet_config() {
        Ok(config) => config,
        Err(failure) => return Ok(vec![("configuration", Err(failure.to_string()))]),
    };
    let mut findings: Vec<Finding> = vec![("configuration", Ok("understood".to_owned()))];
    findings.push((
        "server",
        match DataDir::owner(&config.data) {
            Ok(Some(owner)) => Ok(format!("one runs at {}", owner.url)),
            Ok(None) => Ok("none runs; the directory is opened directly".to_owned()),
            Err(error) => Err(error.to_string()),
        },
    ));
    findings.push(("reranking", reranks(&config)));
    findings.push(("reading documents", reads(&config)));
    findings.push(("text recognition", recognizes(&config)));
    #[cfg(feature = "llama")]
    findings.extend(speaks(&config));
    let place = config.data.display().to_string();
    if !config.data.join("control.db").exists() {
        findings.push(("embedding", embeds(&config)));
        let is_free = std::fs::read_dir(&config.data).map_or(true, |mut entries| entries.next().is_none());
        findings.push((
            "data directory",
            match is_free {
                true => Ok(format!("{place} is empty or not there; the first start fills it")),
                false => Err(format!("{place} holds other files and is no data directory of Carrel")),
            },
        ));
        return Ok(findings);
    }
    if offline && matches!(DataDir::owner(&config.data), Ok(Some(_)) | Err(_)) {
        findings
            .push(("data directory", Err(format!("{place} is in use, and no socket may be opened to ask its server"))));
        return Ok(findings);
    }
    // Opening brings up the lock, the format, the runtime, the model and the register, each with its own sentence.
    let client = match Client::open(options).await {
        Ok(client) => client,
        Err(failure) => {
            findings.push(("data directory and embedding", Err(failure.to_string())));
            return Ok(findings);
        }
    };
    findings.push(("data directory", Ok(place)));
    let ready = client.json(Method::GET, "/readyz", None).await;
    findings.push((
        "embedding",
        match ready {
            Ok(ready) => Ok(format!("{} embeds", ready["embedding_model"].as_str().unwrap_or("the model"))),
            Err(failure) => Err(failure.to_string()),
        },
    ));
    if let Err(failure) = workspaces(&client, &mut findings).await {
        findings.push(("workspaces", Err(failure.to_string())));
    }
    client.close().await;
    Ok(findings)
}

/// Whether the runtime and the default model work, without a data directory.
fn embeds(config: &Config) -> Result<String, String> {
    let models = Models::open(&config.models, 1, &std::env::temp_dir()).map_err(|e| e.to_string())?;
    let model = models.default_model();
    model.embed(&["Is anybody there?"], Purpose::Query).map_err(|e| e.to_string())?;
    Ok(format!("{} embeds", model.model().name))
}

/// Whether the reranker, where there is one, can be loaded and works.
fn reranks(config: &Config) -> Result<String, String> {
    let models = Models::open(&config.models, 1, &std::env::temp_dir()).and_then(|m| m.with_reranker(&config.reranker));
    let models = models.map_err(|e| e.to_string())?;
    if models.rerankers().is_empty() {
        return Ok("there is no reranking model".to_owned());
    }
    // Loading tries it.
    models.reranker().map(|reranker| format!("{} reranks", reranker.name())).map_err(|e| e.to_string())
}

/// Whether documents can be read apart, and what holds the processes that read them.
fn reads(config: &Config) -> Result<String, String> {
    let limits =
        sandbox::Limits { memory: config.ingest.reader_bytes, seconds: config.ingest.reader_seconds, at_once: 1 };
    let sandbox = Sandbox::new(Sandbox::this_program(), limits, None);
    let Confinement { bounded, walled, filtered } = sandbox.confinement().map_err(|e| e.to_string())?;
    let held = [
        (bounded, "memory and time are bounded"),
        (walled, "files are out of reach"),
        (filtered, "system calls are filtered, so there is no network"),
    ];
    let say =
        |wanted: bool| held.iter().filter(|(holds, _)| *holds == wanted).map(|(_, what)| *what).collect::<Vec<_>>();
    let (holds, lacks) = (say(true).join(", "), say(false).join(", "));
    Ok(match lacks.is_empty() {
        true => holds,
        false => format!("{holds}; this system cannot see to it that {lacks}"),
    })
}

/// The language models that run in the process, for each provider of such.
#[cfg(feature = "llama")]
fn speaks(config: &Config) -> impl Iterator<Item = Finding> {
    let inside = config.providers.iter().filter(|(_, provider)| provider.kind == crate::config::ProviderKind::Llama);
    inside.map(|(name, provider)| {
        let found = crate::llm::models_inside(&config.models, provider);
        let found = found.map(|models| format!("{name} runs {}", models.join(", ")));
        ("language models", found.map_err(|why| format!("{name}: {why}")))
    })
}

/// What reads text in pictures.
fn recognizes(config: &Config) -> Result<String, String> {
    let languages = config.ingest.ocr_languages.as_str();
    if languages == "off" {
        return Ok("switched off".to_owned());
    }
    let Some(found) = Recognizer::find(languages) else {
        return Ok("there is no tesseract here: text in pictures and scanned pages is not read".to_owned());
    };
    if found.reaches(&config.data) {
        return Err(format!(
            "{} could read the data directory, as it lies among programs; put it elsewhere",
            found.program().display()
        ));
    }
    let program = found.program().display();
    match found.missing().map_err(|e| e.to_string())?.as_slice() {
        [] => Ok(format!("{program} reads {languages}")),
        missing => Err(format!("{program} has not got the languages {}", missing.join(", "))),
    }
}

/// Checks every workspace, reading all of it.
async fn workspaces(client: &Client, findings: &mut Vec<Finding>) -> Outcome<()> {
    let mut whole = 0;
    for organization in all(client, "/organizations").await? {
        let path = format!("/organizations/{}/workspaces", organization["id"].as_str().unwrap_or_default());
        for workspace in all(client, &path).await? {
            let id = workspace["id"].as_str().unwrap_or_default();
            let report = client.json(Method::POST, &format!("/workspaces/{id}/check"), None).await;
            match report {
                Ok(report) if report["whole"] == true => whole += 1,
                Ok(report) => {
                    let found = report["findings"].as_array().into_iter().flatten();
                    findings.extend(found.filter(|f| f["repaired"] != true).map(|finding| {
                        let text = |name: &str| finding[name].as_str().unwrap_or_default();
                        ("workspace", Err(format!("{id}: {}: {}", text("part"), text("problem"))))
                    }));
                }
                Err(failure) => findings.push(("workspace", Err(format!("{id}: {failure}")))),
            }
        }
    }
    findings.push(("workspaces", Ok(format!("{whole} whole"))));
    let unadopted = client.json(Method::GET, "/workspaces/unadopted", None).await?;
    for found in unadopted.as_array().into_iter().flatten() {
        let directory = found["directory"].as_str().unwrap_or_default();
        let hint = "belongs to nobody; `carrel workspace adopt` makes a workspace of it";
        findings.push(("workspaces", Ok(format!("the directory {directory} {hint}"))));
    }
    Ok(())
}

async fn all(client: &Client, path: &str) -> Outcome<Vec<Value>> {
    let mut found = Vec::new();
    loop {
        match client.json(Method::GET, &format!("{path}?limit=200&offset={}", found.len()), None).await? {
            Value::Array(items) if !items.is_empty() => found.extend(items),
            _ => return Ok(found),
        }
    }
}

/// Asks the server at the configured address.
pub async fn healthcheck(options: &Options) -> Outcome {
    let config = options.config(&[])?;
    let mut address = config.listen;
    if address.ip().is_unspecified() {
        address.set_ip([127, 0, 0, 1].into());
    }
    let reply = reqwest::get(format!("http://{address}/readyz")).await;
    match reply.map_err(|e| e.without_url().to_string()) {
        Ok(reply) if reply.status().is_success() => Ok(DONE),
        Ok(reply) => Err(Failure::Failed(format!("the server answered {}", reply.status()))),
        Err(why) => Err(Failure::Failed(why)),
    }
}
