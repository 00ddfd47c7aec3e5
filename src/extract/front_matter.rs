//! The YAML that a Markdown file may begin with.

use serde_json::{Map, Value};

/// Bytes of front matter that are looked at.
const LONGEST: usize = 64 << 10;

/// Splits `text` into its front matter and the rest. Front matter that is no YAML mapping is ordinary text.
pub fn split(text: &str) -> (Map<String, Value>, &str) {
    parse(text).unwrap_or((Map::new(), text))
}

fn parse(text: &str) -> Option<(Map<String, Value>, &str)> {
    let body = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n"))?;
    let mut end = 0;
    for line in body.split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") {
            let yaml = body.get(..end)?;
            let metadata = if yaml.trim().is_empty() { Map::new() } else { serde_saphyr::from_str(yaml).ok()? };
            return Some((metadata, body.get(end + line.len()..)?));
        }
        end += line.len();
        if end > LONGEST {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_taken_off_and_anything_else_stays() {
        let (metadata, rest) = split("---\ntitle: Leave\ntags: [a, b]\nyear: 2026\n---\n# Leave\n");
        assert_eq!(metadata["title"], "Leave");
        assert_eq!(metadata["tags"], serde_json::json!(["a", "b"]));
        assert_eq!(metadata["year"], 2026);
        assert_eq!(rest, "# Leave\n");
        for text in ["---\nno end", "---\n- a list\n---\nx", "--- not\n---\n", "plain"] {
            assert_eq!(split(text), (Map::new(), text));
        }
    }
}
