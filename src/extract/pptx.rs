//! Presentations (Office Open XML): the slides in their order, hidden ones too, with titles, lists, tables and notes.

use std::collections::HashMap;

use super::Extracted;
use super::alternative;
use super::chart::Charts;
use super::composer::Composer;
use super::fault::{Fault, Kind, Warning};
use super::nesting::{Block, Nesting};
use super::package::Package;
use super::properties::{Vocabulary, take_in};
use super::relationships;
use super::xml_events::{Element, Node, Nodes};
use crate::place::Place;

/// Slides that are read.
const MOST_SLIDES: usize = 20_000;
/// Levels of lists that are counted.
const DEEPEST: usize = 9;
/// Slides without text that are told one by one.
const MOST_WARNINGS: usize = 100;

/// The text of a presentation.
///
/// # Errors
/// [`Kind::Damaged`], [`Kind::TooComplex`], and [`Kind::NoTextLayer`] where its slides are pictures.
pub fn extract(package: &mut Package<'_>) -> Result<Extracted, Fault> {
    let main = relationships::main_part(package, "ppt/presentation.xml")?;
    let targets: HashMap<String, String> =
        relationships::of(package, &main)?.into_iter().map(|found| (found.id, found.target)).collect();
    let mut slides = Vec::new();
    let presentation = package.text(&main)?.unwrap_or_default();
    let mut nodes = Nodes::of(&presentation);
    while let Some(node) = nodes.next()? {
        let Node::Start(element) = node else { continue };
        // It has two: its own `id`, and `r:id`, which the relationships know.
        if element.name() == "sldId" && slides.len() < MOST_SLIDES {
            slides.extend(element.values("id").iter().find_map(|id| targets.get(id)).cloned());
        }
    }
    let mut nesting = Nesting::default();
    take_in(package, Vocabulary::OpenXml, &mut nesting.composer)?;
    nesting.composer.metadata.insert("slide_count".into(), slides.len().into());
    let mut pictures: Vec<u32> = Vec::new();
    for (number, slide) in (1..).zip(&slides) {
        nesting.composer.place(Place::Slide(number));
        let parts = relationships::of(package, slide)?;
        let mut shapes = Shapes { charts: Charts::of(package, &parts)?, ..Shapes::default() };
        shapes.read(&package.text(slide)?.unwrap_or_default(), &mut nesting)?;
        for part in parts.iter().filter(|part| part.kind == "diagramData") {
            shapes.read(&package.text(&part.target)?.unwrap_or_default(), &mut nesting)?;
        }
        if shapes.has_picture && shapes.titles.is_empty() && shapes.blocks.is_empty() {
            pictures.push(number);
        }
        let mut notes = Shapes { in_notes: true, ..Shapes::default() };
        for part in parts.iter().filter(|part| part.kind == "notesSlide") {
            notes.read(&package.text(&part.target)?.unwrap_or_default(), &mut nesting)?;
        }
        if shapes.titles.is_empty() && !(shapes.blocks.is_empty() && notes.blocks.is_empty()) {
            // So that nobody takes it for a part of the slide before.
            shapes.titles.push(format!("Slide {number}"));
        }
        nesting.put(Block::Heading(1, shapes.titles.join(" ")));
        shapes.blocks.into_iter().for_each(|block| nesting.put(block));
        if !notes.blocks.is_empty() {
            nesting.put(Block::Heading(2, "Notes".to_owned()));
            notes.blocks.into_iter().for_each(|block| nesting.put(block));
        }
        nesting.check()?;
    }
    tell_of_pictures(pictures, &mut nesting.composer)?;
    Ok(nesting.composer.finish(""))
}

/// Tells of slides that are nothing but pictures.
fn tell_of_pictures(slides: Vec<u32>, composer: &mut Composer) -> Result<(), Fault> {
    if slides.is_empty() {
        return Ok(());
    }
    if composer.is_empty() {
        return Err(Fault::new(Kind::NoTextLayer, "the presentation holds pictures and no text"));
    }
    let told = slides.iter().take(MOST_WARNINGS).map(|slide| format!("slide {slide} is a picture without text"));
    let more = (slides.len() > MOST_WARNINGS).then(|| "the same holds for further slides".to_owned());
    composer.warnings.extend(told.chain(more).map(|text| Warning::new(Kind::NoTextLayer, None, text)));
    composer.metadata.insert("slides_without_text".to_owned(), slides.into());
    Ok(())
}

