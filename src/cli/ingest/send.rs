//! Files on their way to a workspace: one by one, small ones together, archives as jobs of their own.
//!
//! A file is read while it is sent. Only small ones that go together are in memory, and those together are bounded:
//! [`TOGETHER_BYTES`] times as many as are under way at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::super::client::{Client, Reply};
use super::super::{Failure, Outcome, multipart};
use super::opening::open;
use super::plan::{Gone, Step};
use crate::digest::sha256;
use crate::ingest::{ARCHIVE, ARCHIVE_HASH, FOLDER, is_archive};

/// Files that go together at most, and their bytes. The interface names a thousand failures of a job.
const TOGETHER: usize = 256;

const TOGETHER_BYTES: u64 = 4 << 20;
/// Bytes of a file that goes with others.
const SMALL: u64 = 64 << 10;
/// Small files from which they go together: for fewer, the way of a job is longer.
const MANY: usize = 16;
/// Bytes of a name that the interface takes in a form of many files.
const LONGEST_NAME: usize = 1024;
/// Results of a job that are asked for at once.
const PAGE: usize = 200;

/// What goes in one request.
pub enum Shipment {
    File(Step),
    Together(Vec<Step>),
    Archive(Step),
}

/// What came of a file that was sent, or of many.
pub enum Sent {
    /// The document as the interface tells of it, how it went in, and how many chunks are new.
    Stored {
        document: Value,
        how: &'static str,
        chunks: u64,
    },
    /// It went in with others, and what it became is to be looked up.
    Filed(Step),
    /// An archive: how many documents went in, and what kept the others out.
    Unpacked {
        step: Step,
        documents: u64,
        chunks: u64,
        /// What was left out of which document.
        warnings: Vec<(String, Value)>,
        errors: Vec<Value>,
        /// Whether all that it holds was looked at, and all that failed is among the errors.
        whole: bool,
        /// Failures of which only the number is known.
        unnamed: u64,
    },
    Failed {
        source: String,
        code: String,
        message: String,
    },
}

/// How and where to.
pub struct Sender<'a> {
    pub client: &'a Client,
    pub workspace: uuid::Uuid,
    pub chunk_tokens: Option<u32>,
}

/// What is to be sent, each by itself or, where they are many, small ones `together`.
pub fn shipments(steps: Vec<Step>, together: bool) -> Vec<Shipment> {
    let is_small = |step: &Step| {
        let source = &step.file.source;
        let plain = multipart::is_kept(source) && source.len() <= LONGEST_NAME;
        plain && step.file.stamp.size <= SMALL && !is_archive(source)
    };
    let many = together && steps.iter().filter(|step| is_small(step)).count() >= MANY;
    let mut shipments = Vec::new();
    let mut open: BTreeMap<Option<Arc<str>>, (Vec<Step>, u64)> = BTreeMap::new();
    for step in steps {
        if is_archive(&step.file.source) {
            shipments.push(Shipment::Archive(step));
        } else if many && is_small(&step) {
            let (gathered, bytes) = open.entry(step.file.folder.clone()).or_default();
            *bytes += step.file.stamp.size;
            gathered.push(step);
            if gathered.len() >= TOGETHER || *bytes >= TOGETHER_BYTES {
                shipments.push(Shipment::Together(std::mem::take(gathered)));
                *bytes = 0;
            }
        } else {
            shipments.push(Shipment::File(step));
        }
    }
    let rest = open.into_values().map(|(gathered, _)| gathered).filter(|gathered| !gathered.is_empty());
    shipments.extend(rest.map(Shipment::Together));
    shipments
}

