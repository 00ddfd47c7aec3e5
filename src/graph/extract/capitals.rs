//! Whether a capital tells a name, or only where its sentence begins, or that its language writes so.

use std::ops::Range;

use super::language::Language;
use super::lexicon::lexicon;
use super::names::Finder;
use super::tokens::Shape;

impl Finder<'_> {
    /// Whether a capital is only the sentence's, an article's or a common word's.
    pub(super) fn means_nothing(&self, at: usize, run: &Range<usize>) -> bool {
        let lexicon = lexicon();
        let Some(token) = self.tokens.get(at) else { return true };
        let word = token.word.as_str();
        if lexicon.places.contains_key(word) {
            return false;
        }
        if matches!(word, "the" | "a" | "an" | "i") {
            return true;
        }
        let begins = at == self.first
            || self.tokens.get(at.wrapping_sub(1)).is_some_and(|before| {
                matches!(before.shape, Shape::Mark(':' | '"' | '“' | '•' | '|' | '(' | '‘'))
                    && self.words.of(word).1 < 2
            });
        let is_everyday = token.shape != Shape::Upper && (lexicon.is_stopword(word) || lexicon.starters.contains(word));
        let is_initial = self.is_mark(at + 1, '.');
        if !begins {
            return token.shape != Shape::Upper && lexicon.is_stopword(word) && run.len() == 1 && !is_initial;
        }
        let is_foreign =
            self.language != Language::English && lexicon.languages.iter().any(|(_, words)| words.contains(word));
        let is_everyday = is_everyday || is_foreign;
        let is_adverb = token.shape == Shape::Capital && word.len() > 4 && word.ends_with("ly");
        let is_known = lexicon.first_names.contains(word) || lexicon.titles.contains(word);
        (is_everyday && !is_initial) || (is_adverb && !is_known) || (self.words.is_common(word) && !is_known)
    }

    /// Whether one word is a name by itself.
    pub(super) fn stands_alone(&self, at: usize) -> bool {
        let lexicon = lexicon();
        let Some(token) = self.tokens.get(at) else { return false };
        let word = token.word.as_str();
        let (small, large) = self.words.of(word);
        let is_known = lexicon.places.contains_key(word) || lexicon.cities.contains(word);
        if is_known {
            return true;
        }
        let is_role = lexicon.titles.contains(word) || lexicon.roles.contains_key(word) || lexicon.forms.contains(word);
        let is_common = (lexicon.is_stopword(word) || lexicon.starters.contains(word)) && token.shape != Shape::Mixed;
        let is_bracketed =
            at > 0 && self.is_mark(at - 1, '(') && self.is_mark(at + 1, ')') && token.shape == Shape::Upper;
        let is_common = is_common && !is_bracketed;
        if is_role || is_common || word.chars().count() < 2 || word.chars().all(|c| "ivxlc".contains(c)) {
            return false;
        }
        if at != self.first {
            return small <= large * 2;
        }
        let followed = self.tokens.get(at + 1).is_some_and(|next| {
            next.is_apostrophe()
                || next.is_mark('(')
                || matches!(next.word.as_str(), "is" | "was" | "has" | "had" | "said" | "says")
                || lexicon.active.contains_key(&next.word)
        });
        large > 0 && large >= small
            || small == 0
                && (followed
                    || lexicon.first_names.contains(word)
                    || matches!(token.shape, Shape::Mixed | Shape::Upper))
    }

    /// German nouns have capitals, too: there, only several in a row, signs and known names are names.
    pub(super) fn is_name_in_german(&self, run: &Range<usize>) -> bool {
        let lexicon = lexicon();
        let capitals = run.clone().filter(|at| self.is_capital(*at)).count();
        let told = |at: usize| {
            let token = self.tokens.get(at);
            let told =
                token.is_some_and(|token| matches!(token.shape, Shape::Mixed | Shape::Upper) && token.word.len() > 1);
            told || lexicon.first_names.contains(self.word(at))
                || lexicon.cities.contains(self.word(at))
                || lexicon.places.contains_key(self.word(at))
                || lexicon.forms.contains(self.word(at))
        };
        run.clone().any(told) || (capitals > 1 && run.start != self.first)
    }
}
