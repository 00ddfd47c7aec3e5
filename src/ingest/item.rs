//! One thing of a job: what it becomes a document or more things by, and how its failure is told.

use std::io::Read;

use uuid::Uuid;

use super::archive::{self, Bounds};
use super::pipeline::{Incoming, Pipeline};
use crate::datadir::DataDir;
use crate::error::{Error, Result};
use crate::workspace::Workspace;
use crate::workspace::job_items::{self, Item, Pending};
use crate::workspace::jobs::{self, Failure};

/// The bytes of an item and what its sender said of them.
pub fn read(pipeline: &Pipeline, item: &Item) -> Result<Incoming> {
    Ok(Incoming {
        target: None,
        bytes: pipeline.workspace.item_bytes(item)?,
        sha256: Some(item.sha256.clone()),
        file_name: item.file_name.clone(),
        content_type: item.content_type.clone(),
        title: item.title.clone(),
        source: item.source.clone(),
        metadata: item.metadata.clone(),
        chunk_tokens: item.chunk_tokens,
    })
}

/// Whether an item is to be unpacked, by its first bytes and its name. A zip of a document's size may be a document that is
/// packed as one, which its reader tells.
pub fn holds_others(workspace: &Workspace, item: &Item, bounds: Bounds) -> Result<bool> {
    let called_mailbox = name(item).to_ascii_lowercase().ends_with(".mbox");
    if !item.archive && !called_mailbox {
        return Ok(false);
    }
    let mut start = Vec::new();
    workspace.open_item(item)?.take(5).read_to_end(&mut start)?;
    Ok(match start.as_slice() {
        b"From " => true,
        [b'P', b'K', ..] => item.size > bounds.file_bytes,
        _ => item.archive && !called_mailbox,
    })
}

/// Archives within each other that are unpacked.
const DEEPEST: u32 = 2;

/// Puts what an archive holds at the end of its job, in the archive's stead. The bounds hold for the job as a whole.
pub fn unpack(
    pipeline: &Pipeline,
    job: Uuid,
    pending: Pending,
    bounds: Bounds,
    directory: &DataDir,
    is_stopping: &dyn Fn() -> bool,
) -> Result<()> {
    let depth = pending.item.depth + 1;
    let own = name(&pending.item);
    // Files of an archive within another, and messages, which have numbers for names, would not stay apart.
    let is_apart = pending.item.within || depth > 1 || own.to_ascii_lowercase().ends_with(".mbox");
    let (prefix, sole) = match is_apart {
        true => (format!("{own}/"), own.rsplit('/').next().unwrap_or(&own)),
        false => (String::new(), own.as_str()),
    };
    let unpacked = match depth > DEEPEST {
        true => Err(Error::UnsupportedMediaType(format!("archives are unpacked {DEEPEST} deep, and no deeper"))),
        false => {
            let so_far = pipeline.workspace.job(job)?;
            let bytes = so_far.pace.bytes_total.saturating_sub(pending.item.size);
            let files = usize::try_from(so_far.total).unwrap_or(usize::MAX);
            let left = Bounds {
                files: bounds.files.saturating_sub(files),
                bytes: bounds.bytes.saturating_sub(bytes),
                ..bounds
            };
            let is_over = || Ok(is_stopping() || pipeline.workspace.job(job)?.status.is_final());
            let file = pipeline.workspace.open_item(&pending.item)?;
            // The name that stands for a body without one would stand for the next as well.
            let sole = pending.item.file_name.is_some().then(|| archive::uncompressed(sole));
            archive::unpack(&pipeline.sandbox, file, sole, left, directory, &is_over)
        }
    };
    // Nobody misses what is empty, unless it was not: its document is not gone, and stays as it was.
    let mut emptied = Vec::new();
    for name in unpacked.iter().flat_map(|held| &held.empty) {
        let name = format!("{prefix}{name}");
        if pipeline.workspace.document_with_source(&name)?.is_some() {
            emptied.push(name);
        }
    }
    pipeline.workspace.commit(move |change| {
        let entries = match unpacked {
            Ok(held) => held.entries,
            // The machine's fault is not the archive's.
            Err(error @ (Error::InsufficientStorage | Error::Unavailable(_) | Error::Conflict(_))) => {
                return Err(error);
            }
            Err(error) => return job_items::strike_failed(change, job, &pending, failure(name(&pending.item), &error)),
        };
        let mut items = Vec::new();
        for entry in entries {
            let name = format!("{prefix}{}", entry.name);
            match entry.taken {
                Ok(upload) => {
                    change.keep_file(&upload)?;
                    items.push(Item {
                        source: Some(name.clone()),
                        file_name: Some(name),
                        content_type: None,
                        title: None,
                        metadata: pending.item.metadata.clone(),
                        chunk_tokens: pending.item.chunk_tokens,
                        archive: false,
                        within: false,
                        depth,
                        sha256: upload.sha256.clone(),
                        size: upload.size,
                    });
                }
                Err(error) => jobs::note_failure(change, job, failure(name, &error))?,
            }
        }
        for name in emptied {
            let error = Error::invalid("file", "it is empty now, and its document stays as it was");
            jobs::note_failure(change, job, failure(name, &error))?;
        }
        job_items::add(change, job, &items)?;
        job_items::strike_unpacked(change, job, &pending)
    })
}

/// What an item is called where it is told of.
pub fn name(item: &Item) -> String {
    item.source.clone().or(item.file_name.clone()).or(item.title.clone()).unwrap_or_else(|| "document".into())
}

/// How the failure of the item called `source` is told.
pub fn failure(source: String, error: &Error) -> Failure {
    let message = match error {
        Error::Internal(cause) => {
            tracing::error!(error = %cause, "a document could not be taken in");
            "could not be taken in because of an internal error".to_owned()
        }
        other => other.to_string(),
    };
    Failure { source, code: error.code().to_owned(), message }
}
