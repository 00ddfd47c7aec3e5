//! How long conversations are kept: one that did not go on for that long is told of no more, and goes with all that
//! was said in it.
//!
//! How long that is, whoever opens the workspace says ([`Workspace::keep_sessions`]); the directory does not know.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::{SignedDuration, Timestamp};

use super::{Layout, Workspace};
use crate::clock;
use crate::error::{Error, Result};
use crate::sqlite;

/// Sessions that go in one transaction: others are to get their turn to write.
const AT_ONCE: usize = 50;

/// Days that a session is kept after it last went on; 0 is for ever.
#[derive(Default)]
pub(super) struct Retention(AtomicU32);

/// The earliest time at which a session that is kept `days` may have gone on last; before all times for 0.
fn kept_since(days: u32) -> Result<String> {
    if days == 0 {
        return Ok(String::new());
    }
    let time = Timestamp::now().saturating_sub(SignedDuration::from_hours(24 * i64::from(days)));
    time.map(clock::text).map_err(|e| Error::internal("clock", e))
}

impl Workspace {
    /// Keeps sessions for `days` after they last went on; 0 is for ever. Holds from now on, for all that have the
    /// workspace open.
    pub fn keep_sessions(&self, days: u32) {
        self.retention.0.store(days, Ordering::Relaxed);
    }

    /// What sessions that last went on earlier are told of no more.
    pub(super) fn kept_since(&self) -> Result<String> {
        kept_since(self.retention.0.load(Ordering::Relaxed))
    }

    /// Whether the workspace at `root` has sessions that are not kept for `days`, without opening it.
    pub fn peek_expired(root: &Path, days: u32) -> Result<bool> {
        let since = kept_since(days)?;
        sqlite::peek(&Layout::new(root).database(), |db| {
            let sql = "SELECT EXISTS (SELECT 1 FROM sessions WHERE updated_at < ?1)";
            Ok(db.query_row(sql, [since], |row| row.get(0))?)
        })
    }

    /// Removes what is not kept any more, with all that was said in it. How many sessions went.
    pub fn expire_sessions(&self) -> Result<usize> {
        let since = self.kept_since()?;
        let mut gone = 0;
        loop {
            let sql = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE updated_at < ?1 LIMIT ?2)";
            let went = self.write(|tx| Ok(tx.execute(sql, (&since, AT_ONCE as i64))?))?;
            gone += went;
            if went < AT_ONCE {
                return Ok(gone);
            }
        }
    }
}
