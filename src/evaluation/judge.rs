//! Whether a hit is what a question expects. Pure.
//!
//! A document is found by any of its chunks. A passage is found by a chunk that shares a long enough run of
//! consecutive words with it: half of the passage's words, but never fewer than [`FEWEST`] (the whole passage where it
//! has fewer) and never more than [`MOST`]. Words are compared as search compares them, so case, accents, white
//! space and punctuation do not matter.
//!
//! What search folds into a hit is found with it: its document stands at the hit's place, and passages are looked for
//! in the hit's text, which says nearly the same.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::metrics::Judged;
use crate::search::Hit;
use crate::text::Analyzer;
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

/// The runs of a passage, as hashes: there are as many as words, and each has up to [`MOST`] of them.
struct Runs {
    length: usize,
    all: HashSet<u64>,
}

impl Runs {
    fn of(passage: &str, analyzer: &Analyzer) -> Self {
        let mut text = Text::new(passage, analyzer);
        let length = text.words.len().div_ceil(2).clamp(FEWEST, MOST).min(text.words.len());
        let all = text.runs(length).iter().copied().collect();
        Runs { length, all }
    }

    fn are_met_by(&self, text: &mut Text) -> bool {
        text.runs(self.length).iter().any(|run| self.all.contains(run))
    }
}

/// The hashes of a text's words, and of its runs of each length that was asked for.
struct Text {
    words: Vec<u64>,
    runs: HashMap<usize, Vec<u64>>,
}

impl Text {
    fn new(text: &str, analyzer: &Analyzer) -> Self {
        let words = analyzer.words(text).iter().map(|word| hash(word.term.as_str())).collect();
        Text { words, runs: HashMap::new() }
    }

    /// A text without a word has no run, so it is found nowhere.
    fn runs(&mut self, length: usize) -> &[u64] {
        let words = &self.words;
        self.runs.entry(length).or_insert_with(|| match length {
            0 => Vec::new(),
            _ => words.windows(length).map(hash).collect(),
        })
    }
}

fn hash(thing: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    thing.hash(&mut hasher);
    hasher.finish()
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
    pub fn places(&self, ranking: &[Hit]) -> Vec<Judged> {
        let mut judged: Vec<Judged> = self
            .wanted
            .iter()
            .map(|wanted| Judged { grade: f64::from(wanted.expectation.grade), place: None })
            .collect();
        let (mut place, mut seen) = (0, HashSet::new());
        for hit in ranking {
            let (source, chunk) = (hit.located.source.as_str(), &hit.located.chunk);
            let folded = hit.duplicates.iter().map(|copy| (copy.document_source.as_str(), copy.document_id));
            let documents: Vec<_> = std::iter::once((source, chunk.document_id)).chain(folded).collect();
            let shows_more = documents.iter().fold(false, |more, (_, document)| seen.insert(*document) || more);
            if self.is_of_documents() && !shows_more {
                continue;
            }
            place += 1;
            let mut text = None;
            for (wanted, judged) in self.wanted.iter().zip(&mut judged).filter(|(_, judged)| judged.place.is_none()) {
                let of_document = documents.iter().any(|(source, document)| {
                    wanted.expectation.source.as_ref().is_none_or(|wanted| wanted == source)
                        && wanted.expectation.document_id.is_none_or(|wanted| wanted == *document)
                });
                let is_met = of_document
                    && wanted.runs.as_ref().is_none_or(|runs| {
                        runs.are_met_by(text.get_or_insert_with(|| Text::new(&chunk.content, self.analyzer)))
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
    use crate::search::Duplicate;
    use crate::workspace::chunks::{Chunk, Located};
    use proptest::prelude::*;
    use uuid::Uuid;

    const TEXT: &str = "The reimbursement of travel expenses takes **ten working days**, counted from the receipt.";

    fn hit(document: u128, content: &str) -> Hit {
        let chunk = Chunk {
            number: 1,
            id: Uuid::nil(),
            document_id: Uuid::from_u128(document),
            index: 0,
            content: content.to_owned(),
            start: 0,
            end: content.len(),
            heading_path: Vec::new(),
            places: Vec::new(),
            token_count: 1,
        };
        let source = format!("{document}.md");
        let located = Located { chunk, title: String::new(), source, metadata: Default::default() };
        Hit::by_tool(located, 1.0)
    }

    /// A hit that copies in `documents` were folded into.
    fn folding(hit: Hit, documents: &[u128]) -> Hit {
        let duplicate = |document: &u128| Duplicate {
            chunk_id: Uuid::nil(),
            document_id: Uuid::from_u128(*document),
            document_title: String::new(),
            document_source: format!("{document}.md"),
            start: 0,
            end: 1,
        };
        Hit { duplicates: documents.iter().map(duplicate).collect(), ..hit }
    }

    fn expectation(source: Option<&str>, passage: Option<&str>) -> Expectation {
        Expectation {
            source: source.map(str::to_owned),
            document_id: None,
            passage: passage.map(str::to_owned),
            grade: 1,
        }
    }

    fn places(expected: &[Expectation], hits: &[Hit]) -> Vec<Option<usize>> {
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
    fn a_folded_copy_is_found_where_it_is_listed() {
        let hits = [folding(hit(1, "a"), &[2, 3]), hit(2, "b"), folding(hit(1, "c"), &[4]), hit(5, "d")];
        let expected = ["1.md", "2.md", "3.md", "4.md", "5.md"].map(|source| expectation(Some(source), None));
        assert_eq!(places(&expected, &hits), [Some(1), Some(1), Some(1), Some(2), Some(3)]);
        let passage = Some("travel expenses takes ten working days");
        let expected = [expectation(Some("2.md"), passage), expectation(Some("3.md"), passage)];
        assert_eq!(places(&expected, &[hit(3, "e"), folding(hit(1, TEXT), &[2])]), [Some(2), None]);
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
