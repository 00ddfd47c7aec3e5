//! Facts that "is" states: what something is, where it is from, what it is of another.

use super::clause::{Clause, End, What, is_adverb, is_verb};
use super::lexicon::lexicon;
use crate::graph::{Exclusive, Kind};

/// Nouns that say nothing of what is called so.
const VACUOUS: &[&str] = &[
    "lot",
    "bit",
    "name",
    "term",
    "word",
    "title",
    "nickname",
    "symbol",
    "way",
    "state",
    "peer",
    "thing",
    "person",
    "other",
    "period",
    "number",
    "result",
    "way",
    "part",
    "kind",
    "type",
    "sort",
    "one",
    "reason",
    "matter",
    "time",
    "thing",
    "example",
    "member",
    "set",
    "variety",
    "series",
    "case",
    "form",
    "means",
    "year",
    "day",
    "fact",
    "place",
    "point",
    "issue",
    "problem",
    "success",
    "failure",
    "favorite",
    "success",
    "majority",
    "minority",
    "source",
    "cause",
    "question",
    "factor",
    "choice",
    "step",
    "consequence",
    "subject",
    "target",
    "chance",
    "sign",
    "mix",
    "mixture",
    "combination",
    "collection",
    "group-of",
    "pair",
    "couple",
    "handful",
    "few",
    "feature",
    "good",
    "mistake",
    "party",
    "must",
    "challenge",
    "while",
    "piece",
    "range",
    "list",
    "shame",
    "pleasure",
    "disaster",
    "hit",
    "fan",
    "right",
    "element",
    "component",
    "measure",
    "change",
    "difference",
    "total",
];

/// A noun with what describes it.
pub(super) struct Noun {
    /// Its words without articles and origins, in items.
    pub words: std::ops::Range<usize>,
    /// Places that it is from: "a German racer".
    pub origins: Vec<usize>,
}

/// The noun that begins at an item, after its article.
pub(super) fn noun(clause: &Clause, at: usize) -> Option<Noun> {
    let (mut start, mut end, mut origins) = (at, at, Vec::new());
    while let Some(item) = clause.items.get(end).filter(|_| end < at + 9) {
        match item.what {
            What::Word(word) if is_role(word) || !(lexicon().is_stopword(word) || is_verb(word) && end > start) => {
                end += 1
            }
            What::Entity { at: place, kind: Kind::Place, is_origin: true, .. } => {
                origins.push(place);
                end += 1;
                start = end;
            }
            What::Mark('-') if end > start => end += 1,
            What::Entity { kind: Kind::Concept, .. } if clause.word(end + 1).is_empty() && end > at => return None,
            _ => break,
        }
    }
    while end > start && (clause.word(end - 1).is_empty() || is_adverb(clause.word(end - 1))) {
        end -= 1;
    }
    (end > start).then_some(Noun { words: start..end, origins })
}

fn is_role(word: &str) -> bool {
    lexicon().roles.contains_key(word)
}

/// The relation that a noun ends in: "capital", "prime minister", "chief executive officer".
pub(super) fn role(clause: &Clause, noun: &Noun) -> Option<String> {
    let first = noun.words.end.saturating_sub(3).max(noun.words.start);
    (first..noun.words.end).find_map(|at| {
        let words: Vec<&str> = (at..noun.words.end).map(|at| clause.word(at)).collect();
        Some(words.join(" ")).filter(|role| is_role(role))
    })
}

pub(super) fn read(clause: &mut Clause) {
    for at in 0..clause.items.len() {
        let link = clause.word(at);
        if !matches!(link, "is" | "was" | "been" | "became" | "remains" | "means") {
            continue;
        }
        let (group, _, states) = clause.group(at);
        let [subject] = clause.subjects(group)[..] else { continue };
        let mut next = at + 1;
        while is_adverb(clause.word(next)) || matches!(clause.word(next), "appointed" | "elected" | "named" | "one") {
            next += 1;
        }
        next += usize::from(clause.word(next) == "of");
        let article = clause.word(next);
        let has_article = matches!(article, "a" | "an" | "the" | "as");
        if !states || clause.word(next) == "not" {
            continue;
        }
        let Some(noun) = noun(clause, next + usize::from(has_article)) else { continue };
        if has_article {
            clause.topic = Some(subject);
        }
        let of = role(clause, &noun).filter(|_| matches!(clause.word(noun.words.end), "of" | "for" | "at"));
        if let Some(role) = of {
            relation(clause, subject, &role, noun.words.end, at);
        } else if matches!(article, "a" | "an") && link != "remains" {
            class(clause, subject, &noun, at);
        }
        origin(clause, subject, &noun, at);
        beyond(clause, subject, &noun, at);
    }
}

