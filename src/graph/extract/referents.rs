//! Whom "he", "it" or "the company" at the beginning of a sentence means, where there is only one to be meant.

use super::clause::Clause;
use super::lexicon::lexicon;
use crate::graph::Kind;

/// What the sentences before were about.
pub(super) struct Referents {
    /// What the document is about, by its title.
    topic: Option<(usize, Kind)>,
    /// What the sentence before was about.
    last: Option<(usize, Kind)>,
}

impl Referents {
    pub fn of(topic: Option<(usize, Kind)>) -> Self {
        Referents { topic, last: None }
    }

    /// A paragraph begins: it may go on with the document's topic, and no other.
    pub fn begin(&mut self) {
        self.last = self.topic;
    }

    /// A heading or a table stands between.
    pub fn forget(&mut self) {
        self.last = None;
    }

    /// Whom the words that open a sentence, or what they own, mean.
    pub fn of_opening(&self, clause: &Clause) -> Option<usize> {
        let opening = clause.opening_words();
        let class = || lexicon().classes.get(clause.word(opening + 1)).copied();
        let fits = |kind: Kind| match clause.word(opening) {
            "he" | "she" | "his" | "her" => kind == Kind::Person,
            "it" | "its" => !matches!(kind, Kind::Person | Kind::Date | Kind::Amount),
            "the" => class() == Some(kind) && kind != Kind::Concept,
            _ => false,
        };
        self.last.filter(|(_, kind)| fits(*kind)).map(|(entity, _)| entity)
    }

    /// What a sentence was about: what it begins with, or whom it refers to.
    pub fn follow(&mut self, clause: &Clause) {
        let opening = clause.opening_words();
        let opening = opening + usize::from(clause.word(opening) == "the");
        let others = |of: usize, kind: Kind| {
            (0..clause.items.len())
                .filter_map(|at| clause.named(at))
                .any(|(entity, other)| entity != of && other == kind)
        };
        if let Some(referent) = clause.referent {
            // Another of its kind may be meant next.
            self.last = self.last.filter(|(entity, kind)| {
                Some(*entity) == self.topic.map(|(topic, _)| topic) || !others(referent, *kind)
            });
            return;
        }
        let about = clause.named(opening).filter(|_| !clause.is_origin(opening) && !clause.is_possessive(opening + 1));
        let is_topic = |entity: usize| self.topic.is_some_and(|(topic, _)| topic == entity);
        // Of a person the document goes on to tell after sentences that begin with something else.
        let topic =
            self.topic.filter(|(entity, kind)| about.is_none() && *kind == Kind::Person && !others(*entity, *kind));
        self.last = about.filter(|(entity, kind)| is_topic(*entity) || !others(*entity, *kind)).or(topic);
    }
}
