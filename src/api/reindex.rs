//! `/workspaces/{workspace_id}/reindex`: another embedding model, or the same indexes anew.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{In, ManageWorkspace, ReadWorkspace};
use super::body::OptionalBody;
use super::error::{Answer, blocking};
use super::jobs::View;
use crate::app::{App, identity};
use crate::auth::Access;
use crate::error::{Error, Result};
use crate::workspace::ModelIdentity;
use crate::workspace::reindex::Progress;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Reindex {
    /// A model that lies in `models/`; without it the indexes are made anew with the vectors that there are.
    embedding_model: Option<String>,
}

/// `POST /workspaces/{workspace_id}/reindex`
pub async fn begin(
    entered: In<ManageWorkspace>,
    State(app): State<Arc<App>>,
    OptionalBody(Reindex { embedding_model }): OptionalBody<Reindex>,
) -> Answer<Response> {
    file(app, entered.access, move |app, access| match embedding_model {
        Some(name) => Ok(identity(app.models.get(&name)?.as_ref())),
        None => Ok(access.workspace.model()),
    })
    .await
}

/// `POST /workspaces/{workspace_id}/reindex/rollback`
pub async fn rollback(entered: In<ManageWorkspace>, State(app): State<Arc<App>>) -> Answer<Response> {
    file(app, entered.access, |_, access| {
        let none = || Error::Conflict("there are no vectors of an earlier model to go back to".into());
        access.workspace.previous_model()?.ok_or_else(none)
    })
    .await
}

async fn file(
    app: Arc<App>,
    access: Access,
    target: impl FnOnce(&App, &Access) -> Result<ModelIdentity> + Send + 'static,
) -> Answer<Response> {
    let filed = blocking(move || {
        let model = target(&app, &access)?;
        // A model that is gone or another would only be found out by the job.
        app.embedder_of(&access.workspace, &model)?;
        let job = app.jobs.submit_reindexing(&access.workspace, model)?;
        Ok((access.record.id, job))
    });
    let (workspace, job) = filed.await?;
    let location = [("location", format!("/workspaces/{workspace}/jobs/{}", job.id))];
    Ok((StatusCode::ACCEPTED, location, Json(View::from(job))).into_response())
}

/// `POST /workspaces/{workspace_id}/reindex/confirm`
pub async fn confirm(entered: In<ManageWorkspace>) -> Answer<Json<Value>> {
    let workspace = entered.access.workspace;
    Ok(Json(blocking(move || workspace.confirm_model().and_then(|()| workspace.models().map(view))).await?))
}

/// `GET /workspaces/{workspace_id}/reindex`
pub async fn show(entered: In<ReadWorkspace>) -> Answer<Json<Value>> {
    let workspace = entered.access.workspace;
    Ok(Json(blocking(move || workspace.models().map(view)).await?))
}

fn view(models: Vec<Progress>) -> Value {
    let models = models.into_iter().map(|progress| {
        json!({
            "name": progress.model.name,
            "dimension": progress.model.dimension,
            "sha256": progress.model.sha256,
            "is_active": progress.is_active,
            "vectors": progress.vectors,
            "lacking": progress.lacking,
        })
    });
    json!({"models": models.collect::<Vec<_>>()})
}
