//! `POST /v1/embeddings`: vectors of the model that the caller's workspace searches with.
//!
//! Nothing tells questions from passages here, so all are embedded as passages, and none is remembered.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::input::Input;
use super::refusal::{Answer, Refusal};
use crate::api::access::{InOwn, Search};
use crate::api::body::JsonBody;
use crate::api::error::blocking;
use crate::api::validate::Checks;
use crate::app::App;
use crate::embed::{Embedder, Purpose};
use crate::error::{Error, Result};

/// Names that clients send where nobody told them another. The answer says whose vectors they got.
const USUAL: [&str; 3] = ["text-embedding-ada-002", "text-embedding-3-small", "text-embedding-3-large"];
/// Tokens of one input, by the model's own count: what OpenAI takes, doubled, as other tokenizers count more.
const TOKENS: usize = 16_384;
/// Tokens of all inputs together: OpenAI's limit.
const TOKENS_IN_ALL: usize = 300_000;
/// Inputs that are embedded, for each thread that does, before it is asked whether anybody still waits.
const AT_ONCE: usize = 4;

#[derive(Deserialize)]
pub struct Body {
    model: String,
    input: Input,
    encoding_format: Option<String>,
    dimensions: Option<i64>,
}

#[derive(Serialize)]
pub struct Embeddings {
    object: &'static str,
    data: Vec<Embedding>,
    model: String,
    usage: Usage,
}

#[derive(Serialize)]
struct Embedding {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    /// The numbers' bytes, the least significant first.
    Base64(String),
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: usize,
    total_tokens: usize,
}

/// `POST /v1/embeddings`
pub async fn embed(
    entered: InOwn<Search>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Body>,
) -> Answer<Json<Embeddings>> {
    let embedder = app.embedder(&entered.access.workspace)?.forgetful();
    let model = embedder.model().clone();
    if body.model != model.name && !USUAL.contains(&body.model.as_str()) {
        return Err(Refusal::NoModel);
    }
    let mut checks = Checks::default();
    let format = body.encoding_format.as_deref().unwrap_or("float");
    checks.require(matches!(format, "float" | "base64"), "encoding_format", "must be float or base64");
    let message = format!("must be {}, as the vectors of {} are", model.dimension, model.name);
    checks.require(body.dimensions.is_none_or(|n| n == model.dimension as i64), "dimensions", &message);
    checks.done()?;
    let is_base64 = format == "base64";
    // Like documents that are taken in, so that there are threads left for searches.
    let _turn = app.taking_in.clone().acquire_owned().await.map_err(|e| Error::internal("embedding", e))?;
    let (texts, tokens) = counted(body.input, embedder.clone()).await?;
    // Somebody waits for a single text; many are more patient than a search.
    let purpose = if texts.len() == 1 { Purpose::Glance } else { Purpose::Passage };
    let mut data = Vec::with_capacity(texts.len());
    let mut rest = texts.into_iter().peekable();
    while rest.peek().is_some() {
        let part: Vec<String> = rest.by_ref().take(embedder.at_once().max(1) * AT_ONCE).collect();
        let embedder = embedder.clone();
        let vectors = blocking(move || {
            let texts: Vec<&str> = part.iter().map(String::as_str).collect();
            embedder.embed(&texts, purpose)
        });
        for vector in vectors.await? {
            let embedding = if is_base64 { Vector::Base64(packed(&vector)) } else { Vector::Numbers(vector) };
            data.push(Embedding { object: "embedding", index: data.len(), embedding });
        }
    }
    let usage = Usage { prompt_tokens: tokens, total_tokens: tokens };
    Ok(Json(Embeddings { object: "list", data, model: model.name, usage }))
}

/// The texts of `input`, and how many tokens they have together.
async fn counted(input: Input, embedder: Arc<dyn Embedder>) -> Answer<(Vec<String>, usize)> {
    let counted = blocking(move || -> Result<Answer<_>> {
        let texts = match input.texts() {
            Ok(texts) => texts,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut sum = 0;
        for (place, text) in texts.iter().enumerate() {
            let tokens = embedder.count_tokens(text);
            sum += tokens;
            if tokens > TOKENS {
                return Ok(Err(Refusal::TooLong {
                    param: "input",
                    detail: format!("input {place} has more than {TOKENS} tokens"),
                }));
            }
            if sum > TOKENS_IN_ALL {
                return Ok(Err(
                    Error::invalid("input", format!("must have at most {TOKENS_IN_ALL} tokens in all")).into()
                ));
            }
        }
        Ok(Ok((texts, sum)))
    });
    counted.await?
}

fn packed(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}
