//! Whole workspaces as they go out and come in: snapshots, imports, copies, adoption.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::access::{Ids, In, ManageInstance, ManageWorkspace, ManageWorkspaces, May};
use super::body::JsonBody;
use super::error::{Answer, blocking};
use super::page::Params;
use super::stream;
use super::validate::Checks;
use super::workspaces::View;
use crate::app::App;
use crate::error::Error;
use crate::tenancy::adoption::{Arrival, Naming, Unadopted};
use crate::workspace::archive;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Names {
    name: Option<String>,
    slug: Option<String>,
}

impl Names {
    fn checked(self) -> crate::error::Result<Naming> {
        let mut checks = Checks::default();
        self.name.iter().for_each(|name| checks.name("name", name));
        self.slug.iter().for_each(|slug| checks.slug("slug", slug));
        checks.done()?;
        Ok(Naming { name: self.name, slug: self.slug, ..Naming::default() })
    }
}

/// A workspace that came in, as it is told of: the workspace itself, and how it was found.
#[derive(Serialize)]
struct ArrivalView {
    #[serde(flatten)]
    workspace: View,
    generation: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    losses: Vec<String>,
}

fn arrived(app: &App, arrival: Arrival) -> crate::error::Result<Response> {
    let Arrival { workspace, generation, losses } = arrival;
    let view = ArrivalView { workspace: View::of(app, workspace)?, generation, losses };
    let location = [("location", format!("/workspaces/{}", view.workspace.id))];
    Ok((StatusCode::CREATED, location, Json(view)).into_response())
}

/// `POST /workspaces/{workspace_id}/snapshot`
pub async fn snapshot(entered: In<ManageWorkspace>, State(app): State<Arc<App>>) -> Answer<Response> {
    let access = entered.access;
    let slug = access.record.slug;
    let snapshot = blocking(move || access.workspace.snapshot(&app.tenancy.staging())).await?;
    let headers = [
        (CONTENT_TYPE, "application/zstd".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{slug}.tar.zst\"")),
    ];
    let generation = snapshot.manifest.clean.as_ref().map_or(0, |clean| clean.generation);
    let bytes = snapshot.size_bytes()?;
    let about = [("x-carrel-generation", generation.to_string()), ("x-carrel-size", bytes.to_string())];
    let body = stream::written(move |out| archive::write(&snapshot, out));
    Ok((headers, about, body).into_response())
}

/// `POST /organizations/{organization_id}/workspaces/import?name=&slug=`
pub async fn import(
    _: May<ManageWorkspaces>,
    ids: Ids,
    State(app): State<Arc<App>>,
    Params(names): Params<Names>,
    body: Body,
) -> Answer<Response> {
    let organization = ids.get("organization_id", "organization")?;
    let naming = names.checked()?;
    let answer = stream::read(body, move |input| {
        app.tenancy.organization(organization)?;
        let staged = app.tenancy.staging();
        if let Err(error) = archive::read(input, &staged, app.config.limits.import_bytes) {
            // What was unpacked so far goes; why it failed is what matters.
            let _ = std::fs::remove_dir_all(&staged);
            return Err(error);
        }
        let arrival = app.tenancy.take_over(organization, &staged, naming).map_err(|error| match error {
            // The fault is the archive's, not that of the state of things here.
            Error::Conflict(why) if !why.contains("slug") => Error::invalid("body", why),
            other => other,
        })?;
        arrived(&app, arrival)
    });
    Ok(answer.await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    name: String,
    slug: String,
}

/// `POST /workspaces/{workspace_id}/copy`
pub async fn copy(
    entered: In<ManageWorkspaces>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Copy>,
) -> Answer<Response> {
    let mut naming = Names { name: Some(body.name), slug: Some(body.slug) }.checked()?;
    let access = entered.access;
    let answer = blocking(move || {
        naming.description = access.record.description;
        naming.settings = Some(access.record.settings);
        let snapshot = access.workspace.snapshot(&app.tenancy.staging())?;
        let arrival = app.tenancy.copy_workspace(access.record.organization_id, &snapshot, naming)?;
        arrived(&app, arrival)
    });
    answer.await
}

/// `GET /workspaces/unadopted`
pub async fn unadopted(_: May<ManageInstance>, State(app): State<Arc<App>>) -> Answer<Response> {
    let found = blocking(move || app.tenancy.unadopted()).await?;
    let view = |found: Unadopted| {
        json!({
            "directory": found.directory,
            "id": found.id,
            "name": found.name,
            "is_copy": found.is_copy,
            "at_rest": found.at_rest,
            "size_bytes": found.size_bytes,
            "problem": found.problem,
        })
    };
    Ok(Json(found.into_iter().map(view).collect::<Vec<_>>()).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopt {
    directory: String,
    name: Option<String>,
    slug: Option<String>,
    /// Whether originals, or commits that were only in SQLite's log, may be missing.
    #[serde(default)]
    accept_loss: bool,
}

/// `POST /organizations/{organization_id}/workspaces/adopt`
pub async fn adopt(
    _: May<ManageInstance>,
    ids: Ids,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Adopt>,
) -> Answer<Response> {
    let organization: Uuid = ids.get("organization_id", "organization")?;
    let naming = Names { name: body.name, slug: body.slug }.checked()?;
    let answer = blocking(move || {
        app.tenancy.organization(organization)?;
        let arrival = app.tenancy.adopt(organization, &body.directory, naming, body.accept_loss)?;
        arrived(&app, arrival)
    });
    answer.await
}
