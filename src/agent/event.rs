//! What a turn tells of while it runs.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Citation;

/// A step of a turn, in the order in which they happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Session { session_id: Uuid },
    ToolCall(ToolUse),
    ToolResult { tool_call_id: String, summary: String },
    Text { content: String },
    Citations(Vec<Citation>),
    Tools(Vec<ToolUse>),
    Usage(Usage),
    End { message_id: Uuid },
}

/// A tool that was used.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ToolUse {
    pub tool_name: String,
    pub args: Map<String, Value>,
    pub tool_call_id: String,
}

/// Tokens that a turn took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Usage {
    /// Question and evidence.
    pub prompt_tokens: usize,
    /// The answer.
    pub completion_tokens: usize,
    pub total_tokens: usize,
}
