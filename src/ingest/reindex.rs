//! The work of a reindexing job: every chunk's vector by another model, then the switch to them.
//!
//! Embedding is patient: questions and their embedding go first. Each batch is stored for itself, so a job that is cut off
//! goes on where it stopped.

use std::time::Instant;

use uuid::Uuid;

use super::background;
use crate::embed::{Embedder, Purpose};
use crate::error::Result;
use crate::workspace::Workspace;

/// Chunks that are embedded and stored together.
const BATCH: usize = 256;

/// Works `job` off with `embedder`, that of the model it is for, and calls `progressed` after each batch. `false` where
/// `is_over` said so before the end.
///
/// # Errors
/// [`crate::error::Error::Conflict`] where the job was cancelled.
pub fn run(
    workspace: &Workspace,
    embedder: &dyn Embedder,
    job: Uuid,
    is_over: &(dyn Fn() -> bool + Sync),
    progressed: impl Fn() + Sync,
) -> Result<bool> {
    // A thread of its own, and with it those that embed, so that they can step back.
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            background::step_back();
            loop {
                if !embed_lacking(workspace, embedder, job, is_over, &progressed)? {
                    return Ok(false);
                }
                // What came in while the last batch was made is next.
                if workspace.switch_models(job)? {
                    return Ok(true);
                }
            }
        });
        work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Makes the vectors of all chunks that lack one. `false` where its time was over before.
fn embed_lacking(
    workspace: &Workspace,
    embedder: &dyn Embedder,
    job: Uuid,
    is_over: &(dyn Fn() -> bool + Sync),
    progressed: &(impl Fn() + Sync),
) -> Result<bool> {
    let (mut after, mut since) = (0, Instant::now());
    loop {
        let (numbers, texts): (Vec<u32>, Vec<String>) =
            workspace.chunks_to_embed(job, after, BATCH)?.into_iter().unzip();
        let Some(last) = numbers.last() else { return Ok(true) };
        after = *last;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = embedder.embed(&texts, Purpose::Passage)?;
        let now = Instant::now();
        workspace.add_vectors(job, numbers.into_iter().zip(vectors).collect(), now - since)?;
        since = now;
        progressed();
        // Not before it has got further.
        if is_over() {
            return Ok(false);
        }
    }
}
