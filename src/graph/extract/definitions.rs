//! What is said of concepts that have no name: "A mutex is a lock", "The price of gold is $2,400".

use super::clause::{Clause, End, What, is_adverb};
use super::descriptions::{is_noun, is_plain, noun};
use super::lexicon::lexicon;
use crate::graph::{Exclusive, Kind};

/// Words of a concept at most.
const LONGEST: usize = 3;

pub(super) fn read(clause: &mut Clause) {
    define(clause);
    price(clause);
}

/// "A mutex is a lock that …", "Lactic acidosis is a complication of …": at the beginning of a sentence, where it is of any.
fn define(clause: &mut Clause) {
    let has_article = matches!(clause.word(0), "a" | "an");
    let Some(subject) = noun(clause, usize::from(has_article)).filter(|noun| noun.origins.is_empty()) else { return };
    if !has_article && (subject.words.len() < 2 || lexicon().starters.contains(clause.word(0))) {
        return;
    }
    let link = subject.words.end;
    if clause.word(link) != "is" || !matches!(clause.word(link + 1), "a" | "an") {
        return;
    }
    let Some(object) = noun(clause, link + 2).filter(|noun| noun.origins.is_empty()) else { return };
    let words = object.words.end.saturating_sub(LONGEST).max(object.words.start)..object.words.end;
    let ends = match clause.items.get(words.end).map(|item| item.what) {
        None | Some(What::Mark('.' | ',' | ';' | '(' | ':')) => true,
        Some(What::Word(word)) => {
            matches!(word, "that" | "which" | "who" | "in" | "of" | "from" | "for" | "with" | "by" | "used" | "to")
        }
        _ => false,
    };
    let are_nouns = [&subject.words, &words].into_iter().all(|words| {
        words.len() <= LONGEST
            && is_plain(clause, words)
            && words.end.checked_sub(1).is_some_and(|last| is_noun(clause.word(last)))
    });
    if ends && are_nouns {
        let end = words.end;
        clause.state_of(End::Term(subject.words), "is a", End::Term(words), Exclusive::No, (link, end));
    }
}

/// "The price of gold is $2,400": a measure of what has no name.
fn price(clause: &mut Clause) {
    for of in 1..clause.items.len() {
        let property = clause.word(of - 1);
        if clause.word(of) != "of" || !lexicon().properties.contains(property) {
            continue;
        }
        let start = of + 1 + usize::from(clause.word(of + 1) == "the");
        let Some(owner) = noun(clause, start).filter(|noun| noun.origins.is_empty()) else { continue };
        let mut at = owner.words.end;
        let is_linked = matches!(clause.word(at), "is" | "was" | "reached" | "rose" | "fell");
        at += 1;
        while is_adverb(clause.word(at))
            || matches!(clause.word(at), "to" | "about" | "around" | "approximately" | "over")
        {
            at += 1;
        }
        let value = clause.entity(at).filter(|(_, kind)| *kind == Kind::Amount && is_linked);
        if let Some((value, _)) = value.filter(|_| owner.words.len() <= LONGEST && is_plain(clause, &owner.words)) {
            let (from, predicate) = (owner.words.end, lexicon().property(property));
            clause.state_of(End::Term(owner.words), predicate, End::Entity(value), Exclusive::Object, (from, at + 1));
        }
    }
}
