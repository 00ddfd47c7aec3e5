//! How many questions one turn may put to language models, those of the agents that ask each other included.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Questions of one turn to language models at most.
const MOST: usize = 24;

/// The questions that are left to a turn. Copies count together.
#[derive(Clone)]
pub(super) struct Requests(Arc<AtomicUsize>);

impl Requests {
    /// Those of a new turn. Its last question, at which the model has to answer, is set aside.
    pub fn new() -> Self {
        Requests(Arc::new(AtomicUsize::new(MOST - 1)))
    }

    /// Takes one, if there is one left.
    pub fn take(&self) -> bool {
        self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Gives back one that was taken and not needed.
    pub fn give_back(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_take_from_the_same() {
        let (one, other) = {
            let requests = Requests::new();
            (requests.clone(), requests)
        };
        let taken = (0..MOST).filter(|n| if n % 2 == 0 { one.take() } else { other.take() }).count();
        assert_eq!((taken, one.take(), other.take()), (MOST - 1, false, false));
        one.give_back();
        assert!(other.take() && !one.take());
    }
}
