//! `/workspaces/{workspace_id}/api-keys`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::access::{Ids, In, ManageApiKeys};
use super::body::{JsonBody, given, set};
use super::error::{Answer, blocking};
use super::origin;
use super::page::Page;
use super::validate::Checks;
use crate::app::App;
use crate::clock;
use crate::error::{Error, Result};
use crate::tenancy::api_keys::{ApiKey, Scope};

/// Origins that a key may list.
const MOST_ORIGINS: usize = 50;

/// A key as it is told of: without the key, but for the once.
#[derive(Serialize)]
struct View {
    id: Uuid,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    key_prefix: String,
    workspace_id: Uuid,
    scopes: Vec<Scope>,
    rate_limit_per_minute: u32,
    allowed_origins: Vec<String>,
    expires_at: Option<String>,
    is_active: bool,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
    created_at: String,
}

impl From<ApiKey> for View {
    fn from(key: ApiKey) -> Self {
        View {
            id: key.id,
            name: key.name,
            key: None,
            key_prefix: key.prefix,
            workspace_id: key.workspace_id,
            scopes: key.scopes,
            rate_limit_per_minute: key.rate_limit_per_minute,
            allowed_origins: key.allowed_origins,
            expires_at: key.expires_at,
            is_active: key.is_active,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
            created_at: key.created_at,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    name: String,
    scopes: Option<Vec<Scope>>,
    rate_limit_per_minute: Option<u32>,
    allowed_origins: Option<Vec<String>>,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    name: Option<String>,
    scopes: Option<Vec<Scope>>,
    rate_limit_per_minute: Option<u32>,
    allowed_origins: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    expires_at: Option<Option<Timestamp>>,
    is_active: Option<bool>,
}

fn check(key: &ApiKey) -> Result<()> {
    let mut checks = Checks::default();
    checks.name("name", &key.name);
    checks.require(!key.scopes.is_empty(), "scopes", "must have one at least");
    let rate = (1..=100_000).contains(&key.rate_limit_per_minute);
    checks.require(rate, "rate_limit_per_minute", "must be from 1 to 100000");
    checks.require(key.allowed_origins.len() <= MOST_ORIGINS, "allowed_origins", "must be at most 50");
    checks.done()
}

fn unique<T: PartialEq>(given: Vec<T>) -> Vec<T> {
    let mut kept = Vec::with_capacity(given.len());
    for one in given {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}

/// Origins as browsers send them.
fn origins(given: Vec<String>) -> Result<Vec<String>> {
    let mut checks = Checks::default();
    let read = |(place, text): (usize, String)| {
        let origin = origin::parse(&text);
        checks.require(origin.is_some(), &format!("allowed_origins[{place}]"), origin::EXPECTED);
        origin
    };
    // One beyond the limit tells as much as thousands.
    let origins: Vec<String> = given.into_iter().take(MOST_ORIGINS + 1).enumerate().filter_map(read).collect();
    checks.done()?;
    Ok(unique(origins))
}

/// `POST /workspaces/{workspace_id}/api-keys`
pub async fn create(
    entered: In<ManageApiKeys>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Create>,
) -> Answer<Response> {
    let workspace_id = entered.access.record.id;
    let allowed_origins = origins(body.allowed_origins.unwrap_or_default())?;
    let key = ApiKey {
        id: Uuid::now_v7(),
        workspace_id,
        name: body.name,
        prefix: String::new(),
        hash: String::new(),
        scopes: unique(body.scopes.unwrap_or_else(|| vec![Scope::Chat, Scope::Search])),
        rate_limit_per_minute: body.rate_limit_per_minute.unwrap_or(60),
        allowed_origins,
        expires_at: body.expires_at.map(clock::text),
        is_active: true,
        last_used_at: None,
        revoked_at: None,
        created_at: clock::now(),
    };
    check(&key)?;
    let (secret, key) = blocking(move || app.auth.issue(key)).await?;
    let location = [("location", format!("/workspaces/{workspace_id}/api-keys/{}", key.id))];
    let view = View { key: Some(secret), ..View::from(key) };
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

/// `GET /workspaces/{workspace_id}/api-keys`
pub async fn list(entered: In<ManageApiKeys>, State(app): State<Arc<App>>, page: Page) -> Answer<Response> {
    let (limit, offset, workspace) = (page.limit, page.offset, entered.access.record.id);
    let (keys, total) = blocking(move || app.tenancy.api_keys(workspace, limit, offset)).await?;
    Ok(page.answer(keys.into_iter().map(View::from).collect(), total))
}

/// `GET /workspaces/{workspace_id}/api-keys/{key_id}`
pub async fn show(entered: In<ManageApiKeys>, ids: Ids, State(app): State<Arc<App>>) -> Answer<Response> {
    let (workspace, id) = (entered.access.record.id, ids.get("key_id", "API key")?);
    let key = blocking(move || app.tenancy.api_key(workspace, id)).await?;
    Ok(Json(View::from(key)).into_response())
}

/// `PATCH /workspaces/{workspace_id}/api-keys/{key_id}`
pub async fn update(
    entered: In<ManageApiKeys>,
    ids: Ids,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Update>,
) -> Answer<Response> {
    let (workspace, id) = (entered.access.record.id, ids.get("key_id", "API key")?);
    let allowed_origins = body.allowed_origins.map(origins).transpose()?;
    let changed = blocking(move || {
        let key = app.tenancy.update_api_key(workspace, id, |key| {
            if key.revoked_at.is_some() {
                return Err(Error::Conflict("a revoked key stays revoked".into()));
            }
            set(&mut key.name, body.name);
            set(&mut key.scopes, body.scopes.map(unique));
            set(&mut key.rate_limit_per_minute, body.rate_limit_per_minute);
            set(&mut key.allowed_origins, allowed_origins);
            set(&mut key.expires_at, body.expires_at.map(|time| time.map(clock::text)));
            set(&mut key.is_active, body.is_active);
            check(key)
        })?;
        app.auth.forget(workspace);
        Ok(key)
    });
    Ok(Json(View::from(changed.await?)).into_response())
}

/// `DELETE /workspaces/{workspace_id}/api-keys/{key_id}`
pub async fn revoke(entered: In<ManageApiKeys>, ids: Ids, State(app): State<Arc<App>>) -> Answer<Response> {
    let (workspace, id) = (entered.access.record.id, ids.get("key_id", "API key")?);
    blocking(move || {
        app.tenancy.revoke_api_key(workspace, id)?;
        app.auth.forget(workspace);
        Ok(())
    })
    .await?;
    Ok(Json(json!({"status": "success", "message": "API key revoked"})).into_response())
}
