//! The two files of an index.
//!
//! `vectors.codes` has a header, the centre, and an entry for each slot: the chunk's number, the sum of its row, its
//! shape, a sum of the entry, its code. It is read as a whole when the index is opened. `vectors-BUILD.rows` has the vectors themselves,
//! a row of float16 for each slot, read a row at a time. All numbers are little-endian. A slot whose chunk was deleted is
//! all zeros in both. The header comes last in every change: slots beyond those that it counts mean nothing, and of these
//! as many must be live as it says. It names the rows' file, so the two are never of different builds.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt;
use zerocopy::IntoBytes;

use super::codes::{self, Shape};
use super::table::Table;
use crate::error::{Error, Result};
use crate::pread::{read_exact_at, write_all_at};
use crate::stamp::Stamp;

pub const CODES: &str = "vectors.codes";
/// The beginning of a file of codes; the last byte is raised when an older file must be made anew.
const MAGIC: [u8; 8] = *b"CARVEC\0\x02";
/// Bytes of the header: the magic, eight numbers, the sum of these and the centre.
const HEADER: usize = 8 + 8 * 8 + 8;

/// What an index is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// Numbers of a vector.
    pub dimension: usize,
    /// What tells the model that made the vectors from every other.
    pub model: u64,
}

/// The rows of an open index.
#[derive(Debug)]
pub struct Rows {
    file: File,
    build: u64,
    dimension: usize,
}

impl Rows {
    fn open(directory: &Path, build: u64, dimension: usize) -> std::io::Result<Self> {
        let path = directory.join(rows_name(build));
        // Who may not write still may read.
        let file = OpenOptions::new().read(true).write(true).open(&path).or_else(|_| File::open(&path))?;
        Ok(Rows { file, build, dimension })
    }

    fn create(directory: &Path, dimension: usize) -> Result<Self> {
        let build = u64::from_le_bytes(random()?);
        let path = directory.join(rows_name(build));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Rows { file, build, dimension })
    }

    fn offset(&self, slot: u32) -> u64 {
        u64::from(slot) * 2 * self.dimension as u64
    }

    /// Reads the vector of `slot` into `row`, which has the vector's length, and gives its sum.
    pub fn read(&self, slot: u32, row: &mut Row) -> Result<u32> {
        read_exact_at(&self.file, row.stored.as_mut_bytes(), self.offset(slot))?;
        row.stored.convert_to_f32_slice(&mut row.numbers);
        Ok(crc32fast::hash(row.stored.as_bytes()))
    }

    /// Writes the vectors of consecutive slots from `first` on.
    pub fn write(&self, first: u32, rows: &[f16]) -> Result<()> {
        Ok(write_all_at(&self.file, rows.as_bytes(), self.offset(first))?)
    }
}

/// Room for one vector on its way from the file.
pub struct Row {
    stored: Vec<f16>,
    /// The vector.
    pub numbers: Vec<f32>,
}

impl Row {
    pub fn new(dimension: usize) -> Self {
        Row { stored: vec![f16::ZERO; dimension], numbers: vec![0.0; dimension] }
    }
}

/// An entry as it is stored; `None` stands for a chunk that was deleted.
pub fn entry(number: Option<u32>, sum: u32, shape: Shape, code: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0; 16 + 8 * code.len()];
    if let Some(number) = number {
        bytes.clear();
        bytes.extend(number.to_le_bytes());
        bytes.extend(sum.to_le_bytes());
        bytes.extend(shape.to_bytes());
        let mut hash = crc32fast::Hasher::new();
        code.iter().for_each(|word| hash.update(&word.to_le_bytes()));
        hash.update(&bytes);
        bytes.extend(hash.finalize().to_le_bytes());
        code.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
    }
    bytes
}

/// The file of codes, open for a change.
pub struct Codes {
    file: File,
}

impl Codes {
    /// The one in `directory`.
    pub fn open(directory: &Path) -> Result<Self> {
        Ok(Codes { file: OpenOptions::new().read(true).write(true).open(directory.join(CODES))? })
    }

