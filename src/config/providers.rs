//! Where language models are asked: only what an operator wrote into the configuration's file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A place where language models are asked, `[providers.NAME]`. Nothing is ever sent anywhere else.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// What it speaks.
    pub kind: ProviderKind,
    /// Where it is: `http://127.0.0.1:11434/v1`. Of Anthropic, its own place where none is given.
    #[serde(default)]
    pub base_url: String,
    /// Its key; or else the file that holds it, or the variable of the environment. At most one of the three.
    #[serde(default)]
    pub api_key: String,
    #[serde(default)]
    pub api_key_file: String,
    #[serde(default)]
    pub api_key_env: String,
    /// The models that agents may use; the first where they name none. Empty: any that the provider has. Of `llama`, files
    /// in the folder of models (`NAME.gguf`, which agents call `NAME`); empty: all that lie there at the start.
    #[serde(default)]
    pub models: Vec<String>,
    /// Of `llama` alone: tokens that a question and its answer may have together, and never more than the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_tokens: Option<u32>,
    /// Of `llama` alone: threads that compute; 0 is one for each core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threads: Option<u16>,
    /// Seconds that an answer may take, tries included.
    #[serde(default = "timeout_seconds")]
    pub timeout_seconds: u64,
    /// Seconds that it may be silent once it has begun to answer.
    #[serde(default = "silence_seconds")]
    pub silence_seconds: u64,
    /// What its models cost, by their names.
    #[serde(default)]
    pub prices: BTreeMap<String, Price>,
}

/// What a million tokens cost, in whatever currency the operator counts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    pub prompt: f64,
    pub completion: f64,
}

/// What a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// The chat completions of OpenAI, as Ollama, llama.cpp, vLLM, LM Studio and many others have them.
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Models in GGUF files, run in this process by llama.cpp; in builds with the feature `llama`.
    Llama,
}

/// Where Anthropic's own API is.
const ANTHROPIC: &str = "https://api.anthropic.com/v1";

/// Fewer tokens hold no question with an answer.
const LEAST_CONTEXT: u32 = 256;

/// As many as llama.cpp has room for.
const MOST_THREADS: u16 = 512;

fn timeout_seconds() -> u64 {
    120
}

fn silence_seconds() -> u64 {
    60
}

impl Provider {
    /// One of this kind, with every other setting as it is where a file says nothing.
    pub fn new(kind: ProviderKind) -> Self {
        Provider {
            kind,
            base_url: String::new(),
            api_key: String::new(),
            api_key_file: String::new(),
            api_key_env: String::new(),
            models: Vec::new(),
            context_tokens: None,
            threads: None,
            timeout_seconds: timeout_seconds(),
            silence_seconds: silence_seconds(),
            prices: BTreeMap::new(),
        }
    }

    /// The same without its key.
    pub(super) fn shown(self) -> Self {
        let api_key = if self.api_key.is_empty() { String::new() } else { super::HIDDEN.into() };
        Provider { api_key, ..self }
    }

    pub(super) fn check(&self, name: &str) -> Result<()> {
        let field = |field: &str| format!("providers.{name}.{field}");
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name == "extractive" || name.is_empty() || name.len() > 64 || !name.chars().all(is_name) {
            let message = "a provider's name has letters, digits, `-`, `_` and `.`, and is not `extractive`";
            return Err(Error::invalid(format!("providers.{name}"), message));
        }
        match self.kind {
            ProviderKind::Llama => self.check_inside(field)?,
            ProviderKind::OpenAi | ProviderKind::Anthropic => self.check_outside(field)?,
        }
        if self.timeout_seconds == 0 {
            return Err(Error::invalid(field("timeout_seconds"), "must be at least 1"));
        }
        if self.silence_seconds == 0 {
            return Err(Error::invalid(field("silence_seconds"), "must be at least 1"));
        }
        if self.models.iter().any(String::is_empty) {
            return Err(Error::invalid(field("models"), "a model has a name"));
        }
        let is_price = |price: &f64| price.is_finite() && *price >= 0.0;
        if !self.prices.values().all(|price| is_price(&price.prompt) && is_price(&price.completion)) {
            return Err(Error::invalid(field("prices"), "a price is 0 or more"));
        }
        Ok(())
    }

    /// What is asked over the network.
    fn check_outside(&self, field: impl Fn(&str) -> String) -> Result<()> {
        let is_web = ["http://", "https://"].iter().any(|scheme| self.base_url().starts_with(scheme));
        if !is_web || self.base_url.contains(['@', '?', '#']) {
            let message = "must begin with http:// or https://, and have no user, query or fragment";
            return Err(Error::invalid(field("base_url"), message));
        }
        if self.keys().filter(|key| !key.is_empty()).count() > 1 {
            return Err(Error::invalid(
                field("api_key"),
                "only one of api_key, api_key_file and api_key_env may be set",
            ));
        }
        let inside = [("context_tokens", self.context_tokens.is_some()), ("threads", self.threads.is_some())];
        match inside.iter().find(|(_, is_set)| *is_set) {
            Some((name, _)) => Err(Error::invalid(field(name), "belongs to providers of kind `llama`")),
            None => Ok(()),
        }
    }

