//! What the data directory lies on: whether it takes writes, has room, and keeps the promises that SQLite needs.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes that opening and reading take: SQLite's notes on its log, the lock's address.
const LEAST_ROOM: usize = 128 << 10;

/// File systems that lie on another machine, by the numbers of Linux's `statfs`. Locks and synchronised writes are not
/// what SQLite takes them for there (sqlite.org/faq.html, question 5).
const NETWORK: &[(u32, &str)] = &[
    (0x0000_6969, "NFS"),
    (0x0000_517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x0102_1997, "9p"),
    (0x5346_414F, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0000_564C, "NCP"),
    (0x00C3_6400, "Ceph"),
    (0x0BD0_0BD0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
];

/// A file system of a program, on this machine or another: it does not say.
const FUSE: u32 = 0x6573_5546;

/// Refuses a directory on a file system of another machine, unless that is allowed.
///
/// # Errors
/// [`Error::Unavailable`] that names the kind of file system.
pub(super) fn refuse_network(root: &Path, allowed: bool) -> Result<()> {
    let existing = root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    let kind = kind_of(existing);
    let network = NETWORK.iter().find(|(magic, _)| Some(*magic) == kind).map(|(_, name)| *name);
    match network {
        Some(name) if !allowed => Err(Error::Unavailable(format!(
            "the data directory {} lies on a network file system ({name}), where locks and power cuts can cost data: \
             move it to a local disk, or set allow_network_fs = true and keep backups elsewhere",
            root.display()
        ))),
        Some(name) => {
            tracing::warn!("the data directory lies on a network file system ({name}): data may be lost there");
            Ok(())
        }
        None if kind == Some(FUSE) => {
            tracing::warn!("the data directory lies on a FUSE file system: nothing is known of its locks");
            Ok(())
        }
        None => Ok(()),
    }
}

fn kind_of(path: &Path) -> Option<u32> {
    #[cfg(target_os = "linux")]
    {
        // The numbers have 32 bits, whatever the width of the field.
        rustix::fs::statfs(path).ok().map(|found| found.f_type as u32)
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = path;
        None
    }
}

/// Whether opening and reading, which write a little themselves, have the room they need in `directory`.
pub(super) fn has_room(directory: &Path) -> bool {
    let probe = directory.join("probe");
    let written = File::create(&probe).and_then(|mut file| {
        file.write_all(&[0; LEAST_ROOM])?;
        file.sync_all()
    });
    // Where there is no room for the probe, there is none for its name either.
    let _ = std::fs::remove_file(probe);
    !written.is_err_and(|error| matches!(Error::from(error), Error::InsufficientStorage))
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

/// Whether the file system, or whoever runs it, forbids to write in `root`.
pub(super) fn takes_no_writes(root: &Path) -> bool {
    let forbidden = [std::io::ErrorKind::ReadOnlyFilesystem, std::io::ErrorKind::PermissionDenied];
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(root.join("LOCK"))
        .is_err_and(|error| forbidden.contains(&error.kind()))
}
