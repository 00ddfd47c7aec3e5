//! Rows of tables: the header gives the predicate, the first column the subject.

use std::ops::Range;

use jiff::civil::Date;

use super::Document;
use super::amounts::amounts;
use super::blocks::Unit;
use super::dates::{Moment, dates, year};
use super::kinds;
use super::language::Language;
use super::lexicon::lexicon;
use super::names::Span;
use super::roster::Roster;
use super::terms;
use super::tokens::{Shape, Token};
use crate::graph::{Exclusive, Kind};

/// Longer cells hold prose.
const LONGEST: usize = 10;
const MOST_COLUMNS: usize = 32;

/// What a cell of a row states.
pub(super) struct Cell {
    /// Places in the roster's forms.
    pub subject: usize,
    pub object: usize,
    pub predicate: String,
    pub exclusive: Exclusive,
    pub valid_at: Option<Date>,
    /// The row.
    pub row: Range<usize>,
}

/// The header of the table that is being read.
#[derive(Default)]
pub(super) struct Tables {
    header: Vec<Option<Column>>,
}

#[derive(Clone, PartialEq)]
struct Column {
    predicate: String,
    moment: Option<Moment>,
}

impl Tables {
    /// Reads a row; `false` where it holds prose.
    pub fn row(
        &mut self,
        document: &Document<'_>,
        tokens: &[Token],
        unit: &Unit,
        roster: &mut Roster,
        said: &mut Vec<Cell>,
    ) -> bool {
        let cells = cells(tokens);
        if unit.begins {
            self.header.clear();
        }
        let is_rule = tokens.iter().all(|token| matches!(token.shape, Shape::Mark('|' | '-' | ':' | '—')));
        let Some(first) = cells.first().filter(|_| !is_rule) else { return true };
        if first.is_empty() || self.header.is_empty() {
            self.head(document, tokens, &cells);
            return true;
        }
        if cells.iter().skip(1).all(|cell| cell.is_empty()) || first.len() > LONGEST {
            return false;
        }
        let Some(subject) = enter(document, tokens, first, roster) else { return false };
        let names = roster.forms.get(subject).is_some_and(|form| !matches!(form.kind(), Kind::Amount | Kind::Date));
        for (at, cell) in cells.iter().enumerate().skip(1).take(MOST_COLUMNS) {
            let Some(object) = enter(document, tokens, cell, roster).filter(|object| *object != subject && names)
            else {
                continue;
            };
            let Some(Some(column)) = self.header.get(at) else { continue };
            if self.header.iter().flatten().filter(|other| *other == column).count() > 1 {
                continue;
            }
            let exclusive =
                if column.moment.is_some() { Exclusive::Object } else { lexicon().exclusive(&column.predicate) };
            let valid_at = column.moment.map(|moment| moment.first);
            let row = unit.range.clone();
            let is_name = roster.forms.get(object).is_some_and(|form| form.fixed.is_none());
            said.push(match lexicon().roles.contains_key(&column.predicate) && is_name {
                // The column "CEO" names whose office it is.
                true => {
                    let predicate = format!("{} of", lexicon().office(&column.predicate));
                    Cell { subject: object, object: subject, predicate, exclusive, valid_at, row }
                }
                false => {
                    let predicate = lexicon().property(&column.predicate).to_owned();
                    Cell { subject, object, predicate, exclusive, valid_at, row }
                }
            });
        }
        true
    }

    /// A header goes on in a row whose first cell is empty.
    fn head(&mut self, document: &Document<'_>, tokens: &[Token], cells: &[Range<usize>]) {
        self.header.resize(cells.len().max(self.header.len()).clamp(1, MOST_COLUMNS), None);
        for (column, cell) in self.header.iter_mut().zip(cells) {
            let words = tokens.get(cell.clone()).unwrap_or_default();
            let Some(first) = words.first().filter(|first| words.len() <= LONGEST && !first.is_mark('(')) else {
                continue;
            };
            let moment = moment(document, words).or_else(|| words.iter().find_map(|token| year(&token.word)));
            let said: Vec<&str> =
                words.iter().map(|token| token.word.as_str()).filter(|word| !word.is_empty()).collect();
            let is_named =
                first.shape != Shape::Number && said.iter().any(|word| word.chars().any(char::is_alphabetic));
            let predicate = if moment.is_some() { "value".to_owned() } else { said.join(" ") };
            *column = (moment.is_some() || is_named).then_some(Column { predicate, moment });
        }
    }
}

/// The cells of a row, in tokens.
fn cells(tokens: &[Token]) -> Vec<Range<usize>> {
    let bars = || tokens.iter().enumerate().filter(|(_, token)| token.is_mark('|')).map(|(at, _)| at);
    let ends = bars().skip(1).chain(tokens.last().filter(|last| !last.is_mark('|')).map(|_| tokens.len()));
    bars().zip(ends).map(|(bar, end)| bar + 1..end).collect()
}

/// The date that words are, and nothing else.
fn moment(document: &Document<'_>, words: &[Token]) -> Option<Moment> {
    let found =
        dates(words, document.date).into_iter().find(|(range, _)| range.len() == words.len()).map(|(_, moment)| moment);
    found.or_else(|| words.first().filter(|_| words.len() == 1).and_then(|token| year(&token.word)))
}

/// A cell as one entity.
fn enter(document: &Document<'_>, tokens: &[Token], cell: &Range<usize>, roster: &mut Roster) -> Option<usize> {
    let mut cell = cell.clone();
    while cell.end > cell.start
        && tokens.get(cell.end - 1).is_some_and(|token| matches!(token.shape, Shape::Mark(':' | '.' | ',')))
    {
        cell.end -= 1;
    }
    let words = tokens.get(cell.clone()).filter(|words| !words.is_empty() && words.len() <= LONGEST)?;
    if let Some(moment) = moment(document, words) {
        return roster.known(document.content, words, moment.key(), Kind::Date, Some(moment));
    }
    if let Some((_, key)) = amounts(words).into_iter().find(|(range, _)| range.len() == words.len()) {
        return roster.known(document.content, words, key, Kind::Amount, None);
    }
    if !words.iter().any(|token| token.word.chars().any(char::is_alphabetic)) {
        let is_number = words.iter().any(|token| token.shape == Shape::Number);
        let parts = words.iter().filter(|token| !token.is_mark(','));
        let key: String = parts.map(|token| token.mark().map_or(token.word.clone(), String::from)).collect();
        return is_number.then(|| roster.known(document.content, words, key, Kind::Amount, None))?;
    }
    let is_name =
        words.iter().all(|token| token.is_capital() || token.word.is_empty() || lexicon().is_stopword(&token.word));
    if is_name && words.first().is_some_and(Token::is_capital) {
        let mut votes = kinds::votes(words, &Span { tokens: 0..words.len(), kind: None }, Language::English);
        // Two capitals make no person in a table.
        votes.add(Kind::Concept, 2);
        return roster.name(document.content, tokens, &Span { tokens: cell, kind: None }, votes);
    }
    let is_word = words.iter().any(|token| token.word.chars().count() > 2);
    is_word.then(|| roster.known(document.content, words, terms::key(words), Kind::Concept, None))?
}
