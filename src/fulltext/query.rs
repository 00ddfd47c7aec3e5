//! What somebody typed into a search box: words, and the few signs that steer them.
//!
//! Pure, and forgiving: every text is a query. A sign counts only where it stands alone at a word's edge, so that
//! `wi-fi`, `C++`, `a - b`, `-20 °C` and `5" pipe` are what they look like, and `tar -xzf backup.tar.gz` is a command.

use std::ops::Range;

use crate::text::is_unspaced;

/// What ends a sentence.
const SENTENCE_ENDS: [char; 9] = ['.', '!', '?', '…', '。', '！', '？', '؟', '।'];

/// Characters within which a quote closes. Without a bound each of many open ones is looked for to the end.
const LONGEST_PHRASE: usize = 1000;

/// How a part of a query bears on what is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearing {
    /// The more of these, the better.
    Should,
    /// Every hit has it: `+word` and `"a phrase"`.
    Must,
    /// No hit has it: `-word` and `-"a phrase"`.
    Not,
}

/// A part of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its words as they were typed, without signs.
    pub text: String,
    pub bearing: Bearing,
    /// Whether words may go on: `word*`.
    pub is_prefix: bool,
}

/// A text taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub parts: Vec<Part>,
    /// The text without signs and without what no hit may have; the text itself where it has none of these.
    pub plain: String,
}

impl Query {
    /// Takes `text` apart. One that ends as a sentence does is prose, which has no signs: a quote there is a person's
    /// emphasis, and a dash is a dash. Unless it begins with a sign, or has nothing without one.
    pub fn parse(text: &str) -> Self {
        let query = Query::steered(text);
        let is_sentence = text.trim_end_matches([' ', '\n', ')', ']']).ends_with(SENTENCE_ENDS);
        let has_words = |part: &&Part| part.text.chars().any(char::is_alphanumeric);
        let begins_with_sign = || sign(text.trim_start(), has_option(text)).1 != Bearing::Should;
        let is_all_signed = || query.parts.iter().filter(has_words).all(|part| part.bearing != Bearing::Should);
        if is_sentence && !begins_with_sign() && !is_all_signed() {
            return Query::prose(text);
        }
        query
    }

    fn steered(text: &str) -> Self {
        let is_command = has_option(text);
        let mut query = Query { parts: Vec::new(), plain: String::with_capacity(text.len()) };
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let word = rest.trim_start();
            let gap = rest.len() - word.len();
            query.plain.push_str(rest.get(..gap).unwrap_or_default());
            at += gap;
            let (signed, bearing) = sign(word, is_command);
            let (inner, taken) = match phrase(signed) {
                Some((inner, taken)) => (Some(inner), taken),
                None => (None, signed.find(char::is_whitespace).unwrap_or(signed.len())),
            };
            let token = signed.get(..taken).unwrap_or_default();
            at += word.len() - signed.len() + taken;
            match inner {
                Some(inner) => {
                    let bearing = if bearing == Bearing::Should { Bearing::Must } else { bearing };
                    query.push(signed.get(inner).unwrap_or_default(), bearing, false);
                }
                None => match token.strip_suffix('*').filter(|stem| stem.chars().all(char::is_alphanumeric)) {
                    Some(stem) if stem.chars().nth(1).is_some() => query.push(stem, bearing, true),
                    _ => query.push(token, bearing, false),
                },
            }
        }
        query
    }

    /// Takes `text` for what it says, whatever signs are in it.
    pub fn prose(text: &str) -> Self {
        let whole = Part { text: text.to_owned(), bearing: Bearing::Should, is_prefix: false };
        Query { parts: vec![whole], plain: text.to_owned() }
    }

    fn push(&mut self, text: &str, bearing: Bearing, is_prefix: bool) {
        if text.is_empty() {
            return;
        }
        if bearing != Bearing::Not {
            self.plain.push_str(text);
        }
        match self.parts.last_mut() {
            // Plain words stay together, as scripts without spaces and rules over neighbours want them.
            Some(last) if bearing == Bearing::Should && last.bearing == bearing && !is_prefix && !last.is_prefix => {
                last.text.push(' ');
                last.text.push_str(text);
            }
            _ => self.parts.push(Part { text: text.to_owned(), bearing, is_prefix }),
        }
    }

    /// Whether some hits may not be given, whatever they score.
    pub fn restricts(&self) -> bool {
        self.parts.iter().any(|part| part.bearing != Bearing::Should)
    }
}

/// A sign before a word or a quote, and what follows it. One before a number belongs to the number, and one at a single
/// letter to its name, as in `+C++`. A dash in a command is an option's, but for one before a quote.
fn sign(word: &str, is_command: bool) -> (&str, Bearing) {
    let (rest, bearing) = match (word.strip_prefix('+'), word.strip_prefix(['-', '−'])) {
        (Some(rest), _) => (rest, Bearing::Must),
        (_, Some(rest)) => (rest, Bearing::Not),
        _ => return (word, Bearing::Should),
    };
    let mut tokens = rest.split_whitespace();
    let token = tokens.next().filter(|_| rest.starts_with(char::is_alphabetic)).unwrap_or_default();
    let mut is_option = || is_command || is_name(token) || tokens.next().is_some_and(is_name);
    let takes = !token.is_empty() && !is_letter(token) && (bearing == Bearing::Must || !is_option());
    if takes || phrase(rest).is_some() { (rest, bearing) } else { (word, Bearing::Should) }
}

/// Whether `text` has what only a command has: `-v` or `--all`.
fn has_option(text: &str) -> bool {
    text.split_whitespace().any(|token| match token.strip_prefix('-') {
        Some(option) if option.len() == 1 => option.starts_with(|c: char| c.is_ascii_alphabetic()),
        Some(option) => option.strip_prefix('-').is_some_and(|word| word.starts_with(char::is_alphabetic)),
        None => false,
    })
}

