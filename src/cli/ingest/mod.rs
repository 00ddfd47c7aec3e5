//! `carrel ingest`: files and folders into a workspace, and folders kept in step with it.
//!
//! [`folder`] looks what is there, [`holdings`] what the workspace has, [`plan`] compares the two, [`apply`] does what
//! follows by way of [`send`], [`report`] tells of it, and [`watch`] does all that again and again when a
//! [`notice`] comes.

mod apply;
mod clean;
mod folder;
mod former;
mod holdings;
mod notice;
mod opening;
mod plan;
mod report;
mod send;
mod watch;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use uuid::Uuid;

use self::apply::Run;
use self::folder::{Root, Scan};
use self::holdings::Holdings;
use self::plan::{Hashes, Plan};
use self::report::{Lines, Report};
use self::send::Sender;
use super::client::Client;
use super::{DONE, Failure, Options, Outcome, say};
use crate::app::DEFAULT_WORKSPACE;
use crate::datadir::DataDir;

/// Files by themselves up to which each is sent and the interface compares, which is quicker than to list what it has.
const FEW: usize = 64;

#[derive(Args)]
pub struct Ingest {
    /// The workspace's id
    #[arg(long, visible_alias = "workspace-id", value_name = "ID", default_value_t = DEFAULT_WORKSPACE)]
    workspace: Uuid,
    /// Files and folders
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// One more folder
    #[arg(long, value_name = "DIR")]
    directory: Vec<PathBuf>,
    /// Show what would be added, replaced and removed, and change nothing
    #[arg(long, conflicts_with = "watch")]
    dry_run: bool,
    /// Remove documents that came from this folder and whose files are gone from it
    #[arg(long)]
    prune: bool,
    /// Go on taking in what changes, until interrupted
    #[arg(long)]
    watch: bool,
    /// What this folder is known by, wherever it lies [default: its name and a digest of its place]
    #[arg(long, value_name = "NAME", value_parser = folder_name)]
    folder_name: Option<String>,
    /// Take in hidden and temporary files and node_modules as well
    #[arg(long)]
    hidden: bool,
    /// Delete all the workspace's documents first
    #[arg(long)]
    clean: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Requests under way at once
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
    /// Print a line for each change
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    former: former::Former,
}

fn folder_name(name: &str) -> Result<String, &'static str> {
    match name.trim().is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
        true => Err("a folder's name has 1 to 200 characters and no control characters"),
        false => Ok(name.to_owned()),
    }
}

pub async fn run(options: &Options, verb: Ingest) -> Outcome {
    verb.former.explain();
    let roots = verb.roots()?;
    if verb.dry_run {
        return dry_run(options, &verb, roots).await;
    }
    let scan = look(&roots, verb.hidden)?;
    let mut client = Client::open(options).await?;
    let outcome = put_in_step(options, &verb, &mut client, roots, scan).await;
    client.close().await;
    outcome
}

async fn put_in_step(options: &Options, verb: &Ingest, client: &mut Client, roots: Vec<Root>, scan: Scan) -> Outcome {
    if verb.clean {
        clean::clean(client, verb.workspace, verb.yes).await?;
    }
    match verb.watch {
        true => watch::follow(options, verb, client, roots, scan.notes).await,
        false => take_in(options, verb, client, roots, scan).await,
    }
}

impl Ingest {
    fn roots(&self) -> Outcome<Vec<Root>> {
        let paths: Vec<&PathBuf> = self.paths.iter().chain(&self.directory).collect();
        if paths.is_empty() && !self.clean {
            return Err(Failure::Usage("name files or folders to take in".to_owned()));
        }
        // Of several folders, each keeps its name, so that files of one name stay apart.
        let open = |path: &&PathBuf| Root::open(path, self.folder_name.as_deref(), paths.len() > 1);
        let roots = paths.iter().map(open).collect::<Outcome<Vec<Root>>>()?;
        let folders = roots.iter().filter(|root| root.folder.is_some()).count();
        let wrong = match folders {
            0 if self.prune => Some("--prune is about a folder; name one"),
            0 if self.watch => Some("--watch follows a folder; name one"),
            0 | 2.. if self.folder_name.is_some() => Some("--folder-name names one folder"),
            _ => None,
        };
        wrong.map_or(Ok(roots), |why| Err(Failure::Usage(why.to_owned())))
    }

    fn run<'a>(&'a self, client: &'a Client, bar: ProgressBar) -> Run<'a> {
        let chunk_tokens = self.former.chunk_tokens();
        let sender = Sender { client, workspace: self.workspace, chunk_tokens };
        Run { sender, at_once: usize::from(self.jobs), gives_up: self.watch, prunes: self.prune, together: true, bar }
    }

    /// Refuses to take a folder that lost everything at its word: a disk that is not there looks just so.
    fn refuse_emptied(&self, plan: &Plan) -> Outcome<()> {
        match plan.emptied.first().filter(|_| self.prune && !self.yes) {
            Some(folder) => Err(Failure::Failed(format!(
                "there is nothing in the folder {folder}, and --prune would remove all that came from it; \
                 if that is right, say --yes"
            ))),
            None => Ok(()),
        }
    }
}

/// Looks into the folders, and says what was left out.
fn look(roots: &[Root], hidden: bool) -> Outcome<Scan> {
    let scan = folder::scan(roots, hidden)?;
    scan.notes.iter().for_each(|note| eprintln!("{note}"));
    Ok(scan)
}

