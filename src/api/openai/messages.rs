//! The messages of a chat completion as a turn of a conversation: what the client adds to the agent's prompt, what was
//! said before, and the question. Pure.
//!
//! Agents have tools of their own, so what passed between the client and its tools is left out, and so are empty messages.

use serde::Deserialize;
use serde_json::Value;

use super::refusal::{Answer, Refusal};
use crate::agent::Line;
use crate::api::search::LONGEST_QUERY;
use crate::error::{Error, Result};

/// Messages of one request.
const MOST: usize = 2_000;
/// Bytes of all that the client adds to the agent's prompt.
const INSTRUCTIONS: usize = 128 << 10;

/// A message as a client sends it.
#[derive(Debug, Deserialize)]
pub struct Message {
    role: String,
    #[serde(default)]
    content: Value,
}

/// What the messages of a request come to.
#[derive(Debug, PartialEq)]
pub struct Said {
    pub instructions: Vec<String>,
    pub before: Vec<Line>,
    pub query: String,
}

/// Reads the messages of a request, oldest first.
///
/// # Errors
/// [`Error::Validation`], which names the message, and a refusal where there is more text than is taken.
pub fn read(messages: Vec<Message>) -> Answer<Said> {
    if messages.len() > MOST {
        return Err(Error::invalid("messages", format!("must be at most {MOST}")).into());
    }
    let (mut instructions, mut lines) = (Vec::new(), Vec::new());
    for (place, message) in messages.into_iter().enumerate() {
        let field = format!("messages[{place}]");
        let text = text_of(message.content, &format!("{field}.content"))?;
        let by_agent = match message.role.as_str() {
            "system" | "developer" => {
                if !text.trim().is_empty() {
                    instructions.push(text);
                }
                continue;
            }
            "user" => false,
            "assistant" => true,
            "tool" | "function" => continue,
            _ => {
                let message = "must be system, developer, user, assistant or tool";
                return Err(Error::invalid(format!("{field}.role"), message).into());
            }
        };
        if !text.trim().is_empty() {
            lines.push(Line { by_agent, text });
        }
    }
    let query = match lines.pop() {
        Some(Line { by_agent: false, text }) => text,
        Some(_) => return Err(Error::invalid("messages", "must end with what the user says, not the assistant").into()),
        None => return Err(Error::invalid("messages", "must hold a user message with text").into()),
    };
    if query.contains('\0') {
        return Err(Error::invalid("messages", "must have no NUL characters").into());
    }
    if query.len() > LONGEST_QUERY {
        let detail =
            format!("the last user message has more than {LONGEST_QUERY} bytes, which is too long for a question");
        return Err(Refusal::TooLong { param: "messages", detail });
    }
    if instructions.iter().map(String::len).sum::<usize>() > INSTRUCTIONS {
        let detail = format!("the system and developer messages have more than {INSTRUCTIONS} bytes together");
        return Err(Refusal::TooLong { param: "messages", detail });
    }
    Ok(Said { instructions, before: lines, query })
}

/// The text of a message: a string, or parts of text.
fn text_of(content: Value, field: &str) -> Result<String> {
    match content {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Array(parts) => {
            let parts = parts.iter().enumerate().map(|(place, part)| part_of(part, &format!("{field}[{place}]")));
            Ok(parts.collect::<Result<Vec<_>>>()?.join("\n"))
        }
        _ => Err(Error::invalid(field, "must be a string or a list of parts")),
    }
}

fn part_of<'p>(part: &'p Value, field: &str) -> Result<&'p str> {
    let kind = part.get("type").and_then(Value::as_str);
    let name = match kind {
        Some("text") => "text",
        Some("refusal") => "refusal",
        Some(_) => {
            return Err(Error::invalid(
                field,
                "must be text: agents read no images, sounds or files sent in a message",
            ));
        }
        None => return Err(Error::invalid(field, "must have a `type`")),
    };
    let text = part.get(name).and_then(Value::as_str);
    text.ok_or_else(|| Error::invalid(format!("{field}.{name}"), "must be a string"))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn said(messages: Value) -> Answer<Said> {
        read(serde_json::from_value(messages).unwrap())
    }

    fn line(by_agent: bool, text: &str) -> Line {
        Line { by_agent, text: text.into() }
    }

    #[test]
    fn messages_become_a_turn() {
        let said = said(json!([
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Who"}, {"type": "text", "text": "is it?"}]},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1"}]},
            {"role": "tool", "content": "42", "tool_call_id": "call_1"},
            {"role": "assistant", "content": "Ada. [1]"},
            {"role": "developer", "content": "Speak Dutch."},
            {"role": "user", "content": " And now? ", "name": "me"},
            {"role": "user", "content": " "},
        ]));
        let expected = Said {
            instructions: vec!["Be brief.".into(), "Speak Dutch.".into()],
            before: vec![line(false, "Who\nis it?"), line(true, "Ada. [1]")],
            query: " And now? ".into(),
        };
        assert_eq!(said.ok(), Some(expected));
    }

    #[test]
    fn what_is_no_turn_is_refused() {
        let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
        let long = "a".repeat(LONGEST_QUERY + 1);
        let wrong = [
            json!([]),
            json!([{"role": "system", "content": "Be brief."}]),
            json!([{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Ada."}]),
            json!([{"role": "user", "content": ""}]),
            json!([{"role": "user", "content": 7}]),
            json!([{"role": "user", "content": [{"text": "Who?"}]}]),
            json!([{"role": "user", "content": [{"type": "text"}]}]),
            json!([{"role": "user", "content": [image]}]),
            json!([{"role": "wizard", "content": "Who?"}]),
            json!([{"role": "user", "content": "a\u{0}b"}]),
            json!([{"role": "user", "content": long}]),
            json!([{"role": "system", "content": "a".repeat(INSTRUCTIONS + 1)}, {"role": "user", "content": "Who?"}]),
            Value::from(vec![json!({"role": "user", "content": "Who?"}); MOST + 1]),
        ];
        for messages in wrong {
            let start: String = messages.to_string().chars().take(100).collect();
            assert!(said(messages).is_err_and(|refusal| refusal.into_response().status().is_client_error()), "{start}");
        }
    }

    proptest! {
        #[test]
        fn any_content_is_read_or_refused(roles in prop::collection::vec("(system|user|assistant|tool|x)", 0..6), text in ".{0,20}") {
            let messages: Vec<Value> = roles.iter().map(|role| json!({"role": role, "content": [{"type": "text", "text": text}]})).collect();
            if let Ok(said) = said(messages.into()) {
                prop_assert!(!said.query.trim().is_empty());
                prop_assert!(said.before.iter().all(|line| !line.text.trim().is_empty()));
            }
        }
    }
}
