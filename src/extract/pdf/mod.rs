//! PDF: letters placed on pages, made into headings, paragraphs, lists and tables in the order they are read in.
//!
//! The interpreter of page descriptions is the `hayro-interpret` crate; all that is known of layout is in here.

mod about;
mod aligned;
mod bounds;
mod code;
mod columns;
mod continued;
mod furniture;
mod glyphs;
mod headings;
mod hyphens;
mod labels;
mod markers;
mod page;
mod paragraphs;
mod scan;
mod segments;
mod tables;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use hayro_interpret::InterpreterCache;
use hayro_interpret::hayro_syntax::object::Dict;
use hayro_interpret::hayro_syntax::{LoadPdfError, Pdf};

use super::composer::Composer;
use super::scans::{LARGEST as LARGEST_SCANS, MOST as MOST_SCANS};
use super::{Extracted, Fault, Format, Kind, Scan, Warning};
use crate::place::Place;
use headings::Headings;
use hyphens::Words;
use markers::Marker;
use paragraphs::{Paragraph, Part};

/// Bytes at the end of a file in which its end is looked for.
const TAIL: usize = 4 << 10;
/// Pages that are read of one document.
const MOST_PAGES: usize = 20_000;
/// Time in which pages are begun; those that are left when it is over are left out.
const LONGEST: Duration = Duration::from_secs(80);
/// Warnings of one kind that are given page by page.
const MOST_WARNINGS: usize = 100;

/// Makes text of a PDF.
///
/// # Errors
/// [`Kind::Encrypted`], [`Kind::Damaged`], [`Kind::TooComplex`]; [`Kind::NoTextLayer`] where no page holds text and
/// `wants_scans` is not set.
pub fn extract(bytes: &[u8], wants_scans: bool) -> Result<Extracted, Fault> {
    bounds::check(bytes)?;
    let pdf = open(bytes)?;
    let mut composer = Composer::default();
    let _ = catch_unwind(AssertUnwindSafe(|| about::describe(&pdf, &mut composer)));
    let outline = catch_unwind(AssertUnwindSafe(|| about::outline(&pdf))).unwrap_or_default();
    composer.metadata.insert("page_count".to_owned(), pdf.pages().len().into());
    if pdf.pages().len() > MOST_PAGES {
        let text = format!("only the first {MOST_PAGES} of its {} pages were read", pdf.pages().len());
        composer.warnings.push(Warning::new(Kind::TooComplex, None, text));
    }
    missing(&pdf, &mut composer);
    if breaks_off(bytes) {
        let text = "the file breaks off: what could be found of it was read";
        composer.warnings.push(Warning::new(Kind::Damaged, None, text));
    }

    let pages = read(&pdf, &mut composer);
    compose(&pdf, pages, outline, wants_scans, &mut composer)?;
    judge(&composer)?;
    Ok(composer.finish(Format::Pdf.media_type()))
}

fn open(bytes: &[u8]) -> Result<Pdf, Fault> {
    match catch_unwind(AssertUnwindSafe(|| Pdf::new(bytes.to_vec()))) {
        Ok(Ok(pdf)) if pdf.pages().is_empty() => Err(Fault::damaged("it has no page")),
        Ok(Ok(pdf)) => Ok(pdf),
        Ok(Err(LoadPdfError::Decryption(_))) => {
            Err(Fault::new(Kind::Encrypted, "the document is encrypted and opens with a password alone"))
        }
        Ok(Err(LoadPdfError::Invalid)) | Err(_) => Err(Fault::damaged("its pages cannot be found")),
    }
}

/// Whether the end is missing that every document has (ISO 32000-2, 7.5.5), within the bytes that readers look in.
fn breaks_off(bytes: &[u8]) -> bool {
    let tail = bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or(bytes);
    !tail.windows(5).any(|part| part == b"%%EOF")
}

