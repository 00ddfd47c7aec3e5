//! The first reading: what a document names, and where.

use std::ops::Range;

use super::amounts::amounts;
use super::blocks::{Role, Unit, units};
use super::dates::{Moment, dates};
use super::kinds;
use super::language::{Count, Language};
use super::lexicon::lexicon;
use super::names::{Span, names};
use super::roster::Roster;
use super::tables::{Cell, Tables};
use super::terms::{self, Repeated, Terms};
use super::tokens::{Token, tokens};
use super::unspaced;
use super::vocabulary::Vocabulary;
use super::{Document, plain};
use crate::graph::Kind;

/// Bytes whose words are held at once: a longer document is read in parts.
const PART: usize = 1 << 19;
/// Names of one sentence that are told.
const MOST_PIECES: usize = 64;
/// The longest title that can be a name, in tokens.
const LONGEST_TITLE: usize = 8;

/// What the first reading found.
pub(super) struct Read {
    pub units: Vec<Unit>,
    pub roster: Roster,
    /// Forms that brackets equate: "World Health Organization (WHO)".
    pub defined: Vec<(usize, usize)>,
    pub cells: Vec<Cell>,
    /// The form that the title is, where it is a name.
    pub title: Option<usize>,
    pub language: Option<Language>,
}

/// What a place in a sentence is.
enum Piece {
    Name(Span),
    Date(Moment),
    Amount(String),
    Term,
}

pub(super) fn read(document: &Document<'_>) -> Read {
    let units = units(document.content, document.structure);
    let language = document.language.and_then(Language::of_tag);
    let mut read = Read {
        units: Vec::new(),
        roster: Roster::default(),
        defined: Vec::new(),
        cells: Vec::new(),
        title: None,
        language,
    };
    let mut tables = Tables::default();
    let mut rest = units.as_slice();
    while let Some(first) = rest.first() {
        let until = first.range.start + PART;
        let length = rest.iter().take_while(|unit| unit.range.start < until).count().max(1);
        let (part, others) = rest.split_at(length.min(rest.len()));
        read.part(document, part, &mut tables);
        rest = others;
    }
    read.title = title(document, &mut read.roster);
    read.units = units;
    read
}

impl Read {
    fn part(&mut self, document: &Document<'_>, units: &[Unit], tables: &mut Tables) {
        let words: Vec<Vec<Token>> = units.iter().map(|unit| tokens(document.content, unit.range.clone())).collect();
        let (mut vocabulary, mut repeated, mut count) = (Vocabulary::default(), Repeated::default(), Count::new());
        let mut unspaced = unspaced::Repeated::default();
        for (tokens, unit) in words.iter().zip(units) {
            vocabulary.add(tokens);
            if unit.role == Role::Sentence {
                count.add(tokens);
                repeated.add(tokens);
                unspaced.add(document.content.get(unit.range.clone()).unwrap_or_default());
            }
        }
        let unspaced = unspaced.terms();
        // Writers have a language set that they do not always write in.
        let told = count.language();
        self.language = told.filter(|_| count.is_sure()).or(self.language).or(told);
        let language = self.language.unwrap_or(Language::Other);
        // German nouns have capitals, and what stands between them is no term.
        let terms = if language == Language::German { Terms::default() } else { repeated.terms(units.len()) };
        for (tokens, unit) in words.iter().zip(units) {
            if unit.role == Role::Row && tables.row(document, tokens, unit, &mut self.roster, &mut self.cells) {
                continue;
            }
            let taken = pieces(document, tokens, &vocabulary, &terms, language);
            let before = self.roster.places.len();
            self.enter(document.content, tokens, taken, language);
            for term in unspaced.find(document.content.get(unit.range.clone()).unwrap_or_default()) {
                let range = unit.range.start + term.start..unit.range.start + term.end;
                self.roster.stretch(document.content, range, before);
            }
        }
    }

