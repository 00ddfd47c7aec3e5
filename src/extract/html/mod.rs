//! HTML to Markdown: headings, paragraphs, lists, tables and code survive, the rest is text or goes.
//!
//! Works on html5ever's tokens, not on a tree: time is linear and depth costs nothing, however deep the nesting.

mod attributes;
mod facts;
mod flow;
mod hidden;
mod list;
mod table;

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer};
use serde_json::{Map, Value};

use super::composer::LONGEST;
use super::fault::{Fault, Warning};
use super::{Extracted, Format, Structure};
use hidden::Hidden;
use list::{List, Owed};
use table::Row;

/// Bytes at the beginning that tell whether a page is written in XML.
const HEAD: usize = 1024;

/// The text of an HTML document as Markdown, its title and its `meta` facts.
pub fn extract(text: &str) -> Extracted {
    let text = &*attributes::bounded(text);
    let mut page = read(text, Leave::Boilerplate);
    // An element that was never closed would have taken the rest of the page with it: so leave out less.
    for leave in [Leave::Controls, Leave::Code] {
        if page.skipping > 0 || page.hidden.is_open() {
            page = read(text, leave);
        }
    }
    page.finish()
}

/// What is left out of a page; each leaves out less than the one before.
#[derive(Clone, Copy, Default, PartialEq)]
enum Leave {
    /// Navigation, controls and code.
    #[default]
    Boilerplate,
    /// Controls and code.
    Controls,
    /// What the tokenizer itself ends: scripts and styles.
    Code,
}

fn read(text: &str, leave: Leave) -> Page {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(text));
    let head = text.get(..text.floor_char_boundary(HEAD)).unwrap_or(text);
    let is_xml = head.trim_start().starts_with("<?xml") || head.contains("http://www.w3.org/1999/xhtml");
    let sink = Sink(RefCell::new(Page { leave, is_xml, ..Page::default() }));
    let tokenizer = Tokenizer::new(sink, Default::default());
    // Scripts are never run, so the tokenizer never stops for one.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.take()
}

