//! Query strings, and lists a page at a time.

use axum::Json;
use axum::extract::{FromRequestParts, OriginalUri, Query};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::{Answer, Failure};
use crate::error::Error;

/// A query string of a known shape.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let query = Query::try_from_uri(&parts.uri).map_err(|e| Error::invalid("query", e.body_text()))?;
        Ok(Params(query.0))
    }
}

/// Which part of a list is wanted.
pub struct Page {
    /// `1..=200`.
    pub limit: usize,
    pub offset: usize,
    uri: Uri,
}

#[derive(Deserialize)]
struct Window {
    limit: Option<i64>,
    offset: Option<i64>,
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let Params(window) = Params::<Window>::from_request_parts(parts, state).await?;
        let limit = window.limit.unwrap_or(50);
        let limit = usize::try_from(limit).ok().filter(|n| (1..=200).contains(n));
        let limit = limit.ok_or_else(|| Error::invalid("limit", "must be from 1 to 200"))?;
        let offset = usize::try_from(window.offset.unwrap_or(0)).ok().filter(|n| *n <= 1_000_000_000);
        let offset = offset.ok_or_else(|| Error::invalid("offset", "must be from 0 to 1000000000"))?;
        // Below `/v1` the path of the parts themselves lacks it.
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0).clone();
        Ok(Page { limit, offset, uri })
    }
}

impl Page {
    /// A bare array with the headers that tell how it goes on.
    pub fn answer<T: Serialize>(&self, items: Vec<T>, total: u64) -> Response {
        self.shaped(&items, items.len(), total)
    }

    /// `body`, which holds `shown` items, with the headers that tell how it goes on.
    pub fn shaped(&self, body: &impl Serialize, shown: usize, total: u64) -> Response {
        let next = self.offset + shown;
        let mut response = Json(body).into_response();
        response.headers_mut().insert("x-total-count", HeaderValue::from(total));
        if (next as u64) < total
            && let Ok(link) = HeaderValue::from_str(&format!("<{}>; rel=\"next\"", self.link(next)))
        {
            response.headers_mut().insert("link", link);
        }
        response
    }

    fn link(&self, offset: usize) -> String {
        let kept = self.uri.query().unwrap_or_default().split('&');
        let kept = kept.filter(|pair| !pair.is_empty() && !pair.starts_with("limit=") && !pair.starts_with("offset="));
        let window = [format!("limit={}", self.limit), format!("offset={offset}")];
        let pairs: Vec<String> = kept.map(str::to_owned).chain(window).collect();
        format!("{}?{}", self.uri.path(), pairs.join("&"))
    }
}
