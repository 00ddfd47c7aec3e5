//! Text that Markdown would take for structure (CommonMark 0.31, tables of GFM), and the backslash that keeps it text.
//!
//! Only what would take other blocks with it, or stand among the headings: a line that looks like a quotation, a rule or
//! an item of a list reads as it looks, and is left alone.

use std::borrow::Cow;

/// A line of text without white space around it; `goes_on` where something stands above it in its block.
pub fn line(line: &str, goes_on: bool) -> Cow<'_, str> {
    match begins_block(line, goes_on) {
        true => Cow::Owned(format!("\\{line}")),
        false => Cow::Borrowed(line),
    }
}

/// The text of a heading. Signs at its end would be taken for its closing.
pub fn heading(text: &str) -> Cow<'_, str> {
    let said = text.trim_end_matches('#');
    match said.len() < text.len() && (said.is_empty() || said.ends_with(' ')) {
        true => Cow::Owned(format!("{said}\\{}", text.get(said.len()..).unwrap_or_default())),
        false => Cow::Borrowed(text),
    }
}

/// Lines of text, whatever they look like.
pub fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut goes_on = false;
    for (number, written) in text.lines().map(str::trim).enumerate() {
        if number > 0 {
            out.push('\n');
        }
        out.push_str(&line(written, goes_on));
        goes_on = !written.is_empty();
    }
    out
}

/// Whether a line's beginning would be read as anything but text.
pub fn begins_block(line: &str, goes_on: bool) -> bool {
    match line.as_bytes() {
        [b'#', ..] => is_heading(line),
        [b'`', ..] => line.starts_with("```") && !line.trim_start_matches('`').contains('`'),
        [b'~', ..] => line.starts_with("~~~"),
        [b'<', ..] => is_html(line),
        [b'[', ..] => line.contains("]:"),
        [b'=', ..] => goes_on && line.bytes().all(|byte| byte == b'='),
        [b'-' | b'|' | b':', ..] => goes_on && underlines(line),
        _ => false,
    }
}

fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    line.len() - rest.len() <= 6 && (rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Whether the line makes a heading of the one above, or a table's header.
fn underlines(line: &str) -> bool {
    line.contains('-') && line.bytes().all(|byte| matches!(byte, b'-' | b'|' | b':' | b' '))
}

/// Whether the line begins a block of HTML: a comment, an instruction, a declaration or a tag.
fn is_html(line: &str) -> bool {
    let rest = line.trim_start_matches('<');
    if line.len() - rest.len() != 1 {
        return false;
    }
    let tag = rest.strip_prefix('/').unwrap_or(rest);
    let after = tag.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '-');
    let is_tag = tag.starts_with(|c: char| c.is_ascii_alphabetic())
        && (after.is_empty() || after.starts_with([' ', '\t', '/', '>']));
    rest.starts_with(['!', '?']) || is_tag
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};

    use super::*;
    use crate::extract::composer::Composer;

    #[test]
    fn what_begins_a_block_is_escaped_and_nothing_else() {
        let taken = ["# a", "######", "```rust", "~~~", "<!-- a", "<script>", "</div", "<?php", "<![CDATA[", "<pre"];
        taken.iter().chain(&["[1]: http://x.example"]).for_each(|text| assert!(begins_block(text, false), "{text}"));
        let text =
            ["#a", "####### a", "```a```", "<kim@example.com>", "<https://x>", "< 5", "<<a", "[1] Smith", "~~a~~"];
        let text = text.iter().chain(&["--", "=====", "---", "| a |", "-- a", "- a", "1. a", "> a", "***", ""]);
        text.for_each(|text| assert!(!begins_block(text, false), "{text}"));
        for text in ["--", "-", "=", "=====", "---", "| --- |", ":--: | --", "- -"] {
            assert!(begins_block(text, true), "{text}");
        }
        for text in ["== a", "-- a", "| a |", "|", ":", "- a"] {
            assert!(!begins_block(text, true), "{text}");
        }
        assert_eq!(lines("Dear all,\n\nKim\n--\n  # 2"), "Dear all,\n\nKim\n\\--\n\\# 2");
        assert_eq!(["C #", "C#", "#", "a ##"].map(heading), ["C \\#", "C#", "\\#", "a \\##"]);
    }

    /// What stands at the top of a Markdown text: headings by their text, other blocks by their kind.
    fn outline(text: &str) -> Vec<String> {
        let (mut depth, mut in_heading, mut found) = (0usize, false, Vec::new());
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(tag) => {
                    depth += 1;
                    in_heading = matches!(tag, Tag::Heading { .. });
                    match tag {
                        _ if depth > 1 => {}
                        Tag::Heading { .. } => found.push(String::new()),
                        Tag::CodeBlock(_) => found.push("code".to_owned()),
                        Tag::Table(_) => found.push("table".to_owned()),
                        Tag::HtmlBlock => found.push("html".to_owned()),
                        _ => {}
                    }
                }
                Event::End(_) => depth -= 1,
                Event::Text(text) if depth == 1 && in_heading => {
                    if let Some(heading) = found.last_mut() {
                        heading.push_str(&text);
                    }
                }
                _ => {}
            }
        }
        found
    }

    #[test]
    fn text_that_looks_like_structure_takes_no_heading_with_it() {
        let mut composer = Composer::default();
        let texts = [
            "With kind regards\n-- \nKim",
            "Clinic\n=====",
            "<!-- open",
            "<script> tags",
            "<?xml",
            "<![CDATA[",
            "<pre>x",
            "Name | Place\n--- | ---",
            "~~~\n",
            "[a]: b",
        ];
        let titles: Vec<String> = (0..texts.len()).map(|number| format!("C # {number} #")).collect();
        for (text, title) in texts.iter().zip(&titles) {
            composer.paragraph(text);
            composer.item(0, None, text);
            composer.heading(1, title);
        }
        let found = composer.finish("").content;
        let mut read = outline(&found);
        read.iter_mut().for_each(|heading| *heading = heading.trim().to_owned());
        assert_eq!(read, titles, "{found}");
        assert!(
            found.starts_with("With kind regards\n\\--\nKim\n\n- With kind regards -- Kim\n\n# C # 0 \\#"),
            "{found}"
        );
    }

    proptest! {
        #[test]
        fn no_text_is_taken_for_structure(text in "[-<>!?/=#`~|:\\[\\]*_+.)0-9a \n]{0,40}", item in "[-<>!/=#`~|:\\[\\] a]{0,12}") {
            let mut composer = Composer::default();
            composer.heading(2, "first");
            composer.paragraph(&text);
            composer.item(0, Some(1), &item);
            composer.item(0, None, &item);
            composer.heading(2, "last");
            let found = composer.finish("").content;
            prop_assert_eq!(outline(&found), ["first", "last"], "{}", found);
        }
    }
}