struct Sink(RefCell<Page>);

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut page = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => page.text(&text),
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                page.start(&tag);
                match &*tag.name {
                    // In XML, an element can be closed at once; in HTML, the sign for it says nothing.
                    _ if tag.self_closing && page.is_xml => {}
                    "script" => return TokenSinkResult::RawData(RawKind::ScriptData),
                    "style" | "xmp" | "iframe" | "noembed" | "noframes" => {
                        return TokenSinkResult::RawData(RawKind::Rawtext);
                    }
                    "title" | "textarea" => return TokenSinkResult::RawData(RawKind::Rcdata),
                    "plaintext" => return TokenSinkResult::Plaintext,
                    _ => {}
                }
            }
            Token::TagToken(tag) => page.end(&tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

/// The page as far as it has been read.
#[derive(Default)]
struct Page {
    out: String,
    title: Option<String>,
    heading: Option<String>,
    metadata: Map<String, Value>,
    leave: Leave,
    is_xml: bool,
    /// Open elements whose text is left out.
    skipping: usize,
    hidden: Hidden,
    in_title: bool,
    /// Where the text of the open line begins, once there is any.
    said: Option<usize>,
    preformatted: usize,
    /// Where the fence of preformatted text begins.
    fence: usize,
    lists: Vec<List>,
    owed: Owed,
    /// Where the term begins that has no definition yet.
    term: Option<usize>,
    tables: usize,
    row: Row,
    /// Columns of the table's first row; 0 before it.
    columns: usize,
    in_cell: bool,
    heading_open: bool,
    /// Whether there was more text than a document is given.
    is_cut: bool,
}

impl Page {
    fn is_left_out(&self, name: &str) -> bool {
        match name {
            "script" | "style" | "iframe" | "textarea" | "noembed" | "noframes" => true,
            "noscript" | "template" | "svg" | "math" | "object" | "select" | "button" | "canvas" | "audio"
            | "video" => self.leave != Leave::Code,
            "nav" | "footer" => self.leave == Leave::Boilerplate,
            _ => false,
        }
    }

    fn start(&mut self, tag: &Tag) {
        let name: &str = &tag.name;
        if self.is_left_out(name) {
            self.skipping += usize::from(!tag.self_closing);
            return;
        }
        if self.leave == Leave::Boilerplate {
            self.hidden.start(tag);
            if self.hidden.is_open() && self.skipping == 0 && is_block(name) {
                // Words on both sides of it are apart.
                self.gap();
            }
        }
        match name {
            "title" => {
                let opens = !(self.is_xml && tag.self_closing);
                self.in_title = opens && self.title.is_none() && self.skipping == 0;
            }
            "meta" => facts::meta(tag, &mut self.title, &mut self.metadata),
            "html" => facts::language(tag, &mut self.metadata),
            _ if self.hidden.is_open() => {}
            _ if self.skipping > 0 => {}
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" if self.in_cell => self.flowing(" "),
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.gap();
                let level = name.as_bytes().get(1).map_or(1, |d| usize::from(d.saturating_sub(b'0')));
                self.push_raw(&"#".repeat(level));
                self.push_raw(" ");
                self.heading_open = self.heading.is_none();
            }
            "br" if self.in_cell => self.push_raw(" "),
            "br" => self.line(),
            "hr" => self.gap(),
            "pre" => {
                self.gap();
                if !self.in_cell {
                    if self.preformatted == 0 {
                        self.fence = self.out.len();
                        let language = language_of(tag);
                        self.push_raw(&format!("```{language}\n"));
                    }
                    self.preformatted += 1;
                }
            }
            "code" if self.preformatted > 0 && self.out.get(self.fence..) == Some("```\n") => {
                self.out.pop();
                let language = language_of(tag);
                self.push_raw(&format!("{language}\n"));
            }
            "ul" | "ol" | "dl" => self.open_list(tag),
            "li" => self.item(tag),
            "dt" => self.term(tag),
            "dd" => self.definition(tag),
            "table" => {
                if self.tables == 0 {
                    self.gap();
                    self.columns = 0;
                    self.row = Row::default();
                }
                self.tables += 1;
            }
            "tr" if self.tables == 1 => self.end_row(),
            "td" | "th" if self.tables == 1 => {
                self.row.cell(tag);
                self.in_cell = true;
            }
            "img" if !hidden::is_hidden(tag) => {
                if let Some(text) = attribute(tag, "alt") {
                    self.text(&text);
                }
            }
            _ if is_block(name) => self.gap(),
            _ => {}
        }
    }

    fn end(&mut self, tag: &Tag) {
        let name: &str = &tag.name;
        if self.is_left_out(name) {
            self.skipping = self.skipping.saturating_sub(1);
            return;
        }
        if self.leave == Leave::Boilerplate && self.hidden.end(name) {
            return;
        }
        match name {
            "title" => self.in_title = false,
            _ if self.skipping > 0 || self.hidden.is_open() => {}
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.heading_open = false;
                self.gap();
            }
            "pre" if self.preformatted > 0 => {
                self.preformatted -= 1;
                if self.preformatted == 0 {
                    self.close_fence();
                    self.gap();
                }
            }
            "ul" | "ol" | "dl" => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.gap();
                }
            }
            "td" | "th" if self.tables == 1 => self.in_cell = false,
            "tr" if self.tables == 1 => self.end_row(),
            "table" if self.tables > 0 => {
                if self.tables == 1 {
                    self.end_row();
                    self.gap();
                }
                self.tables -= 1;
            }
            _ if is_block(name) => self.gap(),
            _ => {}
        }
    }

    fn finish(mut self) -> Extracted {
        self.end_row();
        if self.preformatted > 0 {
            self.close_fence();
        }
        self.trim_spaces();
        self.settle();
        let cut = self.is_cut.then(|| {
            let fault = Fault::too_complex(format!("its text is longer than {} MiB", LONGEST >> 20));
            Warning::new(fault.kind, None, fault.message)
        });
        let clean = |t: String| t.split_whitespace().collect::<Vec<_>>().join(" ");
        let title = self.title.take().map(clean).filter(|t| !t.is_empty());
        let title = title.or_else(|| self.heading.take().map(clean).filter(|t| !t.is_empty()));
        let content = self.owed.paid(self.out).trim().to_owned();
        Extracted {
            title,
            metadata: self.metadata,
            content,
            structure: Structure::Markdown,
            marks: Vec::new(),
            warnings: cut.into_iter().collect(),
            scans: Vec::new(),
            media_type: Format::Html.media_type().to_owned(),
        }
    }
}

