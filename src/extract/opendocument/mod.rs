//! Texts and presentations in OpenDocument: headings, lists, tables, notes, boxes, slides.
//!
//! Comments, deletions that are still tracked and descriptions of pictures go; headers and footers come once.

pub mod sheets;
mod styles;

use std::collections::HashSet;

use super::Extracted;
use super::fault::{Fault, Kind, Warning};
use super::nesting::{Block, Nesting, flattened};
use super::package::Package;
use super::properties::{Vocabulary, take_in};
use super::xml_events::{Element, Node, Nodes};
use crate::place::Place;
use styles::Styles;

/// Cells that one row of a file stands for, its rows and columns multiplied.
const MOST_REPEATED: usize = 1000;
/// Lists within each other.
const DEEPEST_LIST: usize = 100;

/// The text of a document.
///
/// # Errors
/// [`Kind::Damaged`] and [`Kind::TooComplex`].
pub fn extract(package: &mut Package<'_>) -> Result<Extracted, Fault> {
    let mut reader = Reader::default();
    take_in(package, Vocabulary::OpenDocument, &mut reader.nesting.composer)?;
    let shared = package.text("styles.xml")?.unwrap_or_default();
    let Some(content) = package.text("content.xml")? else {
        return Err(Fault::new(Kind::Damaged, "the file is damaged: content.xml is missing in it"));
    };
    reader.styles.read(&shared)?;
    reader.styles.read(&content)?;
    let (headers, footers) = reader.furniture(&shared)?;
    headers.into_iter().for_each(|block| reader.nesting.put(block));
    reader.read(&content, "body")?;
    if reader.slides > 0 {
        reader.nesting.composer.metadata.insert("slide_count".into(), reader.slides.into());
    } else {
        footers.into_iter().for_each(|block| reader.nesting.put(block));
    }
    reader.nesting.check()?;
    if reader.left_out > 0 {
        let message = format!("{} rows of tables were left out that repeat others", reader.left_out);
        reader.nesting.composer.warnings.push(Warning::new(Kind::TooComplex, None, message));
    }
    Ok(reader.nesting.composer.finish(""))
}

#[derive(Default)]
struct Reader {
    nesting: Nesting,
    styles: Styles,
    /// Open lists, the innermost last.
    lists: Vec<List>,
    /// Styles of open paragraphs; for a heading, its level.
    paragraphs: Vec<(Option<String>, Option<usize>)>,
    /// Classes of the open frames.
    frames: Vec<Option<String>>,
    slides: u32,
    /// Notes of the open slide.
    notes: Vec<Block>,
    in_notes: bool,
    /// Columns that the open row has, and rows that it stands for.
    columns: usize,
    rows: usize,
    /// Rows that were left out because they repeat others.
    left_out: usize,
}

struct List {
    style: Option<String>,
    number: u64,
    /// Whether the next paragraph begins an item.
    begins: bool,
}

impl Reader {
    /// What headers and footers say, each once.
    fn furniture(&mut self, shared: &str) -> Result<(Vec<Block>, Vec<Block>), Fault> {
        let mut seen = HashSet::new();
        let mut found = [Vec::new(), Vec::new()];
        for (place, kind) in ["header", "footer"].into_iter().enumerate() {
            self.nesting.open_aside();
            for name in [kind.to_owned(), format!("{kind}-left"), format!("{kind}-first")] {
                self.read(shared, &name)?;
            }
            for block in self.nesting.take_aside() {
                let said = flattened(vec![block.clone()]).trim().to_owned();
                if said.chars().any(char::is_alphabetic) && seen.insert(said) {
                    found.get_mut(place).into_iter().for_each(|found| found.push(block.clone()));
                }
            }
        }
        let [headers, footers] = found;
        Ok((headers, footers))
    }

    /// Reads what stands in the elements called `within`.
    fn read(&mut self, text: &str, within: &str) -> Result<(), Fault> {
        let mut nodes = Nodes::of(text);
        let mut inside = 0usize;
        while let Some(node) = nodes.next()? {
            self.nesting.check()?;
            match node {
                Node::Start(element) if element.name() == within => inside += 1,
                Node::End(name) if name == within => inside = inside.saturating_sub(1),
                _ if inside == 0 => {}
                Node::Start(element) => {
                    if self.start(&element) {
                        nodes.skip()?;
                    }
                }
                Node::End(name) => self.end(&name),
                Node::Text(text) => self.nesting.text(&text),
            }
        }
        Ok(())
    }

