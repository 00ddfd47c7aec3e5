//! Is it whole? What must be true of a directory, looked at from the truth outwards: the database's structure, its
//! rows, their text and vectors, the originals, the index.
//!
//! The same questions are asked of an open workspace and of a directory that came from somewhere.

use std::collections::HashSet;
use std::path::Path;

use roaring::RoaringBitmap;
use rusqlite::{Connection, OptionalExtension};

use super::follow::IndexState;
use super::layout::{Layout, Sum};
use super::{Workspace, json, meta, models, schema, vectors};
use crate::digest::{sha256, short_sum};
use crate::error::Result;
use crate::sqlite;

/// Findings of one kind that are named one by one.
const NAMED: usize = 20;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about: `database`, `documents`, `chunks`, `vectors`, `originals` or `index`.
    pub part: &'static str,
    pub problem: String,
    /// Whether it was put right.
    pub repaired: bool,
}

/// What a check came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub generation: u64,
    pub documents: u64,
    pub chunks: u64,
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is left that is not as it should be.
    pub fn is_whole(&self) -> bool {
        self.findings.iter().all(|finding| finding.repaired)
    }
}

/// Collects findings of one part, and counts those that it does not name.
struct Findings<'a> {
    all: &'a mut Vec<Finding>,
    part: &'static str,
    more: usize,
    named: usize,
}

impl<'a> Findings<'a> {
    fn of(part: &'static str, all: &'a mut Vec<Finding>) -> Self {
        Findings { all, part, more: 0, named: 0 }
    }

    fn add(&mut self, problem: impl Into<String>) {
        if self.named < NAMED {
            self.named += 1;
            self.all.push(Finding { part: self.part, problem: problem.into(), repaired: false });
        } else {
            self.more += 1;
        }
    }
}

impl Drop for Findings<'_> {
    fn drop(&mut self) {
        if self.more > 0 {
            let problem = format!("and {} more of the kind", self.more);
            self.all.push(Finding { part: self.part, problem, repaired: false });
        }
    }
}

/// The originals that documents and jobs refer to.
pub fn referenced_originals(db: &Connection) -> Result<HashSet<String>> {
    let mut query = db.prepare("SELECT content_hash FROM documents UNION SELECT sha256 FROM job_items")?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// What is wrong with the truth itself. Reads all of it.
pub(super) fn check_truth(db: &Connection, layout: &Layout) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    check_structure(db, &mut found)?;
    // Rows of a file whose structure is broken tell nothing.
    if found.is_empty()
        && let Err(error) = check_rows(db, layout, &mut found)
    {
        found.push(Finding { part: "database", problem: error.to_string(), repaired: false });
    }
    Ok(found)
}

fn check_rows(db: &Connection, layout: &Layout, found: &mut Vec<Finding>) -> Result<()> {
    check_tallies(db, found)?;
    check_documents(db, found)?;
    check_vectors(db, found)?;
    check_originals(db, layout, found)
}

fn check_structure(db: &Connection, found: &mut Vec<Finding>) -> Result<()> {
    let mut findings = Findings::of("database", found);
    let expected = schema::programs()?;
    for program in sqlite::programs(db).unwrap_or_default().difference(&expected) {
        let start: String = program.chars().take(80).collect();
        findings.add(format!("it holds a program that Carrel did not write: {start}"));
    }
    sqlite::damage(db, true).into_iter().for_each(|line| findings.add(line));
    Ok(())
}

fn check_tallies(db: &Connection, found: &mut Vec<Finding>) -> Result<()> {
    let mut findings = Findings::of("database", found);
    let mut query = db.prepare("SELECT name, rows FROM tallies")?;
    let tallies: Vec<(String, u64)> =
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
    for (table, expected) in tallies.iter().filter(|(table, _)| schema::COUNTED.contains(&table.as_str())) {
        let rows: u64 = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        if rows != *expected {
            findings.add(format!("{table} has {rows} rows and should have {expected}"));
        }
    }
    Ok(())
}

fn check_documents(db: &Connection, found: &mut Vec<Finding>) -> Result<()> {
    let mut findings = Findings::of("documents", found);
    let mut documents = db.prepare("SELECT number, source, content, content_sum, chunk_count FROM documents")?;
    let mut chunks = db.prepare(
        "SELECT position, content, start, \"end\", heading_path FROM chunks WHERE document = ?1 ORDER BY position",
    )?;
    let mut rows = documents.query([])?;
    while let Some(row) = rows.next()? {
        let (number, source): (i64, String) = (row.get(0)?, row.get(1)?);
        let (content, sum): (String, Option<String>) = (row.get(2)?, row.get(3)?);
        if sum.is_some_and(|sum| sum != sha256(content.as_bytes())) {
            findings.add(format!("{source}: its text is another than was stored"));
        }
        let mut pieces = chunks.query([number])?;
        let mut count: u64 = 0;
        while let Some(piece) = pieces.next()? {
            let (position, text): (u64, String) = (piece.get(0)?, piece.get(1)?);
            let (start, end): (usize, usize) = (piece.get(2)?, piece.get(3)?);
            let stands = content.get(start..end) == Some(text.as_str());
            if position != count || !stands || json::<Vec<String>>(piece, "heading_path").is_err() {
                findings.add(format!("{source}: chunk {position} does not stand where it says"));
            }
            count += 1;
        }
        if count != row.get::<_, u64>(4)? {
            findings.add(format!("{source}: it has {count} chunks and should have {}", row.get::<_, u64>(4)?));
        }
    }
    Ok(())
}

