//! Deleted workspaces: out of everyone's sight at once, restorable until their days are over, then gone for good.

use rusqlite::OptionalExtension;
use uuid::Uuid;

use super::workspaces::SLUG_TAKEN;
use super::{Tenancy, id};
use crate::clock;
use crate::datadir::move_durably;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::sqlite::conflict;

/// A workspace in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    pub id: Uuid,
    pub name: String,
    pub slug: String,
    pub deleted_at: String,
}

impl Tenancy {
    /// Deletes a workspace softly: its keys are gone at once, its directory goes to the trash.
    pub fn delete_workspace(&self, workspace: Uuid) -> Result<()> {
        self.db.write(|tx| {
            let sql = "UPDATE workspaces SET deleted_at = ?2 WHERE id = ?1 AND deleted_at IS NULL";
            if tx.execute(sql, (workspace.to_string(), clock::now()))? == 0 {
                return Err(Error::NotFound("workspace"));
            }
            tx.execute("DELETE FROM api_keys WHERE workspace_id = ?1", [workspace.to_string()])?;
            Ok(())
        })?;
        failpoint::reach("trash.marked");
        self.note_damage(workspace, false);
        self.move_to_trash(workspace)
    }

    fn move_to_trash(&self, workspace: Uuid) -> Result<()> {
        if let Some(open) = self.registry.take(workspace)
            && let Err(error) = open.retire()
        {
            tracing::warn!(workspace.id = %workspace, %error, "the workspace goes to the trash in the middle of its work");
        }
        let place = self.directory_of(workspace);
        // The row says that it is deleted, so one that is not moved now is moved by the next look at the trash.
        if place.exists() { move_durably(&place, &self.directory.trash().join(workspace.to_string())) } else { Ok(()) }
    }

    /// The deleted workspaces of an organization that can still be restored, the last deleted first.
    pub fn deleted_workspaces(&self, organization: Uuid) -> Result<Vec<Deleted>> {
        self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT id, name, slug, deleted_at FROM workspaces
                 WHERE organization_id = ?1 AND deleted_at IS NOT NULL ORDER BY deleted_at DESC",
            )?;
            let rows = query.query_map([organization.to_string()], |row| {
                Ok(Deleted {
                    id: id(row, "id")?,
                    name: row.get("name")?,
                    slug: row.get("slug")?,
                    deleted_at: row.get("deleted_at")?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Takes a workspace of the organization out of the trash. Its keys do not come back.
    ///
    /// # Errors
    /// [`Error::NotFound`] where it is not in the trash, [`Error::Conflict`] where its slug is taken by now.
    pub fn restore_workspace(&self, organization: Uuid, workspace: Uuid) -> Result<()> {
        let name = workspace.to_string();
        self.db.write(|tx| {
            let sql = "SELECT 1 FROM workspaces WHERE id = ?1 AND organization_id = ?2 AND deleted_at IS NOT NULL";
            let found = tx.query_row(sql, (&name, organization.to_string()), |_| Ok(())).optional()?;
            let place = self.directory.trash().join(&name);
            if found.is_none() || !place.exists() {
                return Err(Error::NotFound("workspace"));
            }
            let restored = tx.execute(
                "UPDATE workspaces SET deleted_at = NULL, updated_at = ?2 WHERE id = ?1",
                (&name, clock::now()),
            );
            conflict(restored, SLUG_TAKEN)?;
            // Should the commit fail, the next look at the trash moves it back.
            move_durably(&place, &self.directory_of(workspace))?;
            failpoint::reach("trash.returned");
            Ok(())
        })
    }

    /// Removes for good what was deleted before `cutoff`, and moves to the trash what a stop in between left behind.
    pub fn empty_trash(&self, cutoff: &str) -> Result<()> {
        let deleted: Vec<(Uuid, bool)> = self.db.read(|db| {
            let mut query =
                db.prepare("SELECT id, deleted_at < ?1 AS over FROM workspaces WHERE deleted_at IS NOT NULL")?;
            let rows = query.query_map([cutoff], |row| Ok((id(row, "id")?, row.get("over")?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })?;
        for (workspace, over) in deleted {
            // One that makes difficulties must not keep the others from going.
            if let Err(error) = self.move_to_trash(workspace).and_then(|()| self.discard(workspace, over)) {
                tracing::error!(workspace.id = %workspace, %error, "a deleted workspace stays for now");
            }
        }
        self.put_back_the_living()
    }

    fn discard(&self, workspace: Uuid, over: bool) -> Result<()> {
        if !over {
            return Ok(());
        }
        let place = self.directory.trash().join(workspace.to_string());
        if place.exists() {
            std::fs::remove_dir_all(place)?;
        }
        self.db.write(|tx| Ok(tx.execute("DELETE FROM workspaces WHERE id = ?1", [workspace.to_string()])?))?;
        Ok(())
    }

    /// Takes out of the trash what the register says is alive: a restoration that was cut off.
    fn put_back_the_living(&self) -> Result<()> {
        for entry in std::fs::read_dir(self.directory.trash())?.flatten() {
            let Some(workspace) = entry.file_name().to_str().and_then(|name| Uuid::parse_str(name).ok()) else {
                continue;
            };
            let place = self.directory_of(workspace);
            if self.workspace(workspace).is_ok() && !place.exists() {
                move_durably(&entry.path(), &place)?;
            }
        }
        Ok(())
    }
}
