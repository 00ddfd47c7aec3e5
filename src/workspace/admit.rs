//! Letting a directory in that comes from elsewhere: unpacked, copied by the program, or copied by hand, perhaps while
//! it was being written. It comes in whole, up to some commit, or not at all, with a sentence that says what to do.

use std::path::Path;

use uuid::Uuid;

use super::check::check_truth;
use super::layout::{Clean, DATABASE, Layout, Manifest, Sum};
use super::{meta, open_database};
use crate::error::{Error, Result};
use crate::sqlite::Access;

/// What to do about a copy that is not whole.
const ADVICE: &str = "copy it again while it is at rest or frozen, or take a snapshot";

/// A directory that was let in.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub manifest: Manifest,
    /// The commit that it is whole up to.
    pub generation: u64,
    /// What is missing, where that was accepted.
    pub losses: Vec<String>,
}

/// Makes the directory `root` the workspace `id` called `name` (or as it was called), whatever id it had, once
/// everything in it has been checked. With `accept_loss` it may lack originals, or commits that were only in
/// SQLite's log.
///
/// # Errors
/// [`Error::Conflict`] with a sentence for a directory that is not whole; nothing in it that is not derived has
/// been changed then, but for the log, which SQLite may have moved into the database.
pub fn admit(root: &Path, id: Uuid, name: Option<&str>, accept_loss: bool) -> Result<Admitted> {
    let refuse = |why: &dyn std::fmt::Display| {
        Error::Conflict(format!("this copy of a workspace is not whole: {why}; {ADVICE}"))
    };
    check_files(root)?;
    let layout = Layout::new(root);
    let mut manifest = layout.read_manifest().map_err(|error| refuse(&error))?;
    let clean = manifest.clean.take();
    let database = Sum::of(&layout.database()).map_err(|_| refuse(&"it has no knowledge.db"))?;
    let at_rest = clean.as_ref().is_some_and(|clean| clean.files.get(DATABASE) == Some(&database));
    let mut losses = Vec::new();
    remove(&layout.database_notes())?;
    if at_rest {
        // The database is whole by itself; a log beside it is of a later moment, or of another database.
        remove(&layout.database_log())?;
    } else if !layout.database_log().exists() {
        let loss = "it was taken while it was being written, and without knowledge.db-wal";
        if !accept_loss {
            return Err(refuse(&loss));
        }
        losses.push(loss.to_owned());
    }
    let opened = open_database(&layout, &manifest, Access::Write);
    let opened = opened.map_err(|error| match error {
        Error::Internal(why) | Error::Unavailable(why) => refuse(&why),
        other => other,
    })?;
    let generation = opened.read(|db| {
        let unreadable = |error: Error| match error {
            Error::Internal(why) | Error::Unavailable(why) => refuse(&why),
            other => other,
        };
        for finding in check_truth(db, &layout).map_err(unreadable)? {
            let problem = format!("{}: {}", finding.part, finding.problem);
            match finding.part {
                "originals" if accept_loss => losses.push(problem),
                _ => return Err(refuse(&problem)),
            }
        }
        meta(db, "generation")
    })?;
    opened.checkpoint()?;
    drop(opened);
    if !clean.as_ref().is_some_and(|clean| at_rest && holds_index_of(&layout, clean)) {
        remove_tree(&layout.fulltext())?;
    }
    // Its sums are its own; whoever brings a copy may have made them.
    remove_tree(&layout.vectors())?;
    manifest.id = id;
    manifest.name = name.map_or(manifest.name, str::to_owned);
    let clean = Clean { generation, files: layout.sums(None)? };
    layout.write_manifest(&Manifest { clean: Some(clean), ..manifest.clone() })?;
    Ok(Admitted { manifest, generation, losses })
}

fn holds_index_of(layout: &Layout, clean: &Clean) -> bool {
    layout.sums(None).is_ok_and(|found| {
        let index = |files: &std::collections::BTreeMap<String, Sum>| {
            files.iter().filter(|(path, _)| *path != DATABASE).map(|(p, s)| (p.clone(), s.clone())).collect::<Vec<_>>()
        };
        index(&found) == index(&clean.files)
    })
}

/// Only files and directories, each in one place: what is anything else could lead out of the directory.
fn check_files(root: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.map_err(|e| {
            Error::Conflict(format!(
                "the directory cannot be read: {}",
                e.io_error().map_or("it is nested in itself".into(), |e| e.kind().to_string())
            ))
        })?;
        let kind = entry.file_type();
        let metadata = entry.metadata().map_err(|e| Error::internal("directory", e))?;
        let plain = kind.is_dir() || (kind.is_file() && has_one_name(&metadata));
        if !plain {
            let place = entry.path().strip_prefix(root).unwrap_or(entry.path()).display().to_string();
            return Err(Error::Conflict(format!("{place} is a link or device; a workspace holds plain files only")));
        }
    }
    Ok(())
}

fn has_one_name(metadata: &std::fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        std::os::unix::fs::MetadataExt::nlink(metadata) == 1
    }
    #[cfg(not(unix))]
    {
        let _ = metadata;
        true
    }
}

fn remove_tree(path: &Path) -> Result<()> {
    if path.exists() { Ok(std::fs::remove_dir_all(path)?) } else { Ok(()) }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
