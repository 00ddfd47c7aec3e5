//! Which format bytes are in: judged by their content first, then their name, then what their sender declares.

use std::path::Path;

use super::fault::{Fault, Kind};
use super::{encoding, sniff};

/// Bytes at the beginning that are looked at.
const HEAD: usize = 64 << 10;

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
    /// [`Kind::Unsupported`] for what cannot be read, naming it; [`Kind::Archive`] for what must be unpacked. Of a zip,
    /// only its reader knows.
    pub fn detect(bytes: &[u8], name: Option<&str>, declared: Option<&str>) -> Result<Format, Fault> {
        let declared = declared.map(|d| d.split(';').next().unwrap_or(d).trim().to_ascii_lowercase());
        let declared = declared.filter(|d| !d.is_empty() && d != "application/octet-stream");
        let named = name.and_then(by_name);
        let declared_format = declared.as_deref().and_then(by_media_type);
        if is_archive(bytes) {
            return Err(Fault::new(Kind::Archive, "an archive is not one document but many"));
        }
        if let Some(format) = by_signature(bytes, named.or(declared_format) == Some(Format::Pdf)) {
            return Ok(format);
        }
        let head = bytes.get(..HEAD).unwrap_or(bytes);
        // Short signatures are words too: a text may begin with "BM" or "MZ".
        let Ok(text) = encoding::decode(head, None).map(|decoded| decoded.text) else {
            return match infer::get(bytes).map(|kind| kind.mime_type()) {
                Some(kind) if kind.starts_with("image/") => Ok(Format::Image),
                Some(kind) => Err(refused(kind)),
                None => Err(refused("binary data of an unknown kind")),
            };
        };
        if let Some(format) = sniff::unmistakable(&text) {
            return Ok(format);
        }
        // What is text cannot be in a format of bytes, whatever it is called.
        let can_be = |format: &Format| format.is_textual() && sniff::can_be(&text, *format);
        if let Some(format) = named.filter(can_be) {
            return Ok(format);
        }
        match (declared.as_deref(), declared_format) {
            (_, Some(format)) if can_be(&format) => Ok(format),
            (Some(declared), None) if named.is_none() && !declared.starts_with("text/") => Err(refused(declared)),
            _ => Ok(sniff::likely(&text, bytes).unwrap_or(Format::Plain)),
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
        matches!(self, Format::Package | Format::Compound | Format::Image | Format::Code)
            || self.media_type() == media_type
    }

    /// Whether a text of this name and media type is a program.
    pub fn is_code(name: &str, media_type: &str) -> bool {
        [by_name(name), by_media_type(media_type)].contains(&Some(Format::Code))
    }

    /// Whether its text is read as it stands, so that nothing in it is parsed.
    pub fn is_verbatim(self) -> bool {
        matches!(self, Format::Plain | Format::Markdown | Format::Code | Format::Image)
    }

    /// Whether its files are text.
    fn is_textual(self) -> bool {
        !matches!(self, Format::Rtf | Format::Pdf | Format::Package | Format::Compound | Format::Image)
    }
}

fn refused(kind: &str) -> Fault {
    Fault::new(Kind::Unsupported, format!("{kind} is not taken in"))
}

/// Whether it is a tar, or compressed as one is: with gzip or Zstandard.
fn is_archive(bytes: &[u8]) -> bool {
    matches!(bytes, [0x1F, 0x8B, ..] | [0x28, 0xB5, 0x2F, 0xFD, ..]) || bytes.get(257..262) == Some(b"ustar")
}

/// The format of what begins as no text does. A PDF file may begin with something else, if it says that it is one.
fn by_signature(bytes: &[u8], called_pdf: bool) -> Option<Format> {
    let start = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    let within = |head: &[u8]| head.windows(5).any(|part| part == b"%PDF-");
    match bytes {
        _ if start.starts_with(b"%PDF-") => Some(Format::Pdf),
        _ if start.starts_with(b"{\\rtf") => Some(Format::Rtf),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Some(Format::Package),
        [0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1, ..] => Some(Format::Compound),
        _ => {
            let head = bytes.get(..1024).unwrap_or(bytes);
            let is_pdf = within(head) && (called_pdf || std::str::from_utf8(bytes).is_err());
            is_pdf.then_some(Format::Pdf)
        }
    }
}

