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
    "almost",
];

pub(super) const PAST: &[&str] =
    &["was", "were", "had", "became", "formerly", "previously", "originally", "initially", "once", "briefly"];
const PRESENT: &[&str] = &["is", "are", "has", "have", "remains", "currently", "now"];
/// Verbs of saying: what they tell of is true when it is said.
const SAYING: &[&str] = &["said", "told", "announced", "added", "noted", "reported", "stated", "explained", "wrote"];
/// Without an auxiliary these describe a name: "Acme, based in Oslo".
const PARTICIPLES: &[&str] = &["based", "located", "situated", "headquartered", "known", "owned", "led", "headed"];
/// Adverbs that leave open whether it is so.
const DOUBTS: &[&str] = &[
    "nearly",
    "almost",
    "reportedly",
    "allegedly",
    "apparently",
    "possibly",
    "probably",
    "supposedly",
    "seemingly",
    "hardly",
    "barely",
    "maybe",
    "perhaps",
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
    pub subject: End,
    pub object: End,
    pub predicate: String,
    pub exclusive: Exclusive,
    /// Its verb, and one past its object, in items: where its dates may stand.
    pub from: usize,
    pub to: usize,
    pub tense: Tense,
    /// Its date is its end: "stepped down in May".
    pub ends: bool,
}

/// When what is said is true, by how it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tense {
    /// "is", "has been", "owns": when it was written.
    Present,
    /// "was", "lived in", "formerly": at some time.
    Past,
    /// Beside a name, without a verb of its own, in a sentence that tells of the present or of what somebody says.
    Aside,
    /// The same, in a sentence that tells of the past.
    PastAside,
}

/// An end of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
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

    /// Whether an entity is a country, or a state of one.
    pub fn is_region(&self, entity: usize) -> bool {
        self.items.iter().any(|item| matches!(item.what, What::Entity { at, is_region: true, .. } if at == entity))
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
        object: End,
        exclusive: Exclusive,
        from: usize,
        to: usize,
    ) {
        self.state_of(End::Entity(subject), predicate, object, exclusive, (from, to));
    }

    /// As [`Clause::state`], of a subject that may be a concept without a name.
    pub fn state_of(
        &mut self,
        subject: End,
        predicate: impl Into<String>,
        object: End,
        exclusive: Exclusive,
        (from, to): (usize, usize),
    ) {
        if object != subject {
            let tense = self.tense(from, to);
            self.drafts.push(Draft {
                subject,
                object,
                predicate: predicate.into(),
                exclusive,
                from,
                to,
                tense,
                ends: false,
            });
        }
    }

    /// When what the items `from..to` say is true; a verb at `from` may have auxiliaries before it.
    fn tense(&self, from: usize, to: usize) -> Tense {
        let (start, ..) = self.group(from);
        let has = |words: &[&str]| (start..to).any(|at| words.contains(&self.word(at)));
        let verb = self.word(from);
        if has(PAST) {
            Tense::Past
        } else if has(PRESENT) || is_verb(verb) && verb.ends_with('s') {
            Tense::Present
        } else if is_verb(verb) && !PARTICIPLES.contains(&verb) {
            Tense::Past
        } else if self.tells_of_past() {
            Tense::PastAside
        } else {
            Tense::Aside
        }
    }

    /// Whether the sentence tells of what happened: it names a date, or its verbs are in the past but for those of saying.
    fn tells_of_past(&self) -> bool {
        let is_past = |word: &str| {
            matches!(word, "was" | "were" | "had" | "did")
                || is_verb(word)
                    && !word.ends_with('s')
                    && !SAYING.contains(&word)
                    && !PARTICIPLES.contains(&word)
                    && !AUXILIARIES.contains(&word)
        };
        (0..self.items.len()).any(|at| self.moment(at).is_some() || is_past(self.word(at)))
    }

    /// The first item of the verb group that ends before `verb`, whether it is passive, and whether it states anything.
    pub fn group(&self, verb: usize) -> (usize, bool, bool) {
        let (mut start, mut passive, mut states) = (verb, false, true);
        while let Some(before) = start.checked_sub(1) {
            let word = self.word(before);
            if DOUBTS.contains(&word) {
                states = false;
            } else if is_adverb(word) || AUXILIARIES.contains(&word) {
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
