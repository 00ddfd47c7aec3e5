//! How fast a job is and what is left of it, from what was done in the time that it was worked on. Pure.

use std::time::Duration;

/// What a job has done so far, and in which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Bytes of the documents known so far.
    pub bytes_total: u64,
    /// Bytes of those that went in or failed.
    pub bytes_done: u64,
    /// Documents that went in or failed while the job was worked on; of a reindexing, chunks.
    pub count: u64,
    /// The time that the job was worked on; while it waits for its turn it does not run.
    pub worked: Duration,
}

impl Pace {
    /// Documents in a second; `None` before the first.
    pub fn documents_per_second(&self) -> Option<f64> {
        self.per_second(self.count)
    }

    /// Bytes in a second; `None` before the first.
    pub fn bytes_per_second(&self) -> Option<f64> {
        self.per_second(self.bytes_done)
    }

    /// Seconds of work that are left, with `documents` still to do: by their bytes where there are any, for a large one
    /// takes longer than a small one. `None` before the first is done.
    pub fn seconds_left(&self, documents: u64) -> Option<u64> {
        let bytes = self.bytes_total.saturating_sub(self.bytes_done);
        let seconds = match self.bytes_total {
            0 => documents as f64 / self.documents_per_second()?,
            _ => bytes as f64 / self.bytes_per_second()?,
        };
        // A cast of a float keeps to the bounds of the integer.
        Some(seconds.ceil() as u64)
    }

    fn per_second(&self, done: u64) -> Option<f64> {
        let seconds = self.worked.as_secs_f64();
        (done > 0 && seconds > 0.0).then(|| done as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_goes_by_bytes_and_else_by_documents() {
        let worked = Duration::from_secs(10);
        let pace = Pace { bytes_total: 1000, bytes_done: 100, count: 9, worked };
        assert_eq!((pace.documents_per_second(), pace.bytes_per_second()), (Some(0.9), Some(10.0)));
        assert_eq!(pace.seconds_left(1), Some(90), "the one that is left is a large one");
        let pace = Pace { count: 20, worked, ..Pace::default() };
        assert_eq!((pace.bytes_per_second(), pace.seconds_left(5)), (None, Some(3)));
    }

    #[test]
    fn nothing_is_known_before_the_first_document() {
        let pace = Pace { bytes_total: 1000, worked: Duration::from_secs(5), ..Pace::default() };
        assert_eq!((pace.documents_per_second(), pace.seconds_left(3)), (None, None));
        assert_eq!(Pace { bytes_total: 9, bytes_done: 9, count: 1, ..Pace::default() }.seconds_left(0), None);
    }
}