fn check_vectors(db: &Connection, found: &mut Vec<Finding>) -> Result<()> {
    let mut findings = Findings::of("vectors", found);
    let numbers = |sql: &str| -> Result<RoaringBitmap> {
        let mut query = db.prepare(sql)?;
        Ok(query.query_map([], |row| row.get::<_, u32>(0))?.collect::<rusqlite::Result<_>>()?)
    };
    let chunks = numbers("SELECT number FROM chunks")?;
    let active = models::active(db)?.map(|set| set.number);
    for set in models::all(db)? {
        let stored = numbers(&format!("SELECT rowid FROM {}_rowids", set.table()))?;
        // Another set may be on its way to have them all.
        if Some(set.number) == active {
            (&chunks - &stored).iter().for_each(|number| findings.add(format!("chunk {number} has none")));
        }
        (&stored - &chunks).iter().for_each(|number| findings.add(format!("number {number} belongs to no chunk")));
        let mut sums = db.prepare("SELECT sum FROM vector_sums WHERE model = ?1 AND chunk = ?2")?;
        vectors::each(db, &set, |number, blob| {
            // Vectors from before there were sums have none.
            let sum = sums.query_row((set.number, number), |row| row.get::<_, Option<i64>>(0)).optional();
            if !sum.is_ok_and(|sum| sum.is_some_and(|sum| sum.is_none_or(|sum| sum == short_sum(blob)))) {
                findings.add(format!("that of chunk {number} is another than was stored"));
            }
        })?;
    }
    Ok(())
}

fn check_originals(db: &Connection, layout: &Layout, found: &mut Vec<Finding>) -> Result<()> {
    let mut findings = Findings::of("originals", found);
    let mut referenced: Vec<String> = referenced_originals(db)?.into_iter().collect();
    referenced.sort();
    for original in referenced {
        match Sum::of(&layout.file(&original)?) {
            Ok(sum) if sum.sha256 == original => {}
            Ok(_) => findings.add(format!("{original} holds other bytes than its name says")),
            Err(_) => findings.add(format!("{original} is missing")),
        }
    }
    Ok(())
}

/// Looks at a directory that cannot be opened, because of `why`, without changing it.
pub fn check_directory(root: &Path, why: String) -> Result<Report> {
    let layout = Layout::new(root);
    let mut findings = vec![Finding { part: "database", problem: why, repaired: false }];
    let looked = sqlite::peek(&layout.database(), |db| check_truth(db, &layout));
    match looked {
        Ok(found) => findings.extend(found),
        Err(error) => {
            let problem = format!("knowledge.db cannot be read: {error}");
            findings.push(Finding { part: "database", problem, repaired: false });
        }
    }
    Ok(Report { generation: 0, documents: 0, chunks: 0, findings })
}

impl Workspace {
    /// Looks whether everything is as it should be; with `repair` makes anew what is derived. Reads all there is.
    ///
    /// # Errors
    /// Where the workspace cannot be read at all; what is wrong with what can be read is in the report.
    pub fn check(&self, repair: bool) -> Result<Report> {
        let mut report = self.db.read(|db| {
            // One view for all questions.
            let db = db.unchecked_transaction()?;
            let count = |sql| db.query_row(sql, [], |row| row.get::<_, u64>(0));
            let findings = check_truth(&db, &self.layout)?;
            let rows = |sql| count(sql).unwrap_or(0);
            let (documents, chunks) = (rows("SELECT count(*) FROM documents"), rows("SELECT count(*) FROM chunks"));
            Ok(Report { generation: meta(&db, "generation").unwrap_or(0), documents, chunks, findings })
        })?;
        let damaged = report.findings.iter().find(|finding| finding.part == "database");
        match damaged {
            Some(finding) => {
                self.close_to_everyone(&finding.problem);
            }
            None => {
                self.check_index(repair, &mut report)?;
                if self.has_changed_at_rest()? {
                    let problem = "its bytes are not those of its last rest, though nothing was written".to_owned();
                    report.findings.push(Finding { part: "database", problem, repaired: false });
                }
            }
        }
        Ok(report)
    }

    fn check_index(&self, repair: bool, report: &mut Report) -> Result<()> {
        // One that could not follow a commit for want of room or by a fault of the disk is late, not wrong.
        if let Err(error) = self.catch_up_if_behind() {
            tracing::warn!(workspace.id = %self.id(), %error, "the full-text index does not follow");
        }
        let problem = {
            // Between two commits, so that index and truth can be compared.
            let _turn = self.commits.turn();
            self.index_problem()?
        };
        if let Some(problem) = problem {
            let problem = problem.to_owned();
            if repair {
                self.rebuild_index()?;
                self.rebuild_vector_index()?;
            }
            let repaired = repair && self.index_problem()?.is_none();
            report.findings.push(Finding { part: "index", problem, repaired });
        }
        Ok(())
    }

    fn index_problem(&self) -> Result<Option<&'static str>> {
        if !self.fulltext().is_whole() {
            return Ok(Some("files of the full-text index are damaged"));
        }
        let chunks: RoaringBitmap = self.db.read(|db| {
            let mut query = db.prepare("SELECT number FROM chunks")?;
            Ok(query.query_map([], |row| row.get::<_, u32>(0))?.collect::<rusqlite::Result<_>>()?)
        })?;
        let indexed = self.fulltext().chunks();
        let same = indexed.is_ok_and(|indexed| indexed == chunks) && self.fulltext().stamp().is_ok();
        if !same {
            return Ok(Some("the full-text index holds other chunks than the database"));
        }
        let vectors = self.vectors();
        if vectors.following.state() != IndexState::Ready {
            // The truth is asked in its place.
            return Ok(None);
        }
        if !vectors.knn.is_whole() {
            return Ok(Some("files of the vector index are damaged"));
        }
        let same = vectors.knn.chunks() == chunks;
        Ok((!same).then_some("the vector index holds other chunks than the database"))
    }
}
