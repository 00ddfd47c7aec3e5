//! One question, ranked hits.
//!
//! Every query runs all legs that apply; a leg that gives nothing or fails is reported, never silently zero.
//! Filters act inside the legs, before ranking. No hit leaves without its row in the truth. Takes a workspace that
//! the caller was let into; knows nothing of who that was.

mod diversity;
mod duplicates;
mod fulltext;
mod fusion;
mod highlight;
mod selection;
mod vector;

use std::collections::HashMap;
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::embed::{Embedder, Reranker};
use crate::error::{Error, Result};
use crate::fulltext::{Asked, Query};
use crate::workspace::chunks::Located;
use crate::workspace::{Filter, IndexState, Workspace};

pub use selection::{Duplicate, Rerank};

/// Candidates that each leg gives for one wanted hit, and the least it gives.
const DEPTH: (usize, usize) = (4, 60);
/// Candidates that each leg gives at most where so many were folded that hits are missing.
const DEEPEST: usize = 1000;
/// Hits that are reranked or diversified at least, so that the first pages are cut from one order.
const REORDERED: usize = 50;
/// Hits that can be reranked or diversified at most.
pub const MOST_REORDERED: usize = 200;

/// Which legs a search uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SearchType {
    #[default]
    Hybrid,
    Vector,
    Fulltext,
    Graph,
}

/// A question to a workspace.
#[derive(Debug, Clone, Default)]
pub struct SearchRequest {
    pub query: String,
    /// Whether it was said to somebody and not typed into a search box: then signs in it steer nothing.
    pub is_prose: bool,
    pub search_type: SearchType,
    pub limit: usize,
    pub offset: usize,
    /// Weight of the text leg in a hybrid search, `0..=1`; `None` for what proved good for
    /// such a question.
    pub text_weight: Option<f32>,
    pub filter: Filter,
    /// Neighbouring chunks to give with each hit, on either side.
    pub expand: u32,
    /// What reranks the best hits; `None` leaves them as fusion ranked them.
    pub reranker: Option<Arc<Reranker>>,
    /// Whether hits that say the same as a better one are folded into it.
    pub fold_duplicates: bool,
    /// How much new things count against relevance, `0..=1`; 0 leaves the order alone.
    pub diversify: f32,
}

/// A chunk that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub located: Located,
    /// What it was ranked by, `0..=1`: fusion or, where there was one, the reranker.
    pub score: f32,
    /// Cosine similarity, negative ones as 0; `None` where the leg did not run.
    pub vector_similarity: Option<f32>,
    /// BM25 relative to the most that the query could reach; `None` where the leg did not run.
    pub text_similarity: Option<f32>,
    /// Place in each leg from 1, where it was among the leg's candidates.
    pub vector_rank: Option<usize>,
    pub text_rank: Option<usize>,
    /// Bytes of the chunk that hold words of the query.
    pub highlights: Vec<(usize, usize)>,
    /// The chunk with its neighbours and the first byte of that in the document, where asked for.
    pub surroundings: Option<(usize, String)>,
    /// What reranking did, where it was asked for.
    pub rerank: Option<Rerank>,
    /// Chunks that say the same, best first; at most 20 of them.
    pub duplicates: Vec<Duplicate>,
}

/// How a leg fared.
#[derive(Debug, Clone, PartialEq)]
pub struct Leg {
    pub name: &'static str,
    /// Candidates that it gave, or why it gave none.
    pub outcome: std::result::Result<usize, String>,
    /// Whether it does not know the last changes yet.
    pub is_behind: bool,
    /// What the signs of the query did that may surprise, in a sentence; on one leg, though it holds for all.
    pub detail: Option<String>,
}

/// The answer to a [`SearchRequest`].
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub hits: Vec<Hit>,
    pub legs: Vec<Leg>,
    /// The weight that the text leg had where both were fused.
    pub text_weight: f32,
}

/// What a leg gave: chunks with their similarity, best first.
type Ranking = Vec<(u32, f32)>;

/// What the legs found together.
struct Candidates {
    ranked: Vec<fusion::Fused>,
    by_vector: Option<Ranking>,
    by_text: Option<Ranking>,
    legs: Vec<Leg>,
}

