//! How text is split: along its structure, into pieces that the embedding model can read whole.
//!
//! Pure and infallible. A chunk is a range of bytes of the text, so it reproduces itself; chunks do not overlap,
//! and no text but white space lies between them. A chunk never spans two sections, a code block or table stays
//! whole where it fits, and what does not fit is split at the largest boundary that helps: items and rows,
//! sentences, words. A text is as large as its tokens, or as its letters where it has few tokens for them.

use std::ops::Range;

use super::sections::{Block, Kind, Section, sections};
use crate::extract::Structure;
use crate::text;

/// Characters, and bytes with all white space, that one token speaks for at most: words that are longer than those that
/// a model knows are one unknown token to it, however long they are.
const CHARACTERS: usize = 8;
const BYTES: usize = 64;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub range: Range<usize>,
    /// The headings it stands under, outermost first.
    pub heading_path: Vec<String>,
    pub tokens: usize,
}

/// How large a chunk gets, in the weight of [`Tokens::weigh`].
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// What a chunk aims at.
    pub target: usize,
    /// What none exceeds.
    pub most: usize,
}

/// What counts tokens: the embedding model's tokenizer.
pub trait Tokens {
    /// Tokens of a text.
    fn count(&self, text: &str) -> usize;
    /// Where each token of a text begins and ends, in bytes.
    fn offsets(&self, text: &str) -> Vec<(usize, usize)>;

    /// How large a text is: its tokens, or what it has letters for.
    fn weigh(&self, text: &str) -> usize {
        weight(text, self.count(text))
    }
}

/// The weight of a text of so many tokens.
fn weight(text: &str, tokens: usize) -> usize {
    weighed(tokens, letters(text), text.len())
}

fn weighed(tokens: usize, letters: usize, bytes: usize) -> usize {
    tokens.max(letters.div_ceil(CHARACTERS)).max(bytes.div_ceil(BYTES))
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| !c.is_whitespace()).count()
}

/// Splits `text`.
pub fn chunk(text: &str, structure: Structure, budget: Budget, tokens: &dyn Tokens) -> Vec<Piece> {
    let cutter = Cutter { text, budget, tokens };
    let mut pieces = Vec::new();
    // A section that is a heading alone goes with the one that follows.
    let mut carried: Option<usize> = None;
    for section in sections(text, structure) {
        let has_body = section.blocks.iter().any(|block| block.kind != Kind::Heading);
        let start = carried.take().or(section.blocks.first().map(|b| b.range.start));
        if !has_body {
            carried = start;
            continue;
        }
        cutter.cut(&section, start, &mut pieces);
    }
    if let Some(start) = carried {
        let blocks = vec![Block { range: start..text.len(), kind: Kind::Text }];
        let heading_path = pieces.last().map(|p: &Piece| p.heading_path.clone()).unwrap_or_default();
        cutter.cut(&Section { heading_path, blocks }, None, &mut pieces);
    }
    pieces
}

struct Cutter<'a> {
    text: &'a str,
    budget: Budget,
    tokens: &'a dyn Tokens,
}

/// A stretch of text with its size, on its way into a chunk.
struct Unit {
    range: Range<usize>,
    tokens: usize,
    letters: usize,
}

impl Unit {
    /// Takes in the one that follows.
    fn append(&mut self, next: Unit) {
        self.range.end = next.range.end;
        self.tokens += next.tokens;
        self.letters += next.letters;
    }

    fn weight(&self) -> usize {
        weighed(self.tokens, self.letters, self.range.len())
    }

    /// The weight of both, were they one.
    fn weight_with(&self, next: &Unit) -> usize {
        weighed(self.tokens + next.tokens, self.letters + next.letters, next.range.end - self.range.start)
    }
}

