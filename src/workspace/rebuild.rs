//! How the full-text index follows the truth: from the generation that it carries to the last commit.
//!
//! The same code runs after each commit, on opening, and where the index must be made anew.

use rusqlite::{Connection, Row};

use super::{Workspace, json, meta, set_meta};
use crate::error::Result;
use crate::fulltext::Entry;

impl Workspace {
    /// Brings the full-text index to the generation of the last commit.
    ///
    /// An index that is ahead (of a restored copy), or so far behind that what was deleted since is no longer
    /// known, is made anew.
    pub(super) fn catch_up(&self) -> Result<()> {
        let stamped = self.fulltext.generation()?;
        self.read(|db| {
            let target = meta(db, "generation")?;
            if stamped == target {
                return Ok(());
            }
            let anew = stamped > target || stamped < meta(db, "tombstones_since")?;
            let since = if anew { 0 } else { stamped as i64 };
            let mut deleted = db.prepare_cached("SELECT number FROM deleted_chunks WHERE generation > ?1")?;
            let deleted: Vec<u32> = deleted.query_map([since], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let mut chunks = db.prepare_cached(
                "SELECT c.number, c.content, c.heading_path, d.title
                 FROM chunks c JOIN documents d ON d.number = c.document WHERE c.generation > ?1 ORDER BY c.number",
            )?;
            let added = chunks.query_map([since], entry)?.map(|row| Ok(row?));
            self.fulltext.apply(target, anew, deleted, added)
        })
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let headings: Vec<String> = json(row, "heading_path")?;
    let (title, content): (String, String) = (row.get("title")?, row.get("content")?);
    Ok(Entry { chunk: row.get("number")?, text: in_context(&title, &headings, &content) })
}

/// What is embedded and indexed for a chunk: its text with its document's title and its heading path before it.
pub fn in_context(title: &str, headings: &[String], content: &str) -> String {
    let headings = headings.iter().filter(|h| h.as_str() != title).map(String::as_str);
    let context: Vec<&str> = std::iter::once(title).chain(headings).filter(|part| !part.is_empty()).collect();
    format!("{}\n{content}", context.join(" > "))
}

/// Forgets deletions that the index at generation `followed` has carried out.
pub(super) fn prune_tombstones(db: &Connection, followed: u64) -> Result<()> {
    if db.execute("DELETE FROM deleted_chunks WHERE generation <= ?1", [followed as i64])? > 0 {
        set_meta(db, "tombstones_since", followed)?;
    }
    Ok(())
}
