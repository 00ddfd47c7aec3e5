//! Does the evidence bear an answer out? Each sentence against the passages that it cites.
//!
//! A sentence is borne out where its passages hold its numbers, its names and most of its telling words, weighed by how rare
//! they are in the workspace, or mean the same (cosine similarity of its vector to that of a sentence there). It is a check
//! against invention, not a proof: a sentence that turns its passage into its contrary by one small word is not found out.
//! `benches/README.md` has the measurement behind the numbers.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::evidence::Evidence;
use super::gate::{markers, with_markers};
use super::prompt::NOT_FOUND;
use crate::embed::{Embedder, Purpose};
use crate::error::Result;
use crate::text::{self, Analyzer};

/// The part of a sentence's words that its passages hold at least, without regard to its meaning.
const WORDS: f32 = 0.7;
/// The same where its meaning is near, and how near that is.
const WORDS_OF_NEAR: f32 = 0.5;
const NEAR: f32 = 0.6;
/// The similarity that is enough without any word.
const SAME: f32 = 0.85;
/// The part of capitalised words beyond which they are no names.
const NOUNS: f32 = 0.28;
/// Sentences of passages that are compared by their meaning at most.
const COMPARED: usize = 96;
/// Telling words from which on a sentence claims something.
const CLAIMS: usize = 2;

/// What of an answer stands on its evidence.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdict {
    /// Sentences of the answer, as they stand in it, that their passages do not bear out.
    pub unsupported: Vec<String>,
    /// Sentences that they do.
    pub supported: usize,
    /// By marker, the first that of `[1]`: the bytes of the passage's text that bear it out best; `None` where it stands for
    /// no sentence.
    pub quotes: Vec<Option<Range<usize>>>,
}

/// A sentence of an answer and the markers that stand for it.
#[derive(Debug, Clone, PartialEq)]
struct Claim {
    range: Range<usize>,
    markers: Vec<usize>,
}

/// A sentence of a passage.
struct Sentence {
    /// The number of its passage.
    number: usize,
    range: Range<usize>,
    similarity: f32,
}

/// Judges `message`, whose marker n stands for the passage `cited[n - 1]` of `evidence`. `rarity` gives the weight of each
/// of a list of terms.
pub fn judge(
    message: &str,
    cited: &[usize],
    evidence: &Evidence,
    analyzer: &Analyzer,
    rarity: impl Fn(&[String]) -> Result<Vec<f32>>,
    embedder: &dyn Embedder,
) -> Result<Verdict> {
    let claims = claims(message, analyzer);
    let mut verdict = Verdict { quotes: vec![None; cited.len()], ..Verdict::default() };
    let mut sentences = sentences(cited, evidence);
    let passage = |sentence: &Sentence| {
        let hit = evidence.get(sentence.number);
        hit.and_then(|hit| hit.located.chunk.content.get(sentence.range.clone())).unwrap_or_default()
    };
    let texts: Vec<&str> = sentences.iter().map(passage).collect();
    let vectors = embedder.embed(&texts, Purpose::Glance)?;
    let texts: Vec<HashSet<String>> = texts.iter().map(|text| terms(text, analyzer)).collect();
    for claim in &claims {
        let text = message.get(claim.range.clone()).unwrap_or_default();
        let bare = without_markers(text);
        let own: HashSet<String> = analyzer.content_words(&bare).into_iter().map(|word| word.term).collect();
        let own: Vec<String> = own.into_iter().collect();
        let weights = rarity(&own)?;
        let weights: HashMap<&str, f32> = own.iter().map(String::as_str).zip(weights).collect();
        let numbers: Vec<usize> =
            claim.markers.iter().filter_map(|marker| cited.get(marker.checked_sub(1)?)).copied().collect();
        if !numbers.is_empty() {
            let asked = embedder.embed(&[&bare], Purpose::Glance)?.pop().unwrap_or_default();
            for (sentence, vector) in sentences.iter_mut().zip(&vectors) {
                sentence.similarity = vector.iter().zip(&asked).map(|(a, b)| a * b).sum::<f32>().max(0.0);
            }
        }
        let is_cited = |sentence: &Sentence| numbers.contains(&sentence.number);
        let nearest = sentences.iter().filter(|s| is_cited(s)).map(|s| s.similarity).fold(0.0, f32::max);
        let there = there(&numbers, evidence, analyzer);
        let held = shared(&weights, &there);
        let knows = |number: &String| numbers.iter().any(|passage| holds(evidence, *passage, number));
        let names_all =
            names_nouns(&numbers, evidence) || names(&bare, analyzer).iter().all(|name| there.contains(name));
        let known = numbers_of(&bare).iter().all(knows) && names_all;
        let is_near = held >= WORDS_OF_NEAR && nearest >= NEAR;
        match !numbers.is_empty() && known && (held >= WORDS || is_near || nearest >= SAME) {
            true => verdict.supported += 1,
            false => verdict.unsupported.push(text.to_owned()),
        }
        // The best sentence of each passage that the claim cites is what its marker quotes.
        for marker in &claim.markers {
            let Some(place) = marker.checked_sub(1) else { continue };
            let (Some(number), Some(quote)) = (cited.get(place), verdict.quotes.get_mut(place)) else { continue };
            let score = |at: usize, sentence: &Sentence| {
                let words = texts.get(at).map_or(0.0, |own| shared(&weights, own));
                words + sentence.similarity
            };
            let of_it = sentences.iter().enumerate().filter(|(_, sentence)| sentence.number == *number);
            let best = of_it.max_by(|a, b| score(a.0, a.1).total_cmp(&score(b.0, b.1)).then(b.0.cmp(&a.0)));
            if let Some((_, best)) = best {
                let known = quote.take().unwrap_or_else(|| best.range.clone());
                *quote = Some(known.start.min(best.range.start)..known.end.max(best.range.end));
            }
        }
    }
    Ok(verdict)
}

