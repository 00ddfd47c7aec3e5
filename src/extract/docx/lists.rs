//! Numbering in Word documents: which paragraphs are items of lists, and their numbers.

use std::collections::{HashMap, HashSet};

use crate::extract::fault::Fault;
use crate::extract::numerals;
use crate::extract::xml_events::{Element, Node, Nodes};

/// Levels that a list has.
const LEVELS: usize = 9;

/// The lists of a document, and how far each has been counted.
#[derive(Default)]
pub struct Lists {
    /// Levels by the number of their abstract list.
    kinds: HashMap<String, Kind>,
    lists: HashMap<String, List>,
    /// Numbers last given, by abstract list.
    counted: HashMap<String, [Option<u64>; LEVELS]>,
    begun: HashSet<String>,
}

/// An abstract list.
#[derive(Default)]
struct Kind {
    levels: [Level; LEVELS],
    /// The style of lists that it defines, or that it is defined by.
    defines: Option<String>,
    defined_by: Option<String>,
}

/// A list, and what it says otherwise than its abstract list.
#[derive(Default)]
struct List {
    kind: String,
    levels: HashMap<usize, Level>,
    starts: [Option<u64>; LEVELS],
}

#[derive(Default, Clone)]
struct Level {
    format: String,
    /// How a number is written: `%1.%2`.
    text: String,
    start: Option<u64>,
    /// The level, from 1, whose items begin it anew; none for all above it.
    restart: Option<usize>,
    /// Whether the numbers of levels above stand in digits, whatever their own way is.
    is_legal: bool,
}

/// An item.
#[derive(Debug, PartialEq)]
pub struct Item {
    /// Where the label is no more than that, with a full stop: as Markdown writes it.
    pub number: Option<u64>,
    /// The number as it is written, of all levels above too: `2.1`. Empty where it has a bullet.
    pub label: String,
}

impl Item {
    /// The text with the label before it, unless that is a bullet.
    pub fn labelled(&self, text: &str) -> String {
        if self.label.is_empty() { text.to_owned() } else { format!("{} {text}", self.label) }
    }
}

impl Lists {
    /// Reads `numbering.xml`.
    ///
    /// # Errors
    /// [`crate::extract::Kind::Damaged`].
    pub fn read(text: &str) -> Result<Self, Fault> {
        let mut lists = Lists::default();
        let (mut kind, mut list, mut level) = (None::<String>, None::<String>, 0);
        let mut nodes = Nodes::of(text);
        while let Some(node) = nodes.next()? {
            let element = match node {
                Node::Start(element) => element,
                Node::End(name) => {
                    match name.as_str() {
                        "abstractNum" => kind = None,
                        "num" => list = None,
                        _ => {}
                    }
                    continue;
                }
                Node::Text(_) => continue,
            };
            match element.name() {
                "abstractNum" => kind = element.attribute("abstractNumId"),
                "num" => list = element.attribute("numId"),
                "lvl" | "lvlOverride" => level = element.number("ilvl").unwrap_or(0).min(LEVELS - 1),
                _ => match (&kind, &list) {
                    (Some(kind), _) => lists.kinds.entry(kind.clone()).or_default().take(level, &element),
                    (None, Some(list)) => lists.lists.entry(list.clone()).or_default().take(level, &element),
                    (None, None) => {}
                },
            }
        }
        lists.follow_styles();
        Ok(lists)
    }

    /// Gives abstract lists that a style defines the levels of the one that defines the style.
    fn follow_styles(&mut self) {
        let defined: HashMap<String, [Level; LEVELS]> =
            self.kinds.values().filter_map(|kind| Some((kind.defines.clone()?, kind.levels.clone()))).collect();
        for kind in self.kinds.values_mut() {
            if let Some(levels) = kind.defined_by.as_ref().and_then(|style| defined.get(style)) {
                kind.levels.clone_from(levels);
            }
        }
    }

