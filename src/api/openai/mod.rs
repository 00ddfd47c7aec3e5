//! The door that speaks OpenAI's API: agents as models, turns as chat completions, the workspace's embeddings.
//!
//! Shapes, words of errors and limits are OpenAI's; what they mean is told elsewhere. Fields that nobody here knows are
//! ignored, since its clients send new ones before anybody hears of them. Stands under `/v1` alone.

mod annotations;
pub mod completions;
pub mod embeddings;
mod input;
mod messages;
pub mod models;
pub mod refusal;
mod streaming;

/// Whether an answer at this path is to be in OpenAI's shape, whoever gives it.
pub fn is_at(path: &str) -> bool {
    let below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    below("/v1/models") || below("/v1/chat/completions") || below("/v1/embeddings")
}
