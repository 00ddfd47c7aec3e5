//! What a model says on its way to the reader, as it comes: markers become citations' numbers, and nothing gets through that
//! would fetch or link to anything.
//!
//! Numbers of evidence in brackets are numbered anew in the order of their first use; those of no evidence are taken out.
//! Links keep their words, images their description; addresses stand as code, which nobody renders, and a space after its
//! bracket makes text of HTML. Text within
//! code stays as it is; so that every reader of Markdown (CommonMark 0.31, GFM) agrees what code is, fences begin at the
//! edge, and ticks that close nothing in their line are escaped. What may still become one of these is held back until it is
//! decided.

use std::ops::Range;

/// Bytes that are held back at most for something that has not ended.
const HELD: usize = 1_500;
/// Bytes that are looked at together: a provider may send all at once, and every bracket looks ahead.
const PIECE: usize = 256;
/// HTML that does harm without more: in code that some reader of Markdown takes for none.
const HARMFUL: [&str; 12] =
    ["script", "style", "iframe", "object", "embed", "base", "link", "meta", "svg", "math", "textarea", "template"];
const SCHEMES: [&str; 4] = ["http://", "https://", "ftp://", "www."];

/// The gate of one answer.
#[derive(Debug, Default)]
pub struct Gate {
    held: String,
    /// How much evidence there is.
    evidence: usize,
    /// Numbers of the evidence by marker: the first is that of `[1]`.
    cited: Vec<usize>,
    /// The ticks of the fence that is open.
    fence: Option<usize>,
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
    /// So many bytes that open or close a fence of so many ticks.
    Fence(usize, usize),
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

    /// A gate for what does not think.
    pub fn of_quotes(evidence: usize) -> Self {
        Gate { evidence, thinking: Thinking::No, ..Gate::default() }
    }

    /// Says that a model begins to speak (again): it may think aloud first. A thought that it left open is over.
    pub fn begin(&mut self) {
        if self.thinking == Thinking::Yes {
            self.held.clear();
        }
        if self.held.is_empty() {
            self.thinking = Thinking::MayBegin;
        }
    }

    /// Takes in what comes and gives what may go on to the reader.
    pub fn push(&mut self, text: &str) -> String {
        let mut said = String::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE.min(rest.len())).max(first_char(rest)));
            self.held.push_str(piece);
            said += &self.let_through(false);
            rest = after;
        }
        said
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
                Next::Fence(length, ticks) => {
                    self.fence = if self.fence.is_none() { Some(ticks) } else { None };
                    // At the edge, where no list or quotation holds it.
                    self.space.truncate(self.space.rfind('\n').map_or(0, |line| line + 1));
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
        self.space.push_str(text.get(..body.len() - body.trim_start().len()).unwrap_or_default());
        let body = body.trim_start();
        if self.last.is_none() {
            // An answer does not begin with nothing.
            self.space.clear();
        }
        if self.fence.is_none() && self.space.is_empty() && joins(self.last, body) {
            self.space.push(' ');
        }
        out.push_str(&std::mem::take(&mut self.space));
        out.push_str(body);
        self.last = body.chars().next_back();
        self.space.push_str(text.get(text.trim_end().len()..).unwrap_or_default());
    }

    /// What stands at the beginning of `rest`; once it `must` be told, what has not ended is text.
    fn next(&mut self, rest: &str, must: bool) -> Next {
        let first = rest.chars().next().unwrap_or_default();
        if first == '`' {
            return self.ticks(rest, must);
        }
        if self.fence.is_some() {
            return Next::Plain(rest.find('`').unwrap_or(rest.len()));
        }
        if first == '\\' {
            return match rest.chars().nth(1) {
                None if !must => Next::Open,
                Some(c) if c.is_ascii_punctuation() => Next::Plain(2),
                _ => Next::Plain(1),
            };
        }
        if first == ']' {
            return Next::Plain(1);
        }
        if first == '~' && self.is_at_line_start() {
            let length = rest.len() - rest.trim_start_matches('~').len();
            return match length == rest.len() && !must {
                true => Next::Open,
                // Ticks are fences enough.
                false => Next::Instead(length, "\\~".repeat(length)),
            };
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
            '<' => return tag(rest, must),
            '&' => return entity(rest, must),
            _ => return self.address(rest, must).unwrap_or_else(|| Next::Plain(plain(rest))),
        };
        match told {
            Some(next) => next,
            None if is_over => Next::Plain(first.len_utf8()),
            None => Next::Open,
        }
    }

    fn is_at_line_start(&self) -> bool {
        self.last.is_none() || self.space.contains('\n')
    }

    /// Ticks: a fence, code within a line, or nothing.
    fn ticks(&self, rest: &str, must: bool) -> Next {
        let ticks = rest.len() - rest.trim_start_matches('`').len();
        let line = match rest.split_once('\n') {
            Some((line, _)) => line,
            None if must => rest,
            None if ticks == rest.len() => return Next::Open,
            None => match (self.fence, inline(rest, ticks)) {
                (None, Some(length)) if length < rest.len() && !(ticks >= 3 && self.is_at_line_start()) => {
                    return match is_harmless(rest.get(..length).unwrap_or_default()) {
                        true => Next::Plain(length),
                        false => Next::Instead(ticks, "\\`".repeat(ticks)),
                    };
                }
                _ => return Next::Open,
            },
        };
        let after = line.get(ticks..).unwrap_or_default();
        match self.fence {
            Some(open) if self.is_at_line_start() && ticks >= open && after.trim().is_empty() => {
                Next::Fence(ticks, ticks)
            }
            Some(_) => Next::Plain(ticks),
            None if ticks >= 3 && self.is_at_line_start() && !after.contains('`') => Next::Fence(line.len(), ticks),
            None => match inline(line, ticks) {
                Some(length) if is_harmless(line.get(..length).unwrap_or_default()) => Next::Plain(length),
                _ => Next::Instead(ticks, "\\`".repeat(ticks)),
            },
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

    /// An address at the beginning of `rest`, or what may become one.
    fn address(&self, rest: &str, must: bool) -> Option<Next> {
        if self.space.is_empty() && self.last.is_some_and(char::is_alphanumeric) {
            return None;
        }
        let lower: String = rest.chars().filter(|c| *c != '\\').take(8).map(|c| c.to_ascii_lowercase()).collect();
        if SCHEMES.iter().any(|scheme| lower.starts_with(scheme)) {
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '`' | ']'));
            if end.is_none() && !must {
                return Some(Next::Open);
            }
            let address = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            let address = address.trim_end_matches(['.', ',', ';', ':', '!', '?', '*', '_', ')']);
            return Some(Next::Instead(address.len(), code(address)));
        }
        let may_become = rest.len() < 16 && lower.len() < 8 && SCHEMES.iter().any(|scheme| scheme.starts_with(&lower));
        (may_become && !must).then_some(Next::Open)
    }
}

