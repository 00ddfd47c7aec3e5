//! A cross-encoder: question and passage read together, one number out.
//!
//! It runs through fastembed, which knows how others export theirs: one pair at a time on a session with one thread, as
//! embeddings do, and always urgently, because somebody waits.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use fastembed::{RerankInitOptionsUserDefined, TextRerank, TokenizerFiles, UserDefinedRerankingModel};
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use serde_json::Value;

use super::export;
use super::pool::Pool;
use crate::error::{Error, Result};

/// The output that fastembed reads.
const OUTPUT: &str = "logits";
/// Models that begin to count positions behind their padding token, so that not all of them can be used.
const SHIFTED_POSITIONS: &[&str] = &["roberta", "xlm-roberta", "camembert"];

/// A loaded cross-encoder.
pub struct Reranker {
    name: String,
    engines: Pool<TextRerank>,
}

impl Reranker {
    /// Loads a directory as sentence-transformers exports a `CrossEncoder`. `models/README.md` tells operators what
    /// it must hold.
    pub(super) fn load(
        environment: &Environment,
        root: &Path,
        name: &str,
        sessions: usize,
    ) -> std::result::Result<Self, String> {
        let config = export::read(root, "config.json")?;
        let tokenizer_config = export::read(root, "tokenizer_config.json")?;
        let stated = export::json("config.json", &config)?;
        let labels = labels(&stated).unwrap_or(1);
        if labels != 1 {
            return Err(format!("config.json names {labels} labels; a reranker gives one number"));
        }
        let onnx = export::read(root, &export::onnx_file(root)?)?;
        check_output(environment, &onnx)?;
        let window = window(&stated, &export::json("tokenizer_config.json", &tokenizer_config)?)?;
        let tokenizer_files = TokenizerFiles {
            tokenizer_file: export::read(root, "tokenizer.json")?,
            config_file: config,
            special_tokens_map_file: export::special_tokens_map(root)?,
            tokenizer_config_file: tokenizer_config,
        };
        let engine = || {
            let model = UserDefinedRerankingModel::new(onnx.clone(), tokenizer_files.clone());
            let options = RerankInitOptionsUserDefined::new()
                .with_environment(environment.clone())
                .with_max_length(window)
                .with_intra_threads(1);
            TextRerank::try_new_from_user_defined(model, options).map_err(|e| e.to_string())
        };
        let engines = (0..sessions).map(|_| engine()).collect::<std::result::Result<Vec<_>, _>>()?;
        let reranker = Reranker { name: name.to_owned(), engines: Pool::new(engines) };
        reranker.score("Does it work?", "It works.").map_err(|e| e.to_string())?;
        Ok(reranker)
    }

    /// The name of its directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How well each of `passages` answers `question`, `0..=1`, in order: the sigmoid of what the model gives. What is
    /// longer than its window is cut at the end. Blocks.
    ///
    /// # Errors
    /// [`Error::Internal`] when the runtime fails or the model gives no number.
    pub fn scores(&self, question: &str, passages: &[String]) -> Result<Vec<f32>> {
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, Result<f32>)>> = Mutex::new(Vec::with_capacity(passages.len()));
        let work = || {
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(passage) = passages.get(place) else { return };
                let score = self.score(question, passage);
                done.lock().unwrap_or_else(PoisonError::into_inner).push((place, score));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.engines.size().min(passages.len()) {
                scope.spawn(work);
            }
            work();
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, score)| score).collect()
    }

    fn score(&self, question: &str, passage: &str) -> Result<f32> {
        let ranked = self.engines.take_urgently().rerank(question, [passage], false, Some(1));
        let logit = ranked.map_err(|e| Error::internal("reranking", e))?.first().map(|result| result.score);
        let logit = logit.filter(|logit| !logit.is_nan());
        logit.map(sigmoid).ok_or_else(|| Error::Internal("the reranking model gave no number".into()))
    }
}

impl std::fmt::Debug for Reranker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reranker").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether a directory's `config.json` is a classifier's, as a cross-encoder is one with a single label.
pub(super) fn is_reranker(root: &Path) -> bool {
    let Ok(bytes) = export::read(root, "config.json") else { return false };
    let Ok(config) = export::json("config.json", &bytes) else { return false };
    match config["architectures"].as_array() {
        Some(names) if !names.is_empty() => {
            names.iter().filter_map(Value::as_str).any(|name| name.ends_with("ForSequenceClassification"))
        }
        _ => labels(&config) == Some(1),
    }
}

/// How many numbers a classifier gives, where its configuration says so.
fn labels(config: &Value) -> Option<u64> {
    let listed = config["id2label"].as_object().map(|labels| labels.len() as u64);
    listed.or_else(|| config["num_labels"].as_u64())
}

/// Tokens that a pair may have.
fn window(config: &Value, tokenizer_config: &Value) -> std::result::Result<usize, String> {
    let shifted = config["model_type"].as_str().is_some_and(|kind| SHIFTED_POSITIONS.contains(&kind));
    let lost = if shifted { config["pad_token_id"].as_f64().unwrap_or(1.0) + 1.0 } else { 0.0 };
    let positions = config["max_position_embeddings"].as_f64().map(|positions| positions - lost);
    let longest = tokenizer_config["model_max_length"].as_f64();
    let window = positions.into_iter().chain(longest).fold(f64::INFINITY, f64::min);
    // Below, not even the special tokens of a pair leave room for text; the maximum is astronomic where it was not stated.
    match (8.0..1e6).contains(&window) {
        true => Ok(window as usize),
        false => Err("neither config.json nor tokenizer_config.json states its window".to_owned()),
    }
}

/// Looks at the model before fastembed does, which panics where the output has not the shape that it reads.
fn check_output(environment: &Environment, onnx: &[u8]) -> std::result::Result<(), String> {
    let open = || -> std::result::Result<Session, String> {
        let builder = Session::builder(environment).map_err(|e| e.to_string())?;
        let builder = builder.with_optimization_level(GraphOptimizationLevel::Disable).map_err(|e| e.to_string())?;
        let mut builder = builder.with_intra_threads(1).map_err(|e| e.to_string())?;
        builder.commit_from_memory(onnx).map_err(|e| e.to_string())
    };
    let session = open().map_err(|why| format!("its ONNX file is damaged: {why}"))?;
    let output = session.outputs().iter().find(|output| output.name() == OUTPUT);
    let shape = output.and_then(|output| output.dtype().tensor_shape());
    match shape.map(|shape| &**shape) {
        Some([_, 1 | -1]) => Ok(()),
        Some(shape) => Err(format!("its output `{OUTPUT}` has the shape {shape:?} and not one number for a pair")),
        None => Err(format!("it has no output `{OUTPUT}`")),
    }
}

fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_window_is_the_smaller_of_what_model_and_tokenizer_take() {
        let of = |config, tokenizer| window(&config, &tokenizer);
        assert_eq!(of(json!({"max_position_embeddings": 512}), json!({"model_max_length": 1e30})), Ok(512));
        assert_eq!(of(json!({"max_position_embeddings": 512}), json!({"model_max_length": 128})), Ok(128));
        let roberta = json!({"max_position_embeddings": 514, "model_type": "xlm-roberta", "pad_token_id": 1});
        assert_eq!(of(roberta, json!({})), Ok(512));
        assert!(of(json!({}), json!({"model_max_length": 1e30})).is_err());
        assert!(of(json!({"max_position_embeddings": 2}), json!({})).is_err());
    }
}
