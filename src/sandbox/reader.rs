//! The other side: a process that reads documents, and nothing else.
//!
//! It gives up what it does not need, says what holds it, and answers one request after the other until its input
//! ends. It knows no workspace and no file system; a document that makes it fall takes nobody with it.

use std::io::{self, BufWriter, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use super::answer::{Answer, Facts};
use super::confine::{self, Bounds};
use super::frame::{self, Tag};
use super::unpacking;
use crate::extract::{self, Extracted, Fault, Format, Input};

/// Bytes of the stack that documents are read on: parsers follow a document's nesting by recursion.
const STACK: usize = 256 << 20;
/// Bytes of a request's words at most.
const WORDS: u64 = 64 << 10;

/// What is to be read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    pub format: Format,
    pub name: Option<String>,
    pub charset: Option<String>,
    pub wants_scans: bool,
}

/// What a process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Documents, one after the other, each sent as a request.
    Documents,
    /// The one archive that is the standard input, which may unpack to so many bytes.
    Archive(u64),
}

/// Reads until the input ends.
///
/// # Errors
/// Where the other side cannot be spoken to any more.
pub fn run(task: Task, bounds: Bounds) -> io::Result<()> {
    // What a document does is told by an answer; what a parser prints of it belongs nowhere.
    std::panic::set_hook(Box::new(|_| {}));
    let archive = standard_input()?;
    if matches!(task, Task::Archive(_)) {
        confine::end_with_parent();
    }
    let mut confinement = confine::give_up(bounds);
    let work = move || {
        confinement.filtered = confine::filter();
        let mut out = BufWriter::new(io::stdout());
        frame::write(&mut out, Tag::Hello, &serde_json::to_vec(&confinement)?)?;
        out.flush()?;
        match task {
            Task::Documents => documents(&mut io::stdin().lock(), &mut out),
            Task::Archive(bytes) => unpacking::send(archive, bytes, &mut out),
        }
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work)?;
    thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
}

/// The standard input as the file that it may be.
fn standard_input() -> io::Result<std::fs::File> {
    #[cfg(unix)]
    return Ok(std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned()?.into());
    #[cfg(windows)]
    return Ok(std::os::windows::io::AsHandle::as_handle(&io::stdin()).try_clone_to_owned()?.into());
}

fn documents(input: &mut impl Read, out: &mut impl Write) -> io::Result<()> {
    while let Some((tag, words)) = frame::read(input, WORDS)? {
        if tag != Tag::Request {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let request: Request = serde_json::from_slice(&words)?;
        let bytes = frame::expect(input, Tag::Bytes, u64::MAX)?;
        answer(out, read(&request, &bytes))?;
        out.flush()?;
    }
    Ok(())
}

fn read(request: &Request, bytes: &[u8]) -> Result<Extracted, Fault> {
    let input = Input {
        bytes,
        format: request.format,
        name: request.name.as_deref(),
        charset: request.charset.as_deref(),
        wants_scans: request.wants_scans,
    };
    let read = catch_unwind(AssertUnwindSafe(|| extract::extract(input)));
    read.unwrap_or_else(|_| Err(Fault::damaged("its reader stumbled over it")))
}

fn answer(out: &mut impl Write, outcome: Result<Extracted, Fault>) -> io::Result<()> {
    let mut document = match outcome.and_then(extract::checked) {
        Err(fault) => return frame::write(out, Tag::Answer, &serde_json::to_vec(&Answer::Fault(fault))?),
        Ok(document) => Box::new(document),
    };
    let content = std::mem::take(&mut document.content);
    let pictures: Vec<Vec<u8>> = document.scans.iter_mut().map(|scan| std::mem::take(&mut scan.image)).collect();
    let metadata = std::mem::take(&mut document.metadata);
    let facts = Facts { metadata, warnings: std::mem::take(&mut document.warnings) };
    let words = serde_json::to_vec(&Answer::Extracted { document, pictures: pictures.len() })?;
    frame::write(out, Tag::Answer, &words)?;
    frame::write(out, Tag::Facts, &serde_json::to_vec(&facts)?)?;
    frame::write(out, Tag::Content, content.as_bytes())?;
    pictures.iter().try_for_each(|picture| frame::write(out, Tag::Picture, picture))
}
