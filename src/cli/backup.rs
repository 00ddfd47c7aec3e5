//! `carrel backup` and `carrel restore`: they work on directories, beside a running server or without one.

use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{DONE, Failure, Options, Outcome, PARTLY, say};
use crate::backup;
use crate::server;

#[derive(Args)]
pub struct Backup {
    /// Where backups are kept
    directory: PathBuf,
    /// How many backups to keep there [default: all]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
}

#[derive(Args)]
pub struct Restore {
    /// Where backups are kept
    directory: PathBuf,
    /// The name of the backup [default: the newest]
    #[arg(long, value_name = "NAME")]
    at: Option<String>,
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} workspaces {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> crate::error::Result<T> + Send + 'static) -> Outcome<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|e| Failure::Failed(e.to_string()))?;
    Ok(done?)
}

pub async fn take(options: &Options, verb: Backup) -> Outcome {
    let config = options.quiet_config()?;
    server::init_logging(&config.log)?;
    let taken = blocking(move || {
        let bar = bar();
        let progress = |done: usize, all: usize| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        };
        let taken = backup::take(&config.data, &verb.directory, verb.keep.map(|keep| keep as usize), &progress);
        bar.finish_and_clear();
        taken
    })
    .await?;
    let saved = taken.backup.workspaces.len();
    if options.json {
        say(&serde_json::json!({
            "directory": taken.directory,
            "workspaces": saved,
            "copied_files": taken.copied_files,
            "copied_bytes": taken.copied_bytes,
            "failures": taken.backup.failures,
        })
        .to_string())?;
    } else {
        say(&format!(
            "{saved} workspaces in {}; {} files copied, {} bytes",
            taken.directory.display(),
            taken.copied_files,
            taken.copied_bytes
        ))?;
    }
    for failure in &taken.backup.failures {
        eprintln!("not saved: workspace {}: {}", failure.id, failure.why);
    }
    Ok(if taken.backup.failures.is_empty() { DONE } else { PARTLY })
}

pub async fn restore(options: &Options, verb: Restore) -> Outcome {
    let config = options.quiet_config()?;
    server::init_logging(&config.log)?;
    let data = config.data.clone();
    let restored = blocking(move || {
        let bar = bar();
        let progress = |done: usize, all: usize| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        };
        let restored =
            backup::restore(&verb.directory, verb.at.as_deref(), &config.data, config.allow_network_fs, &progress);
        bar.finish_and_clear();
        restored
    })
    .await?;
    let count = restored.workspaces.len();
    match options.json {
        true => say(&serde_json::json!({"workspaces": count, "created_at": restored.created_at}).to_string())?,
        false => say(&format!("{count} workspaces of {} restored into {}", restored.created_at, data.display()))?,
    }
    Ok(DONE)
}
