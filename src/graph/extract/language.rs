//! Which language a passage is in, by the share of its words that tell one.

use super::lexicon::lexicon;
use super::tokens::{Shape, Token};

/// What the rules need to know of a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    /// Nouns begin with capitals there.
    German,
    Other,
}

impl Language {
    /// The language of a tag (BCP 47), or of what people write for one; `None` where it says nothing.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim().to_ascii_lowercase();
        match tag.split(['-', '_']).next().unwrap_or_default() {
            "en" | "eng" | "english" => Some(Language::English),
            "de" | "deu" | "ger" | "german" | "deutsch" => Some(Language::German),
            "und" | "mul" | "mis" | "zxx" => None,
            other if matches!(other.len(), 2 | 3) && other.bytes().all(|byte| byte.is_ascii_lowercase()) => {
                Some(Language::Other)
            }
            _ => None,
        }
    }
}

/// A text of fewer words may hold none that tells its language.
const SHORT: usize = 40;

/// Counts the words of a text that tell its language.
pub(super) struct Count {
    /// Words that are no names and no numbers.
    words: usize,
    /// Those of plain letters alone.
    latin: usize,
    telling: Vec<usize>,
}

impl Count {
    pub fn new() -> Self {
        Count { words: 0, latin: 0, telling: vec![0; lexicon().languages.len()] }
    }

    /// Counts the words of a sentence.
    pub fn add(&mut self, tokens: &[Token]) {
        let lexicon = lexicon();
        for token in tokens.iter().filter(|token| !token.word.is_empty()) {
            let is_told = lexicon.languages.iter().any(|(_, words)| words.contains(&token.word));
            if !is_told && (token.is_capital() || token.shape == Shape::Number) {
                continue;
            }
            self.words += 1;
            self.latin += usize::from(token.word.is_ascii());
            for (count, (language, words)) in self.telling.iter_mut().zip(&lexicon.languages) {
                let is_verb = || *language == "en" && lexicon.active.contains_key(&token.word);
                *count += usize::from(words.contains(&token.word) || is_verb());
            }
        }
    }

    /// The language, where a twelfth of the words tell it more than any other; `None` where they tell none.
    ///
    /// A few words that tell none are English where their letters are: "Acme acquired Velden Glass."
    pub fn language(&self) -> Option<Language> {
        let (best, count) = self.telling.iter().enumerate().max_by_key(|(at, count)| (**count, usize::MAX - at))?;
        let (tag, _) = lexicon().languages.get(best)?;
        match () {
            () if self.words == 0 => None,
            () if self.words < SHORT && *count < 2 && self.latin == self.words => Some(Language::English),
            () if count * 12 >= self.words => Language::of_tag(tag),
            () => None,
        }
    }

    /// Whether there are enough words to believe them rather than a tag.
    pub fn is_sure(&self) -> bool {
        self.words >= SHORT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::extract::tokens::tokens;

    fn language(text: &str) -> Option<Language> {
        let mut count = Count::new();
        count.add(&tokens(text, 0..text.len()));
        count.language()
    }

    #[test]
    fn small_words_tell_the_language() {
        assert_eq!(language("The company was founded in the north of the country."), Some(Language::English));
        assert_eq!(language("Die Firma wurde von der Stadt und dem Land gegründet."), Some(Language::German));
        assert_eq!(language("La empresa fue fundada en el norte del país."), Some(Language::Other));
        assert_eq!(language("Acme acquired Velden Glass."), Some(Language::English));
        assert_eq!(language("東京は日本の首都です。"), None);
        assert_eq!(language(&"Acme visited Berlin. ".repeat(40)), Some(Language::English));
        assert_eq!(language("12 400, Acme 31"), None);
    }

    #[test]
    fn tags_are_read_as_people_write_them() {
        let tags = ["en", "en-US", "en_US", "eng", "English"];
        assert!(tags.iter().all(|tag| Language::of_tag(tag) == Some(Language::English)));
        assert_eq!(["de_AT", "fr"].map(Language::of_tag), [Some(Language::German), Some(Language::Other)]);
        assert_eq!(["und", "", "Klingon", "x-none"].map(Language::of_tag), [None; 4]);
    }
}
