//! A query in the terms of one index: what is scored and what every hit must or may not have.

use std::collections::BTreeMap;

use tantivy::Searcher;

use super::dictionary::Dictionary;
use super::query::{Bearing, Query};
use super::schema::Fields;
use super::score::COVERAGE;
use crate::text::{Analyzer, Word, fold};

/// Terms of one query that are scored, and words in the conditions that are minded; the rest of a longer query is
/// ignored.
const MOST_TERMS: usize = 64;
/// Different `begin*` of one query; further ones stand for themselves alone. Each takes a walk over all that begin so.
const MOST_PREFIXES: usize = 8;
/// Words of one query that near ones may stand for; looking for these takes milliseconds.
const MOST_GUESSED: usize = 4;

/// Terms that count as one word.
pub struct Group {
    /// How often the query has the word, times how telling it is, times what it is worth as a guess.
    pub weight: f32,
    pub terms: Vec<String>,
}

/// What a chunk has or has not.
#[derive(PartialEq)]
pub enum Test {
    /// These terms, one after the other.
    Phrase(Vec<String>),
    /// A term that begins so.
    Prefix(String),
}

/// A test that every hit passes, or none.
pub struct Condition {
    pub test: Test,
    /// What was typed for it, without its sign.
    pub typed: String,
}

/// A query made ready for one state of an index.
pub struct Plan {
    /// In a fixed order, because sums of floats depend on it.
    pub groups: Vec<Group>,
    pub required: Vec<Condition>,
    pub excluded: Vec<Condition>,
    /// The most that a text could reach.
    pub ceiling: f32,
}

/// A word of a query that is to be scored.
struct Wanted {
    count: f32,
    is_prefix: bool,
    /// Whether a near word may stand for it.
    is_forgiven: bool,
    is_last: bool,
}

impl Plan {
    pub fn new(query: &Query, analyzer: &Analyzer, searcher: &Searcher, fields: Fields) -> tantivy::Result<Self> {
        let mut plan = Plan { groups: Vec::new(), required: Vec::new(), excluded: Vec::new(), ceiling: 0.0 };
        let dictionary = Dictionary { searcher, fields };
        let mut meaning = BTreeMap::new();
        let mut everywhere = BTreeMap::new();
        let mut reached: BTreeMap<String, String> = BTreeMap::new();
        let mut tested = 0;
        for (place, part) in query.parts.iter().enumerate() {
            let is_last = place + 1 == query.parts.len();
            let words = analyzer.words(&part.text);
            // A run of a script without spaces goes on from its last pair anyway.
            let begun = (part.is_prefix && words.len() == 1).then(|| fold(&part.text));
            if let Some(begun) = &begun
                && reached.len() < MOST_PREFIXES
                && !reached.contains_key(begun)
            {
                reached.insert(begun.clone(), dictionary.reach(begun)?);
            }
            let prefix = begun.and_then(|begun| reached.get(&begun).cloned());
            if let Some(test) = test(&words, prefix.as_deref()) {
                let tests = match part.bearing {
                    Bearing::Should => None,
                    Bearing::Must => Some(&mut plan.required),
                    Bearing::Not => Some(&mut plan.excluded),
                };
                if let Some(tests) = tests
                    && tested + words.len() <= MOST_TERMS
                    && !tests.iter().any(|condition| condition.test == test)
                {
                    tested += words.len();
                    let typed = if prefix.is_some() { format!("{}*", part.text) } else { part.text.clone() };
                    tests.push(Condition { test, typed });
                }
            }
            if part.bearing == Bearing::Not {
                continue;
            }
            let words = if prefix.is_some() { words } else { analyzer.searched_words(&part.text) };
            let last = words.len();
            for (at, word) in words.into_iter().enumerate() {
                let surface = part.text.get(word.start..word.end).unwrap_or_default();
                let is_stopword = prefix.is_none() && analyzer.is_stopword(surface);
                let wanted = if is_stopword { &mut everywhere } else { &mut meaning };
                let term = prefix.clone().unwrap_or(word.term);
                let known = wanted.len();
                let fresh = || Wanted {
                    count: 0.0,
                    is_prefix: prefix.is_some(),
                    is_forgiven: part.bearing == Bearing::Should && surface.chars().all(char::is_alphabetic),
                    is_last: is_last && at + 1 == last,
                };
                if known < MOST_TERMS || wanted.contains_key(&term) {
                    wanted.entry(term).or_insert_with(fresh).count += 1.0;
                }
            }
        }
        // Words that are everywhere tell nothing, unless there are no others.
        let wanted = if meaning.is_empty() { everywhere } else { meaning };
        let mut guessed = 0;
        for (term, mut wanted) in wanted {
            wanted.is_forgiven &= guessed < MOST_GUESSED;
            guessed += usize::from(plan.want(term, &wanted, &dictionary)?);
        }
        plan.ceiling *= 1.0 + COVERAGE;
        Ok(plan)
    }

    /// Takes a word in. Returns whether near ones were looked for in its place.
    fn want(&mut self, term: String, wanted: &Wanted, dictionary: &Dictionary<'_>) -> tantivy::Result<bool> {
        let mut is_guess = false;
        let documents = dictionary.searcher.num_docs();
        let (terms, frequency, worth) = match wanted.is_prefix {
            true => {
                let found = dictionary.beginning_with(&term)?;
                let frequency = found.iter().map(|(_, frequency)| frequency).sum();
                (found.into_iter().map(|(term, _)| term).collect(), frequency, 1.0)
            }
            false => match dictionary.frequency(&term)? {
                0 if wanted.is_forgiven => {
                    is_guess = true;
                    let (found, worth) = dictionary.guesses(&term, wanted.is_last)?;
                    let frequency = found.iter().map(|(_, frequency)| frequency).sum();
                    // What was typed itself would be the most telling.
                    self.ceiling += wanted.count * (idf(0, documents) - worth * idf(frequency, documents));
                    (found.into_iter().map(|(term, _)| term).collect(), frequency, worth)
                }
                frequency => (vec![term], frequency, 1.0),
            },
        };
        let weight = wanted.count * worth * idf(frequency, documents);
        self.ceiling += weight;
        if !terms.is_empty() && frequency > 0 {
            self.groups.push(Group { weight, terms });
        }
        Ok(is_guess)
    }
}

/// What a part of a query asks of a chunk, where it has words.
fn test(words: &[Word], prefix: Option<&str>) -> Option<Test> {
    match prefix {
        Some(prefix) => Some(Test::Prefix(prefix.to_owned())),
        None if words.is_empty() => None,
        None => Some(Test::Phrase(words.iter().map(|word| word.term.clone()).collect())),
    }
}

/// Inverse document frequency with the 1 inside the logarithm that keeps it positive (Lucene's BM25).
pub fn idf(frequency: u64, documents: u64) -> f32 {
    let documents = documents.max(frequency);
    (1.0 + ((documents - frequency) as f32 + 0.5) / (frequency as f32 + 0.5)).ln()
}
