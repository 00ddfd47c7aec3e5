//! The elements and texts of an XML part of an office document, one after the other. Namespaces are left aside.
//!
//! No tree: depth costs a number. Document types are not read, so no entity stands for more than one character.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::fault::Fault;

/// Elements within each other at most.
const DEEPEST: usize = 2000;

/// What stands next in a part.
pub enum Node<'a> {
    Start(Element<'a>),
    /// The local name of the element that ends.
    End(String),
    Text(Cow<'a, str>),
}

/// The beginning of an element.
pub struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// Its name without a prefix.
    pub fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// The value of the attribute of this local name.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.0.attributes();
        let found =
            attributes.with_checks(false).flatten().find(|found| found.key.local_name().into_inner() == name)?;
        Some(match quick_xml::escape::unescape(&found.value) {
            Ok(value) => value.into_owned(),
            Err(_) => found.value.into_owned(),
        })
    }

    /// The values of all attributes of this local name.
    pub fn values(&self, name: &str) -> Vec<String> {
        let mut attributes = self.0.attributes();
        let found = attributes.with_checks(false).flatten().filter(|found| found.key.local_name().into_inner() == name);
        found.map(|found| found.value.into_owned()).collect()
    }

    /// The value of an attribute that is a number.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.attribute(name)?.trim().parse().ok()
    }

    /// The value of the attribute `val`, which Office Open XML keeps most of its properties in.
    pub fn val(&self) -> Option<String> {
        self.attribute("val")
    }

    /// Whether a property that can be switched is on.
    pub fn is_on(&self) -> bool {
        !matches!(self.val().as_deref(), Some("0" | "false" | "off"))
    }
}

/// Reads a part from its beginning.
pub struct Nodes<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
}

impl<'a> Nodes<'a> {
    pub fn of(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.allow_dangling_amp = true;
        config.check_comments = false;
        Nodes { reader, depth: 0 }
    }

    /// What comes next; none at the end.
    ///
    /// # Errors
    /// [`super::Kind::Damaged`] where it is no XML, [`super::Kind::TooComplex`] where it is too deep.
    pub fn next(&mut self) -> Result<Option<Node<'a>>, Fault> {
        loop {
            return Ok(Some(match self.reader.read_event().map_err(Fault::damaged)? {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > DEEPEST {
                        return Err(Fault::too_complex(format!("its elements are nested over {DEEPEST} deep")));
                    }
                    Node::Start(Element(start))
                }
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    Node::End(end.local_name().into_inner().to_owned())
                }
                Event::Text(text) => Node::Text(text.into_inner()),
                Event::CData(text) => Node::Text(text.into_inner()),
                Event::GeneralRef(name) => {
                    let name = name.into_inner();
                    Node::Text(match quick_xml::escape::unescape(&format!("&{name};")) {
                        Ok(text) => Cow::Owned(text.into_owned()),
                        Err(_) => Cow::Owned(format!("&{name};")),
                    })
                }
                Event::Eof if self.depth > 0 => return Err(Fault::damaged("one of its parts breaks off")),
                Event::Eof => return Ok(None),
                _ => continue,
            }));
        }
    }

    /// Passes over the rest of the element that has just begun.
    ///
    /// # Errors
    /// As [`Nodes::next`].
    pub fn skip(&mut self) -> Result<(), Fault> {
        self.text().map(drop)
    }

    /// All text in the element that has just begun.
    ///
    /// # Errors
    /// As [`Nodes::next`].
    pub fn text(&mut self) -> Result<String, Fault> {
        let outer = self.depth.saturating_sub(1);
        let mut text = String::new();
        while self.depth > outer {
            match self.next()? {
                Some(Node::Text(part)) => text.push_str(&part),
                Some(_) => {}
                None => break,
            }
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Kind;

    fn seen(text: &str) -> Result<String, Fault> {
        let (mut nodes, mut seen) = (Nodes::of(text), String::new());
        while let Some(node) = nodes.next()? {
            match node {
                Node::Start(element) if element.name() == "gone" => nodes.skip()?,
                Node::Start(element) => seen.push_str(&format!("<{} {:?}>", element.name(), element.attribute("a"))),
                Node::End(name) => seen.push_str(&format!("</{name}>")),
                Node::Text(text) => seen.push_str(&text),
            }
        }
        Ok(seen)
    }

    #[test]
    fn elements_and_text_come_without_prefixes_and_entities() {
        let found = seen(r#"<?xml version="1.0"?><w:p x:a="1&amp;2">A &amp; &#66;<gone>x<y/>z</gone><br/></w:p>"#);
        assert_eq!(found.unwrap(), "<p Some(\"1&2\")>A & B<br None></br></p>");
    }

    #[test]
    fn entities_of_a_document_type_stand_for_nothing() {
        let text = r#"<!DOCTYPE x [<!ENTITY a "boom"><!ENTITY b SYSTEM "file:///etc/passwd">]><x>&a;&b;</x>"#;
        assert_eq!(seen(text).unwrap(), "<x None>&a;&b;</x>");
    }

    #[test]
    fn depth_and_damage_are_told() {
        assert_eq!(seen(&"<a>".repeat(100_000)).unwrap_err().kind, Kind::TooComplex);
        for text in ["<a>", "<a></b>", "<a b='"] {
            assert_eq!(seen(text).unwrap_err().kind, Kind::Damaged, "{text}");
        }
    }
}
