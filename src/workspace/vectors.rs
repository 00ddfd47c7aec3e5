//! The vectors of the chunks in sqlite-vec: the truth, and exact search.

use roaring::RoaringBitmap;
use rusqlite::{Connection, OptionalExtension};

use super::models::{self, VectorSet};
use crate::digest::short_sum;
use crate::error::Result;
use crate::sqlite::array;

/// sqlite-vec's own bound on the neighbours of one query.
const MOST_NEIGHBOURS: usize = 4096;

/// The `limit` chunks nearest to `vector` (unit length), from `allowed` where that is given, with their cosine
/// similarity `-1..=1`, nearest first.
pub(super) fn nearest(
    db: &Connection,
    set: &VectorSet,
    vector: &[f32],
    limit: usize,
    allowed: Option<&RoaringBitmap>,
) -> Result<Vec<(u32, f32)>> {
    let (table, limit, blob) = (set.table(), limit.min(MOST_NEIGHBOURS) as i64, to_blob(vector));
    let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, u32>(0)?, 1.0 - row.get::<_, f64>(1)? as f32));
    let mut found: Vec<(u32, f32)> = match allowed {
        None => db
            .prepare_cached(&format!("SELECT rowid, distance FROM {table} WHERE embedding MATCH ?1 AND k = ?2"))?
            .query_map((blob, limit), read)?
            .collect::<rusqlite::Result<_>>()?,
        Some(numbers) => db
            .prepare_cached(&format!(
                "SELECT rowid, distance FROM {table}
                 WHERE embedding MATCH ?1 AND k = ?2 AND rowid IN (SELECT value FROM rarray(?3))"
            ))?
            .query_map((blob, limit, array(numbers)), read)?
            .collect::<rusqlite::Result<_>>()?,
    };
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(found)
}

/// The cosine similarity of `vector` to each of these chunks; those without a vector are left out.
pub(super) fn similarities(
    db: &Connection,
    set: &VectorSet,
    vector: &[f32],
    numbers: &[u32],
) -> Result<Vec<(u32, f32)>> {
    let sql = format!("SELECT vec_distance_cosine(embedding, ?2) FROM {} WHERE rowid = ?1", set.table());
    let mut query = db.prepare_cached(&sql)?;
    let blob = to_blob(vector);
    let mut found = Vec::with_capacity(numbers.len());
    for number in numbers {
        let distance: Option<f64> = query.query_row((number, &blob), |row| row.get(0)).optional()?;
        found.extend(distance.map(|distance| (*number, 1.0 - distance as f32)));
    }
    Ok(found)
}

/// Shows each vector of `set` as it is stored, with its chunk's number.
pub(super) fn each(db: &Connection, set: &VectorSet, mut show: impl FnMut(i64, &[u8])) -> Result<()> {
    let mut query = db.prepare(&format!("SELECT rowid, embedding FROM {}", set.table()))?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        show(row.get(0)?, row.get_ref(1)?.as_blob().unwrap_or_default());
    }
    Ok(())
}

/// The vector of chunk `number`; `None` where it has none of this set.
pub(super) fn of(db: &Connection, set: &VectorSet, number: u32) -> Result<Option<Vec<f32>>> {
    let mut query = db.prepare_cached(&format!("SELECT embedding FROM {} WHERE rowid = ?1", set.table()))?;
    let read = |row: &rusqlite::Row<'_>| Ok(from_blob(row.get_ref(0)?.as_blob()?));
    Ok(query.query_row([number], read).optional()?)
}

/// Stores the vector of chunk `number`.
pub(super) fn insert(db: &Connection, set: &VectorSet, number: i64, vector: &[f32]) -> Result<()> {
    let blob = to_blob(vector);
    db.prepare_cached(&format!("INSERT INTO {} (rowid, embedding) VALUES (?1, ?2)", set.table()))?
        .execute((number, &blob))?;
    db.prepare_cached("INSERT INTO vector_sums VALUES (?1, ?2, ?3)")?.execute((
        set.number,
        number,
        short_sum(&blob),
    ))?;
    Ok(())
}

/// Clears the vectors of chunk `number`, of whatever model.
pub(super) fn delete(db: &Connection, number: i64) -> Result<()> {
    for set in models::all(db)? {
        db.prepare_cached(&format!("DELETE FROM {} WHERE rowid = ?1", set.table()))?.execute([number])?;
        db.prepare_cached("DELETE FROM vector_sums WHERE model = ?1 AND chunk = ?2")?.execute((set.number, number))?;
    }
    Ok(())
}

/// Little-endian float32, as sqlite-vec stores them.
fn to_blob(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn from_blob(blob: &[u8]) -> Vec<f32> {
    blob.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
