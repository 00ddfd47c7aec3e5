//! Sessions (conversations with an agent) and their messages.

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::answers::{self, Rested};
use super::{Workspace, id, json, to_json};
use crate::clock;
use crate::error::{Error, Result};

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
    pub question: &'a Message,
    pub answer: &'a Message,
    pub rested: &'a Rested,
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

/// What stands in an answer for a quote of a document that is gone.
pub(super) const FORGOTTEN: &str = "(deleted)";

/// Takes the quotes of a deleted document out of the answers that cite it, and out of the ledger.
pub(super) fn forget_quotes(db: &Connection, document: Uuid) -> Result<()> {
    answers::forget(db, document)?;
    let document = document.to_string();
    let mut citing = db.prepare_cached("SELECT * FROM messages WHERE instr(details, ?1) > 0")?;
    let citing: Vec<Message> = citing.query_map([&document], read_message)?.collect::<rusqlite::Result<_>>()?;
    for mut message in citing {
        let Some(Value::Array(citations)) = message.details.get_mut("citations") else { continue };
        let of_it = |citation: &Value| citation["document_id"].as_str() == Some(&document);
        let markers: Vec<u64> = citations.iter().filter(|c| of_it(c)).filter_map(|c| c["marker"].as_u64()).collect();
        citations.retain(|citation| !of_it(citation));
        let content = without_marked(&message.content, &markers);
        // Sentences that are told of beside the answer go with it.
        if let Some(Value::Array(unsupported)) =
            message.details.get_mut("metadata").and_then(|m| m.get_mut("unsupported"))
        {
            unsupported.retain(|sentence| sentence.as_str().is_some_and(|sentence| content.contains(sentence)));
        }
        let (id, details) = (message.id.to_string(), to_json(&message.details)?);
        db.prepare_cached("UPDATE messages SET content = ?2, details = ?3 WHERE id = ?1")?
            .execute((id, content, details))?;
    }
    Ok(())
}

/// `content` without the passages that end in one of these markers: each reaches back to the marker before it.
fn without_marked(content: &str, markers: &[u64]) -> String {
    let mut kept = String::new();
    let mut rest = content;
    while let Some((passage, number, after)) = next_marker(rest) {
        match markers.contains(&number) {
            true => {
                if !kept.is_empty() {
                    kept.push(' ');
                }
                kept.push_str(FORGOTTEN);
            }
            false => kept.push_str(passage),
        }
        rest = after;
    }
    kept + rest
}

/// The text up to and with the first `[number]`, the number, and what follows.
fn next_marker(text: &str) -> Option<(&str, u64, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('[')?;
        let close = open + text.get(open..)?.find(']')?;
        if let Some(number) = text.get(open + 1..close).and_then(|inside| inside.parse().ok()) {
            return Some((text.get(..=close)?, number, text.get(close + 1..)?));
        }
        from = open + 1;
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
    pub fn add_turn(&self, turn: &Turn<'_>) -> Result<()> {
        if self.is_read_only() {
            return Ok(());
        }
        let session = turn.session;
        let metadata = to_json(&session.metadata)?;
        let messages = [turn.question, turn.answer];
        let messages: Vec<_> =
            messages.into_iter().map(|said| Ok((said, to_json(&said.details)?))).collect::<Result<_>>()?;
        self.write(|tx| {
            tx.execute(
                "INSERT INTO sessions (id, agent_id, user_id, title, metadata, created_at, updated_at, transcript)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO UPDATE SET updated_at = ?7, transcript = ?8",
                (
                    session.id.to_string(),
                    session.agent_id.to_string(),
                    &session.user_id,
                    &session.title,
                    metadata,
                    &session.created_at,
                    clock::now(),
                    turn.transcript,
                ),
            )?;
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
            answers::put(tx, turn.answer.id, turn.rested)
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

#[cfg(test)]
mod tests {
    use super::without_marked;

    #[test]
    fn a_passage_goes_with_its_marker_and_the_others_stay() {
        let answer = "The fridge is cold. [1] It beeps [sic] loudly. [2] Call Joana. [3]";
        assert_eq!(without_marked(answer, &[2]), "The fridge is cold. [1] (deleted) Call Joana. [3]");
        assert_eq!(without_marked(answer, &[1, 3]), "(deleted) It beeps [sic] loudly. [2] (deleted)");
        assert_eq!(without_marked("No marker [", &[1]), "No marker [");
    }
}
