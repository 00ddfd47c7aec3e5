//! What a model says on its way to the reader, as it comes: markers become citations' numbers, and nothing gets through that
//! would fetch or link to anything.
//!
//! Numbers of evidence in brackets are numbered anew in the order of their first use; those of no evidence are taken out.
//! Links keep their words, images their description; addresses and HTML stand as code, which nobody renders. Text within
//! code stays as it is. What may still become one of these is held back until it is decided.

use std::ops::Range;

/// Bytes that are held back at most for something that has not ended.
const HELD: usize = 4_000;
const SCHEMES: [&str; 3] = ["http://", "https://", "www."];

/// The gate of one answer.
#[derive(Debug, Default)]
pub struct Gate {
    held: String,
    /// How much evidence there is.
    evidence: usize,
    /// Numbers of the evidence by marker: the first is that of `[1]`.
    cited: Vec<usize>,
    /// Length of the run of backticks that code is in, and will end with.
    code: Option<usize>,
    /// White space that waits for what follows it.
    space: String,
    thinking: Thinking,
    /// The last character that was let through.
    last: Option<char>,
}

/// Whether a model thinks aloud, which is not said to the reader.
#[derive(Debug, Default, PartialEq, Eq)]
enum Thinking {
    #[default]
    MayBegin,
    Yes,
    No,
}

/// What stands at the beginning of what is held.
enum Next {
    /// So many bytes that are text as they are.
    Plain(usize),
    /// So many bytes in whose place this is said.
    Instead(usize, String),
    /// So many bytes in whose place this is read.
    Again(usize, String),
    /// A run of backticks.
    Ticks(usize),
    /// It cannot be told yet.
    Open,
}

impl Gate {
    /// Says that there are so many passages by now.
    pub fn set_evidence(&mut self, count: usize) {
        self.evidence = count;
    }

    /// Numbers of the evidence that is cited, by marker: the first is that of `[1]`.
    pub fn cited(&self) -> &[usize] {
        &self.cited
    }

