//! One turn at a time in each session: whoever comes second waits, and then knows what was said before. And no more turns at
//! once than the instance can bear.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::error::{Error, Result};

/// How long a turn waits for the one before it.
const PATIENCE: Duration = Duration::from_secs(120);
/// Turns that wait for one session's at most.
const WAITING: usize = 8;

type Session = (Uuid, Uuid);

/// The turns that are under way.
pub struct Queue {
    sessions: Mutex<HashMap<Session, Arc<Semaphore>>>,
    slots: Arc<Semaphore>,
}

/// Leave to take a turn in a session, for as long as it is held.
pub struct Turn {
    queue: Arc<Queue>,
    session: Session,
    permit: Option<OwnedSemaphorePermit>,
}

impl Queue {
    /// Lets in so many turns at once.
    pub fn new(turns: usize) -> Self {
        Queue { sessions: Mutex::default(), slots: Arc::new(Semaphore::new(turns.min(Semaphore::MAX_PERMITS))) }
    }

    /// A place for a turn, for as long as it is held.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where there is none left.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit> {
        let full = |_| Error::Unavailable("too many answers are being given at once; try again shortly".into());
        self.slots.clone().try_acquire_owned().map_err(full)
    }

    /// Waits for the turn in `session` of `workspace`; first come, first served.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the turns before take too long, or too many wait for theirs.
    pub async fn enter(self: &Arc<Self>, workspace: Uuid, session: Uuid) -> Result<Turn> {
        let session = (workspace, session);
        let place = {
            let mut sessions = self.lock();
            let place = sessions.entry(session).or_insert_with(|| Arc::new(Semaphore::new(1)));
            // Beside the one here there is a reference of the turn under way, and one of each that waits.
            if Arc::strong_count(place) - 1 > WAITING {
                return Err(Error::Unavailable(
                    "too many turns of this session wait already; try again shortly".into(),
                ));
            }
            place.clone()
        };
        // Made before the wait, so that one who gives up clears up, too.
        let mut turn = Turn { queue: self.clone(), session, permit: None };
        let permit = tokio::time::timeout(PATIENCE, place.acquire_owned()).await;
        let busy = || Error::Unavailable("another turn of this session is still under way; try again shortly".into());
        turn.permit = Some(permit.map_err(|_| busy())?.map_err(|_| busy())?);
        Ok(turn)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Session, Arc<Semaphore>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut sessions = self.queue.lock();
        self.permit = None;
        // Whoever waits holds another reference.
        if sessions.get(&self.session).is_some_and(|place| Arc::strong_count(place) == 1) {
            sessions.remove(&self.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_of_a_session_wait_for_each_other_and_leave_nothing() {
        let queue = Arc::new(Queue::new(1));
        let place = queue.place().unwrap();
        assert!(queue.place().is_err());
        drop(place);
        assert!(queue.place().is_ok());
        let (workspace, session) = (Uuid::now_v7(), Uuid::now_v7());
        let first = queue.enter(workspace, session).await.unwrap();
        let other = queue.enter(workspace, Uuid::now_v7()).await.unwrap();
        let second = tokio::spawn({
            let queue = queue.clone();
            async move { queue.enter(workspace, session).await.map(drop) }
        });
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        second.await.unwrap().unwrap();
        drop(other);
        assert!(queue.lock().is_empty());
    }

    #[tokio::test]
    async fn only_so_many_wait_for_one_session() {
        let queue = Arc::new(Queue::new(1));
        let (workspace, session) = (Uuid::now_v7(), Uuid::now_v7());
        let first = queue.enter(workspace, session).await.unwrap();
        let wait = || {
            let queue = queue.clone();
            tokio::spawn(async move { queue.enter(workspace, session).await.map(drop) })
        };
        let waiting: Vec<_> = (0..WAITING).map(|_| wait()).collect();
        tokio::task::yield_now().await;
        assert!(matches!(queue.enter(workspace, session).await, Err(Error::Unavailable(_))));
        assert!(queue.enter(workspace, Uuid::now_v7()).await.is_ok(), "others are not held up");
        drop(first);
        for turn in waiting {
            turn.await.unwrap().unwrap();
        }
        assert!(queue.enter(workspace, session).await.is_ok());
        assert!(queue.lock().is_empty());
    }
}
