//! `/mcp`: the Model Context Protocol over streamable HTTP, without sessions.
//!
//! Each request stands for itself: it is let into a workspace as any other request is, answered by a [`Door`] that holds
//! just that workspace, and forgotten. The protocol itself is `rmcp`'s; here stands what comes before it (who may speak at
//! all, from which page, how much) and what it says in plain words, as JSON-RPC.

mod door;
mod origin;
mod prompts;
mod refusal;
mod resources;
mod tools;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use axum::response::Response;
use http_body_util::BodyExt;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;

use super::access::{In, InOwn, UseTools};
use super::body;
use super::error::{Answer, public_detail};
use super::problem::OwnShape;
use crate::app::App;
use crate::auth::Access;
use crate::error::Error;

use door::Door;

/// The header with the revision that a request speaks.
const REVISION: &str = "mcp-protocol-version";
/// Headers of the protocol that are read, by how they begin. Those of sessions and of streams that go on are not: there are none.
const READ: [&str; 4] = [REVISION, "mcp-method", "mcp-name", "mcp-param-"];

/// `POST /mcp`: the workspace of the key.
pub async fn own(entered: InOwn<UseTools>, State(app): State<Arc<App>>, request: Request) -> Answer<Response> {
    answer(app, entered.access, request).await
}

/// `POST /workspaces/{workspace_id}/mcp`
pub async fn within(entered: In<UseTools>, State(app): State<Arc<App>>, request: Request) -> Answer<Response> {
    answer(app, entered.access, request).await
}

async fn answer(app: Arc<App>, access: Access, request: Request) -> Answer<Response> {
    if body::content_type(&request).as_deref() != Some("application/json") {
        return Err(Error::UnsupportedMediaType("the body must be application/json".into()).into());
    }
    let (parts, body) = request.into_parts();
    origin::check(&parts, &access.principal)?;
    let limit = app.config.limits.json_bytes;
    let bytes = body::read(body, limit).await?;
    let message: Value = match serde_json::from_slice(&bytes) {
        Ok(message) => message,
        Err(cause) => return Ok(refusal::unparsed(&cause)),
    };
    if let Some(refusal) = refusal::of_message(&message) {
        return Ok(refusal);
    }
    if let Some(refusal) = parts.headers.get(REVISION).and_then(|named| refusal::of_revision(named, &message)) {
        return Ok(refusal);
    }
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(limit);
    let door = Door::new(app, access);
    let service =
        StreamableHttpService::new(move || Ok(door.clone()), Arc::new(NeverSessionManager::default()), config);
    let answered = service.handle(passed_on(&parts, bytes.into())).await;
    let (parts, body) = answered.into_parts();
    let mut response = Response::from_parts(parts, Body::new(body));
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        if body::content_type_of(response.headers()).as_deref() != Some("application/json") {
            return Ok(refusal::reshaped(status, said(response).await, &message));
        }
        response.extensions_mut().insert(OwnShape);
    }
    Ok(response)
}

/// The request as the protocol reads it: without the credential, and under the name that it takes for its own; whose page
/// it comes from was asked before. What is answered is JSON, whatever else a client would take.
fn passed_on(parts: &Parts, body: Body) -> Request {
    let is_read = |name: &HeaderName| READ.iter().any(|read| name.as_str().starts_with(read));
    let headers = parts.headers.iter().filter(|(name, _)| is_read(name));
    let mut headers: HeaderMap = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    let mut request = Request::new(body);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = Uri::from_static("http://localhost/mcp");
    *request.headers_mut() = headers;
    request
}

/// What a refusal in plain words says; what is our own fault is for the log.
async fn said(response: Response) -> String {
    let is_ours = response.status().is_server_error();
    let bytes = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let said = String::from_utf8_lossy(&bytes).into_owned();
    match is_ours {
        true => public_detail(&Error::Internal(said)),
        false => said,
    }
}