async fn take_in(options: &Options, verb: &Ingest, client: &Client, roots: Vec<Root>, scan: Scan) -> Outcome {
    let lines = if verb.verbose && !options.json { Lines::Text } else { Lines::None };
    let mut report = Report::new(lines);
    let few = roots.iter().all(|root| root.folder.is_none()) && scan.files.len() <= FEW;
    let mut together = true;
    let mut holdings = match few || verb.clean {
        true => Holdings::default(),
        false => match Holdings::list(client, verb.workspace).await {
            // Whoever may only put documents in leaves the comparing to the interface.
            Err(Failure::Refused { code, .. }) if code == "forbidden" && !verb.prune => {
                eprintln!("the key may not list documents, so every file is sent");
                together = false;
                Holdings::default()
            }
            listed => listed?,
        },
    };
    let (plan, holdings_back, _) = compare(Arc::new(roots), scan, holdings, Hashes::default(), verb.prune).await?;
    holdings = holdings_back;
    verb.refuse_emptied(&plan)?;
    tell_elsewhere(&plan);
    plan.unread.iter().try_for_each(|(source, why)| report.fail(source, "unreadable", why))?;
    plan.foreign.iter().try_for_each(|(source, folder)| report.fail(source, "conflict", &is_foreign(folder)))?;
    report.note_unchanged(plan.unchanged.len() as u64);
    let bar = progress(plan.send.len() as u64, options.json || verb.verbose);
    let gone = if verb.prune { plan.gone.as_slice() } else { &[] };
    let run = Run { together, ..verb.run(client, bar) };
    run.apply(plan.send, gone, &mut holdings, &mut report).await?;
    run.bar.finish_and_clear();
    report.finish(options.json, (plan.gone.len() - gone.len()) as u64)
}

/// Says what would happen. Where there is no data, everything would be new, and none is made.
async fn dry_run(options: &Options, verb: &Ingest, roots: Vec<Root>) -> Outcome {
    let scan = look(&roots, verb.hidden)?;
    let holdings = match options.url.is_some() || DataDir::is_one(&options.quiet_config()?.data) {
        false => Holdings::default(),
        true => {
            let client = Client::open_existing(options).await?;
            let listed = Holdings::list(&client, verb.workspace).await;
            client.close().await;
            listed?
        }
    };
    let (cleaned, holdings) = match verb.clean {
        true => (holdings.documents.into_keys().collect(), Holdings::default()),
        false => (Vec::new(), holdings),
    };
    let (plan, _, _) = compare(Arc::new(roots), scan, holdings, Hashes::default(), verb.prune).await?;
    tell_elsewhere(&plan);
    let gone = plan.gone.iter().map(|gone| &gone.source);
    let removed: Vec<&String> = cleaned.iter().chain(gone.clone().filter(|_| verb.prune)).collect();
    let steps = |replaces: bool| plan.send.iter().filter(move |step| step.replaces == replaces);
    let (added, replaced) = (steps(false).count(), steps(true).count());
    let left = if verb.prune { 0 } else { plan.gone.len() };
    let mut files: Vec<(&str, &str)> = plan.send.iter().map(|step| (how(step.replaces), &*step.file.source)).collect();
    files.extend(plan.unchanged.iter().map(|source| ("unchanged", source.as_str())));
    files.extend(plan.unread.iter().map(|(source, _)| ("unreadable", source.as_str())));
    files.extend(plan.foreign.iter().map(|(source, _)| ("conflict", source.as_str())));
    files.sort_by(|a, b| a.1.cmp(b.1));
    files.extend(removed.iter().map(|source| ("remove", source.as_str())));
    if options.json {
        let list: Vec<Value> =
            files.iter().map(|(action, source)| json!({"action": action, "source": source})).collect();
        say(&json!({
            "files": list, "add": added, "replace": replaced, "unchanged": plan.unchanged.len(),
            "remove": removed.len(), "gone": left, "unreadable": plan.unread.len(), "conflict": plan.foreign.len(),
        })
        .to_string())?;
    } else {
        files.iter().try_for_each(|(action, source)| say(&format!("{action} {source}")))?;
        let (unchanged, removed) = (plan.unchanged.len(), removed.len());
        say(&format!("{added} to add, {replaced} to replace, {unchanged} unchanged, {removed} to remove"))?;
        for (source, why) in &plan.unread {
            eprintln!("{source}: {why}");
        }
        for (source, folder) in &plan.foreign {
            eprintln!("{source}: {}", is_foreign(folder));
        }
        if left > 0 {
            eprintln!("gone from the folder, and still documents: {left} (--prune would remove such)");
        }
    }
    verb.refuse_emptied(&plan)?;
    Ok(DONE)
}

fn how(replaces: bool) -> &'static str {
    if replaces { "replace" } else { "add" }
}

/// Why a file does not go in that another folder brought in another state.
fn is_foreign(folder: &str) -> String {
    format!(
        "the folder {folder} has brought another document of this name; where this is that folder, moved, go on with \
         --folder-name {folder}; else name both folders in one run"
    )
}

/// [`plan::compare`], which reads files, where it holds nobody up.
async fn compare(
    roots: Arc<Vec<Root>>,
    scan: Scan,
    holdings: Holdings,
    mut hashes: Hashes,
    prunes: bool,
) -> Outcome<(Plan, Holdings, Hashes)> {
    let comparing = tokio::task::spawn_blocking(move || {
        let plan = plan::compare(&roots, scan, &holdings, &mut hashes, prunes);
        (plan, holdings, hashes)
    });
    comparing.await.map_err(|e| Failure::Failed(e.to_string()))
}

/// Documents that another folder brought stay that folder's as long as they are the same.
fn tell_elsewhere(plan: &Plan) {
    for (folder, documents) in &plan.elsewhere {
        eprintln!(
            "of the unchanged, {documents} came from the folder {folder} and stay with it; where this is that folder, \
             moved, go on with --folder-name {folder}"
        );
    }
}

fn progress(files: u64, hidden: bool) -> ProgressBar {
    if hidden || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta}");
    ProgressBar::new(files).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
