//! From bytes to a stored document: extract, cut, embed, commit.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::chunk::{self, Budget, Tokens};
use super::facts::Facts;
use super::{source, tables};
use crate::datadir::Uploaded;
use crate::digest::sha256 as sha256_of;
use crate::embed::{Cached, Embedder, Purpose};
use crate::error::{Error, Result};
use crate::extract::{self, Fault, Format, Input, Kind, Structure};
use crate::place;
use crate::sandbox::Sandbox;
use crate::workspace::documents::{self, Document, Stored};
use crate::workspace::{Workspace, chunks, in_context};

/// Characters of a title at most.
const LONGEST_TITLE: usize = 300;
/// Texts of one document that are embedded together.
const TEXTS: usize = 256;

/// Bytes that want to become a document, and what their sender says of them.
#[derive(Debug, Clone, Default)]
pub struct Incoming {
    /// The document to take the place of; else it is found by its source.
    pub target: Option<Uuid>,
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes in hexadecimal, where it is known.
    pub sha256: Option<String>,
    /// The name that the bytes came with, checked.
    pub file_name: Option<String>,
    pub content_type: Option<String>,
    pub title: Option<String>,
    pub source: Option<String>,
    pub metadata: Option<Map<String, Value>>,
    /// Tokens that a chunk aims at; else as the pipeline has it.
    pub chunk_tokens: Option<u32>,
}

/// What became of a document that came in.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Stored(Stored),
    /// The same bytes were there under the same source.
    Unchanged(Document),
}

/// What turns bytes into a document of one workspace.
pub struct Pipeline {
    pub workspace: Arc<Workspace>,
    pub embedder: Arc<Cached>,
    /// What reads documents.
    pub sandbox: Arc<Sandbox>,
    /// Tokens that a chunk aims at.
    pub chunk_tokens: usize,
    /// What reads the facts of what came in.
    pub facts: Arc<Facts>,
}

impl Pipeline {
    /// Takes one document in; it is searchable when this returns.
    pub fn take_in(&self, incoming: Incoming, upload: Uploaded) -> Result<Outcome> {
        let target = incoming.target;
        match self.draft(incoming)? {
            Prepared::Unchanged(document) => Ok(Outcome::Unchanged(document)),
            Prepared::Archive => Err(is_no_document()),
            Prepared::Draft { mut draft, stale } => {
                self.embed(&mut draft)?;
                let stored = self.workspace.commit(move |change| {
                    change.keep_file(&upload)?;
                    documents::put(change, target, &draft)
                })?;
                self.facts.note(self.workspace.id());
                self.embedder.forget(&stale);
                Ok(Outcome::Stored(stored))
            }
        }
    }