    /// Takes in the beginning of an element, and tells whether to pass over the rest of it.
    fn start(&mut self, element: &Element<'_>) -> bool {
        match element.name() {
            "tracked-changes"
            | "annotation"
            | "note-citation"
            | "ruby-text"
            | "title"
            | "desc"
            | "page-number"
            | "page-count"
            | "forms"
            | "object"
            | "index-title-template" => return true,
            "p" | "h" => {
                let level = (element.name() == "h").then(|| element.number("outline-level").unwrap_or(1));
                self.paragraphs.push((element.attribute("style-name"), level));
                self.nesting.open_paragraph();
            }
            "s" => self.nesting.text(" "),
            "tab" => self.nesting.text("\t"),
            "line-break" => self.nesting.text("\n"),
            "note-body" | "text-box" => self.nesting.open_aside(),
            "list" if self.lists.len() < DEEPEST_LIST => {
                let above = self.lists.last().and_then(|list| list.style.clone());
                let style = element.attribute("style-name").or(above);
                self.lists.push(List { style, number: 0, begins: false });
            }
            "list" => return true,
            "list-item" => {
                if let Some(list) = self.lists.last_mut() {
                    let start = element.number("start-value").and_then(|start| u64::try_from(start).ok());
                    (list.number, list.begins) = (start.unwrap_or(list.number.saturating_add(1)), true);
                }
            }
            "table" => self.nesting.open_table(),
            "table-row" => (self.columns, self.rows) = (0, element.number("number-rows-repeated").unwrap_or(1)),
            "table-cell" | "covered-table-cell" => {
                let columns = element.number("number-columns-repeated").unwrap_or(1);
                self.columns = self.columns.saturating_add(columns);
                self.nesting.open_cell(0);
                self.nesting.span(columns);
            }
            "frame" | "custom-shape" => {
                let class = element.attribute("class");
                if let Some("header" | "footer" | "date-time" | "page-number") = class.as_deref() {
                    return true;
                }
                self.frames.push(class);
            }
            "page" => {
                self.slides = self.slides.saturating_add(1);
                self.nesting.open_aside();
            }
            "notes" => {
                self.in_notes = true;
                self.nesting.open_aside();
            }
            _ => {}
        }
        false
    }

    fn end(&mut self, name: &str) {
        match name {
            "p" | "h" => {
                let (style, level) = self.paragraphs.pop().unwrap_or_default();
                let is_title = !self.in_notes && matches!(self.frames.last(), Some(Some(class)) if class == "title");
                let level = if is_title { Some(1) } else { level };
                let level = level.or_else(|| style.as_deref().and_then(|style| self.styles.heading(style)));
                let item = if level.is_none() { self.item() } else { None };
                let is_code = style.as_deref().is_some_and(|style| self.styles.is_monospaced(style));
                self.nesting.close_paragraph(|text| match (level, item) {
                    (Some(level), _) => Block::Heading(level, text),
                    (None, Some((depth, number))) => Block::Item { depth, number, text },
                    (None, None) if is_code => Block::Code(text),
                    (None, None) => Block::Paragraph(text),
                });
            }
            "note-body" | "text-box" => self.nesting.close_aside(),
            "list" => drop(self.lists.pop()),
            "table" => self.nesting.close_table(),
            "table-row" => {
                let rows = self.rows.min((MOST_REPEATED / self.columns.max(1)).max(1));
                if self.nesting.row_has_text() {
                    self.left_out = self.left_out.saturating_add(self.rows.saturating_sub(rows));
                }
                self.nesting.close_row(rows);
            }
            "table-cell" | "covered-table-cell" => self.nesting.close_cell(),
            "frame" | "custom-shape" => drop(self.frames.pop()),
            "notes" => {
                self.in_notes = false;
                self.notes = self.nesting.take_aside();
            }
            "page" => self.close_slide(),
            _ => {}
        }
    }

    /// Depth and number of the item that the paragraph which ends begins.
    fn item(&mut self) -> Option<(usize, Option<u64>)> {
        let depth = self.lists.len().checked_sub(1)?;
        let list = self.lists.last_mut()?;
        if !std::mem::take(&mut list.begins) {
            return None;
        }
        let is_numbered = list.style.as_deref().is_some_and(|style| self.styles.is_numbered(style, depth));
        Some((depth, is_numbered.then_some(list.number)))
    }

