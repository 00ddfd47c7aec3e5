//! Styles of paragraphs in Word documents: which are headings, and which make lists.

use std::collections::HashMap;

use crate::extract::fault::Fault;
use crate::extract::monospaced::is_monospaced;
use crate::extract::xml_events::{Node, Nodes};

/// Styles that rest on each other at most.
const LONGEST_CHAIN: usize = 20;

/// "Heading" as writers name it in their language; the level follows as a number.
const HEADINGS: &[&str] = &[
    "heading",
    "überschrift",
    "berschrift",
    "titre",
    "título",
    "titulo",
    "ttulo",
    "titolo",
    "kop",
    "rubrik",
    "overskrift",
    "otsikko",
    "nagłówek",
    "nagwek",
    "nadpis",
    "заголовок",
    "başlık",
    "balk",
    "címsor",
    "cmsor",
    "見出し",
    "标题",
    "標題",
    "제목",
];

/// The styles of a document by their ids.
#[derive(Default)]
pub struct Styles(HashMap<String, Style>);

#[derive(Default)]
struct Style {
    name: String,
    based_on: Option<String>,
    outline: Option<usize>,
    list: Option<String>,
    depth: Option<usize>,
    /// Whether its font, where it has one, is one of letters of one width.
    is_monospaced: Option<bool>,
}

/// What a style says of its paragraphs.
#[derive(Default, Debug, PartialEq)]
pub struct Shape {
    /// Level of the heading, from 1.
    pub heading: Option<usize>,
    pub list: Option<String>,
    pub depth: Option<usize>,
    /// How far "List Bullet 2" and its like are set in, whose lists have one level each.
    pub indent: usize,
    /// Whether its font is one of letters of one width.
    pub is_monospaced: bool,
}

impl Styles {
    /// Reads `styles.xml`.
    ///
    /// # Errors
    /// [`crate::extract::Kind::Damaged`].
    pub fn read(text: &str) -> Result<Self, Fault> {
        let mut styles = HashMap::new();
        let mut open: Option<(String, Style)> = None;
        let mut nodes = Nodes::of(text);
        while let Some(node) = nodes.next()? {
            match node {
                Node::Start(element) if element.name() == "style" => {
                    open = element.attribute("styleId").map(|id| (id, Style::default()));
                }
                Node::Start(element) => {
                    let Some((_, style)) = &mut open else { continue };
                    match element.name() {
                        "name" => style.name = element.val().unwrap_or_default(),
                        "basedOn" => style.based_on = element.val(),
                        "outlineLvl" => style.outline = element.number("val"),
                        "numId" => style.list = element.val(),
                        "ilvl" => style.depth = element.number("val"),
                        "rFonts" => style.is_monospaced = element.attribute("ascii").map(|font| is_monospaced(&font)),
                        _ => {}
                    }
                }
                Node::End(name) if name == "style" => styles.extend(open.take()),
                _ => {}
            }
        }
        Ok(Styles(styles))
    }

    /// What the style `id` and those that it rests on say.
    pub fn shape(&self, id: &str) -> Shape {
        let mut shape = Shape::default();
        let (mut next, mut is_body, mut is_monospaced) = (Some(id), false, None);
        for _ in 0..LONGEST_CHAIN {
            let Some(id) = next else { break };
            let Some(style) = self.0.get(id) else {
                shape.heading = shape.heading.or_else(|| promised_level(id));
                break;
            };
            if shape.heading.is_none() && !is_body {
                is_body = style.outline.is_some_and(|outline| outline > 8);
                let stated = style.outline.filter(|outline| *outline < 9).map(|outline| outline + 1);
                shape.heading = stated.or_else(|| promised_level(&style.name)).filter(|_| !is_body);
            }
            if shape.indent == 0 {
                shape.indent = indent(&style.name);
            }
            is_monospaced = is_monospaced.or(style.is_monospaced);
            shape.list = shape.list.or_else(|| style.list.clone());
            shape.depth = shape.depth.or(style.depth);
            next = style.based_on.as_deref();
        }
        shape.is_monospaced = is_monospaced.unwrap_or(false);
        shape
    }
}

/// How far a list's style of the built-in names is set in.
fn indent(name: &str) -> usize {
    let name = name.to_ascii_lowercase();
    let level = name.strip_prefix("list bullet ").or_else(|| name.strip_prefix("list number "));
    level.and_then(|level| level.parse::<usize>().ok()).map_or(0, |level| level.saturating_sub(1).min(8))
}

/// The level of the heading that a style's name promises.
pub fn promised_level(name: &str) -> Option<usize> {
    let name = name.to_lowercase();
    if name == "title" {
        return Some(1);
    }
    let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let level: usize = name.get(word.len()..)?.parse().ok()?;
    ((1..=9).contains(&level) && HEADINGS.contains(&word.trim())).then_some(level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_known_by_name_outline_and_parent() {
        let text = "<styles><style styleId='berschrift2'><name val='heading 2'/></style>\
            <style styleId='Mine'><name val='Clause'/><basedOn val='berschrift2'/></style>\
            <style styleId='Deep'><name val='X'/><pPr><outlineLvl val='3'/></pPr></style>\
            <style styleId='Plain'><name val='Y'/><basedOn val='Deep'/><pPr><outlineLvl val='9'/></pPr></style>\
            <style styleId='Loop'><name val='List Bullet 3'/><basedOn val='Loop'/><pPr><numPr><ilvl val='1'/><numId val='4'/></numPr></pPr></style></styles>";
        let styles = Styles::read(text).unwrap();
        let heading = |id: &str| styles.shape(id).heading;
        assert_eq!(["berschrift2", "Mine", "Deep"].map(heading), [Some(2), Some(2), Some(4)]);
        assert_eq!(["Plain", "Heading10", "Heading0", "Normal"].map(heading), [None; 4]);
        assert_eq!(["Heading1", "Überschrift 3", "Titre2", "Title"].map(heading), [Some(1), Some(3), Some(2), Some(1)]);
        assert_eq!(
            styles.shape("Loop"),
            Shape { heading: None, list: Some("4".into()), depth: Some(1), indent: 2, is_monospaced: false }
        );
    }
}
