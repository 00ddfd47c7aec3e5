//! Takes an archive apart: .zip and .tar, plain or compressed with gzip or Zstandard, mailboxes, and single files that are
//! compressed so. Told by its first bytes.
//!
//! Its files are sent on as they are unpacked. Names are passed on as they are, and nothing is written anywhere;
//! whoever receives them bounds their count and size, and judges their names.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};
use zip::ZipArchive;

use super::frame::{self, Tag};
use crate::extract::{self, Fault, Kind};

/// Bytes that are sent at once.
const PIECE: usize = 64 << 10;
/// Bytes of a mailbox, which is taken apart in memory.
const LARGEST_MAILBOX: u64 = 256 << 20;
/// Bytes of a tar's blocks.
const BLOCK: usize = 512;
/// Bytes at the end of a zip that its directory's end lies in.
const LONGEST_END: u64 = (64 << 10) + 22;
/// Bytes of a name at most.
const LONGEST_NAME: usize = 4096;

/// A file of an archive; its bytes follow, unless it is refused. The only file of what is no archive but compressed has no
/// name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub name: String,
    pub refused: Option<Fault>,
}

/// Why no more comes: the other side is gone, or the archive is broken.
enum Stop {
    Gone(io::Error),
    Broken(Fault),
}

/// Sends the files of `archive`, which may unpack to so many bytes, whatever of them is wanted.
///
/// # Errors
/// Where they cannot be sent.
pub fn send(archive: File, bytes: u64, out: &mut impl Write) -> io::Result<()> {
    let fault = match (Sender { out, left: bytes }).archive(archive) {
        Ok(()) => None,
        Err(Stop::Broken(fault)) => Some(fault),
        Err(Stop::Gone(error)) => return Err(error),
    };
    let words = fault.map(|fault| serde_json::to_vec(&fault)).transpose()?.unwrap_or_default();
    frame::write(out, Tag::End, &words)?;
    out.flush()
}

struct Sender<'a, W> {
    out: &'a mut W,
    /// Bytes that it may still unpack to.
    left: u64,
}

impl<W: Write> Sender<'_, W> {
    fn archive(&mut self, mut file: File) -> Result<(), Stop> {
        let mut start = Vec::new();
        (&file).take(5).read_to_end(&mut start).map_err(broken)?;
        file.rewind().map_err(broken)?;
        match start.as_slice() {
            [b'P', b'K', ..] => self.zip(file),
            [0x1F, 0x8B, ..] => self.compressed(flate2::read::MultiGzDecoder::new(BufReader::new(file))),
            [0x28, 0xB5, 0x2F, 0xFD, ..] => self.compressed(zstd::Decoder::new(file).map_err(broken)?),
            b"From " => self.mailbox(file),
            _ => self.tar(BufReader::new(file)),
        }
    }

    /// A tar that is compressed, or else one file.
    fn compressed(&mut self, mut bytes: impl Read) -> Result<(), Stop> {
        let mut start = Vec::new();
        bytes.by_ref().take(BLOCK as u64).read_to_end(&mut start).map_err(broken)?;
        let is_tar = begins_tar(&start);
        let whole = Cursor::new(start).chain(bytes);
        match is_tar {
            true => self.tar(whole),
            false => self.entry(String::new(), true, whole),
        }
    }

    fn zip(&mut self, file: File) -> Result<(), Stop> {
        let mut archive = match ZipArchive::new(BufReader::new(&file)) {
            Ok(archive) => archive,
            Err(cause) => {
                let mut tail = Vec::new();
                let from = file.metadata().map_err(broken)?.len().saturating_sub(LONGEST_END);
                (&file).seek(SeekFrom::Start(from)).map_err(broken)?;
                (&file).take(LONGEST_END).read_to_end(&mut tail).map_err(broken)?;
                return Err(Stop::Broken(extract::unopened(&tail, cause)));
            }
        };
        for (index, named) in names(&mut archive).into_iter().enumerate() {
            // What is wrong with an entry is its fault alone.
            let entry = match archive.by_index(index) {
                Err(zip::result::ZipError::UnsupportedArchive(zip::result::ZipError::PASSWORD_REQUIRED)) => {
                    self.refuse(named, Fault::new(Kind::Encrypted, "it is encrypted in the archive"))?;
                    continue;
                }
                Err(cause) => {
                    self.refuse(named, Fault::damaged(cause))?;
                    continue;
                }
                Ok(entry) => entry,
            };
            // By its name as it is read: some encodings have the sign of a folder as the second byte of a letter.
            if named.ends_with(['/', '\\']) {
                continue;
            }
            let is_file = !entry.is_symlink();
            self.entry(named, is_file, entry)?;
        }
        Ok(())
    }

    fn tar(&mut self, bytes: impl Read) -> Result<(), Stop> {
        let is_beyond = Cell::new(false);
        let mut archive = tar::Archive::new(Bounded { bytes, left: self.left, is_beyond: &is_beyond });
        let broken = |cause: io::Error| match is_beyond.get() {
            true => Stop::Broken(Fault::too_complex("it unpacks to more than is allowed")),
            false => broken(cause),
        };
        for entry in archive.entries().map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let kind = entry.header().entry_type();
            if kind.is_dir() || kind.is_pax_global_extensions() {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            self.entry(name, kind.is_file(), entry)?;
        }
        Ok(())
    }

    fn mailbox(&mut self, file: File) -> Result<(), Stop> {
        let mut bytes = Vec::new();
        file.take(LARGEST_MAILBOX + 1).read_to_end(&mut bytes).map_err(broken)?;
        if bytes.len() as u64 > LARGEST_MAILBOX {
            let bound = format!("a mailbox has at most {} MiB", LARGEST_MAILBOX >> 20);
            return Err(Stop::Broken(Fault::too_complex(bound)));
        }
        for (name, message) in extract::messages(&bytes) {
            self.entry(name, true, message.as_ref())?;
        }
        Ok(())
    }

    fn entry(&mut self, name: String, is_file: bool, mut bytes: impl Read) -> Result<(), Stop> {
        if !is_file {
            return self.refuse(name, Fault::new(Kind::Unsupported, "links and devices are not taken in"));
        }
        self.announce(name, None)?;
        let mut buffer = vec![0u8; PIECE];
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.frame(Tag::Bytes, buffer.get(..count).unwrap_or_default())?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let fault = serde_json::to_vec(&Fault::damaged(error)).map_err(|e| Stop::Gone(e.into()))?;
                    return self.frame(Tag::Answer, &fault);
                }
            }
        }
    }

    fn refuse(&mut self, name: String, fault: Fault) -> Result<(), Stop> {
        self.announce(name, Some(fault))
    }

    fn announce(&mut self, mut name: String, refused: Option<Fault>) -> Result<(), Stop> {
        while name.len() > LONGEST_NAME {
            name.pop();
        }
        let words = serde_json::to_vec(&Entry { name, refused }).map_err(|e| Stop::Gone(e.into()))?;
        self.frame(Tag::Entry, &words)
    }

    fn frame(&mut self, tag: Tag, payload: &[u8]) -> Result<(), Stop> {
        frame::write(self.out, tag, payload).map_err(Stop::Gone)
    }
}

