//! Text that was recognized in pictures, put where it belongs in its document.

use serde_json::{Value, json};

use super::fault::Kind;
use super::{Extracted, Scan, Structure, escape, plain};
use crate::place::{Mark, Place};

/// A document that is one picture.
pub fn picture(bytes: &[u8]) -> Extracted {
    let media_type = infer::get(bytes).map_or("image/*", |kind| kind.mime_type());
    let scans = vec![Scan { page: 1, at: 0, image: bytes.to_vec() }];
    Extracted { scans, marks: Vec::new(), ..plain::verbatim("", 1, Structure::Plain, media_type) }
}

/// The document with the text of its scans, as far as there is any; `texts` are in the order of the scans.
pub fn with_recognized(mut found: Extracted, texts: &[String]) -> Extracted {
    let scans = std::mem::take(&mut found.scans);
    let old = std::mem::take(&mut found.content);
    let mut marks = std::mem::take(&mut found.marks).into_iter().peekable();
    let mut recognized = Vec::new();
    let mut from = 0;
    for (scan, text) in scans.iter().zip(texts) {
        let text = text.trim();
        if text.is_empty() {
            continue;
        }
        copy(&mut found, &mut marks, &old, &mut from, scan.at);
        if !found.content.is_empty() && !found.content.ends_with("\n\n") {
            found.content.push_str(if found.content.ends_with('\n') { "\n" } else { "\n\n" });
        }
        found.marks.push(Mark { at: found.content.len(), place: Place::Page(scan.page) });
        match found.structure {
            Structure::Markdown => found.content.push_str(&escape::lines(text)),
            Structure::Plain | Structure::Code => found.content.push_str(text),
        }
        if !old.get(from..).unwrap_or_default().is_empty() {
            found.content.push_str("\n\n");
            // White space that stood here stands here no more.
            let rest = old.get(from..).unwrap_or_default();
            from += rest.len() - rest.trim_start_matches('\n').len();
        }
        recognized.push(scan.page);
    }
    let end = old.len();
    copy(&mut found, &mut marks, &old, &mut from, end);
    if recognized.is_empty() {
        return found;
    }
    let left_out = |page: &u32| !recognized.contains(page);
    found
        .warnings
        .retain(|warning| warning.code != Kind::NoTextLayer.code() || warning.page.as_ref().is_some_and(left_out));
    if let Some(Value::Array(pages)) = found.metadata.get_mut("pages_without_text") {
        pages.retain(|page| page.as_u64().and_then(|page| u32::try_from(page).ok()).is_none_or(|page| left_out(&page)));
    }
    found.metadata.retain(|key, value| key != "pages_without_text" || value.as_array().is_none_or(|v| !v.is_empty()));
    found.metadata.insert("pages_recognized".to_owned(), json!(recognized));
    found
}

/// Goes on with the old text up to byte `to`, and the marks in it.
fn copy(
    found: &mut Extracted,
    marks: &mut std::iter::Peekable<std::vec::IntoIter<Mark>>,
    old: &str,
    from: &mut usize,
    to: usize,
) {
    let begin = found.content.len();
    found.content.push_str(old.get(*from..to).unwrap_or_default());
    while let Some(mark) = marks.next_if(|mark| mark.at < to || to == old.len()) {
        found.marks.push(Mark { at: begin + mark.at.saturating_sub(*from), place: mark.place });
    }
    *from = to;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Warning;
    use crate::place::locate;

    #[test]
    fn recognized_text_stands_on_its_page() {
        let content = "one\n\nthree";
        let mark = |at, page| Mark { at, place: Place::Page(page) };
        let scan = |page, at| Scan { page, at, image: Vec::new() };
        let mut found = plain::verbatim(content, 1, Structure::Markdown, "");
        found.marks = vec![mark(0, 1), mark(5, 3)];
        found.scans = vec![scan(2, 5), scan(4, 10), scan(5, 10)];
        found.metadata.insert("pages_without_text".into(), json!([2, 4, 5]));
        found.warnings = [2, 4, 5].map(|page| Warning::new(Kind::NoTextLayer, Some(page), "no text")).into();
        let found = with_recognized(found, &[" two ".to_owned(), String::new(), "five".to_owned()]);
        assert_eq!(found.content, "one\n\ntwo\n\nthree\n\nfive");
        for (word, page) in [("one", 1), ("two", 2), ("three", 3), ("five", 5)] {
            let at = found.content.find(word).unwrap();
            assert_eq!(locate(&found.marks, &found.content, 0, &(at..at + 3)).unwrap().page(), Some(page), "{word}");
        }
        assert_eq!(found.metadata["pages_without_text"], json!([4]));
        assert_eq!(found.metadata["pages_recognized"], json!([2, 5]));
        assert_eq!(found.warnings.len(), 1);
        assert!(found.marks.is_sorted_by_key(|mark| mark.at));
    }

    #[test]
    fn recognized_text_makes_no_structure() {
        let mut found = plain::verbatim("", 1, Structure::Markdown, "");
        found.scans = vec![Scan { page: 1, at: 0, image: Vec::new() }];
        assert_eq!(with_recognized(found, &["Clinic\n---\n# 12".to_owned()]).content, "Clinic\n\\---\n\\# 12");
    }

    #[test]
    fn where_nothing_is_recognized_nothing_changes() {
        let mut found = plain::extract("text");
        found.scans = vec![Scan { page: 1, at: 2, image: Vec::new() }];
        assert_eq!(with_recognized(found, &[" \n".to_owned()]), plain::extract("text"));
    }
}
