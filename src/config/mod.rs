//! Every setting, documented, with its default: flags > environment > `carrel.toml` > defaults.
//!
//! The environment's name of a setting is `CARREL_` and its path in capitals (`limits.upload_bytes` is
//! `CARREL_LIMITS_UPLOAD_BYTES`); a table whose names are the operator's has none. Knows nothing of what the settings are
//! for.

mod providers;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::error::{Error, Result};

pub use providers::{Price, Provider, ProviderKind};

/// What is shown in place of a secret.
const HIDDEN: &str = "(hidden)";

/// The effective configuration of a process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The data directory. Made where it is missing.
    pub data: PathBuf,
    /// Whether the data directory may lie on a file system of another machine (NFS, SMB, …), at its own risk.
    pub allow_network_fs: bool,
    /// The address to listen on; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where the operator keeps embedding models beside the one inside the binary, and rerankers.
    pub models: PathBuf,
    /// The name of the reranker in `models` that searches use; empty is the only one there is.
    pub reranker: String,
    /// The instance admin's key; where empty the first start makes one and prints it once.
    pub admin_key: String,
    /// Sizes and counts beyond which a request is refused.
    pub limits: Limits,
    /// How documents become chunks.
    pub ingest: Ingest,
    /// How large the knowledge graph of a workspace may become, and the language model that reads facts for it.
    pub graph: Graph,
    /// Where language models are asked, by names of the operator's. In the file alone.
    pub providers: BTreeMap<String, Provider>,
    /// How much is kept in memory.
    pub memory: Memory,
    /// What is written to the log.
    pub log: Log,
}

/// Sizes and counts beyond which a request is refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A JSON body, in bytes.
    pub json_bytes: usize,
    /// An uploaded body as a whole, in bytes.
    pub upload_bytes: u64,
    /// One document, in bytes, however it came in.
    pub document_bytes: u64,
    /// All that an archive unpacks to, in bytes.
    pub archive_bytes: u64,
    /// All that the archive of a workspace unpacks to, in bytes.
    pub import_bytes: u64,
    /// Days that a deleted workspace can be restored.
    pub trash_days: u32,
    /// Days within which every workspace is read through and what rotted is found; 0 is never.
    pub check_days: u32,
    /// Days that a conversation is kept after it last went on; 0 is for ever. A workspace may say fewer.
    pub session_days: u32,
    /// Documents in one ingestion job.
    pub job_documents: usize,
    /// Requests under way at once; beyond them 503.
    pub requests: usize,
    /// Seconds that a request may take, streams aside.
    pub request_seconds: u64,
    /// Turns of chats under way at once, streams included; beyond them 503.
    pub turns: usize,
    /// Seconds that a turn of a chat may take, whatever tools and agents it asks.
    pub turn_seconds: u64,
    /// Seconds that open requests have to end after a signal to stop.
    pub drain_seconds: u64,
}

/// How large the knowledge graph of a workspace may become, which is in memory while it is asked: about a kilobyte for an
/// entity and a third of one for a fact. Documents beyond are found as all others, and say no facts.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Graph {
    /// Entities of a workspace.
    pub entities: u64,
    /// Facts of a workspace.
    pub facts: u64,
    /// The provider whose model reads facts too, sent chunk by chunk; empty is none.
    pub provider: String,
    /// That model, as the provider names it.
    pub model: String,
    /// Tokens, in and out, after which the model is asked no more about a document.
    pub tokens_per_document: u64,
}

/// How documents become chunks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Tokens that a chunk aims at; never more than the embedding model's window.
    pub chunk_tokens: usize,
    /// Ingestion jobs that run at once.
    pub workers: usize,
    /// Bytes of memory that reading one document may take, in the process that reads it.
    pub reader_bytes: u64,
    /// Seconds that reading one document may take.
    pub reader_seconds: u64,
    /// Languages that text in pictures is in, as `tesseract` names them (`eng+deu`); `off` for no text recognition.
    /// Without that program on the machine there is none.
    pub ocr_languages: String,
}

