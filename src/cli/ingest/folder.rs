//! What lies in the folders that are taken in: which files, what each is called, and which folder it is of.
//!
//! Knows no workspace. Links are not followed, hidden and temporary files stay out unless asked for, and
//! `.carrelignore` is the only list of exceptions that is read: what a project keeps out of its version control may well
//! belong in its knowledge base.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use ignore::{DirEntry, WalkBuilder};

use super::super::{Failure, Outcome};
use crate::datadir::DataDir;
use crate::digest::sha256;
use crate::ingest::clutter::{is_clutter, is_of_system};

/// Files of this name say, in gitignore's syntax, what is not taken in.
pub const EXCEPTIONS: &str = ".carrelignore";

/// Hexadecimal digits that tell folders of one name apart.
const DIGITS: usize = 10;

/// A folder or a file that was named.
pub struct Root {
    path: PathBuf,
    is_file: bool,
    /// What its documents say of where they came from; `None` for a file by itself.
    pub folder: Option<Arc<str>>,
    /// What goes before the names of its files.
    prefix: Option<String>,
}

/// A file and what it is called in the workspace.
#[derive(Debug, Clone)]
pub struct Found {
    pub path: PathBuf,
    pub source: String,
    pub folder: Option<Arc<str>>,
    pub stamp: Stamp,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    modified: Option<SystemTime>,
}

/// What a look at the roots found.
#[derive(Default)]
pub struct Scan {
    pub files: Vec<Found>,
    /// Files that are perhaps being written: they are there, and no more is known of them.
    pub unsettled: Vec<Found>,
    /// Files without a byte: they are there, and nothing of them goes in.
    pub empty: Vec<Found>,
    /// Places that could not be read, by what they are called, and why. What is below them is not known.
    pub unread: Vec<(String, String)>,
    /// What was left out, in sentences.
    pub notes: Vec<String>,
}

