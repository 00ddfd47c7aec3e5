//! Which other sites' pages may read an answer: those that the request's key lists, and no others.
//!
//! Off where no key lists an origin. No origin is ever named that no living key lists, and credentials never are.

use std::sync::{Arc, OnceLock};

use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::blocking;
use super::origin;
use crate::app::App;

/// Seconds for which a browser need not ask again: a key that is changed is not asked after for as long.
const REMEMBERED: &str = "300";
const METHODS: &str = "GET, POST";
const HEADERS: &str =
    "authorization, content-type, x-api-key, idempotency-key, mcp-protocol-version, mcp-method, mcp-name";

/// Whether the key that came with a request is meant for pages of its origin. Unsaid where no key was recognised or
/// it was refused.
#[derive(Clone, Default)]
pub struct Verdict(Arc<OnceLock<bool>>);

impl Verdict {
    /// Says it; the first word holds.
    pub fn say(&self, is_meant: bool) {
        let _ = self.0.set(is_meant);
    }
}

/// On an answer that refuses with a good status: it may be read wherever an error might.
#[derive(Clone)]
pub struct Refused;

/// Answers what a browser asks beforehand, and says of other answers who may read them.
pub async fn answer(app: Arc<App>, mut request: Request, next: Next) -> Response {
    let Some(origin) = origin::of(request.headers()).map(str::to_owned) else { return next.run(request).await };
    let asks = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() == Method::OPTIONS && asks {
        return match is_listed(&app, &origin).await {
            true => may_send(&origin),
            false => next.run(request).await,
        };
    }
    let verdict = Verdict::default();
    request.extensions_mut().insert(verdict.clone());
    let mut response = next.run(request).await;
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    let refused = failed || response.extensions().get::<Refused>().is_some();
    let may_read = match verdict.0.get() {
        Some(is_meant) => *is_meant,
        // A page that is meant for some key may say in words what is wrong with this one.
        None => refused && is_listed(&app, &origin).await,
    };
    if may_read {
        name(&mut response, &origin);
        let exposed = HeaderValue::from_static("x-request-id, retry-after");
        response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

fn may_send(origin: &str) -> Response {
    let told = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED),
    ];
    let mut response = (StatusCode::NO_CONTENT, told).into_response();
    name(&mut response, origin);
    response
}

fn name(response: &mut Response, origin: &str) {
    if let Ok(value) = HeaderValue::from_str(origin) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, value);
        response.headers_mut().append(header::VARY, HeaderValue::from_name(HeaderName::from_static("origin")));
    }
}

async fn is_listed(app: &Arc<App>, origin: &str) -> bool {
    if let Some(known) = app.auth.knows_origin(origin) {
        return known;
    }
    let (auth, origin) = (app.auth.clone(), origin.to_owned());
    blocking(move || auth.lists_origin(&origin)).await.unwrap_or_else(|failure| {
        tracing::warn!(error = %failure.0, "the origins that keys list could not be read");
        false
    })
}
