//! Lines made into running text: words that a line's end divided are whole again.

use std::collections::HashSet;

/// Words that are remembered of a document.
const MOST_WORDS: usize = 1_000_000;

/// The words that a document writes within its lines.
#[derive(Default)]
pub struct Words(HashSet<String>);

impl Words {
    /// Learns the words of a line, but for its last, which may be a part of one.
    pub fn learn(&mut self, line: &str) {
        let mut words: Vec<&str> = line.split(' ').collect();
        if line.ends_with('-') {
            words.pop();
        }
        for word in words {
            let word = word.trim_matches(|char: char| !char.is_alphanumeric());
            if word.len() > 3 && self.0.len() < MOST_WORDS && !self.0.contains(word) {
                self.0.insert(word.to_owned());
            }
        }
    }

    /// Lines as one line of text, and the bytes of it at which each of them begins.
    pub fn joined(&self, lines: &[String]) -> (String, Vec<usize>) {
        let mut text = String::new();
        let mut begins = Vec::with_capacity(lines.len());
        for line in lines {
            self.add(&mut text, line);
            begins.push(text.len() - line.len());
        }
        (text, begins)
    }

    fn add(&self, text: &mut String, line: &str) {
        let is_letter = |char: Option<char>| char.is_some_and(char::is_alphabetic);
        let stem = text.strip_suffix('-').filter(|stem| is_letter(stem.chars().next_back()));
        let goes_on = line.chars().next().is_some_and(char::is_alphabetic);
        match stem {
            Some(stem) if goes_on => {
                let first = stem.rsplit(' ').next().unwrap_or_default();
                let rest = line.split(' ').next().unwrap_or_default();
                if !self.is_compound(first, rest) {
                    text.pop();
                }
            }
            _ => {
                let is_spaced = !(text.chars().next_back().is_some_and(is_unspaced)
                    && line.chars().next().is_some_and(is_unspaced));
                if is_spaced && !text.is_empty() {
                    text.push(' ');
                }
            }
        }
        text.push_str(line);
    }

    /// Whether the hyphen belongs to the word.
    fn is_compound(&self, first: &str, rest: &str) -> bool {
        let bare = |word: &str| word.trim_matches(|char: char| !char.is_alphanumeric()).to_owned();
        let knows = |word: String| self.0.contains(&bare(&word));
        if knows(format!("{first}{rest}")) {
            return false;
        }
        let is_upper = rest.chars().next().is_some_and(char::is_uppercase);
        // Lines end after hyphens that were there, too: 1990-Modell, T-Shirt.
        is_upper || first.contains(char::is_numeric) || first.contains('-') || knows(format!("{first}-{rest}"))
    }
}

/// Scripts that are written without spaces.
fn is_unspaced(char: char) -> bool {
    matches!(char, '\u{2E80}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}' | '\u{20000}'..='\u{3FFFF}')
}
