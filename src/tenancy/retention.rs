//! Conversations that are not kept any more: looked for in one workspace after another, whether it is open or not.

use serde_json::Value;
use uuid::Uuid;

use super::Tenancy;
use super::workspaces::Workspace;
use crate::error::Result;
use crate::sqlite::Access;
use crate::workspace;

/// The setting of a workspace that says how many days its sessions are kept.
pub const SESSION_DAYS: &str = "session_days";

/// The days after which both the instance and the workspace let go of a session; 0 is never.
fn sooner(instance: u32, workspace: u32) -> u32 {
    match (instance, workspace) {
        (0, days) | (days, 0) => days,
        (one, other) => one.min(other),
    }
}

impl Tenancy {
    /// Days that a workspace's sessions are kept; 0 is for ever.
    pub(super) fn session_days(&self, record: &Workspace) -> u32 {
        let own = record.settings.get(SESSION_DAYS).and_then(Value::as_u64);
        sooner(self.session_days, own.map_or(0, |days| u32::try_from(days).unwrap_or(u32::MAX)))
    }

    /// Removes what is not kept any more from the next workspace after `last`, which is opened only where there is
    /// something to remove. That workspace and how many sessions went; `None` where it was the last.
    pub fn expire_next(&self, last: Uuid) -> Result<Option<(Uuid, Result<usize>)>> {
        if self.directory.access() == Access::Read {
            return Ok(None);
        }
        let next = self.next_with_setting(last, SESSION_DAYS, self.session_days > 0)?;
        Ok(next.map(|record| (record.id, self.expire(&record))))
    }

    fn expire(&self, record: &Workspace) -> Result<usize> {
        let days = self.session_days(record);
        if days == 0 || !workspace::Workspace::peek_expired(&self.directory_of(record.id), days)? {
            return Ok(0);
        }
        self.open_workspace(record)?.expire_sessions()
    }
}

#[cfg(test)]
mod tests {
    use super::sooner;

    #[test]
    fn the_shorter_time_holds_and_none_is_no_time() {
        assert_eq!([sooner(0, 0), sooner(30, 0), sooner(0, 7), sooner(30, 7), sooner(7, 30)], [0, 30, 7, 7, 7]);
    }
}
