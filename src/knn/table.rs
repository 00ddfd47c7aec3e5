//! What of an index lies in memory: for each slot the chunk's number, its code and shape and the sum of its row.
//!
//! A table never changes; a change makes another one that shares the blocks that stayed as they were, so a search that
//! is under way keeps what it began with.

use std::sync::Arc;

use roaring::RoaringBitmap;

use super::codes::{self, Shape};
use crate::stamp::Stamp;

/// Slots of a block: few enough that one is copied in no time, and that its distances stay near the processor.
pub const BLOCK: usize = 4096;

/// Chunks of a block of which one at most is allowed where the allowed are picked one by one.
const SPARSE: usize = 16;

/// A state of an index.
#[derive(Clone)]
pub struct Table {
    pub stamp: Stamp,
    /// Numbers of a vector.
    pub dimension: usize,
    /// What the signs are taken against: about the mean of the vectors.
    pub centre: Arc<Vec<f32>>,
    /// How many vectors the centre was taken from.
    pub centred_on: usize,
    blocks: Vec<Arc<Block>>,
    slots: usize,
    live: usize,
}

/// Consecutive slots, by ascending number of chunk.
#[derive(Clone, Default)]
struct Block {
    numbers: Vec<u32>,
    codes: Vec<u64>,
    shapes: Vec<Shape>,
    sums: Vec<u32>,
    /// Slots whose chunk was deleted.
    dead: Vec<u16>,
}

/// A slot with its chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub place: u32,
    pub number: u32,
    /// The sum that its row must have.
    pub sum: u32,
}

impl Table {
    /// A table of nothing.
    pub fn new(stamp: Stamp, dimension: usize, centre: Arc<Vec<f32>>, centred_on: usize) -> Self {
        Table { stamp, dimension, centre, centred_on, blocks: Vec::new(), slots: 0, live: 0 }
    }

    /// Slots, those of deleted chunks with them.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Chunks that can be found.
    pub fn live(&self) -> usize {
        self.live
    }

    /// The greatest number that a slot has.
    pub fn last_number(&self) -> Option<u32> {
        self.blocks.last().and_then(|block| block.numbers.last().copied())
    }

    /// Adds a slot for chunk `number`, which is above [`Table::last_number`]; `None` is a slot whose chunk is gone.
    pub fn push(&mut self, number: Option<u32>, code: &[u64], shape: Shape, sum: u32) {
        // Numbers must ascend even where a slot has lost its own, and from block to block.
        let standing = number.or(self.last_number()).unwrap_or(0);
        if self.slots.is_multiple_of(BLOCK) {
            self.blocks.push(Arc::default());
        }
        let Some(block) = self.blocks.last_mut().map(Arc::make_mut) else { return };
        match number {
            Some(_) => self.live += 1,
            None => block.dead.push((self.slots % BLOCK) as u16),
        }
        block.numbers.push(standing);
        block.codes.extend_from_slice(code);
        block.shapes.push(shape);
        block.sums.push(sum);
        self.slots += 1;
    }

    /// Takes chunk `number` out; its slot, where it has one.
    pub fn remove(&mut self, number: u32) -> Option<Slot> {
        let slot = self.find(number)?;
        let (block, place) = (slot.place as usize / BLOCK, (slot.place as usize % BLOCK) as u16);
        let dead = &mut Arc::make_mut(self.blocks.get_mut(block)?).dead;
        dead.insert(dead.partition_point(|other| *other < place), place);
        self.live -= 1;
        Some(slot)
    }

    /// The slot of chunk `number`.
    pub fn find(&self, number: u32) -> Option<Slot> {
        // A dead slot that lost its number stands for the one before it, and so after it.
        let at = self.blocks.partition_point(|block| block.numbers.last().is_some_and(|last| *last < number));
        let block = self.blocks.get(at)?;
        let place = block.numbers.partition_point(|other| *other < number);
        let is_it = block.numbers.get(place) == Some(&number) && !block.is_dead(place);
        is_it.then(|| block.slot(at, place)).flatten()
    }

