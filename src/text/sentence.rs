//! Where sentences begin and end, by Unicode's rules (UAX #29) with the usual abbreviations minded.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Words with a full stop that ends no sentence.
const ABBREVIATIONS: &[&str] = &[
    "dr", "mr", "mrs", "ms", "prof", "st", "no", "nr", "vs", "etc", "e.g", "i.e", "approx", "fig", "dept", "inc",
    "ltd", "co", "corp", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "z.b",
    "d.h", "u.a", "bzw", "ca", "ggf", "evtl", "str", "tel", "abs", "art", "u.s", "p", "pp", "vol", "gen", "sen", "rep",
    "gov",
];

/// Abbreviations that a sentence often ends in: legal forms.
const CLOSING: &[&str] = &["inc", "ltd", "co", "corp"];
/// Words that begin a sentence after one of those, where a name would go on with it.
const OPENING: &[&str] = &[
    "the", "a", "an", "he", "she", "it", "they", "we", "this", "that", "these", "its", "his", "her", "their", "in",
    "on", "at", "since", "after", "before", "when", "but", "however", "there", "as", "for", "if",
];

/// The sentences of `text`, in order, without the white space around them.
///
/// Blank lines, headings, list items and table rows end a sentence; a single line break inside a paragraph does not.
pub fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for block in blocks(text) {
        let Some(slice) = text.get(block.clone()) else { continue };
        // UAX #29 breaks at every line feed; a hard-wrapped paragraph must not. Both are one byte long.
        let joined = slice.replace(['\n', '\r'], " ");
        let mut pending: Option<usize> = None;
        for (at, piece) in joined.split_sentence_bound_indices() {
            let start = pending.unwrap_or(at);
            let end = at + piece.len();
            let (sentence, rest) = (joined.get(start..end).unwrap_or_default(), joined.get(end..).unwrap_or_default());
            let is_short = ends_in_abbreviation(sentence) || numbers_something(sentence, rest);
            if is_short && !rest.is_empty() && !begins_after_form(sentence, rest) {
                pending = Some(start);
                continue;
            }
            pending = None;
            push_trimmed(&joined, start..end, block.start, &mut found);
        }
    }
    found
}

fn push_trimmed(text: &str, range: Range<usize>, offset: usize, found: &mut Vec<Range<usize>>) {
    let piece = text.get(range.clone()).unwrap_or_default();
    let start = range.start + (piece.len() - piece.trim_start().len());
    let end = start + piece.trim().len();
    if start < end {
        found.push(offset + start..offset + end);
    }
}

fn ends_in_abbreviation(sentence: &str) -> bool {
    let Some(body) = sentence.trim_end().strip_suffix('.') else { return false };
    let word = body.rsplit(|c: char| c.is_whitespace() || c == '(').next().unwrap_or_default();
    let is_initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase);
    let is_number = sentence.trim_start().len() == word.len() + 1 && word.chars().all(|c| c.is_ascii_digit());
    is_initial || is_number || ABBREVIATIONS.contains(&word.to_lowercase().as_str())
}

/// Whether the stop is that of a short word before a number: "Ext. 402", "Bldg. 7".
fn numbers_something(sentence: &str, rest: &str) -> bool {
    const LONGEST: usize = 5;
    let word =
        sentence.trim_end().trim_end_matches('.').rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    rest.starts_with(|c: char| c.is_ascii_digit())
        && word.chars().count() <= LONGEST
        && word.starts_with(char::is_uppercase)
}

/// Whether a sentence that ends in a legal form is followed by another.
fn begins_after_form(sentence: &str, rest: &str) -> bool {
    let last = sentence.trim_end().trim_end_matches('.').rsplit(char::is_whitespace).next().unwrap_or_default();
    let next: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
    next.starts_with(char::is_uppercase)
        && CLOSING.contains(&last.to_lowercase().as_str())
        && OPENING.contains(&next.to_lowercase().as_str())
}

/// Runs of lines that belong together.
fn blocks(text: &str) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    let mut open: Option<Range<usize>> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let range = at..at + line.len();
        at = range.end;
        let trimmed = line.trim();
        let alone = trimmed.starts_with('#') || trimmed.starts_with('|');
        if trimmed.is_empty() || alone || starts_item(trimmed) {
            blocks.extend(open.take());
        }
        if alone {
            blocks.push(range);
        } else if !trimmed.is_empty() {
            open = Some(open.map_or(range.start, |o| o.start)..range.end);
        }
    }
    blocks.extend(open);
    blocks
}

fn starts_item(line: &str) -> bool {
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with("- ")
        || line.starts_with("* ")
        || line.starts_with("+ ")
        || (digits.len() < line.len() && (digits.starts_with(". ") || digits.starts_with(") ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(text: &str) -> Vec<&str> {
        sentences(text).into_iter().map(|r| &text[r]).collect()
    }

    #[test]
    fn abbreviations_and_wrapped_lines_stay_in_their_sentence() {
        assert_eq!(cut("Ask Dr. Vale first. Then\ncall 112."), ["Ask Dr. Vale first.", "Then\ncall 112."]);
        assert_eq!(cut("J. Smith left. He went."), ["J. Smith left.", "He went."]);
        assert_eq!(cut("Call Ext. 402. It is in Bldg. 7."), ["Call Ext. 402.", "It is in Bldg. 7."]);
        assert_eq!(
            cut("He leads Acme Corp. The firm grew. It left in 2019."),
            ["He leads Acme Corp.", "The firm grew.", "It left in 2019."]
        );
    }

    #[test]
    fn headings_items_and_rows_stand_alone() {
        let text = "# Title\nOne two.\n- first\n- second\n| a | b |\n\nLast";
        assert_eq!(cut(text), ["# Title", "One two.", "- first", "- second", "| a | b |", "Last"]);
    }

    #[test]
    fn full_width_stops_end_sentences() {
        assert_eq!(cut("面会は十時からです。静かにしてください。"), ["面会は十時からです。", "静かにしてください。"]);
    }

    proptest! {
        #[test]
        fn sentences_are_disjoint_and_lose_only_white_space(text in "[a-zA-Z0-9 .!?\\n#|\\-äß東。]{0,120}") {
            let found = sentences(&text);
            let kept: String = found.iter().map(|r| &text[r.clone()]).collect();
            let letters = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&kept), letters(&text));
            prop_assert!(found.windows(2).all(|w| w[0].end <= w[1].start));
        }
    }
}
