//! Origins: where a page is from, as a browser tells it in the header `Origin`.

use axum::http::{HeaderMap, header};
use url::{Host, Url};

/// What an origin must look like, as the end of a sentence.
pub const EXPECTED: &str =
    "must be an origin as in https://www.example.org or http://localhost:8080: no path, no wildcard";

/// Longer than any that a browser sends.
const LONGEST: usize = 255;

/// The origin that `text` names, as browsers write it: lower case, no port where it is the usual one.
pub fn parse(text: &str) -> Option<String> {
    let start = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    // The parser forgives what this must not: backslashes, missing slashes, tabs in between.
    let plain = text.bytes().all(|b| !b.is_ascii_control() && b != b' ' && b != b'\\');
    if !plain || text.len() > LONGEST || !(start.starts_with("https://") || start.starts_with("http://")) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none() && !text.contains('@');
    let named = match url.host()? {
        // Hosts may have signs that mean something in a list of sources.
        Host::Domain(name) => name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')),
        Host::Ipv4(_) | Host::Ipv6(_) => true,
    };
    (bare && anonymous && named).then(|| url.origin().ascii_serialization())
}

/// The origin that a request names, where it names one and no more.
pub fn of(headers: &HeaderMap) -> Option<&str> {
    let mut named = headers.get_all(header::ORIGIN).iter();
    let only = named.next().filter(|_| named.next().is_none())?;
    only.to_str().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn origins_are_as_browsers_write_them() {
        let same = ["https://a.example", "http://localhost:8080", "https://[::1]:8443", "http://127.0.0.1"];
        for origin in same {
            assert_eq!(parse(origin).as_deref(), Some(origin));
        }
        assert_eq!(parse("https://WWW.Example.org:443/").as_deref(), Some("https://www.example.org"));
        assert_eq!(parse("HTTP://a.example:80").as_deref(), Some("http://a.example"));
        assert_eq!(parse("https://bücher.example").as_deref(), Some("https://xn--bcher-kva.example"));
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        let wrong = [
            "",
            "*",
            "null",
            "https://",
            "https://*",
            "https://*.example.org",
            "example.org",
            "//example.org",
            "ftp://example.org",
            "https:example.org",
            "https:\\\\example.org",
            "https://a.example/path",
            "https://a.example?x",
            "https://a.example#x",
            "https://u@a.example",
            "https://u:p@a.example",
            "https://@a.example",
            "https://a.example:99999",
            " https://a.example",
            "https://a.example\n",
            "https://a.ex\tample",
            "https://a;script-src",
            "https://a,b",
            "https://a'b",
            "file:///etc",
            "data:text/html,x",
            "javascript:alert(1)",
            "https://a.example https://b.example",
        ];
        for text in wrong {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&format!("https://{}.example", "a".repeat(300))), None);
    }

    proptest! {
        #[test]
        fn what_is_read_stays_the_same_and_is_safe_in_a_header(text in "(https?://)?[ -~]{0,40}|\\PC{0,40}") {
            if let Some(origin) = parse(&text) {
                prop_assert_eq!(parse(&origin), Some(origin.clone()));
                let safe = |b: u8| b.is_ascii_alphanumeric() || b".-_:/[]".contains(&b);
                prop_assert!(origin.bytes().all(safe), "{}", origin);
            }
        }
    }
}
