//! The nearest neighbours among the vectors of one workspace: open, apply, search, stamp.
//!
//! Derived and disposable, as the full-text index is: it bears the stamp of the commit that it reflects, and what cannot
//! be trusted is made anew by its owner. Binary codes of all vectors lie in memory and are scanned, first by the question's own
//! code, then by its numbers; the best of them are read from a file, a row each, and ranked by their exact similarity. Files
//! are read with `pread`: a mapped file that somebody truncates would end the process. Every row is checked against its
//! sum as it is read. Searches take no lock for longer than it takes to copy a pointer; changes take turns.
//!
//! Knows numbers of chunks and vectors; no SQL, no tenant. All calls block.

mod codes;
mod files;
mod table;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use half::f16;
use half::slice::HalfFloatSliceExt;
use roaring::RoaringBitmap;
use zerocopy::IntoBytes;

use self::codes::Shape;
use self::files::{Codes, Row, Rows};
use self::table::{Slot, Table};
use crate::error::Result;
use crate::stamp::Stamp;

pub use files::Kind;

/// Vectors that a scan of the codes gives for one that is wanted, and the least of them; `benches/README.md` has the
/// measurements behind both.
const SCANNED: (usize, usize) = (30, 2_000);
/// And of so many vectors one at least: the more there are, the more are about as near.
const SCANNED_OF: usize = 250;
/// Vectors that are read and compared exactly at a time, for one that is wanted, and the least of them.
const CLOSER: (usize, usize) = (4, 200);
/// Slots without a chunk, as a part of all, from which an index is made smaller.
const WASTE: usize = 4;
/// How many times as many vectors as the centre was taken from make another one worth while.
const GROWTH: usize = 8;
/// Vectors that give a centre at all.
const TELLING: usize = 512;