    /// Takes in what comes and gives what may go on to the reader.
    pub fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        self.let_through(false)
    }

    /// Gives what was still held back.
    pub fn finish(&mut self) -> String {
        let rest = self.let_through(true);
        self.space.clear();
        rest
    }

    fn let_through(&mut self, at_end: bool) -> String {
        let mut out = String::new();
        if !self.thought(at_end) {
            return out;
        }
        let mut held = std::mem::take(&mut self.held);
        let mut at = 0;
        while let Some(rest) = held.get(at..).filter(|rest| !rest.is_empty()) {
            let must = at_end || rest.len() > HELD;
            match self.next(rest, must) {
                Next::Open => break,
                Next::Plain(length) => {
                    self.say(rest.get(..length).unwrap_or_default(), &mut out);
                    at += length;
                }
                Next::Instead(length, text) => {
                    if text.is_empty() {
                        // What stood before a marker that is gone stands before nothing.
                        self.space.clear();
                    }
                    self.say(&text, &mut out);
                    at += length;
                }
                Next::Again(length, text) => held.replace_range(at..at + length, &text),
                Next::Ticks(length) => {
                    match self.code {
                        None => self.code = Some(length),
                        Some(open) if open == length => self.code = None,
                        Some(_) => {}
                    }
                    self.say(rest.get(..length).unwrap_or_default(), &mut out);
                    at += length;
                }
            }
        }
        self.held = held.get(at..).unwrap_or_default().to_owned();
        out
    }

    /// Whether the model has done thinking aloud; takes that away.
    fn thought(&mut self, at_end: bool) -> bool {
        const OPEN: &str = "<think>";
        const CLOSE: &str = "</think>";
        if self.thinking == Thinking::MayBegin {
            let said = self.held.trim_start();
            if said.starts_with(OPEN) {
                self.thinking = Thinking::Yes;
            } else if !at_end && (said.is_empty() || OPEN.starts_with(said)) {
                return false;
            } else {
                self.thinking = Thinking::No;
                self.held = said.to_owned();
            }
        }
        if self.thinking == Thinking::Yes {
            let Some((_, after)) = self.held.split_once(CLOSE) else {
                if at_end {
                    self.held.clear();
                }
                return at_end;
            };
            self.held = after.trim_start().to_owned();
            self.thinking = Thinking::No;
        }
        true
    }

    /// Says `text`, but keeps the white space at its end until something follows.
    fn say(&mut self, text: &str, out: &mut String) {
        let body = text.trim_end();
        if body.is_empty() {
            self.space.push_str(text);
            return;
        }
        out.push_str(&std::mem::take(&mut self.space));
        out.push_str(body);
        self.last = body.chars().next_back();
        self.space.push_str(text.get(body.len()..).unwrap_or_default());
    }

    /// What stands at the beginning of `rest`; once it `must` be told, what has not ended is text.
    fn next(&mut self, rest: &str, must: bool) -> Next {
        let first = rest.chars().next().unwrap_or_default();
        if first == '`' {
            let length = rest.len() - rest.trim_start_matches('`').len();
            return if length == rest.len() && !must { Next::Open } else { Next::Ticks(length) };
        }
        if self.code.is_some() {
            return Next::Plain(rest.find('`').unwrap_or(rest.len()));
        }
        // Nothing of these kinds goes on beyond its paragraph.
        let (paragraph, is_over) = match rest.find("\n\n") {
            Some(end) => (rest.get(..end).unwrap_or_default(), true),
            None => (rest, must),
        };
        let told = match first {
            '!' if paragraph.starts_with("![") => image(paragraph, is_over),
            '!' if paragraph.len() == 1 => None,
            '[' => self.bracket(paragraph, is_over),
            '【' => self.lenticular(paragraph),
            '<' => tag(paragraph),
            _ => return self.address(rest, must).unwrap_or_else(|| Next::Plain(plain(rest))),
        };
        match told {
            Some(next) => next,
            None if is_over => Next::Plain(first.len_utf8()),
            None => Next::Open,
        }
    }

    /// A marker, a link, or brackets.
    fn bracket(&mut self, rest: &str, is_over: bool) -> Option<Next> {
        let close = matching(rest)?;
        let inside = rest.get(1..close)?;
        if let Some(numbers) = numbers(inside) {
            return Some(Next::Instead(close + 1, self.markers(&numbers)));
        }
        let after = rest.get(close + 1..)?;
        match after.chars().next() {
            // What follows may make a link of it.
            None if !is_over => None,
            Some('(') => {
                let end = destination(after)?;
                Some(Next::Again(close + 1 + end, linked(inside, after.get(1..end - 1).unwrap_or_default())))
            }
            Some('[') if after.find(']').is_none() => None,
            // A reference to an address elsewhere, or the address itself.
            Some('[') if numbers_in(after).is_none() => {
                let end = after.find(']').unwrap_or_default();
                Some(Next::Again(close + 1 + end + 1, inside.to_owned()))
            }
            Some(':') => Some(Next::Again(close + 2, format!("{inside}:"))),
            _ => Some(Next::Plain(1)),
        }
    }

    /// Brackets that some models write markers in.
    fn lenticular(&mut self, rest: &str) -> Option<Next> {
        let open = '【'.len_utf8();
        let close = rest.find('】')?;
        let inside = rest.get(open..close)?;
        let number = inside.split('†').next().unwrap_or_default();
        match numbers(number) {
            Some(numbers) => Some(Next::Instead(close + '】'.len_utf8(), self.markers(&numbers))),
            None => Some(Next::Plain(open)),
        }
    }

    fn markers(&mut self, numbers: &[usize]) -> String {
        let mut text = String::new();
        for number in numbers.iter().filter(|number| (1..=self.evidence).contains(*number)) {
            let known = self.cited.iter().position(|cited| cited == number);
            let marker = known.unwrap_or_else(|| {
                self.cited.push(*number);
                self.cited.len() - 1
            });
            text += &format!("[{}]", marker + 1);
        }
        text
    }

    /// An address at the beginning of `rest`, which may become one.
    fn address(&self, rest: &str, must: bool) -> Option<Next> {
        let before = if self.space.is_empty() { self.last } else { None };
        if before.is_some_and(char::is_alphanumeric) {
            return None;
        }
        let lower: String = rest.chars().take(8).map(|c| c.to_ascii_lowercase()).collect();
        if SCHEMES.iter().any(|scheme| lower.starts_with(scheme)) {
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`' | ']'));
            if end.is_none() && !must {
                return Some(Next::Open);
            }
            let address = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let address = address.trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_', ')']);
            return Some(Next::Instead(address.len(), code(address)));
        }
        let may_become = rest.len() < 8 && SCHEMES.iter().any(|scheme| scheme.starts_with(&lower));
        (may_become && !must).then_some(Next::Open)
    }
}

/// How far plain text goes: to the end of the word, or to what might be something.
fn plain(rest: &str) -> usize {
    let mut chars = rest.char_indices();
    let first = chars.next().map_or(0, |(_, c)| c.len_utf8());
    let begins_word = rest.chars().next().is_some_and(char::is_alphanumeric);
    let stop = chars.find(|(_, c)| match begins_word {
        true => !c.is_alphanumeric(),
        false => c.is_alphanumeric() || matches!(c, '`' | '[' | '!' | '<' | '【'),
    });
    stop.map_or(rest.len(), |(at, _)| at).max(first)
}

