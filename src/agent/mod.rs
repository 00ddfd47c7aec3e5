//! An agent speaks about what search found: one turn of a chat, from the question to the stored answer.
//!
//! Takes a workspace that the caller was let into, and tells of its steps as [`Event`]s. No citation leaves
//! unless its quote stands at its offsets in its document.

mod answering;
mod briefing;
mod calling;
mod citations;
mod event;
pub mod evidence;
mod gate;
pub mod grounding;
mod history;
mod ledger;
pub mod prompt;
mod queue;
mod quoting;
mod replay;
mod reply;
mod requests;
mod speaking;
pub mod templates;
mod tools;
mod turn;
mod understanding;

pub use answering::{Desk, FALLBACK};
pub use briefing::{brief, told};
pub use citations::Citation;
pub use event::{Event, Listener, ToolUse, Usage};
pub use gate::markers;
pub use queue::Queue;
pub use replay::{Gone, Moved, Replayed, Seen, replay};
pub use reply::Reply;
pub use tools::{ASK_AGENT, Outcome, TOOLS, Tools, check_tools, described};
pub use turn::{Chat, Line, Thread, take_turn};
pub use understanding::HISTORY;

#[cfg(test)]
mod tests;