impl Cutter<'_> {
    fn cut(&self, section: &Section, start: Option<usize>, pieces: &mut Vec<Piece>) {
        let mut units = Vec::new();
        for (position, block) in section.blocks.iter().enumerate() {
            let begin = start.filter(|_| position == 0).unwrap_or(block.range.start);
            self.split(begin..block.range.end, block.kind, &mut units);
        }
        let mut full: Vec<Unit> = Vec::new();
        for unit in units {
            match full.last_mut() {
                Some(open) if open.weight_with(&unit) <= self.budget.target => open.append(unit),
                _ => full.push(unit),
            }
        }
        // A short remainder says little by itself.
        if let [.., last, tail] = full.as_slice()
            && tail.weight() < self.budget.target / 4
            && last.weight_with(tail) <= self.budget.most
            && let Some(tail) = full.pop()
            && let Some(last) = full.last_mut()
        {
            last.append(tail);
        }
        full.into_iter().for_each(|unit| self.push(unit, section, pieces));
    }

    fn push(&self, unit: Unit, section: &Section, pieces: &mut Vec<Piece>) {
        let range = trimmed(self.text, unit.range);
        if !range.is_empty() {
            pieces.push(Piece { range, heading_path: section.heading_path.clone(), tokens: unit.tokens });
        }
    }

    /// Adds `range` as one unit where it fits, else its parts.
    fn split(&self, range: Range<usize>, kind: Kind, units: &mut Vec<Unit>) {
        let slice = self.text.get(range.clone()).unwrap_or_default();
        if slice.trim().is_empty() {
            return;
        }
        let fits = if kind == Kind::Whole { self.budget.most } else { self.budget.target };
        // Counting the tokens of a very long text only to split it would be waste.
        if weight(slice, 0) <= fits {
            let tokens = self.tokens.count(slice);
            if weight(slice, tokens) <= fits {
                units.push(Unit { range, tokens, letters: letters(slice) });
                return;
            }
        }
        let parts = match kind {
            Kind::Whole => lines(slice, |_| true),
            Kind::List => lines(slice, is_item),
            Kind::Heading | Kind::Text => stretched(slice, &text::sentences(slice)),
        };
        if parts.len() > 1 {
            let inner = if kind == Kind::Whole { Kind::Whole } else { Kind::Text };
            for part in parts {
                self.split(range.start + part.start..range.start + part.end, inner, units);
            }
        } else if kind == Kind::Whole || kind == Kind::List {
            self.split(range, Kind::Text, units);
        } else {
            self.split_words(range, units);
        }
    }

    /// Cuts a run without any larger boundary between words, else between tokens, never inside a character.
    fn split_words(&self, range: Range<usize>, units: &mut Vec<Unit>) {
        let mut start = range.start;
        while start < range.end {
            // A window is enough to fill a chunk.
            let end = self.text.floor_char_boundary(range.end.min(start + BYTES * self.budget.target.max(1)));
            let window = self.text.get(start..end).unwrap_or_default();
            let slice =
                window.get(..text::after_letters(window, CHARACTERS * self.budget.target.max(1))).unwrap_or(window);
            let offsets = self.tokens.offsets(slice);
            let full = offsets.get(self.budget.target).map(|(first, _)| *first).filter(|cut| *cut > 0);
            let full = full.map_or(slice.len(), |cut| slice.ceil_char_boundary(cut));
            let is_rest = start + full == range.end;
            let cut = if is_rest { full } else { text::boundary(window, full) };
            if cut == 0 {
                break;
            }
            let tokens = offsets.iter().filter(|(first, _)| *first < cut).count();
            let letters = letters(slice.get(..cut).unwrap_or_default());
            units.push(Unit { range: start..start + cut, tokens, letters });
            start += cut;
        }
    }
}

/// Lines of `text`, each group beginning with one that `begins` a group.
fn lines(text: &str, begins: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        match groups.last_mut() {
            Some(group) if !begins(line) => group.end = end,
            _ => groups.push(at..end),
        }
        at = end;
    }
    groups
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with(['-', '*', '+']) || (rest.len() < line.len() && rest.starts_with(['.', ')']))
}

