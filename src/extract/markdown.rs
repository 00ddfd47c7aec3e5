//! Markdown: its text is kept byte for byte, but for the front matter.

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};

use super::fault::{Kind, Warning};
use super::front_matter::{self, Split};
use super::{Extracted, Format, Structure, plain};

/// The text, its front matter as metadata, and its title: the front matter's, or the first first-level heading.
pub fn extract(text: &str) -> Extracted {
    let Split { metadata, rest: content, fault } = front_matter::split(text);
    let stated = metadata.get("title").and_then(|t| t.as_str()).map(str::to_owned);
    let title = stated.or_else(|| first_heading(content)).filter(|t| !t.trim().is_empty());
    let before = text.get(..text.len() - content.len()).unwrap_or_default();
    let line = u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX).saturating_add(1);
    let unread =
        |why| Warning::new(Kind::Damaged, None, format!("its front matter cannot be read, and is text: {why}"));
    let warnings = fault.map(unread).into_iter().collect();
    Extracted {
        title,
        metadata,
        warnings,
        ..plain::verbatim(content, line, Structure::Markdown, Format::Markdown.media_type())
    }
}

fn first_heading(content: &str) -> Option<String> {
    let mut title: Option<String> = None;
    for event in Parser::new(content) {
        match (event, &mut title) {
            (Event::Start(Tag::Heading { level: HeadingLevel::H1, .. }), None) => title = Some(String::new()),
            (Event::End(TagEnd::Heading(_)), Some(_)) => return title,
            (Event::Text(text) | Event::Code(text), Some(title)) => title.push_str(&text),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::{Mark, Place};

    #[test]
    fn front_matter_that_cannot_be_read_is_text_and_says_so() {
        let text = "---\ntitle: [unclosed\n---\n# H\n";
        let found = extract(text);
        assert_eq!((found.content.as_str(), found.warnings[0].code.as_str()), (text, "damaged"));
        assert!(found.warnings[0].message.starts_with("its front matter cannot be read"), "{:?}", found.warnings);
        assert_eq!(extract("---\n\nA rule.\n\n---\n").warnings, []);
    }

    #[test]
    fn lines_are_counted_from_the_files_beginning() {
        let found = extract("---\ntitle: A\n---\n# B\n\nText\n");
        assert_eq!((found.title.as_deref(), found.content.as_str()), (Some("A"), "# B\n\nText\n"));
        assert_eq!(found.marks, [Mark { at: 0, place: Place::Line(4) }]);
        assert_eq!(extract("# B\n").marks, [Mark { at: 0, place: Place::Line(1) }]);
    }
}
