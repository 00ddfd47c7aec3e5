//! Storing passages whose vectors are ready, and asking for them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use carrel::auth::Access;
use carrel::digest::sha256;
use carrel::embed::Embedder;
use carrel::search::{self, Found, SearchRequest, SearchType};
use carrel::workspace::chunks;
use carrel::workspace::documents::{self, Draft};
use serde_json::{Map, Value};

use crate::corpus::{Corpus, Query};
use crate::instance::Instance;
use crate::measure::Known;

/// Chunks of a document, and documents of a commit.
const DOCUMENT: usize = 50;
const COMMIT: usize = 100;
/// Documents bear a number below this as `part`, which filters ask for.
pub const PARTS: usize = 100;
/// How long each number of clients asks.
const ASKING: Duration = Duration::from_secs(3);

/// Stores the passages `from..to` and returns how long that took; making them is not counted.
pub fn store(instance: &Instance, access: &Access, corpus: &Corpus, from: usize, to: usize) -> Duration {
    let mut took = Duration::ZERO;
    let starts: Vec<usize> = (from..to).step_by(DOCUMENT).collect();
    for group in starts.chunks(COMMIT) {
        let passages = group.iter().map(|start| (*start, (*start..(start + DOCUMENT).min(to))));
        took += put(instance, access, corpus, passages);
    }
    took
}

/// Stores documents, each of a number and its passages, in one commit.
pub fn put(
    instance: &Instance,
    access: &Access,
    corpus: &Corpus,
    documents: impl Iterator<Item = (usize, std::ops::Range<usize>)>,
) -> Duration {
    let model = access.workspace.model().sha256;
    let mut drafts: Vec<Draft> = documents.map(|(number, passages)| draft(corpus, &model, number, passages)).collect();
    let started = Instant::now();
    let mut uploads = Vec::new();
    for draft in &mut drafts {
        let mut upload = instance.app.directory.upload().unwrap();
        upload.write(draft.content.as_bytes()).unwrap();
        uploads.push(upload.finish().unwrap());
    }
    let stored = access.workspace.commit(move |change| {
        for (draft, upload) in drafts.iter().zip(&uploads) {
            change.keep_file(upload)?;
            documents::put(change, None, draft)?;
        }
        Ok(())
    });
    stored.unwrap();
    started.elapsed()
}

fn draft(corpus: &Corpus, model: &str, number: usize, passages: std::ops::Range<usize>) -> Draft {
    let (mut content, mut chunks) = (String::new(), Vec::new());
    for passage in passages {
        let (text, vector) = corpus.passage(passage);
        let start = content.len();
        content.push_str(&text);
        let (end, token_count) = (content.len(), text.split_whitespace().count() as u32);
        chunks.push(chunks::Draft { start, end, heading_path: Vec::new(), places: Vec::new(), token_count, vector });
        content.push_str("\n\n");
    }
    let title: Vec<&str> = content.split_whitespace().take(5).collect();
    let part = Value::from(number / DOCUMENT % PARTS);
    Draft {
        title: title.join(" "),
        source: format!("document {number}"),
        content_type: "text/plain".into(),
        metadata: Map::from_iter([("part".to_owned(), part)]),
        warnings: Vec::new(),
        size_bytes: content.len() as u64,
        content_hash: sha256(content.as_bytes()),
        file_type: "text/plain".into(),
        model: model.to_owned(),
        chunks,
        content,
    }
}

/// Searches for `query`, with its vector known or not.
pub fn ask(access: &Access, embedder: &dyn Embedder, query: &Query, kind: SearchType, is_known: bool) -> Found {
    let request = SearchRequest { query: query.text.clone(), search_type: kind, limit: 10, ..SearchRequest::default() };
    let known = Known { inner: embedder, vector: &query.vector };
    let embedder = if is_known { &known } else { embedder };
    let found = search::search(&access.workspace, embedder, &request).unwrap();
    assert!(found.legs.iter().all(|leg| leg.outcome.is_ok()), "{:?}", found.legs);
    found
}

/// Hybrid searches a second that so many clients get answered, each of which asks again as soon as it has an answer.
pub fn rate(access: &Access, embedder: &dyn Embedder, corpus: &Corpus, clients: usize, is_known: bool) -> f64 {
    let answered = AtomicUsize::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for client in 0..clients {
            let answered = &answered;
            scope.spawn(move || {
                for query in corpus.queries.iter().cycle().skip(client * 7) {
                    ask(access, embedder, query, SearchType::Hybrid, is_known);
                    answered.fetch_add(1, Ordering::Relaxed);
                    if started.elapsed() >= ASKING {
                        break;
                    }
                }
            });
        }
    });
    answered.into_inner() as f64 / started.elapsed().as_secs_f64()
}
