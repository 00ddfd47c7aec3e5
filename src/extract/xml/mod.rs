//! XML to Markdown: prose as paragraphs and headings, anything else as an outline of its elements.
//!
//! Works on events, without recursion, and expands no entity but those that XML itself defines: what a document type
//! defines stays as its name.

mod vocabulary;

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use super::composer::{Composer, folded};
use super::fault::{Fault, Kind, Warning};
use super::{Extracted, Format, html};
use vocabulary::Role;

/// Elements that may lie within each other.
const DEEPEST: usize = 5_000;
/// Bytes of a text that still stands on its element's line.
const LINE: usize = 200;
/// Bytes of an attribute that says something; beyond are drawings and data.
const ATTRIBUTE: usize = 500;
/// Bytes of all attributes of an element that are shown.
const ATTRIBUTES: usize = 2_000;

/// The document as Markdown. Of one that breaks off, what stands before.
///
/// # Errors
/// [`Kind::TooComplex`] for elements that nest too deeply or more text than a document is given;
/// [`Kind::Damaged`] for what breaks off before it says anything.
pub fn extract(text: &str) -> Result<Extracted, Fault> {
    let mut reader = Reader::from_str(text);
    let mut outline = Outline::default();
    loop {
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(cause) => {
                outline.break_off(&cause.to_string(), reader.error_position())?;
                break;
            }
        };
        match event {
            Event::Start(tag) => outline.start(&tag)?,
            Event::Empty(tag) => {
                outline.start(&tag)?;
                outline.end()?;
            }
            Event::End(_) => outline.end()?,
            Event::Text(text) => outline.text(&text.xml10_content()),
            Event::CData(text) => outline.text(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(c)) if c != '\0' => outline.text(c.encode_utf8(&mut [0; 4])),
                _ => match resolve_predefined_entity(&reference) {
                    Some(text) => outline.text(text),
                    None => outline.text(&format!("&{};", &*reference)),
                },
            },
            Event::Eof => {
                if !outline.open.is_empty() {
                    outline.break_off("it ends within an element", reader.buffer_position())?;
                }
                break;
            }
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {}
        }
    }
    let media_type = outline.media_type.unwrap_or(Format::Xml.media_type());
    Ok(outline.composer.finish(media_type))
}

/// An element that has begun.
struct Open {
    /// Its name and attributes.
    label: String,
    role: Role,
    /// Its text, as far as it has not been written.
    text: String,
    /// Whether its own line has been written, so that what lies in it stands below.
    is_written: bool,
    /// Items that it lies in, and sections.
    depth: usize,
    sections: usize,
}

#[derive(Default)]
struct Outline {
    composer: Composer,
    open: Vec<Open>,
    /// Elements open within a paragraph: all that they say belongs to it.
    inline: usize,
    media_type: Option<&'static str>,
    is_drawing: bool,
}

