//! `carrel feedback`: what readers judged, and the questions for `carrel eval` that come of it.

use std::path::PathBuf;

use clap::Subcommand;
use http::Method;
use serde_json::Value;

use super::client::{Client, query};
use super::output;
use super::place::Place;
use super::resource::print;
use super::{DONE, Options, Outcome};

/// What a list shows of a judged answer.
const COLUMNS: &[&str] = &["rated_at", "rating", "understood", "comment"];

#[derive(Subcommand)]
pub enum Feedback {
    /// List answers that were judged, the last judgment first
    List {
        #[command(flatten)]
        place: Place,
        /// 1 or -1
        #[arg(long, allow_hyphen_values = true)]
        rating: Option<i8>,
        /// Judged at this time or day, or later
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Judged before this time, or up to the end of this day
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        #[arg(long, default_value_t = 50)]
        limit: u32,
        #[arg(long, default_value_t = 0)]
        offset: u32,
    },
    /// Write the questions of answers that were judged good, each with what its answer cited, as `carrel eval` takes them
    Questions {
        #[command(flatten)]
        place: Place,
        /// Judged at this time or day, or later
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Judged before this time, or up to the end of this day
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// The file that is written [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

pub async fn run(options: &Options, verb: Feedback) -> Outcome {
    let client = Client::open_existing(options).await?;
    let done = ask(&client, options, verb).await;
    client.close().await;
    done
}

async fn ask(client: &Client, options: &Options, verb: Feedback) -> Outcome {
    match verb {
        Feedback::List { place, rating, from, to, limit, offset } => {
            let query = query(&[
                ("rating", rating.map(|rating| rating.to_string())),
                ("from", from),
                ("to", to),
                ("limit", Some(limit.to_string())),
                ("offset", Some(offset.to_string())),
            ]);
            let answer = client.json(Method::GET, &place.path(&format!("/feedback{query}")), None).await?;
            print(options, &if options.json { answer } else { lines(answer) }, COLUMNS)?;
        }
        Feedback::Questions { place, from, to, output } => {
            let path = place.path(&format!("/feedback/questions{}", query(&[("from", from), ("to", to)])));
            let reply = client.send(Method::GET, &path, "", Default::default()).await?;
            output::write(reply, output.as_deref()).await?;
        }
    }
    Ok(DONE)
}

/// The rows with what people wrote in one line each.
fn lines(mut answer: Value) -> Value {
    for value in
        answer.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut).flat_map(|row| row.values_mut())
    {
        if let Value::String(text) = value {
            *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
    answer
}
