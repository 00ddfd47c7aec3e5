//! The names of a document as they come: each form once, with what its places say of its kind.

use std::collections::HashMap;
use std::ops::Range;

use super::dates::Moment;
use super::kinds::Votes;
use super::lexicon::lexicon;
use super::names::Span;
use super::tokens::{Shape, Token, surface};
use crate::graph::{Kind, folded};

/// Names of one document that are told.
const MOST_NAMES: usize = 20_000;
/// Forms of one name that are told.
const MOST_FORMS: usize = 12;

/// One name of a document, and the forms that differ by case, titles and legal forms alone.
#[derive(Debug, Clone)]
pub(super) struct Form {
    pub key: String,
    /// How it is written, fullest first.
    pub written: Vec<String>,
    pub votes: Votes,
    /// For dates, amounts and terms.
    pub fixed: Option<Kind>,
    pub moment: Option<Moment>,
    /// Written as an abbreviation everywhere: `WHO`.
    pub is_acronym: bool,
}

impl Form {
    pub fn words(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.key.split(' ')
    }

    pub fn kind(&self) -> Kind {
        self.fixed.unwrap_or_else(|| self.votes.kind())
    }
}

/// Where a form stands in the document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub form: usize,
    pub start: usize,
    pub end: usize,
}

#[derive(Default)]
pub(super) struct Roster {
    pub forms: Vec<Form>,
    /// In the order of the text.
    pub places: Vec<Place>,
    by_key: HashMap<String, usize>,
}

impl Roster {
    /// A name in a sentence; its place in `forms`.
    pub fn name(&mut self, content: &str, tokens: &[Token], span: &Span, votes: Votes) -> Option<usize> {
        let words = tokens.get(span.tokens.clone())?;
        // A name goes on in the next line of a paragraph.
        let written = &*folded(surface(content, tokens, &span.tokens));
        let key = bare(words);
        let place = lexicon().places.get(&key).copied().filter(|_| span.kind.is_none());
        let (key, fullest) = place.map_or((key, None), |place| (key_of_place(place), Some(place)));
        let is_acronym = words.len() == 1 && words.iter().all(|word| word.shape == Shape::Upper);
        let at = self.intern(key, fullest.unwrap_or(written), None)?;
        let form = self.forms.get_mut(at)?;
        form.votes.merge(&votes);
        form.is_acronym &= is_acronym;
        write(form, written, fullest.is_none());
        self.stand(at, words);
        Some(at)
    }

    /// A name that stands nowhere in the content.
    pub fn absent(&mut self, name: &str, words: &[Token], votes: Votes) -> Option<usize> {
        let at = self.intern(key(words), name, None)?;
        self.forms.get_mut(at)?.votes.merge(&votes);
        Some(at)
    }

    /// A date, an amount or a term.
    pub fn known(
        &mut self,
        content: &str,
        tokens: &[Token],
        key: String,
        kind: Kind,
        moment: Option<Moment>,
    ) -> Option<usize> {
        let written = &*folded(surface(content, tokens, &(0..tokens.len())));
        // "Yesterday" is another day in each document.
        let absolute = key.clone();
        let is_relative =
            kind == Kind::Date && !tokens.iter().any(|token| token.word.len() == 4 && token.shape == Shape::Number);
        let written = if is_relative { absolute.as_str() } else { written };
        let at = self.intern(key, written, Some(kind))?;
        let form = self.forms.get_mut(at)?;
        form.moment = moment.or(form.moment);
        write(form, written, false);
        self.stand(at, tokens);
        Some(at)
    }

    /// A term of these bytes, where none of the places from `since` on has them; those stay in the order of the text.
    pub fn stretch(&mut self, content: &str, range: Range<usize>, since: usize) {
        let places = self.places.get(since..).unwrap_or_default();
        if places.iter().any(|place| place.start < range.end && range.start < place.end) {
            return;
        }
        let written = content.get(range.clone()).unwrap_or_default();
        let at = places.partition_point(|place| place.start < range.start);
        if let Some(form) = self.intern(crate::text::fold(written), written, Some(Kind::Concept)) {
            self.places.insert(since + at, Place { form, start: range.start, end: range.end });
        }
    }

    fn stand(&mut self, form: usize, tokens: &[Token]) {
        if let (Some(first), Some(last)) = (tokens.first(), tokens.last()) {
            self.places.push(Place { form, start: first.start, end: last.end });
        }
    }

    fn intern(&mut self, key: String, written: &str, fixed: Option<Kind>) -> Option<usize> {
        if key.is_empty() || written.is_empty() {
            return None;
        }
        if let Some(at) = self.by_key.get(&key) {
            // The year 1992 is not the number 1992.
            let known = self.forms.get(*at).and_then(|form| form.fixed);
            let is_measure = |kind: Option<Kind>| kind.filter(|kind| matches!(kind, Kind::Date | Kind::Amount));
            return (is_measure(known) == is_measure(fixed)).then_some(*at);
        }
        let at = self.forms.len();
        if at >= MOST_NAMES {
            return None;
        }
        self.by_key.insert(key.clone(), at);
        let written = vec![written.to_owned()];
        self.forms.push(Form { key, written, votes: Votes::default(), fixed, moment: None, is_acronym: true });
        Some(at)
    }
}

/// Adds a way to write a form; a longer one may come first.
fn write(form: &mut Form, written: &str, may_lead: bool) {
    if form.written.len() < MOST_FORMS && !form.written.iter().any(|known| known == written) {
        let leads = may_lead && form.written.first().is_some_and(|first| written.len() > first.len());
        form.written.insert(if leads { 0 } else { form.written.len() }, written.to_owned());
    }
}

/// What tells a name from others: its words folded, without articles, titles and legal forms; a place by its first name.
pub(super) fn key(tokens: &[Token]) -> String {
    let key = bare(tokens);
    lexicon().places.get(&key).map(|place| key_of_place(place)).unwrap_or(key)
}

fn bare(tokens: &[Token]) -> String {
    let lexicon = lexicon();
    let mut words: Vec<&str> = tokens.iter().map(|token| token.word.as_str()).filter(|word| !word.is_empty()).collect();
    while words.len() > 1 && words.first().is_some_and(|word| *word == "the" || lexicon.titles.contains(*word)) {
        words.remove(0);
    }
    while words.len() > 1 && words.last().is_some_and(|word| lexicon.forms.contains(*word)) {
        words.pop();
    }
    words.join(" ")
}

fn key_of_place(place: &str) -> String {
    crate::text::fold(&place.replace([',', '.'], ""))
}
