//! How the words of a document are written: a word that is mostly written small is no name where a sentence begins with it.

use std::collections::HashMap;

use super::tokens::{Shape, Token};

/// How often the words of a document are written small, and with a capital where a sentence does not begin.
#[derive(Default)]
pub(super) struct Vocabulary(HashMap<String, (u32, u32)>);

impl Vocabulary {
    pub fn add(&mut self, tokens: &[Token]) {
        let first = first_word(tokens);
        for (at, token) in tokens.iter().enumerate() {
            let count = match token.shape {
                Shape::Lower => (1, 0),
                Shape::Capital | Shape::Upper | Shape::Mixed if at != first => (0, 1),
                _ => continue,
            };
            match self.0.get_mut(&token.word) {
                Some(known) => *known = (known.0 + count.0, known.1 + count.1),
                None => drop(self.0.insert(token.word.clone(), count)),
            }
        }
    }

    pub fn of(&self, word: &str) -> (u32, u32) {
        self.0.get(word).copied().unwrap_or_default()
    }

    pub fn is_common(&self, word: &str) -> bool {
        let (small, large) = self.of(word);
        small > large
    }
}

/// The place of a sentence's first word.
pub(super) fn first_word(tokens: &[Token]) -> usize {
    tokens.iter().position(|token| !token.word.is_empty() && token.shape != Shape::Number).unwrap_or(0)
}
