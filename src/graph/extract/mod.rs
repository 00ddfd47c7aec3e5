//! What one document says: the text is read twice, first for what it names, then for what it states.
//!
//! Pure and deterministic; knows one document at a time, and no network. Names are told by capitals and word lists, facts
//! by patterns of English sentences and by tables; where a pattern is not sure, it says nothing. Text of other languages
//! gives names and the terms that it repeats, code nothing.

mod aliases;
mod amounts;
mod appositions;
mod attributes;
mod blocks;
mod capitals;
mod clause;
mod dates;
mod definitions;
mod descriptions;
mod facts;
mod items;
mod joins;
mod kinds;
mod language;
mod lexicon;
mod names;
mod objects;
mod offices;
mod reading;
mod referents;
mod roster;
mod subjects;
mod tables;
mod terms;
mod tokens;
mod unspaced;
mod validity;
mod verbs;
mod vocabulary;

#[cfg(test)]
mod tests;

use jiff::civil::Date;

use super::{Exclusive, Extraction, Kind};

/// Which rules read a document; another version may find other facts.
pub const VERSION: i64 = 2;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    Prose,
    Markdown,
    Code,
}

/// A document, as far as its facts depend on it.
pub struct Document<'a> {
    pub title: &'a str,
    pub content: &'a str,
    pub structure: Structure,
    /// When it was written, which relative dates count from.
    pub date: Option<Date>,
    /// BCP 47; guessed from the text where it is not known.
    pub language: Option<&'a str>,
}

/// What tells a name from others across documents: `Acme Corp.` and `ACME` have one key; what brackets add is left out.
pub fn key(name: &str) -> String {
    let name = plain(name);
    roster::key(&tokens::tokens(name, 0..name.len()))
}

/// What tells an entity of a kind from others across documents, as it is read here; `None` where a date or an amount does not
/// read as one.
pub fn key_of(name: &str, kind: Kind, date: Option<Date>) -> Option<String> {
    let words = tokens::tokens(name, 0..name.len());
    let key = match kind {
        Kind::Date => {
            let whole = dates::dates(&words, date).into_iter().find(|(range, _)| range.len() == words.len());
            whole.map(|(_, moment)| moment).or_else(|| dates::year(name.trim()))?.key()
        }
        Kind::Amount => amounts::amounts(&words).into_iter().find(|(range, _)| range.len() == words.len())?.1,
        _ if !words.iter().any(tokens::Token::is_capital) => terms::key(&words),
        _ => key(name),
    };
    (!key.is_empty()).then_some(key)
}

/// A predicate in the one form that the same relation is kept in: "chief executive of" is "ceo of".
pub fn predicate(text: &str) -> String {
    let lexicon = lexicon::lexicon();
    let office = || {
        let role = [" of", " at", " for"].into_iter().find_map(|end| text.strip_suffix(end))?;
        lexicon.roles.contains_key(role).then(|| format!("{} of", lexicon.office(role)))
    };
    let verb = || lexicon.active.get(text).map(|verb| verb.predicate.to_owned());
    office().or_else(verb).unwrap_or_else(|| text.to_owned())
}

/// Whether a name is that of a country, or of a state of one.
pub fn is_region(name: &str) -> bool {
    lexicon::lexicon().places.contains_key(&crate::text::fold(name.trim()))
}

/// Whether a sentence tells of what was: by "was", "had" or "former".
pub fn tells_of_past(sentence: &str) -> bool {
    let tokens = tokens::tokens(sentence, 0..sentence.len());
    tokens.iter().any(|token| clause::PAST.contains(&token.word.as_str()) || token.word == "former")
}

/// What there is only one of at a time, for a predicate in the form that it is kept in.
pub fn exclusive(predicate: &str) -> Exclusive {
    let lexicon = lexicon::lexicon();
    let verb = lexicon.active.values().find(|verb| verb.predicate == predicate);
    let noun = || lexicon.exclusive(predicate.strip_suffix(" of").unwrap_or(predicate));
    verb.map_or_else(noun, |verb| verb.exclusive)
}

/// What a document says: the same for the same document, and never a failure.
pub fn extract(document: &Document<'_>) -> Extraction {
    if document.structure == Structure::Code {
        return Extraction::default();
    }
    let read = reading::read(document);
    facts::state(document, read)
}

/// Days that a text names, with the word that stands before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    pub before: String,
    pub first: Date,
    pub last: Date,
}

/// The days that a text names, in order; relative ones are counted from `today`.
pub fn periods(text: &str, today: Option<Date>) -> Vec<Period> {
    let tokens = tokens::tokens(text, 0..text.len());
    let found = dates::dates(&tokens, today).into_iter().filter_map(|(range, moment)| {
        let before = range.start.checked_sub(1).and_then(|at| tokens.get(at));
        let last = moment.after()?.yesterday().ok()?;
        Some(Period { before: before.map(|token| token.word.clone()).unwrap_or_default(), first: moment.first, last })
    });
    found.collect()
}

/// A name without what brackets at its end add.
fn plain(name: &str) -> &str {
    let name = name.trim();
    let open = name.strip_suffix(')').and_then(|rest| rest.rfind('('));
    open.and_then(|at| name.get(..at)).map(str::trim).filter(|rest| !rest.is_empty()).unwrap_or(name)
}
