//! Backups of a whole instance, taken beside a running server, and their restoration.
//!
//! A backup directory holds each original once, under `files/`, and for each backup a directory named for its time with
//! the databases of that moment. SQLite's online backup makes each database consistent by itself; workspaces know
//! nothing of each other, so they need not be of one moment. A backup that is unchanged since the last shares its file.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock;
use crate::datadir::{DataDir, make_names_durable, make_private, make_tree_durable, move_durably};
use crate::digest;
use crate::error::{Error, Result};
use crate::sqlite;
use crate::tenancy;
use crate::workspace::{Layout, Sum, originals_of};

/// The version of the format of `backup.json`.
const FORMAT: u32 = 1;
/// The list of what a backup holds; a directory without one was not finished.
const LIST: &str = "backup.json";
/// How often a workspace is copied again whose originals changed meanwhile.
const TRIES: usize = 5;

/// What a backup holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backup {
    pub format: u32,
    pub created_at: String,
    pub made_by: String,
    control: Sum,
    pub workspaces: Vec<Saved>,
    /// Workspaces that could not be saved, and why.
    pub failures: Vec<Unsaved>,
}

/// A workspace in a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Saved {
    pub id: Uuid,
    database: Sum,
    originals: Vec<String>,
}

/// A workspace that is missing in a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unsaved {
    pub id: Uuid,
    pub why: String,
}

/// What taking a backup came to.
#[derive(Debug, Clone)]
pub struct Taken {
    pub backup: Backup,
    pub directory: PathBuf,
    /// Originals and databases that had to be copied, and their bytes.
    pub copied_files: u64,
    pub copied_bytes: u64,
}

/// Backs up the data directory `data`, served or not, into `to`. Keeps the newest `keep` backups there, or all.
/// `progress` hears of each workspace: how many are done of how many.
///
/// # Errors
/// What concerns the backup as a whole; a workspace that cannot be saved is in the list, and the others are saved.
pub fn take(data: &Path, to: &Path, keep: Option<usize>, progress: &dyn Fn(usize, usize)) -> Result<Taken> {
    if !data.join("control.db").exists() {
        return Err(Error::Unavailable(format!("{} is no data directory of Carrel", data.display())));
    }
    make_private(to)?;
    let lock = File::create(to.join("LOCK"))?;
    lock.try_lock().map_err(|_| Error::Unavailable("another backup is being taken into this directory".into()))?;
    let last = list(to)?.pop();
    let name = clock::now().replace([':', '.'], "-");
    let unfinished = to.join(format!("unfinished-{name}"));
    for left in std::fs::read_dir(to)?.flatten() {
        if left.file_name().to_string_lossy().starts_with("unfinished-") {
            std::fs::remove_dir_all(left.path())?;
        }
    }
    make_private(&unfinished)?;
    let control = unfinished.join("control.db");
    sqlite::copy_file(&data.join("control.db"), &control)?;
    let ids = tenancy::workspaces::ids_in(&control)?;
    let mut pool = Pool { root: to.join("files"), copied_files: 0, copied_bytes: 0 };
    let (mut workspaces, mut failures) = (Vec::new(), Vec::new());
    for (place, id) in ids.iter().enumerate() {
        progress(place, ids.len());
        let from = Layout::new(&data.join("workspaces").join(id.to_string()));
        let into = Layout::new(&unfinished.join("workspaces").join(id.to_string()));
        let before = last.as_ref().and_then(|(path, last)| {
            let saved = last.workspaces.iter().find(|saved| saved.id == *id)?;
            Some((Layout::new(&path.join("workspaces").join(id.to_string())), saved))
        });
        match save(*id, &from, &into, before, &mut pool) {
            Ok(saved) => workspaces.push(saved),
            Err(error) => failures.push(Unsaved { id: *id, why: error.to_string() }),
        }
    }
    progress(ids.len(), ids.len());
    let backup = Backup {
        format: FORMAT,
        created_at: clock::now(),
        made_by: concat!("carrel ", env!("CARGO_PKG_VERSION")).to_owned(),
        control: Sum::of(&control)?,
        workspaces,
        failures,
    };
    let text = serde_json::to_string_pretty(&backup).map_err(|e| Error::internal("backup", e))?;
    std::fs::write(unfinished.join(LIST), text)?;
    // The originals lie beside it, on the same file system.
    make_tree_durable(to)?;
    let directory = to.join(&name);
    move_durably(&unfinished, &directory)?;
    if let Some(keep) = keep {
        prune(to, keep.max(1))?;
    }
    Ok(Taken { backup, directory, copied_files: pool.copied_files, copied_bytes: pool.copied_bytes })
}

