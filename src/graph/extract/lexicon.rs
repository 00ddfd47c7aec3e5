//! The word lists that extraction rests on, embedded, each word folded. What is not in them is told by form and place.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use crate::graph::{Exclusive, Kind};
use crate::text::{Analyzer, fold};

/// What a verb states.
#[derive(Debug, Clone, Copy)]
pub(super) struct Verb {
    pub predicate: &'static str,
    pub exclusive: Exclusive,
}

pub(super) struct Lexicon {
    /// Cuts words; knows the English words that are everywhere.
    pub analyzer: Analyzer,
    /// Countries, states and the like, and what comes from there, each with the place's first form.
    pub places: HashMap<String, &'static str>,
    pub cities: HashSet<String>,
    /// Words in names that tell what is named.
    pub heads: HashMap<String, Kind>,
    /// Common nouns that tell what the name beside them is.
    pub classes: HashMap<String, Kind>,
    pub titles: HashSet<String>,
    /// Legal forms of companies.
    pub forms: HashSet<String>,
    pub first_names: HashSet<String>,
    /// Nouns of "the … of".
    pub roles: HashMap<String, Exclusive>,
    /// Those that are another by another name.
    offices: HashMap<String, String>,
    /// Nouns that name a measure or another single property.
    pub properties: HashSet<String>,
    /// Verbs by what stands in the text ("acquired", "born in").
    pub active: HashMap<String, Verb>,
    /// Participles whose agent stands after "by".
    pub passive: HashMap<String, Verb>,
    /// Capitalised at the start of a sentence, these name nothing.
    pub starters: HashSet<String>,
    /// For each language the words that tell it.
    pub languages: Vec<(&'static str, HashSet<String>)>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(read);

pub(super) fn lexicon() -> &'static Lexicon {
    &LEXICON
}

impl Lexicon {
    pub fn is_stopword(&self, word: &str) -> bool {
        self.analyzer.is_stopword(word)
    }

    /// Whether a word is one of those that are everywhere in some language.
    pub fn is_telling(&self, word: &str) -> bool {
        self.languages.iter().any(|(_, words)| words.contains(word))
    }

    /// The name that an office is kept under, whichever it is called by.
    pub fn office<'n>(&'n self, role: &'n str) -> &'n str {
        self.offices.get(role).map_or(role, String::as_str)
    }

    /// The predicate of a property.
    pub fn property<'n>(&self, noun: &'n str) -> &'n str {
        if noun == "headquarters" { "based in" } else { noun }
    }

    /// The exclusivity of a fact whose predicate is `noun` or `noun of`.
    pub fn exclusive(&self, noun: &str) -> Exclusive {
        let of_property = if self.properties.contains(noun) { Exclusive::Object } else { Exclusive::No };
        self.roles.get(noun).copied().unwrap_or(of_property)
    }
}

fn read() -> Lexicon {
    let (mut active, mut passive) = (HashMap::new(), HashMap::new());
    for line in lines(include_str!("verbs.txt")) {
        let (exclusive, line) = mark(line);
        let Some((predicate, forms)) = line.split_once(": ") else { continue };
        let (stating, participles) = forms.split_once(" / ").unwrap_or((forms, ""));
        let verb = Verb { predicate, exclusive };
        let words = |list: &str| list.split(' ').filter(|form| *form != "-").map(said).collect::<Vec<_>>();
        active.extend(words(stating).into_iter().map(|form| (form, verb)));
        passive.extend(words(participles).into_iter().map(|form| (form, verb)));
    }
    let (mut roles, mut offices) = (HashMap::new(), HashMap::new());
    for line in lines(include_str!("roles.txt")) {
        let (exclusive, line) = mark(line);
        for role in line.split(' ') {
            let (role, office) = role.split_once('>').unwrap_or((role, role));
            roles.insert(said(role), exclusive);
            offices.insert(said(role), said(office));
        }
    }
    let mut places = HashMap::new();
    for line in lines(include_str!("places.txt")) {
        let first = line.split('|').next().unwrap_or(line);
        places.extend(line.split('|').map(|form| (words_of(form), first)));
    }
    let listed = |(language, words): (&'static str, &'static str)| (language, words.split(' ').map(fold).collect());
    Lexicon {
        analyzer: Analyzer::new(""),
        places,
        cities: lines(include_str!("cities.txt")).map(words_of).collect(),
        heads: kinds(include_str!("heads.txt")),
        classes: kinds(include_str!("classes.txt")),
        titles: set(include_str!("titles.txt")),
        forms: set(include_str!("forms.txt")),
        first_names: set(include_str!("first_names.txt")),
        roles,
        offices,
        properties: set(include_str!("nouns.txt")),
        active,
        passive,
        starters: set(include_str!("starters.txt")),
        languages: lines(include_str!("language.txt")).filter_map(|line| line.split_once(": ")).map(listed).collect(),
    }
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

fn set(text: &'static str) -> HashSet<String> {
    lines(text).flat_map(|line| line.split(' ')).map(fold).collect()
}

/// What is exclusive by the sign that begins a line.
fn mark(line: &'static str) -> (Exclusive, &'static str) {
    let marks = [("! ", Exclusive::Subject), ("= ", Exclusive::Object), ("- ", Exclusive::No)];
    let found = marks.into_iter().find_map(|(sign, exclusive)| Some((exclusive, line.strip_prefix(sign)?)));
    found.unwrap_or((Exclusive::No, line))
}

fn kinds(text: &'static str) -> HashMap<String, Kind> {
    let kind = |name: &str| match name {
        "person" => Kind::Person,
        "organization" => Kind::Organization,
        "place" => Kind::Place,
        "product" => Kind::Product,
        "work" => Kind::Work,
        _ => Kind::Concept,
    };
    let line = |(name, words): (&str, &'static str)| {
        let kind = kind(name);
        words.split(' ').map(move |word| (fold(word), kind)).collect::<Vec<_>>()
    };
    lines(text).filter_map(|line| line.split_once(": ")).flat_map(line).collect()
}

/// A form as it is written in a list, with hyphens for spaces.
fn said(form: &str) -> String {
    fold(&form.replace('-', " "))
}

/// The words of a name, as its key has them.
fn words_of(name: &str) -> String {
    let words: Vec<String> =
        name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(fold).collect();
    words.join(" ")
}
