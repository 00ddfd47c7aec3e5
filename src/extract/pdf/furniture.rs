//! Running headers and footers: what stands at the same place of page after page, at its edge.

use std::collections::HashMap;

use super::aligned;
use super::glyphs::whole;
use super::segments::{Segment, rows};

/// How much of a page's height its edges are at most, and how many of its lines.
const EDGE: f64 = 0.3;
const LINES: usize = 2;
/// Pages on which something stands before it is taken to be furniture.
const FEWEST: usize = 3;
/// Pages that may lie between two with the same furniture: left and right pages differ.
const WIDEST: usize = 2;

/// Where something stands: a page, and which of its segments.
struct Sighting {
    page: usize,
    segment: usize,
    /// Its numbers.
    numbers: Vec<i64>,
}

/// Takes running headers, footers and page numbers out of the pages. `pages` has their heights and segments.
pub fn remove(pages: &mut [(f64, Vec<Segment>)]) {
    let mut seen: HashMap<(String, i32), Vec<Sighting>> = HashMap::new();
    for (page, (height, segments)) in pages.iter().enumerate() {
        let (top, bottom) = edges(*height, segments);
        for (at, segment) in segments.iter().enumerate() {
            let is_edge = segment.baseline <= top || segment.baseline >= bottom;
            if is_edge && segment.table.is_none() && segment.text.len() <= 300 {
                let (mask, numbers) = masked(&segment.text);
                let sighting = Sighting { page, segment: at, numbers };
                seen.entry((mask, whole(segment.baseline / 4.0))).or_default().push(sighting);
            }
        }
    }
    let mut dropped: Vec<Vec<usize>> = vec![Vec::new(); pages.len()];
    for sightings in seen.values() {
        let breaks = sightings.chunk_by(|one, next| next.page - one.page <= WIDEST);
        for run in breaks.filter(|run| run.len() >= FEWEST) {
            for sighting in furniture(run) {
                if let Some(dropped) = dropped.get_mut(sighting.page) {
                    dropped.push(sighting.segment);
                }
            }
        }
    }
    for ((_, segments), mut dropped) in pages.iter_mut().zip(dropped) {
        keep_tables(segments, &mut dropped);
        dropped.sort_unstable();
        let declared = |segment: &Segment| segment.is_furniture;
        // A page that would have nothing left is no page of headers.
        if segments.iter().enumerate().all(|(at, segment)| declared(segment) || dropped.binary_search(&at).is_ok()) {
            continue;
        }
        let mut at = 0;
        segments.retain(|segment| {
            let is_dropped = dropped.binary_search(&at).is_ok() || declared(segment);
            at += 1;
            !is_dropped
        });
    }
}

/// Takes rows of tables out of what is dropped: a header is repeated where its table goes on, and so are values.
fn keep_tables(segments: &[Segment], dropped: &mut Vec<usize>) {
    if dropped.is_empty() {
        return;
    }
    let rows = rows(&mut segments.to_vec());
    let kept = aligned::edges(&rows, LINES);
    dropped.retain(|at| segments.get(*at).is_some_and(|segment| !kept.contains(&segment)));
}

/// Down to where the upper edge of a page reaches, and from where the lower one does.
fn edges(height: f64, segments: &[Segment]) -> (f64, f64) {
    let mut lines: Vec<f64> = segments.iter().map(|segment| segment.baseline).collect();
    lines.sort_by(f64::total_cmp);
    lines.dedup_by(|next, last| *next - *last < 3.0);
    let (first, last) = (lines.get(LINES - 1), lines.len().checked_sub(LINES).and_then(|at| lines.get(at)));
    let within = |line: Option<&f64>| line.copied().unwrap_or(height / 2.0);
    // Lines of the same row are a little apart.
    ((within(first) + 3.0).min(EDGE * height), (within(last) - 3.0).max((1.0 - EDGE) * height))
}

/// Those of a run that say the same, or that differ by one number, which grows with the pages. Figures that differ
/// otherwise are what a page has to say.
fn furniture(run: &[Sighting]) -> Vec<&Sighting> {
    let mut same: HashMap<&[i64], Vec<&Sighting>> = HashMap::new();
    let mut growing: HashMap<(usize, Vec<i64>), Vec<&Sighting>> = HashMap::new();
    for sighting in run {
        same.entry(&sighting.numbers).or_default().push(sighting);
        let page = i64::try_from(sighting.page).unwrap_or(i64::MAX);
        for (at, number) in sighting.numbers.iter().enumerate().take(4) {
            let mut others = sighting.numbers.clone();
            if let Some(own) = others.get_mut(at) {
                *own = number.saturating_sub(page);
            }
            growing.entry((at, others)).or_default().push(sighting);
        }
    }
    let groups = same.into_values().chain(growing.into_values());
    groups.filter(|group| group.len() >= FEWEST).flatten().collect()
}

/// A text with its numbers masked, and the numbers.
fn masked(text: &str) -> (String, Vec<i64>) {
    let roman = text.trim_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
    if let Some(number) = roman_numeral(&roman) {
        return ("#".to_owned(), vec![number]);
    }
    let (mut mask, mut numbers) = (String::new(), Vec::new());
    for char in text.chars() {
        match char.to_digit(10) {
            Some(digit) if mask.ends_with('#') => {
                if let Some(number) = numbers.last_mut() {
                    *number = i64::saturating_add(i64::saturating_mul(*number, 10), i64::from(digit));
                }
            }
            Some(digit) => {
                mask.push('#');
                numbers.push(i64::from(digit));
            }
            None if char == '#' => mask.push('.'),
            None => mask.push(char),
        }
    }
    (mask, numbers)
}

fn roman_numeral(text: &str) -> Option<i64> {
    let value = |char| match char {
        'i' => Some(1),
        'v' => Some(5),
        'x' => Some(10),
        'l' => Some(50),
        'c' => Some(100),
        _ => None,
    };
    let digits: Option<Vec<i64>> = text.chars().map(value).collect();
    let digits = digits.filter(|digits| (1..=8).contains(&digits.len()))?;
    let before = |at: usize| digits.get(at + 1).is_some_and(|next| *next > digits.get(at).copied().unwrap_or(0));
    Some(digits.iter().enumerate().map(|(at, digit)| if before(at) { -digit } else { *digit }).sum())
}
