//! Word documents (Office Open XML): the body in its order, with headings, lists, tables, notes and text boxes.
//!
//! As people see it when all changes are accepted: deletions, comments, hidden text and fields' instructions go.

mod lists;
mod styles;

use std::collections::{HashMap, HashSet};

use super::Extracted;
use super::alternative;
use super::chart::Charts;
use super::fault::{Fault, Kind, Warning};
use super::monospaced::is_monospaced;
use super::nesting::{Block, Nesting, flattened};
use super::package::Package;
use super::properties::{Vocabulary, take_in};
use super::relationships::{self, Relationship};
use super::xml_events::{Element, Node, Nodes};
use lists::Lists;
pub use styles::promised_level;
use styles::{Shape, Styles};

/// Bytes of text beside each picture from which it is taken for decoration.
const BESIDE_PICTURE: usize = 200;
/// Fields within each other at most.
const DEEPEST_FIELD: usize = 100;

/// The text of a document.
///
/// # Errors
/// [`Kind::Damaged`], [`Kind::TooComplex`], and [`Kind::NoTextLayer`] where it is pictures alone.
pub fn extract(package: &mut Package<'_>) -> Result<Extracted, Fault> {
    let room = package.room();
    let mut reader = read(package, false)?;
    // A document that is typed in such letters throughout is no program.
    if 2 * reader.code > reader.said {
        // What is read once more counts once.
        package.make_room(room);
        reader = read(package, true)?;
    }
    let Reader { pictures, nesting, .. } = reader;
    let mut found = nesting.composer.finish("");
    match pictures {
        0 => {}
        _ if found.content.trim().is_empty() => {
            return Err(Fault::new(Kind::NoTextLayer, "the document holds pictures and no text"));
        }
        // Letters have logos; where there is hardly any text beside them, they are what it is about.
        _ if found.content.len() < BESIDE_PICTURE * pictures => {
            let text = format!("its pictures ({pictures}) were not read");
            found.warnings.push(Warning::new(Kind::NoTextLayer, None, text));
        }
        _ => {}
    }
    Ok(found)
}

fn read(package: &mut Package<'_>, is_typed: bool) -> Result<Reader, Fault> {
    let main = relationships::main_part(package, "word/document.xml")?;
    let parts = relationships::of(package, &main)?;
    let mut reader = Reader { is_typed, ..Reader::default() };
    take_in(package, Vocabulary::OpenXml, &mut reader.nesting.composer)?;
    for part in &parts {
        match part.kind.as_str() {
            "styles" => reader.styles = Styles::read(&package.text(&part.target)?.unwrap_or_default())?,
            "numbering" => reader.lists = Lists::read(&package.text(&part.target)?.unwrap_or_default())?,
            _ => {}
        }
    }
    for part in parts.iter().filter(|part| matches!(part.kind.as_str(), "footnotes" | "endnotes")) {
        reader.read(&package.text(&part.target)?.unwrap_or_default())?;
    }
    reader.furniture(package, &parts, "header")?;
    reader.charts = Charts::of(package, &parts)?;
    let body = package.text(&main)?.unwrap_or_default();
    reader.read(&body)?;
    drop(body);
    // Notes that nothing refers to.
    let mut notes: Vec<_> = std::mem::take(&mut reader.notes).into_iter().collect();
    notes.sort();
    notes.into_iter().for_each(|(_, note)| reader.nesting.put(Block::Paragraph(note)));
    reader.furniture(package, &parts, "footer")?;
    reader.nesting.check()?;
    Ok(reader)
}

