//! `/workspaces/{workspace_id}/agents`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::access::{Caller, Ids, In, ManageAgents, ReadAgents};
use super::body::{JsonBody, given, set};
use super::error::{Answer, blocking};
use super::page::{Page, Params};
use super::validate::Checks;
use crate::agent::{FALLBACK, HISTORY, TOOLS, check_tools, templates};
use crate::app::App;
use crate::clock;
use crate::error::{Error, Result};
use crate::llm::{self, Providers};
use crate::workspace::agents::Agent;

/// Longest prompt and description, in bytes.
const PROMPT: usize = 100_000;
const DESCRIPTION: usize = 10_000;
/// Tokens of what was said before that an agent can have its model told.
const MOST_HISTORY: u64 = 200_000;

/// An agent as it is told of.
#[derive(Serialize)]
struct View {
    id: Uuid,
    workspace_id: Uuid,
    name: String,
    slug: String,
    description: Option<String>,
    system_prompt: String,
    model_provider: String,
    model_name: String,
    temperature: f64,
    max_tokens: u32,
    enabled_tools: Vec<String>,
    tool_config: Map<String, Value>,
    is_active: bool,
    settings: Map<String, Value>,
    created_at: String,
    updated_at: String,
}

impl View {
    fn of(workspace_id: Uuid, agent: Agent) -> Self {
        View {
            id: agent.id,
            workspace_id,
            name: agent.name,
            slug: agent.slug,
            description: agent.description,
            system_prompt: agent.system_prompt,
            model_provider: agent.model_provider,
            model_name: agent.model_name,
            temperature: agent.temperature,
            max_tokens: agent.max_tokens,
            enabled_tools: agent.enabled_tools,
            tool_config: agent.tool_config,
            is_active: agent.is_active,
            settings: agent.settings,
            created_at: agent.created_at,
            updated_at: agent.updated_at,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    name: String,
    slug: String,
    /// The name of a template that gives what is not given here.
    template: Option<String>,
    description: Option<String>,
    system_prompt: Option<String>,
    model_provider: Option<String>,
    model_name: Option<String>,
    temperature: Option<f64>,
    max_tokens: Option<u32>,
    enabled_tools: Option<Vec<String>>,
    tool_config: Option<Map<String, Value>>,
    is_active: Option<bool>,
    settings: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    name: Option<String>,
    slug: Option<String>,
    #[serde(default, deserialize_with = "given")]
    description: Option<Option<String>>,
    system_prompt: Option<String>,
    model_provider: Option<String>,
    model_name: Option<String>,
    temperature: Option<f64>,
    max_tokens: Option<u32>,
    enabled_tools: Option<Vec<String>>,
    tool_config: Option<Map<String, Value>>,
    is_active: Option<bool>,
    settings: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
pub struct Shown {
    #[serde(default)]
    include_inactive: bool,
}

fn check(agent: &Agent) -> Result<()> {
    let mut checks = Checks::default();
    checks.name("name", &agent.name);
    checks.slug("slug", &agent.slug);
    agent.description.iter().for_each(|text| checks.text("description", text, DESCRIPTION));
    checks.text("system_prompt", &agent.system_prompt, PROMPT);
    checks.name("model_name", &agent.model_name);
    checks.require((0.0..=2.0).contains(&agent.temperature), "temperature", "must be from 0 to 2");
    checks.require((1..=100_000).contains(&agent.max_tokens), "max_tokens", "must be from 1 to 100000");
    checks.object("settings", &agent.settings);
    checks.object("tool_config", &agent.tool_config);
    let objects = agent.tool_config.values().all(Value::is_object);
    checks.require(objects, "tool_config", "must have an object for each tool");
    let fallback =
        agent.settings.get(FALLBACK).is_none_or(|fallback| fallback.is_null() || fallback == llm::EXTRACTIVE);
    checks.require(fallback, "settings.fallback", "must be `extractive`, or not be there");
    let history =
        agent.settings.get(HISTORY).is_none_or(|tokens| tokens.as_u64().is_some_and(|tokens| tokens <= MOST_HISTORY));
    checks.require(history, "settings.history_tokens", &format!("must be a whole number from 0 to {MOST_HISTORY}"));
    checks.done()?;
    check_tools(&agent.enabled_tools, "enabled_tools")?;
    check_tools(agent.tool_config.keys(), "tool_config")
}

/// Sees to it that the agent's provider is one of the operator's, and its model one of that provider's; where none `is_named`,
/// the provider's first.
fn settle_model(agent: &mut Agent, providers: &Providers, is_named: bool) -> Result<()> {
    if agent.model_provider == llm::EXTRACTIVE {
        if !is_named {
            agent.model_name = llm::EXTRACTIVE.to_owned();
        }
        return Ok(());
    }
    let Some(provider) = providers.get(&agent.model_provider) else {
        let names: Vec<&str> = std::iter::once(llm::EXTRACTIVE).chain(providers.iter().map(|(name, _)| name)).collect();
        let message = format!("there is no such provider; there are: {}", names.join(", "));
        return Err(Error::invalid("model_provider", message));
    };
    let is_known = provider.models.is_empty() || provider.models.contains(&agent.model_name);
    match provider.models.first() {
        Some(first) if !is_named && !is_known => agent.model_name.clone_from(first),
        _ if agent.model_name.is_empty() || (!is_named && agent.model_name == llm::EXTRACTIVE) => {
            return Err(Error::invalid("model_name", "must name a model of this provider"));
        }
        _ if !is_known => {
            let message = format!("this provider has no such model; it has: {}", provider.models.join(", "));
            return Err(Error::invalid("model_name", message));
        }
        _ => {}
    }
    Ok(())
}

/// `POST /workspaces/{workspace_id}/agents`
pub async fn create(
    entered: In<ManageAgents>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Create>,
) -> Answer<Response> {
    let now = clock::now();
    let template = body.template.as_deref().map(templates::find).transpose()?;
    let tools = template.map_or(TOOLS, |template| template.tools);
    let is_named = body.model_name.is_some();
    let mut agent = Agent {
        id: Uuid::now_v7(),
        name: body.name,
        slug: body.slug,
        description: body.description.or(template.map(|template| template.description.to_owned())),
        system_prompt: body
            .system_prompt
            .unwrap_or_else(|| template.map_or(String::new(), |template| template.system_prompt.to_owned())),
        model_provider: body.model_provider.unwrap_or_else(|| llm::EXTRACTIVE.to_owned()),
        model_name: body.model_name.unwrap_or_else(|| llm::EXTRACTIVE.to_owned()),
        temperature: body.temperature.unwrap_or(template.map_or(0.0, |template| template.temperature)),
        max_tokens: body.max_tokens.unwrap_or(template.map_or(1024, |template| template.max_tokens)),
        enabled_tools: body.enabled_tools.unwrap_or_else(|| tools.iter().map(|tool| tool.to_string()).collect()),
        tool_config: body.tool_config.unwrap_or_default(),
        is_active: body.is_active.unwrap_or(true),
        settings: body.settings.unwrap_or_default(),
        created_at: now.clone(),
        updated_at: now,
    };
    settle_model(&mut agent, &app.providers, is_named)?;
    check(&agent)?;
    let workspace = entered.access.workspace;
    let view = blocking(move || {
        workspace.put_agent(&agent)?;
        Ok(View::of(workspace.id(), agent))
    })
    .await?;
    let location = [("location", format!("/workspaces/{}/agents/{}", view.workspace_id, view.id))];
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

/// `GET /agent-templates`
pub async fn templates(_: Caller) -> Json<Value> {
    let view = |template: &templates::Template| {
        json!({
            "template": template.name,
            "description": template.description,
            "system_prompt": template.system_prompt,
            "temperature": template.temperature,
            "max_tokens": template.max_tokens,
            "enabled_tools": template.tools,
        })
    };
    Json(templates::TEMPLATES.iter().map(view).collect())
}

/// `GET /providers`: what agents may name, and nothing of where that is.
pub async fn providers(_: Caller, State(app): State<Arc<App>>) -> Json<Value> {
    let configured = app.providers.iter().map(|(name, provider)| json!({"name": name, "models": provider.models}));
    let always = json!({"name": llm::EXTRACTIVE, "models": [llm::EXTRACTIVE]});
    Json(std::iter::once(always).chain(configured).collect())
}

/// `GET /workspaces/{workspace_id}/agents?include_inactive=`
pub async fn list(entered: In<ReadAgents>, Params(shown): Params<Shown>, page: Page) -> Answer<Response> {
    let workspace = entered.access.workspace;
    let (limit, offset, id) = (page.limit, page.offset, workspace.id());
    let (agents, total) = blocking(move || workspace.agents(shown.include_inactive, limit, offset)).await?;
    Ok(page.answer(agents.into_iter().map(|agent| View::of(id, agent)).collect(), total))
}

/// `GET /workspaces/{workspace_id}/agents/{agent_id}`
pub async fn show(entered: In<ReadAgents>, ids: Ids) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("agent_id", "agent")?);
    let view = blocking(move || Ok(View::of(workspace.id(), workspace.agent(id)?))).await?;
    Ok(Json(view).into_response())
}

/// `PATCH /workspaces/{workspace_id}/agents/{agent_id}`
pub async fn update(
    entered: In<ManageAgents>,
    ids: Ids,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Update>,
) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("agent_id", "agent")?);
    // An agent whose provider is no longer there can still be changed otherwise.
    let (is_named, chooses) = (body.model_name.is_some(), body.model_name.is_some() || body.model_provider.is_some());
    let view = blocking(move || {
        let agent = workspace.update_agent(id, |agent| {
            set(&mut agent.name, body.name);
            set(&mut agent.slug, body.slug);
            set(&mut agent.description, body.description);
            set(&mut agent.system_prompt, body.system_prompt);
            set(&mut agent.model_provider, body.model_provider);
            set(&mut agent.model_name, body.model_name);
            set(&mut agent.temperature, body.temperature);
            set(&mut agent.max_tokens, body.max_tokens);
            set(&mut agent.enabled_tools, body.enabled_tools);
            set(&mut agent.tool_config, body.tool_config);
            set(&mut agent.is_active, body.is_active);
            set(&mut agent.settings, body.settings);
            agent.updated_at = clock::now();
            if chooses {
                settle_model(agent, &app.providers, is_named)?;
            }
            check(agent)
        })?;
        Ok(View::of(workspace.id(), agent))
    });
    Ok(Json(view.await?).into_response())
}

/// `DELETE /workspaces/{workspace_id}/agents/{agent_id}`
pub async fn delete(entered: In<ManageAgents>, ids: Ids) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("agent_id", "agent")?);
    blocking(move || workspace.delete_agent(id)).await?;
    Ok(Json(json!({"status": "success", "message": "Agent deleted"})).into_response())
}
