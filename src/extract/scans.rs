//! Text that was recognized in pictures, put where it belongs in its document.

use serde_json::{Value, json};

use super::fault::{Kind, Warning};
use super::{Extracted, Scan, Structure, escape, plain};
use crate::place::{Location, Mark, Place};

/// Pictures that are given of one document, and their bytes in all.
pub const MOST: usize = 500;
pub const LARGEST: usize = 96 << 20;

impl Scan {
    /// The picture of a page, whose text belongs at byte `at`.
    pub fn new(page: u32, at: usize, image: Vec<u8>) -> Scan {
        Scan { page, at, attachments: Vec::new(), heading: None, image }
    }

    /// Where its text comes from.
    fn place(&self) -> Place {
        self.attachments.iter().rev().fold(Place::Page(self.page), |place, name| place.attached(name))
    }
}

/// A document that is one picture.
pub fn picture(bytes: &[u8]) -> Extracted {
    let media_type = infer::get(bytes).map_or("image/*", |kind| kind.mime_type());
    let scans = vec![Scan::new(1, 0, bytes.to_vec())];
    Extracted { scans, marks: Vec::new(), ..plain::verbatim("", 1, Structure::Plain, media_type) }
}

/// The document with the text of its scans, as far as there is any; `texts` are in the order of the scans.
pub fn with_recognized(mut found: Extracted, texts: &[String]) -> Extracted {
    let scans = std::mem::take(&mut found.scans);
    let mut copy = Copy {
        old: std::mem::take(&mut found.content),
        marks: std::mem::take(&mut found.marks).into_iter().peekable(),
        from: 0,
        place: Place::Nowhere,
        into: &mut found,
    };
    let mut recognized = Vec::new();
    let mut unread = Vec::new();
    let mut heading = "";
    for (scan, text) in scans.iter().zip(texts) {
        heading = scan.heading.as_deref().unwrap_or(heading);
        match text.trim() {
            "" if scan.attachments.is_empty() => {}
            "" => unread.push(scan),
            text => {
                copy.up_to(scan.at);
                let above = std::mem::take(&mut heading);
                let gap = if above.is_empty() { "" } else { "\n\n" };
                let text = match copy.into.structure {
                    Structure::Markdown => escape::lines(text),
                    Structure::Plain | Structure::Code => text.to_owned(),
                };
                copy.insert(&format!("{above}{gap}{text}"), scan.place());
                recognized.push(scan);
            }
        }
    }
    copy.up_to(usize::MAX);
    tell(&mut found, &recognized, &unread);
    found
}

/// Says which pages were read, and of which nothing was.
fn tell(found: &mut Extracted, recognized: &[&Scan], unread: &[&Scan]) {
    let own = recognized.iter().filter(|scan| scan.attachments.is_empty());
    let pages: Vec<u32> = own.map(|scan| scan.page).collect();
    if !pages.is_empty() {
        let left_out = |page: &u32| !pages.contains(page);
        found
            .warnings
            .retain(|warning| warning.code != Kind::NoTextLayer.code() || warning.page.as_ref().is_some_and(left_out));
        if let Some(Value::Array(without)) = found.metadata.get_mut("pages_without_text") {
            let number = |page: &Value| page.as_u64().and_then(|page| u32::try_from(page).ok());
            without.retain(|page| number(page).is_none_or(|page| left_out(&page)));
        }
        found
            .metadata
            .retain(|key, value| key != "pages_without_text" || value.as_array().is_none_or(|v| !v.is_empty()));
        found.metadata.insert("pages_recognized".to_owned(), json!(pages));
    }
    found.warnings.extend(unread.iter().map(|scan| {
        let place = Location { first: scan.place(), last: scan.place() };
        Warning::new(Kind::NoTextLayer, None, format!("{place}: in the picture no text was recognized"))
    }));
}

