//! `POST /n8n/chat` and `/n8n/simple`: what workflows of n8n send and read, as the original had it.
//!
//! A workflow has names of its own for its sessions. Each stands for one session here, whose id is made of the
//! workspace, the key, the agent and the name, so that nothing need be kept to find it again. Names can be guessed
//! and keys of pages are in everybody's hands, so that no key finds what another's names stand for.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::access::{self, InOwn};
use super::body::JsonBody;
use super::error::{Answer, blocking};
use super::search::check_query;
use super::validate::Checks;
use super::{chat, legacy};
use crate::agent::{Chat, Reply, Thread};
use crate::app::App;
use crate::auth::{Access, Principal};
use crate::clock;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Bytes of a name that a workflow gives a session or user.
const LONGEST_NAME: usize = 512;

/// What a workflow sends; whatever else it has is ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Body {
    chat_input: Option<String>,
    message: Option<String>,
    question: Option<String>,
    session_id: Option<Name>,
    user_id: Option<Name>,
    agent_id: Option<String>,
    /// The agent again, as the other routes spell it.
    #[serde(rename = "agent_id")]
    agent: Option<String>,
}

/// A name as a workflow has it: text, or a number of some table.
#[derive(Deserialize, Clone)]
#[serde(untagged, expecting = "must be text or a whole number")]
enum Name {
    Text(String),
    Number(i64),
}

impl Name {
    fn text(&self) -> String {
        match self {
            Name::Text(text) => text.clone(),
            Name::Number(number) => number.to_string(),
        }
    }

    /// As it was sent.
    fn given(self) -> Value {
        match self {
            Name::Text(text) => text.into(),
            Name::Number(number) => number.into(),
        }
    }
}

/// `POST /n8n/chat`
pub async fn chat(
    entered: InOwn<access::Chat>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Body>,
) -> Answer<Json<Value>> {
    let (session, user) = (named(&body.session_id).cloned(), body.user_id.clone());
    let reply = answer(app, entered.access, body).await?;
    let names: Vec<&str> = reply.tools_used.iter().map(|tool| tool.tool_name.as_str()).collect();
    Ok(Json(json!({
        "response": reply.message,
        "sessionId": session.map_or_else(|| json!(reply.session_id), Name::given),
        "userId": user.map(Name::given),
        "toolsUsed": names,
        "tools": reply.tools_used,
        "timestamp": clock::now(),
    })))
}

/// `POST /n8n/simple`
pub async fn simple(
    entered: InOwn<access::Chat>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Body>,
) -> Answer<Json<Value>> {
    let reply = answer(app, entered.access, body).await?;
    Ok(Json(json!({"answer": reply.message})))
}

/// A name that says something.
fn named(name: &Option<Name>) -> Option<&Name> {
    name.as_ref().filter(|name| !matches!(name, Name::Text(text) if text.is_empty()))
}

async fn answer(app: Arc<App>, access: Access, body: Body) -> Answer<Reply> {
    let mut asked = [body.chat_input, body.message, body.question].into_iter().flatten();
    let query = asked.find(|text| !text.trim().is_empty()).unwrap_or_default();
    let (session, user) = (named(&body.session_id).map(Name::text), named(&body.user_id).map(Name::text));
    let mut checks = Checks::default();
    check_query(&mut checks, "chatInput", &query);
    session.iter().for_each(|name| checks.text("sessionId", name, LONGEST_NAME));
    user.iter().for_each(|name| checks.text("userId", name, LONGEST_NAME));
    checks.done()?;
    let agent = body.agent_id.or(body.agent).filter(|id| !id.is_empty());
    let agent = agent.map(|id| chat::parse_id(&id, "agent")).transpose()?;
    let (workspace, owner) = (access.workspace.clone(), owner(&access.principal));
    let (agent_id, thread) = blocking(move || find(&workspace, owner, agent, session.as_deref())).await?;
    let chat = Chat {
        agent_id,
        owner: access.principal.name(),
        query,
        thread,
        user_id: user,
        metadata: Map::new(),
        search_type: None,
        instructions: Vec::new(),
        temperature: None,
        max_tokens: None,
    };
    chat::reply(&app, &access, chat).await
}

/// Whose the names are.
fn owner(principal: &Principal) -> Uuid {
    match principal {
        Principal::InstanceAdmin => Uuid::nil(),
        Principal::ApiKey(key) => key.id,
        Principal::User(user) => user.id,
    }
}

/// Who answers, and in which session.
fn find(workspace: &Workspace, owner: Uuid, agent: Option<Uuid>, session: Option<&str>) -> Result<(Uuid, Thread)> {
    if let Some(id) = session.and_then(|name| Uuid::parse_str(name).ok()) {
        match workspace.session(id) {
            Ok(session) => return Ok((agent.unwrap_or(session.agent_id), Thread::Session(id))),
            // A name that looks like one of our ids.
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let agent = agent.map_or_else(|| legacy::first_agent(workspace), Ok)?;
    let own = |name| Thread::Named(own_id([workspace.id(), owner, agent], name));
    Ok((agent, session.map_or(Thread::New, own)))
}

/// The id of the session that is called `name` in a workspace, by a key's owner, in talk with an agent.
fn own_id(within: [Uuid; 3], name: &str) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(b"n8n session");
    within.iter().for_each(|id| hash.update(id.as_bytes()));
    hash.update(name.as_bytes());
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.finalize()).for_each(|(byte, of_hash)| *byte = of_hash);
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_name_is_one_session_of_each_agent_key_and_workspace() {
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let within = [[one, one, one], [other, one, one], [one, other, one], [one, one, other]];
        let ids: HashSet<Uuid> = within.iter().flat_map(|ids| ["abc", "abd"].map(|name| own_id(*ids, name))).collect();
        assert_eq!(ids.len(), 8);
        assert!(ids.contains(&own_id([one, one, one], "abc")));
        assert!(ids.iter().all(|id| id.get_version_num() == 8), "never taken for an id of ours");
    }
}
