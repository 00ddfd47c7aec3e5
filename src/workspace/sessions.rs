//! Sessions (conversations with an agent) and their messages.

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::answers::{self, Rested};
use super::{Workspace, forgetting, id, json, to_json};
use crate::clock;
use crate::error::{Error, Result};

/// The key under which a question is kept as it was understood, in the details of a message and in the ledger.
pub const UNDERSTOOD: &str = "search_query";

/// A conversation with one agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    pub id: Uuid,
    pub agent_id: Uuid,
    /// Who talks, as the client names them.
    pub user_id: Option<String>,
    /// Its first question, shortened.
    pub title: String,
    pub metadata: Map<String, Value>,
    pub created_at: String,
    pub updated_at: String,
}

/// One thing said.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub id: Uuid,
    pub session_id: Uuid,
    /// `user` or `assistant`.
    pub role: String,
    pub content: String,
    /// What an answer rested on: citations, tools, usage, metadata.
    pub details: Map<String, Value>,
    /// The reader's judgment: 1 or -1.
    pub rating: Option<i8>,
    pub comment: Option<String>,
    pub created_at: String,
}

/// A question and its answer, as they are stored.
pub struct Turn<'a> {
    pub session: &'a Session,
    /// Whether the session begins with it.
    pub is_new: bool,
    pub question: &'a Message,
    pub answer: &'a Message,
    pub rested: &'a Rested,
    /// What had been said before, as it was told.
    pub told: &'a [Message],
    /// The digest of all that was said in the session, where its client keeps that.
    pub transcript: Option<&'a str>,
}

pub(super) fn read_session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: id(row, "id")?,
        agent_id: id(row, "agent_id")?,
        user_id: row.get("user_id")?,
        title: row.get("title")?,
        metadata: json(row, "metadata")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

pub(super) fn read_message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: id(row, "id")?,
        session_id: id(row, "session_id")?,
        role: row.get("role")?,
        content: row.get("content")?,
        details: json(row, "details")?,
        rating: row.get("rating")?,
        comment: row.get("comment")?,
        created_at: row.get("created_at")?,
    })
}

/// A session that went on at `kept_since` or later.
pub(super) fn find_session(db: &Connection, session: Uuid, kept_since: &str) -> Result<Session> {
    let mut query = db.prepare_cached("SELECT * FROM sessions WHERE id = ?1 AND updated_at >= ?2")?;
    let found = query.query_row((session.to_string(), kept_since), read_session).optional()?;
    found.ok_or(Error::NotFound("session"))
}

/// Stores a new session. One of the same name that is kept no more goes, with all that was said in it.
fn begin_session(db: &Connection, turn: &Turn<'_>, kept_since: &str) -> Result<()> {
    let session = turn.session;
    let agent = session.agent_id.to_string();
    let has_agent = "SELECT EXISTS (SELECT 1 FROM agents WHERE id = ?1)";
    if !db.query_row(has_agent, [&agent], |row| row.get(0))? {
        return Err(Error::NotFound("agent"));
    }
    let id = session.id.to_string();
    db.execute("DELETE FROM sessions WHERE id = ?1 AND updated_at < ?2", (&id, kept_since))?;
    db.execute(
        "INSERT INTO sessions (id, agent_id, user_id, title, metadata, created_at, updated_at, transcript)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            id,
            agent,
            &session.user_id,
            &session.title,
            to_json(&session.metadata)?,
            &session.created_at,
            clock::now(),
            turn.transcript,
        ),
    )?;
    Ok(())
}

/// Notes that a session went on.
fn go_on(db: &Connection, turn: &Turn<'_>, kept_since: &str) -> Result<()> {
    let sql = "UPDATE sessions SET updated_at = ?2, transcript = ?3 WHERE id = ?1 AND updated_at >= ?4";
    match db.execute(sql, (turn.session.id.to_string(), clock::now(), turn.transcript, kept_since))? {
        0 => Err(Error::NotFound("session")),
        _ => Ok(()),
    }
}

impl Workspace {
    /// A conversation that is still kept.
    pub fn session(&self, session: Uuid) -> Result<Session> {
        self.read(|db| find_session(db, session, &self.kept_since()?))
    }

    /// Changes the title and the metadata; a conversation has gone on no later for that.
    pub fn update_session(&self, session: Uuid, change: impl FnOnce(&mut Session) -> Result<()>) -> Result<Session> {
        self.write(|tx| {
            let mut found = find_session(tx, session, &self.kept_since()?)?;
            change(&mut found)?;
            let sql = "UPDATE sessions SET title = ?2, metadata = ?3 WHERE id = ?1";
            tx.execute(sql, (session.to_string(), &found.title, to_json(&found.metadata)?))?;
            Ok(found)
        })
    }

    pub fn delete_session(&self, session: Uuid) -> Result<()> {
        self.write(|tx| {
            find_session(tx, session, &self.kept_since()?)?;
            tx.execute("DELETE FROM sessions WHERE id = ?1", [session.to_string()])?;
            Ok(())
        })
    }