/// Whether `token` names a file, a place or a setting: `backup.tar.gz`, `/etc`, `level=high`.
fn is_name(token: &str) -> bool {
    let follows = token.chars().skip(1);
    token.chars().zip(follows).any(|(c, next)| matches!(c, '.' | '/' | '\\' | '=' | ':') && next.is_alphabetic())
}

/// Whether `token` is one letter and no word: one character is a word only where words are not set apart.
fn is_letter(token: &str) -> bool {
    let mut letters = token.chars().filter(|c| c.is_alphanumeric());
    letters.next().is_some_and(|letter| !is_unspaced(letter)) && letters.next().is_none()
}

/// The words between a quote at the start of `text` and the one that closes it, and the bytes up to after that.
fn phrase(text: &str) -> Option<(Range<usize>, usize)> {
    let open = text.chars().next()?;
    let closing: &[char] = match open {
        '"' | '“' | '”' => &['"', '“', '”'],
        '„' => &['“', '”', '"'],
        '«' => &['»'],
        '»' => &['«'],
        '「' => &['」'],
        '『' => &['』'],
        _ => return None,
    };
    let start = open.len_utf8();
    let inner = text.get(start..)?;
    let (length, close) = inner.char_indices().take(LONGEST_PHRASE).find(|(_, c)| closing.contains(c))?;
    let has_words = inner.get(..length)?.chars().any(char::is_alphanumeric);
    has_words.then_some((start..start + length, start + length + close.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parts(text: &str) -> Vec<(String, Bearing, bool)> {
        Query::parse(text).parts.into_iter().map(|part| (part.text, part.bearing, part.is_prefix)).collect()
    }

    #[test]
    fn signs_steer_words_and_phrases() {
        use Bearing::{Must, Not, Should};
        let part = |text: &str, bearing| (text.to_owned(), bearing, false);
        assert_eq!(
            parts("red +fox -dog \"over the\" hill"),
            [part("red", Should), part("fox", Must), part("dog", Not), part("over the", Must), part("hill", Should)]
        );
        assert_eq!(
            parts("-\"lazy dog\" „der Fuchs“ «le renard»"),
            [part("lazy dog", Not), part("der Fuchs", Must), part("le renard", Must)]
        );
        assert_eq!(parts("「面会 時間」は"), [part("面会 時間", Must), part("は", Should)]);
        assert_eq!(parts("poli*"), [("poli".to_owned(), Should, true)]);
        assert_eq!(parts("-poli*"), [("poli".to_owned(), Not, true)]);
    }

    #[test]
    fn what_only_looks_like_a_sign_is_a_word() {
        for text in
            ["wi-fi C++ a - b covid-19", "-20 °C +1 555", "5\" pipe 6\" hose", "a \"", "--verbose * ++ -", "\"\" +\"\""]
        {
            assert!(!Query::parse(text).restricts(), "{text}");
            assert_eq!(Query::parse(text).plain, text);
        }
        for named in ["languages -C#", "+C++ compiler", "cargo build -v", "rm -rf --force", "s* -s* +s*"] {
            assert!(!Query::parse(named).restricts(), "{named}");
            assert_eq!(Query::parse(named).plain, named);
        }
        let far = format!("+\"alarm {}\"", "a ".repeat(LONGEST_PHRASE));
        assert!(!Query::parse(&far).restricts(), "a quote that closes too far away");
        for command in ["tar -xzf backup.tar.gz", "java -Dlevel=high", "ls -la /etc"] {
            assert!(!Query::parse(command).restricts(), "{command}");
        }
        for prose in ["Who sang \"Dear Brother\"?", "Jet flow -dash experiments. ", "(Not \"so\".)", "「面会」は？"]
        {
            assert!(!Query::parse(prose).restricts(), "{prose}");
            assert_eq!(Query::parse(prose).plain, prose);
        }
    }

    #[test]
    fn signs_hold_in_a_sentence_that_is_made_of_them() {
        use Bearing::{Must, Not, Should};
        let bearings = |text: &str| Query::parse(text).parts.into_iter().map(|part| part.bearing).collect::<Vec<_>>();
        assert_eq!(bearings("+vaccine +alarm."), [Must, Must]);
        assert_eq!(bearings("-alarm vaccine?"), [Not, Should]);
        assert_eq!(bearings("\"cold chain\" +alarm!"), [Must, Must]);
        assert_eq!(bearings("+年"), [Must]);
        assert_eq!(bearings("tar -\"xzf\" backup.tar.gz"), [Should, Not, Should]);
        assert_eq!(bearings("vaccine -fridge alarm"), [Should, Not, Should]);
    }

    #[test]
    fn the_plain_text_leaves_out_signs_and_what_is_excluded() {
        assert_eq!(Query::parse("red +fox -dog \"over the\" hill*").plain, "red fox  over the hill");
        assert_eq!(Query::parse("-dog").plain, "");
    }

    proptest! {
        #[test]
        fn any_text_is_a_query(text in "[a-z0-9 +\\-\"*“”„«»?東\u{301}\n]{0,60}|\\PC{0,40}") {
            let query = Query::parse(&text);
            prop_assert!(query.plain.len() <= text.len());
            prop_assert!(query.parts.iter().all(|part| !part.text.is_empty()));
        }

        #[test]
        fn a_text_without_signs_is_itself(text in "[a-zA-Z0-9 .,:;!?'()äß東\n]{0,60}") {
            let query = Query::parse(&text);
            prop_assert_eq!(&query.plain, &text);
            prop_assert!(!query.restricts());
        }
    }
}
