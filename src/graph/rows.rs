//! The rows that a network is made of, as SQL and the snapshot have them, and what a commit changed of them.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::statement::{Exclusive, Kind};
use crate::stamp::Stamp;

/// An entity as all documents together know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityRow {
    /// Its row in SQL, the same while the entity lives.
    pub number: i64,
    pub id: Uuid,
    pub name: String,
    pub kind: Kind,
    pub aliases: Vec<String>,
    /// How many places name it.
    pub mentions: u32,
}

/// A fact, whichever documents say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactRow {
    pub number: i64,
    pub id: Uuid,
    pub subject: i64,
    pub object: i64,
    /// Shared: few predicates have many facts.
    pub predicate: Arc<str>,
    pub exclusive: Exclusive,
    pub valid_at: Option<Date>,
    pub invalid_at: Option<Date>,
    pub stated_at: Option<Date>,
    pub recorded_at: Timestamp,
    /// How many places say so.
    pub evidence: u32,
}

impl FactRow {
    /// The day from which it counts, where any is known.
    pub fn start(&self) -> Option<Date> {
        self.valid_at.or(self.stated_at)
    }

    /// The end that is not `entity`: the object for its subject.
    pub fn other(&self, entity: i64) -> i64 {
        if self.subject == entity { self.object } else { self.subject }
    }
}

/// A chunk that names an entity, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incidence {
    pub chunk: i64,
    pub entity: i64,
    pub count: u32,
}

/// All rows of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rows {
    pub entities: Vec<EntityRow>,
    pub facts: Vec<FactRow>,
    pub incidences: Vec<Incidence>,
}

/// What a commit changed: states, not differences, so applying it twice changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Update {
    pub stamp: Stamp,
    pub entities: Vec<EntityRow>,
    pub gone_entities: Vec<i64>,
    pub facts: Vec<FactRow>,
    pub gone_facts: Vec<i64>,
    pub gone_chunks: Vec<i64>,
    /// A count of zero takes the incidence away.
    pub incidences: Vec<Incidence>,
}

/// When one looks, and with what was known when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Only facts that were true on this day, or may have been: those whose beginning is not known count.
    pub as_of: Option<Date>,
    /// Only what was recorded by then, as if nothing had been added since.
    pub as_known_at: Option<Timestamp>,
}
