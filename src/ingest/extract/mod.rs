//! From bytes to text: which format they are in, and what they say.
//!
//! Pure: no file is opened and nothing is fetched, whatever a document refers to.

mod front_matter;
mod html;
mod markdown;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// How a text is structured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Markdown,
    Html,
    Plain,
}

/// What was found in a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Extracted {
    /// Its own title, where it has one.
    pub title: Option<String>,
    /// Facts about it that it states itself.
    pub metadata: Map<String, Value>,
    /// Its text: offsets of chunks and citations count bytes in this.
    pub content: String,
    /// The structure of `content`: Markdown for Markdown and HTML.
    pub format: Format,
}

impl Format {
    /// The format that bytes are in: judged by their content, then their name, then the declared media type.
    ///
    /// # Errors
    /// [`Error::UnsupportedMediaType`] for everything but text, Markdown and HTML.
    pub fn detect(bytes: &[u8], name: Option<&str>, declared: Option<&str>) -> Result<Format> {
        let refuse = |kind: &str| {
            let detail = format!("{kind} is not taken in; text/plain, text/markdown and text/html are");
            Err(Error::UnsupportedMediaType(detail))
        };
        let looks_like = infer::get(bytes).map(|kind| kind.mime_type());
        // Short signatures are words too: a text may begin with "BM" or "MZ". Only what is no text, or a format
        // that is written in text, is judged by them.
        let is_text = std::str::from_utf8(bytes).is_ok() && !bytes.contains(&0);
        let in_text = matches!(looks_like, Some("application/pdf" | "application/rtf" | "application/postscript"));
        if let Some(kind) = looks_like.filter(|kind| !kind.starts_with("text/") && (in_text || !is_text)) {
            return refuse(kind);
        }
        if bytes.contains(&0) {
            return refuse("binary data");
        }
        let ending = name.and_then(|n| n.rsplit_once('.')).map(|(_, ending)| ending.to_ascii_lowercase());
        match ending.as_deref() {
            Some("md" | "markdown" | "mdown" | "mkd") => return Ok(Format::Markdown),
            Some("html" | "htm" | "xhtml") => return Ok(Format::Html),
            Some("txt" | "text") => return Ok(Format::Plain),
            Some(other) if media_type_of(name.unwrap_or_default()) != "application/octet-stream" => {
                return refuse(&format!("a .{other} file"));
            }
            _ => {}
        }
        let declared = declared.map(|d| d.split(';').next().unwrap_or(d).trim().to_ascii_lowercase());
        match declared.as_deref() {
            Some("text/markdown" | "text/x-markdown") => Ok(Format::Markdown),
            Some("text/html" | "application/xhtml+xml") => Ok(Format::Html),
            Some("text/plain") => Ok(Format::Plain),
            None | Some("application/octet-stream" | "") if looks_like == Some("text/html") => Ok(Format::Html),
            None | Some("application/octet-stream" | "") => Ok(Format::Plain),
            Some(other) => refuse(other),
        }
    }

    /// The media type of the original.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Markdown => "text/markdown",
            Format::Html => "text/html",
            Format::Plain => "text/plain",
        }
    }
}

/// The media type that a file's name promises; `application/octet-stream` for none.
pub fn media_type_of(name: &str) -> String {
    mime_guess::from_path(name).first_or_octet_stream().essence_str().to_owned()
}

/// Makes text of bytes in `format`.
///
/// # Errors
/// [`Error::Validation`] where they are no UTF-8 or hold no text.
pub fn extract(bytes: &[u8], format: Format) -> Result<Extracted> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|e| Error::invalid("content", format!("is not valid UTF-8 from byte {} on", e.valid_up_to())))?;
    let extracted = match format {
        Format::Markdown => markdown::extract(text),
        Format::Html => html::extract(text),
        Format::Plain => Extracted { title: None, metadata: Map::new(), content: text.to_owned(), format },
    };
    match extracted.content.trim().is_empty() {
        true => Err(Error::invalid("content", "holds no text")),
        false => Ok(extracted),
    }
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
        assert_eq!(detect(b"%PDF-1.7", Some("a.md"), None), None);
        assert_eq!(detect(b"a\0b", Some("a.txt"), None), None);
        assert_eq!(detect(b"a,b", Some("a.csv"), None), None);
        assert_eq!(detect(b"{}", None, Some("application/json")), None);
    }

    #[test]
    fn broken_utf8_and_empty_text_are_refused() {
        assert!(extract(b"ok \xff", Format::Plain).is_err());
        assert!(extract(b" \n ", Format::Markdown).is_err());
        assert_eq!(extract(b"\xEF\xBB\xBFhi", Format::Plain).unwrap().content, "hi");
    }
}
