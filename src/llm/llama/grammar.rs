//! The form that an answer must have, as a grammar that llama.cpp holds a model to while it speaks.
//!
//! With a shape: JSON of its schema, and no tools. With tools: one call, `{"tool": NAME, "arguments": {…}}` with arguments of the
//! tool's schema, or any text that does not begin with `{`, and only that where the model must answer. Else: anything.

use llama_cpp_2::json_schema_to_grammar;
use serde_json::json;

use crate::llm::request::{Request, Tool};
use crate::llm::speech::Failure;

/// The rule that an answer begins with.
pub(super) const ROOT: &str = "root";
/// How a call or a text becomes an answer: white space before it does no harm, and some models begin with it.
const CALL_OR_TEXT: &str = "root ::= [ \\n]{0,2} ( call | text )?\n";
const TEXT_ALONE: &str = "root ::= [ \\n]{0,2} text?\n";
const TEXT: &str = "text ::= [^ \\n\\t\\r{] [^\\x00]*\n";

/// The grammar of the answers to this request, in GBNF; `None` where they are free.
pub(super) fn grammar(request: &Request) -> Result<Option<String>, Failure> {
    if let Some(shape) = &request.shape {
        return of_schema(&shape.schema.to_string()).map(Some);
    }
    if request.tools.is_empty() {
        return Ok(None);
    }
    if request.must_answer {
        return Ok(Some([TEXT_ALONE, TEXT].concat()));
    }
    // Written as text, as the order of the properties is that of the words that the model is to say: the tool first.
    let calls: Vec<String> = request.tools.iter().map(call).collect();
    let grammar = of_schema(&format!(r#"{{"anyOf": [{}]}}"#, calls.join(", ")))?;
    let as_call = |line: &str| match line.strip_prefix("root ::=") {
        Some(rule) => format!("call ::={rule}\n"),
        None => format!("{line}\n"),
    };
    let rules: String = grammar.lines().map(as_call).collect();
    Ok(Some([&rules, CALL_OR_TEXT, TEXT].concat()))
}

/// The schema of a call of this tool.
fn call(tool: &Tool) -> String {
    let (name, arguments) = (json!(tool.name), &tool.parameters);
    format!(
        r#"{{"type": "object", "properties": {{"tool": {{"const": {name}}}, "arguments": {arguments}}},
            "required": ["tool", "arguments"], "additionalProperties": false}}"#
    )
}

fn of_schema(schema: &str) -> Result<String, Failure> {
    json_schema_to_grammar(schema)
        .map_err(|_| Failure::Refused("no grammar can be made of the schema of its answer or of a tool".into()))
}
