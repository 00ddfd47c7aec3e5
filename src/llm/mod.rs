//! What speaks: language models, and what answers without one.
//!
//! [`Providers`] are what the operator configured; a [`ChatModel`] takes a [`Request`] and gives a [`Speech`], whatever its
//! provider speaks. Knows questions and evidence as text; no workspace, no session.

mod anthropic;
mod asked;
mod endpoint;
mod evidence;
mod extractive;
#[cfg(feature = "llama")]
mod llama;
mod model;
mod openai;
mod providers;
mod request;
mod speech;

pub use evidence::row_as_prose;
pub use extractive::{Answer, Passage, Quote, answer};
#[cfg(feature = "llama")]
pub use llama::{TRIAL, models_inside, try_model};
pub use model::ChatModel;
pub use providers::{Provider, Providers};
pub use request::{Message, Request, Shape, Tool, ToolCall};
pub use speech::{Completion, End, Failure, Finish, Piece, Speech, Tokens};

/// The provider that is always there.
pub const EXTRACTIVE: &str = "extractive";
