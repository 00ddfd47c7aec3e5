//! What is told of an answer: the documents that it cites, and what there is to know of it.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::answering::{Answer, Ask};
use super::event::{ToolUse, Usage};
use super::{Citation, gate};
use crate::error::{Error, Result};
use crate::llm::Finish;
use crate::search::Hit;
use crate::workspace::Workspace;
use crate::workspace::documents::Document;
use crate::workspace::sessions::UNDERSTOOD;

/// Passages that are named where an answer cites none.
const NEAREST: usize = 3;

/// What an agent answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub message_id: Uuid,
    pub session_id: Uuid,
    pub message: String,
    /// The documents that are cited, in the order of their first citation.
    pub sources: Vec<Document>,
    pub tools_used: Vec<ToolUse>,
    pub citations: Vec<Citation>,
    pub usage: Usage,
    pub metadata: Map<String, Value>,
    pub finish: Finish,
}

/// The reply that `answer` to `ask` is, without what its documents bear out no more.
pub(super) fn reply(
    workspace: &Workspace,
    ask: &Ask,
    answer: &Answer,
    session_id: Uuid,
    message_id: Uuid,
) -> Result<Reply> {
    let mut sources: Vec<Document> = Vec::new();
    let mut citations = Vec::new();
    for citation in &answer.citations {
        if !sources.iter().any(|document| document.id == citation.document_id) {
            match workspace.document(citation.document_id) {
                Ok(document) => sources.push(document),
                // It was deleted while the answer was being given.
                Err(Error::NotFound(_)) => continue,
                Err(error) => return Err(error),
            }
        }
        citations.push(citation.clone());
    }
    let mut metadata = Map::new();
    metadata.insert("agent_id".into(), json!(ask.agent.id));
    metadata.insert("model_provider".into(), json!(answer.provider));
    metadata.insert("model_name".into(), json!(answer.model));
    metadata.insert("grounded".into(), json!(answer.grounded));
    metadata.insert("unsupported".into(), json!(answer.unsupported));
    metadata.insert("search_type".into(), json!(answer.searched));
    if ask.question != ask.query {
        metadata.insert(UNDERSTOOD.into(), json!(ask.question));
    }
    if answer.citations.is_empty() && !answer.evidence.hits().is_empty() {
        metadata.insert("nearest".into(), answer.evidence.hits().iter().take(NEAREST).map(nearest).collect());
    }
    if let Some(why) = &answer.fallback {
        let instead_of = json!({"provider": ask.agent.model_provider, "model": ask.agent.model_name, "reason": why});
        metadata.insert("fallback".into(), instead_of);
    }
    if let Some(cost) = answer.cost {
        metadata.insert("cost".into(), json!(cost));
    }
    if answer.is_estimate {
        metadata.insert("usage_estimated".into(), json!(true));
    }
    Ok(Reply {
        message_id,
        session_id,
        message: marked(answer, &citations),
        sources,
        tools_used: answer.tools_used.clone(),
        citations,
        usage: answer.usage,
        metadata,
        finish: answer.finish,
    })
}

/// What was answered, without the markers of citations that there are no more.
fn marked(answer: &Answer, citations: &[Citation]) -> String {
    let is_gone = |marker| marker <= answer.cited.len() && !citations.iter().any(|citation| citation.marker == marker);
    gate::with_markers(&answer.message, |marker| is_gone(marker).then(String::new))
}

/// Where a reader may look who got no answer.
fn nearest(hit: &Hit) -> Value {
    let chunk = &hit.located.chunk;
    json!({
        "document_id": chunk.document_id,
        "chunk_id": chunk.id,
        "title": hit.located.title,
        "source": hit.located.source,
        "heading_path": chunk.heading_path,
        "start": chunk.start,
        "end": chunk.end,
        "score": hit.score,
    })
}
