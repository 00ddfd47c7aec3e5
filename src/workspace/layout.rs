//! What is on disk: the names in a workspace's directory and its manifest.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};

/// The version of the directory's format.
const FORMAT: u32 = 1;

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

    /// Documents, chunks, vectors, agents, sessions, jobs: the truth.
    pub fn database(&self) -> PathBuf {
        self.root.join("knowledge.db")
    }

    /// The BM25 index: derived.
    pub fn fulltext(&self) -> PathBuf {
        self.root.join("index").join("fulltext")
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

    /// Bytes of all files in the directory.
    pub fn size_bytes(&self) -> u64 {
        let files = walkdir::WalkDir::new(&self.root).into_iter().flatten();
        files.filter_map(|entry| entry.metadata().ok()).filter(|m| m.is_file()).map(|m| m.len()).sum()
    }

    pub fn write_manifest(&self, manifest: &Manifest) -> Result<()> {
        let text = serde_json::to_string_pretty(manifest).map_err(|e| Error::internal("manifest", e))?;
        let (path, fresh) = (self.root.join("workspace.json"), self.root.join("workspace.json.new"));
        std::fs::write(&fresh, text)?;
        std::fs::File::open(&fresh)?.sync_all()?;
        Ok(std::fs::rename(fresh, path)?)
    }

    pub fn read_manifest(&self) -> Result<Manifest> {
        let text = std::fs::read(self.root.join("workspace.json"))?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|e| Error::internal("workspace.json", e))?;
        match manifest.format {
            FORMAT => Ok(manifest),
            newer => Err(Error::Unavailable(format!(
                "the workspace has format {newer}, this version of Carrel reads {FORMAT}"
            ))),
        }
    }
}

impl Manifest {
    /// The manifest of a new workspace.
    pub fn new(id: Uuid, name: &str, language: &str, embedding_model: ModelIdentity) -> Self {
        Manifest {
            format: FORMAT,
            id,
            name: name.to_owned(),
            language: language.to_owned(),
            embedding_model,
            made_by: concat!("carrel ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
