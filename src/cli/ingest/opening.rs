//! Opens a file that a look at a folder found, and no other: a link that has taken its place leads nowhere.

use std::fs::File;
use std::io;
use std::path::Path;

/// Opens `path`, which had no links in it, for reading.
///
/// # Errors
/// Where it has one now, or is no file any more.
pub fn open(path: &Path) -> io::Result<File> {
    let file = without_links(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no file any more")),
    }
}

#[cfg(target_os = "linux")]
fn without_links(path: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, open, openat2};
    // What is a pipe by now must not be waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        // A kernel that is too old, or a sandbox around this program.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
            Ok(open(path, flags | OFlags::NOFOLLOW, Mode::empty())?.into())
        }
        opened => Ok(opened?.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn without_links(path: &Path) -> io::Result<File> {
    match path.symlink_metadata()?.is_symlink() {
        true => Err(io::Error::other("it is a link")),
        false => File::open(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_link_that_took_the_place_of_a_file_leads_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("inside")).unwrap();
        std::fs::write(root.join("inside/a.md"), "in").unwrap();
        assert!(open(&root.join("inside/a.md")).is_ok());
        std::os::unix::fs::symlink(root.join("inside/a.md"), root.join("b.md")).unwrap();
        std::os::unix::fs::symlink(root.join("inside"), root.join("way")).unwrap();
        for link in ["b.md", "way/a.md", "inside"] {
            assert!(open(&root.join(link)).is_err(), "{link}");
        }
    }
}
