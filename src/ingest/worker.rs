//! Jobs: work that goes on after the answer.
//!
//! A few workers take jobs in turn ([`turns`]), and each works one off with [`Stages`], or as much of it as it has time for
//! while others wait. Whoever follows a job listens to [`Jobs::changes`].
//!
//! [`turns`]: super::turns

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::archive;
use super::facts::Facts;
use super::item;
use super::midway::Marks;
use super::pipeline::Pipeline;
use super::reindex;
use super::stages::Stages;
use super::turns::Turns;
use crate::datadir::{DataDir, Uploaded};
use crate::embed::Cached;
use crate::error::{Error, Result};
use crate::extract::Fault;
use crate::sandbox::Sandbox;
use crate::workspace::job_items::{self, Item};
use crate::workspace::jobs::{self, Failure, Job};
use crate::workspace::{self, ModelIdentity, Workspace};

pub use archive::{Bounds, is_archive};

/// How long a job that stopped waits before it is tried again; doubled each time, up to about a minute.
const PAUSE: Duration = Duration::from_secs(1);
/// Tries after which what a job fails at is given up, where neither room nor time will help.
const TRIES: u32 = 3;

/// Beginnings of a job after which, where none got further, its first document is given up: it may be what ended each.
const BEGINNINGS: u32 = 3;

/// How long a job is worked on before it gives way to another workspace's, as soon as what it has done is not lost.
const SLICE: Duration = Duration::from_secs(2);

/// Opens a workspace by its id.
type OpenWorkspace = dyn Fn(Uuid) -> Result<Arc<Workspace>> + Send + Sync;
/// Gives the embedder of a model for a workspace.
type OpenEmbedder = dyn Fn(&Workspace, &ModelIdentity) -> Result<Arc<Cached>> + Send + Sync;
/// Takes the name of a model down for a workspace.
type NoteModel = dyn Fn(Uuid, &str) -> Result<()> + Send + Sync;

/// What jobs work with.
pub struct Opening {
    pub workspace: Box<OpenWorkspace>,
    pub embedder: Box<OpenEmbedder>,
    /// What reads documents.
    pub sandbox: Arc<Sandbox>,
    /// Tokens that a chunk aims at.
    pub chunk_tokens: usize,
    /// What reads the facts of what came in.
    pub facts: Arc<Facts>,
    /// Told of the model that a workspace's searches use from now on.
    pub note_model: Box<NoteModel>,
}

impl Opening {
    fn pipeline(&self, workspace: Arc<Workspace>) -> Result<Pipeline> {
        let embedder = (self.embedder)(&workspace, &workspace.model())?;
        let (sandbox, facts) = (self.sandbox.clone(), self.facts.clone());
        Ok(Pipeline { workspace, embedder, sandbox, chunk_tokens: self.chunk_tokens, facts })
    }
}

