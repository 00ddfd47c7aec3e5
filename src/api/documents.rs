//! `/workspaces/{workspace_id}/documents`

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, X_FRAME_OPTIONS,
};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::access::{Ids, In, ReadDocuments, WriteDocuments};
use super::body::{self, JsonBody};
use super::error::{Answer, blocking};
use super::listing;
use super::multipart::{self, keep};
use super::page::Page;
use super::validate::Checks;
use crate::app::App;
use crate::auth::Access;
use crate::error::{Error, Result};
use crate::extract::Warning;
use crate::ingest::{Incoming, Outcome, delete_document};
use crate::place::Location;
use crate::workspace::chunks::Chunk;
use crate::workspace::documents::{self, Document};

/// A document as it is told of.
#[derive(Serialize)]
pub struct View {
    id: Uuid,
    workspace_id: Uuid,
    title: String,
    source: String,
    content_type: String,
    metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Warning>,
    chunk_count: u64,
    size_bytes: u64,
    content_hash: String,
    created_at: String,
    updated_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unchanged: Option<bool>,
}

impl View {
    pub fn of(workspace_id: Uuid, document: Document) -> Self {
        View {
            id: document.id,
            workspace_id,
            title: document.title,
            source: document.source,
            content_type: document.file_type,
            metadata: document.metadata,
            warnings: document.warnings,
            chunk_count: document.chunk_count,
            size_bytes: document.size_bytes,
            content_hash: document.content_hash,
            created_at: document.created_at,
            updated_at: document.updated_at,
            content: None,
            unchanged: None,
        }
    }
}

#[derive(Serialize)]
struct ChunkView {
    id: Uuid,
    document_id: Uuid,
    index: u32,
    content: String,
    start: usize,
    end: usize,
    heading_path: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
    token_count: u32,
}

impl From<Chunk> for ChunkView {
    fn from(chunk: Chunk) -> Self {
        let location = chunk.location();
        ChunkView {
            id: chunk.id,
            document_id: chunk.document_id,
            index: chunk.index,
            content: chunk.content,
            start: chunk.start,
            end: chunk.end,
            heading_path: chunk.heading_path,
            page: location.as_ref().and_then(Location::page),
            location,
            token_count: chunk.token_count,
        }
    }
}

/// A document in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    pub title: Option<String>,
    pub source: Option<String>,
    pub content: String,
    pub content_type: Option<String>,
    pub metadata: Option<Map<String, Value>>,
    pub chunk_tokens: Option<u32>,
}

impl Given {
    /// As it goes in, with its bytes apart.
    pub fn checked(self, field: &str) -> Result<(Incoming, Vec<u8>)> {
        check_words(field, self.title.as_deref(), self.source.as_deref(), self.metadata.as_ref())?;
        check_chunk_tokens(field, self.chunk_tokens)?;
        let nul = !self.content.contains('\0');
        let mut checks = Checks::default();
        checks.require(nul, &format!("{field}content"), "must have no NUL characters");
        checks.done()?;
        let bytes = self.content.into_bytes();
        let content_type = Some(self.content_type.unwrap_or_else(|| "text/markdown".to_owned()));
        let (title, source, metadata) = (self.title, self.source, self.metadata);
        let chunk_tokens = self.chunk_tokens;
        Ok((Incoming { content_type, title, source, metadata, chunk_tokens, ..Incoming::default() }, bytes))
    }
}

/// Checks what a sender says of a document; `field` goes before the names of fields.
pub fn check_words(
    field: &str,
    title: Option<&str>,
    source: Option<&str>,
    metadata: Option<&Map<String, Value>>,
) -> Result<()> {
    let mut checks = Checks::default();
    if let Some(title) = title {
        checks.require(
            !title.trim().is_empty() && title.len() <= 1024,
            &format!("{field}title"),
            "must have 1 to 1024 bytes",
        );
        checks.require(
            !title.chars().any(char::is_control),
            &format!("{field}title"),
            "must have no control characters",
        );
    }
    if let Some(source) = source {
        checks.require(
            !source.trim().is_empty() && source.len() <= 2048,
            &format!("{field}source"),
            "must have 1 to 2048 bytes",
        );
        checks.require(
            !source.chars().any(char::is_control),
            &format!("{field}source"),
            "must have no control characters",
        );
    }
    metadata.iter().for_each(|object| checks.object(&format!("{field}metadata"), object));
    checks.done()
}

/// Tokens that a chunk may aim at. What an embedding model reads at once is less than the most, and bounds it further.
const CHUNK_TOKENS: std::ops::RangeInclusive<u32> = 16..=65_536;

