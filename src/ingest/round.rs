//! Workspaces that something waits for which goes on behind everybody's back, and the task that goes from one to the next.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::turns::Turns;

/// The workspaces that wait, each once.
pub struct Round {
    turns: Mutex<Turns>,
    /// Wakes the task when it has nothing to do.
    added: Notify,
    stopping: watch::Receiver<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Round {
    /// None that waits yet; it ends when `stopping` turns true.
    pub fn new(stopping: watch::Receiver<bool>) -> Self {
        Round { turns: Mutex::default(), added: Notify::new(), stopping, task: Mutex::default() }
    }

    /// Puts a workspace behind those that wait.
    pub fn add(&self, workspace: Uuid) {
        self.turns().add(workspace, workspace);
        self.added.notify_waiters();
    }

    /// Puts the workspace whose turn it was behind those that wait.
    pub fn give_back(&self, workspace: Uuid) {
        self.turns().give_back(workspace, workspace);
        self.added.notify_waiters();
    }

    /// Takes the workspace out whose turn it was.
    pub fn end(&self, workspace: Uuid) {
        self.turns().end(workspace, workspace);
    }

    /// Waits for the next workspace; `None` when told to stop.
    pub async fn next(&self) -> Option<Uuid> {
        let mut stopping = self.stopping.clone();
        loop {
            // Listening begins before the look, so that none comes unnoticed between the two.
            let added = self.added.notified();
            if *stopping.borrow() {
                return None;
            }
            if let Some((workspace, _)) = self.turns().take() {
                return Some(workspace);
            }
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return None,
                () = added => {}
            }
        }
    }

    /// What `work` comes to, unless the end comes first.
    pub async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => None,
            done = work => Some(done),
        }
    }

    /// Starts the task. The second call does nothing.
    pub fn start(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| tokio::spawn(work));
    }

    /// Waits until what was under way when it was told to stop is in.
    pub async fn ended(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the reading of facts ended early");
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
