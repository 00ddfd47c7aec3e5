//! When facts end: at the day that they name, else when another takes their place.
//!
//! Derived from the facts that there are and never stored, so the order in which they came does not matter, and a fact
//! that goes gives back what it closed. Only facts of one exclusive group close each other; nothing else is touched.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use super::rows::FactRow;
use super::statement::Exclusive;

/// The facts of which one alone is true at a time, by what they share.
#[derive(Debug, Default)]
pub struct Groups(HashMap<Group, Vec<Claim>>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Group {
    entity: i64,
    predicate: Arc<str>,
    exclusive: Exclusive,
}

/// A fact among those of its group, which are in this order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    start: Date,
    fact: i64,
    /// What the fact says the one thing is.
    other: i64,
    recorded_at: Timestamp,
}

/// Where a fact that shuts others out stands among them; one without a date closes nothing and is not closed.
fn place(fact: &FactRow) -> Option<(Group, Claim)> {
    let (entity, other) = match fact.exclusive {
        Exclusive::No => return None,
        Exclusive::Object => (fact.subject, fact.object),
        Exclusive::Subject => (fact.object, fact.subject),
    };
    let group = Group { entity, predicate: fact.predicate.clone(), exclusive: fact.exclusive };
    Some((group, Claim { start: fact.start()?, fact: fact.number, other, recorded_at: fact.recorded_at }))
}

impl Groups {
    pub fn insert(&mut self, fact: &FactRow) {
        if let Some((group, claim)) = place(fact) {
            let claims = self.0.entry(group).or_default();
            if let Err(at) = claims.binary_search(&claim) {
                claims.insert(at, claim);
            }
        }
    }

    pub fn remove(&mut self, fact: &FactRow) {
        let Some((group, claim)) = place(fact) else { return };
        let Some(claims) = self.0.get_mut(&group) else { return };
        if let Ok(at) = claims.binary_search(&claim) {
            claims.remove(at);
        }
        if claims.is_empty() {
            self.0.remove(&group);
        }
    }

    /// The first day on which `fact` is no longer true, by what was recorded until `known`.
    pub fn end(&self, fact: &FactRow, known: Option<Timestamp>) -> Option<Date> {
        if fact.invalid_at.is_some() {
            return fact.invalid_at;
        }
        let (group, claim) = place(fact)?;
        let claims = self.0.get(&group)?;
        let later = claims.get(claims.partition_point(|other| other.start <= claim.start)..)?;
        let next =
            later.iter().find(|next| next.other != claim.other && known.is_none_or(|known| next.recorded_at <= known));
        next.map(|next| next.start)
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let claims: usize = self.0.values().map(|claims| claims.capacity() * size_of::<Claim>()).sum();
        claims + self.0.capacity() * (size_of::<(Group, Vec<Claim>)>() + 1)
    }
}
