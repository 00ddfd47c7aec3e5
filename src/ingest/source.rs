//! Names that come with bytes. They are words about a document and never become paths.

use crate::error::{Error, Result};

/// Bytes of a name or source at most.
const LONGEST: usize = 1024;

/// A file name from outside as it may be kept: with `/` between its parts.
///
/// # Errors
/// [`Error::Validation`] of `field` for a name that is absolute, climbs, holds control characters or is too long.
pub fn check_name(field: &str, name: &str) -> Result<String> {
    let refuse = |why: &str| Err(Error::invalid(field, why));
    if name.is_empty() || name.len() > LONGEST {
        return refuse("a file name has 1 to 1024 bytes");
    }
    if name.chars().any(char::is_control) {
        return refuse("a file name has no control characters");
    }
    let is_drive =
        name.as_bytes().get(1) == Some(&b':') && name.as_bytes().first().is_some_and(u8::is_ascii_alphabetic);
    if name.starts_with('/') || name.contains('\\') || is_drive || name.split('/').any(|part| part == "..") {
        return refuse("a file name does not lead to other places");
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.is_empty() { refuse("a file name has a name") } else { Ok(parts.join("/")) }
}

/// The last part of a name without its ending: what a document without a title is called.
pub fn stem(name: &str) -> &str {
    let last = name.rsplit('/').next().unwrap_or(name);
    last.rsplit_once('.').map_or(last, |(stem, _)| if stem.is_empty() { last } else { stem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["../x", "a/../../x", "/etc/passwd", "..\\x", "C:/x", "a\0b", "", "/", ".", &"x".repeat(1025)] {
            assert!(check_name("file", name).is_err(), "{name:?}");
        }
        assert_eq!(check_name("file", "./a//b.md").unwrap(), "a/b.md");
        assert_eq!(stem("a/b.de.md"), "b.de");
    }
}
