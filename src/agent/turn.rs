//! One turn: question, answer and what it rested on, all stored together or not at all.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::answering::{self, Answer, Ask, Desk, Spent, blocking, millis};
use super::event::{Event, Listener, ToolUse, Usage};
use super::history;
use super::prompt::{self, Said};
use super::requests::Requests;
use super::{Citation, gate, ledger};
use crate::clock;
use crate::digest::sha256;
use crate::error::{Error, Result};
use crate::llm::{self, Completion, Finish, Provider, Request, Tokens};
use crate::search::{Hit, SearchType};
use crate::workspace::Workspace;
use crate::workspace::agents::Agent;
use crate::workspace::answers::Rested;
use crate::workspace::documents::Document;
use crate::workspace::sessions::{self, Message, Session, UNDERSTOOD};

/// Messages of a session that are looked back at.
pub(super) const LOOK_BACK: usize = 100;
/// Tokens of what was said before that a model is told, where the agent's settings say nothing.
const HISTORY_TOKENS: usize = 2_000;
/// The key of an agent's settings under which they do.
pub const HISTORY: &str = "history_tokens";
/// Tokens of a question in full at most.
const QUESTION_TOKENS: u32 = 200;
/// How long a model may think about what a question means; after that there is the rule.
const REWRITING: Duration = Duration::from_secs(10);
/// Passages that are named where an answer cites none.
const NEAREST: usize = 3;
/// Characters of a session's title.
const TITLE: usize = 80;

/// What someone says to an agent.
#[derive(Debug, Clone)]
pub struct Chat {
    pub agent_id: Uuid,
    /// Who asks, by a name that nobody else has: nobody goes on in a conversation that another's client keeps.
    pub owner: String,
    pub query: String,
    pub thread: Thread,
    pub user_id: Option<String>,
    pub metadata: Map<String, Value>,
    /// How the caller would have the agent search.
    pub search_type: Option<SearchType>,
    /// What the caller adds to the agent's prompt.
    pub instructions: Vec<String>,
    /// What the caller would have instead of the agent's own.
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
}

/// The conversation that a question belongs to.
#[derive(Debug, Clone, Default)]
pub enum Thread {
    /// A new session.
    #[default]
    New,
    /// A session that there is.
    Session(Uuid),
    /// The session with this id, which begins where there is none.
    Named(Uuid),
    /// What the client says was said before, oldest first: it keeps the conversation. `is_kept` is whether we do, too.
    Held { before: Vec<Line>, is_kept: bool },
}

/// Something that was said before, as a client tells it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Line {
    /// Whether the agent said it.
    pub by_agent: bool,
    pub text: String,
}

/// What an agent answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub message_id: Uuid,
    pub session_id: Uuid,
    pub message: String,
    /// The documents that are cited, in the order of their first citation.
    pub sources: Vec<Document>,
    pub tools_used: Vec<ToolUse>,
    pub citations: Vec<Citation>,
    pub usage: Usage,
    pub metadata: Map<String, Value>,
    pub finish: Finish,
}

/// What a turn begins with.
struct Begun {
    agent: Agent,
    session: Session,
    /// Whether the session begins with this turn.
    is_new: bool,
    before: Vec<Message>,
    /// Whether the turn is kept.
    is_kept: bool,
}

/// Takes one turn. `listener` hears of each step; where it has gone, the turn ends without a trace.
///
/// # Errors
/// [`Error::NotFound`] for an agent or session that is not in this workspace, or not any more when the answer is there, or
/// a session of another agent;
/// [`Error::Conflict`] for an agent that is inactive; [`Error::Unavailable`] where its model gives no answer.
pub async fn take_turn(desk: &Desk, chat: Chat, listener: &Listener) -> Result<Reply> {
    let started = Instant::now();
    let chat = Arc::new(chat);
    let meant = blocking({
        let (workspace, chat) = (desk.workspace.clone(), chat.clone());
        move || meant(&workspace, &chat)
    })
    .await?;
    let _turn = match meant {
        Some(id) => Some(desk.queue.enter(desk.workspace.id(), id).await?),
        None => None,
    };
    // Taken after the wait: who waits for a session takes nobody's place.
    let _place = desk.queue.place()?;
    let begun = blocking({
        let (workspace, chat) = (desk.workspace.clone(), chat.clone());
        move || begin(&workspace, &chat, meant)
    })
    .await?;
    let (session_id, message_id) = (begun.session.id, Uuid::now_v7());
    listener.tell(Event::Session { session_id, message_id }).await?;
    let asked = Asked::of(&chat);
    let overrides = asked.overrides;
    let ask = Arc::new(understand(desk, &begun.agent, &begun.before, asked, started).await?);
    let generation = blocking({
        let workspace = desk.workspace.clone();
        move || workspace.generation()
    })
    .await?;
    let answer = answering::answer(desk, ask.clone(), listener).await?;
    let reply = blocking({
        let (workspace, ask, answer) = (desk.workspace.clone(), ask.clone(), answer.clone());
        move || reply(&workspace, &ask, &answer, session_id, message_id)
    })
    .await?;
    listener.tell(Event::Citations(reply.citations.clone())).await?;
    listener.tell(Event::Tools(reply.tools_used.clone())).await?;
    listener.tell(Event::Usage(reply.usage)).await?;
    if begun.is_kept {
        let rested = ledger::rested(&ask, overrides, &answer, generation, millis(started))?;
        let (workspace, reply) = (desk.workspace.clone(), reply.clone());
        blocking(move || store(&workspace, &begun, &chat, &ask.question, &answer, &reply, &rested)).await?;
    }
    listener.tell(Event::End { message_id, metadata: reply.metadata.clone(), finish: reply.finish }).await?;
    Ok(reply)
}

