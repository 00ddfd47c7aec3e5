//! Empties a workspace of its documents, and touches nothing else of it and no other.

use std::io::{BufRead, IsTerminal, Write};

use futures_util::{StreamExt, stream};
use http::Method;
use serde_json::Value;

use super::super::client::Client;
use super::super::{Failure, Outcome};

/// Deletes all documents of a workspace, once somebody has said yes.
pub async fn clean(client: &Client, workspace: uuid::Uuid, yes: bool) -> Outcome<()> {
    let documents = format!("/workspaces/{workspace}/documents");
    let listed = client.json(Method::GET, &format!("{documents}?limit=1"), None).await?;
    let total = listed["total"].as_u64().unwrap_or(0);
    eprintln!("--clean deletes all {total} documents of workspace {workspace}");
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Failure::Usage("--clean needs --yes where no terminal can answer".to_owned()));
        }
        eprint!("Go on? [y/N] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            return Err(Failure::Failed("nothing was deleted".to_owned()));
        }
    }
    loop {
        let page = client.json(Method::GET, &format!("{documents}?limit=200"), None).await?;
        let ids: Vec<String> = page["documents"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|document| document["id"].as_str().map(str::to_owned))
            .collect();
        if ids.is_empty() {
            return Ok(());
        }
        // Several at once share one commit.
        let deleted: Vec<Outcome<Value>> = stream::iter(ids)
            .map(|id| {
                let path = format!("{documents}/{id}");
                async move { client.json(Method::DELETE, &path, None).await }
            })
            .buffer_unordered(16)
            .collect()
            .await;
        deleted.into_iter().collect::<Outcome<Vec<_>>>()?;
    }
}
