//! What is on disk: the names in a workspace's directory and its manifest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::datadir::write_whole;
use crate::error::{Error, Result};

/// The version of the directory's format.
const FORMAT: u32 = 1;
/// Bytes of a manifest at most.
const LARGEST_MANIFEST: u64 = 16 << 20;

/// Names in the directory, as the manifest and archives have them.
pub const MANIFEST: &str = "workspace.json";
pub const DATABASE: &str = "knowledge.db";
const INDEX: &str = "index/fulltext";

/// `workspace.json`: what the directory says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the directory's format.
    pub format: u32,
    pub id: Uuid,
    pub name: String,
    /// The language whose words are stemmed in full-text search.
    pub language: String,
    pub embedding_model: ModelIdentity,
    /// The program that made the directory.
    pub made_by: String,
    /// What lies in the directory while nothing is being changed; absent while something is, or was when the
    /// program or the machine stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean: Option<Clean>,
}

/// A directory at rest: SQLite's log is empty, nothing deleted is left, and these are its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clean {
    /// The last commit of knowledge.
    pub generation: u64,
    /// Files by their path in the directory, but for the originals: their names are their sums.
    pub files: BTreeMap<String, Sum>,
}

/// What a file must be to be the one that was meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    pub size: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

impl Sum {
    /// Reads the file at `path`.
    pub fn of(path: &Path) -> Result<Self> {
        let (size, sha256) = crate::digest::copy(File::open(path)?, std::io::sink())?;
        Ok(Sum { size, sha256 })
    }
}

/// Which model made the vectors of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelIdentity {
    pub name: String,
    /// Numbers in a vector.
    pub dimension: usize,
    /// SHA-256 of the ONNX file in hexadecimal.
    pub sha256: String,
}

/// The paths of a workspace's directory.
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    pub fn new(root: &Path) -> Self {
        Layout { root: root.to_owned() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Documents, chunks, vectors, agents, sessions, jobs: the truth.
    pub fn database(&self) -> PathBuf {
        self.root.join(DATABASE)
    }

    /// The BM25 index: derived.
    pub fn fulltext(&self) -> PathBuf {
        self.root.join(INDEX)
    }

    /// The vector indexes, one for each model: derived.
    pub fn vectors(&self) -> PathBuf {
        self.root.join("index/vectors")
    }

    /// What is derived.
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// The original with this SHA-256: `files/ab/cdef…`.
    pub fn file(&self, sha256: &str) -> Result<PathBuf> {
        match (sha256.get(..2), sha256.get(2..)) {
            (Some(shelf), Some(rest)) if sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit()) => {
                Ok(self.root.join("files").join(shelf).join(rest))
            }
            _ => Err(Error::Internal("a file's name is no SHA-256".into())),
        }
    }

    /// The originals, below shelves of two digits.
    pub fn originals(&self) -> PathBuf {
        self.root.join("files")
    }

    /// What SQLite has committed and not yet moved into the database.
    pub fn database_log(&self) -> PathBuf {
        self.root.join("knowledge.db-wal")
    }

    /// SQLite's notes about its log, which it makes anew.
    pub fn database_notes(&self) -> PathBuf {
        self.root.join("knowledge.db-shm")
    }

    /// The sums of a directory at rest. A file that never changes under its name keeps the sum that it has in
    /// `before`.
    pub fn sums(&self, before: Option<&Clean>) -> Result<BTreeMap<String, Sum>> {
        let mut sums = BTreeMap::from([(DATABASE.to_owned(), Sum::of(&self.database())?)]);
        let index = self.fulltext();
        if !index.exists() {
            return Ok(sums);
        }
        for entry in std::fs::read_dir(&index)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".lock") {
                continue;
            }
            let path = format!("{INDEX}/{name}");
            let size = entry.metadata()?.len();
            // tantivy names what it writes once after a random number; its lists have fixed names.
            let known = before.and_then(|clean| clean.files.get(&path));
            let known = known.filter(|sum| sum.size == size && !name.ends_with(".json"));
            let sum = known.cloned().map_or_else(|| Sum::of(&entry.path()), Ok)?;
            sums.insert(path, sum);
        }
        Ok(sums)
    }

    /// Whether the directory looks, by the sizes of its files, as `clean` has it.
    pub fn resembles(&self, clean: &Clean) -> bool {
        let size = |path: &Path| path.metadata().map(|m| m.len()).ok();
        size(&self.database_log()).is_none_or(|size| size == 0)
            && clean.files.iter().all(|(path, sum)| size(&self.root.join(path)) == Some(sum.size))
    }

    /// Whether the index's lists of what it consists of have the sums of the rest: alone among its files they bear no
    /// checksums of their own.
    pub fn index_lists_are_of(&self, clean: &Clean) -> bool {
        let mut lists = clean.files.iter().filter(|(path, _)| path.starts_with(INDEX) && path.ends_with(".json"));
        lists.all(|(path, sum)| Sum::of(&self.root.join(path)).is_ok_and(|found| found == *sum))
    }

    /// Bytes of all files in the directory.
    pub fn size_bytes(&self) -> u64 {
        let files = walkdir::WalkDir::new(&self.root).into_iter().flatten();
        files.filter_map(|entry| entry.metadata().ok()).filter(|m| m.is_file()).map(|m| m.len()).sum()
    }

    pub fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        let text = serde_json::to_string_pretty(manifest).map_err(|e| Error::internal("manifest", e))?;
        write_whole(&self.root.join(MANIFEST), &text)
    }

    /// Reads the manifest.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with a sentence that says what is wrong with it.
    pub fn read_manifest(&self) -> Result<Manifest> {
        let unreadable = |why: &dyn std::fmt::Display| {
            Error::Unavailable(format!("workspace.json, the manifest of the workspace, cannot be read: {why}"))
        };
        let mut text = Vec::new();
        let file = File::open(self.root.join(MANIFEST)).map_err(|e| unreadable(&e.kind()))?;
        file.take(LARGEST_MANIFEST).read_to_end(&mut text).map_err(|e| unreadable(&e.kind()))?;
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(|e| unreadable(&e))?;
        match value["format"].as_u64() {
            Some(format) if (1..=u64::from(FORMAT)).contains(&format) => {
                serde_json::from_value(value).map_err(|e| unreadable(&e))
            }
            Some(format) => Err(Error::Unavailable(format!(
                "the workspace has format {format}, this version of Carrel reads up to {FORMAT}"
            ))),
            None => Err(unreadable(&"it names no format")),
        }
    }
}

impl Clean {
    /// Whether the database of that rest is this one.
    pub fn is_of(&self, database: &Sum) -> bool {
        self.files.get(DATABASE) == Some(database)
    }
}

impl Manifest {
    /// The manifest of a directory that holds this database and nothing that is derived.
    pub fn at_rest_with(&self, database: Sum) -> Self {
        let generation = self.clean.as_ref().map_or(0, |clean| clean.generation);
        let files = BTreeMap::from([(DATABASE.to_owned(), database)]);
        Manifest { clean: Some(Clean { generation, files }), ..self.clone() }
    }

    /// The manifest of a new workspace.
    pub fn new(id: Uuid, name: &str, language: &str, embedding_model: ModelIdentity) -> Self {
        Manifest {
            format: FORMAT,
            id,
            name: name.to_owned(),
            language: language.to_owned(),
            embedding_model,
            made_by: concat!("carrel ", env!("CARGO_PKG_VERSION")).to_owned(),
            clean: None,
        }
    }
}
