//! The shapes of the wire, whole, so that no field comes or goes unnoticed. What is new each time is redacted.

use insta::assert_json_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::Server;
use crate::tenant::{Tenant, id};

const TEXT: &str = "# Kettles\n\nThe copper kettle whistles at noon.\n";

/// A value with ids, times, keys and measures replaced by what they are, so that any that is malformed shows.
pub fn redacted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), redacted_field(name, value))).collect()
        }
        other => other.clone(),
    }
}

fn redacted_field(name: &str, value: &Value) -> Value {
    let Some(text) = value.as_str() else {
        return match (name, value.as_f64()) {
            ("score" | "vector_similarity" | "text_similarity", Some(number)) if (0.0..=1.0).contains(&number) => {
                json!("[0..=1]")
            }
            ("documents_per_second" | "bytes_per_second", Some(rate)) if rate > 0.0 => json!("[rate]"),
            ("query_time_ms", Some(time)) if time >= 0.0 => json!("[milliseconds]"),
            ("prompt_tokens" | "completion_tokens" | "total_tokens", Some(_)) => json!("[tokens]"),
            _ => redacted(value),
        };
    };
    let is_id = Uuid::parse_str(text).is_ok_and(|id| id.hyphenated().to_string() == text);
    let is_time = text.len() >= 20 && text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok();
    let is_hash = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match name {
        "id" | "request_id" | "message_id" | "tool_call_id" | "uuid" => json!("[id]"),
        "instance" if text.starts_with("/v1/workspaces/") => json!("[path]"),
        "file" if text.starts_with("/workspaces/") && text.ends_with("/file") => json!("[path]"),
        "key" if text.starts_with("sk_live_") => json!("[key]"),
        "key_prefix" if text.starts_with("sk_live_") => json!("[prefix]"),
        "slug" if text.len() == 33 => json!("[slug]"),
        _ if is_id => json!("[id]"),
        _ if is_time => json!("[time]"),
        _ if is_hash => json!("[sha256]"),
        _ => value.clone(),
    }
}

async fn tenant() -> (std::sync::Arc<Server>, Tenant) {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    (server, tenant)
}

async fn stored(tenant: &Tenant) -> Value {
    let body = json!({"source": "kettles.md", "title": "Kettles", "content": TEXT, "metadata": {"team": "kitchen"}});
    tenant.client.post(&tenant.path("/documents"), &body).await.is(201).json()
}

