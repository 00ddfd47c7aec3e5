//! `/workspaces/{workspace_id}/graph`: entities, facts with their evidence, and what leads from one to another.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::Response;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::access::{Ids, In, ReadGraph};
use super::error::{Answer, blocking};
use super::page::{Page, Params};
use super::validate::Checks;
use crate::app::App;
use crate::error::{Error, Result};
use crate::knowledge::{self, Ask, Entity, Fact, Format, Kind, Moment, Picture};
use crate::place::Location;
use crate::workspace::evidence::Passage;

/// Longest name that is looked for, in bytes.
const LONGEST_NAME: usize = 500;

/// An entity as it is told of.
#[derive(Serialize)]
struct EntityView {
    id: Uuid,
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    aliases: Vec<String>,
    mentions: u32,
    degree: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<u8>,
}

impl EntityView {
    fn at(entity: Entity, distance: Option<u8>) -> Self {
        let Entity { id, name, kind, aliases, mentions, degree, .. } = entity;
        EntityView { id, name, kind, aliases, mentions, degree, distance }
    }
}

impl From<Entity> for EntityView {
    fn from(entity: Entity) -> Self {
        EntityView::at(entity, None)
    }
}

/// A stretch of a document as it is told of.
#[derive(Serialize)]
struct PassageView {
    document_id: Uuid,
    document_title: String,
    document_source: String,
    chunk_id: Uuid,
    start: usize,
    end: usize,
    quote: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    /// The language model that read the fact in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

impl From<Passage> for PassageView {
    fn from(passage: Passage) -> Self {
        PassageView {
            document_id: passage.document_id,
            document_title: passage.document_title,
            document_source: passage.document_source,
            chunk_id: passage.chunk_id,
            start: passage.start,
            end: passage.end,
            quote: passage.text,
            location: passage.location,
            model: passage.model,
        }
    }
}

/// A fact as it is told of, with the document and chunk of its first evidence beside all of it.
#[derive(Serialize)]
pub struct FactView {
    fact: String,
    uuid: Uuid,
    source_node_uuid: Uuid,
    target_node_uuid: Uuid,
    subject: String,
    predicate: String,
    object: String,
    valid_at: Option<Date>,
    invalid_at: Option<Date>,
    recorded_at: Timestamp,
    document_id: Option<Uuid>,
    chunk_id: Option<Uuid>,
    evidence_count: u32,
    evidence: Vec<PassageView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f32>,
}

impl FactView {
    /// A fact that a search found, with its score.
    pub fn found(fact: Fact, score: f32) -> Self {
        FactView { score: Some(score), ..FactView::from(fact) }
    }
}

impl From<Fact> for FactView {
    fn from(fact: Fact) -> Self {
        let first = fact.evidence.first();
        FactView {
            document_id: first.map(|passage| passage.document_id),
            chunk_id: first.map(|passage| passage.chunk_id),
            fact: fact.sentence(),
            uuid: fact.id,
            source_node_uuid: fact.subject.id,
            target_node_uuid: fact.object.id,
            subject: fact.subject.name,
            predicate: fact.predicate,
            object: fact.object.name,
            valid_at: fact.valid_at,
            invalid_at: fact.invalid_at,
            recorded_at: fact.recorded_at,
            evidence_count: fact.evidence_count,
            evidence: fact.evidence.into_iter().map(PassageView::from).collect(),
            score: None,
        }
    }
}

fn views<T, V: From<T>>(all: Vec<T>) -> Vec<V> {
    all.into_iter().map(V::from).collect()
}

/// A picture as it is told of.
fn drawn(picture: Picture) -> Value {
    let nodes = picture.entities.into_iter().map(|(entity, distance)| EntityView::at(entity, Some(distance)));
    let associations = picture.associations.into_iter().map(
        |(entity, chunks, weight)| json!({"entity": EntityView::from(entity), "shared_chunks": chunks, "weight": weight}),
    );
    json!({
        "nodes": nodes.collect::<Vec<_>>(),
        "edges": views::<_, FactView>(picture.facts),
        "associations": associations.collect::<Vec<_>>(),
    })
}

/// A day, as a date, a month or a year (their first), or a moment of it in UTC.
pub fn day<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Date>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
    let moment = || text.parse::<Timestamp>().map(|moment| jiff::tz::Offset::UTC.to_datetime(moment).date());
    let whole = || crate::knowledge::day(&text).filter(|_| text.len() <= 10);
    let day = whole().map_or_else(moment, Ok);
    day.map(Some).map_err(|_| serde::de::Error::custom("must be a date (2021-03-01) or a time (2021-03-01T12:00:00Z)"))
}

