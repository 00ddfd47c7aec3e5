//! What a folder of documents says should come out of each: `expected.jsonl` beside the folder, a line a file.

use std::collections::HashMap;
use std::path::Path;

use carrel::extract::Extracted;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

/// What is expected, by file name.
#[derive(Default)]
pub struct Expected(HashMap<String, Value>);

impl Expected {
    /// Adds what stands beside `folder`, where there is something.
    pub fn add(&mut self, folder: &Path) {
        let Some(path) = folder.parent().map(|parent| parent.join("expected.jsonl")) else { return };
        let lines = std::fs::read_to_string(path).unwrap_or_default();
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let name = line["file"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
            self.0.insert(name, line);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What of it is not so.
    pub fn misses(&self, name: &str, found: &Extracted) -> Vec<String> {
        let Some(expected) = self.0.get(name) else { return Vec::new() };
        let text = folded(&found.content);
        let list = |key: &str| -> Vec<String> {
            expected[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(folded).collect()
        };
        let absent = list("must").into_iter().filter(|must| !text.contains(must.as_str()));
        let mut misses: Vec<String> = absent.map(|must| format!("lacks \"{must}\"")).collect();
        let present = list("must_not").into_iter().filter(|not| text.contains(not.as_str()));
        misses.extend(present.map(|not| format!("has \"{not}\"")));
        let mut from = 0;
        for next in list("order") {
            match text.get(from..).and_then(|rest| rest.find(next.as_str())) {
                Some(at) => from += at + next.len(),
                None => misses.push(format!("\"{next}\" is out of order")),
            }
        }
        misses
    }
}

fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}
