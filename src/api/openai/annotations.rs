//! Citations as OpenAI's clients know them: an annotation for each marker in the answer, with the address of the original.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::http::request::Parts;
use axum::http::uri::Authority;
use serde_json::{Value, json};

use crate::agent::markers;

/// Scheme and host under which the caller reached this server, as far as it says so: `https://carrel.example:8443`. Goes
/// back to that caller alone.
pub struct Address(String);

impl Address {
    fn of(headers: &HeaderMap, authority: Option<&Authority>) -> Self {
        let told = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        // What stands before this server tells how it was reached; without that, it was in the clear.
        let scheme = match told("x-forwarded-proto") {
            None => Some("http"),
            given => given.filter(|scheme| matches!(*scheme, "http" | "https")),
        };
        let host = match authority {
            Some(authority) => Some(authority.clone()),
            None => told(HOST.as_str()).and_then(|host| host.parse().ok()),
        };
        let host = host.filter(|host: &Authority| !host.as_str().contains('@') && host.as_str().len() <= 255);
        Address(scheme.zip(host).map_or_else(String::new, |(scheme, host)| format!("{scheme}://{host}")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Address::of(&parts.headers, parts.uri.authority()))
    }
}

/// An annotation for each marker in `content`; `citations` are told as chat tells them. Places are counted in characters.
pub fn of(content: &str, citations: &[Value], address: &Address) -> Vec<Value> {
    let (mut characters, mut counted) = (0, 0);
    let mut annotations = Vec::new();
    for (range, marker) in markers(content) {
        let Some(citation) = citations.iter().find(|citation| citation["marker"] == marker) else { continue };
        characters += content.get(counted..range.start).map_or(0, |text| text.chars().count());
        counted = range.start;
        let file = citation["file"].as_str().unwrap_or_default();
        annotations.push(json!({
            "type": "url_citation",
            "url_citation": {
                "start_index": characters,
                // A marker is of characters of one byte.
                "end_index": characters + range.len(),
                "title": citation["label"],
                "url": format!("{}{file}", address.0),
            },
        }));
    }
    annotations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(headers: &[(&'static str, &str)]) -> String {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        Address::of(&headers, None).0
    }

    #[test]
    fn an_address_is_told_where_it_is_plain() {
        assert_eq!(address(&[("host", "carrel.example:8443")]), "http://carrel.example:8443");
        assert_eq!(address(&[("host", "[::1]:8000"), ("x-forwarded-proto", "https")]), "https://[::1]:8000");
        for strange in ["a b", "me@evil.example", "evil.example/path", "", "\"><script>"] {
            assert_eq!(address(&[("host", strange)]), "", "{strange}");
        }
        assert_eq!(address(&[("host", "carrel.example"), ("x-forwarded-proto", "javascript")]), "");
        assert_eq!(address(&[]), "");
    }

    #[test]
    fn each_marker_is_annotated_where_it_stands() {
        let citation =
            |marker: usize| json!({"marker": marker, "label": format!("{marker}.md"), "file": format!("/f/{marker}")});
        let content = "Größe 🚀 [1]. Mehr [2], noch [3] und [1][2].";
        let annotations = of(content, &[citation(1), citation(2)], &Address("http://h".into()));
        let characters: Vec<char> = content.chars().collect();
        let told: Vec<String> = annotations
            .iter()
            .map(|annotation| {
                let citation = &annotation["url_citation"];
                let (start, end) = (citation["start_index"].as_u64().unwrap(), citation["end_index"].as_u64().unwrap());
                let text: String = characters[start as usize..end as usize].iter().collect();
                format!("{text} {} {}", citation["title"].as_str().unwrap(), citation["url"].as_str().unwrap())
            })
            .collect();
        assert_eq!(
            told,
            ["[1] 1.md http://h/f/1", "[2] 2.md http://h/f/2", "[1] 1.md http://h/f/1", "[2] 2.md http://h/f/2"]
        );
    }
}