/// "… the capital of Y".
pub(super) fn relation(clause: &mut Clause, subject: usize, role: &str, of: usize, from: usize) {
    let (objects, end) = clause.objects(of + 1);
    let is_former = (from..of).any(|at| {
        matches!(clause.word(at), "former" | "late" | "first" | "onetime" | "deputy" | "acting" | "elected" | "next")
    });
    // "a director of" is one of several.
    let is_one_of = (from..of).any(|at| matches!(clause.word(at), "a" | "an" | "one"));
    for object in objects {
        let exclusive = if is_one_of { Exclusive::No } else { lexicon().exclusive(role) };
        let predicate = format!("{} of", lexicon().office(role));
        if !is_former || matches!(lexicon().exclusive(role), Exclusive::No) {
            clause.state(subject, predicate, End::Entity(object), exclusive, from, end);
        }
    }
}

/// "X is a skeleton racer".
pub(super) fn class(clause: &mut Clause, subject: usize, noun: &Noun, from: usize) {
    let words = noun.words.end.saturating_sub(3).max(noun.words.start)..noun.words.end;
    let head = clause.word(words.end - 1);
    let is_noun = is_noun(head);
    let plain = is_plain(clause, &words);
    let known = lexicon().classes.contains_key(head);
    let is_person = |kind: Kind| kind == Kind::Person;
    let differs = lexicon()
        .classes
        .get(head)
        .zip(clause.kind_of(subject))
        .is_some_and(|(class, kind)| is_person(*class) != is_person(kind) && kind != Kind::Concept);
    if differs {
        return;
    }
    let ends = match clause.items.get(noun.words.end).map(|item| item.what) {
        None | Some(What::Mark('.' | ',' | ';' | '(' | ':' | '|')) => true,
        Some(What::Word(word)) => {
            known || matches!(word, "that" | "which" | "who" | "in" | "of" | "from" | "for" | "with" | "by" | "used")
        }
        _ => false,
    };
    if plain && ends && (is_noun || known) && !VACUOUS.contains(&head) {
        clause.state(subject, "is a", End::Term(words), Exclusive::No, from, noun.words.end);
    }
}

/// Whether a word may be what something is.
pub(super) fn is_noun(word: &str) -> bool {
    word.len() > 2
        && !VACUOUS.contains(&word)
        && !is_verb(word)
        && !["ed", "ing", "ous", "ful", "ive", "able", "ible", "ic", "less"].iter().any(|end| word.ends_with(end))
}

/// Whether items are words of letters alone.
pub(super) fn is_plain(clause: &Clause, words: &std::ops::Range<usize>) -> bool {
    words.clone().all(|at| !clause.word(at).is_empty() && clause.word(at).chars().all(char::is_alphabetic))
}

/// "X is a German racer": where X is from.
pub(super) fn origin(clause: &mut Clause, subject: usize, noun: &Noun, from: usize) {
    let kind = clause.kind_of(subject).or_else(|| lexicon().classes.get(clause.word(noun.words.end - 1)).copied());
    let predicate = if kind == Some(Kind::Person) { "nationality" } else { "country" };
    let classes =
        lexicon().classes.contains_key(clause.word(noun.words.end - 1)) || is_role(clause.word(noun.words.end - 1));
    for place in noun.origins.iter().filter(|_| classes) {
        clause.state(subject, predicate, End::Entity(*place), Exclusive::No, from, noun.words.end);
    }
}

/// "… a town in Y", "… a song by Z", after the noun.
fn beyond(clause: &mut Clause, subject: usize, noun: &Noun, from: usize) {
    let class = lexicon().classes.get(clause.word(noun.words.end - 1)).copied();
    let (objects, end) = clause.objects(noun.words.end + 1);
    let predicate = match (clause.word(noun.words.end), class) {
        ("in" | "within", Some(Kind::Place | Kind::Organization)) => "located in",
        ("by", Some(Kind::Work | Kind::Product)) => "by",
        _ => return,
    };
    for object in objects {
        let to = clause.kind_of(object);
        if predicate == "by" || to.is_some_and(|kind| kind == Kind::Place) {
            clause.state(subject, predicate, End::Entity(object), Exclusive::No, from, end);
        }
    }
}
