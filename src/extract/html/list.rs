//! Lists of a page: what stands before each of their items.

use html5ever::tokenizer::Tag;

use super::{Page, attribute};
use crate::extract::numerals;

/// Deepest indentation of nested lists.
const DEEPEST: usize = 8;
/// Lists within lists that are told apart.
const LISTS: usize = 1000;
/// The largest number that Markdown makes a list of (CommonMark 0.31, 5.2).
const LARGEST: i64 = 999_999_999;
/// Numbers that are put in once their lists have ended; further items have none.
const MOST_OWED: usize = 100_000;

/// An open list.
pub enum List {
    Bullets,
    Numbers {
        /// The number of the next item; none where the list counts down from a number that its end tells.
        next: Option<i64>,
        counts_down: bool,
        way: Way,
        /// Items so far.
        items: i64,
        /// Where the list stands among those that count down, if it does.
        place: usize,
    },
}

/// How numbers are written.
#[derive(Clone, Copy, PartialEq)]
pub enum Way {
    Digits,
    Letters { capital: bool },
    Roman { capital: bool },
}

/// Numbers that are not known until their list ends.
#[derive(Default)]
pub struct Owed {
    /// For each list that counts down, its items.
    items: Vec<i64>,
    /// Where each number goes into the text, of which list, and how many items come before it there.
    numbers: Vec<(usize, usize, i64, Way)>,
}

impl Page {
    pub(super) fn open_list(&mut self, tag: &Tag) {
        if self.lists.is_empty() {
            self.gap();
        }
        if self.lists.len() >= LISTS {
            return;
        }
        let list = if &*tag.name == "ol" { self.numbers(tag) } else { List::Bullets };
        self.lists.push(list);
    }

    fn numbers(&mut self, tag: &Tag) -> List {
        let counts_down = attribute(tag, "reversed").is_some();
        let start = attribute(tag, "start").and_then(|start| start.parse().ok());
        let way = match attribute(tag, "type").as_deref() {
            Some("a") => Way::Letters { capital: false },
            Some("A") => Way::Letters { capital: true },
            Some("i") => Way::Roman { capital: false },
            Some("I") => Way::Roman { capital: true },
            _ => Way::Digits,
        };
        let place = self.owed.items.len();
        if counts_down {
            self.owed.items.push(0);
        }
        List::Numbers { next: start.or((!counts_down).then_some(1)), counts_down, way, items: 0, place }
    }

    pub(super) fn item(&mut self, tag: &Tag) {
        self.line();
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(DEEPEST));
        self.push_raw(&indent);
        let may_owe = !self.in_cell && self.preformatted == 0 && self.owed.numbers.len() < MOST_OWED;
        let Some(List::Numbers { next, counts_down, way, items, place }) = self.lists.last_mut() else {
            return self.push_raw("- ");
        };
        *next = attribute(tag, "value").and_then(|value| value.parse().ok()).or(*next);
        let (number, way, place, before) = (*next, *way, *place, *items);
        let step = if *counts_down { -1 } else { 1 };
        *next = number.map(|number| number.saturating_add(step));
        *items += 1;
        if *counts_down && let Some(all) = self.owed.items.get_mut(place) {
            *all = *items;
        }
        match number {
            Some(number) => {
                let is_item = way == Way::Digits && (0..=LARGEST).contains(&number);
                self.push_raw(&format!("{}{}. ", if is_item { "" } else { "- " }, written(number, way)));
            }
            None if !may_owe => self.push_raw("- "),
            None => {
                if way != Way::Digits {
                    self.push_raw("- ");
                }
                self.owed.numbers.push((self.out.len(), place, before, way));
                self.push_raw(". ");
            }
        }
    }
}

impl Page {
    /// An item that is a term.
    pub(super) fn term(&mut self, tag: &Tag) {
        self.item(tag);
        self.term = Some(self.target().len());
    }

    /// What a term means, on its line: `- term: what it means`.
    pub(super) fn definition(&mut self, tag: &Tag) {
        let (term, in_list) = (self.term.take(), !self.lists.is_empty());
        let out = self.target();
        let end = out.trim_end().len();
        match term.map(|term| out.get(term..end).unwrap_or_default()) {
            Some("") => {}
            Some(text) if !text.contains('\n') => {
                out.truncate(end);
                out.push_str(": ");
            }
            None if in_list && end > 0 && !out.ends_with('\n') => {
                out.truncate(end);
                out.push_str("; ");
            }
            _ => self.item(tag),
        }
    }
}

impl Owed {
    /// The text with the numbers that it is owed.
    pub fn paid(self, text: String) -> String {
        if self.numbers.is_empty() {
            return text;
        }
        let mut out = String::with_capacity(text.len() + 4 * self.numbers.len());
        let mut from = 0;
        for (at, list, before, way) in self.numbers {
            out.push_str(text.get(from..at).unwrap_or_default());
            let all = self.items.get(list).copied().unwrap_or(0);
            out.push_str(&written(all.saturating_sub(before), way));
            from = at;
        }
        out.push_str(text.get(from..).unwrap_or_default());
        out
    }
}

/// A number, in digits where its way has none for it.
fn written(number: i64, way: Way) -> String {
    let in_case = |text: String, capital: bool| if capital { text.to_uppercase() } else { text.to_lowercase() };
    match (way, u64::try_from(number)) {
        (Way::Letters { capital }, Ok(number)) => in_case(numerals::letters(number), capital),
        (Way::Roman { capital }, Ok(number)) => in_case(numerals::roman(number), capital),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::html::extract;

    #[test]
    fn items_have_the_numbers_that_readers_see() {
        for (page, expected) in [
            ("<ol start=4><li>x<li value=9>y<li>z</ol>", "4. x\n9. y\n10. z"),
            ("<ol type=a start=26><li>x<li>y</ol>", "- z. x\n- aa. y"),
            ("<ol type=I><li>x<li>y<ol type=i start=9><li>z</ol></ol>", "- I. x\n- II. y\n  - ix. z"),
            ("<ol reversed><li>x<li>y<ol reversed><li>w</ol><li>z</ol>", "3. x\n2. y\n  1. w\n1. z"),
            ("<ol reversed type=A><li>x<li value=9>y<li>z</ol>", "- C. x\n- I. y\n- H. z"),
            ("<ol reversed start=2><li>x<li>y<li>z<li>n</ol>", "2. x\n1. y\n0. z\n- -1. n"),
            ("<ol start=nine><li>x</ol><ol start=99999999999999999999><li>y</ol>", "1. x\n\n1. y"),
        ] {
            assert_eq!(extract(page).content, expected, "{page}");
        }
    }
}
