//! Numbering in Word documents: which paragraphs are items of lists, and their numbers.

use std::collections::{HashMap, HashSet};

use crate::extract::fault::Fault;
use crate::extract::xml_events::{Node, Nodes};

/// Levels that a list has.
const LEVELS: usize = 9;

/// The lists of a document, and how far each has been counted.
#[derive(Default)]
pub struct Lists {
    /// Levels by the number of their abstract list.
    kinds: HashMap<String, [Level; LEVELS]>,
    /// For each list, its abstract list and where it starts anew.
    lists: HashMap<String, (String, [Option<u64>; LEVELS])>,
    /// Numbers last given, by abstract list.
    counted: HashMap<String, [Option<u64>; LEVELS]>,
    begun: HashSet<String>,
}

#[derive(Default, Clone)]
struct Level {
    format: String,
    /// How a number is written: `%1.%2`.
    text: String,
    start: Option<u64>,
}

/// An item.
#[derive(Debug, PartialEq)]
pub struct Item {
    /// None where it has a bullet.
    pub number: Option<u64>,
    /// The number as it is written, of all levels above too: `2.1`.
    pub label: String,
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
                "abstractNumId" => {
                    if let (Some(list), Some(kind)) = (&list, element.val()) {
                        lists.lists.insert(list.clone(), (kind, [None; LEVELS]));
                    }
                }
                "lvl" | "lvlOverride" => level = element.number("ilvl").unwrap_or(0).min(LEVELS - 1),
                "startOverride" => {
                    let start =
                        list.as_ref().and_then(|list| lists.lists.get_mut(list)).and_then(|l| l.1.get_mut(level));
                    if let Some(start) = start {
                        *start = element.number("val").map(|start| start as u64);
                    }
                }
                name @ ("numFmt" | "lvlText" | "start") => {
                    let Some(kind) = &kind else { continue };
                    let Some(level) = lists.kinds.entry(kind.clone()).or_default().get_mut(level) else { continue };
                    match name {
                        "numFmt" => level.format = element.val().unwrap_or_default(),
                        "lvlText" => level.text = element.val().unwrap_or_default(),
                        _ => level.start = element.number("val").map(|start| start as u64),
                    }
                }
                _ => {}
            }
        }
        Ok(lists)
    }

    /// The next item of a list, `depth` from 0; none where the list has none.
    pub fn next(&mut self, list: &str, depth: usize) -> Option<Item> {
        if list == "0" {
            return None;
        }
        let bullet = Some(Item { number: None, label: String::new() });
        let depth = depth.min(LEVELS - 1);
        let Some((kind, starts)) = self.lists.get(list) else { return bullet };
        let Some(levels) = self.kinds.get(kind) else { return bullet };
        let level = levels.get(depth)?;
        let counted = self.counted.entry(kind.clone()).or_default();
        if self.begun.insert(list.to_owned()) {
            for (counted, start) in counted.iter_mut().zip(starts) {
                if let Some(start) = start {
                    *counted = start.checked_sub(1);
                }
            }
        }
        counted.iter_mut().skip(depth + 1).for_each(|deeper| *deeper = None);
        for (place, (counted, level)) in counted.iter_mut().zip(levels).enumerate().take(depth + 1) {
            let start = level.start.unwrap_or(1);
            *counted = match counted {
                Some(number) if place == depth => Some(number.saturating_add(1)),
                Some(number) => Some(*number),
                None => Some(start),
            };
        }
        match level.format.as_str() {
            "none" => None,
            "bullet" => bullet,
            _ => {
                let mut label = level.text.clone();
                for (place, (number, level)) in counted.iter().zip(levels).enumerate() {
                    label = label.replace(&format!("%{}", place + 1), &written(number.unwrap_or(0), &level.format));
                }
                Some(Item { number: counted.get(depth).copied().flatten(), label })
            }
        }
    }
}

/// A number in the way of a level; ways beyond the usual ones in digits.
fn written(number: u64, format: &str) -> String {
    let letter = |first: u8| {
        let place = u8::try_from(number.saturating_sub(1) % 26).unwrap_or(0);
        let times = usize::try_from(number.saturating_sub(1) / 26 + 1).unwrap_or(1).min(10);
        String::from(char::from(first + place)).repeat(times)
    };
    match format {
        "lowerLetter" => letter(b'a'),
        "upperLetter" => letter(b'A'),
        "lowerRoman" => roman(number).to_lowercase(),
        "upperRoman" => roman(number),
        "decimalZero" => format!("{number:02}"),
        _ => number.to_string(),
    }
}

fn roman(mut number: u64) -> String {
    if !(1..4000).contains(&number) {
        return number.to_string();
    }
    let signs = [
        (1000, "M"),
        (900, "CM"),
        (500, "D"),
        (400, "CD"),
        (100, "C"),
        (90, "XC"),
        (50, "L"),
        (40, "XL"),
        (10, "X"),
        (9, "IX"),
        (5, "V"),
        (4, "IV"),
        (1, "I"),
    ];
    let mut written = String::new();
    for (value, sign) in signs {
        while number >= value {
            written.push_str(sign);
            number -= value;
        }
    }
    written
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
        let mut next = |list: &str, depth| lists.next(list, depth).map(|item| (item.number, item.label));
        let item = |number: u64, label: &str| Some((Some(number), label.to_owned()));
        assert_eq!(next("1", 0), item(1, "I."));
        assert_eq!(next("1", 1), item(1, "I.1"));
        assert_eq!(next("1", 1), item(2, "I.2"));
        assert_eq!(next("1", 2), Some((None, String::new())));
        assert_eq!(next("1", 0), item(2, "II."));
        assert_eq!(next("1", 1), item(1, "II.1"));
        assert_eq!(next("2", 0), item(9, "IX."));
        assert_eq!(next("0", 0), None);
    }
}
