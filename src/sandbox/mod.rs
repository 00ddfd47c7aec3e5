//! Documents are read in processes of their own, which may do nothing else.
//!
//! A small file can make a parser ask for terabytes, follow itself for ever or fall; here it takes one process with
//! it and is told apart from the others by an error. The processes are this program again, confined ([`confine`]),
//! and stay warm: each reads one document after the other, but only ever those of one compartment, so that
//! what a document may have done to its reader is no other's business. Within one, a document that has taken its reader
//! over can see and falsify those that the same process reads after it. Knows no workspace; a compartment is a number.

pub mod answer;
mod confine;
mod frame;
mod process;
mod reader;
mod recognition;
mod turns;
pub mod unpacking;

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uuid::Uuid;

pub use answer::Unpacked;
pub use confine::{Bounds, Confinement};
pub use reader::{Task, run};
pub use recognition::{Recognizer, become_confined};
pub use unpacking::Entry;

use crate::error::Result;
use crate::extract::{self, Extracted, Fault, Input, Kind, Scan};
use process::Process;
use turns::Turns;

/// The hidden verb of this program that reads documents.
pub const VERB: &str = "read-documents";
/// The hidden verb of this program that becomes the one that recognizes text.
pub const RECOGNITION_VERB: &str = "recognize-text";
/// Documents whose pictures are recognized at once: each has all of its pictures in memory.
const RECOGNIZED_AT_ONCE: usize = 4;
/// How many times as long as one page all pages of a document may take to recognize.
const RECOGNITION_FACTOR: u32 = 20;
/// Bytes of a document, or of its text, from which its reader is not used again: what it took stays taken.
const HEAVY: usize = 4 << 20;

/// What one document may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of address space of the process that reads it.
    pub memory: u64,
    /// Seconds until it must have been read.
    pub seconds: u64,
    /// Processes at once.
    pub at_once: usize,
}

/// The processes that read documents.
pub struct Sandbox {
    program: PathBuf,
    limits: Limits,
    recognizer: Option<Recognizer>,
    reading: Turns,
    /// Archives, which take long, have a turn of their own: documents do not wait for them.
    unpacking: Turns,
    /// Documents whose pictures are in memory.
    recognizing: Turns,
    /// Processes that have nothing to do; the one that was used last comes last.
    idle: Mutex<Vec<Idle>>,
    /// Whether it was said that something does not hold here.
    told: AtomicBool,
}

struct Idle {
    compartment: Uuid,
    since: Instant,
    process: Process,
}

impl Sandbox {
    /// Processes of `program`, which is this program; none is started yet. Without a recognizer, text in pictures is
    /// not read.
    pub fn new(program: PathBuf, limits: Limits, recognizer: Option<Recognizer>) -> Self {
        Sandbox {
            program,
            limits,
            recognizer,
            reading: Turns::new(limits.at_once),
            unpacking: Turns::new(1),
            recognizing: Turns::new(RECOGNIZED_AT_ONCE),
            idle: Mutex::default(),
            told: AtomicBool::new(false),
        }
    }

    /// This very program, even where its file was replaced meanwhile.
    pub fn this_program() -> PathBuf {
        if cfg!(target_os = "linux") {
            return PathBuf::from("/proc/self/exe");
        }
        std::env::current_exe().unwrap_or_else(|_| PathBuf::from("carrel"))
    }

    /// Reads a document, in a process that reads none of another compartment. Blocks. The inner error is the
    /// document's fault.
    ///
    /// # Errors
    /// Where no process can be had.
    pub fn extract(&self, compartment: Uuid, input: Input<'_>) -> Result<Result<Extracted, Fault>> {
        let read = self.read(compartment, Input { wants_scans: false, ..input })?;
        match &self.recognizer {
            Some(recognizer) if lacks_text(&read) => self.recognize(recognizer, compartment, input),
            _ => Ok(read),
        }
    }

