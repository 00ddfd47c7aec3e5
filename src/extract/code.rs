//! Source code and configuration: kept byte for byte, cut later between its lines.

use super::{Extracted, Structure, plain};

/// The text as it stands, with the language's own media type where the file's name tells it.
pub fn extract(text: &str, name: Option<&str>) -> Extracted {
    plain::verbatim(text, 1, Structure::Code, &media_type(name))
}

/// Media type of a program by its file's name.
fn media_type(name: Option<&str>) -> String {
    let guessed = name.and_then(|name| mime_guess::from_path(name).first());
    // Some endings of programs are those of films too: `.ts`.
    let is_text = |kind: &mime_guess::Mime| kind.type_() == "text" || kind.subtype() == "javascript";
    guessed.filter(is_text).map_or_else(|| "text/plain".to_owned(), |kind| kind.essence_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::locate;

    #[test]
    fn lines_are_known() {
        let text = "fn one() {}\n\nfn two() {}\n";
        let found = extract(text, Some("src/a.rs"));
        assert_eq!((found.content.as_str(), found.structure), (text, Structure::Code));
        assert_eq!(found.media_type, "text/x-rust");
        let at = text.find("fn two").unwrap();
        assert_eq!(locate(&found.marks, text, 0, &(at..at + 6)).unwrap().to_string(), "line 3");
    }

    #[test]
    fn a_program_is_no_film() {
        assert_eq!(extract("let x = 1", Some("a.ts")).media_type, "text/plain");
        assert_eq!(extract("x", None).media_type, "text/plain");
    }
}
