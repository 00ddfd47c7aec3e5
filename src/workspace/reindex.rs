//! Changing the embedding model: another model's vectors are made beside those in use, and then take their place in one
//! moment.
//!
//! The vectors from before are kept, and grow no further, until the change is confirmed; going back is the same work in
//! the other direction, with little left to do. Whatever is cut off goes on where it stopped: which chunks still lack a
//! vector is read from the truth.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};
use uuid::Uuid;

use super::jobs::{self, Job};
use super::layout::ModelIdentity;
use super::models::{self, VectorSet};
use super::nearest::VectorIndex;
use super::{Change, Workspace, in_context, json, vectors};
use crate::error::{Error, Result};

/// The kind of job that reindexes.
pub const KIND: &str = "reindex";

/// How far the vectors of one model are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub model: ModelIdentity,
    /// Chunks that have a vector of it.
    pub vectors: u64,
    /// Chunks that have none yet.
    pub lacking: u64,
    /// Whether searches use it.
    pub is_active: bool,
}

/// Files the job of [`Workspace::begin_reindexing`].
fn begin(change: &Change<'_>, model: &ModelIdentity) -> Result<Job> {
    refuse_while_under_way(change.db)?;
    let (active, kept) = (models::active(change.db)?, models::kept(change.db)?);
    let is_active = |set: &VectorSet| active.as_ref() == Some(set);
    let returns = |kept: &VectorSet| kept.model.sha256 == model.sha256;
    let stays = active.as_ref().is_some_and(|active| active.model.sha256 == model.sha256);
    if let Some(kept) = kept.filter(|kept| !returns(kept) && !stays) {
        let name = &kept.model.name;
        return Err(Error::Conflict(format!(
            "confirm the present model first, or go back to {name}, whose vectors are kept"
        )));
    }
    let set = models::ensure(change.db, model)?;
    let kept = models::kept(change.db)?;
    let is_of_use = |other: &VectorSet| *other == set || is_active(other) || kept.as_ref() == Some(other);
    for other in models::all(change.db)?.iter().filter(|other| !is_of_use(other)) {
        models::remove(change.db, other)?;
    }
    let total = models::chunks(change.db)?;
    let left = if is_active(&set) { 0 } else { models::lacking(change.db, &set)? };
    let job = jobs::create(change, KIND, &[])?;
    change.db.execute("UPDATE embedding_models SET job = ?2 WHERE number = ?1", (set.number, job.id.to_string()))?;
    jobs::set_progress(change, job.id, total, total - left)
}

fn refuse_while_under_way(db: &Connection) -> Result<()> {
    let sql = "SELECT EXISTS (SELECT 1 FROM jobs WHERE kind = ?1 AND status IN ('queued', 'running'))";
    match db.query_row(sql, [KIND], |row| row.get(0))? {
        true => Err(Error::Conflict("the workspace is being reindexed already".into())),
        false => Ok(()),
    }
}

/// The set that `job` fills.
fn set_of(db: &Connection, job: Uuid) -> Result<VectorSet> {
    let sql = "SELECT number FROM embedding_models WHERE job = ?1";
    let number: Option<u32> = db.query_row(sql, [job.to_string()], |row| row.get(0)).optional()?;
    let mut sets = models::all(db)?.into_iter();
    sets.find(|set| Some(set.number) == number).ok_or(Error::NotFound("reindexing"))
}

impl Workspace {
    /// Files a job that makes the vectors of `model` and lets searches use them; where searches use them already, one
    /// that makes the indexes anew. Vectors that are neither in use, nor wanted, nor kept for the way back go.
    ///
    /// # Errors
    /// [`Error::Conflict`] while another such job is under way, or while the vectors of a third model are kept.
    pub fn begin_reindexing(&self, model: ModelIdentity) -> Result<Job> {
        let job = self.commit(move |change| begin(change, &model))?;
        self.sweep_vector_indexes();
        Ok(job)
    }

    /// Removes the indexes of vectors that searches do not use: what is deleted from now on would stay in them. What cannot
    /// be removed is in nobody's way.
    fn sweep_vector_indexes(&self) {
        let active = self.vectors().set.number.to_string();
        for entry in std::fs::read_dir(self.layout.vectors()).into_iter().flatten().flatten() {
            if entry.file_name().to_str() != Some(&active)
                && let Err(error) = std::fs::remove_dir_all(entry.path())
            {
                tracing::debug!(%error, "the index of an earlier model stays");
            }
        }
    }

    /// The models that there are vectors of, the active one first.
    pub fn models(&self) -> Result<Vec<Progress>> {
        self.read(|db| {
            let active = models::active(db)?;
            let mut found = Vec::new();
            for set in models::all(db)? {
                let sql = "SELECT count(*) FROM vector_sums WHERE model = ?1";
                let vectors = db.query_row(sql, [set.number], |row| row.get(0))?;
                let (lacking, is_active) = (models::lacking(db, &set)?, active.as_ref() == Some(&set));
                found.push(Progress { model: set.model, vectors, lacking, is_active });
            }
            found.sort_by_key(|progress| !progress.is_active);
            Ok(found)
        })
    }

