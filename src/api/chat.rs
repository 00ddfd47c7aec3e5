//! `POST /workspaces/{workspace_id}/chat`: whole or streamed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::access::{self, In};
use super::body::JsonBody;
use super::documents::View as DocumentView;
use super::error::{Answer, Failure, blocking, public_detail};
use super::search::check_query;
use super::validate::Checks;
use crate::agent::{self, Chat, Citation, Event, Reply};
use crate::app::App;
use crate::auth::Access;
use crate::error::{Error, Result};
use crate::place::Location;
use crate::search::SearchType;

/// Events that may wait for a slow reader before the turn waits too.
const AHEAD: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    agent_id: String,
    query: String,
    session_id: Option<String>,
    user_id: Option<String>,
    #[serde(default)]
    stream: bool,
    metadata: Option<Map<String, Value>>,
    search_type: Option<SearchType>,
}

/// `POST /workspaces/{workspace_id}/chat`
pub async fn chat(
    entered: In<access::Chat>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Body>,
) -> Answer<Response> {
    let chat = Chat {
        agent_id: parse_id(&body.agent_id, "agent")?,
        query: body.query,
        session_id: body.session_id.map(|id| parse_id(&id, "session")).transpose()?,
        own_session: None,
        user_id: body.user_id,
        metadata: body.metadata.unwrap_or_default(),
        search_type: body.search_type,
    };
    answer(app, entered.access, chat, body.stream).await
}

/// An id in a body. What is no id is the id of no `thing`.
pub fn parse_id(text: &str, thing: &'static str) -> Result<Uuid> {
    Uuid::parse_str(text).map_err(|_| Error::NotFound(thing))
}

/// Takes a turn in a workspace that the caller was let into.
pub async fn answer(app: Arc<App>, access: Access, chat: Chat, stream: bool) -> Answer<Response> {
    let mut checks = Checks::default();
    check_query(&mut checks, "query", &chat.query);
    chat.user_id.iter().for_each(|user| checks.text("user_id", user, 512));
    checks.object("metadata", &chat.metadata);
    checks.done()?;
    if stream { streamed(app, access, chat).await } else { whole(app, access, chat).await }
}

async fn whole(app: Arc<App>, access: Access, chat: Chat) -> Answer<Response> {
    let workspace = access.record.id;
    Ok(Json(view(workspace, reply(app, access, chat).await?)).into_response())
}

/// Takes a turn and gives its answer at the end. The chat was checked.
pub async fn reply(app: Arc<App>, access: Access, chat: Chat) -> Answer<Reply> {
    blocking(move || {
        let embedder = app.embedder(&access.workspace)?;
        agent::take_turn(&access.workspace, embedder.as_ref(), &chat, &mut |_| Ok(()))
    })
    .await
}

/// Citations with the path at which each original can be fetched; of a PDF, at the page.
fn linked(workspace: Uuid, citations: Vec<Citation>) -> Vec<Value> {
    let link = |citation: Citation| {
        let page = citation.location.as_ref().and_then(Location::page);
        let page = page.map_or_else(String::new, |page| format!("#page={page}"));
        let file = format!("/workspaces/{workspace}/documents/{}/file{page}", citation.document_id);
        let mut told = json!(citation);
        if let Some(told) = told.as_object_mut() {
            told.insert("file".to_owned(), file.into());
        }
        told
    };
    citations.into_iter().map(link).collect()
}

fn view(workspace: Uuid, reply: Reply) -> Value {
    let sources: Vec<DocumentView> = reply.sources.into_iter().map(|d| DocumentView::of(workspace, d)).collect();
    json!({
        "message": reply.message,
        "message_id": reply.message_id,
        "session_id": reply.session_id,
        "sources": sources,
        "tools_used": reply.tools_used,
        "citations": linked(workspace, reply.citations),
        "usage": reply.usage,
        "metadata": reply.metadata,
    })
}

async fn streamed(app: Arc<App>, access: Access, chat: Chat) -> Answer<Response> {
    let (sender, mut receiver) = mpsc::channel::<std::result::Result<Event, Error>>(AHEAD);
    let span = tracing::Span::current();
    let workspace = access.record.id;
    tokio::task::spawn_blocking(move || {
        let _entered = span.enter();
        let gone = || Error::Unavailable("the reader has gone".into());
        let turn = app.embedder(&access.workspace).and_then(|embedder| {
            let mut tell = |event| sender.blocking_send(Ok(event)).map_err(|_| gone());
            agent::take_turn(&access.workspace, embedder.as_ref(), &chat, &mut tell)
        });
        if let Err(error) = turn
            && sender.blocking_send(Err(error)).is_err()
        {
            tracing::debug!("the reader of a stream went away; the turn was dropped");
        }
    });
    // What fails before the first event is an ordinary error, with a status.
    let first = match receiver.recv().await {
        Some(Ok(event)) => event,
        Some(Err(error)) => return Err(Failure(error)),
        None => return Err(Error::Internal("a turn ended without an event".into()).into()),
    };
    let rest = stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|event| (event, receiver)) });
    let events = futures_util::StreamExt::chain(stream::iter([Ok(first)]), rest);
    let events = futures_util::StreamExt::map(events, move |event| {
        let data = event.map_or_else(
            |error| json!({"type": "error", "code": error.code(), "content": public_detail(&error)}),
            |event| wire(workspace, event),
        );
        Ok::<_, Infallible>(sse::Event::default().data(data.to_string()))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15)).text("keep-alive");
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    Ok(response)
}

fn wire(workspace: Uuid, event: Event) -> Value {
    match event {
        Event::Session { session_id } => json!({"type": "session", "session_id": session_id}),
        Event::ToolCall(call) => json!({
            "type": "tool_call",
            "tool_name": call.tool_name,
            "args": call.args,
            "tool_call_id": call.tool_call_id,
        }),
        Event::ToolResult { tool_call_id, summary } => {
            json!({"type": "tool_result", "tool_call_id": tool_call_id, "summary": summary})
        }
        Event::Text { content } => json!({"type": "text", "content": content}),
        Event::Citations(citations) => json!({"type": "citations", "citations": linked(workspace, citations)}),
        Event::Tools(tools) => json!({"type": "tools", "tools": tools}),
        Event::Usage(usage) => json!({
            "type": "usage",
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        }),
        Event::End { message_id } => json!({"type": "end", "message_id": message_id}),
    }
}
