//! JSON bodies: read within their limit, with an error that names the field.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::error::{Answer, Failure};
use crate::app::App;
use crate::error::{Error, Result};

/// A JSON body of a known shape.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for JsonBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Answer<Self> {
        let kind = content_type(&request);
        if kind.as_deref() != Some("application/json") && !kind.as_deref().is_some_and(|k| k.ends_with("+json")) {
            return Err(Error::UnsupportedMediaType("the body must be application/json".into()).into());
        }
        let bytes = read(request.into_body(), app.config.limits.json_bytes).await?;
        Ok(JsonBody(parse(&bytes)?))
    }
}

/// A JSON body of a known shape that may be left out.
pub struct OptionalBody<T>(pub T);

impl<T: Default + DeserializeOwned> FromRequest<Arc<App>> for OptionalBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Answer<Self> {
        let bytes = read(request.into_body(), app.config.limits.json_bytes).await?;
        Ok(OptionalBody(if bytes.is_empty() { T::default() } else { parse(&bytes)? }))
    }
}

/// The media type of a request's body, without parameters.
pub fn content_type(request: &Request) -> Option<String> {
    content_type_of(request.headers())
}

/// The media type that headers name, without parameters.
pub fn content_type_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase())
}

/// A whole body of at most `limit` bytes.
pub async fn read(body: Body, limit: usize) -> Result<Bytes> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(cause) if cause.is::<LengthLimitError>() => {
            Err(Error::PayloadTooLarge(format!("the body is larger than {limit} bytes")))
        }
        Err(cause) => Err(Error::Malformed(format!("the body broke off: {cause}"))),
    }
}

/// Parses a JSON body: 400 for what is no JSON, 422 for JSON of another shape.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let field = error.path().to_string();
        let cause = error.into_inner();
        match cause.classify() {
            Category::Data => {
                Error::invalid(if field == "." { "body".to_owned() } else { field }, without_place(&cause))
            }
            _ => Error::Malformed(format!("the body is no valid JSON: {cause}")),
        }
    })?;
    deserializer.end().map_err(|cause| Error::Malformed(format!("the body is no valid JSON: {cause}")))?;
    Ok(value)
}

/// The message without line and column, which say nothing to whoever built the body from a structure.
fn without_place(cause: &serde_json::Error) -> String {
    let text = cause.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

/// Tells an absent field (`None`) from one that is `null` (`Some(None)`): for changes that may clear a value.
pub fn given<'de, T, D>(deserializer: D) -> std::result::Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// Changes a field to what was given, where something was.
pub fn set<T>(field: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *field = given;
    }
}