/// Sentences stretched over the white space that follows them, so that nothing lies between.
fn stretched(text: &str, sentences: &[Range<usize>]) -> Vec<Range<usize>> {
    let starts = sentences.iter().map(|s| s.start).skip(1).chain([text.len()]);
    let mut from = 0;
    let stretch = |next| {
        let range = from..next;
        from = next;
        range
    };
    starts.map(stretch).filter(|range| !range.is_empty()).collect()
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let slice = text.get(range.clone()).unwrap_or_default();
    let start = range.start + (slice.len() - slice.trim_start().len());
    start..start + slice.trim().len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    use super::*;

    /// A token is a run of four bytes at most without white space: enough to exercise every path.
    struct Fours;

    impl Tokens for Fours {
        fn count(&self, text: &str) -> usize {
            self.offsets(text).len()
        }

        fn offsets(&self, text: &str) -> Vec<(usize, usize)> {
            let mut found = Vec::new();
            let mut open: Option<usize> = None;
            for (at, c) in text.char_indices() {
                if let Some(start) = open
                    && (c.is_whitespace() || at - start >= 4)
                {
                    found.push((start, at));
                    open = None;
                }
                if open.is_none() && !c.is_whitespace() {
                    open = Some(at);
                }
            }
            found.extend(open.map(|start| (start, text.len())));
            found
        }
    }

    const BUDGET: Budget = Budget { target: 12, most: 20 };

    fn cut(text: &str, structure: Structure) -> Vec<(&str, String)> {
        chunk(text, structure, BUDGET, &Fours).into_iter().map(|p| (&text[p.range], p.heading_path.join("/"))).collect()
    }

    #[test]
    fn chunks_follow_headings() {
        let text = "intro\n\n# A\n\n## B\n\nbody of b\n\n## C *d*\n\nbody of c\n";
        let expected = [("intro", ""), ("# A\n\n## B\n\nbody of b", "A/B"), ("## C *d*\n\nbody of c", "A/C d")];
        assert_eq!(cut(text, Structure::Markdown), expected.map(|(t, p)| (t, p.to_owned())));
    }

    #[test]
    fn a_table_that_fits_the_window_stays_whole() {
        let table = "| a | b |\n| --- | --- |\n| 1 | 2 |";
        assert!((BUDGET.target + 1..=BUDGET.most).contains(&Fours.count(table)));
        let text = format!("para one\n\n{table}\n\npara two which is rather long, as it goes");
        assert_eq!(cut(&text, Structure::Markdown)[1].0, table);
    }

    #[test]
    fn a_heading_alone_is_kept() {
        assert_eq!(cut("# Only", Structure::Markdown), [("# Only", String::new())]);
    }

    #[test]
    fn long_runs_are_cut_at_words_and_in_scripts_without_them() {
        let words = "word ".repeat(60);
        assert!(cut(&words, Structure::Plain).iter().all(|(t, _)| t.starts_with("word") && t.ends_with("word")));
        let han = "漢".repeat(300);
        assert_eq!(cut(&han, Structure::Plain).iter().map(|(t, _)| *t).collect::<String>(), han);
    }

    /// A token is what white space parts, of any length, as a word is that a model does not know.
    struct Runs;

    impl Tokens for Runs {
        fn count(&self, text: &str) -> usize {
            text.split_whitespace().count()
        }

        fn offsets(&self, text: &str) -> Vec<(usize, usize)> {
            let at = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
            text.split_whitespace().map(|part| (at(part), at(part) + part.len())).collect()
        }
    }

    #[test]
    fn text_without_spaces_is_cut_between_words_or_characters_as_people_see_them() {
        let cut = |text: &str| -> Vec<String> {
            let pieces = chunk(text, Structure::Plain, BUDGET, &Runs);
            pieces.into_iter().map(|piece| text[piece.range].to_owned()).collect()
        };
        let thai = "ผู้ป่วยเข้ารับการรักษาในวันที่ห้ามีนาคม".repeat(30);
        let found = cut(&thai);
        assert_eq!(found.concat(), thai);
        assert!(found.len() > 5 && found.iter().all(|part| part.chars().count() <= CHARACTERS * BUDGET.most));
        let whole: Vec<&str> = thai.graphemes(true).collect();
        let again: Vec<&str> = found.iter().flat_map(|part| part.graphemes(true)).collect();
        assert_eq!(again, whole);
        let dotted = "token_of_words/".repeat(60);
        assert!(cut(&dotted).iter().skip(1).all(|part| part.starts_with("token") || part.starts_with('/')));
        let digits = "0123456789abcdef".repeat(5_000);
        let found = cut(&digits);
        assert_eq!(found.concat(), digits);
        assert!(found.iter().all(|part| part.len() <= CHARACTERS * BUDGET.most));
    }

    #[test]
    fn short_lines_together_weigh_what_they_are() {
        let text = "abcdefghijklmno\n\n".repeat(24);
        let pieces = chunk(&text, Structure::Plain, BUDGET, &Runs);
        assert!(pieces.iter().all(|piece| Runs.weigh(&text[piece.range.clone()]) <= BUDGET.most), "{pieces:?}");
        assert!(pieces.len() < 24, "they are put together");
    }

    proptest! {
        #[test]
        fn a_chunk_of_unknown_words_is_bounded(text in "[a-zกาำ้漢é\u{301}👩\u{200D}🏽 .\\n]{0,3000}") {
            let pieces = chunk(&text, Structure::Plain, BUDGET, &Runs);
            let written = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert!(pieces.iter().all(|piece| Runs.weigh(&text[piece.range.clone()]) <= BUDGET.most));
            let kept: String = pieces.iter().map(|piece| written(&text[piece.range.clone()])).collect();
            prop_assert_eq!(kept, written(&text));
        }

        #[test]
        fn chunks_keep_order_size_and_every_letter(text in "[a-z# \\n.|`*\\-0-9äß東。\\[\\]:<>]{0,400}", plain: bool) {
            let format = if plain { Structure::Plain } else { Structure::Markdown };
            let pieces = chunk(&text, format, BUDGET, &Fours);
            let mut kept = String::new();
            let mut last = 0;
            for piece in &pieces {
                prop_assert!(piece.range.start >= last);
                last = piece.range.end;
                let slice = text.get(piece.range.clone());
                prop_assert!(slice.is_some_and(|s| !s.is_empty() && s.trim() == s));
                prop_assert!(Fours.count(&text[piece.range.clone()]) <= BUDGET.most, "{:?}", &text[piece.range.clone()]);
                kept.push_str(&text[piece.range.clone()]);
            }
            let letters = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            prop_assert_eq!(letters(&kept), letters(&text));
        }
    }
}
