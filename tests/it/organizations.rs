//! Organizations: made by the instance admin, listed in pages, deleted softly.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::Server;
use crate::tenant::{Tenant, id};

fn organization(slug: &str) -> Value {
    json!({"name": "Acme", "slug": slug, "contact_email": "admin@acme.example"})
}

fn fresh_slug() -> String {
    format!("o{}", Uuid::new_v4().simple())
}

#[tokio::test]
async fn one_is_created_read_changed_and_deleted() {
    let server = Server::shared();
    let admin = server.admin();
    let slug = fresh_slug();
    let created = admin.post("/organizations", &organization(&slug)).await.is(201);
    let row = created.json();
    let path = format!("/v1/organizations/{}", id(&row));
    assert_eq!((&row["slug"], &row["plan_tier"]), (&json!(slug), &json!("enterprise")));
    assert_eq!(admin.get(created.header("location")).await.is(200).json(), row);

    let change =
        json!({"name": "Acme & Sons", "contact_name": "Ann", "settings": {"theme": "dark"}, "plan_tier": "pro"});
    let changed = admin.patch(&path, &change).await.is(200).json();
    for (field, value) in change.as_object().unwrap() {
        assert_eq!(&changed[field], value);
    }
    assert_eq!(changed["slug"], slug);
    assert_eq!(changed["created_at"], row["created_at"]);
    assert!(changed["updated_at"].as_str() > row["updated_at"].as_str());
    assert_eq!(admin.get(&path).await.is(200).json(), changed);

    assert_eq!(admin.delete(&path).await.is(200).json()["status"], "success");
    admin.get(&path).await.problem(404, "not_found");
    admin.delete(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_slug_has_rules_and_one_owner() {
    let server = Server::shared();
    let admin = server.admin();
    let too_long = "a".repeat(64);
    for slug in ["", "-a", "a-", "A", "a_b", "a b", "ä", "a/b", "..", &too_long] {
        let problem = admin.post("/v1/organizations", &organization(slug)).await.problem(422, "validation_failed");
        assert_eq!(problem["errors"][0]["field"], "slug", "{slug:?}: {problem}");
    }
    let longest = format!("{}{}", fresh_slug(), "x".repeat(30));
    assert_eq!(longest.len(), 63);
    admin.post("/v1/organizations", &organization(&longest)).await.is(201);
    admin.post("/v1/organizations", &organization(&longest)).await.problem(409, "conflict");
}

#[tokio::test]
async fn what_is_missing_unknown_or_wrong_is_named() {
    let server = Server::shared();
    let admin = server.admin();
    let without = |field: &str| {
        let mut body = organization(&fresh_slug());
        body.as_object_mut().unwrap().remove(field);
        body
    };
    let with = |field: &str, value: Value| {
        let mut body = organization(&fresh_slug());
        body[field] = value;
        body
    };
    let fields = ["name", "slug", "contact_email"];
    let mut wrong: Vec<(&str, Value)> = fields.map(|field| (field, without(field))).into();
    wrong.extend(["id", "created_at", "owner", "max_things"].map(|field| (field, with(field, json!("x")))));
    wrong.push(("name", with("name", json!(7))));
    wrong.push(("name", with("name", json!(""))));
    wrong.push(("plan_tier", with("plan_tier", json!("platinum"))));
    for (field, body) in wrong {
        let problem = admin.post("/v1/organizations", &body).await.problem(422, "validation_failed");
        assert!(problem.to_string().contains(field), "{field} in {problem}");
        assert!(problem["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{problem}");
    }
    let tenant = Tenant::new(&admin).await;
    let path = format!("/v1/organizations/{}", tenant.organization);
    admin.patch(&path, &json!({"slug": "other"})).await.problem(422, "validation_failed");
    admin.patch(&path, &json!({"id": tenant.workspace})).await.problem(422, "validation_failed");
}

#[tokio::test]
async fn the_list_comes_in_pages() {
    let server = Server::start();
    let admin = server.admin();
    let mut made = vec!["default".to_owned()];
    for number in 0..4 {
        let slug = format!("tenant-{number}");
        admin.post("/v1/organizations", &organization(&slug)).await.is(201);
        made.push(slug);
    }
    let rows = admin.pages("/v1/organizations?limit=2").await;
    let mut listed: Vec<&str> = rows.iter().map(|row| row["slug"].as_str().unwrap()).collect();
    listed.sort();
    assert_eq!(listed, made);
    let page = admin.get("/v1/organizations?limit=2&offset=4").await.is(200);
    assert_eq!((page.json().as_array().unwrap().len(), page.header("x-total-count")), (1, "5"));
    assert_eq!(page.header("link"), "");
    for wrong in ["limit=0", "limit=201", "limit=-1", "limit=many", "offset=-1"] {
        admin.get(&format!("/v1/organizations?{wrong}")).await.problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn one_with_workspaces_is_deleted_only_by_force() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let path = format!("/v1/organizations/{}", tenant.organization);
    tenant.admin.delete(&path).await.problem(409, "conflict");
    tenant.search(json!({"query": "still here"})).await;
    tenant.admin.delete(&format!("{path}?force=true")).await.is(200);
    tenant.admin.get(&path).await.problem(404, "not_found");
    tenant.admin.get(&tenant.path("")).await.problem(404, "not_found");
    tenant.client.post(&tenant.path("/search"), &json!({"query": "gone"})).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_key_makes_none_and_changes_none() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let path = format!("/v1/organizations/{}", tenant.organization);
    tenant.client.post("/v1/organizations", &organization(&fresh_slug())).await.problem(403, "forbidden");
    tenant.client.patch(&path, &json!({"name": "Mine"})).await.problem(403, "forbidden");
    tenant.client.delete(&path).await.problem(403, "forbidden");
    let workspaces = format!("{path}/workspaces");
    tenant.client.post(&workspaces, &json!({"name": "Mine", "slug": "mine"})).await.problem(403, "forbidden");
    assert_eq!(tenant.admin.get(&path).await.is(200).json()["name"], "A tenant");
}
