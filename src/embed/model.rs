//! A model that is loaded: its tokenizer and its sessions.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokenizers::Tokenizer;

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
    /// Tokens that a session takes at once, special ones and the prompt's with them.
    window: usize,
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
        let mut model = Model { info, window, tokenizer, prompts, engines: Pool::new(engines) };
        model.info.dimension = model.vector("dimension", Purpose::Query)?.len();
        Ok(model)
    }

    /// The vector of a text, at unit length. What does not fit the window is cut into parts, and the mean of their
    /// vectors is taken.
    fn vector(&self, text: &str, purpose: Purpose) -> Result<Vec<f32>> {
        let prompt = match purpose {
            Purpose::Query => &self.prompts.query,
            Purpose::Passage | Purpose::Glance => &self.prompts.passage,
        };
        let prompted = format!("{prompt}{text}");
        let encoding = self.tokenizer.encode_fast(prompted.as_str(), true);
        let encoding = encoding.map_err(|e| Error::internal("tokenizer", e))?;
        let parts = if encoding.len() > self.window { self.parts(text) } else { Vec::new() };
        if parts.is_empty() {
            let mut engine = match purpose {
                Purpose::Query | Purpose::Glance => self.engines.take_urgently(),
                Purpose::Passage => self.engines.take(),
            };
            return engine.run(&prompted, &encoding).map(unit);
        }
        let mut sum = vec![0.0; self.info.dimension];
        for part in parts {
            // Cut inside a word, a part can have more tokens than it had in the text, so it is measured again.
            let vector = self.vector(part, purpose)?;
            sum.iter_mut().zip(vector).for_each(|(s, x)| *s += x);
        }
        Ok(unit(sum))
    }

    /// Shorter parts of a text, of about as many tokens each, so that no part weighs more than another; none where
    /// the text cannot be cut.
    fn parts<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let offsets = self.token_offsets(text);
        let count = offsets.len().div_ceil(self.info.max_tokens).max(2);
        let size = offsets.len().div_ceil(count).max(1);
        let bounds = offsets.chunks(size).filter_map(|part| Some((part.first()?.0, part.last()?.1)));
        let parts = bounds.filter_map(|(start, end)| text.get(start..end));
        parts.filter(|part| !part.is_empty() && part.len() < text.len()).collect()
    }
}

impl Embedder for Model {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>> {
        let threads = self.at_once().min(texts.len());
        if threads <= 1 {
            return texts.iter().map(|text| self.vector(text, purpose)).collect();
        }
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, Result<Vec<f32>>)>> = Mutex::new(Vec::with_capacity(texts.len()));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some(text) = texts.get(place) else { return };
                        let vector = self.vector(text, purpose);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((place, vector));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, vector)| vector).collect()
    }

    fn at_once(&self) -> usize {
        self.engines.shared()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.tokenizer.encode_fast(text, false).map_or(0, |encoding| encoding.len())
    }

    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        let Ok(encoding) = self.tokenizer.encode(text, false) else { return Vec::new() };
        // Tokenizers that work on bytes may put a border inside a character.
        let whole = |(start, end): &(usize, usize)| (text.floor_char_boundary(*start), text.ceil_char_boundary(*end));
        encoding.get_offsets().iter().map(whole).collect()
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
