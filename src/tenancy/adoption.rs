//! Workspaces whose directories come from elsewhere: imported, copied, or put under `workspaces/` by hand.
//!
//! Each gets an id of its own, whatever its manifest says, so that no two workspaces ever share one. A directory that
//! no row knows is told of to the instance admin and otherwise does not exist.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Tenancy;
use super::workspaces::{Workspace, insert};
use crate::datadir::{make_tree_durable, move_durably};
use crate::error::{Error, Result};
use crate::failpoint;
use crate::workspace::{Layout, Snapshot, admit};

/// A directory under `workspaces/` that no row knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unadopted {
    /// Its name, which is how it is adopted.
    pub directory: String,
    /// What its manifest says, where that can be read.
    pub id: Option<Uuid>,
    pub name: Option<String>,
    /// Whether a workspace lives that has this id: then it is a copy of that.
    pub is_copy: bool,
    /// Whether its manifest says that it was copied at rest; adopting verifies it.
    pub at_rest: bool,
    pub size_bytes: u64,
    /// What stands in the way of adopting it, as far as a look shows.
    pub problem: Option<String>,
}

/// What a workspace that comes in is to be called; what is not given comes from its manifest.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    pub name: Option<String>,
    pub slug: Option<String>,
    pub description: Option<String>,
    pub settings: Option<Map<String, Value>>,
}

/// A workspace that came in.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    pub workspace: Workspace,
    /// The commit that it is whole up to.
    pub generation: u64,
    /// What it lacks, where that was accepted.
    pub losses: Vec<String>,
}

impl Tenancy {
    /// An empty place for a directory on its way in; what is left there goes at the next start.
    pub fn staging(&self) -> PathBuf {
        self.directory.scratch().join(Uuid::now_v7().to_string())
    }

    /// The directories under `workspaces/` that no row knows, by name.
    pub fn unadopted(&self) -> Result<Vec<Unadopted>> {
        let known: HashSet<String> = self.db.read(|db| {
            let mut query = db.prepare("SELECT id FROM workspaces")?;
            Ok(query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
        })?;
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.directory.workspaces())?.flatten() {
            // What has no textual name cannot be named by a request.
            let Ok(directory) = entry.file_name().into_string() else { continue };
            if known.contains(&directory) || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let layout = Layout::new(&entry.path());
            let manifest = layout.read_manifest();
            let named = manifest.as_ref().ok();
            found.push(Unadopted {
                directory,
                id: named.map(|manifest| manifest.id),
                name: named.map(|manifest| manifest.name.clone()),
                is_copy: named.is_some_and(|manifest| known.contains(&manifest.id.to_string())),
                at_rest: named.is_some_and(|m| m.clean.as_ref().is_some_and(|clean| layout.resembles(clean))),
                size_bytes: layout.size_bytes(),
                problem: manifest.err().map(|error| error.to_string()),
            });
        }
        found.sort_by(|a, b| a.directory.cmp(&b.directory));
        Ok(found)
    }

    /// Adopts one of the [`Tenancy::unadopted`] directories. One that cannot be adopted stays where it is.
    pub fn adopt(&self, organization: Uuid, directory: &str, naming: Naming, accept_loss: bool) -> Result<Arrival> {
        // The name is only ever compared, so it cannot lead anywhere.
        let found = self.unadopted()?.into_iter().find(|found| found.directory == directory);
        let found = found.ok_or(Error::NotFound("directory"))?;
        let from = self.directory.workspaces().join(&found.directory);
        let workspace = Uuid::now_v7();
        let place = self.directory_of(workspace);
        // Under its new name nobody who copies into the old one can change it while it is being checked.
        move_durably(&from, &place)?;
        failpoint::reach("adopt.moved");
        let arrival = self.take_in(organization, workspace, &place, naming, accept_loss);
        if arrival.is_err() {
            move_durably(&place, &from)?;
        }
        arrival
    }

    /// Makes a workspace of a directory in [`Tenancy::staging`]. One that cannot be taken is removed.
    pub fn take_over(&self, organization: Uuid, staged: &Path, naming: Naming) -> Result<Arrival> {
        let workspace = Uuid::now_v7();
        let arrival = self.take_in(organization, workspace, staged, naming, false);
        if arrival.is_err() {
            std::fs::remove_dir_all(staged)?;
        }
        arrival
    }

    /// Makes a workspace with what a snapshot of another holds.
    pub fn copy_workspace(&self, organization: Uuid, snapshot: &Snapshot, naming: Naming) -> Result<Arrival> {
        let staged = self.staging();
        if let Err(error) = snapshot.copy_to(&staged) {
            // What was copied so far goes; why it failed is what matters.
            let _ = std::fs::remove_dir_all(&staged);
            return Err(error);
        }
        self.take_over(organization, &staged, naming)
    }

    fn take_in(
        &self,
        organization: Uuid,
        workspace: Uuid,
        root: &Path,
        naming: Naming,
        accept_loss: bool,
    ) -> Result<Arrival> {
        let admitted = admit(root, workspace, naming.name.as_deref(), accept_loss)?;
        // Whoever brought the files may have left them to the cache.
        make_tree_durable(root)?;
        failpoint::reach("adopt.admitted");
        let now = crate::clock::now();
        let mut record = Workspace {
            id: workspace,
            organization_id: organization,
            name: admitted.manifest.name.clone(),
            slug: String::new(),
            description: naming.description,
            settings: naming.settings.unwrap_or_else(|| {
                [("language".to_owned(), Value::from(admitted.manifest.language.clone()))].into_iter().collect()
            }),
            embedding_model: admitted.manifest.embedding_model.name.clone(),
            created_at: now.clone(),
            updated_at: now,
        };
        let place = self.directory_of(workspace);
        self.db.write(|tx| {
            record.slug = match naming.slug {
                Some(slug) => slug,
                None => free_slug(tx, organization, &record.name)?,
            };
            insert(tx, &record)?;
            if root != place {
                move_durably(root, &place)?;
            }
            failpoint::reach("adopt.placed");
            Ok(())
        })?;
        Ok(Arrival { workspace: record, generation: admitted.generation, losses: admitted.losses })
    }
}

/// A slug made from `name` that no other workspace of the organization has.
fn free_slug(db: &rusqlite::Connection, organization: Uuid, name: &str) -> Result<String> {
    let mut base = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => base.push(c),
            _ if base.ends_with('-') || base.is_empty() => {}
            _ => base.push('-'),
        }
    }
    base.truncate(50);
    let base = match base.trim_end_matches('-') {
        "" => "workspace",
        base => base,
    };
    let mut query = db.prepare("SELECT slug FROM workspaces WHERE organization_id = ?1 AND deleted_at IS NULL")?;
    let taken: HashSet<String> =
        query.query_map([organization.to_string()], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let numbered = (2..).map(|number| format!("{base}-{number}"));
    let free = std::iter::once(base.to_owned()).chain(numbered).find(|slug| !taken.contains(slug));
    free.ok_or_else(|| Error::Conflict("no slug is free".into()))
}
