//! Which forms of a document name the same: surnames, short names of companies, and acronyms.

use std::collections::HashMap;

use super::lexicon::lexicon;
use super::roster::Form;
use crate::graph::{Kind, Named};

/// Longer names that a shorter one is compared with.
const MOST_ALIKE: usize = 64;
const MOST_ALIASES: usize = 32;

/// The entities behind `forms`, and for each form the place of its entity. `defined` pairs forms that brackets equate.
pub(super) fn entities(forms: &[Form], defined: &[(usize, usize)]) -> (Vec<Named>, Vec<usize>) {
    let mut same = Same((0..forms.len()).collect());
    for (long, short) in defined {
        let acronym = |long: usize, short: usize| {
            let (Some(long), Some(short)) = (forms.get(long), forms.get(short)) else { return false };
            abbreviates(&short.key, long)
        };
        if acronym(*long, *short) || acronym(*short, *long) {
            same.join(*long, *short);
        }
    }
    let index = Index::of(forms);
    for (at, form) in forms.iter().enumerate() {
        if let Some(full) = index.fuller(forms, form, &mut same) {
            same.join(full, at);
        }
    }
    gather(forms, &mut same)
}

/// Whether the letters of `short` begin the words of a name, small words left out where they must be.
pub(super) fn abbreviates(short: &str, long: &Form) -> bool {
    let small = |word: &str| matches!(word, "of" | "the" | "and" | "for" | "de" | "in" | "on" | "to" | "a");
    let initials = |all: bool| {
        long.words().filter(|word| all || !small(word)).filter_map(|word| word.chars().next()).collect::<String>()
    };
    short.chars().count() > 1 && long.words().count() > 1 && (initials(true) == short || initials(false) == short)
}

/// Forms that are the same point to the first of them.
struct Same(Vec<usize>);

impl Same {
    fn root(&mut self, mut at: usize) -> usize {
        while let Some(up) = self.0.get(at).copied().filter(|up| *up != at) {
            let above = self.0.get(up).copied().unwrap_or(up);
            if let Some(link) = self.0.get_mut(at) {
                *link = above;
            }
            at = up;
        }
        at
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        if let Some(link) = self.0.get_mut(one.max(other)) {
            *link = one.min(other);
        }
    }
}

/// Longer names by the word that may stand for them.
#[derive(Default)]
struct Index<'a> {
    by_last: HashMap<&'a str, Vec<usize>>,
    by_first: HashMap<&'a str, Vec<usize>>,
    companies: HashMap<&'a str, Vec<usize>>,
    by_initials: HashMap<String, Vec<usize>>,
}

impl<'a> Index<'a> {
    fn of(forms: &'a [Form]) -> Self {
        let mut index = Index::default();
        for (at, form) in forms.iter().enumerate().filter(|(_, form)| form.fixed.is_none() && form.key.contains(' ')) {
            let (Some(first), Some(last)) = (form.words().next(), form.words().next_back()) else { continue };
            match form.kind() {
                Kind::Person => {
                    index.by_last.entry(last).or_default().push(at);
                    index.by_first.entry(first).or_default().push(at);
                }
                Kind::Organization => index.companies.entry(first).or_default().push(at),
                _ => {}
            }
            let initials: String = form.words().filter_map(|word| word.chars().next()).collect();
            index.by_initials.entry(initials).or_default().push(at);
        }
        index
    }

    /// The one longer name that a form may be short for; none where there are several.
    fn fuller(&self, forms: &[Form], form: &Form, same: &mut Same) -> Option<usize> {
        let lexicon = lexicon();
        let word = form.key.as_str();
        if form.fixed.is_some() || form.votes.of(Kind::Place) >= 12 || form.votes.of(Kind::Work) >= 12 {
            return None;
        }
        if form.key.contains(' ') {
            // "Willi Schneider" within "Wilfried Willi Schneider".
            let last = form.words().next_back()?;
            let longer = self.by_last.get(last)?;
            let holds = |at: &&usize| {
                forms.get(**at).is_some_and(|full| {
                    full.key.len() > form.key.len() && form.words().all(|word| full.words().any(|other| other == word))
                })
            };
            let mut fuller = longer.iter().take(MOST_ALIKE).filter(holds).take(2);
            return fuller.next().copied().filter(|_| form.kind() == Kind::Person && fuller.next().is_none());
        }
        let mut only = |list: Option<&Vec<usize>>| {
            let mut roots = list?.iter().map(|at| same.root(*at));
            let first = roots.next()?;
            roots.all(|other| other == first).then_some(first)
        };
        let spelled = only(self.by_initials.get(word).filter(|_| form.is_acronym && word.len() > 2));
        if spelled.is_some() {
            return spelled;
        }
        let person = only(self.by_last.get(word)).or_else(|| only(self.by_first.get(word)));
        let is_general =
            lexicon.heads.contains_key(word) || lexicon.first_names.contains(word) || lexicon.is_stopword(word);
        let company = || only(self.companies.get(word)).filter(|_| !is_general && form.votes.of(Kind::Place) < 2);
        person.filter(|_| form.votes.of(Kind::Organization) < 10).or_else(company)
    }
}

fn gather(forms: &[Form], same: &mut Same) -> (Vec<Named>, Vec<usize>) {
    let mut place_of_root: HashMap<usize, usize> = HashMap::new();
    let mut members: Vec<Vec<usize>> = Vec::new();
    let places: Vec<usize> = (0..forms.len())
        .map(|at| {
            let place = *place_of_root.entry(same.root(at)).or_insert_with(|| {
                members.push(Vec::new());
                members.len() - 1
            });
            members.get_mut(place).into_iter().for_each(|list| list.push(at));
            place
        })
        .collect();
    let named = members.iter().filter_map(|list| {
        let list: Vec<&Form> = list.iter().filter_map(|at| forms.get(*at)).collect();
        let fullest =
            list.iter().copied().reduce(|best, form| if form.key.len() > best.key.len() { form } else { best })?;
        let mut votes = fullest.votes;
        list.iter().filter(|form| form.key != fullest.key).for_each(|form| votes.merge(&form.votes));
        let name = fullest.written.first()?.clone();
        let mut aliases: Vec<String> = Vec::new();
        for written in list.iter().flat_map(|form| &form.written) {
            if *written != name && aliases.len() < MOST_ALIASES && !aliases.contains(written) {
                aliases.push(written.clone());
            }
        }
        Some(Named { key: fullest.key.clone(), kind: fullest.fixed.unwrap_or_else(|| votes.kind()), name, aliases })
    });
    (named.collect(), places)
}
