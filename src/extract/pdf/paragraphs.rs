//! Lines made into paragraphs: which line goes on with the one before.

use std::collections::HashSet;

use super::aligned::{self, Rows};
use super::code;
use super::columns::median;
use super::markers::{Label, Marker, marker};
use super::segments::{Segment, rows};
use crate::extract::composer::folded;

/// A part of a page, in the order of reading.
pub enum Part {
    Paragraph(Paragraph),
    Table(Vec<Vec<String>>),
    Code(String),
    /// A running header or footer, where it is told.
    Running(String),
}

/// Lines that belong together.
pub struct Paragraph {
    pub lines: Vec<String>,
    pub marker: Option<Marker>,
    pub left: f64,
    /// Where its text begins after its marker, if that is set apart.
    pub hung: Option<f64>,
    /// Where its second word begins.
    pub second: Option<f64>,
    pub size: f64,
    pub is_bold: bool,
    /// Whether nothing of its block stands before it.
    pub begins_block: bool,
    /// Whether its last line ends where lines of its block do.
    pub is_full: bool,
    /// The lines that further pages begin with, and those pages.
    pub turns: Vec<(usize, u32)>,
}

struct Line {
    text: String,
    left: f64,
    right: f64,
    /// Where its text begins after what is set apart before it, if something is.
    hung: Option<f64>,
    /// Where its second word begins.
    second: Option<f64>,
    baseline: f64,
    size: f64,
    is_bold: bool,
}

/// The parts of a block.
pub fn parts(mut block: Vec<Segment>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text: Vec<Segment> = Vec::new();
    block.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let (tables, rest): (Vec<Segment>, Vec<Segment>) = block.into_iter().partition(|s| s.table.is_some());
    let mut tables = tables.into_iter().peekable();
    for segment in rest {
        while let Some(table) = tables.next_if(|table| table.top <= segment.baseline) {
            flush(&mut text, &mut parts);
            parts.extend(table.table.map(Part::Table));
        }
        text.push(segment);
    }
    flush(&mut text, &mut parts);
    parts.extend(tables.filter_map(|table| table.table).map(Part::Table));
    if let Some(Part::Paragraph(first)) = parts.first_mut() {
        first.begins_block = true;
    }
    parts
}

/// The lines of running headers and footers.
pub fn running(mut segments: Vec<Segment>) -> impl Iterator<Item = Part> {
    rows(&mut segments).into_iter().filter_map(line).map(|line| Part::Running(line.text))
}

fn flush(text: &mut Vec<Segment>, parts: &mut Vec<Part>) {
    for rows in code::split(rows(text)) {
        let rows = match rows {
            code::Rows::Code(code) => {
                parts.push(Part::Code(code));
                continue;
            }
            code::Rows::Text(rows) => rows,
        };
        for rows in aligned::split(rows) {
            match rows {
                Rows::Table(table) => parts.push(Part::Table(table.rows())),
                Rows::Lines(rows) => {
                    let lines = rows.into_iter().filter_map(line).collect();
                    parts.extend(paragraphs(lines).into_iter().map(Part::Paragraph));
                }
            }
        }
    }
}

fn line(row: Vec<Segment>) -> Option<Line> {
    let mut row = row.into_iter();
    let mut whole = row.next()?;
    let (has_one, mut hung) = (!whole.text.contains(' ') || whole.text.starts_with('§'), None);
    for next in row {
        hung = hung.or(Some(next.left).filter(|_| has_one));
        whole.join(next);
    }
    let Segment { text, left, right, second, baseline, size, is_bold, .. } = whole;
    let text = Some(folded(&text)).filter(|text| !text.is_empty())?;
    Some(Line { text, left, right, hung, second, baseline, size, is_bold })
}

fn paragraphs(lines: Vec<Line>) -> Vec<Paragraph> {
    let edges = Edges::of(&lines);
    let mut found: Vec<Paragraph> = Vec::new();
    let mut last: Option<Line> = None;
    for line in lines {
        let marker = marker(&line.text, line.hung.is_some());
        let goes_on = match (&last, found.last()) {
            (Some(last), Some(paragraph)) => edges.goes_on(paragraph, last, &line, marker),
            _ => false,
        };
        match found.last_mut().filter(|_| goes_on) {
            Some(paragraph) => {
                paragraph.lines.push(line.text.clone());
                paragraph.is_bold &= line.is_bold;
                paragraph.is_full = !edges.is_short(&line);
            }
            None => found.push(Paragraph {
                lines: vec![line.text.clone()],
                marker,
                left: line.left,
                hung: line.hung,
                second: line.second,
                size: line.size,
                is_bold: line.is_bold,
                begins_block: false,
                is_full: !edges.is_short(&line),
                turns: Vec::new(),
            }),
        }
        last = Some(line);
    }
    unmark(&mut found);
    found
}

