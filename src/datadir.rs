//! The data directory as a whole: its parts, its format, its lock.
//!
//! One process at a time owns the directory. The lock file names the owner's address and a key that is good for
//! the owner's life, so that commands on the same machine, run by whoever may read the directory, can reach it.
//! Knows no tenant and no table.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::digest::hex;
use crate::error::{Error, Result};
use crate::failpoint;
use crate::sqlite::Access;

/// The version of the data format that this program writes.
const FORMAT: &str = "1";

/// Room that is set aside, in bytes: as much as this, or one part in so many of what is free, but no less than that.
const BALLAST: u64 = 16 << 20;
const BALLAST_PART: u64 = 32;
const LEAST_BALLAST: u64 = 256 << 10;

/// How to reach the process that owns a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Base URL of its HTTP interface.
    pub url: String,
    /// A bearer token with the instance admin's rights, good until it ends.
    pub token: String,
}

/// A data directory that this process owns, or one on a medium that takes no writes and needs no owner.
pub struct DataDir {
    root: PathBuf,
    lock: Option<File>,
}

impl DataDir {
    /// Makes `root` where it is missing, takes its lock, checks its format and empties `tmp/`. One that exists and
    /// takes no writes is opened for reading.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where another process owns it or a newer version wrote it.
    pub fn open(root: &Path) -> Result<Self> {
        let place = root.display();
        let failed =
            |cause: std::io::Error| Error::Unavailable(format!("the data directory {place} cannot be used: {cause}"));
        if root.join("FORMAT").exists() && takes_no_writes(root) {
            check_format(&root.join("FORMAT"))?;
            return Ok(DataDir { root: root.to_owned(), lock: None });
        }
        if !root.join("FORMAT").exists() && holds_other_things(root) {
            return Err(Error::Unavailable(format!("{place} holds other files and is no data directory of Carrel")));
        }
        make_private(root).map_err(failed)?;
        let mut lock = private_file(&root.join("LOCK")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let owner = read_owner(&mut lock).map(|o| format!(" at {}", o.url)).unwrap_or_default();
                return Err(Error::Unavailable(format!("another carrel{owner} is using the data directory {place}")));
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        lock.set_len(0)?;
        check_format(&root.join("FORMAT"))?;
        let tmp = root.join("tmp");
        if tmp.exists() {
            std::fs::remove_dir_all(&tmp)?;
        }
        for part in ["tmp", "trash", "workspaces"] {
            make_private(&root.join(part)).map_err(failed)?;
        }
        Ok(DataDir { root: root.to_owned(), lock: Some(lock) })
    }

    /// Whether `root` is a data directory, of this process or of any other.
    pub fn is_one(root: &Path) -> bool {
        root.join("FORMAT").is_file() && root.join("control.db").is_file()
    }

    /// The process that owns `root`, or `None` where none does. One that is still starting has no address yet:
    /// [`Error::Unavailable`].
    pub fn owner(root: &Path) -> Result<Option<Owner>> {
        let mut lock = match File::open(root.join("LOCK")) {
            Ok(file) => file,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(cause.into()),
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::Error(cause)) => Err(cause.into()),
            Err(TryLockError::WouldBlock) => read_owner(&mut lock)
                .map(Some)
                .ok_or_else(|| Error::Unavailable("another carrel is just opening this data directory".into())),
        }
    }

    /// Sets some room aside, so that deleting works on a disk that has become full; where there is plenty.
    pub fn keep_ballast(&self) -> Result<()> {
        let ballast = self.root.join("ballast");
        let free = free_bytes(&self.root).unwrap_or(0);
        if self.access() == Access::Read || ballast.exists() || free / BALLAST_PART < LEAST_BALLAST {
            return Ok(());
        }
        let size = BALLAST.min(free / BALLAST_PART);
        let filled = private_file(&ballast).and_then(|file| {
            let mut zeros = std::io::repeat(0).take(size);
            std::io::copy(&mut zeros, &mut &file).map(drop)
        });
        if filled.is_err() {
            self.release_ballast();
        }
        Ok(filled?)
    }

    /// Gives the room back that was set aside. `false` where there was none.
    pub fn release_ballast(&self) -> bool {
        std::fs::remove_file(self.root.join("ballast")).is_ok()
    }

    /// Tells other processes how to reach this one.
    pub fn announce(&self, owner: &Owner) -> Result<()> {
        let text = serde_json::to_string(owner).map_err(|e| Error::internal("lock", e))?;
        let Some(mut lock) = self.lock.as_ref() else { return Ok(()) };
        lock.rewind()?;
        lock.set_len(0)?;
        lock.write_all(text.as_bytes())?;
        Ok(())
    }

