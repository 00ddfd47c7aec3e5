//! How well does this workspace find? An evaluation set's questions, put to each leg and to the fused search, and the
//! places of what they expect turned into figures that can be compared from run to run.
//!
//! Asks the same search that everybody asks, one question after another, so that a run takes no more than its share
//! of the machine. Knows nothing of who wants to know.

mod comparison;
mod judge;
pub mod metrics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use crate::clock;
use crate::embed::{Embedder, Reranker};
use crate::error::{Error, Result};
use crate::search::{self, SearchRequest, SearchType};
use crate::workspace::Workspace;
use crate::workspace::evaluation_runs::{Answered, Conditions, Run};
use crate::workspace::evaluations::Question;

pub use comparison::{Comparison, Moved, compare};
pub use judge::has_words;

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

/// Puts `questions` to the searches of `workspace`. Stores nothing.
///
/// # Errors
/// [`Error::Unavailable`] where a leg cannot be asked or does not know the last changes, since figures would not be
/// comparable; where `goes_on` says no before the end.
pub fn run(
    workspace: &Workspace,
    embedder: &dyn Embedder,
    questions: &[Question],
    settings: &Settings,
    goes_on: &dyn Fn() -> bool,
) -> Result<Run> {
    let (started, created_at) = (Instant::now(), clock::now());
    let stats = workspace.stats()?;
    let fulltext = workspace.fulltext();
    let mut answered = Vec::with_capacity(questions.len());
    for question in questions {
        if !goes_on() {
            return Err(Error::Unavailable("the server is stopping; run the evaluation again".into()));
        }
        let expected = judge::Expected::new(&question.expected, fulltext.analyzer());
        let figures = |search_type| {
            let request = SearchRequest {
                query: question.question.clone(),
                search_type,
                limit: if expected.is_of_documents() {
                    (settings.k * CHUNKS_FOR_A_DOCUMENT).min(MOST)
                } else {
                    settings.k
                },
                text_weight: settings.text_weight,
                reranker: settings.reranker.clone().filter(|_| search_type == SearchType::Hybrid),
                ..SearchRequest::default()
            };
            let found = search::search(workspace, embedder, &request)?;
            if let Some(leg) = found.legs.iter().find(|leg| leg.outcome.is_err() || leg.is_behind) {
                let why = format!("the {} leg cannot be measured now; try again shortly", leg.name);
                return Err(Error::Unavailable(why));
            }
            let judged = expected.places(found.hits.iter().map(|hit| &hit.located));
            Ok(metrics::figures(&judged, settings.k))
        };
        let legs: Result<BTreeMap<_, _>> =
            LEGS.into_iter().map(|(name, search_type)| Ok((name.to_owned(), figures(search_type)?))).collect();
        answered.push(Answered { question_id: question.id, legs: legs? });
    }
    let legs = LEGS.into_iter().map(|(name, _)| {
        (name.to_owned(), metrics::mean(answered.iter().filter_map(|answered| answered.legs.get(name).copied())))
    });
    let model = workspace.model();
    Ok(Run {
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
        absent: workspace.absent_documents(questions)?,
        question_count: questions.len() as u64,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        questions: Some(answered),
        created_at,
    })
}
