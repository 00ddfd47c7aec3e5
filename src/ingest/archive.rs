//! Archives of documents: .zip and .tar, plain or compressed with gzip or Zstandard.
//!
//! Untrusted: only regular files are taken, their names are words and never become paths, and count and size are
//! bounded while unpacking, whatever the archive claims.

use std::fs::File;
use std::io::{BufReader, Read, Seek};

use crate::datadir::{DataDir, Uploaded};
use crate::error::{Error, Result};

use super::source::check_name;

/// What an archive may hold.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    pub files: usize,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files together.
    pub bytes: u64,
}

/// A file of an archive: taken out, or refused by name.
pub struct Entry {
    pub name: String,
    pub taken: Result<Uploaded>,
}

/// Whether a file of this name is unpacked.
pub fn is_archive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".zip", ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"].iter().any(|ending| name.ends_with(ending))
}

/// Takes every file out of the archive, told by its first bytes.
///
/// # Errors
/// [`Error::Validation`] for what is no archive or breaks off, [`Error::PayloadTooLarge`] beyond the bounds.
pub fn unpack(mut file: File, bounds: Bounds, directory: &DataDir) -> Result<Vec<Entry>> {
    let mut start = Vec::new();
    (&file).take(4).read_to_end(&mut start)?;
    file.rewind()?;
    let mut taker = Taker { bounds, directory, left: bounds.bytes, entries: Vec::new() };
    match start.as_slice() {
        [b'P', b'K', ..] => taker.zip(file)?,
        [0x1F, 0x8B, ..] => taker.tar(flate2::read::MultiGzDecoder::new(BufReader::new(file)))?,
        [0x28, 0xB5, 0x2F, 0xFD] => taker.tar(zstd::Decoder::new(file).map_err(broken)?)?,
        _ => taker.tar(BufReader::new(file))?,
    }
    match taker.entries.is_empty() {
        true => Err(Error::invalid("file", "the archive holds no files")),
        false => Ok(taker.entries),
    }
}

struct Taker<'a> {
    bounds: Bounds,
    directory: &'a DataDir,
    left: u64,
    entries: Vec<Entry>,
}

impl Taker<'_> {
    fn zip(&mut self, file: File) -> Result<()> {
        let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(broken)?;
        for index in 0..archive.len() {
            let entry = archive.by_index(index);
            match entry {
                Ok(entry) if entry.is_dir() => {}
                Ok(entry) => {
                    // A name that cannot be read is its entry's fault alone.
                    match entry.name().map(|name| name.into_owned()) {
                        Ok(name) => {
                            let is_file = entry.is_file();
                            self.entry(name, is_file, entry)?;
                        }
                        Err(cause) => self.refuse(format!("entry {index}"), broken(cause))?,
                    }
                }
                Err(cause) => self.refuse(format!("entry {index}"), broken(cause))?,
            }
        }
        Ok(())
    }

    fn tar(&mut self, bytes: impl Read) -> Result<()> {
        // A decompressor may be asked for endless headers without files; the bound covers all it gives.
        let most = self.bounds.bytes.saturating_add(self.bounds.files as u64 * 2048);
        let mut archive = tar::Archive::new(bytes.take(most));
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

    fn entry(&mut self, name: String, is_file: bool, bytes: impl Read) -> Result<()> {
        if is_clutter(&name) {
            return Ok(());
        }
        if !is_file {
            return self.refuse(name, Error::invalid("file", "links and devices are not taken in"));
        }
        match check_name("file", &name) {
            Err(error) => self.refuse(name, error),
            Ok(name) => {
                let taken = self.take(bytes);
                if let Err(Error::PayloadTooLarge(_)) = &taken
                    && self.left == 0
                {
                    return Err(Error::PayloadTooLarge("the archive unpacks to more than is taken in".into()));
                }
                self.push(Entry { name, taken })
            }
        }
    }

    fn take(&mut self, mut bytes: impl Read) -> Result<Uploaded> {
        let mut upload = self.directory.upload()?;
        let mut buffer = vec![0u8; 64 << 10];
        loop {
            let count = match bytes.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.map_err(broken)?,
            };
            if count == 0 {
                return upload.finish();
            }
            self.left = self.left.saturating_sub(count as u64);
            if upload.size() + count as u64 > self.bounds.file_bytes || self.left == 0 {
                return Err(Error::PayloadTooLarge("the file is larger than is taken in".into()));
            }
            upload.write(buffer.get(..count).unwrap_or_default())?;
        }
    }

    fn refuse(&mut self, name: String, error: Error) -> Result<()> {
        self.push(Entry { name, taken: Err(error) })
    }

    fn push(&mut self, entry: Entry) -> Result<()> {
        if self.entries.len() >= self.bounds.files {
            return Err(Error::PayloadTooLarge(format!("the archive holds more than {} files", self.bounds.files)));
        }
        self.entries.push(entry);
        Ok(())
    }
}

/// What archivers add of their own accord.
fn is_clutter(name: &str) -> bool {
    name.split(['/', '\\']).any(|part| part == "__MACOSX" || part == ".DS_Store" || part == "Thumbs.db")
}

fn broken(cause: impl std::fmt::Display) -> Error {
    Error::invalid("file", format!("the archive cannot be read: {cause}"))
}
