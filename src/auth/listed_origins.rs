//! Which origins some living key lists: in memory, until a key changes.
//!
//! A browser asks before it sends a key, so this is all that its question can be answered from.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock;
use crate::error::Result;
use crate::tenancy::Tenancy;

/// By origin, when the last of its keys ends; `None` for never.
type Ends = HashMap<String, Option<String>>;

/// The origins that living keys list.
#[derive(Default)]
pub struct ListedOrigins(Mutex<State>);

#[derive(Default)]
struct State {
    /// Raised by each change, so that a reading that it overtook is not kept.
    changes: u64,
    ends: Option<Arc<Ends>>,
}

impl ListedOrigins {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was read: a key changed.
    pub fn forget(&self) {
        let mut state = self.state();
        state.changes += 1;
        state.ends = None;
    }

    /// Whether `origin` is listed, where that is known without blocking.
    pub fn known(&self, origin: &str) -> Option<bool> {
        self.state().ends.as_ref().map(|ends| is_listed(ends, origin))
    }

    /// Whether `origin` is listed. Blocks where a key has changed.
    pub fn contains(&self, tenancy: &Tenancy, origin: &str) -> Result<bool> {
        let changes = {
            let state = self.state();
            if let Some(ends) = &state.ends {
                return Ok(is_listed(ends, origin));
            }
            state.changes
        };
        let ends = Arc::new(latest(tenancy.listed_origins()?));
        let mut state = self.state();
        if state.changes == changes {
            state.ends = Some(ends.clone());
        }
        Ok(is_listed(&ends, origin))
    }
}

fn is_listed(ends: &Ends, origin: &str) -> bool {
    ends.get(origin).is_some_and(|end| end.as_ref().is_none_or(|end| clock::now() < *end))
}

fn latest(listed: Vec<(String, Option<String>)>) -> Ends {
    let mut ends = Ends::with_capacity(listed.len());
    for (origin, end) in listed {
        ends.entry(origin)
            .and_modify(|known| *known = known.take().zip(end.clone()).map(|(known, end)| known.max(end)))
            .or_insert(end);
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_listed_as_long_as_the_last_of_its_keys_lives() {
        let (past, future) = ("2020-01-01T00:00:00Z", "2199-01-01T00:00:00Z");
        let listed = |ends: &[Option<&str>]| {
            let rows = ends.iter().map(|end| ("https://a.example".to_owned(), end.map(str::to_owned))).collect();
            is_listed(&latest(rows), "https://a.example")
        };
        assert!(listed(&[None]) && listed(&[Some(future)]) && !listed(&[Some(past)]) && !listed(&[]));
        assert!(listed(&[Some(past), None]) && listed(&[None, Some(past)]));
        assert!(listed(&[Some(past), Some(future)]) && listed(&[Some(future), Some(past)]));
        assert!(!is_listed(&latest(vec![("https://a.example".into(), None)]), "https://b.example"));
    }
}
