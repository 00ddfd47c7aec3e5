//! Answers without a language model: the sentences of the evidence that answer best, each with its marker.

use std::sync::Arc;

use tokio::time::Instant;

use super::answering::{Answer, Ask, Desk, blocking, millis};
use super::citations::{self, Citation};
use super::event::{Event, Listener, Usage};
use super::gate::Gate;
use super::prompt::NOT_FOUND;
use crate::error::Result;
use crate::llm::{self, Passage};
use crate::workspace::facts;

/// What an answer begins with that takes the place of a language model's.
const INSTEAD: &str = "The language model gives no answer at the moment; this is quoted from the documents.";

/// Answers from what was `found`.
pub(super) async fn quote(
    desk: &Desk,
    ask: &Arc<Ask>,
    found: Answer,
    listener: &Listener,
    begun: Instant,
) -> Result<Answer> {
    let (at_desk, asked, evidence) = (desk.clone(), ask.clone(), found.evidence.clone());
    let (citations, usage, parts) = blocking(move || {
        let (workspace, embedder) = (&at_desk.workspace, at_desk.embedder.as_ref());
        let hits = evidence.hits();
        let best = hits.first().map_or(1.0, |hit| hit.score).max(f32::MIN_POSITIVE);
        let passages: Vec<Passage<'_>> = hits
            .iter()
            .map(|hit| Passage {
                text: &hit.located.chunk.content,
                context: std::iter::once(hit.located.title.as_str())
                    .chain(hit.located.chunk.heading_path.last().map(String::as_str))
                    .collect::<Vec<_>>()
                    .join(", "),
                score: hit.score / best,
                date: facts::date_of(&hit.located.metadata),
            })
            .collect();
        let fulltext = workspace.fulltext();
        let idf = |terms: &[String]| workspace.idf(terms);
        let most_tokens = asked.max_tokens as usize;
        let answer = llm::answer(&asked.question, &passages, fulltext.analyzer(), idf, embedder, most_tokens)?;
        let quoted = citations::resolve(workspace, hits, &answer.quotes)?;
        let mut gate = Gate::of_quotes(quoted.len());
        let said = quoted.iter().map(|(citation, prose)| gate.push(&format!("{prose} [{}] ", citation.marker)));
        let mut parts: Vec<String> = said.collect();
        parts.push(gate.finish());
        parts.retain(|part| !part.is_empty());
        if parts.is_empty() {
            parts.push(NOT_FOUND.to_owned());
        }
        let citations: Vec<Citation> = quoted.into_iter().map(|(citation, _)| citation).collect();
        let read: usize = passages.iter().map(|passage| embedder.count_tokens(passage.text)).sum();
        let prompt = read + embedder.count_tokens(&asked.question);
        let completion: usize = parts.iter().map(|part| embedder.count_tokens(part)).sum();
        Ok((citations, Usage::new(prompt as u64, completion as u64), parts))
    })
    .await?;
    let mut message = String::new();
    if found.fallback.is_some() {
        tell(format!("{INSTEAD}\n\n"), &mut message, listener).await?;
    }
    for part in parts {
        tell(part, &mut message, listener).await?;
    }
    let number = |citation: &Citation| {
        let mut hits = found.evidence.hits().iter();
        hits.position(|hit| hit.located.chunk.id == citation.chunk_id).map_or(0, |place| place + 1)
    };
    Ok(Answer {
        message,
        cited: citations.iter().map(number).collect(),
        grounded: !citations.is_empty(),
        citations,
        usage,
        provider: llm::EXTRACTIVE.into(),
        model: llm::EXTRACTIVE.into(),
        first_text_ms: Some(millis(begun)),
        ..found
    })
}

async fn tell(content: String, message: &mut String, listener: &Listener) -> Result<()> {
    message.push_str(&content);
    listener.tell(Event::Text { content }).await
}
