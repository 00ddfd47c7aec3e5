//! How what is derived follows the truth: from the state that its stamp names to the last commit.
//!
//! The full-text index and the vector index both bear the stamp of the commit that they reflect. The same steps run
//! after each commit, on opening, and where one must be made anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension};

use super::meta;
use crate::error::Result;
use crate::sqlite::Database;
use crate::stamp::Stamp;

/// How an index stands to the truth.
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

/// Something that is made of the truth.
pub(super) trait Derived {
    /// What it is called.
    fn name(&self) -> &'static str;

    /// The commit that it reflects.
    fn stamp(&self) -> Result<Stamp>;

    /// Brings it to `target`, the last commit of `db`, by what changed after the generation `since`; with `None` by all
    /// there is, and nothing of what it held stays.
    fn bring(&self, db: &Connection, target: Stamp, since: Option<u64>) -> Result<()>;
}

/// How one derived thing stands to the truth.
pub(super) struct Following {
    state: Mutex<IndexState>,
    /// Held while it follows, so that it never steps back.
    turn: Mutex<()>,
    /// Whether all of it is being brought anew while what it held is still asked.
    renewing: AtomicBool,
}

impl Default for Following {
    fn default() -> Self {
        Following {
            state: Mutex::new(IndexState::Rebuilding),
            turn: Mutex::default(),
            renewing: AtomicBool::new(false),
        }
    }
}

impl Following {
    fn lock(&self) -> MutexGuard<'_, IndexState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands.
    pub(super) fn state(&self) -> IndexState {
        *self.lock()
    }

    /// Says how it stands, where that is found out elsewhere.
    pub(super) fn declare(&self, state: IndexState) {
        *self.lock() = state;
    }

    /// The turn to change it by other means than following.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows until the last commit is reached. What fails leaves it behind, which is said and tried again later.
    pub(super) fn follow(&self, db: &Database, derived: &dyn Derived) {
        loop {
            if let Err(error) = self.catch_up(db, derived) {
                tracing::error!(%error, index = derived.name(), "an index does not follow");
                self.declare(IndexState::Behind);
                return;
            }
            // A commit that came in between looked at the state before we change it, or is seen by us here.
            let mut state = self.lock();
            if distance(db, derived).is_ok_and(|chunks| chunks == 0) {
                *state = IndexState::Ready;
                return;
            }
        }
    }

    /// Brings it up where an earlier attempt left it behind.
    pub(super) fn catch_up_if_behind(&self, db: &Database, derived: &dyn Derived) -> Result<()> {
        if self.state() == IndexState::Behind {
            self.catch_up(db, derived)?;
            self.declare(IndexState::Ready);
        }
        Ok(())
    }

    /// Follows a commit, unless it is being made anew: then it follows when that is done, and is behind until then.
    pub(super) fn follow_commit(&self, db: &Database, derived: &dyn Derived) {
        if self.renewing.load(Ordering::SeqCst) {
            self.declare(IndexState::Behind);
        } else if self.state() != IndexState::Rebuilding {
            self.follow(db, derived);
        }
    }

    /// Brings it to the last commit with all there is, whatever it holds.
    pub(super) fn renew(&self, db: &Database, derived: &dyn Derived) -> Result<()> {
        self.renewing.store(true, Ordering::SeqCst);
        let renewed = {
            let _turn = self.turn();
            db.read(|db| {
                let db = db.unchecked_transaction()?;
                derived.bring(&db, last(&db)?, None)
            })
        };
        self.renewing.store(false, Ordering::SeqCst);
        // What came in meanwhile.
        renewed.map(|()| self.follow(db, derived))
    }

    /// Brings it to the last commit: by what changed since its stamp, or with all there is where the stamp is none of
    /// this history (a restored copy's, or that of nothing).
    pub(super) fn catch_up(&self, db: &Database, derived: &dyn Derived) -> Result<()> {
        let _turn = self.turn();
        let stamped = derived.stamp()?;
        db.read(|db| {
            // One view for all that follows.
            let db = db.unchecked_transaction()?;
            let since = knows(&db, stamped)?.then_some(stamped.generation);
            derived.bring(&db, last(&db)?, since)
        })
    }
}

/// How many chunks, and at least how many commits, `derived` is away from the truth.
pub(super) fn distance(db: &Database, derived: &dyn Derived) -> Result<u64> {
    let stamped = derived.stamp()?;
    db.read(|db| {
        if stamped == last(db)? {
            return Ok(0);
        }
        let since = if knows(db, stamped)? { stamped.generation } else { 0 };
        let count = "SELECT count(*) FROM chunks WHERE generation > ?1";
        Ok(db.query_row(count, [since as i64], |row| row.get::<_, u64>(0))?.max(1))
    })
}

/// The chunks that were deleted after `since`.
pub(super) fn deleted(db: &Connection, since: Option<u64>) -> Result<Vec<u32>> {
    let Some(since) = since else { return Ok(Vec::new()) };
    let mut deleted = db.prepare_cached("SELECT number FROM deleted_chunks WHERE generation > ?1")?;
    Ok(deleted.query_map([since as i64], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// The stamp of the last commit.
fn last(db: &Connection) -> Result<Stamp> {
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

/// Forgets what no index needs any more to follow. One that cannot say where it stands is made anew, and needs no
/// history.
pub(super) fn prune_history(db: &Connection, stamps: &[Stamp]) -> Result<()> {
    let mut oldest: Option<u64> = None;
    for stamp in stamps {
        if knows(db, *stamp)? {
            oldest = Some(oldest.map_or(stamp.generation, |oldest| oldest.min(stamp.generation)));
        }
    }
    if let Some(generation) = oldest {
        db.execute("DELETE FROM deleted_chunks WHERE generation <= ?1", [generation as i64])?;
        db.execute("DELETE FROM generations WHERE generation < ?1", [generation as i64])?;
    }
    Ok(())
}