    fn close_slide(&mut self) {
        let (titles, blocks): (Vec<Block>, Vec<Block>) =
            self.nesting.take_aside().into_iter().partition(|block| matches!(block, Block::Heading(..)));
        let notes = std::mem::take(&mut self.notes);
        let title = match flattened(titles) {
            title if title.is_empty() && blocks.is_empty() && notes.is_empty() => return,
            // So that nobody takes it for a part of the slide before.
            title if title.is_empty() => format!("Slide {}", self.slides),
            title => title,
        };
        self.nesting.composer.place(Place::Slide(self.slides));
        self.nesting.put(Block::Heading(1, title));
        blocks.into_iter().for_each(|block| self.nesting.put(block));
        if !notes.is_empty() {
            self.nesting.put(Block::Heading(2, "Notes".to_owned()));
            notes.into_iter().for_each(|block| self.nesting.put(block));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::package::{extract, tests};
    use crate::place::{Mark, Place};

    fn read(kind: &str, body: &str, styles: &str) -> crate::extract::Extracted {
        let content =
            format!("<office:document-content>{styles}<office:body>{body}</office:body></office:document-content>");
        let shared = "<s><office:master-styles><style:master-page><style:header><text:p>Head</text:p></style:header>\
            <style:header-first><text:p>Head</text:p></style:header-first>\
            <style:footer><text:p><text:page-number>page 1</text:page-number></text:p></style:footer></style:master-page></office:master-styles></s>";
        let kind = format!("application/vnd.oasis.opendocument.{kind}");
        let parts = [("mimetype", kind.as_str()), ("content.xml", &content), ("styles.xml", shared)];
        extract(&tests::zipped(&parts)).unwrap()
    }

    #[test]
    fn texts_keep_their_structure() {
        let styles = "<style:style style:name='P1' style:parent-style-name='Title'/>\
            <text:list-style style:name='L1'><text:list-level-style-number text:level='1' style:num-format='1'/></text:list-style>";
        let body = "<office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:p text:style-name='P1'>Top</text:p>\
            <text:h text:outline-level='2'>Two</text:h><text:p>A<text:s/>b<text:note><text:note-citation>1</text:note-citation>\
            <text:note-body><text:p>note</text:p></text:note-body></text:note> c<office:annotation><text:p>gone</text:p></office:annotation></text:p>\
            <text:list text:style-name='L1'><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>dot</text:p>\
            </text:list-item></text:list></text:list-item><text:list-item><text:p>two</text:p></text:list-item></text:list>\
            <table:table><table:table-row><table:table-cell table:number-columns-spanned='2'><text:p>K</text:p></table:table-cell>\
            <table:covered-table-cell/></table:table-row><table:table-row table:number-rows-repeated='2'>\
            <table:table-cell><text:p>x</text:p></table:table-cell><table:table-cell table:number-columns-repeated='400'/>\
            </table:table-row></table:table></office:text>";
        let found = read("text", body, styles).content;
        let expected = "Head\n\n# Top\n\n## Two\n\nA b c\n\nnote\n\n1. one\n  - dot\n2. two\n\n| K |";
        assert!(found.starts_with(expected), "{found}");
        assert_eq!(found.matches("\n| x |").count(), 2);
        assert!(found.len() < 20_000 && !found.contains("gone"));
    }

    #[test]
    fn rows_that_repeat_others_without_end_are_left_out_and_named() {
        let row = |columns: &str| {
            format!(
                "<table:table-row table:number-rows-repeated='1000000'><table:table-cell><text:p>xyz</text:p></table:table-cell>\
                 <table:table-cell {columns}><text:p>more</text:p></table:table-cell></table:table-row>"
            )
        };
        let rows = [row(""), row("table:number-columns-repeated='16384'"), "<table:table-row/>".to_owned()].concat();
        let found = read("text", &format!("<office:text><table:table>{rows}</table:table></office:text>"), "");
        assert_eq!(found.content.matches("xyz").count(), 501);
        assert_eq!(found.warnings[0].message, "1999499 rows of tables were left out that repeat others");
    }

    #[test]
    fn programs_keep_their_lines() {
        let styles = "<style:style style:name='Preformatted_20_Text'><style:text-properties style:font-name='Liberation Mono'/></style:style>\
            <style:style style:name='P1' style:parent-style-name='Preformatted_20_Text'/>";
        let body = "<office:text><text:p>Before.</text:p><text:p text:style-name='P1'>if a:</text:p>\
            <text:p text:style-name='P1'><text:s/><text:s/>go()</text:p><text:p>After.</text:p></office:text>";
        assert_eq!(read("text", body, styles).content, "Head\n\nBefore.\n\n```\nif a:\n  go()\n```\n\nAfter.");
    }

    #[test]
    fn slides_have_their_places() {
        let frame = |class: &str, text: &str| {
            format!(
                "<draw:frame presentation:class='{class}'><draw:text-box><text:p>{text}</text:p></draw:text-box></draw:frame>"
            )
        };
        let notes = format!("<presentation:notes>{}</presentation:notes>", frame("notes", "Say it."));
        let body = format!(
            "<office:presentation><draw:page>{}{}{}{notes}</draw:page><draw:page>{}</draw:page></office:presentation>",
            frame("outline", "text"),
            frame("title", "First"),
            frame("footer", "gone"),
            frame("outline", "more"),
        );
        let found = read("presentation", &body, "");
        let expected = "Head\n\n# First\n\ntext\n\n## Notes\n\nSay it.\n\n# Slide 2\n\nmore";
        assert_eq!(found.content, expected);
        let marks = [("# First", 1), ("# Slide 2", 2)]
            .map(|(needle, slide)| Mark { at: expected.find(needle).unwrap(), place: Place::Slide(slide) });
        assert_eq!(found.marks, marks);
        assert_eq!(found.metadata["slide_count"], 2);
    }
}
