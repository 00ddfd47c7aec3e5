//! What a name names, by votes: of its own words, and of those around it.

use super::language::Language;
use super::lexicon::lexicon;
use super::names::Span;
use super::tokens::{Shape, Token};
use crate::graph::Kind;

/// The kinds that names vote on, in the order that settles a tie.
const KINDS: [Kind; 6] = [Kind::Person, Kind::Organization, Kind::Place, Kind::Work, Kind::Product, Kind::Concept];

/// Words that names of places begin with.
const PLACES: &[&str] = &[
    "lake", "mount", "cape", "fort", "san", "santa", "los", "new", "north", "south", "east", "west", "northern",
    "southern", "eastern", "western", "upper", "lower", "greater", "port", "rio", "isle",
];

/// Offices of organizations.
const OFFICES: &[&str] = &[
    "ceo",
    "cfo",
    "cto",
    "coo",
    "chairman",
    "chairwoman",
    "founder",
    "co-founder",
    "subsidiary",
    "division",
    "employee",
    "director",
];

/// What speaks for each kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Votes([u32; KINDS.len()]);

impl Votes {
    pub fn add(&mut self, kind: Kind, weight: u32) {
        let votes = self.0.iter_mut().zip(KINDS).find(|(_, known)| *known == kind);
        if let Some((votes, _)) = votes {
            *votes = votes.saturating_add(weight);
        }
    }

    pub fn merge(&mut self, other: &Votes) {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own = own.saturating_add(other));
    }

    pub fn of(&self, kind: Kind) -> u32 {
        self.0.iter().zip(KINDS).find(|(_, known)| *known == kind).map_or(0, |(votes, _)| *votes)
    }

    /// The kind with most votes; a name of which nothing is known is a concept.
    pub fn kind(&self) -> Kind {
        let most = self.0.iter().copied().max().unwrap_or(0);
        let best = self.0.iter().zip(KINDS).find(|(votes, _)| **votes == most).map(|(_, kind)| kind);
        best.filter(|_| most > 0).unwrap_or(Kind::Concept)
    }
}

/// What one place in a sentence says of a name's kind.
pub(super) fn votes(tokens: &[Token], span: &Span, language: Language) -> Votes {
    let mut votes = Votes::default();
    let words: Vec<&Token> =
        tokens.get(span.tokens.clone()).unwrap_or_default().iter().filter(|token| !token.word.is_empty()).collect();
    if let Some(kind) = span.kind {
        votes.add(kind, 15);
    }
    by_words(&words, language, &mut votes);
    by_neighbours(tokens, span, words.len(), &mut votes);
    votes
}

fn by_words(words: &[&Token], language: Language, votes: &mut Votes) {
    let lexicon = lexicon();
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return };
    let name: Vec<&str> = words.iter().map(|token| token.word.as_str()).collect();
    let joined = name.join(" ");
    if lexicon.places.contains_key(&joined) {
        votes.add(Kind::Place, 40);
    } else if lexicon.cities.contains(&joined) {
        votes.add(Kind::Place, 12);
    }
    let several = words.len() > 1;
    if several && lexicon.forms.contains(&last.word) {
        votes.add(Kind::Organization, 25);
    }
    // "University of …" and "… University"; what stands before an "of" says more.
    let head = name.iter().position(|word| *word == "of").and_then(|of| of.checked_sub(1)).and_then(|at| name.get(at));
    let head = head.or(name.last().filter(|_| several));
    if let Some(kind) = head.and_then(|head| lexicon.heads.get(*head)) {
        votes.add(*kind, 14);
    }
    let begins = |word: &str| lexicon.cities.contains(word) || lexicon.places.contains_key(word);
    let led = name.len().saturating_sub(1);
    let is_team = several && last.word.ends_with('s') && name.get(..led).is_some_and(|place| begins(&place.join(" ")));
    if is_team {
        votes.add(Kind::Organization, 6);
    } else if several && PLACES.contains(&first.word.as_str()) {
        votes.add(Kind::Place, 4);
    }
    let is_given = lexicon.first_names.contains(&first.word);
    let capitals = words.iter().filter(|token| token.is_capital()).count();
    if is_given && (2..=4).contains(&capitals) && !name.contains(&"of") {
        votes.add(Kind::Person, 8);
    } else if is_given && !several {
        votes.add(Kind::Person, 4);
    }
    let is_initial = |token: &&&Token| token.word.chars().count() == 1 && token.shape == Shape::Upper;
    if (2..=5).contains(&words.len())
        && last.word.len() > 2
        && words.iter().take(words.len() - 1).any(|token| is_initial(&token))
    {
        votes.add(Kind::Person, 6);
    }
    if matches!(last.word.as_str(), "jr" | "sr")
        || several && lexicon.titles.contains(&first.word) && head.is_none_or(|head| !lexicon.heads.contains_key(*head))
    {
        votes.add(Kind::Person, 8);
    }
    if last.shape == Shape::Number || last.word.chars().any(|c| c.is_ascii_digit()) && last.shape == Shape::Mixed {
        votes.add(Kind::Product, 5);
    }
    // Where nothing else is known: two or three words are a person, capitals an organization. Elsewhere than in English
    // capitals say less, and what a hyphen joins is as often a place.
    let abstracts = [
        "tion", "ment", "ness", "ity", "ing", "ical", "ship", "ance", "ence", "ology", "ism", "ures", "ions", "ics",
        "gs", "ents", "ts", "list",
    ];
    let reads_as_noun = |token: &&Token| {
        abstracts.iter().any(|end| token.word.ends_with(end)) || lexicon.classes.contains_key(&token.word)
    };
    let plain = words.iter().all(|token| token.shape == Shape::Capital) && !words.iter().any(reads_as_noun);
    let is_english = language == Language::English;
    let is_joined = words.iter().skip(1).any(|token| token.glued);
    if plain && is_english && !is_joined && (2..=3).contains(&words.len()) {
        votes.add(Kind::Person, 1);
    } else if !several && first.shape == Shape::Upper {
        votes.add(Kind::Organization, 1);
    }
}

