//! How text is split: along its structure, into pieces that the embedding model can read whole.
//!
//! Pure and infallible. A chunk is a range of bytes of the text, so it reproduces itself; chunks do not overlap,
//! and no text but white space lies between them. A chunk never spans two sections, a code block or table stays
//! whole where it fits, and what does not fit is split at the largest boundary that helps: items and rows,
//! sentences, words.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::extract::Structure;
use crate::text;

/// Bytes of a heading that are kept in a path.
const LONGEST_HEADING: usize = 160;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub range: Range<usize>,
    /// The headings it stands under, outermost first.
    pub heading_path: Vec<String>,
    pub tokens: usize,
}

/// How large a chunk gets, in tokens.
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
}

/// Splits `text`.
pub fn chunk(text: &str, structure: Structure, budget: Budget, tokens: &dyn Tokens) -> Vec<Piece> {
    let cutter = Cutter { text, budget, tokens };
    let mut pieces = Vec::new();
    // A section that is a heading alone goes with the one that follows.
    let mut carried: Option<usize> = None;
    for section in covering(sections(text, structure), text.len()) {
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

struct Section {
    heading_path: Vec<String>,
    blocks: Vec<Block>,
}

struct Block {
    range: Range<usize>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Heading,
    Text,
    List,
    /// Rows or lines that belong together.
    Whole,
}

/// The text as sections of blocks, in order.
fn sections(text: &str, structure: Structure) -> Vec<Section> {
    match structure {
        Structure::Plain => vec![Section { heading_path: Vec::new(), blocks: paragraphs(text, Kind::Text) }],
        Structure::Code => vec![Section { heading_path: Vec::new(), blocks: paragraphs(text, Kind::Whole) }],
        Structure::Markdown => markdown_sections(text),
    }
}

/// Lets every block reach to the next one: what no block claimed, a link's definition say, goes with the one before.
fn covering(mut sections: Vec<Section>, end: usize) -> Vec<Section> {
    let mut next = end;
    for block in sections.iter_mut().rev().flat_map(|section| section.blocks.iter_mut().rev()) {
        block.range.end = next;
        next = block.range.start;
    }
    if let Some(first) = sections.iter_mut().flat_map(|section| section.blocks.iter_mut()).next() {
        first.range.start = 0;
    } else if end > 0 {
        sections.push(Section { heading_path: Vec::new(), blocks: vec![Block { range: 0..end, kind: Kind::Text }] });
    }
    sections
}

/// What blank lines part. Of a program, only those before a line that is not indented: there a new thing begins.
fn paragraphs(text: &str, kind: Kind) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Range<usize>> = None;
    let mut parted = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let range = at..at + line.len();
        at = range.end;
        let is_blank = line.trim().is_empty();
        if is_blank && kind == Kind::Text || parted && !is_blank && !line.starts_with(char::is_whitespace) {
            blocks.extend(open.take().map(|range| Block { range, kind }));
        }
        if !is_blank {
            open = Some(open.map_or(range.start, |o| o.start)..range.end);
        }
        parted = is_blank;
    }
    blocks.extend(open.map(|range| Block { range, kind }));
    blocks
}

fn markdown_sections(text: &str) -> Vec<Section> {
    let mut sections = vec![Section { heading_path: Vec::new(), blocks: Vec::new() }];
    let mut path: Vec<(HeadingLevel, String)> = Vec::new();
    let mut depth = 0usize;
    let mut heading: Option<String> = None;
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                depth += 1;
                if depth > 1 {
                    continue;
                }
                let kind = match tag {
                    Tag::Heading { .. } => {
                        heading = Some(String::new());
                        sections.push(Section { heading_path: Vec::new(), blocks: Vec::new() });
                        Kind::Heading
                    }
                    Tag::CodeBlock(_) | Tag::Table(_) => Kind::Whole,
                    Tag::List(_) => Kind::List,
                    _ => Kind::Text,
                };
                push_block(&mut sections, Block { range, kind });
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                if let TagEnd::Heading(level) = end
                    && depth == 0
                {
                    let title = heading.take().unwrap_or_default();
                    path.retain(|(outer, _)| *outer < level);
                    path.push((level, shorten(title.trim())));
                    if let Some(section) = sections.last_mut() {
                        section.heading_path = path.iter().map(|(_, t)| t.clone()).filter(|t| !t.is_empty()).collect();
                    }
                }
            }
            Event::Text(t) | Event::Code(t) => {
                if let Some(title) = &mut heading {
                    title.push_str(&t);
                }
            }
            // Rules and raw HTML between blocks are text like any other.
            _ if depth == 0 => push_block(&mut sections, Block { range, kind: Kind::Text }),
            _ => {}
        }
    }
    sections
}

