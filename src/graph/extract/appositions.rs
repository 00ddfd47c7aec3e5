//! Facts that stand beside a name without a verb: `X, CEO of Y`, `Y's chief X`, `Apple CEO X`, `X (born …)`, `Turin, Italy`.

use super::clause::{Clause, End, What};
use super::descriptions::{class, noun, origin, relation, role};
use super::lexicon::lexicon;
use crate::graph::{Exclusive, Kind};

/// Offices that a word for a country may stand before: "French president X".
const OFFICES: &[&str] =
    &["president", "prime minister", "king", "queen", "chancellor", "emperor", "premier", "ambassador"];

pub(super) fn read(clause: &mut Clause) {
    for at in 0..clause.items.len() {
        let Some((subject, kind)) = clause.named(at).filter(|_| !clause.is_origin(at)) else { continue };
        if clause.is_mark(at + 1, ',') {
            apposition(clause, subject, at + 2);
            place(clause, at, kind);
        } else if clause.is_mark(at + 1, '(') && kind == Kind::Person {
            life(clause, subject, at, at + 2);
        }
        if let Some(open) = (at + 2..at + 4).find(|open| clause.is_mark(*open, '(')).filter(|_| kind == Kind::Person) {
            // "X, (born …)" and "X, () (born …)".
            if (at + 1..open).all(|at| [',', '(', ')'].into_iter().any(|mark| clause.is_mark(at, mark))) {
                life(clause, subject, at, open + 1);
            }
        }
        if kind == Kind::Person {
            title(clause, subject, at);
        }
    }
}

/// `X, a German racer,` and `X, CEO of Y`.
fn apposition(clause: &mut Clause, subject: usize, from: usize) {
    let article = clause.word(from);
    let has_article = matches!(article, "a" | "an" | "the");
    let mut at = from + usize::from(has_article);
    while matches!(clause.word(at), "former" | "late" | "first" | "then" | "current" | "founding") {
        at += 1;
    }
    let Some(noun) = noun(clause, at) else { return };
    if let Some(role) = role(clause, &noun).filter(|_| matches!(clause.word(noun.words.end), "of" | "for" | "at")) {
        relation(clause, subject, &role, noun.words.end, from);
    }
    let last = clause.word(noun.words.end.wrapping_sub(1));
    let describes = lexicon().classes.get(last).is_some_and(|kind| clause.kind_of(subject) == Some(*kind));
    if matches!(article, "a" | "an") && describes {
        class(clause, subject, &noun, from);
        origin(clause, subject, &noun, from);
    }
}

/// `Vancouver, British Columbia, Canada`: each lies in the next.
fn place(clause: &mut Clause, at: usize, kind: Kind) {
    let region = |at: usize| match clause.items.get(at).map(|item| item.what) {
        Some(What::Entity { at, is_region: true, is_origin: false, kind: Kind::Place, .. }) => Some(at),
        _ => None,
    };
    let is_placed =
        kind == Kind::Place || kind == Kind::Concept && matches!(clause.word(at.wrapping_sub(1)), "in" | "near");
    let continues =
        at >= 2 && clause.is_mark(at - 1, ',') && clause.named(at - 2).is_some_and(|(_, kind)| kind == Kind::Place);
    let starts = region(at).is_none() && !continues && is_placed;
    let Some((subject, _)) = clause.named(at).filter(|_| starts) else { return };
    let Some(object) = region(at + 2) else { return };
    let is_list = (at + 3..at + 9)
        .take_while(|at| clause.entity(*at).is_some() || clause.is_mark(*at, ',') || clause.word(*at) == "and")
        .any(|at| clause.word(at) == "and" && clause.named(at + 1).is_some());
    let wider = region(at + 4).filter(|_| clause.is_mark(at + 3, ','));
    if !is_list && clause.ends_object(at + 3) {
        clause.state(subject, "located in", End::Entity(object), Exclusive::No, at, at + 3);
        if let Some(wider) = wider.filter(|_| clause.ends_object(at + 5)) {
            clause.state(object, "located in", End::Entity(wider), Exclusive::No, at + 2, at + 5);
        }
    }
}

/// `X (born 13 March 1963 in Mediaș)` and `X (13 March 1963 – 4 May 2001)`.
fn life(clause: &mut Clause, subject: usize, at: usize, from: usize) {
    // "X, Order of Y (1867 – 1949)" tells of X.
    let is_listed = at > 1 && clause.is_mark(at - 1, ',') && clause.named(at - 2).is_some();
    if is_listed {
        return;
    }
    let close = (from..from + 24).find(|at| clause.is_mark(*at, ')'));
    let Some(close) = close else { return };
    let date = |at: usize| clause.entity(at).filter(|_| clause.moment(at).is_some()).map(|(entity, _)| entity);
    if let Some(born) = (from..close).find(|at| matches!(clause.word(*at), "born" | "b")) {
        let at = born + 1 + usize::from(clause.is_mark(born + 1, '.') || matches!(clause.word(born + 1), "on" | "in"));
        let date = date(at);
        let place = (at..close)
            .find(|at| clause.word(at.wrapping_sub(1)) == "in")
            .and_then(|at| clause.named(at))
            .filter(|(_, kind)| matches!(kind, Kind::Place | Kind::Concept));
        if let Some(date) = date {
            clause.state(subject, "born on", End::Entity(date), Exclusive::No, born, at + 1);
        }
        if let Some((place, _)) = place {
            clause.state(subject, "born in", End::Entity(place), Exclusive::No, born, close);
        }
        return;
    }
    // The first dates of the brackets, with a dash between.
    let Some(first) = (from..close).find(|at| date(*at).is_some()) else { return };
    let dash =
        (first + 1..close.min(first + 8)).find(|at| ['–', '-', '—'].into_iter().any(|mark| clause.is_mark(*at, mark)));
    let last = dash.and_then(|dash| (dash + 1..close).find(|at| date(*at).is_some()));
    if let (Some(born), Some(died), Some(last)) = (date(first), last.and_then(date), last) {
        clause.state(subject, "born on", End::Entity(born), Exclusive::No, first, first + 1);
        clause.state(subject, "died on", End::Entity(died), Exclusive::No, last, last + 1);
    }
}

/// "Apple CEO X", "French president X", "German engineer X".
fn title(clause: &mut Clause, subject: usize, at: usize) {
    let word = |back: usize| at.checked_sub(back).map_or("", |at| clause.word(at));
    let is_role = |role: &str| lexicon().roles.contains_key(role);
    let pair = format!("{} {}", word(2), word(1));
    let (role, length) = if is_role(&pair) { (pair, 2) } else { (word(1).to_owned(), 1) };
    if !is_role(&role) && lexicon().classes.get(&role) != Some(&Kind::Person) {
        return;
    }
    let Some(owner) = at.checked_sub(length + 1) else { return };
    let Some((entity, kind)) = clause.named(owner) else { return };
    let (from, to) = (owner, at + 1);
    let is_origin = clause.is_origin(owner);
    let is_office =
        if is_origin { OFFICES.contains(&role.as_str()) } else { kind == Kind::Organization && is_role(&role) };
    if is_office {
        let (lexicon, object) = (lexicon(), End::Entity(entity));
        clause.state(subject, format!("{} of", lexicon.office(&role)), object, lexicon.exclusive(&role), from, to);
    } else if is_origin {
        clause.state(subject, "nationality", End::Entity(entity), Exclusive::No, from, to);
    }
}
