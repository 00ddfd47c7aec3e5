//! One session of a model: tokens in, a vector out.
//!
//! The default model runs on a session of our own: measured on the same session settings, fastembed's path is
//! slower for several texts and pads them. Models that an operator brings run through fastembed, which knows how
//! others export theirs. Both run with one thread and one text at a time, and leave out the same optimiser.

use fastembed::{
    InitOptionsUserDefined, Pooling, QuantizationMode, TextEmbedding, TokenizerFiles, UserDefinedEmbeddingModel,
};
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;
use tokenizers::Encoding;

use crate::error::{Error, Result};

/// The default model was smoothed before it was quantised, and this fusion undoes the gain.
const HARMFUL_OPTIMIZER: &str = "SkipLayerNormFusion";
/// What ONNX Runtime calls the setting that leaves optimisers out; fastembed has no method for it.
const DISABLED_OPTIMIZERS: &str = "optimization.disable_specified_optimizers";

/// A session of a model.
pub enum Engine {
    Onnx { session: Box<Session>, takes_types: bool },
    Fastembed(Box<TextEmbedding>),
}

/// The files of a model that an operator brought.
#[derive(Clone)]
pub struct Files {
    pub onnx: Vec<u8>,
    pub tokenizer: Vec<u8>,
    pub config: Vec<u8>,
    pub special_tokens_map: Vec<u8>,
    pub tokenizer_config: Vec<u8>,
    pub pooling: Pooling,
    /// Tokens that the model takes.
    pub max_length: usize,
}

impl Engine {
    /// A session of our own over an encoder that gives the last hidden state, with one thread.
    pub fn onnx(environment: &Environment, model: &[u8]) -> Result<Engine> {
        let build = || -> std::result::Result<Session, String> {
            let builder = Session::builder(environment).map_err(|e| e.to_string())?;
            let builder = builder.with_optimization_level(GraphOptimizationLevel::Level3).map_err(|e| e.to_string())?;
            let builder = builder.with_disabled_optimizers(HARMFUL_OPTIMIZER).map_err(|e| e.to_string())?;
            // A pattern of memory is kept for every length of text that ever came by.
            let builder = builder.with_memory_pattern(false).map_err(|e| e.to_string())?;
            let mut builder = builder.with_intra_threads(1).map_err(|e| e.to_string())?;
            builder.commit_from_memory(model).map_err(|e| e.to_string())
        };
        let session = build().map_err(|e| Error::Unavailable(format!("the embedding model is damaged: {e}")))?;
        let takes_types = session.inputs().iter().any(|input| input.name() == "token_type_ids");
        Ok(Engine::Onnx { session: Box::new(session), takes_types })
    }

    /// A session through fastembed, with one thread.
    pub fn fastembed(environment: &Environment, files: Files) -> std::result::Result<Engine, String> {
        let tokenizer_files = TokenizerFiles {
            tokenizer_file: files.tokenizer,
            config_file: files.config,
            special_tokens_map_file: files.special_tokens_map,
            tokenizer_config_file: files.tokenizer_config,
        };
        // One text at a time is never padded, so even dynamic quantisation gives the same vector always.
        let model = UserDefinedEmbeddingModel::new(files.onnx, tokenizer_files)
            .with_pooling(files.pooling)
            .with_quantization(QuantizationMode::None);
        let options = InitOptionsUserDefined::new()
            .with_environment(environment.clone())
            .with_max_length(files.max_length)
            .with_session_config(DISABLED_OPTIMIZERS, HARMFUL_OPTIMIZER)
            .with_intra_threads(1);
        let engine = TextEmbedding::try_new_from_user_defined(model, options).map_err(|e| e.to_string())?;
        Ok(Engine::Fastembed(Box::new(engine)))
    }

    /// The vector, of whatever length, of a text that fits the window; `encoding` is its own.
    pub fn run(&mut self, text: &str, encoding: &Encoding) -> Result<Vec<f32>> {
        match self {
            Engine::Onnx { session, takes_types } => sum(session, *takes_types, encoding),
            Engine::Fastembed(engine) => {
                let vectors = engine.embed([text], Some(1)).map_err(|e| Error::internal("embedding", e))?;
                vectors.into_iter().next().ok_or_else(|| Error::Internal("the model gave no vector".into()))
            }
        }
    }
}

/// The sum of the last hidden state over the tokens, which at unit length is their mean. There is no padding, so the
/// mask is all ones.
fn sum(session: &mut Session, takes_types: bool, encoding: &Encoding) -> Result<Vec<f32>> {
    let failed = |e: ort::Error| Error::internal("embedding", e);
    let wide = |numbers: &[u32]| -> Vec<i64> { numbers.iter().map(|n| i64::from(*n)).collect() };
    let (ids, mask, types) =
        (wide(encoding.get_ids()), wide(encoding.get_attention_mask()), wide(encoding.get_type_ids()));
    let shape = [1usize, ids.len()];
    let ids = TensorRef::from_array_view((shape, ids.as_slice())).map_err(failed)?;
    let mask = TensorRef::from_array_view((shape, mask.as_slice())).map_err(failed)?;
    let outputs = if takes_types {
        let types = TensorRef::from_array_view((shape, types.as_slice())).map_err(failed)?;
        session.run(ort::inputs!["input_ids" => ids, "attention_mask" => mask, "token_type_ids" => types])
    } else {
        session.run(ort::inputs!["input_ids" => ids, "attention_mask" => mask])
    };
    let outputs = outputs.map_err(failed)?;
    let states = outputs.values().next().ok_or_else(|| Error::Internal("the model gave no output".into()))?;
    let (shape, states) = states.try_extract_tensor::<f32>().map_err(failed)?;
    let width = shape.last().and_then(|n| usize::try_from(*n).ok()).filter(|n| *n > 0);
    let width = width.ok_or_else(|| Error::Internal("the model's output has no width".into()))?;
    let mut sum = vec![0.0f32; width];
    for state in states.chunks_exact(width) {
        sum.iter_mut().zip(state).for_each(|(s, x)| *s += x);
    }
    Ok(sum)
}
