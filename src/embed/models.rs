//! What lies in `models/`: the model inside the binary and those that an operator put beside it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fastembed::Pooling;
use ort::environment::Environment;
use serde_json::Value;
use tokenizers::Tokenizer;

use super::engine::{Engine, Files};
use super::model::{Model, Prompts};
use super::reranker::{Reranker, is_reranker};
use super::rerankers::Rerankers;
use super::{Embedder, export, runtime};
use crate::digest::sha256;
use crate::error::{Error, Result};

/// The model inside the binary.
const DEFAULT: &str = "all-MiniLM-L6-v2";

macro_rules! default_file {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/all-MiniLM-L6-v2/", $name))
    };
}

/// A model once it is loaded; locked while it is being loaded, so that the others are not held up.
type Slot = Arc<Mutex<Option<Arc<Model>>>>;

/// The models of this machine, each loaded on first use.
pub struct Models {
    environment: &'static Environment,
    directory: PathBuf,
    sessions: usize,
    loaded: Mutex<HashMap<String, Slot>>,
    default: Arc<Model>,
    rerankers: Rerankers,
}

impl Models {
    /// Loads ONNX Runtime and the default model; looks for others in `directory`. `sessions` is how many passages a
    /// model embeds at once, 0 for one per core; one more session is kept for questions.
    ///
    /// # Errors
    /// One sentence that names what is missing or damaged.
    pub fn open(directory: &Path, sessions: usize, scratch: &Path) -> Result<Self> {
        let environment = runtime::load(scratch)?;
        warn_without_vnni();
        let sessions = 1 + match sessions {
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
        let rerankers = Rerankers::new(environment, directory.clone(), sessions);
        Ok(Models { environment, directory, sessions, loaded: Mutex::default(), default: Arc::new(default), rerankers })
    }

    /// The same with the reranker of this name; empty is the only one there is.
    ///
    /// # Errors
    /// [`Error::Validation`] where none has the name.
    pub fn with_reranker(mut self, name: &str) -> Result<Self> {
        self.rerankers.choose(name)?;
        Ok(self)
    }

    /// The names of all rerankers, sorted.
    pub fn rerankers(&self) -> Vec<String> {
        self.rerankers.names()
    }

    /// The reranker that searches use. Blocks while it is loaded for the first time.
    ///
    /// # Errors
    /// [`Error::Validation`] on the field `rerank` where there is none, or none is chosen of several;
    /// [`Error::Unavailable`] where it cannot be loaded.
    pub fn reranker(&self) -> Result<Arc<Reranker>> {
        self.rerankers.get()
    }

    /// The model for workspaces that ask for none.
    pub fn default_model(&self) -> Arc<dyn Embedder> {
        self.default.clone()
    }

    /// The names of all embedding models, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let named = entries.filter(|entry| entry.path().join("tokenizer.json").is_file());
        let mut names: Vec<String> = named.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| is_name(name) && name != DEFAULT && !is_reranker(&self.directory.join(name)));
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
        let root = self.directory.join(name);
        if is_name(name) && is_reranker(&root) {
            let known = self.names().join(", ");
            let message = format!("is a reranking model and gives no vectors; those that do are: {known}");
            return Err(Error::invalid("embedding_model", message));
        }
        if !is_name(name) || !root.is_dir() {
            let known = self.names().join(", ");
            return Err(Error::invalid("embedding_model", format!("there is no such model; there are: {known}")));
        }
        let slot =
            self.loaded.lock().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone();
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = slot.as_ref() {
            return Ok(model.clone());
        }
        let model = load(self.environment, &root, name, self.sessions)
            .map_err(|why| Error::Unavailable(format!("the embedding model {name} cannot be loaded: {why}")))?;
        Ok(slot.insert(Arc::new(model)).clone())
    }
}

/// One plain part of a path.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.chars().all(plain)
}