impl Root {
    /// A root that is there. `name` stands for the folder instead of its own mark; with `prefixed`, its name goes before
    /// those of its files, so that files of several folders stay apart.
    pub fn open(path: &Path, name: Option<&str>, prefixed: bool) -> Outcome<Root> {
        let about = |e: std::io::Error| Failure::Failed(format!("{}: {e}", path.display()));
        let resolved = path.canonicalize().map_err(about)?;
        let kind = resolved.metadata().map_err(about)?;
        if kind.is_file() {
            return Ok(Root { path: resolved, is_file: true, folder: None, prefix: None });
        }
        if !kind.is_dir() {
            return Err(Failure::Failed(format!("{} is neither a file nor a folder", path.display())));
        }
        let last = path.file_name().or(resolved.file_name()).map(|name| name.to_string_lossy().into_owned());
        let folder = name.map_or_else(|| mark(&resolved), str::to_owned);
        Ok(Root { path: resolved, is_file: false, folder: Some(folder.into()), prefix: last.filter(|_| prefixed) })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn source(&self, path: &Path) -> Option<String> {
        let below = if self.is_file { Path::new(path.file_name()?) } else { path.strip_prefix(&self.path).ok()? };
        let mut parts: Vec<&str> = self.prefix.iter().map(String::as_str).collect();
        for part in below {
            parts.push(part.to_str()?);
        }
        Some(parts.join("/"))
    }
}

/// What tells a folder from others where nobody named it: its name, and a digest of the machine and the place, which
/// gives neither away.
fn mark(folder: &Path) -> String {
    // Where a machine has no such number, its folders are told apart by their places alone.
    let mut identity = std::fs::read("/etc/machine-id").unwrap_or_default();
    identity.push(0);
    identity.extend_from_slice(folder.as_os_str().as_encoded_bytes());
    let digest: String = sha256(&identity).chars().take(DIGITS).collect();
    let name = folder.file_name().map_or("folder".into(), OsStr::to_string_lossy);
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    format!("{name}-{digest}")
}

/// Every file of the roots. Blocks.
///
/// # Errors
/// Where a root cannot be read, or two files would be one document.
pub fn scan(roots: &[Root], hidden: bool) -> Outcome<Scan> {
    let mut scan = Scan::default();
    for root in roots {
        let about = |e: std::io::Error| Failure::Failed(format!("{}: {e}", root.path.display()));
        match root.is_file {
            true => scan.take(root, &root.path, &root.path.metadata().map_err(about)?),
            false => scan.walk(root, hidden)?,
        }
    }
    let mut sources = HashSet::new();
    if let Some(twice) = scan.files.iter().find(|file| !sources.insert(file.source.as_str())) {
        let why = format!("two files would be the document {}; name the folder that holds both", twice.source);
        return Err(Failure::Usage(why));
    }
    Ok(scan)
}

impl Scan {
    fn walk(&mut self, root: &Root, hidden: bool) -> Outcome<()> {
        let ours: Arc<Mutex<Vec<PathBuf>>> = Arc::default();
        let noted = ours.clone();
        let mut walk = WalkBuilder::new(&root.path);
        walk.standard_filters(false).hidden(!hidden).add_custom_ignore_filename(EXCEPTIONS);
        walk.sort_by_file_name(OsStr::cmp).filter_entry(move |entry| {
            let is_ours = is_directory(entry) && DataDir::is_one(entry.path());
            if is_ours {
                noted.lock().unwrap_or_else(PoisonError::into_inner).push(entry.path().to_owned());
            }
            let name = entry.file_name().to_string_lossy();
            let is_left_out = if hidden { is_of_system(&name) } else { is_clutter(&name, is_directory(entry)) };
            !is_ours && (entry.depth() == 0 || !is_left_out) && entry.file_name() != EXCEPTIONS
        });
        let (mut links, empty) = (0, self.empty.len());
        for entry in walk.build() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.note_unread(root, &error)?;
                    continue;
                }
            };
            if let Some(error) = entry.error() {
                self.notes.push(format!("{EXCEPTIONS}: {error}"));
            }
            let kind = entry.file_type();
            links += usize::from(kind.is_some_and(|kind| kind.is_symlink()));
            if kind.is_some_and(|kind| kind.is_file()) {
                match entry.metadata() {
                    Ok(metadata) => self.take(root, entry.path(), &metadata),
                    Err(error) => self.note_unread(root, &error)?,
                }
            }
        }
        if links > 0 {
            self.notes.push(format!("links are not followed: {links} in {}", root.path.display()));
        }
        let empty = self.empty.len() - empty;
        if empty > 0 {
            self.notes.push(format!("empty files are left out: {empty} in {}", root.path.display()));
        }
        for directory in ours.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            self.notes.push(format!("{} is a data directory of Carrel, and is left out", directory.display()));
        }
        Ok(())
    }

    fn take(&mut self, root: &Root, path: &Path, metadata: &std::fs::Metadata) {
        let Some(source) = root.source(path) else {
            self.notes.push(format!("{}: the name is no UTF-8, and the file is left out", path.display()));
            return;
        };
        let stamp = Stamp { size: metadata.len(), modified: metadata.modified().ok() };
        // One that was named itself is wanted, and fails where it is empty.
        let files = if stamp.size == 0 && !root.is_file { &mut self.empty } else { &mut self.files };
        files.push(Found { path: path.to_owned(), source, folder: root.folder.clone(), stamp });
    }

    /// Takes down what could not be read. What went while it was being looked at is simply not there.
    fn note_unread(&mut self, root: &Root, error: &ignore::Error) -> Outcome<()> {
        let path = path_of(error).unwrap_or(&root.path);
        let kind = error.io_error().map(std::io::Error::kind);
        let why = kind.map_or_else(|| error.to_string(), |kind| kind.to_string());
        let gone = kind == Some(std::io::ErrorKind::NotFound);
        match path == root.path {
            true => Err(Failure::Failed(format!("{}: {why}", path.display()))),
            false if gone => Ok(()),
            false => {
                let source = root.source(path).unwrap_or_else(|| path.to_string_lossy().into_owned());
                self.unread.push((source, why));
                Ok(())
            }
        }
    }
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => path_of(err),
        ignore::Error::Partial(errors) => errors.iter().find_map(path_of),
        _ => None,
    }
}

fn is_directory(entry: &DirEntry) -> bool {
    entry.file_type().is_some_and(|kind| kind.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_one_name_are_told_apart_and_keep_their_mark() {
        let (one, other) = (Path::new("/srv/one/docs"), Path::new("/srv/other/docs"));
        assert_eq!(mark(one), mark(one));
        assert_ne!(mark(one), mark(other));
        assert!(mark(one).starts_with("docs-") && !mark(one).contains("srv"), "{}", mark(one));
    }
}
