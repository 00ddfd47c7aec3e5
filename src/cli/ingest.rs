//! `carrel ingest`: files and folders into a workspace.

use std::collections::{BTreeMap, HashSet};
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use clap::Args;
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use walkdir::WalkDir;

use super::client::Client;
use super::{DONE, FAILED, Failure, Options, Outcome, PARTLY, multipart, say};
use crate::app::DEFAULT_WORKSPACE;
use crate::datadir::DataDir;
use crate::ingest::is_archive;

#[derive(Args)]
pub struct Ingest {
    /// The workspace's id
    #[arg(long, default_value_t = DEFAULT_WORKSPACE.to_string())]
    workspace: String,
    /// Files and folders
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// One more folder
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Delete the workspace's documents first
    #[arg(long)]
    clean: bool,
    /// Say what would be taken in, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Files under way at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
}

/// A file and what it is called in the workspace.
struct Found {
    path: PathBuf,
    source: String,
}

/// How it went, as it goes.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<&'static str, u64>,
    chunks: u64,
    /// Failures of which only the number is known.
    unnamed: u64,
    errors: Vec<Value>,
}

pub async fn run(options: &Options, verb: Ingest) -> Outcome {
    let roots: Vec<&PathBuf> = verb.paths.iter().chain(&verb.directory).collect();
    if roots.is_empty() && !verb.clean {
        return Err(Failure::Usage("name files or folders to take in".to_owned()));
    }
    let mut files = Vec::new();
    for root in &roots {
        // Of several folders, each keeps its name, so that files of one name stay apart.
        files.extend(find(root, roots.len() > 1)?);
    }
    let mut sources = HashSet::new();
    if let Some(twice) = files.iter().find(|file| !sources.insert(file.source.as_str())) {
        let why = format!("two files would be the document {}; name the folder that holds both", twice.source);
        return Err(Failure::Usage(why));
    }
    if verb.dry_run {
        files.iter().try_for_each(|file| say(&file.source))?;
        return Ok(DONE);
    }
    let client = Client::open(options).await?;
    let outcome = take_in(options, &verb, &client, files).await;
    client.close().await;
    outcome
}

async fn take_in(options: &Options, verb: &Ingest, client: &Client, files: Vec<Found>) -> Outcome {
    if verb.clean {
        clean(client, verb).await?;
    }
    let started = Instant::now();
    let bar = progress(files.len() as u64, options.json);
    let tally = Mutex::new(Tally::default());
    let many = files.len();
    stream::iter(files)
        .for_each_concurrent(usize::from(verb.jobs), |file| {
            let (bar, tally) = (&bar, &tally);
            async move {
                let outcome = send(client, &verb.workspace, &file).await;
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.note(&file.source, outcome);
                bar.inc(1);
                bar.set_message(file.source);
            }
        })
        .await;
    bar.finish_and_clear();
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let count = |name| tally.counts.get(name).copied().unwrap_or(0);
    let (failed, seconds) = (tally.errors.len() as u64 + tally.unnamed, started.elapsed().as_secs_f64());
    for error in &tally.errors {
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        eprintln!("failed: {}: {}", text("source"), text("message"));
    }
    if options.json {
        say(&json!({
            "added": count("added"), "replaced": count("replaced"), "unchanged": count("unchanged"), "failed": failed,
            "chunks": tally.chunks, "seconds": seconds, "errors": tally.errors,
        })
        .to_string())?;
    } else {
        say(&format!(
            "{} added, {} replaced, {} unchanged, {failed} failed; {} chunks in {seconds:.1} s",
            count("added"),
            count("replaced"),
            count("unchanged"),
            tally.chunks
        ))?;
    }
    let good = count("added") + count("replaced") + count("unchanged");
    Ok(match (failed, good) {
        (0, _) => DONE,
        (_, 0) if many > 0 => FAILED,
        _ => PARTLY,
    })
}

impl Tally {
    fn note(&mut self, source: &str, outcome: Outcome<Vec<Sent>>) {
        match outcome {
            Err(Failure::Refused { code, detail }) => {
                self.errors.push(json!({"source": source, "code": code, "message": detail}));
            }
            Err(failure) => {
                self.errors.push(json!({"source": source, "code": "failed", "message": failure.to_string()}));
            }
            Ok(sent) => {
                for one in sent {
                    match one {
                        Sent::Stored(kind, many, chunks) => {
                            *self.counts.entry(kind).or_default() += many;
                            self.chunks += chunks;
                        }
                        Sent::Failed(error) => self.errors.push(error),
                        Sent::Unnamed(more) => self.unnamed += more,
                    }
                }
            }
        }
    }
}

