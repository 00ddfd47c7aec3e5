//! Uploads in flight: files in `tmp/` that a workspace may take in.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{DataDir, private_file};
use crate::digest::hex;
use crate::error::Result;

/// Bytes on their way in: hashed as they are written, removed unless they are kept.
pub struct Upload {
    file: Option<File>,
    path: PathBuf,
    hash: Sha256,
    size: u64,
}

/// A complete upload, waiting to be moved into a workspace; removed when dropped.
pub struct Uploaded {
    path: PathBuf,
    /// SHA-256 of the bytes in lower-case hexadecimal.
    pub sha256: String,
    /// Number of bytes.
    pub size: u64,
}

impl DataDir {
    /// An empty file for an upload in flight, on the file system of the workspaces.
    pub fn upload(&self) -> Result<Upload> {
        let path = self.scratch().join(Uuid::now_v7().to_string());
        let file = private_file(&path)?;
        Ok(Upload { file: Some(file), path, hash: Sha256::new(), size: 0 })
    }
}

impl Upload {
    /// Appends `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Bytes so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the upload. The bytes are durable once they were kept and [`super::make_durable`] was called.
    pub fn finish(mut self) -> Result<Uploaded> {
        self.file = None;
        let sha256 = hex(&std::mem::take(&mut self.hash).finalize());
        Ok(Uploaded { path: std::mem::take(&mut self.path), sha256, size: self.size })
    }
}

impl Uploaded {
    /// The bytes.
    pub fn read(&self) -> Result<Vec<u8>> {
        Ok(std::fs::read(&self.path)?)
    }

    /// Where the bytes lie until the upload is kept or dropped.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

impl Drop for Uploaded {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    // Gone already where the file was moved into a workspace; what is left over goes at the next start.
    let _ = std::fs::remove_file(path);
}