/// The session that the turn would go on in, if there is one: turns in it wait for each other.
fn meant(workspace: &Workspace, chat: &Chat) -> Result<Option<Uuid>> {
    match &chat.thread {
        Thread::Session(id) | Thread::Named(id) => Ok(Some(*id)),
        Thread::Held { before, is_kept: true } if !before.is_empty() => {
            let digest = transcript(chat, before)?;
            Ok(workspace.session_of_transcript(chat.agent_id, &digest)?.map(|session| session.id))
        }
        Thread::New | Thread::Held { .. } => Ok(None),
    }
}

/// `meant` is the session in which it is this turn's turn.
fn begin(workspace: &Workspace, chat: &Chat, meant: Option<Uuid>) -> Result<Begun> {
    let agent = workspace.agent(chat.agent_id)?;
    if !agent.is_active {
        return Err(Error::Conflict("this agent is not active".into()));
    }
    let known = |id| {
        let session = workspace.session(id)?;
        match session.agent_id == chat.agent_id {
            true => Ok(session),
            false => Err(Error::NotFound("session")),
        }
    };
    let mut is_kept = true;
    let known = match &chat.thread {
        Thread::New => None,
        Thread::Session(id) => Some(known(*id)?),
        Thread::Named(id) => match workspace.session(*id) {
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error),
            Ok(_) => Some(known(*id)?),
        },
        Thread::Held { before, is_kept: wished } => {
            is_kept = *wished;
            match meant {
                // Another turn may have gone on in it meanwhile: then this one begins another.
                Some(id) => workspace
                    .session_of_transcript(chat.agent_id, &transcript(chat, before)?)?
                    .filter(|session| session.id == id),
                None => None,
            }
        }
    };
    let before = match (&chat.thread, &known) {
        (Thread::Held { before, .. }, _) => before.iter().map(message_of).collect(),
        (_, Some(session)) => workspace.newest_messages(session.id, LOOK_BACK)?,
        (_, None) => Vec::new(),
    };
    let is_new = known.is_none();
    let session = known.unwrap_or_else(|| {
        let named = if let Thread::Named(id) = chat.thread { Some(id) } else { None };
        new_session(named.unwrap_or_else(Uuid::now_v7), chat)
    });
    Ok(Begun { agent, session, is_new, before, is_kept })
}

fn new_session(id: Uuid, chat: &Chat) -> Session {
    let now = clock::now();
    Session {
        id,
        agent_id: chat.agent_id,
        user_id: chat.user_id.clone(),
        title: chat.query.chars().take(TITLE).collect(),
        metadata: chat.metadata.clone(),
        created_at: now.clone(),
        updated_at: now,
    }
}

fn message_of(line: &Line) -> Message {
    let role = if line.by_agent { "assistant" } else { "user" };
    message(Uuid::nil(), Uuid::nil(), role, &line.text, Map::new())
}

/// The digest of a conversation that its client keeps, and of who talks there.
fn transcript(chat: &Chat, lines: &[Line]) -> Result<String> {
    let text =
        serde_json::to_vec(&(&chat.owner, &chat.user_id, lines)).map_err(|e| Error::internal("a transcript", e))?;
    Ok(sha256(&text))
}

/// What a question is asked with.
pub(super) struct Asked {
    pub query: String,
    pub instructions: Vec<String>,
    pub search_type: Option<SearchType>,
    pub overrides: Overrides,
}

/// What the caller would have instead of the agent's own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Overrides {
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
}

impl Asked {
    fn of(chat: &Chat) -> Self {
        Asked {
            query: chat.query.clone(),
            instructions: chat.instructions.clone(),
            search_type: chat.search_type,
            overrides: Overrides { temperature: chat.temperature, max_tokens: chat.max_tokens },
        }
    }
}

