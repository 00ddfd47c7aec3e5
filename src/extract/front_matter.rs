//! The YAML or TOML that a Markdown file may begin with.

use serde_json::{Map, Value};

use super::date;

/// Bytes of front matter that are looked at.
const LONGEST: usize = 64 << 10;
/// Facts that are taken of it.
const MOST: usize = 256;
/// Characters of the reason why front matter cannot be read.
const LONGEST_REASON: usize = 200;
/// Lists within lists, deepest.
const DEEPEST: usize = 16;

/// What a text begins with.
#[derive(Debug, Default, PartialEq)]
pub struct Split<'a> {
    pub metadata: Map<String, Value>,
    /// The text without its front matter.
    pub rest: &'a str,
    /// Why front matter that is meant as such cannot be read: it stays in the text.
    pub fault: Option<String>,
}

/// Splits `text` into its front matter and the rest. Front matter that is no mapping is ordinary text.
pub fn split(text: &str) -> Split<'_> {
    let left = |fault| Split { metadata: Map::new(), rest: text, fault };
    let Some((fence, stated, rest)) = fenced(text) else { return left(None) };
    let read = match fence {
        _ if stated.trim().is_empty() => Ok(Map::new()),
        "---" => yaml(stated),
        _ => toml(stated),
    };
    match read {
        Ok(stated) => {
            let kept = stated.into_iter().filter(|(_, value)| is_shallow(value, DEEPEST)).take(MOST).collect();
            Split { metadata: known_by_common_names(kept), rest, fault: None }
        }
        Err(fault) => left(Some(fault).filter(|_| begins_with_key(fence, stated))),
    }
}

/// The fence, what stands between it and the next, and what follows.
fn fenced(text: &str) -> Option<(&str, &str, &str)> {
    let fence = text.get(..3)?;
    let body = text.get(3..)?;
    let body = body.strip_prefix('\n').or_else(|| body.strip_prefix("\r\n"))?;
    let ends: &[&str] = match fence {
        "---" => &["---", "..."],
        "+++" => &["+++"],
        _ => return None,
    };
    let mut end = 0;
    for line in body.split_inclusive('\n') {
        if ends.contains(&line.trim_end()) {
            return Some((fence, body.get(..end)?, body.get(end + line.len()..)?));
        }
        end += line.len();
        if end > LONGEST {
            return None;
        }
    }
    None
}

/// Whether the first line that says something states a fact; anything else between two rules is text.
fn begins_with_key(fence: &str, stated: &str) -> bool {
    let first =
        stated.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#')).unwrap_or_default();
    let is_key =
        |key: &str| !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    match fence {
        "---" => first
            .split_once(':')
            .is_some_and(|(key, value)| is_key(key) && (value.is_empty() || value.starts_with(' '))),
        _ => first.split_once('=').is_some_and(|(key, _)| is_key(key.trim_end())),
    }
}

/// Adds what the facts say under the names that all formats' facts have; what is stated stays.
fn known_by_common_names(mut metadata: Map<String, Value>) -> Map<String, Value> {
    let names: [(&str, &[&str], bool); 3] = [
        ("created", &["date", "published"], true),
        ("modified", &["lastmod", "updated", "last_modified"], true),
        ("language", &["lang"], false),
    ];
    for (common, others, is_date) in names {
        let stated = others.iter().find_map(|name| metadata.get(*name)?.as_str());
        let said = stated.and_then(|text| if is_date { date::stated(text) } else { Some(text.to_owned()) });
        if let Some(said) = said {
            metadata.entry(common).or_insert_with(|| said.into());
        }
    }
    metadata
}

fn yaml(text: &str) -> Result<Map<String, Value>, String> {
    if nests_deeply(text) {
        return Err("it nests too deeply".to_owned());
    }
    // Lines are counted from the file's beginning, where the fence stands.
    serde_saphyr::from_str(&format!("\n{text}")).map_err(|e| reason(&e.to_string()))
}

/// The first line of what a parser says; the others show the place.
fn reason(said: &str) -> String {
    let first = said.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).chars().take(LONGEST_REASON).collect()
}

/// Whether values could lie within each other deeper than any list of facts needs. Reading them costs stack.
fn nests_deeply(yaml: &str) -> bool {
    let (mut open, mut deepest) = (0usize, 0usize);
    for byte in yaml.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    // A line opens as many blocks as it has marks for them, and is indented by one at least for each around it.
    let blocks = yaml.lines().map(|line| {
        let indented = line.len() - line.trim_start().len();
        indented + line.matches("- ").count() + line.matches("? ").count()
    });
    deepest > 4 * DEEPEST || blocks.max().unwrap_or(0) > 200
}

