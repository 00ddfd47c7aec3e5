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
use super::error::{Answer, Failure, public_detail};
use super::search::check_query;
use super::validate::Checks;
use crate::agent::{self, Chat, Citation, Event, Listener, Reply, Thread};
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
        owner: entered.access.principal.name(),
        query: body.query,
        thread: thread(body.session_id.as_deref())?,
        user_id: body.user_id,
        metadata: body.metadata.unwrap_or_default(),
        search_type: body.search_type,
        instructions: Vec::new(),
        temperature: None,
        max_tokens: None,
    };
    answer(app, entered.access, chat, body.stream).await
}

/// The conversation that a body names, or a new one.
pub fn thread(session: Option<&str>) -> Result<Thread> {
    session.map_or(Ok(Thread::New), |id| parse_id(id, "session").map(Thread::Session))
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
    let reply = reply(&app, &access, chat).await?;
    Ok(Json(view(workspace, reply)).into_response())
}

/// Takes a turn and gives it as a whole. Where whoever asked goes away, it ends without a trace.
pub async fn reply(app: &App, access: &Access, chat: Chat) -> Answer<Reply> {
    let desk = app.desk(access)?;
    Ok(agent::take_turn(&desk, chat, &Listener::default()).await?)
}

/// Citations with the path at which each original can be fetched; of a PDF, at the page.
pub fn linked(workspace: Uuid, citations: Vec<Citation>) -> Vec<Value> {
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

/// Takes a turn and gives its steps as they happen; what ends it is the last of them. Where the reader goes away, so does the
/// turn.
pub fn steps(app: &App, access: &Access, chat: Chat) -> Result<mpsc::Receiver<Result<Event>>> {
    let desk = app.desk(access)?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let turn = async move {
        let listener = Listener::new(sender.clone());
        tokio::select! {
            turn = agent::take_turn(&desk, chat, &listener) => {
                if let Err(error) = turn {
                    // Whoever has gone needs no word of it.
                    let _ = sender.send(Err(error)).await;
                }
            }
            () = sender.closed() => tracing::debug!("the reader of a stream went away; the turn was dropped"),
        }
    };
    tokio::spawn(tracing::Instrument::in_current_span(turn));
    Ok(receiver)
}

async fn streamed(app: Arc<App>, access: Access, chat: Chat) -> Answer<Response> {
    let workspace = access.record.id;
    let mut receiver = steps(&app, &access, chat)?;
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
        Event::Session { session_id, .. } => json!({"type": "session", "session_id": session_id}),
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
        Event::End { message_id, metadata, .. } => {
            json!({"type": "end", "message_id": message_id, "metadata": metadata})
        }
    }
}
