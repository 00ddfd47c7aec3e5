//! A sentence as entities, words and marks, and where in it the subject and the objects of a verb stand.

use super::dates::Moment;
use super::lexicon::lexicon;
use crate::graph::{Exclusive, Kind};

const AUXILIARIES: &[&str] = &["is", "was", "are", "were", "been", "be", "being", "has", "have", "had"];
pub(super) const BE: &[&str] = &["is", "was", "are", "were", "been", "be", "being"];
const ADVERBS: &[&str] = &[
    "also",
    "then",
    "later",
    "first",
    "soon",
    "once",
    "still",
    "now",
    "both",
    "already",
    "again",
    "even",
    "currently",
    "ever",
    "just",
    "long",
    "since",
    "best",
    "often",
    "all",
    "reportedly-not",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What<'a> {
    Entity { at: usize, kind: Kind, moment: Option<Moment>, is_origin: bool, is_region: bool },
    Word(&'a str),
    Possessive,
    Mark(char),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub what: What<'a>,
    pub start: usize,
    pub end: usize,
}

/// What a fact is about, before it is dated.
#[derive(Debug)]
pub(super) struct Draft {
    pub subject: usize,
    pub object: Object,
    pub predicate: String,
    pub exclusive: Exclusive,
    /// Its verb, and one past its object, in items: where its dates may stand.
    pub from: usize,
    pub to: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    Entity(usize),
    /// The words of these items name a concept.
    Term(std::ops::Range<usize>),
}

/// A sentence that is being read.
pub(super) struct Clause<'a> {
    pub items: Vec<Item<'a>>,
    /// Whom "he", "it" or "the company" at its beginning means.
    pub referent: Option<usize>,
    /// What it says something of by "is".
    pub topic: Option<usize>,
    pub drafts: Vec<Draft>,
}

impl<'a> Clause<'a> {
    pub fn word(&self, at: usize) -> &'a str {
        match self.items.get(at).map(|item| item.what) {
            Some(What::Word(word)) => word,
            _ => "",
        }
    }

    pub fn is_mark(&self, at: usize, mark: char) -> bool {
        self.items.get(at).is_some_and(|item| item.what == What::Mark(mark))
    }

    pub fn is_possessive(&self, at: usize) -> bool {
        self.items.get(at).is_some_and(|item| item.what == What::Possessive)
    }

    /// The entity at an item, and its kind: not a date, not an amount.
    pub fn named(&self, at: usize) -> Option<(usize, Kind)> {
        match self.items.get(at)?.what {
            What::Entity { at, kind, .. } if !matches!(kind, Kind::Date | Kind::Amount) => Some((at, kind)),
            _ => None,
        }
    }

    pub fn entity(&self, at: usize) -> Option<(usize, Kind)> {
        match self.items.get(at)?.what {
            What::Entity { at, kind, .. } => Some((at, kind)),
            _ => None,
        }
    }

    pub fn moment(&self, at: usize) -> Option<Moment> {
        match self.items.get(at)?.what {
            What::Entity { moment, .. } => moment,
            _ => None,
        }
    }

    /// Whether the item is a place by the word for what comes from there: "German".
    pub fn is_origin(&self, at: usize) -> bool {
        self.items.get(at).is_some_and(|item| matches!(item.what, What::Entity { is_origin: true, .. }))
    }

    pub fn kind_of(&self, entity: usize) -> Option<Kind> {
        self.items.iter().find_map(|item| match item.what {
            What::Entity { at, kind, .. } if at == entity => Some(kind),
            _ => None,
        })
    }

    pub fn state(
        &mut self,
        subject: usize,
        predicate: impl Into<String>,
        object: Object,
        exclusive: Exclusive,
        from: usize,
        to: usize,
    ) {
        if object != Object::Entity(subject) {
            self.drafts.push(Draft { subject, object, predicate: predicate.into(), exclusive, from, to });
        }
    }

    /// The first item of the verb group that ends before `verb`, whether it is passive, and whether it states anything.
    pub fn group(&self, verb: usize) -> (usize, bool, bool) {
        let (mut start, mut passive, mut states) = (verb, false, true);
        while let Some(before) = start.checked_sub(1) {
            let word = self.word(before);
            if is_adverb(word) || AUXILIARIES.contains(&word) {
                passive |= BE.contains(&word);
            } else if matches!(
                word,
                "to" | "will"
                    | "would"
                    | "can"
                    | "could"
                    | "may"
                    | "might"
                    | "must"
                    | "shall"
                    | "should"
                    | "not"
                    | "never"
                    | "cannot"
                    | "hardly"
            ) {
                states = false;
            } else {
                break;
            }
            start = before;
        }
        (start, passive, states)
    }

    pub fn opening(&self, close: usize) -> Option<usize> {
        (close.saturating_sub(40)..close).rev().find(|at| self.is_mark(*at, '('))
    }
}

pub(super) fn is_adverb(word: &str) -> bool {
    ADVERBS.contains(&word) || (word.len() > 4 && word.ends_with("ly"))
}

pub(super) fn is_verb(word: &str) -> bool {
    AUXILIARIES.contains(&word)
        || matches!(word, "held" | "known" | "born" | "given" | "taken" | "shown" | "seen" | "made")
        || lexicon().active.contains_key(word)
        || lexicon().passive.contains_key(word)
        || (word.len() > 4 && word.ends_with("ed"))
}
