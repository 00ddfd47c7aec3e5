//! What a document states of itself: its information dictionary, its XMP packet and its catalogue.

use std::collections::HashSet;

use encoding_rs::{UTF_16BE, UTF_16LE};
use hayro_interpret::hayro_syntax::Pdf;
use hayro_interpret::hayro_syntax::object::{DateTime, Dict, ObjRef, Stream, String as Bytes};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use crate::extract::composer::{Composer, folded};

/// Longest statement that is taken over, in letters.
const LONGEST: usize = 1_000;
/// Longest XMP packet that is read.
const LONGEST_PACKET: usize = 4 << 20;
/// Entries of an outline that are read.
const MOST_ENTRIES: usize = 20_000;
/// Deepest level of an outline.
const DEEPEST: usize = 32;

/// Writes what the document states of itself into the metadata.
pub fn describe(pdf: &Pdf, composer: &mut Composer) {
    let stated = pdf.metadata();
    let text = |bytes: &Option<Box<[u8]>>| bytes.as_deref().map(decoded);
    let root: Option<Dict<'_>> = pdf.xref().get(pdf.xref().root_id());
    let packet = root.as_ref().and_then(|root| root.get::<Stream<'_>>(b"Metadata"));
    let packet =
        packet.and_then(|packet| packet.decoded_data().ok().map(|data| Packet::read(&data))).unwrap_or_default();
    let facts = [
        ("author", text(&stated.author), packet.creator),
        ("subject", text(&stated.subject), packet.description),
        ("keywords", text(&stated.keywords), packet.keywords),
        ("created", stated.creation_date.and_then(date), packet.created.and_then(|date| utc(&date))),
        ("modified", stated.modification_date.and_then(date), packet.modified.and_then(|date| utc(&date))),
        ("language", root.and_then(|root| root.get::<Bytes<'_>>(b"Lang")).map(|lang| decoded(&lang)), packet.language),
    ];
    for (key, first, second) in facts {
        let tidy = |text: String| Some(cut(&folded(&text))).filter(|text| !text.is_empty());
        if let Some(text) = first.and_then(tidy).or_else(|| second.and_then(tidy)) {
            composer.metadata.insert(key.to_owned(), text.into());
        }
    }
    let titles = [text(&stated.title), packet.title];
    composer.title = titles.into_iter().flatten().map(|title| cut(&folded(&title))).find(|title| is_title(title));
}

/// The headings of the outline, with their depth from 0.
pub fn outline(pdf: &Pdf) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut seen: HashSet<ObjRef> = HashSet::new();
    let root: Option<Dict<'_>> = pdf.xref().get(pdf.xref().root_id());
    let outlines = root.and_then(|root| root.get::<Dict<'_>>(b"Outlines"));
    let mut ahead: Vec<(ObjRef, usize)> =
        outlines.and_then(|outlines| outlines.get_ref(b"First")).map(|first| (first, 0)).into_iter().collect();
    while let Some((entry, depth)) = ahead.pop() {
        if found.len() >= MOST_ENTRIES || !seen.insert(entry) {
            continue;
        }
        let Some(entry) = pdf.xref().get::<Dict<'_>>(entry.into()) else { continue };
        if let Some(title) = entry.get::<Bytes<'_>>(b"Title") {
            found.push((decoded(&title), depth));
        }
        // The next of this level comes after all that is below.
        ahead.extend(entry.get_ref(b"Next").map(|next| (next, depth)));
        ahead.extend(entry.get_ref(b"First").filter(|_| depth < DEEPEST).map(|first| (first, depth + 1)));
    }
    found
}

/// A text string: UTF-16 or UTF-8 by its mark, or the encoding of PDF.
fn decoded(bytes: &[u8]) -> String {
    match bytes {
        [0xFE, 0xFF, rest @ ..] => UTF_16BE.decode_without_bom_handling(rest).0.into_owned(),
        [0xFF, 0xFE, rest @ ..] => UTF_16LE.decode_without_bom_handling(rest).0.into_owned(),
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        // Many writers forget the mark.
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => bytes.iter().map(|byte| letter(*byte)).collect(),
        },
    }
}

/// A letter of PDFDocEncoding (ISO 32000-2, annex D).
fn letter(byte: u8) -> char {
    const LOW: [char; 8] = ['˘', 'ˇ', 'ˆ', '˙', '˝', '˛', '˚', '˜'];
    const HIGH: [char; 33] = [
        '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚', '™', 'ﬁ', 'ﬂ', 'Ł',
        'Œ', 'Š', 'Ÿ', 'Ž', 'ı', 'ł', 'œ', 'š', 'ž', ' ', '€',
    ];
    let listed = match byte {
        0x18..=0x1F => LOW.get(usize::from(byte - 0x18)),
        0x80..=0xA0 => HIGH.get(usize::from(byte - 0x80)),
        _ => None,
    };
    listed.copied().unwrap_or(char::from(byte))
}

fn date(date: DateTime) -> Option<String> {
    let DateTime { year, month, day, hour, minute, second, utc_offset_hour, utc_offset_minute } = date;
    let sign = if utc_offset_hour < 0 { '-' } else { '+' };
    let offset = utc_offset_hour.unsigned_abs();
    utc(&format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{sign}{offset:02}:{utc_offset_minute:02}"
    ))
}

