//! API keys: shown once, bounded by scopes and time, gone at once when revoked.

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::Server;
use crate::tenant::{SCOPES, Tenant, id};

const PAST: &str = "2020-01-01T00:00:00Z";
const FUTURE: &str = "2199-01-01T00:00:00Z";

/// Whether the key opens its workspace.
async fn opens(tenant: &Tenant, key: &Client) -> bool {
    let answer = key.post(&tenant.path("/search"), &json!({"query": "anything"})).await;
    if answer.status == 200 {
        return true;
    }
    answer.problem(401, "unauthorized");
    false
}

async fn listed(tenant: &Tenant, key: &str) -> Value {
    let keys = tenant.client.pages(&tenant.path("/api-keys")).await;
    keys.into_iter().find(|row| row["id"] == key).unwrap()
}

#[tokio::test]
async fn a_key_is_shown_once() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let created = tenant.client.post(&tenant.path("/api-keys"), &json!({"name": "Bot"})).await.is(201);
    let row = created.json();
    assert_eq!(row["scopes"], json!(["chat", "search"]));
    assert_eq!((&row["rate_limit_per_minute"], &row["expires_at"]), (&json!(60), &Value::Null));
    assert!(created.header("location").ends_with(&id(&row)));

    let key = row["key"].as_str().unwrap();
    let prefix = row["key_prefix"].as_str().unwrap();
    assert!(key.starts_with("sk_live_") && key.starts_with(prefix), "{prefix}");
    assert!(prefix.len() > "sk_live_".len() && key.len() - prefix.len() >= 32, "{prefix}");

    let list = tenant.client.get(&tenant.path("/api-keys")).await.is(200);
    assert!(!list.text().contains(&key[prefix.len()..]));
    assert!(!list.text().contains("argon2"));
    for row in list.json().as_array().unwrap() {
        assert_eq!(row.get("key"), None);
        assert_eq!(row.get("hash"), None);
    }
    let row = listed(&tenant, &id(&row)).await;
    assert_eq!((&row["key_prefix"], &row["is_active"]), (&json!(prefix), &json!(true)));
    let path = tenant.path(&format!("/api-keys/{}", id(&row)));
    assert_eq!(tenant.client.patch(&path, &json!({"name": "Bot 2"})).await.is(200).json().get("key"), None);
}

#[tokio::test]
async fn no_key_lies_on_disk_in_clear() {
    let server = Server::start();
    let tenant = Tenant::new(&server.admin()).await;
    assert!(opens(&tenant, &tenant.client).await);
    let key = tenant.client.token().to_owned();
    let home = server.stop();
    let secret = &key.as_bytes()[key.len() - 32..];
    for name in home.names() {
        let bytes = std::fs::read(home.path().join(&name)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{name}");
    }
}

#[tokio::test]
async fn its_use_is_noted() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let created = tenant.client.post(&tenant.path("/api-keys"), &json!({"name": "Bot"})).await.is(201).json();
    assert_eq!(listed(&tenant, &id(&created)).await["last_used_at"], Value::Null);
    assert!(opens(&tenant, &tenant.admin.with_token(created["key"].as_str().unwrap())).await);
    let used = listed(&tenant, &id(&created)).await;
    assert!(used["last_used_at"].as_str() >= used["created_at"].as_str(), "{used}");
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_from_the_next_request_on() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let created = tenant.client.post(&tenant.path("/api-keys"), &json!({"name": "Bot"})).await.is(201).json();
    let key = tenant.admin.with_token(created["key"].as_str().unwrap());
    assert!(opens(&tenant, &key).await);
    let revoked = tenant.client.delete(&tenant.path(&format!("/api-keys/{}", id(&created)))).await.is(200).json();
    assert_eq!(revoked, json!({"status": "success", "message": "API key revoked"}));
    assert!(!opens(&tenant, &key).await);
    assert!(listed(&tenant, &id(&created)).await["revoked_at"].is_string());
    assert!(opens(&tenant, &tenant.client).await, "other keys stay");
}

