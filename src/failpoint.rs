//! Named places at which a test can end the process, as if the power had gone, or let its thread panic.
//!
//! Only in builds with the feature `failpoints`; in all others a place costs nothing. `CARREL_FAILPOINT` names the place,
//! and after a colon how often it is passed before; `CARREL_FAILPOINT_PANICS` lets it panic there, once.

/// Ends the process here, if this is the place and the time.
#[cfg(feature = "failpoints")]
pub fn reach(place: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Ok(chosen) = std::env::var("CARREL_FAILPOINT") else { return };
    let (name, times) = chosen.split_once(':').unwrap_or((&chosen, "0"));
    if name != place {
        return;
    }
    let (passed, times) = (PASSED.fetch_add(1, Ordering::SeqCst), times.parse().unwrap_or(0));
    if std::env::var_os("CARREL_FAILPOINT_PANICS").is_some() {
        assert!(passed != times, "a test wants a panic here");
    } else if passed >= times {
        // No destructor runs and no buffer is flushed.
        std::process::abort();
    }
}

/// Nothing, in a build without failpoints.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn reach(_: &str) {}
