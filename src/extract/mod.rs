//! From bytes to text: which format they are in, and what they say, with where in the original it stands.
//!
//! Pure: no file is opened and nothing is fetched, whatever a document refers to. Knows no workspace.

mod composer;
mod fault;
mod format;
mod front_matter;
mod html;
mod markdown;
mod pdf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use fault::{Fault, Kind, Warning};
pub use format::Format;

use crate::place::Mark;

/// Bytes to read, and what is known of them.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub bytes: &'a [u8],
    pub format: Format,
    /// The name that they came with.
    pub name: Option<&'a str>,
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
    /// Facts about it that it states itself.
    pub metadata: Map<String, Value>,
    /// Its text: offsets of chunks and citations count bytes in this.
    pub content: String,
    pub structure: Structure,
    /// Where `content` came from, in order of their bytes.
    pub marks: Vec<Mark>,
    /// What was left out.
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
    /// A PNG, JPEG or TIFF file.
    pub image: Vec<u8>,
}

/// Makes text of bytes.
///
/// # Errors
/// What keeps all of it from being read; what keeps parts of it is among the warnings.
pub fn extract(input: Input<'_>) -> Result<Extracted, Fault> {
    let extracted = match input.format {
        Format::Markdown => markdown::extract(&text(input.bytes)?),
        Format::Html => html::extract(&text(input.bytes)?),
        Format::Plain => plain(&text(input.bytes)?, Structure::Plain),
        Format::Pdf => pdf::extract(input.bytes, input.wants_scans)?,
        other => return Err(Fault::new(Kind::Unsupported, format!("{} is not taken in", other.media_type()))),
    };
    match extracted.content.trim().is_empty() && extracted.scans.is_empty() {
        true => Err(Fault::new(Kind::NoText, "the document holds no text")),
        false => Ok(extracted),
    }
}

fn plain(text: &str, structure: Structure) -> Extracted {
    Extracted {
        title: None,
        metadata: Map::new(),
        content: text.to_owned(),
        structure,
        marks: Vec::new(),
        warnings: Vec::new(),
        scans: Vec::new(),
        media_type: Format::Plain.media_type().to_owned(),
    }
}

/// The text of bytes in whatever encoding.
fn text(bytes: &[u8]) -> Result<String, Fault> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned)
        .map_err(|e| Fault::damaged(format!("it is not valid UTF-8 from byte {} on", e.valid_up_to())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_text_is_refused() {
        let input = |bytes, format| Input { bytes, format, name: None, wants_scans: false };
        assert_eq!(extract(input(b" \n ", Format::Markdown)).unwrap_err().kind, Kind::NoText);
        assert_eq!(extract(input(b"\xEF\xBB\xBFhi", Format::Plain)).unwrap().content, "hi");
    }
}
