//! The original system's routes: the shapes its clients send and read, on the workspace of their key.
//!
//! Fields that the original did not know are ignored here, as it ignored them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::access::{self, Ids, InOwn, ReadDocuments, ReadSessions};
use super::body::JsonBody;
use super::error::{Answer, blocking};
use super::filter::FilterBody;
use super::page::Page;
use super::search::check_query;
use super::validate::Checks;
use super::{chat, documents as documents_api, search, sessions};
use crate::agent::{Chat, Thread};
use crate::app::App;
use crate::auth::Access;
use crate::error::{Error, Result};
use crate::search::{SearchRequest, SearchType};
use crate::workspace::Workspace;

#[derive(Deserialize)]
pub struct ChatBody {
    message: String,
    session_id: Option<String>,
    agent_id: Option<String>,
    user_id: Option<String>,
    metadata: Option<Map<String, Value>>,
    search_type: Option<SearchType>,
}

#[derive(Deserialize)]
pub struct SearchBody {
    query: String,
    limit: Option<i64>,
    filters: Option<FilterBody>,
}

/// `POST /chat`
pub async fn chat(
    entered: InOwn<access::Chat>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<ChatBody>,
) -> Answer<Response> {
    answer(app, entered.access, body, false).await
}

/// `POST /chat/stream`
pub async fn chat_stream(
    entered: InOwn<access::Chat>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<ChatBody>,
) -> Answer<Response> {
    answer(app, entered.access, body, true).await
}

async fn answer(app: Arc<App>, access: Access, body: ChatBody, stream: bool) -> Answer<Response> {
    let mut checks = Checks::default();
    check_query(&mut checks, "message", &body.message);
    checks.done()?;
    let session_id = body.session_id.as_deref().map(|id| chat::parse_id(id, "session")).transpose()?;
    let agent_id = match &body.agent_id {
        Some(id) => chat::parse_id(id, "agent")?,
        None => {
            let workspace = access.workspace.clone();
            blocking(move || agent_of(&workspace, session_id)).await?
        }
    };
    let chat = Chat {
        agent_id,
        owner: access.principal.name(),
        query: body.message,
        thread: session_id.map_or(Thread::New, Thread::Session),
        user_id: body.user_id,
        metadata: body.metadata.unwrap_or_default(),
        search_type: body.search_type,
        instructions: Vec::new(),
        temperature: None,
        max_tokens: None,
    };
    chat::answer(app, access, chat, stream).await
}

/// The session's agent, or the workspace's first.
fn agent_of(workspace: &Workspace, session: Option<Uuid>) -> Result<Uuid> {
    if let Some(session) = session {
        return Ok(workspace.session(session)?.agent_id);
    }
    first_agent(workspace)
}

/// The agent of those who name none: the workspace's first.
pub fn first_agent(workspace: &Workspace) -> Result<Uuid> {
    let (agents, _) = workspace.agents(false, 1, 0)?;
    agents.first().map(|agent| agent.id).ok_or(Error::NotFound("agent"))
}

/// `POST /search/vector`
pub async fn search_vector(
    entered: InOwn<access::Search>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<SearchBody>,
) -> Answer<Json<Value>> {
    find(app, entered.access, body, SearchType::Vector).await
}

/// `POST /search/hybrid`
pub async fn search_hybrid(
    entered: InOwn<access::Search>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<SearchBody>,
) -> Answer<Json<Value>> {
    find(app, entered.access, body, SearchType::Hybrid).await
}

/// `POST /search/graph`
pub async fn search_graph(
    entered: InOwn<access::Search>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<SearchBody>,
) -> Answer<Json<Value>> {
    find(app, entered.access, body, SearchType::Graph).await
}

async fn find(app: Arc<App>, access: Access, body: SearchBody, search_type: SearchType) -> Answer<Json<Value>> {
    let mut checks = Checks::default();
    check_query(&mut checks, "query", &body.query);
    let limit = body.limit.unwrap_or(10);
    checks.require((1..=100).contains(&limit), "limit", "must be from 1 to 100");
    checks.done()?;
    let request = SearchRequest {
        query: body.query,
        // The original's clients know no signs.
        is_prose: true,
        search_type,
        limit: usize::try_from(limit).unwrap_or(10),
        filter: body.filters.unwrap_or_default().checked()?,
        ..SearchRequest::default()
    };
    search::answer(app, access, request, false).await
}

/// `GET /documents`
pub async fn documents(entered: InOwn<ReadDocuments>, page: Page, uri: Uri) -> Answer<Response> {
    documents_api::page_of(entered.access, page, &uri).await
}

/// `GET /sessions/{session_id}`
pub async fn session(entered: InOwn<ReadSessions>, ids: Ids) -> Answer<Response> {
    sessions::one(entered.access, ids.get("session_id", "session")?).await
}

/// `GET /sessions/{session_id}/messages`
pub async fn messages(entered: InOwn<ReadSessions>, ids: Ids, page: Page) -> Answer<Response> {
    sessions::said(entered.access, ids.get("session_id", "session")?, page).await
}
