//! JSON and JSON Lines to Markdown that people can read: nested lists of keys and values, tables, paragraphs.
//!
//! Keys keep their order, and nothing that says something is left out.

mod node;
mod notebook;
mod numbers;

use super::composer::Composer;
use super::fault::{Fault, Kind, Warning};
use super::{Extracted, Format, Structure, plain};
use crate::place::Place;
use node::Node;

/// Characters of a text that still stands on its key's line.
const LINE: usize = 200;
/// Columns of a table.
const COLUMNS: usize = 30;
/// Lines that are read before what they hold is written.
const RUN: usize = 1000;
/// Lines that are told one by one when they cannot be read.
const TOLD: usize = 20;

/// The value as Markdown. What is no JSON is kept as it stands, with a warning.
///
/// # Errors
/// [`Kind::TooComplex`] for a value that nests too deeply or holds too much.
pub fn extract(text: &str, name: Option<&str>) -> Result<Extracted, Fault> {
    let node = match node::parse(text) {
        Ok(node) => node,
        Err(fault) if fault.kind == Kind::TooComplex => return Err(fault),
        Err(fault) => {
            let mut found = plain::verbatim(text, 1, Structure::Code, Format::Json.media_type());
            found.warnings.push(Warning::new(
                fault.kind,
                None,
                format!("it was read as plain text: {}", fault.message),
            ));
            return Ok(found);
        }
    };
    let is_notebook = name.is_some_and(|name| name.to_ascii_lowercase().ends_with(".ipynb"));
    if is_notebook && let Some(found) = notebook::extract(&node)? {
        return Ok(found);
    }
    let mut writer = Writer::default();
    writer.composer.title = node.get("title").and_then(Node::as_text).map(str::to_owned);
    writer.top(&node)?;
    Ok(writer.composer.finish(Format::Json.media_type()))
}

/// The values of all lines. A line that cannot be read is left out, with a warning.
///
/// # Errors
/// [`Kind::Damaged`] if no line can be read; [`Kind::TooComplex`] for more text than a document is given.
pub fn extract_lines(text: &str) -> Result<Extracted, Fault> {
    let mut writer = Writer::default();
    let mut run: Vec<(u32, Node)> = Vec::new();
    let (mut read, mut bad) = (0usize, 0usize);
    for (number, line) in (1u32..).zip(text.lines()) {
        // RFC 7464 begins each text with a record separator, which is no part of it.
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        match node::parse(line) {
            Ok(node) => {
                read += 1;
                if run.len() >= RUN || run.last().is_some_and(|(_, last)| !last.is_like(&node)) {
                    writer.run(&run)?;
                    run.clear();
                }
                run.push((number, node));
            }
            Err(fault) => {
                bad += 1;
                if bad <= TOLD {
                    let message = format!("line {number} was left out: {}", fault.message);
                    writer.composer.warnings.push(Warning::new(fault.kind, None, message));
                }
            }
        }
    }
    writer.run(&run)?;
    if read == 0 && bad > 0 {
        return Err(Fault::damaged("none of its lines is JSON"));
    }
    if bad > TOLD {
        let message = format!("{} further lines were left out", bad - TOLD);
        writer.composer.warnings.push(Warning::new(Kind::Damaged, None, message));
    }
    Ok(writer.composer.finish(Format::JsonLines.media_type()))
}

#[derive(Default)]
struct Writer {
    composer: Composer,
    /// The line that everything comes from that is written now.
    line: Option<u32>,
}

impl Writer {
    fn top(&mut self, node: &Node) -> Result<(), Fault> {
        match node {
            Node::Object(entries) => entries.iter().try_for_each(|(key, value)| self.entry(0, key, value)),
            Node::List(list) => self.list(0, list),
            other => {
                self.mark();
                self.composer.paragraph(&other.say());
                self.composer.check()
            }
        }
    }

    /// What lines hold that are alike: a table, if they are flat.
    fn run(&mut self, run: &[(u32, Node)]) -> Result<(), Fault> {
        match run {
            [(_, first), _, ..] if first.is_row() && run.iter().all(|(_, node)| node.is_row()) => {
                let mut table = self.composer.open_table();
                let place = run.first().map(|(line, _)| Place::Line(*line));
                let keys = first.keys();
                table.row(place, &keys);
                for (line, node) in run {
                    table.row(Some(Place::Line(*line)), &node.cells(&keys));
                    table.check()?;
                }
            }
            _ => {
                for (line, node) in run {
                    self.line = Some(*line);
                    match node {
                        Node::Object(_) => self.numbered(0, usize::try_from(*line).unwrap_or(0), node)?,
                        other => self.top(other)?,
                    }
                }
                self.line = None;
            }
        }
        Ok(())
    }

