//! Errors to statuses: the one place.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::error::Error;

/// What a handler gives back.
pub type Answer<T> = Result<T, Failure>;

/// An error on its way out.
#[derive(Debug)]
pub struct Failure(pub Error);

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.into())
    }
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::Unauthorized => StatusCode::UNAUTHORIZED,
        Error::Forbidden(_) | Error::QuotaExceeded(_) => StatusCode::FORBIDDEN,
        Error::NotFound(_) => StatusCode::NOT_FOUND,
        Error::Conflict(_) => StatusCode::CONFLICT,
        Error::Validation(_) | Error::Unreadable { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Error::Malformed(_) => StatusCode::BAD_REQUEST,
        Error::PayloadTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Error::UnsupportedMediaType(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::InsufficientStorage => StatusCode::INSUFFICIENT_STORAGE,
        Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What may be said of an error to whoever asked.
pub fn public_detail(error: &Error) -> String {
    match error {
        // The cause is for the log alone; the span around it names the request.
        Error::Internal(cause) => {
            tracing::error!(error = %cause, "request failed");
            "something went wrong here; the log has the details under this request's id".to_owned()
        }
        other => other.to_string(),
    }
}

/// An error as it is told.
pub fn problem(error: Error) -> Problem {
    let detail = public_detail(&error);
    let (status, code) = (status(&error), error.code());
    let errors = if let Error::Validation(errors) = error { errors } else { Vec::new() };
    Problem::new(status, code, detail, errors)
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        problem(self.0).into_response()
    }
}

/// Runs what blocks where it may, within the current span.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> crate::error::Result<T> + Send + 'static) -> Answer<T> {
    let span = tracing::Span::current();
    let done = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    Ok(done.map_err(|e| Error::internal("a handler's work ended early", e))??)
}
