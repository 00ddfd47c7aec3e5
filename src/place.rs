//! Where in its original a text came from: page, slide, cells, lines.
//!
//! An extractor leaves a [`Mark`] in its text wherever the place changes; a stretch of text comes from the marks it
//! lies under. Pure.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

/// A place in an original, as it is at one byte of the text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// A page, from 1.
    Page(u32),
    /// A slide, from 1.
    Slide(u32),
    /// A row of cells. Each further line of the text is the next row.
    Row {
        /// The sheet's name; none in a file that is one table.
        sheet: Option<String>,
        /// From 1.
        row: u32,
        /// First and last column, from 1.
        columns: (u32, u32),
    },
    /// A line, from 1. Each further line of the text is the next.
    Line(u32),
    /// In what is attached to the original.
    Attachment {
        name: String,
        /// Where in it, as far as it says.
        place: Option<Box<Place>>,
    },
    /// None that is known: ends the one before.
    Nowhere,
}

/// From this byte of the text on, it comes from this place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub at: usize,
    pub place: Place,
}

/// Where a stretch of text came from: the places of its first and last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub first: Place,
    pub last: Place,
}

impl Place {
    /// The place `lines` further down.
    pub fn advanced(&self, lines: u32) -> Place {
        match self {
            Place::Row { sheet, row, columns } => {
                Place::Row { sheet: sheet.clone(), row: row.saturating_add(lines), columns: *columns }
            }
            Place::Line(line) => Place::Line(line.saturating_add(lines)),
            Place::Attachment { name, place } => {
                let place = place.as_ref().map(|place| Box::new(place.advanced(lines)));
                Place::Attachment { name: name.clone(), place }
            }
            other => other.clone(),
        }
    }

    /// This place of what is attached under `name`.
    pub fn attached(self, name: &str) -> Place {
        Place::Attachment {
            name: name.to_owned(),
            place: Some(Box::new(self)).filter(|place| **place != Place::Nowhere),
        }
    }

    /// The attachments that it lies in, outermost first.
    fn attachments(&self) -> Vec<&str> {
        let mut names = Vec::new();
        let mut place = Some(self);
        while let Some(Place::Attachment { name, place: inner }) = place {
            names.push(name.as_str());
            place = inner.as_deref();
        }
        names
    }
}

/// The marks of `text[range]`, the first of them at its beginning; none where no mark stands before its end.
pub fn within(marks: &[Mark], text: &str, range: &Range<usize>) -> Vec<Mark> {
    let begins = marks.partition_point(|mark| mark.at <= range.start);
    let first = begins.checked_sub(1).and_then(|place| marks.get(place)).map(|mark| {
        let lines = newlines(text, mark.at..range.start);
        Mark { at: range.start, place: mark.place.advanced(lines) }
    });
    let rest = marks.get(begins..).unwrap_or_default().iter().take_while(|mark| mark.at < range.end).cloned();
    first.into_iter().chain(rest).collect()
}

/// Where `text[range]` came from, by the marks of the text or of a stretch that holds it. `text` begins at byte
/// `origin` of what the marks and the range count in.
pub fn locate(marks: &[Mark], text: &str, origin: usize, range: &Range<usize>) -> Option<Location> {
    let at = |byte: usize| {
        let place = marks.partition_point(|mark| mark.at <= byte).checked_sub(1)?;
        let mark = marks.get(place)?;
        let lines = newlines(text, mark.at.saturating_sub(origin)..byte.saturating_sub(origin));
        Some(mark.place.advanced(lines))
    };
    let last = at(range.end.saturating_sub(1).max(range.start)).filter(|place| *place != Place::Nowhere)?;
    // What stands before the document that the last one is of is headings above it.
    let begins = |place: &Place| *place != Place::Nowhere && place.attachments() == last.attachments();
    let first = at(range.start).filter(begins).or_else(|| {
        let inside = marks.iter().skip(marks.partition_point(|mark| mark.at <= range.start));
        inside.take_while(|mark| mark.at < range.end).map(|mark| &mark.place).find(|place| begins(place)).cloned()
    })?;
    Some(Location { first, last })
}

