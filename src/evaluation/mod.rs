//! How well does this workspace find? An evaluation set's questions, put to each leg and to the fused search, and the
//! places of what they expect turned into figures that can be compared from run to run.
//!
//! Asks the same search that everybody asks, one question after another, so that whoever asks may give others their
//! turn between two. Knows nothing of who wants to know.

mod approved;
mod comparison;
mod judge;
pub mod metrics;
mod running;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use crate::clock;
use crate::embed::{Embedder, Reranker};
use crate::error::{Error, Result};
use crate::search::{self, SearchRequest, SearchType};
use crate::workspace::evaluation_runs::{Answered, Conditions, Run};
use crate::workspace::evaluations::Question;
use crate::workspace::{Stats, Workspace};

pub use approved::Approved;
pub use comparison::{Comparison, Moved, compare};
pub use judge::has_words;
pub use running::{Running, Slot};

/// The search that answers are made of: what "better" and "worse" are about.
pub const FUSED: &str = "hybrid";

/// What is measured, by its name.
const LEGS: [(&str, SearchType); 3] =
    [("vector", SearchType::Vector), ("fulltext", SearchType::Fulltext), (FUSED, SearchType::Hybrid)];

/// Chunks that are asked for, for one document that is looked at.
const CHUNKS_FOR_A_DOCUMENT: usize = 5;

/// Chunks that are asked for at most: more cannot be reranked.
const MOST: usize = 200;

/// How a run searches.
pub struct Settings {
    /// Hits that are looked at, from 1.
    pub k: usize,
    /// As in [`SearchRequest`].
    pub text_weight: Option<f32>,
    /// What reranks the fused hits.
    pub reranker: Option<Arc<Reranker>>,
}

/// A set that is put to the searches of its workspace. Stores nothing.
pub struct Measurement {
    workspace: Arc<Workspace>,
    embedder: Arc<dyn Embedder>,
    settings: Settings,
    questions: Vec<Question>,
    answered: Vec<Answered>,
    /// Of the workspace as it was before the first question.
    stats: Stats,
    started: Instant,
    created_at: String,
}

impl Measurement {
    pub fn new(
        workspace: Arc<Workspace>,
        embedder: Arc<dyn Embedder>,
        questions: Vec<Question>,
        settings: Settings,
    ) -> Result<Self> {
        let (stats, answered) = (workspace.stats()?, Vec::with_capacity(questions.len()));
        let (started, created_at) = (Instant::now(), clock::now());
        Ok(Measurement { workspace, embedder, settings, questions, answered, stats, started, created_at })
    }

    /// Asks the next question. `false` where there is none left.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where a leg cannot be asked or does not know the last changes, since figures would not
    /// be comparable.
    pub fn ask_next(&mut self) -> Result<bool> {
        let Some(question) = self.questions.get(self.answered.len()) else { return Ok(false) };
        let fulltext = self.workspace.fulltext();
        let expected = judge::Expected::new(&question.expected, fulltext.analyzer());
        let figures = |search_type| {
            let k = self.settings.k;
            let request = SearchRequest {
                query: question.question.clone(),
                search_type,
                limit: if expected.is_of_documents() { (k * CHUNKS_FOR_A_DOCUMENT).min(MOST) } else { k },
                text_weight: self.settings.text_weight,
                reranker: self.settings.reranker.clone().filter(|_| search_type == SearchType::Hybrid),
                fold_duplicates: true,
                ..SearchRequest::default()
            };
            let found = search::search(&self.workspace, self.embedder.as_ref(), &request)?;
            if let Some(leg) = found.legs.iter().find(|leg| leg.outcome.is_err() || leg.is_behind) {
                let why = format!("the {} leg cannot be measured now; try again shortly", leg.name);
                return Err(Error::Unavailable(why));
            }
            Ok(metrics::figures(&expected.places(&found.hits), k))
        };
        let legs: Result<BTreeMap<_, _>> =
            LEGS.into_iter().map(|(name, search_type)| Ok((name.to_owned(), figures(search_type)?))).collect();
        self.answered.push(Answered { question_id: question.id, legs: legs? });
        Ok(true)
    }

    /// What was measured, and the questions, each of which was asked.
    pub fn end(self) -> Result<(Run, Vec<Question>)> {
        let Measurement { workspace, embedder, settings, questions, answered, stats, started, created_at } = self;
        let legs = LEGS.into_iter().map(|(name, _)| {
            (name.to_owned(), metrics::mean(answered.iter().filter_map(|answered| answered.legs.get(name).copied())))
        });
        let model = embedder.model();
        let run = Run {
            id: Uuid::now_v7(),
            k: settings.k,
            conditions: Conditions {
                text_weight: settings.text_weight,
                reranker: settings.reranker.as_ref().map(|reranker| reranker.name().to_owned()),
                embedding_model: model.name.clone(),
                model_sha256: model.sha256.clone(),
                generation: stats.generation,
                documents: stats.documents,
                chunks: stats.chunks,
                carrel_version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            legs: legs.collect(),
            absent: workspace.absent_documents(&questions)?,
            question_count: questions.len() as u64,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            questions: Some(answered),
            created_at,
        };
        Ok((run, questions))
    }
}
