//! Every route that concerns one workspace, as a table, so that no test about callers forgets one.

use std::collections::HashMap;

use serde_json::Value;

use crate::tenant::SCOPES;

/// A route with a body that it accepts. `{names}` in path and body stand for ids.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub body: &'static str,
    /// The status where all ids are right.
    pub status: u16,
    /// What a key with just one scope may, in the order of [`SCOPES`]: `+` yes, `-` no, `?` the contract is silent.
    scopes: &'static str,
}

/// Whether a scope opens a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Refused,
    Either,
}

const fn route(
    method: &'static str,
    path: &'static str,
    body: &'static str,
    status: u16,
    scopes: &'static str,
) -> Route {
    Route { method, path, body, status, scopes }
}

//                                                                            scopes: chat search read ingest admin
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    route("GET",    "/workspaces/{workspace}",                         "", 200, "--+-+"),
    route("PATCH",  "/workspaces/{workspace}",  r#"{"description": "changed"}"#, 200, "----+"),
    route("DELETE", "/workspaces/{workspace}",                         "", 200, "-----"),
    route("GET",    "/workspaces/{workspace}/stats",                   "", 200, "--+-+"),
    route("POST",   "/workspaces/{workspace}/snapshot",                "", 200, "----+"),
    route("POST",   "/workspaces/{workspace}/copy", r#"{"name": "A copy", "slug": "a-copy"}"#, 201, "-----"),
    // Beginning one keeps the next from beginning; `reindex.rs` asks who may.
    route("GET",    "/workspaces/{workspace}/reindex",                 "", 200, "--+-+"),
    route("POST",   "/workspaces/{workspace}/reindex/confirm",         "", 409, "----+"),
    route("POST",   "/workspaces/{workspace}/reindex/rollback",        "", 409, "----+"),
    route("POST",   "/workspaces/{workspace}/check",                   "", 200, "----+"),
    route("GET",    "/workspaces/{workspace}/agents",                  "", 200, "--+-+"),
    route("POST",   "/workspaces/{workspace}/agents", r#"{"name": "Another", "slug": "another"}"#, 201, "----+"),
    route("GET",    "/workspaces/{workspace}/agents/{agent}",          "", 200, "--+-+"),
    route("PATCH",  "/workspaces/{workspace}/agents/{agent}", r#"{"name": "Changed"}"#, 200, "----+"),
    route("DELETE", "/workspaces/{workspace}/agents/{agent}",          "", 200, "----+"),
    route("GET",    "/workspaces/{workspace}/api-keys",                "", 200, "----+"),
    route("POST",   "/workspaces/{workspace}/api-keys", r#"{"name": "Another", "scopes": ["admin"]}"#, 201, "----+"),
    route("GET",    "/workspaces/{workspace}/api-keys/{key}",          "", 200, "----+"),
    route("PATCH",  "/workspaces/{workspace}/api-keys/{key}", r#"{"name": "Changed"}"#, 200, "----+"),
    route("DELETE", "/workspaces/{workspace}/api-keys/{key}",          "", 200, "----+"),
    route("GET",    "/workspaces/{workspace}/documents",               "", 200, "--+--"),
    route("POST",   "/workspaces/{workspace}/documents", r#"{"source": "by-route.md", "content": "One more."}"#, 201, "---+-"),
    route("GET",    "/workspaces/{workspace}/documents/{document}",    "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/documents/{document}/chunks", "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/documents/{document}/file", "", 200, "--+--"),
    route("PUT",    "/workspaces/{workspace}/documents/{document}", r#"{"content": "Replaced."}"#, 200, "---+-"),
    route("PATCH",  "/workspaces/{workspace}/documents/{document}", r#"{"metadata": {"team": "sales"}}"#, 200, "---+-"),
    route("DELETE", "/workspaces/{workspace}/documents/{document}",    "", 200, "---+-"),
    route("POST",   "/workspaces/{workspace}/ingest", r#"{"documents": [{"source": "by-job.md", "content": "One."}]}"#, 202, "---+-"),
    route("GET",    "/workspaces/{workspace}/jobs",                    "", 200, "--++-"),
    route("GET",    "/workspaces/{workspace}/jobs/{job}",              "", 200, "--++-"),
    route("GET",    "/workspaces/{workspace}/jobs/{job}/events",       "", 200, "--++-"),
    route("GET",    "/workspaces/{workspace}/jobs/{job}/results",      "", 200, "--++-"),
    route("DELETE", "/workspaces/{workspace}/jobs/{job}",              "", 200, "---+-"),
    route("POST",   "/workspaces/{workspace}/search", r#"{"query": "kettles"}"#, 200, "-+---"),
    route("POST",   "/workspaces/{workspace}/chat", r#"{"agent_id": "{agent}", "query": "Who repairs kettles?"}"#, 200, "+----"),
    route("POST",   "/workspaces/{workspace}/chat",
        r#"{"agent_id": "{agent}", "query": "Who repairs kettles?", "stream": true}"#, 200, "+----"),
    // `mcp.rs` asks what each scope finds there.
    route("POST",   "/workspaces/{workspace}/mcp", r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}"#, 200, "+++--"),
    route("GET",    "/workspaces/{workspace}/sessions",                "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/sessions/{session}",      "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/sessions/{session}/messages", "", 200, "--+--"),
    // It takes two scopes: it changes, and tells, what was said.
    route("PATCH",  "/workspaces/{workspace}/sessions/{session}", r#"{"title": "Changed"}"#, 200, "-----"),
    route("GET",    "/workspaces/{workspace}/sessions/{session}/export?format=json", "", 200, "--+--"),
    route("DELETE", "/workspaces/{workspace}/sessions/{session}",      "", 200, "?-?--"),
    route("POST",   "/workspaces/{workspace}/messages/{message}/feedback", r#"{"rating": 1}"#, 200, "?-?--"),
    route("GET",    "/workspaces/{workspace}/messages/{message}/trace", "", 200, "--+--"),
    // It takes two scopes; `models.rs` asks which.
    route("POST",   "/workspaces/{workspace}/messages/{message}/replay", "", 200, "-----"),
    route("GET",    "/workspaces/{workspace}/feedback",                "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/feedback/questions",      "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/graph",                   "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/graph/entities",          "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/graph/entities/{entity}", "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/graph/entities/{entity}/relationships", "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/graph/entities/{entity}/timeline", "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/graph/communities",       "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/graph/export",            "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/graph/path?from={entity}&to={entity}", "", 200, "--+--"),
    route("GET",    "/workspaces/{workspace}/evaluations",             "", 200, "--+--"),
    route("POST",   "/workspaces/{workspace}/evaluations", r#"{"name": "By route", "questions": []}"#, 201, "---+-"),
    route("GET",    "/workspaces/{workspace}/evaluations/{evaluation}", "", 200, "--+--"),
    route("POST",   "/workspaces/{workspace}/evaluations/{evaluation}/questions",
        r#"{"question": "Who repairs kettles?", "expected": [{"source": "a.md"}]}"#, 201, "---+-"),
    route("GET",    "/workspaces/{workspace}/evaluations/{evaluation}/runs", "", 200, "--+--"),
    // It takes two scopes; `evaluations.rs` asks which.
    route("POST",   "/workspaces/{workspace}/evaluations/{evaluation}/runs", "", 201, "-----"),
    route("GET",    "/workspaces/{workspace}/evaluations/{evaluation}/runs/{run}", "", 200, "--+--"),
    route("DELETE", "/workspaces/{workspace}/evaluations/{evaluation}/questions/{question}", "", 200, "---+-"),
    route("DELETE", "/workspaces/{workspace}/evaluations/{evaluation}", "", 200, "---+-"),
    // The original's routes act on the key's own workspace.
    route("POST",   "/chat",              r#"{"message": "Who repairs kettles?", "agent_id": "{agent}"}"#, 200, "+----"),
    route("POST",   "/chat/stream",       r#"{"message": "Who repairs kettles?", "agent_id": "{agent}"}"#, 200, "+----"),
    route("POST",   "/n8n/chat",          r#"{"chatInput": "Who repairs kettles?", "agentId": "{agent}"}"#, 200, "+----"),
    route("POST",   "/n8n/simple",        r#"{"question": "Who repairs kettles?", "agent_id": "{agent}"}"#, 200, "+----"),
    route("POST",   "/mcp",               r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}"#, 200, "+++--"),
    route("POST",   "/search/vector",     r#"{"query": "kettles"}"#, 200, "-+---"),
    route("POST",   "/search/hybrid",     r#"{"query": "kettles"}"#, 200, "-+---"),
    route("POST",   "/search/graph",      r#"{"query": "kettles"}"#, 200, "-+---"),
    route("GET",    "/documents",                                      "", 200, "--+--"),
    route("GET",    "/sessions/{session}",                             "", 200, "--+--"),
    route("GET",    "/sessions/{session}/messages",                    "", 200, "--+--"),
];

/// Routes that OpenAI defined: under `/v1` alone, on the key's own workspace, with errors of a shape of their own.
#[rustfmt::skip]
pub const OPENAI: &[Route] = &[
    route("GET",    "/models",            "", 200, "+----"),
    route("GET",    "/models/{*model}",   "", 200, "+----"),
    route("POST",   "/chat/completions",
        r#"{"model": "{*model}", "messages": [{"role": "user", "content": "Who repairs kettles?"}]}"#, 200, "+----"),
    route("POST",   "/chat/completions",
        r#"{"model": "{*model}", "messages": [{"role": "user", "content": "Who repairs kettles?"}], "stream": true}"#, 200, "+----"),
    route("POST",   "/embeddings", r#"{"model": "all-MiniLM-L6-v2", "input": "kettles"}"#, 200, "-+---"),
];

/// Ids by the names that stand for them.
pub type Ids = HashMap<&'static str, String>;

impl Route {
    /// The path with `ids` filled in, under `/v1`.
    pub fn path(&self, ids: &Ids) -> String {
        format!("/v1{}", fill(self.path, ids))
    }

    pub fn body(&self, ids: &Ids) -> Option<Value> {
        (!self.body.is_empty()).then(|| serde_json::from_str(&fill(self.body, ids)).unwrap())
    }

    /// Whether its path names a workspace.
    pub fn names_workspace(&self) -> bool {
        self.path.contains("{workspace}")
    }

    /// Whether it names a row within the workspace, in path or body.
    pub fn names_row(&self) -> bool {
        let places = format!("{}{}", self.path, self.body).replace("{workspace}", "");
        let rows = [
            "{agent}",
            "{key}",
            "{document}",
            "{entity}",
            "{job}",
            "{session}",
            "{message}",
            "{evaluation}",
            "{question}",
            "{run}",
        ];
        rows.iter().any(|name| places.contains(name))
    }

    /// What a key with just this scope may.
    pub fn verdict(&self, scope: &str) -> Verdict {
        let place = SCOPES.iter().position(|known| *known == scope).unwrap();
        match self.scopes.as_bytes()[place] {
            b'+' => Verdict::Allowed,
            b'-' => Verdict::Refused,
            _ => Verdict::Either,
        }
    }
}

/// Routes that concern the instance or an organization, or nobody's data.
const OTHERS: &[&str] = &[
    "/health",
    "/livez",
    "/healthz",
    "/readyz",
    "/auth/me",
    // For everybody; `widget.rs` asks what they say to whom.
    "/static/chat-widget.js",
    "/widget/chat",
    "/widget/validate",
    "/agent-templates",
    "/providers",
    "/organizations",
    "/organizations/{organization}",
    "/organizations/{organization}/workspaces",
    "/organizations/{organization}/workspaces/import",
    "/organizations/{organization}/workspaces/adopt",
    "/organizations/{organization}/trash",
    "/organizations/{organization}/trash/{workspace}/restore",
    "/workspaces/unadopted",
    // It would keep the other routes from working.
    "/workspaces/{workspace}/freeze",
];

#[test]
fn every_route_of_the_program_is_in_the_table() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/mod.rs")).unwrap();
    let quoted = source.split('"').skip(1).step_by(2).filter(|text| text.starts_with('/'));
    let paths: Vec<String> = quoted.map(|path| path.replace("_id}", "}")).collect();
    assert!(paths.len() > 30, "the routes have been found: {paths:?}");
    for path in paths {
        let below = path.strip_prefix("/v1").filter(|rest| !rest.is_empty());
        let bare = below.unwrap_or(&path);
        let known = OPENAI.iter().any(|route| below == Some(route.path))
            || OTHERS.contains(&bare)
            || ROUTES.iter().any(|route| route.path.split('?').next() == Some(bare))
            || bare == "/v1";
        assert!(known, "{path} is in no table");
    }
}

fn fill(text: &str, ids: &Ids) -> String {
    ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(&format!("{{{name}}}"), id))
}