/// The sentences of the cited passages, as many as are compared.
fn sentences(cited: &[usize], evidence: &Evidence) -> Vec<Sentence> {
    let mut found = Vec::new();
    for number in cited {
        let Some(hit) = evidence.get(*number) else { continue };
        let content = &hit.located.chunk.content;
        let mut ranges = text::sentences(content);
        // A heading says what follows is about, not what it says.
        ranges.retain(|range| !content.get(range.clone()).is_some_and(|text| text.starts_with('#')));
        if ranges.is_empty() {
            // A passage without a sentence is quoted as a whole.
            ranges.push(0..content.len());
        }
        found.extend(ranges.into_iter().map(|range| Sentence { number: *number, range, similarity: 0.0 }));
    }
    found.truncate(COMPARED);
    found
}

/// The terms of the passages, their titles and headings included.
fn there(numbers: &[usize], evidence: &Evidence, analyzer: &Analyzer) -> HashSet<String> {
    let mut there: HashSet<String> = HashSet::new();
    for hit in numbers.iter().filter_map(|number| evidence.get(*number)) {
        there.extend(terms(&hit.located.chunk.content, analyzer));
        there.extend(terms(&hit.located.title, analyzer));
        hit.located.chunk.heading_path.iter().for_each(|heading| there.extend(terms(heading, analyzer)));
    }
    there
}

/// The terms of what a sentence names: its capitalised words but for the first.
fn names(text: &str, analyzer: &Analyzer) -> Vec<String> {
    let words = analyzer.content_words(text).into_iter();
    let is_name =
        |start: usize| start > 0 && text.get(start..).is_some_and(|rest| rest.starts_with(char::is_uppercase));
    words.filter(|word| is_name(word.start)).map(|word| word.term).collect()
}

/// Whether so many words of the passages are capitalised that it says nothing of names, as in German.
fn names_nouns(numbers: &[usize], evidence: &Evidence) -> bool {
    let contents = numbers.iter().filter_map(|number| evidence.get(*number)).map(|hit| &hit.located.chunk.content);
    let words =
        contents.flat_map(|content| content.split_whitespace()).filter(|word| word.starts_with(char::is_alphabetic));
    let (mut all, mut capitalised) = (0, 0);
    for word in words {
        all += 1;
        capitalised += usize::from(word.starts_with(char::is_uppercase));
    }
    capitalised as f32 > all as f32 * NOUNS
}

