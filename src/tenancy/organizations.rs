//! Organizations: the tenants.

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Tenancy, id, json};
use crate::clock;
use crate::error::{Error, Result};
use crate::sqlite::conflict;

/// A tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Organization {
    pub id: Uuid,
    pub name: String,
    pub slug: String,
    pub plan_tier: PlanTier,
    pub limits: PlanLimits,
    pub contact_email: String,
    pub contact_name: Option<String>,
    pub settings: Map<String, Value>,
    pub created_at: String,
    pub updated_at: String,
}

/// The plan that an organization is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanTier {
    Free,
    Starter,
    Pro,
    /// No limits: what a self-hosted instance has by default.
    #[default]
    Enterprise,
}

/// What a plan allows; `None` is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlanLimits {
    pub workspaces: Option<u64>,
    pub documents_per_workspace: Option<u64>,
    pub agents_per_workspace: Option<u64>,
    pub monthly_requests: Option<u64>,
}

impl PlanTier {
    pub fn name(self) -> &'static str {
        match self {
            PlanTier::Free => "free",
            PlanTier::Starter => "starter",
            PlanTier::Pro => "pro",
            PlanTier::Enterprise => "enterprise",
        }
    }

    /// The limits that the plan comes with.
    pub fn limits(self) -> PlanLimits {
        let of = |workspaces, documents, agents, requests| PlanLimits {
            workspaces: Some(workspaces),
            documents_per_workspace: Some(documents),
            agents_per_workspace: Some(agents),
            monthly_requests: Some(requests),
        };
        match self {
            PlanTier::Free => of(1, 100, 2, 1_000),
            PlanTier::Starter => of(3, 1_000, 5, 10_000),
            PlanTier::Pro => of(20, 20_000, 50, 200_000),
            PlanTier::Enterprise => PlanLimits::default(),
        }
    }
}

const COLUMNS: &str =
    "id, name, slug, plan_tier, max_workspaces, max_documents_per_workspace, max_agents_per_workspace,
                       max_monthly_requests, contact_email, contact_name, settings, created_at, updated_at";

fn read(row: &Row<'_>) -> rusqlite::Result<Organization> {
    Ok(Organization {
        id: id(row, "id")?,
        name: row.get("name")?,
        slug: row.get("slug")?,
        plan_tier: super::parse(Value::String(row.get("plan_tier")?))?,
        limits: PlanLimits {
            workspaces: row.get("max_workspaces")?,
            documents_per_workspace: row.get("max_documents_per_workspace")?,
            agents_per_workspace: row.get("max_agents_per_workspace")?,
            monthly_requests: row.get("max_monthly_requests")?,
        },
        contact_email: row.get("contact_email")?,
        contact_name: row.get("contact_name")?,
        settings: json(row, "settings")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn find(db: &Connection, organization: Uuid) -> Result<Organization> {
    let sql = format!("SELECT {COLUMNS} FROM organizations WHERE id = ?1 AND deleted_at IS NULL");
    let found = db.prepare_cached(&sql)?.query_row([organization.to_string()], read).optional()?;
    found.ok_or(Error::NotFound("organization"))
}

fn put(db: &Connection, organization: &Organization) -> Result<()> {
    let settings = Value::Object(organization.settings.clone()).to_string();
    let limits = &organization.limits;
    let stored = db.execute(
        &format!(
            "INSERT INTO organizations ({COLUMNS})
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
                     ON CONFLICT (id) DO UPDATE SET name = ?2, plan_tier = ?4, max_workspaces = ?5,
                        max_documents_per_workspace = ?6, max_agents_per_workspace = ?7, max_monthly_requests = ?8,
                        contact_email = ?9, contact_name = ?10, settings = ?11, updated_at = ?13"
        ),
        rusqlite::params![
            organization.id.to_string(),
            organization.name,
            organization.slug,
            organization.plan_tier.name(),
            limits.workspaces,
            limits.documents_per_workspace,
            limits.agents_per_workspace,
            limits.monthly_requests,
            organization.contact_email,
            organization.contact_name,
            settings,
            organization.created_at,
            organization.updated_at,
        ],
    );
    conflict(stored, "another organization has this slug")?;
    Ok(())
}

impl Tenancy {
    /// Stores an organization, new or in its old one's place. A slug that another one has is [`Error::Conflict`].
    pub fn put_organization(&self, organization: &Organization) -> Result<()> {
        self.db.write(|tx| put(tx, organization))
    }

    /// Changes an organization; nobody else's change comes in between.
    pub fn update_organization(
        &self,
        organization: Uuid,
        change: impl FnOnce(&mut Organization) -> Result<()>,
    ) -> Result<Organization> {
        self.db.write(|tx| {
            let mut organization = find(tx, organization)?;
            change(&mut organization)?;
            put(tx, &organization)?;
            Ok(organization)
        })
    }

    pub fn organization(&self, organization: Uuid) -> Result<Organization> {
        self.db.read(|db| find(db, organization))
    }

    /// The organizations in the order they were made, and how many there are.
    pub fn organizations(&self, limit: usize, offset: usize) -> Result<(Vec<Organization>, u64)> {
        self.db.read(|db| {
            let count = "SELECT count(*) FROM organizations WHERE deleted_at IS NULL";
            let total = db.query_row(count, [], |row| row.get(0))?;
            let mut query = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM organizations WHERE deleted_at IS NULL ORDER BY created_at, id LIMIT ?1 OFFSET ?2"
            ))?;
            let rows = query.query_map((limit as i64, offset as i64), read)?;
            Ok((rows.collect::<rusqlite::Result<_>>()?, total))
        })
    }

    /// Deletes an organization softly. While it has workspaces this is [`Error::Conflict`], unless `force` sends
    /// them to the trash first. Returns those.
    pub fn delete_organization(&self, organization: Uuid, force: bool) -> Result<Vec<Uuid>> {
        self.organization(organization)?;
        let mut deleted = Vec::new();
        if force {
            loop {
                let (workspaces, _) = self.workspaces(organization, 100, 0)?;
                if workspaces.is_empty() {
                    break;
                }
                for workspace in workspaces {
                    self.delete_workspace(workspace.id)?;
                    deleted.push(workspace.id);
                }
            }
        }
        self.db.write(|tx| {
            let live = "SELECT EXISTS (SELECT 1 FROM workspaces WHERE organization_id = ?1 AND deleted_at IS NULL)";
            if tx.query_row(live, [organization.to_string()], |row| row.get(0))? {
                return Err(Error::Conflict(
                    "the organization still has workspaces; `force=true` deletes them too".into(),
                ));
            }
            let sql = "UPDATE organizations SET deleted_at = ?2 WHERE id = ?1";
            tx.execute(sql, (organization.to_string(), clock::now()))?;
            Ok(deleted)
        })
    }
}