    /// The model whose vectors `job` makes.
    pub fn model_of_reindexing(&self, job: Uuid) -> Result<ModelIdentity> {
        self.read(|db| Ok(set_of(db, job)?.model))
    }

    /// Chunks after number `after`, at most `limit`, that lack a vector of the model that `job` is for: number and text as
    /// it is embedded.
    pub fn chunks_to_embed(&self, job: Uuid, after: u32, limit: usize) -> Result<Vec<(u32, String)>> {
        self.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT c.number, d.title, c.heading_path, c.content FROM chunks c JOIN documents d ON d.number = c.document
                 WHERE c.number > ?3 AND NOT EXISTS (SELECT 1 FROM vector_sums WHERE model = ?1 AND chunk = c.number)
                 ORDER BY c.number LIMIT ?2",
            )?;
            let rows = query.query_map((set_of(db, job)?.number, limit as i64, after), |row| {
                let headings: Vec<String> = json(row, "heading_path")?;
                let (title, content): (String, String) = (row.get("title")?, row.get("content")?);
                Ok((row.get("number")?, in_context(&title, &headings, &content)))
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Stores vectors that `job` made in the time `worked`, and how far it is.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the job was cancelled.
    pub fn add_vectors(&self, job: Uuid, made: Vec<(u32, Vec<f32>)>, worked: Duration) -> Result<()> {
        self.commit(move |change| {
            jobs::expect_running(change, job)?;
            let set = set_of(change.db, job)?;
            jobs::add_work(change, job, made.len(), worked)?;
            for (number, vector) in made {
                let sql = "SELECT EXISTS (SELECT 1 FROM chunks WHERE number = ?1)";
                // One that was deleted while it was being embedded needs none any more.
                if change.db.prepare_cached(sql)?.query_row([number], |row| row.get(0))? {
                    vectors::insert(change.db, &set, number.into(), &vector)?;
                }
            }
            let (total, lacking) = (models::chunks(change.db)?, models::lacking(change.db, &set)?);
            jobs::set_progress(change, job, total, total.saturating_sub(lacking))?;
            Ok(())
        })
    }

    /// Lets searches use the vectors that `job` made, all of which are there, from one moment to the next. `false`
    /// where chunks came in meanwhile that still lack one.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the job was cancelled.
    pub fn switch_models(&self, job: Uuid) -> Result<bool> {
        let (set, is_active) = self.read(|db| {
            let set = set_of(db, job)?;
            let is_active = models::active(db)?.as_ref() == Some(&set);
            Ok((set, is_active))
        })?;
        if is_active {
            return self.renew_indexes().map(|()| true);
        }
        // Its index is made first, so that nobody waits for it.
        let next = Arc::new(VectorIndex::open(&self.layout.vectors(), set.clone()));
        let _writing = self.writing()?;
        if self.read(|db| models::lacking(db, &set))? > 0 {
            return Ok(false);
        }
        if let Err(error) = next.following.catch_up(&self.db, &*next) {
            // A chunk that came in this moment is no fault.
            return if self.read(|db| models::lacking(db, &set))? > 0 { Ok(false) } else { Err(error) };
        }
        let switched = self.commit(move |change| {
            jobs::expect_running(change, job)?;
            if models::lacking(change.db, &set)? > 0 {
                return Ok(false);
            }
            models::activate(change.db, &set)?;
            change.generation();
            Ok(true)
        })?;
        if switched {
            // Between two commits, so that it misses none.
            let _turn = self.commits.turn();
            next.following.follow(&self.db, &*next);
            *self.vectors.write().unwrap_or_else(PoisonError::into_inner) = next;
            self.sweep_vector_indexes();
        }
        Ok(switched)
    }

    /// Gives up the vectors that searches do not use: after this there is no way back to their model but the long one.
    ///
    /// # Errors
    /// [`Error::Conflict`] while the workspace is being reindexed, or where there are none.
    pub fn confirm_model(&self) -> Result<()> {
        self.commit(|change| {
            refuse_while_under_way(change.db)?;
            let active = models::active(change.db)?;
            let mut others = models::all(change.db)?;
            others.retain(|set| Some(set) != active.as_ref());
            if others.is_empty() {
                return Err(Error::Conflict("there are no other model's vectors".into()));
            }
            others.iter().try_for_each(|set| models::remove(change.db, set))
        })?;
        self.sweep_vector_indexes();
        Ok(())
    }

    /// The model from before the last change, whose vectors are kept until that is confirmed.
    pub fn previous_model(&self) -> Result<Option<ModelIdentity>> {
        self.read(|db| Ok(models::kept(db)?.map(|set| set.model)))
    }
}
