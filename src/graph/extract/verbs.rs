//! Facts that verbs state: active, passive with "by", and participles that describe a name.

use super::clause::{Clause, End, is_verb};
use super::lexicon::{Verb, lexicon};
use crate::graph::{Exclusive, Kind};

/// Verbs of saying, wanting and seeming: what follows them is no fact, or not theirs.
const HEDGES: &[&str] = &[
    "claimed",
    "alleged",
    "denied",
    "believed",
    "wanted",
    "needed",
    "hoped",
    "planned",
    "tried",
    "attempted",
    "refused",
    "proposed",
    "suggested",
    "considered",
    "expected",
    "intended",
    "threatened",
    "failed",
    "seemed",
    "appeared",
    "remained",
    "based",
    "named",
    "called",
    "united",
    "limited",
    "supposed",
    "agreed",
    "decided",
    "stated",
    "noted",
    "argued",
    "asked",
    "required",
    "permitted",
    "allowed",
    "entitled",
    "related",
    "used",
    "followed",
    "compared",
    "opposed",
    "according",
    "added",
    "indeed",
    "turned",
    "showed",
    "ended",
    "started",
    "continued",
    "happened",
    "helped",
    "changed",
    "identified",
    "adjusted",
    "defined",
    "described",
    "specified",
    "listed",
    "referenced",
    "attached",
    "included",
    "contained",
    "mentioned",
    "provided",
    "stored",
    "made",
    "prepared",
    "filed",
    "pursued",
    "disclosed",
    "requested",
    "measured",
    "reported",
];
/// Participles that a date may complete.
const DATED: &[&str] = &[
    "born",
    "died",
    "founded",
    "established",
    "formed",
    "incorporated",
    "released",
    "published",
    "opened",
    "built",
    "completed",
    "created",
    "dissolved",
    "launched",
    "introduced",
    "abolished",
    "discovered",
    "invented",
    "premiered",
];

pub(super) fn read(clause: &mut Clause) {
    for at in 0..clause.items.len() {
        let word = clause.word(at);
        if word.is_empty() {
            continue;
        }
        let (group, passive, states) = clause.group(at);
        if !states {
            continue;
        }
        dated(clause, at, group, passive);
        let lexicon = lexicon();
        let by = lexicon.passive.get(word).copied().and_then(|verb| Some((verb, agent(clause, at + 1)?)));
        if let Some((verb, agent)) = by {
            let subjects = if passive { clause.subjects(group) } else { clause.described(at).into_iter().collect() };
            let (agents, end) = clause.objects(agent);
            state(clause, &agents, verb, &subjects, at, end);
        } else if let Some((verb, length)) = stated(clause, at) {
            let subjects = if length > 1 && group == at && is_verb(word) && !word.ends_with('s') {
                let described = clause.subjects(group);
                if described.is_empty() { clause.described(at).into_iter().collect() } else { described }
            } else {
                clause.subjects(group)
            };
            if length > 1 || !passive {
                let (objects, end) = clause.objects(at + length);
                state(clause, &subjects, verb, &objects, at, end);
            }
        } else if word.len() > 4 && word.ends_with("ed") && !HEDGES.contains(&word) && group == at {
            unlisted(clause, at, word);
        }
    }
}

/// The listed verb at an item, with the words it takes.
fn stated(clause: &Clause, at: usize) -> Option<(Verb, usize)> {
    let lexicon = lexicon();
    let (one, two, three) = (clause.word(at), clause.word(at + 1), clause.word(at + 2));
    let long =
        || lexicon.active.get(&format!("{one} {two} {three}")).map(|verb| (*verb, 3)).filter(|_| !three.is_empty());
    let pair = || lexicon.active.get(&format!("{one} {two}")).map(|verb| (*verb, 2)).filter(|_| !two.is_empty());
    long().or_else(pair).or_else(|| lexicon.active.get(one).map(|verb| (*verb, 1)))
}

/// One past the "by" of an agent, near after a participle.
fn agent(clause: &Clause, after: usize) -> Option<usize> {
    let mut places = (after..after + 6).take_while(|at| {
        clause.entity(*at).is_some()
            || matches!(
                clause.word(*at),
                "by" | "in" | "on" | "and" | "the" | "at" | "jointly" | "entirely" | "originally"
            )
    });
    places.find(|at| clause.word(*at) == "by").map(|by| by + 1)
}

