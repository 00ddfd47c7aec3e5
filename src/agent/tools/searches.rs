//! The searching tools.

use crate::embed::Embedder;
use crate::error::Result;
use crate::search::{self, SearchRequest, SearchType};
use crate::workspace::Workspace;
use crate::workspace::agents::Agent;

use super::Outcome;
use super::arguments::Arguments;

/// Passages that a search gives where nobody says how many, and at most.
pub const PASSAGES: usize = 8;
pub(super) const MOST: usize = 50;
/// Facts of one search that are told.
const FACTS: usize = 20;

/// The searching tools, in the order in which an agent without a wish of the caller's uses them.
pub const SEARCHES: &[(&str, SearchType)] = &[
    ("hybrid_search", SearchType::Hybrid),
    ("vector_search", SearchType::Vector),
    ("fulltext_search", SearchType::Fulltext),
    ("graph_search", SearchType::Graph),
];

/// The tool that `agent` searches with: the wished one where it has it, else the first that it has.
pub fn search_tool(agent: &Agent, wish: Option<SearchType>) -> Option<(&'static str, SearchType)> {
    let has = |name: &str| agent.enabled_tools.iter().any(|tool| tool == name);
    let wished = SEARCHES.iter().find(|(name, kind)| Some(*kind) == wish && has(name));
    wished.or_else(|| SEARCHES.iter().find(|(name, _)| has(name))).copied()
}

/// Searches the workspace.
pub(super) fn run(
    workspace: &Workspace,
    embedder: &dyn Embedder,
    search_type: SearchType,
    args: &Arguments<'_>,
) -> Result<Outcome> {
    let request = SearchRequest {
        query: args.text("query")?.to_owned(),
        is_prose: true,
        search_type,
        limit: args.count("limit", PASSAGES, 1, MOST)?,
        text_weight: args.number("text_weight")?.map(|weight| weight.clamp(0.0, 1.0) as f32),
        // A copy of a passage is no more evidence, and it would take another's place.
        fold_duplicates: true,
        ..SearchRequest::default()
    };
    let found = search::search(workspace, embedder, &request)?;
    let mut facts = Vec::new();
    if search_type == SearchType::Graph {
        facts = found.facts.into_iter().take(FACTS).map(|hit| hit.fact).collect();
    }
    let summary = match facts.len() {
        0 => format!("{} passages found", found.hits.len()),
        count => format!("{count} facts and {} passages found", found.hits.len()),
    };
    Ok(Outcome { hits: found.hits, facts, summary, ..Outcome::default() })
}
