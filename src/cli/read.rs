//! `carrel read-documents` and `carrel recognize-text`: what this program starts itself as, to read documents apart
//! from everything else.

use std::path::PathBuf;

use clap::Args;

use super::{DONE, Outcome};
use crate::sandbox::{self, Bounds, Task};

#[derive(Args)]
pub struct ReadDocuments {
    #[command(flatten)]
    bounds: Bounded,
    /// Take the archive apart that is the standard input
    #[arg(long)]
    archive: bool,
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

/// Reads until the standard input ends.
pub fn documents(verb: ReadDocuments) -> Outcome {
    let task = if verb.archive { Task::Archive } else { Task::Documents };
    sandbox::run(task, verb.bounds.bounds())?;
    Ok(DONE)
}

/// Recognizes the picture that is the standard input.
pub fn picture(verb: RecognizeText) -> Outcome {
    Err(sandbox::become_confined(&verb.program, &verb.languages, verb.bounds.bounds()).into())
}