/// Tells of pages that the document counts and that are not there.
fn missing(pdf: &Pdf, composer: &mut Composer) {
    let root: Option<Dict<'_>> = pdf.xref().get(pdf.xref().root_id());
    let counted = root.and_then(|root| root.get::<Dict<'_>>(b"Pages")?.get::<u32>(b"Count")).unwrap_or(0);
    let found = pdf.pages().len();
    if usize::try_from(counted).is_ok_and(|counted| counted > found) {
        let text = format!("of the {counted} pages that it counts, {found} were found");
        composer.warnings.push(Warning::new(Kind::Damaged, None, text));
    }
}

fn read(pdf: &Pdf, composer: &mut Composer) -> Vec<page::Read> {
    let began = Instant::now();
    let cache = InterpreterCache::new();
    let mut pages = Vec::new();
    for (page, number) in pdf.pages().iter().zip(1..).take(MOST_PAGES) {
        if began.elapsed() > LONGEST {
            let text = format!("reading it takes too long: it was left out from page {number} on");
            composer.warnings.push(Warning::new(Kind::TooComplex, Some(number), text));
            break;
        }
        let read = page::read(page, &cache);
        if read.is_damaged {
            warn(composer, Kind::Damaged, number, format!("page {number} is damaged: a part of it was not read"));
        }
        if read.is_exceeded {
            warn(
                composer,
                Kind::TooComplex,
                number,
                format!("page {number} draws too much: a part of it was not read"),
            );
        }
        pages.push(read);
    }
    pages
}

fn warn(composer: &mut Composer, kind: Kind, page: u32, text: String) {
    let given = composer.warnings.iter().filter(|warning| warning.code == kind.code()).count();
    match given.cmp(&MOST_WARNINGS) {
        std::cmp::Ordering::Less => composer.warnings.push(Warning::new(kind, Some(page), text)),
        std::cmp::Ordering::Equal => {
            composer.warnings.push(Warning::new(kind, None, "the same holds for further pages"));
        }
        std::cmp::Ordering::Greater => {}
    }
}

/// Writes the pages.
fn compose(
    pdf: &Pdf,
    mut pages: Vec<page::Read>,
    outline: Vec<(String, usize)>,
    wants_scans: bool,
    composer: &mut Composer,
) -> Result<(), Fault> {
    let mut edges: Vec<_> = pages.iter_mut().map(|page| (page.height, std::mem::take(&mut page.segments))).collect();
    let running = furniture::remove(&mut edges);
    code::judge(edges.iter_mut().flat_map(|(_, segments)| segments));
    let mut words = Words::default();
    let mut written: Vec<Vec<Part>> = Vec::with_capacity(pages.len());
    for (((_, segments), running), page) in edges.into_iter().zip(running).zip(&mut pages) {
        segments.iter().for_each(|segment| words.learn(&segment.text));
        let blocks = columns::blocks(segments);
        let across = std::mem::take(&mut page.across);
        let parts = blocks.into_iter().chain(across).flat_map(paragraphs::parts);
        written.push(paragraphs::running(running).chain(parts).collect());
    }
    let headings = Headings::new(written.iter().flatten(), outline);
    let cache = InterpreterCache::new();
    let mut without: Vec<u32> = Vec::new();
    let mut parts = continued::join(written, &headings).into_iter().peekable();
    for ((read, page), number) in pages.iter().zip(pdf.pages().iter()).zip(1..) {
        composer.place(Place::Page(number));
        let parts = std::iter::from_fn(|| parts.next_if(|(page, _)| *page == number));
        write(parts.map(|(_, part)| part), &headings, &words, number, composer);
        composer.check()?;
        let text = match read.kind {
            page::Kind::Text | page::Kind::Blank => continue,
            page::Kind::Picture => format!("page {number} is a picture without text"),
            page::Kind::Unknown => format!("page {number} does not tell which letters it shows"),
        };
        without.push(number);
        warn(composer, Kind::NoTextLayer, number, text);
        if wants_scans && read.kind == page::Kind::Picture {
            scan(page, read, number, &cache, composer);
        }
    }
    if !without.is_empty() {
        composer.metadata.insert("pages_without_text".to_owned(), without.into());
    }
    Ok(())
}

fn write(parts: impl Iterator<Item = Part>, headings: &Headings, words: &Words, page: u32, composer: &mut Composer) {
    let mut list: Vec<f64> = Vec::new();
    for part in parts {
        let paragraph = match part {
            Part::Table(rows) => {
                composer.table(&rows);
                list.clear();
                continue;
            }
            Part::Code(text) => {
                composer.code("", &text);
                list.clear();
                continue;
            }
            Part::Running(text) => {
                composer.paragraph(&text);
                list.clear();
                continue;
            }
            Part::Paragraph(paragraph) => paragraph,
        };
        let (text, begins) = words.joined(&paragraph.lines);
        if let Some(level) = headings.level(&paragraph) {
            if level == 1 && page == 1 && composer.title.is_none() {
                composer.title = Some(text.clone());
            }
            composer.heading(level, &text);
            list.clear();
            continue;
        }
        match paragraph.marker {
            None => {
                composer.paragraph(&text);
                list.clear();
            }
            Some(marker) => {
                // How deep an item is shows in how far it is set in.
                while list.last().is_some_and(|left| *left > paragraph.left + 0.5 * paragraph.size) {
                    list.pop();
                }
                if list.last().is_none_or(|left| *left < paragraph.left - 0.5 * paragraph.size) {
                    list.push(paragraph.left);
                }
                let (number, text) = match marker {
                    Marker::Number(number) => (Some(number), Paragraph::unmarked(&text)),
                    Marker::Bullet | Marker::Dash => (None, Paragraph::unmarked(&text)),
                    Marker::Label(_) => (None, text.as_str()),
                };
                composer.item(list.len().saturating_sub(1), number, text);
            }
        }
        for (line, page) in paragraph.turns {
            let begin = begins.get(line).copied().unwrap_or(text.len());
            composer.turn(text.len() - begin, Place::Page(page));
        }
    }
}

/// Adds the picture of a page, as long as there is room for it.
fn scan<'a>(
    page: &hayro_interpret::hayro_syntax::page::Page<'a>,
    read: &page::Read,
    number: u32,
    cache: &InterpreterCache<'a>,
    composer: &mut Composer,
) {
    let bytes: usize = composer.scans.iter().map(|scan| scan.image.len()).sum();
    if composer.scans.len() >= MOST_SCANS || bytes >= LARGEST_SCANS {
        warn(
            composer,
            Kind::TooComplex,
            number,
            format!("page {number} was not given to text recognition: there are too many"),
        );
        return;
    }
    if let Some(image) = page::picture(page, read, cache).filter(|image| bytes + image.len() <= LARGEST_SCANS) {
        composer.scans.push(Scan::new(number, composer.len(), image));
    }
}

/// # Errors
/// Why there is no text, where there is none.
fn judge(composer: &Composer) -> Result<(), Fault> {
    if !composer.is_empty() || !composer.scans.is_empty() {
        return Ok(());
    }
    let has = |kind: Kind| composer.warnings.iter().any(|warning| warning.code == kind.code());
    match () {
        () if has(Kind::NoTextLayer) => {
            Err(Fault::new(Kind::NoTextLayer, "the document holds pictures of its pages and no text"))
        }
        () if has(Kind::TooComplex) => Err(Fault::too_complex("none of its pages could be read in time")),
        () if has(Kind::Damaged) => Err(Fault::damaged("none of its pages can be read")),
        () => Ok(()),
    }
}
