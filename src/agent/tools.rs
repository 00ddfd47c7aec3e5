//! The tools that an agent may be given, by name.

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::search::SearchType;
use crate::workspace::agents::Agent;

/// Every tool there is.
pub const TOOLS: &[&str] = &[
    "vector_search",
    "hybrid_search",
    "fulltext_search",
    "graph_search",
    "get_document",
    "list_documents",
    "get_entity_relationships",
    "get_entity_timeline",
    "ask_agent",
];

/// The searching tools, in the order in which an agent without a wish of the caller's uses them.
const SEARCHES: &[(&str, SearchType)] = &[
    ("hybrid_search", SearchType::Hybrid),
    ("vector_search", SearchType::Vector),
    ("fulltext_search", SearchType::Fulltext),
    ("graph_search", SearchType::Graph),
];

/// Refuses names of tools that do not exist, naming those that do.
pub fn check_tools<'a>(names: impl IntoIterator<Item = &'a String>, field: &str) -> Result<()> {
    match names.into_iter().find(|name| !TOOLS.contains(&name.as_str())) {
        Some(name) => Err(Error::invalid(field, format!("there is no tool `{name}`; there are: {}", TOOLS.join(", ")))),
        None => Ok(()),
    }
}

/// The tool that `agent` searches with: the wished one where it has it, else the first that it has.
pub fn search_tool(agent: &Agent, wish: Option<SearchType>) -> Option<(&'static str, SearchType)> {
    let has = |name: &str| agent.enabled_tools.iter().any(|tool| tool == name);
    let wished = SEARCHES.iter().find(|(name, kind)| Some(*kind) == wish && has(name));
    wished.or_else(|| SEARCHES.iter().find(|(name, _)| has(name))).copied()
}

/// A number that the agent's configuration of `tool` gives for `argument`.
pub fn configured(agent: &Agent, tool: &str, argument: &str) -> Option<f64> {
    agent
        .tool_config
        .get(tool)
        .and_then(Value::as_object)
        .and_then(|config: &Map<String, Value>| config.get(argument)?.as_f64())
}
