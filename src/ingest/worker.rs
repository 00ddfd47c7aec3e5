//! Jobs: ingestion that goes on after the answer.
//!
//! A few workers take jobs in turn. Each batch of documents is prepared without any lock and committed together
//! with the note that it is done, so a job that is cut off goes on where it stopped. Workers wake on a channel;
//! whoever follows a job listens to [`Jobs::changes`].

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

use super::archive::{self, Bounds};
use super::pipeline::{Incoming, Pipeline, Prepared};
use crate::datadir::{DataDir, Uploaded};
use crate::error::{Error, Result};
use crate::workspace::documents;
use crate::workspace::jobs::{self, Failure, Item, Job, Pending};

pub use archive::is_archive;

/// Documents that are committed together at most.
const BATCH: usize = 256;
/// Bytes of documents that are committed together, about.
const BATCH_BYTES: u64 = 1 << 20;

/// Opens what a job works with, by the workspace's id.
type Open = dyn Fn(Uuid) -> Result<Pipeline> + Send + Sync;

/// The queue of jobs.
pub struct Jobs {
    queue: mpsc::UnboundedSender<(Uuid, Uuid)>,
    waiting: Mutex<Option<mpsc::UnboundedReceiver<(Uuid, Uuid)>>>,
    changed: broadcast::Sender<Uuid>,
    directory: Arc<DataDir>,
    bounds: Bounds,
}

impl Jobs {
    /// An empty queue. An archive may hold `files` of `file_bytes` each and `bytes` together.
    pub fn new(directory: Arc<DataDir>, files: usize, file_bytes: u64, bytes: u64) -> Self {
        let (queue, receiver) = mpsc::unbounded_channel();
        let bounds = Bounds { files, file_bytes, bytes };
        Jobs { queue, waiting: Mutex::new(Some(receiver)), changed: broadcast::channel(256).0, directory, bounds }
    }

    /// Files a job of `items` whose bytes are `uploads`, in a workspace that the caller was let into.
    pub fn submit(&self, pipeline: &Pipeline, items: Vec<Item>, uploads: Vec<Uploaded>) -> Result<Job> {
        let job = pipeline.workspace.commit(move |change| {
            uploads.iter().try_for_each(|upload| change.keep_file(upload))?;
            jobs::create(change, "ingest", &items)
        })?;
        self.enqueue(pipeline.workspace.id(), job.id);
        Ok(job)
    }

