//! The last of the [stages](super::stages): takes documents in the order of the job, and commits them in batches.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::flight::Held;
use super::item;
use super::midway::Midway;
use super::pipeline::{self, Prepared};
use super::stages::{Fate, Next, Stages};
use super::texts::Reply;
use crate::embed::Remembered;
use crate::error::{Error, Result};
use crate::workspace::documents;
use crate::workspace::job_items::{self, Pending};
use crate::workspace::job_results::{self, Entry, Status};
use crate::workspace::jobs;

/// Documents that are committed together at most.
pub(super) const BATCH: usize = 512;
/// Bytes in memory from which a batch is committed. Small beside what a job may have in memory, so that the embedding of
/// what follows goes on meanwhile.
const BATCH_BYTES: u64 = 4 << 20;
/// How long documents that are ready wait for others: their job tells of them once they are committed.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// Vectors that are remembered in one write.
const REMEMBERED: usize = 256;

/// A document that can be written.
struct Finished<'f> {
    pending: Pending,
    held: Held<'f>,
    outcome: Result<Prepared>,
}

/// What is to be committed.
struct Gathered<'f> {
    batch: Vec<Finished<'f>>,
    /// Bytes in memory of these.
    bytes: u64,
    /// Vectors to remember.
    fresh: Vec<Remembered>,
    /// When the commit before was.
    since: Instant,
}

impl Gathered<'_> {
    fn is_full(&self) -> bool {
        is_full(self.batch.len(), self.bytes, self.since.elapsed())
    }

    /// How long these wait for others yet; `None` where there are none.
    fn rest(&self) -> Option<Duration> {
        (!self.batch.is_empty()).then(|| LONGEST_WAIT.saturating_sub(self.since.elapsed()))
    }
}

/// Whether so many documents of so many bytes are committed, so long after those before them.
fn is_full(documents: usize, bytes: u64, since: Duration) -> bool {
    documents >= BATCH || bytes >= BATCH_BYTES || documents > 0 && since >= LONGEST_WAIT
}

