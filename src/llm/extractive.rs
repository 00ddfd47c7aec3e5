//! Answers without a language model: the sentences that best answer the question, the best ones first.
//!
//! Each sentence is judged by how much of the question's telling words it holds, weighed by how rare they are in the
//! workspace, by its meaning (cosine similarity to the question), by its passage's rank, and by whether it holds a thing
//! of the kind that is asked for. The answer is that there is none where the best sentence is not good enough, stands
//! out too little from what the other passages say, or lacks a word that tells much. Deterministic: the same question on
//! the same evidence gets the same answer. `benches/README.md` has the measurements behind every number here.

use std::cmp::Reverse;
use std::ops::Range;

use jiff::civil::Date;

use super::asked::{Kind, Question};
use super::evidence::{self, Piece};
use crate::embed::{Embedder, Purpose};
use crate::error::Result;
use crate::graph::extract;
use crate::text::Analyzer;

/// Sentences whose meaning is looked at: the most promising by their words.
const READ_CLOSELY: usize = 40;
/// Sentences of an answer at most.
const LONGEST_ANSWER: usize = 4;
/// A sentence joins the best one from this part of its score on.
const NEARLY_AS_GOOD: f32 = 0.8;
/// One that goes on where a chosen one ends needs only this part.
const GOES_ON: f32 = 0.5;
/// Those from this part on answer equally well, and the newest comes first.
const EQUALLY_GOOD: f32 = 0.93;
/// Weights of words, meaning and rank in a sentence's score.
const WEIGHTS: (f32, f32, f32) = (0.5, 0.4, 0.1);
/// What a sentence loses that holds nothing of the kind that is asked for.
const MISFIT: f32 = 0.05;
/// What a word of the question counts that stands not in a sentence, but above it or in the two before it.
const ABOVE: f32 = 0.5;
const BEFORE: usize = 2;
/// Weights of what an answer is sure by: how far its words stand out from those of the other passages; and against it,
/// the share of the most telling word that its passage lacks.
const STANDS_OUT: f32 = 0.3;
const LACKS: f32 = 0.2;
/// Below this similarity of the best sentence nothing was found, however many words it shares.
const LEAST_SIMILARITY: f32 = 0.25;
/// The sureness from which an answer counts as one: where the embedding model knows the words of question and passages,
/// and where it takes them in pieces, as it does those of languages that it has read little of.
const LEAST: (f32, f32) = (0.6, 0.5);
/// Tokens for a letter up to which a model knows the words, and from which on it takes them in pieces.
const TOKENS: (f32, f32) = (0.3, 0.37);

/// A piece of evidence.
#[derive(Debug, Clone)]
pub struct Passage<'a> {
    pub text: &'a str,
    /// Title and headings above it.
    pub context: String,
    /// How well the search ranked it, `0..=1`.
    pub score: f32,
    /// The day that its document is of.
    pub date: Option<Date>,
}

/// A stretch of a passage, quoted.
#[derive(Debug, Clone, PartialEq)]
pub struct Quote {
    /// Place of the passage in the evidence.
    pub passage: usize,
    /// Bytes of the passage's text.
    pub range: Range<usize>,
    /// The header of the table whose row it is: bytes of the passage's text.
    pub header: Option<Range<usize>>,
    /// The day that it is of, where another answers as well and is of another day.
    pub date: Option<Date>,
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
    piece: Piece,
    /// The part of the question's meaning that its words carry.
    words: f32,
    fits: bool,
    similarity: f32,
    score: f32,
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
    let asked = Question::read(question, analyzer, rarity)?;
    let mut sentences = Vec::new();
    let mut held = Vec::with_capacity(passages.len());
    for (place, passage) in passages.iter().enumerate() {
        let (read, found) = read(place, passage, analyzer, &asked);
        sentences.extend(read);
        held.push(found);
    }
    let best_words: Vec<f32> = (0..passages.len()).map(|place| most_words(&sentences, place)).collect();
    judge(question, &mut sentences, passages, embedder)?;
    let Some(best) = sentences.first() else { return Ok(Answer::default()) };
    let lacks = held.get(best.passage).map_or(0.0, |held| {
        let lacking = asked.terms.iter().zip(held).filter(|(_, part)| **part == 0.0);
        lacking.map(|((_, weight), _)| *weight).fold(0.0, f32::max)
    });
    let sureness = best.score + STANDS_OUT * standing_out(best.passage, &best_words) - LACKS * lacks;
    if sureness < least(question, passages, embedder) || best.similarity < LEAST_SIMILARITY {
        return Ok(Answer::default());
    }
    let runs = runs(choose(sentences, passages, embedder, most_tokens), passages);
    Ok(Answer { quotes: newest_first(runs, passages, &asked) })
}

