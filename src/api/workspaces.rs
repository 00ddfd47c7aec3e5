//! `/organizations/{organization_id}/workspaces` and `/workspaces/{workspace_id}`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::access::{Caller, Ids, In, ManageWorkspace, ManageWorkspaces, May, ReadOrganization, ReadWorkspace};
use super::body::{JsonBody, given, set};
use super::error::{Answer, blocking};
use super::page::Page;
use super::validate::Checks;
use crate::app::{App, DEFAULT_LANGUAGE, identity};
use crate::auth::Permission;
use crate::clock;
use crate::error::Result;
use crate::tenancy::SESSION_DAYS;
use crate::tenancy::workspaces::Workspace;
use crate::text::Analyzer;

/// A workspace as it is told of.
#[derive(Serialize)]
pub struct View {
    pub id: Uuid,
    organization_id: Uuid,
    name: String,
    slug: String,
    description: Option<String>,
    settings: Map<String, Value>,
    /// `null` where the workspace cannot be read.
    document_count: Option<u64>,
    /// Requests and tokens are not metered yet.
    monthly_requests: u64,
    total_tokens_used: u64,
    embedding_model: String,
    created_at: String,
    updated_at: String,
}

impl View {
    /// The workspace of this row.
    pub fn of(app: &App, workspace: Workspace) -> Result<Self> {
        Ok(View {
            document_count: app
                .tenancy
                .document_count(workspace.id)
                .inspect_err(|error| tracing::error!(workspace.id = %workspace.id, %error, "it cannot be read"))
                .ok(),
            id: workspace.id,
            organization_id: workspace.organization_id,
            name: workspace.name,
            slug: workspace.slug,
            description: workspace.description,
            settings: workspace.settings,
            monthly_requests: 0,
            total_tokens_used: 0,
            embedding_model: workspace.embedding_model,
            created_at: workspace.created_at,
            updated_at: workspace.updated_at,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    name: String,
    slug: String,
    description: Option<String>,
    #[serde(default)]
    settings: Map<String, Value>,
    /// A model that lies in `models/`; also taken from `settings`.
    embedding_model: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    name: Option<String>,
    slug: Option<String>,
    #[serde(default, deserialize_with = "given")]
    description: Option<Option<String>>,
    settings: Option<Map<String, Value>>,
}

/// Longest description, in bytes.
const DESCRIPTION: usize = 10_000;

/// Settings that shape the directory when it is made and hold for its life.
const FIXED: [&str; 2] = ["language", "embedding_model"];

/// Days that a workspace may say its sessions are kept.
const MOST_DAYS: u64 = 36_500;

fn check_session_days(checks: &mut Checks, settings: &Map<String, Value>) {
    let days = settings.get(SESSION_DAYS);
    let right = days.is_none_or(|days| days.as_u64().is_some_and(|days| days <= MOST_DAYS));
    checks.require(right, "settings.session_days", &format!("must be a whole number of days, 0 to {MOST_DAYS}"));
}

/// `POST /organizations/{organization_id}/workspaces`
pub async fn create(
    _: May<ManageWorkspaces>,
    ids: Ids,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Create>,
) -> Answer<Response> {
    let organization_id = ids.get("organization_id", "organization")?;
    let mut checks = Checks::default();
    checks.name("name", &body.name);
    checks.slug("slug", &body.slug);
    body.description.iter().for_each(|text| checks.text("description", text, DESCRIPTION));
    checks.object("settings", &body.settings);
    let setting = |name: &str| body.settings.get(name).map(|value| value.as_str().map(str::to_owned).ok_or(()));
    let language = setting("language").transpose();
    checks.require(language.is_ok(), "settings.language", "must be a string");
    let model = setting("embedding_model").transpose();
    checks.require(model.is_ok(), "settings.embedding_model", "must be a string");
    let language = language.ok().flatten().unwrap_or_else(|| DEFAULT_LANGUAGE.to_owned());
    check_session_days(&mut checks, &body.settings);
    let plausible = Analyzer::knows(&language) || (2..=3).contains(&language.len());
    checks.require(plausible, "settings.language", "must be a language's ISO 639 code or English name");
    checks.done()?;
    let model = body.embedding_model.or(model.ok().flatten());
    let view = blocking(move || {
        let model = model.map_or_else(|| Ok(app.models.default_model()), |name| app.models.get(&name))?;
        let now = clock::now();
        let workspace = Workspace {
            id: Uuid::now_v7(),
            organization_id,
            name: body.name,
            slug: body.slug,
            description: body.description,
            settings: body.settings,
            embedding_model: model.model().name.clone(),
            created_at: now.clone(),
            updated_at: now,
        };
        app.tenancy.create_workspace(&workspace, &language, identity(model.as_ref()))?;
        View::of(&app, workspace)
    })
    .await?;
    let location = [("location", format!("/workspaces/{}", view.id))];
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

/// `GET /organizations/{organization_id}/workspaces`
pub async fn list(_: May<ReadOrganization>, ids: Ids, State(app): State<Arc<App>>, page: Page) -> Answer<Response> {
    let id = ids.get("organization_id", "organization")?;
    let (limit, offset) = (page.limit, page.offset);
    let (views, total) = blocking(move || {
        app.tenancy.organization(id)?;
        let (workspaces, total) = app.tenancy.workspaces(id, limit, offset)?;
        let views = workspaces.into_iter().map(|workspace| View::of(&app, workspace)).collect::<Result<Vec<_>>>()?;
        Ok((views, total))
    })
    .await?;
    Ok(page.answer(views, total))
}

/// `GET /workspaces/{workspace_id}`
pub async fn show(entered: In<ReadWorkspace>, State(app): State<Arc<App>>) -> Answer<Response> {
    let view = blocking(move || View::of(&app, entered.access.record)).await?;
    Ok(Json(view).into_response())
}

/// `PATCH /workspaces/{workspace_id}`
pub async fn update(
    entered: In<ManageWorkspace>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Update>,
) -> Answer<Response> {
    let record = entered.access.record;
    let mut checks = Checks::default();
    body.name.iter().for_each(|name| checks.name("name", name));
    body.slug.iter().for_each(|slug| checks.slug("slug", slug));
    body.description.iter().flatten().for_each(|text| checks.text("description", text, DESCRIPTION));
    if let Some(settings) = &body.settings {
        checks.object("settings", settings);
        check_session_days(&mut checks, settings);
        for name in FIXED {
            let changed = settings.contains_key(name) && settings.get(name) != record.settings.get(name);
            checks.require(!changed, &format!("settings.{name}"), "is chosen when the workspace is made");
        }
    }
    checks.done()?;
    let view = blocking(move || {
        let changed = app.tenancy.update_workspace(record.id, |workspace| {
            if let Some(mut settings) = body.settings {
                for name in FIXED {
                    if let Some(kept) = workspace.settings.get(name) {
                        settings.insert(name.to_owned(), kept.clone());
                    }
                }
                workspace.settings = settings;
            }
            set(&mut workspace.name, body.name);
            set(&mut workspace.slug, body.slug);
            set(&mut workspace.description, body.description);
            workspace.updated_at = clock::now();
            Ok(())
        })?;
        View::of(&app, changed)
    })
    .await?;
    Ok(Json(view).into_response())
}

/// `DELETE /workspaces/{workspace_id}`
pub async fn delete(Caller(principal): Caller, ids: Ids, State(app): State<Arc<App>>) -> Answer<Response> {
    let id = ids.get("workspace_id", "workspace").unwrap_or(Uuid::nil());
    blocking(move || {
        let found = app.tenancy.workspace(id);
        let organization = found.as_ref().ok().map(|workspace| workspace.organization_id);
        app.auth.permit(&principal, Permission::ManageWorkspaces, organization)?;
        found?;
        app.with_ballast(|| app.tenancy.delete_workspace(id))?;
        app.auth.forget(id);
        app.cache.remove_prefix(id.as_bytes());
        Ok(())
    })
    .await?;
    Ok(Json(json!({"status": "success", "message": "Workspace deleted"})).into_response())
}

/// `GET /workspaces/{workspace_id}/stats`
pub async fn stats(entered: In<ReadWorkspace>, State(app): State<Arc<App>>) -> Answer<Response> {
    let workspace = entered.access.workspace;
    let stats = blocking(move || {
        let stats = workspace.stats()?;
        let model = workspace.model();
        let chunks_to_ask = if app.proposals.is_some() { workspace.chunks_to_ask()? } else { 0 };
        Ok(json!({
            "documents": stats.documents,
            "chunks": stats.chunks,
            "vectors": stats.vectors,
            "entities": stats.entities,
            "relations": stats.facts,
            "facts_pending": stats.facts_pending,
            "graph_full": !app.facts.has_room(&workspace)?,
            "chunks_to_ask": chunks_to_ask,
            "bytes_on_disk": stats.bytes_on_disk,
            "embedding_model": {"name": model.name, "dimension": model.dimension, "sha256": model.sha256},
            "generation": stats.generation,
            "generations": {"fulltext": stats.fulltext_generation, "vectors": stats.vector_generation},
            "indexes": {"fulltext": stats.fulltext_state.name(), "vectors": stats.vector_state.name()},
        }))
    });
    Ok(Json(stats.await?).into_response())
}
