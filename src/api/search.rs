//! `POST /workspaces/{workspace_id}/search`

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::access::{In, Search};
use super::body::JsonBody;
use super::error::{Answer, blocking};
use super::filter::FilterBody;
use super::graph::FactView;
use super::validate::Checks;
use crate::app::App;
use crate::auth::Access;
use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::knowledge::Moment;
use crate::place::Location;
use crate::search::{self, Found, Hit, MOST_REORDERED, SearchRequest, SearchType};

/// Longest question, in bytes.
pub const LONGEST_QUERY: usize = 32 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    query: String,
    #[serde(default)]
    search_type: SearchType,
    limit: Option<i64>,
    offset: Option<i64>,
    text_weight: Option<f32>,
    filters: Option<FilterBody>,
    /// Workspaces cannot share yet; taken so that clients need not be changed when they can.
    #[serde(rename = "include_shared")]
    _include_shared: Option<bool>,
    expand: Option<i64>,
    rerank: Option<bool>,
    fold_duplicates: Option<bool>,
    diversify: Option<f32>,
    #[serde(default)]
    explain: bool,
    /// Facts that were true on that day.
    #[serde(default, deserialize_with = "super::graph::day")]
    as_of: Option<jiff::civil::Date>,
    /// Facts that were known by then.
    as_known_at: Option<jiff::Timestamp>,
}

