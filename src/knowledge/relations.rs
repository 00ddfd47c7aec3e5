//! What is around an entity, what happened to it, and what leads from one to another.

use jiff::civil::Date;
use uuid::Uuid;

use super::entity::{Entity, number};
use super::fact::{Fact, told};
use crate::error::Result;
use crate::graph::{Around, Moment, Neighbourhood, Network};
use crate::workspace::Workspace;

/// What of a neighbourhood is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    /// Steps, 1 to 4.
    pub depth: u8,
    /// Entities at most.
    pub limit: usize,
    pub moment: Moment,
}

/// Entities and the facts between them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Picture {
    /// With their distance from the one in the middle.
    pub entities: Vec<(Entity, u8)>,
    pub facts: Vec<Fact>,
    /// Entities that share chunks with the one in the middle more than by chance: how many, and how much more, `0..=1`.
    /// No facts.
    pub associations: Vec<(Entity, u32, f64)>,
}

impl Picture {
    pub(super) fn of(network: &Network, around: Neighbourhood, moment: &Moment) -> Picture {
        let facts = around.facts.iter().filter_map(|number| network.fact(*number));
        let entity = |number: i64| Entity::of(network, number);
        let entities = around.entities.iter().filter_map(|(number, distance)| Some((entity(*number)?, *distance)));
        let associations = around.associations.iter();
        Picture {
            facts: Fact::all(network, facts, moment),
            entities: entities.collect(),
            associations: associations.filter_map(|tie| Some((entity(tie.entity)?, tie.shared, tie.weight))).collect(),
        }
    }

    pub(super) fn with_evidence(self, workspace: &Workspace) -> Result<Picture> {
        Ok(Picture { facts: told(workspace, self.facts)?, ..self })
    }
}

/// The facts of the shortest path between two entities, and the entities on it, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Path {
    pub entities: Vec<Entity>,
    pub facts: Vec<Fact>,
}

/// The facts that an entity takes part in, the best-evidenced first: `limit` of them from `offset` on, and how many
/// there are.
///
/// # Errors
/// [`crate::error::Error::NotFound`] where there is no such entity.
pub fn facts(
    workspace: &Workspace,
    id: Uuid,
    moment: &Moment,
    limit: usize,
    offset: usize,
) -> Result<(Vec<Fact>, u64)> {
    let (facts, total) = workspace.network(|network| {
        let mut rows = network.facts_of(number(network, id)?, moment);
        // Stable: of those as well evidenced, by id.
        rows.sort_by_key(|row| std::cmp::Reverse(row.evidence));
        let total = rows.len() as u64;
        Ok::<_, crate::error::Error>((Fact::all(network, rows.into_iter().skip(offset).take(limit), moment), total))
    })??;
    Ok((told(workspace, facts)?, total))
}

/// What is around an entity.
///
/// # Errors
/// [`crate::error::Error::NotFound`] where there is no such entity.
pub fn relationships(workspace: &Workspace, id: Uuid, ask: &Ask) -> Result<Picture> {
    let Ask { depth, limit, moment } = *ask;
    let around = Around { depth, limit, moment, associations: true };
    let picture = workspace.network(|network| {
        let middle = number(network, id)?;
        Ok::<_, crate::error::Error>(Picture::of(network, network.around(middle, &around), &moment))
    })??;
    picture.with_evidence(workspace)
}

/// The facts of an entity that begin or end on the days `from` to `to`, oldest first: `limit` of them from `offset` on, and
/// how many there are.
///
/// # Errors
/// [`crate::error::Error::NotFound`] where there is no such entity.
pub fn timeline(
    workspace: &Workspace,
    id: Uuid,
    (from, to): (Option<Date>, Option<Date>),
    moment: &Moment,
    limit: usize,
    offset: usize,
) -> Result<(Vec<Fact>, u64)> {
    let (facts, total) = workspace.network(|network| {
        let dated = network.timeline(number(network, id)?, from, to, moment);
        let total = dated.len() as u64;
        let rows = dated.into_iter().skip(offset).take(limit).map(|dated| dated.fact);
        Ok::<_, crate::error::Error>((Fact::all(network, rows, moment), total))
    })??;
    Ok((told(workspace, facts)?, total))
}

/// The shortest path between two entities; `None` where no facts lead from one to the other.
///
/// # Errors
/// [`crate::error::Error::NotFound`] where there is no such entity.
pub fn path(workspace: &Workspace, from: Uuid, to: Uuid, moment: &Moment) -> Result<Option<Path>> {
    let found = workspace.network(|network| {
        let (first, last) = (number(network, from)?, number(network, to)?);
        let Some(path) = network.path(first, last, moment) else { return Ok(None) };
        let rows: Vec<_> = path.iter().filter_map(|number| network.fact(*number)).collect();
        let mut here = first;
        let mut stops = vec![first];
        for row in &rows {
            here = row.other(here);
            stops.push(here);
        }
        let entities = stops.into_iter().filter_map(|number| Entity::of(network, number)).collect();
        Ok::<_, crate::error::Error>(Some(Path { entities, facts: Fact::all(network, rows, moment) }))
    })??;
    found.map(|path| Ok(Path { facts: told(workspace, path.facts)?, ..path })).transpose()
}
