//! Which language a passage is in, by the share of its words that tell one.

use super::lexicon::lexicon;
use super::tokens::Token;

/// What the rules need to know of a language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    /// Nouns begin with capitals there.
    German,
    /// Another, or too little text to tell.
    Other,
}

impl Language {
    pub fn of_tag(tag: &str) -> Self {
        match tag.split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "en" => Language::English,
            "de" => Language::German,
            _ => Language::Other,
        }
    }
}

/// A text of fewer words may hold none that tells its language.
const SHORT: usize = 40;

/// Counts the words of a text that tell its language.
pub(super) struct Count {
    words: usize,
    /// Those of plain letters alone.
    latin: usize,
    telling: Vec<usize>,
}

impl Count {
    pub fn new() -> Self {
        Count { words: 0, latin: 0, telling: vec![0; lexicon().languages.len()] }
    }

    pub fn add(&mut self, tokens: &[Token]) {
        for token in tokens.iter().filter(|token| !token.word.is_empty()) {
            self.words += 1;
            self.latin += usize::from(token.word.is_ascii());
            for (count, (_, words)) in self.telling.iter_mut().zip(&lexicon().languages) {
                *count += usize::from(words.contains(&token.word));
            }
        }
    }

    /// The language, where a twelfth of the words tell it more than any other.
    ///
    /// A few words that tell none are English where their letters are: "Acme acquired Velden Glass."
    pub fn language(&self) -> Option<Language> {
        let (best, count) = self.telling.iter().enumerate().max_by_key(|(at, count)| (**count, usize::MAX - at))?;
        let (tag, _) = lexicon().languages.get(best)?;
        let is_untold = self.words < SHORT && *count < 2 && self.latin == self.words;
        (self.words > 0).then(|| match () {
            () if is_untold => Language::English,
            () if count * 12 >= self.words => Language::of_tag(tag),
            () => Language::Other,
        })
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
        assert_eq!(language("東京は日本の首都です。"), Some(Language::Other));
    }
}
