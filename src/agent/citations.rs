//! Where `[1]` comes from: quotes of evidence, checked against the documents they are from.

use uuid::Uuid;

use crate::error::Result;
use crate::llm::Quote;
use crate::search::Hit;
use crate::workspace::Workspace;

/// A quote that stands in a document, to the byte.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Citation {
    /// The number in brackets that stands for it in the message.
    pub marker: usize,
    pub document_id: Uuid,
    pub chunk_id: Uuid,
    pub title: String,
    pub source: String,
    pub heading_path: Vec<String>,
    /// Bytes of the document's content.
    pub start: usize,
    pub end: usize,
    pub quote: String,
    pub score: f32,
}

/// Numbers `quotes` of `hits` from 1, without those that the document does not bear out any more.
pub fn resolve(workspace: &Workspace, hits: &[Hit], quotes: &[Quote]) -> Result<Vec<Citation>> {
    let mut citations = Vec::with_capacity(quotes.len());
    for quote in quotes {
        let Some(hit) = hits.get(quote.passage) else { continue };
        let chunk = &hit.located.chunk;
        let Some(text) = chunk.content.get(quote.range.clone()) else { continue };
        let (start, end) = (chunk.start + quote.range.start, chunk.start + quote.range.end);
        if !workspace.stands_at(chunk.document_id, start, text)? {
            continue;
        }
        citations.push(Citation {
            marker: citations.len() + 1,
            document_id: chunk.document_id,
            chunk_id: chunk.id,
            title: hit.located.title.clone(),
            source: hit.located.source.clone(),
            heading_path: chunk.heading_path.clone(),
            start,
            end,
            quote: text.to_owned(),
            score: quote.score,
        });
    }
    Ok(citations)
}

/// A quote as it reads in a message: on one line, a table's row without its bars.
pub fn as_prose(quote: &str) -> String {
    let line = quote.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.strip_prefix('|') {
        Some(row) => {
            let cells = row.trim_end_matches('|').split('|').map(str::trim).filter(|cell| !cell.is_empty());
            cells.collect::<Vec<_>>().join(" – ")
        }
        None => line,
    }
}