    /// All slots whose chunk is there.
    pub fn iter(&self) -> impl Iterator<Item = Slot> {
        self.blocks.iter().enumerate().flat_map(|(at, block)| {
            let live = (0..block.numbers.len()).filter(|place| !block.is_dead(*place));
            live.filter_map(move |place| block.slot(at, place))
        })
    }

    /// The slots that are nearest to `vector` by their codes, from `allowed` where that is given: `scanned` of them, and
    /// all that are as near as the last.
    pub fn nearest(&self, vector: &[f32], scanned: usize, allowed: Option<&RoaringBitmap>) -> Candidates<'_> {
        let mut query = Vec::with_capacity(codes::words(self.dimension));
        codes::encode(vector, &self.centre, &mut query);
        let mut nearest = codes::Nearest::new(scanned, self.dimension);
        let mut distances = [0u16; BLOCK];
        for (at, block) in self.blocks.iter().enumerate() {
            let Some(distances) = distances.get_mut(..block.numbers.len()) else { continue };
            match allowed {
                None => block.all_distances(&query, distances),
                Some(allowed) => block.distances_of(&query, allowed, distances),
            }
            nearest.see(distances, (at * BLOCK) as u32);
        }
        let weights = codes::Weights::of(vector, &self.centre);
        let weigh = |place: u32| {
            let (block, at) = (self.blocks.get(place as usize / BLOCK)?, place as usize % BLOCK);
            Some((weights.weigh(block.code(at, query.len())?, *block.shapes.get(at)?), place))
        };
        let weighed = nearest.places().filter_map(weigh).collect();
        Candidates { table: self, weighed }
    }
}

/// Slots that a scan gave, weighed by the numbers of the question.
pub struct Candidates<'a> {
    table: &'a Table,
    weighed: Vec<(f32, u32)>,
}

impl Candidates<'_> {
    /// Takes the `count` heaviest out, in order of place.
    pub fn take(&mut self, count: usize) -> Vec<Slot> {
        let rest = self.weighed.len().saturating_sub(count);
        if rest > 0 {
            self.weighed.select_nth_unstable_by(rest, |a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        }
        let mut taken = self.weighed.split_off(rest);
        taken.sort_unstable_by_key(|(_, place)| *place);
        let slot = |place: u32| {
            let (block, place) = (place as usize / BLOCK, place as usize % BLOCK);
            self.table.blocks.get(block)?.slot(block, place)
        };
        taken.into_iter().filter_map(|(_, place)| slot(place)).collect()
    }
}

impl Block {
    fn is_dead(&self, place: usize) -> bool {
        self.dead.binary_search(&(place as u16)).is_ok()
    }

    fn slot(&self, block: usize, place: usize) -> Option<Slot> {
        let (number, sum) = (*self.numbers.get(place)?, *self.sums.get(place)?);
        Some(Slot { place: (block * BLOCK + place) as u32, number, sum })
    }

    fn code(&self, place: usize, words: usize) -> Option<&[u64]> {
        self.codes.get(place * words..(place + 1) * words)
    }

    /// The distances of all chunks that are there.
    fn all_distances(&self, query: &[u64], distances: &mut [u16]) {
        codes::distances(query, &self.codes, distances);
        for place in &self.dead {
            distances.get_mut(usize::from(*place)).into_iter().for_each(|distance| *distance = codes::NEVER);
        }
    }

