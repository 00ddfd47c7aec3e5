//! The index's files as tantivy wants them, read with `pread`.
//!
//! tantivy's own directory maps files, and a mapped file that somebody else truncates kills the process. A read past
//! the end is an error instead. What was opened stays readable after its name is gone, as tantivy's contract has it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::HasLen;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, OwnedBytes, WatchCallback, WatchHandle, WritePtr,
};

use crate::pread::read_exact_at;

/// A directory of index files on the file system.
#[derive(Clone, Debug)]
pub struct Files {
    root: PathBuf,
    /// Writes, locks and deletes.
    inner: MmapDirectory,
    /// Whether the medium takes no writes; then there is nobody to lock out either.
    read_only: bool,
}

impl Files {
    /// The files in `root`, which exists.
    pub fn open(root: &Path, read_only: bool) -> tantivy::Result<Self> {
        Ok(Files { root: root.to_owned(), inner: MmapDirectory::open(root)?, read_only })
    }
}

#[derive(Debug)]
struct Handle {
    file: File,
    length: usize,
}

impl HasLen for Handle {
    fn len(&self) -> usize {
        self.length
    }
}

impl FileHandle for Handle {
    fn read_bytes(&self, range: Range<usize>) -> io::Result<OwnedBytes> {
        let mut bytes = vec![0; range.len()];
        read_exact_at(&self.file, &mut bytes, range.start as u64)?;
        Ok(OwnedBytes::new(bytes))
    }
}

impl Directory for Files {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        let opened = File::open(self.root.join(path)).and_then(|file| {
            let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
            Ok(Handle { file, length })
        });
        match opened {
            Ok(handle) => Ok(Arc::new(handle)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(OpenReadError::FileDoesNotExist(path.to_owned()))
            }
            Err(error) => Err(OpenReadError::wrap_io_error(error, path.to_owned())),
        }
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.inner.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.inner.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.inner.open_write(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.inner.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.inner.atomic_write(path, data)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        match self.read_only {
            true => Ok(DirectoryLock::from(Box::new(()))),
            false => self.inner.acquire_lock(lock),
        }
    }

    fn watch(&self, _: WatchCallback) -> tantivy::Result<WatchHandle> {
        // Readers are reloaded by hand after each commit.
        Ok(WatchHandle::empty())
    }
}
