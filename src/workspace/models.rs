//! Which embedding models a workspace has vectors of, and which one's are searched.
//!
//! Each model has a table of vectors of its own. The one that searches use is *active*; another may be being filled
//! beside it, or be the one before, kept until the change is confirmed. All change in transactions of the truth, so the
//! switch from one to another is one moment for everybody.

use rusqlite::{Connection, OptionalExtension, Row};

use super::layout::ModelIdentity;
use super::schema;
use crate::error::{Error, Result};

/// The vectors of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorSet {
    /// Names its table and its index.
    pub number: u32,
    pub model: ModelIdentity,
}

impl VectorSet {
    /// The name of its table.
    pub(super) fn table(&self) -> String {
        match self.number {
            0 => "vectors".to_owned(),
            number => format!("vectors_{number}"),
        }
    }

    /// Tells its model from every other.
    pub(super) fn tag(&self) -> u64 {
        self.model.sha256.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<VectorSet> {
    let model = ModelIdentity { name: row.get("name")?, dimension: row.get("dimension")?, sha256: row.get("sha256")? };
    Ok(VectorSet { number: row.get("number")?, model })
}

/// The set that searches use; `None` where there is none yet.
pub(super) fn active(db: &Connection) -> Result<Option<VectorSet>> {
    let mut query =
        db.prepare_cached("SELECT number, name, dimension, sha256 FROM embedding_models WHERE is_active")?;
    Ok(query.query_row([], read).optional()?)
}

/// The set that searches used before the last change, where that is not confirmed yet.
pub(super) fn kept(db: &Connection) -> Result<Option<VectorSet>> {
    let mut query = db.prepare_cached("SELECT number, name, dimension, sha256 FROM embedding_models WHERE is_kept")?;
    Ok(query.query_row([], read).optional()?)
}

/// All sets, by number.
pub(super) fn all(db: &Connection) -> Result<Vec<VectorSet>> {
    let mut query =
        db.prepare_cached("SELECT number, name, dimension, sha256 FROM embedding_models ORDER BY number")?;
    Ok(query.query_map([], read)?.collect::<rusqlite::Result<_>>()?)
}

/// The set of the model with this identity, made where there is none. The first one is active.
pub(super) fn ensure(db: &Connection, model: &ModelIdentity) -> Result<VectorSet> {
    let sets = all(db)?;
    if let Some(set) = sets.iter().find(|set| set.model.sha256 == model.sha256) {
        return Ok(set.clone());
    }
    let number = sets.last().map_or(0, |last| last.number + 1);
    let set = VectorSet { number, model: model.clone() };
    db.execute_batch(&schema::vectors(&set.table(), model.dimension))?;
    db.execute(
        "INSERT INTO embedding_models VALUES (?1, ?2, ?3, ?4, ?5, 0, NULL)",
        (number, &model.name, model.dimension, &model.sha256, sets.is_empty()),
    )?;
    Ok(set)
}

/// Makes `set` the one that searches use, and keeps the one that they used.
pub(super) fn activate(db: &Connection, set: &VectorSet) -> Result<()> {
    db.execute("UPDATE embedding_models SET is_kept = is_active, is_active = 0", [])?;
    match db.execute("UPDATE embedding_models SET is_active = 1 WHERE number = ?1", [set.number])? {
        1 => Ok(()),
        _ => Err(Error::Internal("the vectors of a model are gone".into())),
    }
}

/// Removes a set that is not active.
pub(super) fn remove(db: &Connection, set: &VectorSet) -> Result<()> {
    db.execute_batch(&format!("DROP TABLE IF EXISTS {}", set.table()))?;
    db.execute("DELETE FROM vector_sums WHERE model = ?1", [set.number])?;
    db.execute("DELETE FROM embedding_models WHERE number = ?1 AND NOT is_active", [set.number])?;
    Ok(())
}

/// Chunks that there are, as they were counted when they came and went.
pub(super) fn chunks(db: &Connection) -> Result<u64> {
    let mut query = db.prepare_cached("SELECT rows FROM tallies WHERE name = 'chunks'")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// Chunks that have no vector of `set`.
pub(super) fn lacking(db: &Connection, set: &VectorSet) -> Result<u64> {
    let sql = "SELECT count(*) FROM vector_sums WHERE model = ?1";
    let made: u64 = db.prepare_cached(sql)?.query_row([set.number], |row| row.get(0))?;
    Ok(chunks(db)?.saturating_sub(made))
}
