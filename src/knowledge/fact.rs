//! A fact as it is told: who, what, whom, since and until when, and which sentences say so.

use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use crate::error::Result;
use crate::graph::{FactRow, Kind, Moment, Network};
use crate::workspace::Workspace;
use crate::workspace::evidence::Passage;

/// Passages that are told of a fact; of the rest the count is.
const PASSAGES: usize = 3;

/// Who an entity is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub id: Uuid,
    pub name: String,
    pub kind: Kind,
}

/// A fact with its evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    pub number: i64,
    pub id: Uuid,
    pub subject: Named,
    pub predicate: String,
    pub object: Named,
    /// The first day on which it is true, where the text says.
    pub valid_at: Option<Date>,
    /// The first day on which it is no longer true: as the text says, or because another took its place.
    pub invalid_at: Option<Date>,
    /// When the first of the documents that say so came in.
    pub recorded_at: Timestamp,
    /// How many passages say so.
    pub evidence_count: u32,
    /// The first of them.
    pub evidence: Vec<Passage>,
}

impl Fact {
    /// As a sentence: "Acme acquired Foo".
    pub fn sentence(&self) -> String {
        format!("{} {} {}", self.subject.name, self.predicate, self.object.name)
    }

    /// The fact of a row, without evidence; `None` where one of its entities is not there.
    pub fn of(network: &Network, row: &FactRow, moment: &Moment) -> Option<Fact> {
        let named = |number: i64| {
            network.entity(number).map(|row| Named { id: row.id, name: row.name.clone(), kind: row.kind })
        };
        Some(Fact {
            number: row.number,
            id: row.id,
            subject: named(row.subject)?,
            predicate: row.predicate.to_string(),
            object: named(row.object)?,
            valid_at: row.valid_at,
            invalid_at: network.end_of(row, moment),
            recorded_at: row.recorded_at,
            evidence_count: row.evidence,
            evidence: Vec::new(),
        })
    }

    /// The facts of these rows, without evidence.
    pub(super) fn all<'a>(
        network: &'a Network,
        rows: impl IntoIterator<Item = &'a FactRow>,
        moment: &Moment,
    ) -> Vec<Fact> {
        rows.into_iter().filter_map(|row| Fact::of(network, row, moment)).collect()
    }
}

/// The facts with their evidence. One that lost its last in the meantime is left out.
pub fn told(workspace: &Workspace, mut facts: Vec<Fact>) -> Result<Vec<Fact>> {
    let numbers: Vec<i64> = facts.iter().map(|fact| fact.number).collect();
    let mut evidence = workspace.evidence(&numbers, PASSAGES)?;
    for fact in &mut facts {
        fact.evidence = evidence.remove(&fact.number).unwrap_or_default();
    }
    facts.retain(|fact| !fact.evidence.is_empty());
    Ok(facts)
}
