//! Models in GGUF files, run in this process by llama.cpp.
//!
//! A provider has one thread (`worker`), which holds one model at a time and answers one question after another, in the order
//! in which they came. Here is the side of those who ask: they hand in a question and wait for pieces; when they wait no more,
//! the thread stops at the next token. Nothing leaves the machine.

mod answer;
mod choice;
mod generation;
mod grammar;
mod load;
mod prompt;
mod template;
#[cfg(test)]
mod tests;
mod trial;
mod worker;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use self::trial::Trials;
pub use self::trial::{VERB as TRIAL, try_model};
use self::worker::{Job, Worker};
use super::request::Request;
use super::speech::{Completion, Failure, Piece};
use crate::config;
use crate::error::{Error, Result};
use crate::sandbox::Sandbox;

/// Tokens of a question with its answer, where the configuration says nothing.
const CONTEXT_TOKENS: u32 = 8192;
/// The end of a model's file's name.
const ENDING: &str = ".gguf";
/// Pieces on their way to who asked; what he does not take in time is put together into one.
const PIECES: usize = 64;

/// A folder of models.
pub struct Llama {
    worker: Worker,
    timeout: Duration,
}

/// How models are run.
#[derive(Debug, Clone, Copy)]
struct Settings {
    context_tokens: u32,
    threads: u16,
}

impl Llama {
    /// The models in `directory`, as the provider's configuration wants them run. None is loaded before it is asked.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn new(directory: &Path, config: &config::Provider) -> Result<Self> {
        Llama::tried_by(Some(Sandbox::this_program()), directory, config)
    }

    fn tried_by(program: Option<PathBuf>, directory: &Path, config: &config::Provider) -> Result<Self> {
        let cores =
            std::thread::available_parallelism().map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX));
        let settings = Settings {
            context_tokens: config.context_tokens.unwrap_or(CONTEXT_TOKENS),
            threads: config.threads.filter(|threads| *threads > 0).unwrap_or(cores),
        };
        let worker = Worker::start(directory.to_owned(), Trials::new(program), settings)
            .map_err(|e| Error::internal("a model's thread", e))?;
        Ok(Llama { worker, timeout: Duration::from_secs(config.timeout_seconds) })
    }

    /// The names of the models that agents may use: of the files in the configuration, or of those that lie in `directory`.
    pub fn models(directory: &Path, config: &config::Provider) -> Vec<String> {
        let mut files = config.models.clone();
        if files.is_empty() {
            let entries = std::fs::read_dir(directory).into_iter().flatten().filter_map(std::result::Result::ok);
            files = entries
                .filter_map(|entry| entry.file_name().into_string().ok())
                .filter(|name| is_model(name))
                .collect();
            files.sort_unstable();
        }
        files.into_iter().map(|name| name.strip_suffix(ENDING).unwrap_or(&name).to_owned()).collect()
    }

    /// When an answer that is asked for now has to be there.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    pub(super) fn stream(&self, request: &Request) -> Result<mpsc::Receiver<Result<Piece, Failure>>, Failure> {
        let (sender, pieces) = mpsc::channel(PIECES);
        self.worker.submit(Job { request: request.clone(), deadline: self.deadline().into_std(), pieces: sender })?;
        Ok(pieces)
    }

    pub(super) async fn complete(&self, request: &Request) -> Result<Completion, Failure> {
        let deadline = self.deadline();
        let mut pieces = self.stream(request)?;
        let mut text = String::new();
        loop {
            match tokio::time::timeout_at(deadline, pieces.recv()).await.map_err(|_| Failure::Late)? {
                Some(Ok(Piece::Text(more))) => text.push_str(&more),
                Some(Ok(Piece::End(end))) => return Ok(Completion { text, end }),
                Some(Err(failure)) => return Err(failure),
                None => return Err(stopped()),
            }
        }
    }
}

/// The names of the models that run in this process, for who looks whether all is well.
///
/// # Errors
/// What is not there.
pub fn models_inside(directory: &Path, config: &config::Provider) -> Result<Vec<String>, String> {
    let models = Llama::models(directory, config);
    let place = directory.display();
    match models.iter().find(|name| !directory.join(format!("{name}{ENDING}")).is_file()) {
        Some(missing) => Err(format!("there is no {missing}{ENDING} in {place}")),
        None if models.is_empty() => Err(format!("there is no file *{ENDING} in {place}")),
        None => Ok(models),
    }
}

/// Whether a file's name is that of a model that writes: not the eyes of one, nor its second part.
fn is_model(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(ENDING).filter(|stem| !stem.is_empty()) else { return false };
    let is_later_part = stem.rsplit_once("-of-").is_some_and(|(before, parts)| {
        let is_number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
        let part = before.rsplit_once('-').map_or("", |(_, part)| part);
        is_number(parts) && is_number(part) && part != "00001"
    });
    !stem.starts_with('.') && !stem.starts_with("mmproj") && !is_later_part
}

fn stopped() -> Failure {
    Failure::Unavailable("the model stopped".into())
}
