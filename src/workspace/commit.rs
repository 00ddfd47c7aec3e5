//! Group commit and generations.
//!
//! Changes of knowledge that arrive together share one SQLite transaction and one commit of the full-text index:
//! whoever gets the turn first carries out what has queued up behind it. A change is answered when it is durable
//! and searchable. Each group that touches chunks raises the generation by one; if the index then fails to follow,
//! nothing is lost, and the next group or the next opening catches up.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use super::{Workspace, meta, rebuild, set_meta};
use crate::datadir::{Uploaded, make_durable};
use crate::error::{Error, Result};

/// Changes that share a commit at most, so that the first is not kept waiting for too many others.
const GROUP: usize = 128;

/// What a change works on.
pub struct Change<'a> {
    pub(super) db: &'a Connection,
    workspace: &'a Workspace,
    next: u64,
    touched: Cell<bool>,
    /// Originals that were moved to their place, with their hashes.
    kept: RefCell<Vec<(PathBuf, String)>>,
}

/// Carries out a change and gives back what tells its caller of the end.
type Run = Box<dyn FnOnce(&Change<'_>) -> Report + Send>;
/// Tells the caller that the group was committed, or why it was not.
type Report = Box<dyn FnOnce(Option<Error>) + Send>;

/// Changes that wait for their turn.
#[derive(Default)]
pub struct Queue {
    waiting: Mutex<Vec<Run>>,
    turn: Mutex<()>,
}

impl Change<'_> {
    /// The generation of what this change writes; asking for it says that knowledge changes.
    pub(super) fn generation(&self) -> i64 {
        self.touched.set(true);
        self.next as i64
    }

    /// Moves an upload to its place among the originals; one that is there already stays.
    pub fn keep_file(&self, upload: &Uploaded) -> Result<()> {
        let place = self.workspace.layout.file(&upload.sha256)?;
        if place.exists() {
            return Ok(());
        }
        if let Some(shelf) = place.parent() {
            crate::datadir::make_private(shelf)?;
        }
        std::fs::rename(upload.path(), &place)?;
        self.kept.borrow_mut().push((place, upload.sha256.clone()));
        Ok(())
    }

    /// Notes that an original lost a reference; it is removed after the commit if that was the last one.
    pub(super) fn release_file(&self, sha256: &str) -> Result<()> {
        self.db.execute("INSERT OR IGNORE INTO unreferenced_files VALUES (?1)", [sha256])?;
        Ok(())
    }
}

impl Workspace {
    /// Carries out `change` and returns when it is durable and searchable, or has left no trace.
    pub fn commit<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Change<'_>) -> Result<T> + Send + 'static,
    {
        let (sender, receiver) = sync_channel(1);
        let run: Run = Box::new(move |group| {
            let outcome = in_savepoint(group, change);
            report(sender, outcome)
        });
        self.commits.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(run);
        {
            let _turn = self.commits.turn.lock().unwrap_or_else(PoisonError::into_inner);
            // The one before may have carried out ours; then there is nothing left to do but to read the answer.
            let mut answer = receiver.try_recv();
            while answer.is_err() && self.commit_group() {
                answer = receiver.try_recv();
            }
            if let Ok(answer) = answer {
                return answer;
            }
        }
        Err(Error::Internal("a change was lost with the group that carried it".into()))
    }

    /// Carries out what waits. Returns whether there was anything.
    fn commit_group(&self) -> bool {
        let group: Vec<Run> = {
            let mut waiting = self.commits.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let count = waiting.len().min(GROUP);
            waiting.drain(..count).collect()
        };
        if group.is_empty() {
            return false;
        }
        let mut reports = Vec::with_capacity(group.len());
        let committed = self.db.write(|tx| {
            let next = meta(tx, "generation")? + 1;
            let (touched, kept) = (Cell::new(false), RefCell::default());
            let change = Change { db: tx, workspace: self, next, touched, kept };
            reports.extend(group.into_iter().map(|run| run(&change)));
            // A row must not outlive its file, so the files become durable first, all of the group together.
            let files: Vec<PathBuf> = change.kept.take().into_iter().map(|(place, _)| place).collect();
            make_durable(&files)?;
            if change.touched.get() {
                set_meta(tx, "generation", next)?;
                rebuild::prune_tombstones(tx, self.fulltext.generation()?)?;
            }
            Ok(change.touched.get())
        });
        match committed {
            Ok(touched) => {
                self.remove_unreferenced_files();
                if touched && let Err(error) = self.catch_up() {
                    tracing::error!(workspace.id = %self.id(), %error, "the full-text index did not follow a commit");
                }
                reports.into_iter().for_each(|report| report(None));
            }
            Err(error) => {
                for report in reports {
                    report(Some(match &error {
                        Error::InsufficientStorage => Error::InsufficientStorage,
                        other => Error::internal("commit", other),
                    }));
                }
            }
        }
        true
    }

    fn remove_unreferenced_files(&self) {
        let removed = self.db.write(|tx| {
            let hashes: Vec<String> = {
                let mut rows = tx.prepare_cached("SELECT sha256 FROM unreferenced_files")?;
                rows.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?
            };
            if hashes.is_empty() {
                return Ok(());
            }
            for hash in &hashes {
                let used: bool = tx.query_row(
                    "SELECT EXISTS (SELECT 1 FROM documents WHERE content_hash = ?1)
                         OR EXISTS (SELECT 1 FROM job_items WHERE sha256 = ?1)",
                    [hash],
                    |row| row.get(0),
                )?;
                let place = self.layout.file(hash)?;
                if !used && place.exists() {
                    std::fs::remove_file(place)?;
                }
            }
            tx.execute("DELETE FROM unreferenced_files", [])?;
            Ok(())
        });
        if let Err(error) = removed {
            tracing::warn!(workspace.id = %self.id(), %error, "an unused original stays until the next commit");
        }
    }
}

fn in_savepoint<T>(group: &Change<'_>, change: impl FnOnce(&Change<'_>) -> Result<T>) -> Result<T> {
    let (touched, kept) = (group.touched.get(), group.kept.borrow().len());
    group.db.execute_batch("SAVEPOINT change")?;
    let outcome = change(group);
    if outcome.is_err() {
        group.touched.set(touched);
        group.db.execute_batch("ROLLBACK TO change")?;
        let files: Vec<(PathBuf, String)> = group.kept.borrow_mut().drain(kept..).collect();
        files.iter().try_for_each(|(_, sha256)| group.release_file(sha256))?;
    }
    group.db.execute_batch("RELEASE change")?;
    outcome
}

fn report<T: Send + 'static>(sender: SyncSender<Result<T>>, outcome: Result<T>) -> Report {
    Box::new(move |failure| {
        let answer = failure.map_or(outcome, Err);
        // The caller waits for this answer on its own stack, so it is there.
        let _ = sender.send(answer);
    })
}
