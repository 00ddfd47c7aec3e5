//! The terms that an index has: how frequent one is, and which may have been meant.

use std::collections::HashMap;

use tantivy::query::FuzzyTermQuery;
use tantivy::termdict::TermDictionary;
use tantivy::{Searcher, Term};

use super::schema::Fields;

/// Terms that one word may stand for, the most frequent ones.
const MOST_EXPANSIONS: usize = 20;
/// Letters of a word from which on one slip is forgiven, and two.
const FORGIVEN: (usize, usize) = (4, 8);
/// Letters of the longest word that is looked for so: longer ones take long, and are no words.
const LONGEST: usize = 20;
/// Letters from which on the last word may be one that was not typed to its end.
const UNFINISHED: usize = 3;
/// What a word is worth that stands for another: for an unfinished one, after one slip, after two.
const WORTH: (f32, f32, f32) = (0.7, 0.6, 0.4);
/// Letters that a stem may be shorter than the beginning of its word, and those that are left at least.
const CUT: (usize, usize) = (3, 4);

/// A term with the number of chunks that have it.
pub type Frequency = (String, u64);

/// The terms of one state of an index.
pub struct Dictionary<'a> {
    pub searcher: &'a Searcher,
    pub fields: Fields,
}

impl Dictionary<'_> {
    /// Chunks with `term`, about: at least as many as have it in the title, and as have it in the text.
    pub fn frequency(&self, term: &str) -> tantivy::Result<u64> {
        let of = |field| self.searcher.doc_freq(&Term::from_field_text(field, term));
        Ok(of(self.fields.title)?.max(of(self.fields.body)?))
    }

    /// `prefix`, or what a stem may have left of it where no term begins with it: terms are shorter than words.
    pub fn reach(&self, prefix: &str) -> tantivy::Result<String> {
        let letters: Vec<char> = prefix.chars().collect();
        let shortest = letters.len().saturating_sub(CUT.0).max(CUT.1).min(letters.len());
        for length in (shortest..=letters.len()).rev() {
            let cut: String = letters.iter().take(length).collect();
            if self.has_beginning(&cut)? {
                return Ok(cut);
            }
        }
        Ok(prefix.to_owned())
    }

    /// Terms that may have been meant by `term`, which is not in the index, and what they are worth beside it.
    pub fn guesses(&self, term: &str, is_last: bool) -> tantivy::Result<(Vec<Frequency>, f32)> {
        let letters = term.chars().count();
        if letters > LONGEST {
            return Ok((Vec::new(), 0.0));
        }
        if is_last && letters >= UNFINISHED {
            let found = self.beginning_with(term)?;
            if !found.is_empty() {
                return Ok((found, WORTH.0));
            }
        }
        for (slips, least, worth) in [(1, FORGIVEN.0, WORTH.1), (2, FORGIVEN.1, WORTH.2)] {
            let found = if letters >= least { self.within(term, slips)? } else { Vec::new() };
            if !found.is_empty() {
                return Ok((found, worth));
            }
        }
        // Terms are stems, and a slip in its ending leaves a word whole.
        for cut in 1..=CUT.0.min(letters.saturating_sub(FORGIVEN.1)) {
            let beginning: String = term.chars().take(letters - cut).collect();
            let found = self.within(&beginning, 1)?;
            if !found.is_empty() {
                return Ok((found, WORTH.2));
            }
        }
        Ok((Vec::new(), 0.0))
    }

    /// Whether a term begins with `prefix`: a look at the first, however many there are.
    fn has_beginning(&self, prefix: &str) -> tantivy::Result<bool> {
        let end = after(prefix);
        for segment in self.searcher.segment_readers() {
            for field in self.fields.texts() {
                let index = segment.inverted_index(field)?;
                if index.terms().range().ge(prefix).lt(&end).into_stream()?.advance() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The most frequent terms that begin with `prefix`.
    pub fn beginning_with(&self, prefix: &str) -> tantivy::Result<Vec<Frequency>> {
        let end = after(prefix);
        self.most_frequent(|dictionary, found| {
            let mut terms = dictionary.range().ge(prefix).lt(&end).into_stream()?;
            while let Some((term, info)) = terms.next() {
                found(term, info.doc_freq);
            }
            Ok(())
        })
    }

    /// The most frequent terms that at most `slips` changes make of `term`; the first letter is right.
    fn within(&self, term: &str, slips: u8) -> tantivy::Result<Vec<Frequency>> {
        let first = term.chars().next().map(String::from).unwrap_or_default();
        let end = after(&first);
        let automaton = FuzzyTermQuery::new(Term::from_field_text(self.fields.body, term), slips, true).automaton()?;
        self.most_frequent(|dictionary, found| {
            let mut terms = dictionary.search(&automaton).ge(&first).lt(&end).into_stream()?;
            while let Some((term, info)) = terms.next() {
                found(term, info.doc_freq);
            }
            Ok(())
        })
    }

    /// The most frequent of the terms that `look` finds in each dictionary.
    fn most_frequent(
        &self,
        look: impl Fn(&TermDictionary, &mut dyn FnMut(&[u8], u32)) -> tantivy::Result<()>,
    ) -> tantivy::Result<Vec<Frequency>> {
        let mut counts: HashMap<String, [u64; 2]> = HashMap::new();
        for segment in self.searcher.segment_readers() {
            for (place, field) in self.fields.texts().into_iter().enumerate() {
                look(segment.inverted_index(field)?.terms(), &mut |term, count| {
                    if let Ok(term) = std::str::from_utf8(term)
                        && let Some(sum) = counts.entry(term.to_owned()).or_default().get_mut(place)
                    {
                        *sum += u64::from(count);
                    }
                })?;
            }
        }
        let mut found: Vec<_> = counts.into_iter().map(|(term, [title, body])| (term, title.max(body))).collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found.truncate(MOST_EXPANSIONS);
        Ok(found)
    }
}

/// The first bytes that come after all terms that begin with `prefix`. No byte of UTF-8 is the last there is.
pub fn after(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    match end.last_mut() {
        Some(last) => *last = last.saturating_add(1),
        None => end.push(u8::MAX),
    }
    end
}
