//! When a job may give way midway through a document.
//!
//! Its next turn reads and cuts the document anew and takes the vectors that there were from the cache. So that more is
//! gained than lost, a turn makes new vectors for at least as long as it took to come to the first of them. And so that a
//! document ends, whatever becomes of the cache: where not all that there was is known again, the document is not left
//! before it is whole. Hence each time that it is left it has got further. Knows a document only by its place in its job.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use uuid::Uuid;

/// How far the documents were that jobs gave way within: of each job the last.
#[derive(Default)]
pub struct Marks(Mutex<HashMap<Uuid, Mark>>);

struct Mark {
    position: u32,
    vectors: usize,
}

impl Marks {
    /// Notes how many vectors there were of the document at a job's `position`.
    pub fn set(&self, job: Uuid, position: u32, vectors: usize) {
        self.marks().insert(job, Mark { position, vectors });
    }

    /// How many there were when the job gave way within that document; 0 where it did not.
    pub fn of(&self, job: Uuid, position: u32) -> usize {
        self.marks().get(&job).filter(|mark| mark.position == position).map_or(0, |mark| mark.vectors)
    }

    /// Forgets a job that has ended.
    pub fn forget(&self, job: Uuid) {
        self.marks().remove(&job);
    }

    fn marks(&self) -> MutexGuard<'_, HashMap<Uuid, Mark>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A document whose vectors are coming.
pub struct Midway {
    /// When it was waited for.
    since: Instant,
    /// Vectors that it had when it was left.
    mark: usize,
    known: usize,
    fresh: usize,
    /// When the first came that was not known.
    further: Option<Instant>,
}

impl Midway {
    /// One that is waited for `since` then, and had `mark` vectors when it was left.
    pub fn new(since: Instant, mark: usize) -> Self {
        Midway { since, mark, known: 0, fresh: 0, further: None }
    }

    /// Counts a vector that came at `now`.
    pub fn count(&mut self, is_fresh: bool, now: Instant) {
        if is_fresh {
            self.fresh += 1;
            self.further.get_or_insert(now);
        } else {
            self.known += 1;
        }
    }

    /// How many there are.
    pub fn vectors(&self) -> usize {
        self.known + self.fresh
    }

    /// Whether the document may be left as it is at `now`.
    pub fn may_be_left(&self, now: Instant) -> bool {
        let has_gained = |further: Instant| now - further >= further - self.since;
        self.known >= self.mark && self.further.is_some_and(has_gained)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn new_vectors_are_made_for_as_long_as_it_took_to_come_to_them() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut document = Midway::new(start, 1);
        document.count(false, at(2));
        assert!(!document.may_be_left(at(9)), "it has not got further");
        document.count(true, at(3));
        assert!(!document.may_be_left(at(5)));
        assert!(document.may_be_left(at(6)));
        assert_eq!(document.vectors(), 2);
    }

    #[test]
    fn a_mark_is_of_one_document_of_one_job() {
        let (marks, job) = (Marks::default(), Uuid::now_v7());
        marks.set(job, 3, 40);
        assert_eq!([marks.of(job, 3), marks.of(job, 4), marks.of(Uuid::now_v7(), 3)], [40, 0, 0]);
        marks.forget(job);
        assert_eq!(marks.of(job, 3), 0);
    }

    proptest! {
        /// Whatever a cache forgets between the turns, a document that is left whenever it may be comes to its end.
        #[test]
        fn every_document_ends(chunks in 1usize..50, kept in prop::collection::vec(0usize..100, 0..100)) {
            let (now, mut mark) = (Instant::now(), 0);
            for turn in 0.. {
                prop_assert!(turn <= chunks, "each turn but the last gets further");
                let known = kept.get(turn).map_or(mark, |kept| mark * kept / 99);
                let mut document = Midway::new(now, mark);
                while document.vectors() < chunks && !document.may_be_left(now) {
                    document.count(document.vectors() >= known, now);
                }
                if document.vectors() == chunks {
                    break;
                }
                prop_assert!(document.vectors() > mark);
                mark = document.vectors();
            }
        }
    }
}
