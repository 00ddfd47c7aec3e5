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
use super::documents::{Given, check_chunk_tokens, check_words};
use super::error::{Answer, blocking, public_detail};
use super::multipart::{self, keep};
use super::page::{Page, Params};
use crate::app::App;
use crate::auth::{Access, Permission};
use crate::datadir::Uploaded;
use crate::error::Error;
use crate::extract::Warning;
use crate::ingest::is_archive;
use crate::workspace::job_items::Item;
use crate::workspace::job_results::{self, Entry, JobResult};
use crate::workspace::jobs::{Failure, Job, Status};

/// A job as it is told of.
#[derive(Serialize)]
pub struct View {
    id: Uuid,
    kind: String,
    status: Status,
    total: u64,
    done: u64,
    failed: u64,
    bytes_total: u64,
    bytes_done: u64,
    documents_per_second: Option<f64>,
    bytes_per_second: Option<f64>,
    seconds_left: Option<u64>,
    errors: Vec<Failure>,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
}

impl From<Job> for View {
    fn from(job: Job) -> Self {
        let documents = job.total.saturating_sub(job.done + job.failed);
        let seconds_left = job.pace.seconds_left(documents).filter(|_| !job.status.is_final());
        View {
            id: job.id,
            kind: job.kind,
            status: job.status,
            total: job.total,
            done: job.done,
            failed: job.failed,
            bytes_total: job.pace.bytes_total,
            bytes_done: job.pace.bytes_done,
            documents_per_second: job.pace.documents_per_second().map(to_tenths),
            bytes_per_second: job.pace.bytes_per_second().map(to_tenths),
            seconds_left,
            errors: job.errors,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

fn to_tenths(rate: f64) -> f64 {
    (rate * 10.0).round() / 10.0
}

/// What became of a document of a job.
#[derive(Serialize)]
struct ResultView {
    position: u32,
    source: String,
    status: job_results::Status,
    document_id: Option<Uuid>,
    chunk_count: Option<u64>,
    code: Option<String>,
    message: Option<String>,
    warnings: Vec<Warning>,
}

impl From<JobResult> for ResultView {
    fn from(result: JobResult) -> Self {
        let Entry { source, status, document_id, chunk_count, code, message, warnings } = result.entry;
        let position = result.position;
        ResultView { position, source, status, document_id, chunk_count, code, message, warnings }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Documents {
    documents: Vec<Given>,
}

/// What came in for a job.
#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    uploads: Vec<Uploaded>,
    /// What fails before the job begins.
    refused: Vec<Failure>,
}

impl Batch {
    fn add(&mut self, item: Item, upload: Uploaded) {
        self.items.push(Item { sha256: upload.sha256.clone(), size: upload.size, ..item });
        self.uploads.push(upload);
    }

    fn refuse(&mut self, source: String, error: &Error) {
        self.refused.push(Failure { source, code: error.code().to_owned(), message: public_detail(error) });
    }
}

/// `POST /workspaces/{workspace_id}/ingest`: documents in JSON, a form of files and archives, or an archive as the body.
pub async fn ingest(entered: In<WriteDocuments>, State(app): State<Arc<App>>, request: Request) -> Answer<Response> {
    let given = match body::content_type(&request).as_deref() {
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
    let job = blocking(move || {
        let Batch { items, uploads, refused } = given;
        app.jobs.submit(&app.pipeline(&access)?, items, uploads, refused).map(|job| (access.record.id, job))
    });
    let (workspace, job) = job.await?;
    let location = [("location", format!("/workspaces/{workspace}/jobs/{}", job.id))];
    Ok((StatusCode::ACCEPTED, location, Json(View::from(job))).into_response())
}

async fn in_json(app: &Arc<App>, request: Request) -> Answer<Batch> {
    let bytes = body::read(request.into_body(), app.config.limits.json_bytes).await?;
    let app = app.clone();
    blocking(move || {
        let documents = body::parse::<Documents>(&bytes)?.documents;
        let limits = &app.config.limits;
        if documents.is_empty() || documents.len() > limits.job_documents {
            return Err(Error::invalid("documents", format!("must have 1 to {} documents", limits.job_documents)));
        }
        let mut batch = Batch::default();
        for (place, given) in documents.into_iter().enumerate() {
            let (incoming, bytes) = given.checked(&format!("documents[{place}]."))?;
            if bytes.len() as u64 > limits.document_bytes {
                let why =
                    format!("the document has {} bytes; at most {} are taken", bytes.len(), limits.document_bytes);
                let source = incoming.source.or(incoming.title).unwrap_or_else(|| format!("documents[{place}]"));
                batch.refuse(source, &Error::PayloadTooLarge(why));
                continue;
            }
            let item = Item {
                content_type: incoming.content_type,
                title: incoming.title,
                source: incoming.source,
                metadata: incoming.metadata,
                chunk_tokens: incoming.chunk_tokens,
                ..Item::default()
            };
            batch.add(item, keep(&app, &bytes)?);
        }
        Ok(batch)
    })
    .await
}

async fn in_form(app: &Arc<App>, request: Request) -> Answer<Batch> {
    let limits = &app.config.limits;
    let largest = |name: &str| if is_archive(name) { limits.upload_bytes } else { limits.document_bytes };
    let form = multipart::read(request, app, 10_000, largest).await?;
    check_words("", form.title.as_deref(), form.source.as_deref(), form.metadata.as_ref())?;
    check_chunk_tokens("", form.chunk_tokens)?;
    if form.files.is_empty() {
        // Where nothing at all can be taken, there is no job to speak of.
        let missing = || Error::invalid("file", "is missing");
        return Err(form.refused.into_iter().next().map_or_else(missing, |(_, error)| error).into());
    }
    let single = form.files.len() + form.refused.len() == 1;
    let mut batch = Batch::default();
    form.refused.into_iter().for_each(|(name, error)| batch.refuse(name, &error));
    for file in form.files {
        let archive = file.name.as_deref().is_some_and(is_archive);
        let item = Item {
            // Title and source name one document; of many, each has its own.
            title: form.title.clone().filter(|_| single && !archive),
            source: form.source.clone().filter(|_| single).or(file.name.clone()),
            file_name: file.name,
            content_type: file.content_type,
            metadata: form.metadata.clone(),
            chunk_tokens: form.chunk_tokens,
            archive,
            within: archive && single && form.source.is_some(),
            ..Item::default()
        };
        batch.add(item, file.upload);
    }
    Ok(batch)
}

async fn in_archive(app: &Arc<App>, request: Request) -> Answer<Batch> {
    let upload = multipart::receive_body(request, app).await?;
    let mut batch = Batch::default();
    batch.add(Item { source: Some("archive".to_owned()), archive: true, ..Item::default() }, upload);
    Ok(batch)
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

/// What `?status=` of results may be.
#[derive(Deserialize)]
pub struct Which {
    status: Option<String>,
}

/// `GET /workspaces/{workspace_id}/jobs/{job_id}/results?limit=&offset=&status=`
pub async fn results(entered: In<ReadJobs>, ids: Ids, page: Page, Params(which): Params<Which>) -> Answer<Response> {
    let (workspace, id) = (entered.access.workspace, ids.get("job_id", "job")?);
    let status = which.status.filter(|status| !status.is_empty()).map(|status| {
        serde_json::from_value::<job_results::Status>(status.into())
            .map_err(|_| Error::invalid("status", "must be added, replaced, unchanged or failed"))
    });
    let status = status.transpose()?;
    let (limit, offset) = (page.limit, page.offset);
    let (results, total) = blocking(move || workspace.job_results(id, status, limit, offset)).await?;
    Ok(page.answer(results.into_iter().map(ResultView::from).collect(), total))
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

/// `GET /workspaces/{workspace_id}/jobs/{job_id}/events`: the job as it stands, at once and after each change, until it
/// ends, the server stops or the workspace goes. The workspace need not stay open for it.
pub async fn events(entered: In<ReadJobs>, ids: Ids, State(app): State<Arc<App>>) -> Answer<Response> {
    let id = ids.get("job_id", "job")?;
    let Access { principal, record, workspace } = entered.access;
    // Listening begins before the first look, so that no change falls between the two.
    let (changes, stopping) = (app.jobs.changes(), app.stopping());
    let first = blocking(move || workspace.job(id)).await?;
    let look = move || {
        let (app, principal) = (app.clone(), principal.clone());
        blocking(move || app.auth.enter(&principal, Permission::ReadJobs, record.id)?.workspace.job(id))
    };
    let state = (Some(first), changes, stopping, look);
    let events = stream::unfold(Some(state), move |state| async move {
        let (job, mut changes, mut stopping, look) = state?;
        let job = match job {
            Some(job) => job,
            None => {
                loop {
                    let change = tokio::select! {
                        _ = stopping.wait_for(|stop| *stop) => return None,
                        change = changes.recv() => change,
                    };
                    match change {
                        Ok(changed) if changed != id => continue,
                        // Having missed some is as good a reason to look again.
                        Ok(_) | Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => break,
                        Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
                    }
                }
                look().await.ok()?
            }
        };
        let ended = job.status.is_final();
        let event = Event::default().json_data(View::from(job)).ok()?;
        Some((Ok::<_, Infallible>(event), (!ended).then_some((None, changes, stopping, look))))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15)).text("keep-alive");
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}
