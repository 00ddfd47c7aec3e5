//! Text to vectors, and question and passage to how well they fit, inside the process, through ONNX Runtime.
//!
//! The default model and the runtime are parts of the binary; an operator may put more models beside them
//! ([`Models`]). Nothing is ever downloaded. Texts are embedded one at a time, each on a session with one thread: on
//! a CPU that is the fastest way, and with dynamically quantised models the only one in which a text's vector does
//! not depend on its neighbours. Knows no workspace but as the scope of a cache.

mod cached;
mod engine;
mod export;
mod model;
mod models;
mod pool;
mod reranker;
mod rerankers;
mod runtime;

use crate::error::Result;

pub use cached::{Cached, Passage, Remembered};
pub use models::Models;
pub use reranker::Reranker;

/// What a text is embedded for; some models want different words before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Query,
    /// What is stored and found.
    Passage,
    /// A passage that is looked at once, while somebody waits: as urgent as a query, and remembered nowhere.
    Glance,
}

/// What there is to know of an embedding model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    pub name: String,
    /// Numbers in a vector.
    pub dimension: usize,
    /// SHA-256 of the ONNX file in hexadecimal: the model's identity.
    pub sha256: String,
    /// Tokens of a text that fit its window beside what the model itself adds.
    pub max_tokens: usize,
}

/// Turns texts into vectors of unit length.
pub trait Embedder: Send + Sync {
    fn model(&self) -> &ModelInfo;

    /// A vector for each of `texts`, in order. A text longer than the window is embedded in parts, and the mean is
    /// taken, so that no part of it is without effect. Blocks; queries go before passages, a text at a time.
    ///
    /// # Errors
    /// [`crate::error::Error::Internal`] when the runtime fails.
    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>>;

    /// Passages that are embedded at once: with so many threads, each with a text of its own, it is as fast as it gets.
    fn at_once(&self) -> usize {
        1
    }

    /// Tokens of `text` as the model counts them.
    fn count_tokens(&self, text: &str) -> usize;

    /// Where each token of `text` begins and ends, in bytes, on borders of characters.
    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)>;
}