enum Sent {
    /// How, how many documents, how many chunks.
    Stored(&'static str, u64, u64),
    Failed(Value),
    /// So many more, of which no more is known.
    Unnamed(u64),
}

async fn send(client: &Client, workspace: &str, file: &Found) -> Outcome<Vec<Sent>> {
    let path = file.path.clone();
    let bytes = tokio::fs::read(&path).await.map_err(|e| Failure::Failed(e.to_string()))?;
    if is_archive(&file.source) {
        return send_archive(client, workspace, file, &bytes).await;
    }
    let name = file.source.rsplit('/').next().unwrap_or(&file.source);
    let (kind, body) = multipart::form(name, &bytes, &[("source", &file.source)]);
    let reply = client.send(Method::POST, &format!("/workspaces/{workspace}/documents"), &kind, body).await?;
    let status = reply.status;
    let document = reply.json().await?;
    let chunks = document["chunk_count"].as_u64().unwrap_or(0);
    let unchanged = status == StatusCode::OK && document["unchanged"] == true;
    let how = match (unchanged, document["created_at"] == document["updated_at"]) {
        (true, _) => "unchanged",
        (false, true) => "added",
        (false, false) => "replaced",
    };
    Ok(vec![Sent::Stored(how, 1, if unchanged { 0 } else { chunks })])
}

/// Sends an archive as a job and follows it to its end.
async fn send_archive(client: &Client, workspace: &str, file: &Found, bytes: &[u8]) -> Outcome<Vec<Sent>> {
    let (kind, body) = multipart::form(&file.source, bytes, &[]);
    let reply = client.send(Method::POST, &format!("/workspaces/{workspace}/ingest"), &kind, body).await?;
    let mut job = reply.json().await?;
    let id = job["id"].as_str().unwrap_or_default().to_owned();
    let path = format!("/workspaces/{workspace}/jobs/{id}/events");
    let events = client.send(Method::GET, &path, "application/json", Default::default()).await?;
    events
        .events(|event| {
            job = event;
            Ok(())
        })
        .await?;
    let mut sent = vec![Sent::Stored("added", job["done"].as_u64().unwrap_or(0), 0)];
    let errors = job["errors"].as_array().cloned().unwrap_or_default();
    let unnamed = job["failed"].as_u64().unwrap_or(0).saturating_sub(errors.len() as u64);
    sent.extend(errors.into_iter().map(Sent::Failed));
    sent.push(Sent::Unnamed(unnamed));
    let (status, failed) = (job["status"].as_str().unwrap_or("unknown"), job["failed"].as_u64().unwrap_or(0));
    if status != "succeeded" && failed == 0 {
        let message = format!("the job did not go through: it is {status}");
        sent.push(Sent::Failed(json!({"source": file.source, "code": "failed", "message": message})));
    }
    Ok(sent)
}

/// Every file under `root` that is neither hidden nor data of Carrel; links are not followed.
fn find(root: &Path, with_name: bool) -> Outcome<Vec<Found>> {
    let about = |e: String| Failure::Failed(format!("{}: {e}", root.display()));
    let root_is_file = std::fs::metadata(root).map_err(|e| about(e.to_string()))?.is_file();
    let mut found = Vec::new();
    let wanted = |entry: &walkdir::DirEntry| {
        let hidden = entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
        let ours = entry.file_type().is_dir() && DataDir::is_one(entry.path());
        if ours {
            eprintln!("{} is a data directory of Carrel, and is left out", entry.path().display());
        }
        !hidden && !ours
    };
    for entry in WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(wanted) {
        let entry = entry.map_err(|e| about(e.to_string()))?;
        if !entry.file_type().is_file() {
            continue;
        }
        let below =
            if root_is_file { entry.path().file_name().map(Path::new) } else { entry.path().strip_prefix(root).ok() };
        let name = root.file_name().filter(|_| with_name && !root_is_file).map(Path::new);
        let parts = name.into_iter().chain([below.unwrap_or(entry.path())]);
        let parts = parts.flat_map(Path::components).map(|part| part.as_os_str().to_string_lossy().into_owned());
        found.push(Found { source: parts.collect::<Vec<_>>().join("/"), path: entry.into_path() });
    }
    Ok(found)
}

async fn clean(client: &Client, verb: &Ingest) -> Outcome<()> {
    let documents = format!("/workspaces/{}/documents", verb.workspace);
    let listed = client.json(Method::GET, &format!("{documents}?limit=1"), None).await?;
    let total = listed["total"].as_u64().unwrap_or(0);
    eprintln!("--clean deletes all {total} documents of workspace {}", verb.workspace);
    if !verb.yes {
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

fn progress(files: u64, json: bool) -> ProgressBar {
    if json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta} {wide_msg}");
    ProgressBar::new(files).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