    /// Puts a job that is on file into the queue.
    pub fn enqueue(&self, workspace: Uuid, job: Uuid) {
        if self.queue.send((workspace, job)).is_err() {
            tracing::debug!(job.id = %job, "the workers have stopped; the job goes on after the next start");
        }
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

    /// Works jobs off, `workers` at once, until the runtime ends. The second call does nothing.
    pub fn start(self: &Arc<Self>, workers: usize, open: Arc<Open>) {
        let Some(receiver) = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        for _ in 0..workers {
            let (jobs, open, receiver) = (self.clone(), open.clone(), receiver.clone());
            tokio::spawn(async move {
                loop {
                    let next = receiver.lock().await.recv().await;
                    let Some((workspace, job)) = next else { return };
                    let (jobs, open) = (jobs.clone(), open.clone());
                    let work = tokio::task::spawn_blocking(move || jobs.run(workspace, job, open.as_ref()));
                    if let Err(error) = work.await {
                        tracing::error!(job.id = %job, %error, "a job's worker ended early");
                    }
                }
            });
        }
    }

    fn run(&self, workspace: Uuid, job: Uuid, open: &Open) {
        let outcome = open(workspace).and_then(|pipeline| self.work(&pipeline, job));
        if let Err(error) = outcome {
            tracing::error!(workspace.id = %workspace, job.id = %job, %error, "a job stopped; it goes on after a restart");
        }
        self.announce(job);
    }

    fn work(&self, pipeline: &Pipeline, job: Uuid) -> Result<()> {
        if !pipeline.workspace.start_job(job)? {
            return Ok(());
        }
        self.announce(job);
        loop {
            let pending = pipeline.workspace.pending_items(job, BATCH)?;
            let Some(first) = pending.first() else { return pipeline.workspace.finish_job(job) };
            let done = match first.item.archive {
                true => self.unpack(pipeline, job, first.clone()),
                false => self.take_in(pipeline, job, batch_of(pending)),
            };
            match done {
                // Cancelled meanwhile: what was on its way has left no trace.
                Err(Error::Conflict(_)) => return Ok(()),
                done => done?,
            }
            self.announce(job);
        }
    }

    fn take_in(&self, pipeline: &Pipeline, job: Uuid, batch: Vec<Pending>) -> Result<()> {
        let mut incoming = Vec::with_capacity(batch.len());
        for Pending { item, .. } in &batch {
            incoming.push(Incoming {
                target: None,
                bytes: pipeline.workspace.item_bytes(item)?,
                sha256: Some(item.sha256.clone()),
                file_name: item.file_name.clone(),
                content_type: item.content_type.clone(),
                title: item.title.clone(),
                source: item.source.clone(),
                metadata: item.metadata.clone(),
            });
        }
        let mut prepared = pipeline.prepare(incoming);
        let mut stale = Vec::new();
        for one in prepared.iter_mut().flatten() {
            if let Prepared::Draft { stale: texts, .. } = one {
                stale.append(texts);
            }
        }
        pipeline.workspace.commit(move |change| {
            for (pending, prepared) in batch.iter().zip(prepared) {
                let stored = prepared.and_then(|prepared| match prepared {
                    Prepared::Unchanged(_) => Ok(()),
                    Prepared::Draft { draft, .. } => documents::put(change, None, &draft).map(|_| ()),
                });
                let failure = match stored {
                    // The machine's fault is not the document's: the job stops and goes on later.
                    Err(error @ (Error::InsufficientStorage | Error::Unavailable(_))) => return Err(error),
                    Err(error) => Some(failure(name_of(&pending.item), &error)),
                    Ok(()) => None,
                };
                jobs::strike(change, job, pending, failure)?;
            }
            Ok(())
        })?;
        pipeline.embedder.forget(&stale);
        Ok(())
    }

    fn unpack(&self, pipeline: &Pipeline, job: Uuid, pending: Pending) -> Result<()> {
        let unpacked = archive::unpack(pipeline.workspace.open_item(&pending.item)?, self.bounds, &self.directory);
        pipeline.workspace.commit(move |change| {
            let entries = match unpacked {
                Ok(entries) => entries,
                Err(Error::InsufficientStorage) => return Err(Error::InsufficientStorage),
                Err(error) => {
                    return jobs::strike(change, job, &pending, Some(failure(name_of(&pending.item), &error)));
                }
            };
            let mut items = Vec::new();
            for entry in entries {
                match entry.taken {
                    Ok(upload) => {
                        change.keep_file(&upload)?;
                        items.push(Item {
                            source: Some(entry.name.clone()),
                            file_name: Some(entry.name),
                            content_type: None,
                            title: None,
                            metadata: pending.item.metadata.clone(),
                            archive: false,
                            sha256: upload.sha256.clone(),
                            size: upload.size,
                        });
                    }
                    Err(error) => jobs::note_failure(change, job, failure(entry.name, &error))?,
                }
            }
            jobs::add_items(change, job, &items)?;
            jobs::strike(change, job, &pending, None)
        })
    }
}

/// The first documents of `pending` that make one commit.
fn batch_of(pending: Vec<Pending>) -> Vec<Pending> {
    let mut bytes = 0;
    let fits = |next: &Pending| {
        let room = bytes < BATCH_BYTES;
        bytes += next.item.size;
        room && !next.item.archive
    };
    pending.into_iter().take_while(fits).collect()
}

fn name_of(item: &Item) -> String {
    item.source.clone().or(item.file_name.clone()).or(item.title.clone()).unwrap_or_else(|| "document".into())
}

fn failure(source: String, error: &Error) -> Failure {
    let message = match error {
        Error::Internal(cause) => {
            tracing::error!(error = %cause, "a document could not be taken in");
            "could not be taken in because of an internal error".to_owned()
        }
        other => other.to_string(),
    };
    Failure { source, code: error.code().to_owned(), message }
}
