//! Answers without a language model: the sentences that best answer the question, quoted in order.
//!
//! Each sentence is judged by how much of the question's telling words it holds, weighed by how rare they are in the
//! workspace, by its meaning (cosine similarity to the question), and by its passage's rank. Below a threshold the
//! answer is that there is none. Deterministic: the same question on the same evidence gets the same answer.

use std::collections::HashMap;
use std::ops::Range;

use crate::embed::{Embedder, Purpose};
use crate::error::Result;
use crate::text::{self, Analyzer};

/// Sentences whose meaning is looked at: the most promising by their words.
const READ_CLOSELY: usize = 40;
/// Sentences of an answer at most.
const LONGEST_ANSWER: usize = 4;
/// A sentence joins the best one from this part of its score on.
const NEARLY_AS_GOOD: f32 = 0.8;
/// One that goes on where a chosen one ends needs only this part.
const GOES_ON: f32 = 0.5;
/// Weights of words, meaning and rank in a sentence's score.
const WEIGHTS: (f32, f32, f32) = (0.4, 0.45, 0.15);
/// Below this similarity of the best sentence nothing was found, however many words it shares.
const LEAST_SIMILARITY: f32 = 0.25;
/// The score from which an answer counts as one; `benches/README.md` has the measurement behind it.
const LEAST_SCORE: f32 = 0.5;

/// A piece of evidence.
#[derive(Debug, Clone)]
pub struct Passage<'a> {
    pub text: &'a str,
    /// Title and headings above it.
    pub context: String,
    /// How well the search ranked it, `0..=1`.
    pub score: f32,
}

/// A stretch of a passage, quoted.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    /// Place of the passage in the evidence.
    pub passage: usize,
    /// Bytes of the passage's text.
    pub range: Range<usize>,
    /// How well it answers, `0..=1`.
    pub score: f32,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// Empty where nothing answers the question.
    pub quotes: Vec<Quote>,
}

struct Sentence {
    passage: usize,
    range: Range<usize>,
    words: f32,
    score: f32,
    similarity: f32,
}

/// Answers `question` from `passages`, the best-ranked first. `rarity` gives the weight of each of a list of terms.
/// `most_tokens` bounds the answer.
pub fn answer(
    question: &str,
    passages: &[Passage<'_>],
    analyzer: &Analyzer,
    rarity: impl Fn(&[String]) -> Result<Vec<f32>>,
    embedder: &dyn Embedder,
    most_tokens: usize,
) -> Result<Answer> {
    let weights = question_terms(question, analyzer, rarity)?;
    let mut sentences = read(passages, analyzer, &weights);
    let rank = |sentence: &Sentence| passages.get(sentence.passage).map_or(0.0, |passage| passage.score);
    let by_words = |s: &Sentence| s.words * WEIGHTS.0 + rank(s) * WEIGHTS.2;
    sentences.sort_by(|a, b| by_words(b).total_cmp(&by_words(a)).then(order(a).cmp(&order(b))));
    sentences.truncate(READ_CLOSELY);
    let texts: Vec<String> = sentences
        .iter()
        .filter_map(|s| passages.get(s.passage).map(|p| format!("{}: {}", p.context, slice(p, &s.range))))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder.embed(&texts, Purpose::Glance)?;
    let asked = embedder.embed(&[question], Purpose::Query)?.pop().unwrap_or_default();
    for (sentence, vector) in sentences.iter_mut().zip(vectors) {
        sentence.similarity = vector.iter().zip(&asked).map(|(a, b)| a * b).sum::<f32>().max(0.0);
        sentence.score = by_words(sentence) + sentence.similarity * WEIGHTS.1;
    }
    sentences.sort_by(|a, b| b.score.total_cmp(&a.score).then(order(a).cmp(&order(b))));
    let Some(best) = sentences.first() else { return Ok(Answer::default()) };
    if best.score < LEAST_SCORE || best.similarity < LEAST_SIMILARITY {
        return Ok(Answer::default());
    }
    let floor = best.score * NEARLY_AS_GOOD;
    let going_on = best.score * GOES_ON;
    let mut chosen: Vec<Sentence> = Vec::new();
    let mut tokens = 0;
    while chosen.len() < LONGEST_ANSWER {
        let goes_on =
            |s: &Sentence| s.score >= going_on && chosen.last().is_some_and(|last| follows(last, s, passages));
        let next = sentences.iter().position(goes_on).or_else(|| sentences.iter().position(|s| s.score >= floor));
        let Some(sentence) = next.map(|place| sentences.remove(place)) else { break };
        let text = passages.get(sentence.passage).map(|p| slice(p, &sentence.range)).unwrap_or_default();
        tokens += embedder.count_tokens(text);
        // The best sentence is the answer, however long it is.
        if tokens > most_tokens && !chosen.is_empty() {
            break;
        }
        let repeats = |other: &Sentence| passages.get(other.passage).is_some_and(|p| slice(p, &other.range) == text);
        if !chosen.iter().any(repeats) {
            chosen.push(sentence);
        }
    }
    chosen.sort_by_key(order);
    Ok(Answer { quotes: joined(chosen, passages) })
}

fn order(sentence: &Sentence) -> (usize, usize) {
    (sentence.passage, sentence.range.start)
}

fn slice<'a>(passage: &Passage<'a>, range: &Range<usize>) -> &'a str {
    passage.text.get(range.clone()).unwrap_or_default()
}

