//! Lists of conversations: the one that went on last first, of one agent or person, or those in which words were said.
//!
//! Words are looked for without an index: titles and messages are read from beginning to end and compared, so a search
//! takes time in proportion to what was said, up to [`MOST_LOOKED_AT`] messages.

use std::collections::HashMap;

use memchr::memmem::Finder;
use rusqlite::{Connection, OptionalExtension, Row, ToSql};
use uuid::Uuid;

use super::Workspace;
use super::agents::{self, Agent};
use super::sessions::{Message, Session, find_session, read_message, read_session};
use crate::error::Result;

/// Words that are looked for at once.
pub const MOST_WORDS: usize = 16;
/// Messages that a search looks at, the newest: beyond them it finds titles alone.
const MOST_LOOKED_AT: i64 = 250_000;

/// Which sessions a list shows.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Words, each of which stands in the title or in something that was said, in any case.
    pub words: Vec<String>,
    pub agent_id: Option<Uuid>,
    pub user_id: Option<String>,
    pub limit: usize,
    pub offset: usize,
}

/// A session with what a list tells of its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub session: Session,
    pub message_count: u64,
    pub last_message_at: Option<String>,
}

/// What a conversation consists of.
pub enum Part {
    Head(Box<(Listed, Agent)>),
    Message(Box<Message>),
}

/// Words to be found, in lower case; a set of them is the bits of a number, in their order.
struct Words<'a>(Vec<Finder<'a>>);

impl Words<'_> {
    /// Those that stand in `text`.
    fn within(&self, text: &str) -> u32 {
        let lower = text.to_lowercase();
        let found = self.0.iter().enumerate().filter(|(_, word)| word.find(lower.as_bytes()).is_some());
        found.fold(0, |set, (place, _)| set | 1 << place)
    }

    fn all(&self) -> u32 {
        (1 << self.0.len()) - 1
    }
}

/// A condition over `sessions` and its parameters.
fn condition(listing: &Listing, kept_since: String) -> (String, Vec<Box<dyn ToSql>>) {
    let mut condition = "updated_at >= ?".to_owned();
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(kept_since)];
    if let Some(agent) = listing.agent_id {
        condition.push_str(" AND agent_id = ?");
        values.push(Box::new(agent.to_string()));
    }
    if let Some(user) = &listing.user_id {
        condition.push_str(" AND user_id = ?");
        values.push(Box::new(user.clone()));
    }
    (condition, values)
}

fn listed(db: &Connection, session: Session) -> Result<Listed> {
    let id = session.id.to_string();
    let count = "SELECT count(*) FROM messages WHERE session_id = ?1";
    let message_count = db.prepare_cached(count)?.query_row([&id], |row| row.get(0))?;
    let last = "SELECT created_at FROM messages WHERE session_id = ?1 ORDER BY number DESC LIMIT 1";
    let last_message_at = db.prepare_cached(last)?.query_row([&id], |row| row.get(0)).optional()?;
    Ok(Listed { session, message_count, last_message_at })
}

fn text<'a>(row: &'a Row<'_>, column: &str) -> rusqlite::Result<&'a str> {
    Ok(row.get_ref(column)?.as_str()?)
}

/// The words that were said in each session, where any was.
fn said(db: &Connection, words: &Words<'_>) -> Result<HashMap<Uuid, u32>> {
    let mut found: HashMap<Uuid, u32> = HashMap::new();
    let mut query = db.prepare_cached(
        "SELECT session_id, content FROM messages WHERE number > (SELECT ifnull(max(number), 0) FROM messages) - ?1",
    )?;
    let mut rows = query.query([MOST_LOOKED_AT])?;
    while let Some(row) = rows.next()? {
        let within = words.within(text(row, "content")?);
        if within != 0 {
            *found.entry(super::id(row, "session_id")?).or_default() |= within;
        }
    }
    Ok(found)
}

