//! Elements that a page does not show, and those that it says are there to find one's way.

use html5ever::tokenizer::Tag;

use super::attribute;

/// Whether what is read lies within an element that is not shown.
#[derive(Default)]
pub struct Hidden {
    /// The element's name, and how many of that name are open.
    element: Option<(String, usize)>,
}

impl Hidden {
    pub fn is_open(&self) -> bool {
        self.element.is_some()
    }

    pub fn start(&mut self, tag: &Tag) {
        let name: &str = &tag.name;
        match &mut self.element {
            // The next of these ends the one before.
            Some((hidden, _)) if hidden == name && closes_itself(name) => self.element = None,
            Some((hidden, open)) if hidden == name && !tag.self_closing => *open += 1,
            _ => {}
        }
        if self.element.is_none() && !tag.self_closing && !is_void(name) && (is_hidden(tag) || is_furniture(tag)) {
            self.element = Some((name.to_owned(), 1));
        }
    }

    /// Whether the tag that ended belonged to an element that is not shown.
    pub fn end(&mut self, name: &str) -> bool {
        let Some((hidden, open)) = &mut self.element else { return false };
        if hidden == name {
            *open -= 1;
            if *open == 0 {
                self.element = None;
            }
        }
        true
    }
}

/// Whether an element says that it is navigation or the like, as `nav` and `footer` are (WAI-ARIA 1.2, 5.3.4).
fn is_furniture(tag: &Tag) -> bool {
    if is_page(tag) {
        return false;
    }
    let role = attribute(tag, "role").unwrap_or_default().to_ascii_lowercase();
    let role = role.split_whitespace().next().unwrap_or_default();
    matches!(role, "navigation" | "banner" | "contentinfo" | "search")
}

/// Whether an element is the page itself, or says nothing of how it is shown.
fn is_page(tag: &Tag) -> bool {
    tag.attrs.is_empty() || matches!(&*tag.name, "html" | "body" | "main" | "article")
}

/// Whether an element is not shown.
pub fn is_hidden(tag: &Tag) -> bool {
    // The page itself may be hidden until a program shows it.
    if is_page(tag) {
        return false;
    }
    let style = attribute(tag, "style").unwrap_or_default().to_ascii_lowercase();
    let style: String = style.split_whitespace().collect();
    attribute(tag, "hidden").is_some_and(|value| !value.eq_ignore_ascii_case("until-found"))
        || attribute(tag, "aria-hidden").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || style.contains("display:none")
        || style.contains("visibility:hidden")
}

fn closes_itself(name: &str) -> bool {
    matches!(name, "p" | "li" | "dt" | "dd" | "tr" | "td" | "th" | "option")
}

fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "source"
            | "track"
            | "wbr"
    )
}
