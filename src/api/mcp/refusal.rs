//! Refusals of the protocol in the shape of JSON-RPC, for what is wrong before a message is understood.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use rmcp::model::{ErrorCode, ErrorData};
use serde_json::{Value, json};

use super::door::REVISIONS;
use crate::api::problem::OwnShape;

/// The status of what cannot be understood.
const MALFORMED: StatusCode = StatusCode::BAD_REQUEST;

/// A body that is no JSON.
pub fn unparsed(cause: &serde_json::Error) -> Response {
    refuse(MALFORMED, &Value::Null, ErrorData::parse_error(format!("the body is no valid JSON: {cause}"), None))
}

/// A message that is none: batches went with the revision 2025-06-18.
pub fn of_message(message: &Value) -> Option<Response> {
    let why = match message {
        Value::Array(_) => "messages come one by one, not in batches",
        Value::Object(fields) if fields.get("jsonrpc").and_then(Value::as_str) == Some("2.0") => return None,
        _ => "the body must be a message of JSON-RPC 2.0",
    };
    Some(refuse(MALFORMED, message, ErrorData::invalid_request(why, None)))
}

/// A revision in the header that is not spoken here.
pub fn of_revision(named: &HeaderValue, message: &Value) -> Option<Response> {
    let named = String::from_utf8_lossy(named.as_bytes());
    if REVISIONS.iter().any(|revision| revision.as_str() == named) {
        return None;
    }
    let data = json!({"requested": named, "supported": REVISIONS});
    let error = ErrorData::new(ErrorCode::UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", Some(data));
    Some(refuse(MALFORMED, message, error))
}

/// A refusal in plain words, in the protocol's shape.
pub fn reshaped(status: StatusCode, said: String, message: &Value) -> Response {
    let (status, error) = match status {
        // The body was read as JSON before, so it is its shape that is not understood.
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            (MALFORMED, ErrorData::invalid_request("this is no message of the protocol", None))
        }
        status if status.is_server_error() => (status, ErrorData::internal_error(said, None)),
        status => (status, ErrorData::invalid_request(said, None)),
    };
    refuse(status, message, error)
}

fn refuse(status: StatusCode, message: &Value, error: ErrorData) -> Response {
    let id = message.get("id").filter(|id| id.is_string() || id.is_number());
    let body = json!({"jsonrpc": "2.0", "id": id, "error": error});
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.extensions_mut().insert(OwnShape);
    response
}
