//! The tools that an agent may be given: what each is for, what it takes, and its work in one workspace.
//!
//! A tool holds the workspace that the caller was let into and no other, so nothing that a model or a document asks of it
//! reaches beyond. [`ASK_AGENT`] is carried out by the turn, as it takes a turn of its own.

mod arguments;
mod documents;
mod entities;
mod searches;

use serde_json::{Map, Value, json};

use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::knowledge::Fact;
use crate::llm::Tool;
use crate::search::Hit;
use crate::workspace::Workspace;
use crate::workspace::documents::Document;

use arguments::Arguments;

pub use entities::wished;
pub use searches::{PASSAGES, SEARCHES, search_tool};

/// The tool that asks another agent.
pub const ASK_AGENT: &str = "ask_agent";

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
    ASK_AGENT,
];

/// What a tool found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// Passages, best first.
    pub hits: Vec<Hit>,
    /// Facts, each with the passages that state it.
    pub facts: Vec<Fact>,
    /// Documents of a list, and how many there are in all.
    pub documents: Vec<Document>,
    pub total: u64,
    /// What is none of these, in words: lists, notes.
    pub text: String,
    /// What came of it, in a few words.
    pub summary: String,
}

/// What the tools of an agent work with.
pub struct Tools<'a> {
    pub workspace: &'a Workspace,
    pub embedder: &'a dyn Embedder,
    /// Defaults of arguments, by the tool's name.
    pub config: &'a Map<String, Value>,
}

impl Tools<'_> {
    /// Carries out one tool.
    ///
    /// # Errors
    /// [`Error::Validation`] for a tool that does not exist and arguments that are missing or wrong, [`Error::NotFound`] for
    /// what is not in this workspace.
    pub fn run(&self, tool: &str, args: &Map<String, Value>) -> Result<Outcome> {
        let args = Arguments::new(args, self.config.get(tool));
        match tool {
            "get_document" => documents::get(self.workspace, &args),
            "list_documents" => documents::list(self.workspace, &args),
            entities::RELATIONSHIPS => entities::relationships(self.workspace, &args),
            entities::TIMELINE => entities::timeline(self.workspace, &args),
            _ => match SEARCHES.iter().find(|(name, _)| *name == tool) {
                Some((_, kind)) => searches::run(self.workspace, self.embedder, *kind, &args),
                None => Err(unknown(tool, "tool")),
            },
        }
    }
}

/// What models and clients are told of the tools with these names, in the order of [`TOOLS`].
pub fn described(enabled: &[String]) -> Vec<Tool> {
    TOOLS
        .iter()
        .filter(|name| enabled.iter().any(|enabled| enabled == *name))
        .filter_map(|name| describe(name))
        .collect()
}

fn describe(name: &'static str) -> Option<Tool> {
    let query = || json!({"type": "string", "description": "What to look for, as a full question or telling words."});
    let limit =
        || json!({"type": "integer", "minimum": 1, "maximum": searches::MOST, "description": "How many passages."});
    let entity = || json!({"type": "string", "description": "The name of a person, organization, place or thing."});
    let day =
        |what: &str| json!({"type": "string", "format": "date", "description": format!("{what}, as 2021-03-01.")});
    let (description, properties, required): (_, Value, &[&str]) = match name {
        "vector_search" => (
            "Finds passages of the documents that mean what is asked, in whatever words.",
            json!({"query": query(), "limit": limit()}),
            &["query"],
        ),
        "hybrid_search" => (
            "Finds passages of the documents by meaning and by words together. The first choice for most questions.",
            json!({
                "query": query(),
                "limit": limit(),
                "text_weight": {"type": "number", "minimum": 0, "maximum": 1, "description": "How much words count against meaning."},
            }),
            &["query"],
        ),
        "fulltext_search" => (
            "Finds passages of the documents that hold the words asked for. Good for names, numbers and codes.",
            json!({"query": query(), "limit": limit()}),
            &["query"],
        ),
        "graph_search" => (
            "Finds facts about people, organizations and things, and the passages that state them.",
            json!({"query": query(), "limit": limit()}),
            &["query"],
        ),
        "get_document" => (
            "Gives the passages of one document in order, by the id that a search or list gave.",
            json!({
                "document_id": {"type": "string", "format": "uuid"},
                "offset": {"type": "integer", "minimum": 0, "description": "Passages to leave out at the beginning."},
            }),
            &["document_id"],
        ),
        "list_documents" => (
            "Lists the documents of the workspace: id, title, source, date. The newest first.",
            json!({
                "limit": {"type": "integer", "minimum": 1, "maximum": documents::MOST_LISTED},
                "offset": {"type": "integer", "minimum": 0},
            }),
            &[],
        ),
        entities::RELATIONSHIPS => (
            "Tells what is related to a person, organization or thing, and the passages that say so.",
            json!({"entity_name": entity(), "depth": {"type": "integer", "minimum": 1, "maximum": 4, "description": "Steps from it."}}),
            &["entity_name"],
        ),
        entities::TIMELINE => (
            "Tells what happened to a person, organization or thing, and when, oldest first.",
            json!({"entity_name": entity(), "start_date": day("The first day"), "end_date": day("The last day")}),
            &["entity_name"],
        ),
        ASK_AGENT => (
            "Asks another agent of this workspace and gives its answer with its passages.",
            json!({
                "agent": {"type": "string", "description": "The slug of the agent."},
                "query": {"type": "string", "description": "The question, complete in itself."},
            }),
            &["agent", "query"],
        ),
        _ => return None,
    };
    let parameters = json!({"type": "object", "properties": properties, "required": required});
    Some(Tool { name, description, parameters })
}

/// Refuses names of tools that do not exist, naming those that do.
pub fn check_tools<'a>(names: impl IntoIterator<Item = &'a String>, field: &str) -> Result<()> {
    match names.into_iter().find(|name| !TOOLS.contains(&name.as_str())) {
        Some(name) => Err(unknown(name, field)),
        None => Ok(()),
    }
}

fn unknown(tool: &str, field: &str) -> Error {
    Error::invalid(field, format!("there is no tool `{tool}`; there are: {}", TOOLS.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_described() {
        let all: Vec<String> = TOOLS.iter().map(|name| name.to_string()).collect();
        let names: Vec<&str> = described(&all).iter().map(|tool| tool.name).collect();
        assert_eq!(names, TOOLS);
        assert_eq!(described(&["get_document".into()]).len(), 1);
    }
}
