//! Agents to begin with: what each is for, how it is to speak, which tools it has.

use super::TOOLS;
use crate::error::{Error, Result};

/// What an agent has that its maker does not give.
pub struct Template {
    pub name: &'static str,
    pub description: &'static str,
    pub system_prompt: &'static str,
    /// Tokens of an answer at most.
    pub max_tokens: u32,
    pub tools: &'static [&'static str],
}

/// Every template there is.
pub const TEMPLATES: &[Template] = &[
    Template {
        name: "general",
        description: "Answers questions from the documents of this workspace.",
        system_prompt: "Answer from the documents of this workspace and cite them. Say so where they do not answer.",
        max_tokens: 1024,
        tools: TOOLS,
    },
    Template {
        name: "support",
        description: "Helps customers with what the documents say about products and services.",
        system_prompt: "You help customers. Answer from the documents, in short steps and friendly words, and cite them. \
                        Where they do not answer, say so and suggest whom to ask.",
        max_tokens: 512,
        tools: &["hybrid_search", "fulltext_search", "get_document"],
    },
    Template {
        name: "research",
        description: "Compares what many documents say on a question.",
        system_prompt: "You are a careful researcher. Bring together what the documents say, name where they disagree, \
                        and cite every claim.",
        max_tokens: 2048,
        tools: TOOLS,
    },
    Template {
        name: "legal",
        description: "Finds clauses and quotes them word for word.",
        system_prompt: "Quote the clauses that bear on the question word for word and cite them. Give no advice beyond \
                        what they say.",
        max_tokens: 2048,
        tools: &["hybrid_search", "vector_search", "fulltext_search", "get_document", "list_documents"],
    },
    Template {
        name: "onboarding",
        description: "Answers the questions of people who are new here.",
        system_prompt: "You help people who are new. Explain from the documents in plain words, step by step, and cite \
                        them.",
        max_tokens: 1024,
        tools: &["hybrid_search", "fulltext_search", "get_document", "list_documents"],
    },
];

/// The template called `name`.
///
/// # Errors
/// [`Error::Validation`] that names those there are.
pub fn find(name: &str) -> Result<&'static Template> {
    let found = TEMPLATES.iter().find(|template| template.name == name);
    found.ok_or_else(|| {
        let names: Vec<&str> = TEMPLATES.iter().map(|template| template.name).collect();
        Error::invalid("template", format!("there is no template `{name}`; there are: {}", names.join(", ")))
    })
}
