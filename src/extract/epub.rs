//! Books (EPUB): the chapters in the order of the spine, each read as the web page that it is.

use std::collections::HashMap;

use super::composer::Composer;
use super::fault::{Fault, Kind, Warning};
use super::package::{Package, resolve};
use super::properties::{self, Vocabulary};
use super::xml_events::{Node, Nodes};
use super::{Extracted, html};

/// Chapters that are read.
const MOST_CHAPTERS: usize = 20_000;

/// The text of a book.
///
/// # Errors
/// [`Kind::Damaged`] and [`Kind::TooComplex`].
pub fn extract(package: &mut Package<'_>) -> Result<Extracted, Fault> {
    let place = package_file(package)?;
    let text = package.text(&place)?.unwrap_or_default();
    let mut composer = Composer::default();
    properties::read(&text, Vocabulary::Book, &mut composer)?;
    for chapter in spine(&text)? {
        let target = resolve(&place, &percent_decoded(&chapter));
        match package.text(&target) {
            Ok(Some(text)) => append(&mut composer, html::extract(&text)),
            Ok(None) => {
                composer.warnings.push(Warning::new(Kind::Damaged, None, format!("the chapter {target} is missing")))
            }
            Err(fault) if fault.kind == Kind::Damaged => {
                composer.warnings.push(Warning::new(fault.kind, None, fault.message));
            }
            Err(fault) => return Err(fault),
        }
        composer.check()?;
    }
    Ok(composer.finish(""))
}

/// Adds a chapter. One without any heading gets its title for one, so that it is no part of the chapter before.
fn append(composer: &mut Composer, chapter: Extracted) {
    let has_heading = chapter.content.lines().any(|line| line.starts_with('#'));
    let title = chapter.title.as_deref().filter(|title| composer.title.as_deref() != Some(title));
    if let Some(title) = title.filter(|_| !has_heading && !chapter.content.trim().is_empty()) {
        composer.heading(1, title);
    }
    composer.append(&chapter, 0, None);
}

/// The name of the part that says what the book is made of.
fn package_file(package: &mut Package<'_>) -> Result<String, Fault> {
    let container = package.text("META-INF/container.xml")?.unwrap_or_default();
    let mut nodes = Nodes::of(&container);
    while let Some(node) = nodes.next()? {
        // A book may come in several renditions; the first is the usual one.
        if let Node::Start(element) = node
            && element.name() == "rootfile"
            && let Some(path) = element.attribute("full-path").map(|path| percent_decoded(&path))
            && package.has(&path)
        {
            return Ok(path);
        }
    }
    let found = package.names().filter(|name| name.ends_with(".opf")).min().map(str::to_owned);
    found.ok_or_else(|| Fault::new(Kind::Damaged, "the file is damaged: nothing in it tells its chapters"))
}

/// Where the chapters are, in their order.
fn spine(text: &str) -> Result<Vec<String>, Fault> {
    let (mut items, mut order) = (HashMap::new(), Vec::new());
    let mut nodes = Nodes::of(text);
    while let Some(node) = nodes.next()? {
        let Node::Start(element) = node else { continue };
        match element.name() {
            "item" => {
                let kind = element.attribute("media-type").unwrap_or_default();
                if let (Some(id), Some(target), true) =
                    (element.attribute("id"), element.attribute("href"), kind.contains("html"))
                {
                    items.insert(id, target);
                }
            }
            "itemref" if order.len() < MOST_CHAPTERS => order.extend(element.attribute("idref")),
            _ => {}
        }
    }
    // Each once: a spine that names one chapter over and over is no longer book.
    Ok(order.iter().filter_map(|id| items.remove(id)).collect())
}

fn percent_decoded(path: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), path.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.filter(|_| *first == b'%').and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use crate::extract::package::{extract, tests};

    #[test]
    fn chapters_come_in_the_order_of_the_spine() {
        let item =
            |id: &str, target: &str| format!("<item id='{id}' href='{target}' media-type='application/xhtml+xml'/>");
        let opf = format!(
            "<package><metadata><dc:title>Book</dc:title><dc:creator>Kim</dc:creator><dc:language>en</dc:language></metadata>\
             <manifest>{}{}{}<item id='css' href='x.css' media-type='text/css'/></manifest>\
             <spine><itemref idref='b'/><itemref idref='css'/><itemref idref='lost'/><itemref idref='a'/><itemref idref='b'/></spine></package>",
            item("a", "text/a%20b.xhtml#start"),
            item("b", "../c.xhtml"),
            item("lost", "lost.xhtml"),
        );
        let found = extract(&tests::zipped(&[
            ("mimetype", "application/epub+zip"),
            (
                "META-INF/container.xml",
                "<container><rootfiles><rootfile full-path='lost.opf'/><rootfile full-path='ops/book.opf'/></rootfiles></container>",
            ),
            ("ops/book.opf", &opf),
            (
                "ops/text/a b.xhtml",
                "<html><head><title>Untitled chapter</title></head><body><p>Second.</p></body></html>",
            ),
            ("c.xhtml", "<html><body><h1>One</h1><p>First.</p></body></html>"),
        ]))
        .unwrap();
        assert_eq!(found.content, "# One\n\nFirst.\n\n# Untitled chapter\n\nSecond.");
        assert_eq!((found.title.as_deref(), &found.metadata["author"]), (Some("Book"), &"Kim".into()));
        assert_eq!(found.warnings.len(), 1);
    }
}
