//! `carrel read-documents`, `carrel recognize-text` and `carrel try-model`: what this program starts itself as, to do apart
//! from everything else what may end the process.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[cfg(feature = "llama")]
use super::Failure;
use super::{DONE, Outcome};
use crate::sandbox::{self, Bounds, Task};

/// What is run in a process of its own, by this program alone.
#[derive(Subcommand)]
pub enum Apart {
    /// Read documents for another process of this program, confined
    #[command(hide = true)]
    ReadDocuments(ReadDocuments),
    /// Recognize the text of a picture for another process of this program, confined
    #[command(hide = true)]
    RecognizeText(RecognizeText),
    /// See whether a language model can be run, for another process of this program
    #[cfg(feature = "llama")]
    #[command(hide = true, name = crate::llm::TRIAL)]
    TryModel {
        /// The model's file
        file: PathBuf,
    },
}

#[derive(Args)]
pub struct ReadDocuments {
    #[command(flatten)]
    bounds: Bounded,
    /// Take the archive apart that is the standard input, to so many bytes
    #[arg(long)]
    archive: Option<u64>,
}

#[derive(Args)]
pub struct RecognizeText {
    #[command(flatten)]
    bounds: Bounded,
    /// What recognizes it
    #[arg(long)]
    program: PathBuf,
    /// Languages that the text is in
    #[arg(long)]
    languages: String,
}

#[derive(Args)]
struct Bounded {
    /// Bytes of memory
    #[arg(long)]
    memory: u64,
    /// Seconds of processor time
    #[arg(long)]
    seconds: u64,
}

impl Bounded {
    fn bounds(&self) -> Bounds {
        Bounds { memory: self.memory, seconds: self.seconds }
    }
}

/// Reads until the standard input ends, or becomes what recognizes the picture that is the standard input. To be called
/// before there is a second thread.
pub fn run(apart: Apart) -> Outcome {
    match apart {
        Apart::ReadDocuments(verb) => {
            let task = verb.archive.map_or(Task::Documents, Task::Archive);
            sandbox::run(task, verb.bounds.bounds())?;
            Ok(DONE)
        }
        Apart::RecognizeText(verb) => {
            Err(sandbox::become_confined(&verb.program, &verb.languages, verb.bounds.bounds()).into())
        }
        #[cfg(feature = "llama")]
        Apart::TryModel { file } => match crate::llm::try_model(&file) {
            Ok(()) => Ok(DONE),
            Err(failure) => Err(Failure::Failed(failure.to_string())),
        },
    }
}
