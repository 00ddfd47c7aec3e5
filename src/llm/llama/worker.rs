//! The thread that runs models: one model at a time, one question after another.
//!
//! It ends when its `Worker` is dropped, at the next token. Whatever goes wrong with a question or a model is told to who
//! asked, and the thread goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::mpsc::Sender;

use super::generation::Conversation;
use super::load::Loaded;
use super::trial::Trials;
use super::{ENDING, Settings, stopped};
use crate::llm::request::Request;
use crate::llm::speech::{Failure, Piece};

/// Questions that wait at most; those beyond are told that it is busy.
pub(super) const WAITING: usize = 16;

/// A question, and where its answer goes.
pub(super) struct Job {
    pub request: Request,
    pub deadline: Instant,
    pub pieces: Sender<Result<Piece, Failure>>,
}

/// The side of those who ask.
pub(super) struct Worker {
    /// `None` once it ends.
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    ending: Arc<AtomicBool>,
}

impl Worker {
    pub fn start(directory: PathBuf, trials: Trials, settings: Settings) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(WAITING);
        let ending = Arc::new(AtomicBool::new(false));
        let mut desk = Desk { directory, trials, settings, jobs, ending: ending.clone() };
        let thread = std::thread::Builder::new().name("llama".into()).spawn(move || desk.work())?;
        Ok(Worker { queue: Some(queue), thread: Some(thread), ending })
    }

    /// # Errors
    /// Where too many wait already.
    pub fn submit(&self, job: Job) -> Result<(), Failure> {
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => Failure::Unavailable("it is busy".into()),
            TrySendError::Disconnected(_) => stopped(),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.queue = None;
        // llama.cpp must not be at work while the process ends.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Desk {
    directory: PathBuf,
    trials: Trials,
    settings: Settings,
    jobs: Receiver<Job>,
    ending: Arc<AtomicBool>,
}

impl Desk {
    fn work(&mut self) {
        let mut next = self.next();
        while let Some(job) = next {
            // Who asked is told by the end of his pieces.
            next = catch_unwind(AssertUnwindSafe(|| self.with_model_of(job))).unwrap_or_else(|_| self.next());
        }
    }

    /// Loads the model of a question and answers with it, until one comes that is for another model.
    fn with_model_of(&mut self, job: Job) -> Option<Job> {
        // A load goes on for who asks next, however long the first one waits.
        let ending = self.ending.clone();
        let wanted = move || !ending.load(Ordering::Relaxed);
        let started = Instant::now();
        let file = self.directory.join(format!("{}{ENDING}", job.request.model));
        let loaded = self.trials.pass(&file, &wanted);
        let loaded = match loaded.and_then(|()| Loaded::open(&self.directory, &job.request.model, wanted)) {
            Ok(loaded) => loaded,
            Err(failure) => return self.refuse(job, failure),
        };
        let mut conversation = match Conversation::new(&loaded, &self.settings) {
            Ok(conversation) => conversation,
            Err(failure) => return self.refuse(job, failure),
        };
        let (model, millis) = (&loaded.name, started.elapsed().as_millis());
        tracing::info!(model, millis, threads = self.settings.threads, "a language model is loaded");
        let mut next = Some(job);
        while let Some(job) = next {
            if job.request.model != loaded.name {
                return Some(job);
            }
            let started = Instant::now();
            let told = match conversation.answer(&job, &self.ending) {
                Ok(tokens) => format!("{} and {} tokens", tokens.prompt, tokens.completion),
                Err(failure) => {
                    let told = failure.to_string();
                    let _ = job.pieces.try_send(Err(failure));
                    told
                }
            };
            tracing::info!(model, millis = started.elapsed().as_millis(), answer = told, "a language model was asked");
            drop(job);
            next = self.next();
        }
        None
    }

    fn refuse(&self, job: Job, failure: Failure) -> Option<Job> {
        let _ = job.pieces.try_send(Err(failure));
        drop(job);
        self.next()
    }

    /// The next question that somebody still waits for.
    fn next(&self) -> Option<Job> {
        loop {
            let job = self.jobs.recv().ok()?;
            if self.ending.load(Ordering::Relaxed) {
                return None;
            }
            if job.pieces.is_closed() {
                continue;
            }
            if Instant::now() < job.deadline {
                return Some(job);
            }
            let _ = job.pieces.try_send(Err(Failure::Late));
        }
    }
}
