//! Workspaces as rows: whose they are, what they are called, where their directory lies.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Tenancy, id, json};
use crate::error::{Error, Result};
use crate::sqlite::{conflict, read_file};
use crate::workspace::{self, Manifest, ModelIdentity, Unfinished};

/// What the register says of a workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct Workspace {
    pub id: Uuid,
    pub organization_id: Uuid,
    pub name: String,
    pub slug: String,
    pub description: Option<String>,
    pub settings: Map<String, Value>,
    pub embedding_model: String,
    pub created_at: String,
    pub updated_at: String,
}

pub(super) const SLUG_TAKEN: &str = "another workspace of this organization has this slug";

const COLUMNS: &str = "w.id, w.organization_id, w.name, w.slug, w.description, w.settings, w.embedding_model,
                       w.created_at, w.updated_at";
/// A workspace lives while its organization does.
pub(super) const LIVE: &str = "workspaces w JOIN organizations o ON o.id = w.organization_id
                    WHERE w.deleted_at IS NULL AND o.deleted_at IS NULL";

fn read(row: &Row<'_>) -> rusqlite::Result<Workspace> {
    Ok(Workspace {
        id: id(row, "id")?,
        organization_id: id(row, "organization_id")?,
        name: row.get("name")?,
        slug: row.get("slug")?,
        description: row.get("description")?,
        settings: json(row, "settings")?,
        embedding_model: row.get("embedding_model")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

/// The live workspaces that a register says there are; it may be a copy of this instance's.
pub fn ids_in(control: &Path) -> Result<Vec<Uuid>> {
    read_file(control, |db| {
        let mut query = db.prepare(&format!("SELECT w.id FROM {LIVE} ORDER BY w.id"))?;
        Ok(query.query_map([], |row| id(row, "id"))?.collect::<rusqlite::Result<_>>()?)
    })
}

fn find(db: &Connection, workspace: Uuid) -> Result<Workspace> {
    let sql = format!("SELECT {COLUMNS} FROM {LIVE} AND w.id = ?1");
    let found = db.prepare_cached(&sql)?.query_row([workspace.to_string()], read).optional()?;
    found.ok_or(Error::NotFound("workspace"))
}

/// Stores the row of a new workspace.
///
/// # Errors
/// [`Error::NotFound`] where its organization is gone, [`Error::Conflict`] where the slug is taken.
pub(super) fn insert(tx: &Connection, workspace: &Workspace) -> Result<()> {
    let organization = workspace.organization_id.to_string();
    let live = "SELECT EXISTS (SELECT 1 FROM organizations WHERE id = ?1 AND deleted_at IS NULL)";
    if !tx.query_row(live, [&organization], |row| row.get::<_, bool>(0))? {
        return Err(Error::NotFound("organization"));
    }
    let stored = tx.execute(
        "INSERT INTO workspaces (id, organization_id, name, slug, description, settings, embedding_model,
                                 created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        rusqlite::params![
            workspace.id.to_string(),
            organization,
            workspace.name,
            workspace.slug,
            workspace.description,
            Value::Object(workspace.settings.clone()).to_string(),
            workspace.embedding_model,
            workspace.created_at,
            workspace.updated_at,
        ],
    );
    conflict(stored, SLUG_TAKEN)?;
    Ok(())
}

impl Tenancy {
    pub(super) fn directory_of(&self, workspace: Uuid) -> PathBuf {
        self.directory.workspaces().join(workspace.to_string())
    }

    /// Makes a workspace: its row and its directory, or neither.
    pub fn create_workspace(&self, workspace: &Workspace, language: &str, model: ModelIdentity) -> Result<()> {
        let root = self.directory_of(workspace.id);
        let manifest = Manifest::new(workspace.id, &workspace.name, language, model);
        self.db.write(|tx| {
            insert(tx, workspace)?;
            workspace::Workspace::create(&root, &manifest)
        })
    }

    pub fn workspace(&self, workspace: Uuid) -> Result<Workspace> {
        self.db.read(|db| find(db, workspace))
    }

    /// The workspaces of an organization in the order they were made, and how many there are.
    pub fn workspaces(&self, organization: Uuid, limit: usize, offset: usize) -> Result<(Vec<Workspace>, u64)> {
        let organization = organization.to_string();
        self.db.read(|db| {
            let count = format!("SELECT count(*) FROM {LIVE} AND o.id = ?1");
            let total = db.query_row(&count, [&organization], |row| row.get(0))?;
            let sql =
                format!("SELECT {COLUMNS} FROM {LIVE} AND o.id = ?1 ORDER BY w.created_at, w.id LIMIT ?2 OFFSET ?3");
            let mut query = db.prepare_cached(&sql)?;
            let rows = query.query_map((&organization, limit as i64, offset as i64), read)?;
            Ok((rows.collect::<rusqlite::Result<_>>()?, total))
        })
    }

    /// The first workspaces of all organizations, in the order they were made.
    pub fn all_workspaces(&self, limit: usize) -> Result<Vec<Workspace>> {
        self.db.read(|db| {
            let sql = format!("SELECT {COLUMNS} FROM {LIVE} ORDER BY w.created_at, w.id LIMIT ?1");
            let mut query = db.prepare_cached(&sql)?;
            Ok(query.query_map([limit as i64], read)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The workspaces with this slug, one in each of some organizations; two at most, since one of two is as good as none.
    pub fn workspaces_called(&self, slug: &str) -> Result<Vec<Uuid>> {
        self.db.read(|db| {
            let sql = format!("SELECT w.id FROM {LIVE} AND w.slug = ?1 ORDER BY w.id LIMIT 2");
            let mut query = db.prepare_cached(&sql)?;
            Ok(query.query_map([slug], |row| id(row, "id"))?.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Changes name, slug, description and settings of a workspace; nobody else's change comes in between.
    pub fn update_workspace(
        &self,
        workspace: Uuid,
        change: impl FnOnce(&mut Workspace) -> Result<()>,
    ) -> Result<Workspace> {
        self.db.write(|tx| {
            let mut workspace = find(tx, workspace)?;
            change(&mut workspace)?;
            let stored = tx.execute(
                "UPDATE workspaces SET name = ?2, slug = ?3, description = ?4, settings = ?5, updated_at = ?6
                 WHERE id = ?1",
                (
                    workspace.id.to_string(),
                    &workspace.name,
                    &workspace.slug,
                    &workspace.description,
                    Value::Object(workspace.settings.clone()).to_string(),
                    &workspace.updated_at,
                ),
            );
            conflict(stored, SLUG_TAKEN)?;
            Ok(workspace)
        })
    }

    /// The live workspace after `last` in the order of ids; unless `any`, one whose setting `name` is a number above 0.
    pub(super) fn next_with_setting(&self, last: Uuid, name: &str, any: bool) -> Result<Option<Workspace>> {
        self.db.read(|db| {
            let sql = format!(
                "SELECT {COLUMNS} FROM {LIVE} AND w.id > ?1 AND (?2 OR json_extract(w.settings, '$.' || ?3) > 0)
                 ORDER BY w.id LIMIT 1"
            );
            Ok(db.prepare_cached(&sql)?.query_row((last.to_string(), any, name), read).optional()?)
        })
    }

    /// Notes the name of the model whose vectors a workspace's searches use.
    pub fn note_model(&self, workspace: Uuid, model: &str) -> Result<()> {
        self.db.write(|tx| {
            let sql = "UPDATE workspaces SET embedding_model = ?2 WHERE id = ?1";
            tx.execute(sql, (workspace.to_string(), model))?;
            Ok(())
        })
    }

    /// Documents in a workspace that need not be open.
    pub fn document_count(&self, workspace: Uuid) -> Result<u64> {
        workspace::Workspace::peek_document_count(&self.directory_of(workspace))
    }

    /// The open workspace. For the authorization step alone.
    pub fn open_workspace(&self, record: &Workspace) -> Result<Arc<workspace::Workspace>> {
        let opened = self.registry.open(record.id, &self.directory_of(record.id), self.directory.access())?;
        opened.keep_sessions(self.session_days(record));
        Ok(opened)
    }

    /// Whether a workspace is whole; one that cannot be opened is looked at as it lies. For the authorization step
    /// alone.
    pub fn check_workspace(&self, workspace: Uuid, repair: bool) -> Result<workspace::Report> {
        let report = match self.open_workspace(&self.workspace(workspace)?) {
            Ok(open) => open.check(repair),
            Err(Error::Unavailable(why)) => workspace::check_directory(&self.directory_of(workspace), why),
            Err(error) => Err(error),
        }?;
        self.note_damage(workspace, !report.is_whole());
        Ok(report)
    }

    /// Every live workspace with what it has still to do.
    pub fn unfinished(&self) -> Result<Vec<(Uuid, Unfinished)>> {
        let live: Vec<Uuid> = self.db.read(|db| {
            let mut query = db.prepare(&format!("SELECT w.id FROM {LIVE}"))?;
            Ok(query.query_map([], |row| id(row, "id"))?.collect::<rusqlite::Result<_>>()?)
        })?;
        let mut found = Vec::new();
        for workspace in live {
            match workspace::Workspace::peek_unfinished(&self.directory_of(workspace)) {
                Ok(unfinished) => found.push((workspace, unfinished)),
                Err(error) => tracing::error!(workspace.id = %workspace, %error, "the workspace cannot be read"),
            }
        }
        Ok(found)
    }
}
