//! Tables that are longer than a chunk: their header row comes again, so that every piece of them can be read alone.
//!
//! Pure. The header is written into the text, not beside it: a chunk stays a stretch of the text, to the byte.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag};

use super::chunk::{Budget, Tokens};
use crate::extract;
use crate::place::{Mark, within};

/// A header that takes more than one part in so many of what a chunk aims at lets chunks become as long as they may be,
/// and one that takes more than two thirds of that does not come again.
const HEADER_SHARE: usize = 3;
/// Bytes of a header that comes again: a word of any length may be few tokens.
const LONGEST_HEADER: usize = 1 << 10;
/// All that is written again is at most so many times as long as the text.
const GROWTH: usize = 2;

/// The text with the headers of its long tables repeated, and the marks of where it came from.
pub fn repeat_headers(text: String, marks: Vec<Mark>, budget: Budget, tokens: &dyn Tokens) -> (String, Vec<Mark>) {
    let insertions: Vec<Insertion> =
        tables(&text).into_iter().flat_map(|table| insertions(&text, table, budget, tokens)).collect();
    let more: usize = insertions.iter().map(|insertion| insertion.header.len() + 1).sum();
    if insertions.is_empty() || more > text.len() * GROWTH || text.len() + more > extract::LONGEST {
        return (text, marks);
    }
    let mut out = String::with_capacity(text.len() + more);
    let mut moved = Vec::with_capacity(marks.len() + 2 * insertions.len());
    let mut from = 0;
    let mut copy = |out: &mut String, range: Range<usize>| {
        let before = marks.iter().skip(marks.partition_point(|mark| mark.at < range.start));
        let inside = before.take_while(|mark| mark.at < range.end);
        moved.extend(inside.map(|mark| Mark { at: mark.at - range.start + out.len(), place: mark.place.clone() }));
        out.push_str(text.get(range).unwrap_or_default());
    };
    let mut seams = Vec::with_capacity(insertions.len());
    for Insertion { at, header } in insertions {
        copy(&mut out, from..at);
        from = at;
        out.push('\n');
        let begin = out.len();
        out.push_str(text.get(header.clone()).unwrap_or_default());
        // It says nothing new, so what it stands above tells where this part of the table is.
        let place = |new| within(&marks, &text, &(at..at)).pop().map(|mark| Mark { at: new, ..mark });
        seams.extend(place(begin).into_iter().chain(place(out.len())));
    }
    copy(&mut out, from..text.len());
    moved.extend(seams);
    moved.sort_by_key(|mark| mark.at);
    moved.dedup_by(|later, earlier| later.at == earlier.at || later.place == earlier.place && !counts(earlier));
    (out, moved)
}

/// Whether the place goes on with each line.
fn counts(mark: &Mark) -> bool {
    mark.place.advanced(1) != mark.place
}

/// Where a header is written again.
struct Insertion {
    /// The beginning of the row that it goes before.
    at: usize,
    /// The header and the line below it.
    header: Range<usize>,
}

fn tables(text: &str) -> Vec<Range<usize>> {
    let mut depth = 0usize;
    let mut found = Vec::new();
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if depth == 0 && matches!(tag, Tag::Table(_)) {
                    found.push(range);
                }
                depth += 1;
            }
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

