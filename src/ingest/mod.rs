//! Bytes in, chunks out: what a document goes through before a workspace keeps it.
//!
//! [`extract`] makes text of bytes, [`chunk`] cuts it, [`pipeline`] embeds the pieces and hands them to the
//! workspace, [`worker`] does so for jobs. Knows no HTTP and asks nobody's permission.

mod archive;
mod chunk;
mod extract;
mod pipeline;
mod reindex;
mod source;
mod worker;

pub use extract::media_type_of;
pub use pipeline::{Incoming, Outcome, Pipeline, delete_document};
pub use source::check_name;
pub use worker::{Bounds, Jobs, Opening, is_archive};
