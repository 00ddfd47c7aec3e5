//! What speaks: language models, and what answers without one.
//!
//! Knows questions and evidence as text; no workspace, no session.

mod asked;
mod evidence;
mod extractive;
pub mod openai;

pub use evidence::row_as_prose;
pub use extractive::{Answer, Passage, Quote, answer};

/// The provider that is always there.
pub const EXTRACTIVE: &str = "extractive";
