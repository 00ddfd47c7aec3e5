//! Checks of single fields, collected so that a caller hears of all that is wrong at once.

use serde_json::{Map, Value};

use crate::error::{Error, FieldError, Result};

/// Bytes of a JSON object that a field may hold.
const LARGEST_OBJECT: usize = 64 << 10;

/// What is wrong with a request so far.
#[derive(Default)]
pub struct Checks(Vec<FieldError>);

impl Checks {
    /// Notes `message` for `field` unless `holds`.
    pub fn require(&mut self, holds: bool, field: &str, message: &str) {
        if !holds {
            self.0.push(FieldError { field: field.to_owned(), message: message.to_owned() });
        }
    }

    /// A line of text for people.
    pub fn name(&mut self, field: &str, name: &str) {
        let fits = !name.trim().is_empty() && name.chars().count() <= 200;
        self.require(fits, field, "must have 1 to 200 characters");
        self.require(!name.chars().any(char::is_control), field, "must have no control characters");
    }

    /// Text of some lines, at most `most` bytes.
    pub fn text(&mut self, field: &str, text: &str, most: usize) {
        self.require(text.len() <= most, field, &format!("must have at most {most} bytes"));
        self.require(!text.contains('\0'), field, "must have no NUL characters");
    }

    /// A name in URLs: `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`.
    pub fn slug(&mut self, field: &str, slug: &str) {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let ends = !slug.starts_with('-') && !slug.ends_with('-');
        let fits = (1..=63).contains(&slug.len()) && slug.bytes().all(inner) && ends;
        self.require(fits, field, "must be 1 to 63 lower-case letters, digits and hyphens, no hyphen at either end");
    }

    /// An address of mail, as far as its shape tells.
    pub fn email(&mut self, field: &str, email: &str) {
        let (local, domain) = email.rsplit_once('@').unwrap_or_default();
        let plain = !email.chars().any(|c| c.is_whitespace() || c.is_control());
        let fits = email.len() <= 254 && !local.is_empty() && !domain.is_empty() && plain;
        self.require(fits, field, "must be an e-mail address");
    }

    /// A JSON object for keeping.
    pub fn object(&mut self, field: &str, object: &Map<String, Value>) {
        let size = serde_json::to_string(object).map_or(usize::MAX, |text| text.len());
        self.require(size <= LARGEST_OBJECT, field, "must have at most 65536 bytes");
    }

    /// All that was wrong, or nothing.
    pub fn done(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Validation(self.0)) }
    }
}