/// Checks how large a sender wants the chunks; `field` goes before the field's name.
pub fn check_chunk_tokens(field: &str, chunk_tokens: Option<u32>) -> Result<()> {
    let mut checks = Checks::default();
    let fits = chunk_tokens.is_none_or(|tokens| CHUNK_TOKENS.contains(&tokens));
    checks.require(fits, &format!("{field}chunk_tokens"), "must be from 16 to 65536");
    checks.done()
}

/// `POST /workspaces/{workspace_id}/documents`
pub async fn create(entered: In<WriteDocuments>, State(app): State<Arc<App>>, request: Request) -> Answer<Response> {
    take_in(app, entered.access, None, request).await
}

/// `PUT /workspaces/{workspace_id}/documents/{document_id}`
pub async fn replace(
    entered: In<WriteDocuments>,
    ids: Ids,
    State(app): State<Arc<App>>,
    request: Request,
) -> Answer<Response> {
    let target = ids.get("document_id", "document")?;
    let workspace = entered.access.workspace.clone();
    blocking(move || workspace.document(target)).await?;
    take_in(app, entered.access, Some(target), request).await
}

/// What is changed of a document without sending it again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Keys with their new values; null takes a key away.
    metadata: Map<String, Value>,
}

/// `PATCH /workspaces/{workspace_id}/documents/{document_id}`
pub async fn edit(
    entered: In<WriteDocuments>,
    ids: Ids,
    JsonBody(Edit { metadata: changes }): JsonBody<Edit>,
) -> Answer<Json<View>> {
    let (workspace, id) = (entered.access.workspace, ids.get("document_id", "document")?);
    let edited = blocking(move || {
        let document = workspace.commit(move |change| {
            documents::edit_metadata(change, id, |metadata| {
                for (key, value) in changes {
                    match value {
                        Value::Null => drop(metadata.remove(&key)),
                        value => drop(metadata.insert(key, value)),
                    }
                }
                let mut checks = Checks::default();
                checks.object("metadata", metadata);
                checks.done()
            })
        })?;
        Ok(View::of(workspace.id(), document))
    });
    Ok(Json(edited.await?))
}

async fn take_in(app: Arc<App>, access: Access, target: Option<Uuid>, request: Request) -> Answer<Response> {
    let limit = app.config.limits.document_bytes;
    let (incoming, bytes, upload) = match body::content_type(&request).as_deref() {
        Some("multipart/form-data") => {
            let form = multipart::read(request, &app, 1, |_| limit).await?;
            if let Some((_, error)) = form.refused.into_iter().next() {
                return Err(error.into());
            }
            check_words("", form.title.as_deref(), form.source.as_deref(), form.metadata.as_ref())?;
            check_chunk_tokens("", form.chunk_tokens)?;
            let chunk_tokens = form.chunk_tokens;
            let file = form.files.into_iter().next().ok_or_else(|| Error::invalid("file", "is missing"))?;
            let (title, source, metadata) = (form.title, form.source, form.metadata);
            let (file_name, content_type) = (file.name, file.content_type);
            (
                Incoming { title, source, metadata, file_name, content_type, chunk_tokens, ..Incoming::default() },
                None,
                Some(file.upload),
            )
        }
        Some("application/json") => {
            let read = body::read(request.into_body(), app.config.limits.json_bytes).await?;
            let (incoming, bytes) = body::parse::<Given>(&read)?.checked("")?;
            if bytes.len() as u64 > limit {
                return Err(Error::PayloadTooLarge(format!("the content is larger than {limit} bytes")).into());
            }
            (incoming, Some(bytes), None)
        }
        _ => {
            let detail = "the body must be application/json or multipart/form-data";
            return Err(Error::UnsupportedMediaType(detail.into()).into());
        }
    };
    // Documents wait for each other here, where waiting holds no thread, so that questions find one free.
    let _turn = app.taking_in.clone().acquire_owned().await.map_err(|e| Error::internal("taking in", e))?;
    let stored = blocking(move || {
        let (bytes, upload) = match (bytes, upload) {
            (_, Some(upload)) => (upload.read()?, upload),
            (bytes, None) => {
                let bytes = bytes.unwrap_or_default();
                let upload = keep(&app, &bytes)?;
                (bytes, upload)
            }
        };
        let incoming = Incoming { target, bytes, sha256: Some(upload.sha256.clone()), ..incoming };
        let outcome = app.pipeline(&access)?.take_in(incoming, upload)?;
        Ok((access.workspace.id(), outcome))
    });
    let (workspace, outcome) = stored.await?;
    Ok(match outcome {
        Outcome::Unchanged(document) => {
            let view = View { unchanged: Some(true), ..View::of(workspace, document) };
            (StatusCode::OK, Json(view)).into_response()
        }
        Outcome::Stored(stored) if target.is_some() => Json(View::of(workspace, stored.document)).into_response(),
        Outcome::Stored(stored) => {
            let location = [("location", format!("/workspaces/{workspace}/documents/{}", stored.document.id))];
            (StatusCode::CREATED, location, Json(View::of(workspace, stored.document))).into_response()
        }
    })
}