    /// The session of an agent in which all this was said, and nothing more, as the digest of it tells.
    pub fn session_of_transcript(&self, agent: Uuid, transcript: &str) -> Result<Option<Session>> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT * FROM sessions WHERE transcript = ?1 AND agent_id = ?2 AND updated_at >= ?3
                 ORDER BY updated_at DESC LIMIT 1",
            )?;
            Ok(query.query_row((transcript, agent.to_string(), self.kept_since()?), read_session).optional()?)
        })
    }

    /// Stores a question, its answer and what that rested on together, and the session where it is new. Where nothing can
    /// be written the conversation is not remembered.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a session or an agent that went meanwhile.
    pub fn add_turn(&self, turn: &Turn<'_>) -> Result<()> {
        if self.is_read_only() {
            return Ok(());
        }
        let session = turn.session;
        let messages = [turn.question, turn.answer];
        let messages: Vec<_> =
            messages.into_iter().map(|said| Ok((said, to_json(&said.details)?))).collect::<Result<_>>()?;
        self.write(|tx| {
            match turn.is_new {
                true => begin_session(tx, turn, &self.kept_since()?)?,
                false => go_on(tx, turn, &self.kept_since()?)?,
            }
            for (message, details) in messages {
                tx.execute(
                    "INSERT INTO messages (id, session_id, role, content, details, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    (
                        message.id.to_string(),
                        session.id.to_string(),
                        &message.role,
                        &message.content,
                        details,
                        &message.created_at,
                    ),
                )?;
            }
            answers::put(tx, turn.answer.id, turn.rested)?;
            forgetting::forget_told(tx, turn.answer.id, turn.told)
        })
    }

    /// The messages of a session, oldest first, and how many there are.
    pub fn messages(&self, session: Uuid, limit: usize, offset: usize) -> Result<(Vec<Message>, u64)> {
        self.session(session)?;
        self.read(|db| {
            let count = "SELECT count(*) FROM messages WHERE session_id = ?1";
            let total = db.query_row(count, [session.to_string()], |row| row.get(0))?;
            let mut query =
                db.prepare_cached("SELECT * FROM messages WHERE session_id = ?1 ORDER BY number LIMIT ?2 OFFSET ?3")?;
            let rows = query.query_map((session.to_string(), limit as i64, offset as i64), read_message)?;
            Ok((rows.collect::<rusqlite::Result<_>>()?, total))
        })
    }

    /// The newest messages of a session, at most `limit`, oldest first.
    pub fn newest_messages(&self, session: Uuid, limit: usize) -> Result<Vec<Message>> {
        self.read(|db| {
            let mut query =
                db.prepare_cached("SELECT * FROM messages WHERE session_id = ?1 ORDER BY number DESC LIMIT ?2")?;
            let rows = query.query_map((session.to_string(), limit as i64), read_message)?;
            let mut messages: Vec<Message> = rows.collect::<rusqlite::Result<_>>()?;
            messages.reverse();
            Ok(messages)
        })
    }

    /// A message, and those that were said before it in its session, at most `limit`, oldest first.
    pub fn message_and_before(&self, message: Uuid, limit: usize) -> Result<(Message, Vec<Message>)> {
        self.read(|db| {
            let mut find = db.prepare_cached("SELECT * FROM messages WHERE id = ?1")?;
            let found =
                find.query_row([message.to_string()], |row| Ok((row.get::<_, i64>("number")?, read_message(row)?)));
            let (number, message) = found.optional()?.ok_or(Error::NotFound("message"))?;
            find_session(db, message.session_id, &self.kept_since()?)?;
            let mut query = db.prepare_cached(
                "SELECT * FROM messages WHERE session_id = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3",
            )?;
            let rows = query.query_map((message.session_id.to_string(), number, limit as i64), read_message)?;
            let mut before: Vec<Message> = rows.collect::<rusqlite::Result<_>>()?;
            before.reverse();
            Ok((message, before))
        })
    }

    /// Keeps a reader's judgment of an answer in place of an earlier one.
    pub fn rate_message(&self, message: Uuid, rating: i8, comment: Option<&str>) -> Result<Message> {
        self.write(|tx| {
            let found = tx.query_row("SELECT * FROM messages WHERE id = ?1", [message.to_string()], read_message);
            let found = found.optional()?.filter(|m| m.role == "assistant").ok_or(Error::NotFound("message"))?;
            find_session(tx, found.session_id, &self.kept_since()?).map_err(|_| Error::NotFound("message"))?;
            let sql = "UPDATE messages SET rating = ?2, comment = ?3, rated_at = ?4 WHERE id = ?1";
            tx.execute(sql, (message.to_string(), rating, comment, clock::now()))?;
            Ok(Message { rating: Some(rating), comment: comment.map(str::to_owned), ..found })
        })
    }
}
