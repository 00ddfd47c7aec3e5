//! Reading through every workspace from time to time: what rots on a disk is found while a backup still has it.
//!
//! One workspace after another, in the order of their ids; how far it came is in the register, so that a restart goes
//! on. What was found is told by the log and by [`Tenancy::damaged`].

use std::sync::PoisonError;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::OptionalExtension;
use uuid::Uuid;

use super::workspaces::LIVE;
use super::{Tenancy, id};
use crate::error::{Error, Result};
use crate::workspace::Report;

/// The row of `instance` with the time at which the present round began.
const BEGUN: &str = "inspection_begun";
/// The row of `instance` with the last workspace that was read; empty after a whole round.
const LAST: &str = "inspection_last";

impl Tenancy {
    /// Reads through the next workspace of this round, makes anew what is derived and damaged, and gives back how it
    /// was; `None` where the round is over and the next is not due, `every` after the beginning of this one.
    pub fn inspect_next(&self, every: Duration) -> Result<Option<(Uuid, Result<Report>)>> {
        let now = Timestamp::now();
        let begun = self.instance_value(BEGUN)?.and_then(|begun| begun.parse::<Timestamp>().ok());
        let Some(begun) = begun else {
            // Nothing has had time to rot on an instance that is new.
            self.set_instance_value(BEGUN, &now.to_string())?;
            return Ok(None);
        };
        let last = self.instance_value(LAST)?.unwrap_or_default();
        if last.is_empty() {
            let every = SignedDuration::try_from(every).map_err(|e| Error::internal("clock", e))?;
            // A clock that was set back must not put the next round off for longer than a round.
            if (now.duration_since(begun).abs()) < every {
                return Ok(None);
            }
            self.set_instance_value(BEGUN, &now.to_string())?;
        }
        let next: Option<Uuid> = self.db.read(|db| {
            let sql = format!("SELECT w.id FROM {LIVE} AND w.id > ?1 ORDER BY w.id LIMIT 1");
            Ok(db.query_row(&sql, [&last], |row| id(row, "id")).optional()?)
        })?;
        self.set_instance_value(LAST, &next.map(|id| id.to_string()).unwrap_or_default())?;
        Ok(next.map(|workspace| (workspace, self.check_workspace(workspace, true))))
    }

    /// Workspaces that were found damaged since the start, and not whole again after that.
    pub fn damaged(&self) -> Vec<Uuid> {
        self.damaged.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    pub(super) fn note_damage(&self, workspace: Uuid, damaged: bool) {
        let mut known = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        match damaged {
            true => known.insert(workspace),
            false => known.remove(&workspace),
        };
    }
}
