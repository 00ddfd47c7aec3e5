//! What a reader says of a document is believed as little as the document: bounds and offsets are looked at again.

use serde_json::{Map, Value};

use super::composer::LONGEST;
use super::fault::{Fault, Kind, Warning};
use super::{Extracted, Scan};
use crate::place::Place;

/// Characters of a title at most.
const LONGEST_TITLE: usize = 1024;
/// Bytes of metadata, as JSON.
const METADATA: usize = 64 << 10;
/// Bytes of a fact's name.
const LONGEST_KEY: usize = 128;
/// Characters of a text in the metadata.
const LONGEST_VALUE: usize = 4096;
/// How the names of facts begin that senders alone state: where a document came from is not for it to say.
const OF_SENDERS: &str = "ingest_";
/// Warnings that are kept.
const WARNINGS: usize = 200;
/// Characters of a sheet's name at most; Excel allows 31.
const LONGEST_NAME: usize = 255;
/// Attachments within each other that a picture lies in.
const DEEPEST: usize = 16;
/// Bytes of a media type at most, as RFC 6838 has it.
const LONGEST_TYPE: usize = 127;

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
    found.content = harmless(found.content);
    found.marks.iter_mut().for_each(|mark| shorten_names(&mut mark.place));
    for scan in &mut found.scans {
        scan.attachments.truncate(DEEPEST);
        scan.attachments.iter_mut().for_each(|name| *name = cut(name, LONGEST_NAME));
        scan.heading = scan.heading.take().map(|heading| cut(&heading, LONGEST_TITLE));
    }
    if !is_media_type(&found.media_type) {
        "application/octet-stream".clone_into(&mut found.media_type);
    }
    found.title = found.title.map(|title| cut(title.trim(), LONGEST_TITLE)).filter(|title| !title.is_empty());
    found.warnings.truncate(WARNINGS);
    for Warning { code, message, .. } in &mut found.warnings {
        *message = cut(message, LONGEST_VALUE);
        if !Kind::is_code(code) {
            Kind::Damaged.code().clone_into(code);
        }
    }
    found.metadata = bounded(found.metadata);
    Ok(found)
}

/// Bounds the names of sheets and attachments.
fn shorten_names(place: &mut Place) {
    let mut place = Some(place);
    while let Some(within) = place.take() {
        if let Place::Row { sheet: Some(name), .. } | Place::Attachment { name, .. } = &mut *within
            && (name.len() > LONGEST_NAME || name.contains(steers))
        {
            *name = cut(name, LONGEST_NAME);
        }
        if let Place::Attachment { place: inner, .. } = within {
            place = inner.as_deref_mut();
        }
    }
}

/// Drops what is empty, too large or not for a document to state, and shortens what is long.
fn bounded(metadata: Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    let mut size = 0;
    for (key, value) in metadata {
        let length = key.len();
        let key = cut(&key, LONGEST_KEY);
        let value = match value {
            Value::String(text) => Value::String(cut(text.trim(), LONGEST_VALUE)),
            Value::Array(items) => Value::Array(items.into_iter().map(cleaned).collect()),
            other => other,
        };
        let is_empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
        size += length + value.to_string().len();
        let is_named = !key.is_empty() && length <= LONGEST_KEY && !key.starts_with(OF_SENDERS);
        if !is_empty && is_named && size <= METADATA {
            kept.insert(key, value);
        }
    }
    kept
}

fn cleaned(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(&text, LONGEST_VALUE)),
        other => other,
    }
}

fn cut(text: &str, most: usize) -> String {
    let kept = text.chars().filter(|c| *c != '\0').take(most);
    kept.map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// Whether a character moves a terminal or turns the writing round, and says nothing.
fn steers(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
        || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The text with spaces for characters that steer, byte for byte, so that every offset stays.
fn harmless(text: String) -> String {
    if !text.contains(steers) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match steers(c) {
            true => (0..c.len_utf8()).for_each(|_| out.push(' ')),
            false => out.push(c),
        }
    }
    out
}

fn is_media_type(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+/".contains(c);
    text.len() <= LONGEST_TYPE && text.contains('/') && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::plain;
    use crate::place::Mark;

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
    fn a_place_has_a_short_name() {
        let place = Place::Row { sheet: Some("s".repeat(2_000_000)), row: 1, columns: (1, 1) };
        let found = checked(Extracted { marks: vec![Mark { at: 0, place }], ..plain::extract("x") }).unwrap();
        assert!(matches!(&found.marks[0].place, Place::Row { sheet: Some(name), .. } if name.len() == LONGEST_NAME));
        let place = Place::Page(1).attached("\u{202E}b").attached(&"a".repeat(2_000_000));
        let found = checked(Extracted { marks: vec![Mark { at: 0, place }], ..plain::extract("x") }).unwrap();
        assert_eq!(found.marks[0].place, Place::Page(1).attached(" b").attached(&"a".repeat(LONGEST_NAME)));
    }

    #[test]
    fn what_steers_a_terminal_becomes_spaces_of_its_length() {
        let text = "a\u{1b}[2Jb\u{9b}c\u{202e}d\te\n";
        let mut found = plain::extract(text);
        found.title = Some("t\u{1b}[2J".into());
        found.metadata.insert("author".into(), "x\u{1b}y".into());
        found.warnings = vec![Warning { code: "anything".into(), message: "m\u{7}".into(), page: None }];
        found.media_type = "text/x\u{1b}".into();
        let found = checked(found).unwrap();
        assert_eq!(found.content, "a [2Jb  c   d\te\n");
        assert_eq!((found.title.as_deref(), &found.metadata["author"]), (Some("t [2J"), &"x y".into()));
        assert_eq!((found.warnings[0].code.as_str(), found.warnings[0].message.as_str()), ("damaged", "m "));
        assert_eq!(found.media_type, "application/octet-stream");
    }

    #[test]
    fn a_document_does_not_state_where_it_came_from() {
        let mut found = plain::extract("x");
        for key in ["ingest_folder", "in\0gest_archive", "ingest_", "ingested"] {
            found.metadata.insert(key.into(), "forged".into());
        }
        let kept: Vec<String> = checked(found).unwrap().metadata.into_iter().map(|(key, _)| key).collect();
        assert_eq!(kept, ["ingested"]);
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
