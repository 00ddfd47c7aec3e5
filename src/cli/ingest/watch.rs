//! Follows folders: takes in what changes as it changes, until interrupted.
//!
//! The file system's notices only say that it is time to look; what is there is what a look finds, so a notice that was
//! lost, or never comes from a disk on another machine, costs time and nothing else. A file is taken in once it has
//! stayed the same for [`SETTLED`], and is gone once it has been missing for as long.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use notify::RecommendedWatcher;
use tokio::sync::mpsc;

use super::super::client::Client;
use super::super::{DONE, Failure, Options, Outcome};
use super::apply::passes;
use super::folder::{self, Found, Root, Scan, Stamp};
use super::holdings::Holdings;
use super::plan::{Gone, Hashes, Plan};
use super::report::{Lines, Report};
use super::{Ingest, compare, is_foreign, notice, tell_elsewhere};
use crate::ingest::is_archive;
use crate::server::Signals;

/// How long notices must have stopped before a look, and how long that is waited for.
const QUIET: Duration = Duration::from_millis(300);
const LONGEST_NOISE: Duration = Duration::from_secs(5);
/// How long a file must have stayed as it is.
const SETTLED: Duration = Duration::from_secs(1);
/// Looks without a notice: where notices come, and where they cannot be had.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const LOOK_OFTEN: Duration = Duration::from_secs(5);
/// How long the list of the workspace's documents is believed.
const LIST_AGAIN: Duration = Duration::from_secs(15 * 60);
/// Pauses before a server that is away is tried again.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Follows `roots` until the process is told to stop; `said` has been said of them.
pub async fn follow(
    options: &Options,
    verb: &Ingest,
    client: &mut Client,
    roots: Vec<Root>,
    said: Vec<String>,
) -> Outcome {
    let following = Following { said: said.into_iter().collect(), ..Following::new(options, verb, roots) };
    let mut signals = Signals::catch()?;
    tokio::select! {
        () = signals.next() => Ok(DONE),
        outcome = following.go_on(client) => outcome,
    }
}

struct Following<'a> {
    options: &'a Options,
    verb: &'a Ingest,
    roots: Arc<Vec<Root>>,
    /// Tells that it is time to look.
    notices: (mpsc::Sender<()>, mpsc::Receiver<()>),
    watcher: Option<RecommendedWatcher>,
    /// What the workspace holds, and since when that is believed.
    holdings: Option<(Holdings, Instant)>,
    hashes: Hashes,
    /// Files that changed, as they were seen last and since when they are so.
    unsettled: HashMap<String, (Stamp, Instant)>,
    /// Documents whose files are missing, and since when.
    missing: HashMap<String, Instant>,
    /// Files that could not be taken in, by the SHA-256 they had: they are tried again once they change, or, where the
    /// fault is not their own, with the next list of documents.
    refused: HashMap<String, Refused>,
    /// What keeps it from looking, as it was said.
    trouble: Option<String>,
    /// What has been said, so that it is not said again.
    said: HashSet<String>,
    is_first: bool,
}

struct Refused {
    hash: String,
    by_its_own_fault: bool,
}

fn is_locked_out(failure: &Failure) -> bool {
    matches!(failure, Failure::Refused { code, .. } if code == "unauthorized")
}

impl<'a> Following<'a> {
    fn new(options: &'a Options, verb: &'a Ingest, roots: Vec<Root>) -> Self {
        Following {
            options,
            verb,
            roots: Arc::new(roots),
            notices: mpsc::channel(1),
            watcher: None,
            holdings: None,
            hashes: Hashes::default(),
            unsettled: HashMap::new(),
            missing: HashMap::new(),
            refused: HashMap::new(),
            trouble: None,
            said: HashSet::new(),
            is_first: true,
        }
    }

