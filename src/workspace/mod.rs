//! The directory of one workspace: everything it knows, and nothing of whom it belongs to.
//!
//! `knowledge.db` is the truth; the indexes beside it are derived and follow by generations ([`follow`]).
//! A [`Workspace`] is only to be had through the authorization step, so nothing here asks who is calling. All
//! calls block. No credential is ever written here: a copied directory gives no way in.

pub mod admit;
pub mod agents;
pub mod answers;
pub mod archive;
mod check;
mod checkpoint;
pub mod chunks;
mod commit;
pub mod documents;
pub mod evaluation_runs;
pub mod evaluations;
pub mod evidence;
pub mod facts;
pub mod feedback;
mod filter;
mod follow;
mod forgetting;
pub mod job_items;
pub mod job_results;
pub mod jobs;
mod layout;
pub mod listing;
mod models;
mod nearest;
mod network;
mod pace;
pub mod proposals;
mod rebuild;
pub mod reindex;
mod retention;
mod schema;
pub mod session_list;
pub mod sessions;
mod snapshot;
mod vectors;

use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use crate::datadir::{make_names_durable, make_private};
use crate::error::{Error, Result};
use crate::fulltext::Fulltext;
use crate::sqlite::{self, Access, Database};

pub use admit::{Admitted, admit};
pub use check::{Finding, Report, check_directory, referenced_originals as originals_of};
pub use commit::Change;
pub use filter::{Comparison, Filter, Scalar};
pub use follow::IndexState;
pub use layout::{Clean, Layout, Manifest, ModelIdentity, Sum};
pub use nearest::Probe;
pub use rebuild::in_context;
pub use snapshot::Snapshot;

/// An open workspace.
pub struct Workspace {
    manifest: Manifest,
    layout: Layout,
    db: Database,
    access: Access,
    fulltext: RwLock<Arc<Fulltext>>,
    index: follow::Following,
    vectors: RwLock<Arc<nearest::VectorIndex>>,
    loaded: network::Loaded,
    commits: commit::Queue,
    activity: Arc<checkpoint::Activity>,
    retention: retention::Retention,
    /// What was found wrong with the database, where something was: then nothing of it is told any more.
    damage: OnceLock<String>,
}

/// What a workspace has still to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Jobs that wait or were cut off.
    pub jobs: Vec<Uuid>,
    /// Whether there are documents whose facts are to be read.
    pub facts: bool,
    /// Whether there are chunks that a language model could be asked about.
    pub chunks: bool,
}

/// Counts and sizes of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    pub documents: u64,
    pub chunks: u64,
    pub vectors: u64,
    pub entities: u64,
    pub facts: u64,
    /// Documents whose facts are still to be read.
    pub facts_pending: u64,
    pub bytes_on_disk: u64,
    /// Raised by each commit that changes knowledge.
    pub generation: u64,
    /// The generation that the full-text index reflects.
    pub fulltext_generation: u64,
    pub fulltext_state: IndexState,
    /// The generation that the vector index reflects.
    pub vector_generation: u64,
    pub vector_state: IndexState,
}

impl Workspace {
    /// Makes the directory `root`, which must not exist. What fails leaves no directory behind.
    pub fn create(root: &Path, manifest: &Manifest) -> Result<()> {
        make_private(root)?;
        let made = Self::fill(root, manifest).and_then(|()| make_names_durable(root));
        if made.is_err() {
            std::fs::remove_dir_all(root)?;
        }
        made
    }

    fn fill(root: &Path, manifest: &Manifest) -> Result<()> {
        let layout = Layout::new(root);
        drop(open_database(&layout, manifest, Access::Write)?);
        // The manifest comes last: a directory without one was never finished.
        let clean = Clean { generation: 0, files: layout.sums(None)? };
        layout.write_manifest(&Manifest { clean: Some(clean), ..manifest.clone() })
    }

    /// Opens the directory `root`. What takes long to verify or to bring up goes on after the return;
    /// [`Workspace::index_state`] tells.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for a directory that is damaged or of a newer format, with a sentence that says so.
    pub fn open(root: &Path, access: Access) -> Result<Arc<Self>> {
        let layout = Layout::new(root);
        let mut manifest = layout.read_manifest()?;
        let clean = manifest.clean.take();
        let as_left = clean.as_ref().is_some_and(|clean| layout.resembles(clean));
        if clean.is_some() && !as_left && access == Access::Write {
            layout.write_manifest(&manifest)?;
        }
        let db = open_database(&layout, &manifest, access)?;
        let rotten = as_left && !clean.as_ref().is_some_and(|clean| layout.index_lists_are_of(clean));
        let open_index = if rotten { Fulltext::create } else { Fulltext::open };
        let fulltext = open_index(&layout.fulltext(), &manifest.language, access == Access::Read)?;
        let active = db
            .read(models::active)?
            .ok_or_else(|| Error::Unavailable("the workspace has no embedding model".into()))?;
        let vectors = nearest::VectorIndex::open(&layout.vectors(), active);
        let workspace = Arc::new(Workspace {
            manifest,
            layout,
            db,
            access,
            fulltext: RwLock::new(Arc::new(fulltext)),
            index: follow::Following::default(),
            vectors: RwLock::new(Arc::new(vectors)),
            loaded: network::Loaded::default(),
            commits: commit::Queue::default(),
            activity: Arc::new(checkpoint::Activity::new(clean, as_left)),
            retention: retention::Retention::default(),
            damage: OnceLock::new(),
        });
        workspace.bring_up(as_left)?;
        Ok(workspace)
    }

