//! `carrel doctor` and `carrel healthcheck`

use http::Method;
use serde_json::Value;

use super::client::Client;
use super::{DONE, FAILED, Failure, Options, Outcome, say};
use crate::datadir::DataDir;

/// One thing that was looked at: what, and what was found or is wrong.
type Finding = (&'static str, Result<String, String>);

pub async fn run(options: &Options) -> Outcome {
    let findings = examine(options).await?;
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

async fn examine(options: &Options) -> Outcome<Vec<Finding>> {
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
    // Opening brings up the lock, the format, the runtime, the model and the register, each with its own sentence.
    let client = match Client::open(options).await {
        Ok(client) => client,
        Err(failure) => {
            findings.push(("data directory and embedding", Err(failure.to_string())));
            return Ok(findings);
        }
    };
    let place = config.data.display().to_string();
    findings.push(("data directory", Ok(place)));
    let ready = client.json(Method::GET, "/readyz", None).await;
    findings.push((
        "embedding",
        match ready {
            Ok(ready) => Ok(format!("{} embeds", ready["embedding_model"].as_str().unwrap_or("the model"))),
            Err(failure) => Err(failure.to_string()),
        },
    ));
    findings.extend(workspaces(&client).await);
    client.close().await;
    Ok(findings)
}

/// Looks at every workspace: it opens, and its indexes have followed.
async fn workspaces(client: &Client) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut whole = 0;
    for organization in all(client, "/organizations").await {
        let path = format!("/organizations/{}/workspaces", organization["id"].as_str().unwrap_or_default());
        for workspace in all(client, &path).await {
            let id = workspace["id"].as_str().unwrap_or_default();
            let stats = client.json(Method::GET, &format!("/workspaces/{id}/stats"), None).await;
            let wrong = match stats {
                Err(failure) => Some(failure.to_string()),
                Ok(stats) if stats["generation"] != stats["generations"]["fulltext"] => {
                    Some("the full-text index has not followed".to_owned())
                }
                Ok(stats) if stats["chunks"] != stats["vectors"] => {
                    Some("chunks and vectors differ in number".to_owned())
                }
                Ok(_) => None,
            };
            match wrong {
                Some(why) => findings.push(("workspace", Err(format!("{id}: {why}")))),
                None => whole += 1,
            }
        }
    }
    findings.push(("workspaces", Ok(format!("{whole} whole"))));
    findings
}

async fn all(client: &Client, path: &str) -> Vec<Value> {
    let mut found = Vec::new();
    loop {
        let page = client.json(Method::GET, &format!("{path}?limit=200&offset={}", found.len()), None).await;
        match page {
            Ok(Value::Array(items)) if !items.is_empty() => found.extend(items),
            _ => return found,
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
