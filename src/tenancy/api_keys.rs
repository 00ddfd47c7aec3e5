//! API keys as rows: hashes beside prefixes, never a key.

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Tenancy, id, json};
use crate::clock;
use crate::error::{Error, Result};

/// What a key may do in its workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Chat,
    Search,
    /// Documents, sessions, agents, graph.
    Read,
    /// Writing documents.
    Ingest,
    /// Agents, keys and settings of the workspace.
    Admin,
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    pub id: Uuid,
    pub workspace_id: Uuid,
    pub name: String,
    /// The first characters of the key, by which it is found.
    pub prefix: String,
    /// argon2id in PHC form.
    pub hash: String,
    pub scopes: Vec<Scope>,
    pub rate_limit_per_minute: u32,
    /// The origins of the pages that it may be used from; where there are none, it may be used from anywhere.
    pub allowed_origins: Vec<String>,
    pub expires_at: Option<String>,
    pub is_active: bool,
    pub last_used_at: Option<String>,
    pub revoked_at: Option<String>,
    pub created_at: String,
}

impl ApiKey {
    /// Whether it opens anything at `now`.
    pub fn is_valid(&self, now: &str) -> bool {
        self.is_active && self.revoked_at.is_none() && self.expires_at.as_deref().is_none_or(|end| now < end)
    }

    /// Whether it may be used by a request with this `Origin`.
    pub fn allows_origin(&self, origin: Option<&str>) -> bool {
        self.allowed_origins.is_empty() || origin.is_some_and(|origin| self.lists_origin(origin))
    }

    /// Whether it is meant for pages of this origin.
    pub fn lists_origin(&self, origin: &str) -> bool {
        self.allowed_origins.iter().any(|listed| listed == origin)
    }

    /// Whether it may be shown to everybody: it does nothing but chat, on pages that it lists.
    pub fn is_for_pages(&self) -> bool {
        self.scopes == [Scope::Chat] && !self.allowed_origins.is_empty()
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<ApiKey> {
    Ok(ApiKey {
        id: id(row, "id")?,
        workspace_id: id(row, "workspace_id")?,
        name: row.get("name")?,
        prefix: row.get("prefix")?,
        hash: row.get("hash")?,
        scopes: json(row, "scopes")?,
        rate_limit_per_minute: row.get("rate_limit_per_minute")?,
        allowed_origins: json(row, "allowed_origins")?,
        expires_at: row.get("expires_at")?,
        is_active: row.get("is_active")?,
        last_used_at: row.get("last_used_at")?,
        revoked_at: row.get("revoked_at")?,
        created_at: row.get("created_at")?,
    })
}

fn find(db: &Connection, workspace: Uuid, key: Uuid) -> Result<ApiKey> {
    let mut query = db.prepare_cached("SELECT * FROM api_keys WHERE workspace_id = ?1 AND id = ?2")?;
    let found = query.query_row([workspace.to_string(), key.to_string()], read).optional()?;
    found.ok_or(Error::NotFound("API key"))
}

fn put(db: &Connection, key: &ApiKey) -> Result<()> {
    let scopes = serde_json::to_string(&key.scopes).map_err(|e| Error::internal("scopes", e))?;
    let origins = serde_json::to_string(&key.allowed_origins).map_err(|e| Error::internal("origins", e))?;
    db.execute(
        "INSERT INTO api_keys (id, workspace_id, name, prefix, hash, scopes, rate_limit_per_minute, expires_at,
                               is_active, created_at, allowed_origins)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (id) DO UPDATE SET name = ?3, scopes = ?6, rate_limit_per_minute = ?7, expires_at = ?8,
            is_active = ?9, allowed_origins = ?11",
        rusqlite::params![
            key.id.to_string(),
            key.workspace_id.to_string(),
            key.name,
            key.prefix,
            key.hash,
            scopes,
            key.rate_limit_per_minute,
            key.expires_at,
            key.is_active,
            key.created_at,
            origins,
        ],
    )?;
    Ok(())
}

impl Tenancy {
    /// Stores a new key.
    pub fn put_api_key(&self, key: &ApiKey) -> Result<()> {
        self.db.write(|tx| put(tx, key))
    }

    /// Changes a key; nobody else's change comes in between.
    pub fn update_api_key(
        &self,
        workspace: Uuid,
        key: Uuid,
        change: impl FnOnce(&mut ApiKey) -> Result<()>,
    ) -> Result<ApiKey> {
        self.db.write(|tx| {
            let mut key = find(tx, workspace, key)?;
            change(&mut key)?;
            put(tx, &key)?;
            Ok(key)
        })
    }

    /// A key of this workspace.
    pub fn api_key(&self, workspace: Uuid, key: Uuid) -> Result<ApiKey> {
        self.db.read(|db| find(db, workspace, key))
    }

    /// The key with this prefix, of a workspace that lives.
    pub fn api_key_by_prefix(&self, prefix: &str) -> Result<Option<ApiKey>> {
        self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT k.* FROM api_keys k JOIN workspaces w ON w.id = k.workspace_id
                 JOIN organizations o ON o.id = w.organization_id
                 WHERE k.prefix = ?1 AND w.deleted_at IS NULL AND o.deleted_at IS NULL",
            )?;
            Ok(query.query_row([prefix], read).optional()?)
        })
    }

    /// The origins that keys of workspaces that live list, and when each such key ends, if ever.
    pub fn listed_origins(&self) -> Result<Vec<(String, Option<String>)>> {
        self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT o.value, k.expires_at FROM api_keys k, json_each(k.allowed_origins) o
                 JOIN workspaces w ON w.id = k.workspace_id JOIN organizations g ON g.id = w.organization_id
                 WHERE k.is_active AND k.revoked_at IS NULL AND w.deleted_at IS NULL AND g.deleted_at IS NULL",
            )?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The keys of a workspace in the order they were made, and how many there are.
    pub fn api_keys(&self, workspace: Uuid, limit: usize, offset: usize) -> Result<(Vec<ApiKey>, u64)> {
        let workspace = workspace.to_string();
        self.db.read(|db| {
            let count = "SELECT count(*) FROM api_keys WHERE workspace_id = ?1";
            let total = db.query_row(count, [&workspace], |row| row.get(0))?;
            let sql = "SELECT * FROM api_keys WHERE workspace_id = ?1 ORDER BY created_at, id LIMIT ?2 OFFSET ?3";
            let mut query = db.prepare_cached(sql)?;
            let rows = query.query_map((&workspace, limit as i64, offset as i64), read)?;
            Ok((rows.collect::<rusqlite::Result<_>>()?, total))
        })
    }

    /// Revokes a key for good. Revoking it again changes nothing.
    pub fn revoke_api_key(&self, workspace: Uuid, key: Uuid) -> Result<()> {
        let ids = (workspace.to_string(), key.to_string(), clock::now());
        let sql = "UPDATE api_keys SET is_active = 0, revoked_at = ifnull(revoked_at, ?3) WHERE workspace_id = ?1 AND id = ?2";
        match self.db.write(|tx| Ok(tx.execute(sql, ids)?))? {
            0 => Err(Error::NotFound("API key")),
            _ => Ok(()),
        }
    }

    /// Notes that a key was used now.
    pub fn touch_api_key(&self, key: Uuid) -> Result<()> {
        let sql = "UPDATE api_keys SET last_used_at = ?2 WHERE id = ?1";
        self.db.write(|tx| Ok(tx.execute(sql, (key.to_string(), clock::now()))?))?;
        Ok(())
    }
}
