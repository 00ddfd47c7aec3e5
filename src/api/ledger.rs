//! `/workspaces/{workspace_id}/messages/{message_id}/trace` and `…/replay`: what an answer rested on, and what it would be today.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::access::{Chat, Ids, In, ReadSessions};
use super::chat::linked;
use super::error::{Answer, blocking};
use crate::agent::prompt::{Part, Said};
use crate::agent::{self, Replayed};
use crate::app::App;
use crate::error::Result;
use crate::workspace::answers::{PROMPT, Rested};

/// What stands where a passage of a deleted document stood.
const DELETED: &str = "(deleted)";

/// `GET /workspaces/{workspace_id}/messages/{message_id}/trace`
pub async fn trace(entered: In<ReadSessions>, ids: Ids) -> Answer<Json<Value>> {
    let (workspace, id) = (entered.access.workspace, ids.get("message_id", "message")?);
    let view = blocking(move || {
        let rested = workspace.rested(id)?;
        traced(id, rested, workspace.generation()?)
    });
    Ok(Json(view.await?))
}

fn traced(message: Uuid, rested: Rested, current: u64) -> Result<Value> {
    let record = &rested.record;
    let cited: Vec<u64> = record["cited"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
    let count = record["evidence_count"].as_u64().unwrap_or_default();
    let texts: HashMap<usize, &str> = rested.evidence.iter().map(|one| (one.number, one.text.as_str())).collect();
    let evidence: Vec<Value> = (1..=count)
        .map(|number| {
            let is_cited = cited.contains(&number);
            let Some(one) = rested.evidence.iter().find(|one| one.number as u64 == number) else {
                return json!({"number": number, "cited": is_cited, "deleted": true});
            };
            let mut told = one.hit.clone();
            told.insert("number".into(), json!(number));
            told.insert("cited".into(), json!(is_cited));
            told.insert("document_id".into(), json!(one.document_id));
            told.insert("chunk_id".into(), json!(one.chunk_id));
            told.insert("text".into(), json!(one.text));
            Value::Object(told)
        })
        .collect();
    let said: Vec<Said> = serde_json::from_value(record.get(PROMPT).cloned().unwrap_or_else(|| json!([])))
        .map_err(|e| crate::error::Error::internal("the prompt of an answer", e))?;
    let prompt: Vec<Value> = said.iter().map(|said| whole(said, &texts)).collect();
    let mut view = Map::new();
    view.insert("message_id".into(), json!(message));
    view.insert("generation".into(), json!(rested.generation));
    view.insert("current_generation".into(), json!(current));
    view.insert("provider".into(), json!(rested.provider));
    view.insert("model".into(), json!(rested.model));
    view.extend(
        rested.record.iter().filter(|(name, _)| *name != PROMPT).map(|(name, value)| (name.clone(), value.clone())),
    );
    view.insert("evidence".into(), json!(evidence));
    view.insert(PROMPT.into(), json!(prompt));
    Ok(Value::Object(view))
}

/// What was said to a model, with the passages in their places.
fn whole(said: &Said, texts: &HashMap<usize, &str>) -> Value {
    let part = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Passage(number) => texts.get(number).copied().unwrap_or(DELETED).to_owned(),
    };
    let content: String = said.parts.iter().map(part).collect();
    let mut told = json!({"role": said.role, "content": content});
    if !said.calls.is_empty() {
        told["tool_calls"] = json!(said.calls);
    }
    if let Some(id) = &said.call_id {
        told["tool_call_id"] = json!(id);
    }
    told
}

/// `POST /workspaces/{workspace_id}/messages/{message_id}/replay`
///
/// It asks, and tells what was answered before: for whoever may do both.
pub async fn replay(
    entered: In<Chat>,
    _reads: In<ReadSessions>,
    ids: Ids,
    State(app): State<Arc<App>>,
) -> Answer<Json<Value>> {
    let desk = app.desk(&entered.access)?;
    let replayed = agent::replay(&desk, ids.get("message_id", "message")?).await?;
    Ok(Json(compared(entered.access.record.id, replayed)))
}

fn compared(workspace: Uuid, replayed: Replayed) -> Value {
    let Replayed { message, rested, .. } = &replayed;
    let then = |name: &str| message.details.get(name).cloned().unwrap_or(Value::Null);
    let documents = |citations: &Value| -> Vec<String> {
        let cited = citations.as_array().into_iter().flatten();
        cited
            .filter_map(|citation| {
                Some(format!("{} {}", citation["document_id"].as_str()?, citation["quote"].as_str()?))
            })
            .collect()
    };
    let (before, now) = (then("citations"), json!(replayed.citations));
    let (quoted_before, quoted_now) = (documents(&before), documents(&now));
    let differing = |of: &Value, other: &[String]| -> Vec<Value> {
        let all = of.as_array().cloned().unwrap_or_default();
        let quotes = documents(of);
        all.into_iter().zip(quotes).filter(|(_, quote)| !other.contains(quote)).map(|(citation, _)| citation).collect()
    };
    json!({
        "message_id": message.id,
        "query": replayed.query,
        "before": {
            "message": message.content,
            "citations": before,
            "metadata": then("metadata"),
            "generation": rested.generation,
            "provider": rested.provider,
            "model": rested.model,
            "search_query": rested.record["search_query"],
            "created_at": message.created_at,
        },
        "after": {
            "message": replayed.answer,
            "citations": linked(workspace, replayed.citations.clone()),
            "grounded": replayed.grounded,
            "unsupported": replayed.unsupported,
            "usage": replayed.usage,
            "generation": replayed.generation,
            "provider": replayed.provider,
            "model": replayed.model,
            "fallback": replayed.fallback,
            "search_query": replayed.search_query,
        },
        "changes": {
            "message": message.content != replayed.answer,
            "knowledge": rested.generation != replayed.generation,
            "model": (&rested.provider, &rested.model) != (&replayed.provider, &replayed.model),
            "parameters": replayed.parameters,
            "evidence": {"added": replayed.added, "removed": replayed.removed, "moved": replayed.moved},
            "citations": {"added": differing(&now, &quoted_before), "removed": differing(&before, &quoted_now)},
        },
    })
}
