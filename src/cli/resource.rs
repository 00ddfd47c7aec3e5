//! `carrel org|workspace|agent|key`: what the HTTP interface lists, makes, shows, changes and deletes.

use clap::{Args, Subcommand};
use http::Method;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::client::Client;
use super::{DONE, Failure, Options, Outcome, say};
use crate::app::{DEFAULT_ORGANIZATION, DEFAULT_WORKSPACE};

/// Where things of a kind are, and what a list shows of them.
pub trait Collection {
    const COLUMNS: &'static [&'static str];

    fn list(&self) -> String;

    fn item(&self, id: Uuid) -> String;
}

/// What is done with things of the collection `C` that have the fields `F`.
#[derive(Subcommand)]
pub enum Verb<C: Args, F: Args> {
    /// List them
    List {
        #[command(flatten)]
        place: C,
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[arg(long, default_value_t = 0)]
        offset: u32,
    },
    /// Make one
    Create {
        #[command(flatten)]
        place: C,
        #[command(flatten)]
        fields: F,
    },
    /// Show one
    Show {
        id: Uuid,
        #[command(flatten)]
        place: C,
    },
    /// Change one
    Update {
        id: Uuid,
        #[command(flatten)]
        place: C,
        #[command(flatten)]
        fields: F,
    },
    /// Delete one
    Delete {
        id: Uuid,
        #[command(flatten)]
        place: C,
        /// Delete what is in it too
        #[arg(long)]
        force: bool,
    },
}

impl<C: Args + Collection, F: Args + Serialize> Verb<C, F> {
    pub async fn run(self, options: &Options) -> Outcome {
        let body = |fields: &F| {
            let mut body = serde_json::to_value(fields).map_err(|e| Failure::Failed(e.to_string()))?;
            // What was not given is left alone; `null` would clear it.
            if let Some(fields) = body.as_object_mut() {
                fields.retain(|_, value| !value.is_null());
            }
            Ok::<_, Failure>(body)
        };
        let (method, path, body) = match &self {
            Verb::List { place, limit, offset } => {
                (Method::GET, format!("{}?limit={limit}&offset={offset}", place.list()), None)
            }
            Verb::Create { place, fields } => (Method::POST, place.list(), Some(body(fields)?)),
            Verb::Show { place, id } => (Method::GET, place.item(*id), None),
            Verb::Update { place, id, fields } => (Method::PATCH, place.item(*id), Some(body(fields)?)),
            Verb::Delete { place, id, force: true } => {
                (Method::DELETE, format!("{}?force=true", place.item(*id)), None)
            }
            Verb::Delete { place, id, .. } => (Method::DELETE, place.item(*id), None),
        };
        request(options, method, &path, body, C::COLUMNS).await
    }
}

/// Sends one request and prints its answer.
pub async fn request(options: &Options, method: Method, path: &str, body: Option<Value>, columns: &[&str]) -> Outcome {
    let client = Client::open(options).await?;
    let answer = client.json(method, path, body.as_ref()).await;
    client.close().await;
    print(options, &answer?, columns)?;
    Ok(DONE)
}

/// Prints an answer: a list as a table of `columns`, an object by its fields.
pub fn print(options: &Options, answer: &Value, columns: &[&str]) -> Outcome<()> {
    match answer {
        _ if options.json => say(&answer.to_string())?,
        Value::Array(rows) => say(&table(rows, columns))?,
        Value::Object(fields) => {
            let width = fields.keys().map(String::len).max().unwrap_or(0);
            let lines = fields.iter().map(|(name, value)| format!("{name:width$}  {}", plain(value)));
            say(&lines.collect::<Vec<_>>().join("\n"))?;
        }
        other => say(&other.to_string())?,
    }
    Ok(())
}

fn table(rows: &[Value], columns: &[&str]) -> String {
    let cells: Vec<Vec<String>> = std::iter::once(columns.iter().map(|name| name.to_uppercase()).collect())
        .chain(rows.iter().map(|row| columns.iter().map(|name| plain(&row[*name])).collect()))
        .collect();
    let width = |column: usize| cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    cells.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn parse_json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

pub type Organization = Verb<Organizations, OrganizationFields>;

#[derive(Args)]
pub struct Organizations {}

impl Collection for Organizations {
    const COLUMNS: &'static [&'static str] = &["id", "slug", "name", "plan_tier"];

    fn list(&self) -> String {
        "/organizations".to_owned()
    }

    fn item(&self, id: Uuid) -> String {
        format!("/organizations/{id}")
    }
}

