//! What the embedding threads of a job work on: its documents' texts, made one at a time, and what comes back.

use std::sync::mpsc::{Receiver, Sender};

use super::flight::Held;
use super::pipeline::embedded_text;
use crate::embed::Passage;
use crate::error::Result;
use crate::workspace::documents::Draft;

/// What comes back from embedding.
pub enum Reply {
    Vector(usize, Result<Passage>),
    Draft(Draft, Vec<String>),
}

/// A document on its way to the embedding threads.
pub struct Cut<'f> {
    pub draft: Draft,
    pub stale: Vec<String>,
    pub reply: Sender<Reply>,
    /// What it counts for until all its texts are handed out.
    pub ahead: Held<'f>,
}

/// The texts of the documents that come in, one by one.
pub struct Texts<'f> {
    documents: Receiver<Cut<'f>>,
    /// The document whose texts are being handed out, and the place of the next.
    open: Option<(Cut<'f>, usize)>,
}

impl<'f> Texts<'f> {
    /// Those of `documents`.
    pub fn of(documents: Receiver<Cut<'f>>) -> Self {
        Texts { documents, open: None }
    }

    /// The next text with its place in its document; waits for documents.
    pub fn next(&mut self) -> Option<(usize, String, Sender<Reply>)> {
        loop {
            let (cut, place) = match self.open.take() {
                Some(open) => open,
                None => (self.documents.recv().ok()?, 0),
            };
            let text = (place < cut.draft.chunks.len()).then(|| embedded_text(&cut.draft, place));
            let reply = cut.reply.clone();
            if place + 1 < cut.draft.chunks.len() {
                self.open = Some((cut, place + 1));
            } else {
                drop(cut.ahead);
                let _ = reply.send(Reply::Draft(cut.draft, cut.stale));
            }
            if let Some(text) = text {
                return Some((place, text, reply));
            }
        }
    }
}
