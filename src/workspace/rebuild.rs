//! Bringing a workspace's indexes up: on opening, after a commit, and where one is damaged.
//!
//! What takes long runs on a thread of its own. Until it is done the workspace says that it cannot be searched by its
//! words; its vectors are searched in the truth meanwhile. Indexes that are whole can be made anew while they are asked.

use std::sync::{Arc, PoisonError};

use rusqlite::{Connection, Row};

use super::checkpoint::Writing;
use super::follow::{self, Derived, IndexState};
use super::nearest::VectorIndex;
use super::{Workspace, json};
use crate::error::{Error, Result};
use crate::fulltext::{Entry, Fulltext};
use crate::sqlite;
use crate::stamp::Stamp;

/// Bytes of an index whose checksums are verified before the workspace is opened; of a larger one, afterwards.
const VERIFIED_AT_ONCE: u64 = 32 << 20;
/// Bytes of a database whose structure is verified before the workspace is opened, after a stop without warning.
const CHECKED_AT_ONCE: u64 = 64 << 20;
/// Chunks that an index follows by before the workspace is opened; more of them, afterwards.
const FOLLOWED_AT_ONCE: u64 = 2_000;

impl Derived for Fulltext {
    fn name(&self) -> &'static str {
        "fulltext"
    }

    fn stamp(&self) -> Result<Stamp> {
        Fulltext::stamp(self)
    }

    fn bring(&self, db: &Connection, target: Stamp, since: Option<u64>) -> Result<()> {
        if since.is_some() && Fulltext::stamp(self)? == target {
            // A commit may have succeeded and the look at it failed.
            return self.reload();
        }
        let mut chunks = db.prepare_cached(
            "SELECT c.number, c.content, c.heading_path, d.title
             FROM chunks c JOIN documents d ON d.number = c.document WHERE c.generation > ?1 ORDER BY c.number",
        )?;
        let added = chunks.query_map([since.unwrap_or(0) as i64], entry)?.map(|row| Ok(row?));
        self.apply(target, since.is_none(), follow::deleted(db, since)?, added)
    }
}

/// What is left to do once a workspace has been opened.
struct Later {
    check: bool,
    whole: bool,
    verify: bool,
    stopped: bool,
}

impl Workspace {
    /// How the full-text index stands to the truth.
    pub fn index_state(&self) -> IndexState {
        self.index.state()
    }

    /// Verifies what is on disk and brings the indexes up: at once where that is quick, else behind the caller's back.
    /// `as_left` where the directory looks as it was left at rest.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for a database that is found damaged at once.
    pub(super) fn bring_up(self: &Arc<Self>, as_left: bool) -> Result<()> {
        let stopped = !as_left && !self.is_read_only();
        let check = stopped && self.layout.database().metadata()?.len() > CHECKED_AT_ONCE;
        if stopped && !check {
            self.check_structure()?;
        }
        let verify = self.fulltext().size_bytes() > VERIFIED_AT_ONCE;
        let mut whole = verify || self.fulltext().is_whole();
        if !whole && self.chunk_count()? <= FOLLOWED_AT_ONCE {
            tracing::warn!(workspace.id = %self.id(), "the full-text index is damaged and is made anew");
            if let Err(error) = self.rebuild_index() {
                tracing::error!(workspace.id = %self.id(), %error, "the full-text index cannot be made");
                return Ok(());
            }
            whole = true;
        }
        let words = follow::distance(&self.db, &*self.fulltext())?;
        let vectors = follow::distance(&self.db, &*self.vectors())?;
        let later = !whole || words.max(vectors) > FOLLOWED_AT_ONCE;
        // An index that was left at rest is believed until it is found damaged; any other is not.
        if !later && (as_left || !verify) {
            let writing = words + vectors > 0;
            let _writing = writing.then(|| self.writing_index()).transpose()?;
            self.follow();
        }
        if stopped || verify || later {
            let writing = (stopped || later).then(|| self.writing_index()).transpose()?.flatten();
            let workspace = self.clone();
            let work = move || {
                let _writing = writing;
                workspace.bring_up_later(Later { check, whole, verify, stopped });
            };
            std::thread::Builder::new().name("rebuild".into()).spawn(work)?;
        }
        Ok(())
    }

