//! How the full-text index follows the truth: from the state that its stamp names to the last commit.
//!
//! The same code runs after each commit, on opening, and where the index must be made anew. What takes long runs on a
//! thread of its own; until it is done the workspace says that it cannot be searched by its words.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension, Row};

use super::checkpoint::Writing;
use super::{Workspace, json, meta};
use crate::error::{Error, Result};
use crate::fulltext::{Entry, Fulltext, Stamp};
use crate::sqlite;

/// Bytes of an index whose checksums are verified before the workspace is opened; of a larger one, afterwards.
const VERIFIED_AT_ONCE: u64 = 32 << 20;
/// Bytes of a database whose structure is verified before the workspace is opened, after a stop without warning.
const CHECKED_AT_ONCE: u64 = 64 << 20;
/// Chunks that the index follows by before the workspace is opened; more of them, afterwards.
const FOLLOWED_AT_ONCE: u64 = 2_000;

/// How the full-text index stands to the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexState {
    /// It reflects the last commit.
    Ready,
    /// It reflects an earlier commit; the next change or rest brings it up.
    Behind,
    /// It is being made anew, or brought up by much, and cannot be asked.
    Rebuilding,
}

impl IndexState {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            IndexState::Ready => "ready",
            IndexState::Behind => "behind",
            IndexState::Rebuilding => "rebuilding",
        }
    }
}

/// The state of an open workspace's index.
pub(super) struct Index {
    state: Mutex<IndexState>,
    /// Held while the index follows, so that it never steps back.
    following: Mutex<()>,
}

impl Default for Index {
    fn default() -> Self {
        Index { state: Mutex::new(IndexState::Rebuilding), following: Mutex::default() }
    }
}

impl Index {
    fn lock(&self) -> MutexGuard<'_, IndexState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workspace {
    /// How the full-text index stands to the truth.
    pub fn index_state(&self) -> IndexState {
        *self.index.lock()
    }

    /// Verifies what is on disk and brings the index up: at once where that is quick, else behind the caller's back.
    /// `as_left` where the directory looks as it was left at rest.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for a database that is found damaged at once.
    pub(super) fn bring_up(self: &Arc<Self>, as_left: bool) -> Result<()> {
        let stopped = !as_left && !self.is_read_only();
        let check_later = stopped && self.layout.database().metadata()?.len() > CHECKED_AT_ONCE;
        if stopped && !check_later {
            self.check_structure()?;
        }
        let verify_later = self.fulltext().size_bytes() > VERIFIED_AT_ONCE;
        let mut whole = verify_later || self.fulltext().is_whole();
        if !whole && self.chunk_count()? <= FOLLOWED_AT_ONCE {
            tracing::warn!(workspace.id = %self.id(), "the full-text index is damaged and is made anew");
            if let Err(error) = self.rebuild_index() {
                tracing::error!(workspace.id = %self.id(), %error, "the full-text index cannot be made");
                return Ok(());
            }
            whole = true;
        }
        let follow_later = !whole || self.distance()? > FOLLOWED_AT_ONCE;
        // An index that was left at rest is believed until it is found damaged; any other is not.
        if !follow_later && (as_left || !verify_later) {
            let writing = self.distance()? > 0;
            let _writing = writing.then(|| self.writing_index()).transpose()?;
            self.follow();
        }
        if stopped || verify_later || follow_later {
            let writing = (stopped || follow_later).then(|| self.writing_index()).transpose()?.flatten();
            let workspace = self.clone();
            let work = move || {
                let _writing = writing;
                workspace.bring_up_later(check_later, whole, verify_later, stopped);
            };
            std::thread::Builder::new().name("rebuild".into()).spawn(work)?;
        }
        Ok(())
    }

