//! `carrel session`: conversations of a workspace.

use std::path::PathBuf;

use clap::Subcommand;
use http::Method;
use serde_json::json;
use uuid::Uuid;

use super::client::{Client, query};
use super::output;
use super::place::Place;
use super::resource::print;
use super::{DONE, Options, Outcome};

/// What a list shows of a session.
const COLUMNS: &[&str] = &["id", "message_count", "updated_at", "title"];

#[derive(Subcommand)]
pub enum Session {
    /// List them, the one that went on last first
    List {
        #[command(flatten)]
        place: Place,
        /// Words that stand in the title or were said
        words: Vec<String>,
        /// The agent's id
        #[arg(long, value_name = "ID")]
        agent: Option<Uuid>,
        /// Who talks, as the client named them
        #[arg(long)]
        user: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[arg(long, default_value_t = 0)]
        offset: u32,
    },
    /// Show what is known of one; `export` has what was said
    Show {
        id: Uuid,
        #[command(flatten)]
        place: Place,
    },
    /// Give one another title
    Rename {
        id: Uuid,
        title: String,
        #[command(flatten)]
        place: Place,
    },
    /// Delete one with all that was said in it
    Delete {
        id: Uuid,
        #[command(flatten)]
        place: Place,
    },
    /// Write one out, with what its answers cite
    Export {
        id: Uuid,
        #[command(flatten)]
        place: Place,
        /// markdown or json [default: markdown, with --json that]
        #[arg(long)]
        format: Option<String>,
        /// The file that is written [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub async fn run(options: &Options, verb: Session) -> Outcome {
    let client = Client::open_existing(options).await?;
    let done = ask(&client, options, verb).await;
    client.close().await;
    done
}

async fn ask(client: &Client, options: &Options, verb: Session) -> Outcome {
    let answer = match verb {
        Session::List { place, words, agent, user, limit, offset } => {
            let query = query(&[
                ("q", (!words.is_empty()).then(|| words.join(" "))),
                ("agent_id", agent.map(|agent| agent.to_string())),
                ("user_id", user),
                ("limit", Some(limit.to_string())),
                ("offset", Some(offset.to_string())),
            ]);
            client.json(Method::GET, &place.path(&format!("/sessions{query}")), None).await?
        }
        Session::Show { id, place } => client.json(Method::GET, &place.path(&format!("/sessions/{id}")), None).await?,
        Session::Rename { id, title, place } => {
            let path = place.path(&format!("/sessions/{id}"));
            client.json(Method::PATCH, &path, Some(&json!({"title": title}))).await?
        }
        Session::Delete { id, place } => {
            client.json(Method::DELETE, &place.path(&format!("/sessions/{id}")), None).await?
        }
        Session::Export { id, place, format, output } => {
            let format = format.or_else(|| options.json.then(|| "json".to_owned()));
            let path = place.path(&format!("/sessions/{id}/export{}", query(&[("format", format)])));
            let reply = client.send(Method::GET, &path, "", Default::default()).await?;
            output::write(reply, output.as_deref()).await?;
            return Ok(DONE);
        }
    };
    print(options, &answer, COLUMNS)?;
    Ok(DONE)
}