/// The question's telling words with the part of its meaning that each carries; they sum up to 1.
fn question_terms(
    question: &str,
    analyzer: &Analyzer,
    rarity: impl Fn(&[String]) -> Result<Vec<f32>>,
) -> Result<HashMap<String, f32>> {
    let mut words = analyzer.content_words(question);
    if words.is_empty() {
        words = analyzer.words(question);
    }
    let mut terms: Vec<String> = words.into_iter().map(|word| word.term).collect();
    terms.sort();
    terms.dedup();
    let weights = rarity(&terms)?;
    let total = weights.iter().sum::<f32>().max(f32::MIN_POSITIVE);
    Ok(terms.into_iter().zip(weights).map(|(term, weight)| (term, weight / total)).collect())
}

/// Every sentence of the passages that says something, with the part of the question's words that it holds. A word
/// that stands in the headings above counts half.
fn read(passages: &[Passage<'_>], analyzer: &Analyzer, weights: &HashMap<String, f32>) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    for (place, passage) in passages.iter().enumerate() {
        let above = held(&passage.context, analyzer, weights);
        for range in text::sentences(passage.text) {
            let range = without_marker(passage.text, range);
            let sentence = slice(passage, &range);
            if !says_something(sentence) {
                continue;
            }
            let inside = held(sentence, analyzer, weights);
            let words = weights
                .iter()
                .map(|(term, weight)| match (inside.contains(&term), above.contains(&term)) {
                    (true, _) => *weight,
                    (false, true) => weight / 2.0,
                    (false, false) => 0.0,
                })
                .sum();
            sentences.push(Sentence { passage: place, range, words, score: 0.0, similarity: 0.0 });
        }
    }
    sentences
}

fn held<'a>(text: &str, analyzer: &Analyzer, weights: &'a HashMap<String, f32>) -> Vec<&'a String> {
    let words = analyzer.words(text);
    weights.keys().filter(|term| words.iter().any(|word| word.term == **term)).collect()
}

/// The range without the marker of a list item.
fn without_marker(text: &str, range: Range<usize>) -> Range<usize> {
    let sentence = text.get(range.clone()).unwrap_or_default();
    let digits = sentence.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = if digits.len() < sentence.len() { digits.strip_prefix(['.', ')']) } else { None };
    let rest = sentence.strip_prefix(['-', '*', '+', '>']).or(numbered).filter(|rest| rest.starts_with(' '));
    rest.map_or(range.clone(), |rest| range.end - rest.trim_start().len()..range.end)
}

/// Headings, rules, fences and the lines under a table's head are no sentences.
fn says_something(sentence: &str) -> bool {
    let bare = sentence.starts_with('#') || sentence.starts_with("```");
    !bare && sentence.chars().filter(|c| c.is_alphanumeric()).count() >= 2
}

/// Whether `next` begins where `last` ends, in the same paragraph.
fn follows(last: &Sentence, next: &Sentence, passages: &[Passage<'_>]) -> bool {
    adjoins(last.passage, last.range.end, next, passages)
}

fn adjoins(passage: usize, end: usize, next: &Sentence, passages: &[Passage<'_>]) -> bool {
    let between = passages.get(passage).and_then(|p| p.text.get(end..next.range.start));
    // A line break is part of a wrapped paragraph; an item or a row of a table stands for itself.
    let joined = between.is_some_and(|gap| gap.trim().is_empty() && !gap.contains("\n\n") && !gap.contains("\n-"));
    passage == next.passage && joined
}

/// Quotes of the chosen sentences; those that follow each other in a passage are one.
fn joined(chosen: Vec<Sentence>, passages: &[Passage<'_>]) -> Vec<Quote> {
    let mut quotes: Vec<Quote> = Vec::new();
    for sentence in chosen {
        match quotes.last_mut() {
            Some(last) if adjoins(last.passage, last.range.end, &sentence, passages) => {
                last.range.end = sentence.range.end;
                last.score = last.score.max(sentence.score);
            }
            _ => quotes.push(Quote {
                passage: sentence.passage,
                range: sentence.range,
                score: sentence.score.clamp(0.0, 1.0),
            }),
        }
    }
    quotes
}
