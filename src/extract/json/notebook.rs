//! Jupyter notebooks: their prose as it stands, their code and what it printed in fences.

use super::node::Node;
use crate::extract::composer::Composer;
use crate::extract::fault::Fault;
use crate::extract::{Extracted, markdown};

/// Characters of one output that are kept.
const OUTPUT: usize = 10_000;

/// The notebook's cells; none if it has none.
///
/// # Errors
/// [`super::Kind::TooComplex`] for more text than a document is given.
pub fn extract(node: &Node) -> Result<Option<Extracted>, Fault> {
    let Some(Node::List(cells)) = node.get("cells") else { return Ok(None) };
    let metadata = node.get("metadata");
    let stated = |object: &str, key: &str| metadata?.get(object)?.get(key)?.as_text();
    let language = stated("language_info", "name").or_else(|| stated("kernelspec", "language")).unwrap_or_default();
    let language: String = language.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    let mut composer = Composer::default();
    for cell in cells {
        let source = cell.get("source").map(joined).unwrap_or_default();
        match cell.get("cell_type").and_then(Node::as_text) {
            Some("code") => {
                if !source.trim().is_empty() {
                    composer.code(&language, &source);
                }
                if let Some(Node::List(outputs)) = cell.get("outputs") {
                    outputs.iter().filter_map(printed).for_each(|text| composer.code("", &text));
                }
            }
            Some("markdown") => {
                let prose = markdown::extract(&source);
                composer.title = composer.title.take().or_else(|| prose.title.clone());
                composer.append(&prose, 0, None);
            }
            _ => composer.paragraph(&source),
        }
        composer.check()?;
    }
    Ok(Some(composer.finish("application/x-ipynb+json")))
}

/// What an output says in plain text.
fn printed(output: &Node) -> Option<String> {
    let text = output.get("text").or_else(|| output.get("data")?.get("text/plain"))?;
    let text: String = joined(text).chars().take(OUTPUT).collect();
    (!text.trim().is_empty()).then_some(text)
}

/// A text that may be written as a list of lines.
fn joined(node: &Node) -> String {
    match node {
        Node::List(lines) => lines.iter().map(Node::say).collect(),
        other => other.say(),
    }
}
