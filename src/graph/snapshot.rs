//! The network as a file, so that opening a workspace need not ask SQL for every row.
//!
//! `graph.bin` has a header and the rows (postcard). The header: the magic, whose last byte is the version, then the
//! generation and mark that the rows reflect, their length and sum, and the sum of all that; numbers are little-endian. A file that is not whole is refused, and whoever wanted it asks SQL.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::network::Network;
use super::rows::{EntityRow, FactRow, Incidence, Rows};
use super::statement::{Exclusive, Kind};
use crate::error::{Error, Result};
use crate::stamp::Stamp;

const NAME: &str = "graph.bin";
/// The beginning of a snapshot; the last byte is raised when an older one must be made anew.
const MAGIC: [u8; 8] = *b"CARGRA\0\x01";
/// Bytes of the header: the magic, three numbers and two sums.
const HEADER: usize = 8 + 3 * 8 + 2 * 4;

/// Why there is no network to be had from a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("there is no snapshot")]
    Missing,
    #[error("the snapshot is of another version")]
    OtherVersion,
    #[error("the snapshot is damaged")]
    Damaged,
    #[error("the snapshot cannot be read: {0}")]
    Unreadable(std::io::Error),
}

impl From<std::io::Error> for Refused {
    fn from(cause: std::io::Error) -> Self {
        match cause.kind() {
            std::io::ErrorKind::NotFound => Refused::Missing,
            std::io::ErrorKind::UnexpectedEof => Refused::Damaged,
            _ => Refused::Unreadable(cause),
        }
    }
}

/// Puts the network into `directory`, in the place of the snapshot before.
pub fn write(network: &Network, directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)?;
    let draft = directory.join(format!("{NAME}.new"));
    let written = write_draft(network, &draft).and_then(|()| Ok(std::fs::rename(&draft, directory.join(NAME))?));
    if written.is_err() {
        // What cannot be removed is overwritten by the next.
        let _ = std::fs::remove_file(&draft);
    }
    written
}

fn write_draft(network: &Network, path: &Path) -> Result<()> {
    let rows = encode(&network.rows())?;
    let mut file = File::create(path)?;
    file.write_all(&header(network.stamp(), &rows))?;
    file.write_all(&rows)?;
    Ok(file.sync_data()?)
}