impl Workspace {
    /// A page of sessions, the one that went on last first, and how many there are in all.
    pub fn sessions(&self, listing: &Listing) -> Result<(Vec<Listed>, u64)> {
        let (condition, values) = condition(listing, self.kept_since()?);
        let lower: Vec<String> = listing.words.iter().take(MOST_WORDS).map(|word| word.to_lowercase()).collect();
        let words = Words(lower.iter().map(Finder::new).collect());
        self.read(|db| {
            // One view for all questions.
            let db = db.unchecked_transaction()?;
            let (page, total) = match words.0.is_empty() {
                true => page(&db, listing, &condition, &values)?,
                false => search(&db, listing, &condition, &values, &words)?,
            };
            Ok((page.into_iter().map(|session| listed(&db, session)).collect::<Result<_>>()?, total))
        })
    }

    /// A session with what a list tells of it.
    pub fn listed_session(&self, session: Uuid) -> Result<Listed> {
        let kept_since = self.kept_since()?;
        self.read(|db| listed(db, find_session(db, session, &kept_since)?))
    }

    /// Gives a session with its agent, and then one message after another, oldest first, all of one moment. Memory holds
    /// one of them.
    pub fn each_part(&self, session: Uuid, mut each: impl FnMut(Part) -> Result<()>) -> Result<()> {
        let kept_since = self.kept_since()?;
        self.read(|db| {
            let db = db.unchecked_transaction()?;
            let found = listed(&db, find_session(&db, session, &kept_since)?)?;
            let agent = agents::find(&db, found.session.agent_id)?;
            each(Part::Head(Box::new((found, agent))))?;
            let mut query = db.prepare_cached("SELECT * FROM messages WHERE session_id = ?1 ORDER BY number")?;
            let mut rows = query.query([session.to_string()])?;
            while let Some(row) = rows.next()? {
                each(Part::Message(Box::new(read_message(row)?)))?;
            }
            Ok(())
        })
    }
}

type Page = (Vec<Session>, u64);

fn page(db: &Connection, listing: &Listing, condition: &str, values: &[Box<dyn ToSql>]) -> Result<Page> {
    let count = format!("SELECT count(*) FROM sessions WHERE {condition}");
    let total = db.prepare_cached(&count)?.query_row(rusqlite::params_from_iter(values), |row| row.get(0))?;
    let mut query = db.prepare(&format!(
        "SELECT * FROM sessions WHERE {condition} ORDER BY updated_at DESC, id DESC LIMIT {} OFFSET {}",
        listing.limit, listing.offset
    ))?;
    let rows = query.query_map(rusqlite::params_from_iter(values), read_session)?;
    Ok((rows.collect::<rusqlite::Result<_>>()?, total))
}

/// The page of those in which all words are.
fn search(
    db: &Connection,
    listing: &Listing,
    condition: &str,
    values: &[Box<dyn ToSql>],
    words: &Words<'_>,
) -> Result<Page> {
    let said = said(db, words)?;
    let mut query =
        db.prepare(&format!("SELECT * FROM sessions WHERE {condition} ORDER BY updated_at DESC, id DESC"))?;
    let mut rows = query.query(rusqlite::params_from_iter(values))?;
    let (mut page, mut total) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let spoken = said.get(&super::id(row, "id")?).copied().unwrap_or(0);
        if spoken | words.within(text(row, "title")?) == words.all() {
            if total >= listing.offset && page.len() < listing.limit {
                page.push(read_session(row)?);
            }
            total += 1;
        }
    }
    Ok((page, total as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_as_parts_of_words_in_any_case() {
        let words = Words(["straße", "ärzte", "100%"].iter().map(|word| Finder::new(*word)).collect());
        assert_eq!(words.within("Die HauptSTRAẞE der ÄRZTE"), 0b011);
        assert_eq!(words.within("100% and 100 %"), 0b100);
        assert_eq!(words.within("nothing"), 0);
        assert_eq!(words.all(), 0b111);
    }
}
