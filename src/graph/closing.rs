//! When facts end: at the day that they name or another sentence names for them, else when another takes their place.
//!
//! Derived from the facts that there are and never stored, so the order in which they came does not matter, and a fact
//! that goes gives back what it closed. Only facts of one exclusive group close each other; nothing else is touched.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use super::rows::FactRow;
use super::statement::Exclusive;

/// What ends facts.
#[derive(Debug, Default)]
pub struct Endings {
    /// The facts of which one alone is true at a time, by what they share.
    groups: HashMap<Group, Vec<Claim>>,
    /// Ends that are named, by what is said to end.
    named: HashMap<Said, Vec<Named>>,
}

/// What a fact says, whenever it is so.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Said {
    subject: i64,
    predicate: Arc<str>,
    object: i64,
}

impl Said {
    fn of(fact: &FactRow) -> Self {
        Said { subject: fact.subject, predicate: fact.predicate.clone(), object: fact.object }
    }
}

/// The end that a fact names, in this order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    end: Date,
    fact: i64,
    recorded_at: Timestamp,
}

impl Named {
    fn of(fact: &FactRow) -> Option<Self> {
        Some(Named { end: fact.invalid_at?, fact: fact.number, recorded_at: fact.recorded_at })
    }
}

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

fn put<K: Eq + Hash, V: Ord>(map: &mut HashMap<K, Vec<V>>, key: K, value: V) {
    let values = map.entry(key).or_default();
    if let Err(at) = values.binary_search(&value) {
        values.insert(at, value);
    }
}

fn take<K: Eq + Hash, V: Ord>(map: &mut HashMap<K, Vec<V>>, key: &K, value: &V) {
    let Some(values) = map.get_mut(key) else { return };
    if let Ok(at) = values.binary_search(value) {
        values.remove(at);
    }
    if values.is_empty() {
        map.remove(key);
    }
}

impl Endings {
    pub fn insert(&mut self, fact: &FactRow) {
        if let Some((group, claim)) = place(fact) {
            put(&mut self.groups, group, claim);
        }
        if let Some(named) = Named::of(fact) {
            put(&mut self.named, Said::of(fact), named);
        }
    }

    pub fn remove(&mut self, fact: &FactRow) {
        if let Some((group, claim)) = place(fact) {
            take(&mut self.groups, &group, &claim);
        }
        if let Some(named) = Named::of(fact) {
            take(&mut self.named, &Said::of(fact), &named);
        }
    }

    /// The first day on which `fact` is no longer true, by what was recorded until `known`.
    pub fn end(&self, fact: &FactRow, known: Option<Timestamp>) -> Option<Date> {
        if fact.invalid_at.is_some() {
            return fact.invalid_at;
        }
        let start = fact.start()?;
        let is_known = |recorded_at: Timestamp| known.is_none_or(|known| recorded_at <= known);
        let ends = self.named.get(&Said::of(fact)).map(Vec::as_slice).unwrap_or_default();
        let named = ends.iter().find(|named| named.end > start && is_known(named.recorded_at)).map(|named| named.end);
        let next = place(fact).and_then(|(group, claim)| {
            let claims = self.groups.get(&group)?;
            let later = claims.get(claims.partition_point(|other| other.start <= start)..)?;
            later.iter().find(|next| next.other != claim.other && is_known(next.recorded_at)).map(|next| next.start)
        });
        named.into_iter().chain(next).min()
    }

    /// Bytes in memory, about.
    pub fn bytes(&self) -> usize {
        let claims: usize = self.groups.values().map(|claims| claims.capacity() * size_of::<Claim>()).sum();
        let named: usize = self.named.values().map(|named| named.capacity() * size_of::<Named>()).sum();
        claims
            + named
            + self.groups.capacity() * (size_of::<(Group, Vec<Claim>)>() + 1)
            + self.named.capacity() * (size_of::<(Said, Vec<Named>)>() + 1)
    }
}