    fn bring_up_later(&self, later: Later) {
        if later.check
            && let Err(error) = self.check_structure()
        {
            tracing::error!(workspace.id = %self.id(), %error, "the workspace is closed to everyone");
            return;
        }
        if !later.whole || (later.verify && !self.fulltext().is_whole()) {
            tracing::warn!(workspace.id = %self.id(), "the full-text index is damaged and is made anew");
            if let Err(error) = self.rebuild_index() {
                tracing::error!(workspace.id = %self.id(), %error, "the full-text index cannot be made");
            }
        }
        if self.index_state() != IndexState::Ready || self.vectors().following.state() != IndexState::Ready {
            let started = std::time::Instant::now();
            self.follow();
            let seconds = started.elapsed().as_secs_f32();
            tracing::info!(workspace.id = %self.id(), seconds, "the indexes were brought up");
        }
        if later.stopped
            && let Err(error) = self.sweep_originals()
        {
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
        self.index.declare(IndexState::Rebuilding);
        {
            let _turn = self.index.turn();
            self.fulltext().rest();
            let directory = self.layout.fulltext();
            let fresh = Fulltext::create(&directory, &self.manifest.language, self.is_read_only())?;
            *self.fulltext.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        }
        self.index.follow(&self.db, &*self.fulltext());
        match self.index_state() {
            IndexState::Ready => Ok(()),
            _ => Err(Error::Unavailable("the full-text index could not be made anew".into())),
        }
    }

    /// Makes both indexes anew from the truth; searches use the old ones until the new ones are whole.
    pub(super) fn renew_indexes(&self) -> Result<()> {
        let _writing = self.writing()?;
        if let Err(error) = self.index.renew(&self.db, &*self.fulltext()) {
            // One that cannot even be written to is made from nothing.
            tracing::warn!(workspace.id = %self.id(), %error, "the full-text index is damaged and is made anew");
            self.rebuild_index()?;
        }
        let vectors = self.vectors();
        vectors.following.renew(&self.db, &*vectors)?;
        match [self.index.state(), vectors.following.state()] {
            [IndexState::Ready, IndexState::Ready] => Ok(()),
            _ => Err(Error::Unavailable("an index could not be made anew".into())),
        }
    }

    /// Makes the vector index anew from the truth, now.
    pub(super) fn rebuild_vector_index(&self) -> Result<()> {
        let _writing = self.writing()?;
        let vectors = self.vectors();
        vectors.following.declare(IndexState::Rebuilding);
        {
            let _turn = vectors.following.turn();
            vectors.knn.discard();
        }
        vectors.following.follow(&self.db, &*vectors);
        match vectors.following.state() {
            IndexState::Ready => Ok(()),
            _ => Err(Error::Unavailable("the vector index could not be made anew".into())),
        }
    }

    /// Lets the indexes follow a commit, but for one that is being made anew: that follows when it is done. What fails
    /// leaves it behind, which is said and tried again later.
    pub(super) fn follow_commit(&self) {
        let vectors = self.vectors();
        self.index.follow_commit(&self.db, &*self.fulltext());
        vectors.following.follow_commit(&self.db, &*vectors);
        if vectors.knn.is_loose()
            && let Err(error) = self.compact(vectors)
        {
            tracing::warn!(workspace.id = %self.id(), %error, "the vector index stays as large as it is");
        }
    }

    /// Makes the vector index smaller and quicker behind everybody's back.
    fn compact(&self, vectors: Arc<VectorIndex>) -> Result<()> {
        let (writing, id) = (self.writing()?, self.id());
        let work = move || {
            let _writing = writing;
            if let Err(error) = vectors.knn.compact() {
                tracing::warn!(workspace.id = %id, %error, "the vector index stays as large as it is");
            }
        };
        std::thread::Builder::new().name("compact".into()).spawn(work)?;
        Ok(())
    }

    fn follow(&self) {
        self.index.follow(&self.db, &*self.fulltext());
        let vectors = self.vectors();
        // On a medium that takes no writes there is no place for one that is not there already.
        let served = follow::distance(&self.db, &*vectors).is_ok_and(|chunks| chunks == 0);
        match self.is_read_only() && !served {
            true => vectors.following.declare(IndexState::Behind),
            false => vectors.following.follow(&self.db, &*vectors),
        }
    }

    /// Brings up indexes that an earlier attempt left behind.
    pub(super) fn catch_up_if_behind(&self) -> Result<()> {
        let _turn = self.commits.turn();
        let vectors = self.vectors();
        vectors.following.catch_up_if_behind(&self.db, &*vectors)?;
        self.index.catch_up_if_behind(&self.db, &*self.fulltext())
    }

    fn chunk_count(&self) -> Result<u64> {
        self.db.read(|db| Ok(db.query_row("SELECT count(*) FROM chunks", [], |row| row.get(0))?))
    }
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
