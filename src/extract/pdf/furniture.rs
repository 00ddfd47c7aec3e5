//! Running headers and footers: what stands at the same place of page after page, at its edge.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::aligned;
use super::glyphs::whole;
use super::labels;
use super::segments::{Segment, rows};
use crate::extract::numerals;

/// How much of a page's height its edges are at most, and how many of its lines.
const EDGE: f64 = 0.3;
const LINES: usize = 2;
/// Pages on which something stands before it is taken to be furniture; where there are no more than two, both.
const FEWEST: usize = 3;
/// Pages that may lie between two with the same furniture: left and right pages differ.
const WIDEST: usize = 2;
/// Others of the same name that are looked at.
const MOST_ALIKE: usize = 8;

/// Signs that set a page's number apart from what stands beside it.
const BARS: [char; 4] = ['|', '•', '·', '¦'];

/// Where something stands: a page, and which of its segments.
struct Sighting {
    page: usize,
    segment: usize,
    /// Its numbers.
    numbers: Vec<i64>,
}

/// Sightings that say the same but for the number of the page.
struct Group<'s> {
    /// The text with its numbers masked, and what it says without the number of the page.
    mask: &'s str,
    name: String,
    /// Which of its numbers grows with the pages.
    growing: Option<usize>,
    sightings: Vec<&'s Sighting>,
}

/// Takes running headers, footers and page numbers out of the pages. `pages` has their heights and segments. Gives of each
/// page what stands on none before it: a header is told once.
pub fn remove(pages: &mut [(f64, Vec<Segment>)]) -> Vec<Vec<Segment>> {
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
    let fewest = FEWEST.min(pages.len()).max(2);
    let mut groups = Vec::new();
    for ((mask, _), sightings) in &seen {
        let breaks = sightings.chunk_by(|one, next| next.page - one.page <= WIDEST);
        breaks.filter(|run| run.len() >= fewest).for_each(|run| groups.extend(alike(mask, run, fewest)));
    }
    // Of each page, its segments that are furniture, and their names.
    let mut dropped: Vec<BTreeMap<usize, &str>> = vec![BTreeMap::new(); pages.len()];
    for group in furniture(&groups) {
        for sighting in &group.sightings {
            if let Some(dropped) = dropped.get_mut(sighting.page) {
                dropped.insert(sighting.segment, &group.name);
            }
        }
    }
    let mut told: HashSet<String> = HashSet::new();
    let take = |((_, segments), mut dropped): (&mut (f64, Vec<Segment>), BTreeMap<usize, &str>)| {
        keep_tables(segments, &mut dropped);
        // A page that would have nothing left is no page of headers.
        if segments.iter().enumerate().all(|(at, segment)| segment.is_furniture || dropped.contains_key(&at)) {
            return Vec::new();
        }
        let mut kept = Vec::new();
        for (at, segment) in std::mem::take(segments).into_iter().enumerate() {
            let name = match dropped.get(&at) {
                Some(name) => (*name).to_owned(),
                None if segment.is_furniture => masked(&segment.text).0,
                None => {
                    segments.push(segment);
                    continue;
                }
            };
            if !labels::is_page(&name) && told.insert(name) {
                kept.push(segment);
            }
        }
        kept
    };
    pages.iter_mut().zip(dropped).map(take).collect()
}

/// Takes rows of tables out of what is dropped: a header is repeated where its table goes on, and so are values.
fn keep_tables(segments: &[Segment], dropped: &mut BTreeMap<usize, &str>) {
    if dropped.is_empty() {
        return;
    }
    let rows = rows(&mut segments.to_vec());
    let kept = aligned::edges(&rows, LINES);
    dropped.retain(|at, _| segments.get(*at).is_some_and(|segment| !kept.contains(&segment)));
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

/// Those of a run that say the same, and those that differ by one number, which grows with the pages: `fewest` at least.
fn alike<'s>(mask: &'s str, run: &'s [Sighting], fewest: usize) -> Vec<Group<'s>> {
    let mut groups: HashMap<(Option<usize>, Vec<i64>), Vec<&Sighting>> = HashMap::new();
    for sighting in run {
        groups.entry((None, sighting.numbers.clone())).or_default().push(sighting);
        let page = i64::try_from(sighting.page).unwrap_or(i64::MAX);
        for (at, number) in sighting.numbers.iter().enumerate().take(4) {
            let mut others = sighting.numbers.clone();
            if let Some(own) = others.get_mut(at) {
                *own = number.saturating_sub(page);
            }
            groups.entry((Some(at), others)).or_default().push(sighting);
        }
    }
    let groups = groups.into_iter().filter(|(_, sightings)| sightings.len() >= fewest);
    let named = |((growing, numbers), sightings): ((_, Vec<i64>), _)| Group {
        mask,
        name: name(mask, &numbers, growing),
        growing,
        sightings,
    };
    groups.map(named).collect()
}

/// The groups that are furniture. A number that grows with the pages may as well be that of an invoice: it is a page's
/// where no word or only one for pages stands beside it, a bar sets it apart, or the same stands on other pages elsewhere.
fn furniture<'g>(groups: &'g [Group<'g>]) -> Vec<&'g Group<'g>> {
    let mut named: HashMap<&str, Vec<&Group<'_>>> = HashMap::new();
    for group in groups {
        named.entry(&group.name).or_default().push(group);
    }
    let has_page = |group: &Group<'_>, page: usize| group.sightings.binary_search_by_key(&page, |s| s.page).is_ok();
    let is_elsewhere = |group: &Group<'_>| {
        let others = named.get(group.name.as_str()).into_iter().flatten().filter(|other| other.mask != group.mask);
        others.take(MOST_ALIKE).any(|other| !group.sightings.iter().any(|sighting| has_page(other, sighting.page)))
    };
    let is_furniture = |group: &&Group<'_>| {
        group.growing.is_none() || labels::is_page(&group.name) || is_barred(group.mask) || is_elsewhere(group)
    };
    groups.iter().filter(is_furniture).collect()
}

/// Whether a bar sets the number at the beginning or the end apart.
fn is_barred(mask: &str) -> bool {
    let is_bar = |rest: &str, bar: Option<char>| rest.len() > 1 && bar.is_some_and(|bar| BARS.contains(&bar));
    let after = mask.strip_prefix('#').map(str::trim_start).is_some_and(|rest| is_bar(rest, rest.chars().next()));
    let before = mask.strip_suffix('#').map(str::trim_end).is_some_and(|rest| is_bar(rest, rest.chars().next_back()));
    after || before
}

/// What a masked text says without the number at `left_out`.
fn name(mask: &str, numbers: &[i64], left_out: Option<usize>) -> String {
    let mut name = String::new();
    let mut numbers = numbers.iter().enumerate();
    for char in mask.chars() {
        match (char, if char == '#' { numbers.next() } else { None }) {
            ('#', Some((at, number))) if Some(at) != left_out => name.push_str(&number.to_string()),
            ('#', _) => {}
            (char, _) => name.push(char),
        }
    }
    name.trim_matches(|c: char| c.is_whitespace() || BARS.contains(&c) || "-–—/".contains(c)).to_owned()
}

/// A text with its numbers masked, and the numbers.
fn masked(text: &str) -> (String, Vec<i64>) {
    let roman = text.trim_matches(|c: char| !c.is_alphanumeric()).to_ascii_lowercase();
    if let Some(number) = numerals::of_roman(&roman) {
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
