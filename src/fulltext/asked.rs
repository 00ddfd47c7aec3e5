//! A query asked of one state of the index: its best chunks, the scores of given ones, and what it lets through.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use roaring::RoaringBitmap;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocSet, Searcher, SegmentReader, TERMINATED, Term};

use super::live::{Live, number, numbers};
use super::plan::{Condition, Plan};
use super::query::Query;
use super::restrict::{Restriction, Restrictions};
use super::schema::Fields;
use super::score::Scorer;
use super::{Match, engine};
use crate::error::Result;
use crate::text::Analyzer;

/// A query with all that answers to it are read from. Later commits do not change what it finds.
pub struct Asked {
    searcher: Searcher,
    fields: Fields,
    plan: Plan,
    /// `None` for a query that lets all through.
    restrictions: Option<Restrictions>,
    live: Arc<Live>,
    /// Mean length of a chunk's text, in words.
    average: f32,
}

/// A score that has an order.
#[derive(PartialEq)]
struct Score(f32);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Asked {
    pub(super) fn new(
        query: &Query,
        analyzer: &Analyzer,
        searcher: Searcher,
        fields: Fields,
        live: Arc<Live>,
    ) -> Result<Self> {
        let plan = Plan::new(query, analyzer, &searcher, fields).map_err(engine)?;
        let (mut words, mut documents) = (0, 0);
        for segment in searcher.segment_readers() {
            words += segment.inverted_index(fields.body).map_err(engine)?.total_num_tokens();
            documents += u64::from(segment.max_doc());
        }
        let average = words as f32 / documents.max(1) as f32;
        let restrictions = || Restrictions::new(&plan, searcher.segment_readers(), fields).map_err(engine);
        let restrictions = query.restricts().then(restrictions).transpose()?;
        Ok(Asked { restrictions, live, searcher, fields, plan, average })
    }

    /// The `limit` chunks that match best, best first, from `allowed` where that is given; of equals, the older.
    pub fn best(&self, limit: usize, allowed: Option<&RoaringBitmap>) -> Result<Vec<Match>> {
        let mut best: BinaryHeap<Reverse<(Score, Reverse<u32>)>> = BinaryHeap::with_capacity(limit + 1);
        if limit == 0 {
            return Ok(Vec::new());
        }
        for (ordinal, segment) in self.searcher.segment_readers().iter().enumerate() {
            let numbers = numbers(segment).map_err(engine)?;
            let restriction = self.restriction(ordinal);
            let mut keep = |document: u32, score: f32| {
                let full = best.len() == limit;
                if full && best.peek().is_some_and(|Reverse((Score(least), _))| score < *least) {
                    return;
                }
                if segment.is_deleted(document) || restriction.is_some_and(|r| !r.permits(document)) {
                    return;
                }
                let Some(chunk) = number(&numbers, document) else { return };
                if allowed.is_none_or(|allowed| allowed.contains(chunk)) {
                    best.push(Reverse((Score(score), Reverse(chunk))));
                    if full {
                        best.pop();
                    }
                }
            };
            // What is required is found even where nothing in it tells.
            let mut silent = restriction.and_then(|restriction| restriction.required.clone());
            let scorer = Scorer::new(&self.plan, segment, self.fields, self.average).map_err(engine)?;
            scorer.all(|document, score| {
                keep(document, score);
                if let Some(silent) = &mut silent {
                    silent.remove(document);
                }
            });
            silent.iter().flatten().for_each(|document| keep(document, 0.0));
        }
        let found = best.into_sorted_vec().into_iter();
        Ok(found.map(|Reverse((Score(score), Reverse(chunk)))| self.matching(chunk, score)).collect())
    }

