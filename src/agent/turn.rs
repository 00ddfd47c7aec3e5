//! One turn: question, search, answer, citations, all stored together or not at all.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::event::{Event, ToolUse, Usage};
use super::{Citation, citations, entity_tools, history, tools};
use crate::clock;
use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::llm::{self, Passage};
use crate::search::{self, SearchRequest, SearchType};
use crate::workspace::Workspace;
use crate::workspace::agents::Agent;
use crate::workspace::documents::Document;
use crate::workspace::facts;
use crate::workspace::sessions::{Message, Session};

/// Messages of a session that are looked back at.
const LOOK_BACK: usize = 12;
/// Passages that an answer is made from, where the agent's configuration says nothing.
const PASSAGES: usize = 8;
/// Characters of a session's title.
const TITLE: usize = 80;
/// What is said where nothing was found.
const NOT_FOUND: &str = "I found nothing in this workspace that answers this question.";

/// What someone says to an agent.
#[derive(Debug, Clone)]
pub struct Chat {
    pub agent_id: Uuid,
    pub query: String,
    /// The session to go on with; `None` begins one.
    pub session_id: Option<Uuid>,
    pub user_id: Option<String>,
    pub metadata: Map<String, Value>,
    /// How the caller would have the agent search.
    pub search_type: Option<SearchType>,
}

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
}

