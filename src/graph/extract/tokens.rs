//! A sentence as words and marks: `text`'s words, and each mark between them.

use std::ops::Range;

use super::lexicon::lexicon;

/// How a token is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Lower,
    /// `Acme`.
    Capital,
    /// `ACME`; a single capital is one, too.
    Upper,
    /// `iPhone`, `McDonald`, `A320`.
    Mixed,
    Number,
    Mark(char),
}

#[derive(Debug, Clone)]
pub(super) struct Token {
    /// Bytes of the document.
    pub start: usize,
    pub end: usize,
    /// Folded; empty for marks.
    pub word: String,
    pub shape: Shape,
    /// No white space stands before it.
    pub glued: bool,
}

impl Token {
    pub fn is_mark(&self, mark: char) -> bool {
        self.shape == Shape::Mark(mark)
    }

    pub fn mark(&self) -> Option<char> {
        match self.shape {
            Shape::Mark(mark) => Some(mark),
            _ => None,
        }
    }

    pub fn is_quote(&self) -> bool {
        matches!(self.shape, Shape::Mark('"' | '“' | '”' | '„' | '«' | '»'))
    }

    pub fn is_capital(&self) -> bool {
        matches!(self.shape, Shape::Capital | Shape::Upper | Shape::Mixed)
    }

    /// Whether it is the `s` of a genitive, or the apostrophe that stands for it.
    pub fn is_apostrophe(&self) -> bool {
        matches!(self.shape, Shape::Mark('\'' | '’'))
    }
}

/// The tokens of `content[range]`; addresses, targets of links, numbers of notes and emphasis are not read.
pub(super) fn tokens(content: &str, range: Range<usize>) -> Vec<Token> {
    let text = content.get(range.clone()).unwrap_or_default();
    let mut tokens: Vec<Token> = Vec::with_capacity(text.len() / 4);
    let mut at = 0;
    for word in lexicon().analyzer.words(text) {
        if word.start < at {
            continue; // inside an address, or the second half of a pair
        }
        at = marks(text, at..word.start, range.start, &mut tokens);
        if word.start < at {
            continue;
        }
        let surface = text.get(word.start..word.end).unwrap_or_default();
        let rest = text.get(word.start..).unwrap_or_default();
        if ["http://", "https://", "www."].iter().any(|start| rest.starts_with(start)) {
            let ends = |c: char| c.is_whitespace() || matches!(c, ')' | '>' | ']' | '"');
            at = word.start + rest.find(ends).unwrap_or(rest.len());
            continue;
        }
        push(text, range.start, word.start..word.end, word.term, shape(surface), &mut tokens);
        at = word.end;
    }
    marks(text, at..text.len(), range.start, &mut tokens);
    tokens
}

/// The marks of `text[gap]`, and where reading goes on.
fn marks(text: &str, gap: Range<usize>, offset: usize, tokens: &mut Vec<Token>) -> usize {
    let mut skip = gap.start;
    for (at, c) in text.get(gap.clone()).unwrap_or_default().char_indices() {
        let at = gap.start + at;
        let rest = text.get(at..).unwrap_or_default();
        if at < skip || c.is_whitespace() || matches!(c, '*' | '_' | '`' | '#') {
            continue;
        }
        if rest.starts_with("](") {
            skip = at + rest.bytes().take(2000).position(|b| b == b')').map_or(1, |end| end + 1);
        } else if c == '[' {
            let digits = rest.bytes().skip(1).take_while(u8::is_ascii_digit).count();
            let is_note = digits > 0 && rest.as_bytes().get(digits + 1) == Some(&b']');
            skip = at + if is_note { digits + 2 } else { 1 };
        } else if c != ']' {
            push(text, offset, at..at + c.len_utf8(), String::new(), Shape::Mark(c), tokens);
        }
    }
    skip.max(gap.end)
}

fn push(text: &str, offset: usize, at: Range<usize>, word: String, shape: Shape, tokens: &mut Vec<Token>) {
    let glued = text.get(..at.start).and_then(|before| before.chars().next_back()).is_some_and(|c| !c.is_whitespace());
    tokens.push(Token { start: offset + at.start, end: offset + at.end, word, shape, glued });
}

fn shape(word: &str) -> Shape {
    let mut chars = word.chars();
    let first = chars.next().unwrap_or(' ');
    if word.chars().all(char::is_numeric) {
        Shape::Number
    } else if word.chars().all(|c| !c.is_lowercase()) && word.chars().any(char::is_uppercase) {
        if first.is_numeric() { Shape::Mixed } else { Shape::Upper }
    } else if chars.any(char::is_uppercase) {
        Shape::Mixed
    } else if first.is_uppercase() {
        Shape::Capital
    } else {
        Shape::Lower
    }
}

/// The written words of tokens `first..last`.
pub(super) fn surface<'a>(content: &'a str, tokens: &[Token], span: &Range<usize>) -> &'a str {
    let start = tokens.get(span.start).map_or(0, |token| token.start);
    let end = tokens.get(span.end.wrapping_sub(1)).map_or(start, |token| token.end);
    content.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        tokens(text, 0..text.len()).iter().map(|token| &text[token.start..token.end]).collect()
    }

    #[test]
    fn words_and_marks_are_told_apart() {
        assert_eq!(cut("Acme's A320 (new)."), ["Acme", "'", "s", "A320", "(", "new", ")", "."]);
        let shapes: Vec<_> = tokens("Acme ACME iPhone 12 a", 0..21).iter().map(|token| token.shape).collect();
        assert_eq!(shapes, [Shape::Capital, Shape::Upper, Shape::Mixed, Shape::Number, Shape::Lower]);
    }

    #[test]
    fn addresses_notes_and_emphasis_are_not_read() {
        assert_eq!(cut("**Acme**[12] at https://acme.example/About now"), ["Acme", "at", "now"]);
        assert_eq!(cut("see [Acme](https://a.example/B_(c)) there"), ["see", "Acme", ")", "there"]);
    }
}
