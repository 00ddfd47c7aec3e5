//! What each document says: the entities that it names, where, and its facts with their evidence.
//!
//! These rows are of one document each. An entity or a fact lives as long as one of them rests on it, and what the
//! documents say together is made of them ([`super::network`]), so that no order of changes leaves anything behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{Change, Workspace, json};
use crate::error::Result;
use crate::graph::{Extraction, Named, Stated, day, extract, folded};

/// A document whose facts have not been read.
#[derive(Debug, Clone)]
pub struct Unread {
    number: i64,
    id: Uuid,
    pub source: String,
    pub title: String,
    pub content: String,
    /// Media types of the text and of the original.
    pub content_type: String,
    pub file_type: String,
    /// What its metadata says of its date and language.
    pub date: Option<Date>,
    pub language: Option<String>,
    /// When this state of it came in.
    updated_at: String,
}

/// What a change did to the graph, by number; what became of it is in the rows.
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub entities: BTreeSet<i64>,
    pub facts: BTreeSet<i64>,
    pub chunks: BTreeSet<i64>,
}

impl Touched {
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty() && self.facts.is_empty() && self.chunks.is_empty()
    }
}

/// Facts and entities that a workspace may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub entities: u64,
    pub facts: u64,
}

/// Where a document's facts come from.
pub(super) struct Origin<'a> {
    /// The document, and when this state of it came in.
    pub number: i64,
    pub id: Uuid,
    pub updated_at: &'a str,
    /// The language model that read them, if one did.
    pub model: Option<&'a str>,
}

/// Stores what a document says in place of what it said. A document that is gone by now says nothing. `is_all` is whether
/// no model is asked about it afterwards.
pub fn put(change: &Change<'_>, unread: &Unread, said: &Extraction, is_all: bool) -> Result<()> {
    let db = change.db;
    let sql = "UPDATE documents SET facts_read = ?2, subject = ?3, chunks_asked = 0, tokens_used = 0 WHERE number = ?1";
    if db.prepare_cached(sql)?.execute((unread.number, extract::VERSION, extract::key(&unread.title)))? == 0 {
        return Ok(());
    }
    remember(db, unread.number, unread.id)?;
    forget(change, unread.number)?;
    let numbers: Vec<i64> = said.entities.iter().map(|named| entity(db, &named.key)).collect::<Result<_>>()?;
    let chunks = Chunks::of(db, unread.number)?;
    put_names(db, unread, said, &numbers)?;
    let mut insert = db.prepare_cached("INSERT OR IGNORE INTO mentions VALUES (?1, ?2, ?3, ?4)")?;
    for mention in &said.mentions {
        if let (Some(chunk), Some(entity)) = (chunks.with(mention.start), numbers.get(mention.entity)) {
            insert.execute((chunk, mention.start as i64, mention.end as i64, entity))?;
            change.graph().chunks.insert(chunk);
        }
    }
    let origin = Origin { number: unread.number, id: unread.id, updated_at: &unread.updated_at, model: None };
    for fact in &said.facts {
        if let Some(chunk) = chunks.with(fact.start) {
            put_fact(change, &origin, said, fact, &numbers, chunk)?;
        }
    }
    change.graph().entities.extend(numbers);
    if is_all { forget_recorded(db, unread.id) } else { Ok(()) }
}