fn state(clause: &mut Clause, subjects: &[usize], verb: Verb, objects: &[usize], from: usize, to: usize) {
    for subject in subjects {
        for object in objects {
            let kinds = (clause.kind_of(*subject), clause.kind_of(*object));
            if fits(verb.predicate, kinds.0, kinds.1) {
                // A place stays where it is, in the town and in the country; and what is in a town is in its country.
                let is_wide = kinds.0 == Some(Kind::Place) || clause.is_region(*object);
                let exclusive = if is_wide { Exclusive::No } else { verb.exclusive };
                clause.state(*subject, verb.predicate, End::Entity(*object), exclusive, from, to);
            }
        }
    }
}

/// Whether such a thing can stand in such a relation; the subject may be out of the sentence.
fn fits(predicate: &str, subject: Option<Kind>, object: Option<Kind>) -> bool {
    let (of, to) = (subject.unwrap_or(Kind::Concept), object.unwrap_or(Kind::Concept));
    let is_place = !matches!(to, Kind::Person | Kind::Work | Kind::Product);
    match predicate {
        "born in" | "died in" | "buried in" | "lives in" => is_place && matches!(of, Kind::Person | Kind::Concept),
        "located in" | "located on" | "headquartered in" | "held in" | "borders" | "flows into" | "flows through"
        | "filmed in" | "founded in" => is_place && of != Kind::Person,
        "based in" | "moved to" => is_place,
        "released in" | "published in" => to != Kind::Person,
        "married" => of == Kind::Person && matches!(to, Kind::Person | Kind::Concept),
        "wrote" | "composed" | "directed" | "painted" => {
            !matches!(to, Kind::Person | Kind::Place) && !matches!(of, Kind::Place | Kind::Work)
        }
        "studied at" | "taught at" => of == Kind::Person && to != Kind::Person,
        "stars" => to != Kind::Place,
        "left" | "met" => of == Kind::Person,
        _ => true,
    }
}

/// A verb that no list has, right between two names: "X visited Y", "X collaborated with Y".
fn unlisted(clause: &mut Clause, at: usize, word: &str) {
    let Some(before) = at.checked_sub(1) else { return };
    let subjects = if clause.named(before).is_some() { clause.subjects(at) } else { Vec::new() };
    let preposition = Some(clause.word(at + 1))
        .filter(|word| matches!(*word, "in" | "with" | "to" | "from" | "for" | "at" | "against" | "into" | "on"));
    let (objects, end) = clause.objects(at + 1 + usize::from(preposition.is_some()));
    for subject in subjects.iter().filter(|_| objects.len() == 1) {
        let predicate = preposition.map_or(word.to_owned(), |preposition| format!("{word} {preposition}"));
        objects
            .iter()
            .for_each(|object| clause.state(*subject, predicate.clone(), End::Entity(*object), Exclusive::No, at, end));
    }
}

/// "born on 3 May 1963", "founded in 1946": the date is the object.
fn dated(clause: &mut Clause, at: usize, group: usize, passive: bool) {
    let word = clause.word(at);
    if !DATED.contains(&word) {
        return;
    }
    let near = (at + 1..at + 6).take_while(|place| {
        clause.entity(*place).is_some() || matches!(clause.word(*place), "in" | "on" | "by" | "at" | "the")
    });
    let Some(date) = near
        .filter(|place| matches!(clause.word(place - 1), "in" | "on"))
        .find(|place| clause.moment(*place).is_some())
    else {
        return;
    };
    let subjects = match clause.subjects(group) {
        found if passive || word == "died" || word == "premiered" => found,
        found if !found.is_empty() && word == "born" => found,
        // "Acme launched X in 2004": what has an object does not happen to whoever does it.
        _ if (at + 1..date).any(|at| clause.named(at).is_some_and(|(_, kind)| kind != Kind::Place)) => return,
        _ => clause.described(at).into_iter().collect(),
    };
    let Some((object, _)) = clause.entity(date) else { return };
    let predicate = if matches!(word, "born" | "died") { format!("{word} on") } else { format!("{word} in") };
    for subject in subjects {
        let of = clause.kind_of(subject);
        let lives = matches!(word, "born" | "died");
        if of.is_none_or(|kind| lives == (kind == Kind::Person) || kind == Kind::Concept) {
            clause.state(subject, predicate.clone(), End::Entity(object), Exclusive::No, at, date + 1);
        }
    }
}
