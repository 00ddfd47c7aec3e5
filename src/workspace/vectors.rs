//! The vectors of the chunks in sqlite-vec: truth and exact search.

use std::rc::Rc;

use roaring::RoaringBitmap;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use super::{Change, Workspace};
use crate::error::Result;

/// sqlite-vec's own bound on the neighbours of one query.
const MOST_NEIGHBOURS: usize = 4096;

impl Workspace {
    /// The `limit` chunks nearest to `vector` (unit length), from `allowed` where that is given, with their
    /// cosine similarity `-1..=1`, nearest first. Exact.
    pub fn nearest_chunks(
        &self,
        vector: &[f32],
        limit: usize,
        allowed: Option<&RoaringBitmap>,
    ) -> Result<Vec<(u32, f32)>> {
        let limit = limit.min(MOST_NEIGHBOURS) as i64;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, u32>(0)?, 1.0 - row.get::<_, f64>(1)? as f32));
        let blob = to_blob(vector);
        self.read(|db| {
            let mut found: Vec<(u32, f32)> = match allowed {
                None => db
                    .prepare_cached("SELECT rowid, distance FROM vectors WHERE embedding MATCH ?1 AND k = ?2")?
                    .query_map((blob, limit), read)?
                    .collect::<rusqlite::Result<_>>()?,
                Some(numbers) => {
                    let numbers: Rc<Vec<Value>> = Rc::new(numbers.iter().map(|n| Value::from(i64::from(n))).collect());
                    db.prepare_cached(
                        "SELECT rowid, distance FROM vectors
                         WHERE embedding MATCH ?1 AND k = ?2 AND rowid IN (SELECT value FROM rarray(?3))",
                    )?
                    .query_map((blob, limit, numbers), read)?
                    .collect::<rusqlite::Result<_>>()?
                }
            };
            found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            Ok(found)
        })
    }

    /// The cosine similarity of `vector` to each of these chunks; those without a vector are left out.
    pub fn similarities(&self, vector: &[f32], numbers: &[u32]) -> Result<Vec<(u32, f32)>> {
        self.read(|db| {
            let mut query =
                db.prepare_cached("SELECT vec_distance_cosine(embedding, ?2) FROM vectors WHERE rowid = ?1")?;
            let blob = to_blob(vector);
            let mut found = Vec::with_capacity(numbers.len());
            for number in numbers {
                let distance: Option<f64> = query.query_row((number, &blob), |row| row.get(0)).optional()?;
                found.extend(distance.map(|distance| (*number, 1.0 - distance as f32)));
            }
            Ok(found)
        })
    }

    /// The vectors of these chunks, of unit length, in order; those without one are left out.
    pub fn vectors_of(&self, numbers: &[u32]) -> Result<Vec<(u32, Vec<f32>)>> {
        self.read(|db| {
            let mut query = db.prepare_cached("SELECT embedding FROM vectors WHERE rowid = ?1")?;
            let mut found = Vec::with_capacity(numbers.len());
            for number in numbers {
                let blob: Option<Vec<u8>> = query.query_row([number], |row| row.get(0)).optional()?;
                found.extend(blob.map(|blob| (*number, from_blob(&blob))));
            }
            Ok(found)
        })
    }
}

/// Shows each vector as it is stored, with its chunk's number.
pub(super) fn each(db: &Connection, mut show: impl FnMut(i64, &[u8])) -> Result<()> {
    let mut query = db.prepare("SELECT rowid, embedding FROM vectors")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        show(row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default());
    }
    Ok(())
}

/// Stores the vector of chunk `number`, a [`to_blob`].
pub(super) fn insert(change: &Change<'_>, number: i64, blob: &[u8]) -> Result<()> {
    change.db.prepare_cached("INSERT INTO vectors (rowid, embedding) VALUES (?1, ?2)")?.execute((number, blob))?;
    Ok(())
}

/// Clears the vector of chunk `number`.
pub(super) fn delete(change: &Change<'_>, number: i64) -> Result<()> {
    change.db.prepare_cached("DELETE FROM vectors WHERE rowid = ?1")?.execute([number])?;
    Ok(())
}

/// Little-endian float32, as sqlite-vec stores them.
pub(super) fn to_blob(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// What [`to_blob`] made it of.
fn from_blob(blob: &[u8]) -> Vec<f32> {
    blob.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
