//! What readers judged: answers with the questions that they answer, the last judgment first.

use rusqlite::{Connection, OptionalExtension, Row, ToSql};
use serde_json::Value;

use super::Workspace;
use super::sessions::{Message, Session, UNDERSTOOD, read_message, read_session};
use crate::error::Result;

/// Which judgments are told.
#[derive(Debug, Clone, Default)]
pub struct Judgments {
    /// 1 or -1.
    pub rating: Option<i8>,
    /// Given at this time or later.
    pub from: Option<String>,
    /// Given before this time.
    pub before: Option<String>,
}

/// An answer that a reader judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub session: Session,
    pub agent_name: String,
    /// Nothing where the session does not hold it.
    pub question: Option<Message>,
    pub answer: Message,
    pub rated_at: String,
}

impl Judged {
    /// The question as it was understood: a follow-up takes along what it goes on from.
    pub fn understood(&self) -> Option<&str> {
        let question = self.question.as_ref()?;
        Some(question.details.get(UNDERSTOOD).and_then(Value::as_str).unwrap_or(&question.content))
    }

    /// What the answer cites, without what came from documents that are gone.
    pub fn citations(&self) -> &[Value] {
        self.answer.details.get("citations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Answers that were judged, with their sessions, under a condition; and its parameters.
fn condition(judgments: &Judgments, kept_since: String) -> (String, Vec<Box<dyn ToSql>>) {
    let mut condition = "FROM messages m JOIN sessions s ON s.id = m.session_id
                         WHERE m.rated_at IS NOT NULL AND s.updated_at >= ?"
        .to_owned();
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(kept_since)];
    let given: [(&str, Option<Box<dyn ToSql>>); 3] = [
        (" AND m.rating = ?", judgments.rating.map(|rating| Box::new(rating) as _)),
        (" AND m.rated_at >= ?", judgments.from.clone().map(|time| Box::new(time) as _)),
        (" AND m.rated_at < ?", judgments.before.clone().map(|time| Box::new(time) as _)),
    ];
    for (sql, value) in given {
        if let Some(value) = value {
            condition.push_str(sql);
            values.push(value);
        }
    }
    (condition, values)
}

/// The answer of this number with all around it.
fn judged(db: &Connection, number: i64) -> Result<Judged> {
    let told = |row: &Row<'_>| Ok((read_message(row)?, row.get("rated_at")?));
    let sql = "SELECT * FROM messages WHERE number = ?1";
    let (answer, rated_at) = db.prepare_cached(sql)?.query_row([number], told)?;
    let session_id = answer.session_id.to_string();
    let sql =
        "SELECT * FROM messages WHERE session_id = ?1 AND number < ?2 AND role = 'user' ORDER BY number DESC LIMIT 1";
    let question = db.prepare_cached(sql)?.query_row((&session_id, number), read_message).optional()?;
    let sql = "SELECT s.*, a.name AS agent_name FROM sessions s JOIN agents a ON a.id = s.agent_id WHERE s.id = ?1";
    let told = |row: &Row<'_>| Ok((read_session(row)?, row.get("agent_name")?));
    let (session, agent_name) = db.prepare_cached(sql)?.query_row([&session_id], told)?;
    Ok(Judged { session, agent_name, question, answer, rated_at })
}

impl Workspace {
    /// A page of the answers that were judged, the last judgment first, and how many there are in all.
    pub fn judgments(&self, judgments: &Judgments, limit: usize, offset: usize) -> Result<(Vec<Judged>, u64)> {
        let (condition, values) = condition(judgments, self.kept_since()?);
        self.read(|db| {
            let db = db.unchecked_transaction()?;
            let count = format!("SELECT count(*) {condition}");
            let total = db.query_row(&count, rusqlite::params_from_iter(&values), |row| row.get(0))?;
            let page = format!(
                "SELECT m.number {condition} ORDER BY m.rated_at DESC, m.number DESC LIMIT {limit} OFFSET {offset}"
            );
            let mut query = db.prepare(&page)?;
            let numbers = query.query_map(rusqlite::params_from_iter(&values), |row| row.get(0))?;
            let numbers: Vec<i64> = numbers.collect::<rusqlite::Result<_>>()?;
            Ok((numbers.into_iter().map(|number| judged(&db, number)).collect::<Result<_>>()?, total))
        })
    }

    /// Gives the answers that were judged one after another, the last judgment first, until `each` has enough.
    pub fn each_judgment(&self, judgments: &Judgments, mut each: impl FnMut(Judged) -> Result<bool>) -> Result<()> {
        let (condition, values) = condition(judgments, self.kept_since()?);
        self.read(|db| {
            let db = db.unchecked_transaction()?;
            let all = format!("SELECT m.number {condition} ORDER BY m.rated_at DESC, m.number DESC");
            let mut query = db.prepare(&all)?;
            let mut rows = query.query(rusqlite::params_from_iter(&values))?;
            while let Some(row) = rows.next()? {
                if !each(judged(&db, row.get(0)?)?)? {
                    break;
                }
            }
            Ok(())
        })
    }
}
