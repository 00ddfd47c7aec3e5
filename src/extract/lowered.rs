//! Markdown that becomes a part of another: its headings move below the one that it stands under, and it ends where it ends.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag};

/// What stands instead of some bytes of a text.
pub type Edit = (Range<usize>, String);

/// The edits, in order, that move every heading of this Markdown `by` levels down, to 6 at most, and close a fence that
/// would take in what follows. What they change stays on its line.
pub fn edits(text: &str, by: usize) -> Vec<Edit> {
    let mut found = Vec::new();
    let mut depth = 0usize;
    if by == 0 {
        return found;
    }
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                depth += 1;
                match tag {
                    // One within a quotation or a list heads nothing.
                    _ if depth > 1 => {}
                    Tag::Heading { level, .. } => found.push(lowered(text, range, level, by)),
                    Tag::CodeBlock(CodeBlockKind::Fenced(_)) if range.end == text.len() => {
                        found.extend(closing(text, range))
                    }
                    _ => {}
                }
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

/// The text with its [`edits`].
pub fn whole(text: &str, by: usize) -> String {
    let mut out = text.to_owned();
    edits(text, by).into_iter().rev().for_each(|(range, new)| out.replace_range(range, &new));
    out
}

fn lowered(text: &str, range: Range<usize>, level: HeadingLevel, by: usize) -> Edit {
    let heading = text.get(range.clone()).unwrap_or_default();
    let at = range.start + heading.len() - heading.trim_start().len();
    let below = (level as usize + by).min(6);
    if heading.trim_start().starts_with('#') {
        return (at..at, "#".repeat(below - level as usize));
    }
    // A heading by the line below it has no third level.
    let end = range.start + heading.trim_end().len();
    let mut lines: Vec<&str> = text.get(at..end).unwrap_or_default().lines().map(str::trim).collect();
    lines.pop();
    (at..end, format!("{} {}{}", "#".repeat(below), lines.join(" "), "\n".repeat(lines.len())))
}

/// The end of a fenced block that has none.
fn closing(text: &str, block: Range<usize>) -> Option<Edit> {
    let block = text.get(block)?.trim_start();
    let mark = block.chars().next()?;
    let fence = block.get(..block.len() - block.trim_start_matches(mark).len())?;
    let last = block.lines().skip(1).last().unwrap_or_default().trim();
    let is_closed = last.starts_with(fence) && last.trim_matches(mark).is_empty();
    (!is_closed).then(|| (text.len()..text.len(), format!("\n{fence}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_move_down_and_nothing_else() {
        let text =
            "# A\n\n```\n# code\n```\n\n    # code\n\n- # item\n\n##### B ##\n\nOver\ntwo\n===\nText\n---\n\n\\# none";
        let expected = "### A\n\n```\n# code\n```\n\n    # code\n\n- # item\n\n###### B ##\n\n### Over two\n\n\nText";
        let found = whole(text, 2);
        assert!(found.starts_with(expected.trim_end_matches("Text")), "{found}");
        assert!(found.ends_with("#### Text\n\n\n\\# none"), "{found}");
        assert_eq!(found.lines().count(), text.lines().count());
        assert_eq!(whole(text, 0), text);
    }

    #[test]
    fn a_fence_ends_with_its_document() {
        for (text, expected) in [
            ("~~~~x\n# code", "~~~~x\n# code\n~~~~"),
            ("```", "```\n```"),
            ("```\n~~~", "```\n~~~\n```"),
            ("````\n```\n`````", "````\n```\n`````"),
            ("```\ncode\n```", "```\ncode\n```"),
        ] {
            assert_eq!(whole(text, 1), expected);
        }
    }
}