impl Outline {
    fn start(&mut self, tag: &BytesStart<'_>) -> Result<(), Fault> {
        if self.open.len() + self.inline >= DEEPEST {
            return Err(Fault::too_complex(format!("more than {DEEPEST} elements lie within each other")));
        }
        let local = tag.local_name();
        let name: &str = local.as_ref();
        if self.open.is_empty() {
            self.root(name, tag);
        }
        let role = if self.is_drawing { vocabulary::of_drawing(name) } else { vocabulary::role(name) };
        if let Some(parent) = self.open.last_mut() {
            if self.inline > 0 || parent.role.is_flowing() {
                self.inline += 1;
                match role {
                    Role::Data => {}
                    Role::Wrapper => parent.text.push(' '),
                    _ => parent.text.push('\n'),
                }
                return Ok(());
            }
            let says = !parent.text.trim().is_empty();
            if says && role == Role::Data && parent.role == Role::Data && !parent.is_written {
                // Text, and then an element: what this is, is prose.
                parent.role = Role::Paragraph;
                self.inline = 1;
                return Ok(());
            }
            self.flush()?;
        }
        let attributes = if self.is_drawing { String::new() } else { attributes(tag) };
        let (depth, sections) = self.open.last().map_or((0, 0), |parent| {
            (
                parent.depth + usize::from(parent.role == Role::Data),
                parent.sections + usize::from(parent.role == Role::Section),
            )
        });
        let role = match role {
            Role::Section | Role::Wrapper if !attributes.is_empty() => Role::Data,
            role => role,
        };
        let label = if attributes.is_empty() { name.to_owned() } else { format!("{name} ({attributes})") };
        self.open.push(Open { label, role, text: String::new(), is_written: false, depth, sections });
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        if self.inline > 0 {
            self.inline -= 1;
            return Ok(());
        }
        let Some(element) = self.open.pop() else { return Ok(()) };
        let text = without_markup(&element.text);
        match element.role {
            Role::Silent => {}
            Role::Heading => {
                if self.composer.title.is_none() && element.sections <= 3 {
                    self.composer.title = Some(text.clone());
                }
                self.composer.heading(element.sections.max(1), &text);
            }
            Role::Paragraph | Role::Section | Role::Wrapper => self.composer.paragraph(&text),
            Role::Code => {
                if !element.text.trim().is_empty() {
                    self.composer.code("", element.text.trim_matches('\n'));
                }
            }
            Role::Data if element.is_written => self.composer.item(element.depth + 1, None, &text),
            Role::Data => {
                let has_attributes = element.label.ends_with(')');
                if text.trim().is_empty() {
                    if has_attributes {
                        self.composer.item(element.depth, None, &element.label);
                    }
                } else if text.len() <= LINE {
                    self.composer.item(element.depth, None, &format!("{}: {text}", element.label));
                } else {
                    self.composer.item(element.depth, None, &format!("{}:", element.label));
                    self.composer.paragraph(&text);
                }
            }
        }
        self.composer.check()
    }

    /// Writes what the innermost element has said so far, before what lies in it.
    fn flush(&mut self) -> Result<(), Fault> {
        let Some(element) = self.open.last_mut() else { return Ok(()) };
        let text = std::mem::take(&mut element.text);
        match element.role {
            Role::Data if !element.is_written => {
                element.is_written = true;
                let text =
                    if text.trim().is_empty() { element.label.clone() } else { format!("{}: {text}", element.label) };
                self.composer.item(element.depth, None, &text);
            }
            Role::Data => self.composer.item(element.depth + 1, None, &text),
            Role::Silent => {}
            _ => self.composer.paragraph(&text),
        }
        self.composer.check()
    }

    fn root(&mut self, name: &str, tag: &BytesStart<'_>) {
        self.media_type = vocabulary::media_type(name);
        self.is_drawing = name == "svg";
        let mut attributes = tag.attributes();
        let language = attributes.with_checks(false).flatten().find(|attribute| attribute.key.as_ref() == "xml:lang");
        if let Some(language) = language.and_then(|attribute| value(&attribute)).filter(|value| !value.is_empty()) {
            self.composer.metadata.insert("language".into(), language.into());
        }
    }

    /// Keeps what was read of a document that is not whole.
    fn break_off(&mut self, cause: &str, at: u64) -> Result<(), Fault> {
        while !self.open.is_empty() {
            self.inline = 0;
            self.end()?;
        }
        let message = format!("the file is damaged: it is no XML from byte {at} on: {cause}");
        if self.composer.is_empty() {
            return Err(Fault::new(Kind::Damaged, message));
        }
        self.composer.warnings.push(Warning::new(Kind::Damaged, None, message));
        Ok(())
    }
}

/// What an element's attributes say: `id: 7, unit: m`.
fn attributes(tag: &BytesStart<'_>) -> String {
    let mut out = String::new();
    let mut attributes = tag.attributes();
    for attribute in attributes.with_checks(false).flatten() {
        let key: &str = attribute.key.as_ref();
        let name = attribute.key.local_name();
        if key.starts_with("xmlns") || key.starts_with("xsi:") || vocabulary::is_bookkeeping(key) {
            continue;
        }
        let Some(value) = value(&attribute).filter(|value| !value.is_empty() && value.len() <= ATTRIBUTE) else {
            continue;
        };
        if out.len() > ATTRIBUTES {
            break;
        }
        if !out.is_empty() {
            out.push_str(", ");
        }
        let name: &str = name.as_ref();
        out.push_str(&format!("{name}: {value}"));
    }
    out
}

