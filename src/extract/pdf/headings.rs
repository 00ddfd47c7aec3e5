//! Which paragraphs are headings: those that are larger than the text, that the outline names, or that stand alone in
//! bold.

use std::collections::{BTreeMap, HashMap};

use super::glyphs::whole;
use super::paragraphs::{Paragraph, Part};

/// How much larger than the text a heading is.
const LARGER: f64 = 1.15;
/// Longest heading, in letters, and longest one that only its weight tells.
const LONGEST: usize = 200;
const LONGEST_BOLD: usize = 90;
/// Lines of a heading.
const MOST_LINES: usize = 3;
/// Levels that sizes are told apart by.
const LEVELS: usize = 4;

/// How the headings of a document look.
pub struct Headings {
    /// Size of the text, in half points.
    body: i32,
    /// Whether the text is bold, so that weight tells nothing.
    is_bold: bool,
    /// Sizes of headings, in half points, from the largest.
    sizes: Vec<i32>,
    outline: HashMap<String, usize>,
}

impl Headings {
    pub fn new<'p>(parts: impl Iterator<Item = &'p Part> + Clone, outline: Vec<(String, usize)>) -> Headings {
        let paragraphs = || {
            parts.clone().filter_map(|part| match part {
                Part::Paragraph(paragraph) => Some(paragraph),
                Part::Table(_) | Part::Code(_) | Part::Running(_) => None,
            })
        };
        let (mut sizes, mut bold, mut all) = (BTreeMap::<i32, usize>::new(), 0, 0);
        for paragraph in paragraphs() {
            let letters: usize = paragraph.lines.iter().map(String::len).sum();
            *sizes.entry(half_points(paragraph.size)).or_default() += letters;
            bold += if paragraph.is_bold { letters } else { 0 };
            all += letters;
        }
        let body = sizes.into_iter().max_by_key(|(_, letters)| *letters).map_or(24, |(size, _)| size);
        let mut headings = Headings { body, is_bold: 3 * bold > all, sizes: Vec::new(), outline: HashMap::new() };
        let mut larger: Vec<i32> =
            paragraphs().filter(|p| headings.is_larger(p)).map(|p| half_points(p.size)).collect();
        larger.sort_unstable_by(|a, b| b.cmp(a));
        larger.dedup();
        headings.sizes = larger;
        headings.outline = outline.into_iter().map(|(title, depth)| (plain(&title), depth)).collect();
        headings
    }

    /// The level of a paragraph that is a heading, from 1.
    pub fn level(&self, paragraph: &Paragraph) -> Option<usize> {
        if !is_short(paragraph, LONGEST) {
            return None;
        }
        let text = paragraph.lines.join(" ");
        if self.is_larger(paragraph) {
            let size = half_points(paragraph.size);
            let place = self.sizes.iter().position(|other| *other == size).unwrap_or(0);
            return Some((place + 1).min(LEVELS));
        }
        let below = self.sizes.len().min(LEVELS);
        if let Some(depth) = self.outline.get(&plain(&text)) {
            return Some((below + depth + 1).min(6));
        }
        let is_bold = paragraph.is_bold && !self.is_bold && paragraph.lines.len() == 1;
        let is_open = text.ends_with(['.', ',', ';', ':', '?', '!', '-']);
        (is_bold
            && !is_open
            && is_short(paragraph, LONGEST_BOLD)
            && paragraph.marker.is_none_or(|marker| marker.label().is_some() || is_named(&text)))
        .then_some((below + 1).min(6))
    }

    fn is_larger(&self, paragraph: &Paragraph) -> bool {
        f64::from(half_points(paragraph.size)) >= LARGER * f64::from(self.body) && is_short(paragraph, LONGEST)
    }
}

fn is_short(paragraph: &Paragraph, longest: usize) -> bool {
    if paragraph.lines.len() > MOST_LINES {
        return false;
    }
    let letters = paragraph.lines.iter().flat_map(|line| line.chars());
    let (all, alphabetic) = letters.fold((0, 0), |(all, some), c| (all + 1, some + usize::from(c.is_alphabetic())));
    // An initial or a number set large is no heading.
    let is_word =
        alphabetic >= 2 || (alphabetic >= 1 && paragraph.lines.iter().all(|line| line.chars().all(|c| c > '\u{2E80}')));
    all <= longest && is_word && 3 * alphabetic >= all
}

/// Whether this begins with the number of a section and goes on with a name.
fn is_named(text: &str) -> bool {
    Paragraph::unmarked(text).chars().next().is_some_and(char::is_uppercase)
}

/// A heading's letters alone, without its number.
fn plain(text: &str) -> String {
    let letters = text.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase);
    let plain: String = letters.skip_while(|char| char.is_ascii_digit()).collect();
    plain
}

fn half_points(size: f64) -> i32 {
    whole(2.0 * size)
}
