//! What is asked of a language model, in words of no provider.

use serde_json::Value;

/// One thing said before the model speaks.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// Who the model is to be.
    System(String),
    User(String),
    /// What it said itself, and the tools that it called for.
    Assistant {
        text: String,
        calls: Vec<ToolCall>,
    },
    /// What a tool that it called for said.
    Tool {
        call_id: String,
        text: String,
    },
}

/// A tool that a model calls for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// The arguments as the model wrote them: JSON, where it wrote well.
    pub arguments: String,
}

/// A tool that a model may call for.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    pub name: &'static str,
    pub description: &'static str,
    /// JSON schema of the arguments: an object.
    pub parameters: Value,
}

/// The shape that an answer is to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub name: &'static str,
    /// JSON schema of the answer: an object.
    pub schema: Value,
}

/// A question to a language model.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Request {
    /// The model's name as its provider knows it.
    pub model: String,
    pub messages: Vec<Message>,
    pub tools: Vec<Tool>,
    /// Whether it has called for enough tools and is to answer now.
    pub must_answer: bool,
    pub shape: Option<Shape>,
    /// `0..=2`; `None` leaves it to the provider.
    pub temperature: Option<f64>,
    /// Tokens of the answer at most.
    pub max_tokens: u32,
}

impl Message {
    /// Its words.
    pub fn text(&self) -> &str {
        match self {
            Message::System(text)
            | Message::User(text)
            | Message::Tool { text, .. }
            | Message::Assistant { text, .. } => text,
        }
    }
}