/// Takes labels that are neither set apart nor in a row for words of their sentences.
fn unmark(paragraphs: &mut [Paragraph]) {
    let labels = paragraphs.iter().filter_map(|paragraph| paragraph.marker?.label());
    let known: HashSet<_> = labels.flat_map(Label::values).collect();
    for paragraph in paragraphs {
        let Some(label) = paragraph.marker.and_then(Marker::label) else { continue };
        let beside = |(style, value)| known.contains(&(style, value - 1)) || known.contains(&(style, value + 1));
        let is_item = label.values().any(beside) || (paragraph.hung.is_some() && !label.is_bare());
        paragraph.marker = paragraph.marker.filter(|_| is_item).map(Marker::numbered);
    }
}

/// Where the lines of a block usually begin and end, and how far they are apart.
struct Edges {
    left: f64,
    right: f64,
    leading: Option<f64>,
}

impl Edges {
    fn of(lines: &[Line]) -> Edges {
        let (left, right) = lines.iter().fold((f64::MAX, f64::MIN), |(l, r), s| (l.min(s.left), r.max(s.right)));
        let steps = lines.windows(2).filter_map(|pair| {
            let (one, next) = (pair.first()?, pair.last()?);
            let step = next.baseline - one.baseline;
            let is_usual =
                (one.size - next.size).abs() < 0.1 * one.size && step > 0.5 * one.size && step < 3.5 * one.size;
            is_usual.then_some(step)
        });
        let steps: Vec<f64> = steps.collect();
        let leading = (steps.len() >= 3).then(|| median(steps));
        Edges { left, right, leading }
    }

    fn is_short(&self, line: &Line) -> bool {
        line.right < self.right - 0.3 * (self.right - self.left)
    }

    fn goes_on(&self, paragraph: &Paragraph, last: &Line, line: &Line, marker: Option<Marker>) -> bool {
        let size = last.size.max(line.size);
        let step = line.baseline - last.baseline;
        // Without a measure of its own, text is set at most this far apart.
        let usual = self.leading.map_or(1.75 * size, |leading| (1.3 * leading).max(1.2 * size));
        let is_short = self.is_short(last);
        // A sentence that a full line leaves open goes on, however far below.
        let is_open = !is_short && !ends(&last.text) && line.text.starts_with(char::is_lowercase);
        let furthest = if is_open { usual.max(2.3 * size) } else { usual };
        if step > furthest || (last.size - line.size).abs() > 0.12 * size {
            return false;
        }
        let is_first = paragraph.lines.len() == 1;
        // Whether what is before may be at its end, as seen from a line that may begin an item.
        let is_out = paragraph.hung.is_some_and(|hung| line.left < hung - 0.5 * size);
        let is_over = is_short || ends(&last.text) || last.text.ends_with(';') || line.hung.is_some() || is_out;
        match marker {
            Some(Marker::Bullet) => return false,
            Some(Marker::Dash) if is_short || matches!(paragraph.marker, Some(Marker::Dash)) => return false,
            Some(Marker::Number(number)) => match paragraph.marker {
                Some(Marker::Number(before)) if number == before.saturating_add(1) => return false,
                Some(Marker::Label(_)) if is_over => return false,
                _ if number == 1 && is_over => return false,
                _ => {}
            },
            Some(Marker::Label(label)) => {
                let before = paragraph.marker.and_then(Marker::label);
                let is_level = (line.left - paragraph.left).abs() <= 0.5 * size;
                let is_next = is_level && before.is_some_and(|before| label.follows(before));
                // Words stand under each other after labels of other widths where they are set after a stop.
                let seconds = paragraph.second.zip(line.second).filter(|_| paragraph.marker.is_some());
                let is_stop = seconds.is_some_and(|(one, next)| (one - next).abs() <= 0.05 * size);
                let is_aligned = is_level && is_stop && before.is_none_or(|before| !label.is_like(before));
                // A sentence may say § 4 or 4.1, too, and begin with it.
                let is_word = label.is_reference() && line.hung.is_none() && !(is_short && ends(&last.text));
                if is_next || is_aligned || (is_over && !is_word) {
                    return false;
                }
            }
            _ => {}
        }
        if last.is_bold != line.is_bold && (is_short || line.is_bold) {
            return false;
        }
        let indent = line.left - last.left;
        if indent > 0.8 * size {
            // A hanging line goes on; one that is set in begins a paragraph.
            return is_first && (paragraph.marker.is_some() || !ends(&last.text));
        }
        if indent < -0.8 * size && !is_first {
            return false;
        }
        let begins = line.text.chars().next().is_some_and(|char| char.is_uppercase() || char.is_numeric());
        !(is_short && ends(&last.text) && begins)
    }
}

/// Whether a line ends a sentence.
pub fn ends(text: &str) -> bool {
    text.trim_end_matches(['"', '”', '’', ')', '»']).ends_with(['.', '!', '?', ':', '。', '！', '？', '：'])
}

impl Paragraph {
    /// Without what its item begins with.
    pub fn unmarked(text: &str) -> &str {
        text.split_once(' ').map_or(text, |(_, rest)| rest)
    }
}
