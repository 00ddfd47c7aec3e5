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

/// Characters of a refused file's name that are told.
const SHOWN: usize = 200;

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
    /// Files that cannot be taken, by the names that they came with, and why.
    pub refused: Vec<(String, Error)>,
    pub title: Option<String>,
    pub source: Option<String>,
    pub metadata: Option<Map<String, Value>>,
    /// Tokens that a chunk is to aim at, unchecked.
    pub chunk_tokens: Option<u32>,
}

/// Reads a form of files and the fields `title`, `source`, `metadata` and `chunk_tokens`; at most `most` files, each
/// of as many bytes as `largest` allows for its name. A file that cannot be taken is noted, and the others are read on.
pub async fn read(request: Request, app: &Arc<App>, most: usize, largest: impl Fn(&str) -> u64) -> Answer<Form> {
    let mut parts = Multipart::from_request(request, app)
        .await
        .map_err(|e| Error::Malformed(format!("the body is no multipart form: {}", e.body_text())))?;
    let mut form = Form::default();
    let mut small = 0;
    let mut total = 0;
    while let Some(mut field) = parts.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if field.file_name().is_some() || matches!(name.as_str(), "file" | "files" | "files[]") {
            if form.files.len() + form.refused.len() >= most {
                return Err(Error::invalid("file", format!("at most {most} files are taken at once")).into());
            }
            let given = field.file_name().filter(|name| !name.is_empty()).map(str::to_owned);
            let checked = given.as_deref().map(|name| check_name("file", name)).transpose();
            let content_type = field.content_type().map(str::to_owned);
            let limit = largest(given.as_deref().unwrap_or_default());
            let (upload, size) = receive(&mut field, app, limit, &mut total).await?;
            let shown = given.map_or_else(|| "file".to_owned(), |name| name.chars().take(SHOWN).collect());
            match (checked, upload) {
                (Err(error), _) => form.refused.push((shown, error)),
                (Ok(_), None) => {
                    let why = format!("the file has {size} bytes; at most {limit} are taken");
                    form.refused.push((shown, Error::PayloadTooLarge(why)));
                }
                (Ok(name), Some(upload)) => form.files.push(File { name, content_type, upload }),
            }
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
            "chunk_tokens" => {
                let parsed = text.trim().parse();
                form.chunk_tokens = Some(parsed.map_err(|_| Error::invalid("chunk_tokens", "must be a whole number"))?);
            }
            other => return Err(Error::invalid(other, "is no field of this form").into()),
        }
    }
    Ok(form)
}

/// Writes a file as it comes. Of one that is larger than `limit` nothing is kept, but its size is told. `total` is what
/// the whole body came to so far.
async fn receive(
    field: &mut Field<'_>,
    app: &Arc<App>,
    limit: u64,
    total: &mut u64,
) -> Answer<(Option<Uploaded>, u64)> {
    let (directory, most) = (app.directory.clone(), app.config.limits.upload_bytes);
    let mut upload = Some(blocking(move || directory.upload()).await?);
    let mut waiting: Vec<Bytes> = Vec::new();
    let (mut gathered, mut size) = (0, 0);
    while let Some(bytes) = field.chunk().await.map_err(broken)? {
        size += bytes.len() as u64;
        *total += bytes.len() as u64;
        if *total > most {
            return Err(Error::PayloadTooLarge(format!("the body is larger than {most} bytes")).into());
        }
        if size > limit {
            upload = None;
            waiting.clear();
        }
        let Some(writing) = upload.take() else { continue };
        gathered += bytes.len();
        waiting.push(bytes);
        upload = Some(if gathered >= BUFFER {
            gathered = 0;
            write(writing, std::mem::take(&mut waiting)).await?
        } else {
            writing
        });
    }
    let Some(upload) = upload else { return Ok((None, size)) };
    let upload = write(upload, waiting).await?;
    Ok((Some(blocking(move || upload.finish()).await?), size))
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