/// The place of the bracket that closes the first, on the same paragraph.
fn matching(rest: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in rest.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

/// How far a destination in parentheses goes that `after` begins with.
fn destination(after: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in after.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The numbers of a marker: `3`, `3, 5`, `3; 5`, `^3`.
fn numbers(inside: &str) -> Option<Vec<usize>> {
    let inside = inside.trim().trim_start_matches('^');
    let lower = inside.to_ascii_lowercase();
    let bare = ["passage ", "passages ", "source ", "sources "].iter().find_map(|word| lower.strip_prefix(word));
    let parts = bare.unwrap_or(&lower).split([',', ';']).map(str::trim);
    let found: Option<Vec<usize>> =
        parts.map(|part| part.parse().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()))).collect();
    found.filter(|numbers| !numbers.is_empty() && numbers.len() <= 20)
}

fn numbers_in(after: &str) -> Option<Vec<usize>> {
    numbers(after.get(1..after.find(']')?)?)
}

fn image(rest: &str, is_over: bool) -> Option<Next> {
    let brackets = rest.get(1..)?;
    let close = matching(brackets)?;
    let words = brackets.get(1..close)?.to_owned();
    let after = brackets.get(close + 1..)?;
    match after.chars().next() {
        None if !is_over => None,
        Some('(') => Some(Next::Again(1 + close + 1 + destination(after)?, words)),
        Some('[') => Some(Next::Again(1 + close + 1 + after.find(']')? + 1, words)),
        // Only a definition elsewhere would make an image of it; addresses stand as code.
        _ => Some(Next::Instead(1, String::new())),
    }
}

/// Something in angle brackets that would be HTML or an address.
fn tag(rest: &str) -> Option<Next> {
    let second = rest.chars().nth(1)?;
    if !(second.is_ascii_alphabetic() || matches!(second, '/' | '!' | '?')) {
        return Some(Next::Plain(1));
    }
    let end = rest.find('>')? + 1;
    let inside = rest.get(..end)?;
    Some(Next::Instead(end, code(inside)))
}