/// A hit as it is told of.
#[derive(Serialize)]
struct HitView {
    chunk_id: Uuid,
    document_id: Uuid,
    document_title: String,
    document_source: String,
    content: String,
    score: f32,
    vector_similarity: Option<f32>,
    text_similarity: Option<f32>,
    highlights: Vec<(usize, usize)>,
    start: usize,
    end: usize,
    heading_path: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    metadata: Map<String, Value>,
    /// What was folded into this hit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    duplicates: Vec<Value>,
    /// The hit with its neighbours, and where that begins in the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    expanded: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

impl HitView {
    fn of(hit: Hit, explain: bool, text_weight: f32) -> Self {
        let explain = explain.then(|| {
            json!({
                "vector": {"rank": hit.vector_rank, "similarity": hit.vector_similarity},
                "fulltext": {"rank": hit.text_rank, "similarity": hit.text_similarity},
                "graph": hit.lift.map(|(weight, through)| json!({"weight": weight, "through": through})),
                "text_weight": text_weight,
                "rerank": hit.rerank.map(|rerank| json!({"score": rerank.score, "rank_before": rerank.rank_before})),
            })
        });
        let duplicates = hit.duplicates.iter().map(|duplicate| {
            json!({
                "chunk_id": duplicate.chunk_id,
                "document_id": duplicate.document_id,
                "document_title": duplicate.document_title,
                "document_source": duplicate.document_source,
                "start": duplicate.start,
                "end": duplicate.end,
            })
        });
        let chunk = hit.located.chunk;
        let location = chunk.location();
        HitView {
            chunk_id: chunk.id,
            document_id: chunk.document_id,
            document_title: hit.located.title,
            document_source: hit.located.source,
            content: chunk.content,
            score: hit.score,
            vector_similarity: hit.vector_similarity,
            text_similarity: hit.text_similarity,
            highlights: hit.highlights,
            start: chunk.start,
            end: chunk.end,
            heading_path: chunk.heading_path,
            page: location.as_ref().and_then(Location::page),
            location,
            metadata: hit.located.metadata,
            duplicates: duplicates.collect(),
            expanded: hit.surroundings.map(|(start, content)| json!({"start": start, "content": content})),
            explain,
        }
    }
}

/// Checks a question as every door takes it.
pub fn check_query(checks: &mut Checks, field: &str, query: &str) {
    checks.require(!query.trim().is_empty(), field, "must not be empty");
    checks.text(field, query, LONGEST_QUERY);
}

impl Body {
    fn checked(self) -> Result<(SearchRequest, bool)> {
        let mut checks = Checks::default();
        check_query(&mut checks, "query", &self.query);
        let limit = self.limit.unwrap_or(10);
        checks.require((1..=100).contains(&limit), "limit", "must be from 1 to 100");
        let offset = self.offset.unwrap_or(0);
        checks.require((0..=900).contains(&offset), "offset", "must be from 0 to 900");
        let weight = self.text_weight.is_none_or(|weight| (0.0..=1.0).contains(&weight));
        checks.require(weight, "text_weight", "must be from 0 to 1");
        let expand = self.expand.unwrap_or(0);
        checks.require((0..=10).contains(&expand), "expand", "must be from 0 to 10");
        let diversify = self.diversify.unwrap_or(0.0);
        checks.require((0.0..=1.0).contains(&diversify), "diversify", "must be from 0 to 1");
        let reorders = self.rerank == Some(true) || diversify > 0.0;
        let reaches = limit.saturating_add(offset) <= MOST_REORDERED as i64;
        let message = format!("must with the limit be at most {MOST_REORDERED} where hits are reranked or diversified");
        checks.require(reaches || !reorders, "offset", &message);
        checks.done()?;
        let within = |n: i64, field| usize::try_from(n).map_err(|_| Error::invalid(field, "is out of range"));
        let request = SearchRequest {
            query: self.query,
            is_prose: false,
            search_type: self.search_type,
            limit: within(limit, "limit")?,
            offset: within(offset, "offset")?,
            text_weight: self.text_weight,
            filter: self.filters.unwrap_or_default().checked()?,
            expand: u32::try_from(expand).unwrap_or(0),
            reranker: None,
            fold_duplicates: self.fold_duplicates.unwrap_or(true),
            diversify,
            moment: Moment { as_of: self.as_of, as_known_at: self.as_known_at },
        };
        Ok((request, self.explain))
    }
}

/// `POST /workspaces/{workspace_id}/search`
pub async fn search(
    entered: In<Search>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Body>,
) -> Answer<Json<Value>> {
    let reranks = body.rerank == Some(true);
    let (mut request, explain) = body.checked()?;
    if reranks {
        let app = app.clone();
        request.reranker = Some(blocking(move || app.models.reranker()).await?);
    }
    answer(app, entered.access, request, explain).await
}

/// Searches a workspace that the caller was let into.
pub async fn answer(app: Arc<App>, access: Access, request: SearchRequest, explain: bool) -> Answer<Json<Value>> {
    let started = Instant::now();
    let search_type = request.search_type;
    let found = blocking(move || {
        loop {
            let embedder = app.embedder(&access.workspace)?;
            let found = search::search(&access.workspace, embedder.as_ref(), &request);
            // Where the workspace changed its model meanwhile, the question was embedded for the wrong one.
            if access.workspace.model().sha256 == embedder.model().sha256 {
                return found;
            }
        }
    });
    let Found { hits, facts, legs, text_weight } = found.await?;
    let results: Vec<HitView> = hits.into_iter().map(|hit| HitView::of(hit, explain, text_weight)).collect();
    let mut answer = json!({
        "results": results,
        "graph_results": facts.into_iter().map(|hit| FactView::found(hit.fact, hit.score)).collect::<Vec<_>>(),
        "total_results": results.len(),
        "search_type": search_type,
        "query_time_ms": started.elapsed().as_secs_f64() * 1e3,
    });
    let worth_telling = legs.iter().any(|leg| leg.outcome.is_err() || leg.is_behind || leg.detail.is_some());
    if (explain || worth_telling)
        && let Some(answer) = answer.as_object_mut()
    {
        let legs: Vec<Value> = legs
            .into_iter()
            .map(|leg| match leg.outcome {
                Ok(candidates) => {
                    let status = if leg.is_behind { "behind" } else { "ok" };
                    let mut told = json!({"leg": leg.name, "status": status, "candidates": candidates});
                    if let (Some(detail), Some(told)) = (leg.detail, told.as_object_mut()) {
                        told.insert("detail".to_owned(), detail.into());
                    }
                    told
                }
                Err(why) => json!({"leg": leg.name, "status": "unavailable", "detail": why}),
            })
            .collect();
        answer.insert("legs".to_owned(), Value::from(legs));
    }
    Ok(Json(answer))
}