#[derive(Deserialize, Default)]
pub struct When {
    #[serde(default, deserialize_with = "day")]
    as_of: Option<Date>,
    as_known_at: Option<Timestamp>,
}

impl From<When> for Moment {
    fn from(when: When) -> Self {
        Moment { as_of: when.as_of, as_known_at: when.as_known_at }
    }
}

#[derive(Deserialize)]
pub struct Wanted {
    q: Option<String>,
    #[serde(rename = "type")]
    kind: Option<Kind>,
}

/// `GET …/graph/entities`
pub async fn entities(entered: In<ReadGraph>, Params(wanted): Params<Wanted>, page: Page) -> Answer<Response> {
    let mut checks = Checks::default();
    wanted.q.iter().for_each(|name| checks.text("q", name, LONGEST_NAME));
    checks.done()?;
    let workspace = entered.access.workspace;
    let (limit, offset) = (page.limit, page.offset);
    let name = wanted.q.filter(|name| !name.trim().is_empty());
    let find = move || knowledge::entities(&workspace, name.as_deref(), wanted.kind, limit, offset);
    let (found, total) = blocking(find).await?;
    Ok(page.answer(views::<_, EntityView>(found), total))
}

/// `GET …/graph/entities/{entity_id}`
pub async fn entity(entered: In<ReadGraph>, ids: Ids, Params(when): Params<When>, page: Page) -> Answer<Json<Value>> {
    let (workspace, id) = (entered.access.workspace, ids.get("entity_id", "entity")?);
    let told = blocking(move || {
        let entity = knowledge::entity(&workspace, id)?;
        let (facts, total_facts) = knowledge::facts(&workspace, id, &when.into(), page.limit, page.offset)?;
        let (mentions, _) = workspace.mentions(entity.number, page.limit, page.offset)?;
        let rank = workspace.ranks()?.get(&entity.number).copied();
        let mut told = json!(EntityView::from(entity));
        if let Some(told) = told.as_object_mut() {
            told.insert("rank".into(), json!(rank));
            told.insert("facts".into(), json!(views::<_, FactView>(facts)));
            told.insert("total_facts".into(), json!(total_facts));
            told.insert("chunks".into(), json!(views::<_, PassageView>(mentions)));
        }
        Ok(told)
    });
    Ok(Json(told.await?))
}

#[derive(Deserialize)]
pub struct Reach {
    depth: Option<i64>,
    limit: Option<i64>,
}

/// `GET …/graph/entities/{entity_id}/relationships`
pub async fn relationships(
    entered: In<ReadGraph>,
    ids: Ids,
    Params(reach): Params<Reach>,
    Params(when): Params<When>,
) -> Answer<Json<Value>> {
    let (workspace, id) = (entered.access.workspace, ids.get("entity_id", "entity")?);
    let depth = within("depth", reach.depth.unwrap_or(1), 1, 4)?;
    let limit = within("limit", reach.limit.unwrap_or(50), 1, 500)?;
    let ask = Ask { depth: u8::try_from(depth).unwrap_or(1), limit, moment: when.into() };
    let picture = blocking(move || knowledge::relationships(&workspace, id, &ask)).await?;
    Ok(Json(drawn(picture)))
}

/// A number from `least` to `most`.
fn within(field: &'static str, number: i64, least: i64, most: i64) -> Result<usize> {
    let fits = (least..=most).contains(&number).then(|| usize::try_from(number).ok()).flatten();
    fits.ok_or_else(|| Error::invalid(field, format!("must be from {least} to {most}")))
}

#[derive(Deserialize)]
pub struct Days {
    #[serde(default, deserialize_with = "day")]
    start_date: Option<Date>,
    #[serde(default, deserialize_with = "day")]
    end_date: Option<Date>,
}

