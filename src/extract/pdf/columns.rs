//! The order in which a page is read: bands from the top down, the columns of a band from left to right.

use super::aligned;
use super::segments::{Segment, rows};

/// Columns within columns that are told apart.
const DEEPEST: usize = 6;
/// Narrowest gutter, in sizes of the letters beside it.
const GUTTER: f64 = 0.5;

/// Gutters that are looked at, from the widest.
const MOST_GUTTERS: usize = 6;
/// Segments that are looked back at where columns may begin.
const LONGEST_TAIL: usize = 8;

/// The segments of a page in blocks, in the order in which they are read. Segments of a block stand in one column.
pub fn blocks(segments: Vec<Segment>) -> Vec<Vec<Segment>> {
    let mut blocks = Vec::new();
    divide(segments, 0, &mut blocks);
    blocks
}

fn divide(mut segments: Vec<Segment>, depth: usize, blocks: &mut Vec<Vec<Segment>>) {
    if depth >= DEEPEST || segments.len() < 4 {
        blocks.push(segments);
        return;
    }
    // Tops, so that a table comes where it begins; the left first where two are level.
    segments.sort_by(|a, b| level(a).total_cmp(&level(b)).then(a.left.total_cmp(&b.left)));
    let (from, to) = bounds(&segments);
    let narrowest = GUTTER * median(segments.iter().map(|s| s.size).collect());
    let mut plain: Vec<Segment> = Vec::new();
    let mut band: Vec<Segment> = Vec::new();
    let mut covered = Covered::default();
    for segment in segments {
        let mut widened = covered.clone();
        widened.add(segment.left, segment.right, narrowest);
        if widened.has_gap(from, to, narrowest) {
            covered = widened;
            band.push(segment);
            continue;
        }
        let mut begun = Covered::default();
        begun.add(segment.left, segment.right, narrowest);
        let rest = match gutter(&band, &covered) {
            Some(_) => Vec::new(),
            None => tail(&mut band, &mut begun, (from, to), narrowest),
        };
        close(std::mem::replace(&mut band, rest), &covered, depth, &mut plain, blocks);
        covered = begun;
        band.push(segment);
    }
    close(band, &covered, depth, &mut plain, blocks);
    if !plain.is_empty() {
        blocks.push(plain);
    }
}

/// Takes from the end of a band without columns what may be the beginning of columns that `begun` goes on with: the
/// title above them was in their way.
fn tail(band: &mut Vec<Segment>, begun: &mut Covered, (from, to): (f64, f64), narrowest: f64) -> Vec<Segment> {
    let mut first = band.len();
    for segment in band.iter().rev().take(LONGEST_TAIL) {
        let mut widened = begun.clone();
        widened.add(segment.left, segment.right, narrowest);
        if !widened.has_gap(from, to, narrowest) {
            break;
        }
        *begun = widened;
        first -= 1;
    }
    band.split_off(first)
}

fn gutter(band: &[Segment], covered: &Covered) -> Option<f64> {
    covered.gaps().take(MOST_GUTTERS).find(|gutter| is_gutter(band, *gutter))
}

/// Divides a band at its gutter, or adds it to what is read line by line.
fn close(
    band: Vec<Segment>,
    covered: &Covered,
    depth: usize,
    plain: &mut Vec<Segment>,
    blocks: &mut Vec<Vec<Segment>>,
) {
    // The cells of a table may say as much as prose.
    let gutter = gutter(&band, covered).filter(|_| !aligned::are_tables(rows(&mut band.clone())));
    let Some(gutter) = gutter else {
        plain.extend(band);
        return;
    };
    if !plain.is_empty() {
        blocks.push(std::mem::take(plain));
    }
    let (left, right) = band.into_iter().partition(|s| s.right <= gutter);
    divide(left, depth + 1, blocks);
    divide(right, depth + 1, blocks);
}

/// Whether prose stands on both sides of `gutter`, and not the cells of a table.
fn is_gutter(band: &[Segment], gutter: f64) -> bool {
    let (left, right): (Vec<&Segment>, Vec<&Segment>) = band.iter().partition(|s| s.right <= gutter);
    is_prose(&left) && is_prose(&right)
}

