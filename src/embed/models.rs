//! What lies in `models/`: the model inside the binary and those that an operator put beside it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::environment::Environment;
use serde_json::Value;
use tokenizers::Tokenizer;

use super::engine::{Engine, Files};
use super::model::{Model, Prompts};
use super::{Embedder, runtime};
use crate::digest::sha256;
use crate::error::{Error, Result};

/// The model inside the binary.
const DEFAULT: &str = "all-MiniLM-L6-v2";

macro_rules! default_file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/all-MiniLM-L6-v2/", $name))
    };
}

/// The embedding models of this machine, each loaded on first use.
pub struct Models {
    environment: &'static Environment,
    directory: PathBuf,
    sessions: usize,
    loaded: Mutex<HashMap<String, Arc<Model>>>,
    default: Arc<Model>,
}

impl Models {
    /// Loads ONNX Runtime and the default model; looks for others in `directory`. `sessions` is how many texts a
    /// model embeds at once, 0 for one per core.
    ///
    /// # Errors
    /// One sentence that names what is missing or damaged.
    pub fn open(directory: &Path, sessions: usize, scratch: &Path) -> Result<Self> {
        let environment = runtime::load(scratch)?;
        warn_without_vnni();
        let sessions = match sessions {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let onnx: &[u8] = default_file!("model_int8.onnx");
        let settings: Value = parse("sentence_bert_config.json", default_file!("sentence_bert_config.json"))?;
        let window = settings.get("max_seq_length").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        let tokenizer = read_tokenizer(default_file!("tokenizer.json"))?;
        let engines = (0..sessions).map(|_| Engine::onnx(environment, onnx)).collect::<Result<_>>()?;
        let identity = sha256(onnx);
        let default = Model::new(DEFAULT, identity, window.unwrap_or(256), tokenizer, Prompts::default(), engines)?;
        let directory = directory.to_owned();
        Ok(Models { environment, directory, sessions, loaded: Mutex::default(), default: Arc::new(default) })
    }

    /// The model for workspaces that ask for none.
    pub fn default_model(&self) -> Arc<dyn Embedder> {
        self.default.clone()
    }

    /// The names of all models, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.path().join("tokenizer.json").is_file());
        let mut names: Vec<String> = named.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| is_name(name) && name != DEFAULT);
        names.push(DEFAULT.to_owned());
        names.sort();
        names
    }

    /// The model of this name. Blocks while it is loaded for the first time.
    ///
    /// # Errors
    /// [`Error::Validation`] for a name that there is none of; [`Error::Unavailable`] for one that cannot be loaded.
    pub fn get(&self, name: &str) -> Result<Arc<dyn Embedder>> {
        if name == DEFAULT {
            return Ok(self.default.clone());
        }
        if !is_name(name) || !self.directory.join(name).is_dir() {
            let known = self.names().join(", ");
            return Err(Error::invalid("embedding_model", format!("there is no such model; there are: {known}")));
        }
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = loaded.get(name) {
            return Ok(model.clone());
        }
        let model = load(self.environment, &self.directory.join(name), name, self.sessions)
            .map_err(|why| Error::Unavailable(format!("the embedding model {name} cannot be loaded: {why}")))?;
        let model = Arc::new(model);
        loaded.insert(name.to_owned(), model.clone());
        Ok(model)
    }
}

/// One plain part of a path.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

/// Loads a directory as sentence-transformers exports it.
fn load(environment: &Environment, root: &Path, name: &str, sessions: usize) -> std::result::Result<Model, String> {
    let read = |file: &str| std::fs::read(root.join(file)).map_err(|e| format!("{file}: {e}"));
    let optional = |file: &str| -> std::result::Result<Value, String> {
        match root.join(file).exists() {
            true => parse(file, &read(file)?).map_err(|e| e.to_string()),
            false => Ok(Value::Null),
        }
    };
    let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
    let config = read("config.json")?;
    let positions = parse("config.json", &config).ok().and_then(|c: Value| number(&c["max_position_embeddings"]));
    let stated = number(&optional("sentence_bert_config.json")?["max_seq_length"]);
    let window = stated.or(positions).ok_or("neither sentence_bert_config.json nor config.json states its window")?;
    let pooling = optional("1_Pooling/config.json")?;
    let prompts = optional("config_sentence_transformers.json")?;
    let prompt = |names: &[&str]| {
        let found = names.iter().find_map(|name| prompts["prompts"][*name].as_str());
        found.unwrap_or_default().to_owned()
    };
    let prompts = Prompts { query: prompt(&["query"]), passage: prompt(&["passage", "document"]) };
    let onnx = read(&onnx_file(root)?)?;
    let tokenizer = read("tokenizer.json")?;
    let files = Files {
        onnx,
        tokenizer: tokenizer.clone(),
        config,
        special_tokens_map: read("special_tokens_map.json")?,
        tokenizer_config: read("tokenizer_config.json")?,
        cls_pooling: pooling["pooling_mode_cls_token"].as_bool().unwrap_or(false),
        max_length: window,
    };
    let identity = sha256(&files.onnx);
    let engines = (0..sessions).map(|_| Engine::fastembed(environment, files.clone()));
    let engines = engines.collect::<std::result::Result<Vec<_>, _>>()?;
    let tokenizer = read_tokenizer(&tokenizer).map_err(|e| e.to_string())?;
    Model::new(name, identity, window, tokenizer, prompts, engines).map_err(|e| e.to_string())
}

