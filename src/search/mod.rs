//! One question, ranked hits.
//!
//! Every query runs all legs that apply; a leg that gives nothing or fails is reported, never silently zero.
//! Filters act inside the legs, before ranking. No hit leaves without its row in the truth. Takes a workspace that
//! the caller was let into; knows nothing of who that was.

mod diversity;
mod duplicates;
mod fulltext;
mod fusion;
mod graph;
mod highlight;
mod selection;
mod vector;

use std::collections::HashMap;
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::embed::{Embedder, Reranker};
use crate::error::{Error, Result};
use crate::fulltext::{Asked, Query};
use crate::graph::Moment;
use crate::workspace::chunks::Located;
use crate::workspace::{Filter, IndexState, Workspace};

use graph::Lift;

pub use graph::FactHit;
pub use selection::{Duplicate, Rerank};

/// Candidates that each leg gives for one wanted hit, and the least it gives.
const DEPTH: (usize, usize) = (4, 60);
/// Candidates that each leg gives at most where so many were folded that hits are missing.
const DEEPEST: usize = 1000;
/// Facts that are told where there are so many, however few hits are wanted.
const FEWEST_FACTS: usize = 10;
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
    /// When facts are to be true, and by when known.
    pub moment: Moment,
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
    /// What the graph adds where the chunk is about something in question: how much, and what that is.
    pub lift: Option<(f32, String)>,
    /// Bytes of the chunk that hold words of the query.
    pub highlights: Vec<(usize, usize)>,
    /// The chunk with its neighbours and the first byte of that in the document, where asked for.
    pub surroundings: Option<(usize, String)>,
    /// What reranking did, where it was asked for.
    pub rerank: Option<Rerank>,
    /// Chunks that say the same, best first; at most 20 of them.
    pub duplicates: Vec<Duplicate>,
}

impl Hit {
    /// A chunk that no leg found.
    pub fn by_tool(located: Located, score: f32) -> Hit {
        Hit {
            located,
            score,
            vector_similarity: None,
            text_similarity: None,
            vector_rank: None,
            text_rank: None,
            lift: None,
            highlights: Vec::new(),
            surroundings: None,
            rerank: None,
            duplicates: Vec::new(),
        }
    }
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
    /// Facts about what the question names, best first.
    pub facts: Vec<FactHit>,
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
    lifts: Vec<Lift>,
    facts: Vec<FactHit>,
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
    let (kind, moment, allowed) = (request.search_type, request.moment, allowed.as_ref());
    let asking = Asking { workspace, query: &query, asked: &asked, kind, text_weight, moment, allowed };
    let mut depth = (considered * DEPTH.0).max(DEPTH.1);
    let (mut found, mut selected) = loop {
        let found = candidates(&asking, depth)?;
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
    let lifts: HashMap<u32, graph::Lift> = found.lifts.into_iter().map(|lift| (lift.chunk, lift)).collect();
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
            lift: lifts.get(&fused.chunk).map(|lift| (lift.weight, lift.through.clone())),
            highlights: marker.mark(&located.chunk.content),
            surroundings,
            rerank,
            duplicates,
            located,
        });
    }
    found.facts.truncate(request.limit.max(FEWEST_FACTS));
    Ok(Found { hits, facts: found.facts, legs: found.legs, text_weight })
}

/// What a question is looked for with.
struct Asking<'a> {
    workspace: &'a Workspace,
    query: &'a vector::Query<'a>,
    asked: &'a Result<Asked>,
    kind: SearchType,
    text_weight: f32,
    moment: Moment,
    allowed: Option<&'a RoaringBitmap>,
}

/// How the legs of a question fared.
struct Legs<'a> {
    workspace: &'a Workspace,
    told: Vec<Leg>,
    errors: Vec<Error>,
}

impl Legs<'_> {
    /// Notes what a leg came to.
    fn note<T>(&mut self, name: &'static str, count: impl FnOnce(&T) -> usize, outcome: Result<T>) -> Option<T> {
        let (outcome, found) = match outcome {
            Ok(found) => (Ok(count(&found)), Some(found)),
            Err(error) => {
                let why = match &error {
                    Error::Unavailable(why) => why.clone(),
                    error => {
                        let workspace = self.workspace.id();
                        tracing::error!(search.leg = name, workspace.id = %workspace, %error, "a leg of a search failed");
                        "failed".to_owned()
                    }
                };
                self.errors.push(error);
                (Err(why), None)
            }
        };
        self.told.push(Leg { name, outcome, is_behind: false, detail: None });
        found
    }
}

