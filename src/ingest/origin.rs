//! Metadata of a document that say which folder it was sent from. Whoever sends it says so, never the document itself:
//! what a folder brought is removed with it.

/// The folder.
pub const FOLDER: &str = "ingest_folder";
/// Of a document out of an archive: the archive's name in its folder, and the SHA-256 it had.
pub const ARCHIVE: &str = "ingest_archive";
pub const ARCHIVE_HASH: &str = "ingest_archive_hash";
