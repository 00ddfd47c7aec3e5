//! The open workspaces: opened on first use, each at most once, closed when others need the room or nobody comes.
//!
//! A workspace in use is never closed under its users: each holds an [`Arc`], and only one that the registry alone
//! holds may go. Opening and closing one workspace exclude each other by its slot's lock, so that two handles to
//! one directory never exist; different workspaces do not wait for each other, but for room.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::capacity;
use crate::error::{Error, Result};
use crate::sqlite::Access;
use crate::workspace::{IndexState, Workspace};

/// How long an opening waits for room.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long before it looks again whether somebody else's workspace has become idle: its last user does not tell.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Openings that wait for room at once; each holds a thread. Those beyond are refused at once.
const WAITING: usize = 64;

/// A bounded set of open workspaces.
pub struct Registry {
    room: Arc<Room>,
    slots: Mutex<HashMap<Uuid, Arc<Slot>>>,
}

#[derive(Default)]
struct Slot {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<Open>,
    used: Option<Instant>,
}

struct Open {
    // Closed before its place is given to another.
    workspace: Arc<Workspace>,
    _place: Place,
}

impl State {
    /// Whether it is open and nobody but the registry holds it, nor wants it held still.
    fn is_idle(&self) -> bool {
        self.open.as_ref().is_some_and(|open| Arc::strong_count(&open.workspace) == 1 && !open.workspace.is_frozen())
    }

    fn workspace(&self) -> Option<Arc<Workspace>> {
        self.open.as_ref().map(|open| open.workspace.clone())
    }
}

/// How many may be open, and are; a large workspace counts for several.
struct Room {
    limit: usize,
    count: Mutex<Count>,
    left: Condvar,
}

#[derive(Default)]
struct Count {
    taken: usize,
    waiting: usize,
}

/// Leave to hold one workspace open.
struct Place {
    room: Arc<Room>,
    weight: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.room.count).taken -= self.weight;
        self.room.left.notify_one();
    }
}

impl Room {
    fn try_take(self: &Arc<Self>, weight: usize) -> Option<Place> {
        // One that is larger than all the room there is has it for itself.
        let weight = weight.min(self.limit);
        let mut count = lock(&self.count);
        (count.taken + weight <= self.limit).then(|| {
            count.taken += weight;
            Place { room: self.clone(), weight }
        })
    }

    /// Waits until somebody leaves, or a little while.
    fn wait(&self) -> Result<()> {
        let mut count = lock(&self.count);
        if count.waiting >= WAITING {
            return Err(crowded());
        }
        count.waiting += 1;
        let (mut count, _) = self.left.wait_timeout(count, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner);
        count.waiting -= 1;
        Ok(())
    }
}

fn crowded() -> Error {
    Error::Unavailable("too many workspaces are in use at once; try again shortly".into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// A registry that holds at most `limit` workspaces open.
    pub fn new(limit: usize) -> Self {
        let room = Room { limit, count: Mutex::default(), left: Condvar::new() };
        Registry { room: Arc::new(room), slots: Mutex::default() }
    }

    /// The workspace in `root`, opened where it is not open yet. Waits a while where as many as may be are in use.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where no room was made in time, or too many wait for it.
    pub fn open(&self, id: Uuid, root: &Path, access: Access) -> Result<Arc<Workspace>> {
        let slot = lock(&self.slots).entry(id).or_default().clone();
        let mut state = lock(&slot.state);
        state.used = Some(Instant::now());
        if let Some(workspace) = state.workspace() {
            return Ok(workspace);
        }
        let place = self.make_room(capacity::weight(Workspace::peek_memory(root)))?;
        let workspace = Workspace::open(root, access)?;
        state.open = Some(Open { workspace: workspace.clone(), _place: place });
        Ok(workspace)
    }

    fn make_room(&self, weight: usize) -> Result<Place> {
        let patience = Instant::now() + PATIENCE;
        loop {
            if let Some(place) = self.room.try_take(weight) {
                return Ok(place);
            }
            if self.close_longest_idle() {
                continue;
            }
            if Instant::now() >= patience {
                return Err(crowded());
            }
            self.room.wait()?;
        }
    }

    /// Closes the workspace that was idle longest, rather one at rest, which is quick. `false` where none is idle.
    fn close_longest_idle(&self) -> bool {
        let slots: Vec<Arc<Slot>> = lock(&self.slots).values().cloned().collect();
        // A slot that is locked is being opened or closed, and is left alone.
        let idle = slots.iter().filter_map(|slot| {
            let state = slot.state.try_lock().ok()?;
            let restless = state.open.as_ref()?.workspace.restless_for().is_some();
            state.is_idle().then_some((restless, state.used, slot))
        });
        let longest = idle.min_by_key(|(restless, used, _)| (*restless, *used));
        let Some((_, _, slot)) = longest else { return false };
        match slot.state.try_lock() {
            Ok(mut state) if state.is_idle() => {
                state.open = None;
                true
            }
            _ => false,
        }
    }

    /// Brings to rest what is left alone, and closes what nobody has used for `idle`.
    pub fn tidy(&self, idle: Duration) {
        let slots: Vec<(Uuid, Arc<Slot>)> = lock(&self.slots).iter().map(|(id, slot)| (*id, slot.clone())).collect();
        for (id, slot) in slots {
            let open = match slot.state.try_lock() {
                Ok(state) => state.workspace(),
                Err(_) => continue,
            };
            // Not under the slot's lock: whoever wants the workspace meanwhile gets it.
            if let Some(workspace) = &open
                && workspace.restless_for().is_some_and(|time| time >= workspace.patience())
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
        lock(&slot.state).open.take().map(|open| open.workspace)
    }

    /// Lets go of all.
    pub fn close_all(&self) {
        let slots: Vec<Arc<Slot>> = lock(&self.slots).drain().map(|(_, slot)| slot).collect();
        for slot in slots {
            lock(&slot.state).open = None;
        }
    }

    /// The workspaces open now, but for those that are being opened or closed.
    pub fn open_ones(&self) -> Vec<Arc<Workspace>> {
        let slots: Vec<Arc<Slot>> = lock(&self.slots).values().cloned().collect();
        slots.iter().filter_map(|slot| slot.state.try_lock().ok()?.workspace()).collect()
    }

    /// Workspaces open now, and how many of them are making their full-text index anew. One that is being opened or
    /// closed just now is not counted.
    pub fn state(&self) -> (usize, usize) {
        let open = self.open_ones();
        (open.len(), open.iter().filter(|workspace| workspace.index_state() == IndexState::Rebuilding).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_workspace_takes_the_room_of_several_and_never_more_than_there_is() {
        let room = Arc::new(Room { limit: 4, count: Mutex::default(), left: Condvar::new() });
        let (small, large) = (room.try_take(1), room.try_take(3));
        assert!(small.is_some() && large.is_some() && room.try_take(1).is_none());
        drop(large);
        assert!(room.try_take(4).is_none());
        drop(small);
        let huge = room.try_take(1_000);
        assert!(huge.is_some() && room.try_take(1).is_none());
    }
}
