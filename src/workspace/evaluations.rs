//! Evaluation sets: questions, each with what a search should find for it.
//!
//! Within a set a question is known by its words: storing the same words again changes what is expected and keeps
//! the id, so that runs before and after can be compared. Nothing here refers to a row of a document: a set outlives
//! the documents that it asks for.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Workspace, evaluation_runs, id, json, to_json};
use crate::clock;
use crate::error::{Error, Result};

/// Questions of a set at most: a run asks each of them several times.
pub const MOST_QUESTIONS: usize = 2000;
/// Bytes of the questions of a set at most, with what they expect: a run holds all of it.
pub const LARGEST: usize = 8 << 20;
/// Sets of a workspace at most.
const MOST_SETS: usize = 100;

/// A set without its questions.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    pub id: Uuid,
    /// No two sets of a workspace have the same.
    pub name: String,
    pub question_count: u64,
    pub last_run: Option<evaluation_runs::Run>,
    pub created_at: String,
    pub updated_at: String,
}

/// A question that is ready to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub question: String,
    pub expected: Vec<Expectation>,
}

/// A question of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub id: Uuid,
    pub question: String,
    pub expected: Vec<Expectation>,
}

/// Something that should be found: a document, a passage, or a passage of a document.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Expectation {
    pub source: Option<String>,
    pub document_id: Option<Uuid>,
    pub passage: Option<String>,
    /// How much it matters beside the others, from 1.
    pub grade: u32,
}

/// A document that a question expects and the workspace does not hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Absent {
    pub source: Option<String>,
    pub document_id: Option<Uuid>,
    /// Questions that expect it.
    pub questions: u64,
}

const COLUMNS: &str = "e.id, e.name, e.created_at, e.updated_at,
                       (SELECT count(*) FROM evaluation_questions q WHERE q.evaluation_id = e.id) AS question_count";