    /// Gives every chunk its vector.
    fn embed(&self, draft: &mut documents::Draft) -> Result<()> {
        let mut from = 0;
        while from < draft.chunks.len() {
            // Not all at once: the texts of a long document would be in memory twice.
            let to = draft.chunks.len().min(from + TEXTS);
            let texts: Vec<String> = (from..to).map(|place| embedded_text(draft, place)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let vectors = self.embedder.embed(&texts, Purpose::Passage)?;
            draft.chunks.iter_mut().skip(from).zip(vectors).for_each(|(chunk, vector)| chunk.vector = vector);
            from = to;
        }
        Ok(())
    }

    /// Extracts and cuts a document; its chunks have no vectors yet.
    pub(super) fn draft(&self, incoming: Incoming) -> Result<Prepared> {
        let Incoming { target, bytes, sha256, file_name, content_type, title, source, metadata, chunk_tokens } =
            incoming;
        let format = match Format::detect(&bytes, file_name.as_deref(), content_type.as_deref()) {
            Err(Fault { kind: Kind::Archive, .. }) => return Ok(Prepared::Archive),
            format => format?,
        };
        let content_hash = sha256.unwrap_or_else(|| sha256_of(&bytes));
        let previous = match (target, source.as_ref().or(file_name.as_ref())) {
            (Some(target), _) => Some(self.workspace.document(target)?),
            (None, Some(source)) => self.workspace.document_with_source(source)?,
            (None, None) => None,
        };
        let source = source.or(previous.as_ref().map(|p| p.source.clone())).or(file_name.clone());
        if let Some(document) = &previous
            && document.content_hash == content_hash
            && format.may_be(&document.file_type)
            && source.as_ref().is_none_or(|source| *source == document.source)
            && title.as_ref().is_none_or(|title| *title == document.title)
            && metadata.as_ref().is_none_or(|given| given.iter().all(|(k, v)| document.metadata.get(k) == Some(v)))
        {
            return Ok(Prepared::Unchanged(document.clone()));
        }
        let input = Input {
            bytes: &bytes,
            format,
            name: file_name.as_deref(),
            charset: content_type.as_deref().and_then(extract::charset),
            wants_scans: false,
        };
        let extracted = match self.sandbox.extract(self.workspace.id(), input)? {
            Err(Fault { kind: Kind::Archive, .. }) => return Ok(Prepared::Archive),
            extracted => extracted?,
        };
        let title =
            title.or(extracted.title).or_else(|| file_name.as_deref().map(|name| source::stem(name).to_owned()));
        let title =
            title.unwrap_or_else(|| first_line(&extracted.content)).chars().take(LONGEST_TITLE).collect::<String>();
        let mut facts = extracted.metadata;
        facts.extend(metadata.unwrap_or_default());
        let tokens = ModelTokens(self.embedder.as_ref());
        let budget = self.budget(&title, chunk_tokens);
        let (content, marks) = match extracted.structure {
            Structure::Markdown => tables::repeat_headers(extracted.content, extracted.marks, budget, &tokens),
            Structure::Plain | Structure::Code => (extracted.content, extracted.marks),
        };
        let pieces = chunk::chunk(&content, extracted.structure, budget, &tokens);
        let chunks = pieces.into_iter().map(|piece| chunks::Draft {
            places: place::within(&marks, &content, &piece.range),
            start: piece.range.start,
            end: piece.range.end,
            heading_path: piece.heading_path,
            token_count: u32::try_from(piece.tokens).unwrap_or(u32::MAX),
            vector: Vec::new(),
        });
        let draft = documents::Draft {
            title,
            source: source.unwrap_or_else(|| Uuid::now_v7().urn().to_string()),
            content_type: if extracted.structure != Structure::Markdown { "text/plain" } else { "text/markdown" }
                .to_owned(),
            metadata: facts,
            warnings: extracted.warnings,
            size_bytes: bytes.len() as u64,
            content_hash,
            file_type: extracted.media_type,
            model: self.embedder.model().sha256.clone(),
            chunks: chunks.collect(),
            content,
        };
        let mut stale = previous.map_or(Ok(Vec::new()), |document| self.workspace.embedded_texts(document.id))?;
        if !stale.is_empty() {
            let kept: HashSet<String> = (0..draft.chunks.len()).map(|place| embedded_text(&draft, place)).collect();
            stale.retain(|text| !kept.contains(text));
        }
        Ok(Prepared::Draft { draft, stale })
    }

    /// Leaves room in the model's window for the title and headings that a chunk is embedded with.
    fn budget(&self, title: &str, chunk_tokens: Option<u32>) -> Budget {
        let window = self.embedder.model().max_tokens;
        let headings = 32;
        let context = self.embedder.count_tokens(title) + headings;
        let most = window.saturating_sub(context).max(window / 2);
        let target = chunk_tokens.map_or(self.chunk_tokens, |tokens| usize::try_from(tokens).unwrap_or(usize::MAX));
        Budget { target: target.min(most), most }
    }
}

/// A document on its way in.
pub enum Prepared {
    Draft {
        draft: documents::Draft,
        /// Texts of the document's earlier state whose vectors need not be remembered any more.
        stale: Vec<String>,
    },
    Unchanged(Document),
    /// It is no document, but may hold some.
    Archive,
}

/// What is said of an archive where a document is wanted.
pub fn is_no_document() -> Error {
    Error::UnsupportedMediaType("an archive is not one document but many: send it to …/ingest".to_owned())
}

/// Deletes a document and all that came of it, down to the cached vectors of its text. Returns the chunks deleted.
pub fn delete_document(workspace: &Workspace, embedder: &Cached, document: Uuid) -> Result<u64> {
    let texts = workspace.embedded_texts(document)?;
    let deleted = workspace.commit(move |change| documents::delete(change, document))?;
    embedder.forget(&texts);
    Ok(deleted)
}

/// What is embedded for the chunk at `place`.
pub(super) fn embedded_text(draft: &documents::Draft, place: usize) -> String {
    let Some(chunk) = draft.chunks.get(place) else { return String::new() };
    let text = draft.content.get(chunk.start..chunk.end).unwrap_or_default();
    in_context(&draft.title, &chunk.heading_path, text)
}

fn first_line(content: &str) -> String {
    let line = content.lines().map(|line| line.trim_start_matches('#').trim()).find(|line| !line.is_empty());
    line.unwrap_or("untitled").chars().take(80).collect()
}

/// The embedding model's tokenizer as the chunker wants it.
struct ModelTokens<'a>(&'a dyn Embedder);

impl Tokens for ModelTokens<'_> {
    fn count(&self, text: &str) -> usize {
        self.0.count_tokens(text)
    }

    fn offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.0.token_offsets(text)
    }
}
