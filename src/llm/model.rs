//! One way to speak to a model, whatever its provider speaks.

use std::time::Duration;

use tokio::time::Instant;

use super::anthropic::Anthropic;
#[cfg(feature = "llama")]
use super::llama::Llama;
use super::openai::OpenAi;
use super::request::Request;
use super::speech::{Completion, Failure, Source, Speech};

/// A place with language models.
pub enum ChatModel {
    OpenAi(OpenAi),
    Anthropic(Anthropic),
    /// Models in this process.
    #[cfg(feature = "llama")]
    Llama(Llama),
}

impl ChatModel {
    /// Asks, and gives what is said as it comes. Once it has begun it may not be silent longer than `silence`.
    ///
    /// # Errors
    /// Where nothing begins to be said, however often it was tried.
    pub async fn stream(&self, request: &Request, silence: Duration) -> Result<Speech, Failure> {
        let deadline = self.deadline();
        let source = match self {
            ChatModel::OpenAi(provider) => Source::OpenAi(provider.stream(request).await?),
            ChatModel::Anthropic(provider) => Source::Anthropic(provider.stream(request).await?),
            #[cfg(feature = "llama")]
            ChatModel::Llama(provider) => Source::Llama(provider.stream(request)?),
        };
        Ok(Speech { source, deadline, silence, begun: false })
    }

    /// Asks, and gives all that is said at once.
    ///
    /// # Errors
    /// Where nothing is said, or not to the end.
    pub async fn complete(&self, request: &Request) -> Result<Completion, Failure> {
        match self {
            ChatModel::OpenAi(provider) => provider.complete(request).await,
            ChatModel::Anthropic(provider) => provider.complete(request).await,
            #[cfg(feature = "llama")]
            ChatModel::Llama(provider) => provider.complete(request).await,
        }
    }

    fn deadline(&self) -> Instant {
        match self {
            ChatModel::OpenAi(provider) => provider.endpoint().deadline(),
            ChatModel::Anthropic(provider) => provider.endpoint().deadline(),
            #[cfg(feature = "llama")]
            ChatModel::Llama(provider) => provider.deadline(),
        }
    }
}
