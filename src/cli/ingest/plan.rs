//! What has to happen for a workspace to be in step with folders: which files go in, which documents are gone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use super::folder::{Found, Root, Scan, Stamp};
use super::holdings::{Held, Holdings};
use super::opening::open;
use crate::digest;
use crate::ingest::is_archive;

/// A file that is to go in.
#[derive(Debug, Clone)]
pub struct Step {
    pub file: Found,
    /// SHA-256 of its bytes in hexadecimal.
    pub hash: String,
    /// Whether the workspace has another state of it.
    pub replaces: bool,
}

/// A document whose file is gone.
#[derive(Debug, Clone)]
pub struct Gone {
    pub source: String,
    pub id: String,
}

#[derive(Default)]
pub struct Plan {
    pub send: Vec<Step>,
    pub unchanged: Vec<String>,
    pub gone: Vec<Gone>,
    /// Files and folders that could not be read, and why.
    pub unread: Vec<(String, String)>,
    /// Folders that documents came from and in which there is nothing at all.
    pub emptied: Vec<Arc<str>>,
    /// Files that another folder brought in another state, and that folder: neither is the other's.
    pub foreign: Vec<(String, Arc<str>)>,
    /// Folders that unchanged documents were sent from before, and how many of each.
    pub elsewhere: BTreeMap<Arc<str>, u64>,
}

/// The SHA-256 of files that have been read, good while their stamps stay.
#[derive(Default)]
pub struct Hashes(HashMap<PathBuf, (Stamp, String)>);

impl Hashes {
    /// Whether this state of a file has been read.
    pub fn know(&self, file: &Found) -> bool {
        self.0.get(&file.path).is_some_and(|(stamp, _)| *stamp == file.stamp)
    }

    /// Forgets all but these.
    pub fn keep_only(&mut self, files: &[Found]) {
        let there: HashSet<&PathBuf> = files.iter().map(|file| &file.path).collect();
        self.0.retain(|path, _| there.contains(path));
    }

    fn of(&mut self, file: &Found) -> std::io::Result<String> {
        if let Some((stamp, hash)) = self.0.get(&file.path)
            && *stamp == file.stamp
        {
            return Ok(hash.clone());
        }
        let (_, hash) = digest::copy(open(&file.path)?, std::io::sink())?;
        self.0.insert(file.path.clone(), (file.stamp, hash.clone()));
        Ok(hash)
    }
}

/// Compares what lies in the folders with what the workspace holds. Where it `prunes`, an archive of which documents of
/// several states are held goes in again: only then is it known which of them are [left behind](left_behind), and which
/// could not be read anew. Reads the files; blocks.
pub fn compare(roots: &[Root], scan: Scan, holdings: &Holdings, hashes: &mut Hashes, prunes: bool) -> Plan {
    let archives = archives(holdings);
    let mut plan = Plan { unread: scan.unread, ..Plan::default() };
    let mut files = HashSet::new();
    let mut filled: HashSet<Arc<str>> = HashSet::new();
    for file in scan.unsettled.iter().chain(&scan.empty) {
        files.insert(file.source.clone());
        filled.extend(file.folder.clone());
    }
    for file in scan.files {
        files.insert(file.source.clone());
        filled.extend(file.folder.clone());
        let hash = match hashes.of(&file) {
            Ok(hash) => hash,
            // It went while it was being looked at; the next look will tell whether it is gone.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => {
                plan.unread.push((file.source, error.to_string()));
                continue;
            }
        };
        let (same, replaces) = if is_archive(&file.source) {
            let known = archives.get(&(file.folder.as_deref(), file.source.as_str()));
            let settles = prunes && file.folder.is_some();
            let same = known.is_some_and(|states| states.contains(hash.as_str()) && (!settles || states.len() == 1));
            (same, known.is_some())
        } else {
            let held = holdings.documents.get(&file.source);
            let same = held.filter(|held| held.hash == hash);
            if let Some(Held { folder: Some(other), .. }) = held
                && same.is_none()
                && file.folder.as_ref().is_some_and(|folder| folder != other)
            {
                plan.foreign.push((file.source, other.clone()));
                continue;
            }
            if let Some(Held { folder: Some(other), .. }) = same
                && file.folder.as_ref().is_some_and(|folder| folder != other)
            {
                *plan.elsewhere.entry(other.clone()).or_default() += 1;
            }
            (same.is_some(), held.is_some())
        };
        match same {
            true => plan.unchanged.push(file.source),
            false => plan.send.push(Step { file, hash, replaces }),
        }
    }
    let folders: HashSet<&str> = roots.iter().filter_map(|root| root.folder.as_deref()).collect();
    let mut known: HashSet<Arc<str>> = HashSet::new();
    for (source, held) in &holdings.documents {
        let Some(folder) = held.folder.as_ref().filter(|folder| folders.contains(folder.as_ref())) else { continue };
        known.insert(folder.clone());
        let is_there = match &held.archive {
            Some((archive, _)) => {
                files.contains(source.as_str()) || files.contains(archive) || is_unread(archive, &plan.unread)
            }
            None => stands_in(source, |name| files.contains(name)) || is_unread(source, &plan.unread),
        };
        if !is_there {
            plan.gone.push(Gone { source: source.clone(), id: held.id.clone() });
        }
    }
    plan.gone.sort_by(|a, b| a.source.cmp(&b.source));
    plan.emptied = known.into_iter().filter(|folder| !filled.contains(folder)).collect();
    plan
}

/// Documents that came out of another state of these archives, which have gone in as they are now. What `failed` to go in
/// again stays as it was, and so does what no folder brought: that may be another archive's of the same name.
pub fn left_behind(holdings: &Holdings, unpacked: &[Step], failed: impl Fn(&str) -> bool) -> Vec<Gone> {
    let states: HashMap<(&str, &str), &str> = unpacked
        .iter()
        .filter_map(|step| Some(((step.file.folder.as_deref()?, step.file.source.as_str()), step.hash.as_str())))
        .collect();
    let is_behind = |source: &str, held: &Held| {
        let (Some(folder), Some((archive, hash))) = (&held.folder, &held.archive) else { return false };
        let state = states.get(&(folder.as_ref(), archive.as_str()));
        state.is_some_and(|state| state != hash) && !stands_in(source, &failed)
    };
    let behind = holdings.documents.iter().filter(|(source, held)| is_behind(source, held));
    let mut gone: Vec<Gone> =
        behind.map(|(source, held)| Gone { source: source.clone(), id: held.id.clone() }).collect();
    gone.sort_by(|a, b| a.source.cmp(&b.source));
    gone
}

/// The states of the archives that documents came out of, by their folders and names.
fn archives(holdings: &Holdings) -> HashMap<(Option<&str>, &str), HashSet<&str>> {
    let mut archives: HashMap<(Option<&str>, &str), HashSet<&str>> = HashMap::new();
    for held in holdings.documents.values() {
        if let Some((archive, hash)) = &held.archive {
            archives.entry((held.folder.as_deref(), archive)).or_default().insert(hash);
        }
    }
    archives
}

/// Whether a document's file is there, or one that holds it: what was made of one file is called by its name and more.
fn stands_in(source: &str, is_there: impl Fn(&str) -> bool) -> bool {
    is_there(source) || source.match_indices('/').any(|(at, _)| source.get(..at).is_some_and(&is_there))
}

fn is_unread(source: &str, unread: &[(String, String)]) -> bool {
    stands_in(source, |name| unread.iter().any(|(place, _)| place == name))
}
