//! argon2id: the only place that hashes secrets.

use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};

use crate::error::{Error, Result};

/// Hashes computed at once: each takes 19 MiB, and more would only make all of them slower.
const AT_ONCE: usize = 2;
/// Callers that may wait for their turn; beyond them a flood of made-up keys would take every thread.
const WAITING: usize = 24;

/// The argon2id hash of `secret` with a fresh salt, in PHC form; parameters are OWASP's (19 MiB, 2 passes, 1 lane).
pub fn hash(secret: &str) -> Result<String> {
    let _permit = permit()?;
    let hash = Argon2::default().hash_password(secret.as_bytes());
    Ok(hash.map_err(|e| Error::internal("argon2", e))?.to_string())
}

/// Whether `secret` has this hash. Where there is no hash the work is done all the same and the answer is no, so
/// that the time taken does not tell which secrets exist.
pub fn verify(secret: &str, hash: Option<&str>) -> Result<bool> {
    static NOBODY: OnceLock<String> = OnceLock::new();
    let nobody = match NOBODY.get() {
        Some(hash) => hash,
        None => {
            let fresh = self::hash("nobody's secret")?;
            NOBODY.get_or_init(|| fresh)
        }
    };
    let _permit = permit()?;
    let parsed = PasswordHash::new(hash.unwrap_or(nobody)).map_err(|e| Error::internal("argon2", e))?;
    let matches = Argon2::default().verify_password(secret.as_bytes(), &parsed).is_ok();
    Ok(matches && hash.is_some())
}

struct Permit;

struct Turns {
    running: usize,
    waiting: usize,
}

static TURNS: Mutex<Turns> = Mutex::new(Turns { running: 0, waiting: 0 });
static FREED: Condvar = Condvar::new();

fn permit() -> Result<Permit> {
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    if turns.waiting >= WAITING {
        return Err(Error::Unavailable("too many keys are being checked at once; try again shortly".into()));
    }
    turns.waiting += 1;
    while turns.running >= AT_ONCE {
        turns = FREED.wait(turns).unwrap_or_else(PoisonError::into_inner);
    }
    turns.waiting -= 1;
    turns.running += 1;
    Ok(Permit)
}

impl Drop for Permit {
    fn drop(&mut self) {
        TURNS.lock().unwrap_or_else(PoisonError::into_inner).running -= 1;
        FREED.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_verifies() {
        let stored = hash("sk_live_secret").unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(verify("sk_live_secret", Some(&stored)).unwrap());
        assert!(!verify("sk_live_other", Some(&stored)).unwrap());
        assert!(!verify("nobody's secret", None).unwrap());
    }
}
