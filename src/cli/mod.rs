//! The command line: one file per verb.
//!
//! Every verb that works with data speaks the HTTP interface and nothing else ([`client`]), so that `--json` prints
//! what the interface answered. Data goes to standard output, talk to standard error.

mod backup;
mod chat;
mod client;
mod doctor;
mod document;
mod eval;
mod feedback;
mod graph;
mod ingest;
mod mcp;
mod multipart;
mod output;
mod place;
mod questions;
mod quickstart;
mod read;
mod resource;
mod search;
mod serve;
mod session;
mod workspace;

use std::fmt;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, LogFormat};
use crate::error::Error;

/// Threads that may block at once, in SQLite, tantivy or the embedder; they come and go with the load.
const BLOCKING_THREADS: usize = 512;

/// All went well.
pub const DONE: u8 = 0;
/// Nothing went well.
pub const FAILED: u8 = 1;
/// Some of it went well.
pub const PARTLY: u8 = 3;

/// Private knowledge bases with agents, in one binary.
#[derive(Parser)]
#[command(name = "carrel", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

/// What every verb takes.
#[derive(Args, Clone)]
pub struct Options {
    /// The configuration file [default: carrel.toml, where there is one]
    #[arg(long, global = true, env = "CARREL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data directory [default: data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The directory with more embedding models [default: models]
    #[arg(long, global = true, value_name = "DIR")]
    models: Option<PathBuf>,
    /// Any setting by its path, as in `--set limits.requests=100`
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// What is logged: error, warn, info, debug, trace or a filter by module
    #[arg(long, global = true, value_name = "FILTER")]
    log_filter: Option<String>,
    /// How log lines look
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// A running server to speak to, with the key in CARREL_API_KEY
    #[arg(long, global = true, env = "CARREL_URL")]
    url: Option<String>,
    /// Print what the HTTP interface answers
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Apart(read::Apart),
    #[command(flatten)]
    Verb(Box<Verb>),
}

#[derive(Subcommand)]
enum Verb {
    /// Serve the HTTP interface
    Serve(serve::Serve),
    /// Serve, with sample documents and a first question answered
    Quickstart(serve::Serve),
    /// Take files and folders into a workspace
    Ingest(ingest::Ingest),
    /// Search a workspace
    Search(search::Search),
    /// Documents of a workspace
    #[command(subcommand)]
    Document(document::Document),
    /// Look into the knowledge graph of a workspace
    #[command(subcommand)]
    Graph(graph::Graph),
    /// Measure how well a workspace finds what questions should find
    Eval(eval::Eval),
    /// Talk to an agent
    Chat(chat::Chat),
    /// Conversations of a workspace
    #[command(subcommand)]
    Session(session::Session),
    /// What readers judged, and the questions for `eval` that come of it
    #[command(subcommand)]
    Feedback(feedback::Feedback),
    /// Speak the Model Context Protocol on standard input and output
    Mcp(mcp::Mcp),
    /// Organizations
    #[command(subcommand)]
    Org(resource::Organization),
    /// Workspaces
    #[command(subcommand)]
    Workspace(workspace::Workspace),
    /// Agents
    #[command(subcommand)]
    Agent(resource::Agent),
    /// API keys
    #[command(subcommand)]
    Key(resource::Key),
    /// Back up the whole instance into a directory, while it serves or not
    Backup(backup::Backup),
    /// Put a backup into an empty data directory
    Restore(backup::Restore),
    /// Tell what this machine lacks and whether the data directory is whole
    Doctor(doctor::Doctor),
    /// Print the effective configuration, secrets hidden
    Config,
    /// Ask the server at the configured address whether it is ready
    Healthcheck,
}

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// The command line asks for what cannot be.
    Usage(String),
    /// It was tried, and did not work.
    Failed(String),
    /// Nobody answered, or not to the end; later perhaps.
    Unreachable(String),
    /// The interface refused it, with its stable code.
    Refused { code: String, detail: String },
    /// Whoever read the output has gone.
    Closed,
}

