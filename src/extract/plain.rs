//! Plain text: kept byte for byte.

use serde_json::Map;

use super::{Extracted, Format, Structure};
use crate::place::{Mark, Place};

/// The text as it stands; it begins on the first line of its original.
pub fn extract(text: &str) -> Extracted {
    verbatim(text, 1, Structure::Plain, Format::Plain.media_type())
}

/// A text that is kept as it stands, and begins on `line` of its original.
pub fn verbatim(text: &str, line: u32, structure: Structure, media_type: &str) -> Extracted {
    Extracted {
        title: None,
        metadata: Map::new(),
        content: text.to_owned(),
        structure,
        marks: vec![Mark { at: 0, place: Place::Line(line) }],
        warnings: Vec::new(),
        scans: Vec::new(),
        media_type: media_type.to_owned(),
    }
}
