//! Bytes in, chunks out: what a document goes through before a workspace keeps it.
//!
//! [`chunk`] cuts the text that was made of the bytes, [`pipeline`] embeds the pieces and hands them to the
//! workspace, [`stages`] does so for many at once, [`worker`] for jobs. Knows no HTTP and asks nobody's permission.

mod archive;
mod background;
mod chunk;
pub mod clutter;
mod facts;
mod flight;
mod item;
mod midway;
mod origin;
mod pipeline;
mod proposals;
mod reindex;
mod round;
mod sections;
mod source;
mod stages;
mod tables;
mod texts;
mod turns;
mod worker;
mod writer;

pub use facts::{Facts, OpenWorkspace};
pub use origin::{ARCHIVE, ARCHIVE_HASH, FOLDER};
pub use pipeline::{Incoming, Outcome, Pipeline, delete_document};
pub use proposals::{Proposals, Reader};
pub use source::check_name;
pub use worker::{Bounds, Jobs, Opening, is_archive};
