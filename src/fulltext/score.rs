//! BM25 over two fields: how well the documents of one segment match a plan.
//!
//! A word's occurrences in title and text, and of all terms that stand for it, are added up before they saturate
//! (BM25F, Robertson, Zaragoza and Taylor 2004), so that a title of the words alone is no better than it should be. A
//! title that the query names in full adds a little of its own: that is how documents are asked for by their names.
//! All lists are walked side by side, a window of documents at a time, which takes the same memory in any index.

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED, Term};

use super::plan::Plan;
use super::schema::Fields;

/// How soon a word that is said again adds nothing, k₁; measured in `benches/README.md`, as is all here.
const K1: f32 = 0.6;
/// How much a long text is held against it, b.
const B: f32 = 0.4;
/// Occurrences in the text that one in the title is worth.
const TITLE: f32 = 3.0;
/// What a title that the query names in full adds, as a part of what all words together could reach.
pub const COVERAGE: f32 = 0.1;
/// Documents that are looked at together.
const WINDOW: u32 = 4096;

/// The documents with one term in one field.
struct List {
    postings: SegmentPostings,
    in_title: bool,
}

/// The lists of the terms that count as one word.
struct Word {
    weight: f32,
    lists: Vec<List>,
}

/// What a plan finds in one segment.
pub struct Scorer {
    words: Vec<Word>,
    lengths: FieldNormReader,
    titles: FieldNormReader,
    /// What a title adds that the query names in full.
    coverage: f32,
    /// What an occurrence is worth in a text of each length.
    worth: [f32; 256],
}

impl Scorer {
    /// `average` is the mean length of a text in the index, in words.
    pub fn new(plan: &Plan, segment: &SegmentReader, fields: Fields, average: f32) -> tantivy::Result<Self> {
        let mut words = Vec::with_capacity(plan.groups.len());
        for group in &plan.groups {
            let mut lists = Vec::with_capacity(2 * group.terms.len());
            for term in &group.terms {
                for field in fields.texts() {
                    let index = segment.inverted_index(field)?;
                    let term = Term::from_field_text(field, term);
                    let postings = index.read_postings(&term, IndexRecordOption::WithFreqs)?;
                    lists.extend(postings.map(|postings| List { postings, in_title: field == fields.title }));
                }
            }
            words.push(Word { weight: group.weight, lists });
        }
        let mut worth = [1.0; 256];
        for (id, worth) in (0..=u8::MAX).zip(&mut worth) {
            let length = FieldNormReader::id_to_fieldnorm(id) as f32;
            *worth = 1.0 / (1.0 - B + B * length / average.max(1.0));
        }
        let lengths = segment.get_fieldnorms_reader(fields.body)?;
        let titles = segment.get_fieldnorms_reader(fields.title)?;
        let coverage = COVERAGE * plan.groups.iter().map(|group| group.weight).sum::<f32>();
        Ok(Scorer { words, lengths, titles, coverage, worth })
    }

    /// Calls `found` with each document that has a word of the plan, and its score.
    pub fn all(mut self, mut found: impl FnMut(DocId, f32)) {
        let mut heard = vec![Heard::default(); WINDOW as usize];
        let mut scores = vec![0.0f32; WINDOW as usize];
        let (mut touched, mut scored) = (Vec::new(), Vec::new());
        loop {
            let lists = self.words.iter().flat_map(|word| &word.lists);
            let next = lists.map(|list| list.postings.doc()).min().unwrap_or(TERMINATED);
            if next == TERMINATED {
                return;
            }
            let start = next - next % WINDOW;
            let end = start.saturating_add(WINDOW).min(TERMINATED);
            for word in &mut self.words {
                for list in &mut word.lists {
                    let mut document = list.postings.doc();
                    while document < end {
                        if let Some(heard) = heard.get_mut((document - start) as usize) {
                            if heard.occurrences == 0.0 {
                                touched.push(document - start);
                            }
                            heard.add(list, document, &self.lengths, &self.worth);
                        }
                        document = list.postings.advance();
                    }
                }
                for place in touched.drain(..) {
                    let at = place as usize;
                    if let (Some(heard), Some(score)) = (heard.get_mut(at), scores.get_mut(at)) {
                        if *score == 0.0 {
                            scored.push(place);
                        }
                        *score += std::mem::take(heard).score(word.weight, self.coverage, start + place, &self.titles);
                    }
                }
            }
            for place in scored.drain(..) {
                if let Some(score) = scores.get_mut(place as usize) {
                    found(start + place, std::mem::take(score));
                }
            }
        }
    }

    /// The scores of `documents`, which ascend; 0 where no word is in one.
    pub fn of(mut self, documents: &[DocId]) -> Vec<f32> {
        let mut scores = Vec::with_capacity(documents.len());
        for &document in documents {
            let mut score = 0.0;
            for word in &mut self.words {
                let mut heard = Heard::default();
                for list in &mut word.lists {
                    if list.postings.doc() < document {
                        list.postings.seek(document);
                    }
                    if list.postings.doc() == document {
                        heard.add(list, document, &self.lengths, &self.worth);
                    }
                }
                if heard.occurrences > 0.0 {
                    score += heard.score(word.weight, self.coverage, document, &self.titles);
                }
            }
            scores.push(score);
        }
        scores
    }
}

/// What one document has of one word.
#[derive(Clone, Copy, Default)]
struct Heard {
    /// Its occurrences, each as much as it is worth.
    occurrences: f32,
    in_title: bool,
}

impl Heard {
    /// Adds what `list` has at `document`, where it stands.
    fn add(&mut self, list: &List, document: DocId, lengths: &FieldNormReader, worth: &[f32; 256]) {
        let count = list.postings.term_freq() as f32;
        self.in_title |= list.in_title;
        self.occurrences += match list.in_title {
            true => TITLE * count,
            false => count * worth.get(usize::from(lengths.fieldnorm_id(document))).copied().unwrap_or(1.0),
        };
    }

    fn score(self, weight: f32, coverage: f32, document: DocId, titles: &FieldNormReader) -> f32 {
        let share = if self.in_title { 1.0 / titles.fieldnorm(document).max(1) as f32 } else { 0.0 };
        weight * self.occurrences / (self.occurrences + K1) + coverage * share
    }
}
