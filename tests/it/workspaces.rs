//! Workspaces: made in an organization, described by figures, sent to the trash.

use serde_json::json;
use uuid::Uuid;

use crate::handbook::HANDBOOK;
use crate::server::Server;
use crate::tenant::{Tenant, id};

#[tokio::test]
async fn one_is_created_read_and_changed() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let list = format!("/organizations/{}/workspaces", tenant.organization);
    let body =
        json!({"name": "Manuals", "slug": "manuals", "description": "All manuals", "settings": {"colour": "blue"}});
    let created = tenant.admin.post(&list, &body).await.is(201);
    let row = created.json();
    assert_eq!(tenant.admin.get(created.header("location")).await.is(200).json(), row);
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&row[field], value);
    }
    assert_eq!((&row["organization_id"], &row["document_count"]), (&json!(tenant.organization), &json!(0)));

    let path = format!("/v1/workspaces/{}", id(&row));
    let change = json!({"name": "Handbooks", "slug": "handbooks", "description": "All handbooks"});
    let changed = tenant.admin.patch(&path, &change).await.is(200).json();
    assert_eq!((&changed["slug"], &changed["name"]), (&json!("handbooks"), &json!("Handbooks")));
    assert_eq!(changed["settings"], row["settings"]);
    assert_eq!(tenant.admin.get(&path).await.is(200).json(), changed);
}

#[tokio::test]
async fn a_slug_is_taken_within_its_organization_alone() {
    let server = Server::shared();
    let (tenant, other) = (Tenant::new(&server.admin()).await, Tenant::new(&server.admin()).await);
    let list = format!("/v1/organizations/{}/workspaces", tenant.organization);
    let body = json!({"name": "Manuals", "slug": "manuals"});
    tenant.admin.post(&list, &body).await.is(201);
    tenant.admin.post(&list, &body).await.problem(409, "conflict");
    tenant.admin.patch(&tenant.path(""), &json!({"slug": "manuals"})).await.problem(409, "conflict");
    let elsewhere = format!("/v1/organizations/{}/workspaces", other.organization);
    tenant.admin.post(&elsewhere, &body).await.is(201);
    for slug in ["-a", "A", "a_b", ".."] {
        let body = json!({"name": "Manuals", "slug": slug});
        tenant.admin.post(&list, &body).await.problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn unknown_fields_and_unknown_organizations_are_refused() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let list = format!("/v1/organizations/{}/workspaces", tenant.organization);
    for field in ["id", "organization_id", "document_count", "embedding_dimension"] {
        let mut body = json!({"name": "W", "slug": "w"});
        body[field] = json!("00000000-0000-0000-0000-000000000002");
        tenant.admin.post(&list, &body).await.problem(422, "validation_failed");
    }
    let change = json!({"organization_id": tenant.organization});
    tenant.admin.patch(&tenant.path(""), &change).await.problem(422, "validation_failed");
    let nowhere = format!("/v1/organizations/{}/workspaces", Uuid::new_v4());
    tenant.admin.post(&nowhere, &json!({"name": "W", "slug": "w"})).await.problem(404, "not_found");
    tenant.admin.get(&nowhere).await.problem(404, "not_found");
}

#[tokio::test]
async fn the_list_comes_in_pages() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let list = format!("/v1/organizations/{}/workspaces", tenant.organization);
    for number in 0..4 {
        tenant.admin.post(&list, &json!({"name": "W", "slug": format!("w-{number}")})).await.is(201);
    }
    let rows = tenant.admin.pages(&format!("{list}?limit=2")).await;
    let mut ids: Vec<String> = rows.iter().map(id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    assert!(ids.contains(&tenant.workspace));
}

#[tokio::test]
async fn figures_follow_the_documents() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let stats = tenant.client.get(&tenant.path("/stats")).await.is(200).json();
    assert_eq!(stats["documents"], HANDBOOK.len());
    assert!(stats["chunks"].as_u64().unwrap() >= HANDBOOK.len() as u64, "{stats}");
    assert_eq!(stats["vectors"], stats["chunks"]);
    let row = tenant.client.get(&tenant.path("")).await.is(200).json();
    assert_eq!(row["document_count"], HANDBOOK.len());
    assert!(row["embedding_model"].to_string().contains("all-MiniLM-L6-v2"), "{row}");
}

