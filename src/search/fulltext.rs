//! The full-text leg: BM25 over title, headings and text.

use roaring::RoaringBitmap;

use super::Ranking;
use crate::error::Result;
use crate::workspace::Workspace;

/// The `limit` chunks that match best.
pub fn matching(workspace: &Workspace, query: &str, limit: usize, allowed: Option<&RoaringBitmap>) -> Result<Ranking> {
    let matches = workspace.ready_fulltext()?.search(query, limit, allowed)?;
    Ok(matches.into_iter().map(|found| (found.chunk, found.score)).collect())
}

/// `ranking` and the similarities of those in `others` that it lacks and that match at all.
pub fn completed(workspace: &Workspace, query: &str, ranking: &Ranking, others: &Ranking) -> Result<Ranking> {
    let known: RoaringBitmap = ranking.iter().map(|(chunk, _)| *chunk).collect();
    let missing: RoaringBitmap =
        others.iter().map(|(chunk, _)| *chunk).filter(|chunk| !known.contains(*chunk)).collect();
    let mut completed = ranking.clone();
    if !missing.is_empty() {
        completed.extend(matching(workspace, query, missing.len() as usize, Some(&missing))?);
    }
    Ok(completed)
}
