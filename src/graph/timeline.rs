//! What happened to an entity and when: its facts that have dates, oldest first.

use jiff::civil::Date;

use super::network::Network;
use super::rows::{FactRow, Moment};

/// A fact with the day from which it counts and the first on which it does no longer.
#[derive(Debug, Clone, PartialEq)]
pub struct Dated<'a> {
    pub fact: &'a FactRow,
    pub start: Option<Date>,
    pub end: Option<Date>,
}

impl Network {
    /// The facts of the entity that begin or end on one of the days `from` to `to`, both included and each open where
    /// it is not given: by beginning (by end where that is not known), then by id.
    pub fn timeline(&self, entity: i64, from: Option<Date>, to: Option<Date>, moment: &Moment) -> Vec<Dated<'_>> {
        let is_within = |day: Option<Date>| {
            day.is_some_and(|day| from.is_none_or(|from| from <= day) && to.is_none_or(|to| day <= to))
        };
        let facts = self.facts_of(entity, moment).into_iter();
        let dated = facts.map(|fact| Dated { fact, start: fact.start(), end: self.end_of(fact, moment) });
        let mut dated: Vec<Dated> = dated.filter(|dated| is_within(dated.start) || is_within(dated.end)).collect();
        // Stable: those of one day stay in the order of their ids.
        dated.sort_by_key(|dated| dated.start.or(dated.end));
        dated
    }
}
