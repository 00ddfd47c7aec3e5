//! Group commit and generations.
//!
//! Changes of knowledge that arrive together share one SQLite transaction and one commit of the full-text index:
//! whoever gets the turn first carries out what has queued up behind it. A change is answered when it is durable
//! and searchable. Each group that touches chunks raises the generation by one; if the index then fails to follow,
//! nothing is lost, and the next group or the next opening catches up.

use std::cell::{Cell, RefCell, RefMut};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use super::facts::Touched;
use super::{Workspace, follow, meta, network, set_meta};
use crate::datadir::{Uploaded, make_durable};
use crate::error::{Error, Result};
use crate::failpoint;

/// Changes that share a commit at most, so that the first is not kept waiting for too many others.
const GROUP: usize = 128;

/// What a change works on.
pub struct Change<'a> {
    pub(super) db: &'a Connection,
    workspace: &'a Workspace,
    next: u64,
    touched: Cell<bool>,
    /// What of the graph changes.
    graph: RefCell<Touched>,
    /// Originals that were moved to their place, with their hashes.
    kept: RefCell<Vec<(PathBuf, String)>>,
}

/// Carries out a change, unless its group failed before it began, and gives back what tells its caller of the end.
type Run = Box<dyn FnOnce(Result<&Change<'_>, &Error>) -> Report + Send>;
/// Tells the caller that the group was committed, or why it was not.
type Report = Box<dyn FnOnce(Option<Error>) + Send>;

/// Changes that wait for their turn.
#[derive(Default)]
pub struct Queue {
    waiting: Mutex<Vec<Run>>,
    turn: Mutex<()>,
    /// Readers of originals that may have lost their last reference meanwhile.
    pins: AtomicUsize,
}

impl Queue {
    /// The turn to commit.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps originals from being removed until [`Queue::unpin`].
    pub(super) fn pin(&self) {
        self.pins.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn unpin(&self) {
        self.pins.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Change<'_> {
    /// The generation of what this change writes; asking for it says that knowledge changes.
    pub(super) fn generation(&self) -> i64 {
        self.touched.set(true);
        self.next as i64
    }

    /// What of the graph this change touches.
    pub(super) fn graph(&self) -> RefMut<'_, Touched> {
        self.graph.borrow_mut()
    }

    /// Moves an upload to its place among the originals. One that is there already is replaced: a power cut may have
    /// left its name without its bytes.
    pub fn keep_file(&self, upload: &Uploaded) -> Result<()> {
        let place = self.workspace.layout.file(&upload.sha256)?;
        if let Some(shelf) = place.parent() {
            crate::datadir::make_private(shelf)?;
        }
        std::fs::rename(upload.path(), &place)?;
        self.kept.borrow_mut().push((place, upload.sha256.clone()));
        Ok(())
    }

    /// Carries out a part of the change that may fail alone: then it leaves no trace.
    pub fn attempt<T>(&self, part: impl FnOnce(&Change<'_>) -> Result<T>) -> Result<T> {
        in_savepoint(self, part)
    }

    /// Notes that an original lost a reference; it is removed after the commit if that was the last one.
    pub(super) fn release_file(&self, sha256: &str) -> Result<()> {
        self.db.prepare_cached("INSERT OR IGNORE INTO unreferenced_files VALUES (?1)")?.execute([sha256])?;
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
        let _writing = self.writing()?;
        let (sender, receiver) = sync_channel(1);
        let run: Run = Box::new(move |group| match group {
            Ok(group) => report(sender, in_savepoint(group, change)),
            Err(error) => report(sender, Err::<T, Error>(error.again())),
        });
        self.commits.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(run);
        {
            let _turn = self.commits.turn();
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
        let mut group: Vec<Run> = {
            let mut waiting = self.commits.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let count = waiting.len().min(GROUP);
            waiting.drain(..count).collect()
        };
        if group.is_empty() {
            return false;
        }
        let mut reports = Vec::with_capacity(group.len());
        let mut kept = Vec::new();
        let mut graph = Touched::default();
        let committed = self.db.write(|tx| {
            let next = meta(tx, "generation")? + 1;
            let change = Change {
                db: tx,
                workspace: self,
                next,
                touched: Cell::new(false),
                graph: RefCell::default(),
                kept: RefCell::default(),
            };
            reports.extend(group.drain(..).map(|run| run(Ok(&change))));
            let touched = change.touched.get();
            kept = change.kept.take();
            graph = change.graph.take();
            if !graph.is_empty() {
                network::raise_stamp(tx)?;
            }
            // A row must not outlive its file, so the files become durable first, all of the group together.
            let files: Vec<PathBuf> = kept.iter().map(|(place, _)| place.clone()).collect();
            failpoint::reach("commit.moved");
            make_durable(&files)?;
            failpoint::reach("commit.durable");
            if touched {
                set_meta(tx, "generation", next)?;
                tx.execute("INSERT INTO generations VALUES (?1, random())", [next as i64])?;
                let stamps = [self.fulltext().stamp().unwrap_or_default(), self.vectors().knn.stamp()];
                follow::prune_history(tx, &stamps)?;
            }
            failpoint::reach("commit.written");
            Ok(touched)
        });
        match committed {
            Ok(touched) => {
                failpoint::reach("commit.committed");
                self.remove_unreferenced_files();
                failpoint::reach("commit.released");
                if touched {
                    self.follow_commit();
                }
                if !graph.is_empty() {
                    self.follow_graph(&graph);
                }
                failpoint::reach("commit.followed");
                reports.into_iter().for_each(|report| report(None));
            }
            Err(error) => {
                self.remove_unused(kept.into_iter().map(|(_, sha256)| sha256));
                reports.extend(group.into_iter().map(|run| run(Err(&error))));
                reports.into_iter().for_each(|report| report(Some(error.again())));
            }
        }
        true
    }

    /// Removes originals that lost their last reference, unless somebody is reading them all.
    pub(super) fn remove_unreferenced_files(&self) {
        if self.commits.pins.load(Ordering::SeqCst) > 0 {
            return;
        }
        let released = self.db.read(|db| {
            let mut rows = db.prepare_cached("SELECT sha256 FROM unreferenced_files")?;
            Ok(rows.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?)
        });
        match released {
            Ok(released) if released.is_empty() => {}
            Ok(released) => self.remove_unused(released.into_iter()),
            Err(error) => tracing::warn!(workspace.id = %self.id(), %error, "unused originals stay for now"),
        }
    }

    /// Removes those of these originals that nothing refers to. What fails is left for the next time.
    pub(super) fn remove_unused(&self, originals: impl Iterator<Item = String>) {
        let removed = self.db.write(|tx| {
            for hash in originals {
                let used: bool = tx.query_row(
                    "SELECT EXISTS (SELECT 1 FROM documents WHERE content_hash = ?1)
                         OR EXISTS (SELECT 1 FROM job_items WHERE sha256 = ?1)",
                    [&hash],
                    |row| row.get(0),
                )?;
                let place = self.layout.file(&hash)?;
                if !used && place.exists() {
                    std::fs::remove_file(place)?;
                }
                tx.execute("DELETE FROM unreferenced_files WHERE sha256 = ?1", [&hash])?;
            }
            Ok(())
        });
        if let Err(error) = removed {
            tracing::warn!(workspace.id = %self.id(), %error, "unused originals stay for now");
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
