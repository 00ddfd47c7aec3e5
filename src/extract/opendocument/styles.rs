//! Styles in OpenDocument: which paragraphs are headings, and which lists have numbers.

use std::collections::{HashMap, HashSet};

use crate::extract::fault::Fault;
use crate::extract::monospaced::is_monospaced;
use crate::extract::xml_events::{Node, Nodes};

/// Styles that rest on each other at most.
const LONGEST_CHAIN: usize = 20;

/// The styles of a document by their names.
#[derive(Default)]
pub struct Styles {
    /// The style that each rests on, and the level of heading that it makes.
    paragraphs: HashMap<String, (Option<String>, Option<usize>)>,
    /// Whether the font of a style that has one is one of letters of one width.
    fonts: HashMap<String, bool>,
    /// Lists and levels from 0 that have numbers.
    numbered: HashSet<(String, usize)>,
}

impl Styles {
    /// Takes in the styles of a part.
    ///
    /// # Errors
    /// [`crate::extract::Kind::Damaged`].
    pub fn read(&mut self, text: &str) -> Result<(), Fault> {
        let (mut list, mut style) = (None, None);
        let mut nodes = Nodes::of(text);
        while let Some(node) = nodes.next()? {
            let Node::Start(element) = node else { continue };
            match element.name() {
                "body" | "master-styles" => nodes.skip()?,
                "style" => {
                    style = element.attribute("name");
                    if let Some(name) = style.clone() {
                        let parent = element.attribute("parent-style-name");
                        self.paragraphs.insert(name, (parent, element.number("default-outline-level")));
                    }
                }
                "text-properties" => {
                    if let (Some(style), Some(font)) = (&style, element.attribute("font-name")) {
                        self.fonts.insert(style.clone(), is_monospaced(&font));
                    }
                }
                "list-style" => list = element.attribute("name"),
                "list-level-style-number" => {
                    let has_number = element.attribute("num-format").is_some_and(|format| !format.is_empty());
                    if let (Some(list), Some(level), true) = (&list, element.number("level"), has_number) {
                        self.numbered.insert((list.clone(), level.saturating_sub(1)));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The level of the heading that a paragraph of this style is.
    pub fn heading(&self, style: &str) -> Option<usize> {
        let mut next = Some(style);
        for _ in 0..LONGEST_CHAIN {
            let name = next?;
            if name == "Title" {
                return Some(1);
            }
            let (parent, level) = self.paragraphs.get(name)?;
            if let Some(level) = level.filter(|level| *level > 0) {
                return Some(level);
            }
            next = parent.as_deref();
        }
        None
    }

    /// Whether paragraphs of this style are set in letters of one width.
    pub fn is_monospaced(&self, style: &str) -> bool {
        let mut next = Some(style);
        for _ in 0..LONGEST_CHAIN {
            let Some(name) = next else { return false };
            if let Some(is_monospaced) = self.fonts.get(name) {
                return *is_monospaced;
            }
            next = self.paragraphs.get(name).and_then(|(parent, _)| parent.as_deref());
        }
        false
    }

    /// Whether items of a list have numbers, at a depth from 0.
    pub fn is_numbered(&self, list: &str, depth: usize) -> bool {
        self.numbered.contains(&(list.to_owned(), depth))
    }
}
