//! The stages that the documents of a job go through, all at once: read, extract and cut · embed · write.
//!
//! One thread reads ahead. As many as the model has sessions embed, a text at a time, and hardly ever wait for anybody:
//! while a batch is being committed they are at the next one. One writes: it takes documents in the order of the job,
//! gathers them, and commits each batch together with the note that it is done, so a job that is cut off goes on where
//! it stopped, and the later of two documents of one source wins.
//!
//! Memory: a document enters as [`GROWTH`] times its size and then counts for its text and vectors; all of a job's
//! together stay below [`FLIGHT`]. One that is larger flies alone, and since it is stored whole or not at all it is
//! in memory whole: 64 MiB of prose are some 85,000 chunks and 200 MB with their vectors. That is the bound: `FLIGHT`
//! or the largest document, times the jobs at once, however large the corpus.
//!
//! All of it steps back behind searches ([`background`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, Scope};

use tokio::sync::watch;
use uuid::Uuid;

use super::archive::Bounds;
use super::flight::{Flight, Held};
use super::midway::Marks;
use super::pipeline::{Pipeline, Prepared};
use super::texts::{Cut, Reply, Texts};
use super::{background, item, writer};
use crate::datadir::DataDir;
use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::workspace::documents::{Document, Draft};
use crate::workspace::job_items::Pending;

/// Bytes that a job has in memory at most, but for a document that alone is larger.
const FLIGHT: u64 = 32 << 20;
/// What a document comes to, in parts of its size, before that is known: its bytes, its text, and vectors twice as long.
const GROWTH: u64 = 4;
/// Bytes that every document counts for beside its text and vectors.
const OVERHEAD: u64 = 1024;
/// Bytes of text that wait to be embedded, from which no further document is read: a second's work or so. A job that gives
/// way reads them again.
const AHEAD: u64 = 256 << 10;
/// Items that are looked up at once.
const PAGE: usize = 256;

/// A job and what it is worked off with.
pub struct Stages<'a> {
    pub pipeline: &'a Pipeline,
    pub job: Uuid,
    pub bounds: Bounds,
    pub directory: &'a DataDir,
    /// Turns true when what is under way is to be left for the next start.
    pub stopping: &'a watch::Receiver<bool>,
    /// Whether what is still to do is to be left for another turn.
    pub gives_way: &'a (dyn Fn() -> bool + Sync),
    /// How far the documents were that jobs gave way within.
    pub marks: &'a Marks,
    /// Called after each step forward.
    pub announce: &'a (dyn Fn() + Sync),
}

/// What the reader has to do with the others.
struct Reader<'f> {
    /// Documents in memory.
    flight: &'f Flight,
    /// Texts that wait to be embedded.
    ahead: &'f Flight,
    /// To the embedding threads.
    cut: SyncSender<Cut<'f>>,
    /// To the writer.
    line: SyncSender<Next<'f>>,
    /// Turns true when the writer has ended.
    over: &'f AtomicBool,
}

/// What the reader tells the writer, in the order of the job.
pub(super) enum Next<'f> {
    Document {
        pending: Box<Pending>,
        held: Held<'f>,
        fate: Fate,
    },
    /// An archive's documents stand in its stead.
    Unpacked,
    /// Room is needed: what has been gathered is to be committed.
    Flush,
    /// What comes next cannot be done now, and what was before it can.
    Failed(Error),
}

/// What becomes of a document.
pub(super) enum Fate {
    Unchanged(Box<Document>),
    Refused(Error),
    /// Its vectors, and itself once all its texts were handed out.
    Embedding(Receiver<Reply>),
}