    /// Looks and looks again. Ends only by what no waiting mends.
    async fn go_on(mut self, client: &mut Client) -> Outcome {
        let mut pause = PAUSE;
        loop {
            match self.pass(client).await {
                Ok(next) => {
                    pause = PAUSE;
                    self.wait(next).await;
                }
                // A server that began anew has another key for this machine.
                Err(failure) if passes(&failure) || is_locked_out(&failure) && client.find_again(self.options)? => {
                    self.complain(format!("{failure}; trying again"));
                    self.holdings = None;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    client.find_again(self.options)?;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Waits for a notice and then for quiet, or for `next` to pass.
    async fn wait(&mut self, next: Duration) {
        if tokio::time::timeout(next, self.notices.1.recv()).await.is_err() {
            return;
        }
        let first = Instant::now();
        while first.elapsed() < LONGEST_NOISE
            && matches!(tokio::time::timeout(QUIET, self.notices.1.recv()).await, Ok(Some(())))
        {}
    }

    /// Looks once and does what follows. When to look again, notice or not.
    async fn pass(&mut self, client: &Client) -> Outcome<Duration> {
        let believed =
            self.holdings.take().filter(|(holdings, listed)| !holdings.stale && listed.elapsed() < LIST_AGAIN);
        if believed.is_none() {
            // Notices of a folder that was put in another's place do not come to the old watcher.
            self.watcher = self.watch();
            self.refused.retain(|_, refused| refused.by_its_own_fault);
        }
        let (roots, hidden) = (self.roots.clone(), self.verb.hidden);
        let looking = tokio::task::spawn_blocking(move || folder::scan(&roots, hidden)).await;
        let mut scan = match looking.map_err(|e| Failure::Failed(e.to_string()))? {
            Ok(scan) => scan,
            Err(failure) if self.is_first => return Err(failure),
            // A disk that is not there may come back, and then everything is looked at anew.
            Err(failure) => {
                self.complain(failure.to_string());
                return Ok(LOOK_OFTEN);
            }
        };
        let (mut holdings, listed) = match believed {
            Some(believed) => believed,
            None => (Holdings::list(client, self.verb.workspace).await?, Instant::now()),
        };
        self.trouble = None;
        scan.notes.iter().for_each(|note| self.say(note.clone()));
        self.hold_back(&mut scan);
        let waits = !scan.unsettled.is_empty();
        let hashes = std::mem::take(&mut self.hashes);
        let (mut plan, back, hashes) = compare(self.roots.clone(), scan, holdings, hashes, self.verb.prune).await?;
        holdings = back;
        self.hashes = hashes;
        let gone = self.settled_gone(&plan)?;
        let waits = waits || self.verb.prune && gone.len() < plan.gone.len() && plan.emptied.is_empty();
        plan.send.retain(|step| self.refused.get(&step.file.source).is_none_or(|refused| refused.hash != step.hash));
        self.do_it(client, plan, gone, &mut holdings).await?;
        self.holdings = Some((holdings, listed));
        Ok(match (waits, &self.watcher) {
            (true, _) => SETTLED,
            (false, Some(_)) => LOOK_AGAIN,
            (false, None) => LOOK_OFTEN,
        })
    }

    async fn do_it(
        &mut self,
        client: &Client,
        mut plan: Plan,
        gone: Vec<Gone>,
        holdings: &mut Holdings,
    ) -> Outcome<()> {
        let mut report = Report::new(if self.options.json { Lines::Json } else { Lines::Text });
        report.note_unchanged(plan.unchanged.len() as u64);
        for (source, why) in std::mem::take(&mut plan.unread) {
            if self.said.insert(format!("{source}: {why}")) {
                report.fail(&source, "unreadable", &why)?;
            }
        }
        for (source, folder) in std::mem::take(&mut plan.foreign) {
            let why = is_foreign(&folder);
            if self.said.insert(format!("{source}: {why}")) {
                report.fail(&source, "conflict", &why)?;
            }
        }
        let tried: HashMap<String, String> =
            plan.send.iter().map(|step| (step.file.source.clone(), step.hash.clone())).collect();
        let run = self.verb.run(client, ProgressBar::hidden());
        run.apply(std::mem::take(&mut plan.send), &gone, holdings, &mut report).await?;
        let refused = report.failed().filter_map(|(source, code)| {
            let by_its_own_fault = !["failed", "internal"].contains(&code);
            Some((source.to_owned(), Refused { hash: tried.get(source)?.clone(), by_its_own_fault }))
        });
        self.refused.extend(refused);
        // An archive fails by what it holds; where nothing of it went in, nothing tells that it was here, and where
        // something fails in it again and again, documents of its state before stay.
        let archives = tried.into_iter().filter(|(source, _)| is_archive(source));
        self.refused.extend(archives.map(|(source, hash)| (source, Refused { hash, by_its_own_fault: true })));
        if self.is_first {
            tell_elsewhere(&plan);
            let left = if self.verb.prune { 0 } else { plan.gone.len() as u64 };
            report.finish(self.options.json, left)?;
            let places: Vec<String> = self.roots.iter().map(|root| root.path().display().to_string()).collect();
            eprintln!("watching {}", places.join(", "));
            self.is_first = false;
        }
        Ok(())
    }

    /// Leaves files for later that are perhaps being written. At the first look all are taken as they are: they come
    /// again where they change.
    fn hold_back(&mut self, scan: &mut Scan) {
        let there: HashSet<&str> = scan.files.iter().map(|file| file.source.as_str()).collect();
        self.unsettled.retain(|source, _| there.contains(source.as_str()));
        self.refused.retain(|source, _| there.contains(source.as_str()));
        self.hashes.keep_only(&scan.files);
        if self.is_first {
            return;
        }
        let files = std::mem::take(&mut scan.files);
        let is_settled = |file: &Found| {
            if self.hashes.know(file) {
                self.unsettled.remove(&file.source);
                return true;
            }
            let seen = self.unsettled.entry(file.source.clone()).or_insert((file.stamp, Instant::now()));
            if seen.0 != file.stamp {
                *seen = (file.stamp, Instant::now());
            }
            seen.1.elapsed() >= SETTLED
        };
        (scan.files, scan.unsettled) = files.into_iter().partition(is_settled);
    }

    /// The documents to remove: those whose files have been missing for long enough, where that was asked for.
    fn settled_gone(&mut self, plan: &Plan) -> Outcome<Vec<Gone>> {
        if !self.verb.prune {
            return Ok(Vec::new());
        }
        if let Err(refusal) = self.verb.refuse_emptied(plan) {
            return match self.is_first {
                true => Err(refusal),
                false => {
                    self.say(refusal.to_string());
                    Ok(Vec::new())
                }
            };
        }
        let gone: HashSet<&str> = plan.gone.iter().map(|gone| gone.source.as_str()).collect();
        self.missing.retain(|source, _| gone.contains(source.as_str()));
        let is_first = self.is_first;
        let is_settled = |gone: &&Gone| {
            let since = self.missing.entry(gone.source.clone()).or_insert_with(Instant::now);
            is_first || since.elapsed() >= SETTLED
        };
        Ok(plan.gone.iter().filter(is_settled).cloned().collect())
    }

    /// A watcher of all folders; where there can be none, the folders are looked at more often.
    fn watch(&mut self) -> Option<RecommendedWatcher> {
        let folders = self.roots.iter().map(|root| root.path().to_owned()).collect();
        notice::watch(folders, self.verb.hidden, self.notices.0.clone())
            .inspect_err(|error| {
                let seconds = LOOK_OFTEN.as_secs();
                self.say(format!("changes are not told of as they come ({error}); looking every {seconds} s"));
            })
            .ok()
    }

    /// Says what keeps it from looking, once while it lasts.
    fn complain(&mut self, text: String) {
        if self.trouble.as_ref() != Some(&text) {
            eprintln!("{text}");
            self.trouble = Some(text);
        }
    }

    fn say(&mut self, text: String) {
        if !self.said.contains(&text) {
            eprintln!("{text}");
            self.said.insert(text);
        }
    }
}