fn attribute(tag: &Tag, name: &str) -> Option<String> {
    tag.attrs.iter().find(|a| &*a.name.local == name).map(|a| a.value.trim().to_owned())
}

/// The language of a program, as pages name it: `class="language-rust"`.
fn language_of(tag: &Tag) -> String {
    let classes = attribute(tag, "class").unwrap_or_default();
    let named = classes.split_whitespace().find_map(|class| {
        class.strip_prefix("language-").or_else(|| class.strip_prefix("lang-")).or_else(|| class.strip_prefix("brush:"))
    });
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '#' | '-');
    named.unwrap_or_default().chars().take_while(is_plain).take(30).collect()
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "section"
            | "article"
            | "main"
            | "header"
            | "footer"
            | "nav"
            | "aside"
            | "body"
            | "blockquote"
            | "figure"
            | "figcaption"
            | "address"
            | "details"
            | "summary"
            | "form"
            | "fieldset"
            | "legend"
            | "caption"
            | "head"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_table_of_parts_is_one_table() {
        let page = "<table><thead><tr><th>Name<th>Net</thead><tbody><tr><td>A<td>1</tbody><tbody><tr><td>B<td>2</tbody>\
                    <tfoot><tr><td>Sum<td>3</tfoot></table>";
        assert_eq!(extract(page).content, "| Name | Net |\n| --- | --- |\n| A | 1 |\n| B | 2 |\n| Sum | 3 |");
    }

    #[test]
    fn an_element_that_is_never_closed_takes_nothing_with_it() {
        for name in ["nav", "footer", "button", "select", "object", "video", "audio", "svg", "template", "noscript"] {
            let page = extract(&format!("<p>Before.</p><{name}>Inside.<p>The rest of the page.</p>"));
            assert!(page.content.contains("The rest of the page."), "{name}: {}", page.content);
        }
    }

    #[test]
    fn structure_survives_and_boilerplate_goes() {
        let page = "<!doctype html><html lang=de><head><title>A &amp; B</title><style>p{}</style><meta name=author content=Kim>\
            </head><body><nav>Home</nav><script>alert('x</p>')</script><h1>Top</h1><p>One\n  <b>two</b>.</p>\
            <ul><li>a<li>b<ol><li>c</ol></ul><table><tr><th>K<th>V<tr><td>x|y<td>1<br>2</table>\
            <pre>  code\n  more</pre><footer>(c)</footer></body></html>";
        let found = extract(page);
        assert_eq!(found.title.as_deref(), Some("A & B"));
        assert_eq!(found.metadata["language"], "de");
        assert_eq!(found.metadata["author"], "Kim");
        let expected = "# Top\n\nOne two.\n\n- a\n- b\n  1. c\n\n| K | V |\n| --- | --- |\n| x\\|y | 1 2 |\n\n```\n  code\n  more\n```";
        assert_eq!(found.content, expected);
    }

    #[test]
    fn what_is_hidden_is_left_out_unless_it_hides_the_rest() {
        let page = "<p>One<p hidden>Two<p>Three<div style='display: none'>Four<div>Five</div>Six</div>\
            <span aria-hidden=true>*</span><img hidden alt=x><b>Seven</b>";
        assert_eq!(extract(page).content, "One\n\nThree\n\nSeven");
        assert_eq!(extract("<div hidden>All<p>of it").content, "All\n\nof it");
    }

    #[test]
    fn facts_become_metadata() {
        let page = "<html lang=de><meta property=og:title content='From og'><meta property=article:published_time \
            content=2026-03-01T10:00:00Z><meta name=DC.creator content=Kim><meta name=Keywords content='a, b'>\
            <meta property=og:description content=Short><p>x";
        let found = extract(page);
        let expected = serde_json::json!({"language": "de", "created": "2026-03-01T10:00:00Z", "author": "Kim",
            "keywords": "a, b", "description": "Short"});
        assert_eq!((found.title.as_deref(), Value::Object(found.metadata)), (Some("From og"), expected));
    }

    #[test]
    fn cells_span_columns_and_rows() {
        let page = "<table><tr><th>Pump<th colspan=2>Hours<tr><td rowspan=2>A<td>1<td>2<tr><td>3<td>4\
            <tr><td colspan=99999>all</table>";
        let expected = "| Pump | Hours |  |\n| --- | --- | --- |\n| A | 1 | 2 |\n| A | 3 | 4 |\n| all |  |  |";
        assert_eq!(extract(page).content, expected);
        assert_eq!(extract("<table><tr><td><h2>Just</h2> looks</table><p>x").content, "Just looks\n\nx");
    }

    #[test]
    fn code_keeps_its_language_and_its_fence() {
        let page = "<pre><code class='hl language-rust'>let a = \"```\";</code></pre><pre>x</pre><p># no heading</p>";
        assert_eq!(extract(page).content, "````rust\nlet a = \"```\";\n````\n\n```\nx\n```\n\n\\# no heading");
        assert_eq!(
            extract("<dl><dt>Tide<dd>High water<dt>Ebb<dd>Low water</dl>").content,
            "- Tide: High water\n- Ebb: Low water"
        );
    }

    #[test]
    fn text_that_looks_like_structure_is_escaped_however_it_is_set() {
        let page = "<p>&lt;script&gt; tags<p>Regards<br><i>-</i>- <br>Kim<p>&#35; one<ul><li>&lt;!-- two</ul><h2>--</h2><p>1 &lt; 2";
        let expected = "\\<script> tags\n\nRegards\n\\--\nKim\n\n\\# one\n\n- \\<!-- two\n\n## \\--\n\n1 < 2";
        assert_eq!(extract(page).content, expected);
    }

    #[test]
    fn terms_stand_with_their_definitions() {
        let page = "<p>Words:</p><dl>\n<dt>Term</dt>\n<dd><p>One.</p></dd>\n<dd>Two</dd><dt>A<dt>B<dd>Both<ul><li>x</ul></dl><p>End";
        assert_eq!(extract(page).content, "Words:\n\n- Term: One.\n- Two\n- A\n- B: Both\n  - x\n\nEnd");
        let page =
            "<dl><dd>None<dd>Two<dt><pre>code</pre></dt><dd>Of it</dl><table><tr><td><dl><dt>K<dd>V</dl><td>2</table>";
        let expected = "- None; Two\n- ```\ncode\n```\n- Of it\n\n| - K: V | 2 |\n| --- | --- |";
        assert_eq!(extract(page).content, expected);
    }

    #[test]
    fn what_says_that_it_is_navigation_is_left_out() {
        let page = "<div role=banner>Logo<div>Deep</div></div><form role='search'>Find</form><h1>Title</h1>\
            <div role='Navigation menu'><ul><li>Home</ul></div><main role=main>Text</main><p role=contentinfo>(c)</p>";
        assert_eq!(extract(page).content, "# Title\n\nText");
        assert_eq!(extract("<div role=navigation>Menu<p>The rest").content, "Menu\n\nThe rest");
    }

    #[test]
    fn pages_in_xml_close_their_elements_at_once() {
        let page = "<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title/><script src='a.js'/>\
            <style/></head><body><p>Text</p><div hidden='hidden'/><p>More</p></body></html>";
        assert_eq!(extract(page).content, "Text\n\nMore");
    }

    #[test]
    fn spans_cannot_blow_a_page_up() {
        let page = format!("<table>{}", "<tr><td colspan=1000 rowspan=1000>xxxxxxxxxxxxxxx".repeat(2000));
        assert!(extract(&page).content.len() < 1 << 20);
    }

    #[test]
    fn an_unclosed_nav_takes_nothing_with_it() {
        assert_eq!(extract("<nav>Menu<p>Text").content, "Menu\n\nText");
    }

    #[test]
    fn depth_costs_nothing() {
        let deep = format!("{}x", "<div><table><tr><td><ul><li>".repeat(50_000));
        assert!(extract(&deep).content.contains('x'));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[<>/a-z \"'=&;!\\-]{0,200}") {
            extract(&text);
        }
    }
}