#[derive(Default)]
struct Reader {
    nesting: Nesting,
    styles: Styles,
    lists: Lists,
    charts: Charts,
    /// Notes that have not been referred to yet, by `footnote` or `endnote` and their number.
    notes: HashMap<(String, String), String>,
    /// The note that is being read.
    note: Option<(String, String)>,
    /// Properties of the open paragraphs, the innermost last.
    paragraphs: Vec<Properties>,
    /// For each open field, whether its result has begun.
    fields: Vec<bool>,
    /// The open run's text is not shown.
    is_hidden: bool,
    /// Whether the open run's font, where it has one of its own, is one of letters of one width.
    is_monospaced: Option<bool>,
    in_text: bool,
    in_row_properties: bool,
    /// The open row was deleted.
    is_row_deleted: bool,
    /// Columns before the open row's first cell.
    skipped: usize,
    /// Texts of headers and footers that were written.
    seen: HashSet<String>,
    pictures: usize,
    /// Bytes of the text, and of that of them which is code.
    said: usize,
    code: usize,
    /// Whether letters of one width say nothing.
    is_typed: bool,
}

#[derive(Default)]
struct Properties {
    style: Option<String>,
    outline: Option<usize>,
    list: Option<String>,
    depth: Option<usize>,
    /// Bytes of its text in a font of letters of one width, in another, and in that of its style.
    monospaced: usize,
    proportional: usize,
    styled: usize,
}