    /// What runs in this process.
    fn check_inside(&self, field: impl Fn(&str) -> String) -> Result<()> {
        if !cfg!(feature = "llama") {
            let message = "this build runs no models itself; one that does is made with `cargo build --features llama`";
            return Err(Error::invalid(field("kind"), message));
        }
        if !self.base_url.is_empty() {
            return Err(Error::invalid(field("base_url"), "a model in this process has no address"));
        }
        if self.keys().any(|key| !key.is_empty()) {
            return Err(Error::invalid(field("api_key"), "a model in this process has no key"));
        }
        let is_file = |name: &String| {
            name.len() > ".gguf".len()
                && name.ends_with(".gguf")
                && !name.starts_with('.')
                && !name.contains(['/', '\\'])
        };
        if !self.models.iter().all(is_file) {
            return Err(Error::invalid(
                field("models"),
                "a model is a file `NAME.gguf` directly in the folder of models",
            ));
        }
        if self.context_tokens.is_some_and(|tokens| tokens < LEAST_CONTEXT) {
            return Err(Error::invalid(field("context_tokens"), format!("must be at least {LEAST_CONTEXT}")));
        }
        if self.threads.is_some_and(|threads| threads > MOST_THREADS) {
            return Err(Error::invalid(field("threads"), format!("must be at most {MOST_THREADS}")));
        }
        Ok(())
    }

    /// Its key, and the places where it may be.
    fn keys(&self) -> impl Iterator<Item = &String> {
        [&self.api_key, &self.api_key_file, &self.api_key_env].into_iter()
    }

    /// Where it is.
    pub fn base_url(&self) -> &str {
        match self.kind {
            ProviderKind::Anthropic if self.base_url.is_empty() => ANTHROPIC,
            _ => &self.base_url,
        }
    }

    /// Its key, wherever that is kept.
    ///
    /// # Errors
    /// Where the file or the variable is missing.
    pub fn key(&self) -> Result<Option<String>> {
        let key = if !self.api_key_file.is_empty() {
            let read = std::fs::read_to_string(&self.api_key_file);
            read.map_err(|e| Error::invalid("api_key_file", format!("{}: {e}", self.api_key_file)))?
        } else if !self.api_key_env.is_empty() {
            let read = std::env::var(&self.api_key_env);
            read.map_err(|e| Error::invalid("api_key_env", format!("{}: {e}", self.api_key_env)))?
        } else {
            self.api_key.clone()
        };
        let key = key.trim();
        Ok((!key.is_empty()).then(|| key.to_owned()))
    }
}

/// Without the key, which must not come into a log.
impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("kind", &self.kind).field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn load(text: &str) -> crate::error::Result<Config> {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&path, text).unwrap();
        Config::load(Some(&path), std::iter::empty(), &[])
    }

    const LOCAL: &str = "[providers.local]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:11434/v1\"\n";

    #[test]
    fn a_provider_is_chosen_by_its_name_and_its_key_stays_hidden() {
        let text = format!("{LOCAL}api_key = \"sk-0123456789\"\n[graph]\nprovider = \"local\"\nmodel = \"small\"\n");
        let config = load(&text).unwrap();
        assert_eq!(config.providers["local"].key().unwrap().as_deref(), Some("sk-0123456789"));
        let shown = config.to_toml().unwrap();
        assert!(shown.contains("[providers.local]") && !shown.contains("0123456789"), "{shown}");
        assert!(!format!("{config:?}").contains("0123456789"));
    }

    #[test]
    fn a_key_can_lie_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "sk-0123456789\n").unwrap();
        let config = load(&format!("{LOCAL}api_key_file = {:?}\n", file.path())).unwrap();
        assert_eq!(config.providers["local"].key().unwrap().as_deref(), Some("sk-0123456789"));
        drop(file);
        assert!(config.providers["local"].key().unwrap_err().to_string().contains("api_key_file"));
        assert_eq!(load(LOCAL).unwrap().providers["local"].key().unwrap(), None);
    }

    #[cfg(not(feature = "llama"))]
    #[test]
    fn a_build_without_llama_says_so() {
        let error = load("[providers.local]\nkind = \"llama\"\n").unwrap_err().to_string();
        assert!(error.contains("providers.local.kind") && error.contains("--features llama"), "{error}");
    }

    #[cfg(feature = "llama")]
    #[test]
    fn a_model_in_the_process_has_files_and_no_address() {
        let inside = "[providers.local]\nkind = \"llama\"\n";
        let config = load(&format!("{inside}models = [\"small.gguf\"]\ncontext_tokens = 4096\nthreads = 2\n")).unwrap();
        assert_eq!(config.providers["local"].context_tokens, Some(4096));
        for (text, field) in [
            ("base_url = \"http://127.0.0.1\"", "base_url"),
            ("api_key_env = \"KEY\"", "api_key"),
            ("models = [\"../small.gguf\"]", "models"),
            ("models = [\"small\"]", "models"),
            ("context_tokens = 1", "context_tokens"),
            ("threads = 513", "threads"),
        ] {
            let error = load(&format!("{inside}{text}\n")).unwrap_err().to_string();
            assert!(error.contains(&format!("providers.local.{field}")), "{text}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let refusals = [
            ("[graph]\nprovider = \"other\"\nmodel = \"small\"", "graph.provider"),
            ("[graph]\nprovider = \"local\"", "graph.model"),
            ("api_key = \"a\"\napi_key_env = \"B\"", "providers.local.api_key"),
            ("timeout_seconds = 0", "providers.local.timeout_seconds"),
            ("threads = 2", "providers.local.threads"),
            ("flavour = \"mild\"", "flavour"),
        ];
        for (text, field) in refusals {
            let error = load(&format!("{LOCAL}{text}\n")).unwrap_err().to_string();
            assert!(error.contains(field), "{text}: {error}");
        }
        let error = load(&LOCAL.replace("http://", "http://user:secret@")).unwrap_err().to_string();
        assert!(error.contains("providers.local.base_url") && !error.contains("secret"), "{error}");
    }
}