/// The queue of jobs.
pub struct Jobs {
    turns: Mutex<Turns>,
    /// Wakes the workers that have nothing to do.
    added: Notify,
    started: AtomicBool,
    changed: broadcast::Sender<Uuid>,
    directory: Arc<DataDir>,
    bounds: Bounds,
    /// How often each job that has not gone through was tried.
    tried: Mutex<HashMap<Uuid, u32>>,
    marks: Marks,
    /// Turns true when no further batch is to be begun.
    stopping: watch::Receiver<bool>,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Jobs {
    /// An empty queue, worked off until `stopping` turns true.
    pub fn new(directory: Arc<DataDir>, bounds: Bounds, stopping: watch::Receiver<bool>) -> Self {
        Jobs {
            turns: Mutex::default(),
            added: Notify::new(),
            started: AtomicBool::new(false),
            changed: broadcast::channel(256).0,
            directory,
            bounds,
            tried: Mutex::default(),
            marks: Marks::default(),
            stopping,
            workers: Mutex::default(),
        }
    }

    /// Files a job of `items` whose bytes are `uploads`, in a workspace that the caller was let into. What was
    /// `refused` beforehand is among its failures.
    pub fn submit(
        &self,
        pipeline: &Pipeline,
        items: Vec<Item>,
        uploads: Vec<Uploaded>,
        refused: Vec<Failure>,
    ) -> Result<Job> {
        let job = pipeline.workspace.commit(move |change| {
            uploads.iter().try_for_each(|upload| change.keep_file(upload))?;
            let job = jobs::create(change, "ingest", &items)?;
            refused.into_iter().try_for_each(|failure| jobs::note_failure(change, job.id, failure))?;
            Ok(job)
        })?;
        self.enqueue(pipeline.workspace.id(), job.id);
        Ok(job)
    }

    /// Files a job that lets the searches of a workspace, which the caller was let into, use vectors of `model`.
    ///
    /// # Errors
    /// [`Error::Conflict`] while another such job is under way.
    pub fn submit_reindexing(&self, workspace: &Workspace, model: ModelIdentity) -> Result<Job> {
        let job = workspace.begin_reindexing(model)?;
        self.enqueue(workspace.id(), job.id);
        Ok(job)
    }

    /// Puts a job that is on file into the queue.
    pub fn enqueue(&self, workspace: Uuid, job: Uuid) {
        self.turns().add(workspace, job);
        self.added.notify_waiters();
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ids of jobs as they change.
    pub fn changes(&self) -> broadcast::Receiver<Uuid> {
        self.changed.subscribe()
    }

    /// Says that a job changed.
    pub fn announce(&self, job: Uuid) {
        // Nobody need be listening.
        let _ = self.changed.send(job);
    }

    /// Works jobs off, `workers` at once, until told to stop. The second call does nothing.
    pub fn start(self: &Arc<Self>, workers: usize, opening: Arc<Opening>) {
        if self.started.swap(true, Ordering::SeqCst) {
            return;
        }
        let started = (0..workers).map(|_| tokio::spawn(self.clone().take_turns(opening.clone())));
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).extend(started);
    }

    async fn take_turns(self: Arc<Self>, opening: Arc<Opening>) {
        let mut stopping = self.stopping.clone();
        while let Some((workspace, job)) = self.next(&mut stopping).await {
            let work = tokio::task::spawn_blocking({
                let (jobs, opening) = (self.clone(), opening.clone());
                move || jobs.run(workspace, job, &opening)
            });
            let outcome = work.await.unwrap_or_else(|panic| Err(Error::internal("a panic", panic)));
            if let Ok(false) = outcome {
                self.turns().give_back(workspace, job);
                continue;
            }
            let pause = self.judge(workspace, job, outcome, &opening).await;
            self.turns().end(workspace, job);
            if let Some(pause) = pause {
                let jobs = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(pause).await;
                    jobs.enqueue(workspace, job);
                });
            }
        }
    }

    /// Waits for the next job; `None` when told to stop.
    async fn next(&self, stopping: &mut watch::Receiver<bool>) -> Option<(Uuid, Uuid)> {
        loop {
            // Listening begins before the look, so that no job comes unnoticed between the two.
            let added = self.added.notified();
            if *stopping.borrow() {
                return None;
            }
            if let Some(next) = self.turns().take() {
                return Some(next);
            }
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return None,
                () = added => {}
            }
        }
    }

    /// Waits until the batches that were under way when it was told to stop are in.
    pub async fn ended(&self) {
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            if let Err(error) = worker.await {
                tracing::error!(%error, "a worker ended early");
            }
        }
    }

    /// Works on a job. `false` where it is not at its end.
    fn run(&self, workspace: Uuid, job: Uuid, opening: &Opening) -> Result<bool> {
        let began = Instant::now();
        let gives_way = || began.elapsed() >= SLICE && self.turns().gives_way(workspace, job);
        let outcome = (opening.workspace)(workspace).and_then(|open| match open.job(job)?.kind.as_str() {
            workspace::reindex::KIND => self.reindex(&open, job, opening, &gives_way),
            _ => self.work(&opening.pipeline(open)?, job, &gives_way),
        });
        self.announce(job);
        outcome
    }

    fn reindex(
        &self,
        workspace: &Workspace,
        job: Uuid,
        opening: &Opening,
        gives_way: &(dyn Fn() -> bool + Sync),
    ) -> Result<bool> {
        if workspace.start_job(job)?.is_none() {
            return Ok(true);
        }
        self.announce(job);
        let model = workspace.model_of_reindexing(job)?;
        let embedder = (opening.embedder)(workspace, &model)?;
        let is_over = || *self.stopping.borrow() || gives_way();
        match reindex::run(workspace, embedder.as_ref(), job, &is_over, || self.announce(job)) {
            // Cancelled meanwhile: what was made stays for the next time.
            Err(Error::Conflict(_)) => Ok(true),
            Ok(true) => {
                (opening.note_model)(workspace.id(), &model.name)?;
                workspace.finish_job(job).map(|()| true)
            }
            unfinished => unfinished,
        }
    }

    /// What a job's outcome means for it: over, or to be tried again after the time that is given back.
    async fn judge(
        self: &Arc<Self>,
        workspace: Uuid,
        job: Uuid,
        outcome: Result<bool>,
        opening: &Arc<Opening>,
    ) -> Option<Duration> {
        let tries = {
            let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
            match &outcome {
                Ok(_) | Err(Error::NotFound(_)) => {
                    tried.remove(&job);
                    self.marks.forget(job);
                    return None;
                }
                Err(_) => {
                    let tries = tried.entry(job).or_insert(0);
                    *tries += 1;
                    *tries
                }
            }
        };
        let error = outcome.err()?;
        tracing::error!(workspace.id = %workspace, job.id = %job, tries, %error, "a job stopped and is tried again");
        let own_fault = !matches!(error, Error::Unavailable(_) | Error::InsufficientStorage);
        if own_fault && tries.is_multiple_of(TRIES) {
            // The first thing to do is what it fails at; so that fails, and the rest goes on.
            let (jobs, opening) = (self.clone(), opening.clone());
            let struck = tokio::task::spawn_blocking(move || jobs.give_up_first(workspace, job, &error, &opening));
            if let Ok(Err(error)) = struck.await {
                tracing::error!(job.id = %job, %error, "what a job fails at could not be struck off");
            }
        }
        Some(PAUSE.saturating_mul(1 << (tries - 1).min(6)))
    }

    fn give_up_first(&self, workspace: Uuid, job: Uuid, error: &Error, opening: &Opening) -> Result<()> {
        let workspace = (opening.workspace)(workspace)?;
        if workspace.job(job)?.kind == workspace::reindex::KIND {
            return workspace.fail_job(job, item::failure("the workspace".into(), error));
        }
        self.strike_first(&opening.pipeline(workspace)?, job, error)
    }

    fn work(&self, pipeline: &Pipeline, job: Uuid, gives_way: &(dyn Fn() -> bool + Sync)) -> Result<bool> {
        match pipeline.workspace.start_job(job)? {
            None => return Ok(true),
            Some(begun) if begun > BEGINNINGS => {
                let why = "each time that it was to be read, the whole program ended";
                self.strike_first(pipeline, job, &Fault::too_complex(why).into())?;
            }
            Some(_) => {}
        }
        self.announce(job);
        let announce = || self.announce(job);
        let (bounds, directory, stopping) = (self.bounds, self.directory.as_ref(), &self.stopping);
        let marks = &self.marks;
        let stages = Stages { pipeline, job, bounds, directory, stopping, gives_way, marks, announce: &announce };
        match stages.work_off() {
            // Cancelled meanwhile: what was on its way has left no trace.
            Err(Error::Conflict(_)) => Ok(true),
            Ok(true) => pipeline.workspace.finish_job(job).map(|()| true),
            // What was told to stop is on file as it stands, and the next start goes on with it.
            unfinished => {
                pipeline.workspace.leave_job(job)?;
                unfinished
            }
        }
    }

    /// Strikes the first thing to do off as failed.
    fn strike_first(&self, pipeline: &Pipeline, job: Uuid, error: &Error) -> Result<()> {
        let Some(first) = pipeline.workspace.pending_items(job, None, 1)?.pop() else { return Ok(()) };
        let failure = item::failure(item::name(&first.item), error);
        pipeline.workspace.commit(move |change| job_items::strike_failed(change, job, &first, failure))
    }
}
