//! Words and sentences of human languages: pure functions that cannot fail.
//!
//! The full-text index, highlights, the chunker and extractive answers all cut text here, so that they agree on
//! what a word is. Knows nothing of documents or indexes. All offsets are byte offsets into the text given.

mod cut;
mod sentence;
mod word;

pub use cut::{after_letters, boundary};
pub use sentence::sentences;
pub use word::{Analyzer, Word, fold, is_unspaced};