/// What a command comes to: an exit code, or why it ended early.
pub type Outcome<T = u8> = Result<T, Failure>;

impl Failure {
    /// 1 failed, 2 wrong use.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Failed(_) | Failure::Unreachable(_) | Failure::Refused { .. } => FAILED,
            Failure::Closed => DONE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Failed(text) | Failure::Unreachable(text) => f.write_str(text),
            Failure::Refused { code, detail } => write!(f, "{detail} ({code})"),
            Failure::Closed => f.write_str("the output was closed"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Failed(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Failed(error.to_string()),
        }
    }
}

impl Options {
    /// The effective configuration; `more` are flags of the verb itself.
    fn config(&self, more: &[(&'static str, Option<String>)]) -> Outcome<Config> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.to_string_lossy().into_owned());
        let format = self.log_format.map(|format| match format {
            LogFormat::Pretty => "pretty".to_owned(),
            LogFormat::Json => "json".to_owned(),
        });
        let own = [
            ("data", path(&self.data)),
            ("models", path(&self.models)),
            ("log.filter", self.log_filter.clone()),
            ("log.format", format),
        ];
        let named = own.iter().chain(more).filter_map(|(name, value)| Some((*name, value.clone()?)));
        let mut flags: Vec<(&str, String)> = named.collect();
        for setting in &self.set {
            let pair = setting.split_once('=');
            let (name, value) = pair.ok_or_else(|| Failure::Usage(format!("--set {setting}: it takes NAME=VALUE")))?;
            flags.push((name, value.to_owned()));
        }
        // Variables that are no text are none of ours.
        let environment = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Config::load(self.config.as_deref(), environment, &flags).map_err(|e| Failure::Usage(e.to_string()))
    }

    /// The configuration of a command that is not the server: its log stays quiet unless asked for.
    fn quiet_config(&self) -> Outcome<Config> {
        let mut config = self.config(&[])?;
        if config.log.filter == Config::default().log.filter {
            config.log.filter = "warn".to_owned();
        }
        Ok(config)
    }
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> Outcome {
    let Cli { options, command } = cli;
    let verb = match command {
        Command::Apart(apart) => return read::run(apart),
        Command::Verb(verb) => verb,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().max_blocking_threads(BLOCKING_THREADS).build()?;
    let code = runtime.block_on(async move {
        match *verb {
            Verb::Serve(serve) => serve::run(&options, serve).await,
            Verb::Quickstart(serve) => quickstart::run(&options, serve).await,
            Verb::Ingest(verb) => ingest::run(&options, verb).await,
            Verb::Search(verb) => search::run(&options, verb).await,
            Verb::Document(verb) => document::run(&options, verb).await,
            Verb::Graph(verb) => graph::run(&options, verb).await,
            Verb::Eval(verb) => eval::run(&options, verb).await,
            Verb::Chat(verb) => chat::run(&options, verb).await,
            Verb::Session(verb) => session::run(&options, verb).await,
            Verb::Feedback(verb) => feedback::run(&options, verb).await,
            Verb::Mcp(verb) => mcp::run(&options, verb).await,
            Verb::Org(verb) => verb.run(&options).await,
            Verb::Workspace(verb) => verb.run(&options).await,
            Verb::Agent(verb) => verb.run(&options).await,
            Verb::Key(verb) => verb.run(&options).await,
            Verb::Backup(verb) => backup::take(&options, verb).await,
            Verb::Restore(verb) => backup::restore(&options, verb).await,
            Verb::Doctor(verb) => doctor::run(&options, verb).await,
            Verb::Healthcheck => doctor::healthcheck(&options).await,
            Verb::Config => {
                say(&options.config(&[])?.to_toml()?)?;
                Ok(DONE)
            }
        }
    });
    // A turn or job that is still under way must not keep the process from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    code
}

/// Prints lines of data.
fn say(text: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end_matches('\n'))?;
    Ok(out.flush()?)
}
