//! An agent speaks about what search found: one turn of a chat, from the question to the stored answer.
//!
//! Takes a workspace that the caller was let into, and tells of its steps as [`Event`]s. No citation leaves
//! unless its quote stands at its offsets in its document.

mod citations;
mod entity_tools;
mod event;
mod history;
pub mod templates;
mod tools;
mod turn;

pub use citations::Citation;
pub use event::{Event, ToolUse, Usage};
pub use tools::{TOOLS, check_tools, search_tool};
pub use turn::{Chat, Reply, take_turn};
