//! The knowledge graph: what documents say, entities and facts, in memory.
//!
//! A workspace's network is made of its rows, follows each commit, and answers who is meant, what is around, what leads
//! from one to another, what was true when, and which chunks carry it. Knows no SQL, no tenant, no HTTP; locks are the
//! caller's. Nothing here does I/O but `snapshot` and `export`.

mod association;
mod closing;
mod community;
mod compact;
mod export;
pub mod extract;
mod folded;
mod mentions;
mod names;
mod neighbourhood;
mod network;
mod path;
pub mod proposal;
mod rank;
mod rows;
pub mod snapshot;
mod statement;
mod timeline;

pub use association::Association;
pub use community::Community;
pub use export::Format;
pub use folded::folded;
pub use names::{Likeness, Spotted};
pub use neighbourhood::{Around, Neighbourhood};
pub use network::Network;
pub use rows::{EntityRow, FactRow, Incidence, Moment, Rows, Update};
pub use statement::{Exclusive, Extraction, Kind, Mention, Named, Stated, day};
pub use timeline::Dated;

#[cfg(test)]
mod tests;