/// How far code goes that begins with so many ticks, and ends with as many on its line.
fn inline(line: &str, ticks: usize) -> Option<usize> {
    let mut at = ticks;
    while let Some(open) = line.get(at..)?.find('`') {
        let run = line.get(at + open..)?;
        let length = run.len() - run.trim_start_matches('`').len();
        at += open + length;
        if length == ticks {
            return Some(at);
        }
    }
    None
}

/// How far plain text goes: to the end of the word, or to what might be something.
fn plain(rest: &str) -> usize {
    let mut chars = rest.char_indices();
    let first = chars.next().map_or(0, |(_, c)| c.len_utf8());
    let begins_word = rest.chars().next().is_some_and(char::is_alphanumeric);
    let stop = chars.find(|(_, c)| match begins_word {
        true => !c.is_alphanumeric(),
        false => c.is_alphanumeric() || matches!(c, '`' | '[' | ']' | '!' | '<' | '&' | '【' | '\\' | '~'),
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

/// What begins like HTML is none behind a space.
fn tag(rest: &str, must: bool) -> Next {
    match rest.chars().nth(1) {
        None if !must => Next::Open,
        Some(c) if c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?') => Next::Instead(1, "< ".into()),
        _ => Next::Plain(1),
    }
}

/// A sign by its name is that name.
fn entity(rest: &str, must: bool) -> Next {
    let name = rest.get(1..).unwrap_or_default();
    match name.find(|c: char| !c.is_ascii_alphanumeric() && c != '#') {
        None if !must && name.len() < 32 => Next::Open,
        Some(end) if end > 0 && name.get(end..).is_some_and(|after| after.starts_with(';')) => {
            Next::Instead(1, "\\&".into())
        }
        _ => Next::Plain(1),
    }
}

/// Whether `body` would be one thing with what was said `last`: brackets and what makes a link of them, ticks and ticks.
fn joins(last: Option<char>, body: &str) -> bool {
    match last {
        Some(']') => body.starts_with(['(', ':']),
        Some('`') => body.starts_with('`'),
        _ => false,
    }
}

/// Whether code would do no harm to whoever takes it for text: readers of tables, say, cut it at its bars.
fn is_harmless(code: &str) -> bool {
    let lower = code.to_ascii_lowercase();
    let links = ["](", "][", "]:", "!["].iter().chain(&SCHEMES).any(|sign| lower.contains(sign));
    let mut tags = lower
        .split('<')
        .skip(1)
        .filter(|tag| tag.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')));
    let harms = |tag: &str| {
        let inside = tag.split('>').next().unwrap_or_default();
        let name = inside.trim_start_matches('/');
        inside.contains(|c: char| c.is_whitespace() || matches!(c, '=' | '!' | '?')) || HARMFUL.contains(&name)
    };
    !links && !tags.any(harms)
}

fn first_char(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

/// What a link says, and where it would lead.
fn linked(words: &str, destination: &str) -> String {
    let address = destination.trim().trim_matches(['<', '>']).split_whitespace().next().unwrap_or_default();
    let is_web = SCHEMES.iter().any(|scheme| address.to_ascii_lowercase().starts_with(scheme));
    match is_web && !words.contains(address) {
        true => format!("{words} ({address})"),
        false if is_web => address.to_owned(),
        false => words.to_owned(),
    }
}

fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

/// `text` with another text in the place of each marker; `None` leaves it.
pub fn with_markers(text: &str, instead: impl Fn(usize) -> Option<String>) -> String {
    let mut out = text.to_owned();
    for (range, marker) in markers(text).into_iter().rev() {
        if let Some(instead) = instead(marker) {
            out.replace_range(range, &instead);
        }
    }
    out
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
            ("<https://evil.example> www.evil.example", "< `https://evil.example`> `www.evil.example`"),
            ("<img src=x onerror=alert(1)> is a < b", "< img src=x onerror=alert(1)> is a < b"),
            ("odd ` ![x](https://evil.example/p.png)", "odd \\` x"),
            ("`one\n\n![x](https://evil.example)\n\ntwo`", "\\`one\n\nx\n\ntwo\\`"),
            ("~~~\n```\n~~~\n![x](//e.example)", "\\~\\~\\~\n```\n~~~\n![x](//e.example)"),
            ("- ```\n  ![x](//e.example)\n  ```\n![y](//e.example)", "- \\`\\`\\`\n  x\n```\n![y](//e.example)"),
            ("[1](//evil.example) and [1]: //evil.example", "[1] (//evil.example) and [1] : //evil.example"),
            ("| ` | ![x](https://evil.example/p.png) ` |", "| \\` | x \\` |"),
            ("[a \\] b](//evil.example)", "[a \\] b] (//evil.example)"),
            ("``a``<img src=//evil.example>", "``a``< img src=//evil.example>"),
            ("&#104;ttps://evil.example R&D", "\\&#104;ttps://evil.example R&D"),
            ("`Vec<String>` and `<div>` and `a[1]`", "`Vec<String>` and `<div>` and `a[1]`"),
            ("[click](javascript:alert(1)) me", "click me"),
            ("[![a](https://e.example/x)](https://f.example) b", "a (`https://f.example`) b"),
            ("![![a](https://e.example/x)](https://f.example) b", "a b"),
            ("[<img src=y>](z) b", "< img src=y> b"),
            ("[a [nested](x) b](http://e.x) c", "a nested b (`http://e.x`) c"),
        ] {
            assert_eq!(said(text, 3).0, harmless, "{text}");
        }
    }

    #[test]
    fn thoughts_are_not_said() {
        assert_eq!(said(" <think>The reader wants [1].</think>\nIt is cold [1].", 1).0, "It is cold [1].");
        assert_eq!(said("<think>For ever", 1).0, "");
        assert_eq!(said("<b>bold</b>", 1).0, "< b>bold< /b>");
        let mut gate = Gate::default();
        let mut heard = gate.push("<think>One") + &gate.push("</think>Let me look.");
        gate.begin();
        heard += &(gate.push("<think>Two</think>Found") + &gate.finish());
        assert_eq!(heard, "Let me look.Found");
    }

    #[test]
    fn text_goes_on_as_soon_as_it_is_decided() {
        let mut gate = Gate::default();
        gate.set_evidence(1);
        let pieces = ["The fri", "dge is", " cold", " [", "1", "].", "\n  ```", "\na[1]\n", "  ```"];
        let heard: Vec<String> = pieces.iter().map(|piece| gate.push(piece)).collect();
        assert_eq!(heard, ["The fri", "dge is", " cold", "", "", " [1].", "", "\n```\na[1]", ""]);
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
        fn nothing_that_is_said_is_a_link_an_image_or_html(pieces in pieces()) {
            use pulldown_cmark::{Event, Options, Parser, Tag};
            let heard = said(&pieces.concat(), 2).0;
            let mut code = false;
            for event in Parser::new_ext(&heard, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_FOOTNOTES) {
                match event {
                    Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock) | Event::Html(_) | Event::InlineHtml(_) => {
                        prop_assert!(false, "{heard:?}");
                    }
                    Event::Start(Tag::CodeBlock(_)) => code = true,
                    Event::End(pulldown_cmark::TagEnd::CodeBlock) => code = false,
                    Event::Text(text) if !code => {
                        let words = text.split(|c: char| !(c.is_alphanumeric() || matches!(c, ':' | '/' | '.')));
                        let is_address = |word: &str| SCHEMES.iter().any(|scheme| word.starts_with(scheme));
                        prop_assert!(!words.into_iter().any(is_address), "{heard:?}");
                    }
                    _ => {}
                }
            }
        }

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