    /// The next item of a list, `depth` from 0; none where the list has none.
    pub fn next(&mut self, list: &str, depth: usize) -> Option<Item> {
        if list == "0" {
            return None;
        }
        let bullet = Some(Item { number: None, label: String::new() });
        let depth = depth.min(LEVELS - 1);
        let Some(own) = self.lists.get(list) else { return bullet };
        let Some(kind) = self.kinds.get(&own.kind) else { return bullet };
        let levels: Vec<&Level> =
            kind.levels.iter().enumerate().map(|(place, level)| own.levels.get(&place).unwrap_or(level)).collect();
        let level = *levels.get(depth)?;
        let counted = self.counted.entry(own.kind.clone()).or_default();
        if self.begun.insert(list.to_owned()) {
            let anew = counted.iter_mut().zip(&own.starts).filter(|(_, start)| start.is_some());
            anew.for_each(|(counted, _)| *counted = None);
        }
        for (counted, level) in counted.iter_mut().zip(&levels).skip(depth + 1) {
            if level.restart.is_none_or(|above| depth < above) {
                *counted = None;
            }
        }
        for (place, ((counted, level), start)) in
            counted.iter_mut().zip(&levels).zip(&own.starts).enumerate().take(depth + 1)
        {
            *counted = match counted {
                Some(number) if place == depth => Some(number.saturating_add(1)),
                Some(number) => Some(*number),
                None => Some(start.or(level.start).unwrap_or(1)),
            };
        }
        let number = counted.get(depth).copied().flatten();
        match level.format.as_str() {
            "none" => None,
            "bullet" => bullet,
            format => {
                let label = level.label(&levels, counted);
                let is_plain = format == "decimal" && number.is_some_and(|number| label == format!("{number}."));
                Some(Item { number: number.filter(|_| is_plain || label.is_empty()), label })
            }
        }
    }
}

impl Kind {
    fn take(&mut self, level: usize, element: &Element<'_>) {
        match element.name() {
            "styleLink" => self.defines = element.val(),
            "numStyleLink" => self.defined_by = element.val(),
            _ => {
                if let Some(level) = self.levels.get_mut(level) {
                    level.take(element);
                }
            }
        }
    }
}

impl List {
    fn take(&mut self, level: usize, element: &Element<'_>) {
        match element.name() {
            "abstractNumId" => self.kind = element.val().unwrap_or_default(),
            "startOverride" => {
                if let Some(start) = self.starts.get_mut(level) {
                    *start = element.number("val").map(|start| start as u64);
                }
            }
            // A level that is said otherwise is said whole.
            "numFmt" | "lvlText" | "start" | "lvlRestart" | "isLgl" => {
                self.levels.entry(level).or_default().take(element);
            }
            _ => {}
        }
    }
}

impl Level {
    fn take(&mut self, element: &Element<'_>) {
        match element.name() {
            "numFmt" => self.format = element.val().unwrap_or_default(),
            "lvlText" => self.text = element.val().unwrap_or_default(),
            "start" => self.start = element.number("val").map(|start| start as u64),
            "lvlRestart" => self.restart = element.number("val"),
            "isLgl" => self.is_legal = element.is_on(),
            _ => {}
        }
    }

    /// What stands before an item, by the numbers of its level and those above.
    fn label(&self, levels: &[&Level], counted: &[Option<u64>; LEVELS]) -> String {
        let mut label = String::new();
        let mut rest = self.text.chars().peekable();
        while let Some(c) = rest.next() {
            let place = rest.peek().filter(|_| c == '%').and_then(|next| next.to_digit(10)).filter(|place| *place > 0);
            let Some(place) = place.and_then(|place| usize::try_from(place - 1).ok()) else {
                label.push(c);
                continue;
            };
            rest.next();
            let number = counted.get(place).copied().flatten().unwrap_or(0);
            let format = levels.get(place).map_or("decimal", |level| level.format.as_str());
            label.push_str(&written(number, if self.is_legal { "decimal" } else { format }));
        }
        label.trim().to_owned()
    }
}