    fn entry(&mut self, depth: usize, key: &str, value: &Node) -> Result<(), Fault> {
        match value {
            _ if value.is_empty() => Ok(()),
            Node::Object(entries) => {
                self.item(depth, None, &format!("{key}:"))?;
                entries.iter().try_for_each(|(key, value)| self.entry(depth + 1, key, value))
            }
            Node::List(list) if list.iter().all(Node::is_short) => {
                let words: Vec<String> = list.iter().map(Node::say).filter(|word| !word.is_empty()).collect();
                self.text(depth, None, key, &words.join(", "))
            }
            Node::List(list) => {
                self.item(depth, None, &format!("{key}:"))?;
                self.list(depth + 1, list)
            }
            other => self.text(depth, None, key, &other.say()),
        }
    }

    fn list(&mut self, depth: usize, list: &[Node]) -> Result<(), Fault> {
        match list {
            [first, _, ..] if first.is_row() && list.iter().all(|node| node.is_row() && first.is_like(node)) => {
                let mut table = self.composer.open_table();
                let keys = first.keys();
                table.row(None, &keys);
                for node in list {
                    table.row(None, &node.cells(&keys));
                    table.check()?;
                }
                Ok(())
            }
            _ => (1..).zip(list).try_for_each(|(number, node)| self.numbered(depth, number, node)),
        }
    }

    /// One of several values. An object is led by what it says first.
    fn numbered(&mut self, depth: usize, number: usize, node: &Node) -> Result<(), Fault> {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        match node {
            _ if node.is_empty() => Ok(()),
            Node::Object(entries) => {
                let lead = entries.iter().position(|(_, value)| value.is_short() && !value.is_empty());
                match lead.and_then(|lead| entries.get(lead)) {
                    Some((key, value)) => self.text(depth, Some(number), key, &value.say())?,
                    None => self.item(depth, Some(number), "…")?,
                }
                let rest = entries.iter().enumerate().filter(|(place, _)| Some(*place) != lead);
                rest.map(|(_, entry)| entry).try_for_each(|(key, value)| self.entry(depth + 1, key, value))
            }
            Node::List(list) => {
                self.item(depth, Some(number), "…")?;
                self.list(depth + 1, list)
            }
            other => self.text(depth, None, "", &other.say()),
        }
    }

    /// A key and what it says: on one line, or as paragraphs below.
    fn text(&mut self, depth: usize, number: Option<u64>, key: &str, text: &str) -> Result<(), Fault> {
        let is_short = text.len() <= LINE && !text.trim().contains('\n');
        match (is_short, key) {
            (true, "") => self.item(depth, number, text),
            (true, _) => self.item(depth, number, &format!("{key}: {text}")),
            (false, _) => {
                if !key.is_empty() {
                    self.item(depth, number, &format!("{key}:"))?;
                }
                for paragraph in text.split("\n\n") {
                    self.mark();
                    self.composer.paragraph(paragraph);
                }
                self.composer.check()
            }
        }
    }

    fn item(&mut self, depth: usize, number: Option<u64>, text: &str) -> Result<(), Fault> {
        self.mark();
        self.composer.item(depth, number, text);
        self.composer.check()
    }