/// The shapes of one slide, as far as they are read.
#[derive(Default)]
struct Shapes {
    in_notes: bool,
    titles: Vec<String>,
    blocks: Vec<Block>,
    placeholder: Placeholder,
    /// Number last given on each level of the open shape.
    counted: [Option<u64>; DEEPEST],
    paragraph: Paragraph,
    in_text: bool,
    has_picture: bool,
    in_picture: bool,
    charts: Charts,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Placeholder {
    /// A box of its own.
    #[default]
    None,
    Title,
    /// Whose paragraphs have bullets, unless they say otherwise.
    Body,
    Subtitle,
    /// Date, footer and number, which every slide repeats.
    Furniture,
}

#[derive(Default, Clone, Copy)]
struct Paragraph {
    depth: usize,
    bullet: Option<bool>,
    /// Where its number starts, if it has one.
    numbered: Option<u64>,
}

impl Shapes {
    fn read(&mut self, text: &str, nesting: &mut Nesting) -> Result<(), Fault> {
        let mut nodes = Nodes::of(text);
        self.placeholder = Placeholder::None;
        nesting.open_aside();
        while let Some(node) = nodes.next()? {
            nesting.check()?;
            match node {
                Node::Start(element) => {
                    if self.start(&element, nesting) {
                        nodes.skip()?;
                    }
                }
                Node::End(name) => self.end(&name, nesting),
                Node::Text(text) if self.in_text => nesting.text(&text),
                Node::Text(_) => {}
            }
        }
        self.collect(nesting);
        nesting.take_aside();
        Ok(())
    }

    fn start(&mut self, element: &Element<'_>, nesting: &mut Nesting) -> bool {
        match element.name() {
            "Fallback" => return true,
            "sp" | "graphicFrame" => {
                self.placeholder = Placeholder::None;
                self.counted = Default::default();
            }
            "ph" => self.placeholder = placeholder(&element.attribute("type").unwrap_or_default()),
            "blip" => self.has_picture = true,
            "pic" => {
                self.in_picture = true;
                self.placeholder = Placeholder::None;
            }
            "cNvPr" if self.in_picture => {
                alternative::text(element).into_iter().for_each(|text| nesting.put(Block::Paragraph(text)));
            }
            "chart" => self.charts.take(element).into_iter().for_each(|block| nesting.hang(block)),
            "fld" => return element.attribute("type").as_deref() == Some("slidenum"),
            "p" => {
                self.paragraph = Paragraph::default();
                nesting.open_paragraph();
            }
            "pPr" => self.paragraph.depth = element.number("lvl").unwrap_or(0).min(DEEPEST - 1),
            "buNone" => self.paragraph.bullet = Some(false),
            "buChar" | "buBlip" => self.paragraph.bullet = Some(true),
            "buAutoNum" => {
                let start = element.number("startAt").and_then(|start| u64::try_from(start).ok());
                self.paragraph = Paragraph { bullet: Some(true), numbered: Some(start.unwrap_or(1)), ..self.paragraph };
            }
            "t" => self.in_text = true,
            "br" => nesting.text("\n"),
            "tbl" => nesting.open_table(),
            "tc" => {
                nesting.open_cell(0);
                if element.attribute("vMerge").is_some_and(|merged| merged == "1" || merged == "true") {
                    nesting.continues();
                }
            }
            _ => {}
        }
        false
    }

    fn end(&mut self, name: &str, nesting: &mut Nesting) {
        match name {
            "t" => self.in_text = false,
            "p" => {
                let (paragraph, placeholder) = (self.paragraph, self.placeholder);
                let number = self.number();
                nesting.close_paragraph(|text| match placeholder {
                    Placeholder::Title => Block::Heading(1, text),
                    _ if paragraph.bullet.unwrap_or(placeholder == Placeholder::Body) => {
                        Block::Item { depth: paragraph.depth, number, text }
                    }
                    _ => Block::Paragraph(text),
                });
            }
            "tc" => nesting.close_cell(),
            "tr" => nesting.close_row(1),
            "tbl" => nesting.close_table(),
            "pic" => {
                self.in_picture = false;
                self.collect(nesting);
            }
            "sp" | "graphicFrame" => self.collect(nesting),
            _ => {}
        }
    }

