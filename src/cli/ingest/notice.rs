//! Notices of the file system that something may have changed in a folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use super::folder::EXCEPTIONS;
use crate::ingest::clutter::is_clutter;

/// Sends a notice for what happens below `folders`, as long as what it gives is kept. A notice that does not fit is not
/// missed: one is waiting already.
pub fn watch(folders: Vec<PathBuf>, hidden: bool, notices: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let below = folders.clone();
    let handler = move |event: notify::Result<Event>| {
        if event.map_or(true, |event| matters(&event, &below, hidden)) {
            let _ = notices.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(handler)?;
    folders.iter().try_for_each(|folder| watcher.watch(folder, RecursiveMode::Recursive))?;
    Ok(watcher)
}

/// Whether a notice can be about a file that is taken in. Reading is no change, and looking reads.
fn matters(event: &Event, folders: &[PathBuf], hidden: bool) -> bool {
    let is_change = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    };
    let is_wanted = |name: &OsStr| {
        let is_exception = name == EXCEPTIONS;
        let name = name.to_string_lossy();
        let is_hidden = name.starts_with('.') && !is_exception;
        !is_hidden && !is_clutter(&name, true) && !is_clutter(&name, false)
    };
    let is_taken = |path: &Path| {
        let below = folders.iter().find_map(|folder| path.strip_prefix(folder).ok());
        hidden || below.is_none_or(|below| below.iter().all(is_wanted))
    };
    event.need_rescan() || is_change && (event.paths.is_empty() || event.paths.iter().any(|path| is_taken(path)))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, Flag};

    use super::*;

    #[test]
    fn only_changes_of_what_is_taken_in_matter() {
        // The folder itself may lie in a hidden place.
        let folders = [PathBuf::from("/home/.me/docs")];
        let happens = |kind: EventKind, path: &str| Event::new(kind).add_path(PathBuf::from(path));
        let created = EventKind::Create(CreateKind::File);
        assert!(matters(&happens(created, "/home/.me/docs/a.md"), &folders, false));
        assert!(matters(&happens(created, "/home/.me/docs/.carrelignore"), &folders, false));
        for path in ["/home/.me/docs/.git/index", "/home/.me/docs/a.md~", "/home/.me/docs/node_modules/m/x.js"] {
            assert!(!matters(&happens(created, path), &folders, false), "{path}");
            assert!(matters(&happens(created, path), &folders, true), "{path}");
        }
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        assert!(!matters(&happens(opened, "/home/.me/docs/a.md"), &folders, false));
        assert!(matters(&Event::new(EventKind::Other).set_flag(Flag::Rescan), &folders, false));
    }
}