    /// The scores of those of `chunks` that match, as [`Asked::best`] gives them, in the order of their numbers.
    pub fn scores(&self, chunks: &RoaringBitmap) -> Result<Vec<Match>> {
        let mut matches = Vec::with_capacity(chunks.len() as usize);
        for (ordinal, segment) in self.searcher.segment_readers().iter().enumerate() {
            let mut places = self.places(segment, chunks).map_err(engine)?;
            if places.is_empty() {
                continue;
            }
            places.sort_unstable();
            let documents: Vec<u32> = places.iter().map(|(document, _)| *document).collect();
            let restriction = self.restriction(ordinal);
            let scorer = Scorer::new(&self.plan, segment, self.fields, self.average).map_err(engine)?;
            for ((document, chunk), score) in places.into_iter().zip(scorer.of(&documents)) {
                let is_match = match restriction {
                    Some(restriction) => {
                        restriction.permits(document) && (score > 0.0 || restriction.required.is_some())
                    }
                    None => score > 0.0,
                };
                if is_match {
                    matches.push(self.matching(chunk, score));
                }
            }
        }
        matches.sort_by_key(|found| found.chunk);
        Ok(matches)
    }

    /// Those of the chunks `within`, or of all, that the query lets through; `None` where that is all there are.
    pub fn permitted(&self, within: Option<RoaringBitmap>) -> Result<Option<RoaringBitmap>> {
        let Some(restrictions) = &self.restrictions else { return Ok(within) };
        let (mut required, mut excluded) = (RoaringBitmap::new(), RoaringBitmap::new());
        for (ordinal, segment) in self.searcher.segment_readers().iter().enumerate() {
            let Some(restriction) = restrictions.of(ordinal) else { continue };
            let numbers = numbers(segment).map_err(engine)?;
            let collect = |documents: &RoaringBitmap, into: &mut RoaringBitmap| {
                let alive = documents.iter().filter(|document| !segment.is_deleted(*document));
                into.extend(alive.filter_map(|document| number(&numbers, document)));
            };
            match &restriction.required {
                Some(documents) => collect(&(documents - &restriction.excluded), &mut required),
                None => collect(&restriction.excluded, &mut excluded),
            }
        }
        let mut permitted = within;
        let mut keep = |chunks: &RoaringBitmap| match &mut permitted {
            Some(permitted) => *permitted &= chunks,
            all => *all = Some(chunks.clone()),
        };
        if !self.plan.required.is_empty() {
            keep(&required);
        } else if !self.plan.excluded.is_empty() {
            // The few that have a word are read, and not the many that do not.
            let live = self.live.of(&self.searcher).map_err(engine)?;
            keep(&live);
        }
        Ok(permitted.map(|permitted| permitted - excluded))
    }

    /// What every hit must have and no chunk has, as it was typed.
    pub fn absent(&self) -> impl Iterator<Item = &str> {
        self.restrictions.iter().flat_map(|restrictions| &restrictions.absent).map(String::as_str)
    }

    /// What no hit may have, as it was typed.
    pub fn excluded(&self) -> impl Iterator<Item = &str> {
        self.plan.excluded.iter().map(|Condition { typed, .. }| typed.as_str())
    }

    /// The terms that the query looks for, those included that stand for a word that is not there.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.plan.groups.iter().flat_map(|group| &group.terms).map(String::as_str)
    }

    fn matching(&self, chunk: u32, score: f32) -> Match {
        let score = if self.plan.ceiling > 0.0 { (score / self.plan.ceiling).clamp(0.0, 1.0) } else { 0.0 };
        Match { chunk, score }
    }

    fn restriction(&self, ordinal: usize) -> Option<&Restriction> {
        self.restrictions.as_ref().and_then(|restrictions| restrictions.of(ordinal))
    }

    /// Where in the segment those of `chunks` are that it has.
    fn places(&self, segment: &SegmentReader, chunks: &RoaringBitmap) -> tantivy::Result<Vec<(u32, u32)>> {
        let index = segment.inverted_index(self.fields.chunk)?;
        let mut places = Vec::new();
        // Numbers come in order, so most segments have none of them to look for.
        let numbers = numbers(segment)?;
        let bound = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        for chunk in chunks.range(bound(numbers.min_value())..=bound(numbers.max_value())) {
            let term = Term::from_field_u64(self.fields.chunk, chunk.into());
            let Some(mut documents) = index.read_postings(&term, IndexRecordOption::Basic)? else { continue };
            while documents.doc() != TERMINATED {
                if !segment.is_deleted(documents.doc()) {
                    places.push((documents.doc(), chunk));
                }
                documents.advance();
            }
        }
        Ok(places)
    }
}
