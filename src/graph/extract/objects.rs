//! Where in a sentence the objects of a verb stand.

use super::clause::{Clause, What, is_adverb, is_verb};
use super::lexicon::lexicon;
use crate::graph::Kind;

/// Objects of one verb that are told.
const MOST_OBJECTS: usize = 8;

impl Clause<'_> {
    /// The entities that stand at `at` as an object, and one past the last of them.
    pub fn objects(&self, at: usize) -> (Vec<usize>, usize) {
        let none = (Vec::new(), at);
        // "owns 51 % of X"
        let is_share = self.entity(at).is_some_and(|(_, kind)| kind == Kind::Amount) && self.word(at + 1) == "of";
        let at = if is_share { at + 2 } else { at };
        let Some(first) = self.object_place(at) else { return none };
        let Some((entity, kind)) = self.named(first) else { return none };
        let (mut found, mut end) = (vec![entity], first + 1);
        if kind != Kind::Place || self.word(end) == "and" {
            let mut listed = Vec::new();
            let (mut next, mut is_closed) = (end, false);
            while listed.len() < MOST_OBJECTS && !is_closed {
                let comma = self.is_mark(next, ',') && kind != Kind::Place;
                let and = self.word(next + usize::from(comma)) == "and";
                let step = usize::from(comma) + usize::from(and);
                let Some((entity, _)) = self.named(next + step).filter(|(_, other)| step > 0 && *other == kind) else {
                    break;
                };
                listed.push(entity);
                next += step + 1;
                is_closed = and;
            }
            if is_closed && self.ends_object(next) {
                found.extend(listed);
                end = next;
            }
        }
        if self.ends_object(end) { (found, end) } else { none }
    }

    /// Where the name of an object stands: at once, or after words that describe it and end in what it is.
    fn object_place(&self, at: usize) -> Option<usize> {
        let at =
            at + usize::from(matches!(self.word(at), "the" | "a" | "an" | "his" | "her" | "its" | "their" | "fellow"));
        for place in at..at + 6 {
            match self.items.get(place)?.what {
                What::Entity { is_origin, .. } => {
                    let goes_on = is_origin && self.describes(self.word(place + 1));
                    if !goes_on {
                        return (place == at || self.describes(self.word(place - 1))).then_some(place);
                    }
                }
                What::Word(word) if !lexicon().is_stopword(word) && !is_verb(word) || self.describes(word) => {}
                _ => return None,
            }
        }
        None
    }

    fn describes(&self, word: &str) -> bool {
        let lexicon = lexicon();
        lexicon.classes.contains_key(word) || lexicon.roles.contains_key(word) || lexicon.titles.contains(word)
    }

    /// Whether what follows leaves the name before it a noun of its own, not the first part of another.
    pub fn ends_object(&self, at: usize) -> bool {
        match self.items.get(at).map(|item| item.what) {
            None | Some(What::Mark('.' | ',' | ';' | ':' | '(' | ')' | '!' | '"' | '”' | '—' | '–' | '|')) => {
                true
            }
            Some(What::Entity { kind, .. }) => kind == Kind::Date,
            Some(What::Word(word)) => {
                lexicon().is_stopword(word) || is_verb(word) || is_adverb(word) || word.ends_with("ing")
            }
            Some(What::Possessive | What::Mark(_)) => false,
        }
    }
}