fn by_name(name: &str) -> Option<Format> {
    let name = Path::new(name);
    let Some(ending) = name.extension().and_then(|ending| ending.to_str()) else {
        return match name.file_name()?.to_str()? {
            "Makefile" | "Dockerfile" | "Containerfile" | "Jenkinsfile" | "Vagrantfile" | "Rakefile" | "Gemfile"
            | "Justfile" | "justfile" | ".gitignore" | ".dockerignore" | ".editorconfig" => Some(Format::Code),
            _ => None,
        };
    };
    Some(match ending.to_ascii_lowercase().as_str() {
        "md" | "markdown" | "mdown" | "mkd" | "mkdn" | "mdx" | "rmd" | "qmd" => Format::Markdown,
        "html" | "htm" | "xhtml" | "xht" | "shtml" => Format::Html,
        "txt" | "text" | "log" | "tex" | "latex" | "bib" | "rst" | "org" | "adoc" | "asciidoc" | "asc" | "textile"
        | "wiki" | "mediawiki" | "srt" | "vtt" | "nfo" | "man" | "pod" | "me" => Format::Plain,
        "csv" => Format::Csv,
        "tsv" | "tab" => Format::Tsv,
        "json" | "geojson" | "jsonld" | "topojson" | "ipynb" | "har" | "webmanifest" => Format::Json,
        "jsonl" | "ndjson" | "jsonlines" | "ldjson" => Format::JsonLines,
        "xml" | "svg" | "rss" | "atom" | "xsd" | "xsl" | "xslt" | "wsdl" | "rdf" | "owl" | "tei" | "dbk"
        | "docbook" | "dita" | "ditamap" | "nxml" | "fb2" | "gpx" | "kml" | "opml" | "plist" | "xliff" | "xlf"
        | "tmx" => Format::Xml,
        "rtf" => Format::Rtf,
        "pdf" => Format::Pdf,
        "eml" | "mime" => Format::Mail,
        "mbox" | "mbx" => Format::Mailbox,
        "docx" | "docm" | "dotx" | "dotm" | "pptx" | "pptm" | "ppsx" | "potx" | "xlsx" | "xlsm" | "xltx" | "xlsb"
        | "odt" | "ott" | "ods" | "ots" | "odp" | "otp" | "odg" | "epub" => Format::Package,
        "doc" | "dot" | "xls" | "xlt" | "ppt" | "pps" | "msg" => Format::Compound,
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "tif" | "tiff" | "bmp" | "heic" | "avif" => Format::Image,
        "rs" | "py" | "pyi" | "pyw" | "js" | "mjs" | "cjs" | "jsx" | "ts" | "tsx" | "mts" | "cts" | "vue"
        | "svelte" | "astro" | "java" | "kt" | "kts" | "scala" | "groovy" | "gradle" | "clj" | "cljs" | "c" | "h"
        | "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" | "ino" | "cu" | "m" | "mm" | "cs" | "fs" | "fsx" | "vb"
        | "go" | "rb" | "erb" | "php" | "pl" | "pm" | "lua" | "r" | "jl" | "swift" | "dart" | "ex" | "exs" | "erl"
        | "hrl" | "hs" | "ml" | "mli" | "elm" | "nim" | "zig" | "v" | "sv" | "vhd" | "vhdl" | "d" | "pas" | "f"
        | "f90" | "f95" | "for" | "cob" | "cbl" | "ada" | "adb" | "ads" | "asm" | "s" | "lisp" | "el" | "scm"
        | "rkt" | "tcl" | "sh" | "bash" | "zsh" | "fish" | "ksh" | "ps1" | "psm1" | "bat" | "cmd" | "awk" | "sed"
        | "sql" | "graphql" | "gql" | "proto" | "thrift" | "css" | "scss" | "sass" | "less" | "toml" | "yaml"
        | "yml" | "ini" | "cfg" | "conf" | "properties" | "env" | "service" | "desktop" | "tf" | "tfvars" | "hcl"
        | "nix" | "cmake" | "mk" | "mak" | "dockerfile" | "diff" | "patch" | "lock" | "json5" | "jsonc" | "sol"
        | "wat" | "glsl" | "hlsl" | "wgsl" | "vert" | "frag" | "cypher" | "rego" | "jinja" | "j2" | "tmpl" | "hbs"
        | "mustache" | "pug" | "ejs" | "bzl" | "bazel" | "gn" | "gd" | "applescript" | "vim" => Format::Code,
        _ => return None,
    })
}