impl Stages<'_> {
    /// Gathers documents and commits them. `false` where not all of the job was done.
    pub(super) fn write(&self, line: Receiver<Next<'_>>) -> Result<bool> {
        let mut gathered = Gathered { batch: Vec::new(), bytes: 0, fresh: Vec::new(), since: Instant::now() };
        let mut has_moved = false;
        let mut waiting = Instant::now();
        while let Some(next) = self.next(&line, &mut gathered)? {
            let mut is_due = false;
            has_moved |= matches!(next, Next::Document { .. } | Next::Unpacked);
            match next {
                Next::Document { pending, held, fate } => {
                    let outcome = match fate {
                        Fate::Unchanged(document) => Ok(Prepared::Unchanged(*document)),
                        Fate::Refused(error) => Err(error),
                        Fate::Embedding(replies) => {
                            let mut midway = Midway::new(waiting, self.marks.of(self.job, pending.position));
                            match self.collect(&replies, &mut gathered, &mut midway)? {
                                Some(outcome) => outcome,
                                None => {
                                    self.commit(&mut gathered)?;
                                    self.leave(pending.position, &midway, gathered.since)?;
                                    return Ok(false);
                                }
                            }
                        }
                    };
                    gathered.bytes += held.bytes();
                    gathered.batch.push(Finished { pending: *pending, held, outcome });
                }
                Next::Unpacked => {}
                Next::Flush => is_due = true,
                Next::Failed(error) => {
                    self.commit(&mut gathered)?;
                    return Err(error);
                }
            }
            // Not without having got further. Here, where the embedding is hardly ahead, little of it is lost.
            if has_moved && (self.gives_way)() {
                self.commit(&mut gathered)?;
                return Ok(false);
            }
            if is_due || gathered.is_full() {
                self.commit(&mut gathered)?;
            }
            waiting = Instant::now();
        }
        self.commit(&mut gathered)?;
        Ok(!self.is_stopping())
    }

    /// What comes next, or `None` where nothing does any more. What has been gathered is committed when that is due, however
    /// long the next is in coming.
    fn next<T>(&self, from: &Receiver<T>, gathered: &mut Gathered<'_>) -> Result<Option<T>> {
        loop {
            if gathered.is_full() {
                self.commit(gathered)?;
            }
            let next = match gathered.rest() {
                Some(rest) => from.recv_timeout(rest),
                None => from.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match next {
                Ok(next) => return Ok(Some(next)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// A document with its vectors; `None` where the job stops or gives way before it is whole.
    fn collect(
        &self,
        replies: &Receiver<Reply>,
        gathered: &mut Gathered<'_>,
        midway: &mut Midway,
    ) -> Result<Option<Result<Prepared>>> {
        let mut vectors = Vec::new();
        let mut whole = None;
        while let Some(reply) = self.next(replies, gathered)? {
            match reply {
                Reply::Vector(place, Ok(passage)) => {
                    vectors.push((place, passage.vector));
                    midway.count(passage.fresh.is_some(), Instant::now());
                    gathered.fresh.extend(passage.fresh);
                    if gathered.fresh.len() >= REMEMBERED {
                        self.pipeline.embedder.remember(std::mem::take(&mut gathered.fresh));
                    }
                }
                Reply::Vector(_, Err(error)) => return Ok(Some(Err(error))),
                Reply::Draft(draft, stale) => whole = Some((draft, stale)),
            }
            if let Some((mut draft, stale)) = whole.take_if(|(draft, _)| draft.chunks.len() == vectors.len()) {
                for (place, vector) in vectors {
                    if let Some(chunk) = draft.chunks.get_mut(place) {
                        chunk.vector = vector;
                    }
                }
                return Ok(Some(Ok(Prepared::Draft { draft, stale })));
            }
            // Asked last: a job that was told to give way has to.
            if midway.may_be_left(Instant::now()) && (self.gives_way)() {
                break;
            }
        }
        Ok(None)
    }

    /// Leaves a document before it is whole; the job was worked on `since` then.
    fn leave(&self, position: u32, midway: &Midway, since: Instant) -> Result<()> {
        self.marks.set(self.job, position, midway.vectors());
        let (job, worked) = (self.job, since.elapsed());
        self.pipeline.workspace.commit(move |change| jobs::add_work(change, job, 0, worked))
    }

    /// Commits what has been gathered together with what became of it; the job was worked on since the commit before.
    fn commit(&self, gathered: &mut Gathered<'_>) -> Result<()> {
        // Before the commit: what is deleted after it must be there to be forgotten.
        self.pipeline.embedder.remember(std::mem::take(&mut gathered.fresh));
        let batch = std::mem::take(&mut gathered.batch);
        gathered.bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let job = self.job;
        let mut stale = Vec::new();
        let mut landing = Vec::with_capacity(batch.len());
        let mut documents = Vec::with_capacity(batch.len());
        for Finished { pending, held, mut outcome } in batch {
            landing.push(held);
            if let Ok(Prepared::Draft { stale: texts, .. }) = &mut outcome {
                stale.append(texts);
            }
            documents.push((pending, outcome));
        }
        let now = Instant::now();
        let worked = now - std::mem::replace(&mut gathered.since, now);
        self.pipeline.workspace.commit(move |change| {
            jobs::add_work(change, job, documents.len(), worked)?;
            for (pending, outcome) in documents {
                let stored = outcome.and_then(|prepared| match prepared {
                    Prepared::Unchanged(document) => Ok(Entry::of(document, Status::Unchanged)),
                    Prepared::Archive => Err(pipeline::is_no_document()),
                    Prepared::Draft { draft, .. } => {
                        let stored = change.attempt(|change| documents::put(change, None, &draft))?;
                        let status = if stored.replaced { Status::Replaced } else { Status::Added };
                        Ok(Entry::of(stored.document, status))
                    }
                });
                match stored {
                    // The machine's fault is not the document's: the job stops and goes on later.
                    Err(error @ (Error::InsufficientStorage | Error::Unavailable(_))) => return Err(error),
                    Err(error) => {
                        let failure = item::failure(item::name(&pending.item), &error);
                        job_items::strike_failed(change, job, &pending, failure)?;
                    }
                    Ok(entry) => job_items::strike_done(change, job, &pending, &entry)?,
                }
            }
            job_results::give_up(change)
        })?;
        self.pipeline.facts.note(self.pipeline.workspace.id());
        self.pipeline.embedder.forget(&stale);
        drop(landing);
        (self.announce)();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_committed_when_they_are_many_large_or_have_waited() {
        let moment = LONGEST_WAIT / 2;
        assert!(!is_full(1, 100, moment) && !is_full(0, 0, 2 * LONGEST_WAIT));
        assert!(is_full(BATCH, 100, moment) && is_full(1, BATCH_BYTES, moment) && is_full(1, 100, LONGEST_WAIT));
    }
}
