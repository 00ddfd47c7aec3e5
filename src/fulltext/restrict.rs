//! Which documents of a segment a query lets through at all.

use roaring::RoaringBitmap;
use tantivy::query::{EnableScoring, PhraseQuery, Query as _};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, SegmentReader, TERMINATED, Term};

use super::dictionary::after;
use super::plan::{Plan, Test};
use super::schema::Fields;

/// Documents of one segment, by their place in it.
pub struct Restriction {
    /// Those that have all that every hit must have; `None` where nothing is required.
    pub required: Option<RoaringBitmap>,
    pub excluded: RoaringBitmap,
}

impl Restriction {
    pub fn new(plan: &Plan, segment: &SegmentReader, fields: Fields) -> tantivy::Result<Self> {
        let mut required: Option<RoaringBitmap> = None;
        for test in &plan.required {
            let documents = passing(test, segment, fields)?;
            required = Some(match required {
                Some(known) => known & documents,
                None => documents,
            });
        }
        let mut excluded = RoaringBitmap::new();
        for test in &plan.excluded {
            excluded |= passing(test, segment, fields)?;
        }
        Ok(Restriction { required, excluded })
    }

    /// Whether it lets a document through.
    pub fn permits(&self, document: u32) -> bool {
        !self.excluded.contains(document) && self.required.as_ref().is_none_or(|required| required.contains(document))
    }
}

fn passing(test: &Test, segment: &SegmentReader, fields: Fields) -> tantivy::Result<RoaringBitmap> {
    let mut passing = RoaringBitmap::new();
    for field in fields.texts() {
        let index = segment.inverted_index(field)?;
        match test {
            Test::Phrase(terms) if terms.len() > 1 => {
                let terms = terms.iter().map(|term| Term::from_field_text(field, term)).collect();
                let scoring = EnableScoring::disabled_from_schema(segment.schema());
                let mut documents = PhraseQuery::new(terms).weight(scoring)?.scorer(segment, 1.0)?;
                collect(documents.as_mut(), &mut passing);
            }
            Test::Phrase(terms) => {
                for term in terms {
                    let term = Term::from_field_text(field, term);
                    if let Some(mut documents) = index.read_postings(&term, IndexRecordOption::Basic)? {
                        collect(&mut documents, &mut passing);
                    }
                }
            }
            Test::Prefix(prefix) => {
                let mut terms = index.terms().range().ge(prefix).lt(after(prefix)).into_stream()?;
                while let Some((_, info)) = terms.next() {
                    let mut documents = index.read_postings_from_terminfo(info, IndexRecordOption::Basic)?;
                    collect(&mut documents, &mut passing);
                }
            }
        }
    }
    Ok(passing)
}

fn collect(documents: &mut (impl DocSet + ?Sized), into: &mut RoaringBitmap) {
    let mut document = documents.doc();
    while document != TERMINATED {
        into.insert(document);
        document = documents.advance();
    }
}
