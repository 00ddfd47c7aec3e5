//! `carrel serve`

use std::net::TcpListener;
use std::sync::Arc;

use clap::Args;

use super::{DONE, Failure, Options, Outcome, say};
use crate::app::App;
use crate::config::Config;
use crate::server::{self, Signals};

#[derive(Args)]
pub struct Serve {
    /// The address to listen on [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Opens what serving takes: the address first, so that a server that could not listen changes nothing.
pub async fn open(options: &Options, serve: &Serve, quiet: bool) -> Outcome<(Arc<App>, TcpListener)> {
    let mut config = options.config(&[("listen", serve.listen.clone())])?;
    if quiet && config.log.filter == Config::default().log.filter {
        config.log.filter = "warn".to_owned();
    }
    server::init_logging(&config.log)?;
    let listener = server::listen(config.listen)?;
    let opened = tokio::task::spawn_blocking(move || App::open(config)).await;
    let app = opened.map_err(|e| Failure::Failed(e.to_string()))??;
    Ok((app, listener))
}

/// Prints the admin key where this start made it.
pub fn show_admin_key(app: &App) -> Outcome<()> {
    match &app.first_start {
        Some(key) => say(&format!("admin key: {key}\n(shown this once; keep it)")),
        None => Ok(()),
    }
}

pub async fn run(options: &Options, serve: Serve) -> Outcome {
    let (app, listener) = open(options, &serve, false).await?;
    show_admin_key(&app)?;
    // Before it is told that it listens: whoever knows may tell it to stop.
    let signals = Signals::catch()?;
    say(&format!("listening on http://{}", listener.local_addr()?))?;
    server::run(app, listener, signals).await?;
    Ok(DONE)
}