/// The `depth` best of each leg that applies, fused.
fn candidates(asking: &Asking<'_>, depth: usize) -> Result<Candidates> {
    let Asking { workspace, query, asked, kind, moment, allowed, .. } = *asking;
    let mut legs = Legs { workspace, told: Vec::new(), errors: Vec::new() };
    let by_vector = matches!(kind, SearchType::Hybrid | SearchType::Vector)
        .then(|| legs.note("vector", Vec::len, query.nearest(workspace, depth, allowed)))
        .flatten();
    let uses_text = matches!(kind, SearchType::Hybrid | SearchType::Fulltext);
    let matching = || match asked {
        Ok(asked) => fulltext::matching(asked, depth, allowed),
        Err(error) => Err(error.again()),
    };
    let by_text = uses_text.then(|| legs.note("fulltext", Vec::len, matching())).flatten();
    if uses_text && by_text.is_some() && workspace.index_state() == IndexState::Behind {
        legs.told.iter_mut().filter(|leg| leg.name == "fulltext").for_each(|leg| leg.is_behind = true);
    }
    let mut ranked = fused(asking, by_vector.as_ref(), by_text.as_ref(), &Vec::new())?;
    let (mut lifts, mut facts) = (Vec::new(), Vec::new());
    match kind {
        SearchType::Graph => {
            let best = || query.nearest(workspace, graph::BEST, allowed);
            let found = graph::start(workspace, query.text(), best).and_then(|start| {
                let facts = graph::facts(workspace, query.text(), &start, &moment, allowed)?;
                let ranking = graph::ranking(workspace, &start, &facts, allowed, depth)?;
                Ok((facts, ranking))
            });
            if let Some((found, ranking)) = legs.note("graph", |(_, ranking): &(_, Ranking)| ranking.len(), found) {
                facts = found;
                ranked = fusion::single(&ranking);
                if workspace.network(|network| network.entities() == 0)? {
                    let detail = "no facts have been read in this workspace".to_owned();
                    legs.told.iter_mut().for_each(|leg| leg.detail = Some(detail.clone()));
                }
            }
        }
        SearchType::Hybrid if !ranked.is_empty() => {
            let found = graph::lifts(workspace, query.text(), &ranked, allowed).and_then(|lifts| {
                let start = graph::start(workspace, query.text(), || Ok(Vec::new()))?;
                Ok((lifts, graph::facts(workspace, query.text(), &start, &moment, allowed)?))
            });
            if let Some((found, told)) = legs.note("graph", |(lifts, _): &(Vec<Lift>, _)| lifts.len(), found) {
                let lifting: Ranking = found.iter().map(|lift| (lift.chunk, lift.weight)).collect();
                ranked = fusion::lifted(fused(asking, by_vector.as_ref(), by_text.as_ref(), &lifting)?, &lifting);
                lifts = found;
                facts = told;
            }
        }
        _ => {}
    }
    if let Ok(asked) = asked
        && let Some(leg) = legs.told.iter_mut().rfind(|leg| leg.outcome.is_ok() && leg.name != "graph")
    {
        leg.detail = fulltext::told(asked);
    }
    match legs.errors.into_iter().next() {
        // Where one leg worked, the others are told of.
        Some(error) if legs.told.iter().all(|leg| leg.outcome.is_err()) => Err(error),
        _ => Ok(Candidates { ranked, by_vector, by_text, lifts, facts, legs: legs.told }),
    }
}

/// What the two legs that rank found, each completed with the similarities of what only the other or the graph found.
fn fused(
    asking: &Asking<'_>,
    by_vector: Option<&Ranking>,
    by_text: Option<&Ranking>,
    others: &Ranking,
) -> Result<Vec<fusion::Fused>> {
    match (by_vector, by_text.zip(asking.asked.as_ref().ok())) {
        (Some(by_vector), Some((by_text, asked))) => {
            let all = [by_text.as_slice(), others].concat();
            let by_vector = asking.query.completed(asking.workspace, by_vector, &all)?;
            let by_text = fulltext::completed(asked, by_text, &by_vector)?;
            Ok(fusion::weighted_sum(&by_vector, &by_text, asking.text_weight))
        }
        (Some(by_vector), None) => Ok(fusion::single(&asking.query.completed(asking.workspace, by_vector, others)?)),
        (None, Some((by_text, asked))) => Ok(fusion::single(&fulltext::completed(asked, by_text, others)?)),
        (None, None) => Ok(Vec::new()),
    }
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
