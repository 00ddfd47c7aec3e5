//! What items of a list begin with: bullets, numbers, and labels that Markdown has no word for.

use crate::extract::numerals;

/// Bytes of a section's number.
const LONGEST: usize = 11;

/// What a list's item begins with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Marker {
    Bullet,
    /// A dash, which may also be one within a sentence.
    Dash,
    Number(u64),
    /// Another label, which stays in the text of its item.
    Label(Label),
}

/// A label that one of a row has: (a), a), (1), (i), § 4, 4.1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    style: Style,
    value: i64,
    /// Its value as a Roman numeral, where it may be one.
    roman: Option<i64>,
}

/// How labels of a row are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Style {
    /// A number with nothing to it but a gap.
    Bare,
    Enclosed(Digits),
    Closed(Digits),
    Section,
    /// Of a section with this number: 4.1 of 4.
    Within(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Digits {
    Arabic,
    Small,
    Capital,
}

/// What an item of a list begins with, where this line may begin one; `is_hung` where a gap follows that is wider than
/// between words.
pub fn marker(text: &str, is_hung: bool) -> Option<Marker> {
    let (first, rest) = text.split_once(' ')?;
    if rest.is_empty() {
        return None;
    }
    match first {
        "•" | "◦" | "▪" | "■" | "●" | "○" | "‣" | "⁃" | "∙" | "·" | "►" | "▶" | "➢" | "✓" | "❖" | "□" => {
            Some(Marker::Bullet)
        }
        "-" | "–" | "—" => Some(Marker::Dash),
        "§" => Label::section(rest.split(' ').next()?),
        _ => {
            let number = first.strip_suffix(['.', ')']).and_then(number).and_then(|number| u64::try_from(number).ok());
            number.map(Marker::Number).or_else(|| Label::of(first, is_hung).filter(|_| has_word(rest)))
        }
    }
}

/// Whether this says something: beside the axes of a drawing stand figures and labels alone.
fn has_word(text: &str) -> bool {
    text.chars().filter(|char| char.is_alphabetic()).nth(1).is_some()
}

/// A number of up to three digits.
fn number(digits: &str) -> Option<i64> {
    let is_number = (1..=3).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

impl Marker {
    pub fn label(self) -> Option<Label> {
        if let Marker::Label(label) = self { Some(label) } else { None }
    }

    /// A bare number, as the number that it is where it stands in a row.
    pub fn numbered(self) -> Marker {
        match self {
            Marker::Label(Label { style: Style::Bare, value, .. }) => Marker::Number(value.unsigned_abs()),
            other => other,
        }
    }
}

impl Label {
    fn of(first: &str, is_hung: bool) -> Option<Marker> {
        if let Some(value) = number(first).filter(|_| is_hung) {
            return Some(Marker::Label(Label { style: Style::Bare, value, roman: None }));
        }
        if let Some(section) = first.strip_prefix('§') {
            return Label::section(section);
        }
        if let Some((above, last)) = first.rsplit_once('.').filter(|_| first.len() <= LONGEST) {
            let above = above.split('.').map(number).try_fold(0_i64, |all, part| Some(all * 1_000 + part?));
            let style = Style::Within(above?);
            return Some(Marker::Label(Label { style, value: number(last)?, roman: None }));
        }
        let closed = first.strip_suffix(')')?;
        let (bare, is_enclosed) = closed.strip_prefix('(').map_or((closed, false), |bare| (bare, true));
        let style = |digits| if is_enclosed { Style::Enclosed(digits) } else { Style::Closed(digits) };
        if let Some(value) = number(bare) {
            return Some(Marker::Label(Label { style: style(Digits::Arabic), value, roman: None }));
        }
        let small = bare.to_ascii_lowercase();
        let digits = match () {
            () if bare == small => Digits::Small,
            () if bare == bare.to_ascii_uppercase() => Digits::Capital,
            () => return None,
        };
        let letter = match small.as_bytes() {
            [letter @ b'a'..=b'z'] => Some(i64::from(letter - b'a') + 1),
            _ => None,
        };
        let roman = numerals::of_roman(&small);
        Some(Marker::Label(Label { style: style(digits), value: letter.or(roman)?, roman }))
    }

    fn section(number_of_it: &str) -> Option<Marker> {
        let value = number(number_of_it.trim_end_matches('.'))?;
        Some(Marker::Label(Label { style: Style::Section, value, roman: None }))
    }

    /// What it may count as in rows of its style.
    pub fn values(self) -> impl Iterator<Item = (Style, i64)> {
        std::iter::once(self.value).chain(self.roman).map(move |value| (self.style, value))
    }

    /// Whether it comes next after another of its kind.
    pub fn follows(self, before: Label) -> bool {
        let is_next = self.value == before.value + 1;
        let is_next_roman = self.roman.zip(before.roman).is_some_and(|(next, one)| next == one + 1);
        self.is_like(before) && (is_next || is_next_roman)
    }

    /// Whether it is written as another.
    pub fn is_like(self, other: Label) -> bool {
        self.style == other.style
    }

    /// Whether it is one only in a row with others.
    pub fn is_bare(self) -> bool {
        self.style == Style::Bare
    }

    /// Whether sentences begin with such as well: § 4 applies.
    pub fn is_reference(self) -> bool {
        matches!(self.style, Style::Section | Style::Within(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_each_other() {
        let label = |text: &str| marker(&format!("{text} rest of it"), false).and_then(Marker::label);
        for (one, next) in [
            ("(a)", "(b)"),
            ("b)", "c)"),
            ("(A)", "(B)"),
            ("(9)", "(10)"),
            ("(i)", "(ii)"),
            ("(iv)", "(v)"),
            ("(h)", "(i)"),
            ("§ 4", "§ 5"),
            ("§4", "§5"),
            ("4.9", "4.10"),
            ("4.1.1", "4.1.2"),
        ] {
            let (one, next) = (label(one).unwrap(), label(next).unwrap());
            assert!(next.follows(one) && !one.follows(next), "{one:?} {next:?}");
        }
        for (one, other) in [("(a)", "b)"), ("4.1", "5.2"), ("(a)", "(B)"), ("(1)", "(b)")] {
            assert!(!label(other).unwrap().follows(label(one).unwrap()), "{one} {other}");
        }
        for text in
            ["(see)", "word)", "()", ")", "4.", "1234.5", "§", "§ x", "e.g.", "12.03.2020.1", ".5", "1.1.1.1.1.1.1.1.1"]
        {
            assert_eq!(label(text), None, "{text}");
        }
        assert_eq!(marker("12 steps", true).map(Marker::numbered), Some(Marker::Number(12)));
        assert_eq!((marker("12 50 50", true), marker("(a) (b)", true)), (None, None));
        assert_eq!(marker("12 steps", false), None);
    }
}
