//! `/organizations`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Json, response::IntoResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::access::{Caller, Ids, ManageInstance, ManageOrganization, May, ReadOrganization};
use super::body::{JsonBody, given, set};
use super::error::{Answer, blocking};
use super::page::{Page, Params};
use super::validate::Checks;
use crate::app::App;
use crate::auth::Permission;
use crate::clock;
use crate::tenancy::organizations::{Organization, PlanTier};

/// An organization as it is told of; a limit of `null` is none.
#[derive(Serialize)]
struct View {
    id: Uuid,
    name: String,
    slug: String,
    plan_tier: PlanTier,
    max_workspaces: Option<u64>,
    max_documents_per_workspace: Option<u64>,
    max_agents_per_workspace: Option<u64>,
    max_monthly_requests: Option<u64>,
    contact_email: String,
    contact_name: Option<String>,
    settings: Map<String, Value>,
    created_at: String,
    updated_at: String,
}

impl From<Organization> for View {
    fn from(organization: Organization) -> Self {
        View {
            id: organization.id,
            name: organization.name,
            slug: organization.slug,
            plan_tier: organization.plan_tier,
            max_workspaces: organization.limits.workspaces,
            max_documents_per_workspace: organization.limits.documents_per_workspace,
            max_agents_per_workspace: organization.limits.agents_per_workspace,
            max_monthly_requests: organization.limits.monthly_requests,
            contact_email: organization.contact_email,
            contact_name: organization.contact_name,
            settings: organization.settings,
            created_at: organization.created_at,
            updated_at: organization.updated_at,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    name: String,
    slug: String,
    contact_email: String,
    contact_name: Option<String>,
    plan_tier: Option<PlanTier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    name: Option<String>,
    contact_email: Option<String>,
    #[serde(default, deserialize_with = "given")]
    contact_name: Option<Option<String>>,
    plan_tier: Option<PlanTier>,
    settings: Option<Map<String, Value>>,
    #[serde(default, deserialize_with = "given")]
    max_workspaces: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    max_documents_per_workspace: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    max_agents_per_workspace: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    max_monthly_requests: Option<Option<u32>>,
}

#[derive(Deserialize)]
pub struct Delete {
    #[serde(default)]
    force: bool,
}

/// `POST /organizations`
pub async fn create(
    _: May<ManageInstance>,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Create>,
) -> Answer<Response> {
    let mut checks = Checks::default();
    checks.name("name", &body.name);
    checks.slug("slug", &body.slug);
    checks.email("contact_email", &body.contact_email);
    body.contact_name.iter().for_each(|name| checks.name("contact_name", name));
    checks.done()?;
    let plan_tier = body.plan_tier.unwrap_or_default();
    let now = clock::now();
    let organization = Organization {
        id: Uuid::now_v7(),
        name: body.name,
        slug: body.slug,
        plan_tier,
        limits: plan_tier.limits(),
        contact_email: body.contact_email,
        contact_name: body.contact_name,
        settings: Map::new(),
        created_at: now.clone(),
        updated_at: now,
    };
    let organization = blocking(move || app.tenancy.put_organization(&organization).map(|()| organization)).await?;
    let location = [("location", format!("/organizations/{}", organization.id))];
    Ok((StatusCode::CREATED, location, Json(View::from(organization))).into_response())
}

/// `GET /organizations`
pub async fn list(_: May<ManageInstance>, State(app): State<Arc<App>>, page: Page) -> Answer<Response> {
    let (limit, offset) = (page.limit, page.offset);
    let (organizations, total) = blocking(move || app.tenancy.organizations(limit, offset)).await?;
    Ok(page.answer(organizations.into_iter().map(View::from).collect(), total))
}

/// `GET /organizations/{organization_id}`
pub async fn show(_: May<ReadOrganization>, ids: Ids, State(app): State<Arc<App>>) -> Answer<Response> {
    let id = ids.get("organization_id", "organization")?;
    let organization = blocking(move || app.tenancy.organization(id)).await?;
    Ok(Json(View::from(organization)).into_response())
}

/// `PATCH /organizations/{organization_id}`
pub async fn update(
    _: May<ManageOrganization>,
    Caller(principal): Caller,
    ids: Ids,
    State(app): State<Arc<App>>,
    JsonBody(body): JsonBody<Update>,
) -> Answer<Response> {
    let id = ids.get("organization_id", "organization")?;
    let limits = [
        body.max_workspaces,
        body.max_documents_per_workspace,
        body.max_agents_per_workspace,
        body.max_monthly_requests,
    ];
    if body.plan_tier.is_some() || limits.iter().any(Option::is_some) {
        // What a plan allows is not for those to say who live by it.
        app.auth.permit(&principal, Permission::ManageInstance, None)?;
    }
    let mut checks = Checks::default();
    body.name.iter().for_each(|name| checks.name("name", name));
    body.contact_email.iter().for_each(|email| checks.email("contact_email", email));
    body.contact_name.iter().flatten().for_each(|name| checks.name("contact_name", name));
    body.settings.iter().for_each(|settings| checks.object("settings", settings));
    checks.done()?;
    let changed = blocking(move || {
        app.tenancy.update_organization(id, |organization| {
            if let Some(tier) = body.plan_tier {
                organization.plan_tier = tier;
                organization.limits = tier.limits();
            }
            set(&mut organization.name, body.name);
            set(&mut organization.contact_email, body.contact_email);
            set(&mut organization.contact_name, body.contact_name);
            set(&mut organization.settings, body.settings);
            let kept = &mut organization.limits;
            let kept = [
                &mut kept.workspaces,
                &mut kept.documents_per_workspace,
                &mut kept.agents_per_workspace,
                &mut kept.monthly_requests,
            ];
            for (limit, given) in kept.into_iter().zip(limits) {
                set(limit, given.map(|given| given.map(u64::from)));
            }
            organization.updated_at = clock::now();
            Ok(())
        })
    });
    Ok(Json(View::from(changed.await?)).into_response())
}

/// `DELETE /organizations/{organization_id}?force=`
pub async fn delete(
    _: May<ManageOrganization>,
    ids: Ids,
    State(app): State<Arc<App>>,
    Params(query): Params<Delete>,
) -> Answer<Response> {
    let id = ids.get("organization_id", "organization")?;
    blocking(move || {
        let deleted = app.with_ballast(|| app.tenancy.delete_organization(id, query.force))?;
        for workspace in deleted {
            app.auth.forget(workspace);
            app.cache.remove_prefix(workspace.as_bytes());
        }
        Ok(())
    })
    .await?;
    Ok(Json(json!({"status": "success", "message": "Organization deleted"})).into_response())
}
