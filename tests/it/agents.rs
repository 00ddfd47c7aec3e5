//! Agents: settings with bounds, tools that exist, an inactive one that stays out of sight.

use serde_json::{Value, json};

use crate::server::Server;
use crate::tenant::{Tenant, id};

#[tokio::test]
async fn one_is_created_with_defaults_changed_and_deleted() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let created =
        tenant.client.post(&tenant.path("/agents"), &json!({"name": "Support", "slug": "support"})).await.is(201);
    let row = created.json();
    assert_eq!(tenant.client.get(created.header("location")).await.is(200).json(), row);
    assert_eq!((&row["model_provider"], &row["is_active"]), (&json!("extractive"), &json!(true)));
    assert_eq!(row["workspace_id"], tenant.workspace);
    assert!(row["enabled_tools"].as_array().is_some_and(|tools| !tools.is_empty()), "{row}");

    let path = tenant.path(&format!("/agents/{}", id(&row)));
    let change = json!({"name": "Helpdesk", "description": "Helps", "system_prompt": "Be brief.", "temperature": 0.5,
        "max_tokens": 500, "enabled_tools": ["vector_search"], "tool_config": {"vector_search": {"limit": 3}},
        "settings": {"tone": "calm"}});
    let changed = tenant.client.patch(&path, &change).await.is(200).json();
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&changed[field], value);
    }
    assert_eq!(changed["slug"], "support");
    assert_eq!(tenant.client.get(&path).await.is(200).json(), changed);

    let gone = tenant.client.delete(&path).await.is(200).json();
    assert_eq!(gone, json!({"status": "success", "message": "Agent deleted"}));
    tenant.client.get(&path).await.problem(404, "not_found");
    tenant.client.delete(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_tool_that_does_not_exist_is_refused_and_those_that_do_are_named() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let body = json!({"name": "A", "slug": "a", "enabled_tools": ["vector_search", "rm_rf"]});
    let problem =
        tenant.client.post(&tenant.path("/agents"), &body).await.problem(422, "validation_failed").to_string();
    let tools = [
        "vector_search",
        "hybrid_search",
        "fulltext_search",
        "graph_search",
        "get_document",
        "list_documents",
        "get_entity_relationships",
        "get_entity_timeline",
        "ask_agent",
    ];
    for known in tools {
        assert!(problem.contains(known), "{known} in {problem}");
    }
    let path = tenant.path(&format!("/agents/{}", tenant.agent));
    tenant.client.patch(&path, &json!({"enabled_tools": ["rm_rf"]})).await.problem(422, "validation_failed");
    tenant.client.patch(&path, &json!({"enabled_tools": tools})).await.is(200);
}

#[tokio::test]
async fn values_beyond_their_bounds_and_unknown_fields_are_refused() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let wrong = [
        json!({"temperature": 2.1}),
        json!({"temperature": -0.1}),
        json!({"temperature": "warm"}),
        json!({"max_tokens": 0}),
        json!({"max_tokens": -5}),
        json!({"max_tokens": 1e18}),
        json!({"model_provider": "nobody-configured-this"}),
        json!({"base_url": "http://169.254.169.254/"}),
        json!({"id": "00000000-0000-0000-0000-000000000003"}),
        json!({"workspace_id": "00000000-0000-0000-0000-000000000002"}),
        json!({"is_active": "yes"}),
        json!({"slug": "Not A Slug"}),
    ];
    let path = tenant.path(&format!("/agents/{}", tenant.agent));
    let before = tenant.client.get(&path).await.is(200).json();
    for change in wrong {
        let mut body = json!({"name": "A", "slug": "a"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        tenant.client.post(&tenant.path("/agents"), &body).await.problem(422, "validation_failed");
        tenant.client.patch(&path, &change).await.problem(422, "validation_failed");
    }
    assert_eq!(tenant.client.get(&path).await.is(200).json(), before);
}

#[tokio::test]
async fn a_slug_is_taken_within_its_workspace_alone() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let other = Tenant::within(&tenant.admin, &tenant.organization).await;
    let body = json!({"name": "Support", "slug": "support"});
    tenant.client.post(&tenant.path("/agents"), &body).await.is(201);
    tenant.client.post(&tenant.path("/agents"), &body).await.problem(409, "conflict");
    other.client.post(&other.path("/agents"), &body).await.is(201);
    let path = tenant.path(&format!("/agents/{}", tenant.agent));
    tenant.client.patch(&path, &json!({"slug": "support"})).await.problem(409, "conflict");
}

#[tokio::test]
async fn an_inactive_one_is_listed_only_where_asked_for() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.client.post(&tenant.path("/agents"), &json!({"name": "Second", "slug": "second"})).await.is(201);
    let path = tenant.path(&format!("/agents/{}", tenant.agent));
    assert_eq!(tenant.client.patch(&path, &json!({"is_active": false})).await.is(200).json()["is_active"], false);
    let slugs =
        |rows: Vec<Value>| -> Vec<String> { rows.iter().map(|r| r["slug"].as_str().unwrap().to_owned()).collect() };
    assert_eq!(slugs(tenant.client.pages(&tenant.path("/agents")).await), ["second"]);
    let mut all = slugs(tenant.client.pages(&tenant.path("/agents?include_inactive=true&limit=1")).await);
    all.sort();
    assert_eq!(all, ["first", "second"]);
}

#[tokio::test]
async fn a_template_gives_what_is_not_given() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let templates = tenant.client.get("/v1/agent-templates").await.is(200).json();
    let support = templates.as_array().unwrap().iter().find(|template| template["template"] == "support").unwrap();
    let body = json!({"template": "support", "name": "Help", "slug": "help", "max_tokens": 77});
    let agent = tenant.client.post(&tenant.path("/agents"), &body).await.is(201).json();
    assert_eq!(agent["system_prompt"], support["system_prompt"]);
    assert_eq!(agent["enabled_tools"], support["enabled_tools"]);
    assert_eq!(agent["max_tokens"], 77, "what is given counts");
    let body = json!({"template": "chef", "name": "Chef", "slug": "chef"});
    let problem = tenant.client.post(&tenant.path("/agents"), &body).await.problem(422, "validation_failed");
    assert!(problem["errors"][0]["message"].as_str().unwrap().contains("support"), "{problem}");
}

#[tokio::test]
async fn changes_of_different_fields_at_once_all_hold() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let path = tenant.path(&format!("/agents/{}", tenant.agent));
    for round in 0..20 {
        let name = json!({"name": format!("Name {round}")});
        let prompt = json!({"system_prompt": format!("Prompt {round}")});
        let (one, other) = tokio::join!(tenant.client.patch(&path, &name), tenant.client.patch(&path, &prompt));
        one.is(200);
        other.is(200);
        let agent = tenant.client.get(&path).await.is(200).json();
        assert_eq!((&agent["name"], &agent["system_prompt"]), (&name["name"], &prompt["system_prompt"]));
    }
}