/// A number in the way of a level; ways beyond the usual ones in digits.
fn written(number: u64, format: &str) -> String {
    match format {
        "lowerLetter" => numerals::repeated_letter(number),
        "upperLetter" => numerals::repeated_letter(number).to_uppercase(),
        "lowerRoman" => numerals::roman(number).to_lowercase(),
        "upperRoman" => numerals::roman(number),
        "decimalZero" => format!("{number:02}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_counted_by_level() {
        let text = "<numbering><abstractNum abstractNumId='7'>\
            <lvl ilvl='0'><start val='1'/><numFmt val='upperRoman'/><lvlText val='%1.'/></lvl>\
            <lvl ilvl='1'><start val='1'/><numFmt val='decimal'/><lvlText val='%1.%2'/></lvl>\
            <lvl ilvl='2'><numFmt val='bullet'/></lvl></abstractNum>\
            <num numId='1'><abstractNumId val='7'/></num>\
            <num numId='2'><abstractNumId val='7'/><lvlOverride ilvl='0'><startOverride val='9'/></lvlOverride></num></numbering>";
        let mut lists = Lists::read(text).unwrap();
        let mut next = |list: &str, depth| lists.next(list, depth).map(|item| item.label);
        let label = |label: &str| Some(label.to_owned());
        assert_eq!(next("1", 0), label("I."));
        assert_eq!(next("1", 1), label("I.1"));
        assert_eq!(next("1", 1), label("I.2"));
        assert_eq!(next("1", 2), label(""));
        assert_eq!(next("1", 0), label("II."));
        assert_eq!(next("1", 1), label("II.1"));
        assert_eq!(next("2", 0), label("IX."));
        assert_eq!(next("0", 0), None);
    }

    #[test]
    fn clauses_are_labelled_as_they_are_cited() {
        let level = |depth: usize, format: &str, text: &str, more: &str| {
            format!("<lvl ilvl='{depth}'><start val='1'/><numFmt val='{format}'/>{more}<lvlText val='{text}'/></lvl>")
        };
        let text = [
            "<numbering><abstractNum abstractNumId='1'>",
            &level(0, "upperRoman", "Article %1", ""),
            &level(1, "decimal", "%1.%2", "<isLgl/>"),
            &level(2, "lowerLetter", "(%3)", "<lvlRestart val='1'/>"),
            &level(3, "decimal", "%4.", "<lvlRestart val='0'/>"),
            "<styleLink val='Clauses'/></abstractNum><abstractNum abstractNumId='2'><numStyleLink val='Clauses'/></abstractNum>",
            "<num numId='1'><abstractNumId val='1'/></num><num numId='2'><abstractNumId val='2'/></num>",
            "<num numId='3'><abstractNumId val='1'/><lvlOverride ilvl='0'><startOverride val='0'/>",
            &level(0, "lowerRoman", "%1)", ""),
            "</lvlOverride></num></numbering>",
        ];
        let mut lists = Lists::read(&text.concat()).unwrap();
        let mut next = |list: &str, depth| {
            let item = lists.next(list, depth).unwrap();
            (item.labelled("x"), item.number)
        };
        let clauses = [
            (0, "Article I x", None),
            (0, "Article II x", None),
            (1, "2.1 x", None),
            (2, "(a) x", None),
            (3, "1. x", Some(1)),
            (1, "2.2 x", None),
            (2, "(b) x", None),
            (3, "2. x", Some(2)),
            (0, "Article III x", None),
            (2, "(a) x", None),
            (3, "3. x", Some(3)),
        ];
        for (depth, label, number) in clauses {
            assert_eq!(next("1", depth), (label.to_owned(), number));
        }
        assert_eq!(next("2", 1), ("1.1 x".to_owned(), None));
        assert_eq!([next("3", 0).0, next("3", 0).0], ["0) x", "i) x"]);
    }
}
