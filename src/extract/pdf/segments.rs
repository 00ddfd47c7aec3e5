//! Letters made into stretches of a line: what stands so close together that it is read on.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{compose, is_combining_mark};

use super::glyphs::Letter;

/// Narrowest gap between words, in sizes of their letters.
const SPACE: f64 = 0.15;
/// Widest gap that is read across between letters that are drawn one after the other, in their sizes.
const REACH: f64 = 0.9;
/// The same between those that are not, for they may stand in two columns.
const NEAR: f64 = 0.5;

/// A stretch of a line, or a table that stands in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    pub text: String,
    pub left: f64,
    pub right: f64,
    /// Where its second word begins.
    pub second: Option<f64>,
    pub top: f64,
    pub baseline: f64,
    pub size: f64,
    pub is_bold: bool,
    /// All of it in letters of one width.
    pub is_monospaced: bool,
    pub is_furniture: bool,
    /// Rows of cells, where this is a table.
    pub table: Option<Vec<Vec<String>>>,
}

/// The stretches of letters, from the top down, those of one line from left to right.
pub fn segments(letters: Vec<Letter>) -> Vec<Segment> {
    let mut found: Vec<Open> = Vec::new();
    for letter in letters {
        match found.last_mut() {
            Some(last) if last.takes(&letter) => last.push(letter),
            _ if letter.char == ' ' => {}
            _ => found.push(Open::new(letter)),
        }
    }
    let mut parts: Vec<Segment> = found.into_iter().filter_map(Open::close).collect();
    // What was drawn piece by piece, in whatever order, is put together.
    let mut whole = Vec::with_capacity(parts.len());
    for row in rows(&mut parts) {
        let mut open: Option<Segment> = None;
        for part in row {
            match &mut open {
                Some(segment) if segment.reaches(&part) => segment.join(part),
                _ => whole.extend(open.replace(part)),
            }
        }
        whole.extend(open);
    }
    whole
}

/// The rows of segments from the top down, each from left to right.
pub fn rows(segments: &mut Vec<Segment>) -> Vec<Vec<Segment>> {
    segments.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut rows: Vec<Vec<Segment>> = Vec::new();
    for segment in segments.drain(..) {
        let is_same = |row: &Vec<Segment>| {
            row.first().is_some_and(|first| segment.baseline - first.baseline <= 0.3 * first.size.min(segment.size))
        };
        match rows.last_mut() {
            Some(row) if is_same(row) => row.push(segment),
            _ => rows.push(vec![segment]),
        }
    }
    rows.iter_mut().for_each(|row| row.sort_by(|a, b| a.left.total_cmp(&b.left)));
    rows
}

impl Segment {
    pub fn width(&self) -> f64 {
        self.right - self.left
    }

    /// Whether what follows on the same line is read on with this.
    fn reaches(&self, next: &Segment) -> bool {
        let size = self.size.max(next.size);
        let gap = next.left - self.right;
        gap > -0.3 * size && gap < NEAR * self.size.min(next.size) && self.is_furniture == next.is_furniture
    }

    /// Adds what follows on the same line.
    pub fn join(&mut self, next: Segment) {
        if next.left - self.right > SPACE * self.size.min(next.size) && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        self.second = self.second.or(if self.text.ends_with(' ') { Some(next.left) } else { next.second });
        self.text.push_str(&next.text);
        if next.width() > self.width() {
            (self.size, self.baseline) = (next.size, next.baseline);
        }
        self.is_bold &= next.is_bold;
        self.is_monospaced &= next.is_monospaced;
        self.is_furniture &= next.is_furniture;
        self.right = self.right.max(next.right);
        self.top = self.top.min(next.top);
    }
}

/// A segment that is being put together from letters in the order they are drawn in.
struct Open {
    text: String,
    left: f64,
    /// Where its last letter ends; spaces do not count, for they are set over any distance.
    right: f64,
    second: Option<f64>,
    /// Of the last letter: its left edge.
    last: f64,
    baseline: f64,
    size: f64,
    bold: usize,
    monospaced: usize,
    furniture: usize,
    letters: usize,
}

