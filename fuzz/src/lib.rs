//! What every fuzz target does with its bytes: read them, and hold what comes out to its promises.

use carrel::extract::{Extracted, Format, Input, extract};

/// Reads `bytes` as if they were in `format`.
pub fn read(format: Format, name: Option<&str>, bytes: &[u8]) {
    if let Ok(found) = extract(Input { bytes, format, name, charset: None, wants_scans: true }) {
        keeps_its_promises(&found);
    }
}

/// What holds of every document.
pub fn keeps_its_promises(found: &Extracted) {
    assert!(!found.content.contains('\0'), "a text holds no NUL");
    assert!(!found.content.trim().is_empty() || !found.scans.is_empty(), "what says nothing is refused");
    let mut last = 0;
    for mark in &found.marks {
        assert!(found.content.is_char_boundary(mark.at) && mark.at >= last, "marks stand in order, at characters");
        last = mark.at;
    }
}