/// What the agent is asked: the question as it is understood in the light of what was said before.
pub(super) async fn understand(
    desk: &Desk,
    agent: &Agent,
    before: &[Message],
    asked: Asked,
    started: Instant,
) -> Result<Ask> {
    let budget = agent.settings.get(HISTORY).and_then(Value::as_u64).map_or(HISTORY_TOKENS, |tokens| tokens as usize);
    let (told, question, follows) = blocking({
        let (workspace, embedder) = (desk.workspace.clone(), desk.embedder.clone());
        let (before, query) = (before.to_vec(), asked.query.clone());
        move || {
            let fulltext = workspace.fulltext();
            let analyzer = fulltext.analyzer();
            let told = history::told(&before, budget, |text| embedder.count_tokens(text));
            let follows = !before.is_empty() && history::is_follow_up(&query, analyzer);
            Ok((told, history::understood(&query, &before, analyzer), follows))
        }
    })
    .await?;
    let deadline = started + desk.patience;
    let (rewritten, spent) = match follows {
        true => rewritten(desk, agent, &asked.query, &told, deadline).await?,
        false => (None, Spent::default()),
    };
    Ok(Ask {
        agent: agent.clone(),
        query: asked.query,
        question: rewritten.unwrap_or(question),
        history: told,
        instructions: asked.instructions,
        search_type: asked.search_type,
        temperature: asked.overrides.temperature.unwrap_or(agent.temperature),
        max_tokens: asked.overrides.max_tokens.map_or(agent.max_tokens, |most| most.min(agent.max_tokens)),
        chain: Vec::new(),
        deadline,
        requests: Requests::new(),
        spent,
    })
}

/// A follow-up question in full, where the agent has a model that can say so, and what that took; without one there is a rule.
async fn rewritten(
    desk: &Desk,
    agent: &Agent,
    query: &str,
    before: &[Said],
    deadline: Instant,
) -> Result<(Option<String>, Spent)> {
    let provider = desk.providers.get(&agent.model_provider).filter(|_| agent.model_provider != llm::EXTRACTIVE);
    let Some(provider) = provider else { return Ok((None, Spent::default())) };
    let said = prompt::rewriting(query, before);
    let request = Request {
        model: agent.model_name.clone(),
        messages: said.iter().map(|said| said.message(&Default::default())).collect(),
        temperature: Some(0.0),
        max_tokens: QUESTION_TOKENS,
        ..Request::default()
    };
    let until = rewriting_ends(Instant::now(), deadline);
    match tokio::time::timeout_at(until, provider.model.complete(&request)).await {
        Ok(Ok(completion)) => {
            let line = completion.text.rsplit("</think>").next().unwrap_or_default().trim();
            let line = line.lines().next().unwrap_or_default().trim().trim_matches('"');
            let line = (!line.is_empty() && line.len() <= 2_000).then(|| line.to_owned());
            Ok((line, spent(desk, provider, request, completion).await?))
        }
        Ok(Err(failure)) => {
            tracing::debug!(%failure, "a follow-up question was not rewritten by the model");
            Ok((None, Spent::default()))
        }
        Err(_) => {
            tracing::debug!("a follow-up question was not rewritten by the model in time");
            Ok((None, Spent::default()))
        }
    }
}

fn rewriting_ends(now: Instant, deadline: Instant) -> Instant {
    deadline.min(now + REWRITING)
}

/// What a question and its answer took; by our own measure where the provider does not count.
async fn spent(desk: &Desk, provider: &Provider, request: Request, completion: Completion) -> Result<Spent> {
    let (cost, embedder) = (|tokens| provider.cost(&request.model, tokens), desk.embedder.clone());
    if let Some(tokens) = completion.end.tokens {
        return Ok(Spent { tokens, is_estimate: false, cost: cost(tokens) });
    }
    let (asked, said) = (request.messages.clone(), completion.text);
    let tokens = blocking(move || {
        let prompt: usize = asked.iter().map(|message| embedder.count_tokens(message.text())).sum();
        Ok(Tokens { prompt: prompt as u64, completion: embedder.count_tokens(&said) as u64 })
    })
    .await?;
    Ok(Spent { tokens, is_estimate: true, cost: cost(tokens) })
}

