//! The data directory as a whole: its parts, its format, its lock.
//!
//! One process at a time owns the directory. The lock file names the owner's address and a key that is good for
//! the owner's life, so that commands on the same machine, run by whoever may read the directory, can reach it.
//! Knows no tenant and no table.

mod durability;
mod medium;
mod upload;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::sqlite::Access;

pub use durability::{make_durable, make_names_durable, make_tree_durable, move_durably, write_whole};
pub use medium::free_bytes;
pub use upload::{Upload, Uploaded};

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
    access: Access,
}

impl DataDir {
    /// Makes `root` where it is missing, takes its lock, checks its format and empties `tmp/`. One that exists and
    /// takes no writes, or has no room for any, is opened for reading.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where another process owns it, a newer version wrote it, or it lies on another machine
    /// and `allow_network_fs` is not set.
    pub fn open(root: &Path, allow_network_fs: bool) -> Result<Self> {
        let place = root.display();
        let failed =
            |cause: std::io::Error| Error::Unavailable(format!("the data directory {place} cannot be used: {cause}"));
        if root.join("FORMAT").exists() && medium::takes_no_writes(root) {
            check_format(&root.join("FORMAT"))?;
            return Ok(DataDir { root: root.to_owned(), lock: None, access: Access::Read });
        }
        if !root.join("FORMAT").exists() && holds_other_things(root) {
            return Err(Error::Unavailable(format!("{place} holds other files and is no data directory of Carrel")));
        }
        medium::refuse_network(root, allow_network_fs)?;
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
        empty(&root.join("tmp"))?;
        for part in ["tmp", "trash", "workspaces"] {
            make_private(&root.join(part)).map_err(failed)?;
        }
        let mut directory = DataDir { root: root.to_owned(), lock: Some(lock), access: Access::Write };
        let full = !medium::has_room(&directory.scratch());
        if full && !(directory.release_ballast() && medium::has_room(&directory.scratch())) {
            tracing::warn!("the disk is full: what is there can be read; make room and start again to write");
            directory.access = Access::Read;
        }
        Ok(directory)
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
        self.access
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

    /// A file that is gone when it is closed.
    pub fn scratch_file(&self) -> Result<File> {
        let path = self.scratch().join(uuid::Uuid::now_v7().to_string());
        let file = private_file(&path)?;
        // Its bytes stay for whoever has it open; where they do not, the next start empties the folder.
        let _ = std::fs::remove_file(&path);
        Ok(file)
    }

    /// The parent of all workspaces' directories.
    pub fn workspaces(&self) -> PathBuf {
        self.root.join("workspaces")
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

/// Whether a directory without a format holds anything but what may lie in a fresh one.
fn holds_other_things(root: &Path) -> bool {
    let fresh = ["README.md", "LOCK", "FORMAT.new", "lost+found"];
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).any(|name| {
        let name = name.to_string_lossy();
        !name.starts_with('.') && !fresh.contains(&name.as_ref())
    })
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

/// Removes what is in a directory, where there is one. The directory itself stays: on a full disk a new one has no room.
fn empty(directory: &Path) -> Result<()> {
    if !directory.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => std::fs::remove_dir_all(entry.path())?,
            false => std::fs::remove_file(entry.path())?,
        }
    }
    Ok(())
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
