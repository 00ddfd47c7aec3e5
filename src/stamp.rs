//! Which state of the truth something derived reflects.

/// A commit, told from every other commit of any history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Stamp {
    /// The commit's place in the history of its workspace; 0 before the first.
    pub generation: u64,
    /// What tells this commit from one of the same number in another history.
    pub mark: i64,
}
