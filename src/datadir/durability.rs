//! What must be there after a power cut.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::failpoint;

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
