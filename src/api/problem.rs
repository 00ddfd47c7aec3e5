//! RFC 9457 problems: what every failed request gets, but at OpenAI's routes, which have a shape of their own.
//!
//! A handler's error becomes a [`Problem`] without request id; [`finish`] adds it on the way out, and makes a
//! problem of every bare failure, so that no answer of any layer escapes the shape.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::middleware::RequestId;
use super::openai;
use crate::error::FieldError;

/// A failure as it is sent.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    #[serde(serialize_with = "number")]
    pub(super) status: StatusCode,
    pub(super) detail: String,
    instance: String,
    pub(super) code: &'static str,
    request_id: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) errors: Vec<FieldError>,
}

fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: String, errors: Vec<FieldError>) -> Self {
        Problem {
            kind: format!("about:blank#{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status,
            detail,
            instance: String::new(),
            code,
            request_id: String::new(),
            errors,
        }
    }

    /// What is said of a failure that some layer answered without a problem.
    fn bare(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => ("not_found", "there is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this path does not take this method"),
            StatusCode::PAYLOAD_TOO_LARGE => ("payload_too_large", "the request is too large"),
            StatusCode::REQUEST_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => {
                ("unavailable", "the request took too long")
            }
            status if status.is_server_error() => ("internal", "something went wrong here"),
            _ => ("validation_failed", "the request cannot be understood"),
        };
        Problem::new(status, code, detail.to_owned(), Vec::new())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert("www-authenticate", HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert("retry-after", HeaderValue::from_static("5"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The mark of a failed answer that has a body of another protocol's shape, which stays as it is.
#[derive(Clone)]
pub struct OwnShape;

/// Writes the body of a failed answer.
pub async fn finish(request: Request, next: Next) -> Response {
    let instance = request.uri().path().to_owned();
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let mut response = next.run(request).await;
    let status = response.status();
    let has_failed = status.is_client_error() || status.is_server_error();
    if !has_failed || response.extensions().get::<OwnShape>().is_some() {
        return response;
    }
    let mut problem = response.extensions_mut().remove::<Problem>().unwrap_or_else(|| Problem::bare(status));
    let (mut parts, _) = response.into_parts();
    let (kind, body) = if openai::is_at(&instance) {
        let (status, body) = openai::refusal::told(&problem);
        parts.status = status;
        ("application/json", serde_json::to_vec(&body))
    } else {
        problem.instance = instance;
        problem.request_id = id;
        ("application/problem+json", serde_json::to_vec(&problem))
    };
    let body = body.unwrap_or_default();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    parts.headers.insert(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store"));
    Response::from_parts(parts, Body::from(body))
}