/// The names of all entries. Those that are not in UTF-8 tell together what they are in.
fn names(archive: &mut ZipArchive<impl Read + Seek>) -> Vec<String> {
    let stated = |index| archive.name_for_index(index).and_then(Result::ok).map(|name| name.into_owned());
    let mut names: Vec<String> =
        (0..archive.len()).map(|index| stated(index).unwrap_or_else(|| format!("entry {index}"))).collect();
    let mut unclear: Vec<(&mut String, Vec<u8>)> = Vec::new();
    for (index, name) in names.iter_mut().enumerate().filter(|(_, name)| !name.is_ascii()) {
        let written = archive.by_index_raw(index).map(|entry| entry.name_raw().to_owned()).unwrap_or_default();
        if std::str::from_utf8(&written).is_err() {
            unclear.push((name, written));
        }
    }
    let written: Vec<(&[u8], &str)> = unclear.iter().map(|(name, bytes)| (bytes.as_slice(), name.as_str())).collect();
    let told = extract::names(&written);
    unclear.into_iter().zip(told).for_each(|((name, _), told)| *name = told);
    names
}

/// What is read through it has an end.
struct Bounded<'a, R> {
    bytes: R,
    left: u64,
    is_beyond: &'a Cell<bool>,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => self.left = left,
            None => {
                self.is_beyond.set(true);
                return Err(io::Error::other("it unpacks to too much"));
            }
        }
        Ok(count)
    }
}

/// Whether this is the first block of a tar: a header with its right sum, or nothing at all in an empty one.
fn begins_tar(block: &[u8]) -> bool {
    let Ok(header) = <&[u8; BLOCK]>::try_from(block) else { return false };
    let header = tar::Header::from_byte_slice(header);
    // The sum counts its own bytes as spaces (POSIX ustar).
    let sum: u32 =
        block.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    header.cksum().is_ok_and(|stated| stated == sum) || block.iter().all(|byte| *byte == 0)
}

fn broken(cause: impl std::fmt::Display) -> Stop {
    Stop::Broken(Fault::new(Kind::Damaged, format!("the archive cannot be read: {cause}")))
}