/// A time in UTC; a date alone stays one.
fn utc(text: &str) -> Option<String> {
    let time = text.parse::<jiff::Timestamp>().map(|time| time.to_string());
    time.or_else(|_| text.parse::<jiff::civil::Date>().map(|date| date.to_string())).ok()
}

/// Whether this names the document, and not its file or the template it was made from.
fn is_title(title: &str) -> bool {
    let lower = title.to_lowercase();
    const BEGINNINGS: [&str; 4] =
        ["untitled", "microsoft word - ", "microsoft powerpoint - ", "powerpoint presentation"];
    const NAMES: [&str; 9] =
        ["(anonymous)", "anonymous", "document", "document1", "presentation1", "slide 1", "book1", "title", "no title"];
    let is_default = BEGINNINGS.iter().any(|trash| lower.starts_with(trash)) || NAMES.contains(&&*lower);
    let has_extension = lower.rsplit_once('.').is_some_and(|(stem, end)| {
        let ends = [
            "pdf", "doc", "docx", "dvi", "ps", "eps", "tex", "odt", "rtf", "xls", "xlsx", "ppt", "pptx", "indd", "qxd",
            "txt", "html", "htm", "fm",
        ];
        !stem.is_empty() && ends.contains(&end)
    });
    title.chars().any(char::is_alphabetic)
        && !is_default
        && !has_extension
        && !lower.contains("\\")
        && !lower.starts_with("file:")
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// What the XMP packet says, as far as it is of use.
#[derive(Default)]
struct Packet {
    title: Option<String>,
    creator: Option<String>,
    description: Option<String>,
    keywords: Option<String>,
    language: Option<String>,
    created: Option<String>,
    modified: Option<String>,
}

impl Packet {
    fn read(bytes: &[u8]) -> Packet {
        let mut packet = Packet::default();
        let text = String::from_utf8_lossy(bytes.get(..LONGEST_PACKET).unwrap_or(bytes));
        let mut reader = Reader::from_str(&text);
        let mut within: Vec<String> = Vec::new();
        let mut content = String::new();
        loop {
            match reader.read_event() {
                Ok(Event::Start(element)) => {
                    packet.attributes(&element);
                    if within.len() >= DEEPEST {
                        return packet;
                    }
                    within.push(element.name().as_ref().to_owned());
                    content.clear();
                }
                Ok(Event::Empty(element)) => packet.attributes(&element),
                Ok(Event::Text(text)) => content.push_str(&text.xml10_content()),
                Ok(Event::GeneralRef(name)) => match name.resolve_char_ref() {
                    Ok(Some(char)) => content.push(char),
                    _ => content.push_str(resolve_predefined_entity(&name).unwrap_or_default()),
                },
                Ok(Event::End(_)) => {
                    if !content.trim().is_empty() {
                        within.iter().for_each(|name| packet.set(name, &content));
                    }
                    content.clear();
                    within.pop();
                }
                Ok(Event::Eof) | Err(_) => return packet,
                Ok(_) => {}
            }
        }
    }

    /// Simple properties may be written as attributes.
    fn attributes(&mut self, element: &BytesStart<'_>) {
        for attribute in element.attributes().flatten() {
            self.set(attribute.key.as_ref(), &attribute.value);
        }
    }

    fn set(&mut self, name: &str, text: &str) {
        let fact = match name {
            "dc:title" => &mut self.title,
            "dc:creator" => &mut self.creator,
            "dc:description" => &mut self.description,
            "dc:language" => &mut self.language,
            "pdf:Keywords" => &mut self.keywords,
            "xmp:CreateDate" => &mut self.created,
            "xmp:ModifyDate" => &mut self.modified,
            _ => return,
        };
        fact.get_or_insert_with(|| text.trim().to_owned());
    }
}