/// Gives the most promising sentences their scores, and sorts them by these, the best first.
fn judge(
    question: &str,
    sentences: &mut Vec<Sentence>,
    passages: &[Passage<'_>],
    embedder: &dyn Embedder,
) -> Result<()> {
    let by_words = |s: &Sentence| {
        let rank = passages.get(s.passage).map_or(0.0, |passage| passage.score);
        s.words * WEIGHTS.0 + rank * WEIGHTS.2 - if s.fits { 0.0 } else { MISFIT }
    };
    sentences.sort_by(|a, b| by_words(b).total_cmp(&by_words(a)).then(order(a).cmp(&order(b))));
    sentences.truncate(READ_CLOSELY);
    let texts: Vec<String> = sentences
        .iter()
        .filter_map(|s| {
            passages.get(s.passage).map(|passage| format!("{}: {}", passage.context, told(passage, &s.piece)))
        })
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let vectors = embedder.embed(&texts, Purpose::Glance)?;
    let asked = embedder.embed(&[question], Purpose::Query)?.pop().unwrap_or_default();
    for (sentence, vector) in sentences.iter_mut().zip(vectors) {
        sentence.similarity = vector.iter().zip(&asked).map(|(a, b)| a * b).sum::<f32>().max(0.0);
        sentence.score = by_words(sentence) + sentence.similarity * WEIGHTS.1;
    }
    sentences.sort_by(|a, b| b.score.total_cmp(&a.score).then(order(a).cmp(&order(b))));
    Ok(())
}

/// Every piece of a passage with the part of the question's words that it holds; and how much of each the passage holds.
fn read(place: usize, passage: &Passage<'_>, analyzer: &Analyzer, asked: &Question) -> (Vec<Sentence>, Vec<f32>) {
    let held = |text: &str| asked.held(&analyzer.searched_words(text));
    let above = held(&passage.context);
    let mut all = above.clone();
    let mut before: Vec<Vec<f32>> = Vec::new();
    let mut sentences = Vec::new();
    for piece in evidence::pieces(passage.text, &passage.context) {
        let text = slice(passage, &piece.range);
        let inside = held(text);
        let heads = [&piece.heading, &piece.header].into_iter().flatten().map(|range| held(slice(passage, range)));
        let mut around: Vec<Vec<f32>> = heads.collect();
        raise(&mut all, around.iter().chain([&inside]));
        if !piece.is_row {
            around.extend(before.iter().rev().take(BEFORE).cloned());
        }
        let mut near = above.clone();
        raise(&mut near, around.iter());
        let words = asked.share(inside.iter().zip(&near).map(|(inside, near)| inside.max(near * ABOVE)));
        sentences.push(Sentence { passage: place, words, fits: asked.fits(text), similarity: 0.0, score: 0.0, piece });
        before.push(inside);
    }
    (sentences, all)
}

fn raise<'a>(most: &mut [f32], others: impl Iterator<Item = &'a Vec<f32>>) {
    for other in others {
        most.iter_mut().zip(other).for_each(|(most, part)| *most = most.max(*part));
    }
}

fn most_words(sentences: &[Sentence], passage: usize) -> f32 {
    sentences.iter().filter(|s| s.passage == passage).map(|s| s.words).fold(0.0, f32::max)
}

/// How much more of the question's words the passage's best sentence holds than the others' on average. Where there are
/// few others, there is little to stand out from: one more is thought of that holds half.
fn standing_out(passage: usize, best_words: &[f32]) -> f32 {
    let own = best_words.get(passage).copied().unwrap_or_default();
    let others = best_words.iter().sum::<f32>() - own;
    own - (others + own / 2.0) / best_words.len().max(1) as f32
}