impl Stages<'_> {
    /// Works the job off. `false` where it was told to stop or gave way: then the rest is still to do. A job that gives
    /// way has got further, whatever its next document is: a document is done, or more of one is embedded and remembered.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the job was cancelled; else what keeps the first thing to do from being done.
    pub fn work_off(&self) -> Result<bool> {
        let (flight, ahead) = (Flight::new(FLIGHT), Flight::new(AHEAD));
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (told, line) = sync_channel(writer::BATCH);
            let (cut, documents) = sync_channel(writer::BATCH);
            let texts = Arc::new(Mutex::new(Texts::of(documents)));
            for _ in 0..self.pipeline.embedder.at_once() {
                let (texts, over) = (texts.clone(), &over);
                spawn(scope, "embed", move || self.embed(&texts, over))?;
            }
            // With the last of its threads the texts go, and the reader knows that it reads for nobody.
            drop(texts);
            let reader = Reader { flight: &flight, ahead: &ahead, cut, line: told, over: &over };
            spawn(scope, "read", move || self.read(&reader))?;
            let writer = spawn(scope, "write", || {
                let _over = Over(&over);
                self.write(line)
            })?;
            writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Reads, extracts and cuts; unpacks archives.
    fn read(&self, to: &Reader<'_>) {
        let mut last = None;
        // An end that does not listen any more has a reason, and tells it.
        while !self.is_stopping() {
            let page = match self.pipeline.workspace.pending_items(self.job, last, PAGE) {
                Ok(page) => page,
                Err(error) => return drop(to.line.send(Next::Failed(error))),
            };
            let Some(end) = page.last() else { return };
            last = Some(end.position);
            for pending in page {
                let read = match item::holds_others(&self.pipeline.workspace, &pending.item, self.bounds) {
                    Ok(true) => self.unpack(pending, to),
                    Ok(false) => self.read_document(pending, to),
                    Err(error) => Err(error),
                };
                match read {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => return drop(to.line.send(Next::Failed(error))),
                }
            }
        }
    }

    fn unpack(&self, pending: Pending, to: &Reader<'_>) -> Result<bool> {
        item::unpack(self.pipeline, self.job, pending, self.bounds, self.directory, &|| self.is_stopping())?;
        (self.announce)();
        Ok(to.line.send(Next::Unpacked).is_ok() && !self.is_stopping())
    }

    /// Sends a document on its way. `false` where nobody waits for it.
    fn read_document(&self, pending: Pending, to: &Reader<'_>) -> Result<bool> {
        let source = pending.item.source.as_deref().or(pending.item.file_name.as_deref());
        let size = pending.item.size.saturating_mul(GROWTH).saturating_add(OVERHEAD);
        // The writer gathers less than a batch without being asked, so whatever else it is that must land first.
        let in_the_way = size > FLIGHT / 2 || source.is_some_and(|source| to.flight.holds(source));
        if in_the_way && to.line.send(Next::Flush).is_err() {
            return Ok(false);
        }
        let mut ahead = to.ahead.enter(None, 1);
        let mut held = to.flight.enter(source, size);
        if to.over.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let incoming = item::read(self.pipeline, &pending.item)?;
        failpoint::reach("job.reading");
        let (fate, cut_document) = match self.pipeline.draft(incoming) {
            Ok(Prepared::Unchanged(document)) => (Fate::Unchanged(Box::new(document)), None),
            Ok(Prepared::Archive) => {
                drop(held);
                return self.unpack(pending, to);
            }
            Ok(Prepared::Draft { draft, stale }) => {
                let (reply, replies) = channel();
                held.weigh(self.weight(&draft, &stale));
                ahead.weigh(draft.content.len() as u64);
                (Fate::Embedding(replies), Some(Cut { draft, stale, reply, ahead }))
            }
            Err(error) => (Fate::Refused(error), None),
        };
        let told = to.line.send(Next::Document { pending: Box::new(pending), held, fate }).is_ok();
        Ok(told && cut_document.is_none_or(|document| to.cut.send(document).is_ok()))
    }

    /// Bytes in memory of a document that has its vectors.
    fn weight(&self, draft: &Draft, stale: &[String]) -> u64 {
        let vector = self.pipeline.embedder.model().dimension * size_of::<f32>();
        let chunks = draft.chunks.iter().map(|chunk| {
            let headings = chunk.heading_path.iter().map(|heading| heading.len() + size_of::<String>());
            size_of_val(chunk) + vector + headings.sum::<usize>()
        });
        let stale = stale.iter().map(|text| text.len() + size_of::<String>());
        OVERHEAD + (draft.content.len() + chunks.sum::<usize>() + stale.sum::<usize>()) as u64
    }

    /// Embeds one text after the other.
    fn embed(&self, texts: &Mutex<Texts<'_>>, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) && !self.is_stopping() {
            let next = texts.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((place, text, reply)) = next else { return };
            // The writer has lost interest where the document failed at another of its texts.
            let _ = reply.send(Reply::Vector(place, self.pipeline.embedder.passage(&text)));
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

/// Says that the writer has ended, however it did.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<std::thread::ScopedJoinHandle<'scope, T>> {
    let started = Builder::new().name(name.to_owned()).spawn_scoped(scope, || {
        background::step_back();
        work()
    });
    Ok(started?)
}
