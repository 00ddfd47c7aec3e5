//! `/workspaces/{workspace_id}/sessions` and the messages in them.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::access::{Chat, Ids, In, ReadSessions};
use super::body::JsonBody;
use super::error::{Answer, blocking};
use super::page::Page;
use super::validate::Checks;
use crate::auth::Access;
use crate::workspace::sessions::{Message, Session};

/// A session as it is told of.
#[derive(Serialize)]
struct View {
    id: Uuid,
    /// The same id, under the name that clients of the original read.
    session_id: Uuid,
    workspace_id: Uuid,
    agent_id: Uuid,
    user_id: Option<String>,
    title: String,
    metadata: Map<String, Value>,
    created_at: String,
    updated_at: String,
}

impl View {
    fn of(workspace_id: Uuid, session: Session) -> Self {
        View {
            id: session.id,
            session_id: session.id,
            workspace_id,
            agent_id: session.agent_id,
            user_id: session.user_id,
            title: session.title,
            metadata: session.metadata,
            created_at: session.created_at,
            updated_at: session.updated_at,
        }
    }
}

#[derive(Serialize)]
struct MessageView {
    id: Uuid,
    role: String,
    content: String,
    #[serde(flatten)]
    details: Map<String, Value>,
    rating: Option<i8>,
    comment: Option<String>,
    created_at: String,
}

impl From<Message> for MessageView {
    fn from(message: Message) -> Self {
        MessageView {
            id: message.id,
            role: message.role,
            content: message.content,
            details: message.details,
            rating: message.rating,
            comment: message.comment,
            created_at: message.created_at,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feedback {
    rating: i64,
    comment: Option<String>,
}

/// `GET /workspaces/{workspace_id}/sessions`
pub async fn list(entered: In<ReadSessions>, page: Page) -> Answer<Response> {
    let workspace = entered.access.workspace;
    let (limit, offset, id) = (page.limit, page.offset, workspace.id());
    let (sessions, total) = blocking(move || workspace.sessions(limit, offset)).await?;
    Ok(page.answer(sessions.into_iter().map(|session| View::of(id, session)).collect(), total))
}

/// `GET /workspaces/{workspace_id}/sessions/{session_id}`
pub async fn show(entered: In<ReadSessions>, ids: Ids) -> Answer<Response> {
    one(entered.access, ids.get("session_id", "session")?).await
}

/// A session of a workspace that the caller was let into.
pub async fn one(access: Access, id: Uuid) -> Answer<Response> {
    let view = blocking(move || Ok(View::of(access.record.id, access.workspace.session(id)?))).await?;
    Ok(Json(view).into_response())
}

/// `DELETE /workspaces/{workspace_id}/sessions/{session_id}`
pub async fn delete(entered: In<Chat>, ids: Ids) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("session_id", "session")?);
    blocking(move || workspace.delete_session(id)).await?;
    Ok(Json(json!({"status": "success", "message": "Session deleted"})).into_response())
}

/// `GET /workspaces/{workspace_id}/sessions/{session_id}/messages`
pub async fn messages(entered: In<ReadSessions>, ids: Ids, page: Page) -> Answer<Response> {
    said(entered.access, ids.get("session_id", "session")?, page).await
}

/// The messages of a session of a workspace that the caller was let into.
pub async fn said(access: Access, id: Uuid, page: Page) -> Answer<Response> {
    let (limit, offset) = (page.limit, page.offset);
    let (messages, total) = blocking(move || access.workspace.messages(id, limit, offset)).await?;
    let messages: Vec<MessageView> = messages.into_iter().map(MessageView::from).collect();
    let body = json!({"session_id": id, "messages": messages, "total": total});
    Ok(page.shaped(&body, messages.len(), total))
}

/// `POST /workspaces/{workspace_id}/messages/{message_id}/feedback`
pub async fn feedback(entered: In<Chat>, ids: Ids, JsonBody(body): JsonBody<Feedback>) -> Answer<Response> {
    let mut checks = Checks::default();
    checks.require(matches!(body.rating, 1 | -1), "rating", "must be 1 or -1");
    body.comment.iter().for_each(|comment| checks.text("comment", comment, 10_000));
    checks.done()?;
    let (workspace, id) = (entered.access.workspace, ids.get("message_id", "message")?);
    let rating = if body.rating == 1 { 1 } else { -1 };
    let rated = blocking(move || workspace.rate_message(id, rating, body.comment.as_deref())).await?;
    let answer = json!({"status": "success", "message_id": rated.id, "rating": rated.rating, "comment": rated.comment});
    Ok(Json(answer).into_response())
}