/// How much is kept in memory.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// Workspaces held open; the one that was idle longest makes room, and one of very many chunks counts for several. 0 is
    /// as many as the machine allows.
    pub open_workspaces: usize,
    /// Seconds without use after which a workspace is closed.
    pub idle_seconds: u64,
    /// Passages that a model embeds at once, each on a thread; 0 is one for each core. Questions have a session more.
    pub embedding_threads: usize,
    /// The cache of embeddings on disk, in bytes; emptied when it grows beyond.
    pub cache_bytes: u64,
}

/// What is written to the log, on standard error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A filter as `tracing` has them: `info`, `carrel=debug,warn`, …
    pub filter: String,
    /// `pretty` for people, `json` for machines.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Pretty,
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data: PathBuf::from("data"),
            allow_network_fs: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            models: PathBuf::from("models"),
            reranker: String::new(),
            admin_key: String::new(),
            limits: Limits::default(),
            ingest: Ingest::default(),
            graph: Graph::default(),
            providers: BTreeMap::new(),
            memory: Memory::default(),
            log: Log::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            json_bytes: 32 << 20,
            upload_bytes: 1 << 30,
            document_bytes: 64 << 20,
            archive_bytes: 4 << 30,
            import_bytes: 256 << 30,
            trash_days: 30,
            check_days: 7,
            session_days: 0,
            job_documents: 100_000,
            requests: 1024,
            request_seconds: 300,
            turns: 256,
            turn_seconds: 240,
            drain_seconds: 20,
        }
    }
}

impl Default for Ingest {
    fn default() -> Self {
        Ingest {
            chunk_tokens: 200,
            workers: 2,
            reader_bytes: 1 << 30,
            reader_seconds: 120,
            ocr_languages: "eng".into(),
        }
    }
}

impl Default for Graph {
    fn default() -> Self {
        Graph {
            entities: 500_000,
            facts: 1_000_000,
            provider: String::new(),
            model: String::new(),
            tokens_per_document: 20_000,
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Memory { open_workspaces: 0, idle_seconds: 60, embedding_threads: 0, cache_bytes: 1 << 30 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Log { filter: "info".into(), format: LogFormat::Pretty }
    }
}

impl Config {
    /// Reads the configuration.
    ///
    /// `file` is `--config` or `CARREL_CONFIG`; where it is `None` a `carrel.toml` in the working directory
    /// is read if there is one. `environment` are the process's variables, `flags` the settings given on
    /// the command line by their dotted path.
    ///
    /// # Errors
    /// A file that is missing or no TOML, an unknown setting, a value of the wrong kind: each is named.
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &[(&str, String)],
    ) -> Result<Config> {
        let mut settings = Table::new();
        let standard = Path::new("carrel.toml");
        if let Some(path) = file.or_else(|| standard.exists().then_some(standard)) {
            let name = path.display();
            let text = std::fs::read_to_string(path).map_err(|e| Error::invalid("config", format!("{name}: {e}")))?;
            settings = text.parse().map_err(|e| Error::invalid("config", format!("{name}: {e}")))?;
        }
        let defaults = Table::try_from(Config::default()).map_err(|e| Error::internal("defaults", e))?;
        let names = leaves(&defaults, "");
        for (variable, value) in environment {
            let Some(name) = variable.strip_prefix("CARREL_") else { continue };
            if let Some((path, default)) = names.iter().find(|(p, _)| p.replace('.', "_").eq_ignore_ascii_case(name)) {
                set(&mut settings, path, parse(path, &value, default)?);
            }
        }
        for (path, value) in flags {
            let (_, default) =
                names.iter().find(|(p, _)| p == path).ok_or_else(|| Error::invalid(*path, "no such setting"))?;
            set(&mut settings, path, parse(path, value, default)?);
        }
        let config: Config = settings.try_into().map_err(|e| Error::invalid("config", e.to_string()))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let positive = [
            ("limits.requests", self.limits.requests),
            ("limits.turns", self.limits.turns),
            ("ingest.workers", self.ingest.workers),
            ("limits.turn_seconds", usize::try_from(self.limits.turn_seconds).unwrap_or(usize::MAX)),
            ("ingest.reader_seconds", usize::try_from(self.ingest.reader_seconds).unwrap_or(usize::MAX)),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::invalid(*name, "must be at least 1"));
        }
        if self.ingest.chunk_tokens < 16 {
            return Err(Error::invalid("ingest.chunk_tokens", "must be at least 16"));
        }
        if self.ingest.reader_bytes < 512 << 20 {
            return Err(Error::invalid(
                "ingest.reader_bytes",
                "must be at least 512 MiB: its stack alone takes half of that",
            ));
        }
        if !self.admin_key.is_empty() && self.admin_key.len() < 8 {
            return Err(Error::invalid("admin_key", "must have at least 8 characters"));
        }
        self.providers.iter().try_for_each(|(name, provider)| provider.check(name))?;
        if !self.graph.provider.is_empty() {
            if !self.providers.contains_key(&self.graph.provider) {
                return Err(Error::invalid(
                    "graph.provider",
                    format!("there is no [providers.{}]", self.graph.provider),
                ));
            }
            if self.graph.model.is_empty() {
                return Err(Error::invalid("graph.model", "must name the provider's model"));
            }
        }
        Ok(())
    }

