//! `/workspaces/{workspace_id}/sessions` and the messages in them.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::access::{Chat, Ids, In, ReadSessions};
use super::body::{JsonBody, set};
use super::error::{Answer, blocking};
use super::page::{Page, Params};
use super::validate::Checks;
use crate::auth::Access;
use crate::workspace::session_list::{Listed, Listing, MOST_WORDS};
use crate::workspace::sessions::Message;

/// Longest words that are looked for, and longest name of who talks, in bytes.
const LONGEST_WANTED: usize = 1000;

/// A session as it is told of.
#[derive(Serialize)]
pub struct View {
    id: Uuid,
    /// The same id, under the name that clients of the original read.
    session_id: Uuid,
    workspace_id: Uuid,
    agent_id: Uuid,
    user_id: Option<String>,
    title: String,
    metadata: Map<String, Value>,
    message_count: u64,
    last_message_at: Option<String>,
    created_at: String,
    /// When it last went on.
    updated_at: String,
}

impl View {
    pub fn of(workspace_id: Uuid, listed: Listed) -> Self {
        let Listed { session, message_count, last_message_at } = listed;
        View {
            id: session.id,
            session_id: session.id,
            workspace_id,
            agent_id: session.agent_id,
            user_id: session.user_id,
            title: session.title,
            metadata: session.metadata,
            message_count,
            last_message_at,
            created_at: session.created_at,
            updated_at: session.updated_at,
        }
    }
}

#[derive(Serialize)]
pub struct MessageView {
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

/// Which sessions a list is asked for.
#[derive(Deserialize)]
pub struct Wanted {
    q: Option<String>,
    agent_id: Option<Uuid>,
    user_id: Option<String>,
}

/// What is changed of a session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    title: Option<String>,
    /// Keys with their new values; null takes a key away.
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// `GET /workspaces/{workspace_id}/sessions?q=&agent_id=&user_id=`
pub async fn list(entered: In<ReadSessions>, Params(wanted): Params<Wanted>, page: Page) -> Answer<Response> {
    let mut checks = Checks::default();
    let words: Vec<String> = wanted.q.iter().flat_map(|q| q.split_whitespace()).map(str::to_owned).collect();
    checks.require(words.len() <= MOST_WORDS, "q", &format!("must have at most {MOST_WORDS} words"));
    wanted.q.iter().for_each(|q| checks.text("q", q, LONGEST_WANTED));
    wanted.user_id.iter().for_each(|user| checks.text("user_id", user, LONGEST_WANTED));
    checks.done()?;
    let workspace = entered.access.workspace;
    let (limit, offset, id) = (page.limit, page.offset, workspace.id());
    let listing = Listing { words, agent_id: wanted.agent_id, user_id: wanted.user_id, limit, offset };
    let (sessions, total) = blocking(move || workspace.sessions(&listing)).await?;
    Ok(page.answer(sessions.into_iter().map(|session| View::of(id, session)).collect(), total))
}

/// `GET /workspaces/{workspace_id}/sessions/{session_id}`
pub async fn show(entered: In<ReadSessions>, ids: Ids) -> Answer<Response> {
    one(entered.access, ids.get("session_id", "session")?).await
}

/// A session of a workspace that the caller was let into.
pub async fn one(access: Access, id: Uuid) -> Answer<Response> {
    let view = blocking(move || Ok(View::of(access.record.id, access.workspace.listed_session(id)?))).await?;
    Ok(Json(view).into_response())
}

/// `PATCH /workspaces/{workspace_id}/sessions/{session_id}`
///
/// It tells what the session holds: for whoever may read it, too.
pub async fn update(
    entered: In<Chat>,
    _reads: In<ReadSessions>,
    ids: Ids,
    JsonBody(body): JsonBody<Update>,
) -> Answer<Json<View>> {
    let mut checks = Checks::default();
    if let Some(title) = &body.title {
        checks.name("title", title);
        checks.require(!title.contains(['\u{2028}', '\u{2029}']), "title", "must be one line");
    }
    checks.done()?;
    let (workspace, id) = (entered.access.workspace, ids.get("session_id", "session")?);
    let view = blocking(move || {
        workspace.update_session(id, |session| {
            set(&mut session.title, body.title);
            for (key, value) in body.metadata {
                match value {
                    Value::Null => drop(session.metadata.remove(&key)),
                    value => drop(session.metadata.insert(key, value)),
                }
            }
            let mut checks = Checks::default();
            checks.object("metadata", &session.metadata);
            checks.done()
        })?;
        Ok(View::of(workspace.id(), workspace.listed_session(id)?))
    });
    Ok(Json(view.await?))
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
