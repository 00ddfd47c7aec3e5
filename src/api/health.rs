//! Is it alive, is it ready.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::error::{Answer, blocking};
use crate::app::App;

/// `GET /health`: for clients of the original.
pub async fn health() -> Json<Value> {
    Json(json!({"status": "healthy", "version": env!("CARGO_PKG_VERSION"), "timestamp": crate::clock::now()}))
}

/// `GET /livez`, `GET /healthz`: the process answers.
pub async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// `GET /readyz`: the register can be read and the default model embeds.
pub async fn ready(State(app): State<Arc<App>>) -> Answer<Json<Value>> {
    blocking(move || {
        app.tenancy.organizations(1, 0)?;
        let model = app.models.default_model();
        model.embed(&["ready"], crate::embed::Purpose::Query)?;
        Ok(Json(json!({"status": "ready", "embedding_model": model.model().name})))
    })
    .await
}
