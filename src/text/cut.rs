//! Where a text without larger boundaries is cut: between words, by Unicode's rules (UAX #29), or characters.

use unicode_segmentation::UnicodeSegmentation;

/// Bytes around a cut in which a better place for it is looked for.
const AROUND: usize = 256;

/// Where to cut `text` at byte `at` or before: after white space, where a word begins, or between characters as people
/// see them; just there where there is none of these near.
pub fn boundary(text: &str, at: usize) -> usize {
    if let Some(space) = last_space(text, at) {
        return space;
    }
    let from = text.ceil_char_boundary(at.saturating_sub(AROUND));
    let near = text.get(from..text.floor_char_boundary(at + AROUND)).unwrap_or_default();
    let last = |begins: &mut dyn Iterator<Item = (usize, &str)>| {
        begins.map(|(begin, _)| from + begin).skip(1).take_while(|begin| *begin <= at).last()
    };
    let word = last(&mut near.split_word_bound_indices());
    word.or_else(|| last(&mut near.grapheme_indices(true))).unwrap_or(at)
}

/// The byte after which `text` has more than so many characters beside white space, or its end.
pub fn after_letters(text: &str, letters: usize) -> usize {
    let mut found = text.char_indices().filter(|(_, c)| !c.is_whitespace());
    found.nth(letters).map_or(text.len(), |(at, _)| at)
}

/// The end of the last white space in the second half of `text[..at]`: words stay whole where there are words.
fn last_space(text: &str, at: usize) -> Option<usize> {
    let head = text.get(..at)?;
    let (space, c) = head.char_indices().rev().find(|(_, c)| c.is_whitespace())?;
    (space + c.len_utf8() > at / 2).then_some(space + c.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_falls_between_words_and_else_between_characters() {
        assert_eq!(boundary("some words here", 12), 11);
        assert_eq!(boundary("a/path/of/words", 13), 10);
        assert_eq!(boundary("漢字仮名", 6), 6);
        assert_eq!(boundary("abcdefgh", 5), 5);
        let accents = "e\u{301}".repeat(100);
        assert_eq!(boundary(&accents, 100), 99);
        assert_eq!(boundary(&format!("e{}", "\u{301}".repeat(400)), 701), 701);
        assert_eq!([2, 9].map(|letters| after_letters("a b c", letters)), [4, 5]);
    }
}
