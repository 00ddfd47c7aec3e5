//! Care for a workspace: is it whole, hold it still, take it out of the trash.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Caller, Ids, In, ManageWorkspace, ManageWorkspaces, May};
use super::body::OptionalBody;
use super::error::{Answer, blocking};
use super::validate::Checks;
use super::workspaces::View;
use crate::app::App;
use crate::auth::Permission;
use crate::clock;
use crate::error::Error;
use crate::tenancy::trash::Deleted;
use crate::workspace::{Finding, Report};

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Whether what is derived is to be made anew where it is not whole.
    #[serde(default)]
    repair: bool,
}

/// `POST /workspaces/{workspace_id}/check`
pub async fn check(
    Caller(principal): Caller,
    ids: Ids,
    State(app): State<Arc<App>>,
    OptionalBody(Check { repair }): OptionalBody<Check>,
) -> Answer<Response> {
    let id = ids.get("workspace_id", "workspace").unwrap_or_default();
    let report = blocking(move || app.auth.inspect(&principal, Permission::ManageWorkspace, id, repair)).await?;
    Ok(Json(view(report)).into_response())
}

fn view(report: Report) -> Value {
    let whole = report.is_whole();
    let finding = |f: Finding| json!({"part": f.part, "problem": f.problem, "repaired": f.repaired});
    json!({
        "whole": whole,
        "generation": report.generation,
        "documents": report.documents,
        "chunks": report.chunks,
        "findings": report.findings.into_iter().map(finding).collect::<Vec<_>>(),
    })
}

/// How long a workspace is held still where nobody says: the time for a copy.
const FREEZE_SECONDS: u64 = 300;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    seconds: Option<i64>,
}

/// `POST /workspaces/{workspace_id}/freeze`
pub async fn freeze(
    entered: In<ManageWorkspace>,
    OptionalBody(Freeze { seconds }): OptionalBody<Freeze>,
) -> Answer<Response> {
    let mut checks = Checks::default();
    let seconds = seconds.map_or(Some(FREEZE_SECONDS), |seconds| u64::try_from(seconds).ok());
    let seconds = seconds.filter(|seconds| (1..=86_400).contains(seconds));
    checks.require(seconds.is_some(), "seconds", "must be from 1 to 86400");
    checks.done()?;
    let time = Duration::from_secs(seconds.unwrap_or(FREEZE_SECONDS));
    let workspace = entered.access.workspace;
    blocking(move || workspace.freeze(time)).await?;
    let until = jiff::Timestamp::now().saturating_add(jiff::SignedDuration::try_from(time).unwrap_or_default());
    let until = until.map_err(|e| Error::internal("clock", e))?;
    Ok(Json(json!({"status": "frozen", "frozen_until": clock::text(until)})).into_response())
}

/// `DELETE /workspaces/{workspace_id}/freeze`
pub async fn thaw(entered: In<ManageWorkspace>) -> Answer<Response> {
    entered.access.workspace.thaw();
    Ok(Json(json!({"status": "success", "message": "Changes are taken again"})).into_response())
}

/// `GET /organizations/{organization_id}/trash`
pub async fn trash(_: May<ManageWorkspaces>, ids: Ids, State(app): State<Arc<App>>) -> Answer<Response> {
    let organization = ids.get("organization_id", "organization")?;
    let found = blocking(move || {
        app.tenancy.organization(organization)?;
        app.tenancy.deleted_workspaces(organization)
    });
    let view = |found: Deleted| json!({"id": found.id, "name": found.name, "slug": found.slug, "deleted_at": found.deleted_at});
    Ok(Json(found.await?.into_iter().map(view).collect::<Vec<_>>()).into_response())
}

/// `POST /organizations/{organization_id}/trash/{workspace_id}/restore`
pub async fn restore(_: May<ManageWorkspaces>, ids: Ids, State(app): State<Arc<App>>) -> Answer<Response> {
    let organization = ids.get("organization_id", "organization")?;
    let workspace = ids.get("workspace_id", "workspace")?;
    let view = blocking(move || {
        app.tenancy.restore_workspace(organization, workspace)?;
        View::of(&app, app.tenancy.workspace(workspace)?)
    });
    Ok(Json(view.await?).into_response())
}
