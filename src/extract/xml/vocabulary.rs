//! What elements of the vocabularies that people write prose in are for: DocBook, TEI, JATS, DITA, FictionBook.

/// What an element is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A value, or what holds values.
    Data,
    /// A part of a text, whose headings stand a level below.
    Section,
    /// What holds parts of a text, and is none itself.
    Wrapper,
    Heading,
    Paragraph,
    Code,
    /// What nobody reads.
    Silent,
}

impl Role {
    /// Whether all within belongs to one text.
    pub fn is_flowing(self) -> bool {
        matches!(self, Role::Heading | Role::Paragraph | Role::Code | Role::Silent)
    }
}

pub fn role(name: &str) -> Role {
    match name {
        "article" | "book" | "chapter" | "part" | "appendix" | "preface" | "section" | "sect1" | "sect2" | "sect3"
        | "sect4" | "sect5" | "simplesect" | "sec" | "div" | "div1" | "div2" | "div3" | "div4" | "topic"
        | "concept" | "task" => Role::Section,
        "TEI" | "FictionBook" | "text" | "front" | "back" | "body" | "conbody" | "taskbody" | "refbody" | "info"
        | "itemizedlist" | "orderedlist" | "listitem" | "variablelist" | "varlistentry" | "note" | "abstract"
        | "teiHeader" | "fileDesc" | "titleStmt" | "article-meta" | "title-group" => Role::Wrapper,
        "title" | "subtitle" | "head" | "article-title" => Role::Heading,
        "p" | "para" | "simpara" | "formalpara" | "l" | "li" | "shortdesc" | "v" => Role::Paragraph,
        "programlisting" | "screen" | "literallayout" | "codeblock" | "eg" | "preformat" => Role::Code,
        "style" | "script" | "binary" => Role::Silent,
        _ => Role::Data,
    }
}

/// Of what is drawn, only its words are read.
pub fn of_drawing(name: &str) -> Role {
    match name {
        "title" | "desc" | "text" | "flowRoot" | "p" => Role::Paragraph,
        "style" | "script" | "metadata" => Role::Silent,
        _ => Role::Wrapper,
    }
}

/// Whether an attribute is for programs alone.
pub fn is_bookkeeping(key: &str) -> bool {
    matches!(key, "xml:id" | "xml:lang" | "xml:space" | "xml:base" | "class" | "style" | "role" | "version" | "rend")
}

/// Media type of a document by its root element.
pub fn media_type(root: &str) -> Option<&'static str> {
    Some(match root {
        "svg" => "image/svg+xml",
        "rss" => "application/rss+xml",
        "feed" => "application/atom+xml",
        "TEI" => "application/tei+xml",
        "gpx" => "application/gpx+xml",
        "kml" => "application/vnd.google-earth.kml+xml",
        _ => return None,
    })
}