fn newlines(text: &str, range: Range<usize>) -> u32 {
    let bytes = text.as_bytes().get(range).unwrap_or_default();
    u32::try_from(bytes.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(u32::MAX)
}

/// `{"page": 3, "page_end": 4, "label": "pages 3–4"}`; the like for slides, rows, cells and lines. An end that is the
/// beginning is left out. In an attachment, its name is with it.
impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut told = Map::new();
        let span = |told: &mut Map<String, Value>, word: &str, first: u32, last: u32| {
            told.insert(word.to_owned(), json!(first));
            if last != first {
                told.insert(format!("{word}_end"), json!(last));
            }
        };
        if let Some(name) = self.attachment() {
            told.insert("attachment".to_owned(), json!(name));
        }
        match self.innermost() {
            Some((Place::Page(first), Place::Page(last))) => span(&mut told, "page", *first, *last),
            Some((Place::Slide(first), Place::Slide(last))) => span(&mut told, "slide", *first, *last),
            Some((Place::Line(first), Place::Line(last))) => span(&mut told, "line", *first, *last),
            Some((first @ Place::Row { sheet, row, .. }, last @ Place::Row { row: last_row, .. })) => match sheet {
                Some(sheet) => {
                    told.insert("sheet".to_owned(), json!(sheet));
                    cells(first, last).map(|cells| told.insert("cells".to_owned(), json!(cells)));
                }
                None => span(&mut told, "row", *row, *last_row),
            },
            _ => {}
        }
        told.insert("label".to_owned(), Value::from(self.to_string()));
        told.serialize(serializer)
    }
}

/// As people say it: `page 12`, `pages 3–4`, `slide 2`, `Sales!A2:D40`, `lines 10–42`, `two.pdf, page 3`.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attachment = self.attachment();
        if let Some(name) = &attachment {
            f.write_str(name)?;
        }
        let Some((first, last)) = self.innermost() else { return Ok(()) };
        if attachment.is_some() {
            f.write_str(", ")?;
        }
        say(f, first, last)
    }
}

fn say(f: &mut fmt::Formatter<'_>, first: &Place, last: &Place) -> fmt::Result {
    let span = |f: &mut fmt::Formatter<'_>, word: &str, first: u32, last: u32| match first == last {
        true => write!(f, "{word} {first}"),
        false => write!(f, "{word}s {first}–{last}"),
    };
    match (first, last) {
        (Place::Page(first), Place::Page(last)) => span(f, "page", *first, *last),
        (Place::Slide(first), Place::Slide(last)) => span(f, "slide", *first, *last),
        (Place::Line(first), Place::Line(last)) => span(f, "line", *first, *last),
        (Place::Row { sheet: None, row: first, .. }, Place::Row { sheet: None, row: last, .. }) => {
            span(f, "row", *first, *last)
        }
        (Place::Row { sheet, .. }, Place::Row { sheet: end, .. }) if sheet == end => {
            write!(f, "{}!{}", sheet.as_deref().unwrap_or_default(), cells(first, last).unwrap_or_default())
        }
        (Place::Row { sheet, .. }, Place::Row { sheet: end, .. }) => {
            write!(f, "{} to {}", sheet.as_deref().unwrap_or_default(), end.as_deref().unwrap_or_default())
        }
        (Place::Attachment { .. } | Place::Nowhere, _) => Ok(()),
        // Never both kinds in one document.
        (first, _) => say(f, first, first),
    }
}

impl Location {
    /// The page of the original that it begins on, where it lies on one.
    pub fn page(&self) -> Option<u32> {
        if let Place::Page(page) = self.first { Some(page) } else { None }
    }

    /// The attachment that it lies in; after what that one is attached to, if that is an attachment too: `a.eml › two.pdf`.
    pub fn attachment(&self) -> Option<String> {
        let names = self.last.attachments();
        (!names.is_empty()).then(|| names.join(" › "))
    }

    /// Its ends as the attachment that it lies in counts them; none where that does not say.
    fn innermost(&self) -> Option<(&Place, &Place)> {
        let mut ends = (&self.first, &self.last);
        while let (Place::Attachment { place: first, .. }, Place::Attachment { place: last, .. }) = ends {
            ends = (first.as_deref()?, last.as_deref()?);
        }
        Some(ends)
    }
}

/// The cells from one to another on one sheet: `A2:D40`, or `A2` where it is one alone.
fn cells(first: &Place, last: &Place) -> Option<String> {
    let (Place::Row { sheet, row: first, columns }, Place::Row { sheet: end, row: last, columns: others }) =
        (first, last)
    else {
        return None;
    };
    let (left, right) = (columns.0.min(others.0), columns.1.max(others.1));
    let (first, last) = (format!("{}{first}", column(left)), format!("{}{last}", column(right)));
    (sheet == end).then(|| if first == last { first } else { format!("{first}:{last}") })
}

