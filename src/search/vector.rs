//! The vector leg: nearest neighbours of the embedded question.

use std::collections::HashSet;

use roaring::RoaringBitmap;

use super::{Ranking, fusion};
use crate::embed::{Embedder, Purpose};
use crate::error::{Error, Result};
use crate::workspace::{Probe, Workspace};

/// A question whose vector is computed when it is first needed.
pub struct Query<'a> {
    text: &'a str,
    embedder: &'a dyn Embedder,
    vector: std::cell::OnceCell<Vec<f32>>,
}

impl<'a> Query<'a> {
    pub fn new(text: &'a str, embedder: &'a dyn Embedder) -> Self {
        Query { text, embedder, vector: std::cell::OnceCell::new() }
    }

    /// What is asked.
    pub fn text(&self) -> &str {
        self.text
    }

    /// What the text leg weighs for this question, as far as the model reads it.
    pub fn text_weight(&self) -> f32 {
        let letters = self.text.chars().filter(|c| c.is_alphanumeric()).count();
        fusion::text_weight(self.embedder.count_tokens(self.text), letters)
    }

    fn probe(&self) -> Result<Probe<'_>> {
        let model = &self.embedder.model().sha256;
        if let Some(vector) = self.vector.get() {
            return Ok(Probe { model, vector });
        }
        let vector = self.embedder.embed(&[self.text], Purpose::Query)?.pop();
        let vector = vector.ok_or_else(|| Error::Internal("the embedder gave no vector".into()))?;
        Ok(Probe { model, vector: self.vector.get_or_init(|| vector) })
    }

    /// The `limit` nearest chunks.
    pub fn nearest(&self, workspace: &Workspace, limit: usize, allowed: Option<&RoaringBitmap>) -> Result<Ranking> {
        // A query that only excludes asks for nothing.
        if self.text.trim().is_empty() {
            return Ok(Vec::new());
        }
        workspace.nearest_chunks(self.probe()?, limit, allowed)
    }

    /// `ranking` and the similarities of those in `others` that it lacks.
    pub fn completed(&self, workspace: &Workspace, ranking: &Ranking, others: &[(u32, f32)]) -> Result<Ranking> {
        let known: HashSet<u32> = ranking.iter().map(|(chunk, _)| *chunk).collect();
        let missing: Vec<u32> = others.iter().map(|(chunk, _)| *chunk).filter(|chunk| !known.contains(chunk)).collect();
        let mut completed = ranking.clone();
        completed.extend(workspace.similarities(self.probe()?, &missing)?);
        Ok(completed)
    }
}
