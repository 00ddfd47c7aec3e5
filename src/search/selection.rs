//! Which candidates become hits, and in which order: repetitions folded, then reranked, then diversified.
//!
//! Reads the texts of candidates from the truth, best first and only as many as are needed.

use uuid::Uuid;

use super::diversity::diversified;
use super::duplicates::{Fingerprint, Kept};
use super::fusion::Fused;
use crate::embed::Reranker;
use crate::error::Result;
use crate::workspace::chunks::Located;
use crate::workspace::{Workspace, in_context};

/// Repetitions that are told of beside one hit.
const MOST_DUPLICATES: usize = 20;
/// Candidates behind the last wanted one that are looked at for repetitions of what is wanted: they rank close by.
const LOOK_AHEAD: usize = 10;

/// A candidate that is a hit.
#[derive(Debug, Clone)]
pub struct Selected {
    pub fused: Fused,
    pub located: Located,
    /// What it is ranked by at last, `0..=1`.
    pub score: f32,
    pub rerank: Option<Rerank>,
    pub duplicates: Vec<Duplicate>,
}

/// What reranking did to a hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rerank {
    /// `0..=1`.
    pub score: f32,
    /// Place from 1 before reranking.
    pub rank_before: usize,
}

/// A chunk that says nearly word for word what a better hit says.
#[derive(Debug, Clone, PartialEq)]
pub struct Duplicate {
    pub chunk_id: Uuid,
    pub document_id: Uuid,
    pub document_title: String,
    pub document_source: String,
    /// Bytes of its document's content.
    pub start: usize,
    pub end: usize,
}

/// The best candidates of `ranked`, `wanted` of them where there are so many, and how many were folded into them
/// because they say the same; without `fold`, none.
pub fn distinct(workspace: &Workspace, ranked: &[Fused], wanted: usize, fold: bool) -> Result<(Vec<Selected>, usize)> {
    let mut kept = Kept::default();
    let mut selected: Vec<Selected> = Vec::with_capacity(wanted.min(ranked.len()));
    let (mut folded, mut behind) = (0, 0);
    for fused in ranked {
        let is_full = selected.len() >= wanted;
        if is_full && (!fold || behind == LOOK_AHEAD) {
            break;
        }
        behind += usize::from(is_full);
        // An index may still hold what was deleted a moment ago; the truth decides.
        let Some(located) = workspace.locate(fused.chunk)? else { continue };
        if fold {
            let chunk = &located.chunk;
            let fingerprint = Fingerprint::new(chunk.document_id, &chunk.content);
            if let Some(better) = kept.like(&fingerprint).and_then(|place| selected.get_mut(place)) {
                folded += 1;
                if better.duplicates.len() < MOST_DUPLICATES {
                    better.duplicates.push(duplicate(located));
                }
                continue;
            }
            if is_full {
                continue;
            }
            kept.keep(fingerprint);
        }
        selected.push(Selected { fused: *fused, located, score: fused.score, rerank: None, duplicates: Vec::new() });
    }
    Ok((selected, folded))
}

fn duplicate(located: Located) -> Duplicate {
    let Located { chunk, title, source, .. } = located;
    Duplicate {
        chunk_id: chunk.id,
        document_id: chunk.document_id,
        document_title: title,
        document_source: source,
        start: chunk.start,
        end: chunk.end,
    }
}

/// Puts `selected` in the order of a cross-encoder, which reads each as it was embedded: in its context.
pub fn reranked(mut selected: Vec<Selected>, reranker: &Reranker, query: &str) -> Result<Vec<Selected>> {
    let text = |hit: &Selected| {
        let chunk = &hit.located.chunk;
        in_context(&hit.located.title, &chunk.heading_path, &chunk.content)
    };
    let texts: Vec<String> = selected.iter().map(text).collect();
    let scores = reranker.scores(query, &texts)?;
    for (place, (hit, score)) in selected.iter_mut().zip(scores).enumerate() {
        hit.score = score;
        hit.rerank = Some(Rerank { score, rank_before: place + 1 });
    }
    // Stable: what the model finds equal stays in the order it had.
    selected.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(selected)
}

/// Puts what says something new before what says it again. The scores stay as they are.
pub fn diversified_hits(workspace: &Workspace, selected: Vec<Selected>, diversify: f32) -> Result<Vec<Selected>> {
    let numbers: Vec<u32> = selected.iter().map(|hit| hit.fused.chunk).collect();
    let found: std::collections::HashMap<u32, Vec<f32>> = workspace.vectors_of(&numbers)?.into_iter().collect();
    let vectors: Vec<Vec<f32>> = numbers.iter().map(|number| found.get(number).cloned().unwrap_or_default()).collect();
    let best = selected.iter().map(|hit| hit.score).fold(f32::MIN_POSITIVE, f32::max);
    let relevance: Vec<f32> = selected.iter().map(|hit| hit.score / best).collect();
    let order = diversified(&relevance, &vectors, diversify);
    let mut places: Vec<Option<Selected>> = selected.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|place| places.get_mut(place)?.take()).collect())
}
