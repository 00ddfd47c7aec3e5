//! Entities: found by name, and told of.

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::graph::{Kind, Network};
use crate::workspace::Workspace;

/// An entity as it is told of.
#[derive(Debug, Clone, PartialEq)]
pub struct Entity {
    pub number: i64,
    pub id: Uuid,
    pub name: String,
    pub kind: Kind,
    pub aliases: Vec<String>,
    /// Places that name it.
    pub mentions: u32,
    /// Facts that it takes part in.
    pub degree: u32,
}

impl Entity {
    pub(super) fn of(network: &Network, number: i64) -> Option<Entity> {
        let row = network.entity(number)?;
        Some(Entity {
            number,
            id: row.id,
            name: row.name.clone(),
            kind: row.kind,
            aliases: row.aliases.clone(),
            mentions: row.mentions,
            degree: network.degree(number),
        })
    }
}

/// The number of an entity.
pub(super) fn number(network: &Network, id: Uuid) -> Result<i64> {
    network.number_of(id).ok_or(Error::NotFound("entity"))
}

/// The entities that are called `name` or something like it, or, where none is given, those that are named most: `limit`
/// of them from `offset` on, and how many there are.
pub fn entities(
    workspace: &Workspace,
    name: Option<&str>,
    kind: Option<Kind>,
    limit: usize,
    offset: usize,
) -> Result<(Vec<Entity>, u64)> {
    let most = limit.saturating_add(offset);
    workspace.network(|network| {
        let (found, total): (Vec<i64>, usize) = match name {
            Some(name) => {
                let (found, total) = network.search(name, kind, most);
                (found.into_iter().map(|(number, _)| number).collect(), total)
            }
            None => network.most_mentioned(kind, most),
        };
        let told = found.into_iter().skip(offset).filter_map(|number| Entity::of(network, number));
        (told.collect(), total as u64)
    })
}

/// One entity.
///
/// # Errors
/// [`Error::NotFound`].
pub fn entity(workspace: &Workspace, id: Uuid) -> Result<Entity> {
    let found = workspace.network(|network| Entity::of(network, number(network, id).ok()?))?;
    found.ok_or(Error::NotFound("entity"))
}

/// The entity that somebody means by `name`.
///
/// # Errors
/// [`Error::NotFound`] where none is called like that.
pub fn find(workspace: &Workspace, name: &str) -> Result<Entity> {
    entities(workspace, Some(name), None, 1, 0)?.0.pop().ok_or(Error::NotFound("entity"))
}
