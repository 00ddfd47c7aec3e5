//! The open workspaces: opened on first use, each at most once, closed when others need the room or nobody comes.
//!
//! A workspace in use is never closed under its users: each holds an [`Arc`], and only one that the registry alone
//! holds may go. Opening and closing one workspace exclude each other by its slot's lock, so that two handles to
//! one directory never exist; different workspaces do not wait for each other.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::sqlite::Access;
use crate::workspace::{IndexState, Workspace};

/// How long a workspace must have been left alone before it is brought to rest.
const QUIET: Duration = Duration::from_secs(2);

/// A bounded set of open workspaces.
pub struct Registry {
    limit: usize,
    slots: Mutex<HashMap<Uuid, Arc<Slot>>>,
}

#[derive(Default)]
struct Slot {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Arc<Workspace>>,
    used: Option<Instant>,
}

impl State {
    /// Whether it is open and nobody but the registry holds it, nor wants it held still.
    fn is_idle(&self) -> bool {
        self.open.as_ref().is_some_and(|workspace| Arc::strong_count(workspace) == 1 && !workspace.is_frozen())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// A registry that holds at most `limit` workspaces open.
    pub fn new(limit: usize) -> Self {
        Registry { limit, slots: Mutex::default() }
    }

    /// The workspace in `root`, opened where it is not open yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where as many as may be are open and in use.
    pub fn open(&self, id: Uuid, root: &Path, access: Access) -> Result<Arc<Workspace>> {
        let slot = lock(&self.slots).entry(id).or_default().clone();
        let mut state = lock(&slot.state);
        state.used = Some(Instant::now());
        if let Some(workspace) = &state.open {
            return Ok(workspace.clone());
        }
        self.make_room()?;
        let workspace = Workspace::open(root, access)?;
        state.open = Some(workspace.clone());
        Ok(workspace)
    }

    /// Closes the one that was idle longest where the limit is reached.
    fn make_room(&self) -> Result<()> {
        let slots: Vec<Arc<Slot>> = lock(&self.slots).values().cloned().collect();
        let mut open = 0;
        let mut idle: Vec<(Option<Instant>, Arc<Slot>)> = Vec::new();
        for slot in slots {
            // A slot that is locked is being opened or closed; it counts, and is left alone.
            match slot.state.try_lock() {
                Ok(state) => {
                    open += usize::from(state.open.is_some());
                    if state.is_idle() {
                        idle.push((state.used, slot.clone()));
                    }
                }
                Err(_) => open += 1,
            }
        }
        idle.sort_by_key(|(used, _)| *used);
        // The slot that room is made for counts as open already.
        for (_, slot) in idle {
            if open <= self.limit {
                break;
            }
            if let Ok(mut state) = slot.state.try_lock()
                && state.is_idle()
            {
                state.open = None;
                open -= 1;
            }
        }
        match open <= self.limit {
            true => Ok(()),
            false => Err(Error::Unavailable("too many workspaces are in use at once; try again shortly".into())),
        }
    }

    /// Brings to rest what is left alone, and closes what nobody has used for `idle`.
    pub fn tidy(&self, idle: Duration) {
        let slots: Vec<(Uuid, Arc<Slot>)> = lock(&self.slots).iter().map(|(id, slot)| (*id, slot.clone())).collect();
        for (id, slot) in slots {
            let open = match slot.state.try_lock() {
                Ok(state) => state.open.clone(),
                Err(_) => continue,
            };
            // Not under the slot's lock: whoever wants the workspace meanwhile gets it.
            if let Some(workspace) = &open
                && workspace.restless_for().is_some_and(|time| time >= QUIET)
                && let Err(error) = workspace.checkpoint()
            {
                tracing::warn!(workspace.id = %id, %error, "the workspace could not be brought to rest");
            }
            drop(open);
            let Ok(mut state) = slot.state.try_lock() else { continue };
            if state.used.is_none_or(|used| used.elapsed() >= idle) && state.is_idle() {
                state.open = None;
            }
            if state.open.is_none() {
                // Ours and the map's are the only two references left, so nobody waits to open it.
                let mut slots = lock(&self.slots);
                if Arc::strong_count(&slot) == 2 {
                    slots.remove(&id);
                }
            }
        }
    }

    /// Lets go of one workspace and gives it back, where it is open.
    pub fn take(&self, id: Uuid) -> Option<Arc<Workspace>> {
        let slot = lock(&self.slots).remove(&id)?;
        lock(&slot.state).open.take()
    }

    /// Lets go of all.
    pub fn close_all(&self) {
        let slots: Vec<Arc<Slot>> = lock(&self.slots).drain().map(|(_, slot)| slot).collect();
        for slot in slots {
            lock(&slot.state).open = None;
        }
    }

    /// Workspaces open now, and how many of them are making their full-text index anew. One that is being opened or
    /// closed just now is not counted.
    pub fn state(&self) -> (usize, usize) {
        let slots: Vec<Arc<Slot>> = lock(&self.slots).values().cloned().collect();
        let open: Vec<Arc<Workspace>> =
            slots.iter().filter_map(|slot| slot.state.try_lock().ok()?.open.clone()).collect();
        (open.len(), open.iter().filter(|workspace| workspace.index_state() == IndexState::Rebuilding).count())
    }
}