fn by_media_type(declared: &str) -> Option<Format> {
    Some(match declared {
        "text/markdown" | "text/x-markdown" | "text/vnd.daringfireball.markdown" => Format::Markdown,
        "text/html" | "application/xhtml+xml" => Format::Html,
        "text/plain"
        | "text/x-rst"
        | "text/prs.fallenstein.rst"
        | "text/x-tex"
        | "application/x-tex"
        | "application/x-latex"
        | "text/x-org"
        | "text/org"
        | "text/asciidoc"
        | "text/x-log"
        | "text/vtt" => Format::Plain,
        "text/csv" | "application/csv" | "text/x-csv" | "text/comma-separated-values" => Format::Csv,
        "text/tab-separated-values" | "text/tsv" | "text/x-tsv" => Format::Tsv,
        "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines"
        | "application/x-ndjson"
        | "application/ndjson"
        | "application/json-lines"
        | "application/json-seq"
        | "text/jsonl" => Format::JsonLines,
        "application/json" | "text/json" | "application/x-json" | "application/x-ipynb+json" => Format::Json,
        "application/xml" | "text/xml" => Format::Xml,
        "application/rtf" | "text/rtf" | "application/x-rtf" | "text/richtext" => Format::Rtf,
        "application/pdf" | "application/x-pdf" => Format::Pdf,
        "message/rfc822" | "message/global" | "application/eml" => Format::Mail,
        "application/mbox" | "application/x-mbox" => Format::Mailbox,
        "application/epub+zip" | "application/zip" | "application/x-zip-compressed" => Format::Package,
        "application/msword"
        | "application/vnd.ms-excel"
        | "application/vnd.ms-powerpoint"
        | "application/vnd.ms-outlook"
        | "application/x-ole-storage" => Format::Compound,
        "application/javascript"
        | "application/x-javascript"
        | "application/ecmascript"
        | "application/typescript"
        | "application/toml"
        | "application/yaml"
        | "application/x-yaml"
        | "application/sql"
        | "application/graphql"
        | "application/x-sh"
        | "application/x-shellscript"
        | "application/x-python"
        | "application/x-python-code"
        | "application/x-httpd-php"
        | "application/x-perl"
        | "application/x-ruby"
        | "text/css"
        | "text/javascript"
        | "text/ecmascript"
        | "text/yaml"
        | "text/toml"
        | "text/rust"
        | "text/sql" => Format::Code,
        _ if declared.ends_with("+json") => Format::Json,
        _ if declared.ends_with("+xml") => Format::Xml,
        _ if declared.starts_with("application/vnd.openxmlformats-officedocument.") => Format::Package,
        _ if declared.starts_with("application/vnd.oasis.opendocument.") => Format::Package,
        _ if declared.starts_with("image/") => Format::Image,
        // text/x-python, text/x-rust, text/x-c …
        _ if declared.starts_with("text/x-") => Format::Code,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn detect(bytes: &[u8], name: Option<&str>, declared: Option<&str>) -> Option<Format> {
        Format::detect(bytes, name, declared).ok()
    }

    #[test]
    fn content_beats_name_beats_declaration() {
        assert_eq!(detect(b"# Hi", Some("a.MD"), Some("text/html")), Some(Format::Markdown));
        assert_eq!(detect(b"<!DOCTYPE html><p>", None, None), Some(Format::Html));
        assert_eq!(detect(b"Hi", None, Some("text/markdown; charset=utf-8")), Some(Format::Markdown));
        assert_eq!(detect(b"Hi", Some("README"), None), Some(Format::Plain));
        assert_eq!(detect(b"BM25 ranks texts.", Some("a.txt"), None), Some(Format::Plain));
        assert_eq!(detect(b"%PDF-1.7", Some("a.md"), None), Some(Format::Pdf));
        assert_eq!(detect(b"a,b\n1,2\n", Some("a.csv"), Some("text/plain")), Some(Format::Csv));
        assert_eq!(detect(b"fn main() {}", Some("src/main.rs"), None), Some(Format::Code));
        assert_eq!(detect(b"{\"a\": 1}", None, Some("application/vnd.api+json")), Some(Format::Json));
        assert_eq!(detect(b"print(1)", None, Some("text/x-python")), Some(Format::Code));
    }

    #[test]
    fn signatures_tell_formats_of_bytes() {
        let ole = b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1\0\0";
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01";
        let cases: [(&[u8], Format); 6] = [
            (b"PK\x03\x04\x14\0\x06\0", Format::Package),
            (ole, Format::Compound),
            (png, Format::Image),
            (b"{\\rtf1 x}", Format::Rtf),
            (b"junk\xFF\x00before\n%PDF-1.4\n", Format::Pdf),
            (b"\xEF\xBB\xBF \n%PDF-1.4\n", Format::Pdf),
        ];
        for (bytes, format) in cases {
            for name in [None, Some("a.txt"), Some("a.docx")] {
                assert_eq!(detect(bytes, name, Some("text/plain")), Some(format), "{bytes:?}");
            }
        }
        assert_eq!(detect(b"A file begins with %PDF-1.4 often.", Some("a.txt"), None), Some(Format::Plain));
    }

    #[test]
    fn text_is_what_its_content_says_whatever_it_is_called() {
        for name in ["a.pdf", "a.docx", "a.xls", "a.png", "a.rtf"] {
            assert_eq!(detect(b"just some text", Some(name), None), Some(Format::Plain), "{name}");
            assert_eq!(detect(b"<html><p>x", Some(name), None), Some(Format::Html), "{name}");
        }
        for name in ["a.eml", "a.mbox", "a.xml", "a.svg"] {
            assert_eq!(detect(b"just some text", Some(name), None), Some(Format::Plain), "{name}");
        }
        assert_eq!(detect(b"hello", None, Some("application/pdf")), Some(Format::Plain));
        assert_eq!(detect(b"\xFF\xFEh\0i\0 \0t\0h\0e\0r\0e\0", Some("a.txt"), None), Some(Format::Plain));
        assert_eq!(detect(b"h\0i\0 \0t\0h\0e\0r\0e\0", Some("a.md"), None), Some(Format::Markdown));
    }

    #[test]
    fn binary_data_is_refused_by_its_name() {
        let refusal = |bytes: &[u8]| Format::detect(bytes, Some("a.txt"), Some("text/plain")).unwrap_err();
        let cases: [(&[u8], &str); 5] = [
            (b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3E\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x40\0", "x-executable"),
            (b"MZ\x90\0\x03\0\0\0", "executable"),
            (b"SQLite format 3\0\x10\0", "sqlite"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4"),
            (b"text\0with\0zeros", "binary data"),
        ];
        for (bytes, word) in cases {
            let fault = refusal(bytes);
            assert_eq!(fault.kind, Kind::Unsupported);
            assert!(fault.message.contains(word), "{fault}");
        }
        assert!(Format::detect(b"Hi", None, Some("application/x-dvi")).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(bytes in proptest::collection::vec(any::<u8>(), 0..200), name in "[a-z./]{0,8}") {
            let _ = Format::detect(&bytes, Some(&name), None);
        }
    }
}