/// `model.onnx` where there is one, in the directory or its `onnx/`, else the first other `model*.onnx` by name.
fn onnx_file(root: &Path) -> std::result::Result<String, String> {
    for folder in ["", "onnx/"] {
        let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| name.starts_with("model") && name.ends_with(".onnx"));
        names.sort_by_key(|name| (name != "model.onnx", name.clone()));
        if let Some(name) = names.first() {
            return Ok(format!("{folder}{name}"));
        }
    }
    Err("it has no model.onnx".to_owned())
}

fn parse(file: &str, bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::Unavailable(format!("{file} of the embedding model is damaged: {e}")))
}

fn read_tokenizer(bytes: &[u8]) -> Result<Tokenizer> {
    Tokenizer::from_bytes(bytes)
        .map_err(|e| Error::Unavailable(format!("tokenizer.json of the embedding model is damaged: {e}")))
}

/// Without VNNI, x86 processors add 8-bit products with saturation, and vectors lose a little of their precision.
fn warn_without_vnni() {
    #[cfg(target_arch = "x86_64")]
    if !std::arch::is_x86_feature_detected!("avx512vnni") && !std::arch::is_x86_feature_detected!("avxvnni") {
        tracing::warn!("this processor has no VNNI instructions: embeddings are slower and slightly less precise");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::Purpose;

    fn models(directory: &Path) -> Models {
        Models::open(directory, 2, &std::env::temp_dir()).unwrap()
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    #[test]
    fn vectors_have_unit_length_are_repeatable_and_mean_something() {
        let model = models(Path::new("none")).default_model();
        let texts = ["The fridge is too warm.", "The refrigerator's temperature is high.", "Parking costs two euros."];
        let vectors = model.embed(&texts, Purpose::Passage).unwrap();
        assert!(vectors.iter().all(|v| v.len() == 384 && (dot(v, v) - 1.0).abs() < 1e-4));
        assert_eq!(model.embed(&[texts[1]], Purpose::Query).unwrap()[0], vectors[1]);
        assert!(dot(&vectors[0], &vectors[1]) > dot(&vectors[0], &vectors[2]) + 0.2);
    }

    #[test]
    fn the_end_of_a_long_text_counts() {
        let model = models(Path::new("none")).default_model();
        let long = |end: &str| format!("{} {end}", "The ward opens at nine. ".repeat(100));
        let (one, other) = (long("Nobody may enter."), long("Bananas are yellow."));
        let vectors = model.embed(&[&one, &other], Purpose::Passage).unwrap();
        assert!(dot(&vectors[0], &vectors[1]) < 0.9999);
    }

    #[test]
    fn offsets_are_bytes_of_the_text_itself() {
        let model = models(Path::new("none")).default_model();
        let text = "Händehygiene für Ärzte 面会時間 🦊 ok";
        let offsets = model.token_offsets(text);
        assert_eq!(offsets.len(), model.count_tokens(text));
        assert!(offsets.iter().all(|(start, end)| text.get(*start..*end).is_some()));
        assert_eq!(offsets.last().map(|(start, end)| &text[*start..*end]), Some("ok"));
    }

    #[test]
    fn a_model_that_an_operator_brings_is_found_by_name() {
        let shelf = tempfile::tempdir().unwrap();
        let root = shelf.path().join("my-model");
        std::fs::create_dir_all(root.join("1_Pooling")).unwrap();
        for file in [
            "tokenizer.json",
            "config.json",
            "special_tokens_map.json",
            "tokenizer_config.json",
            "sentence_bert_config.json",
            "1_Pooling/config.json",
            "model_int8.onnx",
        ] {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(DEFAULT).join(file);
            std::fs::copy(source, root.join(file)).unwrap();
        }
        let models = models(shelf.path());
        assert_eq!(models.names(), [DEFAULT, "my-model"]);
        let (own, default) = (models.get("my-model").unwrap(), models.default_model());
        assert_eq!(own.model().sha256, default.model().sha256);
        assert_eq!(own.model().max_tokens, default.model().max_tokens);
        let text = ["Visiting hours end at eight."];
        let (a, b) = (own.embed(&text, Purpose::Query).unwrap(), default.embed(&text, Purpose::Query).unwrap());
        assert!(dot(&a[0], &b[0]) > 0.98, "{}", dot(&a[0], &b[0]));
        assert!(matches!(models.get("../my-model"), Err(Error::Validation(_))));
        assert!(models.get("absent").err().unwrap().to_string().contains("my-model"));
        std::fs::create_dir_all(shelf.path().join("broken")).unwrap();
        assert!(models.get("broken").err().unwrap().to_string().contains("config.json"));
    }

    #[test]
    fn a_damaged_model_is_a_clear_error() {
        let environment = runtime::load(&std::env::temp_dir()).unwrap();
        assert!(Engine::onnx(environment, b"not a model").err().unwrap().to_string().contains("damaged"));
    }
}
