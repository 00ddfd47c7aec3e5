//! Facts of what is owned: `X's wife Y`, "X's capital is Y", "the capital of X is Y", "X has a population of Y", "his wife Y".

use super::clause::{Clause, End, What};
use super::lexicon::lexicon;
use crate::graph::{Exclusive, Kind};

/// Longer nouns are not read.
const LONGEST: usize = 4;

pub(super) fn read(clause: &mut Clause) {
    for at in 0..clause.items.len() {
        if clause.is_possessive(at) {
            if let Some((owner, _)) = at.checked_sub(1).and_then(|at| clause.named(at)) {
                owned(clause, owner, at + 1);
            }
        } else if clause.word(at) == "of" {
            of(clause, at);
        } else if matches!(clause.word(at), "has" | "had" | "with") {
            has(clause, at);
        }
    }
    let opening = clause.opening_words();
    if let Some(owner) = clause.referent.filter(|_| matches!(clause.word(opening), "his" | "her" | "its")) {
        owned(clause, owner, opening + 1);
    }
}

/// What follows an owner: a noun, and the name or value of what it is.
fn owned(clause: &mut Clause, owner: usize, from: usize) {
    let Some((noun, end)) = noun(clause, from) else { return };
    let is = usize::from(matches!(clause.word(end), "is" | "was")) + usize::from(clause.is_mark(end, ','));
    let is_plain = is == 0 || clause.word(end + 1) != "not";
    if is_plain {
        state(clause, owner, &noun, from, end + is, is > 0);
    }
}

/// "The capital of X is Y."
fn of(clause: &mut Clause, of: usize) {
    let Some((noun, start)) = noun_before(clause, of) else { return };
    let begins = |the: usize| {
        let before = the.wrapping_sub(1);
        the == clause.opening_words()
            || matches!(clause.word(before), "said" | "says" | "that" | "while" | "and" | "but")
            || clause.is_mark(before, ',')
    };
    let is_definite = start.checked_sub(1).is_some_and(|at| clause.word(at) == "the" && begins(at));
    let at = of + 1 + usize::from(clause.word(of + 1) == "the");
    let Some((owner, _)) = clause.named(at).filter(|_| is_definite) else { return };
    if matches!(clause.word(at + 1), "is" | "was") {
        state(clause, owner, &noun, start, at + 2, true);
    }
}

/// "X has a population of 5,000."
fn has(clause: &mut Clause, verb: usize) {
    let subjects = if clause.word(verb) == "with" { Vec::new() } else { clause.subjects(verb) };
    let [owner] = subjects[..] else { return };
    let from = verb + 1 + usize::from(matches!(clause.word(verb + 1), "a" | "an"));
    let Some((noun, end)) = noun(clause, from) else { return };
    if clause.word(end) == "of" {
        state(clause, owner, &noun, verb, end + 1, true);
    }
}

fn state(clause: &mut Clause, owner: usize, noun: &str, from: usize, mut at: usize, may_be_value: bool) {
    while matches!(clause.word(at), "the" | "about" | "approximately" | "around" | "now" | "currently" | "over") {
        at += 1;
    }
    let Some((value, kind)) = clause
        .entity(at)
        .filter(|_| clause.ends_object(at + 1) || clause.word(at + 1).is_empty() && !clause.is_possessive(at + 1))
    else {
        return;
    };
    let lexicon = lexicon();
    if lexicon.roles.contains_key(noun) {
        let person = lexicon.classes.get(noun) == Some(&Kind::Person);
        if !matches!(kind, Kind::Amount | Kind::Date) && (!person || matches!(kind, Kind::Person | Kind::Concept)) {
            let predicate = format!("{} of", lexicon.office(noun));
            clause.state(value, predicate, End::Entity(owner), lexicon.exclusive(noun), from, at + 1);
        }
    } else if lexicon.properties.contains(noun) && may_be_value && matches!(kind, Kind::Amount | Kind::Place) {
        clause.state(owner, lexicon.property(noun), End::Entity(value), Exclusive::Object, from, at + 1);
    }
}

/// The role or property that the words from `from` end in, and one past it.
fn noun(clause: &Clause, from: usize) -> Option<(String, usize)> {
    let end = (from..from + LONGEST).find(|at| !is_noun(clause, *at)).unwrap_or(from + LONGEST);
    let is_past =
        (from..end).any(|at| matches!(clause.word(at), "former" | "late" | "ex" | "future" | "first" | "second"));
    named(clause, from, end).filter(|_| !is_past).map(|noun| (noun, end))
}

fn noun_before(clause: &Clause, end: usize) -> Option<(String, usize)> {
    let start = (0..end).rev().take(LONGEST).take_while(|at| is_noun(clause, *at)).last()?;
    let noun = named(clause, start, end)?;
    Some((noun, start))
}

fn is_noun(clause: &Clause, at: usize) -> bool {
    let word = clause.word(at);
    let known = lexicon().roles.contains_key(word) || lexicon().properties.contains(word);
    matches!(clause.items.get(at).map(|item| item.what), Some(What::Word(_))) && (known || !lexicon().is_stopword(word))
}

fn named(clause: &Clause, start: usize, end: usize) -> Option<String> {
    let last = end.checked_sub(1).filter(|last| *last >= start)?;
    let known = |noun: &str| lexicon().roles.contains_key(noun) || lexicon().properties.contains(noun);
    let pair =
        last.checked_sub(1).filter(|at| *at >= start).map(|at| format!("{} {}", clause.word(at), clause.word(last)));
    pair.filter(|pair| known(pair)).or_else(|| Some(clause.word(last).to_owned()).filter(|noun| known(noun)))
}