/// Answers `request` from `workspace`.
///
/// # Errors
/// Where no leg worked, the first one's error; where reranking fails, its.
pub fn search(workspace: &Workspace, embedder: &dyn Embedder, request: &SearchRequest) -> Result<Found> {
    let wanted = request.offset + request.limit;
    let reorders = request.reranker.is_some() || request.diversify > 0.0;
    let considered = if reorders { wanted.clamp(REORDERED, MOST_REORDERED) } else { wanted };
    let typed = if request.is_prose { Query::prose(&request.query) } else { Query::parse(&request.query) };
    let asked = workspace.ready_fulltext().and_then(|fulltext| fulltext.ask(&typed));
    let allowed = allowed(workspace, request, &typed, &asked)?;
    let query = vector::Query::new(&typed.plain, embedder);
    let text_weight = request.text_weight.unwrap_or_else(|| query.text_weight());
    let mut depth = (considered * DEPTH.0).max(DEPTH.1);
    let (found, mut selected) = loop {
        let found = candidates(workspace, &query, &asked, request.search_type, text_weight, depth, allowed.as_ref())?;
        let (selected, folded) = selection::distinct(workspace, &found.ranked, considered, request.fold_duplicates)?;
        let has_more = found.legs.iter().any(|leg| leg.outcome == Ok(depth));
        if selected.len() >= wanted || folded == 0 || !has_more || depth >= DEEPEST {
            break (found, selected);
        }
        depth = (depth * DEPTH.0).min(DEEPEST);
    };
    if let Some(reranker) = &request.reranker {
        selected = selection::reranked(selected, reranker, &typed.plain)?;
    }
    if request.diversify > 0.0 {
        selected = selection::diversified_hits(workspace, selected, request.diversify)?;
    }
    let fulltext = workspace.fulltext();
    let marker = match &asked {
        Ok(asked) => highlight::Marker::new(fulltext.analyzer(), asked.terms()),
        Err(_) => highlight::Marker::of_text(fulltext.analyzer(), &typed.plain),
    };
    let ranks = |ranking: &Option<Ranking>| -> HashMap<u32, usize> {
        ranking.iter().flatten().enumerate().map(|(place, (chunk, _))| (*chunk, place + 1)).collect()
    };
    let (vector_ranks, text_ranks) = (ranks(&found.by_vector), ranks(&found.by_text));
    let mut hits = Vec::with_capacity(request.limit);
    for selection::Selected { fused, located, score, rerank, duplicates } in
        selected.into_iter().skip(request.offset).take(request.limit)
    {
        let surroundings = match request.expand {
            0 => None,
            around => Some(workspace.surroundings(&located.chunk, around)?),
        };
        hits.push(Hit {
            score,
            vector_similarity: found.by_vector.as_ref().map(|_| fused.vector),
            text_similarity: found.by_text.as_ref().map(|_| fused.text),
            vector_rank: vector_ranks.get(&fused.chunk).copied(),
            text_rank: text_ranks.get(&fused.chunk).copied(),
            highlights: marker.mark(&located.chunk.content),
            surroundings,
            rerank,
            duplicates,
            located,
        });
    }
    Ok(Found { hits, legs: found.legs, text_weight })
}

/// The `depth` best of each leg that applies, fused.
fn candidates(
    workspace: &Workspace,
    query: &vector::Query<'_>,
    asked: &Result<Asked>,
    kind: SearchType,
    text_weight: f32,
    depth: usize,
    allowed: Option<&RoaringBitmap>,
) -> Result<Candidates> {
    let mut legs = Vec::new();
    let mut errors = Vec::new();
    let mut run = |name: &'static str, applies: bool, leg: &dyn Fn() -> Result<Ranking>| -> Option<Ranking> {
        if !applies {
            return None;
        }
        match leg() {
            Ok(ranking) => {
                legs.push(Leg { name, outcome: Ok(ranking.len()), is_behind: false, detail: None });
                Some(ranking)
            }
            Err(Error::Unavailable(why)) => {
                legs.push(Leg { name, outcome: Err(why.clone()), is_behind: false, detail: None });
                errors.push(Error::Unavailable(why));
                None
            }
            Err(error) => {
                tracing::error!(search.leg = name, workspace.id = %workspace.id(), %error, "a leg of a search failed");
                legs.push(Leg { name, outcome: Err("failed".to_owned()), is_behind: false, detail: None });
                errors.push(error);
                None
            }
        }
    };
    let uses_vector = matches!(kind, SearchType::Hybrid | SearchType::Vector);
    let uses_text = matches!(kind, SearchType::Hybrid | SearchType::Fulltext);
    let by_vector = run("vector", uses_vector, &|| query.nearest(workspace, depth, allowed));
    let by_text = run("fulltext", uses_text, &|| match asked {
        Ok(asked) => fulltext::matching(asked, depth, allowed),
        Err(error) => Err(error.again()),
    });
    if uses_text && by_text.is_some() && workspace.index_state() == IndexState::Behind {
        legs.iter_mut().filter(|leg| leg.name == "fulltext").for_each(|leg| leg.is_behind = true);
    }
    if kind == SearchType::Graph {
        let outcome = Err("this workspace has no knowledge graph".to_owned());
        legs.push(Leg { name: "graph", outcome, is_behind: false, detail: None });
    }
    if let Ok(asked) = asked
        && let Some(leg) = legs.iter_mut().rfind(|leg| leg.outcome.is_ok())
    {
        leg.detail = fulltext::told(asked);
    }
    let ranked = match (&by_vector, by_text.as_ref().zip(asked.as_ref().ok())) {
        (Some(by_vector), Some((by_text, asked))) => {
            let by_vector = query.completed(workspace, by_vector, by_text)?;
            let by_text = fulltext::completed(asked, by_text, &by_vector)?;
            fusion::weighted_sum(&by_vector, &by_text, text_weight)
        }
        (Some(one), None) | (None, Some((one, _))) => fusion::single(one),
        (None, None) => match errors.into_iter().next() {
            Some(error) => return Err(error),
            None => Vec::new(),
        },
    };
    Ok(Candidates { ranked, by_vector, by_text, legs })
}

/// The chunks that may be found at all: within the filter, and let through by the signs in what was typed. These hold
/// for every leg, so without the index that knows them there is no answer.
fn allowed(
    workspace: &Workspace,
    request: &SearchRequest,
    typed: &Query,
    asked: &Result<Asked>,
) -> Result<Option<RoaringBitmap>> {
    let filtered = workspace.allowed_chunks(&request.filter)?;
    match asked {
        Ok(asked) => asked.permitted(filtered),
        Err(error) if typed.restricts() => Err(error.again()),
        Err(_) => Ok(filtered),
    }
}
