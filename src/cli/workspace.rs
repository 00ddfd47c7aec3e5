//! `carrel workspace`: what is done with whole workspaces, beyond what is done with any resource.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use futures_util::StreamExt;
use http::Method;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::client::{Client, query};
use super::resource::{Verb, WorkspaceFields, Workspaces, print, request};
use super::{DONE, FAILED, Failure, Options, Outcome, say};

#[derive(Subcommand)]
pub enum Workspace {
    #[command(flatten)]
    Verb(Verb<Workspaces, WorkspaceFields>),
    /// Show what one holds
    Stats { id: Uuid },
    /// Write a consistent copy of one to a file, while others use it
    Snapshot {
        id: Uuid,
        /// The file to write [default: SLUG.tar.zst]
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Make a workspace of a snapshot
    Import {
        file: PathBuf,
        #[command(flatten)]
        place: Workspaces,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        slug: Option<String>,
    },
    /// Make a workspace with what another holds
    Copy {
        id: Uuid,
        #[arg(long)]
        name: String,
        #[arg(long)]
        slug: String,
    },
    /// Make a workspace of a directory that was put under `workspaces/`; without a name, list those
    Adopt {
        directory: Option<String>,
        #[command(flatten)]
        place: Workspaces,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        slug: Option<String>,
        /// Take it even if originals or the last changes are missing
        #[arg(long)]
        accept_loss: bool,
    },
    /// Tell whether one is whole; exit 1 where it is not
    Check {
        id: Uuid,
        /// Make anew what is derived
        #[arg(long)]
        repair: bool,
    },
    /// Hold one still, so that its directory can be copied
    Freeze {
        id: Uuid,
        #[arg(long, default_value_t = 300)]
        seconds: u32,
    },
    /// End a freeze
    Thaw { id: Uuid },
    /// Make a workspace's vectors anew with another embedding model, or its indexes anew with the one it has
    Reindex {
        id: Uuid,
        #[command(flatten)]
        what: Reindex,
    },
    /// List deleted workspaces that can be restored
    Trash {
        #[command(flatten)]
        place: Workspaces,
    },
    /// Take one out of the trash
    Restore {
        id: Uuid,
        #[command(flatten)]
        place: Workspaces,
    },
}

#[derive(Args)]
#[group(skip)]
pub struct Reindex {
    /// A model that lies in models/; searches use the old one's vectors until the new ones are whole
    #[arg(long, value_name = "NAME", conflicts_with_all = ["rollback", "confirm", "status"])]
    model: Option<String>,
    /// Go back to the model from before
    #[arg(long, conflicts_with_all = ["confirm", "status"])]
    rollback: bool,
    /// Give up the vectors of the model from before; there is no way back after this
    #[arg(long, conflicts_with = "status")]
    confirm: bool,
    /// Show the models that there are vectors of
    #[arg(long)]
    status: bool,
}

impl Workspace {
    pub async fn run(self, options: &Options) -> Outcome {
        let post =
            |path: String, body: Value| async move { request(options, Method::POST, &path, Some(body), &[]).await };
        match self {
            Workspace::Verb(verb) => verb.run(options).await,
            Workspace::Stats { id } => {
                request(options, Method::GET, &format!("/workspaces/{id}/stats"), None, &[]).await
            }
            Workspace::Snapshot { id, output } => snapshot(options, id, output).await,
            Workspace::Import { file, place, name, slug } => import(options, &file, place.org, name, slug).await,
            Workspace::Copy { id, name, slug } => {
                post(format!("/workspaces/{id}/copy"), json!({"name": name, "slug": slug})).await
            }
            Workspace::Adopt { directory: None, .. } => {
                let columns = ["directory", "name", "at_rest", "is_copy", "size_bytes", "problem"];
                request(options, Method::GET, "/workspaces/unadopted", None, &columns).await
            }
            Workspace::Adopt { directory: Some(directory), place, name, slug, accept_loss } => {
                let body = json!({"directory": directory, "name": name, "slug": slug, "accept_loss": accept_loss});
                post(format!("/organizations/{}/workspaces/adopt", place.org), body).await
            }
            Workspace::Check { id, repair } => check(options, id, repair).await,
            Workspace::Freeze { id, seconds } => {
                post(format!("/workspaces/{id}/freeze"), json!({"seconds": seconds})).await
            }
            Workspace::Thaw { id } => {
                request(options, Method::DELETE, &format!("/workspaces/{id}/freeze"), None, &[]).await
            }
            Workspace::Reindex { id, what } => reindex(options, id, what).await,
            Workspace::Trash { place } => {
                let columns = ["id", "slug", "name", "deleted_at"];
                request(options, Method::GET, &format!("/organizations/{}/trash", place.org), None, &columns).await
            }
            Workspace::Restore { id, place } => {
                let path = format!("/organizations/{}/trash/{id}/restore", place.org);
                request(options, Method::POST, &path, None, &[]).await
            }
        }
    }
}

async fn reindex(options: &Options, id: Uuid, what: Reindex) -> Outcome {
    let path = format!("/workspaces/{id}/reindex");
    let client = Client::open(options).await?;
    if what.status || what.confirm {
        let answer = match what.confirm {
            true => client.json(Method::POST, &format!("{path}/confirm"), None).await,
            false => client.json(Method::GET, &path, None).await,
        };
        client.close().await;
        let answer = answer?;
        let shown = if options.json { &answer } else { &answer["models"] };
        print(options, shown, &["name", "is_active", "vectors", "lacking"])?;
        return Ok(DONE);
    }
    let filed = match what.rollback {
        true => client.json(Method::POST, &format!("{path}/rollback"), None).await,
        false => client.json(Method::POST, &path, Some(&json!({"embedding_model": what.model}))).await,
    };
    let followed = match filed {
        Ok(job) => follow(options, &client, id, job).await,
        Err(failure) => Err(failure),
    };
    client.close().await;
    let job = followed?;
    if options.json {
        say(&job.to_string())?;
    } else {
        let (done, total, status) = (&job["done"], &job["total"], job["status"].as_str().unwrap_or("unknown"));
        say(&format!("{done} of {total} chunks; {status}"))?;
        for error in job["errors"].as_array().into_iter().flatten() {
            say(error["message"].as_str().unwrap_or_default())?;
        }
    }
    Ok(if job["status"] == "succeeded" { DONE } else { FAILED })
}

/// Follows a job to its end, with a bar where somebody is looking.
async fn follow(options: &Options, client: &Client, id: Uuid, mut job: Value) -> Outcome<Value> {
    let hidden = options.json || !std::io::stderr().is_terminal();
    let bar = if hidden { ProgressBar::hidden() } else { ProgressBar::new(0) };
    bar.set_style(
        ProgressStyle::with_template("{bar:30} {pos}/{len} chunks {per_sec} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let number = job["id"].as_str().unwrap_or_default().to_owned();
    let events = format!("/workspaces/{id}/jobs/{number}/events");
    let reply = client.send(Method::GET, &events, "application/json", Default::default()).await?;
    reply
        .events(|event| {
            bar.set_length(event["total"].as_u64().unwrap_or(0));
            bar.set_position(event["done"].as_u64().unwrap_or(0));
            job = event;
            Ok(())
        })
        .await?;
    bar.finish_and_clear();
    Ok(job)
}

async fn check(options: &Options, id: Uuid, repair: bool) -> Outcome {
    let client = Client::open(options).await?;
    let path = format!("/workspaces/{id}/check");
    let report = client.json(Method::POST, &path, Some(&json!({"repair": repair}))).await;
    client.close().await;
    let report = report?;
    let whole = report["whole"] == true;
    if options.json {
        say(&report.to_string())?;
    } else {
        for finding in report["findings"].as_array().into_iter().flatten() {
            let mark = if finding["repaired"] == true { "repaired" } else { "damaged" };
            let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
            say(&format!("{mark:8}  {}: {}", text("part"), text("problem")))?;
        }
        let verdict = if whole { "whole" } else { "not whole" };
        say(&format!("{verdict}: {} documents, {} chunks", report["documents"], report["chunks"]))?;
    }
    Ok(if whole { DONE } else { FAILED })
}

/// A bar that counts bytes; with no length it only shows how many.
fn bytes_bar(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {bytes_per_sec}"),
    };
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

async fn snapshot(options: &Options, id: Uuid, output: Option<PathBuf>) -> Outcome {
    let client = Client::open(options).await?;
    let written = download(&client, id, output).await;
    client.close().await;
    let (file, bytes) = written?;
    match options.json {
        true => say(&json!({"file": file, "bytes": bytes}).to_string())?,
        false => say(&format!("{}: {bytes} bytes", file.display()))?,
    }
    Ok(DONE)
}

async fn download(client: &Client, id: Uuid, output: Option<PathBuf>) -> Outcome<(PathBuf, u64)> {
    let file = match output {
        Some(file) => file,
        None => {
            let workspace = client.json(Method::GET, &format!("/workspaces/{id}"), None).await?;
            PathBuf::from(format!("{}.tar.zst", workspace["slug"].as_str().unwrap_or("workspace")))
        }
    };
    let path = format!("/workspaces/{id}/snapshot");
    let reply = client.send(Method::POST, &path, "application/json", Default::default()).await?;
    if !reply.status.is_success() {
        return Err(reply.json().await.err().unwrap_or(Failure::Failed("the snapshot failed".into())));
    }
    // Only a whole snapshot gets the name.
    let part = file.with_added_extension("part");
    let written = write(reply, &part).await;
    match written {
        Ok(bytes) => {
            tokio::fs::rename(&part, &file).await?;
            Ok((file, bytes))
        }
        Err(failure) => {
            // Why it failed is what matters.
            let _ = tokio::fs::remove_file(&part).await;
            Err(failure)
        }
    }
}

async fn write(reply: super::client::Reply, part: &Path) -> Outcome<u64> {
    let mut file = tokio::fs::File::create(part).await?;
    let (bar, mut bytes, mut body) = (bytes_bar(None), 0, reply.into_stream());
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(Failure::Failed)?;
        file.write_all(&piece).await?;
        bytes += piece.len() as u64;
        bar.set_position(bytes);
    }
    file.sync_all().await?;
    bar.finish_and_clear();
    Ok(bytes)
}

async fn import(options: &Options, file: &Path, org: Uuid, name: Option<String>, slug: Option<String>) -> Outcome {
    let opened = tokio::fs::File::open(file).await;
    let opened = opened.map_err(|e| Failure::Usage(format!("{} cannot be read: {e}", file.display())))?;
    let bar = bytes_bar(Some(opened.metadata().await?.len()));
    let path = format!("/organizations/{org}/workspaces/import{}", query(&[("name", name), ("slug", slug)]));
    let client = Client::open(options).await?;
    let counted = bar.clone();
    let body =
        ReaderStream::new(opened).inspect(move |piece| counted.inc(piece.as_ref().map_or(0, |p| p.len() as u64)));
    let answer = match client.upload(Method::POST, &path, "application/zstd", body).await {
        Ok(reply) => reply.json().await,
        Err(failure) => Err(failure),
    };
    client.close().await;
    bar.finish_and_clear();
    print(options, &answer?, &[])?;
    Ok(DONE)
}