#[tokio::test]
async fn an_organization() {
    let (_server, tenant) = tenant().await;
    let row = tenant.admin.get(&format!("/v1/organizations/{}", tenant.organization)).await.is(200).json();
    assert_json_snapshot!(redacted(&row), @r#"
    {
      "contact_email": "someone@example.com",
      "contact_name": null,
      "created_at": "[time]",
      "id": "[id]",
      "max_agents_per_workspace": null,
      "max_documents_per_workspace": null,
      "max_monthly_requests": null,
      "max_workspaces": null,
      "name": "A tenant",
      "plan_tier": "enterprise",
      "settings": {},
      "slug": "[slug]",
      "updated_at": "[time]"
    }
    "#);
}

#[tokio::test]
async fn a_workspace() {
    let (_server, tenant) = tenant().await;
    let row = tenant.client.get(&tenant.path("")).await.is(200).json();
    assert_json_snapshot!(redacted(&row), @r#"
    {
      "created_at": "[time]",
      "description": null,
      "document_count": 0,
      "embedding_model": "all-MiniLM-L6-v2",
      "id": "[id]",
      "monthly_requests": 0,
      "name": "A workspace",
      "organization_id": "[id]",
      "settings": {},
      "slug": "[slug]",
      "total_tokens_used": 0,
      "updated_at": "[time]"
    }
    "#);
}

#[tokio::test]
async fn an_agent() {
    let (_server, tenant) = tenant().await;
    let body = json!({"name": "Support", "slug": "support", "description": "Helps", "system_prompt": "Be brief.",
        "model_provider": "extractive", "model_name": "extractive", "temperature": 0.5, "max_tokens": 400,
        "enabled_tools": ["hybrid_search"], "tool_config": {"hybrid_search": {"limit": 5}}, "settings": {"tone": "calm"}});
    let row = tenant.client.post(&tenant.path("/agents"), &body).await.is(201).json();
    assert_json_snapshot!(redacted(&row), @r#"
    {
      "created_at": "[time]",
      "description": "Helps",
      "enabled_tools": [
        "hybrid_search"
      ],
      "id": "[id]",
      "is_active": true,
      "max_tokens": 400,
      "model_name": "extractive",
      "model_provider": "extractive",
      "name": "Support",
      "settings": {
        "tone": "calm"
      },
      "slug": "support",
      "system_prompt": "Be brief.",
      "temperature": 0.5,
      "tool_config": {
        "hybrid_search": {
          "limit": 5
        }
      },
      "updated_at": "[time]",
      "workspace_id": "[id]"
    }
    "#);
}

#[tokio::test]
async fn an_api_key_created_and_listed() {
    let (_server, tenant) = tenant().await;
    let created = tenant.client.post(&tenant.path("/api-keys"), &json!({"name": "Bot"})).await.is(201).json();
    assert_json_snapshot!(redacted(&created), @r#"
    {
      "allowed_origins": [],
      "created_at": "[time]",
      "expires_at": null,
      "id": "[id]",
      "is_active": true,
      "key": "[key]",
      "key_prefix": "[prefix]",
      "last_used_at": null,
      "name": "Bot",
      "rate_limit_per_minute": 60,
      "revoked_at": null,
      "scopes": [
        "chat",
        "search"
      ],
      "workspace_id": "[id]"
    }
    "#);
    let listed = tenant.client.pages(&tenant.path("/api-keys")).await;
    let listed = listed.iter().find(|row| row["id"] == created["id"]).unwrap();
    assert_json_snapshot!(redacted(listed), @r#"
    {
      "allowed_origins": [],
      "created_at": "[time]",
      "expires_at": null,
      "id": "[id]",
      "is_active": true,
      "key_prefix": "[prefix]",
      "last_used_at": null,
      "name": "Bot",
      "rate_limit_per_minute": 60,
      "revoked_at": null,
      "scopes": [
        "chat",
        "search"
      ],
      "workspace_id": "[id]"
    }
    "#);
}

#[tokio::test]
async fn a_document_and_its_chunk() {
    let (_server, tenant) = tenant().await;
    let row = stored(&tenant).await;
    assert_json_snapshot!(redacted(&row), @r#"
    {
      "chunk_count": 1,
      "content_hash": "[sha256]",
      "content_type": "text/markdown",
      "created_at": "[time]",
      "id": "[id]",
      "metadata": {
        "team": "kitchen"
      },
      "size_bytes": 47,
      "source": "kettles.md",
      "title": "Kettles",
      "updated_at": "[time]",
      "workspace_id": "[id]"
    }
    "#);
    let mut with_content = row.clone();
    with_content["content"] = json!(TEXT);
    assert_eq!(tenant.read(&id(&row)).await, with_content);
    let chunks = tenant.client.get(&tenant.path(&format!("/documents/{}/chunks", id(&row)))).await.is(200).json();
    assert_json_snapshot!(redacted(&chunks[0]), {".token_count" => "[tokens]", ".end" => "[end]", ".content" => "[content]", ".start" => "[start]"}, @r#"
    {
      "content": "[content]",
      "document_id": "[id]",
      "end": "[end]",
      "heading_path": [
        "Kettles"
      ],
      "id": "[id]",
      "index": 0,
      "location": {
        "label": "lines 1–3",
        "line": 1,
        "line_end": 3
      },
      "start": "[start]",
      "token_count": "[tokens]"
    }
    "#);
}

#[tokio::test]
async fn a_job() {
    let (_server, tenant) = tenant().await;
    let documents = [json!({"source": "kettles.md", "content": TEXT}), json!({"source": "empty.md", "content": " "})];
    let job = tenant.ingest(&documents).await;
    assert_json_snapshot!(redacted(&job), {".errors[].message" => "[sentence]"}, @r#"
    {
      "bytes_done": 48,
      "bytes_per_second": "[rate]",
      "bytes_total": 48,
      "created_at": "[time]",
      "documents_per_second": "[rate]",
      "done": 1,
      "errors": [
        {
          "code": "validation_failed",
          "message": "[sentence]",
          "source": "empty.md"
        }
      ],
      "failed": 1,
      "finished_at": "[time]",
      "id": "[id]",
      "kind": "ingest",
      "seconds_left": null,
      "started_at": "[time]",
      "status": "succeeded",
      "total": 2
    }
    "#);
    let results = tenant.client.get(&tenant.path(&format!("/jobs/{}/results", id(&job)))).await.is(200).json();
    assert_json_snapshot!(redacted(&results), {"[].message" => insta::dynamic_redaction(|value, _| match value.as_str() {
        Some(_) => "[sentence]".into(),
        None => value,
    })}, @r#"
    [
      {
        "chunk_count": 1,
        "code": null,
        "document_id": "[id]",
        "message": null,
        "position": 0,
        "source": "kettles.md",
        "status": "added",
        "warnings": []
      },
      {
        "chunk_count": null,
        "code": "validation_failed",
        "document_id": null,
        "message": "[sentence]",
        "position": 1,
        "source": "empty.md",
        "status": "failed",
        "warnings": []
      }
    ]
    "#);
}

#[tokio::test]
async fn a_search_result() {
    let (_server, tenant) = tenant().await;
    stored(&tenant).await;
    let found = tenant.search(json!({"query": "copper kettle"})).await;
    assert_json_snapshot!(redacted(&found), {".results[].highlights" => "[ranges]", ".results[].content" => "[content]", ".results[].end" => "[end]", ".results[].start" => "[start]"}, @r#"
    {
      "graph_results": [],
      "query_time_ms": "[milliseconds]",
      "results": [
        {
          "chunk_id": "[id]",
          "content": "[content]",
          "document_id": "[id]",
          "document_source": "kettles.md",
          "document_title": "Kettles",
          "end": "[end]",
          "heading_path": [
            "Kettles"
          ],
          "highlights": "[ranges]",
          "location": {
            "label": "lines 1–3",
            "line": 1,
            "line_end": 3
          },
          "metadata": {
            "team": "kitchen"
          },
          "score": "[0..=1]",
          "start": "[start]",
          "text_similarity": "[0..=1]",
          "vector_similarity": "[0..=1]"
        }
      ],
      "search_type": "hybrid",
      "total_results": 1
    }
    "#);
}

#[tokio::test]
async fn an_evaluation_and_its_run() {
    let (_server, tenant) = tenant().await;
    stored(&tenant).await;
    let expected = json!([{"source": "kettles.md", "passage": "whistles at noon", "grade": 2}, {"source": "lost.md"}]);
    let question = json!({"question": "When does it whistle?", "expected": expected});
    let body = json!({"name": "Kettles", "questions": [question]});
    let set = tenant.client.post(&tenant.path("/evaluations"), &body).await.is(201).json();
    let runs = tenant.path(&format!("/evaluations/{}/runs", id(&set)));
    tenant.client.post(&runs, &json!({"limit": 5})).await.is(201);
    let run = tenant.client.post(&runs, &json!({"limit": 5, "text_weight": 0.25})).await.is(201).json();
    assert_json_snapshot!(redacted(&run), {".duration_ms" => "[milliseconds]", ".**.generation" => "[generation]", ".**.carrel_version" => "[version]", ".metrics" => "[by leg]", ".questions[].metrics" => "[by leg]", ".comparison.changes" => "[by leg]"}, @r#"
    {
      "comparison": {
        "better": [],
        "changes": "[by leg]",
        "conditions": {
          "carrel_version": "[version]",
          "chunks": 1,
          "documents": 1,
          "embedding_model": "all-MiniLM-L6-v2",
          "generation": "[generation]",
          "model_sha256": "[sha256]",
          "reranker": null,
          "text_weight": null
        },
        "created_at": "[time]",
        "question_count": 1,
        "run_id": "[id]",
        "worse": []
      },
      "conditions": {
        "carrel_version": "[version]",
        "chunks": 1,
        "documents": 1,
        "embedding_model": "all-MiniLM-L6-v2",
        "generation": "[generation]",
        "model_sha256": "[sha256]",
        "reranker": null,
        "text_weight": 0.25
      },
      "created_at": "[time]",
      "duration_ms": "[milliseconds]",
      "evaluation_id": "[id]",
      "id": "[id]",
      "k": 5,
      "metrics": "[by leg]",
      "missing": [
        {
          "questions": 1,
          "source": "lost.md"
        }
      ],
      "question_count": 1,
      "questions": [
        {
          "metrics": "[by leg]",
          "question": "When does it whistle?",
          "question_id": "[id]"
        }
      ]
    }
    "#);
    let figures = &run["metrics"]["hybrid"];
    assert_json_snapshot!(figures, @r#"
    {
      "mrr": 1.0,
      "ndcg": 0.7601875334318685,
      "recall": 0.5,
      "success_at_1": 1.0
    }
    "#);
    let set = tenant.client.get(&tenant.path(&format!("/evaluations/{}", id(&set)))).await.is(200).json();
    assert_json_snapshot!(redacted(&set), {".last_run" => "[a run without questions and comparison]"}, @r#"
    {
      "created_at": "[time]",
      "id": "[id]",
      "last_run": "[a run without questions and comparison]",
      "name": "Kettles",
      "question_count": 1,
      "questions": [
        {
          "expected": [
            {
              "grade": 2,
              "passage": "whistles at noon",
              "source": "kettles.md"
            },
            {
              "grade": 1,
              "source": "lost.md"
            }
          ],
          "id": "[id]",
          "question": "When does it whistle?"
        }
      ],
      "updated_at": "[time]",
      "workspace_id": "[id]"
    }
    "#);
}

#[tokio::test]
async fn a_chat_answer() {
    let (_server, tenant) = tenant().await;
    stored(&tenant).await;
    let answer = tenant.ask("When does the copper kettle whistle?").await;
    assert_json_snapshot!(redacted(&answer), {".tools_used[].args" => "[arguments]", ".metadata.model_name" => "[model]"}, @r#"
    {
      "citations": [
        {
          "chunk_id": "[id]",
          "document_id": "[id]",
          "end": 46,
          "file": "[path]",
          "heading_path": [
            "Kettles"
          ],
          "label": "kettles.md, line 3",
          "location": {
            "label": "line 3",
            "line": 3
          },
          "marker": 1,
          "quote": "The copper kettle whistles at noon.",
          "score": "[0..=1]",
          "source": "kettles.md",
          "start": 11,
          "title": "Kettles"
        }
      ],
      "message": "The copper kettle whistles at noon. [1]",
      "message_id": "[id]",
      "metadata": {
        "agent_id": "[id]",
        "grounded": true,
        "model_name": "[model]",
        "model_provider": "extractive",
        "search_type": "hybrid",
        "unsupported": []
      },
      "session_id": "[id]",
      "sources": [
        {
          "chunk_count": 1,
          "content_hash": "[sha256]",
          "content_type": "text/markdown",
          "created_at": "[time]",
          "id": "[id]",
          "metadata": {
            "team": "kitchen"
          },
          "size_bytes": 47,
          "source": "kettles.md",
          "title": "Kettles",
          "updated_at": "[time]",
          "workspace_id": "[id]"
        }
      ],
      "tools_used": [
        {
          "args": "[arguments]",
          "tool_call_id": "[id]",
          "tool_name": "hybrid_search"
        }
      ],
      "usage": {
        "completion_tokens": "[tokens]",
        "prompt_tokens": "[tokens]",
        "total_tokens": "[tokens]"
      }
    }
    "#);
}

#[tokio::test]
async fn problems() {
    let (_server, tenant) = tenant().await;
    let unauthorized = tenant.client.anonymous().get(&tenant.path("/documents")).await.problem(401, "unauthorized");
    assert_json_snapshot!(redacted(&unauthorized), {".detail" => "[sentence]", ".title" => "[title]"}, @r#"
    {
      "code": "unauthorized",
      "detail": "[sentence]",
      "instance": "[path]",
      "request_id": "[id]",
      "status": 401,
      "title": "[title]",
      "type": "about:blank#unauthorized"
    }
    "#);
    let absent =
        tenant.client.get(&tenant.path(&format!("/documents/{}", Uuid::now_v7()))).await.problem(404, "not_found");
    assert_json_snapshot!(redacted(&absent), {".title" => "[title]"}, @r#"
    {
      "code": "not_found",
      "detail": "document not found",
      "instance": "[path]",
      "request_id": "[id]",
      "status": 404,
      "title": "[title]",
      "type": "about:blank#not_found"
    }
    "#);
    let wrong = json!({"name": "A", "slug": "Not A Slug"});
    let invalid = tenant.client.post(&tenant.path("/agents"), &wrong).await.problem(422, "validation_failed");
    assert_json_snapshot!(redacted(&invalid), {".title" => "[title]", ".detail" => "[sentence]", ".errors[].message" => "[sentence]"}, @r#"
    {
      "code": "validation_failed",
      "detail": "[sentence]",
      "errors": [
        {
          "field": "slug",
          "message": "[sentence]"
        }
      ],
      "instance": "[path]",
      "request_id": "[id]",
      "status": 422,
      "title": "[title]",
      "type": "about:blank#validation_failed"
    }
    "#);
}
