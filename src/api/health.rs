//! Is it alive, is it ready.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::error::{Answer, blocking};
use crate::app::App;
use crate::error::Error;
use crate::sqlite::Access;

/// `GET /health`: for clients of the original.
pub async fn health() -> Json<Value> {
    Json(json!({"status": "healthy", "version": env!("CARGO_PKG_VERSION"), "timestamp": crate::clock::now()}))
}

/// `GET /livez`, `GET /healthz`: the process answers.
pub async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /readyz`: the instance is not about to end, the register can be read and the default model embeds. How many open workspaces are rebuilding their
/// full-text index is told, and does not make the instance less ready; nor does a disk that takes no writes.
pub async fn ready(State(app): State<Arc<App>>) -> Answer<Json<Value>> {
    if *app.stopping().borrow() {
        return Err(Error::Unavailable("the server is stopping".into()).into());
    }
    blocking(move || {
        app.tenancy.organizations(1, 0)?;
        let model = app.embeds()?;
        let mode = match app.directory.access() {
            Access::Write => "read-write",
            Access::Read => "read-only",
        };
        let damaged = app.tenancy.damaged().len();
        let (open, rebuilding) = app.tenancy.registry().state();
        Ok(Json(json!({
            "status": "ready",
            "mode": mode,
            "embedding_model": model,
            "workspaces": {"open": open, "rebuilding": rebuilding, "damaged": damaged},
        })))
    })
    .await
}
