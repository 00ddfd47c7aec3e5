//! What a workspace holds already, as far as folders are compared with it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value};

use super::super::Outcome;
use super::super::client::Client;
use crate::ingest::{ARCHIVE, ARCHIVE_HASH, FOLDER};

/// Documents of a page.
const PAGE: usize = 200;

/// A document.
#[derive(Debug, Clone)]
pub struct Held {
    pub id: String,
    /// SHA-256 of the original in hexadecimal.
    pub hash: String,
    pub chunks: u64,
    /// The folder that it was sent from.
    pub folder: Option<Arc<str>>,
    /// The archive that it came out of, and that archive's SHA-256.
    pub archive: Option<(String, String)>,
    /// What of it was left out.
    pub warnings: Value,
}

/// Documents by their sources.
#[derive(Default)]
pub struct Holdings {
    pub documents: HashMap<String, Held>,
    /// Whether more has changed than is known here.
    pub stale: bool,
    /// Names of folders, each once.
    folders: HashSet<Arc<str>>,
}

impl Holdings {
    /// All documents of a workspace.
    pub async fn list(client: &Client, workspace: uuid::Uuid) -> Outcome<Holdings> {
        let mut holdings = Holdings::default();
        holdings.read(client, workspace, |_| true).await?;
        Ok(holdings)
    }

    /// Looks `sources` up; the newest documents come first, so for new ones that is a short look.
    pub async fn look_up(&mut self, client: &Client, workspace: uuid::Uuid, sources: HashSet<String>) -> Outcome<()> {
        let mut missing = sources;
        let seen = |page: &[String]| {
            page.iter().for_each(|source| {
                missing.remove(source);
            });
            !missing.is_empty()
        };
        self.read(client, workspace, seen).await
    }

    /// Reads page after page while `go_on` says so of the sources on it.
    async fn read(
        &mut self,
        client: &Client,
        workspace: uuid::Uuid,
        mut go_on: impl FnMut(&[String]) -> bool,
    ) -> Outcome<()> {
        let mut offset = 0;
        loop {
            let path = format!("/workspaces/{workspace}/documents?limit={PAGE}&offset={offset}");
            let page = client.json(Method::GET, &path, None).await?;
            let rows = page["documents"].as_array().map(Vec::as_slice).unwrap_or_default();
            let sources: Vec<String> = rows.iter().filter_map(|row| self.take(row)).collect();
            offset += rows.len();
            if rows.len() < PAGE || !go_on(&sources) {
                return Ok(());
            }
        }
    }

    /// Takes a document down as the interface tells of it, and gives its source.
    pub fn take(&mut self, row: &Value) -> Option<String> {
        let text = |name: &str| row[name].as_str().map(str::to_owned);
        let (source, id, hash) = (text("source")?, text("id")?, text("content_hash")?);
        let metadata = row["metadata"].as_object();
        let said = |key: &str| metadata.and_then(|metadata: &Map<String, Value>| metadata.get(key)?.as_str());
        let folder = said(FOLDER).map(|folder| self.folder(folder));
        let archive = said(ARCHIVE).map(str::to_owned).zip(said(ARCHIVE_HASH).map(str::to_owned));
        let chunks = row["chunk_count"].as_u64().unwrap_or(0);
        let warnings = row["warnings"].clone();
        self.documents.insert(source.clone(), Held { id, hash, chunks, folder, archive, warnings });
        Some(source)
    }

    fn folder(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.folders.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.folders.insert(name.clone());
        name
    }
}
