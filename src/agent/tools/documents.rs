//! The tools that read a document, and list them.

use uuid::Uuid;

use super::Outcome;
use super::arguments::Arguments;
use crate::error::{Error, Result};
use crate::search::Hit;
use crate::workspace::Workspace;
use crate::workspace::chunks::Located;
use crate::workspace::listing::Listing;

/// Passages of a document that are given at once.
const PASSAGES: usize = 24;
/// Documents of a list where nobody says how many, and at most.
const LISTED: usize = 20;
pub(super) const MOST_LISTED: usize = 100;
/// How far into a document or list an offset reaches; beyond it there is nothing.
const FARTHEST: usize = 1_000_000_000;

/// A document's passages, in order.
pub(super) fn get(workspace: &Workspace, args: &Arguments<'_>) -> Result<Outcome> {
    let id = Uuid::parse_str(args.text("document_id")?).map_err(|_| Error::NotFound("document"))?;
    let offset = args.count("offset", 0, 0, FARTHEST)?;
    let document = workspace.document(id)?;
    let (chunks, total) = workspace.chunks(id, PASSAGES, offset)?;
    let (first, last) = (offset + 1, offset + chunks.len());
    let located = |chunk| Located {
        chunk,
        title: document.title.clone(),
        source: document.source.clone(),
        metadata: document.metadata.clone(),
    };
    let hits: Vec<Hit> = chunks.into_iter().map(|chunk| Hit::by_tool(located(chunk), 1.0)).collect();
    let mut text = format!("{} ({})", document.title, document.source);
    if hits.is_empty() {
        text += &format!(": it has {total} passages, none from {first} on");
    } else if (last as u64) < total || offset > 0 {
        text += &format!(": passages {first} to {last} of {total}");
    }
    let summary = format!("{} passages of {}", hits.len(), document.title);
    Ok(Outcome { hits, text, summary, ..Outcome::default() })
}

/// The documents of the workspace, newest first.
pub(super) fn list(workspace: &Workspace, args: &Arguments<'_>) -> Result<Outcome> {
    let limit = args.count("limit", LISTED, 1, MOST_LISTED)?;
    let offset = args.count("offset", 0, 0, FARTHEST)?;
    let (documents, total) = workspace.documents(&Listing { limit, offset, ..Listing::default() })?;
    let lines = documents.iter().map(|document| {
        let day = document.created_at.get(..10).unwrap_or_default();
        format!("{} | {} | {} | {day}", document.id, document.title, document.source)
    });
    let text = format!("{total} documents in all. Id, title, source, day:\n{}", lines.collect::<Vec<_>>().join("\n"));
    let summary = format!("{} of {total} documents", documents.len());
    Ok(Outcome { documents, total, text, summary, ..Outcome::default() })
}