fn is_prose(side: &[&Segment]) -> bool {
    let mut rows: Vec<Row> = Vec::new();
    for segment in side.iter().filter(|s| s.table.is_none()) {
        match rows.last_mut().filter(|row| segment.baseline - row.baseline <= 0.3 * segment.size) {
            Some(row) => row.add(segment),
            None => {
                let mut row = Row { baseline: segment.baseline, left: f64::MAX, right: f64::MIN, words: 0, letters: 0 };
                row.add(segment);
                rows.push(row);
            }
        }
    }
    if rows.len() < 2 {
        // A table may stand beside text.
        return side.iter().any(|s| s.table.is_some());
    }
    let text = || side.iter().flat_map(|s| s.text.chars()).filter(|c| c.is_alphanumeric());
    let figures = text().filter(|c| c.is_numeric()).count();
    let words = median(rows.iter().map(|row| number(row.words)).collect());
    let letters = median(rows.iter().map(|row| number(row.letters)).collect());
    // Of several columns whose lines are not level, a row may be one line or one of each.
    let widths = || rows.iter().map(|row| row.right - row.left);
    let filled = median(widths().collect()) / widths().fold(1.0, f64::max);
    // Scripts without spaces have long words.
    let is_unspaced = text().all(|c| c > '\u{2E80}');
    (words >= 3.0 || letters >= 30.0 || is_unspaced) && letters >= 8.0 && filled >= 0.3 && 2 * figures < text().count()
}

/// What stands on one line of a column.
struct Row {
    baseline: f64,
    left: f64,
    right: f64,
    words: usize,
    letters: usize,
}

impl Row {
    fn add(&mut self, segment: &Segment) {
        (self.left, self.right) = (self.left.min(segment.left), self.right.max(segment.right));
        self.words += segment.text.split(' ').count();
        self.letters += segment.text.chars().count();
    }
}

/// What a line occupies across.
#[derive(Debug, Clone, Default)]
struct Covered(Vec<(f64, f64)>);

impl Covered {
    /// Adds a stretch; stretches closer than `narrowest` are one.
    fn add(&mut self, left: f64, right: f64, narrowest: f64) {
        let (mut left, mut right) = (left, right);
        self.0.retain(|(l, r)| {
            let is_apart = *l - right >= narrowest || left - *r >= narrowest;
            if !is_apart {
                (left, right) = (left.min(*l), right.max(*r));
            }
            is_apart
        });
        let place = self.0.partition_point(|(l, _)| *l < left);
        self.0.insert(place, (left, right));
    }

    /// Whether columns may still be told apart: there is room between stretches or to the right of them.
    fn has_gap(&self, from: f64, to: f64, narrowest: f64) -> bool {
        let (left, right) = self.0.iter().fold((to, from), |(l, r), s| (l.min(s.0), r.max(s.1)));
        self.0.len() > 1 || left - from >= narrowest || to - right >= narrowest
    }

    /// The left edges of gutters, from the widest.
    fn gaps(&self) -> impl Iterator<Item = f64> {
        let mut gaps: Vec<(f64, f64)> =
            self.0.windows(2).filter_map(|pair| Some((pair.first()?.1, pair.last()?.0))).collect();
        gaps.sort_by(|a, b| (b.1 - b.0).total_cmp(&(a.1 - a.0)));
        gaps.into_iter().map(|(left, right)| (left + right) / 2.0)
    }
}

fn level(segment: &Segment) -> f64 {
    match segment.table {
        Some(_) => segment.top,
        None => segment.baseline - 0.7 * segment.size,
    }
}

fn bounds(segments: &[Segment]) -> (f64, f64) {
    segments.iter().fold((f64::MAX, f64::MIN), |(l, r), s| (l.min(s.left), r.max(s.right)))
}

/// The middle one of numbers; 0 of none.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    let middle = numbers.len() / 2;
    numbers.sort_by(f64::total_cmp);
    numbers.get(middle).copied().unwrap_or(0.0)
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