fn by_neighbours(tokens: &[Token], span: &Span, words: usize, votes: &mut Votes) {
    let lexicon = lexicon();
    let word = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map_or("", |token| token.word.as_str());
    let mark = |at: usize, mark: char| tokens.get(at).is_some_and(|token| token.is_mark(mark));
    let (start, end) = (span.tokens.start, span.tokens.end);
    let before = start.checked_sub(1).map(|at| if mark(at, '.') && at > 0 { at - 1 } else { at });
    let previous = word(before);
    let class = lexicon.classes.get(previous).copied();
    let holds_office = lexicon.roles.contains_key(previous) && class.is_none_or(|kind| kind == Kind::Person);
    if lexicon.titles.contains(previous) || (holds_office && words < 4) {
        votes.add(Kind::Person, 10);
    } else if let Some(kind) = class {
        votes.add(kind, 8);
    } else if previous == "of" {
        if let Some(kind @ Kind::Place) = lexicon.classes.get(word(start.checked_sub(2))) {
            votes.add(*kind, 10);
        }
    } else if matches!(previous, "in" | "near" | "throughout" | "across") && span.kind.is_none() {
        votes.add(Kind::Place, 2);
    } else if previous == "the" && words > 1 {
        // People take no article.
        votes.add(Kind::Concept, 2);
    }
    let next = word(Some(end));
    if mark(end, '(') && matches!(word(Some(end + 1)), "born" | "b" | "né" | "née") {
        votes.add(Kind::Person, 20);
    } else if matches!(next, "who" | "whose") || mark(end, ',') && word(Some(end + 1)) == "who" {
        votes.add(Kind::Person, 6);
    } else if matches!(next, "said" | "says" | "told" | "born" | "died") {
        votes.add(Kind::Person, 3);
    }
    let verb = if matches!(next, "is" | "was" | "has" | "had") { word(Some(end + 1)) } else { next };
    let founded = matches!(
        verb,
        "founded" | "established" | "incorporated" | "acquired" | "headquartered" | "merged" | "dissolved"
    );
    let is_passive = verb != next || verb == "acquired" || verb == "merged";
    let is_led = previous == "of" && OFFICES.contains(&word(start.checked_sub(2)));
    let is_taken = matches!(previous, "acquired" | "acquires" | "founded" | "co-founded")
        || previous == "for" && word(start.checked_sub(2)).starts_with("work");
    if founded && is_passive || is_led || is_taken {
        votes.add(Kind::Organization, 5);
    }
    if let Some(kind) = described(tokens, end) {
        votes.add(kind, 10);
    }
}

/// The kind that follows from "is a …", ", a … ," after a name (and what stands in brackets after it).
fn described(tokens: &[Token], mut at: usize) -> Option<Kind> {
    let lexicon = lexicon();
    let word = |at: usize| tokens.get(at).map_or("", |token| token.word.as_str());
    if tokens.get(at)?.is_mark('(') {
        at += tokens.iter().skip(at).take(40).position(|token| token.is_mark(')'))? + 1;
    }
    let is_link = matches!(word(at), "is" | "was" | "are" | "were") || tokens.get(at)?.is_mark(',');
    if !is_link || !matches!(word(at + 1), "a" | "an" | "the" | "one") {
        return None;
    }
    let mut found = None;
    for token in tokens.iter().skip(at + 2).take(9) {
        let ends = matches!(
            token.word.as_str(),
            "of" | "in" | "who" | "that" | "which" | "from" | "by" | "for" | "at" | "with" | "and" | "or" | "to"
        );
        if (ends && found.is_some())
            || !(token.shape == Shape::Lower
                || token.shape == Shape::Number
                || token.is_capital()
                || token.is_mark('-'))
        {
            break;
        }
        found = lexicon.classes.get(&token.word).copied().or(found);
    }
    found
}