impl Reader {
    /// Headers or footers, each text once however many sections and pages repeat it.
    fn furniture(&mut self, package: &mut Package<'_>, parts: &[Relationship], kind: &str) -> Result<(), Fault> {
        for part in parts.iter().filter(|part| part.kind == kind) {
            let text = package.text(&part.target)?.unwrap_or_default();
            self.nesting.open_aside();
            self.read(&text)?;
            for block in self.nesting.take_aside() {
                let said = flattened(vec![block.clone()]).trim().to_owned();
                // The number of a page alone says nothing.
                if said.chars().any(char::is_alphabetic) && self.seen.insert(said) {
                    self.nesting.put(match block {
                        Block::Heading(_, text) | Block::Item { text, .. } => Block::Paragraph(text),
                        other => other,
                    });
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, text: &str) -> Result<(), Fault> {
        let mut nodes = Nodes::of(text);
        while let Some(node) = nodes.next()? {
            self.nesting.check()?;
            match node {
                Node::Start(element) => {
                    if self.start(&element) {
                        nodes.skip()?;
                    }
                }
                Node::End(name) => self.end(&name),
                Node::Text(text) if self.in_text => self.say(&text),
                Node::Text(_) => {}
            }
        }
        Ok(())
    }

    fn say(&mut self, text: &str) {
        if !self.is_hidden && self.fields.iter().all(|in_result| *in_result) {
            self.nesting.text(text);
            if let Some(properties) = self.paragraphs.last_mut() {
                let written = text.trim().len();
                match self.is_monospaced {
                    Some(true) => properties.monospaced += written,
                    Some(false) => properties.proportional += written,
                    None => properties.styled += written,
                }
            }
        }
    }

    /// Takes in the beginning of an element, and tells whether to pass over the rest of it.
    fn start(&mut self, element: &Element<'_>) -> bool {
        match element.name() {
            "p" => {
                self.paragraphs.push(Properties::default());
                self.nesting.open_paragraph();
            }
            // What was deleted or moved away, what was before a change, and definitions without text.
            "del" if self.in_row_properties => {
                self.is_row_deleted = true;
                return true;
            }
            "del" | "moveFrom" | "delText" | "pPrChange" | "rPrChange" | "tcPrChange" | "trPrChange"
            | "tblPrChange" | "sectPrChange" | "instrText" | "sdtPr" | "tabs" | "tblGrid" | "rt" => return true,
            // The same content once more, for older readers.
            "Fallback" => return true,
            "r" => (self.is_hidden, self.is_monospaced) = (false, None),
            "rFonts" => self.is_monospaced = element.attribute("ascii").map(|font| is_monospaced(&font)),
            "vanish" => self.is_hidden = element.is_on(),
            "t" => self.in_text = true,
            "tab" | "ptab" => self.say("\t"),
            "br" | "cr" => self.say("\n"),
            "noBreakHyphen" => self.say("-"),
            "fldChar" => self.field(&element.attribute("fldCharType").unwrap_or_default()),
            "footnoteReference" => self.refer("footnote", element),
            "endnoteReference" => self.refer("endnote", element),
            "footnote" | "endnote" => {
                self.note = Some((element.name().to_owned(), element.attribute("id").unwrap_or_default()));
                self.nesting.open_aside();
            }
            "txbxContent" => self.nesting.open_aside(),
            "blip" | "imagedata" => self.pictures += 1,
            "docPr" => {
                alternative::text(element).into_iter().for_each(|text| self.nesting.hang(Block::Paragraph(text)))
            }
            "chart" => self.charts.take(element).into_iter().for_each(|block| self.nesting.hang(block)),
            "tbl" => self.nesting.open_table(),
            "tr" => (self.is_row_deleted, self.skipped) = (false, 0),
            "trPr" => self.in_row_properties = true,
            "gridBefore" => self.skipped = element.number("val").unwrap_or(0),
            "tc" => self.nesting.open_cell(std::mem::take(&mut self.skipped)),
            "gridSpan" => self.nesting.span(element.number("val").unwrap_or(1)),
            "vMerge" if element.val().as_deref() != Some("restart") => self.nesting.continues(),
            _ => self.property(element),
        }
        false
    }

    fn end(&mut self, name: &str) {
        match name {
            "p" => {
                // An instruction that does not end with its paragraph would take the rest of the document with it.
                while self.fields.pop_if(|in_result| !*in_result).is_some() {}
                let properties = self.paragraphs.pop().unwrap_or_default();
                let (styles, lists, is_typed) = (&self.styles, &mut self.lists, self.is_typed);
                let (said, code) = (&mut self.said, &mut self.code);
                self.nesting.close_paragraph(|text| {
                    *said += text.len();
                    match block(text, properties, styles, lists) {
                        Block::Code(text) if is_typed => Block::Paragraph(text),
                        Block::Code(text) => {
                            *code += text.len();
                            Block::Code(text)
                        }
                        other => other,
                    }
                });
            }
            "t" => self.in_text = false,
            "trPr" => self.in_row_properties = false,
            "footnote" | "endnote" => {
                let text = flattened(self.nesting.take_aside());
                if let Some(note) = self.note.take().filter(|_| !text.trim().is_empty()) {
                    self.notes.insert(note, text);
                }
            }
            "txbxContent" => self.nesting.close_aside(),
            "tbl" => self.nesting.close_table(),
            "tr" => self.nesting.close_row(usize::from(!std::mem::take(&mut self.is_row_deleted))),
            "tc" => self.nesting.close_cell(),
            _ => {}
        }
    }

    fn property(&mut self, element: &Element<'_>) {
        let Some(properties) = self.paragraphs.last_mut() else { return };
        match element.name() {
            "pStyle" => properties.style = element.val(),
            "outlineLvl" => properties.outline = element.number("val"),
            "numId" => properties.list = element.val(),
            "ilvl" => properties.depth = element.number("val"),
            _ => {}
        }
    }

    fn field(&mut self, kind: &str) {
        match kind {
            "begin" if self.fields.len() < DEEPEST_FIELD => self.fields.push(false),
            "separate" => {
                if let Some(in_result) = self.fields.last_mut() {
                    *in_result = true;
                }
            }
            "end" => drop(self.fields.pop()),
            _ => {}
        }
    }

    /// A note follows the paragraph that refers to it first.
    fn refer(&mut self, kind: &str, element: &Element<'_>) {
        let id = element.attribute("id").unwrap_or_default();
        if let Some(note) = self.notes.remove(&(kind.to_owned(), id)) {
            self.nesting.hang(Block::Paragraph(note));
        }
    }
}

impl Properties {
    /// Whether it is a program, or what a machine prints: all in letters of one width.
    fn is_code(&self, is_style_monospaced: bool) -> bool {
        let other = self.proportional + if is_style_monospaced { 0 } else { self.styled };
        other == 0 && self.monospaced + self.styled > 0
    }
}

/// What a paragraph is, by its own properties before those of its style.
fn block(text: String, properties: Properties, styles: &Styles, lists: &mut Lists) -> Block {
    let shape = properties.style.as_deref().map(|style| styles.shape(style)).unwrap_or_default();
    let Shape { heading, list, depth, indent, is_monospaced } = shape;
    let is_code = properties.is_code(is_monospaced);
    let heading = match properties.outline {
        Some(outline) => (outline < 9).then_some(outline + 1),
        None => heading,
    };
    let depth = properties.depth.or(depth).unwrap_or(0);
    let item = properties.list.or(list).and_then(|list| lists.next(&list, depth));
    match (heading, item) {
        (Some(level), Some(item)) => Block::Heading(level, item.labelled(&text)),
        (Some(level), None) => Block::Heading(level, text),
        // What Markdown has no sign for is said as the document says it.
        (None, Some(item)) if item.number.is_none() && !item.label.is_empty() => Block::Paragraph(item.labelled(&text)),
        (None, Some(item)) => Block::Item { depth: depth.max(indent), number: item.number, text },
        (None, None) if is_code => Block::Code(text),
        (None, None) => Block::Paragraph(text),
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::package::{extract, tests};

    fn read(body: &str, others: &[(&str, &str, &str)]) -> String {
        found(body, others).unwrap().content
    }

    fn found(body: &str, others: &[(&str, &str, &str)]) -> Result<crate::extract::Extracted, crate::extract::Fault> {
        let relationships: String = others
            .iter()
            .map(|(kind, name, _)| format!("<Relationship Id='{name}' Type='http://x/{kind}' Target='{name}'/>"))
            .collect();
        let relationships = format!("<Relationships>{relationships}</Relationships>");
        let body = format!("<w:document><w:body>{body}</w:body></w:document>");
        let types = tests::types(tests::DOCX);
        let mut parts = vec![
            ("[Content_Types].xml".to_owned(), types.as_str()),
            ("word/document.xml".to_owned(), &body),
            ("word/_rels/document.xml.rels".to_owned(), &relationships),
        ];
        parts.extend(others.iter().map(|(_, name, text)| (format!("word/{name}"), *text)));
        let parts: Vec<(&str, &str)> = parts.iter().map(|(name, text)| (name.as_str(), *text)).collect();
        extract(&tests::zipped(&parts))
    }

    fn p(text: &str) -> String {
        format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>")
    }

    #[test]
    fn changes_are_taken_as_accepted_and_instructions_go() {
        let body = "<w:p><w:ins><w:r><w:t>new </w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del>\
            <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:fldChar w:fldCharType='begin'/></w:r>\
            <w:r><w:instrText>DATE x</w:instrText><w:t>y</w:t></w:r><w:r><w:fldChar w:fldCharType='separate'/></w:r>\
            <w:r><w:t>today</w:t></w:r><w:r><w:fldChar w:fldCharType='end'/><w:tab/><w:t>link</w:t></w:r></w:p>\
            <w:p><w:r><w:fldChar w:fldCharType='begin'/></w:r></w:p>";
        assert_eq!(read(&(body.to_owned() + &p("after")), &[]), "new today link\n\nafter");
    }

    #[test]
    fn boxes_come_once_and_notes_where_they_are_referred_to() {
        let boxed = format!("<w:txbxContent>{}</w:txbxContent>", p("In a box."));
        let body = format!(
            "<w:p><w:r><w:t>Text</w:t><w:footnoteReference w:id='2'/><mc:AlternateContent><mc:Choice>{boxed}</mc:Choice>\
             <mc:Fallback>{boxed}</mc:Fallback></mc:AlternateContent><w:t> goes on.</w:t></w:r></w:p>{}",
            p("Next.")
        );
        let notes = format!(
            "<w:footnotes><w:footnote w:id='2'>{}</w:footnote><w:footnote w:id='3'>{}</w:footnote></w:footnotes>",
            p("A note."),
            p("Nobody's.")
        );
        let header = format!("<w:hdr>{}{}</w:hdr>", p("Company"), p("12"));
        let others =
            [("footnotes", "f.xml", notes.as_str()), ("header", "h1.xml", &header), ("header", "h2.xml", &header)];
        assert_eq!(read(&body, &others), "Company\n\nText goes on.\n\nA note.\n\nIn a box.\n\nNext.\n\nNobody's.");
    }

    #[test]
    fn headings_and_lists_follow_styles_and_numbering() {
        let paragraph = |properties: &str, text: &str| {
            format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
        };
        let item = |depth: usize, text: &str| {
            paragraph(&format!("<w:numPr><w:ilvl w:val='{depth}'/><w:numId w:val='1'/></w:numPr>"), text)
        };
        let body = [
            paragraph("<w:pStyle w:val='berschrift1'/>", "Top"),
            paragraph("<w:outlineLvl w:val='1'/>", "Outlined"),
            item(0, "one"),
            item(1, "dot"),
            item(0, "two"),
        ]
        .concat();
        let styles = "<styles><style styleId='berschrift1'><name val='heading 1'/></style></styles>";
        let numbering = "<numbering><abstractNum abstractNumId='0'><lvl ilvl='0'><numFmt val='decimal'/></lvl>\
            <lvl ilvl='1'><numFmt val='bullet'/></lvl></abstractNum><num numId='1'><abstractNumId val='0'/></num></numbering>";
        let others = [("styles", "styles.xml", styles), ("numbering", "n.xml", numbering)];
        assert_eq!(read(&body, &others), "# Top\n\n## Outlined\n\n1. one\n  - dot\n2. two");
    }

    #[test]
    fn clauses_keep_their_numbers_in_text_and_tables() {
        let clause = |depth: usize, text: &str| {
            let properties = format!("<w:pPr><w:numPr><w:ilvl w:val='{depth}'/><w:numId w:val='1'/></w:numPr></w:pPr>");
            format!("<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>")
        };
        let level = |depth: usize, format: &str, text: &str| {
            format!("<lvl ilvl='{depth}'><numFmt val='{format}'/><lvlText val='{text}'/></lvl>")
        };
        let levels = [level(0, "decimal", "%1."), level(1, "decimal", "%1.%2"), level(2, "lowerLetter", "(%3)")];
        let numbering = format!(
            "<numbering><abstractNum abstractNumId='0'>{}</abstractNum><num numId='1'><abstractNumId val='0'/></num></numbering>",
            levels.concat()
        );
        let cell =
            format!("<w:tbl><w:tr><w:tc>{}</w:tc><w:tc>{}</w:tc></w:tr></w:tbl>", clause(0, "d"), clause(2, "e"));
        let body = [clause(0, "Rent"), clause(1, "It is due."), clause(2, "a"), clause(2, "b"), cell].concat();
        assert_eq!(
            read(&body, &[("numbering", "n.xml", &numbering)]),
            "1. Rent\n\n1.1 It is due.\n\n(a) a\n\n(b) b\n\n| 2. d | (a) e |\n| --- | --- |"
        );
    }

    #[test]
    fn programs_keep_their_lines_and_letters_of_one_width_alone_make_none() {
        let styled = |style: &str, text: &str| {
            let style = format!("<w:pPr><w:pStyle w:val='{style}'/></w:pPr>");
            format!("<w:p>{style}<w:r><w:t xml:space='preserve'>{text}</w:t></w:r></w:p>")
        };
        let set = |text: &str| {
            format!(
                "<w:p><w:r><w:rPr><w:rFonts w:ascii='Consolas'/></w:rPr><w:t xml:space='preserve'>{text}</w:t></w:r></w:p>"
            )
        };
        let styles = "<styles><style styleId='Source'><name val='Source Code'/><rPr><rFonts ascii='Courier New'/></rPr></style>\
            <style styleId='Own'><basedOn val='Source'/></style></styles>";
        let others = [("styles", "s.xml", styles)];
        let prose = p("This is how it is done, and why it has to be done in this way and in no other, as a rule.");
        let body =
            [&prose, &styled("Own", "fn main() {"), "<w:p/>", &styled("Source", "    go(`a`);"), &set("}"), &prose]
                .concat();
        let text = "This is how it is done, and why it has to be done in this way and in no other, as a rule.";
        assert_eq!(read(&body, &others), format!("{text}\n\n```\nfn main() {{\n\n    go(`a`);\n}}\n```\n\n{text}"));
        assert_eq!(
            read(&[set("Dear Sir,"), p("yes."), set("we write.")].concat(), &[]),
            "Dear Sir,\n\nyes.\n\nwe write."
        );
        let mixed = "<w:p><w:r><w:t>Call </w:t></w:r><w:r><w:rPr><w:rFonts w:ascii='Consolas'/></w:rPr><w:t>go()</w:t></w:r></w:p>";
        assert_eq!(read(mixed, &[]), "Call go()");
    }

    #[test]
    fn a_chart_follows_the_paragraph_that_it_stands_in() {
        let chart = "<chartSpace><chart><title><tx><rich><p><r><t>Sales</t></r></p></rich></tx></title><ser>\
            <tx><v>North</v></tx><cat><strLit><pt idx='0'><v>May</v></pt></strLit></cat><val><numLit><pt idx='0'><v>4</v></pt></numLit></val>\
            </ser></chart></chartSpace>";
        let placed = "<w:p><w:r><w:t>Before</w:t><w:drawing><a:graphic><c:chart r:id='c.xml'/></a:graphic></w:drawing></w:r></w:p>";
        let expected = "Before\n\nSales\n\n|  | North |\n| --- | --- |\n| May | 4 |\n\nBefore";
        assert_eq!(read(&[placed, placed].concat(), &[("chart", "c.xml", chart)]), expected);
    }

    #[test]
    fn pictures_say_what_their_author_says_of_them() {
        let picture =
            |text: &str| format!("<w:p><w:r><w:drawing><wp:docPr id='1' descr='{text}'/></w:drawing></w:r></w:p>");
        let body =
            picture("X-ray of the left hand") + &picture("A dog. Description automatically generated") + &picture("");
        assert_eq!(read(&(p("Before.") + &body), &[]), "Before.\n\nX-ray of the left hand");
    }

    #[test]
    fn a_document_of_pictures_says_so() {
        let scan = "<w:p><w:r><w:drawing><a:blip r:embed='r1'/></w:drawing></w:r></w:p>";
        let found = found(&(p("Page one.") + scan), &[]).unwrap();
        assert_eq!((found.content.as_str(), found.warnings[0].code.as_str()), ("Page one.", "no_text_layer"));
        assert_eq!(crate::extract::Kind::NoTextLayer, self::found(scan, &[]).unwrap_err().kind);
        assert!(self::found(&(p(&"word ".repeat(100)) + scan), &[]).unwrap().warnings.is_empty());
    }

    #[test]
    fn merged_cells_and_tables_within_tables_are_flattened() {
        let cell = |properties: &str, content: &str| format!("<w:tc><w:tcPr>{properties}</w:tcPr>{content}</w:tc>");
        let inner = format!("<w:tbl><w:tr>{}{}</w:tr></w:tbl>", cell("", &p("i")), cell("", &p("j")));
        let body = format!(
            "<w:tbl><w:tr>{}{}</w:tr><w:tr>{}{}{}</w:tr><w:tr>{}{}{}</w:tr>\
             <w:tr><w:trPr><w:del/></w:trPr>{}</w:tr></w:tbl><w:tbl><w:tr>{}</w:tr></w:tbl>",
            cell("<w:gridSpan w:val='2'/>", &p("wide")),
            cell("", &p("c")),
            cell("<w:vMerge w:val='restart'/>", &p("tall")),
            cell("", &p("1|2")),
            cell("", &(p("a") + &p("b"))),
            cell("<w:vMerge/>", "<w:p/>"),
            cell("", &inner),
            cell("", "<w:p/>"),
            cell("", &p("gone")),
            cell("", &p("A frame.")),
        );
        let expected = "| wide |  | c |\n| --- | --- | --- |\n| tall | 1\\|2 | a b |\n| tall | i, j |  |\n\nA frame.";
        assert_eq!(read(&body, &[]), expected);
    }
}
