//! Markdown: its text is kept byte for byte, but for the front matter.

use pulldown_cmark::{Event, HeadingLevel, Parser, Tag, TagEnd};

use super::{Extracted, Format, Structure, front_matter, plain};

/// The text, its front matter as metadata, and its title: the front matter's, or the first first-level heading.
pub fn extract(text: &str) -> Extracted {
    let (metadata, content) = front_matter::split(text);
    let stated = metadata.get("title").and_then(|t| t.as_str()).map(str::to_owned);
    let title = stated.or_else(|| first_heading(content)).filter(|t| !t.trim().is_empty());
    let media_type = Format::Markdown.media_type().to_owned();
    Extracted { title, metadata, media_type, ..plain(content, Structure::Markdown) }
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
