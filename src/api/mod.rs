//! HTTP: the route table, and nothing else that a reader need look for elsewhere.
//!
//! Each resource has a file with its wire shapes and its handlers. A handler's signature names its permission
//! ([`access`]); without one there is no way to a workspace. Every route stands at its path and under `/v1`, but those that
//! OpenAI defined, which stand under `/v1` alone.

mod access;
mod agents;
mod api_keys;
mod body;
mod chat;
mod cors;
mod documents;
mod error;
mod evaluation_runs;
mod evaluations;
mod feedback;
mod filter;
mod graph;
mod health;
mod jobs;
mod ledger;
mod legacy;
mod listing;
mod maintenance;
mod mcp;
mod middleware;
mod multipart;
mod n8n;
mod openai;
mod organizations;
mod origin;
mod page;
mod problem;
mod reindex;
mod search;
mod session_export;
mod sessions;
mod snapshots;
mod stream;
mod transcript;
mod validate;
mod widget;
mod workspaces;

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post};

use crate::app::App;

/// Every route of the instance.
pub fn router(app: Arc<App>) -> Router {
    let routes =
        middleware::in_time(resources().merge(legacy_routes()).merge(widget_routes()), &app).merge(whole_workspaces());
    let routes =
        routes.clone().nest("/v1", routes).merge(middleware::in_time(openai_routes(), &app)).merge(open_routes());
    middleware::around(routes, &app).with_state(app)
}

/// Routes that need no credential.
fn open_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/health", get(health::health))
        .route("/v1/health", get(health::health))
        .route("/livez", get(health::live))
        .route("/healthz", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/v1/livez", get(health::live))
        .route("/v1/healthz", get(health::live))
        .route("/v1/readyz", get(health::ready))
}

fn resources() -> Router<Arc<App>> {
    Router::new()
        .route("/auth/me", get(access::me))
        .route("/mcp", post(mcp::own))
        .route("/agent-templates", get(agents::templates))
        .route("/providers", get(agents::providers))
        .route("/organizations", get(organizations::list).post(organizations::create))
        .route(
            "/organizations/{organization_id}",
            get(organizations::show).patch(organizations::update).delete(organizations::delete),
        )
        .route("/organizations/{organization_id}/workspaces", get(workspaces::list).post(workspaces::create))
        .route("/workspaces/{workspace_id}", get(workspaces::show).patch(workspaces::update).delete(workspaces::delete))
        .route("/workspaces/{workspace_id}/stats", get(workspaces::stats))
        .route("/workspaces/{workspace_id}/agents", get(agents::list).post(agents::create))
        .route(
            "/workspaces/{workspace_id}/agents/{agent_id}",
            get(agents::show).patch(agents::update).delete(agents::delete),
        )
        .route("/workspaces/{workspace_id}/api-keys", get(api_keys::list).post(api_keys::create))
        .route(
            "/workspaces/{workspace_id}/api-keys/{key_id}",
            get(api_keys::show).patch(api_keys::update).delete(api_keys::revoke),
        )
        .route("/workspaces/{workspace_id}/documents", get(documents::list).post(documents::create))
        .route(
            "/workspaces/{workspace_id}/documents/{document_id}",
            get(documents::show).put(documents::replace).patch(documents::edit).delete(documents::delete),
        )
        .route("/workspaces/{workspace_id}/documents/{document_id}/chunks", get(documents::chunks))
        .route("/workspaces/{workspace_id}/documents/{document_id}/file", get(documents::file))
        .route("/workspaces/{workspace_id}/ingest", post(jobs::ingest))
        .route("/workspaces/{workspace_id}/jobs", get(jobs::list))
        .route("/workspaces/{workspace_id}/jobs/{job_id}", get(jobs::show).delete(jobs::cancel))
        .route("/workspaces/{workspace_id}/jobs/{job_id}/events", get(jobs::events))
        .route("/workspaces/{workspace_id}/jobs/{job_id}/results", get(jobs::results))
        .route("/workspaces/{workspace_id}/reindex", get(reindex::show).post(reindex::begin))
        .route("/workspaces/{workspace_id}/reindex/confirm", post(reindex::confirm))
        .route("/workspaces/{workspace_id}/reindex/rollback", post(reindex::rollback))
        .route("/workspaces/{workspace_id}/search", post(search::search))
        .route("/workspaces/{workspace_id}/graph", get(graph::picture))
        .route("/workspaces/{workspace_id}/graph/entities", get(graph::entities))
        .route("/workspaces/{workspace_id}/graph/entities/{entity_id}", get(graph::entity))
        .route("/workspaces/{workspace_id}/graph/entities/{entity_id}/relationships", get(graph::relationships))
        .route("/workspaces/{workspace_id}/graph/entities/{entity_id}/timeline", get(graph::timeline))
        .route("/workspaces/{workspace_id}/graph/path", get(graph::path))
        .route("/workspaces/{workspace_id}/graph/communities", get(graph::communities))
        .route("/workspaces/{workspace_id}/evaluations", get(evaluations::list).post(evaluations::create))
        .route(
            "/workspaces/{workspace_id}/evaluations/{evaluation_id}",
            get(evaluations::show).delete(evaluations::delete),
        )
        .route("/workspaces/{workspace_id}/evaluations/{evaluation_id}/questions", post(evaluations::add_question))
        .route(
            "/workspaces/{workspace_id}/evaluations/{evaluation_id}/questions/{question_id}",
            delete(evaluations::delete_question),
        )
        .route("/workspaces/{workspace_id}/evaluations/{evaluation_id}/runs/{run_id}", get(evaluation_runs::show))
        .route("/workspaces/{workspace_id}/chat", post(chat::chat))
        .route("/workspaces/{workspace_id}/mcp", post(mcp::within))
        .route("/workspaces/{workspace_id}/sessions", get(sessions::list))
        .route(
            "/workspaces/{workspace_id}/sessions/{session_id}",
            get(sessions::show).patch(sessions::update).delete(sessions::delete),
        )
        .route("/workspaces/{workspace_id}/sessions/{session_id}/messages", get(sessions::messages))
        .route("/workspaces/{workspace_id}/messages/{message_id}/feedback", post(feedback::judge))
        .route("/workspaces/{workspace_id}/feedback", get(feedback::list))
        .route("/workspaces/{workspace_id}/feedback/questions", get(feedback::questions))
        .route("/workspaces/{workspace_id}/messages/{message_id}/trace", get(ledger::trace))
        .route("/workspaces/{workspace_id}/messages/{message_id}/replay", post(ledger::replay))
}

