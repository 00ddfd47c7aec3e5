//! What one document says: the text is read twice, first for what it names, then for what it states.
//!
//! Pure and deterministic; knows one document at a time, and no network. Names are told by capitals and word lists, facts
//! by patterns of English sentences and by tables; where a pattern is not sure, it says nothing. Text of other languages
//! gives names alone, code nothing.

mod aliases;
mod amounts;
mod appositions;
mod attributes;
mod blocks;
mod capitals;
mod clause;
mod dates;
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
mod validity;
mod verbs;
mod vocabulary;

#[cfg(test)]
mod tests;

use jiff::civil::Date;

use super::{Exclusive, Extraction};

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

/// A name without what brackets at its end add.
fn plain(name: &str) -> &str {
    let name = name.trim();
    let open = name.strip_suffix(')').and_then(|rest| rest.rfind('('));
    open.and_then(|at| name.get(..at)).map(str::trim).filter(|rest| !rest.is_empty()).unwrap_or(name)
}
