//! Who takes an office, holds it or leaves it: "Acme named X its CEO", "X took over as CEO of Acme", "X is Acme's new CEO",
//! "X stepped down as CEO".

use super::clause::{Clause, End, Tense};
use super::descriptions::{noun, role};
use super::lexicon::lexicon;
use crate::graph::{Exclusive, Kind};

/// Verbs by which an organization gives an office.
const GIVING: &[&str] =
    &["named", "names", "appointed", "appoints", "elected", "elects", "hired", "hires", "promoted", "promotes", "made"];
/// Verbs after which "as" says what somebody is.
const TAKING: &[&str] = &[
    "serves",
    "served",
    "works",
    "worked",
    "acts",
    "acted",
    "took",
    "takes",
    "joined",
    "joins",
    "succeeded",
    "succeeds",
    "replaced",
    "replaces",
    "returned",
    "returns",
    "started",
    "remains",
    "continues",
];
/// Verbs after which "as" says what somebody is no longer.
const LEAVING: &[&str] =
    &["resigned", "resigns", "stepped", "steps", "retired", "retires", "quit", "quits", "departed"];
/// Items between a verb and its "as".
const NEAR: usize = 5;

/// An office, as it is named in a sentence.
struct Office {
    role: String,
    /// One past its words.
    end: usize,
    /// It is one of several: "a director".
    is_one_of: bool,
}

pub(super) fn read(clause: &mut Clause) {
    for at in 0..clause.items.len() {
        let word = clause.word(at);
        if GIVING.contains(&word) {
            given(clause, at);
        } else if word == "as" {
            taken(clause, at);
        } else if clause.is_possessive(at) {
            of_owner(clause, at);
        }
    }
}

/// The office that stands at an item, after an article and what describes it.
fn office(clause: &Clause, mut at: usize) -> Option<Office> {
    let begin = at;
    while matches!(
        clause.word(at),
        "as" | "the" | "its" | "their" | "a" | "an" | "new" | "next" | "interim" | "to" | "be"
    ) {
        at += 1;
    }
    let is_one_of = (begin..at).any(|at| matches!(clause.word(at), "a" | "an"));
    let noun = noun(clause, at)?;
    let role = role(clause, &noun)?;
    let is_past = noun.words.clone().any(|at| matches!(clause.word(at), "former" | "late" | "deputy" | "vice"));
    (!is_past).then_some(Office { role, end: noun.words.end, is_one_of })
}

/// "Acme named X (as) its CEO", "X was appointed CEO by Acme".
fn given(clause: &mut Clause, verb: usize) {
    let (group, passive, states) = clause.group(verb);
    if !states {
        return;
    }
    let subjects = clause.subjects(group);
    if passive {
        let Some(office) = office(clause, verb + 1) else { return };
        let by = clause.named(office.end + 1).filter(|_| clause.word(office.end) == "by");
        if let ([holder], Some((owner, Kind::Organization | Kind::Concept))) = (&subjects[..], by) {
            state(clause, *holder, &office, owner, (verb, office.end + 2));
        }
        return;
    }
    let Some((holder, Kind::Person | Kind::Concept)) = clause.named(verb + 1) else { return };
    let Some(office) = office(clause, verb + 2 + usize::from(clause.is_mark(verb + 2, ','))) else { return };
    let owner = owner(clause, office.end).or_else(|| match subjects[..] {
        [subject] if clause.kind_of(subject) != Some(Kind::Person) => Some((subject, office.end)),
        _ => None,
    });
    if let Some((owner, end)) = owner {
        state(clause, holder, &office, owner, (verb, end));
    }
}

/// "X took over as CEO of Acme", "X joined Acme as CEO", "X stepped down as CEO of Acme".
fn taken(clause: &mut Clause, of: usize) {
    let Some(office) = office(clause, of + 1) else { return };
    let is_one = |at: &usize| {
        let word = clause.word(*at);
        TAKING.contains(&word) || LEAVING.contains(&word)
    };
    let Some(verb) = (of.saturating_sub(NEAR)..of).rev().find(is_one) else { return };
    let (group, _, states) = clause.group(verb);
    let [holder] = clause.subjects(group)[..] else { return };
    let joined = || {
        let named = (verb + 1..of).find_map(|at| clause.named(at).filter(|(_, kind)| *kind == Kind::Organization));
        named.filter(|_| matches!(clause.word(verb), "joined" | "joins")).map(|(owner, _)| (owner, office.end))
    };
    let Some((owner, end)) = owner(clause, office.end).or_else(joined).filter(|_| states) else { return };
    let (leaves, is_now) = (LEAVING.contains(&clause.word(verb)), clause.word(verb).ends_with('s'));
    let count = clause.drafts.len();
    state(clause, holder, &office, owner, (verb, end));
    for draft in clause.drafts.iter_mut().skip(count) {
        draft.ends = leaves;
        draft.tense = if is_now { Tense::Present } else { Tense::Past };
    }
}

/// "X is Acme's new CEO", "X, Acme's CEO,".
fn of_owner(clause: &mut Clause, possessive: usize) {
    let Some(name) = possessive.checked_sub(1) else { return };
    let Some((owner, kind)) = clause.named(name).filter(|(_, kind)| *kind != Kind::Person) else { return };
    let Some(office) = office(clause, possessive + 1) else { return };
    let Some(before) = name.checked_sub(1 + usize::from(clause.word(name.wrapping_sub(1)) == "the")) else { return };
    let is_link = matches!(clause.word(before), "is" | "was" | "became" | "becomes" | "remains" | "been");
    let holder = if is_link {
        let (group, _, states) = clause.group(before);
        let [subject] = clause.subjects(group)[..] else { return };
        states.then_some(subject)
    } else {
        let is_closed = clause.ends_object(office.end);
        let beside = before.checked_sub(1).and_then(|at| clause.named(at)).filter(|(_, kind)| *kind == Kind::Person);
        beside.filter(|_| clause.is_mark(before, ',') && is_closed).map(|(holder, _)| holder)
    };
    if let Some(holder) = holder.filter(|_| kind != Kind::Date && kind != Kind::Amount) {
        let from = if is_link { before } else { name };
        state(clause, holder, &office, owner, (from, office.end));
    }
}

/// Whose office it is, after "of", "at" or "for", and one past it.
fn owner(clause: &Clause, at: usize) -> Option<(usize, usize)> {
    matches!(clause.word(at), "of" | "at" | "for").then_some(())?;
    let (objects, end) = clause.objects(at + 1);
    match objects[..] {
        [owner] => Some((owner, end)),
        _ => None,
    }
}

fn state(clause: &mut Clause, holder: usize, office: &Office, owner: usize, (from, to): (usize, usize)) {
    let lexicon = lexicon();
    let is_holder = clause.kind_of(holder).is_none_or(|kind| matches!(kind, Kind::Person | Kind::Concept));
    if is_holder && holder != owner {
        let exclusive = if office.is_one_of { Exclusive::No } else { lexicon.exclusive(&office.role) };
        let predicate = format!("{} of", lexicon.office(&office.role));
        clause.state(holder, predicate, End::Entity(owner), exclusive, from, to);
    }
}
