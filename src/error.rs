//! The one error type of the crate, with its stable codes.
//!
//! Every room returns [`Error`]; only `api/error.rs` knows what status a code has. The text of the public
//! variants is shown to callers, so it never holds a path, SQL, or anything of another tenant. What an
//! engine said stays in [`Error::Internal`]: it is logged, never sent.

use std::fmt;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, grouped by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No credential, or one that is malformed, unknown, revoked or expired.
    #[error("a valid API key is required")]
    Unauthorized,
    /// A known principal that may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// The row is not there, or not in the named workspace. Holds the word for what was looked for.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// The state of things forbids it: a slug that is taken, a job that has ended.
    #[error("{0}")]
    Conflict(String),
    /// The request was read but says something it may not say.
    #[error("{}", summary(.0))]
    Validation(Vec<FieldError>),
    /// The request could not be read at all: broken JSON, broken multipart.
    #[error("{0}")]
    Malformed(String),
    /// A body, file or field beyond its limit.
    #[error("{0}")]
    PayloadTooLarge(String),
    /// A kind of document or body that is not taken in.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// A document that cannot be read.
    #[error("{message}")]
    Unreadable { code: &'static str, message: String },
    /// A limit of the organization's plan.
    #[error("{0}")]
    QuotaExceeded(String),
    /// Not now; later perhaps.
    #[error("{0}")]
    Unavailable(String),
    /// The disk is full.
    #[error("there is no space left to store this")]
    InsufficientStorage,
    /// A fault of ours or of the machine. The text is for the log alone.
    #[error("{0}")]
    Internal(String),
}

/// One field of a request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FieldError {
    /// Dotted path of the field in the request, `body` where no single field is meant.
    pub field: String,
    /// What would be right, in a sentence without the field's name.
    pub message: String,
}

impl Error {
    /// A [`Error::Validation`] of a single field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Error::Validation(vec![FieldError { field: field.into(), message: message.into() }])
    }

    /// An [`Error::Internal`] that says what was being done when `cause` happened.
    pub fn internal(doing: &str, cause: impl fmt::Display) -> Self {
        Error::Internal(format!("{doing}: {cause}"))
    }

    /// The same error for another of those whom it concerns.
    pub fn again(&self) -> Self {
        match self {
            Error::Unavailable(text) => Error::Unavailable(text.clone()),
            Error::InsufficientStorage => Error::InsufficientStorage,
            other => Error::Internal(other.to_string()),
        }
    }

    /// The stable, documented code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Unauthorized => "unauthorized",
            Error::Forbidden(_) => "forbidden",
            Error::NotFound(_) => "not_found",
            Error::Conflict(_) => "conflict",
            Error::Validation(_) | Error::Malformed(_) => "validation_failed",
            Error::PayloadTooLarge(_) => "payload_too_large",
            Error::UnsupportedMediaType(_) => "unsupported_media_type",
            Error::Unreadable { code, .. } => code,
            Error::QuotaExceeded(_) => "quota_exceeded",
            Error::Unavailable(_) => "unavailable",
            Error::InsufficientStorage => "insufficient_storage",
            Error::Internal(_) => "internal",
        }
    }
}

fn summary(fields: &[FieldError]) -> String {
    let parts: Vec<String> = fields.iter().map(|f| format!("{}: {}", f.field, f.message)).collect();
    parts.join("; ")
}

impl From<std::io::Error> for Error {
    fn from(cause: std::io::Error) -> Self {
        match cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded | std::io::ErrorKind::FileTooLarge => {
                Error::InsufficientStorage
            }
            std::io::ErrorKind::ReadOnlyFilesystem => Error::Unavailable("this data cannot be written to".into()),
            _ => Error::internal("file", cause),
        }
    }
}
