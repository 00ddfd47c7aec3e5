//! What every request goes through, the outermost first: request id, log line, problem shape, security headers,
//! other sites' pages, panics, time, concurrency.

use std::any::Any;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::header::{HeaderName, HeaderValue};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tracing::Instrument;
use uuid::Uuid;

use super::error::Failure;
use super::{cors, problem};
use crate::app::App;
use crate::error::Error;

/// How much, and for how long, is read of a body after it was refused.
const LINGER_BYTES: usize = 16 << 20;
const LINGER_TIME: Duration = Duration::from_secs(2);

/// The id that a request's log lines and answer bear.
#[derive(Clone)]
pub struct RequestId(pub String);

const HEADERS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Bounds the time until a request is answered.
pub fn in_time(routes: Router<Arc<App>>, app: &Arc<App>) -> Router<Arc<App>> {
    let seconds = Duration::from_secs(app.config.limits.request_seconds);
    routes.layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, seconds))
}

/// Puts the layers around `routes`.
pub fn around(routes: Router<Arc<App>>, app: &Arc<App>) -> Router<Arc<App>> {
    let slots = Arc::new(Semaphore::new(app.config.limits.requests));
    let readable = app.clone();
    routes
        .layer(from_fn(move |request, next| admit(slots.clone(), request, next)))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(linger))
        .layer(from_fn(move |request, next| cors::answer(readable.clone(), request, next)))
        .layer(from_fn(security_headers))
        .layer(from_fn(problem::finish))
        .layer(from_fn(observe))
        // An upload is bounded where it is read, by what it is.
        .layer(axum::extract::DefaultBodyLimit::disable())
}

/// Gives the request its id and writes its line in the log.
async fn observe(mut request: Request, next: Next) -> Response {
    let given = request.headers().get("x-request-id").and_then(|value| value.to_str().ok()).filter(|id| is_sane(id));
    let id = given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
    request.extensions_mut().insert(RequestId(id.clone()));
    let method = request.method().clone();
    // The template, not the path: ids are no names for a log to be grouped by.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", request.id = %id, http.method = %method, http.route = %route);
    let started = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let millis = started.elapsed().as_secs_f64() * 1e3;
    span.in_scope(|| tracing::info!(http.status = response.status().as_u16(), duration_ms = millis, "answered"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

fn is_sane(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(HeaderName::from_static(name)).or_insert(HeaderValue::from_static(value));
    }
    headers.entry("cache-control").or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Turns requests away that are too many, rather than let all of them wait.
async fn admit(slots: Arc<Semaphore>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if ["/health", "/livez", "/healthz", "/readyz"].contains(&path.strip_prefix("/v1").unwrap_or(path)) {
        // A busy server is no dead one.
        return next.run(request).await;
    }
    match slots.try_acquire() {
        Ok(_slot) => next.run(request).await,
        Err(_) => {
            Failure(Error::Unavailable("too many requests are under way; try again shortly".into())).into_response()
        }
    }
}

/// Reads on, for a while, what a refused sender still sends: closing a connection with unread bytes resets it, and
/// the sender would lose the answer.
async fn linger(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = SharedBody(Arc::new(Mutex::new(body)));
    let mut rest = body.clone();
    let response = next.run(Request::from_parts(parts, Body::new(body))).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        let drain = async {
            let mut read = 0;
            while let Some(Ok(frame)) = rest.frame().await {
                read += frame.data_ref().map_or(0, |bytes| bytes.len());
                if read > LINGER_BYTES {
                    break;
                }
            }
        };
        // Whoever is slower than this loses the answer.
        let _ = tokio::time::timeout(LINGER_TIME, drain).await;
    }
    response
}

/// A body that can still be read when the handler has let go of it.
#[derive(Clone)]
struct SharedBody(Arc<Mutex<Body>>);

impl http_body::Body for SharedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Failure(Error::internal("panic", text.unwrap_or("without a message"))).into_response()
}
