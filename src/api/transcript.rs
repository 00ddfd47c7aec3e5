//! A conversation as Markdown: who said what and when, and under an answer what it cites. Pure.
//!
//! What was said is text: nothing in it becomes a link, a picture, HTML or a heading, whoever wrote it. Markers such as
//! `[1]` stay as they are; emphasis and lists read as they look.

use serde_json::Value;

use crate::extract::escape;
use crate::workspace::session_list::Listed;
use crate::workspace::sessions::Message;

/// What stands above the messages.
pub fn head(listed: &Listed, agent: &str) -> String {
    let session = &listed.session;
    let title = on_one_line(&session.title);
    let mut lines = vec![format!("# {}\n", escape::heading(&title)), format!("- Agent: {}", on_one_line(agent))];
    lines.extend(session.user_id.as_ref().map(|user| format!("- User: {}", on_one_line(user))));
    lines.push(format!("- Begun: {}", session.created_at));
    lines.push(format!("- Went on last: {}", session.updated_at));
    lines.push(format!("- Messages: {}", listed.message_count));
    lines.join("\n") + "\n"
}

/// A message with the citations and the judgment below it.
pub fn said(message: &Message, agent: &str) -> String {
    let is_answer = message.role == "assistant";
    let speaker = if is_answer { on_one_line(agent) } else { "User".to_owned() };
    let mut out = format!("\n## {speaker}, {}\n\n{}\n", message.created_at, lines(&message.content, is_answer));
    let citations = message.details.get("citations").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let cited: Vec<String> = citations.iter().map(citation).collect();
    if !cited.is_empty() {
        out.push_str(&format!("\n{}\n", cited.join("\n")));
    }
    if let Some(rating) = message.rating {
        let comment = message.comment.as_deref().map(|comment| format!(": {}", on_one_line(comment)));
        out.push_str(&format!("\nRated {rating:+}{}\n", comment.unwrap_or_default()));
    }
    out
}

/// `- [1] The handbook, page 3 (handbook.pdf): “The quote.”`
fn citation(citation: &Value) -> String {
    let text = |value: &Value| value.as_str().map(on_one_line).unwrap_or_default();
    let place = citation["location"]["label"].as_str().map(|place| format!(", {}", on_one_line(place)));
    format!(
        "- [{}] {}{} ({}): “{}”",
        citation["marker"].as_u64().unwrap_or_default(),
        text(&citation["title"]),
        place.unwrap_or_default(),
        text(&citation["source"]),
        text(&citation["quote"]),
    )
}

fn on_one_line(text: &str) -> String {
    inline(&text.split_whitespace().collect::<Vec<_>>().join(" "), false)
}

/// Text of some lines, each of which stays one.
fn lines(text: &str, with_markers: bool) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in text.replace("\r\n", "\n").split(['\n', '\r']) {
        let (shape, said) = line.split_at(shape(line));
        out.push(format!("{shape}{}", escape::line(&inline(said.trim_end(), with_markers), goes_on)));
        goes_on = !line.trim().is_empty();
    }
    out.join("\n").trim_end().to_owned()
}

/// The length of what a line begins with that only shapes it: indentation, signs of lists and quotations. What comes after
/// them begins a block as the line itself would.
fn shape(line: &str) -> usize {
    let mut rest = line.trim_start();
    loop {
        let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let sign = match number.len() < rest.len() {
            true => number.strip_prefix(['.', ')']),
            false => rest.strip_prefix(['-', '*', '+']),
        };
        let sign = sign.filter(|after| after.starts_with([' ', '\t'])).or_else(|| rest.strip_prefix('>'));
        // A rule, or the line below a heading or a table's header, is no list.
        match sign.filter(|_| rest.contains(|c: char| !matches!(c, '-' | '|' | ':' | ' ' | '\t'))) {
            Some(after) => rest = after.trim_start(),
            None => return line.len() - rest.len(),
        }
    }
}

/// Text in which nothing opens a link, a picture, a tag or an entity; `with_markers` a number in brackets stays.
fn inline(text: &str, with_markers: bool) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let marker = if with_markers { marker(rest) } else { None };
        let length = match (c, marker) {
            (_, Some(length)) => {
                out.push_str(rest.get(..length).unwrap_or_default());
                // Not the text of a link, nor the name of one.
                if rest.get(length..).is_some_and(|after| after.starts_with(['(', ':'])) {
                    out.push('\\');
                }
                length
            }
            ('\\' | '[' | ']' | '<' | '&', None) => {
                out.push('\\');
                out.push(c);
                c.len_utf8()
            }
            _ => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    out
}