fn shared(weights: &HashMap<&str, f32>, there: &HashSet<String>) -> f32 {
    let total: f32 = weights.values().sum();
    let held: f32 = weights.iter().filter(|(term, _)| there.contains(**term)).map(|(_, weight)| weight).sum();
    if total > 0.0 { held / total } else { 0.0 }
}

fn terms(text: &str, analyzer: &Analyzer) -> HashSet<String> {
    analyzer.words(text).into_iter().map(|word| word.term).collect()
}

/// The numbers in a text, without the signs that group their digits.
fn numbers_of(text: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | ',' | '\'' | '\u{a0}' | '\u{202f}');
    let runs = text.split(|c: char| !is_part(c)).map(digits);
    runs.filter(|digits| !digits.is_empty()).collect()
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn holds(evidence: &Evidence, number: usize, digits: &str) -> bool {
    let Some(hit) = evidence.get(number) else { return false };
    let chunk = &hit.located.chunk;
    let above = std::iter::once(&hit.located.title).chain(&chunk.heading_path);
    std::iter::once(&chunk.content).chain(above).any(|text| numbers_of(text).iter().any(|known| known == digits))
}

fn without_markers(text: &str) -> String {
    with_markers(text, |_| Some(String::new())).trim().trim_start_matches(['-', '*', '#', '>', ' ']).to_owned()
}

/// The sentences of an answer that claim something, with their markers: their own, else those that come next in the
/// paragraph, else those that came last in it. What stands above a paragraph belongs to it.
fn claims(message: &str, analyzer: &Analyzer) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    let mut paragraph: Vec<Claim> = Vec::new();
    let mut end = 0;
    for range in text::sentences(message) {
        let between = message.get(end..range.start).unwrap_or_default();
        // What announces has its markers in what comes.
        let last = paragraph.last().filter(|last| last.markers.is_empty());
        let is_announced = last.is_some_and(|last| message.get(last.range.clone()).is_some_and(announces));
        if between.contains('\n') && !is_announced {
            close(&mut paragraph, &mut claims);
        }
        end = range.end;
        let text = message.get(range.clone()).unwrap_or_default();
        let found = markers(text);
        // Markers after a full stop belong to the sentence before it.
        let leading = leading_markers(text, &found);
        if let (Some(last), 1..) = (paragraph.last_mut(), leading.len()) {
            last.markers.extend(&leading);
            let cut = found.get(leading.len() - 1).map_or(0, |(range, _)| range.end);
            last.range.end = range.start + cut;
            let rest = range.start + cut..range.end;
            let own = found.iter().skip(leading.len()).map(|(_, marker)| *marker).collect();
            push(&mut paragraph, message, rest, own, analyzer);
        } else {
            push(&mut paragraph, message, range, found.into_iter().map(|(_, marker)| marker).collect(), analyzer);
        }
    }
    close(&mut paragraph, &mut claims);
    claims
}

fn leading_markers(text: &str, found: &[(Range<usize>, usize)]) -> Vec<usize> {
    let mut end = 0;
    let leading = found.iter().take_while(|(range, _)| {
        let is_next = text.get(end..range.start).is_some_and(|gap| gap.trim().is_empty());
        end = range.end;
        is_next
    });
    leading.map(|(_, marker)| *marker).collect()
}

fn push(paragraph: &mut Vec<Claim>, message: &str, range: Range<usize>, markers: Vec<usize>, analyzer: &Analyzer) {
    let text = message.get(range.clone()).unwrap_or_default();
    let start = range.start + (text.len() - text.trim_start().len());
    let range = start..range.start + text.trim_end().len();
    let text = message.get(range.clone()).unwrap_or_default();
    let bare = without_markers(text);
    let is_none = bare.ends_with(['?', '？']) || bare == NOT_FOUND;
    let claims = || match announces(text) {
        true => tells(&bare, analyzer),
        false => analyzer.content_words(&bare).len() >= CLAIMS,
    };
    if !markers.is_empty() || (!is_none && claims()) {
        paragraph.push(Claim { range, markers });
    }
}

