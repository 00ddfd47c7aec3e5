//! The graph as a whole: a picture of it, its communities, and all of it for other programs.

use std::io::{self, Write};

use uuid::Uuid;

use super::entity::{Entity, number};
use super::relations::Picture;
use crate::error::Result;
use crate::graph::{Around, Format, Moment};
use crate::workspace::Workspace;

/// Steps around the entity that a picture shows.
const STEPS: u8 = 2;
/// Members of a community that are told by name.
const MEMBERS: usize = 10;

/// Entities that facts tie to each other more than to others.
#[derive(Debug, Clone, PartialEq)]
pub struct Community {
    /// How many they are.
    pub size: usize,
    /// Facts among them.
    pub facts: usize,
    /// The words that are in their names more than in those of all.
    pub words: Vec<String>,
    /// Those with most facts within it.
    pub members: Vec<Entity>,
}

/// What a page draws: what is around `focus`, or the entities with most facts; at most `limit` entities.
///
/// # Errors
/// [`crate::error::Error::NotFound`] where there is no such entity.
pub fn picture(workspace: &Workspace, focus: Option<Uuid>, limit: usize, moment: Moment) -> Result<Picture> {
    let picture = workspace.network(|network| {
        let around = match focus {
            Some(id) => {
                let around = Around { depth: STEPS, limit, moment, associations: false };
                network.around(number(network, id)?, &around)
            }
            None => network.overview(limit, &moment),
        };
        Ok::<_, crate::error::Error>(Picture::of(network, around, &moment))
    })??;
    picture.with_evidence(workspace)
}

/// The communities, the largest first: `limit` of them from `offset` on, and how many are known.
pub fn communities(workspace: &Workspace, limit: usize, offset: usize) -> Result<(Vec<Community>, u64)> {
    let found = workspace.communities()?;
    workspace.network(|network| {
        let communities = found.iter().skip(offset).take(limit).map(|community| Community {
            size: community.entities.len(),
            facts: community.facts,
            words: community.words.clone(),
            members: community
                .entities
                .iter()
                .take(MEMBERS)
                .filter_map(|number| Entity::of(network, *number))
                .collect(),
        });
        (communities.collect(), found.len() as u64)
    })
}

/// Writes all entities, and the facts of a moment, each with the first chunk that states it. Commits wait meanwhile, so `out` is nothing that waits for anybody.
pub fn export(workspace: &Workspace, format: Format, moment: &Moment, out: &mut impl Write) -> Result<()> {
    let chunks = workspace.first_chunks()?;
    let chunk = |fact: i64| chunks.get(&fact).copied();
    let written: io::Result<()> = workspace.network(|network| network.export(format, moment, chunk, out))?;
    Ok(written?)
}