    /// The distances of the chunks in `allowed`; the others are not to be found.
    fn distances_of(&self, query: &[u64], allowed: &RoaringBitmap, distances: &mut [u16]) {
        let (Some(first), Some(last)) = (self.numbers.first(), self.numbers.last()) else { return };
        let (span, count) = (*first..=*last, allowed.range_cardinality(*first..=*last));
        if count > (self.numbers.len() / SPARSE) as u64 {
            // Looking at all and letting go of some is quicker than picking many.
            self.all_distances(query, distances);
            let mut allowed = allowed.range(span).peekable();
            for (number, distance) in self.numbers.iter().zip(distances) {
                while allowed.next_if(|other| other < number).is_some() {}
                if allowed.peek() != Some(number) {
                    *distance = codes::NEVER;
                }
            }
            return;
        }
        distances.fill(codes::NEVER);
        let mut from = 0;
        for number in allowed.range(span) {
            while self.numbers.get(from).is_some_and(|other| *other < number) {
                from += 1;
            }
            if self.numbers.get(from) == Some(&number) && !self.is_dead(from) {
                let code = self.code(from, query.len()).unwrap_or_default();
                if let Some(distance) = distances.get_mut(from..=from) {
                    codes::distances(query, code, distance);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A table of two-dimensional vectors, four of whose blocks' worth of chunks have every third number.
    fn table(slots: u32) -> Table {
        let mut table = Table::new(Stamp::default(), 2, Arc::new(vec![0.0; 2]), 0);
        for place in 0..slots {
            table.push(Some(place * 3 + 1), &[u64::from(place % 4)], Shape::default(), place);
        }
        table
    }

    #[test]
    fn slots_are_found_by_number_until_they_are_removed() {
        let mut table = table(10_000);
        let slot = Slot { place: 5_000, number: 15_001, sum: 5_000 };
        assert_eq!(table.find(15_001), Some(slot));
        assert_eq!((table.find(15_002), table.find(0), table.find(u32::MAX)), (None, None, None));
        let before = table.clone();
        assert_eq!(table.remove(15_001), Some(slot));
        assert_eq!((table.remove(15_001), table.find(15_001), table.live()), (None, None, 9_999));
        assert_eq!(before.find(15_001), Some(slot));
        table.push(None, &[0], Shape::default(), 0);
        table.push(Some(30_001), &[0], Shape::default(), 7);
        assert_eq!(table.find(29_998).map(|slot| slot.place), Some(9_999));
        assert_eq!(table.find(30_001).map(|slot| slot.place), Some(10_001));
        assert_eq!((table.slots(), table.live(), table.iter().count()), (10_002, 10_000, 10_000));
    }

    #[test]
    fn a_block_of_which_nothing_is_left_hides_nothing() {
        let mut table = table(BLOCK as u32);
        for _ in 0..BLOCK + 10 {
            table.push(None, &[0], Shape::default(), 0);
        }
        assert_eq!(table.last_number(), Some(BLOCK as u32 * 3 - 2));
        assert_eq!(table.find(1).map(|slot| slot.place), Some(0));
        assert_eq!(table.remove(4).map(|slot| slot.place), Some(1));
        table.push(Some(100_000), &[0], Shape::default(), 0);
        assert_eq!(table.find(100_000).map(|slot| slot.place as usize), Some(2 * BLOCK + 10));
        assert_eq!(table.find(7).map(|slot| slot.place), Some(2));
    }

    proptest! {
        #[test]
        fn only_the_allowed_are_found_and_never_the_dead(
            allowed in prop_oneof![
                prop::collection::vec(0u32..30_000, 0..300),
                (0u32..30_000, 0u32..30_000).prop_map(|(from, to)| (from..to).collect()),
            ],
            dead in prop::collection::vec(0u32..10_000, 0..50),
        ) {
            let mut table = table(10_000);
            dead.iter().for_each(|place| { table.remove(place * 3 + 1); });
            let allowed: RoaringBitmap = allowed.into_iter().collect();
            let found: RoaringBitmap =
                table.nearest(&[1.0, 1.0], 10_000, Some(&allowed)).take(10_000).iter().map(|slot| slot.number).collect();
            let expected: RoaringBitmap =
                table.iter().map(|slot| slot.number).filter(|number| allowed.contains(*number)).collect();
            prop_assert_eq!(&found, &expected);
            let mut all = table.nearest(&[1.0, 1.0], 10_000, None);
            prop_assert_eq!(all.take(100).len() + all.take(10_000).len(), table.live());
            prop_assert!(all.take(1).is_empty());
        }
    }
}
