//! What a turn tells of while it runs, and who listens.

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::Citation;
use crate::error::{Error, Result};
use crate::llm::Finish;

/// A step of a turn, in the order in which they happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Session {
        session_id: Uuid,
        /// The answer's id, once it is kept.
        message_id: Uuid,
    },
    ToolCall(ToolUse),
    ToolResult {
        tool_call_id: String,
        summary: String,
    },
    Text {
        content: String,
    },
    Citations(Vec<Citation>),
    Tools(Vec<ToolUse>),
    Usage(Usage),
    /// With what is said of the answer as a whole.
    End {
        message_id: Uuid,
        metadata: Map<String, Value>,
        finish: Finish,
    },
}

/// A tool that was used.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ToolUse {
    pub tool_name: String,
    pub args: Map<String, Value>,
    pub tool_call_id: String,
}

impl ToolUse {
    /// A use with an id of our own.
    pub fn new(tool: &str, args: Map<String, Value>) -> Self {
        ToolUse { tool_name: tool.to_owned(), args, tool_call_id: format!("call_{}", Uuid::now_v7().simple()) }
    }
}

/// Tokens that a turn took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Usage {
    /// Question and evidence.
    pub prompt_tokens: u64,
    /// The answer.
    pub completion_tokens: u64,
    pub total_tokens: u64,
}

impl Usage {
    pub fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Usage { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
    }
}

/// Who hears of the steps of a turn, if anybody.
#[derive(Clone, Default)]
pub struct Listener(Option<mpsc::Sender<Result<Event>>>);

impl Listener {
    /// One who reads events from the other end. A slow reader slows the turn down.
    pub fn new(sender: mpsc::Sender<Result<Event>>) -> Self {
        Listener(Some(sender))
    }

    /// Whether anybody hears of the steps.
    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Tells of a step.
    ///
    /// # Errors
    /// Where the reader has gone: then the turn ends without a trace.
    pub(super) async fn tell(&self, event: Event) -> Result<()> {
        match &self.0 {
            Some(sender) => sender.send(Ok(event)).await.map_err(|_| Error::Unavailable("the reader has gone".into())),
            None => Ok(()),
        }
    }
}
