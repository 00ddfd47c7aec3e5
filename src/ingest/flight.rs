//! What a job has in memory: documents on their way from their bytes to their commit, counted and bounded.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes and sources in flight.
pub struct Flight {
    most: u64,
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Default)]
struct State {
    bytes: u64,
    sources: HashSet<String>,
}

/// A document in flight; lands when dropped.
pub struct Held<'f> {
    flight: &'f Flight,
    bytes: u64,
    source: Option<String>,
}

impl Flight {
    /// Room for `most` bytes.
    pub fn new(most: u64) -> Self {
        Flight { most, state: Mutex::default(), left: Condvar::new() }
    }

    /// Waits until there is room for a document of `bytes` and none of the same source is in flight. One that is
    /// larger than all the room flies alone.
    pub fn enter(&self, source: Option<&str>, bytes: u64) -> Held<'_> {
        let mut state = self.state();
        while (state.bytes > 0 && state.bytes.saturating_add(bytes) > self.most)
            || source.is_some_and(|source| state.sources.contains(source))
        {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.bytes += bytes;
        let source = source.map(str::to_owned);
        state.sources.extend(source.clone());
        Held { flight: self, bytes, source }
    }

    /// Whether a document of this source is in flight.
    pub fn holds(&self, source: &str) -> bool {
        self.state().sources.contains(source)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held<'_> {
    /// Bytes that it counts for.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Lets it count for what it has turned out to take.
    pub fn weigh(&mut self, bytes: u64) {
        let mut state = self.flight.state();
        state.bytes = state.bytes - self.bytes + bytes;
        self.bytes = bytes;
        self.flight.left.notify_all();
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut state = self.flight.state();
        state.bytes -= self.bytes;
        if let Some(source) = &self.source {
            state.sources.remove(source);
        }
        self.flight.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_flies_fits_or_flies_alone(sizes in prop::collection::vec(1u64..150, 1..60)) {
            let flight = Flight::new(100);
            let (landing, landed) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                let flight = &flight;
                scope.spawn(move || {
                    for size in sizes {
                        let held = flight.enter(None, size);
                        let now = flight.state().bytes;
                        assert!(now <= 100 || now == size, "{now} with one of {size}");
                        landing.send(held).unwrap();
                    }
                });
                landed.iter().for_each(drop);
            });
            prop_assert_eq!(flight.state().bytes, 0);
        }
    }

    #[test]
    fn a_source_flies_once_at_a_time() {
        let flight = Flight::new(100);
        let mut first = flight.enter(Some("a"), 1);
        first.weigh(60);
        assert!(flight.holds("a") && !flight.holds("b"));
        drop(flight.enter(Some("b"), 40));
        let landed = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                let _second = flight.enter(Some("a"), 1);
                assert!(landed.load(std::sync::atomic::Ordering::SeqCst));
            });
            landed.store(true, std::sync::atomic::Ordering::SeqCst);
            drop(first);
            second.join().unwrap();
        });
        assert!(!flight.holds("a"));
    }
}