    /// Writes the entries of consecutive slots from `first` on.
    pub fn write(&self, kind: Kind, first: u32, entries: &[u8]) -> Result<()> {
        let size = entry(None, 0, Shape::default(), &vec![0; codes::words(kind.dimension)]).len() as u64;
        let offset = (HEADER + 4 * kind.dimension) as u64 + u64::from(first) * size;
        Ok(write_all_at(&self.file, entries, offset)?)
    }

    /// Makes what was written before count.
    pub fn seal(&self, kind: Kind, table: &Table, rows: &Rows) -> Result<()> {
        Ok(write_all_at(&self.file, &header(kind, table, rows), 0)?)
    }

    /// Makes both files durable.
    pub fn make_durable(&self, rows: &Rows) -> Result<()> {
        self.file.sync_data()?;
        Ok(rows.file.sync_data()?)
    }
}

fn header(kind: Kind, table: &Table, rows: &Rows) -> Vec<u8> {
    let Stamp { generation, mark } = table.stamp;
    let [slots, live, centred_on] = [table.slots(), table.live(), table.centred_on].map(|count| count as u64);
    let numbers = [kind.dimension as u64, kind.model, rows.build, generation, mark as u64, slots, live, centred_on];
    let mut bytes = MAGIC.to_vec();
    numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    let mut hash = crc32fast::Hasher::new();
    hash.update(&bytes);
    table.centre.iter().for_each(|number| hash.update(&number.to_le_bytes()));
    bytes.extend(u64::from(hash.finalize()).to_le_bytes());
    bytes
}

/// Reads what is in `directory`; `None` where that is of another kind, or nothing.
///
/// # Errors
/// Files that are damaged, or of different moments.
pub fn read(directory: &Path, kind: Kind) -> Result<Option<(Table, Rows)>> {
    let file = match File::open(directory.join(CODES)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut file = BufReader::with_capacity(1 << 18, file);
    let mut start = [0; HEADER];
    file.read_exact(&mut start)?;
    let (magic, numbers) = start.split_at(8);
    let mut numbers = numbers.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let mut next = || numbers.next().unwrap_or_default();
    if magic != MAGIC || next() != kind.dimension as u64 || next() != kind.model {
        return Ok(None);
    }
    let (build, generation, mark) = (next(), next(), next() as i64);
    let (slots, _live, centred_on) = (next(), next(), usize::try_from(next()).map_err(|_| damaged())?);
    let mut centre = vec![0; 4 * kind.dimension];
    file.read_exact(&mut centre)?;
    let centre = centre.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let mut table = Table::new(Stamp { generation, mark }, kind.dimension, Arc::new(centre), centred_on);
    let mut code = vec![0u64; codes::words(kind.dimension)];
    let mut stored = entry(None, 0, Shape::default(), &code);
    for _ in 0..slots {
        file.read_exact(&mut stored)?;
        let (numbers, words) = stored.split_at(16);
        let mut numbers = numbers.as_chunks::<4>().0.iter().copied();
        let mut next = || numbers.next().unwrap_or_default();
        let (number, sum) = (u32::from_le_bytes(next()), u32::from_le_bytes(next()));
        let shape = Shape::from_bytes(next());
        code.iter_mut().zip(words.as_chunks::<8>().0).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
        let number = (number > 0).then_some(number);
        let ascends = number.is_none_or(|number| table.last_number().is_none_or(|last| last < number));
        if !ascends || entry(number, sum, shape, &code) != stored {
            return Err(damaged());
        }
        table.push(number, &code, shape, sum);
    }
    let rows = Rows::open(directory, build, kind.dimension)?;
    // It counts the live slots, too: where blocks of the file were never written, as after a power cut, there are fewer.
    let expected = header(kind, &table, &rows);
    let enough = rows.file.metadata()?.len() >= rows.offset(u32::try_from(slots).map_err(|_| damaged())?);
    if expected != start || !enough { Err(damaged()) } else { Ok(Some((table, rows))) }
}

/// A new pair of files that is not yet in the place of the one before. Gone when it is dropped before that.
pub struct Draft {
    pub table: Table,
    pub rows: Rows,
    pub codes: Codes,
    names: Names,
}

/// The names that a draft has on the disk.
struct Names {
    directory: PathBuf,
    build: u64,
    is_kept: bool,
}

impl Names {
    fn codes(&self) -> PathBuf {
        self.directory.join(format!("{}.new", rows_name(self.build)))
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed is swept with the next draft that is published.
            let _ = std::fs::remove_file(self.codes());
            let _ = std::fs::remove_file(self.directory.join(rows_name(self.build)));
        }
    }
}