impl Open {
    fn new(letter: Letter) -> Self {
        Open {
            left: letter.left,
            right: letter.right,
            second: None,
            last: letter.left,
            baseline: letter.baseline,
            size: letter.size,
            bold: usize::from(letter.is_bold),
            monospaced: usize::from(letter.is_monospaced),
            furniture: usize::from(letter.is_furniture),
            letters: 1,
            text: letter.char.to_string(),
        }
    }

    fn takes(&self, letter: &Letter) -> bool {
        let size = self.size.max(letter.size);
        let rise = (letter.baseline - self.baseline).abs();
        // A letter that is raised or lowered is smaller, or was the one before.
        let is_index = letter.size < 0.85 * self.size || self.size < 0.85 * letter.size;
        let is_level = rise <= 0.25 * size || (is_index && rise <= 0.6 * size && self.letters < 500);
        let gap = letter.left - self.right;
        let is_accent =
            gap > -1.1 * size && is_accent(&self.text, letter.char) && letter.left >= self.last - 0.3 * size;
        is_level && gap < REACH * self.size.min(letter.size) && (gap > -0.5 * size || is_accent)
    }

    fn push(&mut self, letter: Letter) {
        if letter.char == ' ' {
            if !self.text.ends_with(' ') {
                self.text.push(' ');
            }
            return;
        }
        let size = self.size.min(letter.size);
        let gap = letter.left - self.right;
        let overlaps = letter.left < self.right - 0.1 * size;
        match self.text.chars().next_back().filter(|_| overlaps).and_then(|last| accented(last, letter.char)) {
            Some(one) => {
                self.text.pop();
                self.text.push(one);
            }
            None => {
                if gap > SPACE * size && !self.text.ends_with(' ') {
                    self.text.push(' ');
                }
                self.second = self.second.or(Some(letter.left).filter(|_| self.text.ends_with(' ')));
                self.text.push(letter.char);
            }
        }
        self.letters += 1;
        self.bold += usize::from(letter.is_bold);
        self.monospaced += usize::from(letter.is_monospaced);
        self.furniture += usize::from(letter.is_furniture);
        if letter.size > 1.1 * self.size {
            (self.size, self.baseline) = (letter.size, letter.baseline);
        }
        self.last = letter.left;
        self.left = self.left.min(letter.left);
        self.right = self.right.max(letter.right);
    }

    fn close(self) -> Option<Segment> {
        let text = self.text.trim();
        let text = match text.chars().any(is_combining_mark) {
            true => text.nfc().collect(),
            false => text.to_owned(),
        };
        (!text.is_empty()).then(|| Segment {
            text,
            left: self.left,
            right: self.right,
            second: self.second,
            top: self.baseline - 0.8 * self.size,
            baseline: self.baseline,
            size: self.size,
            is_bold: 10 * self.bold >= 9 * self.letters,
            is_monospaced: self.monospaced == self.letters,
            is_furniture: self.furniture == self.letters,
            table: None,
        })
    }
}

/// Whether `next`, or what stands before it, is an accent that the other bears.
fn is_accent(before: &str, next: char) -> bool {
    before.chars().next_back().is_some_and(|last| accented(last, next).is_some())
}

/// A letter and an accent that were drawn one over the other, as one letter.
fn accented(one: char, other: char) -> Option<char> {
    let pair = |base: char, mark: char| compose(base, combining(mark)?);
    let plain = |base: char| match base {
        'ı' => 'i',
        'ȷ' => 'j',
        base => base,
    };
    pair(plain(one), other).or_else(|| pair(plain(other), one))
}

fn combining(accent: char) -> Option<char> {
    Some(match accent {
        '`' | 'ˋ' => '\u{300}',
        '´' | 'ˊ' => '\u{301}',
        '^' | 'ˆ' => '\u{302}',
        '~' | '˜' => '\u{303}',
        '¯' | 'ˉ' => '\u{304}',
        '˘' => '\u{306}',
        '˙' => '\u{307}',
        '¨' => '\u{308}',
        '˚' => '\u{30A}',
        '˝' => '\u{30B}',
        'ˇ' => '\u{30C}',
        '¸' => '\u{327}',
        '˛' => '\u{328}',
        _ => return None,
    })
}
