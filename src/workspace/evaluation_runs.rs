//! Runs of evaluation sets: how well searches found what was expected, and under what conditions.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::evaluations::Absent;
use super::{Workspace, id, json, to_json};
use crate::error::{Error, Result};

/// Runs of a set that are kept.
const KEPT: usize = 100;
/// Runs of a set whose questions are kept one by one.
const KEPT_IN_DETAIL: usize = 10;

/// How good a ranking is, or many are on average; or the difference of two such.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Normalised discounted cumulative gain of the first `k`.
    pub ndcg: f64,
    /// Share of what was expected among the first `k`.
    pub recall: f64,
    /// One divided by the place of the first good one among the first `k`, 0 without one.
    pub reciprocal_rank: f64,
    /// Whether the very first is a good one.
    pub success_at_1: f64,
}

/// What a run ran with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    /// The weight that was asked for; `None` for the product's own choice.
    pub text_weight: Option<f32>,
    /// The name of what reranked the fused hits.
    #[serde(default)]
    pub reranker: Option<String>,
    pub embedding_model: String,
    /// SHA-256 of the model.
    pub model_sha256: String,
    pub generation: u64,
    pub documents: u64,
    pub chunks: u64,
    pub carrel_version: String,
}

/// How each leg did on a question, by the leg's name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    pub question_id: Uuid,
    pub legs: BTreeMap<String, Figures>,
}

/// A set put to the searches once.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub id: Uuid,
    /// Hits that were looked at.
    pub k: usize,
    pub conditions: Conditions,
    /// The mean over the questions, by the leg's name.
    pub legs: BTreeMap<String, Figures>,
    pub absent: Vec<Absent>,
    pub question_count: u64,
    pub duration_ms: u64,
    /// `None` for an old run, or where it was not asked for.
    pub questions: Option<Vec<Answered>>,
    pub created_at: String,
}

/// All columns but `questions`, which is large.
const COLUMNS: &str = "id, k, conditions, legs, absent, question_count, duration_ms, created_at";

fn read(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        id: id(row, "id")?,
        k: row.get("k")?,
        conditions: json(row, "conditions")?,
        legs: json(row, "legs")?,
        absent: json(row, "absent")?,
        question_count: row.get("question_count")?,
        duration_ms: row.get("duration_ms")?,
        questions: None,
        created_at: row.get("created_at")?,
    })
}

fn read_in_detail(row: &Row<'_>) -> rusqlite::Result<Run> {
    let detailed = row.get_ref("questions")? != rusqlite::types::ValueRef::Null;
    let questions = if detailed { Some(json(row, "questions")?) } else { None };
    Ok(Run { questions, ..read(row)? })
}

/// The last run of a set, without its questions.
pub(super) fn last(db: &Connection, evaluation: Uuid) -> Result<Option<Run>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM evaluation_runs WHERE evaluation_id = ?1 ORDER BY number DESC LIMIT 1"
    ))?;
    Ok(query.query_row([evaluation.to_string()], read).optional()?)
}

impl Workspace {
    /// Stores a run of a set; of the oldest ones gives up first the questions, then all.
    pub fn put_evaluation_run(&self, evaluation: Uuid, run: &Run) -> Result<()> {
        self.write(|tx| {
            let set = evaluation.to_string();
            let is_there = "SELECT EXISTS (SELECT 1 FROM evaluations WHERE id = ?1)";
            if !tx.query_row(is_there, [&set], |row| row.get(0))? {
                return Err(Error::NotFound("evaluation"));
            }
            tx.execute(
                &format!(
                    "INSERT INTO evaluation_runs ({COLUMNS}, questions, evaluation_id)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
                ),
                rusqlite::params![
                    run.id.to_string(),
                    run.k as i64,
                    to_json(&run.conditions)?,
                    to_json(&run.legs)?,
                    to_json(&run.absent)?,
                    run.question_count as i64,
                    run.duration_ms as i64,
                    run.created_at,
                    run.questions.as_ref().map(to_json).transpose()?,
                    set,
                ],
            )?;
            let older = "number <= (SELECT number FROM evaluation_runs WHERE evaluation_id = ?1
                                    ORDER BY number DESC LIMIT 1 OFFSET ?2)";
            let forget = format!(
                "UPDATE evaluation_runs SET questions = NULL
                                  WHERE evaluation_id = ?1 AND questions IS NOT NULL AND {older}"
            );
            tx.execute(&forget, (&set, KEPT_IN_DETAIL as i64))?;
            let delete = format!("DELETE FROM evaluation_runs WHERE evaluation_id = ?1 AND {older}");
            tx.execute(&delete, (&set, KEPT as i64))?;
            Ok(())
        })
    }

    /// A run of a set, with its questions where they are still known.
    pub fn evaluation_run(&self, evaluation: Uuid, run: Uuid) -> Result<Run> {
        let found = self.read(|db| {
            let sql = "SELECT * FROM evaluation_runs WHERE evaluation_id = ?1 AND id = ?2";
            Ok(db.query_row(sql, (evaluation.to_string(), run.to_string()), read_in_detail).optional()?)
        })?;
        found.ok_or(Error::NotFound("run"))
    }

    /// The run before `run` that looked at as many hits, where its questions are still known.
    pub fn evaluation_run_before(&self, evaluation: Uuid, run: &Run) -> Result<Option<Run>> {
        self.read(|db| {
            let sql = "SELECT * FROM evaluation_runs WHERE evaluation_id = ?1 AND k = ?3 AND questions IS NOT NULL
                       AND number < (SELECT number FROM evaluation_runs WHERE id = ?2) ORDER BY number DESC LIMIT 1";
            let values = (evaluation.to_string(), run.id.to_string(), run.k as i64);
            Ok(db.query_row(sql, values, read_in_detail).optional()?)
        })
    }

    /// A page of a set's runs without their questions, newest first, and how many there are.
    pub fn evaluation_runs(&self, evaluation: Uuid, limit: usize, offset: usize) -> Result<(Vec<Run>, u64)> {
        self.read(|db| {
            let set = evaluation.to_string();
            let is_there = "SELECT EXISTS (SELECT 1 FROM evaluations WHERE id = ?1)";
            if !db.query_row(is_there, [&set], |row| row.get(0))? {
                return Err(Error::NotFound("evaluation"));
            }
            let count = "SELECT count(*) FROM evaluation_runs WHERE evaluation_id = ?1";
            let total = db.query_row(count, [&set], |row| row.get(0))?;
            let mut query = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM evaluation_runs WHERE evaluation_id = ?1 ORDER BY number DESC LIMIT ?2 OFFSET ?3"
            ))?;
            let rows = query.query_map((&set, limit as i64, offset as i64), read)?;
            Ok((rows.collect::<rusqlite::Result<_>>()?, total))
        })
    }
}
