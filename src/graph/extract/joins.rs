//! Where a name goes on: what may stand between two of its capitals.

use super::language::Language;
use super::lexicon::lexicon;
use super::names::{DAYS, Finder, KEPT_TITLES};
use super::tokens::{Shape, Token};

/// Words between capitals that belong to the name.
const PARTICLES: &[&str] = &[
    "de", "la", "von", "van", "der", "den", "del", "di", "da", "du", "le", "al", "el", "bin", "ibn", "dos", "das",
    "zu", "des",
];
/// Before a number, these name a part of a document.
const PARTS: &[&str] = &[
    "section", "article", "figure", "table", "chapter", "page", "exhibit", "schedule", "appendix", "part", "no",
    "note", "item", "clause",
];
/// Words that a name of an office goes on from with "for" and "and".
const OFFICES: &[&str] = &[
    "department",
    "ministry",
    "bureau",
    "office",
    "center",
    "centre",
    "centers",
    "institute",
    "academy",
    "school",
    "college",
    "faculty",
    "museum",
    "society",
    "committee",
    "commission",
    "council",
    "association",
    "organization",
    "federation",
];

/// Legal forms that are written with a stop.
const ABBREVIATED: &[&str] = &["inc", "corp", "ltd", "co", "pte", "pty", "ev"];
/// Titles that only people have.
const ADDRESSES: &[&str] = &["dr", "prof", "professor", "mr", "mrs", "ms", "miss", "mx", "sir", "dame", "herr", "frau"];

/// Owners that are part of a name: "People's Committee".
const OWNERS: &[&str] = &["people", "women", "men", "children", "workers", "king", "queen", "veterans", "farmers"];

impl Finder<'_> {
    /// One past what goes on from the name `start..end`.
    pub(super) fn joined(&self, start: usize, end: usize) -> Option<usize> {
        let token = self.tokens.get(end)?;
        let (first, last) = (self.word(start), self.word(end - 1));
        let is_initial = last.chars().count() == 1;
        match token.shape {
            Shape::Mark('.') if token.glued => {
                let abbreviates =
                    is_initial || lexicon().titles.contains(last) || lexicon().forms.contains(last) || last == "jr";
                let ends_one = is_initial && end >= start + 3 && self.is_mark(end - 2, '.');
                let is_form = lexicon().forms.contains(last);
                // Where a name follows, the stop ends the sentence; an office goes on with the company's name.
                let ends_sentence = self.is_capital(end + 1) && !self.is_glued(end + 1) && !self.is_office(end + 1);
                let goes_on = self.is_capital(end + 1);
                let ends_form = is_form && ABBREVIATED.contains(&last) && !ends_sentence;
                (abbreviates && (ends_form || !is_form && (goes_on || ends_one))).then_some(end + 1)
            }
            Shape::Mark('-' | '–') if token.glued && self.is_glued(end + 1) => {
                let next = self.tokens.get(end + 1)?;
                (next.is_capital() || (next.shape == Shape::Number && next.word.len() < 4)).then_some(end + 2)
            }
            Shape::Mark('\'' | '’') if OWNERS.contains(&last) && self.word(end + 1) == "s" => {
                self.is_capital(end + 2).then_some(end + 3)
            }
            Shape::Mark('\'' | '’') if token.glued && self.is_glued(end + 1) => {
                (self.is_capital(end + 1) && self.word(end + 1).len() > 1).then_some(end + 2)
            }
            Shape::Mark('"' | '“') if lexicon().first_names.contains(first) => {
                let nick = self.is_capital(end + 1) && self.tokens.get(end + 2).is_some_and(Token::is_quote);
                (nick && self.is_capital(end + 3)).then_some(end + 4)
            }
            Shape::Mark('&') => self.is_capital(end + 1).then_some(end + 2),
            Shape::Mark(',') => {
                lexicon().forms.contains(self.word(end + 1)).then_some(end + 2).filter(|_| self.is_capital(end + 1))
            }
            Shape::Number => {
                let counts = self
                    .tokens
                    .get(end + 1)
                    .is_some_and(|next| next.shape == Shape::Lower && !lexicon().is_stopword(&next.word))
                    || self.is_mark(end + 1, '%')
                    || self.is_glued(end + 1) && self.tokens.get(end + 2).is_some_and(|after| after.glued);
                (token.word.len() < 4 && !token.glued && !counts && !PARTS.contains(&last)).then_some(end + 1)
            }
            Shape::Lower => self.connected(start, end),
            // "Acme Corp. CEO X" and "named X CEO": an office is no part of a name.
            Shape::Capital | Shape::Upper if self.is_office(end) => None,
            Shape::Capital | Shape::Upper | Shape::Mixed
                if self.is_mark(end - 1, '.') && self.ends_in_form(end - 1) =>
            {
                None
            }
            Shape::Capital | Shape::Upper | Shape::Mixed => {
                (!(DAYS.contains(&token.word.as_str()) || token.glued && self.is_mark(end - 1, '/'))).then_some(end + 1)
            }
            Shape::Mark(_) => None,
        }
    }

    /// Whether the word is an office that is written in capitals: "CEO", "Chief Executive".
    fn is_office(&self, at: usize) -> bool {
        let (word, next) = (self.word(at), self.word(at + 1));
        let is_short = self.tokens.get(at).is_some_and(|token| token.shape == Shape::Upper && word.len() == 3);
        is_short && lexicon().roles.contains_key(word) || lexicon().roles.contains_key(&format!("{word} {next}"))
    }

    /// Whether what ends before `stop` is a company's legal form.
    fn ends_in_form(&self, stop: usize) -> bool {
        stop.checked_sub(1).is_some_and(|last| lexicon().forms.contains(self.word(last)))
    }

    /// Past the small words that lead to another capital of the same name.
    fn connected(&self, start: usize, end: usize) -> Option<usize> {
        let (lexicon, last, first) = (lexicon(), self.word(end - 1), self.word(start));
        let word = self.word(end);
        let particles =
            self.tokens.get(end..)?.iter().take(3).take_while(|token| PARTICLES.contains(&token.word.as_str())).count();
        let german_article = self.language == Language::German && !["von", "van", "zu", "de"].contains(&word);
        if particles > 0 && !german_article && self.is_capital(end + particles) {
            return Some(end + particles + 1);
        }
        if self.language != Language::English {
            return None;
        }
        let next = end + 1 + usize::from(self.word(end + 1) == "the");
        let names_office = OFFICES.contains(&first) || OFFICES.contains(&last);
        let is_joined = match word {
            "of" => {
                let is_head = lexicon.heads.contains_key(last) || names_office;
                let is_person = (ADDRESSES.contains(&first) || lexicon.first_names.contains(first)) && end - start > 1
                    || lexicon.places.contains_key(last);
                let is_title =
                    lexicon.titles.contains(last) && !KEPT_TITLES.contains(&last) || lexicon.roles.contains_key(last);
                let is_begun = start == self.first && end == start + 1 && !self.stands_elsewhere(first);
                is_head || !(is_person || is_title || is_begun)
            }
            "for" => names_office && next == end + 1,
            "and" => {
                OFFICES.contains(&first)
                    && (start..end).any(|at| matches!(self.word(at), "of" | "for"))
                    && next == end + 1
            }
            _ => false,
        };
        (is_joined && self.is_capital(next)).then_some(next + 1)
    }
}
