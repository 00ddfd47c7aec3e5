//! Which format bytes are in: judged by their content first, then their name, then what their sender declares.

use std::path::Path;

use super::fault::{Fault, Kind};

/// A format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Plain,
    Markdown,
    Code,
    Html,
    Csv,
    Tsv,
    Json,
    /// A JSON value a line.
    JsonLines,
    Xml,
    Rtf,
    Pdf,
    /// A message with its attachments (RFC 5322).
    Mail,
    /// Messages one after the other (RFC 4155).
    Mailbox,
    /// Office Open XML, OpenDocument and EPUB: a zip of parts. Which of them, its parts tell.
    Package,
    /// Microsoft's compound files: .xls, and others that cannot be read.
    Compound,
    /// A picture, whose text only text recognition can tell.
    Image,
}

impl Format {
    /// The format of `bytes`, by what they begin with, the name they came with and the media type they were declared
    /// to be.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] for what cannot be read, naming it.
    pub fn detect(bytes: &[u8], name: Option<&str>, declared: Option<&str>) -> Result<Format, Fault> {
        let declared = declared.map(|d| d.split(';').next().unwrap_or(d).trim().to_ascii_lowercase());
        let looks_like = infer::get(bytes).map(|kind| kind.mime_type());
        // Short signatures are words too: a text may begin with "BM" or "MZ". Only what is no text, or a format
        // that is written in text, is judged by them.
        let is_text = std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0);
        match looks_like {
            Some("application/pdf") => return Ok(Format::Pdf),
            Some("application/rtf") => return Ok(Format::Rtf),
            Some("application/zip" | "application/epub+zip") => return Ok(Format::Package),
            Some(kind) if kind.starts_with("application/vnd.o") => return Ok(Format::Package),
            Some("application/x-ole-storage" | "application/msword" | "application/vnd.ms-excel") => {
                return Ok(Format::Compound);
            }
            Some(kind) if !is_text && kind.starts_with("image/") => return Ok(Format::Image),
            Some(kind) if !is_text && !kind.starts_with("text/") => return Err(refused(kind)),
            _ => {}
        }
        if let Some(format) = name.and_then(by_name) {
            return Ok(format);
        }
        match declared.as_deref() {
            None | Some("application/octet-stream" | "") if looks_like == Some("text/html") => Ok(Format::Html),
            None | Some("application/octet-stream" | "") => Ok(Format::Plain),
            Some(declared) => by_media_type(declared).ok_or_else(|| refused(declared)),
        }
    }

    /// The media type of an original in this format; of a package or compound file, its reader knows better.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Plain | Format::Code => "text/plain",
            Format::Markdown => "text/markdown",
            Format::Html => "text/html",
            Format::Csv => "text/csv",
            Format::Tsv => "text/tab-separated-values",
            Format::Json => "application/json",
            Format::JsonLines => "application/jsonl",
            Format::Xml => "application/xml",
            Format::Rtf => "application/rtf",
            Format::Pdf => "application/pdf",
            Format::Mail => "message/rfc822",
            Format::Mailbox => "application/mbox",
            Format::Package => "application/zip",
            Format::Compound => "application/x-ole-storage",
            Format::Image => "image/*",
        }
    }

    /// Whether an original of this media type can be in this format.
    pub fn may_be(self, media_type: &str) -> bool {
        matches!(self, Format::Package | Format::Compound | Format::Image) || self.media_type() == media_type
    }

    /// Whether its text is read as it stands, so that nothing in it is parsed.
    pub fn is_verbatim(self) -> bool {
        matches!(self, Format::Plain | Format::Markdown | Format::Code | Format::Image)
    }
}

fn refused(kind: &str) -> Fault {
    Fault::new(Kind::Unsupported, format!("{kind} is not taken in"))
}

fn by_name(name: &str) -> Option<Format> {
    let ending = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
    Some(match ending.as_str() {
        "md" | "markdown" | "mdown" | "mkd" => Format::Markdown,
        "html" | "htm" | "xhtml" => Format::Html,
        "txt" | "text" => Format::Plain,
        _ => return None,
    })
}

fn by_media_type(declared: &str) -> Option<Format> {
    Some(match declared {
        "text/markdown" | "text/x-markdown" => Format::Markdown,
        "text/html" | "application/xhtml+xml" => Format::Html,
        "text/plain" => Format::Plain,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_beats_name_beats_declaration() {
        let detect = |bytes: &[u8], name, declared| Format::detect(bytes, name, declared).ok();
        assert_eq!(detect(b"# Hi", Some("a.MD"), Some("text/html")), Some(Format::Markdown));
        assert_eq!(detect(b"<!DOCTYPE html><p>", None, None), Some(Format::Html));
        assert_eq!(detect(b"Hi", None, Some("text/markdown; charset=utf-8")), Some(Format::Markdown));
        assert_eq!(detect(b"Hi", Some("README"), None), Some(Format::Plain));
        assert_eq!(detect(b"BM25 ranks texts.", Some("a.txt"), None), Some(Format::Plain));
        assert_eq!(detect(b"%PDF-1.7", Some("a.md"), None), Some(Format::Pdf));
    }
}
