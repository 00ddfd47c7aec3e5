//! Tools: those that agents are given, each for whom its permission allows.
//!
//! What a call asks for that is wrong or not to be had is a result that says so, which a model can do better by. A tool
//! that the caller may not use is unknown to it.

use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock, ListToolsResult, Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use super::door::{Answered, Door, failed};
use crate::agent::{self, ASK_AGENT, Chat, Outcome, TOOLS, Thread, Tools};
use crate::api::chat;
use crate::api::error::{Answer, Failure, blocking, public_detail};
use crate::api::graph::FactView;
use crate::api::search::check_query;
use crate::api::validate::Checks;
use crate::auth::Permission;
use crate::error::Error;
use crate::search::Hit;

/// Agents that the tool that asks one names.
const AGENTS: usize = 100;

/// What it takes to use a tool: what the same thing takes on its own route.
fn needs(tool: &str) -> Permission {
    match tool {
        ASK_AGENT => Permission::Chat,
        "get_document" | "list_documents" => Permission::ReadDocuments,
        "get_entity_relationships" | "get_entity_timeline" => Permission::ReadGraph,
        _ => Permission::Search,
    }
}

/// The tools that the caller may use, in the order of [`TOOLS`].
pub async fn list(door: &Door) -> Answered<ListToolsResult> {
    let may = TOOLS.iter().filter(|tool| door.access.may(needs(tool)));
    let enabled: Vec<String> = may.map(|tool| (*tool).to_owned()).collect();
    let agents = match enabled.iter().any(|tool| tool == ASK_AGENT) {
        true => agents(door).await.map_err(failed)?,
        false => Vec::new(),
    };
    let tools = agent::described(&enabled).into_iter().map(|tool| {
        let mut parameters = tool.parameters;
        if tool.name == ASK_AGENT && !agents.is_empty() {
            parameters["properties"]["agent"]["enum"] = json!(agents);
        }
        let annotations = ToolAnnotations::with_title(title(tool.name)).read_only(true).open_world(false);
        Tool::new(tool.name, tool.description, object(parameters))
            .with_title(title(tool.name))
            .with_raw_output_schema(object(output(tool.name)).into())
            .with_annotations(annotations)
    });
    Ok(ListToolsResult::with_all_items(tools.collect()))
}

async fn agents(door: &Door) -> Answer<Vec<String>> {
    let workspace = door.access.workspace.clone();
    let (agents, _) = blocking(move || workspace.agents(false, AGENTS, 0)).await?;
    Ok(agents.into_iter().map(|agent| agent.slug).collect())
}

/// `hybrid_search` as people read it: "Hybrid search".
fn title(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(fields) = value { fields } else { Map::new() }
}

/// Carries out a tool.
///
/// # Errors
/// For a tool that is not there, or not for this caller.
pub async fn call(door: &Door, name: &str, args: Map<String, Value>) -> Answered<CallToolResult> {
    let known = TOOLS.iter().find(|tool| **tool == name && door.access.may(needs(tool)));
    let Some(tool) = known else {
        return Err(ErrorData::invalid_params(format!("Unknown tool: {name}"), None));
    };
    let done = match *tool {
        ASK_AGENT => ask(door, args).await,
        tool => run(door, tool, args).await,
    };
    Ok(done.unwrap_or_else(|Failure(error)| CallToolResult::error(vec![ContentBlock::text(public_detail(&error))])))
}

async fn run(door: &Door, tool: &'static str, args: Map<String, Value>) -> Answer<CallToolResult> {
    let embedder = door.app.embedder(&door.access.workspace)?;
    let workspace = door.access.workspace.clone();
    let outcome = blocking(move || {
        let tools = Tools { workspace: &workspace, embedder: embedder.as_ref(), config: &Map::new() };
        tools.run(tool, &args)
    });
    let outcome = outcome.await?;
    Ok(result(structured(tool, &outcome), agent::told(outcome)))
}

async fn ask(door: &Door, args: Map<String, Value>) -> Answer<CallToolResult> {
    let text = |name: &'static str| {
        let text = args.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| Error::invalid(name, "must be given"))
    };
    let (name, query) = (text("agent")?, text("query")?);
    let mut checks = Checks::default();
    check_query(&mut checks, "query", &query);
    checks.done()?;
    let workspace = door.access.workspace.clone();
    let agent = blocking(move || workspace.agent_called(&name)).await?;
    let chat = Chat {
        agent_id: agent.id,
        owner: door.access.principal.name(),
        query,
        thread: Thread::New,
        user_id: None,
        metadata: Map::from_iter([("door".to_owned(), json!("mcp"))]),
        search_type: None,
        instructions: Vec::new(),
        temperature: None,
        max_tokens: None,
    };
    let reply = chat::reply(&door.app, &door.access, chat).await?;
    let mut text = reply.message.clone();
    for (place, citation) in reply.citations.iter().enumerate() {
        let before = if place == 0 { "\n\nSources:" } else { "" };
        text += &format!("{before}\n[{}] {} (document {})", citation.marker, citation.label, citation.document_id);
    }
    let structured = json!({
        "answer": reply.message,
        "agent": agent.slug,
        "grounded": reply.metadata.get("grounded"),
        "session_id": reply.session_id,
        "message_id": reply.message_id,
        "citations": chat::linked(door.access.record.id, reply.citations),
    });
    Ok(result(structured, text))
}

