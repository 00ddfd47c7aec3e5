//! Tags with more attributes than anybody writes, cut down: the tokenizer compares each attribute with all before it.

use std::borrow::Cow;

/// Attributes of a tag that are kept.
const MOST: usize = 500;

/// The page with the first [`MOST`] attributes of each tag.
pub fn bounded(text: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    // Where what is not yet kept begins.
    let mut from = 0;
    let mut at = 0;
    while let Some(tag) = text.get(at..).and_then(|rest| rest.find('<')).map(|offset| at + offset) {
        at = past_raw(text, tag);
        let mut rest = Rest { bytes: text.as_bytes(), at };
        if !rest.peek().is_some_and(|byte| byte.is_ascii_alphabetic()) {
            continue;
        }
        rest.skip(|byte| !ends_name(byte));
        let mut count = 0;
        let mut cut = None;
        while rest.attribute_begins() {
            count += 1;
            if count > MOST {
                cut.get_or_insert(rest.at);
            }
            rest.attribute();
        }
        at = rest.at;
        // What a script or the like holds are no tags.
        if let Some(raw) = raw_name(text, tag) {
            at = end_of_raw(text, at, raw);
        }
        // Both are beside ASCII, or ends of the text.
        if let Some(cut) = cut {
            kept.push_str(text.get(from..cut).unwrap_or_default());
            from = at;
        }
    }
    match from {
        0 => Cow::Borrowed(text),
        from => {
            kept.push_str(text.get(from..).unwrap_or_default());
            Cow::Owned(kept)
        }
    }
}

/// Elements whose text is no HTML (WHATWG HTML, 13.2.5.1 to 13.2.5.3).
const RAW: &[&str] = &["script", "style", "xmp", "iframe", "noembed", "noframes", "title", "textarea"];

/// Where to read on after the `<` at `tag`: past a comment, if it is one.
fn past_raw(text: &str, tag: usize) -> usize {
    let is_comment = text.get(tag..).is_some_and(|rest| rest.starts_with("<!--"));
    match is_comment {
        true => text.get(tag + 4..).and_then(|rest| rest.find("-->")).map_or(text.len(), |end| tag + 4 + end + 3),
        false => tag + 1,
    }
}

/// The element of raw text that the tag at `tag` opens.
fn raw_name(text: &str, tag: usize) -> Option<&'static str> {
    let rest = text.as_bytes().get(tag + 1..)?;
    let begins = |name: &&&str| {
        let after = rest.get(name.len());
        rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
            && after.is_none_or(|byte| ends_name(*byte))
    };
    RAW.iter().find(begins).copied()
}

/// Where the closing tag of raw text begins, from `at` on.
fn end_of_raw(text: &str, at: usize, name: &str) -> usize {
    let bytes = text.as_bytes();
    let closes = |at: usize| {
        let start = at + 2;
        bytes.get(at + 1) == Some(&b'/')
            && bytes.get(start..start + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
    };
    memchr::memchr_iter(b'<', bytes.get(at..).unwrap_or_default())
        .map(|found| at + found)
        .find(|at| closes(*at))
        .unwrap_or(text.len())
}

fn ends_name(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>')
}

/// The rest of a page within a tag, read as HTML's tokenizer does (WHATWG HTML, 13.2.5.32 to 13.2.5.40).
struct Rest<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Rest<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip(&mut self, is_skipped: impl Fn(u8) -> bool) {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !is_skipped(*byte)).unwrap_or(rest.len());
    }

    /// Goes to the next attribute. `false` at the end of the tag, or of the text.
    fn attribute_begins(&mut self) -> bool {
        self.skip(|byte| byte.is_ascii_whitespace() || byte == b'/');
        self.peek().is_some_and(|byte| byte != b'>')
    }

    /// Goes past an attribute with its value.
    fn attribute(&mut self) {
        // A name may begin with the sign that ends it otherwise.
        self.at += 1;
        self.skip(|byte| !ends_name(byte) && byte != b'=');
        self.skip(|byte| byte.is_ascii_whitespace());
        if self.peek() != Some(b'=') {
            return;
        }
        self.at += 1;
        self.skip(|byte| byte.is_ascii_whitespace());
        match self.peek() {
            Some(quote @ (b'"' | b'\'')) => {
                self.at += 1;
                self.skip(|byte| byte != quote);
                self.at = self.bytes.len().min(self.at + 1);
            }
            _ => self.skip(|byte| !byte.is_ascii_whitespace() && byte != b'>'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tag_keeps_its_first_attributes_and_a_page_its_text() {
        let many = |count: usize| (0..count).map(|n| format!(" é{n}=\"a > b\"")).collect::<String>();
        let page = |count: usize| format!("1 < 2 <p{}>ä</p><br/> <b", many(count));
        assert!(matches!(bounded(&page(MOST)), Cow::Borrowed(_)));
        assert_eq!(bounded(&page(MOST + 3)).replace(" >ä", ">ä"), page(MOST));
        let open = format!("<p{}", " a".repeat(MOST + 1));
        assert_eq!(bounded(&open), format!("<p{} ", " a".repeat(MOST)));
        let script = format!(
            "<script>for(i=0;i<n;i++){{{}}}</script><p>Hello <!-- a<b{} --> you",
            " x".repeat(600),
            " y".repeat(600)
        );
        assert_eq!(bounded(&script), script);
        assert_eq!(bounded("<p a = b =c 'd' =\"e>f"), "<p a = b =c 'd' =\"e>f");
    }

    proptest! {
        #[test]
        fn any_page_keeps_what_it_has(parts in prop::collection::vec("[<>a='\"/ é]{0,12}", 0..40)) {
            let page = parts.concat();
            prop_assert_eq!(&*bounded(&page), &*page);
        }
    }
}