    fn mark(&mut self) {
        if let Some(line) = self.line {
            self.composer.place(Place::Line(line));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::place::locate;

    fn content(text: &str) -> String {
        extract(text, None).unwrap().content
    }

    #[test]
    fn objects_are_lists_and_rows_are_tables() {
        let text = r#"{"title": "Fleet", "zoo": 1.50, "alive": true, "none": null, "tags": ["a", "b"],
            "ships": [{"name": "Ada", "tons": 12}, {"tons": 9, "name": "Bo|b"}],
            "crew": [{"name": "Kim", "posts": {"deck": [1, [2, "three"]]}}, {"name": "Lee"}]}"#;
        let expected = "- title: Fleet\n- zoo: 1.50\n- alive: true\n- tags: a, b\n- ships:\n\n\
            | name | tons |\n| --- | --- |\n| Ada | 12 |\n| Bo\\|b | 9 |\n\n\
            - crew:\n  1. name: Kim\n    - posts:\n      - deck:\n        - 1\n        2. …\n          - 2\n          - three\n  2. name: Lee";
        assert_eq!(content(text), expected);
        assert_eq!(extract(text, None).unwrap().title.as_deref(), Some("Fleet"));
    }

    #[test]
    fn numbers_stand_as_they_are_written() {
        let text =
            r#"[{"id": 12345678901234567890123, "pi": 3.14159265358979323846264, "e": 1E2, "n": -0.10}, {"3": "4"}]"#;
        let found = content(text);
        for number in ["id: 12345678901234567890123", "pi: 3.14159265358979323846264", "e: 1E2", "n: -0.10", "3: 4"] {
            assert!(found.contains(number), "{number} in {found}");
        }
    }

    #[test]
    fn long_texts_are_paragraphs() {
        let long = "A sentence of some length. ".repeat(20);
        let found = content(&serde_json::json!({"body": format!("{long}\n\nA second one."), "id": 3}).to_string());
        assert_eq!(found, format!("- body:\n\n{}\n\nA second one.\n\n- id: 3", long.trim()));
    }

    #[test]
    fn depth_is_refused_and_what_is_no_json_is_kept() {
        for deep in [format!("{}1{}", "[".repeat(5000), "]".repeat(5000)), "{\"k\":".repeat(100_000)] {
            assert_eq!(extract(&deep, None).unwrap_err().kind, Kind::TooComplex);
        }
        let found = extract("{\"a\": 1, // why\n}", None).unwrap();
        assert_eq!((found.content.as_str(), found.structure), ("{\"a\": 1, // why\n}", Structure::Code));
        assert!(found.warnings[0].message.contains("line 1"), "{:?}", found.warnings);
    }

    #[test]
    fn lines_know_their_number_and_bad_ones_are_left_out() {
        let text = "{\"id\": 1, \"name\": \"Ada\"}\n\n{\"id\": 2, \"name\": \"Bob\"}\nnonsense\n{\"x\": {\"y\": \"deep\", \"z\": \"wide\"}}\n[\"last\"]\n";
        let found = extract_lines(text).unwrap();
        for (needle, line) in
            [("Ada", "line 1"), ("Bob", "line 3"), ("deep", "line 5"), ("wide", "line 5"), ("last", "line 6")]
        {
            let at = found.content.find(needle).unwrap();
            let location = locate(&found.marks, &found.content, 0, &(at..at + 3)).unwrap();
            assert_eq!(location.to_string(), line, "{needle} in {}", found.content);
        }
        assert_eq!(found.warnings.len(), 1);
        assert!(found.warnings[0].message.starts_with("line 4"), "{:?}", found.warnings);
        assert_eq!(extract_lines("a\nb\n").unwrap_err().kind, Kind::Damaged);
    }

    #[test]
    fn cells_of_a_notebook_stay_what_they_are() {
        let text = r##"{"nbformat": 4, "metadata": {"kernelspec": {"language": "python"}}, "cells": [
            {"cell_type": "markdown", "source": ["# Tides\n", "High *water*"]},
            {"cell_type": "code", "source": "print(1)", "outputs": [{"text": ["1\n"]}, {"data": {"text/plain": "2"}}]}]}"##;
        let found = extract(text, Some("a.ipynb")).unwrap();
        assert_eq!(found.content, "# Tides\nHigh *water*\n\n```python\nprint(1)\n```\n\n```\n1\n```\n\n```\n2\n```");
        assert_eq!(found.title.as_deref(), Some("Tides"));
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            any::<i64>().prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
            "[a-z|#`\n ]{0,12}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                proptest::collection::btree_map("[a-c]", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn numbers(value: &serde_json::Value) -> Vec<String> {
        match value {
            serde_json::Value::Number(number) => vec![number.to_string()],
            serde_json::Value::Array(list) => list.iter().flat_map(numbers).collect(),
            serde_json::Value::Object(object) => object.values().flat_map(numbers).collect(),
            _ => Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn every_number_is_found(value in any_value()) {
            let found = content(&value.to_string());
            for number in numbers(&value) {
                prop_assert!(found.contains(&number), "{number} of {value} in {found}");
            }
        }

        #[test]
        fn any_text_is_read(text in "[\\[\\]{}\",:0-9a-c\n .-]{0,100}") {
            let _ = extract(&text, Some("a.ipynb"));
            let _ = extract_lines(&text);
        }
    }
}
