//! This side of a process that reads documents: starting it, speaking with it under a time limit, ending it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::answer::{self, Unpacked};
use super::confine::Confinement;
use super::frame::{self, Tag};
use super::reader::{Request, Task};
use super::{Limits, VERB};
use crate::error::{Error, Result};
use crate::extract::{Extracted, Fault, Input};

/// How much longer an archive may compute, and take, than a document.
const ARCHIVE_FACTOR: u64 = 20;

/// A process, ready to read.
pub struct Process {
    child: Mutex<Child>,
    input: Option<BufWriter<ChildStdin>>,
    output: BufReader<ChildStdout>,
    pub confinement: Confinement,
    /// How long it has worked.
    pub busy: Duration,
}

impl Process {
    /// Starts a process that reads documents.
    pub fn for_documents(program: &Path, limits: Limits) -> Result<Process> {
        Self::start(program, Task::Documents, limits, Stdio::piped())
    }

    fn start(program: &Path, task: Task, limits: Limits, input: Stdio) -> Result<Process> {
        let factor = if task == Task::Documents { 2 } else { ARCHIVE_FACTOR };
        let mut command = Command::new(program);
        command.arg(VERB).args(["--memory", &limits.memory.to_string()]);
        command.args(["--seconds", &limits.seconds.saturating_mul(factor).to_string()]);
        if let Task::Archive(bytes) = task {
            command.args(["--archive", &bytes.to_string()]);
        }
        // Nothing of this process's surroundings is any business of a document's.
        command.env_clear().stdin(input).stdout(Stdio::piped()).stderr(Stdio::null());
        #[cfg(unix)]
        command.current_dir("/");
        let mut child = command.spawn().map_err(not_now)?;
        let (input, output) = (child.stdin.take().map(BufWriter::new), child.stdout.take());
        let output = output.ok_or_else(|| Error::Internal("a process without an output".into()))?;
        let mut process = Process {
            child: Mutex::new(child),
            input,
            output: BufReader::new(output),
            confinement: Confinement::default(),
            busy: Duration::ZERO,
        };
        let hello = process.within(Duration::from_secs(limits.seconds), |_, output, _| {
            let words = frame::expect(output, Tag::Hello, answer::PIECE)?;
            Ok(serde_json::from_slice(&words)?)
        });
        process.confinement = hello.map_err(|end| not_now(end.said()))?;
        Ok(process)
    }

    /// Reads a document. A process that failed to is of no more use.
    pub fn read(&mut self, input: &Input<'_>, limit: Duration) -> std::result::Result<Result<Extracted, Fault>, End> {
        let request = Request {
            format: input.format,
            name: input.name.map(str::to_owned),
            charset: input.charset.map(str::to_owned),
            wants_scans: input.wants_scans,
        };
        self.within(limit, |to, from, _| {
            let to = to.as_mut().ok_or(ErrorKind::BrokenPipe)?;
            frame::write(to, Tag::Request, &serde_json::to_vec(&request)?)?;
            frame::write(to, Tag::Bytes, input.bytes)?;
            to.flush()?;
            answer::document(from)
        })
    }

    /// Takes an archive apart in a process of its own, to at most so many bytes; `take` receives what comes out of it. Each
    /// piece must come within `limits.seconds` of the one before, and all within [`ARCHIVE_FACTOR`] times that.
    pub fn unpack(
        program: &Path,
        archive: File,
        bytes: u64,
        limits: Limits,
        take: &mut dyn FnMut(Unpacked) -> Result<()>,
    ) -> Result<Confinement> {
        let mut process = Self::start(program, Task::Archive(bytes), limits, Stdio::from(archive))?;
        let until = Instant::now() + Duration::from_secs(limits.seconds.saturating_mul(ARCHIVE_FACTOR));
        let mut failure = None;
        let ended = process.within(Duration::from_secs(limits.seconds), |_, output, alive| {
            loop {
                let next = answer::unpacked(output)?;
                let _ = alive.send(());
                if Instant::now() > until {
                    return Err(ErrorKind::TimedOut.into());
                }
                let unpacked = match next {
                    None => return Ok(None),
                    Some(Err(fault)) => return Ok(Some(fault)),
                    Some(Ok(unpacked)) => unpacked,
                };
                if let Err(error) = take(unpacked) {
                    failure = Some(error);
                    return Ok(None);
                }
                let _ = alive.send(());
            }
        });
        match (failure, ended) {
            (Some(error), _) => Err(error),
            (None, Ok(None)) => Ok(process.confinement),
            (None, Ok(Some(fault))) => Err(fault.into()),
            (None, Err(end)) => Err(end.fault().into()),
        }
    }

    /// Speaks with the process, and kills it where nothing moves for `limit`.
    fn within<T>(
        &mut self,
        limit: Duration,
        talk: impl FnOnce(&mut Option<BufWriter<ChildStdin>>, &mut BufReader<ChildStdout>, &Sender<()>) -> io::Result<T>,
    ) -> std::result::Result<T, End> {
        let started = Instant::now();
        let (alive, signs) = channel();
        let (child, input, output) = (&self.child, &mut self.input, &mut self.output);
        let (said, is_late) = std::thread::scope(|scope| {
            let watch = scope.spawn(move || {
                loop {
                    match signs.recv_timeout(limit) {
                        Ok(()) => {}
                        Err(RecvTimeoutError::Disconnected) => return false,
                        Err(RecvTimeoutError::Timeout) => {
                            kill(child);
                            return true;
                        }
                    }
                }
            });
            let said = talk(input, output, &alive);
            drop(alive);
            (said, watch.join().unwrap_or(false))
        });
        self.busy += started.elapsed();
        said.map_err(|error| {
            kill(&self.child);
            let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait().ok();
            End { error, status, late: is_late.then_some(limit) }
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        kill(&self.child);
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// A process that does not start is the machine's fault, and no document's: it may start later.
fn not_now(cause: impl std::fmt::Display) -> Error {
    tracing::error!(%cause, "a process that reads documents could not be started");
    Error::Unavailable("no process can be started now that reads the document; try again later".into())
}

fn kill(child: &Mutex<Child>) {
    // One that has ended already is as good.
    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
}

/// How a process ended that should have gone on.
#[derive(Debug)]
pub struct End {
    error: io::Error,
    status: Option<ExitStatus>,
    /// The limit that it met.
    late: Option<Duration>,
}

impl End {
    /// For the log.
    pub fn said(&self) -> String {
        let status = self.status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
        format!("{} ({status})", self.error)
    }

    /// For whoever sent the document.
    pub fn fault(&self) -> Fault {
        tracing::warn!(end = %self.said(), "a process that read a document was ended");
        match self.late {
            Some(limit) => Fault::too_complex(format!("it takes longer than {} seconds", limit.as_secs())),
            None => Fault::too_complex("it takes more memory or processor time, or is nested deeper"),
        }
    }
}
