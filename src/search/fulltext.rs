//! The full-text leg: BM25 over title, headings and text.

use roaring::RoaringBitmap;

use super::Ranking;
use crate::error::Result;
use crate::fulltext::{Asked, Match};

/// The `limit` chunks that match best.
pub fn matching(asked: &Asked, limit: usize, allowed: Option<&RoaringBitmap>) -> Result<Ranking> {
    Ok(ranking(asked.best(limit, allowed)?))
}

/// `ranking` and the similarities of those in `others` that it lacks and that match at all.
pub fn completed(asked: &Asked, ranking: &Ranking, others: &[(u32, f32)]) -> Result<Ranking> {
    let known: RoaringBitmap = ranking.iter().map(|(chunk, _)| *chunk).collect();
    let missing: RoaringBitmap =
        others.iter().map(|(chunk, _)| *chunk).filter(|chunk| !known.contains(*chunk)).collect();
    let mut completed = ranking.clone();
    completed.extend(self::ranking(asked.scores(&missing)?));
    Ok(completed)
}

/// What the signs of the query ask for in vain, and what they left out; a dash can be there for another reason.
pub fn told(asked: &Asked) -> Option<String> {
    let quoted = |typed: &str| format!("\"{typed}\"");
    let absent = asked.absent().map(|typed| format!("no text has {}, which every hit must have", quoted(typed)));
    let excluded: Vec<_> = asked.excluded().map(quoted).collect();
    let excluded = (!excluded.is_empty()).then(|| format!("texts with {} were left out", excluded.join(" or ")));
    let told: Vec<_> = absent.chain(excluded).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn ranking(matches: Vec<Match>) -> Ranking {
    matches.into_iter().map(|found| (found.chunk, found.score)).collect()
}
