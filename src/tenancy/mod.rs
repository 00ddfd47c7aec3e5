//! Who owns what: organizations, their workspaces, the workspaces' keys; and the only source of open workspaces.
//!
//! `control.db` is the truth. Nothing of what a workspace knows is in it, and no workspace knows of it. Does not
//! ask who is calling: the authorization step does, and it alone calls [`Tenancy::open_workspace`].

pub mod adoption;
pub mod api_keys;
mod capacity;
mod inspection;
pub mod organizations;
mod registry;
mod retention;
pub mod trash;
pub mod workspaces;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use rusqlite::OptionalExtension;
use uuid::Uuid;

use crate::datadir::DataDir;
use crate::error::Result;
use crate::sqlite::{Access, Database};

pub use registry::Registry;
pub use retention::SESSION_DAYS;

/// The tables of `control.db`. New entries go to the end; none is ever changed.
const MIGRATIONS: &[&str] = &[
    r#"
CREATE TABLE instance (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    plan_tier TEXT NOT NULL,
    max_workspaces INTEGER,
    max_documents_per_workspace INTEGER,
    max_agents_per_workspace INTEGER,
    max_monthly_requests INTEGER,
    contact_email TEXT NOT NULL,
    contact_name TEXT,
    settings TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    deleted_at TEXT
) STRICT;
CREATE UNIQUE INDEX organization_slugs ON organizations (slug) WHERE deleted_at IS NULL;

CREATE TABLE workspaces (
    id TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    description TEXT,
    settings TEXT NOT NULL,
    embedding_model TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    deleted_at TEXT
) STRICT;
CREATE UNIQUE INDEX workspace_slugs ON workspaces (organization_id, slug) WHERE deleted_at IS NULL;

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces ON DELETE CASCADE,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL UNIQUE,
    hash TEXT NOT NULL,
    scopes TEXT NOT NULL,
    rate_limit_per_minute INTEGER NOT NULL,
    expires_at TEXT,
    is_active INTEGER NOT NULL,
    last_used_at TEXT,
    revoked_at TEXT,
    created_at TEXT NOT NULL
) STRICT;
CREATE INDEX api_keys_of_workspace ON api_keys (workspace_id);
"#,
    // The pages that a key may be used from.
    "ALTER TABLE api_keys ADD COLUMN allowed_origins TEXT NOT NULL DEFAULT '[]';",
];

/// The instance's register of tenants.
pub struct Tenancy {
    db: Database,
    directory: Arc<DataDir>,
    registry: Registry,
    /// Days that sessions are kept, where their workspace does not say fewer; 0 is for ever.
    session_days: u32,
    damaged: Mutex<BTreeSet<Uuid>>,
}

impl Tenancy {
    /// Opens `control.db`; holds at most `open_workspaces` workspaces open, or with 0 as many as the machine allows, and
    /// keeps sessions for `session_days`, or with 0 for ever.
    pub fn open(directory: Arc<DataDir>, open_workspaces: usize, session_days: u32) -> Result<Self> {
        let db = Database::open(&directory.control(), MIGRATIONS, directory.access())?;
        let limit = if open_workspaces == 0 { capacity::open_workspaces() } else { open_workspaces };
        Ok(Tenancy { db, directory, registry: Registry::new(limit), session_days, damaged: Mutex::default() })
    }

    /// The open workspaces.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Closes every workspace and brings the register to rest.
    pub fn close(&self) {
        self.registry.close_all();
        if self.directory.access() == Access::Write
            && let Err(error) = self.db.checkpoint()
        {
            tracing::warn!(%error, "the register was closed in the middle of its work");
        }
    }

    /// A value of the instance itself.
    pub fn instance_value(&self, key: &str) -> Result<Option<String>> {
        self.db.read(|db| {
            let value = db.query_row("SELECT value FROM instance WHERE key = ?1", [key], |row| row.get(0));
            Ok(value.optional()?)
        })
    }

    /// Keeps a value of the instance itself.
    pub fn set_instance_value(&self, key: &str, value: &str) -> Result<()> {
        self.db.write(|tx| {
            tx.execute(
                "INSERT INTO instance VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
                (key, value),
            )?;
            Ok(())
        })
    }
}

/// A column that holds JSON or an id which this program wrote.
fn parse<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> rusqlite::Result<T> {
    serde_json::from_value(value)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}

fn id(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<uuid::Uuid> {
    parse(serde_json::Value::String(row.get(column)?))
}

fn json<T: serde::de::DeserializeOwned>(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}