    /// The number of the paragraph that ends.
    fn number(&mut self) -> Option<u64> {
        let depth = self.paragraph.depth;
        self.counted.iter_mut().skip(depth + 1).for_each(|deeper| *deeper = None);
        let counted = self.counted.get_mut(depth)?;
        *counted = self.paragraph.numbered.map(|start| counted.map_or(start, |last| last.saturating_add(1)));
        *counted
    }

    /// Takes what the shape that ends has left.
    fn collect(&mut self, nesting: &mut Nesting) {
        let blocks = nesting.take_aside();
        nesting.open_aside();
        let is_wanted = match self.placeholder {
            Placeholder::Furniture => false,
            // A page of notes shows its slide's title and text once more.
            placeholder => !self.in_notes || placeholder == Placeholder::Body,
        };
        for block in blocks.into_iter().filter(|_| is_wanted) {
            match block {
                Block::Heading(_, title) if !self.in_notes => self.titles.push(title),
                Block::Item { text, number: None, depth: 0 } if self.in_notes => {
                    self.blocks.push(Block::Paragraph(text))
                }
                block => self.blocks.push(block),
            }
        }
    }
}

fn placeholder(kind: &str) -> Placeholder {
    match kind {
        "title" | "ctrTitle" => Placeholder::Title,
        "subTitle" => Placeholder::Subtitle,
        "" | "body" | "obj" => Placeholder::Body,
        "dt" | "ftr" | "hdr" | "sldNum" | "sldImg" => Placeholder::Furniture,
        _ => Placeholder::None,
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::package::{extract, tests};

    const MAIN: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml";

    fn shape(placeholder: &str, paragraphs: &str) -> String {
        format!("<p:sp><p:nvPr>{placeholder}</p:nvPr><p:txBody>{paragraphs}</p:txBody></p:sp>")
    }

    fn p(properties: &str, text: &str) -> String {
        format!("<a:p>{properties}<a:r><a:t>{text}</a:t></a:r></a:p>")
    }

    #[test]
    fn slides_come_in_their_order_with_titles_lists_tables_and_notes() {
        let first = [
            shape("<p:ph type='body'/>", &[p("", "one"), p("<a:pPr lvl='1'/>", "deeper")].concat()),
            shape("<p:ph type='title'/>", &p("", "Points")),
            shape("<p:ph type='sldNum'/>", "<a:p><a:fld type='slidenum'><a:t>1</a:t></a:fld></a:p>"),
            shape(
                "",
                &[p("<a:pPr><a:buAutoNum/></a:pPr>", "a"), p("<a:pPr><a:buAutoNum/></a:pPr>", "b"), p("", "plain")]
                    .concat(),
            ),
        ]
        .concat();
        let cell = |text: &str| format!("<a:tc><a:txBody>{}</a:txBody></a:tc>", p("", text));
        let second = format!(
            "<p:graphicFrame><a:tbl><a:tr>{}{}</a:tr><a:tr>{}{}</a:tr></a:tbl></p:graphicFrame>",
            cell("K"),
            cell("V"),
            cell("x"),
            cell("1")
        );
        let notes =
            [shape("<p:ph type='title'/>", &p("", "Points")), shape("<p:ph type='body'/>", &p("", "Say it."))].concat();
        let slide = |content: &str| format!("<p:sld show='0'><p:spTree>{content}</p:spTree></p:sld>");
        let (first, second, notes) = (slide(&first), slide(&second), slide(&notes));
        let found = extract(&tests::zipped(&[
            ("[Content_Types].xml", &tests::types(MAIN)),
            ("ppt/presentation.xml", "<p:presentation><p:sldIdLst><p:sldId id='256' r:id='r2'/><p:sldId id='257' r:id='r1'/></p:sldIdLst></p:presentation>"),
            ("ppt/_rels/presentation.xml.rels", "<R><R Id='r1' Type='x/slide' Target='slides/a.xml'/><R Id='r2' Type='x/slide' Target='slides/b.xml'/></R>"),
            ("ppt/slides/a.xml", &second),
            ("ppt/slides/b.xml", &first),
            ("ppt/slides/_rels/b.xml.rels", "<R><R Id='n' Type='x/notesSlide' Target='../notes/n.xml'/></R>"),
            ("ppt/notes/n.xml", &notes),
        ]))
        .unwrap();
        assert_eq!(
            found.content,
            "# Points\n\n- one\n  - deeper\n1. a\n2. b\n\nplain\n\n## Notes\n\nSay it.\n\n# Slide 2\n\n| K | V |\n| --- | --- |\n| x | 1 |"
        );
        let at = |needle: &str| {
            let at = found.content.find(needle).unwrap();
            crate::place::locate(&found.marks, &found.content, 0, &(at..at + 1)).unwrap().to_string()
        };
        assert_eq!(["deeper", "Say", "| x"].map(at), ["slide 1", "slide 1", "slide 2"]);
        assert_eq!(found.metadata["slide_count"], 2);
    }

    #[test]
    fn pictures_keep_their_words_beside_the_number_of_a_slide() {
        let number = shape("<p:ph type='sldNum'/>", &p("", "7"));
        let picture = "<p:pic><p:nvPicPr><p:cNvPr id='4' descr='X-ray of a hand'/></p:nvPicPr></p:pic>";
        for slide in [format!("{number}{picture}"), format!("{picture}{number}")] {
            let found = extract(&deck(&[&slide], &[""], &[])).unwrap();
            assert!(found.content.ends_with("X-ray of a hand"), "{}", found.content);
        }
    }

    fn deck(slides: &[&str], relationships: &[&str], others: &[(&str, &str)]) -> Vec<u8> {
        let ids: String = (1..=slides.len()).map(|n| format!("<p:sldId r:id='r{n}'/>")).collect();
        let targets: String =
            (1..=slides.len()).map(|n| format!("<R Id='r{n}' Type='x/slide' Target='slides/{n}.xml'/>")).collect();
        let mut parts = vec![
            ("[Content_Types].xml".to_owned(), tests::types(MAIN)),
            ("ppt/presentation.xml".to_owned(), format!("<p:presentation>{ids}</p:presentation>")),
            ("ppt/_rels/presentation.xml.rels".to_owned(), format!("<R>{targets}</R>")),
        ];
        for (number, (slide, relationships)) in (1..).zip(slides.iter().zip(relationships)) {
            parts.push((format!("ppt/slides/{number}.xml"), format!("<p:sld><p:spTree>{slide}</p:spTree></p:sld>")));
            parts.push((format!("ppt/slides/_rels/{number}.xml.rels"), format!("<R>{relationships}</R>")));
        }
        parts.extend(others.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())));
        let parts: Vec<(&str, &str)> = parts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        tests::zipped(&parts)
    }

