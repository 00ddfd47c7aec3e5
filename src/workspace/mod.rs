//! The directory of one workspace: everything it knows, and nothing of whom it belongs to.
//!
//! `knowledge.db` is the truth; the full-text index beside it is derived and follows by generations ([`commit`]).
//! A [`Workspace`] is only to be had through the authorization step, so nothing here asks who is calling. All
//! calls block. No credential is ever written here: a copied directory gives no way in.

pub mod agents;
pub mod chunks;
mod commit;
pub mod documents;
mod filter;
pub mod jobs;
mod layout;
mod rebuild;
mod schema;
pub mod sessions;
mod vectors;

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use crate::error::Result;
use crate::fulltext::Fulltext;
use crate::sqlite::{self, Database};

pub use commit::Change;
pub use filter::{Comparison, Filter, Scalar};
pub use layout::{Layout, Manifest, ModelIdentity};
pub use rebuild::in_context;

/// An open workspace.
pub struct Workspace {
    manifest: Manifest,
    layout: Layout,
    db: Database,
    fulltext: Fulltext,
    commits: commit::Queue,
}

/// Counts and sizes of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    pub documents: u64,
    pub chunks: u64,
    pub vectors: u64,
    pub bytes_on_disk: u64,
    /// Raised by each commit that changes knowledge.
    pub generation: u64,
    /// The generation that the full-text index reflects.
    pub fulltext_generation: u64,
}

impl Workspace {
    /// Makes the directory `root`, which must not exist, and opens it. What fails leaves no directory behind.
    pub fn create(root: &Path, manifest: &Manifest) -> Result<Self> {
        crate::datadir::make_private(root)?;
        let made = Self::fill(root, manifest).and_then(|()| Self::open(root));
        if made.is_err() {
            std::fs::remove_dir_all(root)?;
        }
        made
    }

    fn fill(root: &Path, manifest: &Manifest) -> Result<()> {
        let layout = Layout::new(root);
        let db = Database::open(&layout.database(), schema::MIGRATIONS)?;
        let vectors = schema::vectors(manifest.embedding_model.dimension);
        db.write(|tx| Ok(tx.execute_batch(&vectors)?))?;
        // The manifest comes last: a directory without one was never finished.
        layout.write_manifest(manifest)
    }

    /// Opens the directory `root` and lets its full-text index catch up.
    pub fn open(root: &Path) -> Result<Self> {
        let layout = Layout::new(root);
        let manifest = layout.read_manifest()?;
        let db = Database::open(&layout.database(), schema::MIGRATIONS)?;
        let fulltext = Fulltext::open(&layout.fulltext(), &manifest.language)?;
        let workspace = Workspace { manifest, layout, db, fulltext, commits: commit::Queue::default() };
        if let Err(error) = workspace.catch_up() {
            tracing::error!(workspace.id = %workspace.id(), %error, "the full-text index could not catch up");
        }
        Ok(workspace)
    }

    /// Documents in the workspace at `root`, without opening it.
    pub fn peek_document_count(root: &Path) -> Result<u64> {
        sqlite::peek(&Layout::new(root).database(), |db| {
            Ok(db.query_row("SELECT count(*) FROM documents", [], |r| r.get(0))?)
        })
    }

    /// Whether the workspace at `root` has jobs that wait or were cut off, without opening it.
    pub fn peek_unfinished_jobs(root: &Path) -> Result<Vec<Uuid>> {
        sqlite::peek(&Layout::new(root).database(), jobs::unfinished)
    }

    pub fn id(&self) -> Uuid {
        self.manifest.id
    }

    /// The model that made its vectors.
    pub fn model(&self) -> &ModelIdentity {
        &self.manifest.embedding_model
    }

    /// The BM25 index.
    pub fn fulltext(&self) -> &Fulltext {
        &self.fulltext
    }

    /// Runs `query` on a consistent view of the truth.
    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        self.db.read(query)
    }

    /// The generation of the last commit.
    pub fn generation(&self) -> Result<u64> {
        self.read(|db| meta(db, "generation"))
    }

    pub fn stats(&self) -> Result<Stats> {
        let fulltext_generation = self.fulltext.generation()?;
        let bytes_on_disk = self.layout.size_bytes();
        self.read(|db| {
            let count = |sql| db.query_row(sql, [], |row| row.get::<_, u64>(0));
            Ok(Stats {
                documents: count("SELECT count(*) FROM documents")?,
                chunks: count("SELECT count(*) FROM chunks")?,
                vectors: count("SELECT count(*) FROM vectors_rowids")?,
                bytes_on_disk,
                generation: meta(db, "generation")?,
                fulltext_generation,
            })
        })
    }

    /// Gives back what is only needed while there are changes.
    pub fn rest(&self) {
        self.fulltext.rest();
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.fulltext.rest();
    }
}

fn meta(db: &Connection, key: &str) -> Result<u64> {
    let value: Option<i64> =
        db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?;
    Ok(value.and_then(|v| u64::try_from(v).ok()).unwrap_or(0))
}

fn set_meta(db: &Connection, key: &str, value: u64) -> Result<()> {
    db.execute("UPDATE meta SET value = ?2 WHERE key = ?1", (key, value as i64))?;
    Ok(())
}

/// A column that holds JSON which this program wrote.
fn json<T: serde::de::DeserializeOwned>(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}

/// A column that holds an id.
fn id(row: &rusqlite::Row<'_>, column: &str) -> rusqlite::Result<Uuid> {
    let text: String = row.get(column)?;
    Uuid::parse_str(&text)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(e)))
}

/// JSON for a column.
fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| crate::error::Error::internal("json", e))
}
