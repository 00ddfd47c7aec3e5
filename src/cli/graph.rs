//! `carrel graph`: entities, facts, and what leads from one to another.

use std::time::{Duration, Instant};

use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::client::{Client, query};
use super::place::Place;
use super::{DONE, FAILED, Failure, Options, Outcome, say};

/// How long facts that are being read are waited for, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

#[derive(Subcommand)]
pub enum Graph {
    /// Entities by name, or those that are named most
    Entities {
        #[command(flatten)]
        place: Place,
        /// A name or something like it
        name: Vec<String>,
        /// person, organization, place, product, work, concept, date or amount
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// The facts around an entity
    Show {
        #[command(flatten)]
        place: Place,
        /// A name, or an id
        entity: String,
        /// Steps from it, 1 to 4
        #[arg(long, default_value_t = 1)]
        depth: u8,
        /// Only what was true on this day
        #[arg(long, value_name = "DATE")]
        as_of: Option<String>,
    },
    /// What happened to an entity, oldest first
    Timeline {
        #[command(flatten)]
        place: Place,
        /// A name, or an id
        entity: String,
        #[arg(long, value_name = "DATE")]
        from: Option<String>,
        #[arg(long, value_name = "DATE")]
        to: Option<String>,
        #[arg(long, default_value_t = 200)]
        limit: u32,
        #[arg(long, default_value_t = 0)]
        offset: u32,
    },
    /// The shortest way from one entity to another along facts
    Path {
        #[command(flatten)]
        place: Place,
        /// A name, or an id
        from: String,
        /// A name, or an id
        to: String,
    },
    /// All of it, to standard output
    Export {
        #[command(flatten)]
        place: Place,
        /// graphml or json [default: graphml, with --json that]
        #[arg(long)]
        format: Option<String>,
    },
}

pub async fn run(options: &Options, verb: Graph) -> Outcome {
    let client = Client::open_existing(options).await?;
    let done = match until_read(&client, verb.place()).await {
        Ok(()) => ask(&client, options, verb).await,
        Err(failure) => Err(failure),
    };
    client.close().await;
    done
}

impl Graph {
    fn place(&self) -> &Place {
        match self {
            Graph::Entities { place, .. }
            | Graph::Show { place, .. }
            | Graph::Timeline { place, .. }
            | Graph::Path { place, .. }
            | Graph::Export { place, .. } => place,
        }
    }
}

/// Waits a while for the facts of what has just been taken in, and says so where some are still to be read.
async fn until_read(client: &Client, place: &Place) -> Outcome<()> {
    let path = place.path("/stats");
    let patience = Instant::now() + PATIENCE;
    loop {
        let stats = client.json(Method::GET, &path, None).await?;
        let pending = stats["facts_pending"].as_u64().unwrap_or(0);
        if pending == 0 || stats["graph_full"] == true {
            return Ok(());
        }
        if Instant::now() >= patience {
            eprintln!("the facts of {pending} documents are still being read");
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn ask(client: &Client, options: &Options, verb: Graph) -> Outcome {
    let get = async |path: String| client.json(Method::GET, &path, None).await;
    let (found, lines) = match verb {
        Graph::Entities { place, name, kind, limit } => {
            let name = (!name.is_empty()).then(|| name.join(" "));
            let query = query(&[("q", name), ("type", kind), ("limit", Some(limit.to_string()))]);
            let found = get(place.path(&format!("/graph/entities{query}"))).await?;
            let lines = rows(&found).iter().map(entity).collect();
            (found, lines)
        }
        Graph::Show { place, entity, depth, as_of } => {
            let id = resolve(client, &place, &entity).await?;
            let query = query(&[("depth", Some(depth.to_string())), ("as_of", as_of)]);
            let found = get(place.path(&format!("/graph/entities/{id}/relationships{query}"))).await?;
            let lines = rows(&found["edges"]).iter().map(fact).collect();
            (found, lines)
        }
        Graph::Timeline { place, entity, from, to, limit, offset } => {
            let id = resolve(client, &place, &entity).await?;
            let page = [("limit", Some(limit.to_string())), ("offset", Some(offset.to_string()))];
            let query = query(&[[("start_date", from), ("end_date", to)], page].concat());
            let found = get(place.path(&format!("/graph/entities/{id}/timeline{query}"))).await?;
            let lines = rows(&found).iter().map(fact).collect();
            (found, lines)
        }
        Graph::Path { place, from, to } => {
            let (from, to) = (resolve(client, &place, &from).await?, resolve(client, &place, &to).await?);
            let found = get(place.path(&format!("/graph/path?from={from}&to={to}"))).await?;
            if found["found"] == false && !options.json {
                say("no facts lead from one to the other")?;
                return Ok(FAILED);
            }
            let lines = rows(&found["edges"]).iter().map(fact).collect();
            (found, lines)
        }
        Graph::Export { place, format } => {
            let format = format.unwrap_or_else(|| if options.json { "json" } else { "graphml" }.to_owned());
            let path = place.path(&format!("/graph/export{}", query(&[("format", Some(format))])));
            client.send(Method::GET, &path, "", Default::default()).await?.write_to(&mut std::io::stdout()).await?;
            return Ok(DONE);
        }
    };
    if options.json {
        say(&found.to_string())?;
        return Ok(DONE);
    }
    let lines: Vec<String> = lines;
    if lines.is_empty() {
        say("nothing found")?;
    }
    lines.iter().try_for_each(|line| say(line))?;
    Ok(DONE)
}

/// The id of whom `entity` names.
async fn resolve(client: &Client, place: &Place, entity: &str) -> Outcome<String> {
    if uuid::Uuid::parse_str(entity).is_ok() {
        return Ok(entity.to_owned());
    }
    let query = query(&[("q", Some(entity.to_owned())), ("limit", Some("1".to_owned()))]);
    let found = client.json(Method::GET, &place.path(&format!("/graph/entities{query}")), None).await?;
    let id = found[0]["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| Failure::Failed(format!("nothing here is called {entity}")))
}

fn rows(list: &Value) -> &[Value] {
    list.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}

fn entity(row: &Value) -> String {
    let others: Vec<&str> = rows(&row["aliases"]).iter().filter_map(Value::as_str).collect();
    let others = if others.is_empty() { String::new() } else { format!(" (also {})", others.join(", ")) };
    format!(
        "{}{others}  {}, named {} times, {} facts",
        text(row, "name"),
        text(row, "type"),
        row["mentions"],
        row["degree"]
    )
}

/// A fact, when it was true, and the sentence and document that say so.
fn fact(row: &Value) -> String {
    let when = match (row["valid_at"].as_str(), row["invalid_at"].as_str()) {
        (Some(since), Some(until)) => format!("  [{since} to {until}]"),
        (Some(since), None) => format!("  [since {since}]"),
        (None, Some(until)) => format!("  [until {until}]"),
        (None, None) => String::new(),
    };
    let evidence = &row["evidence"][0];
    let place = evidence["location"]["label"].as_str().map(|label| format!(", {label}")).unwrap_or_default();
    let quote = text(evidence, "quote").split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{}{when}\n      \"{quote}\"  ({}{place})", text(row, "fact"), text(evidence, "document_source"))
}