/// Removes all that a document says.
pub(super) fn forget(change: &Change<'_>, document: i64) -> Result<()> {
    let db = change.db;
    let numbers = |sql: &str| -> Result<Vec<i64>> {
        let mut query = db.prepare_cached(sql)?;
        Ok(query.query_map([document], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    };
    let entities = numbers("SELECT DISTINCT entity FROM entity_names WHERE document = ?1")?;
    let facts = numbers("SELECT DISTINCT fact FROM evidence WHERE document = ?1")?;
    if entities.is_empty() && facts.is_empty() {
        return Ok(());
    }
    let chunks = numbers("SELECT number FROM chunks WHERE document = ?1")?;
    let mut delete = db.prepare_cached("DELETE FROM mentions WHERE chunk = ?1")?;
    for chunk in &chunks {
        delete.execute([chunk])?;
    }
    db.prepare_cached("DELETE FROM entity_names WHERE document = ?1")?.execute([document])?;
    db.prepare_cached("DELETE FROM evidence WHERE document = ?1")?.execute([document])?;
    let sql = "DELETE FROM facts WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM evidence WHERE fact = ?1)";
    let mut delete = db.prepare_cached(sql)?;
    for fact in &facts {
        delete.execute([fact])?;
    }
    let sql = "DELETE FROM entities WHERE number = ?1 AND NOT EXISTS (SELECT 1 FROM entity_names WHERE entity = ?1)";
    let mut delete = db.prepare_cached(sql)?;
    for entity in &entities {
        delete.execute([entity])?;
    }
    let mut touched = change.graph();
    touched.entities.extend(entities);
    touched.facts.extend(facts);
    touched.chunks.extend(chunks);
    Ok(())
}

/// Keeps in mind since when a document's facts are known, while its next state is still to be read.
pub(super) fn remember(db: &Connection, number: i64, id: Uuid) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO recorded_facts
               SELECT ?2, f.id, min(v.recorded_at) FROM evidence v JOIN facts f ON f.number = v.fact
               WHERE v.document = ?1 GROUP BY f.id";
    db.prepare_cached(sql)?.execute((number, id.to_string()))?;
    Ok(())
}

/// Does not keep that in mind any longer.
pub(super) fn forget_recorded(db: &Connection, document: Uuid) -> Result<()> {
    db.prepare_cached("DELETE FROM recorded_facts WHERE document = ?1")?.execute([document.to_string()])?;
    Ok(())
}

/// Has a document's facts read again.
pub(super) fn read_again(db: &Connection, number: i64) -> Result<()> {
    db.prepare_cached("UPDATE documents SET facts_read = 0 WHERE number = ?1")?.execute([number])?;
    Ok(())
}

/// The day that a document is of, as its metadata says.
pub fn date_of(metadata: &Map<String, Value>) -> Option<Date> {
    let days = ["date", "published", "created", "modified"].into_iter().filter_map(|name| metadata.get(name)?.as_str());
    days.filter_map(day).next()
}

/// What of a document's metadata its facts depend on: its date and its language.
pub(super) fn inputs(metadata: &Map<String, Value>) -> (Option<Date>, Option<String>) {
    (date_of(metadata), metadata.get("language").and_then(Value::as_str).map(str::to_owned))
}

/// An id that anybody makes of the same words: version 8 of RFC 9562, of their SHA-256.
fn id_of(words: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word.as_bytes());
    }
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash.finalize()).for_each(|(byte, hashed)| *byte = hashed);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The number of the entity with this key, which is made where there is none.
pub(super) fn entity(db: &Connection, key: &str) -> Result<i64> {
    let mut find = db.prepare_cached("SELECT number FROM entities WHERE key = ?1")?;
    if let Some(number) = find.query_row([key], |row| row.get(0)).optional()? {
        return Ok(number);
    }
    let mut insert = db.prepare_cached("INSERT INTO entities (id, key) VALUES (?1, ?2)")?;
    insert.execute((id_of(&[key]).to_string(), key))?;
    Ok(db.last_insert_rowid())
}

/// Stores how a document names its entities: each form with how often it stands there.
fn put_names(db: &Connection, unread: &Unread, said: &Extraction, numbers: &[i64]) -> Result<()> {
    let mut counts: HashMap<(usize, &str), i64> = HashMap::new();
    for mention in &said.mentions {
        let Some(named) = said.entities.get(mention.entity) else { continue };
        let text = folded(unread.content.get(mention.start..mention.end).unwrap_or_default());
        let form = named.aliases.iter().find(|alias| **alias == text).unwrap_or(&named.name);
        *counts.entry((mention.entity, form)).or_default() += 1;
    }
    let mut insert = db.prepare_cached(
        "INSERT INTO entity_names VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE
         SET count = count + excluded.count, is_fullest = max(is_fullest, excluded.is_fullest)",
    )?;
    for (place, (Named { kind, name, aliases, .. }, number)) in said.entities.iter().zip(numbers).enumerate() {
        let forms = std::iter::once((name, true)).chain(aliases.iter().map(|alias| (alias, false)));
        for (form, is_fullest) in forms {
            let count = counts.get(&(place, form.as_str())).copied().unwrap_or(0);
            insert.execute(params![unread.number, number, form, kind.name(), is_fullest, count])?;
        }
    }
    Ok(())
}

