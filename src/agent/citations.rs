//! Where `[1]` comes from: quotes of evidence, checked against the documents they are from.

use std::ops::Range;

use uuid::Uuid;

use crate::error::Result;
use crate::llm::{self, Quote};
use crate::place::Location;
use crate::search::Hit;
use crate::workspace::Workspace;
use crate::workspace::chunks::Located;

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
    /// Where in the original the quote stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The document and the place as people say them: `Handbook.pdf, page 12`, `letter.eml › two.pdf, page 3`.
    pub label: String,
    /// Bytes of the document's content.
    pub start: usize,
    pub end: usize,
    pub quote: String,
    pub score: f32,
}

/// The stretch `range` of a hit's chunk as the citation `marker`; `None` where its document does not bear it out any more.
pub fn cite(
    workspace: &Workspace,
    hit: &Hit,
    range: Range<usize>,
    marker: usize,
    score: f32,
) -> Result<Option<Citation>> {
    let chunk = &hit.located.chunk;
    let Some(text) = chunk.content.get(range.clone()).filter(|text| !text.is_empty()) else { return Ok(None) };
    let (start, end) = (chunk.start + range.start, chunk.start + range.end);
    if !workspace.stands_at(chunk.document_id, start, text)? {
        return Ok(None);
    }
    let location = chunk.locate(&(start..end));
    Ok(Some(Citation {
        marker,
        document_id: chunk.document_id,
        chunk_id: chunk.id,
        title: hit.located.title.clone(),
        source: hit.located.source.clone(),
        heading_path: chunk.heading_path.clone(),
        label: label(&hit.located, location.as_ref()),
        location,
        start,
        end,
        quote: text.to_owned(),
        score,
    }))
}

/// Numbers `quotes` of `hits` from 1, without those that the document does not bear out any more, each with its quote as it
/// reads in a message.
pub fn resolve(workspace: &Workspace, hits: &[Hit], quotes: &[Quote]) -> Result<Vec<(Citation, String)>> {
    let mut citations: Vec<(Citation, String)> = Vec::with_capacity(quotes.len());
    for quote in quotes {
        let Some(hit) = hits.get(quote.passage) else { continue };
        let Some(citation) = cite(workspace, hit, quote.range.clone(), citations.len() + 1, quote.score)? else {
            continue;
        };
        let header = quote.header.clone().and_then(|header| hit.located.chunk.content.get(header));
        let mut prose = as_prose(&citation.quote, header);
        if let Some(date) = quote.date {
            prose.push_str(&format!(" ({date})"));
        }
        citations.push((citation, prose));
    }
    Ok(citations)
}

/// The file's name, or the title of what came without one, and the place in it.
fn label(located: &Located, location: Option<&Location>) -> String {
    let file = located.source.rsplit('/').next().filter(|name| name.contains('.') && !name.contains(':'));
    let name = file.unwrap_or(&located.title);
    let Some(location) = location else { return name.to_owned() };
    let between = if location.attachment().is_some() { " ›" } else { "," };
    format!("{name}{between} {location}")
}

/// A quote as it reads in a message: on one line, a table's row without its bars and with the `header` above it, and a
/// document's own `[7]` as `(7)`, because brackets with a number in them are ours.
fn as_prose(quote: &str, header: Option<&str>) -> String {
    match quote.starts_with('|') {
        true => without_markers(&llm::row_as_prose(quote, header)),
        false => without_markers(&quote.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

fn without_markers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        match (digits, after.get(..digits), after.get(digits..).and_then(|tail| tail.strip_prefix(']'))) {
            (1.., Some(number), Some(tail)) => {
                out.push_str(&format!("({number})"));
                rest = tail;
            }
            _ => {
                out.push('[');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_reads_as_a_sentence_without_markers_of_its_own() {
        assert_eq!(
            as_prose("melts at\n 1540 [7], see [12] and [a] [3", None),
            "melts at 1540 (7), see (12) and [a] [3"
        );
        assert_eq!(as_prose("| Monday | green |", None), "Monday – green");
        assert_eq!(as_prose("| Monday | green [1] |", Some("| Day | Colour |")), "Day: Monday – Colour: green (1)");
    }
}