/// `GET …/graph/entities/{entity_id}/timeline`
pub async fn timeline(
    entered: In<ReadGraph>,
    ids: Ids,
    Params(days): Params<Days>,
    Params(when): Params<When>,
    page: Page,
) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("entity_id", "entity")?);
    let (between, limit, offset) = ((days.start_date, days.end_date), page.limit, page.offset);
    if let (Some(start), Some(end)) = between
        && end < start
    {
        return Err(Error::invalid("end_date", "must not be before start_date").into());
    }
    let (facts, total) =
        blocking(move || knowledge::timeline(&workspace, id, between, &when.into(), limit, offset)).await?;
    Ok(page.answer(views::<_, FactView>(facts), total))
}

#[derive(Deserialize)]
pub struct Ends {
    from: Uuid,
    to: Uuid,
}

/// `GET …/graph/path`
pub async fn path(
    entered: In<ReadGraph>,
    Params(ends): Params<Ends>,
    Params(when): Params<When>,
) -> Answer<Json<Value>> {
    let workspace = entered.access.workspace;
    let found = blocking(move || knowledge::path(&workspace, ends.from, ends.to, &when.into())).await?;
    Ok(Json(match found {
        Some(path) => json!({
            "found": true,
            "length": path.facts.len(),
            "nodes": views::<_, EntityView>(path.entities),
            "edges": views::<_, FactView>(path.facts),
        }),
        None => json!({"found": false, "length": null, "nodes": [], "edges": []}),
    }))
}

/// `GET …/graph/communities`
pub async fn communities(entered: In<ReadGraph>, page: Page) -> Answer<Response> {
    let (workspace, limit, offset) = (entered.access.workspace, page.limit, page.offset);
    let (found, total) = blocking(move || knowledge::communities(&workspace, limit, offset)).await?;
    let told = found.into_iter().map(|community| {
        json!({
            "size": community.size,
            "facts": community.facts,
            "terms": community.words,
            "members": views::<_, EntityView>(community.members),
        })
    });
    Ok(page.answer(told.collect::<Vec<_>>(), total))
}

#[derive(Deserialize)]
pub struct View {
    focus: Option<Uuid>,
    limit: Option<i64>,
}

/// `GET …/graph`
pub async fn picture(
    entered: In<ReadGraph>,
    Params(view): Params<View>,
    Params(when): Params<When>,
) -> Answer<Json<Value>> {
    let workspace = entered.access.workspace;
    let limit = within("limit", view.limit.unwrap_or(100), 1, 1000)?;
    let picture = blocking(move || knowledge::picture(&workspace, view.focus, limit, when.into())).await?;
    Ok(Json(drawn(picture)))
}

#[derive(Deserialize)]
pub struct Export {
    format: Option<String>,
}

/// `GET …/graph/export`
pub async fn export(
    entered: In<ReadGraph>,
    State(app): State<Arc<App>>,
    Params(wanted): Params<Export>,
    Params(when): Params<When>,
) -> Answer<Response> {
    let workspace = entered.access.workspace;
    let (format, media_type, ending) = match wanted.format.as_deref() {
        None | Some("json") => (Format::Json, "application/json", "json"),
        Some("graphml") => (Format::GraphMl, "application/graphml+xml", "graphml"),
        Some(_) => return Err(Error::invalid("format", "must be graphml or json").into()),
    };
    // Written out before it is sent: the graph must not be held by whoever reads slowly.
    let file = blocking(move || {
        let mut file = app.directory.scratch_file()?;
        let mut out = std::io::BufWriter::new(&mut file);
        knowledge::export(&workspace, format, &when.into(), &mut out)?;
        std::io::Write::flush(&mut out)?;
        drop(out);
        std::io::Seek::rewind(&mut file)?;
        Ok(file)
    });
    let stream = ReaderStream::new(tokio::fs::File::from_std(file.await?));
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    let name = HeaderValue::from_str(&format!("attachment; filename=\"graph.{ending}\""));
    name.into_iter().for_each(|name| drop(headers.insert(CONTENT_DISPOSITION, name)));
    Ok(response)
}