/// Stores a fact with its evidence in a chunk; `numbers` are those of the entities.
pub(super) fn put_fact(
    change: &Change<'_>,
    origin: &Origin<'_>,
    said: &Extraction,
    fact: &Stated,
    numbers: &[i64],
    chunk: i64,
) -> Result<()> {
    let end = |place: usize| Some((said.entities.get(place)?.key.as_str(), *numbers.get(place)?));
    let (Some((subject_key, subject)), Some((object_key, object))) = (end(fact.subject), end(fact.object)) else {
        return Ok(());
    };
    let text = |day: Option<Date>| day.map(|day| day.to_string());
    let (valid_at, invalid_at, stated_at) = (text(fact.valid_at), text(fact.invalid_at), text(fact.stated_at));
    let since = valid_at.as_deref().unwrap_or_default();
    let until = invalid_at.as_deref().unwrap_or_default();
    let id = id_of(&[subject_key, &fact.predicate, object_key, since, until]).to_string();
    let db = change.db;
    let mut insert = db.prepare_cached(
        "INSERT OR IGNORE INTO facts (id, subject, predicate, object, valid_at, invalid_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    insert.execute(params![id, subject, fact.predicate, object, valid_at, invalid_at])?;
    let number: i64 =
        db.prepare_cached("SELECT number FROM facts WHERE id = ?1")?.query_row([&id], |row| row.get(0))?;
    let sql = "SELECT recorded_at FROM recorded_facts WHERE document = ?1 AND fact = ?2";
    let before = db.prepare_cached(sql)?.query_row((origin.id.to_string(), &id), |row| row.get(0)).optional()?;
    let recorded_at: String = before.unwrap_or_else(|| origin.updated_at.to_owned());
    let mut insert = db.prepare_cached("INSERT OR IGNORE INTO evidence VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
    let (start, end, exclusive) = (fact.start as i64, fact.end as i64, fact.exclusive.name());
    insert.execute(params![
        origin.number,
        number,
        chunk,
        start,
        end,
        origin.model,
        stated_at,
        recorded_at,
        exclusive
    ])?;
    change.graph().facts.insert(number);
    Ok(())
}

/// The chunks of a document by their first byte.
struct Chunks(BTreeMap<usize, (usize, i64)>);

impl Chunks {
    fn of(db: &Connection, document: i64) -> Result<Self> {
        let mut query = db.prepare_cached("SELECT start, \"end\", number FROM chunks WHERE document = ?1")?;
        let rows = query.query_map([document], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
        Ok(Chunks(rows.collect::<rusqlite::Result<_>>()?))
    }

    /// The number of the chunk that byte `at` lies in; of several, the one that begins last.
    fn with(&self, at: usize) -> Option<i64> {
        let (_, (end, number)) = self.0.range(..=at).next_back()?;
        (at < *end).then_some(*number)
    }
}

impl Workspace {
    /// Documents whose facts are still to be read, oldest first: at most `limit`, and of no more than `bytes` of text
    /// but for the first.
    pub fn unread(&self, limit: usize, bytes: usize) -> Result<Vec<Unread>> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT number, id, source, title, content, content_type, file_type, metadata, updated_at FROM documents
                 WHERE facts_read < ?1 ORDER BY number LIMIT ?2",
            )?;
            let mut rows = query.query((extract::VERSION, limit as i64))?;
            let (mut found, mut size) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let content: String = row.get("content")?;
                size += content.len();
                if size > bytes && !found.is_empty() {
                    break;
                }
                let metadata: Map<String, Value> = json(row, "metadata")?;
                let (date, language) = inputs(&metadata);
                found.push(Unread {
                    number: row.get("number")?,
                    id: super::id(row, "id")?,
                    source: row.get("source")?,
                    title: row.get("title")?,
                    content,
                    content_type: row.get("content_type")?,
                    file_type: row.get("file_type")?,
                    date,
                    language,
                    updated_at: row.get("updated_at")?,
                });
            }
            Ok(found)
        })
    }

    /// Whether there are documents whose facts are still to be read, and a place to write them.
    pub fn has_unread(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM documents WHERE facts_read < ?1)";
        Ok(!self.is_read_only()
            && self.read(|db| Ok(db.prepare_cached(sql)?.query_row([extract::VERSION], |row| row.get(0))?))?)
    }

    /// Whether there is room for more facts and entities.
    pub fn has_room_for_facts(&self, bounds: Bounds) -> Result<bool> {
        let [entities, facts] = self.read(|db| Ok([count(db, "entities")?, count(db, "facts")?]))?;
        Ok(entities < bounds.entities && facts < bounds.facts)
    }
}

/// How many rows a table has, as its tally says.
pub(super) fn count(db: &Connection, table: &str) -> Result<u64> {
    let mut query = db.prepare_cached("SELECT rows FROM tallies WHERE name = ?1")?;
    Ok(query.query_row([table], |row| row.get(0))?)
}

/// Documents whose facts are still to be read.
pub(super) fn pending(db: &Connection) -> Result<u64> {
    let mut query = db.prepare_cached("SELECT count(*) FROM documents WHERE facts_read < ?1")?;
    Ok(query.query_row([extract::VERSION], |row| row.get(0))?)
}
