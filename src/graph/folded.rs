//! Words found in a text whatever the white space between them. Pure.

use std::ops::Range;

use crate::text;

/// With one space in place of each stretch of white space.
pub fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text with its white space folded, and where each byte of that stands in it.
pub struct Folded {
    text: String,
    /// One more than there are bytes.
    places: Vec<usize>,
}

impl Folded {
    pub fn new(original: &str) -> Self {
        let (mut text, mut places) = (String::with_capacity(original.len()), Vec::with_capacity(original.len() + 1));
        for (at, c) in original.char_indices() {
            if !c.is_whitespace() {
                text.push(c);
                places.extend(at..at + c.len_utf8());
            } else if !text.ends_with(' ') {
                text.push(' ');
                places.push(at);
            }
        }
        places.push(original.len());
        Folded { text, places }
    }

    /// Where `words` stand in the original, as whole words.
    pub fn find(&self, words: &str) -> impl Iterator<Item = Range<usize>> {
        let words = folded(words);
        let found: Vec<Range<usize>> = match words.is_empty() {
            true => Vec::new(),
            false => self.text.match_indices(&words).filter_map(|(at, _)| self.place(at..at + words.len())).collect(),
        };
        found.into_iter()
    }

    fn place(&self, range: Range<usize>) -> Option<Range<usize>> {
        let (before, after) = (self.text.get(..range.start)?, self.text.get(range.end..)?);
        let inside = self.text.get(range.clone())?;
        let is_cut = |left: Option<char>, right: Option<char>| match (left, right) {
            (Some(left), Some(right)) => [left, right].iter().all(|c| c.is_alphanumeric() && !text::is_unspaced(*c)),
            _ => false,
        };
        let cut = is_cut(before.chars().next_back(), inside.chars().next())
            || is_cut(inside.chars().next_back(), after.chars().next());
        // The end is that of the last byte, so that no white space behind it comes along.
        let end = self.places.get(range.end.checked_sub(1)?)? + 1;
        (!cut).then_some(*self.places.get(range.start)?..end)
    }
}