fn result(structured: Value, text: String) -> CallToolResult {
    let mut result = CallToolResult::structured(structured);
    result.content = vec![ContentBlock::text(text)];
    result
}

/// What a tool found, for programs.
fn structured(tool: &str, outcome: &Outcome) -> Value {
    if tool == "list_documents" {
        let documents = outcome.documents.iter().map(|document| {
            json!({
                "document_id": document.id,
                "uri": super::resources::uri(document.id),
                "title": document.title,
                "source": document.source,
                "metadata": document.metadata,
                "created_at": document.created_at,
                "updated_at": document.updated_at,
            })
        });
        return json!({"documents": documents.collect::<Vec<_>>(), "total": outcome.total});
    }
    let passages = outcome.hits.iter().enumerate().map(|(place, hit)| passage(place + 1, hit));
    let facts = outcome.facts.iter().cloned().map(FactView::from);
    json!({"passages": passages.collect::<Vec<_>>(), "facts": facts.collect::<Vec<_>>()})
}

fn passage(number: usize, hit: &Hit) -> Value {
    let chunk = &hit.located.chunk;
    json!({
        "number": number,
        "document_id": chunk.document_id,
        "chunk_id": chunk.id,
        "title": hit.located.title,
        "source": hit.located.source,
        "heading_path": chunk.heading_path,
        "location": chunk.location(),
        "start": chunk.start,
        "end": chunk.end,
        "score": hit.score,
        "text": chunk.content,
    })
}

/// The shape of what a tool finds.
fn output(tool: &str) -> Value {
    let text = || json!({"type": "string"});
    let whole = || json!({"type": "integer", "minimum": 0});
    let maybe = || json!({"type": ["string", "null"]});
    let list = |properties: Value, required: &[&str]| json!({"type": "array", "items": {"type": "object", "properties": properties, "required": required}});
    let (properties, required): (Value, &[&str]) = match tool {
        ASK_AGENT => (
            json!({
                "answer": {"type": "string", "description": "Markdown; [1] refers to the citation whose marker is 1."},
                "agent": text(),
                "grounded": {"type": "boolean", "description": "Whether the documents bear it out."},
                "session_id": text(),
                "message_id": text(),
                "citations": list(
                    json!({"marker": whole(), "document_id": text(), "title": text(), "source": text(), "start": whole(),
                           "end": whole(), "quote": text(), "score": {"type": "number"}, "file": text()}),
                    &["marker", "document_id", "quote", "start", "end"],
                ),
            }),
            &["answer", "grounded", "citations"],
        ),
        "list_documents" => (
            json!({
                "documents": list(
                    json!({"document_id": text(), "uri": text(), "title": text(), "source": text(),
                           "metadata": {"type": "object"}, "created_at": text(), "updated_at": text()}),
                    &["document_id", "title", "source"],
                ),
                "total": whole(),
            }),
            &["documents", "total"],
        ),
        _ => (
            json!({
                "passages": list(
                    json!({"number": whole(), "document_id": text(), "chunk_id": text(), "title": text(), "source": text(),
                           "heading_path": {"type": "array", "items": text()}, "location": {"type": ["object", "null"]},
                           "start": whole(), "end": whole(), "score": {"type": "number"}, "text": text()}),
                    &["number", "document_id", "chunk_id", "title", "source", "start", "end", "score", "text"],
                ),
                "facts": list(
                    json!({"fact": text(), "subject": text(), "predicate": text(), "object": text(), "valid_at": maybe(),
                           "invalid_at": maybe(), "document_id": maybe(), "chunk_id": maybe()}),
                    &["fact", "subject", "predicate", "object"],
                ),
            }),
            &["passages", "facts"],
        ),
    };
    json!({"type": "object", "properties": properties, "required": required})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_takes_what_its_own_route_takes() {
        let taken: Vec<Permission> = TOOLS.iter().map(|tool| needs(tool)).collect();
        use Permission::*;
        let search = [Search; 4];
        assert_eq!(taken, [&search[..], &[ReadDocuments, ReadDocuments, ReadGraph, ReadGraph, Chat]].concat());
        assert_eq!(title("get_document"), "Get document");
        assert!(TOOLS.iter().all(|tool| output(tool)["required"].is_array()));
    }
}