    /// The effective configuration as TOML, with secrets hidden.
    pub fn to_toml(&self) -> Result<String> {
        let mut shown = self.clone();
        if !shown.admin_key.is_empty() {
            shown.admin_key = HIDDEN.into();
        }
        shown.providers = shown.providers.into_iter().map(|(name, provider)| (name, provider.shown())).collect();
        toml::to_string_pretty(&shown).map_err(|e| Error::internal("configuration", e))
    }
}

/// Every setting as `(dotted path, default)`.
fn leaves(table: &Table, prefix: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        match value {
            Value::Table(inner) => found.extend(leaves(inner, &format!("{path}."))),
            leaf => found.push((path, leaf.clone())),
        }
    }
    found
}

fn parse(path: &str, text: &str, default: &Value) -> Result<Value> {
    match default {
        Value::Integer(_) => match text.parse() {
            Ok(number) => Ok(Value::Integer(number)),
            Err(_) => Err(Error::invalid(path, format!("`{text}` is not a whole number"))),
        },
        Value::Boolean(_) => match text.parse() {
            Ok(value) => Ok(Value::Boolean(value)),
            Err(_) => Err(Error::invalid(path, format!("`{text}` is neither true nor false"))),
        },
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn set(settings: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => {
            settings.insert(path.to_owned(), value);
        }
        Some((section, rest)) => {
            let section = settings.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = section {
                set(inner, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: Option<&str>, environment: &[(&str, &str)], flags: &[(&str, String)]) -> Result<Config> {
        let path = file.map(|text| {
            let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
            std::fs::write(&path, text).unwrap();
            path
        });
        let environment = environment.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        Config::load(path.as_deref(), environment, flags)
    }

    #[test]
    fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
        let file = Some("listen = \"127.0.0.1:1\"\n[limits]\nrequests = 1\njson_bytes = 5\n[log]\nfilter = \"warn\"");
        let environment = [("CARREL_LISTEN", "127.0.0.1:2"), ("CARREL_LIMITS_REQUESTS", "2")];
        let config = load(file, &environment, &[("listen", "127.0.0.1:3".into())]).unwrap();
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.limits.requests, 2);
        assert_eq!(config.limits.json_bytes, 5);
        assert_eq!(config.log.filter, "warn");
        assert_eq!(config.ingest.workers, Ingest::default().workers);
    }

    #[test]
    fn an_unknown_setting_and_a_wrong_kind_are_named() {
        assert!(load(Some("lisen = 1"), &[], &[]).unwrap_err().to_string().contains("lisen"));
        let error = load(None, &[("CARREL_LIMITS_REQUESTS", "many")], &[]).unwrap_err().to_string();
        assert!(error.contains("limits.requests") && error.contains("many"), "{error}");
    }

    #[test]
    fn secrets_are_hidden_when_shown() {
        let config = load(None, &[("CARREL_ADMIN_KEY", "sk_admin_0123456789abcdef")], &[]).unwrap();
        assert!(!config.to_toml().unwrap().contains("0123456789abcdef"));
    }
}