/// The length of the number in brackets that `text` begins with.
fn marker(text: &str) -> Option<usize> {
    let inside = text.strip_prefix('[')?;
    let digits = inside.bytes().take_while(u8::is_ascii_digit).count();
    ((1..=4).contains(&digits) && inside.as_bytes().get(digits) == Some(&b']')).then_some(digits + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag};
    use serde_json::{Map, json};
    use uuid::Uuid;

    use super::*;
    use crate::workspace::sessions::Session;

    fn message(role: &str, content: &str, citations: Value) -> Message {
        let mut details = Map::new();
        details.insert("citations".to_owned(), citations);
        Message {
            id: Uuid::nil(),
            session_id: Uuid::nil(),
            role: role.to_owned(),
            content: content.to_owned(),
            details,
            rating: Some(-1),
            comment: Some("Too <short>".to_owned()),
            created_at: "2026-11-25T10:00:00.000000Z".to_owned(),
        }
    }

    #[test]
    fn a_conversation_reads_as_one() {
        let session = Session {
            id: Uuid::nil(),
            agent_id: Uuid::nil(),
            user_id: Some("kim".to_owned()),
            title: "Who repairs\nthe fridge? ##".to_owned(),
            metadata: Map::new(),
            created_at: "2026-11-25T10:00:00.000000Z".to_owned(),
            updated_at: "2026-11-25T11:00:00.000000Z".to_owned(),
        };
        let listed = Listed { session, message_count: 2, last_message_at: None };
        assert_eq!(
            head(&listed, "Help [desk]"),
            "# Who repairs the fridge? \\##\n\n- Agent: Help \\[desk\\]\n- User: kim\n\
             - Begun: 2026-11-25T10:00:00.000000Z\n- Went on last: 2026-11-25T11:00:00.000000Z\n- Messages: 2\n"
        );
        let cited = json!([{"marker": 2, "title": "Fridges", "source": "a/b.pdf", "quote": "Joana\n**does** [7].",
                            "location": {"page": 3, "label": "page 3"}}]);
        assert_eq!(
            said(&message("assistant", "# Joana [2] does. [see](http://x)\n  - now", cited), "Helper"),
            "\n## Helper, 2026-11-25T10:00:00.000000Z\n\n\\# Joana [2] does. \\[see\\](http://x)\n  - now\n\n\
             - [2] Fridges, page 3 (a/b.pdf): “Joana **does** \\[7\\].”\n\nRated -1: Too \\<short>\n"
        );
    }

    /// Whether a reader of Markdown finds in it what only text may not become, or other headings than ours.
    fn harmless(text: &str) -> bool {
        let options =
            Options::ENABLE_GFM | Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_WIKILINKS;
        let mut headings = 0;
        let harmless = Parser::new_ext(text, options).all(|event| match event {
            Event::Start(Tag::Heading { .. }) => {
                headings += 1;
                true
            }
            Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock) => false,
            Event::Html(_) | Event::InlineHtml(_) | Event::FootnoteReference(_) => false,
            _ => true,
        });
        harmless && headings == 1
    }

    #[test]
    fn what_was_said_becomes_no_link_whatever_it_looks_like() {
        let hostile = [
            "[a](http://x.example) ![b](http://x.example/y.png) <script>alert(1)</script> <http://x.example>",
            "[1]: http://x.example\n[1]",
            "> [1]: http://x.example\n\n[1][1] [1](http://x.example)",
            "\\[a](http://x.example) \\\\[b](http://x.example)",
            "`a\\` [b](http://x.example) `c`",
            "- [1]: http://x.example\n  - ![1](http://x.example)",
            "a\n===\n# b\n```\n<div>",
            "a\r# b\r\n- # c\n> 1. ## d\n2) e\n   ===\n> f\n> ---\n- - -\n* # g",
            "[^1]: note\n\nsee [^1] [[a]] &lt;b>",
        ];
        for text in hostile {
            for role in ["user", "assistant"] {
                let cited = json!([{"marker": 1, "title": text, "source": text, "quote": text}]);
                let written = said(&message(role, text, cited), "Helper");
                assert!(harmless(&written), "{written}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_becomes_a_link_or_html(text in "[-\\[\\]()<>!/:#=`*_&^~|.1a\\\\ \n\r\t]{0,60}", quote in "[\\[\\]()<>!:`1a\\\\ ]{0,20}") {
            let cited = json!([{"marker": 1, "title": quote, "source": quote, "quote": quote}]);
            for role in ["user", "assistant"] {
                let written = said(&message(role, &text, cited.clone()), "Helper");
                prop_assert!(harmless(&written), "{}", written);
            }
        }
    }
}