/// The sureness that an answer needs, by how well the embedding model knows the language.
fn least(question: &str, passages: &[Passage<'_>], embedder: &dyn Embedder) -> f32 {
    /// Passages that show how it is written.
    const SHOWN: usize = 3;
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count().max(1);
    let ratio = |tokens: usize, letters: usize| tokens as f32 / letters as f32;
    let shown = || passages.iter().take(SHOWN).map(|passage| passage.text);
    let passages = ratio(shown().map(|text| embedder.count_tokens(text)).sum(), shown().map(letters).sum());
    // A question may be all names, a passage all figures, and neither is a language.
    let ratio = ratio(embedder.count_tokens(question), letters(question)).min(passages);
    let part = (ratio - TOKENS.0) / (TOKENS.1 - TOKENS.0);
    LEAST.0 + (LEAST.1 - LEAST.0) * part.clamp(0.0, 1.0)
}

/// The sentences of the answer, the best first; `sentences` are sorted.
fn choose(
    mut sentences: Vec<Sentence>,
    passages: &[Passage<'_>],
    embedder: &dyn Embedder,
    most_tokens: usize,
) -> Vec<Sentence> {
    let best = sentences.first().map_or(0.0, |best| best.score);
    let mut chosen: Vec<Sentence> = Vec::new();
    let mut tokens = 0;
    while chosen.len() < LONGEST_ANSWER {
        let last = chosen.last();
        let goes_on = |s: &Sentence| s.score >= best * GOES_ON && last.is_some_and(|last| follows(last, s, passages));
        let is_good = |s: &Sentence| s.score >= best * NEARLY_AS_GOOD && !is_lesser_row(s, &chosen);
        let next = sentences.iter().position(goes_on).or_else(|| sentences.iter().position(is_good));
        let Some(sentence) = next.map(|place| sentences.remove(place)) else { break };
        let text = passages.get(sentence.passage).map(|p| slice(p, &sentence.piece.range)).unwrap_or_default();
        tokens += embedder.count_tokens(text);
        // The best sentence is the answer, however long it is.
        if tokens > most_tokens && !chosen.is_empty() {
            break;
        }
        let repeats =
            |other: &Sentence| passages.get(other.passage).is_some_and(|p| slice(p, &other.piece.range) == text);
        if !chosen.iter().any(repeats) {
            chosen.push(sentence);
        }
    }
    chosen
}

/// Whether a row of a table, or an item of a list, holds less of the question than one of its neighbours that was chosen.
/// They are written alike, so their scores are.
fn is_lesser_row(sentence: &Sentence, chosen: &[Sentence]) -> bool {
    let rows = chosen.iter().filter(|other| other.piece.is_row && other.passage == sentence.passage);
    sentence.piece.is_row && rows.map(|other| other.words).any(|words| sentence.words < words)
}

/// What is told of a piece where it stands alone: a row with its header.
fn told(passage: &Passage<'_>, piece: &Piece) -> String {
    let text = slice(passage, &piece.range);
    match &piece.header {
        Some(header) => evidence::row_as_prose(text, Some(slice(passage, header))),
        None => text.to_owned(),
    }
}

fn order(sentence: &Sentence) -> (usize, usize) {
    (sentence.passage, sentence.piece.range.start)
}

fn slice<'a>(passage: &Passage<'a>, range: &Range<usize>) -> &'a str {
    passage.text.get(range.clone()).unwrap_or_default()
}

