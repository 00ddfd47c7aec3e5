//! The chunks nearest to a question's vector: from the vector index, or, while that cannot be asked, from the truth.
//!
//! A vector is only ever compared with those of its own model: a question names its model, and one that was embedded
//! before the workspace changed models is sent back.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use roaring::RoaringBitmap;
use rusqlite::Connection;

use super::follow::{self, Derived, Following, IndexState};
use super::models::VectorSet;
use super::{Workspace, vectors};
use crate::error::{Error, Result};
use crate::knn::{Kind, Knn};
use crate::stamp::Stamp;

/// The vectors that searches use, with their index.
pub(super) struct VectorIndex {
    pub(super) set: VectorSet,
    pub(super) knn: Knn,
    pub(super) following: Following,
}

/// A question as a vector.
#[derive(Debug, Clone, Copy)]
pub struct Probe<'a> {
    /// SHA-256 of the model that made it.
    pub model: &'a str,
    /// Unit length.
    pub vector: &'a [f32],
}

impl VectorIndex {
    /// Opens the index of `set` below `directory`.
    pub(super) fn open(directory: &Path, set: VectorSet) -> Self {
        let kind = Kind { dimension: set.model.dimension, model: set.tag() };
        let knn = Knn::open(&directory.join(set.number.to_string()), kind);
        VectorIndex { set, knn, following: Following::default() }
    }
}

impl Derived for VectorIndex {
    fn name(&self) -> &'static str {
        "vectors"
    }

    fn stamp(&self) -> Result<Stamp> {
        Ok(self.knn.stamp())
    }

    fn bring(&self, db: &Connection, target: Stamp, since: Option<u64>) -> Result<()> {
        let mut chunks = db.prepare_cached("SELECT number FROM chunks WHERE generation > ?1 ORDER BY number")?;
        let numbers = chunks.query_map([since.unwrap_or(0) as i64], |row| row.get::<_, u32>(0))?;
        let added = numbers.map(|number| {
            let number = number?;
            let vector = vectors::of(db, &self.set, number)?;
            Ok((number, vector.ok_or_else(|| Error::Internal(format!("chunk {number} has no vector")))?))
        });
        let applied = self.knn.apply(target, since.is_none(), follow::deleted(db, since)?, added);
        // Room on the disk comes back; files that cannot be changed for another reason are made anew.
        if applied.as_ref().is_err_and(|error| !matches!(error, Error::InsufficientStorage)) {
            self.knn.discard();
        }
        applied
    }
}

impl Workspace {
    /// The vectors that searches use now.
    pub(super) fn vectors(&self) -> Arc<VectorIndex> {
        self.vectors.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The `limit` chunks nearest to `probe`, from `allowed` where that is given, with their cosine similarity `-1..=1`,
    /// nearest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the workspace has changed models meanwhile.
    pub fn nearest_chunks(
        &self,
        probe: Probe<'_>,
        limit: usize,
        allowed: Option<&RoaringBitmap>,
    ) -> Result<Vec<(u32, f32)>> {
        let index = self.vectors_for(probe)?;
        let found = self.ask(&index, |knn| knn.nearest(probe.vector, limit, allowed));
        found.map_or_else(|| self.read(|db| vectors::nearest(db, &index.set, probe.vector, limit, allowed)), Ok)
    }

    /// The cosine similarity of `probe` to each of these chunks; those without a vector are left out.
    ///
    /// # Errors
    /// As [`Workspace::nearest_chunks`].
    pub fn similarities(&self, probe: Probe<'_>, numbers: &[u32]) -> Result<Vec<(u32, f32)>> {
        let index = self.vectors_for(probe)?;
        let found = self.ask(&index, |knn| knn.similarities(probe.vector, numbers));
        found.map_or_else(|| self.read(|db| vectors::similarities(db, &index.set, probe.vector, numbers)), Ok)
    }

    /// The vectors of these chunks, of unit length, in order; those without one are left out.
    pub fn vectors_of(&self, numbers: &[u32]) -> Result<Vec<(u32, Vec<f32>)>> {
        let index = self.vectors();
        self.read(|db| {
            let mut found = Vec::with_capacity(numbers.len());
            for number in numbers {
                found.extend(vectors::of(db, &index.set, *number)?.map(|vector| (*number, vector)));
            }
            Ok(found)
        })
    }

    /// As [`Workspace::nearest_chunks`], by comparing with every vector: what that is measured against.
    pub fn nearest_chunks_exactly(&self, probe: Probe<'_>, limit: usize) -> Result<Vec<(u32, f32)>> {
        let index = self.vectors_for(probe)?;
        self.read(|db| vectors::nearest(db, &index.set, probe.vector, limit, None))
    }

    /// Makes the vector index durable. One that cannot be is made anew before the next rest.
    pub(super) fn rest_vectors(&self) -> Result<()> {
        let index = self.vectors();
        index.knn.rest().inspect_err(|_| self.distrust(&index))
    }

    fn distrust(&self, index: &VectorIndex) {
        // In this order, so that nobody asks one that knows nothing.
        index.following.declare(IndexState::Behind);
        index.knn.discard();
    }

    fn vectors_for(&self, probe: Probe<'_>) -> Result<Arc<VectorIndex>> {
        let index = self.vectors();
        match index.set.model.sha256 == probe.model {
            true => Ok(index),
            false => Err(Error::Unavailable("the workspace has just changed its embedding model; ask again".into())),
        }
    }

    /// The index's answer; `None` where it has none, or none that can be believed.
    fn ask<T>(&self, index: &VectorIndex, question: impl FnOnce(&Knn) -> Result<T>) -> Option<T> {
        if index.following.state() != IndexState::Ready || self.damage.get().is_some() {
            return None;
        }
        let answer = question(&index.knn);
        if let Err(error) = &answer {
            tracing::warn!(workspace.id = %self.id(), %error, "the vector index is made anew; its vectors are scanned");
            index.following.declare(IndexState::Behind);
            // A directory that is not at rest is brought to rest, and with it the index up.
            drop(self.writing());
        }
        answer.ok()
    }
}
