//! A tenant: an organization with a workspace, an agent and a key, made through the API.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Client;
use crate::handbook::HANDBOOK;

/// Every scope that a key can have.
pub const SCOPES: [&str; 5] = ["chat", "search", "read", "ingest", "admin"];

/// A workspace and who may enter it.
pub struct Tenant {
    /// The instance admin.
    pub admin: Client,
    pub organization: String,
    pub workspace: String,
    pub agent: String,
    /// A key with every scope.
    pub client: Client,
}

impl Tenant {
    pub async fn new(admin: &Client) -> Tenant {
        let slug = format!("t{}", Uuid::new_v4().simple());
        let body = json!({"name": "A tenant", "slug": slug, "contact_email": "someone@example.com"});
        let organization = id(&admin.post("/v1/organizations", &body).await.is(201).json());
        Tenant::within(admin, &organization).await
    }

    /// Another workspace of an organization that is there.
    pub async fn within(admin: &Client, organization: &str) -> Tenant {
        let slug = format!("w{}", Uuid::new_v4().simple());
        let path = format!("/v1/organizations/{organization}/workspaces");
        let workspace = id(&admin.post(&path, &json!({"name": "A workspace", "slug": slug})).await.is(201).json());
        let path = format!("/v1/workspaces/{workspace}/agents");
        let agent = id(&admin.post(&path, &json!({"name": "An agent", "slug": "first"})).await.is(201).json());
        let mut tenant = Tenant {
            admin: admin.clone(),
            organization: organization.to_owned(),
            workspace,
            agent,
            client: admin.anonymous(),
        };
        tenant.client = tenant.key(&SCOPES).await;
        tenant
    }

    /// A client with a new key of these scopes.
    pub async fn key(&self, scopes: &[&str]) -> Client {
        let body = json!({"name": scopes.join(" and "), "scopes": scopes, "rate_limit_per_minute": 100_000});
        let created = self.admin.post(&self.path("/api-keys"), &body).await.is(201).json();
        self.admin.with_token(created["key"].as_str().unwrap())
    }

    /// A path in this workspace.
    pub fn path(&self, rest: &str) -> String {
        format!("/v1/workspaces/{}{rest}", self.workspace)
    }

    /// Stores a Markdown document and gives it.
    pub async fn document(&self, source: &str, content: &str) -> Value {
        let body = json!({"source": source, "content": content});
        self.client.post(&self.path("/documents"), &body).await.is(201).json()
    }

    /// Stores the handbook.
    pub async fn handbook(&self) {
        for (source, content) in HANDBOOK {
            self.document(source, content).await;
        }
    }

    /// Takes documents in with a job and gives the job at its end.
    pub async fn ingest(&self, documents: &[Value]) -> Value {
        let job = self.client.post(&self.path("/ingest"), &json!({"documents": documents})).await.is(202).json();
        self.finished(&id(&job)).await
    }

    /// A job at its end; waits for that on its events.
    pub async fn finished(&self, job: &str) -> Value {
        self.client.stream("GET", &self.path(&format!("/jobs/{job}/events")), None).await.all().await;
        self.client.get(&self.path(&format!("/jobs/{job}"))).await.is(200).json()
    }

    /// Waits until the facts of all documents have been read.
    pub async fn facts_read(&self) {
        for _ in 0..3_000 {
            let stats = self.admin.get(&self.path("/stats")).await.is(200).json();
            if stats["facts_pending"] == 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the facts were not read");
    }

    /// The same tenant on another server of its directory.
    pub fn on(&self, server: &crate::server::Server) -> Tenant {
        let key = self.client.token();
        Tenant {
            admin: server.admin(),
            organization: self.organization.clone(),
            workspace: self.workspace.clone(),
            agent: self.agent.clone(),
            client: server.admin().with_token(key),
        }
    }

    /// How many documents there are.
    pub async fn document_count(&self) -> u64 {
        self.client.get(&self.path("/documents?limit=1")).await.is(200).json()["total"].as_u64().unwrap()
    }

    /// A document with its content.
    pub async fn read(&self, document: &str) -> Value {
        self.client.get(&self.path(&format!("/documents/{document}"))).await.is(200).json()
    }

    /// Searches with the fields of `body`.
    pub async fn search(&self, body: Value) -> Value {
        self.client.post(&self.path("/search"), &body).await.is(200).json()
    }

    /// Asks the agent in a new session.
    pub async fn ask(&self, query: &str) -> Value {
        let body = json!({"agent_id": self.agent, "query": query});
        self.client.post(&self.path("/chat"), &body).await.is(200).json()
    }

    /// Asserts that each citation of an answer stands in its document, and that message and citations match one to one.
    pub async fn check_citations(&self, answer: &Value) {
        let citations = answer["citations"].as_array().unwrap();
        for citation in citations {
            let document = self.read(citation["document_id"].as_str().unwrap()).await;
            assert_stands(&document, citation);
            assert_eq!(citation["title"], document["title"]);
            assert_eq!(citation["source"], document["source"]);
        }
        let numbers: Vec<u64> = citations.iter().map(|citation| citation["marker"].as_u64().unwrap()).collect();
        let message = answer["message"].as_str().unwrap();
        let mut marked = markers(message);
        marked.sort();
        marked.dedup();
        assert_eq!(marked, numbers, "the markers of: {message}");
    }
}

/// The id of a row.
#[track_caller]
pub fn id(row: &Value) -> String {
    row["id"].as_str().unwrap_or_else(|| panic!("no id in {row}")).to_owned()
}

/// Asserts that a citation's quote stands in its document's content at its offsets, to the byte.
#[track_caller]
pub fn assert_stands(document: &Value, citation: &Value) {
    let content = document["content"].as_str().unwrap();
    let (start, end) = (citation["start"].as_u64().unwrap() as usize, citation["end"].as_u64().unwrap() as usize);
    assert_eq!(content.get(start..end), citation["quote"].as_str(), "{start}..{end} of {document}");
    assert!(start < end, "an empty quote: {citation}");
}

/// The numbers in brackets in a message.
pub fn markers(message: &str) -> Vec<u64> {
    let inside = message.split('[').skip(1).filter_map(|rest| rest.split_once(']'));
    inside.filter_map(|(number, _)| number.parse().ok()).collect()
}
