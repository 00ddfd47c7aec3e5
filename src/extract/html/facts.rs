//! What a page says of itself: its title, author, dates, language.

use html5ever::tokenizer::Tag;
use serde_json::{Map, Value};

use super::attribute;
use crate::extract::date;

/// Bytes of a fact that are kept.
const LONGEST: usize = 2_000;

/// Takes in a `meta` element. What was said first stays.
pub fn meta(tag: &Tag, title: &mut Option<String>, metadata: &mut Map<String, Value>) {
    let Some(name) = attribute(tag, "name").or_else(|| attribute(tag, "property")) else { return };
    let Some(content) = attribute(tag, "content").filter(|content| !content.is_empty()) else { return };
    let content: String = content.chars().take(LONGEST).collect();
    let key = match name.to_ascii_lowercase().as_str() {
        "og:title" | "dc.title" | "dcterms.title" => {
            title.get_or_insert(content);
            return;
        }
        "author" | "article:author" | "dc.creator" | "dcterms.creator" | "citation_author" => "author",
        "description" | "og:description" | "dc.description" | "dcterms.description" => "description",
        "keywords" | "article:tag" => "keywords",
        "date" => "date",
        "article:published_time" | "dcterms.created" | "dcterms.issued" | "citation_publication_date" => "created",
        "article:modified_time" | "og:updated_time" | "dcterms.modified" => "modified",
        "dc.date" | "dcterms.date" => "created",
        "dc.subject" | "dcterms.subject" => "subject",
        "dc.language" | "dcterms.language" => "language",
        _ => return,
    };
    if key == "date"
        && let Some(date) = date::stated(&content)
    {
        metadata.entry("created").or_insert_with(|| date.into());
    }
    let content = match key {
        "created" | "modified" => date::stated(&content),
        _ => Some(content),
    };
    if let Some(content) = content {
        metadata.entry(key).or_insert_with(|| content.into());
    }
}

/// Takes in the language of an `html` element.
pub fn language(tag: &Tag, metadata: &mut Map<String, Value>) {
    // html5ever keeps the prefix of XML's own attribute in its name.
    let stated = attribute(tag, "lang").or_else(|| attribute(tag, "xml:lang")).filter(|language| !language.is_empty());
    if let Some(language) = stated {
        metadata.insert("language".into(), language.chars().take(LONGEST).collect::<String>().into());
    }
}