/// Loads a directory as sentence-transformers exports it. `models/README.md` tells operators what it must hold.
fn load(environment: &Environment, root: &Path, name: &str, sessions: usize) -> Result<Model, String> {
    let read = |file: &str| export::read(root, file);
    let json = export::json;
    let optional = |file: &str| match root.join(file).exists() {
        true => json(file, &read(file)?),
        false => Ok(Value::Null),
    };
    let (config, tokenizer_config) = (read("config.json")?, read("tokenizer_config.json")?);
    let positions = json("config.json", &config)?["max_position_embeddings"].as_f64();
    let longest = json("tokenizer_config.json", &tokenizer_config)?["model_max_length"].as_f64();
    let stated = optional("sentence_bert_config.json")?["max_seq_length"].as_f64();
    let window = stated.or(positions).ok_or("neither sentence_bert_config.json nor config.json states its window")?;
    // fastembed cuts at the tokenizer's maximum, which is astronomic where its maker stated none.
    let window = window.min(longest.unwrap_or(window)) as usize;
    check_steps(&optional("modules.json")?)?;
    let prompts = optional("config_sentence_transformers.json")?;
    let prompt = |names: &[&str]| {
        let found = names.iter().find_map(|name| prompts["prompts"][*name].as_str());
        found.unwrap_or_default().to_owned()
    };
    let prompts = Prompts { query: prompt(&["query"]), passage: prompt(&["passage", "document"]) };
    let files = Files {
        onnx: read(&export::onnx_file(root)?)?,
        tokenizer: read("tokenizer.json")?,
        config,
        special_tokens_map: export::special_tokens_map(root)?,
        tokenizer_config,
        pooling: pooling(&optional("1_Pooling/config.json")?)?,
        max_length: window,
    };
    let identity = sha256(&files.onnx);
    let tokenizer = read_tokenizer(&files.tokenizer).map_err(|e| e.to_string())?;
    let engines = (0..sessions).map(|_| Engine::fastembed(environment, files.clone()));
    let engines = engines.collect::<Result<Vec<_>, _>>()?;
    Model::new(name, identity, window, tokenizer, prompts, engines).map_err(|e| e.to_string())
}

/// How the tokens' vectors become the text's; the mean where the export does not say.
fn pooling(config: &Value) -> Result<Pooling, String> {
    let Some(config) = config.as_object() else { return Ok(Pooling::Mean) };
    let modes: Vec<&str> = config.iter().filter(|(_, on)| **on == true).map(|(mode, _)| mode.as_str()).collect();
    let modes: Vec<&str> = modes.into_iter().filter_map(|mode| mode.strip_prefix("pooling_mode_")).collect();
    match modes.as_slice() {
        ["mean_tokens"] => Ok(Pooling::Mean),
        ["cls_token"] => Ok(Pooling::Cls),
        other => Err(format!(
            "1_Pooling/config.json asks for [{}]; only mean_tokens or cls_token is known",
            other.join(", ")
        )),
    }
}