#[tokio::test]
async fn a_deleted_one_lies_in_the_trash_and_opens_to_nobody() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    tenant.handbook().await;
    let directory = server.home().workspace(&tenant.workspace);
    assert!(directory.join("knowledge.db").exists());

    assert_eq!(tenant.admin.delete(&tenant.path("")).await.is(200).json()["status"], "success");
    tenant.admin.get(&tenant.path("")).await.problem(404, "not_found");
    tenant.client.post(&tenant.path("/search"), &json!({"query": "centrifuge"})).await.problem(401, "unauthorized");
    let list = format!("/v1/organizations/{}/workspaces", tenant.organization);
    assert_eq!(tenant.admin.get(&list).await.is(200).json(), json!([]));
    assert!(!directory.exists());
    assert_eq!(std::fs::read_dir(server.home().data().join("trash")).unwrap().count(), 1);
}

#[tokio::test]
async fn a_model_that_an_operator_brought_can_be_chosen() {
    let server = Server::start();
    let shelf = server.home().path().join("models/house-model");
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/all-MiniLM-L6-v2");
    for entry in walkdir::WalkDir::new(&source).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
        let target = shelf.join(entry.path().strip_prefix(&source).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(entry.path(), target).unwrap();
    }
    let tenant = Tenant::new(&server.admin()).await;
    let list = format!("/v1/organizations/{}/workspaces", tenant.organization);
    for (slug, body) in [
        ("own", json!({"name": "Own", "slug": "own", "embedding_model": "house-model"})),
        ("set", json!({"name": "Own", "slug": "set", "settings": {"embedding_model": "house-model"}})),
    ] {
        let workspace = tenant.admin.post(&list, &body).await.is(201).json();
        assert_eq!(workspace["embedding_model"], "house-model", "{slug}");
        let path = format!("/v1/workspaces/{}", id(&workspace));
        let document = json!({"content": "Tea is served at four."});
        tenant.admin.post(&format!("{path}/documents"), &document).await.is(201);
        let question = json!({"query": "hot drink", "search_type": "vector"});
        let found = tenant.admin.post(&format!("{path}/search"), &question).await.is(200).json();
        assert_eq!(found["results"].as_array().unwrap().len(), 1);
    }
    let body = json!({"name": "No", "slug": "no", "embedding_model": "../house-model"});
    let problem = tenant.admin.post(&list, &body).await.problem(422, "validation_failed");
    assert!(problem["detail"].as_str().unwrap().contains("house-model"));
}

#[tokio::test]
async fn few_are_open_at_once_and_all_can_be_used() {
    let server = Server::with(&[("CARREL_MEMORY_OPEN_WORKSPACES", "2")]);
    let mut tenants = Vec::new();
    for _ in 0..5 {
        tenants.push(Tenant::new(&server.admin()).await);
    }
    for round in 0..2 {
        for tenant in &tenants {
            tenant.document(&format!("note-{round}"), &format!("Remark number {round}")).await;
            let found = tenant.search(json!({"query": "remark"})).await;
            assert_eq!(found["results"].as_array().unwrap().len(), round + 1);
        }
    }
}

#[tokio::test]
async fn what_shapes_the_directory_cannot_be_changed_later() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let change = json!({"settings": {"language": "de"}});
    tenant.admin.patch(&tenant.path(""), &change).await.problem(422, "validation_failed");
    let changed = tenant.admin.patch(&tenant.path(""), &json!({"settings": {"colour": "blue"}})).await.is(200).json();
    assert_eq!(changed["settings"], json!({"colour": "blue"}));
}
