//! The work of a reindexing job: every chunk's vector by another model, then the switch to them.
//!
//! Embedding is patient: questions and their embedding go first. Each batch is stored for itself, so a job that is cut off
//! goes on where it stopped.

use tokio::sync::watch;
use uuid::Uuid;

use crate::embed::{Embedder, Purpose};
use crate::error::Result;
use crate::workspace::Workspace;

/// Chunks that are embedded and stored together.
const BATCH: usize = 256;

/// Works `job` off with `embedder`, that of the model it is for, and calls `progressed` after each batch. `false` where it
/// was told to stop before the end.
///
/// # Errors
/// [`crate::error::Error::Conflict`] where the job was cancelled.
pub fn run(
    workspace: &Workspace,
    embedder: &dyn Embedder,
    job: Uuid,
    stopping: &watch::Receiver<bool>,
    progressed: impl Fn(),
) -> Result<bool> {
    loop {
        let mut after = 0;
        loop {
            if *stopping.borrow() {
                return Ok(false);
            }
            let (numbers, texts): (Vec<u32>, Vec<String>) =
                workspace.chunks_to_embed(job, after, BATCH)?.into_iter().unzip();
            let Some(last) = numbers.last() else { break };
            after = *last;
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let vectors = embedder.embed(&texts, Purpose::Passage)?;
            workspace.add_vectors(job, numbers.into_iter().zip(vectors).collect())?;
            progressed();
        }
        // What came in while the last batch was made is next.
        if workspace.switch_models(job)? {
            return Ok(true);
        }
    }
}
