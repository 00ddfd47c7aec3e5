//! From bytes to text: which format they are in, and what they say, with where in the original it stands.
//!
//! Pure: no file is opened and nothing is fetched, whatever a document refers to. Knows no workspace.

mod alternative;
mod cells;
mod chart;
mod checked;
mod code;
mod composer;
mod compound;
mod date;
mod delimited;
mod docx;
mod encoding;
mod epub;
pub mod escape;
mod fault;
mod format;
mod front_matter;
mod html;
mod json;
mod keywords;
mod lowered;
mod mail;
mod markdown;
mod monospaced;
mod names;
mod nesting;
mod number_format;
mod numerals;
mod opendocument;
mod package;
mod pdf;
mod plain;
mod pptx;
mod properties;
mod relationships;
mod rtf;
mod scans;
mod sniff;
mod spreadsheet;
mod xml;
mod xml_events;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use checked::checked;
pub use composer::LONGEST;
pub use encoding::charset;
pub use fault::{Fault, Kind, Warning};
pub use format::Format;
pub use mail::messages;
pub use names::names;
pub use package::unopened;
pub use scans::with_recognized;

use crate::place::Mark;

/// Bytes to read, and what is known of them.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub bytes: &'a [u8],
    pub format: Format,
    /// The name that they came with.
    pub name: Option<&'a str>,
    /// The encoding of the text that its sender declared.
    pub charset: Option<&'a str>,
    /// Whether pictures of text are wanted, for text recognition.
    pub wants_scans: bool,
}

/// How a text is structured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structure {
    Markdown,
    Plain,
    /// Lines of a program.
    Code,
}

/// What was found in a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extracted {
    /// Its own title, where it has one.
    pub title: Option<String>,
    /// Facts about it that it states itself. Not among the words that its reader writes of it: they have a frame of their
    /// own, as the warnings have.
    #[serde(skip)]
    pub metadata: Map<String, Value>,
    /// Its text: offsets of chunks and citations count bytes in this.
    pub content: String,
    pub structure: Structure,
    /// Where `content` came from, in order of their bytes.
    pub marks: Vec<Mark>,
    /// What was left out.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
    /// Pictures of pages that hold no text, where they were wanted.
    pub scans: Vec<Scan>,
    /// Media type of the original, now that it was read.
    pub media_type: String,
}

/// A picture of text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scan {
    /// Its page, from 1.
    pub page: u32,
    /// The byte of the content where its text belongs.
    pub at: usize,
    /// The attachments that it lies in, outermost first.
    pub attachments: Vec<String>,
    /// The first of a document that is attached has the heading, if any, that stands where text is recognized alone.
    pub heading: Option<String>,
    /// A PNG, JPEG or TIFF file.
    pub image: Vec<u8>,
}

/// Makes text of bytes.
///
/// # Errors
/// What keeps all of it from being read; what keeps parts of it is among the warnings.
pub fn extract(input: Input<'_>) -> Result<Extracted, Fault> {
    extract_within(input, 0)
}

/// As [`extract`], of what lies within `depth` other documents: an attachment of a message, say.
fn extract_within(input: Input<'_>, depth: usize) -> Result<Extracted, Fault> {
    let Input { bytes, format, .. } = input;
    let mut extracted = match format {
        Format::Image if input.wants_scans => scans::picture(bytes),
        Format::Image => {
            let why = "the document is a picture, and there is no text recognition here";
            return Err(Fault::new(Kind::NoTextLayer, why));
        }
        Format::Mail => mail::extract(bytes, depth, input.wants_scans)?,
        Format::Mailbox => mail::extract_mailbox(bytes, depth, input.wants_scans)?,
        Format::Plain
        | Format::Markdown
        | Format::Code
        | Format::Html
        | Format::Csv
        | Format::Tsv
        | Format::Json
        | Format::JsonLines
        | Format::Xml => textual(input)?,
        Format::Rtf => rtf::extract(bytes)?,
        Format::Package => package::extract(bytes)?,
        Format::Compound => compound::extract(bytes)?,
        Format::Pdf => pdf::extract(bytes, input.wants_scans)?,
    };
    keywords::listed(&mut extracted.metadata);
    match extracted.content.trim().is_empty() && extracted.scans.is_empty() {
        true => Err(Fault::new(Kind::NoText, "the document holds no text")),
        false => Ok(extracted),
    }
}

/// Reads a format that is written in text.
fn textual(input: Input<'_>) -> Result<Extracted, Fault> {
    let Input { bytes, format, name, charset, .. } = input;
    let stated = match format {
        Format::Html | Format::Xml => charset.map(str::to_owned).or_else(|| encoding::stated_within(bytes)),
        _ => charset.map(str::to_owned),
    };
    let decoded = encoding::decode(bytes, stated.as_deref())?;
    let text = decoded.text.as_str();
    let mut extracted = match format {
        Format::Markdown => markdown::extract(text),
        Format::Code => code::extract(text, name),
        Format::Html => html::extract(text),
        Format::Csv => delimited::extract(text, b',')?,
        Format::Tsv => delimited::extract(text, b'\t')?,
        Format::Json => json::extract(text, name)?,
        Format::JsonLines => json::extract_lines(text)?,
        Format::Xml => xml::extract(text)?,
        _ => plain::extract(text),
    };
    decoded.note(&mut extracted);
    Ok(extracted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_text_is_refused() {
        let input = |bytes, format| Input { bytes, format, name: None, charset: None, wants_scans: false };
        assert_eq!(extract(input(b" \n ", Format::Markdown)).unwrap_err().kind, Kind::NoText);
        assert_eq!(extract(input(b"\xEF\xBB\xBFhi", Format::Plain)).unwrap().content, "hi");
    }

    #[test]
    fn encodings_are_told_and_noted() {
        let read = |bytes, format, charset| {
            let found = extract(Input { bytes, format, name: None, charset, wants_scans: false }).unwrap();
            (found.content, found.metadata.get("encoding").cloned())
        };
        let page = b"<meta charset=windows-1251><p>\xCF\xF0\xE8\xE2\xE5\xF2</p>";
        assert_eq!(read(page, Format::Html, None), ("Привет".into(), Some("windows-1251".into())));
        assert_eq!(read(b"\xCF\xD2", Format::Plain, Some("koi8-r")), ("ор".into(), Some("koi8-r".into())));
        assert_eq!(read("день".as_bytes(), Format::Plain, Some("koi8-r")), ("день".into(), None));
    }
}