/// A step that is not known must not be left out silently: the vectors would mean nothing.
fn check_steps(modules: &Value) -> Result<(), String> {
    for module in modules.as_array().into_iter().flatten() {
        let step = module["type"].as_str().and_then(|path| path.rsplit('.').next()).unwrap_or("nameless");
        if !matches!(step, "Transformer" | "Pooling" | "Normalize") {
            return Err(format!("modules.json has the step {step}; only Transformer, Pooling and Normalize are known"));
        }
    }
    Ok(())
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
        for (start, ends) in [
            ("The ward opens at nine. ", ["Nobody may enter.", "Bananas are yellow."]),
            ("病棟は九時に開きます。", ["面会はできません。", "バナナは黄色い。"]),
        ] {
            let texts = ends.map(|end| format!("{}{end}", start.repeat(100)));
            assert!(model.count_tokens(&texts[0]) > 2 * model.model().max_tokens);
            let vectors = model.embed(&[&texts[0], &texts[1]], Purpose::Passage).unwrap();
            assert!((dot(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-4);
            assert!(dot(&vectors[0], &vectors[1]) < 0.9999);
        }
    }

    #[test]
    fn offsets_are_bytes_of_the_text_itself() {
        let model = models(Path::new("none")).default_model();
        let text = "Händehygiene für Ärzte 面会時間 🦊 ok";
        let offsets = model.token_offsets(text);
        assert_eq!(offsets.len(), model.count_tokens(text));
        let words: Vec<&str> = offsets.iter().filter_map(|(start, end)| text.get(*start..*end)).collect();
        assert_eq!(words.len(), offsets.len());
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        assert_eq!(words.concat(), letters(text));
        assert!(words.ends_with(&["面", "会", "時", "間", "🦊", "ok"]), "{words:?}");
    }

    /// A directory with the default model's files under the name `my-model`.
    fn shelf() -> tempfile::TempDir {
        let shelf = tempfile::tempdir().unwrap();
        let root = shelf.path().join("my-model");
        std::fs::create_dir_all(root.join("1_Pooling")).unwrap();
        for file in [
            "tokenizer.json",
            "config.json",
            "tokenizer_config.json",
            "sentence_bert_config.json",
            "modules.json",
            "1_Pooling/config.json",
            "model_int8.onnx",
        ] {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(DEFAULT).join(file);
            std::fs::copy(source, root.join(file)).unwrap();
        }
        shelf
    }

    #[test]
    fn a_model_that_an_operator_brings_is_found_by_name() {
        let shelf = shelf();
        let models = models(shelf.path());
        assert_eq!(models.names(), [DEFAULT, "my-model"]);
        let (own, default) = (models.get("my-model").unwrap(), models.default_model());
        assert_eq!(own.model().sha256, default.model().sha256);
        assert_eq!(own.model().max_tokens, default.model().max_tokens);
        let long = "Visiting hours end at eight, and not a minute later. ".repeat(50);
        for text in ["Visiting hours end at eight.", &long] {
            let (a, b) = (own.embed(&[text], Purpose::Query).unwrap(), default.embed(&[text], Purpose::Query).unwrap());
            assert!(dot(&a[0], &b[0]) > 0.999, "{}", dot(&a[0], &b[0]));
        }
        assert!(matches!(models.get("../my-model"), Err(Error::Validation(_))));
        assert!(models.get("absent").err().unwrap().to_string().contains("my-model"));
    }

    #[test]
    fn a_model_that_cannot_be_run_as_its_maker_meant_is_refused_by_file() {
        for (file, content) in [
            ("config.json", "{"),
            ("tokenizer.json", "{}"),
            ("modules.json", r#"[{"type": "sentence_transformers.models.Dense"}]"#),
            ("1_Pooling/config.json", r#"{"pooling_mode_max_tokens": true}"#),
        ] {
            let shelf = shelf();
            std::fs::write(shelf.path().join("my-model").join(file), content).unwrap();
            let refused = models(shelf.path()).get("my-model").err().unwrap();
            assert!(matches!(refused, Error::Unavailable(_)));
            assert!(refused.to_string().contains("my-model") && refused.to_string().contains(file), "{refused}");
        }
        let shelf = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(shelf.path().join("broken")).unwrap();
        assert!(models(shelf.path()).get("broken").err().unwrap().to_string().contains("config.json"));
    }

    #[test]
    fn prompts_come_before_a_text_and_take_their_place_in_the_window() {
        let shelf = shelf();
        let prompts = r#"{"prompts": {"query": "query: ", "document": "passage: "}}"#;
        std::fs::write(shelf.path().join("my-model/config_sentence_transformers.json"), prompts).unwrap();
        let models = models(shelf.path());
        let (own, default) = (models.get("my-model").unwrap(), models.default_model());
        assert!(own.model().max_tokens < default.model().max_tokens);
        let (a, b) = (
            own.embed(&["keys"], Purpose::Passage).unwrap(),
            default.embed(&["passage: keys"], Purpose::Query).unwrap(),
        );
        assert!(dot(&a[0], &b[0]) > 0.999);
    }

    #[test]
    fn a_damaged_model_is_a_clear_error() {
        let environment = runtime::load(&std::env::temp_dir()).unwrap();
        assert!(Engine::onnx(environment, b"not a model").err().unwrap().to_string().contains("damaged"));
    }
}