    fn enter(&mut self, content: &str, tokens: &[Token], pieces: Vec<(Range<usize>, Piece)>, language: Language) {
        let mut before: Option<(usize, usize)> = None;
        for (range, piece) in pieces {
            let words = tokens.get(range.clone()).unwrap_or_default();
            let form = match piece {
                Piece::Name(span) => self.roster.name(content, tokens, &span, kinds::votes(tokens, &span, language)),
                Piece::Date(moment) => self.roster.known(content, words, moment.key(), Kind::Date, Some(moment)),
                Piece::Amount(key) => self.roster.known(content, words, key, Kind::Amount, None),
                Piece::Term => self.roster.known(content, words, terms::key(words), Kind::Concept, None),
            };
            let is_mark = |at: usize, mark: char| tokens.get(at).is_some_and(|token| token.is_mark(mark));
            let bracketed = range.start > 0 && is_mark(range.start - 1, '(') && is_mark(range.end, ')');
            let long = before.filter(|(_, end)| bracketed && end + 1 == range.start);
            self.defined.extend(long.zip(form).map(|((long, _), short)| (long, short)));
            before = form.map(|form| (form, range.end));
        }
    }
}

/// What stands in a sentence, in order and apart; where two claim a place, the earlier and longer has it.
fn pieces(
    document: &Document<'_>,
    tokens: &[Token],
    words: &Vocabulary,
    terms: &Terms,
    language: Language,
) -> Vec<(Range<usize>, Piece)> {
    let mut found: Vec<(Range<usize>, Piece)> =
        dates(tokens, document.date).into_iter().map(|(range, moment)| (range, Piece::Date(moment))).collect();
    found.extend(amounts(tokens).into_iter().map(|(range, key)| (range, Piece::Amount(key))));
    apart(&mut found);
    let taken: Vec<Range<usize>> = found.iter().map(|(range, _)| range.clone()).collect();
    found.extend(
        names(tokens, &taken, words, language).into_iter().map(|span| (span.tokens.clone(), Piece::Name(span))),
    );
    apart(&mut found);
    let mut said: Vec<(Range<usize>, Piece)> =
        terms.find(tokens).into_iter().map(|range| (range, Piece::Term)).collect();
    said.retain(|(term, _)| !found.iter().any(|(range, _)| range.start < term.end && term.start < range.end));
    found.append(&mut said);
    apart(&mut found);
    found.truncate(MOST_PIECES);
    found
}

fn apart(found: &mut Vec<(Range<usize>, Piece)>) {
    found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut end = 0;
    found.retain(|(range, _)| {
        let keeps = range.start >= end && range.start < range.end;
        end = if keeps { range.end } else { end };
        keeps
    });
}

/// The form that the title is, where it reads as a name; it stands nowhere in the content.
fn title(document: &Document<'_>, roster: &mut Roster) -> Option<usize> {
    let full = plain(document.title);
    // "Ellis, Kansas" is Ellis.
    let region = |place: &str| lexicon().places.contains_key(&crate::text::fold(place.trim()));
    let placed = full.split_once(", ").filter(|(_, place)| place.rsplit(", ").next().is_some_and(region));
    let name = placed.map_or(full, |(name, _)| name);
    let words = tokens(name, 0..name.len());
    let lexicon = lexicon();
    let is_titled = words.iter().all(|token| {
        token.word.is_empty()
            || token.is_capital()
            || token.word.chars().all(char::is_numeric)
            || lexicon.is_stopword(&token.word)
    });
    let begins = words.first().is_some_and(Token::is_capital);
    if !is_titled
        || !begins
        || words.len() > LONGEST_TITLE
        || words.iter().any(|token| token.is_mark('/') || token.is_mark(':'))
    {
        return None;
    }
    let span = Span { tokens: 0..words.len(), kind: None };
    let mut votes = kinds::votes(&words, &span, Language::English);
    if placed.is_some() {
        votes.add(Kind::Place, 6);
    }
    let added = document.title.trim().get(full.len()..).unwrap_or_default();
    let class =
        tokens(added, 0..added.len()).into_iter().rev().find_map(|token| lexicon.classes.get(&token.word).copied());
    class.into_iter().for_each(|kind| votes.add(kind, 20));
    roster.absent(name, &words, votes)
}
