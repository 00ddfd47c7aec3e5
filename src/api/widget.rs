//! The chat that pages of other sites embed: its script, a page of its own, and whether a key is fit for it.

use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::access::{self, InOwn};
use super::body::OptionalBody;
use super::cors::Refused;
use super::error::{Answer, Failure, blocking};
use super::page::Params;
use crate::app::App;
use crate::auth::Principal;
use crate::digest;
use crate::error::{Error, Result};
use crate::tenancy::api_keys::Scope;
use crate::workspace::Workspace;
use crate::workspace::agents::Agent;

static SCRIPT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/widget/chat-widget.js"));
static PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/widget/chat.html"));
/// Changes with the script alone.
static ETAG: LazyLock<String> = LazyLock::new(|| format!("\"{}\"", digest::sha256(SCRIPT.as_bytes())));

/// The languages that the widget speaks.
const LANGUAGES: [&str; 2] = ["de", "en"];

/// `GET /static/chat-widget.js`
pub async fn script(headers: HeaderMap) -> Response {
    let told = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::ETAG, ETAG.as_str()),
        // It is for other sites' pages.
        (HeaderName::from_static("cross-origin-resource-policy"), "cross-origin"),
    ];
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|list| list.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == *ETAG
    });
    match is_known {
        true => (StatusCode::NOT_MODIFIED, told).into_response(),
        false => (told, SCRIPT).into_response(),
    }
}

#[derive(Deserialize)]
pub struct PageQuery {
    key: Option<String>,
}

/// `GET /widget/chat?key=`: may be framed by this site, and by the pages that the key lists.
pub async fn page(State(app): State<Arc<App>>, Params(query): Params<PageQuery>) -> Answer<Response> {
    let mut framed_by = "'self'".to_owned();
    if let Some(token) = query.key.filter(|token| access::is_sane(token)) {
        match access::recognise(&app, token).await {
            Ok(Principal::ApiKey(key)) if key.is_for_pages() => {
                key.allowed_origins.iter().for_each(|origin| framed_by.extend([" ", origin]));
            }
            // The widget says in words what is wrong with the key.
            Ok(_) | Err(Failure(Error::Unauthorized)) => {}
            Err(failure) => return Err(failure),
        }
    }
    let policy = format!(
        "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors {framed_by}"
    );
    let policy = HeaderValue::try_from(policy).map_err(|e| Error::internal("a page's policy", e))?;
    let told = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
        // For browsers that know no `frame-ancestors`; the others go by that.
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    ];
    Ok((told, PAGE).into_response())
}

#[derive(Deserialize, Default)]
pub struct Body {
    key: Option<String>,
    api_key: Option<String>,
    agent_id: Option<String>,
}

/// Why a key is not fit for a widget. What opens nothing is unknown, whatever it once was.
#[derive(Clone, Copy)]
enum Reason {
    UnknownKey,
    MoreThanChat,
    NoOrigins,
    OtherOrigin,
    NoAgent,
}

impl Reason {
    fn code(self) -> &'static str {
        match self {
            Reason::UnknownKey => "unknown_key",
            Reason::MoreThanChat => "more_than_chat",
            Reason::NoOrigins => "no_origins",
            Reason::OtherOrigin => "other_origin",
            Reason::NoAgent => "no_agent",
        }
    }
}

/// `POST /widget/validate`
pub async fn validate(
    State(app): State<Arc<App>>,
    parts: Parts,
    OptionalBody(body): OptionalBody<Body>,
) -> Answer<Response> {
    let told = access::token(&parts.headers).or(body.key).or(body.api_key).filter(|token| access::is_sane(token));
    let Some(token) = told else { return Ok(unfit(Reason::UnknownKey)) };
    let principal = match access::recognise(&app, token).await {
        Err(Failure(Error::Unauthorized)) => return Ok(unfit(Reason::UnknownKey)),
        recognised => recognised?,
    };
    match &principal {
        Principal::ApiKey(key) if key.scopes == [Scope::Chat] && key.allowed_origins.is_empty() => {
            return Ok(unfit(Reason::NoOrigins));
        }
        Principal::ApiKey(key) if key.is_for_pages() => {}
        _ => return Ok(unfit(Reason::MoreThanChat)),
    }
    if access::on_its_pages(&principal, &parts).is_err() {
        return Ok(unfit(Reason::OtherOrigin));
    }
    let access = InOwn::<access::Chat>::of(&app, principal).await?.access;
    let workspace = access.workspace.clone();
    let agent = blocking(move || agent(&workspace, body.agent_id.as_deref())).await?;
    let Some(agent) = agent else { return Ok(unfit(Reason::NoAgent)) };
    let about: Value = json!({"id": agent.id, "name": agent.name, "description": agent.description});
    let answer = json!({"valid": true, "workspace_id": access.record.id, "agent": about, "languages": LANGUAGES});
    Ok(Json(answer).into_response())
}

fn unfit(reason: Reason) -> Response {
    let mut response = Json(json!({"valid": false, "reason": reason.code()})).into_response();
    response.extensions_mut().insert(Refused);
    response
}

/// The agent of this id, or the first, where it answers.
fn agent(workspace: &Workspace, id: Option<&str>) -> Result<Option<Agent>> {
    let Some(id) = id else { return Ok(workspace.agents(false, 1, 0)?.0.into_iter().next()) };
    let Ok(id) = Uuid::parse_str(id) else { return Ok(None) };
    match workspace.agent(id) {
        Ok(agent) => Ok(Some(agent).filter(|agent| agent.is_active)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
