//! Terms: runs of small words that a document repeats, as "basal cell carcinoma" in a text about it.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use super::lexicon::lexicon;
use super::tokens::{Shape, Token};

/// How often a document says what is a term of it.
const LEAST: u32 = 3;
/// The longest term, in words.
const LONGEST: usize = 4;
const MOST_TERMS: usize = 64;
/// Beyond this many different runs, new ones are not counted.
const MOST_COUNTED: usize = 400_000;

/// Counts the runs of a document that may be terms.
#[derive(Default)]
pub(super) struct Repeated(HashMap<u64, (u32, u8)>);

/// The runs that are terms.
#[derive(Default)]
pub(super) struct Terms(HashMap<u64, u32>);

impl Repeated {
    pub fn add(&mut self, tokens: &[Token]) {
        for run in runs(tokens) {
            for start in run.clone() {
                for end in (start + 2)..=run.end.min(start + LONGEST) {
                    let Some(words) = tokens.get(start..end).filter(|words| reads_as_noun(words)) else { continue };
                    let full = self.0.len() >= MOST_COUNTED;
                    match self.0.get_mut(&hash(words)) {
                        Some((count, _)) => *count += 1,
                        None if full => {}
                        None => drop(self.0.insert(hash(words), (1, u8::try_from(words.len()).unwrap_or(u8::MAX)))),
                    }
                }
            }
        }
    }

    /// The most repeated; a long document has more.
    pub fn terms(self, sentences: usize) -> Terms {
        let mut found: Vec<(u32, u64, u32)> = self
            .0
            .into_iter()
            .filter(|(_, (count, _))| *count >= LEAST)
            .map(|(hash, (count, words))| (count * u32::from(words), hash, count))
            .collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.truncate((8 + sentences / 8).min(MOST_TERMS));
        Terms(found.into_iter().map(|(_, hash, count)| (hash, count)).collect())
    }
}

impl Terms {
    /// Where a sentence says terms, the longest of each place.
    pub fn find(&self, tokens: &[Token]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.0.is_empty() {
            return found;
        }
        for run in runs(tokens) {
            let mut at = run.start;
            while at < run.end {
                let mut lengths = (2..=LONGEST.min(run.end - at)).rev();
                let is_term = |length: &usize| {
                    tokens
                        .get(at..at + length)
                        .is_some_and(|words| reads_as_noun(words) && self.0.contains_key(&hash(words)))
                };
                match lengths.find(is_term) {
                    Some(length) => {
                        found.push(at..at + length);
                        at += length;
                    }
                    None => at += 1,
                }
            }
        }
        found
    }
}

/// The key of a term: its words, the last in the singular.
pub(super) fn key(words: &[Token]) -> String {
    let mut key = String::new();
    for (at, token) in words.iter().filter(|token| !token.word.is_empty()).enumerate() {
        if at > 0 {
            key.push(' ');
        }
        key.push_str(&token.word);
    }
    key.truncate(singular(&key).len());
    key
}

fn singular(word: &str) -> &str {
    let kept = ["ss", "us", "is", "os"].iter().any(|ending| word.ends_with(ending)) || word.len() < 4;
    if kept { word } else { word.strip_suffix('s').unwrap_or(word) }
}

fn hash(words: &[Token]) -> u64 {
    // Its keys are fixed, so that the same document has the same terms.
    let mut hasher = DefaultHasher::new();
    for (at, token) in words.iter().enumerate() {
        if at + 1 == words.len() { singular(&token.word).hash(&mut hasher) } else { token.word.hash(&mut hasher) }
    }
    hasher.finish()
}

/// Runs of two or more small words that carry meaning, with nothing between them.
fn runs(tokens: &[Token]) -> impl Iterator<Item = Range<usize>> + '_ {
    let lexicon = lexicon();
    let counts = move |at: usize| {
        tokens.get(at).is_some_and(|token| {
            let small = token.shape == Shape::Lower || (token.shape == Shape::Capital && at == 0);
            small
                && token.word.len() > 2
                && !lexicon.is_stopword(&token.word)
                && !lexicon.is_telling(&token.word)
                && !lexicon.starters.contains(&token.word)
        })
    };
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < tokens.len() {
            let start = at;
            while counts(at) {
                at += 1;
            }
            let run = start..at;
            at += 1;
            if run.len() > 1 {
                return Some(run);
            }
        }
        None
    })
}

/// Whether words can be a noun with what describes it: no verb at either end, no adverb within.
fn reads_as_noun(words: &[Token]) -> bool {
    let lexicon = lexicon();
    let is_verb = |word: &str| lexicon.active.contains_key(word) || lexicon.passive.contains_key(word);
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return false };
    let ends = ["ed", "ing", "ous", "ful", "able", "ible", "ive", "est", "less"];
    let describes = |word: &str| ends.iter().any(|ending| word.ends_with(ending));
    !is_verb(&first.word)
        && !is_verb(&last.word)
        && !describes(&last.word)
        && !words.iter().any(|token| token.word.ends_with("ly"))
}
