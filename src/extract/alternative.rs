//! What stands for a picture in Office documents: the words that its author gave it.

use super::xml_events::Element;

/// Bytes of a description at most.
const LONGEST: usize = 2000;
/// How descriptions end that a program made up.
const MADE_UP: &[&str] =
    &["description automatically generated", "automatisch generierte beschreibung", "générée automatiquement"];

/// The description that an element of Office Open XML bears (`docPr`, `cNvPr`).
pub fn text(element: &Element<'_>) -> Option<String> {
    let text = element.attribute("descr")?;
    let text = text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().trim();
    let lower = text.to_lowercase();
    let is_made_up = MADE_UP.iter().any(|end| lower.trim_end_matches('.').ends_with(end));
    (text.chars().any(char::is_alphabetic) && !is_made_up).then(|| text.to_owned())
}
