//! `/workspaces/{workspace_id}/ingest` and `/workspaces/{workspace_id}/jobs`

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::access::{Ids, In, ReadJobs, WriteDocuments};
use super::body;
use super::documents::{Given, check_words};
use super::error::{Answer, blocking};
use super::multipart::{self, keep};
use super::page::Page;
use crate::app::App;
use crate::datadir::Uploaded;
use crate::error::Error;
use crate::ingest::is_archive;
use crate::workspace::jobs::{Failure, Item, Job, Status};

/// A job as it is told of.
#[derive(Serialize)]
struct View {
    id: Uuid,
    kind: String,
    status: Status,
    total: u64,
    done: u64,
    failed: u64,
    errors: Vec<Failure>,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
}

impl From<Job> for View {
    fn from(job: Job) -> Self {
        View {
            id: job.id,
            kind: job.kind,
            status: job.status,
            total: job.total,
            done: job.done,
            failed: job.failed,
            errors: job.errors,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Documents {
    documents: Vec<Given>,
}

/// `POST /workspaces/{workspace_id}/ingest`: documents in JSON, a form of files and archives, or an archive as the body.
pub async fn ingest(entered: In<WriteDocuments>, State(app): State<Arc<App>>, request: Request) -> Answer<Response> {
    let (items, uploads) = match body::content_type(&request).as_deref() {
        Some("application/json") => in_json(&app, request).await?,
        Some("multipart/form-data") => in_form(&app, request).await?,
        Some(
            "application/zip"
            | "application/x-zip-compressed"
            | "application/x-tar"
            | "application/gzip"
            | "application/x-gzip"
            | "application/zstd",
        ) => in_archive(&app, request).await?,
        _ => {
            let detail = "the body must be application/json, multipart/form-data or an archive";
            return Err(Error::UnsupportedMediaType(detail.into()).into());
        }
    };
    let access = entered.access;
    let job =
        blocking(move || app.jobs.submit(&app.pipeline(&access)?, items, uploads).map(|job| (access.record.id, job)));
    let (workspace, job) = job.await?;
    let location = [("location", format!("/workspaces/{workspace}/jobs/{}", job.id))];
    Ok((StatusCode::ACCEPTED, location, Json(View::from(job))).into_response())
}

async fn in_json(app: &Arc<App>, request: Request) -> Answer<(Vec<Item>, Vec<Uploaded>)> {
    let bytes = body::read(request.into_body(), app.config.limits.json_bytes).await?;
    let app = app.clone();
    blocking(move || {
        let documents = body::parse::<Documents>(&bytes)?.documents;
        let most = app.config.limits.job_documents;
        if documents.is_empty() || documents.len() > most {
            return Err(Error::invalid("documents", format!("must have 1 to {most} documents")));
        }
        let mut items = Vec::with_capacity(documents.len());
        let mut uploads = Vec::with_capacity(documents.len());
        for (place, given) in documents.into_iter().enumerate() {
            let (incoming, bytes) = given.checked(&format!("documents[{place}]."))?;
            let upload = keep(&app, &bytes)?;
            items.push(Item {
                file_name: None,
                content_type: incoming.content_type,
                title: incoming.title,
                source: incoming.source,
                metadata: incoming.metadata,
                archive: false,
                sha256: upload.sha256.clone(),
                size: upload.size,
            });
            uploads.push(upload);
        }
        Ok((items, uploads))
    })
    .await
}

async fn in_form(app: &Arc<App>, request: Request) -> Answer<(Vec<Item>, Vec<Uploaded>)> {
    let limits = &app.config.limits;
    let form = multipart::read(request, app, 10_000, limits.upload_bytes).await?;
    check_words("", form.title.as_deref(), form.source.as_deref(), form.metadata.as_ref())?;
    if form.files.is_empty() {
        return Err(Error::invalid("file", "is missing").into());
    }
    let single = form.files.len() == 1;
    let mut items = Vec::with_capacity(form.files.len());
    let mut uploads = Vec::with_capacity(form.files.len());
    for file in form.files {
        let archive = file.name.as_deref().is_some_and(is_archive);
        if !archive && file.upload.size > limits.document_bytes {
            return Err(Error::PayloadTooLarge(format!("a file is larger than {} bytes", limits.document_bytes)).into());
        }
        items.push(Item {
            // Title and source name one document; of many, each has its own.
            title: form.title.clone().filter(|_| single && !archive),
            source: form.source.clone().filter(|_| single && !archive).or(file.name.clone()),
            file_name: file.name,
            content_type: file.content_type,
            metadata: form.metadata.clone(),
            archive,
            sha256: file.upload.sha256.clone(),
            size: file.upload.size,
        });
        uploads.push(file.upload);
    }
    Ok((items, uploads))
}

async fn in_archive(app: &Arc<App>, request: Request) -> Answer<(Vec<Item>, Vec<Uploaded>)> {
    let upload = multipart::receive_body(request, app).await?;
    let item = Item {
        file_name: None,
        content_type: None,
        title: None,
        source: Some("archive".to_owned()),
        metadata: None,
        archive: true,
        sha256: upload.sha256.clone(),
        size: upload.size,
    };
    Ok((vec![item], vec![upload]))
}

/// `GET /workspaces/{workspace_id}/jobs`
pub async fn list(entered: In<ReadJobs>, page: Page) -> Answer<Response> {
    let workspace = entered.access.workspace;
    let (limit, offset) = (page.limit, page.offset);
    let (jobs, total) = blocking(move || workspace.jobs(limit, offset)).await?;
    Ok(page.answer(jobs.into_iter().map(View::from).collect(), total))
}

/// `GET /workspaces/{workspace_id}/jobs/{job_id}`
pub async fn show(entered: In<ReadJobs>, ids: Ids) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("job_id", "job")?);
    let job = blocking(move || workspace.job(id)).await?;
    Ok(Json(View::from(job)).into_response())
}

/// `DELETE /workspaces/{workspace_id}/jobs/{job_id}`: cancels; what is in stays.
pub async fn cancel(entered: In<WriteDocuments>, ids: Ids, State(app): State<Arc<App>>) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("job_id", "job")?);
    let job = blocking(move || {
        let job = workspace.cancel_job(id)?;
        app.jobs.announce(id);
        Ok(job)
    });
    Ok(Json(View::from(job.await?)).into_response())
}

/// `GET /workspaces/{workspace_id}/jobs/{job_id}/events`: the job as it stands, at once and after each change, until it ends.
pub async fn events(entered: In<ReadJobs>, ids: Ids, State(app): State<Arc<App>>) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("job_id", "job")?);
    // Listening begins before the first look, so that no change falls between the two.
    let changes = app.jobs.changes();
    let first = {
        let workspace = workspace.clone();
        blocking(move || workspace.job(id)).await?
    };
    let state = (Some(first), changes, workspace);
    let events = stream::unfold(Some(state), move |state| async move {
        let (job, mut changes, workspace) = state?;
        let job = match job {
            Some(job) => job,
            None => {
                loop {
                    match changes.recv().await {
                        Ok(changed) if changed != id => continue,
                        // Having missed some is as good a reason to look again.
                        Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => break,
                        Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
                    }
                }
                let workspace = workspace.clone();
                blocking(move || workspace.job(id)).await.ok()?
            }
        };
        let ended = job.status.is_final();
        let event = Event::default().json_data(View::from(job)).ok()?;
        Some((Ok::<_, Infallible>(event), (!ended).then_some((None, changes, workspace))))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15)).text("keep-alive");
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}
