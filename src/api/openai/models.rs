//! `GET /v1/models`: the agents that the caller may use, under the names by which it may call them.
//!
//! A key calls the agents of its workspace by their slugs. Who may enter several workspaces puts the workspace before,
//! `workspace/agent`: its slug, or its id where two organizations gave the same slug.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::refusal::{Answer, Refusal};
use crate::api::access::{Among, Chat};
use crate::api::error::blocking;
use crate::app::{App, DEFAULT_WORKSPACE};
use crate::auth::Access;
use crate::clock;
use crate::error::{Error, Result};
use crate::workspace::agents::Agent;

/// Workspaces whose agents are listed, and agents that are; all others can be named all the same.
const WORKSPACES: usize = 100;
const AGENTS: usize = 1_000;

/// An agent as a model.
#[derive(Serialize)]
pub struct Model {
    id: String,
    object: &'static str,
    created: i64,
    owned_by: String,
}

impl Model {
    fn of(access: &Access, prefix: Option<&str>, agent: &Agent) -> Self {
        Model {
            id: prefix.map_or_else(|| agent.slug.clone(), |workspace| format!("{workspace}/{}", agent.slug)),
            object: "model",
            created: clock::seconds(&agent.created_at),
            owned_by: access.record.slug.clone(),
        }
    }
}

/// The name of a model in the path, which may have a slash in it.
pub struct Name(String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| Refusal::NoModel)?;
        let name = params.iter().find(|(key, _)| *key == "model_id").map(|(_, value)| value.to_owned());
        name.map(Name).ok_or(Refusal::NoModel)
    }
}

/// `GET /v1/models`
pub async fn list(among: Among<Chat>, State(app): State<Arc<App>>) -> Answer<Json<Value>> {
    let models = blocking(move || match &among.own {
        Some(access) => {
            let (agents, _) = access.workspace.agents(false, AGENTS, 0)?;
            Ok(agents.iter().map(|agent| Model::of(access, None, agent)).collect())
        }
        None => of_all(&app, &among),
    });
    Ok(Json(json!({"object": "list", "data": models.await?})))
}

fn of_all(app: &App, among: &Among<Chat>) -> Result<Vec<Model>> {
    let mut models = Vec::new();
    for record in app.tenancy.all_workspaces(WORKSPACES)? {
        let access = match among.enter(app, record.id) {
            Ok(access) => access,
            // One that is closed to the caller, went away or cannot be read is no reason to hide the others.
            Err(error) => {
                tracing::debug!(workspace.id = %record.id, %error, "its agents are not listed");
                continue;
            }
        };
        let name = called(app, &access)?;
        let (agents, _) = access.workspace.agents(false, AGENTS - models.len(), 0)?;
        models.extend(agents.iter().map(|agent| Model::of(&access, Some(&name), agent)));
    }
    Ok(models)
}

/// `GET /v1/models/{model}`
pub async fn show(among: Among<Chat>, Name(name): Name, State(app): State<Arc<App>>) -> Answer<Json<Model>> {
    let is_own = among.own.is_some();
    let (access, agent) = find(app.clone(), among, name).await?;
    let model = blocking(move || {
        let prefix = if is_own { None } else { Some(called(&app, &access)?) };
        Ok(Model::of(&access, prefix.as_deref(), &agent))
    });
    Ok(Json(model.await?))
}

/// What a workspace is called before a slash.
fn called(app: &App, access: &Access) -> Result<String> {
    let namesakes = app.tenancy.workspaces_called(&access.record.slug)?;
    Ok(if namesakes.len() == 1 { access.record.slug.clone() } else { access.record.id.to_string() })
}

/// The agent that the caller means by `name`, and its workspace, which the caller was let into.
pub async fn find(app: Arc<App>, among: Among<Chat>, name: String) -> Answer<(Access, Agent)> {
    let found = blocking(move || match seek(&app, among, &name) {
        // Nobody learns which of the two is not there, or is closed.
        Err(Error::NotFound(_) | Error::Forbidden(_)) => Ok(None),
        found => found.map(Some),
    });
    found.await?.ok_or(Refusal::NoModel)
}

fn seek(app: &App, among: Among<Chat>, name: &str) -> Result<(Access, Agent)> {
    let (workspace, agent) = name.split_once('/').map_or((None, name), |(workspace, agent)| (Some(workspace), agent));
    let access = match (&among.own, workspace) {
        (Some(access), None) => access.clone(),
        (Some(access), Some(name)) if is_called(access, name) => access.clone(),
        (Some(_), Some(_)) => return Err(Error::NotFound("workspace")),
        (None, None) => among.enter(app, DEFAULT_WORKSPACE)?,
        (None, Some(name)) => among.enter(app, meant(app, name)?)?,
    };
    let agent = access.workspace.agent_called(agent)?;
    Ok((access, agent))
}

fn is_called(access: &Access, name: &str) -> bool {
    access.record.slug == name || Uuid::parse_str(name).is_ok_and(|id| id == access.record.id)
}

/// The one workspace with this id or slug.
fn meant(app: &App, name: &str) -> Result<Uuid> {
    if let Some(workspace) = Uuid::parse_str(name).ok().and_then(|id| app.tenancy.workspace(id).ok()) {
        return Ok(workspace.id);
    }
    match app.tenancy.workspaces_called(name)?[..] {
        [id] => Ok(id),
        _ => Err(Error::NotFound("workspace")),
    }
}
