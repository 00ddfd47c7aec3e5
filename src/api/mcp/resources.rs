//! Resources: the documents of the workspace, as text. A long one comes in parts.

use rmcp::ErrorData;
use rmcp::model::{
    ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};
use serde_json::json;
use uuid::Uuid;

use super::door::{Answered, Door, cursor, failed};
use crate::api::error::{Failure, blocking};
use crate::auth::Permission;
use crate::error::{Error, Result};
use crate::workspace::Workspace;
use crate::workspace::documents::Document;
use crate::workspace::listing::{Listing, Order, SortKey};

const SCHEME: &str = "carrel://documents/";
/// Documents on a page of the list.
const PAGE: usize = 100;
/// Bytes of text that are read at once.
const PART: usize = 1 << 20;

/// The name of a document among resources.
pub fn uri(document: Uuid) -> String {
    format!("{SCHEME}{document}")
}

/// The documents from `place` on, the oldest first: what comes in meanwhile comes at the end.
pub async fn list(door: &Door, place: usize) -> Answered<ListResourcesResult> {
    if !door.access.may(Permission::ReadDocuments) {
        return Ok(ListResourcesResult::default());
    }
    let workspace = door.access.workspace.clone();
    let order = Order { by: SortKey::CreatedAt, descending: false };
    let page =
        blocking(move || workspace.documents(&Listing { order, limit: PAGE, offset: place, ..Listing::default() }));
    let (documents, total) = page.await.map_err(failed)?;
    let next = cursor(place, documents.len(), total);
    let resources = documents.iter().map(|document| {
        Resource::new(uri(document.id), document.source.clone())
            .with_title(document.title.clone())
            .with_description(described(document))
            .with_mime_type(document.content_type.clone())
    });
    let mut listed = ListResourcesResult::with_all_items(resources.collect());
    listed.next_cursor = next;
    Ok(listed)
}

fn described(document: &Document) -> String {
    let day = document.updated_at.get(..10).unwrap_or_default();
    format!("{} passages, of {day}", document.chunk_count)
}

/// How documents are named.
pub fn templates(door: &Door) -> ListResourceTemplatesResult {
    let template = ResourceTemplate::new(format!("{SCHEME}{{document_id}}{{?start}}"), "document")
        .with_title("Document")
        .with_description("The text of a document, by the id that searches and lists give; from the byte `start` on.");
    let may = door.access.may(Permission::ReadDocuments);
    ListResourceTemplatesResult::with_all_items(may.then_some(template).into_iter().collect())
}

/// The text of a document; of a long one a part, and the name of the next.
pub async fn read(door: &Door, asked: &str) -> Answered<ReadResourceResult> {
    let missing = || ErrorData::resource_not_found("Resource not found", Some(json!({"uri": asked})));
    if !door.access.may(Permission::ReadDocuments) {
        return Err(missing());
    }
    let (document, start) = parse(asked).ok_or_else(missing)?;
    let workspace = door.access.workspace.clone();
    match blocking(move || part(&workspace, document, start)).await {
        Ok(contents) => Ok(ReadResourceResult::new(contents)),
        Err(Failure(Error::NotFound(_))) => Err(missing()),
        Err(failure) => Err(failed(failure)),
    }
}

/// The document that a name stands for, and the byte from which it is to be read.
fn parse(uri: &str) -> Option<(Uuid, usize)> {
    let rest = uri.strip_prefix(SCHEME)?;
    let (id, start) = match rest.split_once("?start=") {
        Some((id, start)) => (id, start.parse().ok()?),
        None => (rest, 0),
    };
    Some((Uuid::parse_str(id).ok()?, start))
}

fn part(workspace: &Workspace, document: Uuid, start: usize) -> Result<Vec<ResourceContents>> {
    let found = workspace.document(document)?;
    let content = workspace.content(document)?;
    let rest = content.get(start..).ok_or_else(|| Error::invalid("start", "is no place in this document"))?;
    let text = &rest[..rest.floor_char_boundary(PART)];
    let end = start + text.len();
    let named = |start: usize| if start == 0 { uri(document) } else { format!("{}?start={start}", uri(document)) };
    let mut contents = vec![ResourceContents::text(text, named(start)).with_mime_type(found.content_type)];
    if end < content.len() {
        let note = format!("The document goes on here: {end} of {} bytes were given so far.", content.len());
        contents.push(ResourceContents::text(note, named(end)).with_mime_type("text/plain"));
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_a_document_or_of_nothing() {
        let id = Uuid::now_v7();
        assert_eq!(parse(&uri(id)), Some((id, 0)));
        assert_eq!(parse(&format!("{}?start=12", uri(id))), Some((id, 12)));
        for name in ["", "carrel://documents/", "carrel://documents/x", "file:///etc/passwd"] {
            assert_eq!(parse(name), None, "{name}");
        }
        for tail in ["/..", "?start=", "?start=-1", "?end=3", "#x"] {
            assert_eq!(parse(&format!("{}{tail}", uri(id))), None, "{tail}");
        }
    }
}
