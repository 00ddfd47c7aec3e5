//! Sentences that the end of a page, a column or a block divides: their paragraph is one again.

use super::headings::Headings;
use super::paragraphs::{Paragraph, Part, ends};

/// Words of a line of prose, at least; what has fewer is a label.
const FEWEST_WORDS: usize = 3;

/// The parts of all pages in their order, each with its page, from 1. What goes on on the next page stands with what it
/// goes on with.
pub fn join(pages: Vec<Vec<Part>>, headings: &Headings) -> Vec<(u32, Part)> {
    let mut joined: Vec<(u32, Part)> = Vec::new();
    // The last paragraph: where it is, and the page that it ends on.
    let mut last: Option<(usize, u32)> = None;
    for (page, parts) in (1..).zip(pages) {
        for part in parts {
            match part {
                Part::Paragraph(next) => {
                    let open = last.filter(|(_, ends_on)| page - ends_on <= 1);
                    match open.and_then(|(at, ends_on)| Some((joined.get_mut(at)?, ends_on))) {
                        Some(((_, Part::Paragraph(paragraph)), ends_on)) if goes_on(paragraph, &next, headings) => {
                            paragraph.take(next, (page != ends_on).then_some(page));
                            last = last.map(|(at, _)| (at, page));
                        }
                        _ => {
                            last = Some((joined.len(), page));
                            joined.push((page, Part::Paragraph(next)));
                        }
                    }
                }
                Part::Running(_) => joined.push((page, part)),
                Part::Table(_) | Part::Code(_) => {
                    last = None;
                    joined.push((page, part));
                }
            }
        }
    }
    joined
}

/// Whether `next`, which begins a block, goes on with the sentence that `paragraph` leaves open.
fn goes_on(paragraph: &Paragraph, next: &Paragraph, headings: &Headings) -> bool {
    let (Some(end), Some(begin)) = (paragraph.lines.last(), next.lines.first()) else { return false };
    let is_divided = end.strip_suffix('-').is_some_and(|stem| stem.ends_with(char::is_alphabetic));
    let is_open = paragraph.is_full && !ends(end) && (is_divided || begin.starts_with(char::is_lowercase));
    let is_prose = end.split(' ').count() >= FEWEST_WORDS && !is_address(begin);
    let is_alike = (paragraph.size - next.size).abs() <= 0.12 * paragraph.size && paragraph.is_bold == next.is_bold;
    let is_plain = |paragraph: &Paragraph| headings.level(paragraph).is_none();
    next.begins_block
        && next.marker.is_none()
        && is_open
        && is_prose
        && is_alike
        && begin.starts_with(char::is_alphabetic)
        && is_plain(paragraph)
        && is_plain(next)
}

/// Whether this begins with an address of the web or of mail, which are written in lower case.
fn is_address(line: &str) -> bool {
    let first = line.split(' ').next().unwrap_or_default();
    first.contains('@') || first.contains("://") || first.starts_with("www.")
}

impl Paragraph {
    /// Goes on with the lines of another; `page` where they stand on a new one.
    fn take(&mut self, next: Paragraph, page: Option<u32>) {
        let turn = page.map(|page| (self.lines.len(), page));
        self.turns.extend(turn);
        self.lines.extend(next.lines);
        self.is_full = next.is_full;
    }
}
