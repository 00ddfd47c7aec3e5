//! Which workspaces are being evaluated: each once at a time, and not more than can take turns in bearable time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

use crate::error::{Error, Result};

/// Runs under way at once: each keeps its workspace open.
const MOST: usize = 16;

/// The runs that are under way.
#[derive(Default)]
pub struct Running(Arc<Mutex<HashSet<Uuid>>>);

/// Leave to evaluate one workspace, for as long as it is held.
pub struct Slot {
    running: Arc<Mutex<HashSet<Uuid>>>,
    workspace: Uuid,
}

impl Running {
    /// # Errors
    /// [`Error::Conflict`] where the workspace is being evaluated; [`Error::Unavailable`] where many others are.
    pub fn begin(&self, workspace: Uuid) -> Result<Slot> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.contains(&workspace) {
            return Err(Error::Conflict("an evaluation of this workspace is running; wait for its end".into()));
        }
        if running.len() >= MOST {
            return Err(Error::Unavailable("many evaluations are running at once; try again later".into()));
        }
        running.insert(workspace);
        Ok(Slot { running: self.0.clone(), workspace })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.workspace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_evaluated_once_at_a_time_and_so_many_at_once() {
        let running = Running::default();
        let id = |number: usize| Uuid::from_u128(number as u128);
        let mut slots: Vec<Slot> = (0..MOST).map(|number| running.begin(id(number)).unwrap()).collect();
        assert!(matches!(running.begin(id(0)), Err(Error::Conflict(_))));
        assert!(matches!(running.begin(id(MOST)), Err(Error::Unavailable(_))));
        slots.pop();
        slots.push(running.begin(id(MOST)).unwrap());
        assert!(matches!(running.begin(id(MOST)), Err(Error::Conflict(_))));
    }
}