fn toml(text: &str) -> Result<Map<String, Value>, String> {
    let table: toml::Table = toml::from_str(text).map_err(|e| reason(e.message()))?;
    Ok(table.into_iter().filter_map(|(key, value)| Some((key, as_json(value, DEEPEST)?))).collect())
}

fn as_json(value: toml::Value, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    Some(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(list) => list.into_iter().filter_map(|value| as_json(value, depth)).collect(),
        toml::Value::Table(table) => {
            let entries = table.into_iter().filter_map(|(key, value)| Some((key, as_json(value, depth)?)));
            Value::Object(entries.collect())
        }
    })
}

/// Whether a fact nests no deeper than `depth`.
fn is_shallow(value: &Value, depth: usize) -> bool {
    match (value, depth.checked_sub(1)) {
        (_, None) => false,
        (Value::Array(list), Some(depth)) => list.iter().all(|value| is_shallow(value, depth)),
        (Value::Object(object), Some(depth)) => object.values().all(|value| is_shallow(value, depth)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mapping_is_taken_off_and_anything_else_stays() {
        let Split { metadata, rest, .. } = split("---\ntitle: Leave\ntags: [a, b]\nyear: 2026\n---\n# Leave\n");
        assert_eq!(metadata["title"], "Leave");
        assert_eq!(metadata["tags"], serde_json::json!(["a", "b"]));
        assert_eq!(metadata["year"], 2026);
        assert_eq!(rest, "# Leave\n");
        for text in [
            "---\nno end",
            "---\n- a list\n---\nx",
            "--- not\n---\n",
            "---\nSaid: he went\n: home\n",
            "plain",
            "",
            "ééé",
        ] {
            assert_eq!(split(text), Split { rest: text, ..Split::default() });
        }
    }

    #[test]
    fn what_is_meant_as_front_matter_and_cannot_be_read_says_why() {
        for text in ["---\ntitle: [unclosed\n---\nx", "---\n# note\na: 1\n  b: 2\n---\nx", "+++\nno = \n+++\nx"] {
            let Split { metadata, rest, fault } = split(text);
            assert_eq!((metadata.len(), rest), (0, text));
            assert!(fault.is_some_and(|why| why.len() > 5 && !why.contains('\n')), "{text}");
        }
        let fault = split("---\nkind: memo\ntitle: [unclosed\n---\nx").fault.unwrap();
        assert!(fault.starts_with("line 3 "), "{fault}");
        assert_eq!(split("---\nA rule stands above.\n\nand: below\n---\nx").fault, None);
    }

    #[test]
    fn toml_is_front_matter_too() {
        let Split { metadata, rest, .. } =
            split("+++\ntitle = \"Leave\"\ndate = 2026-03-01\nweight = 3\ntags = [\"a\"]\n+++\nText");
        let expected =
            json!({"title": "Leave", "date": "2026-03-01", "created": "2026-03-01", "weight": 3, "tags": ["a"]});
        assert_eq!((Value::Object(metadata), rest), (expected, "Text"));
    }

    #[test]
    fn deep_nesting_is_ordinary_text_or_left_out() {
        let flow = format!("---\na: {}{}\n---\nx", "[".repeat(20_000), "]".repeat(20_000));
        let block = format!("---\na: {}\n---\nx", "- ".repeat(20_000));
        let toml = format!("+++\na = {}{}\n+++\nx", "[".repeat(20_000), "]".repeat(20_000));
        let keys = format!("+++\n{}x = 1\n+++\nx", "a.".repeat(20_000));
        for text in [flow, block, toml, keys] {
            split(&text);
        }
        let Split { metadata, rest, .. } =
            split("---\ntitle: Kept\nodd: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n---\nx");
        assert_eq!((metadata.len(), metadata.get("title"), rest), (1, Some(&json!("Kept")), "x"));
    }

    proptest! {
        #[test]
        fn any_front_matter_is_read_or_left(text in "(---|\\+\\+\\+)\n[\\[\\]{}:&*!|>a-c\n \"'#=,.0-9-]{0,200}\n(---|\\+\\+\\+)\nrest") {
            split(&text);
        }
    }
}
