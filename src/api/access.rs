//! From a request to what its caller may do: extractors that name a permission.
//!
//! `In<P>` is a workspace that the caller was let into for `P`; `May<P>` is leave to do `P` to an organization or the
//! instance. A handler without either reaches nothing.

use std::marker::PhantomData;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::{Answer, Failure, blocking};
use super::{cors, origin};
use crate::app::{App, DEFAULT_WORKSPACE};
use crate::auth::{Access, Permission, Principal};
use crate::error::{Error, Result};
use crate::tenancy::api_keys::ApiKey;

/// A permission as a type, so that a signature can name it.
pub trait Requires: Send + Sync {
    const PERMISSION: Permission;
}

macro_rules! permissions {
    ($($name:ident),* $(,)?) => {$(
        pub struct $name;

        impl Requires for $name {
            const PERMISSION: Permission = Permission::$name;
        }
    )*};
}

permissions!(
    ManageInstance,
    ReadOrganization,
    ManageOrganization,
    ManageWorkspaces,
    ReadWorkspace,
    ManageWorkspace,
    ReadAgents,
    ManageAgents,
    ManageApiKeys,
    ReadDocuments,
    ReadGraph,
    WriteDocuments,
    ReadJobs,
    Search,
    Chat,
    UseTools,
    ReadSessions,
    ReadEvaluations,
    KeepEvaluations,
);

/// A workspace that the caller was let into.
pub struct In<P> {
    pub access: Access,
    permission: PhantomData<P>,
}

/// The workspace of the caller's key, or for the instance admin the default one: for clients of the original.
pub struct InOwn<P> {
    pub access: Access,
    permission: PhantomData<P>,
}

/// Workspaces among which a name in the request chooses: the caller's own, or whichever it may enter.
pub struct Among<P> {
    /// The workspace of a key, which reaches no other.
    pub own: Option<Access>,
    principal: Principal,
    permission: PhantomData<P>,
}

/// Leave to act on the organization in the path, or on the instance.
pub struct May<P> {
    permission: PhantomData<P>,
}

/// A caller who was recognised, and nothing more.
pub struct Caller(pub Principal);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Self> {
        let token = token(&parts.headers).ok_or(Error::Unauthorized)?;
        let principal = recognise(app, token).await?;
        on_its_pages(&principal, parts)?;
        Ok(Caller(principal))
    }
}

/// Who bears `token`. What it is used for must be asked of [`on_its_pages`].
pub async fn recognise(app: &Arc<App>, token: String) -> Answer<Principal> {
    if let Some(principal) = app.auth.recognise(&token) {
        return Ok(principal);
    }
    let auth = app.auth.clone();
    blocking(move || auth.authenticate(&token)).await
}

/// Refuses a key that lists origins in a request from elsewhere, and tells [`cors`] of one that is where it is meant
/// to be.
pub fn on_its_pages(principal: &Principal, parts: &Parts) -> Result<()> {
    let origin = origin::of(&parts.headers);
    if let Principal::ApiKey(key) = principal
        && !key.allows_origin(origin)
    {
        return Err(Error::Forbidden("this key may only be used on the pages that it lists".into()));
    }
    if let Some(verdict) = parts.extensions.get::<cors::Verdict>() {
        let is_meant = |key: &ApiKey| origin.is_some_and(|origin| key.lists_origin(origin));
        verdict.say(matches!(principal, Principal::ApiKey(key) if is_meant(key)));
    }
    Ok(())
}

impl<P: Requires> FromRequestParts<Arc<App>> for In<P> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Self> {
        let Caller(principal) = Caller::from_request_parts(parts, app).await?;
        let workspace = Ids::from_request_parts(parts, app).await?.get("workspace_id", "workspace");
        let access = enter::<P>(app, principal, workspace).await?;
        Ok(In { access, permission: PhantomData })
    }
}

impl<P: Requires> FromRequestParts<Arc<App>> for InOwn<P> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Self> {
        let Caller(principal) = Caller::from_request_parts(parts, app).await?;
        InOwn::of(app, principal).await
    }
}

impl<P: Requires> InOwn<P> {
    /// Lets `principal`, who was recognised, into its own workspace.
    pub async fn of(app: &Arc<App>, principal: Principal) -> Answer<Self> {
        let workspace = match &principal {
            Principal::ApiKey(key) => Ok(key.workspace_id),
            Principal::InstanceAdmin => Ok(DEFAULT_WORKSPACE),
            Principal::User(_) => Err(Error::NotFound("workspace")),
        };
        let access = enter::<P>(app, principal, workspace).await?;
        Ok(InOwn { access, permission: PhantomData })
    }
}

impl<P: Requires> FromRequestParts<Arc<App>> for Among<P> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Self> {
        let Caller(principal) = Caller::from_request_parts(parts, app).await?;
        let own = match &principal {
            Principal::ApiKey(key) => Some(enter::<P>(app, principal.clone(), Ok(key.workspace_id)).await?),
            Principal::InstanceAdmin | Principal::User(_) => None,
        };
        Ok(Among { own, principal, permission: PhantomData })
    }
}

impl<P: Requires> Among<P> {
    /// Lets the caller into one of them. Blocks.
    ///
    /// # Errors
    /// As [`crate::auth::Auth::enter`].
    pub fn enter(&self, app: &App, workspace: Uuid) -> Result<Access> {
        app.auth.enter(&self.principal, P::PERMISSION, workspace)
    }
}

impl<P: Requires> FromRequestParts<Arc<App>> for May<P> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Self> {
        let Caller(principal) = Caller::from_request_parts(parts, app).await?;
        let organization = Ids::from_request_parts(parts, app).await?.get("organization_id", "organization").ok();
        app.auth.permit(&principal, P::PERMISSION, organization)?;
        Ok(May { permission: PhantomData })
    }
}

async fn enter<P: Requires>(app: &Arc<App>, principal: Principal, workspace: Result<Uuid>) -> Answer<Access> {
    let auth = app.auth.clone();
    // What is no id names no workspace; a key must not learn even that, so it goes the same way as any other.
    blocking(move || auth.enter(&principal, P::PERMISSION, workspace.unwrap_or(Uuid::nil()))).await
}

/// The token that a request bears.
pub fn token(headers: &HeaderMap) -> Option<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header("authorization").and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    bearer.or_else(|| header("x-api-key")).filter(|token| is_sane(token)).map(str::to_owned)
}

/// Whether `token` may be one at all.
pub fn is_sane(token: &str) -> bool {
    (1..=512).contains(&token.len())
}

/// The ids in a path.
pub struct Ids(Vec<(String, String)>);

impl Ids {
    /// The id under `name`. What is no id is the id of no `thing`.
    pub fn get(&self, name: &str, thing: &'static str) -> Result<Uuid> {
        let text = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        text.and_then(|text| Uuid::parse_str(text).ok()).ok_or(Error::NotFound(thing))
    }
}

impl FromRequestParts<Arc<App>> for Ids {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Self> {
        let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| Error::NotFound("path"))?;
        Ok(Ids(params.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()))
    }
}

/// `GET /auth/me`
pub async fn me(Caller(principal): Caller) -> Json<Value> {
    Json(match principal {
        Principal::InstanceAdmin => json!({"type": "instance_admin"}),
        Principal::ApiKey(key) => json!({
            "type": "api_key",
            "id": key.id,
            "name": key.name,
            "workspace_id": key.workspace_id,
            "scopes": key.scopes,
            "expires_at": key.expires_at,
        }),
        Principal::User(user) => json!({"type": "user", "id": user.id}),
    })
}
