//! The life of the process: listen, work, drain, close.

use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::api;
use crate::app::App;
use crate::config::{Log, LogFormat};
use crate::error::{Error, Result};

/// How often idle workspaces are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether a workspace is to be read through.
const INSPECT_EVERY: Duration = Duration::from_secs(2);
/// How often the trash is looked through.
const TRASH_EVERY: Duration = Duration::from_secs(3600);
/// How often all workspaces are looked through for conversations that are not kept any more.
const EXPIRE_EVERY: Duration = Duration::from_secs(3600);
/// How long after one workspace the next is looked at: thousands of them are not to be felt.
const EXPIRE_PAUSE: Duration = Duration::from_millis(100);

/// Writes the log to standard error as configured.
///
/// # Errors
/// [`Error::Validation`] for a filter that cannot be understood.
pub fn init_logging(log: &Log) -> Result<()> {
    // llama.cpp tells how a model is built in a hundred lines, and `rmcp` takes whoever goes away for a fault; who wants to
    // hear them asks for them.
    let filter = format!("llama-cpp-2=warn,rmcp=off,{}", log.filter);
    let filter = EnvFilter::try_new(filter).map_err(|e| Error::invalid("log.filter", e.to_string()))?;
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let lines = lines.with_target(false).with_ansi(colours);
    let set = match log.format {
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
        LogFormat::Pretty => lines.try_init(),
    };
    set.map_err(|e| Error::internal("log", e))
}

/// Takes the address.
///
/// # Errors
/// [`Error::Unavailable`] where it is taken or not this machine's.
pub fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .map_err(|e| Error::Unavailable(format!("the address {address} cannot be listened on: {e}")))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves `app` on `listener` until `signals` tell the process to stop, then lets open requests end and closes.
///
/// A second signal, or the end of the time to drain, ends it at once.
pub async fn run(app: Arc<App>, listener: TcpListener, mut signals: Signals) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    app.announce(format!("http://{}", reachable(listener.local_addr()?)));
    app.start_workers();
    let tasks =
        [tokio::spawn(tidy(app.clone())), tokio::spawn(inspect(app.clone())), tokio::spawn(expire(app.clone()))];
    let mut stopping = app.stopping();
    // The words of an answer are small and many: none is to wait for the receipt of the one before it.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection sends its words late");
        }
    });
    let serving = axum::serve(listener, api::router(app.clone()).into_make_service_with_connect_info::<SocketAddr>());
    let serving = serving.with_graceful_shutdown(async move {
        // The sender outlives this, so an error is the same as the signal.
        let _ = stopping.wait_for(|stop| *stop).await;
    });
    let drained = async {
        signals.next().await;
        tracing::info!("stopping");
        app.stop();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(app.config.limits.drain_seconds)) => {
                tracing::warn!("requests are still open; closing all the same");
            }
            () = signals.next() => tracing::warn!("told to stop twice; closing at once"),
        }
    };
    tokio::select! {
        served = serving => served?,
        () = drained => {}
    }
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::select! {
        () = app.close() => {}
        () = signals.next() => tracing::warn!("told to stop twice; closing at once"),
    }
    Ok(())
}

/// Where a process on this machine reaches a listener; one on every address is reached on this one.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], address.port())),
        false => address,
    }
}

async fn tidy(app: Arc<App>) {
    let mut every = tokio::time::interval(TIDY_EVERY);
    let mut since_trash = Duration::ZERO;
    loop {
        every.tick().await;
        since_trash += TIDY_EVERY;
        let trash = since_trash >= TRASH_EVERY;
        if trash {
            since_trash = Duration::ZERO;
        }
        let app = app.clone();
        let tidied = tokio::task::spawn_blocking(move || {
            app.close_idle();
            if trash { app.empty_trash() } else { Ok(()) }
        });
        match tidied.await {
            Ok(Err(error)) => tracing::error!(%error, "the trash was not emptied"),
            Err(error) => tracing::error!(%error, "tidying ended early"),
            Ok(Ok(())) => {}
        }
    }
}

/// Reads through one workspace after another, no longer at a time than it then pauses.
async fn inspect(app: Arc<App>) {
    loop {
        let inspected = tokio::task::spawn_blocking({
            let app = app.clone();
            move || app.inspect()
        });
        let pause = match inspected.await {
            Ok(Ok(taken)) => taken.unwrap_or_default().max(INSPECT_EVERY),
            Ok(Err(error)) => {
                tracing::error!(%error, "no workspace could be read through");
                TRASH_EVERY
            }
            Err(error) => {
                tracing::error!(%error, "reading a workspace through ended early");
                TRASH_EVERY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Removes what is not kept any more from one workspace after another, and pauses after each and after all.
async fn expire(app: Arc<App>) {
    let mut last = Uuid::nil();
    loop {
        let expired = tokio::task::spawn_blocking({
            let app = app.clone();
            move || app.expire_sessions(last)
        });
        let next = match expired.await {
            Ok(Ok(next)) => next,
            Ok(Err(error)) => {
                tracing::error!(%error, "no conversation could be looked at");
                None
            }
            Err(error) => {
                tracing::error!(%error, "looking at conversations ended early");
                None
            }
        };
        last = next.unwrap_or_default();
        tokio::time::sleep(if next.is_some() { EXPIRE_PAUSE } else { EXPIRE_EVERY }).await;
    }
}

/// The signals that tell the process to stop. From the first of these on, none ends it by itself.
pub struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Catches them, within a runtime.
    ///
    /// # Errors
    /// Where the machine does not let it.
    #[cfg(unix)]
    pub fn catch() -> Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(not(unix))]
    pub fn catch() -> Result<Signals> {
        Ok(Signals {})
    }

    /// Waits for the next.
    #[cfg(unix)]
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    pub async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