/// Whether a sentence stands above what comes: as a heading, or with a colon at its end.
fn announces(text: &str) -> bool {
    text.starts_with('#') || without_markers(text).ends_with([':', '：'])
}

/// Whether what announces claims something, too: it holds numbers or names, beside words that are none. Where every word has
/// a capital letter, it says nothing of names.
fn tells(bare: &str, analyzer: &Analyzer) -> bool {
    let unnumbered = bare.trim_start_matches(|c: char| c.is_ascii_digit());
    let bare = unnumbered.strip_prefix(['.', ')']).map_or(bare, str::trim_start);
    let words: Vec<_> = analyzer.content_words(bare).into_iter().map(|word| word.start).collect();
    let begins = |start: &usize, is: fn(char) -> bool| bare.get(*start..).is_some_and(|rest| rest.starts_with(is));
    let wordy = words.iter().filter(|start| begins(start, char::is_alphabetic)).count();
    let has_names = || words.iter().any(|start| begins(start, char::is_lowercase)) && !names(bare, analyzer).is_empty();
    wordy >= CLAIMS && (!numbers_of(bare).is_empty() || has_names())
}

fn close(paragraph: &mut Vec<Claim>, claims: &mut Vec<Claim>) {
    let mut next: Vec<usize> = Vec::new();
    for claim in paragraph.iter_mut().rev() {
        if claim.markers.is_empty() {
            claim.markers.clone_from(&next);
        } else {
            next.clone_from(&claim.markers);
        }
    }
    let mut last: Vec<usize> = Vec::new();
    for mut claim in paragraph.drain(..) {
        if claim.markers.is_empty() {
            claim.markers.clone_from(&last);
        } else {
            last.clone_from(&claim.markers);
        }
        claims.push(claim);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &str) -> Vec<(&str, Vec<usize>)> {
        let claims = claims(message, &Analyzer::new("en"));
        claims.into_iter().map(|claim| (&message[claim.range], claim.markers)).collect()
    }

    #[test]
    fn a_sentence_has_its_own_markers_or_those_of_its_paragraph() {
        let message = "The fridge stays cold. It beeps when warm. [1] Call the lead [2].\n\nNobody knows the colour.\n- Boxes move to the cellar [3]";
        assert_eq!(
            read(message),
            [
                ("The fridge stays cold.", vec![1]),
                ("It beeps when warm. [1]", vec![1]),
                ("Call the lead [2].", vec![2]),
                ("Nobody knows the colour.", vec![]),
                ("- Boxes move to the cellar [3]", vec![3]),
            ]
        );
    }

    #[test]
    fn questions_headings_and_refusals_claim_nothing() {
        let message = format!(
            "# The vaccine fridge\n\nThese steps apply here:\n\nWould you like to know more about it?\n\n{NOT_FOUND}"
        );
        assert_eq!(read(&message), []);
    }

    #[test]
    fn what_announces_is_judged_where_it_holds_numbers_or_names() {
        let message = "# Helena Brandt repaired the fridge in 2021\n\nThe fridge is cold again. [1]\n\n\
                       The doors cost 500 euros:\n- the left one [2]\n- the right one [3]\n\n\
                       ## Opening Hours of the Kitchen\n\n2. Clean the filter:\n\nStep 2:";
        assert_eq!(
            read(message),
            [
                ("# Helena Brandt repaired the fridge in 2021", vec![1]),
                ("The fridge is cold again. [1]", vec![1]),
                ("The doors cost 500 euros:", vec![2]),
                ("- the left one [2]", vec![2]),
                ("- the right one [3]", vec![3]),
            ]
        );
        assert_eq!(read("The vault of Oskar Lund holds:"), [("The vault of Oskar Lund holds:", vec![])]);
    }

    #[test]
    fn numbers_are_told_by_their_digits() {
        assert_eq!(numbers_of("1,250.50 of 3'000 on 7 May, x2"), ["125050", "3000", "7", "2"]);
    }
}
