//! Which workspace a command is about.

use clap::Args;
use uuid::Uuid;

use crate::app::DEFAULT_WORKSPACE;

#[derive(Args)]
pub struct Place {
    /// The workspace's id
    #[arg(long, default_value_t = DEFAULT_WORKSPACE)]
    pub workspace: Uuid,
}

impl Place {
    /// The path of what lies in it.
    pub fn path(&self, rest: &str) -> String {
        format!("/workspaces/{}{rest}", self.workspace)
    }
}