    #[test]
    fn charts_and_diagrams_stand_on_their_slides() {
        let chart = "<c:chartSpace><c:chart><c:ser><c:tx><c:v>North</c:v></c:tx><c:val><c:pt idx='0'><c:v>4</c:v></c:pt>\
            <c:pt idx='1'><c:v>5.5</c:v></c:pt></c:val></c:ser></c:chart></c:chartSpace>";
        let diagram = "<dgm:dataModel><dgm:pt><dgm:t><a:p><a:r><a:t>First step</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:dataModel>";
        let framed = "<p:graphicFrame><a:graphic><a:graphicData><c:chart r:id='c'/></a:graphicData></a:graphic></p:graphicFrame>";
        let first = [framed, &shape("", &p("", "Below it"))].concat();
        let found = extract(&deck(
            &[&first, "<p:graphicFrame/>"],
            &["<R Id='c' Type='x/chart' Target='../c.xml'/>", "<R Id='d' Type='x/diagramData' Target='../d.xml'/>"],
            &[("ppt/c.xml", chart), ("ppt/d.xml", diagram)],
        ))
        .unwrap();
        assert_eq!(
            found.content,
            "# Slide 1\n\n|  | North |\n| --- | --- |\n|  | 4 |\n|  | 5.5 |\n\nBelow it\n\n# Slide 2\n\nFirst step"
        );
    }

    #[test]
    fn a_slide_that_is_a_picture_says_so() {
        let picture = "<p:pic><p:blipFill><a:blip r:embed='i'/></p:blipFill></p:pic>";
        let said = shape("", &p("", "Words"));
        let found = extract(&deck(&[&said, picture, &[picture, &said].concat(), ""], &[""; 4], &[])).unwrap();
        let warnings: Vec<(&str, &str)> =
            found.warnings.iter().map(|warning| (warning.code.as_str(), warning.message.as_str())).collect();
        assert_eq!(warnings, [("no_text_layer", "slide 2 is a picture without text")]);
        assert_eq!(found.metadata["slides_without_text"], serde_json::json!([2]));
        let fault = extract(&deck(&[picture], &[""], &[])).unwrap_err();
        assert_eq!(fault.kind, crate::extract::Kind::NoTextLayer);
    }
}