/// Whether `next` begins where `last` ends, in the same paragraph. A line break is part of a wrapped paragraph; an item
/// or a row of a table stands for itself.
fn follows(last: &Sentence, next: &Sentence, passages: &[Passage<'_>]) -> bool {
    let gap = passages.get(last.passage).and_then(|p| p.text.get(last.piece.range.end..next.piece.range.start));
    let adjoins = gap.is_some_and(|gap| gap.trim().is_empty() && !gap.contains("\n\n"));
    last.passage == next.passage && adjoins && !last.piece.is_row && !next.piece.is_row
}

/// Quotes of the chosen sentences, the best first; those that follow each other in a passage are one.
fn runs(mut chosen: Vec<Sentence>, passages: &[Passage<'_>]) -> Vec<Quote> {
    chosen.sort_by_key(order);
    let mut quotes: Vec<Quote> = Vec::new();
    let mut last: Option<Sentence> = None;
    for sentence in chosen {
        let score = sentence.score.clamp(0.0, 1.0);
        match quotes.last_mut().filter(|_| last.as_ref().is_some_and(|last| follows(last, &sentence, passages))) {
            Some(quote) => {
                quote.range.end = sentence.piece.range.end;
                quote.score = quote.score.max(score);
            }
            None => {
                let (range, header) = (sentence.piece.range.clone(), sentence.piece.header.clone());
                quotes.push(Quote { passage: sentence.passage, range, header, date: None, score });
            }
        }
        last = Some(sentence);
    }
    quotes.sort_by(|a, b| b.score.total_cmp(&a.score));
    quotes
}

/// Of `quotes`, the best first, those that answer equally well in the order of their days, the newest first, where they
/// are of different documents and days; each says its day then. Where a day is asked for, the days are the answer.
fn newest_first(mut quotes: Vec<Quote>, passages: &[Passage<'_>], asked: &Question) -> Vec<Quote> {
    let best = quotes.first().map_or(0.0, |best| best.score);
    let equals = quotes.iter().take_while(|quote| quote.score >= best * EQUALLY_GOOD).count();
    let equal = quotes.get_mut(..equals).unwrap_or_default();
    let day = |quote: &Quote| passages.get(quote.passage).and_then(|p| day_of(slice(p, &quote.range), p));
    let days: Vec<Option<Date>> = equal.iter().map(day).collect();
    let differ = days.iter().flatten().any(|day| days.iter().flatten().any(|other| other != day));
    if asked.kind == Some(Kind::Day) || !differ {
        return quotes;
    }
    equal.iter_mut().zip(days).for_each(|(quote, day)| quote.date = day);
    equal.sort_by_key(|quote| Reverse(quote.date));
    quotes
}

/// The day from which on a statement holds, as it says itself, or that its document is of, or that stands in its title.
fn day_of(text: &str, passage: &Passage<'_>) -> Option<Date> {
    const FROM: [&str; 9] = ["since", "from", "effective", "of", "ab", "seit", "desde", "depuis", "on"];
    let since = extract::periods(text, None).into_iter().filter(|period| FROM.contains(&period.before.as_str()));
    let titled = || extract::periods(&passage.context, None).into_iter().map(|period| period.first).max();
    since.map(|period| period.first).max().or(passage.date).or_else(titled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::Models;

    const CENTRIFUGE: &str = "The laboratory was opened by the mayor in spring. It has two rooms and a store. The \
        centrifuge in it is serviced by Helena Brandt from Kranich Instruments.";

    /// The quotes from these passages: a title, a text and a day for each.
    fn quotes(question: &str, evidence: &[(&str, &str, Option<&str>)]) -> Vec<(String, Quote)> {
        let embedder = Models::open(std::path::Path::new("none"), 2, &std::env::temp_dir()).unwrap().default_model();
        let rank = |place: usize| 1.0 - place as f32 * 0.1;
        let passages = evidence.iter().enumerate().map(|(place, (context, text, date))| Passage {
            text,
            context: (*context).to_owned(),
            score: rank(place),
            date: date.map(|date| date.parse().unwrap()),
        });
        let passages: Vec<Passage<'_>> = passages.collect();
        let rarity = |terms: &[String]| Ok(vec![1.0; terms.len()]);
        let analyzer = Analyzer::new("en");
        let answer = || answer(question, &passages, &analyzer, rarity, embedder.as_ref(), 1000).unwrap().quotes;
        let (quotes, again) = (answer(), answer());
        assert_eq!(quotes, again, "the same question, another answer");
        quotes.into_iter().map(|quote| (passages[quote.passage].text[quote.range.clone()].to_owned(), quote)).collect()
    }

    #[test]
    fn the_best_sentence_comes_first_whatever_stands_before_it() {
        let other = "Solvents are collected in yellow canisters. Cleaning of the centrifuge room is on Fridays.";
        let found = quotes("Who services the centrifuge?", &[("Waste", other, None), ("Laboratory", CENTRIFUGE, None)]);
        assert!(found[0].0.contains("Helena Brandt"), "{found:?}");
    }

    #[test]
    fn what_follows_an_answer_stays_with_it() {
        let text = "The reimbursement of travel expenses takes ten working days. In December the reimbursement of travel \
            expenses takes twenty.";
        let found = quotes("How long does the reimbursement of travel expenses take?", &[("Travel", text, None)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, text);
    }

    #[test]
    fn a_question_about_something_else_is_not_answered() {
        let evidence = [("Laboratory", CENTRIFUGE, None)];
        assert!(!quotes("Who services the centrifuge?", &evidence).is_empty());
        for question in ["Who services the elevator?", "What is the capital of Mongolia?", "Who wrote Hamlet?"] {
            assert_eq!(quotes(question, &evidence), [], "{question}");
        }
        assert_eq!(quotes("Who services the centrifuge?", &[]), []);
    }

    #[test]
    fn a_row_is_quoted_alone_and_knows_its_header() {
        let table = "| Item | Price |\n| --- | --- |\n| Copper bolt | 3 euros |\n| Copper nut | 2 euros |\n\
            | Steel washer | 1 euro |";
        let found = quotes("What is the price of a copper nut?", &[("Prices of the shop", table, None)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].0, "| Copper nut | 2 euros |");
        assert_eq!(found[0].1.header, Some(0..16));
    }

    #[test]
    fn of_statements_that_answer_equally_well_the_newer_comes_first_and_tells_its_day() {
        let question = "How much is the daily allowance?";
        let old = ("Allowance", "The daily allowance is 28 euros.", Some("2021-01-01"));
        let new = ("Allowance", "The daily allowance is 32 euros.", Some("2024-01-01"));
        let found = quotes(question, &[old, new]);
        let days: Vec<_> = found.iter().map(|(_, quote)| quote.date.map(|day| day.to_string())).collect();
        assert_eq!(days, [Some("2024-01-01".to_owned()), Some("2021-01-01".to_owned())], "{found:?}");
        let stated = ("Allowance", "Since 1 May 2024 the daily allowance is 32 euros.", None);
        let before = ("Allowance", "Since 1 May 2021 the daily allowance is 28 euros.", None);
        let found = quotes(question, &[before, stated]);
        assert!(found[0].0.contains("32") && found[0].1.date.is_some(), "{found:?}");
        let found = quotes(question, &[new]);
        assert_eq!(found[0].1.date, None, "nothing else answers, so the day decides nothing");
    }
}
