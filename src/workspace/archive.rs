//! A snapshot as one stream: a tar, compressed with zstd, of the manifest, the database and the originals.
//!
//! What is read is not trusted: only regular files under names that this program writes are taken, each is checked
//! against its sum, and size, count and the room on the disk are bounded.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::layout::{DATABASE, Layout, MANIFEST};
use super::snapshot::Snapshot;
use crate::datadir::{free_bytes, make_private};
use crate::digest::hex;
use crate::error::{Error, Result};

/// Effort of compression: originals are often compressed already.
const LEVEL: i32 = 3;
/// Memory that a decompressor may be told to use, as a power of two.
const WINDOW_LOG: u32 = 27;
/// Files in an archive at most.
const FILES: usize = 10_000_000;
/// Bytes of a manifest at most.
const MANIFEST_BYTES: u64 = 16 << 20;
/// Room on the disk that an archive may not take.
const RESERVE: u64 = 64 << 20;
/// Bytes between two looks at the room on the disk.
const LOOK_EVERY: u64 = 16 << 20;

/// Writes `snapshot` to `out`.
///
/// # Errors
/// What `out` fails with, or an original that cannot be read: then the stream breaks off and is no whole archive.
pub fn write(snapshot: &Snapshot, out: impl Write) -> Result<()> {
    let mut archive = tar::Builder::new(zstd::Encoder::new(out, LEVEL)?);
    let manifest = serde_json::to_vec_pretty(&snapshot.manifest).map_err(|e| Error::internal("manifest", e))?;
    append(&mut archive, MANIFEST, manifest.len() as u64, manifest.as_slice())?;
    let database = File::open(&snapshot.database)?;
    append(&mut archive, DATABASE, database.metadata()?.len(), database)?;
    for original in &snapshot.originals {
        let (shelf, rest) = original.split_at_checked(2).unwrap_or((original, ""));
        let file = snapshot.open(original)?;
        append(&mut archive, &format!("files/{shelf}/{rest}"), file.metadata()?.len(), file)?;
    }
    archive.into_inner()?.finish()?.flush()?;
    Ok(())
}

fn append<W: Write>(archive: &mut tar::Builder<W>, name: &str, size: u64, bytes: impl Read) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o600);
    Ok(archive.append_data(&mut header, name, bytes.take(size))?)
}

/// Unpacks the archive `input` into `root`, which must not exist, and checks every sum. What fails leaves a directory
/// that is to be removed. At most `most` bytes are written.
///
/// # Errors
/// [`Error::Malformed`] with a sentence for what is no whole archive of a workspace, [`Error::PayloadTooLarge`],
/// [`Error::InsufficientStorage`].
pub fn read(input: impl Read, root: &Path, most: u64) -> Result<()> {
    let broken =
        |what: &dyn std::fmt::Display| Error::Malformed(format!("this is no whole archive of a workspace: {what}"));
    make_private(root)?;
    let layout = Layout::new(root);
    let mut decoder = zstd::Decoder::new(input)?;
    decoder.window_log_max(WINDOW_LOG)?;
    let mut archive = tar::Archive::new(decoder);
    let mut room = Room { root, left: most, since_look: LOOK_EVERY };
    let mut sums: BTreeMap<String, String> = BTreeMap::new();
    for (count, entry) in archive.entries().map_err(|e| broken(&e))?.enumerate() {
        let entry = entry.map_err(|e| broken(&e))?;
        let path = entry.path().map_err(|e| broken(&e))?.to_string_lossy().into_owned();
        if count > FILES {
            return Err(Error::PayloadTooLarge(format!("the archive holds more than {FILES} files")));
        }
        if entry.header().entry_type().is_dir() {
            continue;
        }
        if !entry.header().entry_type().is_file() {
            return Err(broken(&format!("{path} is no regular file")));
        }
        let place = match path.as_str() {
            MANIFEST if entry.size() > MANIFEST_BYTES => return Err(broken(&"its manifest is too large")),
            MANIFEST => root.join(MANIFEST),
            DATABASE => layout.database(),
            // Derived, so it comes back by itself.
            other if other.starts_with("index/") => continue,
            other => {
                original_place(&layout, other).ok_or_else(|| broken(&format!("{other} does not belong in one")))?
            }
        };
        if sums.contains_key(&path) {
            return Err(broken(&format!("{path} is in it twice")));
        }
        if let Some(shelf) = place.parent() {
            make_private(shelf)?;
        }
        let sum = unpack(entry, &place, &mut room).map_err(|error| match error {
            Error::Internal(why) => broken(&why),
            other => other,
        })?;
        let original = path.strip_prefix("files/").map(|rest| rest.replace('/', ""));
        if original.is_some_and(|original| original != sum) {
            return Err(broken(&format!("{path} holds other bytes than its name says")));
        }
        sums.insert(path, sum);
    }
    // The end of the stream is part of it: a download that broke off has none.
    let mut rest = archive.into_inner();
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(|e| broken(&e))?;
    let manifest = layout.read_manifest().map_err(|e| broken(&e))?;
    let expected = manifest.clean.and_then(|clean| clean.files.get(DATABASE).cloned());
    match (sums.get(DATABASE), expected) {
        (None, _) => Err(broken(&"it has no knowledge.db")),
        (Some(_), None) => Err(broken(&"its manifest has no sums")),
        (Some(found), Some(expected)) if *found != expected.sha256 => {
            Err(broken(&"knowledge.db holds other bytes than the manifest says"))
        }
        _ => Ok(()),
    }
}

fn original_place(layout: &Layout, path: &str) -> Option<std::path::PathBuf> {
    let (shelf, rest) = path.strip_prefix("files/")?.split_once('/')?;
    let lower = path.bytes().all(|b| !b.is_ascii_uppercase());
    (shelf.len() == 2 && lower).then(|| layout.file(&format!("{shelf}{rest}")).ok()).flatten()
}

/// What may still be written.
struct Room<'a> {
    root: &'a Path,
    left: u64,
    since_look: u64,
}

impl Room<'_> {
    fn take(&mut self, bytes: u64) -> Result<()> {
        let too_large = || Error::PayloadTooLarge("the archive unpacks to more than may be imported".into());
        self.left = self.left.checked_sub(bytes).ok_or_else(too_large)?;
        self.since_look += bytes;
        if self.since_look >= LOOK_EVERY {
            self.since_look = 0;
            if free_bytes(self.root).is_some_and(|free| free < RESERVE) {
                return Err(Error::InsufficientStorage);
            }
        }
        Ok(())
    }
}

fn unpack(mut entry: impl Read, place: &Path, room: &mut Room<'_>) -> Result<String> {
    let mut file = File::create_new(place)?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        let read = entry.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        room.take(read as u64)?;
        hash.update(bytes);
        file.write_all(bytes)?;
    }
    Ok(hex(&hash.finalize()))
}