    /// Documents in the workspace at `root`, without opening it.
    pub fn peek_document_count(root: &Path) -> Result<u64> {
        sqlite::peek(&Layout::new(root).database(), |db| {
            Ok(db.query_row("SELECT count(*) FROM documents", [], |r| r.get(0))?)
        })
    }

    /// Bytes of memory that the vectors and the knowledge graph of the workspace at `root` take once it is open, about.
    pub fn peek_memory(root: &Path) -> u64 {
        let layout = Layout::new(root);
        crate::knn::code_bytes(&layout.vectors()) + crate::graph::snapshot::memory(&layout.index())
    }

    /// What the workspace at `root` has still to do, without opening it.
    pub fn peek_unfinished(root: &Path) -> Result<Unfinished> {
        sqlite::peek(&Layout::new(root).database(), |db| {
            // A file of an earlier version has not been read for facts.
            let facts = facts::pending(db).is_ok_and(|documents| documents == 0);
            let chunks = proposals::to_ask(db).is_ok_and(|chunks| chunks > 0);
            Ok(Unfinished { jobs: jobs::unfinished(db)?, facts: !facts, chunks })
        })
    }

    pub fn id(&self) -> Uuid {
        self.manifest.id
    }

    /// The model that made its vectors.
    pub fn model(&self) -> ModelIdentity {
        self.vectors().set.model.clone()
    }

    /// What the directory says of itself, but for whether it is at rest.
    fn manifest(&self) -> Manifest {
        Manifest { embedding_model: self.model(), clean: None, ..self.manifest.clone() }
    }

    /// The BM25 index as it is now.
    pub fn fulltext(&self) -> Arc<Fulltext> {
        self.fulltext.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The BM25 index, where it can be asked.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while it is being made anew.
    pub fn ready_fulltext(&self) -> Result<Arc<Fulltext>> {
        match self.index_state() {
            IndexState::Rebuilding => Err(Error::Unavailable("the full-text index is being rebuilt".into())),
            IndexState::Ready | IndexState::Behind => Ok(self.fulltext()),
        }
    }

    /// How telling each term is here, in the order given; all alike while the index is being made anew.
    pub fn idf(&self, terms: &[String]) -> Result<Vec<f32>> {
        self.ready_fulltext().map_or_else(|_| Ok(vec![1.0; terms.len()]), |fulltext| fulltext.idf(terms))
    }

    /// Whether the medium takes no writes.
    pub fn is_read_only(&self) -> bool {
        self.access == Access::Read
    }

    /// Runs `query` on a consistent view of the truth.
    fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        match self.damage.get() {
            Some(_) => Err(damaged()),
            None => self.db.read(query),
        }
    }

    /// Runs `change` in a transaction that is durable when this returns, or has left no trace. For what is no
    /// knowledge; that goes through [`Workspace::commit`].
    fn write<T>(&self, change: impl FnOnce(&rusqlite::Transaction<'_>) -> Result<T>) -> Result<T> {
        let _writing = self.writing()?;
        self.db.write(change)
    }

    /// Answers nobody any more: a damaged database may say anything.
    fn close_to_everyone(&self, found: &str) -> Error {
        tracing::error!(workspace.id = %self.id(), found, "the workspace's database is damaged");
        self.damage.get_or_init(|| found.to_owned());
        damaged()
    }

    /// The generation of the last commit.
    pub fn generation(&self) -> Result<u64> {
        self.read(|db| meta(db, "generation"))
    }

    pub fn stats(&self) -> Result<Stats> {
        let (fulltext_generation, fulltext_state) =
            (self.fulltext().stamp().unwrap_or_default().generation, self.index_state());
        let vectors = self.vectors();
        let bytes_on_disk = self.layout.size_bytes();
        self.read(|db| {
            let count = |sql| db.query_row(sql, [], |row| row.get::<_, u64>(0));
            let [entities, facts, facts_pending] = network::counts(db)?;
            Ok(Stats {
                documents: count("SELECT count(*) FROM documents")?,
                chunks: count("SELECT count(*) FROM chunks")?,
                vectors: db.query_row(
                    "SELECT count(*) FROM vector_sums WHERE model = ?1",
                    [vectors.set.number],
                    |row| row.get(0),
                )?,
                entities,
                facts,
                facts_pending,
                bytes_on_disk,
                generation: meta(db, "generation")?,
                fulltext_generation,
                fulltext_state,
                vector_generation: vectors.knn.stamp().generation,
                vector_state: vectors.following.state(),
            })
        })
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // An index that is being made compact holds its files for a while.
        self.activity.wait();
        if let Err(error) = self.checkpoint() {
            tracing::warn!(workspace.id = %self.id(), %error, "the workspace was closed in the middle of its work");
        }
        self.fulltext().rest();
    }
}

/// Opens the database of a directory, brought to the current version.
fn open_database(layout: &Layout, manifest: &Manifest, access: Access) -> Result<Database> {
    let db = Database::open(&layout.database(), schema::MIGRATIONS, access)?;
    // A new file knows no model yet, and neither does one that was written before a workspace could have several.
    if access == Access::Write && db.read(models::active)?.is_none() {
        db.write(|tx| models::ensure(tx, &manifest.embedding_model))?;
    }
    Ok(db)
}

fn damaged() -> Error {
    Error::Unavailable(sqlite::DAMAGED.to_owned())
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
