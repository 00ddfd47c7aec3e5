//! What a reader says of a document is believed as little as the document: bounds and offsets are looked at again.

use serde_json::{Map, Value};

use super::composer::LONGEST;
use super::fault::{Fault, Kind, Warning};
use super::{Extracted, Scan};

/// Characters of a title at most.
const LONGEST_TITLE: usize = 1024;
/// Bytes of metadata, as JSON.
const METADATA: usize = 64 << 10;
/// Characters of a text in the metadata.
const LONGEST_VALUE: usize = 4096;
/// Warnings that are kept.
const WARNINGS: usize = 200;

/// The same, with everything outside its bounds cut off.
///
/// # Errors
/// [`Kind::NoText`] where nothing is left, [`Kind::TooComplex`] for too long a text, [`Kind::Damaged`] for offsets
/// that do not fit it.
pub fn checked(mut found: Extracted) -> Result<Extracted, Fault> {
    if found.content.len() > LONGEST {
        return Err(Fault::too_complex(format!("its text is longer than {} MiB", LONGEST >> 20)));
    }
    if found.content.trim().is_empty() && found.scans.is_empty() {
        return Err(Fault::new(Kind::NoText, "the document holds no text"));
    }
    let fits = |at: usize| found.content.is_char_boundary(at);
    let marks = found.marks.iter().all(|mark| fits(mark.at)) && found.marks.is_sorted_by_key(|mark| mark.at);
    let scans = found.scans.iter().all(|Scan { at, .. }| fits(*at)) && found.scans.is_sorted_by_key(|scan| scan.at);
    if !marks || !scans || found.content.contains('\0') {
        return Err(Fault::damaged("its reader lost its place"));
    }
    found.title = found.title.map(|title| cut(title.trim(), LONGEST_TITLE)).filter(|title| !title.is_empty());
    found.warnings.truncate(WARNINGS);
    found.warnings.iter_mut().for_each(|Warning { message, .. }| *message = cut(message, LONGEST_VALUE));
    found.metadata = bounded(found.metadata);
    Ok(found)
}

/// Drops what is empty or too large, and shortens what is long.
fn bounded(metadata: Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    let mut size = 0;
    for (key, value) in metadata {
        let value = match value {
            Value::String(text) => Value::String(cut(text.trim(), LONGEST_VALUE)),
            other => other,
        };
        let is_empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
        size += key.len() + value.to_string().len();
        if !is_empty && !key.is_empty() && key.len() <= 128 && size <= METADATA {
            kept.insert(key, value);
        }
    }
    kept
}

fn cut(text: &str, most: usize) -> String {
    text.chars().filter(|c| *c != '\0').take(most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::plain;
    use crate::place::{Mark, Place};

    fn with_marks(at: &[usize]) -> Result<Extracted, Fault> {
        let marks = at.iter().map(|at| Mark { at: *at, place: Place::Page(1) }).collect();
        checked(Extracted { marks, ..plain::extract("äö") })
    }

    #[test]
    fn offsets_must_fit_the_text() {
        assert!(with_marks(&[0, 2, 4]).is_ok());
        for wrong in [&[1][..], &[5], &[2, 0]] {
            assert_eq!(with_marks(wrong).unwrap_err().kind, Kind::Damaged, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_too_much_is_cut_off() {
        let mut found = plain::extract("x");
        found.title = Some(format!(" {}\0", "t".repeat(5000)));
        found.metadata.insert("a".into(), "v".repeat(9000).into());
        found.metadata.insert("b".into(), Value::from((0..60_000).collect::<Vec<_>>()));
        found.metadata.insert("c".into(), Value::Null);
        let found = checked(found).unwrap();
        assert_eq!(found.title.unwrap().len(), LONGEST_TITLE);
        assert_eq!(found.metadata["a"].as_str().unwrap().len(), LONGEST_VALUE);
        assert!(!found.metadata.contains_key("b") && !found.metadata.contains_key("c"));
    }
}