/// Takes one turn. `tell` hears of each step; where it fails, the reader has gone, and the turn ends without a trace.
///
/// # Errors
/// [`Error::NotFound`] for an agent or session that is not in this workspace, or a session of another agent;
/// [`Error::Conflict`] for an agent that is inactive.
pub fn take_turn(
    workspace: &Workspace,
    embedder: &dyn Embedder,
    chat: &Chat,
    tell: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Reply> {
    let agent = workspace.agent(chat.agent_id)?;
    if !agent.is_active {
        return Err(Error::Conflict("this agent is not active".into()));
    }
    let session = find_session(workspace, chat)?;
    tell(Event::Session { session_id: session.id })?;
    let before = workspace.newest_messages(session.id, LOOK_BACK)?;
    let question = history::understood(&chat.query, &before, workspace.fulltext().analyzer());

    let mut tools_used = Vec::new();
    let mut hits = Vec::new();
    let mut searched = None;
    if let Some((tool, search_type)) = tools::search_tool(&agent, chat.search_type) {
        let request = request(&agent, tool, search_type, &question);
        let call = tool_use(tool, &request);
        tell(Event::ToolCall(call.clone()))?;
        hits = search::search(workspace, embedder, &request)?.hits;
        let summary = format!("{} passages found", hits.len());
        tell(Event::ToolResult { tool_call_id: call.tool_call_id.clone(), summary })?;
        tools_used.push(call);
        searched = Some(search_type);
    }
    if let Some(call) = entity_tools::wished(&agent, workspace, &question)? {
        let told = tool_call(call.tool, call.args.clone());
        tell(Event::ToolCall(told.clone()))?;
        let facts = match entity_tools::facts(workspace, &call) {
            // It has just been forgotten.
            Err(Error::NotFound(_)) => Vec::new(),
            facts => facts?,
        };
        let summary = format!("{} facts found", facts.len());
        tell(Event::ToolResult { tool_call_id: told.tool_call_id.clone(), summary })?;
        let least = hits.last().map_or(1.0, |hit| hit.score);
        hits.extend(entity_tools::hits(workspace, &facts, &hits, least)?);
        tools_used.push(told);
    }

    let best = hits.first().map_or(1.0, |hit| hit.score).max(f32::MIN_POSITIVE);
    let passages: Vec<Passage<'_>> = hits
        .iter()
        .map(|hit| Passage {
            text: &hit.located.chunk.content,
            context: std::iter::once(hit.located.title.as_str())
                .chain(hit.located.chunk.heading_path.last().map(String::as_str))
                .collect::<Vec<_>>()
                .join(", "),
            score: hit.score / best,
            date: facts::date_of(&hit.located.metadata),
        })
        .collect();
    let fulltext = workspace.fulltext();
    let most_tokens = agent.max_tokens as usize;
    let answer =
        llm::answer(&question, &passages, fulltext.analyzer(), |terms| workspace.idf(terms), embedder, most_tokens)?;
    let citations = citations::resolve(workspace, &hits, &answer.quotes)?;

    let parts: Vec<String> = match citations.is_empty() {
        true => vec![NOT_FOUND.to_owned()],
        false => citations.iter().map(|c| format!("{} [{}]", c.prose, c.marker)).collect(),
    };
    for (place, part) in parts.iter().enumerate() {
        let content = if place == 0 { part.clone() } else { format!(" {part}") };
        tell(Event::Text { content })?;
    }
    let message = parts.join(" ");
    let prompt_tokens =
        passages.iter().map(|p| embedder.count_tokens(p.text)).sum::<usize>() + embedder.count_tokens(&question);
    let completion_tokens = embedder.count_tokens(&message);
    let usage = Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
    let mut sources: Vec<Document> = Vec::new();
    for citation in &citations {
        if !sources.iter().any(|document| document.id == citation.document_id) {
            sources.push(workspace.document(citation.document_id)?);
        }
    }
    let mut metadata = Map::new();
    metadata.insert("agent_id".into(), json!(agent.id));
    metadata.insert("model_provider".into(), json!(agent.model_provider));
    metadata.insert("model_name".into(), json!(agent.model_name));
    metadata.insert("grounded".into(), json!(!citations.is_empty()));
    metadata.insert("search_type".into(), json!(searched));
    if question != chat.query {
        metadata.insert(history::UNDERSTOOD.into(), json!(question));
    }

    let reply = Reply {
        message_id: Uuid::now_v7(),
        session_id: session.id,
        message,
        sources,
        tools_used,
        citations,
        usage,
        metadata,
    };
    tell(Event::Citations(reply.citations.clone()))?;
    tell(Event::Tools(reply.tools_used.clone()))?;
    tell(Event::Usage(usage))?;
    store(workspace, &session, chat, &question, &reply)?;
    tell(Event::End { message_id: reply.message_id })?;
    Ok(reply)
}

fn find_session(workspace: &Workspace, chat: &Chat) -> Result<Session> {
    if let Some(id) = chat.session_id {
        let session = workspace.session(id)?;
        return match session.agent_id == chat.agent_id {
            true => Ok(session),
            false => Err(Error::NotFound("session")),
        };
    }
    let now = clock::now();
    Ok(Session {
        id: Uuid::now_v7(),
        agent_id: chat.agent_id,
        user_id: chat.user_id.clone(),
        title: chat.query.chars().take(TITLE).collect(),
        metadata: chat.metadata.clone(),
        created_at: now.clone(),
        updated_at: now,
    })
}

fn request(agent: &Agent, tool: &str, search_type: SearchType, question: &str) -> SearchRequest {
    let limit = tools::configured(agent, tool, "limit").map_or(PASSAGES, |limit| (limit as usize).clamp(1, 50));
    let text_weight = tools::configured(agent, tool, "text_weight").map(|weight| weight as f32);
    SearchRequest {
        query: question.to_owned(),
        is_prose: true,
        search_type,
        limit,
        text_weight,
        // A copy of a passage is no more evidence, and it would take another's place.
        fold_duplicates: true,
        ..SearchRequest::default()
    }
}

fn tool_use(tool: &str, request: &SearchRequest) -> ToolUse {
    let mut args = Map::new();
    args.insert("query".into(), json!(request.query));
    args.insert("limit".into(), json!(request.limit));
    if let (SearchType::Hybrid, Some(weight)) = (request.search_type, request.text_weight) {
        args.insert("text_weight".into(), json!(weight));
    }
    tool_call(tool, args)
}

fn tool_call(tool: &str, args: Map<String, Value>) -> ToolUse {
    ToolUse { tool_name: tool.to_owned(), args, tool_call_id: format!("call_{}", Uuid::now_v7().simple()) }
}

fn store(workspace: &Workspace, session: &Session, chat: &Chat, question: &str, reply: &Reply) -> Result<()> {
    let message = |id, role: &str, content: &str, details| Message {
        id,
        session_id: session.id,
        role: role.to_owned(),
        content: content.to_owned(),
        details,
        rating: None,
        comment: None,
        created_at: clock::now(),
    };
    let mut understood = Map::new();
    understood.insert(history::UNDERSTOOD.into(), json!(question));
    let asked = message(Uuid::now_v7(), "user", &chat.query, understood);
    let mut details = Map::new();
    details.insert("citations".into(), json!(reply.citations));
    details.insert("tools_used".into(), json!(reply.tools_used));
    details.insert("usage".into(), json!(reply.usage));
    details.insert("metadata".into(), json!(reply.metadata));
    let answered = message(reply.message_id, "assistant", &reply.message, details);
    workspace.add_turn(session, &asked, &answered)
}