/// Fields that were given become the body of a request; the server checks them.
#[derive(Args, Serialize)]
pub struct OrganizationFields {
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    slug: Option<String>,
    #[arg(long)]
    contact_email: Option<String>,
    #[arg(long)]
    contact_name: Option<String>,
    /// free, starter, pro or enterprise
    #[arg(long)]
    plan_tier: Option<String>,
}

#[derive(Args)]
pub struct Workspaces {
    /// The organization's id
    #[arg(long, default_value_t = DEFAULT_ORGANIZATION)]
    pub org: Uuid,
}

impl Collection for Workspaces {
    const COLUMNS: &'static [&'static str] = &["id", "slug", "name", "document_count"];

    fn list(&self) -> String {
        format!("/organizations/{}/workspaces", self.org)
    }

    fn item(&self, id: Uuid) -> String {
        format!("/workspaces/{id}")
    }
}

#[derive(Args, Serialize)]
pub struct WorkspaceFields {
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    slug: Option<String>,
    #[arg(long)]
    description: Option<String>,
    /// A model in the models directory
    #[arg(long)]
    embedding_model: Option<String>,
    /// A JSON object
    #[arg(long, value_parser = parse_json)]
    settings: Option<Value>,
}

pub type Agent = Verb<Agents, AgentFields>;

#[derive(Args)]
pub struct Agents {
    /// The workspace's id
    #[arg(long, default_value_t = DEFAULT_WORKSPACE)]
    workspace: Uuid,
}

impl Collection for Agents {
    const COLUMNS: &'static [&'static str] = &["id", "slug", "name", "model_provider", "is_active"];

    fn list(&self) -> String {
        format!("/workspaces/{}/agents", self.workspace)
    }

    fn item(&self, id: Uuid) -> String {
        format!("{}/{id}", self.list())
    }
}

#[derive(Args, Serialize)]
pub struct AgentFields {
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    slug: Option<String>,
    #[arg(long)]
    description: Option<String>,
    /// What it is to begin with: support, sales, documentation, … (of a new one)
    #[arg(long)]
    template: Option<String>,
    /// Who it is and how it answers
    #[arg(long)]
    system_prompt: Option<String>,
    /// A provider that the operator configured; extractive is always there
    #[arg(long)]
    model_provider: Option<String>,
    /// A model of that provider
    #[arg(long)]
    model_name: Option<String>,
    #[arg(long)]
    temperature: Option<f64>,
    #[arg(long)]
    max_tokens: Option<u32>,
    /// A tool that it may use; give it again for more
    #[arg(long = "tool", value_name = "TOOL")]
    enabled_tools: Option<Vec<String>>,
    /// A JSON object
    #[arg(long, value_parser = parse_json)]
    tool_config: Option<Value>,
    /// A JSON object
    #[arg(long, value_parser = parse_json)]
    settings: Option<Value>,
    #[arg(long)]
    is_active: Option<bool>,
}

pub type Key = Verb<Keys, KeyFields>;

#[derive(Args)]
pub struct Keys {
    /// The workspace's id
    #[arg(long, default_value_t = DEFAULT_WORKSPACE)]
    workspace: Uuid,
}

impl Collection for Keys {
    const COLUMNS: &'static [&'static str] = &["id", "key_prefix", "name", "scopes", "is_active", "last_used_at"];

    fn list(&self) -> String {
        format!("/workspaces/{}/api-keys", self.workspace)
    }

    fn item(&self, id: Uuid) -> String {
        format!("{}/{id}", self.list())
    }
}

#[derive(Args, Serialize)]
pub struct KeyFields {
    #[arg(long)]
    name: Option<String>,
    /// chat, search, read, ingest or admin; give it again for more
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Option<Vec<String>>,
    #[arg(long)]
    rate_limit_per_minute: Option<u32>,
    /// Where its pages are, as in `https://www.example.org`; give it again for more. Without any, the key is for programs
    #[arg(long = "origin", value_name = "ORIGIN")]
    allowed_origins: Option<Vec<String>>,
    /// A time as in 2027-01-31T00:00:00Z
    #[arg(long)]
    expires_at: Option<String>,
    #[arg(long)]
    is_active: Option<bool>,
}
