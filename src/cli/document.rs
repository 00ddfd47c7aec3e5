//! `carrel document`: what a workspace holds, the text that was made of it, and the originals.

use clap::Subcommand;
use http::Method;
use uuid::Uuid;

use super::client::{Client, query};
use super::place::Place;
use super::resource::print;
use super::{DONE, Options, Outcome, say};

/// What a list shows of a document.
const COLUMNS: &[&str] = &["id", "source", "title", "chunk_count", "updated_at"];

#[derive(Subcommand)]
pub enum Document {
    /// List them, the newest first
    List {
        #[command(flatten)]
        place: Place,
        /// Words that stand in the title, the source or the metadata
        words: Vec<String>,
        /// Metadata that must hold; give it again for more
        #[arg(long = "where", value_name = "KEY=VALUE", value_parser = condition)]
        conditions: Vec<(String, String)>,
        /// title, source, created_at, updated_at, size_bytes or metadata.KEY, with - before it from the end
        #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
        sort: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[arg(long, default_value_t = 0)]
        offset: u32,
    },
    /// Show what is known of one
    Show {
        id: Uuid,
        #[command(flatten)]
        place: Place,
    },
    /// Print the text that was made of one
    Text {
        id: Uuid,
        #[command(flatten)]
        place: Place,
    },
    /// Write the original of one to standard output
    Original {
        id: Uuid,
        #[command(flatten)]
        place: Place,
    },
    /// Delete one
    Delete {
        id: Uuid,
        #[command(flatten)]
        place: Place,
    },
}

fn condition(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it takes KEY=VALUE")?;
    Ok((format!("metadata.{key}"), value.to_owned()))
}

pub async fn run(options: &Options, verb: Document) -> Outcome {
    let client = Client::open_existing(options).await?;
    let done = ask(&client, options, verb).await;
    client.close().await;
    done
}

async fn ask(client: &Client, options: &Options, verb: Document) -> Outcome {
    let answer = match verb {
        Document::List { place, words, conditions, sort, limit, offset } => {
            let words = (!words.is_empty()).then(|| words.join(" "));
            let mut given = vec![
                ("q", words),
                ("sort", sort),
                ("limit", Some(limit.to_string())),
                ("offset", Some(offset.to_string())),
            ];
            given.extend(conditions.iter().map(|(key, value)| (key.as_str(), Some(value.clone()))));
            let found = client.json(Method::GET, &place.path(&format!("/documents{}", query(&given))), None).await?;
            match options.json {
                true => found,
                false => {
                    let shown = u64::from(offset) + found["documents"].as_array().map_or(0, |rows| rows.len() as u64);
                    if let Some(total) = found["total"].as_u64().filter(|total| shown < *total) {
                        eprintln!("up to {shown} of {total}; --offset {shown} shows more");
                    }
                    found["documents"].clone()
                }
            }
        }
        Document::Show { place, id } => {
            let mut found = client.json(Method::GET, &place.path(&format!("/documents/{id}")), None).await?;
            // For that there is a verb of its own.
            if let Some(fields) = found.as_object_mut().filter(|_| !options.json) {
                fields.remove("content");
            }
            found
        }
        Document::Text { place, id } => {
            let found = client.json(Method::GET, &place.path(&format!("/documents/{id}")), None).await?;
            say(found["content"].as_str().unwrap_or_default())?;
            return Ok(DONE);
        }
        Document::Original { place, id } => {
            let path = place.path(&format!("/documents/{id}/file"));
            client.send(Method::GET, &path, "", Default::default()).await?.write_to(&mut std::io::stdout()).await?;
            return Ok(DONE);
        }
        Document::Delete { place, id } => {
            client.json(Method::DELETE, &place.path(&format!("/documents/{id}")), None).await?
        }
    };
    print(options, &answer, COLUMNS)?;
    Ok(DONE)
}
