//! Multipart bodies: files are written to disk as they come, whatever their size; fields stay small.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use futures_util::StreamExt;
use serde_json::{Map, Value};

use super::error::{Answer, blocking};
use crate::app::App;
use crate::datadir::{Upload, Uploaded};
use crate::error::{Error, Result};
use crate::ingest::check_name;

/// Bytes of all fields that are no files.
const FIELDS: usize = 256 << 10;
/// Bytes gathered before they are written.
const BUFFER: usize = 256 << 10;

/// A file that came in.
pub struct File {
    /// The name that it came with, checked.
    pub name: Option<String>,
    pub content_type: Option<String>,
    pub upload: Uploaded,
}

/// What a form held.
#[derive(Default)]
pub struct Form {
    pub files: Vec<File>,
    pub title: Option<String>,
    pub source: Option<String>,
    pub metadata: Option<Map<String, Value>>,
}

/// Reads a form of files and the fields `title`, `source` and `metadata`; at most `most` files of `file_bytes` each.
pub async fn read(request: Request, app: &Arc<App>, most: usize, file_bytes: u64) -> Answer<Form> {
    let mut parts = Multipart::from_request(request, app)
        .await
        .map_err(|e| Error::Malformed(format!("the body is no multipart form: {}", e.body_text())))?;
    let mut form = Form::default();
    let mut small = 0;
    let mut total = 0;
    while let Some(mut field) = parts.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_some() || matches!(name.as_str(), "file" | "files" | "files[]") {
            if form.files.len() >= most {
                return Err(Error::invalid("file", format!("at most {most} files are taken at once")).into());
            }
            let given = field.file_name().filter(|name| !name.is_empty());
            let file_name = given.map(|name| check_name("file", name)).transpose()?;
            let content_type = field.content_type().map(str::to_owned);
            let room = app.config.limits.upload_bytes.saturating_sub(total).min(file_bytes);
            let upload = receive(&mut field, app, room).await?;
            total += upload.size;
            form.files.push(File { name: file_name, content_type, upload });
            continue;
        }
        let mut text = Vec::new();
        while let Some(bytes) = field.chunk().await.map_err(broken)? {
            small += bytes.len();
            if small > FIELDS {
                return Err(Error::PayloadTooLarge("the form's fields are too large".into()).into());
            }
            text.extend_from_slice(&bytes);
        }
        let text = String::from_utf8(text).map_err(|_| Error::invalid(&name, "is not valid UTF-8"))?;
        match name.as_str() {
            "title" => form.title = Some(text),
            "source" => form.source = Some(text),
            "metadata" => {
                let parsed = serde_json::from_str(&text);
                form.metadata =
                    Some(parsed.map_err(|e| Error::invalid("metadata", format!("must be a JSON object: {e}")))?);
            }
            other => return Err(Error::invalid(other, "is no field of this form").into()),
        }
    }
    Ok(form)
}

/// Writes a file as it comes.
async fn receive(field: &mut Field<'_>, app: &Arc<App>, room: u64) -> Answer<Uploaded> {
    let directory = app.directory.clone();
    let mut upload = blocking(move || directory.upload()).await?;
    let mut waiting: Vec<Bytes> = Vec::new();
    let mut gathered = 0;
    let mut size = 0;
    while let Some(bytes) = field.chunk().await.map_err(broken)? {
        size += bytes.len() as u64;
        if size > room {
            return Err(Error::PayloadTooLarge(format!("a file is larger than {room} bytes")).into());
        }
        gathered += bytes.len();
        waiting.push(bytes);
        if gathered >= BUFFER {
            upload = write(upload, std::mem::take(&mut waiting)).await?;
            gathered = 0;
        }
    }
    let upload = write(upload, waiting).await?;
    blocking(move || upload.finish()).await
}

/// Writes a whole body that is one file.
pub async fn receive_body(request: Request, app: &Arc<App>) -> Answer<Uploaded> {
    let (directory, room) = (app.directory.clone(), app.config.limits.upload_bytes);
    let mut upload = blocking(move || directory.upload()).await?;
    let mut body = request.into_body().into_data_stream();
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(|e| Error::Malformed(format!("the body broke off: {e}")))?;
        if upload.size() + bytes.len() as u64 > room {
            return Err(Error::PayloadTooLarge(format!("the body is larger than {room} bytes")).into());
        }
        upload = write(upload, vec![bytes]).await?;
    }
    blocking(move || upload.finish()).await
}

async fn write(mut upload: Upload, bytes: Vec<Bytes>) -> Answer<Upload> {
    blocking(move || bytes.iter().try_for_each(|piece| upload.write(piece)).map(|()| upload)).await
}

/// Writes bytes that are in memory already. Blocks.
pub fn keep(app: &App, bytes: &[u8]) -> Result<Uploaded> {
    let mut upload = app.directory.upload()?;
    upload.write(bytes)?;
    upload.finish()
}

fn broken(cause: MultipartError) -> Error {
    Error::Malformed(format!("the form broke off: {}", cause.body_text()))
}
