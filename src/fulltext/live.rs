//! The chunks of an index, kept for those who ask for all but a few.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringBitmap;
use tantivy::columnar::Column;
use tantivy::index::SegmentId;
use tantivy::{Opstamp, Searcher, SegmentReader};

use super::schema::CHUNK;

/// The segments of one state of an index, each with its last deletion.
type State = BTreeMap<SegmentId, Option<Opstamp>>;

/// The chunks of the state that was asked for last. To read them takes a look at every chunk.
#[derive(Default)]
pub struct Live(Mutex<Option<(State, Arc<RoaringBitmap>)>>);

impl Live {
    /// The numbers of all chunks that `searcher` sees.
    pub fn of(&self, searcher: &Searcher) -> tantivy::Result<Arc<RoaringBitmap>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let state = searcher.generation().segments();
        if let Some((of, chunks)) = &*known
            && of == state
        {
            return Ok(chunks.clone());
        }
        let chunks = Arc::new(read(searcher)?);
        *known = Some((state.clone(), chunks.clone()));
        Ok(chunks)
    }
}

/// The numbers of all chunks that `searcher` sees, from its files.
pub fn read(searcher: &Searcher) -> tantivy::Result<RoaringBitmap> {
    let mut found = RoaringBitmap::new();
    for segment in searcher.segment_readers() {
        let numbers = numbers(segment)?;
        found.extend(segment.doc_ids_alive().filter_map(|document| number(&numbers, document)));
    }
    Ok(found)
}

/// The numbers of a segment's chunks.
pub fn numbers(segment: &SegmentReader) -> tantivy::Result<Column<u64>> {
    segment.fast_fields().u64(CHUNK)
}

/// The number of the chunk that a document is.
pub fn number(numbers: &Column<u64>, document: u32) -> Option<u32> {
    numbers.first(document).and_then(|number| u32::try_from(number).ok())
}
