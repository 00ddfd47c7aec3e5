//! What is kept of how an answer came about.

use serde_json::{Map, Value, json};

use super::answering::{Answer, Ask};
use super::evidence::Evidence;
use super::understanding::Overrides;
use crate::error::{Error, Result};
use crate::search::Hit;
use crate::workspace::answers::{self, PROMPT, Rested};
use crate::workspace::sessions::UNDERSTOOD;

/// What `answer` to `ask` rested on, on knowledge of this generation; it took so many milliseconds. `overrides` is what the
/// caller asked for, of which the agent may have given less.
pub(super) fn rested(
    ask: &Ask,
    overrides: Overrides,
    answer: &Answer,
    generation: u64,
    total_ms: u64,
) -> Result<Rested> {
    let agent = &ask.agent;
    let parameters = json!({
        "temperature": ask.temperature,
        "max_tokens": ask.max_tokens,
        "enabled_tools": agent.enabled_tools,
        "tool_config": agent.tool_config,
        "instructions": ask.instructions,
        "search_type": ask.search_type,
    });
    let record = json!({
        "query": ask.query,
        UNDERSTOOD: ask.question,
        "agent_id": agent.id,
        "agent_updated_at": agent.updated_at,
        "parameters": parameters,
        "overrides": overrides,
        "tools_used": answer.tools_used,
        "cited": answer.cited,
        "evidence_count": answer.evidence.hits().len(),
        "finish": answer.finish,
        "fallback": answer.fallback,
        "tokens": answer.usage,
        "is_estimate": answer.is_estimate,
        "cost": answer.cost,
        "times": {"search_ms": answer.search_ms, "first_text_ms": answer.first_text_ms, "total_ms": total_ms},
        PROMPT: answer.prompt,
    });
    let Value::Object(record) = record else { return Err(Error::Internal("a record is no object".into())) };
    Ok(Rested {
        generation,
        provider: answer.provider.clone(),
        model: answer.model.clone(),
        record,
        evidence: kept(&answer.evidence),
    })
}

fn kept(evidence: &Evidence) -> Vec<answers::Evidence> {
    let hits = evidence.hits().iter().enumerate();
    let one = |(place, hit): (usize, &Hit)| answers::Evidence {
        number: place + 1,
        document_id: hit.located.chunk.document_id,
        chunk_id: hit.located.chunk.id,
        text: hit.located.chunk.content.clone(),
        hit: told(hit),
    };
    hits.map(one).collect()
}

/// What is told of a passage beside its text.
pub(super) fn told(hit: &Hit) -> Map<String, Value> {
    let chunk = &hit.located.chunk;
    let told = json!({
        "title": hit.located.title,
        "source": hit.located.source,
        "heading_path": chunk.heading_path,
        "start": chunk.start,
        "end": chunk.end,
        "score": hit.score,
        "vector_similarity": hit.vector_similarity,
        "vector_rank": hit.vector_rank,
        "text_similarity": hit.text_similarity,
        "text_rank": hit.text_rank,
        "graph": hit.lift.as_ref().map(|(added, through)| json!({"added": added, "through": through})),
    });
    if let Value::Object(told) = told { told } else { Map::new() }
}