/// Removes the snapshot in `directory`, where there is one.
pub fn remove(directory: &Path) -> Result<()> {
    match std::fs::remove_file(directory.join(NAME)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// The network in `directory`.
///
/// # Errors
/// Why it must be made anew.
pub fn read(directory: &Path) -> Result<Network, Refused> {
    parse(&std::fs::read(directory.join(NAME))?)
}

/// Bytes of memory that reading the snapshot in `directory` takes, about: as many times its own as were measured.
pub fn memory(directory: &Path) -> u64 {
    const TIMES: u64 = 7;
    std::fs::metadata(directory.join(NAME)).map_or(0, |file| TIMES * file.len())
}

/// Which commit the snapshot in `directory` reflects, from its header alone.
///
/// # Errors
/// Why there is none; that the rows are whole is only known when they are read.
pub fn stamp(directory: &Path) -> Result<Stamp, Refused> {
    let mut start = [0; HEADER];
    File::open(directory.join(NAME))?.read_exact(&mut start)?;
    Ok(parse_header(&start)?.0)
}

fn parse(bytes: &[u8]) -> Result<Network, Refused> {
    let (start, rows) = bytes.split_first_chunk::<HEADER>().ok_or(Refused::Damaged)?;
    let (stamp, length, sum) = parse_header(start)?;
    if length != rows.len() as u64 || sum != crc32fast::hash(rows) {
        return Err(Refused::Damaged);
    }
    Ok(Network::new(stamp, decode(rows).ok_or(Refused::Damaged)?))
}

fn header(stamp: Stamp, rows: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(stamp.generation.to_le_bytes());
    bytes.extend(stamp.mark.to_le_bytes());
    bytes.extend((rows.len() as u64).to_le_bytes());
    bytes.extend(crc32fast::hash(rows).to_le_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The stamp, and the rows' length and sum.
fn parse_header(bytes: &[u8; HEADER]) -> Result<(Stamp, u64, u32), Refused> {
    let (magic, rest) = bytes.split_at(MAGIC.len());
    let (name, version) = MAGIC.split_at(MAGIC.len() - 1);
    if !magic.starts_with(name) {
        return Err(Refused::Damaged);
    }
    if !magic.ends_with(version) {
        return Err(Refused::OtherVersion);
    }
    let (numbers, sums) = rest.split_at(3 * 8);
    let mut numbers = numbers.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let mut number = || numbers.next().ok_or(Refused::Damaged);
    let (generation, mark, length) = (number()?, number()? as i64, number()?);
    let mut sums = sums.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    let mut sum = || sums.next().ok_or(Refused::Damaged);
    let (rows, own) = (sum()?, sum()?);
    match own == crc32fast::hash(bytes.get(..HEADER - 4).unwrap_or_default()) {
        true => Ok((Stamp { generation, mark }, length, rows)),
        false => Err(Refused::Damaged),
    }
}

/// The rows as they are stored: predicates once, days and times as numbers.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    predicates: Vec<&'a str>,
    #[serde(borrow)]
    entities: Vec<StoredEntity<'a>>,
    facts: Vec<StoredFact>,
    /// Chunk, entity, count.
    incidences: Vec<(i64, i64, u32)>,
}

#[derive(Serialize, Deserialize)]
struct StoredEntity<'a> {
    number: i64,
    id: Uuid,
    name: &'a str,
    kind: Kind,
    #[serde(borrow)]
    aliases: Vec<&'a str>,
    mentions: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredFact {
    number: i64,
    id: Uuid,
    subject: i64,
    object: i64,
    /// Its place among the predicates.
    predicate: u32,
    exclusive: Exclusive,
    valid_at: Option<i32>,
    invalid_at: Option<i32>,
    stated_at: Option<i32>,
    recorded_at: (i64, i32),
    evidence: u32,
}

impl<'a> From<&'a EntityRow> for StoredEntity<'a> {
    fn from(row: &'a EntityRow) -> Self {
        let aliases = row.aliases.iter().map(String::as_str).collect();
        StoredEntity {
            number: row.number,
            id: row.id,
            name: &row.name,
            kind: row.kind,
            aliases,
            mentions: row.mentions,
        }
    }
}

fn encode(rows: &Rows) -> Result<Vec<u8>> {
    let mut predicates: Vec<&str> = rows.facts.iter().map(|fact| &*fact.predicate).collect();
    predicates.sort_unstable();
    predicates.dedup();
    let fact = |row: &FactRow| StoredFact {
        number: row.number,
        id: row.id,
        subject: row.subject,
        object: row.object,
        predicate: predicates.binary_search(&&*row.predicate).unwrap_or_default() as u32,
        exclusive: row.exclusive,
        valid_at: row.valid_at.map(days),
        invalid_at: row.invalid_at.map(days),
        stated_at: row.stated_at.map(days),
        recorded_at: (row.recorded_at.as_second(), row.recorded_at.subsec_nanosecond()),
        evidence: row.evidence,
    };
    let stored = Stored {
        entities: rows.entities.iter().map(StoredEntity::from).collect(),
        facts: rows.facts.iter().map(fact).collect(),
        incidences: rows.incidences.iter().map(|row| (row.chunk, row.entity, row.count)).collect(),
        predicates,
    };
    postcard::to_stdvec(&stored).map_err(|error| Error::internal("graph snapshot", error))
}

fn decode(bytes: &[u8]) -> Option<Rows> {
    let (stored, rest) = postcard::take_from_bytes::<Stored>(bytes).ok()?;
    let predicates: Vec<Arc<str>> = stored.predicates.into_iter().map(Arc::from).collect();
    let entity = |row: StoredEntity| EntityRow {
        number: row.number,
        id: row.id,
        name: row.name.to_owned(),
        kind: row.kind,
        aliases: row.aliases.into_iter().map(str::to_owned).collect(),
        mentions: row.mentions,
    };
    let day = |stored: Option<i32>| stored.map_or(Some(None), |days| date(days).map(Some));
    let fact = |row: StoredFact| {
        Some(FactRow {
            number: row.number,
            id: row.id,
            subject: row.subject,
            object: row.object,
            predicate: predicates.get(row.predicate as usize)?.clone(),
            exclusive: row.exclusive,
            valid_at: day(row.valid_at)?,
            invalid_at: day(row.invalid_at)?,
            stated_at: day(row.stated_at)?,
            recorded_at: Timestamp::new(row.recorded_at.0, row.recorded_at.1).ok()?,
            evidence: row.evidence,
        })
    };
    let incidence = |(chunk, entity, count)| Incidence { chunk, entity, count };
    Some(Rows {
        entities: stored.entities.into_iter().map(entity).collect(),
        facts: stored.facts.into_iter().map(fact).collect::<Option<_>>()?,
        incidences: stored.incidences.into_iter().map(incidence).collect(),
    })
    .filter(|_| rest.is_empty())
}

/// A day as one number: years, months and days in bits of their own.
fn days(date: Date) -> i32 {
    (i32::from(date.year()) << 9) | (i32::from(date.month()) << 5) | i32::from(date.day())
}

fn date(days: i32) -> Option<Date> {
    Date::new(i16::try_from(days >> 9).ok()?, ((days >> 5) & 15) as i8, (days & 31) as i8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_is_refused_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(read(directory.path()), Err(Refused::Missing)));
        let id = Uuid::nil();
        let entity = |number| EntityRow {
            number,
            id,
            name: format!("Entity {number}"),
            kind: Kind::Work,
            aliases: vec!["E".into()],
            mentions: 2,
        };
        let incidences = (0..40).map(|chunk| Incidence { chunk, entity: 1 + chunk % 9, count: 1 }).collect();
        let rows = Rows { entities: (1..9).map(entity).collect(), facts: Vec::new(), incidences };
        write(&Network::new(Stamp { generation: 1, mark: 2 }, rows), directory.path()).unwrap();
        let whole = std::fs::read(directory.path().join(NAME)).unwrap();
        assert!(parse(&whole).is_ok());
        for place in 0..200 {
            let at = place * 7919 % whole.len();
            let mut changed = whole.clone();
            changed[at] ^= 1 << (place % 8);
            let refused = parse(&changed).err().unwrap();
            let is_version = at == MAGIC.len() - 1;
            assert_eq!(matches!(refused, Refused::OtherVersion), is_version, "byte {at}");
            assert!(matches!(parse(&whole[..at]), Err(Refused::Damaged)));
            // Even where the sums were right.
            changed.drain(..HEADER);
            drop(decode(&changed));
            drop(decode(whole.get(HEADER..at).unwrap_or_default()));
        }
    }
}
