//! Questions to the knowledge graph of a workspace, answered with the evidence of every fact.
//!
//! [`mod@fact`] and [`mod@entity`] are what is told, [`mod@relations`] asks what is around an entity, when, and what leads from one to
//! another, [`mod@overview`] about the graph as a whole. Knows no HTTP and asks nobody's permission.

mod entity;
mod fact;
mod overview;
mod relations;

pub use entity::{Entity, entities, entity, find};
pub use fact::{Fact, Named, told};
pub use overview::{Community, communities, export, picture};
pub use relations::{Ask, Path, Picture, facts, path, relationships, timeline};

pub use crate::graph::{Format, Kind, Moment, day};