/// Bytes of all codes below `directory`, about what opening an index there takes of the memory.
pub fn code_bytes(directory: &Path) -> u64 {
    let files = walkdir::WalkDir::new(directory).into_iter().flatten();
    let codes = files.filter(|entry| entry.file_name() == files::CODES);
    codes.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// An open index.
pub struct Knn {
    directory: PathBuf,
    kind: Kind,
    current: RwLock<Current>,
    changing: Mutex<()>,
    compacting: Mutex<()>,
}

/// What searches see.
#[derive(Clone)]
struct Current {
    table: Arc<Table>,
    /// None before the first change.
    rows: Option<Arc<Rows>>,
}

impl Knn {
    /// Opens the index in `directory`. One that is missing, damaged or of another kind is empty, with the stamp of
    /// nothing, until the first change makes it anew.
    pub fn open(directory: &Path, kind: Kind) -> Self {
        let read = files::read(directory, kind).unwrap_or_else(|error| {
            tracing::warn!(%error, "the vector index is damaged and is made anew");
            None
        });
        let current = match read {
            Some((table, rows)) => {
                files::tidy(directory, &rows);
                Current { table: Arc::new(table), rows: Some(Arc::new(rows)) }
            }
            None => Current::empty(kind),
        };
        Knn {
            directory: directory.to_owned(),
            kind,
            current: RwLock::new(current),
            changing: Mutex::default(),
            compacting: Mutex::default(),
        }
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn show(&self, table: Table, rows: Arc<Rows>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) =
            Current { table: Arc::new(table), rows: Some(rows) };
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all there is, so that it is made anew.
    pub fn discard(&self) {
        let _turn = self.turn();
        self.forget();
    }

    /// Forgets an index that was found damaged, unless somebody has put another in its place or is about to.
    fn give_up(&self, damaged: &Arc<Rows>) {
        let Ok(_turn) = self.changing.try_lock() else { return };
        if self.current().rows.is_some_and(|rows| Arc::ptr_eq(&rows, damaged)) {
            self.forget();
        }
    }

    fn forget(&self) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current::empty(self.kind);
    }

    /// The state that the last change reflects.
    pub fn stamp(&self) -> Stamp {
        self.current().table.stamp
    }

    /// The numbers of the chunks in the index.
    pub fn chunks(&self) -> RoaringBitmap {
        self.current().table.iter().map(|slot| slot.number).collect()
    }

    /// Whether every row has the sum that it was written with. Reads all of them.
    pub fn is_whole(&self) -> bool {
        let Current { table, rows: Some(rows) } = self.current() else { return true };
        let mut row = Row::new(self.kind.dimension);
        let mut is_as_written = |slot: Slot| rows.read(slot.place, &mut row).is_ok_and(|sum| sum == slot.sum);
        table.iter().all(|slot| is_as_written(slot) || self.is_gone(slot.number))
    }

    /// Takes `removed` out and puts `added` in, by ascending number, and bears `stamp` from then on. With `anew` all
    /// that was there before goes. A chunk that is there already stays as it is, so a repeated call changes nothing.
    pub fn apply(
        &self,
        stamp: Stamp,
        anew: bool,
        removed: impl IntoIterator<Item = u32>,
        added: impl IntoIterator<Item = Result<(u32, Vec<f32>)>>,
    ) -> Result<()> {
        let _turn = self.turn();
        let Current { table, rows } = self.current();
        let Some(rows) = rows.filter(|_| !anew) else {
            let draft = files::draft(&self.directory, self.kind, stamp, |take| {
                added.into_iter().try_for_each(|one| one.and_then(|(number, vector)| take(number, &vector)))
            })?;
            let (table, rows) = draft.publish(self.kind)?;
            self.show(table, Arc::new(rows));
            return Ok(());
        };
        let mut table = Table::clone(&table);
        table.stamp = stamp;
        let removed: Vec<Slot> = removed.into_iter().filter_map(|number| table.remove(number)).collect();
        let codes = Codes::open(&self.directory)?;
        self.append(&mut table, &rows, &codes, added)?;
        // Searches that began before may come upon a blank row, and look here whether its chunk is gone.
        self.show(table.clone(), rows.clone());
        let written = self.blank(&removed, &rows, &codes).and_then(|()| codes.seal(self.kind, &table, &rows));
        if written.is_err() {
            // What is shown is not what is on the disk.
            self.forget();
        }
        written
    }

    /// Whether the index would gain from [`Knn::compact`]: by much that was deleted, or a centre of few vectors.
    pub fn is_loose(&self) -> bool {
        let table = self.current().table;
        let stale = table.live() > GROWTH * table.centred_on.max(TELLING);
        let wasteful = (table.slots() - table.live()) * WASTE > table.slots() && table.slots() > TELLING;
        stale || wasteful
    }

    /// Writes the index anew from its own rows: without gaps, and with the centre of all of them. Changes and searches go
    /// on meanwhile; one that makes the index anew itself makes this one vain. At most one at a time.
    pub fn compact(&self) -> Result<()> {
        let Ok(_compacting) = self.compacting.try_lock() else { return Ok(()) };
        let Current { table: before, rows: Some(rows) } = self.current() else { return Ok(()) };
        let mut row = Row::new(self.kind.dimension);
        let mut draft = files::draft(&self.directory, self.kind, before.stamp, |take| {
            before.iter().try_for_each(|slot| match rows.read(slot.place, &mut row)? == slot.sum {
                true => take(slot.number, &row.numbers),
                // Deleted since; the change below takes it out of a table where it never was.
                false if self.is_gone(slot.number) => Ok(()),
                false => Err(files::damaged()),
            })
        })?;
        let _turn = self.turn();
        let Current { table: now, rows: Some(same) } = self.current() else { return Ok(()) };
        if !Arc::ptr_eq(&rows, &same) {
            return Ok(());
        }
        // What came and went meanwhile.
        draft.table.stamp = now.stamp;
        let gone = before.iter().map(|slot| slot.number).filter(|number| now.find(*number).is_none());
        let removed: Vec<Slot> = gone.filter_map(|number| draft.table.remove(number)).collect();
        let added = now.iter().filter(|slot| slot.place as usize >= before.slots()).map(|slot| {
            // Nothing changes now, so what is not as it was written is damage.
            if rows.read(slot.place, &mut row)? != slot.sum {
                return Err(files::damaged());
            }
            Ok((slot.number, row.numbers.clone()))
        });
        self.append(&mut draft.table, &draft.rows, &draft.codes, added)?;
        self.blank(&removed, &draft.rows, &draft.codes)?;
        let (table, rows) = draft.publish(self.kind)?;
        self.show(table, Arc::new(rows));
        Ok(())
    }

    fn is_gone(&self, number: u32) -> bool {
        let now = self.current();
        now.rows.is_some() && now.table.find(number).is_none()
    }

    fn append(
        &self,
        table: &mut Table,
        rows: &Rows,
        codes: &Codes,
        added: impl IntoIterator<Item = Result<(u32, Vec<f32>)>>,
    ) -> Result<()> {
        let mut stored = vec![f16::ZERO; self.kind.dimension];
        let mut code = Vec::with_capacity(codes::words(self.kind.dimension));
        for one in added {
            let (number, vector) = one?;
            if table.last_number().is_some_and(|last| last >= number) {
                continue;
            }
            if vector.len() != self.kind.dimension {
                return Err(crate::error::Error::Internal("vector index: a vector is not of this index".into()));
            }
            let place = table.slots() as u32;
            stored.convert_from_f32_slice(&vector);
            code.clear();
            codes::encode(&vector, &table.centre, &mut code);
            let sum = crc32fast::hash(stored.as_bytes());
            rows.write(place, &stored)?;
            let shape = Shape::of(&vector, &table.centre);
            codes.write(self.kind, place, &files::entry(Some(number), sum, shape, &code))?;
            table.push(Some(number), &code, shape, sum);
        }
        Ok(())
    }

    /// Leaves nothing of deleted vectors in the files.
    fn blank(&self, removed: &[Slot], rows: &Rows, codes: &Codes) -> Result<()> {
        let row = vec![f16::ZERO; self.kind.dimension];
        let entry = files::entry(None, 0, Shape::default(), &vec![0; codes::words(self.kind.dimension)]);
        for slot in removed {
            rows.write(slot.place, &row)?;
            codes.write(self.kind, slot.place, &entry)?;
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub fn rest(&self) -> Result<()> {
        let _turn = self.turn();
        match self.current().rows {
            Some(rows) => Codes::open(&self.directory)?.make_durable(&rows),
            None => Ok(()),
        }
    }

    /// The `limit` chunks nearest to `vector` (unit length), from `allowed` where that is given, with their cosine
    /// similarity `-1..=1`, nearest first.
    ///
    /// # Errors
    /// Where the files are damaged: then the index knows nothing until it is made anew.
    pub fn nearest(&self, vector: &[f32], limit: usize, allowed: Option<&RoaringBitmap>) -> Result<Vec<(u32, f32)>> {
        let current = self.current();
        let of = |(each, least): (usize, usize)| limit.saturating_mul(each).max(least);
        let scanned = of(SCANNED).max(current.table.live() / SCANNED_OF);
        let mut near = current.table.nearest(vector, scanned, allowed);
        let mut found: Vec<(u32, f32)> = Vec::new();
        loop {
            let part = near.take(of(CLOSER));
            let bound = found.get(limit.saturating_sub(1)).map(|(_, similarity)| *similarity);
            let closer = self.compare(&current, vector, &part)?;
            // A question that is far from everything is like a great many codes, and its neighbours are deep among them.
            let is_vain = bound.is_some_and(|bound| closer.iter().all(|(_, similarity)| *similarity <= bound));
            if part.is_empty() || is_vain {
                return Ok(found);
            }
            found.extend(closer);
            found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            found.truncate(limit);
        }
    }

    /// The cosine similarity of `vector` to each of these chunks, in no order; those that are not there are left out.
    ///
    /// # Errors
    /// As [`Knn::nearest`].
    pub fn similarities(&self, vector: &[f32], numbers: &[u32]) -> Result<Vec<(u32, f32)>> {
        let current = self.current();
        let slots: Vec<Slot> = numbers.iter().filter_map(|number| current.table.find(*number)).collect();
        self.compare(&current, vector, &slots)
    }

    /// The similarities of `slots` by their rows.
    fn compare(&self, current: &Current, vector: &[f32], slots: &[Slot]) -> Result<Vec<(u32, f32)>> {
        // One that was never made has no answer, not even that there is nothing.
        let rows = current.rows.as_ref().ok_or_else(files::damaged)?;
        let mut row = Row::new(self.kind.dimension);
        let mut found = Vec::with_capacity(slots.len());
        for slot in slots {
            if rows.read(slot.place, &mut row)? == slot.sum {
                found.push((slot.number, dot(vector, &row.numbers).clamp(-1.0, 1.0)));
            } else if !self.is_gone(slot.number) {
                self.give_up(rows);
                return Err(files::damaged());
            }
        }
        Ok(found)
    }
}

impl Current {
    fn empty(kind: Kind) -> Self {
        let table = Table::new(Stamp::default(), kind.dimension, Arc::new(vec![0.0; kind.dimension]), 0);
        Current { table: Arc::new(table), rows: None }
    }
}

/// The sum of products, in lanes that the compiler can keep in vector registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const KIND: Kind = Kind { dimension: 24, model: 7 };

    fn at(generation: u64) -> Stamp {
        Stamp { generation, mark: 1 }
    }

    /// A vector of unit length that follows from its seed.
    fn vector(seed: u32) -> Vec<f32> {
        numbers(seed, KIND.dimension)
    }

    fn numbers(seed: u32, dimension: usize) -> Vec<f32> {
        let mut state = u64::from(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let numbers: Vec<f32> = (0..dimension).map(|_| next()).collect();
        let length = dot(&numbers, &numbers).sqrt();
        numbers.iter().map(|number| number / length).collect()
    }

    fn with(numbers: impl IntoIterator<Item = u32>) -> Vec<Result<(u32, Vec<f32>)>> {
        numbers.into_iter().map(|number| Ok((number, vector(number)))).collect()
    }

    /// The chunks by exact similarity, best first.
    fn exactly(truth: &BTreeMap<u32, Vec<f32>>, query: &[f32], limit: usize) -> Vec<u32> {
        let mut all: Vec<(u32, f32)> = truth.iter().map(|(number, vector)| (*number, dot(query, vector))).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.into_iter().take(limit).map(|(number, _)| number).collect()
    }

    fn found(index: &Knn, query: &[f32], limit: usize) -> Vec<u32> {
        index.nearest(query, limit, None).unwrap().into_iter().map(|(number, _)| number).collect()
    }

    /// Files below `directory` whose name ends like this.
    fn file(directory: &Path, ending: &str) -> PathBuf {
        let mut files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        files.find(|path| path.to_str().unwrap().ends_with(ending)).unwrap()
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add(u32),
        Remove(prop::sample::Index),
        Reopen,
        Compact,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => (1u32..300).prop_map(Step::Add),
            2 => any::<prop::sample::Index>().prop_map(Step::Remove),
            1 => Just(Step::Reopen),
            1 => Just(Step::Compact),
        ];
        prop::collection::vec(step, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn whatever_happened_it_finds_what_the_truth_holds(steps in steps()) {
            let directory = tempfile::tempdir().unwrap();
            let mut index = Knn::open(directory.path(), KIND);
            index.apply(at(0), false, [], with([])).unwrap();
            let mut truth: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
            let mut next = 1;
            for (generation, step) in (1..).zip(steps) {
                match step {
                    Step::Add(count) => {
                        index.apply(at(generation), false, [], with(next..next + count)).unwrap();
                        truth.extend((next..next + count).map(|number| (number, vector(number))));
                        next += count;
                    }
                    Step::Remove(which) if !truth.is_empty() => {
                        let number = *which.get(&truth.keys().copied().collect::<Vec<_>>());
                        index.apply(at(generation), false, [number, next + 5], []).unwrap();
                        truth.remove(&number);
                    }
                    Step::Remove(_) => {}
                    Step::Compact => index.compact().unwrap(),
                    Step::Reopen => {
                        let stamp = index.stamp();
                        index = Knn::open(directory.path(), KIND);
                        prop_assert_eq!(index.stamp(), stamp);
                    }
                }
            }
            prop_assert!(index.is_whole());
            prop_assert_eq!(index.chunks().iter().collect::<Vec<_>>(), truth.keys().copied().collect::<Vec<_>>());
            // As many as are looked at closely are ranked as by comparing with all.
            let query = vector(0);
            if truth.len() <= CLOSER.1 {
                prop_assert_eq!(found(&index, &query, 10), exactly(&truth, &query, 10));
            }
            let all: Vec<u32> = truth.keys().copied().collect();
            for (number, similarity) in index.similarities(&query, &all).unwrap() {
                prop_assert!((similarity - dot(&query, &truth[&number])).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn vectors_far_from_the_origin_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let index = Knn::open(directory.path(), Kind { dimension: 256, ..KIND });
        // As some models have it: everything points about the same way.
        let shifted = |seed: u32| {
            let numbers: Vec<f32> = numbers(seed, 256).iter().map(|number| number + 0.2).collect();
            let length = dot(&numbers, &numbers).sqrt();
            numbers.iter().map(|number| number / length).collect::<Vec<f32>>()
        };
        let truth: BTreeMap<u32, Vec<f32>> = (1..6_000).map(|number| (number, shifted(number))).collect();
        // The first change gives a centre of few, which growth makes better.
        for (generation, part) in (1..).zip([1..100u32, 100..3_000, 3_000..6_000]) {
            let added = part.map(|number| Ok((number, shifted(number))));
            index.apply(at(generation), false, [], added).unwrap();
            if index.is_loose() {
                index.compact().unwrap();
            }
        }
        let hits: usize = (10_000..10_020)
            .map(|seed| {
                let query = shifted(seed);
                let exact = exactly(&truth, &query, 10);
                found(&index, &query, 10).iter().filter(|number| exact.contains(number)).count()
            })
            .sum();
        assert!(hits >= 175, "{hits} of 200");
    }

    #[test]
    fn nothing_of_a_deleted_vector_stays_on_disk() {
        let directory = tempfile::tempdir().unwrap();
        let index = Knn::open(directory.path(), KIND);
        index.apply(at(1), false, [], with(1..20)).unwrap();
        let mut stored = [f16::ZERO; KIND.dimension];
        stored.convert_from_f32_slice(&vector(7));
        let rows = || std::fs::read(file(directory.path(), ".rows")).unwrap();
        let holds = |bytes: &[u8]| bytes.windows(8).any(|window| window == &stored.as_bytes()[..8]);
        assert!(holds(&rows()));
        index.apply(at(2), false, [7], []).unwrap();
        assert!(!holds(&rows()));
        let mut code = Vec::new();
        codes::encode(&vector(7), &index.current().table.centre, &mut code);
        let shape = Shape::of(&vector(7), &index.current().table.centre);
        let entry = files::entry(Some(7), crc32fast::hash(stored.as_bytes()), shape, &code);
        let codes = std::fs::read(file(directory.path(), ".codes")).unwrap();
        assert!(!codes.windows(entry.len()).any(|window| window == entry));
    }

    #[test]
    fn damage_is_found_and_never_answered_with() {
        let directory = tempfile::tempdir().unwrap();
        let fill = || Knn::open(directory.path(), KIND).apply(at(3), true, [], with(1..50)).unwrap();
        let flip = |ending: &str, place: usize| {
            let path = file(directory.path(), ending);
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[place] ^= 4;
            std::fs::write(path, bytes).unwrap();
        };
        fill();
        let size = std::fs::metadata(file(directory.path(), ".codes")).unwrap().len() as usize;
        for place in [9, 20, 63, 78, 80, 106, 80 + 4 * KIND.dimension, size - 1] {
            fill();
            flip(".codes", place);
            assert_eq!(Knn::open(directory.path(), KIND).stamp(), Stamp::default(), "byte {place}");
        }
        fill();
        flip(".rows", 5);
        let index = Knn::open(directory.path(), KIND);
        assert!(!index.is_whole() && index.nearest(&vector(0), 3, None).is_err());
        index.discard();
        index.apply(at(4), false, [], with(1..50)).unwrap();
        assert!(index.is_whole() && index.nearest(&vector(0), 3, None).is_ok());
        for (ending, size) in [(".rows", 100), (".codes", 300), (".codes", 3)] {
            fill();
            std::fs::File::options().write(true).open(file(directory.path(), ending)).unwrap().set_len(size).unwrap();
            assert_eq!(Knn::open(directory.path(), KIND).stamp(), Stamp::default(), "{ending}");
        }
    }

    #[test]
    fn what_was_never_written_is_not_taken_for_deleted() {
        let directory = tempfile::tempdir().unwrap();
        Knn::open(directory.path(), KIND).apply(at(3), false, [], with(1..50)).unwrap();
        let codes = file(directory.path(), ".codes");
        let mut bytes = std::fs::read(&codes).unwrap();
        let end = bytes.len();
        bytes[end - 200..].fill(0);
        std::fs::write(codes, bytes).unwrap();
        assert_eq!(Knn::open(directory.path(), KIND).stamp(), Stamp::default());
        let index = Knn::open(directory.path(), KIND);
        index.apply(at(4), false, [], with(1..50)).unwrap();
        let rows = file(directory.path(), ".rows");
        let size = std::fs::metadata(&rows).unwrap().len();
        let rows = std::fs::File::options().write(true).open(rows).unwrap();
        crate::pread::write_all_at(&rows, &[0; 400], size - 400).unwrap();
        assert!(!index.is_whole() && index.nearest(&vector(0), 3, None).is_err());
    }

    #[test]
    fn what_a_stop_left_behind_goes_with_the_next_opening() {
        let directory = tempfile::tempdir().unwrap();
        Knn::open(directory.path(), KIND).apply(at(3), false, [], with(1..5)).unwrap();
        for left in ["vectors-00000000000000aa.rows", "vectors-00000000000000aa.rows.new"] {
            std::fs::write(directory.path().join(left), b"what was deleted since").unwrap();
        }
        assert_eq!(Knn::open(directory.path(), KIND).chunks().len(), 4);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn one_that_was_never_made_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let index = Knn::open(directory.path(), KIND);
        assert!(index.nearest(&vector(0), 3, None).is_err() && index.similarities(&vector(0), &[1]).is_err());
        index.apply(at(1), false, [], with([])).unwrap();
        assert_eq!(index.nearest(&vector(0), 3, None).unwrap(), []);
    }

    #[test]
    fn changes_and_searches_go_on_while_it_is_made_compact() {
        let directory = tempfile::tempdir().unwrap();
        let index = Knn::open(directory.path(), KIND);
        index.apply(at(1), false, [], with(1..4_000)).unwrap();
        let (mut generation, mut next) = (1, 4_000);
        std::thread::scope(|scope| {
            let compacting: Vec<_> = (0..3).map(|_| scope.spawn(|| index.compact().unwrap())).collect();
            while generation < 40 || !compacting.iter().all(|thread| thread.is_finished()) {
                generation += 1;
                index.apply(at(generation), false, [generation as u32 * 7], with(next..next + 3)).unwrap();
                next += 3;
                assert_eq!(index.nearest(&vector(next - 1), 1, None).unwrap()[0].0, next - 1);
            }
        });
        let expected = (1..next).filter(|number| number % 7 != 0 || *number > generation as u32 * 7 || *number == 7);
        assert_eq!(index.chunks(), expected.collect::<RoaringBitmap>());
        assert!(index.is_whole());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left behind");
        let again = Knn::open(directory.path(), KIND);
        assert_eq!((again.stamp(), again.chunks()), (index.stamp(), index.chunks()));
    }

    #[test]
    fn another_models_vectors_are_none_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        Knn::open(directory.path(), KIND).apply(at(3), false, [], with(1..5)).unwrap();
        assert_eq!(Knn::open(directory.path(), Kind { model: 8, ..KIND }).stamp(), Stamp::default());
        let longer = vec![Ok((9, vec![1.0; 25]))];
        assert!(Knn::open(directory.path(), KIND).apply(at(4), false, [], longer).is_err());
    }

    #[test]
    fn a_change_that_was_cut_off_before_its_end_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let index = Knn::open(directory.path(), KIND);
        index.apply(at(1), false, [], with(1..30)).unwrap();
        let failing = with(30..33).into_iter().chain([Err(crate::error::Error::InsufficientStorage)]);
        assert!(index.apply(at(2), false, [4], failing).is_err());
        assert_eq!((index.stamp(), index.chunks().len()), (at(1), 29));
        let again = Knn::open(directory.path(), KIND);
        assert_eq!((again.stamp(), again.chunks().len()), (at(1), 29));
        again.apply(at(2), false, [4], with(25..33)).unwrap();
        assert_eq!((again.chunks().len(), again.is_whole()), (31, true));
    }
}
