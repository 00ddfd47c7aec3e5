//! A request as a conversation of plain turns, whatever a model's template knows: tools, their calls and what they said are
//! JSON in the text. Knows no model.
//!
//! The forms (docs/llama.md): a call is `{"tool": NAME, "arguments": {…}}` said by the model, and what the tool said comes
//! back as `{"tool": NAME, "result": …}` from the user.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::llm::request::{Message, Request, ToolCall};

/// Something that one side says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    /// `system`, `user` or `assistant`.
    pub role: &'static str,
    pub content: String,
}

/// The turns of a request: at most one of the system, as the first; no two of the same role in a row, which many templates
/// refuse.
pub(super) fn turns(request: &Request) -> Vec<Turn> {
    let mut turns = vec![Turn { role: "system", content: String::new() }];
    let mut called: Vec<&ToolCall> = Vec::new();
    for message in &request.messages {
        match message {
            // Wherever it stands: templates take one of these, at the beginning.
            Message::System(text) => {
                if let Some(system) = turns.first_mut() {
                    append(&mut system.content, text);
                }
            }
            Message::User(text) => say(&mut turns, "user", text),
            Message::Assistant { text, calls } => {
                say(&mut turns, "assistant", text);
                for call in calls {
                    say(&mut turns, "assistant", &call_as_text(&call.name, &call.arguments));
                }
                called.extend(calls);
            }
            Message::Tool { call_id, text } => {
                let name = called.iter().find(|call| call.id == *call_id).map_or("", |call| call.name.as_str());
                say(&mut turns, "user", &format!("{{\"tool\": {}, \"result\": {}}}", json!(name), json!(text)));
            }
        }
    }
    if let Some(system) = turns.first_mut() {
        append(&mut system.content, &form(request));
    }
    turns.retain(|turn| !turn.content.is_empty());
    turns
}

/// A call as the model says it.
fn call_as_text(name: &str, arguments: &str) -> String {
    // What is no JSON was said by another model than one of these.
    let arguments: Value = serde_json::from_str(arguments).unwrap_or_else(|_| json!(arguments));
    format!("{{\"tool\": {}, \"arguments\": {arguments}}}", json!(name))
}

/// What the model is told about the form of its answer.
fn form(request: &Request) -> String {
    if let Some(shape) = &request.shape {
        return format!("Answer with one JSON object of this schema, and nothing else:\n{}", shape.schema);
    }
    if request.tools.is_empty() {
        return String::new();
    }
    let mut text = String::from("You can call these tools:\n");
    for tool in &request.tools {
        let (name, description) = (json!(tool.name), json!(tool.description));
        // invariant: writing into a String does not fail.
        let _ =
            writeln!(text, "{{\"tool\": {name}, \"description\": {description}, \"arguments\": {}}}", tool.parameters);
    }
    text.push_str(
        "`arguments` is the JSON schema of a call's arguments. To call a tool, answer with one JSON object \
         {\"tool\": NAME, \"arguments\": {…}} and nothing else; what it says comes back as {\"tool\": NAME, \"result\": …}. \
         Where you need no tool, answer in plain text.",
    );
    text
}

/// Adds to what this role was saying, or lets it begin to speak.
fn say(turns: &mut Vec<Turn>, role: &'static str, text: &str) {
    match turns.last_mut() {
        Some(last) if last.role == role => append(&mut last.content, text),
        _ if text.is_empty() => {}
        _ => turns.push(Turn { role, content: text.to_owned() }),
    }
}

fn append(content: &mut String, text: &str) {
    if !content.is_empty() && !text.is_empty() {
        content.push_str("\n\n");
    }
    content.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::request::{Shape, Tool};

    fn said(request: &Request) -> Vec<(&'static str, String)> {
        turns(request).into_iter().map(|turn| (turn.role, turn.content)).collect()
    }

    #[test]
    fn calls_and_what_tools_said_are_json_in_turns_that_alternate() {
        let call = ToolCall { id: "1".into(), name: "search".into(), arguments: r#"{"query": "fees"}"#.into() };
        let request = Request {
            messages: vec![
                Message::System("Be brief.".into()),
                Message::User("What are the fees?".into()),
                Message::Assistant { text: "Let me look.".into(), calls: vec![call] },
                Message::Tool { call_id: "1".into(), text: "\"12\" a year".into() },
                Message::System("Cite.".into()),
                Message::User("And then?".into()),
            ],
            ..Request::default()
        };
        let expected = [
            ("system", "Be brief.\n\nCite."),
            ("user", "What are the fees?"),
            ("assistant", "Let me look.\n\n{\"tool\": \"search\", \"arguments\": {\"query\":\"fees\"}}"),
            ("user", "{\"tool\": \"search\", \"result\": \"\\\"12\\\" a year\"}\n\nAnd then?"),
        ];
        assert_eq!(said(&request), expected.map(|(role, text)| (role, text.to_owned())));
    }

    #[test]
    fn tools_and_shapes_are_described_to_the_model() {
        let tool = Tool { name: "search", description: "Finds \"things\"", parameters: json!({"type": "object"}) };
        let mut request = Request { messages: vec![Message::User("Hello".into())], ..Request::default() };
        assert_eq!(said(&request), [("user", "Hello".to_owned())]);
        request.tools = vec![tool];
        let system = said(&request).remove(0);
        let described = r#"{"tool": "search", "description": "Finds \"things\"", "arguments": {"type":"object"}}"#;
        assert!(system.0 == "system" && system.1.contains(described), "{system:?}");
        request.shape = Some(Shape { name: "facts", schema: json!({"type": "object", "title": "Facts"}) });
        let system = said(&request).remove(0).1;
        assert!(system.contains(r#""title":"Facts""#) && !system.contains("search"), "{system}");
    }
}