/// A text that is copied, with its marks, and more in between.
struct Copy<'a> {
    old: String,
    marks: std::iter::Peekable<std::vec::IntoIter<Mark>>,
    /// How far it is copied.
    from: usize,
    /// Where it comes from there.
    place: Place,
    into: &'a mut Extracted,
}

impl Copy<'_> {
    /// Goes on with the old text up to byte `to`, and the marks in it.
    fn up_to(&mut self, to: usize) {
        let to = to.min(self.old.len());
        let begin = self.into.content.len();
        self.into.content.push_str(self.old.get(self.from..to).unwrap_or_default());
        while let Some(mark) = self.marks.next_if(|mark| mark.at < to || to == self.old.len()) {
            self.place = mark.place.clone();
            self.into.marks.push(Mark { at: begin + mark.at.saturating_sub(self.from), place: mark.place });
        }
        self.from = to;
    }

    /// Adds a paragraph that comes from elsewhere.
    fn insert(&mut self, text: &str, place: Place) {
        let content = &mut self.into.content;
        if !content.is_empty() && !content.ends_with("\n\n") {
            content.push_str(if content.ends_with('\n') { "\n" } else { "\n\n" });
        }
        self.into.marks.push(Mark { at: content.len(), place });
        content.push_str(text);
        let rest = self.old.get(self.from..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        content.push_str("\n\n");
        // White space that stood here stands here no more.
        self.from += rest.len() - rest.trim_start_matches('\n').len();
        if self.marks.peek().is_none_or(|mark| mark.at > self.from) {
            self.into.marks.push(Mark { at: content.len(), place: self.place.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::locate;

    #[test]
    fn recognized_text_stands_on_its_page() {
        let content = "one\n\nthree";
        let mark = |at, page| Mark { at, place: Place::Page(page) };
        let scan = |page, at| Scan::new(page, at, Vec::new());
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
        found.scans = vec![Scan::new(1, 0, Vec::new())];
        assert_eq!(with_recognized(found, &["Clinic\n---\n# 12".to_owned()]).content, "Clinic\n\\---\n\\# 12");
    }

    #[test]
    fn text_of_an_attachment_stands_under_its_heading_and_the_mail_goes_on_after_it() {
        let attached = |at, page, heading: Option<&str>| Scan {
            attachments: vec!["fax.pdf".to_owned()],
            heading: heading.map(str::to_owned),
            ..Scan::new(page, at, Vec::new())
        };
        let mut found = plain::verbatim("# One\n\n# Two", 1, Structure::Markdown, "");
        found.marks.clear();
        found.scans = vec![attached(5, 1, Some("## Fax")), attached(5, 2, None), attached(5, 3, None)];
        let found = with_recognized(found, &[String::new(), "second".to_owned(), "third".to_owned()]);
        assert_eq!(found.content, "# One\n\n## Fax\n\nsecond\n\nthird\n\n# Two");
        let place = |text: &str| {
            let at = found.content.find(text).unwrap();
            locate(&found.marks, &found.content, 0, &(at..at + text.len())).map(|place| place.to_string())
        };
        let at = |place: &str| Some(place.to_owned());
        assert_eq!(
            [place("# One"), place("second"), place("third")],
            [None, at("fax.pdf, page 2"), at("fax.pdf, page 3")]
        );
        assert_eq!(place("# Two"), None);
        let warnings: Vec<&str> = found.warnings.iter().map(|warning| warning.message.as_str()).collect();
        assert_eq!(warnings, ["fax.pdf, page 1: in the picture no text was recognized"]);
        assert!(!found.metadata.contains_key("pages_recognized"), "{:?}", found.metadata);
    }

    #[test]
    fn where_nothing_is_recognized_nothing_changes() {
        let mut found = plain::extract("text");
        found.scans = vec![Scan::new(1, 2, Vec::new())];
        assert_eq!(with_recognized(found, &[" \n".to_owned()]), plain::extract("text"));
    }
}
