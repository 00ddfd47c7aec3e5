//! A consistent picture of a workspace, taken while others read and write.
//!
//! SQLite's online backup gives the database of one moment. The originals that it refers to never change under their
//! names and are pinned until the picture has been used. What is derived is left out: it comes back.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check::referenced_originals;
use super::layout::{Clean, DATABASE, Layout, Manifest, Sum};
use super::{Workspace, meta};
use crate::error::Result;
use crate::sqlite;

/// The parts of a workspace as they were at one moment.
pub struct Snapshot {
    /// Says of the directory that these parts make that it is at rest.
    pub manifest: Manifest,
    /// A copy of the database, which is removed when this is dropped.
    pub database: PathBuf,
    /// The originals, by their SHA-256, in order.
    pub originals: Vec<String>,
    workspace: Arc<Workspace>,
}

impl Workspace {
    /// Takes a picture of the workspace. `scratch` is a path on the same machine where nothing is yet.
    pub fn snapshot(self: &Arc<Self>, scratch: &Path) -> Result<Snapshot> {
        self.commits.pin();
        // From here on it cleans up after itself, whatever happens.
        let mut snapshot = Snapshot {
            manifest: self.manifest(),
            database: scratch.to_owned(),
            originals: Vec::new(),
            workspace: self.clone(),
        };
        self.read(|_| Ok(()))?;
        self.db.copy_to(&snapshot.database)?;
        let (generation, mut originals) = sqlite::read_file(&snapshot.database, |db| {
            Ok((meta(db, "generation")?, referenced_originals(db)?.into_iter().collect::<Vec<_>>()))
        })?;
        originals.sort();
        let files = BTreeMap::from([(DATABASE.to_owned(), Sum::of(&snapshot.database)?)]);
        snapshot.originals = originals;
        snapshot.manifest.clean = Some(Clean { generation, files });
        Ok(snapshot)
    }
}

impl Snapshot {
    /// An original, opened for reading.
    pub fn open(&self, original: &str) -> Result<File> {
        Ok(File::open(self.workspace.layout.file(original)?)?)
    }

    /// Bytes of all parts.
    pub fn size_bytes(&self) -> Result<u64> {
        let mut size = self.database.metadata()?.len();
        for original in &self.originals {
            size += self.open(original)?.metadata()?.len();
        }
        Ok(size)
    }

    /// Makes `root`, which must not exist, a directory of these parts.
    pub fn copy_to(&self, root: &Path) -> Result<()> {
        let layout = Layout::new(root);
        crate::datadir::make_private(root)?;
        std::fs::copy(&self.database, layout.database())?;
        for original in &self.originals {
            let place = layout.file(original)?;
            if let Some(shelf) = place.parent() {
                crate::datadir::make_private(shelf)?;
            }
            std::fs::copy(self.workspace.layout.file(original)?, &place)?;
        }
        layout.write_manifest(&self.manifest)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.workspace.commits.unpin();
        // What cannot be removed goes at the next start.
        let _ = std::fs::remove_file(&self.database);
    }
}