/// What a link says, and where it would lead, as code.
fn linked(words: &str, destination: &str) -> String {
    let address = destination.trim().trim_matches(['<', '>']).split_whitespace().next().unwrap_or_default();
    let is_web = SCHEMES.iter().any(|scheme| address.to_ascii_lowercase().starts_with(scheme));
    match is_web && !words.contains(address) {
        true => format!("{words} ({})", code(address)),
        false if is_web => code(address),
        false => words.to_owned(),
    }
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

/// A whole text, as the gate lets it through where it holds no marker.
pub fn harmless(text: &str) -> String {
    let mut gate = Gate { thinking: Thinking::No, ..Gate::default() };
    let said = gate.push(text);
    said + &gate.finish()
}

/// The markers in `text`, each with its bytes.
pub fn markers(text: &str) -> Vec<(Range<usize>, usize)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = text.get(from..).and_then(|rest| rest.find('[')).map(|at| from + at) {
        from = open + 1;
        let Some(close) = text.get(from..).and_then(|rest| rest.find(']')).map(|at| from + at) else { break };
        if let Some(number) =
            text.get(from..close).filter(|n| n.bytes().all(|b| b.is_ascii_digit())).and_then(|n| n.parse().ok())
        {
            found.push((open..close + 1, number));
            from = close + 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(text: &str, evidence: usize) -> (String, Vec<usize>) {
        let mut gate = Gate::default();
        gate.set_evidence(evidence);
        let said = gate.push(text);
        (said + &gate.finish(), gate.cited)
    }

    #[test]
    fn markers_are_numbered_by_their_first_use_and_false_ones_vanish() {
        assert_eq!(
            said("It is cold [3]. It beeps [1][3], see [9].", 3),
            ("It is cold [1]. It beeps [2][1], see.".into(), vec![3, 1])
        );
        assert_eq!(said("Both [2, 1] and [^2]; 【1†source】 [passage 2]", 2).0, "Both [1][2] and [1]; [2] [1]");
        assert_eq!(said("Nothing [1] here [0].", 0).0, "Nothing here.");
        assert_eq!(said("An array `a[1]` and [sic] and [a, b]", 1).0, "An array `a[1]` and [sic] and [a, b]");
    }

    #[test]
    fn nothing_that_fetches_or_links_gets_through() {
        for (text, harmless) in [
            ("See [the page](https://evil.example/?q=1) now", "See the page (`https://evil.example/?q=1`) now"),
            ("![a cat](https://evil.example/x.png \"t\") sits", "a cat sits"),
            ("![x][r] and [y][r]\n\n[r]: https://evil.example", "x and y\n\nr: `https://evil.example`"),
            ("Go to https://evil.example/a?b=c. Then", "Go to `https://evil.example/a?b=c`. Then"),
            ("<https://evil.example> www.evil.example", "`<https://evil.example>` `www.evil.example`"),
            ("<img src=x onerror=alert(1)> is a < b", "`<img src=x onerror=alert(1)>` is a < b"),
            ("[click](javascript:alert(1)) me", "click me"),
            ("[![a](https://e.example/x)](https://f.example) b", "a (`https://f.example`) b"),
            ("![![a](https://e.example/x)](https://f.example) b", "a b"),
            ("[<img src=y>](z) b", "`<img src=y>` b"),
            ("[a [nested](x) b](http://e.x) c", "a nested b (`http://e.x`) c"),
        ] {
            assert_eq!(said(text, 3).0, harmless, "{text}");
        }
    }

    #[test]
    fn thoughts_are_not_said() {
        assert_eq!(said(" <think>The reader wants [1].</think>\nIt is cold [1].", 1).0, "It is cold [1].");
        assert_eq!(said("<think>For ever", 1).0, "");
        assert_eq!(said("<b>bold</b>", 1).0, "`<b>`bold`</b>`");
    }

    #[test]
    fn text_goes_on_as_soon_as_it_is_decided() {
        let mut gate = Gate::default();
        gate.set_evidence(1);
        let pieces = ["The fri", "dge is", " cold", " [", "1", "].", " ```", "\na[1]\n", "```"];
        let heard: Vec<String> = pieces.iter().map(|piece| gate.push(piece)).collect();
        assert_eq!(heard, ["The fri", "dge is", " cold", "", "", " [1].", "", " ```\na[1]", ""]);
        assert_eq!(gate.finish(), "\n```");
    }

    fn pieces() -> impl Strategy<Value = Vec<String>> {
        let words = prop::sample::select(vec![
            "[", "]", "(", ")", "![", "](", "<", ">", "`", "```", "http://", "www.", "a", " ", "\n", "\n\n", "1",
            "[1]", "[2]", "【", "】", "<think>", "</think>", ".", "<b", "é", "[r]: ",
        ]);
        prop::collection::vec(words.prop_map(str::to_owned), 0..40)
    }

    #[test]
    fn deep_nesting_ends() {
        let text = format!("{}x{}", "[".repeat(1_500), "](http://e.example)".repeat(1_500));
        assert!(!said(&text, 1).0.contains("]("));
    }

    proptest! {
        #[test]
        fn what_is_said_does_not_hang_on_how_it_comes(pieces in pieces()) {
            let whole = said(&pieces.concat(), 2);
            let mut gate = Gate::default();
            gate.set_evidence(2);
            let mut heard: String = pieces.iter().map(|piece| gate.push(piece)).collect();
            heard += &gate.finish();
            prop_assert_eq!((heard, gate.cited), whole);
        }
    }
}
