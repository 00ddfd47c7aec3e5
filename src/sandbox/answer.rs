//! What the processes that read documents say, received: by a side that trusts none of it.
//!
//! Every length has a bound, and what comes out of order is an error. What the words mean is judged elsewhere
//! ([`crate::extract::checked`]).

use std::io::{self, ErrorKind, Read};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::frame::{self, Tag};
use super::unpacking::Entry;
use crate::extract::{self, Extracted, Fault, Warning};

/// Bytes of what a process says of a document beside its text and pictures.
const WORDS: u64 = 32 << 20;
/// Bytes of what a document states of itself: small, as any JSON becomes a hundred times as large in memory.
const FACTS: u64 = 512 << 10;
/// Characters of a fault's sentence.
const SENTENCE: usize = 1024;
/// Bytes of what a process says at once of an archive, or of itself.
pub(super) const PIECE: u64 = 1 << 20;
/// Bytes of all pictures of a document.
const PICTURES: u64 = 128 << 20;

/// What came of a document, but for the text and the pictures, which follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Extracted { document: Box<Extracted>, pictures: usize },
    Fault(Fault),
}

/// What a document states of itself, and what was left out of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Facts {
    pub metadata: Map<String, Value>,
    pub warnings: Vec<Warning>,
}

/// What an archive's process tells.
#[derive(Debug)]
pub enum Unpacked {
    Entry(Entry),
    Bytes(Vec<u8>),
    /// The entry whose bytes came breaks off.
    Broken(Fault),
}

/// A document, unchecked.
///
/// # Errors
/// What is no answer.
pub fn document(from: &mut impl Read) -> io::Result<Result<Extracted, Fault>> {
    let words = frame::expect(from, Tag::Answer, WORDS)?;
    let (mut document, pictures) = match serde_json::from_slice(&words)? {
        Answer::Fault(Fault { kind, message }) => {
            return Ok(Err(Fault::new(
                kind,
                message.chars().filter(|c| !c.is_control()).take(SENTENCE).collect::<String>(),
            )));
        }
        Answer::Extracted { document, pictures } => (document, pictures),
    };
    if pictures != document.scans.len() {
        return Err(ErrorKind::InvalidData.into());
    }
    let facts: Facts = serde_json::from_slice(&frame::expect(from, Tag::Facts, FACTS)?)?;
    (document.metadata, document.warnings) = (facts.metadata, facts.warnings);
    let content = frame::expect(from, Tag::Content, extract::LONGEST as u64 * 2)?;
    document.content = String::from_utf8(content).map_err(|_| ErrorKind::InvalidData)?;
    let mut left = PICTURES;
    for scan in &mut document.scans {
        scan.image = frame::expect(from, Tag::Picture, left)?;
        left -= scan.image.len() as u64;
    }
    Ok(Ok(*document))
}

/// The next that comes out of an archive; `None` at its end. The inner error is the archive's fault, and its end too.
///
/// # Errors
/// What belongs to no archive, an end without a word.
pub fn unpacked(from: &mut impl Read) -> io::Result<Option<Result<Unpacked, Fault>>> {
    let (tag, payload) = frame::read(from, PIECE)?.ok_or(ErrorKind::UnexpectedEof)?;
    let next = match tag {
        Tag::Entry => Ok(Unpacked::Entry(serde_json::from_slice(&payload)?)),
        // Whoever says nothing says it for ever.
        Tag::Bytes if payload.is_empty() => return Err(ErrorKind::InvalidData.into()),
        Tag::Bytes => Ok(Unpacked::Bytes(payload)),
        Tag::Answer => Ok(Unpacked::Broken(serde_json::from_slice(&payload)?)),
        Tag::End if payload.is_empty() => return Ok(None),
        Tag::End => Err(serde_json::from_slice(&payload)?),
        _ => return Err(ErrorKind::InvalidData.into()),
    };
    Ok(Some(next))
}