/// A column's letters: 1 is `A`, 27 is `AA`.
fn column(mut number: u32) -> String {
    let mut letters = Vec::new();
    while number > 0 {
        let digit = (number - 1) % 26;
        letters.push(char::from(b'A' + u8::try_from(digit).unwrap_or(0)));
        number = (number - 1) / 26;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(row: u32) -> Place {
        Place::Row { sheet: Some("Sales".into()), row, columns: (1, 28) }
    }

    #[test]
    fn a_stretch_knows_its_places() {
        let text = "page one\npage two\npage three";
        let marks = [(0, 1), (9, 2), (18, 3)].map(|(at, page)| Mark { at, place: Place::Page(page) });
        assert_eq!(
            within(&marks, text, &(4..12)),
            [Mark { at: 4, place: Place::Page(1) }, Mark { at: 9, place: Place::Page(2) }]
        );
        let spans = |range: Range<usize>| locate(&marks, text, 0, &range).unwrap().to_string();
        assert_eq!(spans(4..12), "pages 1–2");
        assert_eq!(spans(9..17), "page 2");
        let told = json!({"page": 1, "page_end": 2, "label": "pages 1–2"});
        assert_eq!(serde_json::to_value(locate(&marks, text, 0, &(4..12))).unwrap(), told);
        assert!(within(&[], text, &(0..3)).is_empty() && locate(&[], text, 0, &(0..3)).is_none());
    }

    #[test]
    fn lines_and_rows_are_counted_from_their_mark() {
        let text = "a\nb\nc\nd";
        let marks = [Mark { at: 2, place: row(10) }];
        let inner = within(&marks, text, &(4..7));
        assert_eq!(inner, [Mark { at: 4, place: row(11) }]);
        let location = locate(&inner, &text[4..7], 4, &(4..7)).unwrap();
        assert_eq!(location.to_string(), "Sales!A11:AB12");
        let told = json!({"sheet": "Sales", "cells": "A11:AB12", "label": "Sales!A11:AB12"});
        assert_eq!(serde_json::to_value(location).unwrap(), told);
        let lines = [Mark { at: 0, place: Place::Line(1) }];
        assert_eq!(locate(&lines, text, 0, &(2..5)).unwrap().to_string(), "lines 2–3");
        assert_eq!(within(&marks, text, &(0..1)), []);
    }

    #[test]
    fn an_attachment_has_places_of_its_own_and_they_end_with_it() {
        let text = "# Subject\n## two.pdf\npage one\npage two\n# Next";
        let at = |needle: &str| text.find(needle).unwrap();
        let in_pdf = |page| Place::Page(page).attached("two.pdf").attached("a.eml");
        let marks = [
            Mark { at: at("## two"), place: in_pdf(1) },
            Mark { at: at("page two"), place: in_pdf(2) },
            Mark { at: at("# Next"), place: Place::Nowhere },
        ];
        let located = |from: usize, to: &str| locate(&marks, text, 0, &(from..at(to) + to.len()));
        assert_eq!(located(0, "Subject"), None);
        assert_eq!(
            located(0, "page two").unwrap().to_string(),
            "a.eml › two.pdf, pages 1–2",
            "with a heading above it"
        );
        let told = json!({"attachment": "a.eml › two.pdf", "page": 2, "label": "a.eml › two.pdf, page 2"});
        let second = located(at("page two"), "page two").unwrap();
        assert_eq!((serde_json::to_value(&second).unwrap(), second.page()), (told, None));
        assert_eq!(located(at("page two"), "Next"), None);
        let unknown = [Mark { at: 0, place: Place::Nowhere.attached("notes.txt") }];
        let told = json!({"attachment": "notes.txt", "label": "notes.txt"});
        assert_eq!(serde_json::to_value(locate(&unknown, text, 0, &(0..9))).unwrap(), told);
        let lines = Place::Line(1).attached("b.md");
        assert_eq!(lines.advanced(2), Place::Line(3).attached("b.md"));
    }

    #[test]
    fn columns_have_letters() {
        assert_eq!([1, 26, 27, 702, 703, 16_384].map(column), ["A", "Z", "AA", "ZZ", "AAA", "XFD"]);
    }
}
