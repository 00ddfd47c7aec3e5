//! A model's file is run first in a process of its own: llama.cpp ends the process where it meets with what it did not expect,
//! and a damaged file is full of that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;

use super::generation::Conversation;
use super::load::Loaded;
use super::worker::Job;
use super::{PIECES, Settings, stopped};
use crate::llm::request::{Message, Request};
use crate::llm::speech::Failure;

/// The verb of this program that runs a model to see whether that goes well.
pub const VERB: &str = "try-model";
/// How often it is looked whether the process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Enough for a few words.
const SETTINGS: Settings = Settings { context_tokens: 1024, threads: 1 };

/// Where files are tried, and those that went well.
pub(super) struct Trials {
    /// This program; `None` tries nothing.
    program: Option<PathBuf>,
    passed: BTreeMap<PathBuf, (u64, SystemTime)>,
}

impl Trials {
    pub fn new(program: Option<PathBuf>) -> Self {
        Trials { program, passed: BTreeMap::new() }
    }

    /// Tries this file, unless it was tried before and did not change. What ends its process by itself is left to who loads it: he
    /// has words for it.
    ///
    /// # Errors
    /// Where the file brings its process down.
    pub fn pass(&mut self, path: &Path, wanted: impl Fn() -> bool) -> Result<(), Failure> {
        let Some(program) = &self.program else { return Ok(()) };
        let Ok(file) = path.metadata() else { return Ok(()) };
        let version = (file.len(), file.modified().unwrap_or(SystemTime::UNIX_EPOCH));
        if self.passed.get(path) == Some(&version) {
            return Ok(());
        }
        if runs(program, path, wanted)
            .map_err(|_| Failure::Unavailable("no process can be had to try a model".into()))?
        {
            self.passed.insert(path.to_owned(), version);
            return Ok(());
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        Err(Failure::Unavailable(format!("the model {name} cannot be run: its file is damaged")))
    }
}

/// Whether the process comes to an end of its own, while that is wanted.
fn runs(program: &Path, path: &Path, wanted: impl Fn() -> bool) -> std::io::Result<bool> {
    let mut command = Command::new(program);
    command.arg(VERB).arg(std::path::absolute(path)?);
    // llama.cpp would look for a debugger.
    command.env_clear().env("GGML_NO_BACKTRACE", "1").current_dir("/");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(matches!(status.code(), Some(0 | 1)));
        }
        if !wanted() {
            child.kill()?;
            child.wait()?;
            // Nothing is known of the file.
            return Err(std::io::ErrorKind::Interrupted.into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// That process: loads the model, and lets it read a bit of everything and say a few words.
///
/// # Errors
/// What the model's provider would say.
pub fn try_model(path: &Path) -> Result<(), Failure> {
    let (directory, name) = (path.parent().ok_or_else(stopped)?, path.file_stem().ok_or_else(stopped)?);
    let loaded = Loaded::open(directory, &name.to_string_lossy(), || true)?;
    let mut conversation = Conversation::new(&loaded, &SETTINGS)?;
    let all: String = (' '..='~').chain("\n\täß漢🙂".chars()).collect();
    let messages = vec![Message::System("Be brief.".into()), Message::User(all)];
    let request = Request { model: loaded.name.clone(), messages, max_tokens: 4, ..Request::default() };
    let (pieces, _listening) = mpsc::channel(PIECES);
    let deadline = Instant::now() + Duration::from_secs(3600);
    conversation.answer(&Job { request, deadline, pieces }, &AtomicBool::new(false)).map(drop)
}
