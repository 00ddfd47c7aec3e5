//! What OpenAI's clients are told where something fails: `{"error": {"message", "type", "param", "code"}}`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::api::error::{Failure, problem};
use crate::api::problem::Problem;
use crate::error::{Error, FieldError};

/// What a handler here gives back.
pub type Answer<T> = Result<T, Refusal>;

/// A failure on its way out.
#[derive(Debug)]
pub enum Refusal {
    /// As everywhere.
    Plain(Error),
    /// No model has this name, or one of somebody else's: the same for both.
    NoModel,
    /// More text in a field than is taken.
    TooLong { param: &'static str, detail: String },
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Plain(error)
    }
}

impl From<Failure> for Refusal {
    fn from(Failure(error): Failure) -> Self {
        Refusal::Plain(error)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, code, param, detail) = match refusal {
            Refusal::Plain(error) => return problem(error),
            Refusal::NoModel => {
                let detail = "there is no such model here, or this credential may not use it";
                (StatusCode::NOT_FOUND, "model_not_found", "model", detail.to_owned())
            }
            Refusal::TooLong { param, detail } => (StatusCode::BAD_REQUEST, "context_length_exceeded", param, detail),
        };
        let errors = vec![FieldError { field: param.to_owned(), message: detail.clone() }];
        Problem::new(status, code, detail, errors)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

/// A problem as OpenAI's clients read it.
pub fn told(problem: &Problem) -> (StatusCode, Value) {
    let status = match problem.status {
        StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
        status => status,
    };
    let (kind, code) = match problem.code {
        "unauthorized" => ("invalid_request_error", "invalid_api_key"),
        "forbidden" => ("invalid_request_error", "insufficient_permissions"),
        "rate_limited" => ("requests", "rate_limit_exceeded"),
        "quota_exceeded" => ("insufficient_quota", "insufficient_quota"),
        "validation_failed" => ("invalid_request_error", "invalid_value"),
        _ if status.is_server_error() => ("server_error", "server_error"),
        code => ("invalid_request_error", code),
    };
    let param = problem.errors.first().map(|error| &error.field);
    (status, json!({"error": {"message": problem.detail, "type": kind, "param": param, "code": code}}))
}

/// An error that ends a stream, which has its status behind it.
pub fn last_word(error: Error) -> Value {
    told(&problem(error)).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_of(error: Error) -> (u16, String) {
        let (status, body) = told(&problem(error));
        (status.as_u16(), format!("{} {} {}", body["error"]["type"], body["error"]["code"], body["error"]["param"]))
    }

    #[test]
    fn errors_are_told_in_openais_words() {
        let invalid = "\"invalid_request_error\"";
        let expected = [
            (Error::Unauthorized, 401, format!("{invalid} \"invalid_api_key\" null")),
            (Error::Forbidden("no".into()), 403, format!("{invalid} \"insufficient_permissions\" null")),
            (Error::invalid("n", "must be 1"), 400, format!("{invalid} \"invalid_value\" \"n\"")),
            (Error::Malformed("no JSON".into()), 400, format!("{invalid} \"invalid_value\" null")),
            (Error::PayloadTooLarge("much".into()), 413, format!("{invalid} \"payload_too_large\" null")),
            (Error::Unavailable("later".into()), 503, "\"server_error\" \"server_error\" null".into()),
            (Error::Internal("secret".into()), 500, "\"server_error\" \"server_error\" null".into()),
        ];
        for (error, status, words) in expected {
            assert_eq!(told_of(error), (status, words));
        }
        let (status, body) = told(&Refusal::NoModel.into());
        assert_eq!((status.as_u16(), &body["error"]["code"]), (404, &json!("model_not_found")));
        assert!(!last_word(Error::Internal("secret".into())).to_string().contains("secret"));
    }
}