fn insertions(text: &str, table: Range<usize>, budget: Budget, tokens: &dyn Tokens) -> Vec<Insertion> {
    let mut at = table.start;
    let slice = text.get(table.clone()).unwrap_or_default();
    let mut lines = slice.split_inclusive('\n').map(|line| {
        let range = at..at + line.len();
        at = range.end;
        range
    });
    let (Some(head), Some(rule)) = (lines.next(), lines.next()) else { return Vec::new() };
    let header = head.start..rule.end;
    let count = |range: &Range<usize>| tokens.weigh(text.get(range.clone()).unwrap_or_default());
    let weight = count(&header);
    if header.len() > LONGEST_HEADER || weight > budget.most * 2 / 3 {
        return Vec::new();
    }
    let room = if weight > budget.target / HEADER_SHARE { budget.most } else { budget.target };
    let mut found = Vec::new();
    let mut sum = weight;
    for row in lines {
        let tokens = count(&row);
        if sum > weight && sum + tokens > room {
            found.push(Insertion { at: row.start, header: header.clone() });
            sum = weight;
        }
        sum += tokens;
    }
    // One that fits the window stays as it is; a long one need not be counted to know that it does not.
    if found.len() <= 2 && count(&table) <= budget.most { Vec::new() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::{Place, locate};

    /// A token is a word.
    struct Words;

    impl Tokens for Words {
        fn count(&self, text: &str) -> usize {
            text.split_whitespace().count()
        }

        fn offsets(&self, _: &str) -> Vec<(usize, usize)> {
            Vec::new()
        }
    }

    const BUDGET: Budget = Budget { target: 40, most: 50 };

    fn table(rows: u32) -> String {
        let rows = (2..2 + rows).map(|row| format!("| r{row} | x |\n"));
        format!("Before.\n\n| a | b |\n| --- | --- |\n{}\nAfter.\n", rows.collect::<String>())
    }

    #[test]
    fn a_header_of_few_tokens_and_many_bytes_does_not_come_again() {
        let rows = (0..2_000).map(|row| format!("| r{row} | x |\n")).collect::<String>();
        let text = format!("| {} | b |\n| --- | --- |\n{rows}", "a".repeat(500_000));
        assert_eq!(repeat_headers(text.clone(), Vec::new(), BUDGET, &Words), (text, Vec::new()));
    }

    #[test]
    fn headers_do_not_become_most_of_a_text() {
        let rows = "| r | x |\n".repeat(2_000);
        let text = format!("| {} | b |\n| --- | --- |\n{rows}", "a".repeat(900));
        let (long, _) = repeat_headers(text.clone(), Vec::new(), BUDGET, &Words);
        assert!(long.len() <= text.len() * 3, "{} of {}", long.len(), text.len());
    }

    #[test]
    fn a_long_table_says_its_header_again() {
        let text = table(20);
        let row = |row| Place::Row { sheet: Some("S".into()), row, columns: (1, 2) };
        let mark = |needle: &str, place| Mark { at: text.find(needle).unwrap(), place };
        let marks = vec![mark("| a", row(1)), mark("| r2 ", row(2))];
        let (long, marks) = repeat_headers(text.clone(), marks, BUDGET, &Words);
        let pieces: Vec<&str> = long.split("| a | b |\n| --- | --- |\n").skip(1).collect();
        assert!(pieces.len() > 2 && pieces.iter().all(|piece| Words.count(piece) <= 30), "{long}");
        assert_eq!(long.replace("\n| a | b |\n| --- | --- |\n", ""), text.replace("\n| a | b |\n| --- | --- |\n", ""));
        for number in 2..22 {
            let at = long.find(&format!("| r{number} ")).unwrap();
            assert_eq!(locate(&marks, &long, 0, &(at..at + 3)).unwrap().first, row(number));
        }
        let again = long.rfind("| a |").unwrap();
        let after = long[again..].split("| r").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(locate(&marks, &long, 0, &(again..again + 3)).unwrap().first, row(after));
        assert!(marks.is_sorted_by_key(|mark| mark.at));
    }

    #[test]
    fn what_fits_or_has_a_header_as_long_as_itself_stays() {
        for text in [table(7), format!("| {} |\n| --- |\n{}", "long ".repeat(30), "| x |\n".repeat(50)), "| no".into()]
        {
            assert_eq!(repeat_headers(text.clone(), Vec::new(), BUDGET, &Words), (text, Vec::new()));
        }
    }

    #[test]
    fn pages_stay_where_they_are() {
        let text = table(30);
        let at = text.find("| r9 ").unwrap();
        let marks = vec![Mark { at: 0, place: Place::Page(1) }, Mark { at, place: Place::Page(2) }];
        let (long, marks) = repeat_headers(text, marks, BUDGET, &Words);
        let page = |needle: &str| {
            let at = long.find(needle).unwrap();
            locate(&marks, &long, 0, &(at..at + 3)).unwrap().page().unwrap()
        };
        assert_eq!(["| r8 ", "| r9 ", "| r30 ", "After"].map(page), [1, 2, 2, 2]);
    }
}
