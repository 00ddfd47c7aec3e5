//! A model that is loaded: its tokenizer and its sessions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokenizers::{Encoding, Tokenizer};

use super::engine::Engine;
use super::pool::Pool;
use super::{Embedder, ModelInfo, Purpose};
use crate::error::{Error, Result};

/// Words that a model wants before a text, by purpose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompts {
    pub query: String,
    pub passage: String,
}

/// A loaded model.
pub struct Model {
    info: ModelInfo,
    tokenizer: Tokenizer,
    prompts: Prompts,
    engines: Pool<Engine>,
}

impl Model {
    /// `window` is what the model takes at most, in tokens with its own special ones; `sha256` is its ONNX file's.
    pub fn new(
        name: &str,
        sha256: String,
        window: usize,
        mut tokenizer: Tokenizer,
        prompts: Prompts,
        engines: Vec<Engine>,
    ) -> Result<Self> {
        // Exports carry whatever truncation and padding their maker last used.
        tokenizer.with_truncation(None).map_err(|e| Error::internal("tokenizer", e))?;
        tokenizer.with_padding(None);
        let count = |text: &str, special| tokenizer.encode_fast(text, special).map_or(0, |encoding| encoding.len());
        let special = count("", true);
        let prompt = count(&prompts.query, false).max(count(&prompts.passage, false));
        let max_tokens = window.saturating_sub(special + prompt).max(1);
        let info = ModelInfo { name: name.to_owned(), dimension: 0, sha256, max_tokens };
        let mut model = Model { info, tokenizer, prompts, engines: Pool::new(engines) };
        model.info.dimension = model.window("dimension", Purpose::Query)?.len();
        Ok(model)
    }

    fn encode(&self, text: &str) -> Result<Encoding> {
        self.tokenizer.encode_fast(text, true).map_err(|e| Error::internal("tokenizer", e))
    }

    /// The sum of the hidden states of a text that fits the window.
    fn window(&self, text: &str, purpose: Purpose) -> Result<Vec<f32>> {
        let prompt = match purpose {
            Purpose::Query => &self.prompts.query,
            Purpose::Passage => &self.prompts.passage,
        };
        let text = format!("{prompt}{text}");
        self.engines.take().run(&text, || self.encode(&text))
    }

    fn one(&self, text: &str, purpose: Purpose) -> Result<Vec<f32>> {
        // A token has a byte at least, so a text this short fits without being counted.
        if text.len() <= self.info.max_tokens {
            return self.window(text, purpose).map(unit);
        }
        let offsets = self.token_offsets(text);
        if offsets.len() <= self.info.max_tokens {
            return self.window(text, purpose).map(unit);
        }
        let mut sum = vec![0.0; self.info.dimension];
        for window in offsets.chunks(self.info.max_tokens) {
            let bounds = window.first().zip(window.last()).map(|((start, _), (_, end))| *start..*end);
            let part = bounds.and_then(|range| text.get(range)).unwrap_or_default();
            let vector = unit(self.window(part, purpose)?);
            sum.iter_mut().zip(vector).for_each(|(s, x)| *s += x);
        }
        Ok(unit(sum))
    }
}

impl Embedder for Model {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>> {
        let threads = self.engines.size().min(texts.len());
        if threads <= 1 {
            return texts.iter().map(|text| self.one(text, purpose)).collect();
        }
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, Result<Vec<f32>>)>> = Mutex::new(Vec::with_capacity(texts.len()));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(text) = texts.get(place) else { return };
                        let vector = self.one(text, purpose);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((place, vector));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, vector)| vector).collect()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.tokenizer.encode_fast(text, false).map_or(0, |encoding| encoding.len())
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.tokenizer.encode(text, false).map_or_else(|_| Vec::new(), |encoding| encoding.get_offsets().to_vec())
    }
}

/// The vector at length 1; one without length stays as it is.
fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}