    fn bring_up_later(&self, check: bool, whole: bool, verify: bool, stopped: bool) {
        if check && let Err(error) = self.check_structure() {
            tracing::error!(workspace.id = %self.id(), %error, "the workspace is closed to everyone");
            return;
        }
        if !whole || (verify && !self.fulltext().is_whole()) {
            tracing::warn!(workspace.id = %self.id(), "the full-text index is damaged and is made anew");
            if let Err(error) = self.rebuild_index() {
                tracing::error!(workspace.id = %self.id(), %error, "the full-text index cannot be made");
            }
        } else if self.index_state() != IndexState::Ready {
            let started = std::time::Instant::now();
            self.follow();
            let seconds = started.elapsed().as_secs_f32();
            tracing::info!(workspace.id = %self.id(), seconds, "the full-text index was brought up");
        }
        if stopped && let Err(error) = self.sweep_originals() {
            tracing::warn!(workspace.id = %self.id(), %error, "originals that nothing refers to may be left");
        }
    }

    /// Removes originals that a stop left behind between their move and their commit.
    fn sweep_originals(&self) -> Result<()> {
        let mut found = Vec::new();
        for entry in walkdir::WalkDir::new(self.layout.originals()).min_depth(2).max_depth(2).into_iter().flatten() {
            let shelf = entry.path().parent().and_then(|shelf| shelf.file_name()).unwrap_or_default();
            found.push(format!("{}{}", shelf.to_string_lossy(), entry.file_name().to_string_lossy()));
        }
        let known = self.read(super::check::referenced_originals)?;
        found.retain(|original| !known.contains(original) && self.layout.file(original).is_ok());
        if !found.is_empty() {
            // Within the turn no commit is between moving its files and writing its rows.
            let _turn = self.commits.turn();
            self.remove_unused(found.into_iter());
        }
        Ok(())
    }

    fn check_structure(&self) -> Result<()> {
        let damage = self.db.read(|db| Ok(sqlite::damage(db, false)))?;
        match damage.first() {
            None => Ok(()),
            Some(first) => Err(self.close_to_everyone(first)),
        }
    }

    /// A change of the index alone. Where the medium takes no writes the index lies in memory.
    fn writing_index(&self) -> Result<Option<Writing>> {
        if self.is_read_only() { Ok(None) } else { self.writing().map(Some) }
    }

    /// Makes the full-text index anew from the truth, now.
    pub fn rebuild_index(&self) -> Result<()> {
        let _writing = self.writing_index()?;
        *self.index.lock() = IndexState::Rebuilding;
        {
            let _following = self.index.following.lock().unwrap_or_else(PoisonError::into_inner);
            self.fulltext().rest();
            let directory = self.layout.fulltext();
            let fresh = Fulltext::create(&directory, &self.manifest.language, self.is_read_only())?;
            *self.fulltext.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        }
        self.follow();
        match self.index_state() {
            IndexState::Ready => Ok(()),
            _ => Err(Error::Unavailable("the full-text index could not be made anew".into())),
        }
    }

    /// Lets the index follow a commit, unless it is being made anew: then it follows when that is done. What fails
    /// leaves it behind, which is said and tried again later.
    pub(super) fn follow_commit(&self) {
        if self.index_state() != IndexState::Rebuilding {
            self.follow();
        }
    }

    fn follow(&self) {
        loop {
            if let Err(error) = self.catch_up() {
                tracing::error!(workspace.id = %self.id(), %error, "the full-text index does not follow");
                *self.index.lock() = IndexState::Behind;
                return;
            }
            // A commit that came in between looked at the state before we change it, or is seen by us here.
            let mut state = self.index.lock();
            if self.distance().is_ok_and(|chunks| chunks == 0) {
                *state = IndexState::Ready;
                return;
            }
        }
    }

    /// Brings an index up that an earlier attempt left behind.
    pub(super) fn catch_up_if_behind(&self) -> Result<()> {
        let _turn = self.commits.turn();
        if self.index_state() == IndexState::Behind {
            self.catch_up()?;
            *self.index.lock() = IndexState::Ready;
        }
        Ok(())
    }

