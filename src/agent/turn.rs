//! One turn: question, answer and what it rested on, all stored together or not at all.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::answering::{self, Answer, Desk, blocking, millis};
use super::event::{Event, Listener};
use super::ledger;
use super::reply::{Reply, reply};
use super::understanding::{Asked, understand};
use crate::clock;
use crate::digest::sha256;
use crate::error::{Error, Result};
use crate::search::SearchType;
use crate::workspace::Workspace;
use crate::workspace::agents::Agent;
use crate::workspace::answers::Rested;
use crate::workspace::sessions::{self, Message, Session, UNDERSTOOD};

/// Messages of a session that are looked back at.
pub(super) const LOOK_BACK: usize = 100;
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
/// a session of another agent; [`Error::Conflict`] for an agent that is inactive; [`Error::Unavailable`] where its model gives no answer.
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
