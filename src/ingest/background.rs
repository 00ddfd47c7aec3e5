//! Threads that leave the processor to others: whoever searches waits, and whoever ingests does not.
//!
//! Measured with two cores: without it a search takes its turn among the embedding threads, and at the 99th percentile
//! that turn is a time slice.

/// How far a thread of ingestion steps back, as Unix counts niceness: it gets about a tenth of a core that others want,
/// so it never stands still.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Lets this thread, and those that it starts, come after the others of this process. Only Linux knows niceness of
/// threads; elsewhere nothing happens.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a thread of ingestion keeps its priority");
    }
}
