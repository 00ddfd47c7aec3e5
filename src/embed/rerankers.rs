//! Which of the models that an operator brought reranks.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;

use super::models::is_name;
use super::reranker::{Reranker, is_reranker};
use crate::error::{Error, Result};

/// The field of a search that asks for reranking.
const FIELD: &str = "rerank";

/// The rerankers of this machine; one is used, and loaded when it first is.
pub struct Rerankers {
    environment: &'static Environment,
    directory: PathBuf,
    sessions: usize,
    /// The one that the operator named; empty for the only one there is.
    chosen: String,
    loaded: Mutex<Option<Arc<Reranker>>>,
}

impl Rerankers {
    pub fn new(environment: &'static Environment, directory: PathBuf, sessions: usize) -> Self {
        Rerankers { environment, directory, sessions, chosen: String::new(), loaded: Mutex::default() }
    }

    /// Uses the one of this name, or, where it is empty, the only one there is.
    ///
    /// # Errors
    /// [`Error::Validation`] where none has the name: a setting that means nothing is worth a failed start.
    pub fn choose(&mut self, name: &str) -> Result<()> {
        let names = self.names();
        if name.is_empty() || names.iter().any(|known| known == name) {
            self.chosen = name.to_owned();
            return Ok(());
        }
        let known =
            if names.is_empty() { "there is none".to_owned() } else { format!("there are: {}", names.join(", ")) };
        Err(Error::invalid("reranker", format!("names no reranking model in the folder of models; {known}")))
    }

    /// The names of all rerankers, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| is_name(name) && is_reranker(&self.directory.join(name)));
        names.sort();
        names
    }

    /// The one that is used. Blocks while it is loaded for the first time.
    ///
    /// # Errors
    /// [`Error::Validation`] where there is none, or there are several and none is named; [`Error::Unavailable`] where
    /// it cannot be loaded.
    pub fn get(&self) -> Result<Arc<Reranker>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reranker) = loaded.as_ref() {
            return Ok(reranker.clone());
        }
        let name = self.name()?;
        let reranker = Reranker::load(self.environment, &self.directory.join(&name), &name, self.sessions)
            .map_err(|why| Error::Unavailable(format!("the reranking model {name} cannot be loaded: {why}")))?;
        Ok(loaded.insert(Arc::new(reranker)).clone())
    }

    fn name(&self) -> Result<String> {
        if !self.chosen.is_empty() {
            return Ok(self.chosen.clone());
        }
        match self.names().as_slice() {
            [only] => Ok(only.clone()),
            [] => Err(Error::invalid(
                FIELD,
                "needs a reranking model, and there is none; the operator can put a cross-encoder's ONNX export into the \
                 folder of models",
            )),
            several => Err(Error::invalid(
                FIELD,
                format!(
                    "needs a reranking model, and there are several ({}); the operator's setting `reranker` must name \
                     one",
                    several.join(", ")
                ),
            )),
        }
    }
}
