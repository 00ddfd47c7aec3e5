//! What a language model says, piece by piece as it comes. Dropping it ends the model's work.

use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use super::anthropic;
use super::openai;
use super::request::ToolCall;

/// Bytes of an answer at most, of whatever it consists.
pub(super) const LONGEST_ANSWER: usize = 4 << 20;
/// Tools that one answer calls for at most; more are a model that has lost its way.
pub(super) const MOST_CALLS: usize = 64;

/// A part of what a model says.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    Text(String),
    /// The last one.
    End(End),
}

/// How a model ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct End {
    /// The tools that it calls for.
    pub calls: Vec<ToolCall>,
    pub finish: Finish,
    /// Tokens as the provider counted them; `None` where it did not.
    pub tokens: Option<Tokens>,
}

/// Why a model ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// It had said all.
    #[default]
    Stop,
    /// It reached the most tokens.
    Length,
    /// It waits for its tools.
    ToolCalls,
    /// The provider would not let it go on.
    ContentFilter,
}

/// Tokens that a question and its answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Tokens {
    pub prompt: u64,
    pub completion: u64,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Completion {
    /// Empty where the model said nothing.
    pub text: String,
    pub end: End,
}

/// Why nothing came, or nothing more.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Failure {
    /// The provider does not answer, or does not let us in: every question fares so.
    #[error("the provider does not answer: {0}")]
    Unavailable(String),
    /// It does not take this question.
    #[error("the provider does not take the question: {0}")]
    Refused(String),
    /// It does not take a parameter that others do; `tools` where it is the tools, however it says so.
    #[error("the provider does not take `{0}`")]
    Parameter(&'static str),
    /// It took the question, and too long for it.
    #[error("the provider gives no answer in time")]
    Late,
}

/// A model while it speaks.
pub struct Speech {
    pub(super) source: Source,
    /// When it has to have ended.
    pub(super) deadline: Instant,
    /// How long it may be silent once it has begun.
    pub(super) silence: Duration,
    pub(super) begun: bool,
}

/// Where the pieces come from.
pub(super) enum Source {
    OpenAi(openai::Pieces),
    Anthropic(anthropic::Pieces),
    #[cfg(feature = "llama")]
    Llama(tokio::sync::mpsc::Receiver<Result<Piece, Failure>>),
}

impl Source {
    /// What comes next; `None` where the model works on what nobody hears, as a call of a tool or its thoughts.
    async fn next(&mut self) -> Result<Option<Piece>, Failure> {
        match self {
            Source::OpenAi(pieces) => pieces.next().await,
            Source::Anthropic(pieces) => pieces.next().await,
            #[cfg(feature = "llama")]
            Source::Llama(pieces) => {
                let piece = pieces.recv().await.unwrap_or(Err(Failure::Unavailable("the model stopped".into())))?;
                Ok(Some(piece).filter(|piece| !matches!(piece, Piece::Text(text) if text.is_empty())))
            }
        }
    }
}

impl Speech {
    /// The next piece; after [`Piece::End`] there is none to ask for.
    ///
    /// # Errors
    /// [`Failure::Late`] past the deadline and after too long a silence; else what broke off.
    pub async fn next(&mut self) -> Result<Piece, Failure> {
        loop {
            let silent = Instant::now() + self.silence;
            let until = if self.begun { silent.min(self.deadline) } else { self.deadline };
            // Each event ends a silence, even if there is nothing in it to hear.
            if let Some(piece) =
                tokio::time::timeout_at(until, self.source.next()).await.map_err(|_| Failure::Late)??
            {
                self.begun = true;
                return Ok(piece);
            }
        }
    }
}