    fn chunk_count(&self) -> Result<u64> {
        self.db.read(|db| Ok(db.query_row("SELECT count(*) FROM chunks", [], |row| row.get(0))?))
    }

    /// How many chunks, and at least how many commits, the index is away from the truth.
    fn distance(&self) -> Result<u64> {
        let stamped = self.fulltext().stamp()?;
        self.db.read(|db| {
            let target = stamp(db)?;
            if stamped == target {
                return Ok(0);
            }
            let since = if knows(db, stamped)? { stamped.generation } else { 0 };
            let count = "SELECT count(*) FROM chunks WHERE generation > ?1";
            Ok(db.query_row(count, [since as i64], |row| row.get::<_, u64>(0))?.max(1))
        })
    }

    /// Brings the index to the last commit: by what changed since its stamp, or with all there is where the stamp is
    /// none of this history (a restored copy's, or that of nothing).
    fn catch_up(&self) -> Result<()> {
        let _following = self.index.following.lock().unwrap_or_else(PoisonError::into_inner);
        let stamped = self.fulltext().stamp()?;
        self.db.read(|db| {
            // One view for all that follows.
            let db = db.unchecked_transaction()?;
            let target = stamp(&db)?;
            if stamped == target {
                // A commit may have succeeded and the look at it failed.
                return self.fulltext().reload();
            }
            let anew = !knows(&db, stamped)?;
            let since = if anew { 0 } else { stamped.generation as i64 };
            let mut deleted = db.prepare_cached("SELECT number FROM deleted_chunks WHERE generation > ?1")?;
            let deleted: Vec<u32> = deleted.query_map([since], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let mut chunks = db.prepare_cached(
                "SELECT c.number, c.content, c.heading_path, d.title
                 FROM chunks c JOIN documents d ON d.number = c.document WHERE c.generation > ?1 ORDER BY c.number",
            )?;
            let added = chunks.query_map([since], entry)?.map(|row| Ok(row?));
            self.fulltext().apply(target, anew, deleted, added)
        })
    }
}

/// The stamp of the last commit.
fn stamp(db: &Connection) -> Result<Stamp> {
    let generation = meta(db, "generation")?;
    let sql = "SELECT mark FROM generations WHERE generation = ?1";
    let mark = db.query_row(sql, [generation as i64], |row| row.get(0)).optional()?;
    Ok(Stamp { generation, mark: mark.unwrap_or(0) })
}

/// Whether `stamp` is of this history, and what was deleted since is still known.
fn knows(db: &Connection, stamp: Stamp) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM generations WHERE generation = ?1 AND mark = ?2)";
    Ok(db.query_row(sql, (stamp.generation as i64, stamp.mark), |row| row.get(0))?)
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let headings: Vec<String> = json(row, "heading_path")?;
    let (title, content): (String, String) = (row.get("title")?, row.get("content")?);
    let above = std::iter::once(&title).chain(headings.iter().filter(|heading| **heading != title));
    let above: Vec<&str> = above.map(String::as_str).collect();
    Ok(Entry { chunk: row.get("number")?, title: above.join("\n"), body: content })
}

/// What is embedded for a chunk: its text with its document's title and its heading path before it.
pub fn in_context(title: &str, headings: &[String], content: &str) -> String {
    let headings = headings.iter().filter(|h| h.as_str() != title).map(String::as_str);
    let context: Vec<&str> = std::iter::once(title).chain(headings).filter(|part| !part.is_empty()).collect();
    format!("{}\n{content}", context.join(" > "))
}

/// Forgets what the index at `followed` needs no more to follow.
pub(super) fn prune_history(db: &Connection, followed: Stamp) -> Result<()> {
    if knows(db, followed)? {
        let generation = followed.generation as i64;
        db.execute("DELETE FROM deleted_chunks WHERE generation <= ?1", [generation])?;
        db.execute("DELETE FROM generations WHERE generation < ?1", [generation])?;
    }
    Ok(())
}
