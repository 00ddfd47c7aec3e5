//! The YAML or TOML that a Markdown file may begin with.

use serde_json::{Map, Value};

use super::date;

/// Bytes of front matter that are looked at.
const LONGEST: usize = 64 << 10;
/// Facts that are taken of it.
const MOST: usize = 256;
/// Lists within lists, deepest.
const DEEPEST: usize = 16;

/// Splits `text` into its front matter and the rest. Front matter that is no mapping is ordinary text.
pub fn split(text: &str) -> (Map<String, Value>, &str) {
    parse(text).unwrap_or((Map::new(), text))
}

fn parse(text: &str) -> Option<(Map<String, Value>, &str)> {
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
            let stated = body.get(..end)?;
            let metadata = match fence {
                _ if stated.trim().is_empty() => Map::new(),
                "---" => yaml(stated)?,
                _ => toml(stated)?,
            };
            let metadata = metadata.into_iter().filter(|(_, value)| is_shallow(value, DEEPEST)).take(MOST).collect();
            let metadata = known_by_common_names(metadata);
            return Some((metadata, body.get(end + line.len()..)?));
        }
        end += line.len();
        if end > LONGEST {
            return None;
        }
    }
    None
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

fn yaml(text: &str) -> Option<Map<String, Value>> {
    if nests_deeply(text) { None } else { serde_saphyr::from_str(text).ok() }
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

fn toml(text: &str) -> Option<Map<String, Value>> {
    let table: toml::Table = toml::from_str(text).ok()?;
    Some(table.into_iter().filter_map(|(key, value)| Some((key, as_json(value, DEEPEST)?))).collect())
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
        let (metadata, rest) = split("---\ntitle: Leave\ntags: [a, b]\nyear: 2026\n---\n# Leave\n");
        assert_eq!(metadata["title"], "Leave");
        assert_eq!(metadata["tags"], serde_json::json!(["a", "b"]));
        assert_eq!(metadata["year"], 2026);
        assert_eq!(rest, "# Leave\n");
        for text in ["---\nno end", "---\n- a list\n---\nx", "--- not\n---\n", "plain", "+++\nno = \n+++\nx", "", "ééé"]
        {
            assert_eq!(split(text), (Map::new(), text));
        }
    }

    #[test]
    fn toml_is_front_matter_too() {
        let (metadata, rest) =
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
        let (metadata, rest) = split("---\ntitle: Kept\nodd: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n---\nx");
        assert_eq!((metadata.len(), metadata.get("title"), rest), (1, Some(&json!("Kept")), "x"));
    }

    proptest! {
        #[test]
        fn any_front_matter_is_read_or_left(text in "(---|\\+\\+\\+)\n[\\[\\]{}:&*!|>a-c\n \"'#=,.0-9-]{0,200}\n(---|\\+\\+\\+)\nrest") {
            split(&text);
        }
    }
}