    /// Reads a document again, with its pictures, and the text in them. A picture that cannot be read leaves its page
    /// without text.
    fn recognize(
        &self,
        recognizer: &Recognizer,
        compartment: Uuid,
        input: Input<'_>,
    ) -> Result<Result<Extracted, Fault>> {
        let _room = self.recognizing.take();
        let found = match self.read(compartment, Input { wants_scans: true, ..input })? {
            Ok(found) => found,
            fault => return Ok(fault),
        };
        let started = Instant::now();
        let most = Duration::from_secs(self.limits.seconds) * RECOGNITION_FACTOR;
        let text = |scan: &Scan| {
            if started.elapsed() > most {
                return String::new();
            }
            let _turn = self.reading.take();
            recognizer.recognize(&self.program, self.limits, &scan.image).unwrap_or_default()
        };
        let texts: Vec<String> = found.scans.iter().map(text).collect();
        let found = extract::with_recognized(found, &texts);
        Ok(match found.content.trim().is_empty() {
            true => Err(Fault::new(Kind::NoTextLayer, "the document is a picture in which no text was recognized")),
            false => extract::checked(found),
        })
    }

    fn read(&self, compartment: Uuid, input: Input<'_>) -> Result<Result<Extracted, Fault>> {
        // What stands as it is needs no parser, and so no process.
        let read = match input.format.is_verbatim() {
            true => extract::extract(input),
            false => self.read_apart(compartment, input)?,
        };
        Ok(read.and_then(extract::checked))
    }

    fn read_apart(&self, compartment: Uuid, input: Input<'_>) -> Result<Result<Extracted, Fault>> {
        let _turn = self.reading.take();
        let limit = Duration::from_secs(self.limits.seconds);
        let warm = self.warm(compartment);
        let (process, answer) = match warm.and_then(|mut process| Some((process.read(&input, limit).ok()?, process))) {
            Some((answer, process)) => (process, answer),
            None => {
                // What an earlier document left behind in a process is not this one's fault: it gets a fresh one.
                let mut fresh = self.noted(Process::for_documents(&self.program, self.limits)?);
                match fresh.read(&input, limit) {
                    Ok(answer) => (fresh, answer),
                    Err(end) => return Ok(Err(end.fault())),
                }
            }
        };
        let size = answer.as_ref().map_or(0, |found| found.content.len() + found.scans.len() * HEAVY);
        if input.bytes.len().max(size) < HEAVY && process.busy < limit / 2 {
            self.idle().push(Idle { compartment, since: Instant::now(), process });
        }
        Ok(answer)
    }

    /// Takes an archive apart, to at most so many bytes; `take` receives its files in turn. Blocks.
    ///
    /// # Errors
    /// As [`Sandbox::extract`], and those of `take`.
    pub fn unpack(&self, archive: File, bytes: u64, take: &mut dyn FnMut(Unpacked) -> Result<()>) -> Result<()> {
        let _turn = self.unpacking.take();
        Process::unpack(&self.program, archive, bytes, self.limits, take).map(|confinement| self.note(confinement))
    }

    /// What reads text in pictures.
    pub fn recognizer(&self) -> Option<&Recognizer> {
        self.recognizer.as_ref()
    }

    /// What holds the processes of this machine: starts one to see.
    pub fn confinement(&self) -> Result<Confinement> {
        Ok(Process::for_documents(&self.program, self.limits)?.confinement)
    }

    /// Ends processes that have had nothing to do for `idle`.
    pub fn tidy(&self, idle: Duration) {
        let ended: Vec<Idle> = self.idle().extract_if(.., |process| process.since.elapsed() >= idle).collect();
        drop(ended);
    }

    /// An idle process of this compartment; one of another makes room for a new one.
    fn warm(&self, compartment: Uuid) -> Option<Process> {
        let mut idle = self.idle();
        let own = idle.iter().rposition(|idle| idle.compartment == compartment);
        let surplus = (own.is_none() && idle.len() >= self.limits.at_once).then(|| idle.remove(0));
        let own = own.map(|place| idle.remove(place).process);
        drop(idle);
        drop(surplus);
        own
    }

    fn noted(&self, process: Process) -> Process {
        self.note(process.confinement);
        process
    }

    fn note(&self, Confinement { bounded, walled, filtered }: Confinement) {
        let holds = bounded && walled && filtered;
        if !holds && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(bounded, walled, filtered, "this system confines the reading of documents in part only");
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether text recognition could add to what was read.
fn lacks_text(read: &Result<Extracted, Fault>) -> bool {
    match read {
        Ok(found) => found.warnings.iter().any(|warning| warning.code == Kind::NoTextLayer.code()),
        Err(fault) => fault.kind == Kind::NoTextLayer,
    }
}