#[tokio::test]
async fn an_inactive_key_opens_nothing_until_it_is_active_again() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let created = tenant.client.post(&tenant.path("/api-keys"), &json!({"name": "Bot"})).await.is(201).json();
    let key = tenant.admin.with_token(created["key"].as_str().unwrap());
    let path = tenant.path(&format!("/api-keys/{}", id(&created)));
    for active in [true, false, true] {
        let changed = tenant.client.patch(&path, &json!({"is_active": active})).await.is(200).json();
        assert_eq!(changed["is_active"], active);
        assert_eq!(opens(&tenant, &key).await, active);
    }
}

#[tokio::test]
async fn an_expired_key_opens_nothing() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let make = async |expires: &str| {
        let body = json!({"name": "Bot", "expires_at": expires});
        tenant.client.post(&tenant.path("/api-keys"), &body).await.is(201).json()
    };
    let over = make(PAST).await;
    assert!(!opens(&tenant, &tenant.admin.with_token(over["key"].as_str().unwrap())).await);

    let created = make(FUTURE).await;
    let key = tenant.admin.with_token(created["key"].as_str().unwrap());
    let path = tenant.path(&format!("/api-keys/{}", id(&created)));
    assert!(opens(&tenant, &key).await);
    tenant.client.patch(&path, &json!({"expires_at": PAST})).await.is(200);
    assert!(!opens(&tenant, &key).await);
    tenant.client.patch(&path, &json!({"expires_at": FUTURE})).await.is(200);
    assert!(opens(&tenant, &key).await);
}

#[tokio::test]
async fn a_change_of_scopes_holds_at_once() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let created = tenant.client.post(&tenant.path("/api-keys"), &json!({"name": "Bot"})).await.is(201).json();
    let key = tenant.admin.with_token(created["key"].as_str().unwrap());
    assert!(opens(&tenant, &key).await);
    key.get(&tenant.path("/documents")).await.problem(403, "forbidden");
    let path = tenant.path(&format!("/api-keys/{}", id(&created)));
    let changed = tenant.client.patch(&path, &json!({"scopes": ["read"]})).await.is(200).json();
    assert_eq!(changed["scopes"], json!(["read"]));
    key.get(&tenant.path("/documents")).await.is(200);
    key.post(&tenant.path("/search"), &json!({"query": "anything"})).await.problem(403, "forbidden");
}

#[tokio::test]
async fn values_beyond_their_bounds_and_unknown_fields_are_refused() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let wrong = [
        json!({"scopes": ["chat", "everything"]}),
        json!({"scopes": "chat"}),
        json!({"rate_limit_per_minute": 0}),
        json!({"rate_limit_per_minute": 100_001}),
        json!({"rate_limit_per_minute": "60"}),
        json!({"expires_at": "tomorrow"}),
        json!({"key": "sk_live_chosen_by_me"}),
        json!({"key_hash": "x"}),
        json!({"workspace_id": "00000000-0000-0000-0000-000000000002"}),
    ];
    let created = tenant.client.post(&tenant.path("/api-keys"), &json!({"name": "Bot"})).await.is(201).json();
    let path = tenant.path(&format!("/api-keys/{}", id(&created)));
    for change in wrong {
        let mut body = json!({"name": "Bot"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        tenant.client.post(&tenant.path("/api-keys"), &body).await.problem(422, "validation_failed");
        tenant.client.patch(&path, &change).await.problem(422, "validation_failed");
    }
    tenant.client.post(&tenant.path("/api-keys"), &json!({})).await.problem(422, "validation_failed");
    assert_eq!(listed(&tenant, &id(&created)).await["scopes"], json!(["chat", "search"]));
}

#[tokio::test]
async fn the_list_comes_in_pages() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    for scope in SCOPES {
        tenant.key(&[scope]).await;
    }
    let rows = tenant.client.pages(&tenant.path("/api-keys?limit=4")).await;
    assert_eq!(rows.len(), SCOPES.len() + 1);
}

#[tokio::test]
async fn a_token_is_taken_from_either_header() {
    let server = Server::shared();
    let tenant = Tenant::new(&server.admin()).await;
    let token = tenant.client.token();
    let anonymous = tenant.client.anonymous();
    anonymous.raw("GET", &tenant.path("/agents"), &[("x-api-key", token)], "").await.is(200);
    anonymous.raw("GET", &tenant.path("/agents"), &[("authorization", &format!("Bearer {token}"))], "").await.is(200);
    anonymous.raw("GET", &tenant.path(&format!("/agents?api_key={token}")), &[], "").await.problem(401, "unauthorized");
}
