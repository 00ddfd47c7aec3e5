//! Whether a hit is what a question expects. Pure.
//!
//! A document is found by any of its chunks. A passage is found by a chunk that shares a long enough run of
//! consecutive words with it: half of the passage's words, but never fewer than [`FEWEST`] (the whole passage where it
//! has fewer) and never more than [`MOST`]. Words are compared as search compares them, so case, accents, white
//! space and punctuation do not matter.

use std::collections::HashSet;

use super::metrics::Judged;
use crate::text::Analyzer;
use crate::workspace::chunks::Located;
use crate::workspace::evaluations::Expectation;

/// A shorter run is shared by accident.
const FEWEST: usize = 5;
/// A run that no accident shares; a passage may be longer than any chunk.
const MOST: usize = 50;

/// What a question expects, ready to be compared with hits.
pub struct Expected<'a> {
    wanted: Vec<Wanted<'a>>,
    analyzer: &'a Analyzer,
}

struct Wanted<'a> {
    expectation: &'a Expectation,
    /// The runs of words of which a chunk must hold one; `None` where any chunk of the document will do.
    runs: Option<Runs>,
}

struct Runs {
    length: usize,
    all: HashSet<Vec<String>>,
}

impl Runs {
    fn of(passage: &str, analyzer: &Analyzer) -> Self {
        let words = terms(passage, analyzer);
        let length = words.len().div_ceil(2).clamp(FEWEST, MOST).min(words.len());
        // A passage without a word has no run, and no chunk holds it.
        let all = if length == 0 { HashSet::new() } else { words.windows(length).map(<[String]>::to_vec).collect() };
        Runs { length, all }
    }

    fn are_met_by(&self, words: &[String]) -> bool {
        self.length > 0 && words.windows(self.length).any(|run| self.all.contains(run))
    }
}

fn terms(text: &str, analyzer: &Analyzer) -> Vec<String> {
    analyzer.words(text).into_iter().map(|word| word.term).collect()
}

/// Whether a passage has anything that could be found.
pub fn has_words(passage: &str) -> bool {
    passage.chars().any(char::is_alphanumeric)
}

impl<'a> Expected<'a> {
    pub fn new(expected: &'a [Expectation], analyzer: &'a Analyzer) -> Self {
        let wanted = expected.iter().map(|expectation| Wanted {
            expectation,
            runs: expectation.passage.as_deref().map(|passage| Runs::of(passage, analyzer)),
        });
        Expected { wanted: wanted.collect(), analyzer }
    }

    /// Whether documents are all that is expected: then a document takes one place, that of its best chunk.
    pub fn is_of_documents(&self) -> bool {
        self.wanted.iter().all(|wanted| wanted.runs.is_none())
    }

    /// Where each expectation stands in `ranking`.
    pub fn places<'h>(&self, ranking: impl IntoIterator<Item = &'h Located>) -> Vec<Judged> {
        let mut judged: Vec<Judged> = self
            .wanted
            .iter()
            .map(|wanted| Judged { grade: f64::from(wanted.expectation.grade), place: None })
            .collect();
        let (mut place, mut seen) = (0, HashSet::new());
        for hit in ranking {
            if self.is_of_documents() && !seen.insert(hit.chunk.document_id) {
                continue;
            }
            place += 1;
            let mut words = None;
            for (wanted, judged) in self.wanted.iter().zip(&mut judged).filter(|(_, judged)| judged.place.is_none()) {
                let of_document = wanted.expectation.source.as_ref().is_none_or(|source| *source == hit.source)
                    && wanted.expectation.document_id.is_none_or(|document| document == hit.chunk.document_id);
                let is_met = of_document
                    && wanted.runs.as_ref().is_none_or(|runs| {
                        runs.are_met_by(words.get_or_insert_with(|| terms(&hit.chunk.content, self.analyzer)))
                    });
                if is_met {
                    judged.place = Some(place);
                }
            }
        }
        judged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::chunks::Chunk;
    use proptest::prelude::*;
    use uuid::Uuid;

    const TEXT: &str = "The reimbursement of travel expenses takes **ten working days**, counted from the receipt.";

    fn hit(document: u128, content: &str) -> Located {
        let chunk = Chunk {
            number: 1,
            id: Uuid::nil(),
            document_id: Uuid::from_u128(document),
            index: 0,
            content: content.to_owned(),
            start: 0,
            end: content.len(),
            heading_path: Vec::new(),
            page: None,
            token_count: 1,
        };
        Located { chunk, title: String::new(), source: format!("{document}.md"), metadata: Default::default() }
    }

    fn expectation(source: Option<&str>, passage: Option<&str>) -> Expectation {
        Expectation {
            source: source.map(str::to_owned),
            document_id: None,
            passage: passage.map(str::to_owned),
            grade: 1,
        }
    }

    fn places(expected: &[Expectation], hits: &[Located]) -> Vec<Option<usize>> {
        let analyzer = Analyzer::new("en");
        Expected::new(expected, &analyzer).places(hits).into_iter().map(|judged| judged.place).collect()
    }

    fn finds(passage: &str, chunk: &str) -> bool {
        places(&[expectation(None, Some(passage))], &[hit(1, chunk)]) == [Some(1)]
    }

    #[test]
    fn a_document_takes_the_place_of_its_best_chunk() {
        let hits = [hit(1, "a"), hit(1, "b"), hit(2, "c"), hit(3, "d")];
        let expected = ["2.md", "3.md", "9.md"].map(|source| expectation(Some(source), None));
        assert_eq!(places(&expected, &hits), [Some(2), Some(3), None]);
    }

    #[test]
    fn a_passage_is_found_by_chunks_which_take_a_place_each() {
        let hits = [hit(1, "Something else."), hit(1, TEXT), hit(2, TEXT)];
        let passage = "travel expenses takes ten working days";
        let expected = [
            expectation(None, Some(passage)),
            expectation(Some("2.md"), Some(passage)),
            expectation(Some("1.md"), None),
        ];
        assert_eq!(places(&expected, &hits), [Some(2), Some(3), Some(1)]);
    }

    #[test]
    fn a_passage_need_not_stand_there_to_the_letter() {
        assert!(finds("THE REIMBURSEMENT\n of  travel-expenses takes ten working days", TEXT));
        assert!(finds(&format!("An opening that another chunk holds. {TEXT}"), TEXT));
        assert!(finds(
            "受付で名札を受け取ってください",
            "面会時間は午後二時からです。受付で名札を受け取ってください。"
        ));
        assert!(finds("ten days", "Within ten days."));
    }

    #[test]
    fn what_shares_but_a_few_words_is_not_the_passage() {
        assert!(!finds("ten days", TEXT), "a short passage must be there whole");
        assert!(!finds("The reimbursement of travel expenses is refused by the board of directors", TEXT));
        assert!(!finds("days working ten takes expenses travel of reimbursement the", TEXT));
        assert!(!finds("", TEXT) && !finds("…", TEXT));
    }

    #[test]
    fn a_passage_longer_than_a_chunk_is_found_by_its_chunks() {
        let words: Vec<String> = (0..400).map(|number| format!("word{number}")).collect();
        assert!(finds(&words.join(" "), &words[100..160].join(" ")));
        assert!(!finds(&words.join(" "), &words[100..120].join(" ")));
    }

    proptest! {
        #[test]
        fn text_finds_itself_within_any_text(before in "\\PC{0,40}", text in "[a-z]{1,8}( [a-z]{1,8}){0,30}") {
            let chunk = format!("{}\n{}", before, text);
            prop_assert!(finds(&text, &chunk));
        }
    }
}
