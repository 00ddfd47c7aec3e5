//! Bringing the directory to rest: between bursts of changes nothing is left in SQLite's log, nothing deleted is left
//! anywhere, and the manifest has the sums of the files. A directory at rest can be copied by anyone, with anything.
//!
//! The manifest stops saying so before the first change is made. A change is begun with [`Workspace::writing`] and
//! lasts as long as what that gives; nothing is written to the directory outside of one.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Workspace, meta};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::workspace::layout::{Clean, Manifest, Sum};

/// How long a workspace must have been left alone before it is brought to rest.
const QUIET: Duration = Duration::from_secs(2);
/// How many times as long as its last rest took to come to: sums of large files are not to be made all the time.
const SELDOM: u32 = 10;
/// How long freezing waits for changes that are under way.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the copy is kept that was made before a migration.
const MIGRATION_COPIES: Duration = Duration::from_secs(7 * 24 * 3600);

/// Who is changing the directory, and whether it is at rest.
pub(super) struct Activity {
    state: Mutex<State>,
    ended: Condvar,
}

struct State {
    /// Whether the manifest on disk says that the directory is at rest.
    clean: bool,
    /// The sums that were true at the last rest.
    sums: Option<Clean>,
    /// Changes under way.
    active: usize,
    /// Changes begun since the opening.
    begun: u64,
    /// When the last change ended.
    last: Instant,
    frozen_until: Option<Instant>,
    /// How long it took to come to rest the last time.
    rest_took: Duration,
}

impl State {
    fn is_frozen(&self) -> bool {
        self.frozen_until.is_some_and(|until| until > Instant::now())
    }
}

/// A change under way.
pub(super) struct Writing {
    activity: Arc<Activity>,
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut state = self.activity.lock();
        state.active -= 1;
        state.last = Instant::now();
        self.activity.ended.notify_all();
    }
}

impl Activity {
    /// That of a directory whose manifest says `sums`; `clean` where they are true.
    pub(super) fn new(sums: Option<Clean>, clean: bool) -> Self {
        let state = State {
            clean,
            sums,
            active: 0,
            begun: 0,
            last: Instant::now(),
            frozen_until: None,
            rest_took: Duration::ZERO,
        };
        Activity { state: Mutex::new(state), ended: Condvar::new() }
    }

    /// Waits until no change is under way, or a while.
    pub(super) fn wait(&self) {
        let state = self.lock();
        let waited = self.ended.wait_timeout_while(state, PATIENCE, |state| state.active > 0);
        drop(waited);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Workspace {
    /// Begins a change of the directory.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while it is frozen or where it cannot be written to.
    pub(super) fn writing(&self) -> Result<Writing> {
        let state = self.activity.lock();
        if state.is_frozen() {
            return Err(Error::Unavailable("the workspace is frozen while it is copied; try again later".into()));
        }
        self.begin(state)
    }

    fn begin(&self, mut state: MutexGuard<'_, State>) -> Result<Writing> {
        if state.clean {
            self.layout.write_manifest(&self.manifest())?;
            state.clean = false;
        }
        state.active += 1;
        state.begun += 1;
        Ok(Writing { activity: self.activity.clone() })
    }

    /// How long ago the last change ended, where there were changes since the directory was at rest.
    pub fn restless_for(&self) -> Option<Duration> {
        let state = self.activity.lock();
        (!state.clean && state.active == 0 && !self.is_read_only()).then(|| state.last.elapsed())
    }

    /// How long it should have been left alone before it is brought to rest.
    pub fn patience(&self) -> Duration {
        QUIET.max(self.activity.lock().rest_took.saturating_mul(SELDOM))
    }

    /// Whether changes are refused for the time being.
    pub fn is_frozen(&self) -> bool {
        self.activity.lock().is_frozen()
    }

    /// Brings the directory to rest. `false` where changes are under way or came in between: try again later.
    pub fn checkpoint(&self) -> Result<bool> {
        if self.is_read_only() {
            return Ok(true);
        }
        let started = Instant::now();
        {
            let state = self.activity.lock();
            if state.clean {
                return Ok(true);
            }
            if state.active > 0 {
                return Ok(false);
            }
            let _writing = self.begin(state)?;
            self.catch_up_if_behind()?;
            self.fulltext().purge()?;
            self.fulltext().rest();
            self.rest_vectors()?;
            self.rest_network()?;
            failpoint::reach("checkpoint.purged");
            self.remove_unreferenced_files();
            self.db.reclaim()?;
            self.forget_migration_copies()?;
        }
        let (begun, before) = {
            let state = self.activity.lock();
            if state.active > 0 {
                return Ok(false);
            }
            (state.begun, state.sums.clone())
        };
        if !self.db.checkpoint()? {
            return Ok(false);
        }
        failpoint::reach("checkpoint.emptied");
        let generation = self.db.read(|db| meta(db, "generation"))?;
        let clean = Clean { generation, files: self.layout.sums(before.as_ref())? };
        let mut state = self.activity.lock();
        if state.active > 0 || state.begun != begun {
            return Ok(false);
        }
        self.layout.write_manifest(&Manifest { clean: Some(clean.clone()), ..self.manifest() })?;
        failpoint::reach("checkpoint.told");
        state.clean = true;
        state.rest_took = started.elapsed();
        state.sums = Some(clean);
        Ok(true)
    }

    /// Whether the database is at rest and yet another than it was brought to rest as: its medium has changed it.
    pub(super) fn has_changed_at_rest(&self) -> Result<bool> {
        let sums = |state: &State| state.sums.clone().filter(|_| state.clean);
        let begun = |state: &State| (state.clean, state.begun);
        let (expected, before) = {
            let state = self.activity.lock();
            (sums(&state), begun(&state))
        };
        let Some(expected) = expected else { return Ok(false) };
        let same = expected.is_of(&Sum::of(&self.layout.database())?);
        Ok(!same && begun(&self.activity.lock()) == before)
    }

    /// Brings the directory to rest and keeps it there for `time`, or until [`Workspace::thaw`]. Reading goes on.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where changes under way do not end in time.
    pub fn freeze(&self, time: Duration) -> Result<()> {
        let patience = Instant::now() + PATIENCE;
        let mut state = self.activity.lock();
        state.frozen_until = Some(Instant::now() + time);
        while state.active > 0 && Instant::now() < patience {
            state = self.activity.ended.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(state);
        for _ in 0..100 {
            if self.checkpoint()? {
                return Ok(());
            }
            // A reader holds the log; readers are short.
            std::thread::sleep(Duration::from_millis(20));
        }
        self.thaw();
        Err(Error::Unavailable("the workspace is too busy to be frozen; try again shortly".into()))
    }

    /// Brings the directory to rest for good: it is about to be moved away. Nothing is written to it any more.
    pub fn retire(&self) -> Result<()> {
        let rested = self.freeze(Duration::from_secs(365 * 24 * 3600));
        let mut state = self.activity.lock();
        // Whoever still holds the workspace must not write a manifest where it was.
        state.frozen_until = Some(Instant::now() + Duration::from_secs(365 * 24 * 3600));
        state.clean = true;
        rested
    }

    /// Ends [`Workspace::freeze`].
    pub fn thaw(&self) {
        self.activity.lock().frozen_until = None;
    }

    fn forget_migration_copies(&self) -> Result<()> {
        for entry in std::fs::read_dir(self.layout.root())? {
            let entry = entry?;
            let is_copy = entry.file_name().to_string_lossy().starts_with("knowledge.db.before-");
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if is_copy && age > MIGRATION_COPIES {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}