fn reply(workspace: &Workspace, ask: &Ask, answer: &Answer, session_id: Uuid, message_id: Uuid) -> Result<Reply> {
    let mut sources: Vec<Document> = Vec::new();
    let mut citations = Vec::new();
    for citation in &answer.citations {
        if !sources.iter().any(|document| document.id == citation.document_id) {
            match workspace.document(citation.document_id) {
                Ok(document) => sources.push(document),
                // It was deleted while the answer was being given.
                Err(Error::NotFound(_)) => continue,
                Err(error) => return Err(error),
            }
        }
        citations.push(citation.clone());
    }
    let mut metadata = Map::new();
    metadata.insert("agent_id".into(), json!(ask.agent.id));
    metadata.insert("model_provider".into(), json!(answer.provider));
    metadata.insert("model_name".into(), json!(answer.model));
    metadata.insert("grounded".into(), json!(answer.grounded));
    metadata.insert("unsupported".into(), json!(answer.unsupported));
    metadata.insert("search_type".into(), json!(answer.searched));
    if ask.question != ask.query {
        metadata.insert(UNDERSTOOD.into(), json!(ask.question));
    }
    if answer.citations.is_empty() && !answer.evidence.hits().is_empty() {
        metadata.insert("nearest".into(), answer.evidence.hits().iter().take(NEAREST).map(nearest).collect());
    }
    if let Some(why) = &answer.fallback {
        let instead_of = json!({"provider": ask.agent.model_provider, "model": ask.agent.model_name, "reason": why});
        metadata.insert("fallback".into(), instead_of);
    }
    if let Some(cost) = answer.cost {
        metadata.insert("cost".into(), json!(cost));
    }
    if answer.is_estimate {
        metadata.insert("usage_estimated".into(), json!(true));
    }
    Ok(Reply {
        message_id,
        session_id,
        message: marked(answer, &citations),
        sources,
        tools_used: answer.tools_used.clone(),
        citations,
        usage: answer.usage,
        metadata,
        finish: answer.finish,
    })
}

/// What was answered, without the markers of citations that there are no more.
fn marked(answer: &Answer, citations: &[Citation]) -> String {
    let mut message = answer.message.clone();
    for (range, marker) in gate::markers(&answer.message).into_iter().rev() {
        if marker <= answer.cited.len() && !citations.iter().any(|citation| citation.marker == marker) {
            message.replace_range(range, "");
        }
    }
    message
}

/// Where a reader may look who got no answer.
fn nearest(hit: &Hit) -> Value {
    let chunk = &hit.located.chunk;
    json!({
        "document_id": chunk.document_id,
        "chunk_id": chunk.id,
        "title": hit.located.title,
        "source": hit.located.source,
        "heading_path": chunk.heading_path,
        "start": chunk.start,
        "end": chunk.end,
        "score": hit.score,
    })
}

fn message(id: Uuid, session_id: Uuid, role: &str, content: &str, details: Map<String, Value>) -> Message {
    Message {
        id,
        session_id,
        role: role.to_owned(),
        content: content.to_owned(),
        details,
        rating: None,
        comment: None,
        created_at: clock::now(),
    }
}

/// Stores the turn as it was answered; what of it rests on documents that are gone by then is forgotten at once.
fn store(
    workspace: &Workspace,
    begun: &Begun,
    chat: &Chat,
    question: &str,
    answer: &Answer,
    reply: &Reply,
    rested: &Rested,
) -> Result<()> {
    let session = &begun.session;
    let understood = Map::from_iter([(UNDERSTOOD.to_owned(), json!(question))]);
    let asked = message(Uuid::now_v7(), session.id, "user", &chat.query, understood);
    // Where to look is of this moment; kept, it would outlive the documents that it names.
    let metadata: Map<String, Value> = reply
        .metadata
        .iter()
        .filter(|(name, _)| *name != "nearest")
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let details = [
        ("citations", json!(answer.citations)),
        ("tools_used", json!(reply.tools_used)),
        ("usage", json!(reply.usage)),
        ("metadata", json!(metadata)),
    ];
    let details = details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let answered = message(reply.message_id, session.id, "assistant", &answer.message, details);
    let transcript = match &chat.thread {
        Thread::Held { before, .. } => {
            let said = [(false, &chat.query), (true, &reply.message)];
            let said = said.map(|(by_agent, text)| Line { by_agent, text: text.clone() });
            let lines: Vec<Line> = before.iter().cloned().chain(said).collect();
            Some(transcript(chat, &lines)?)
        }
        _ => None,
    };
    workspace.add_turn(&sessions::Turn {
        session,
        is_new: begun.is_new,
        question: &asked,
        answer: &answered,
        rested,
        told: &begun.before,
        transcript: transcript.as_deref(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_thinks_about_a_question_leaves_time_for_the_answer() {
        let now = Instant::now();
        assert_eq!(rewriting_ends(now, now + Duration::from_secs(300)), now + REWRITING);
        assert_eq!(rewriting_ends(now, now + Duration::from_secs(3)), now + Duration::from_secs(3));
    }
}
