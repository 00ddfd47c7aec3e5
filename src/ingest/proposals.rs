//! Asks a language model what documents say, chunk by chunk, behind everybody's back, once their facts were read without one.
//!
//! One task goes from workspace to workspace, a chunk at each, and holds nothing while it waits for the answer. How far it
//! came is on file with what it found, so a stop loses one answer at most. A provider that is down is waited for; what was
//! read without a model stands whatever happens here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::facts::OpenWorkspace;
use super::round::Round;
use crate::error::{Error, Result};
use crate::graph::Extraction;
use crate::graph::proposal::{self, Asked, Proposal};
use crate::llm::{Completion, Failure, Message, Provider, Request, Shape};
use crate::workspace::facts::Bounds;
use crate::workspace::proposals::{self, Reply, Unasked};

/// How often the model is asked about a chunk until its answer can be read.
const ATTEMPTS: u32 = 3;
/// Tokens of an answer at most.
const MOST_TOKENS: u32 = 2048;
/// Bytes that count as a token where the provider does not count.
const BYTES_PER_TOKEN: usize = 4;
/// How long a provider that is down is left alone; it doubles with each time.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The language model that an operator chose for reading facts.
pub struct Reader {
    pub provider: Arc<Provider>,
    pub model: String,
    /// After this many tokens a document's other chunks are passed over.
    pub tokens_per_document: u64,
}

/// The workspaces whose chunks a model is to be asked about.
pub struct Proposals {
    round: Round,
    reader: Reader,
    bounds: Bounds,
}

/// What a model said of a chunk, and the tokens that it took.
struct Said {
    extraction: Extraction,
    tokens: u64,
}

impl Proposals {
    /// Nothing to ask yet; what is found is kept within `bounds` for each workspace, until `stopping` turns true.
    pub fn new(reader: Reader, bounds: Bounds, stopping: watch::Receiver<bool>) -> Self {
        Proposals { round: Round::new(stopping), reader, bounds }
    }

    /// Says that a workspace has chunks to be asked about.
    pub fn note(&self, workspace: Uuid) {
        self.round.add(workspace);
    }

    /// Asks until told to stop. The second call does nothing.
    pub fn start(self: &Arc<Self>, open: Arc<OpenWorkspace>) {
        self.round.start(self.clone().take_turns(open));
    }

    /// Waits until the answer that was being stored when it was told to stop is in.
    pub async fn ended(&self) {
        self.round.ended().await;
    }

    async fn take_turns(self: Arc<Self>, open: Arc<OpenWorkspace>) {
        // How often the provider was found down since it last answered.
        let mut outages = 0;
        while let Some(workspace) = self.round.next().await {
            let unasked = match self.clone().next_chunk(workspace, open.clone()).await {
                Ok(Some(unasked)) => unasked,
                Ok(None) => {
                    self.round.end(workspace);
                    continue;
                }
                Err(error) => {
                    self.give_up(workspace, &error);
                    continue;
                }
            };
            match self.round.unless_stopped(self.ask(&unasked)).await {
                None => return,
                Some(Ok(said)) => {
                    if outages > 0 {
                        tracing::info!("the language model answers again");
                        outages = 0;
                    }
                    match self.clone().store(workspace, open.clone(), unasked, said).await {
                        Ok(()) => self.round.give_back(workspace),
                        Err(error) => self.give_up(workspace, &error),
                    }
                }
                Some(Err(failure)) => {
                    if outages == 0 {
                        tracing::warn!(%failure, "the language model reads no facts for now; it is asked again later");
                    }
                    self.round.give_back(workspace);
                    let pause = PAUSE.saturating_mul(1 << outages.min(16)).min(LONGEST_PAUSE);
                    outages += 1;
                    if self.round.unless_stopped(tokio::time::sleep(pause)).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Leaves a workspace until it is noted again.
    fn give_up(&self, workspace: Uuid, error: &Error) {
        if !matches!(error, Error::NotFound(_)) {
            tracing::warn!(workspace.id = %workspace, %error, "what a language model says is read later");
        }
        self.round.end(workspace);
    }

    /// The next chunk of a workspace that can take more facts.
    async fn next_chunk(self: Arc<Self>, workspace: Uuid, open: Arc<OpenWorkspace>) -> Result<Option<Unasked>> {
        blocking(move || {
            let workspace = open(workspace)?;
            if workspace.is_read_only() || !workspace.has_room_for_facts(self.bounds)? {
                return Ok(None);
            }
            workspace.unasked()
        })
        .await
    }

    async fn store(
        self: Arc<Self>,
        workspace: Uuid,
        open: Arc<OpenWorkspace>,
        unasked: Unasked,
        said: Said,
    ) -> Result<()> {
        blocking(move || {
            open(workspace)?.commit(move |change| {
                let Reader { model, tokens_per_document: budget, .. } = &self.reader;
                let reply = Reply { said: said.extraction, model, tokens: said.tokens, budget: *budget };
                proposals::put(change, &unasked, &reply)
            })
        })
        .await
    }

    /// What the model says of a chunk; nothing where it has no answer to it that can be read.
    ///
    /// # Errors
    /// Where it has no answer to anything for now.
    async fn ask(&self, unasked: &Unasked) -> std::result::Result<Said, Failure> {
        let asked = unasked.asked();
        let (mut tokens, mut unanswered) = (0, None);
        for _ in 0..ATTEMPTS {
            match self.complete(&asked).await {
                Ok(completion) => {
                    tokens += tokens_of(&completion, &asked);
                    if let Ok(proposal) = serde_json::from_str::<Proposal>(&completion.text) {
                        return Ok(Said { extraction: proposal::checked(proposal, &asked), tokens });
                    }
                }
                Err(failure @ Failure::Unavailable(_)) => return Err(failure),
                Err(failure) => unanswered = Some(failure),
            }
        }
        // Whether it is the chunk's fault is told by one that says nothing.
        if let Some(failure) = unanswered
            && self.complete(&Asked { title: "", text: "", start: 0, date: None }).await.is_err()
        {
            return Err(failure);
        }
        tracing::warn!("the language model gave no answer that can be read; a chunk is passed over");
        Ok(Said { extraction: Extraction::default(), tokens })
    }

    async fn complete(&self, asked: &Asked<'_>) -> std::result::Result<Completion, Failure> {
        let messages = vec![Message::System(proposal::INSTRUCTIONS.to_owned()), Message::User(proposal::prompt(asked))];
        let request = Request {
            model: self.reader.model.clone(),
            messages,
            shape: Some(Shape { name: "facts", schema: proposal::schema() }),
            temperature: Some(0.0),
            max_tokens: MOST_TOKENS,
            ..Request::default()
        };
        self.reader.provider.model.complete(&request).await
    }
}

/// The tokens of question and answer, by their length where the provider does not count.
fn tokens_of(completion: &Completion, asked: &Asked<'_>) -> u64 {
    let bytes = proposal::INSTRUCTIONS.len() + asked.text.len() + completion.text.len();
    completion.end.tokens.map_or(bytes.div_ceil(BYTES_PER_TOKEN) as u64, |tokens| tokens.prompt + tokens.completion)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(Error::internal("a panic", panic)))
}