/// `GET /workspaces/{workspace_id}/documents?limit=&offset=&q=&sort=&metadata.<k>=<v>`, and more ([`listing`])
pub async fn list(entered: In<ReadDocuments>, page: Page, uri: Uri) -> Answer<Response> {
    page_of(entered.access, page, &uri).await
}

/// A page of the documents of a workspace that the caller was let into.
pub async fn page_of(access: Access, page: Page, uri: &Uri) -> Answer<Response> {
    let pairs: Vec<(String, String)> =
        axum::extract::Query::try_from_uri(uri).map_err(|e| Error::invalid("query", e.body_text()))?.0;
    let listing = listing::read(pairs, page.limit, page.offset)?;
    let workspace = access.workspace;
    let id = workspace.id();
    let (limit, offset) = (page.limit, page.offset);
    let (documents, total) = blocking(move || workspace.documents(&listing)).await?;
    let documents: Vec<View> = documents.into_iter().map(|document| View::of(id, document)).collect();
    let body = json!({"documents": documents, "total": total, "limit": limit, "offset": offset});
    Ok(page.shaped(&body, documents.len(), total))
}

/// `GET /workspaces/{workspace_id}/documents/{document_id}`
pub async fn show(entered: In<ReadDocuments>, ids: Ids) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("document_id", "document")?);
    let view = blocking(move || {
        let content = Some(workspace.content(id)?);
        Ok(View { content, ..View::of(workspace.id(), workspace.document(id)?) })
    });
    Ok(Json(view.await?).into_response())
}

/// `GET /workspaces/{workspace_id}/documents/{document_id}/chunks`
pub async fn chunks(entered: In<ReadDocuments>, ids: Ids, page: Page) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("document_id", "document")?);
    let (limit, offset) = (page.limit, page.offset);
    let (chunks, total) = blocking(move || workspace.chunks(id, limit, offset)).await?;
    Ok(page.answer(chunks.into_iter().map(ChunkView::from).collect(), total))
}

/// `GET /workspaces/{workspace_id}/documents/{document_id}/file`: the original bytes, for saving; a PDF also for showing,
/// so that `…/file#page=12` opens at that page.
pub async fn file(entered: In<ReadDocuments>, ids: Ids) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("document_id", "document")?);
    let (document, file) = blocking(move || {
        let document = workspace.document(id)?;
        let file = workspace.open_file(&document)?;
        Ok((document, file))
    })
    .await?;
    let stream = ReaderStream::new(tokio::fs::File::from_std(file));
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(document.size_bytes));
    let encoding = document.metadata.get("encoding").and_then(Value::as_str).unwrap_or("utf-8");
    let media_type = match document.file_type.starts_with("text/") {
        true => HeaderValue::from_str(&format!("{}; charset={encoding}", document.file_type)),
        false => HeaderValue::from_str(&document.file_type),
    };
    headers.insert(CONTENT_TYPE, media_type.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(CONTENT_DISPOSITION, disposition(&document));
    if document.file_type == "application/pdf" {
        // Browsers show a PDF in a viewer of their own, which a sandbox keeps out.
        let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'self'");
        headers.insert(CONTENT_SECURITY_POLICY, policy);
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    }
    Ok(response)
}

/// `attachment`, or for a PDF `inline`, with the last part of the source as name, in RFC 5987's form where it is not plain ASCII.
fn disposition(document: &Document) -> HeaderValue {
    let name =
        document.source.rsplit(['/', '\\']).next().unwrap_or_default().trim_start_matches('.').replace("..", ".");
    let name = if name.is_empty() { "document".to_owned() } else { name };
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ' ') { c } else { '_' })
        .collect();
    let encoded: String = name
        .bytes()
        .map(|b| match b {
            b if b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_') => char::from(b).to_string(),
            b => format!("%{b:02X}"),
        })
        .collect();
    // Browsers show a PDF apart from the page that it came from; whatever else could run here is only saved.
    let how = if document.file_type == "application/pdf" { "inline" } else { "attachment" };
    let value = format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

/// `DELETE /workspaces/{workspace_id}/documents/{document_id}`
pub async fn delete(entered: In<WriteDocuments>, ids: Ids, State(app): State<Arc<App>>) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("document_id", "document")?);
    let deleted = blocking(move || {
        let embedder = app.embedder(&workspace)?;
        app.with_ballast(|| delete_document(&workspace, &embedder, id))
    });
    let chunks = deleted.await?;
    Ok(Json(json!({
        "status": "success",
        "message": "Document deleted",
        "document_id": id,
        "chunks_deleted": chunks,
    }))
    .into_response())
}