    /// What may be done to what lies in the directory.
    pub fn access(&self) -> Access {
        if self.lock.is_some() { Access::Write } else { Access::Read }
    }

    /// The database of who owns what.
    pub fn control(&self) -> PathBuf {
        self.root.join("control.db")
    }

    /// The disposable cache.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Deleted workspaces until their days are over.
    pub fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// Files that are needed no longer than the process lives.
    pub fn scratch(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The parent of all workspaces' directories.
    pub fn workspaces(&self) -> PathBuf {
        self.root.join("workspaces")
    }

    /// An empty file for an upload in flight, on the file system of the workspaces.
    pub fn upload(&self) -> Result<Upload> {
        let path = self.scratch().join(Uuid::now_v7().to_string());
        let file = private_file(&path)?;
        Ok(Upload { file: Some(file), path, hash: Sha256::new(), size: 0 })
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // An address that nobody listens on any more must not be found by the next command.
        if let Some(lock) = &self.lock
            && let Err(error) = lock.set_len(0)
        {
            tracing::debug!(%error, "the lock file could not be emptied");
        }
    }
}

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

    /// Ends the upload. The bytes are durable once they were kept and [`make_durable`] was called.
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

/// Makes files and their names durable: on Linux all at once, elsewhere one by one.
pub fn make_durable(files: &[PathBuf]) -> Result<()> {
    #[cfg(target_os = "linux")]
    if let Some(file) = files.first() {
        rustix::fs::syncfs(File::open(file)?).map_err(std::io::Error::from)?;
    }
    #[cfg(not(target_os = "linux"))]
    for file in files {
        File::open(file)?.sync_all()?;
        #[cfg(unix)]
        if let Some(directory) = file.parent() {
            File::open(directory)?.sync_all()?;
        }
    }
    Ok(())
}

/// Makes a directory with all that is in it durable.
pub fn make_tree_durable(root: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    make_durable(&[root.to_owned()])?;
    #[cfg(not(target_os = "linux"))]
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.map_err(std::io::Error::from)?;
        if entry.file_type().is_file() || cfg!(unix) {
            File::open(entry.path())?.sync_all()?;
        }
    }
    Ok(())
}

/// Gives a file or directory another place on the same file system; it is there after a power cut.
pub fn move_durably(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to)?;
    make_names_durable(to)?;
    if from.parent() == to.parent() { Ok(()) } else { make_names_durable(from) }
}

/// Writes a small file: after a power cut it is the one from before or this one, and this one once this has returned.
pub fn write_whole(path: &Path, text: &str) -> Result<()> {
    let fresh = path.with_added_extension("new");
    std::fs::write(&fresh, text)?;
    File::open(&fresh)?.sync_all()?;
    failpoint::reach("file.fresh");
    std::fs::rename(fresh, path)?;
    failpoint::reach("file.renamed");
    make_names_durable(path)
}

/// Makes durable which names there are beside `path`.
pub fn make_names_durable(path: &Path) -> Result<()> {
    #[cfg(unix)]
    if let Some(directory) = path.parent() {
        File::open(directory)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Whether the file system, or whoever runs it, forbids to write in `root`.
fn takes_no_writes(root: &Path) -> bool {
    let forbidden = [std::io::ErrorKind::ReadOnlyFilesystem, std::io::ErrorKind::PermissionDenied];
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(root.join("LOCK"))
        .is_err_and(|error| forbidden.contains(&error.kind()))
}

/// Whether a directory without a format holds anything but what may lie in a fresh one.
fn holds_other_things(root: &Path) -> bool {
    let fresh = ["README.md", "LOCK", "FORMAT.new", "lost+found"];
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| {
        let name = name.to_string_lossy();
        !name.starts_with('.') && !fresh.contains(&name.as_ref())
    })
}

/// Bytes that can still be written to the file system of `path`; `None` where the system does not tell.
pub fn free_bytes(path: &Path) -> Option<u64> {
    #[cfg(target_os = "linux")]
    {
        let found = rustix::fs::statvfs(path).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}

fn check_format(path: &Path) -> Result<()> {
    match std::fs::read_to_string(path) {
        Ok(found) if found.trim() == FORMAT => Ok(()),
        Ok(found) => Err(Error::Unavailable(format!(
            "the data directory has format {}, this version of Carrel reads format {FORMAT}",
            found.trim()
        ))),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => write_whole(path, FORMAT),
        Err(cause) => Err(cause.into()),
    }
}

fn read_owner(lock: &mut File) -> Option<Owner> {
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Makes a directory that only this user may enter.
pub fn make_private(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}
