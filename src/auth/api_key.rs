//! What a key looks like: kind, prefix to find it by, secret.

use crate::error::{Error, Result};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters after the kind that a stored key is found by.
const PREFIX: usize = 8;
/// Random characters of a key: 43 of 62 give 256 bits.
const SECRET: usize = PREFIX + 43;

/// Whose key it is, told by how it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The instance admin's.
    Admin,
    /// A workspace's, for real use.
    Live,
    /// A workspace's, for trying out.
    Test,
    /// This process's own, for commands on the same machine.
    Local,
}

impl Kind {
    fn start(self) -> &'static str {
        match self {
            Kind::Admin => "sk_admin_",
            Kind::Live => "sk_live_",
            Kind::Test => "sk_test_",
            Kind::Local => "sk_local_",
        }
    }
}

/// A key that was just made.
pub struct Generated {
    pub key: String,
    /// The part that is stored in clear.
    pub prefix: String,
}

/// A fresh key from the system's randomness.
pub fn generate(kind: Kind) -> Result<Generated> {
    let mut key = kind.start().to_owned();
    let mut bytes = [0u8; 64];
    while key.len() < kind.start().len() + SECRET {
        getrandom::fill(&mut bytes).map_err(|e| Error::internal("randomness", e))?;
        // 248 is the largest multiple of 62 in a byte: what lies above would favour some letters.
        let letters = bytes.iter().filter(|b| **b < 248).filter_map(|b| ALPHABET.get(usize::from(b % 62)));
        key.extend(letters.map(|b| char::from(*b)));
    }
    key.truncate(kind.start().len() + SECRET);
    let prefix = key.get(..kind.start().len() + PREFIX).unwrap_or_default().to_owned();
    Ok(Generated { key, prefix })
}

/// The kind of a well-formed key and its prefix.
pub fn parse(key: &str) -> Option<(Kind, &str)> {
    let kinds = [Kind::Admin, Kind::Live, Kind::Test, Kind::Local];
    let kind = kinds.into_iter().find(|kind| key.starts_with(kind.start()))?;
    let random = key.get(kind.start().len()..)?;
    let well_formed = random.len() == SECRET && random.bytes().all(|b| b.is_ascii_alphanumeric());
    well_formed.then_some(())?;
    Some((kind, key.get(..kind.start().len() + PREFIX)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_well_formed_and_new_each_time() {
        let (one, other) = (generate(Kind::Live).unwrap(), generate(Kind::Live).unwrap());
        assert_eq!(parse(&one.key), Some((Kind::Live, one.prefix.as_str())));
        assert_ne!(one.key, other.key);
        assert_ne!(one.prefix, other.prefix);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for key in ["", "sk_live_", "sk_live_short", "Bearer x", &"a".repeat(1000), "sk_live_ééééééé"] {
            assert_eq!(parse(key), None, "{key}");
        }
    }
}
