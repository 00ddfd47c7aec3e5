//! Reads the facts of documents, behind everybody's back, once the documents can be searched.
//!
//! One thread goes from workspace to workspace, a batch of documents at each; what is still to be read is on file, so a
//! stop loses nothing. A document that cannot be read holds up nobody: it says nothing.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::background;
use super::proposals::Proposals;
use super::round::Round;
use crate::error::{Error, Result};
use crate::extract::Format;
use crate::graph::Extraction;
use crate::graph::extract::{self, Document, Structure};
use crate::workspace::Workspace;
use crate::workspace::facts::{self, Bounds, Unread};

/// Documents of one batch, and bytes of their text but for the first: some tenths of a second's work.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 256 << 10;
/// How long a workspace waits whose facts could not be stored.
const PAUSE: Duration = Duration::from_secs(10);

/// Opens a workspace by its id.
pub type OpenWorkspace = dyn Fn(Uuid) -> Result<Arc<Workspace>> + Send + Sync;

/// What became of a workspace's turn.
enum Turn {
    /// There may be more documents to read.
    More,
    Done,
    /// Its graph can take no more.
    Full,
}

/// The workspaces whose documents have facts to be read.
pub struct Facts {
    round: Round,
    bounds: Bounds,
    /// Workspaces that were found to have no room for more facts.
    full: Mutex<HashSet<Uuid>>,
    /// What a language model is asked afterwards, where there is one.
    proposals: Option<Arc<Proposals>>,
}

impl Facts {
    /// Nothing to read yet; what is read is kept within `bounds` for each workspace, until `stopping` turns true.
    pub fn new(bounds: Bounds, proposals: Option<Arc<Proposals>>, stopping: watch::Receiver<bool>) -> Self {
        Facts { round: Round::new(stopping), bounds, full: Mutex::default(), proposals }
    }

    /// Says that a workspace has documents whose facts are to be read.
    pub fn note(&self, workspace: Uuid) {
        self.round.add(workspace);
    }

    /// Whether a workspace's graph can take more facts.
    pub fn has_room(&self, workspace: &Workspace) -> Result<bool> {
        workspace.has_room_for_facts(self.bounds)
    }

    /// Reads until told to stop. The second call does nothing.
    pub fn start(self: &Arc<Self>, open: Arc<OpenWorkspace>) {
        self.round.start(self.clone().take_turns(open));
    }

    /// Waits until the batch that was under way when it was told to stop is in.
    pub async fn ended(&self) {
        self.round.ended().await;
    }

    async fn take_turns(self: Arc<Self>, open: Arc<OpenWorkspace>) {
        while let Some(workspace) = self.round.next().await {
            let (facts, open) = (self.clone(), open.clone());
            let read = tokio::task::spawn_blocking(move || facts.read(&*open(workspace)?)).await;
            match read.unwrap_or_else(|panic| Err(Error::internal("a panic", panic))) {
                Ok(Turn::More) => self.round.give_back(workspace),
                Ok(Turn::Done) | Err(Error::NotFound(_)) => {
                    self.round.end(workspace);
                    self.proposals.iter().for_each(|proposals| proposals.note(workspace));
                }
                Ok(Turn::Full) => self.round.end(workspace),
                Err(error) => {
                    tracing::warn!(workspace.id = %workspace, %error, "facts could not be read; they are read later");
                    self.give_back_after(workspace, PAUSE);
                }
            }
        }
    }

    /// Gives a workspace its next turn after a while. Meanwhile, nobody else can give it one.
    fn give_back_after(self: &Arc<Self>, workspace: Uuid, pause: Duration) {
        let facts = self.clone();
        tokio::spawn(async move {
            if facts.round.unless_stopped(tokio::time::sleep(pause)).await.is_some() {
                facts.round.give_back(workspace);
            }
        });
    }

    fn full(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the next documents of a workspace.
    fn read(&self, workspace: &Workspace) -> Result<Turn> {
        if workspace.is_read_only() || !workspace.has_unread()? {
            return Ok(Turn::Done);
        }
        if !self.has_room(workspace)? {
            // It is looked at again and again, and told of once.
            if self.full().insert(workspace.id()) {
                tracing::warn!(workspace.id = %workspace.id(), "the knowledge graph is full; no more facts are read");
            }
            return Ok(Turn::Full);
        }
        self.full().remove(&workspace.id());
        let documents = workspace.unread(BATCH, BATCH_BYTES)?;
        let thread = std::thread::Builder::new().name("facts".into());
        let reading = thread.spawn(move || {
            background::step_back();
            documents.into_iter().map(|document| (said_by(&document), document)).collect::<Vec<_>>()
        })?;
        let read = reading.join().map_err(|_| Error::Internal("reading facts panicked".into()))?;
        let is_all = self.proposals.is_none();
        workspace.commit(move |change| {
            read.iter().try_for_each(|(said, document)| facts::put(change, document, said, is_all))
        })?;
        Ok(Turn::More)
    }
}

/// What a document says; nothing where reading it fails.
fn said_by(document: &Unread) -> Extraction {
    let read = catch_unwind(AssertUnwindSafe(|| extract::extract(&of(document))));
    read.unwrap_or_else(|_| {
        tracing::error!(document.source, "the facts of a document cannot be read");
        Extraction::default()
    })
}

/// A document as the reader of facts takes it.
fn of(document: &Unread) -> Document<'_> {
    let structure = match document.content_type.as_str() {
        "text/markdown" => Structure::Markdown,
        _ if Format::is_code(&document.source, &document.file_type) => Structure::Code,
        _ => Structure::Prose,
    };
    Document {
        title: &document.title,
        content: &document.content,
        structure,
        date: document.date,
        language: document.language.as_deref(),
    }
}