fn save(id: Uuid, from: &Layout, into: &Layout, before: Option<(Layout, &Saved)>, pool: &mut Pool) -> Result<Saved> {
    let manifest = from.read_manifest()?;
    make_private(into.root())?;
    // One that has been at rest with the same database since the last backup need not be copied again.
    let at_rest = manifest.clean.as_ref().filter(|clean| from.resembles(clean));
    let same = before.as_ref().filter(|(_, saved)| at_rest.is_some_and(|clean| clean.is_of(&saved.database)));
    if let Some((before, saved)) = same
        && std::fs::hard_link(before.database(), into.database()).is_ok()
    {
        into.write_manifest(&manifest)?;
        return Ok((*saved).clone());
    }
    let mut last = Error::Internal("never tried".into());
    for _ in 0..TRIES {
        if into.database().exists() {
            std::fs::remove_file(into.database())?;
        }
        sqlite::copy_file(&from.database(), &into.database())?;
        let mut originals: Vec<String> = sqlite::read_file(&into.database(), originals_of)?.into_iter().collect();
        originals.sort();
        // One that was deleted meanwhile is not needed by the next copy.
        match originals.iter().try_for_each(|original| pool.add(original, &from.file(original)?)) {
            Ok(()) => {
                let database = Sum::of(&into.database())?;
                pool.copied_files += 1;
                pool.copied_bytes += database.size;
                into.write_manifest(&manifest.at_rest_with(database.clone()))?;
                return Ok(Saved { id, database, originals });
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The originals of all backups.
struct Pool {
    root: PathBuf,
    copied_files: u64,
    copied_bytes: u64,
}

impl Pool {
    fn place(&self, original: &str) -> PathBuf {
        let (shelf, rest) = original.split_at_checked(2).unwrap_or((original, "_"));
        self.root.join(shelf).join(rest)
    }

    fn add(&mut self, original: &str, from: &Path) -> Result<()> {
        let place = self.place(original);
        let size = from.metadata()?.len();
        if place.metadata().is_ok_and(|there| there.len() == size) {
            return Ok(());
        }
        copy_checked(from, &place, original)?;
        self.copied_files += 1;
        self.copied_bytes += size;
        Ok(())
    }
}

/// Copies a file whose SHA-256 must be `expected`; only a whole one gets the name `to`.
fn copy_checked(from: &Path, to: &Path, expected: &str) -> Result<()> {
    if let Some(parent) = to.parent() {
        make_private(parent)?;
    }
    let part = to.with_extension("part");
    let output = File::create(&part)?;
    let (_, found) = digest::copy(File::open(from)?, &output)?;
    if found != expected {
        std::fs::remove_file(&part)?;
        return Err(Error::Unavailable(format!("a file is damaged: {expected} holds other bytes than it should")));
    }
    output.sync_all()?;
    Ok(std::fs::rename(part, to)?)
}

/// The whole backups in a directory, oldest first.
pub fn list(directory: &Path) -> Result<Vec<(PathBuf, Backup)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)?.flatten() {
        let path = entry.path();
        let unfinished = entry.file_name().to_string_lossy().starts_with("unfinished-");
        let Ok(text) = std::fs::read(path.join(LIST)) else { continue };
        if unfinished {
            continue;
        }
        let backup: Backup = serde_json::from_slice(&text)
            .map_err(|e| Error::Unavailable(format!("{} cannot be read: {e}", path.join(LIST).display())))?;
        if backup.format > FORMAT {
            return Err(Error::Unavailable("a newer version of Carrel took this backup".into()));
        }
        found.push((path, backup));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// Removes all but the newest `keep` backups, and the originals that none of those refers to.
fn prune(directory: &Path, keep: usize) -> Result<()> {
    let mut backups = list(directory)?;
    let kept = backups.split_off(backups.len().saturating_sub(keep));
    for (path, _) in &backups {
        std::fs::remove_dir_all(path)?;
    }
    if backups.is_empty() {
        return Ok(());
    }
    let used: std::collections::HashSet<&String> =
        kept.iter().flat_map(|(_, backup)| &backup.workspaces).flat_map(|saved| &saved.originals).collect();
    for entry in walkdir::WalkDir::new(directory.join("files")).min_depth(2).max_depth(2).into_iter().flatten() {
        let shelf = entry.path().parent().and_then(|shelf| shelf.file_name()).unwrap_or_default();
        let name = format!("{}{}", shelf.to_string_lossy(), entry.file_name().to_string_lossy());
        if !used.contains(&name) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Puts the newest backup in `from`, or the one named `at`, into the data directory `data`, which must hold none.
/// Every file is checked against its sum. Returns what was restored.
pub fn restore(
    from: &Path,
    at: Option<&str>,
    data: &Path,
    allow_network_fs: bool,
    progress: &dyn Fn(usize, usize),
) -> Result<Backup> {
    let mut backups = list(from)?;
    if let Some(at) = at {
        backups.retain(|(path, _)| path.file_name().is_some_and(|name| name == at));
    }
    let none = || Error::Unavailable(format!("there is no such backup in {}", from.display()));
    let (path, backup) = backups.pop().ok_or_else(none)?;
    if data.join("control.db").exists() {
        return Err(Error::Unavailable(format!("{} holds data already; restore into an empty one", data.display())));
    }
    let directory = DataDir::open(data, allow_network_fs)?;
    let pool = Pool { root: from.join("files"), copied_files: 0, copied_bytes: 0 };
    for (place, saved) in backup.workspaces.iter().enumerate() {
        progress(place, backup.workspaces.len());
        let source = Layout::new(&path.join("workspaces").join(saved.id.to_string()));
        let target = Layout::new(&directory.workspaces().join(saved.id.to_string()));
        make_private(target.root())?;
        copy_checked(&source.database(), &target.database(), &saved.database.sha256)?;
        for original in &saved.originals {
            copy_checked(&pool.place(original), &target.file(original)?, original)?;
        }
        target.write_manifest(&source.read_manifest()?)?;
    }
    make_tree_durable(data)?;
    // The register comes last: without it nothing was restored.
    copy_checked(&path.join("control.db"), &directory.control(), &backup.control.sha256)?;
    make_names_durable(&directory.control())?;
    progress(backup.workspaces.len(), backup.workspaces.len());
    Ok(backup)
}