/// Writes a pair of files of the vectors that `each` shows, by ascending number; `each` is given what takes a vector.
pub fn draft(
    directory: &Path,
    kind: Kind,
    stamp: Stamp,
    each: impl FnOnce(&mut dyn FnMut(u32, &[f32]) -> Result<()>) -> Result<()>,
) -> Result<Draft> {
    std::fs::create_dir_all(directory)?;
    let rows = Rows::create(directory, kind.dimension)?;
    let names = Names { directory: directory.to_owned(), build: rows.build, is_kept: false };
    // The vectors once, for their mean; then their codes, from the rows.
    let mut sum = vec![0.0f64; kind.dimension];
    let mut numbers: Vec<u32> = Vec::new();
    let mut row = Row::new(kind.dimension);
    let mut out = BufWriter::with_capacity(1 << 18, &rows.file);
    each(&mut |number, vector| {
        if vector.len() != kind.dimension || numbers.last().is_some_and(|last| *last >= number) {
            return Err(Error::Internal("vector index: a vector is not of this index".into()));
        }
        row.stored.convert_from_f32_slice(vector);
        out.write_all(row.stored.as_bytes())?;
        sum.iter_mut().zip(vector).for_each(|(sum, number)| *sum += f64::from(*number));
        numbers.push(number);
        Ok(())
    })?;
    out.flush()?;
    drop(out);
    let count = numbers.len().max(1) as f64;
    let centre: Vec<f32> = sum.into_iter().map(|sum| (sum / count) as f32).collect();
    let mut table = Table::new(stamp, kind.dimension, Arc::new(centre), numbers.len());
    let mut out = BufWriter::with_capacity(1 << 18, File::create_new(names.codes())?);
    out.write_all(&[0; HEADER])?;
    table.centre.iter().try_for_each(|number| out.write_all(&number.to_le_bytes()))?;
    let mut code = Vec::new();
    for (slot, number) in (0..).zip(numbers) {
        let sum = rows.read(slot, &mut row)?;
        code.clear();
        codes::encode(&row.numbers, &table.centre, &mut code);
        let shape = Shape::of(&row.numbers, &table.centre);
        out.write_all(&entry(Some(number), sum, shape, &code))?;
        table.push(Some(number), &code, shape, sum);
    }
    let codes = Codes { file: out.into_inner().map_err(|error| error.into_error())? };
    // Now, so that little is left to do in the moment when it is published.
    codes.make_durable(&rows)?;
    Ok(Draft { table, rows, codes, names })
}

impl Draft {
    /// Takes the place of the pair before.
    pub fn publish(mut self, kind: Kind) -> Result<(Table, Rows)> {
        self.codes.seal(kind, &self.table, &self.rows)?;
        self.codes.make_durable(&self.rows)?;
        std::fs::rename(self.names.codes(), self.names.directory.join(CODES))?;
        self.names.is_kept = true;
        sweep(&self.names.directory, self.rows.build);
        Ok((self.table, self.rows))
    }
}

/// Removes what was left beside `rows`: by a stop in the middle of a draft, say.
pub fn tidy(directory: &Path, rows: &Rows) {
    sweep(directory, rows.build);
}

/// Removes what other builds left. One that somebody still reads goes with the next build.
fn sweep(directory: &Path, keep: u64) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != CODES
            && name != rows_name(keep)
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::debug!(%error, "a file of an older vector index stays for now");
        }
    }
}

pub fn damaged() -> Error {
    Error::Internal("vector index: its files are damaged".into())
}

fn rows_name(build: u64) -> String {
    format!("vectors-{build:016x}.rows")
}

fn random() -> Result<[u8; 8]> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| Error::internal("random numbers", error))?;
    Ok(bytes)
}
