//! Archives of documents: what they hold becomes files of ours.
//!
//! Taking them apart is the sandbox's; here their files are received. Only regular files are taken, their names are
//! words and never become paths, and count and size are bounded, whatever the archive claims.

use std::fs::File;

use super::clutter::stays_out;
use super::source::check_name;
use crate::datadir::{DataDir, Upload, Uploaded};
use crate::error::{Error, Result};
use crate::sandbox::{self, Sandbox, Unpacked};

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

/// What an archive holds.
pub struct Contents {
    pub entries: Vec<Entry>,
    /// Files without a byte, of which nothing goes in.
    pub empty: Vec<String>,
}

/// Whether a file of this name is unpacked.
pub fn is_archive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".zip", ".tar", ".gz", ".tgz", ".zst", ".tzst", ".mbox"].iter().any(|ending| name.ends_with(ending))
}

/// Pieces of an archive after which it is asked whether anybody still wants it.
const LOOK_EVERY: u32 = 64;
/// Bytes that an archive may have beside its files.
const MARGIN: u64 = 16 << 20;

/// What a file is called that was compressed under this name.
pub fn uncompressed(name: &str) -> &str {
    let ending = [".gz", ".zst"].iter().find_map(|ending| {
        let at = name.len().checked_sub(ending.len())?;
        name.get(at..)?.eq_ignore_ascii_case(ending).then_some(at)
    });
    ending.and_then(|at| name.get(..at)).filter(|name| !name.is_empty() && !name.ends_with('/')).unwrap_or(name)
}

/// Takes every file out of the archive. Where it is none, but one file that is compressed, that is called `sole`, and fails
/// where it would have no name.
///
/// # Errors
/// [`Error::Unreadable`] for what is no archive or breaks off, [`Error::PayloadTooLarge`] beyond the bounds.
pub fn unpack(
    sandbox: &Sandbox,
    file: File,
    sole: Option<&str>,
    bounds: Bounds,
    directory: &DataDir,
    is_over: &dyn Fn() -> Result<bool>,
) -> Result<Contents> {
    let held = Contents { entries: Vec::new(), empty: Vec::new() };
    let mut taker = Taker { sole, bounds, directory, left: bounds.bytes, open: None, held, left_out: 0 };
    let mut since = 0u32;
    // Names, padding and the end of an archive count as little as its files are large.
    let most = bounds.bytes.saturating_add(bounds.bytes / 8).saturating_add(MARGIN);
    sandbox.unpack(file, most, &mut |unpacked| {
        since += 1;
        if since.is_multiple_of(LOOK_EVERY) && is_over()? {
            return Err(Error::Conflict("the job was cancelled".into()));
        }
        taker.take(unpacked)
    })?;
    taker.finish_open()?;
    match (taker.held.entries.is_empty(), taker.left_out) {
        (true, 0) => Err(Error::invalid("file", "the archive holds no files")),
        (true, _) => Err(Error::invalid("file", "the archive holds hidden and empty files alone, which are left out")),
        (false, _) => Ok(taker.held),
    }
}

struct Taker<'a> {
    sole: Option<&'a str>,
    bounds: Bounds,
    directory: &'a DataDir,
    left: u64,
    /// The file whose bytes come, unless it has failed.
    open: Option<(String, Upload)>,
    held: Contents,
    /// Entries that are no documents, empty ones among them.
    left_out: usize,
}

impl Taker<'_> {
    fn take(&mut self, unpacked: Unpacked) -> Result<()> {
        match unpacked {
            Unpacked::Entry(sandbox::Entry { name, refused }) => {
                self.finish_open()?;
                let name = match self.sole {
                    // As some programs pack, against the rules of their format.
                    _ if !name.is_empty() => name.replace('\\', "/"),
                    Some(sole) => sole.to_owned(),
                    None => {
                        let why = "one compressed file needs a name: send it as a form";
                        return self.push("archive".to_owned(), Err(Error::invalid("file", why)));
                    }
                };
                if stays_out(&name) {
                    return self.leave_out();
                }
                // The name first: what fails is called as its document would be.
                let (name, fault) = match check_name("file", &name) {
                    Ok(checked) => (checked, refused.map(Error::from)),
                    Err(error) => (name, Some(error)),
                };
                match fault {
                    Some(error) => self.push(name, Err(error)),
                    None => {
                        self.open = Some((name, self.directory.upload()?));
                        Ok(())
                    }
                }
            }
            Unpacked::Bytes(bytes) => self.write(&bytes),
            Unpacked::Broken(fault) => match self.open.take() {
                Some((name, _)) => self.push(name, Err(fault.into())),
                None => Ok(()),
            },
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        // What nobody wants is counted too: unpacking it took as long.
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(|| {
            Error::PayloadTooLarge(format!("the archive unpacks to more than {} bytes", self.bounds.bytes))
        })?;
        let Some((name, mut upload)) = self.open.take() else { return Ok(()) };
        if upload.size() + bytes.len() as u64 > self.bounds.file_bytes {
            let why = format!("the file has more than {} bytes", self.bounds.file_bytes);
            return self.push(name, Err(Error::PayloadTooLarge(why)));
        }
        upload.write(bytes)?;
        self.open = Some((name, upload));
        Ok(())
    }

    fn finish_open(&mut self) -> Result<()> {
        match self.open.take() {
            Some((name, upload)) if upload.size() == 0 => {
                self.held.empty.push(name);
                self.leave_out()
            }
            Some((name, upload)) => {
                let taken = upload.finish()?;
                self.push(name, Ok(taken))
            }
            None => Ok(()),
        }
    }

    fn leave_out(&mut self) -> Result<()> {
        self.left_out += 1;
        self.count()
    }

    fn push(&mut self, name: String, taken: Result<Uploaded>) -> Result<()> {
        self.held.entries.push(Entry { name, taken });
        self.count()
    }

    fn count(&self) -> Result<()> {
        match self.held.entries.len() + self.left_out > self.bounds.files {
            true => Err(Error::PayloadTooLarge(format!("the archive holds more than {} files", self.bounds.files))),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_file_is_called_by_its_name_without_the_ending() {
        let names = ["a/note.md.gz", "NOTE.TXT.ZST", "archive", "a/.gz", ".gz", "é.gz"].map(uncompressed);
        assert_eq!(names, ["a/note.md", "NOTE.TXT", "archive", "a/.gz", ".gz", "é"]);
        assert!(is_archive("a/note.md.gz") && is_archive("A.TAR.ZST") && !is_archive("gz"));
    }
}