/// An attribute's value; entities of the document's own stay as they stand.
fn value(attribute: &quick_xml::events::attributes::Attribute<'_>) -> Option<String> {
    let resolved = quick_xml::escape::unescape(&attribute.value);
    Some(folded(&resolved.unwrap_or_else(|_| attribute.value.clone())))
}

/// The text of a text that is itself written in HTML, as those of feeds are.
fn without_markup(text: &str) -> String {
    let start = text.trim_start();
    let is_markup = start.starts_with('<')
        && ["</p>", "</a>", "</div>", "<br", "</li>", "</b>"].iter().any(|tag| text.contains(tag));
    if is_markup { html::extract(text).content } else { text.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(text: &str) -> String {
        extract(text).unwrap().content
    }

    #[test]
    fn data_is_an_outline() {
        let text = "<?xml version='1.0'?><factbook xmlns='x'><country code='ca' xml:id='c1'><name>Canada</name>\n\
            <capital>Ottawa &amp; more</capital><flag href='f.png'/><empty/></country></factbook>";
        let expected = "- factbook\n  - country (code: ca)\n    - name: Canada\n    - capital: Ottawa & more\n    - flag (href: f.png)";
        assert_eq!(content(text), expected);
    }

    #[test]
    fn prose_is_prose() {
        let text = "<article xml:lang='de'><info><title>Tides</title></info><para>High <emphasis>water</emphasis> comes\n twice.</para>\
            <section><title>Springs</title><para>At &#x66;ull moon.</para><programlisting>a\n  b</programlisting></section></article>";
        let found = extract(text).unwrap();
        let expected = "# Tides\n\nHigh water comes twice.\n\n## Springs\n\nAt full moon.\n\n```\na\n  b\n```";
        assert_eq!(found.content, expected.replace("comes twice", "comes\ntwice"));
        assert_eq!((found.title.as_deref(), found.metadata.get("language")), (Some("Tides"), Some(&"de".into())));
        let unknown = "<doc><chunk>Mixed <i>words</i> of <b>it</b>.</chunk><chunk><i>All</i></chunk></doc>";
        assert_eq!(content(unknown), "- doc\n\nMixed words of it.\n\n  - chunk\n    - i: All");
    }

    #[test]
    fn feeds_and_drawings_say_their_text() {
        let feed = "<rss><channel><title>News</title><item><title>One</title><description><![CDATA[<p>Hello <b>you</b></p>]]></description></item></channel></rss>";
        let found = extract(feed).unwrap();
        assert!(found.content.contains("Hello you") && !found.content.contains("<p>"), "{}", found.content);
        assert_eq!(found.media_type, "application/rss+xml");
        let drawing = "<svg viewBox='0 0 1 1'><style>a{}</style><g><path d='M0 0'/><text x='1'>Pump <tspan>B</tspan></text></g></svg>";
        assert_eq!(content(drawing), "Pump B");
    }

    #[test]
    fn entities_stay_inert() {
        let laughs = "<!DOCTYPE laugh [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\"><!ENTITY x SYSTEM \"file:///etc/passwd\">]><laugh k='&b;'>&b;&x;</laugh>";
        assert_eq!(content(laughs), "- laugh (k: &b;): &b;&x;");
    }

    #[test]
    fn depth_is_bounded_and_what_breaks_off_is_kept() {
        assert_eq!(extract(&"<a>".repeat(100_000)).unwrap_err().kind, Kind::TooComplex);
        let found = extract("<a><b>One</b><c>Tw").unwrap();
        assert_eq!(found.content, "- a\n  - b: One\n  - c: Tw");
        assert_eq!(found.warnings.len(), 1);
        assert_eq!(extract("<a></b>").unwrap_err().kind, Kind::Damaged);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[<>/a-c\"'=&;#! \\[\\]?-]{0,200}") {
            let _ = extract(&text);
        }

        #[test]
        fn every_text_of_an_element_is_found(words in proptest::collection::vec(("[a-e]{1,3}", "[f-z]{3,9}"), 1..20)) {
            let inner: String = words.iter().map(|(name, word)| format!("<{name}>{word}</{name}>")).collect();
            let found = content(&format!("<doc>{inner}</doc>"));
            for (_, word) in words {
                prop_assert!(found.contains(&word));
            }
        }
    }
}
