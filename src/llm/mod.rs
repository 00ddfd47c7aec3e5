//! What speaks: language models, and what answers without one.
//!
//! Knows questions and evidence as text; no workspace, no session.

mod extractive;
pub mod openai;

pub use extractive::{Answer, Passage, Quote, answer};

/// The provider that is always there.
pub const EXTRACTIVE: &str = "extractive";
