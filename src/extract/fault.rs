//! Why a document, or a part of it, could not be read.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What kept a document from being read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub kind: Kind,
    /// A sentence about the document, for whoever sent it.
    pub message: String,
}

/// The kinds of fault; each has a stable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A format that is not taken in.
    Unsupported,
    /// An archive of documents, which is no document itself.
    Archive,
    /// It opens with a password alone.
    Encrypted,
    /// It does not hold to its format.
    Damaged,
    /// It was read, and says nothing.
    NoText,
    /// It is an image of text, and nothing here reads images.
    NoTextLayer,
    /// Reading it takes more memory, time or room than a document is given.
    TooComplex,
}

/// Something of a document that was left out, while the rest went in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    pub code: String,
    pub message: String,
    /// The page that it concerns, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u32>,
}

impl Fault {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Fault { kind, message: message.into() }
    }

    /// A [`Kind::Damaged`] that tells what broke.
    pub fn damaged(cause: impl std::fmt::Display) -> Self {
        Fault::new(Kind::Damaged, format!("the file is damaged: {cause}"))
    }

    /// A [`Kind::TooComplex`] that tells which bound was met.
    pub fn too_complex(bound: impl std::fmt::Display) -> Self {
        Fault::new(Kind::TooComplex, format!("the file is beyond what is read of one document: {bound}"))
    }
}

impl Kind {
    /// Whether some kind has this code.
    pub fn is_code(code: &str) -> bool {
        let all = [
            Kind::Unsupported,
            Kind::Archive,
            Kind::Encrypted,
            Kind::Damaged,
            Kind::NoText,
            Kind::NoTextLayer,
            Kind::TooComplex,
        ];
        all.into_iter().any(|kind| kind.code() == code)
    }

    /// The stable code: of errors and of warnings.
    pub fn code(self) -> &'static str {
        match self {
            Kind::Unsupported | Kind::Archive => "unsupported_media_type",
            Kind::Encrypted => "encrypted",
            Kind::Damaged => "damaged",
            Kind::NoText => "no_text",
            Kind::NoTextLayer => "no_text_layer",
            Kind::TooComplex => "too_complex",
        }
    }
}

impl Warning {
    pub fn new(kind: Kind, page: Option<u32>, message: impl Into<String>) -> Self {
        Warning { code: kind.code().to_owned(), message: message.into(), page }
    }
}

impl From<Fault> for Error {
    fn from(Fault { kind, message }: Fault) -> Self {
        match kind {
            Kind::Unsupported | Kind::Archive => Error::UnsupportedMediaType(message),
            Kind::NoText => Error::invalid("content", "holds no text"),
            _ => Error::Unreadable { code: kind.code(), message },
        }
    }
}