fn push_block(sections: &mut [Section], block: Block) {
    if let Some(section) = sections.last_mut() {
        section.blocks.push(block);
    }
}

fn shorten(heading: &str) -> String {
    let mut end = heading.len().min(LONGEST_HEADING);
    while !heading.is_char_boundary(end) {
        end -= 1;
    }
    heading.get(..end).unwrap_or_default().to_owned()
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
}

impl Cutter<'_> {
    fn cut(&self, section: &Section, start: Option<usize>, pieces: &mut Vec<Piece>) {
        let mut units = Vec::new();
        for (position, block) in section.blocks.iter().enumerate() {
            let begin = start.filter(|_| position == 0).unwrap_or(block.range.start);
            self.split(begin..block.range.end, block.kind, &mut units);
        }
        let first = pieces.len();
        let mut open: Option<Unit> = None;
        for unit in units {
            open = Some(match open {
                None => unit,
                Some(o) if o.tokens + unit.tokens <= self.budget.target => {
                    Unit { range: o.range.start..unit.range.end, tokens: o.tokens + unit.tokens }
                }
                Some(full) => {
                    self.push(full, section, pieces);
                    unit
                }
            });
        }
        let Some(tail) = open else { return };
        match pieces.get_mut(first..).and_then(|own| own.last_mut()) {
            // A short remainder says little by itself.
            Some(last) if tail.tokens < self.budget.target / 4 && last.tokens + tail.tokens <= self.budget.most => {
                last.range.end = trimmed(self.text, tail.range.clone()).end;
                last.tokens += tail.tokens;
            }
            _ => self.push(tail, section, pieces),
        }
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
        // No token is shorter than a byte, and counting a very long text only to split it would be waste.
        let tokens = if slice.len() > 64 * self.budget.most { usize::MAX } else { self.tokens.count(slice) };
        let fits = if kind == Kind::Whole { self.budget.most } else { self.budget.target };
        if tokens <= fits {
            units.push(Unit { range, tokens });
            return;
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

    /// Cuts a run without any boundary between tokens, never inside a character.
    fn split_words(&self, range: Range<usize>, units: &mut Vec<Unit>) {
        let mut start = range.start;
        while start < range.end {
            // A window is enough to fill a chunk; tokens seldom are longer than a few dozen bytes.
            let mut end = range.end.min(start + 64 * self.budget.most);
            while !self.text.is_char_boundary(end) {
                end -= 1;
            }
            let slice = self.text.get(start..end).unwrap_or_default();
            let offsets = self.tokens.offsets(slice);
            let cut = offsets.get(self.budget.target).map(|(first, _)| *first).filter(|cut| *cut > 0);
            let cut = cut.map(|at| last_space(slice, at).unwrap_or(at));
            let mut cut = cut.unwrap_or(slice.len());
            while !slice.is_char_boundary(cut) {
                cut += 1;
            }
            if cut == 0 {
                break;
            }
            let tokens = offsets.iter().filter(|(first, _)| *first < cut).count();
            units.push(Unit { range: start..start + cut, tokens });
            start += cut;
        }
    }
}

/// The end of the last white space in the second half of `text[..at]`: words stay whole where there are words.
fn last_space(text: &str, at: usize) -> Option<usize> {
    let head = text.get(..at)?;
    let (space, c) = head.char_indices().rev().find(|(_, c)| c.is_whitespace())?;
    (space + c.len_utf8() > at / 2).then_some(space + c.len_utf8())
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
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
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