impl Sender<'_> {
    /// Sends and waits until all is in.
    ///
    /// # Errors
    /// What is the matter with the interface, or with a single file that was sent alone.
    pub async fn send(&self, shipment: Shipment) -> (Vec<String>, Outcome<Vec<Sent>>) {
        match shipment {
            Shipment::File(step) => {
                let sent = self.file(&step).await;
                (vec![step.file.source], sent.map(|sent| vec![sent]))
            }
            Shipment::Archive(step) => {
                (vec![step.file.source.clone()], self.archive(step).await.map(|sent| vec![sent]))
            }
            Shipment::Together(steps) => {
                let sources = steps.iter().map(|step| step.file.source.clone()).collect();
                (sources, self.together(steps).await)
            }
        }
    }

    /// Removes a document; one that somebody else has removed is gone as well.
    pub async fn remove(&self, gone: &Gone) -> Outcome<()> {
        let path = format!("/workspaces/{}/documents/{}", self.workspace, gone.id);
        match self.client.json(Method::DELETE, &path, None).await {
            Err(Failure::Refused { code, .. }) if code == "not_found" => Ok(()),
            answer => answer.map(drop),
        }
    }

    async fn file(&self, step: &Step) -> Outcome<Sent> {
        let source = &step.file.source;
        // What it is called comes from its source; its name only tells what it may be.
        let name = source.rsplit('/').next().unwrap_or(source).replace('\\', "_");
        let fields = self.fields(step.file.folder.as_deref(), &[]);
        let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
        let fields: Vec<(&str, &str)> = fields.chain([("source", source.as_str())]).collect();
        let reply = self.upload(step, &name, "documents", &fields).await?;
        let status = reply.status;
        let document = reply.json().await?;
        let unchanged = status == StatusCode::OK && document["unchanged"] == true;
        let how = match (unchanged, document["created_at"] == document["updated_at"]) {
            (true, _) => "unchanged",
            (false, true) => "added",
            (false, false) => "replaced",
        };
        let chunks = if unchanged { 0 } else { document["chunk_count"].as_u64().unwrap_or(0) };
        Ok(Sent::Stored { document, how, chunks })
    }

    async fn archive(&self, step: Step) -> Outcome<Sent> {
        let (folder, source) = (step.file.folder.as_deref(), &step.file.source);
        let more = [(ARCHIVE, source.as_str()), (ARCHIVE_HASH, step.hash.as_str())];
        let fields = self.fields(folder, &more);
        let fields = fields.iter().map(|(name, value)| (*name, value.as_str()));
        // What it holds is called by it, so that two archives with a file of one name are two folders of it.
        let fields: Vec<(&str, &str)> = fields.chain([("source", source.as_str())]).collect();
        let name = source.rsplit('/').next().unwrap_or(source).replace('\\', "_");
        let job = self.upload(&step, &name, "ingest", &fields).await?.json().await?;
        let job = self.followed(job).await?;
        let count = |name: &str| job[name].as_u64().unwrap_or(0);
        let mut errors = job["errors"].as_array().cloned().unwrap_or_default();
        let unnamed = count("failed").saturating_sub(errors.len() as u64);
        let status = job["status"].as_str().unwrap_or("unknown");
        let went_through = status == "succeeded";
        // A job that failed has said why, but one that was cancelled failed at what it had come to by then.
        if !went_through && (status != "failed" || count("failed") == 0) {
            let message = format!("the job did not go through: it is {status}");
            errors.push(json!({"source": source, "code": "failed", "message": message}));
        }
        let (mut chunks, mut warnings, mut offset) = (0, Vec::new(), 0);
        let id = job["id"].as_str().unwrap_or_default();
        loop {
            let path = format!("/workspaces/{}/jobs/{id}/results?limit={PAGE}&offset={offset}", self.workspace);
            let page = self.client.json(Method::GET, &path, None).await?;
            let rows = page.as_array().map(Vec::as_slice).unwrap_or_default();
            for row in rows {
                chunks += row["chunk_count"].as_u64().unwrap_or(0);
                if row["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty()) {
                    warnings.push((row["source"].as_str().unwrap_or_default().to_owned(), row["warnings"].clone()));
                }
            }
            offset += rows.len();
            if rows.len() < PAGE {
                break;
            }
        }
        let whole = went_through && unnamed == 0;
        Ok(Sent::Unpacked { documents: count("done"), chunks, warnings, step, errors, whole, unnamed })
    }

    async fn together(&self, steps: Vec<Step>) -> Outcome<Vec<Sent>> {
        let folder = steps.first().and_then(|step| step.file.folder.clone());
        let (mut sent, mut read) = (Vec::new(), Vec::new());
        for step in steps {
            match read_small(&step).await {
                // What is read is what will be there, whatever the file was when it was compared.
                Ok(bytes) => read.push((Step { hash: sha256(&bytes), ..step }, bytes)),
                Err(message) => {
                    sent.push(Sent::Failed { source: step.file.source, code: "failed".to_owned(), message });
                }
            }
        }
        if read.is_empty() {
            return Ok(sent);
        }
        let fields = self.fields(folder.as_deref(), &[]);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let files: Vec<(&str, &[u8])> =
            read.iter().map(|(step, bytes)| (step.file.source.as_str(), bytes.as_slice())).collect();
        let (kind, body) = multipart::of_files(&files, &fields);
        let path = format!("/workspaces/{}/ingest", self.workspace);
        let job = self.client.send(Method::POST, &path, &kind, body).await?.json().await?;
        let job = self.followed(job).await?;
        let mut failures: BTreeMap<&str, &Value> = BTreeMap::new();
        for error in job["errors"].as_array().into_iter().flatten() {
            failures.insert(error["source"].as_str().unwrap_or_default(), error);
        }
        for (step, _) in read {
            let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
            sent.push(match failures.get(step.file.source.as_str()) {
                None => Sent::Filed(step),
                Some(error) => Sent::Failed {
                    source: step.file.source,
                    code: text(error, "code"),
                    message: text(error, "message"),
                },
            });
        }
        Ok(sent)
    }

    /// Fields of a form that say where its files come from and how they are cut.
    fn fields(&self, folder: Option<&str>, more: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let pairs = folder.iter().map(|folder| (FOLDER, *folder)).chain(more.iter().copied());
        let metadata: Map<String, Value> = pairs.map(|(key, value)| (key.to_owned(), Value::from(value))).collect();
        let metadata = (!metadata.is_empty()).then(|| ("metadata", Value::from(metadata).to_string()));
        let chunk_tokens = self.chunk_tokens.map(|tokens| ("chunk_tokens", tokens.to_string()));
        metadata.into_iter().chain(chunk_tokens).collect()
    }

    /// Sends a file as it is read.
    async fn upload(&self, step: &Step, name: &str, place: &str, fields: &[(&str, &str)]) -> Outcome<Reply> {
        let failed = |e: std::io::Error| Failure::Failed(e.to_string());
        let file = File::from_std(open(&step.file.path).map_err(failed)?);
        let (kind, body) = multipart::of_open_file(name, file, fields);
        let broken: Arc<Mutex<Option<std::io::Error>>> = Arc::default();
        let noted = broken.clone();
        let body = body.map(move |piece| {
            piece.map_err(|error| {
                let kind = error.kind();
                *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                kind.into()
            })
        });
        let path = format!("/workspaces/{}/{place}", self.workspace);
        let reply = self.client.upload(Method::POST, &path, &kind, body).await;
        // A file that could not be read to its end looks like a server that cannot be reached.
        match broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(failed(error)),
            None => reply,
        }
    }

    /// A job at its end.
    async fn followed(&self, mut job: Value) -> Outcome<Value> {
        let id = job["id"].as_str().unwrap_or_default().to_owned();
        let path = format!("/workspaces/{}/jobs/{id}/events", self.workspace);
        let events = self.client.send(Method::GET, &path, "application/json", Default::default()).await?;
        events
            .events(|event| {
                job = event;
                Ok(())
            })
            .await?;
        match job["finished_at"].is_null() {
            true => Err(Failure::Unreachable("the server stopped before the job had ended; it goes on with it".into())),
            false => Ok(job),
        }
    }
}

async fn read_small(step: &Step) -> Result<Vec<u8>, String> {
    let file = File::from_std(open(&step.file.path).map_err(|e| e.to_string())?);
    let mut bytes = Vec::new();
    file.take(SMALL + 1).read_to_end(&mut bytes).await.map_err(|e| e.to_string())?;
    match bytes.len() as u64 > SMALL {
        true => Err("it grew while it was read".to_owned()),
        false => Ok(bytes),
    }
}