fn read(row: &Row<'_>) -> rusqlite::Result<Evaluation> {
    Ok(Evaluation {
        id: id(row, "id")?,
        name: row.get("name")?,
        question_count: row.get("question_count")?,
        last_run: None,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

fn read_question(row: &Row<'_>) -> rusqlite::Result<Question> {
    Ok(Question { id: id(row, "id")?, question: row.get("question")?, expected: json(row, "expected")? })
}

fn find(db: &Connection, evaluation: Uuid) -> Result<Evaluation> {
    let mut query = db.prepare_cached(&format!("SELECT {COLUMNS} FROM evaluations e WHERE e.id = ?1"))?;
    let found = query.query_row([evaluation.to_string()], read).optional()?.ok_or(Error::NotFound("evaluation"))?;
    Ok(Evaluation { last_run: evaluation_runs::last(db, evaluation)?, ..found })
}

fn touch(db: &Connection, evaluation: Uuid) -> Result<()> {
    let changed =
        db.execute("UPDATE evaluations SET updated_at = ?2 WHERE id = ?1", (evaluation.to_string(), clock::now()))?;
    if changed == 0 { Err(Error::NotFound("evaluation")) } else { Ok(()) }
}

/// Stores a question, new or in the place of the one with the same words. Whether it is new.
fn put_question(db: &Connection, evaluation: Uuid, draft: &Draft) -> Result<bool> {
    let (set, expected) = (evaluation.to_string(), to_json(&draft.expected)?);
    let changed = db
        .prepare_cached("UPDATE evaluation_questions SET expected = ?3 WHERE evaluation_id = ?1 AND question = ?2")?
        .execute((&set, &draft.question, &expected))?;
    if changed == 0 {
        db.prepare_cached(
            "INSERT INTO evaluation_questions (id, evaluation_id, question, expected) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((Uuid::now_v7().to_string(), &set, &draft.question, &expected))?;
    }
    Ok(changed == 0)
}

/// Whether a set is no larger than it may be.
fn fits(db: &Connection, evaluation: Uuid) -> Result<bool> {
    let sql = "SELECT ifnull(sum(octet_length(question) + octet_length(expected)), 0) <= ?2
               FROM evaluation_questions WHERE evaluation_id = ?1";
    Ok(db.query_row(sql, (evaluation.to_string(), LARGEST as i64), |row| row.get(0))?)
}

impl Workspace {
    /// Stores a set under its name; one that has the name already gets these questions for its own, and keeps its
    /// runs. Whether it is new.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the workspace has as many sets as it may; [`Error::Validation`] for questions that
    /// are too large together.
    pub fn put_evaluation(&self, name: &str, questions: &[Draft]) -> Result<(Evaluation, bool)> {
        self.write(|tx| {
            let now = clock::now();
            let holder = tx.query_row("SELECT id FROM evaluations WHERE name = ?1", [name], |row| id(row, "id"));
            let holder = holder.optional()?;
            let set = holder.unwrap_or_else(Uuid::now_v7);
            match holder {
                Some(_) => touch(tx, set)?,
                None => {
                    let sets: u64 = tx.query_row("SELECT count(*) FROM evaluations", [], |row| row.get(0))?;
                    if sets >= MOST_SETS as u64 {
                        let full = format!("the workspace has {MOST_SETS} evaluation sets, the most it may have");
                        return Err(Error::Conflict(full));
                    }
                    tx.execute("INSERT INTO evaluations VALUES (?1, ?2, ?3, ?3)", (set.to_string(), name, now))?;
                }
            }
            let kept: HashSet<&str> = questions.iter().map(|draft| draft.question.as_str()).collect();
            let before: Vec<(i64, String)> = tx
                .prepare("SELECT number, question FROM evaluation_questions WHERE evaluation_id = ?1")?
                .query_map([set.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            for (number, _) in before.iter().filter(|(_, question)| !kept.contains(question.as_str())) {
                tx.execute("DELETE FROM evaluation_questions WHERE number = ?1", [number])?;
            }
            questions.iter().try_for_each(|draft| put_question(tx, set, draft).map(drop))?;
            if !fits(tx, set)? {
                let right = format!("must have at most {LARGEST} bytes, with what they expect");
                return Err(Error::invalid("questions", right));
            }
            Ok((find(tx, set)?, holder.is_none()))
        })
    }

    /// Stores a question of a set, new or in the place of the one with the same words. Whether it is new.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the set is full.
    pub fn put_evaluation_question(&self, evaluation: Uuid, draft: &Draft) -> Result<(Question, bool)> {
        self.write(|tx| {
            touch(tx, evaluation)?;
            let is_new = put_question(tx, evaluation, draft)?;
            if find(tx, evaluation)?.question_count > MOST_QUESTIONS as u64 {
                return Err(Error::Conflict(format!("the set has {MOST_QUESTIONS} questions, the most it may have")));
            }
            if !fits(tx, evaluation)? {
                return Err(Error::Conflict(format!("the set would have more than {LARGEST} bytes")));
            }
            let sql = "SELECT * FROM evaluation_questions WHERE evaluation_id = ?1 AND question = ?2";
            Ok((tx.query_row(sql, (evaluation.to_string(), &draft.question), read_question)?, is_new))
        })
    }

    pub fn delete_evaluation_question(&self, evaluation: Uuid, question: Uuid) -> Result<()> {
        self.write(|tx| {
            touch(tx, evaluation)?;
            let sql = "DELETE FROM evaluation_questions WHERE evaluation_id = ?1 AND id = ?2";
            match tx.execute(sql, (evaluation.to_string(), question.to_string()))? {
                0 => Err(Error::NotFound("question")),
                _ => Ok(()),
            }
        })
    }

    /// A set with its questions, in the order they came.
    pub fn evaluation(&self, evaluation: Uuid) -> Result<(Evaluation, Vec<Question>)> {
        self.read(|db| {
            let found = find(db, evaluation)?;
            let sql = "SELECT * FROM evaluation_questions WHERE evaluation_id = ?1 ORDER BY number";
            let mut query = db.prepare_cached(sql)?;
            let questions = query.query_map([evaluation.to_string()], read_question)?;
            Ok((found, questions.collect::<rusqlite::Result<_>>()?))
        })
    }

    /// A page of the sets by name, or the one called `name`, and how many there are.
    pub fn evaluations(&self, name: Option<&str>, limit: usize, offset: usize) -> Result<(Vec<Evaluation>, u64)> {
        self.read(|db| {
            let count = "SELECT count(*) FROM evaluations WHERE name = ifnull(?1, name)";
            let total = db.query_row(count, [name], |row| row.get(0))?;
            let mut query = db.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM evaluations e WHERE e.name = ifnull(?1, e.name) ORDER BY e.name LIMIT ?2 OFFSET ?3"
            ))?;
            let rows = query.query_map((name, limit as i64, offset as i64), read)?;
            let sets: Vec<Evaluation> = rows.collect::<rusqlite::Result<_>>()?;
            let with_run = |set: Evaluation| Ok(Evaluation { last_run: evaluation_runs::last(db, set.id)?, ..set });
            Ok((sets.into_iter().map(with_run).collect::<Result<_>>()?, total))
        })
    }

    /// Deletes a set with its questions and runs.
    pub fn delete_evaluation(&self, evaluation: Uuid) -> Result<()> {
        match self.write(|tx| Ok(tx.execute("DELETE FROM evaluations WHERE id = ?1", [evaluation.to_string()])?))? {
            0 => Err(Error::NotFound("evaluation")),
            _ => Ok(()),
        }
    }

    /// The documents that `questions` expect and that are not here.
    pub fn absent_documents(&self, questions: &[Question]) -> Result<Vec<Absent>> {
        let mut named: BTreeMap<(&Option<String>, Option<Uuid>), u64> = BTreeMap::new();
        for question in questions {
            let of_question = question.expected.iter().map(|expected| (&expected.source, expected.document_id));
            let of_question: BTreeSet<_> = of_question.collect();
            of_question.into_iter().for_each(|document| *named.entry(document).or_default() += 1);
        }
        self.read(|db| {
            let mut by_source = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM documents WHERE source = ?1)")?;
            let mut by_id = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM documents WHERE id = ?1)")?;
            let mut absent = Vec::new();
            for ((source, document_id), questions) in named {
                let is_here = match (source, document_id) {
                    (Some(source), _) => by_source.query_row([source], |row| row.get(0))?,
                    (None, Some(document)) => by_id.query_row([document.to_string()], |row| row.get(0))?,
                    (None, None) => true,
                };
                if !is_here {
                    absent.push(Absent { source: source.clone(), document_id, questions });
                }
            }
            Ok(absent)
        })
    }
}