/// Routes that take as long as a workspace is large; their streams are bounded by silence, not by time.
fn whole_workspaces() -> Router<Arc<App>> {
    Router::new()
        .route("/workspaces/{workspace_id}/graph/export", get(graph::export))
        .route("/workspaces/{workspace_id}/sessions/{session_id}/export", get(session_export::export))
        .route("/workspaces/{workspace_id}/snapshot", post(snapshots::snapshot))
        .route("/workspaces/{workspace_id}/copy", post(snapshots::copy))
        .route("/workspaces/{workspace_id}/check", post(maintenance::check))
        .route(
            "/workspaces/{workspace_id}/evaluations/{evaluation_id}/runs",
            get(evaluation_runs::list).post(evaluation_runs::run),
        )
        .route("/workspaces/{workspace_id}/freeze", post(maintenance::freeze).delete(maintenance::thaw))
        .route("/workspaces/unadopted", get(snapshots::unadopted))
        .route("/organizations/{organization_id}/workspaces/import", post(snapshots::import))
        .route("/organizations/{organization_id}/workspaces/adopt", post(snapshots::adopt))
        .route("/organizations/{organization_id}/trash", get(maintenance::trash))
        .route("/organizations/{organization_id}/trash/{workspace_id}/restore", post(maintenance::restore))
}

/// Routes that OpenAI defined, for its clients.
fn openai_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/models", get(openai::models::list))
        .route("/v1/models/{*model_id}", get(openai::models::show))
        .route("/v1/chat/completions", post(openai::completions::complete))
        .route("/v1/embeddings", post(openai::embeddings::embed))
}

/// Routes of the original system, for its clients: they act on the key's workspace.
fn legacy_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/chat", post(legacy::chat))
        .route("/chat/stream", post(legacy::chat_stream))
        .route("/n8n/chat", post(n8n::chat))
        .route("/n8n/simple", post(n8n::simple))
        .route("/search/vector", post(legacy::search_vector))
        .route("/search/hybrid", post(legacy::search_hybrid))
        .route("/search/graph", post(legacy::search_graph))
        .route("/documents", get(legacy::documents))
        .route("/sessions/{session_id}", get(legacy::session))
        .route("/sessions/{session_id}/messages", get(legacy::messages))
}

/// The chat for other sites' pages, and what it asks before it shows itself.
fn widget_routes() -> Router<Arc<App>> {
    Router::new()
        .route("/static/chat-widget.js", get(widget::script))
        .route("/widget/chat", get(widget::page))
        .route("/widget/validate", post(widget::validate))
}
