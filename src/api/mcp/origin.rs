//! From which web pages the protocol is spoken: those of this server, and those that the key lists.
//!
//! Programs send no `Origin`. Another page that has a key is refused all the same, so that it cannot use one that it
//! came by. A page whose own name was pointed here passes as one of this server: against it stands the key alone, which no
//! browser adds by itself, and which such a page does not have.

use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};

use crate::api::origin;
use crate::auth::Principal;
use crate::error::{Error, Result};

/// Refuses a request from a page of another server that is not meant for it.
///
/// # Errors
/// [`Error::Forbidden`], whatever is wrong with the page's origin.
pub fn check(parts: &Parts, principal: &Principal) -> Result<()> {
    if !parts.headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let host = host(&parts.headers, &parts.uri);
    let lists = |origin: &str| matches!(principal, Principal::ApiKey(key) if key.lists_origin(origin));
    let may = origin::of(&parts.headers).is_some_and(|origin| lists(origin) || is_of(origin, host.as_ref()));
    match may {
        true => Ok(()),
        false => Err(Error::Forbidden("web pages of other servers may not speak to this one".into())),
    }
}

/// The name under which this server was asked.
fn host(headers: &HeaderMap, uri: &Uri) -> Option<Authority> {
    let named = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    named.or_else(|| uri.authority().cloned())
}

/// Whether `origin` is a page of `host`; ports that are left out are those of the origin's scheme.
fn is_of(origin: &str, host: Option<&Authority>) -> bool {
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let standard = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let (Ok(page), Some(host)) = (Authority::try_from(rest), host) else { return false };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(standard);
    page.as_str() == rest.trim_end_matches('/')
        && !rest.contains('@')
        && page.host().eq_ignore_ascii_case(host.host())
        && port(&page) == port(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_the_host_itself_are_its_own() {
        let own = |origin: &str, host: &'static str| is_of(origin, Some(&Authority::from_static(host)));
        for (origin, host) in [
            ("http://127.0.0.1:8000", "127.0.0.1:8000"),
            ("https://docs.example", "docs.example"),
            ("https://docs.example", "docs.example:443"),
            ("https://Docs.Example:443", "docs.example"),
            ("http://[::1]:8000", "[::1]:8000"),
        ] {
            assert!(own(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("http://evil.example", "127.0.0.1:8000"),
            ("http://127.0.0.1:8001", "127.0.0.1:8000"),
            ("http://docs.example", "docs.example:443"),
            ("https://docs.example.evil.example", "docs.example"),
            ("https://evil@docs.example", "docs.example"),
            ("file://docs.example", "docs.example"),
            ("docs.example", "docs.example"),
            ("null", "docs.example"),
            ("", "docs.example"),
        ] {
            assert!(!own(origin, host), "{origin} {host}");
        }
        assert!(!is_of("http://docs.example", None));
    }
}
