//! Which documents of a segment a query lets through at all.

use roaring::RoaringBitmap;
use tantivy::query::{EnableScoring, PhraseQuery, Query as _};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, SegmentReader, TERMINATED, Term};

use super::dictionary::after;
use super::plan::{Plan, Test};
use super::schema::Fields;

/// What a query lets through of one state of an index.
pub struct Restrictions {
    /// One for each segment, in the order of the searcher's.
    segments: Vec<Restriction>,
    /// What every hit must have and no chunk has, as it was typed.
    pub absent: Vec<String>,
}

/// Documents of one segment, by their place in it.
pub struct Restriction {
    /// Those that have all that every hit must have; `None` where nothing is required.
    pub required: Option<RoaringBitmap>,
    pub excluded: RoaringBitmap,
}

impl Restrictions {
    pub fn new(plan: &Plan, segments: &[SegmentReader], fields: Fields) -> tantivy::Result<Self> {
        let mut is_present = vec![false; plan.required.len()];
        let mut restrictions = Vec::with_capacity(segments.len());
        for segment in segments {
            let mut required: Option<RoaringBitmap> = None;
            for (condition, is_present) in plan.required.iter().zip(&mut is_present) {
                let documents = passing(&condition.test, segment, fields)?;
                *is_present |= documents.iter().any(|document| !segment.is_deleted(document));
                required = Some(match required {
                    Some(known) => known & documents,
                    None => documents,
                });
            }
            let mut excluded = RoaringBitmap::new();
            for condition in &plan.excluded {
                excluded |= passing(&condition.test, segment, fields)?;
            }
            restrictions.push(Restriction { required, excluded });
        }
        let absent = plan.required.iter().zip(is_present).filter(|(_, is_present)| !is_present);
        let absent = absent.map(|(condition, _)| condition.typed.clone()).collect();
        Ok(Restrictions { segments: restrictions, absent })
    }

    /// Those of the segment that is the `ordinal`th of the searcher.
    pub fn of(&self, ordinal: usize) -> Option<&Restriction> {
        self.segments.get(ordinal)
    }
}

impl Restriction {
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
