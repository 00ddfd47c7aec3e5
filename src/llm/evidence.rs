//! What of a passage can be quoted: its sentences, items and rows, without headings, rules and the markers of lists.
//!
//! Pure. A row is told together with the header of its table, which stands in the same passage.

use std::ops::Range;

use crate::text::{self, fold};

/// Characters and words of a line that may be a heading though nothing marks it as one.
const LONGEST_HEADING: (usize, usize) = (60, 9);

/// A stretch of a passage that says something.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Bytes of the passage's text.
    pub range: Range<usize>,
    /// A row of a table, or an item of a list: it stands for itself.
    pub is_row: bool,
    /// The header of the table whose row it is.
    pub header: Option<Range<usize>>,
    /// The line above that it stands under, where that is a heading that nothing marks as one.
    pub heading: Option<Range<usize>>,
}

/// The pieces of `text`, in order. `context` is what is known to stand above it, its title and heading.
pub fn pieces(text: &str, context: &str) -> Vec<Piece> {
    let slice = |range: &Range<usize>| text.get(range.clone()).unwrap_or_default();
    let mut found = Vec::new();
    let mut heading = None;
    let mut table: Option<Table> = None;
    for sentence in text::sentences(text) {
        if slice(&sentence).starts_with('|') {
            let last = table.take().filter(|table| is_next_line(text, table.end, sentence.start));
            let table = table
                .insert(last.map_or_else(|| Table::begun(&sentence), |last| last.with(slice(&sentence), &sentence)));
            found.push(Piece { range: sentence, is_row: true, header: table.header.clone(), heading: heading.clone() });
            continue;
        }
        let marked = sentence.clone();
        let body = without_marker(text, sentence);
        let is_row = body.start > marked.start;
        let (above, body) = if is_row { (None, body) } else { without_heading(text, body, context) };
        heading = above.or(heading);
        if says_something(slice(&body)) {
            found.push(Piece { range: body, is_row, header: None, heading: heading.clone() });
        }
    }
    // The header and the rule below it are known as such only when the rule was read.
    let headers: Vec<usize> = found.iter().filter_map(|piece| Some(piece.header.as_ref()?.start)).collect();
    found.retain(|piece| {
        let is_header = piece.is_row && headers.contains(&piece.range.start);
        !is_header && says_something(slice(&piece.range))
    });
    found
}

/// A table as far as it was read.
struct Table {
    first: Range<usize>,
    header: Option<Range<usize>>,
    end: usize,
}

impl Table {
    fn begun(row: &Range<usize>) -> Self {
        Table { first: row.clone(), header: None, end: row.end }
    }

    fn with(self, row: &str, range: &Range<usize>) -> Self {
        let header = if is_rule(row) { Some(self.first.clone()) } else { self.header };
        Table { header, end: range.end, ..self }
    }
}

/// The line below a header: `| --- | :-: |`.
fn is_rule(row: &str) -> bool {
    row.contains('-') && row.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '))
}

fn is_next_line(text: &str, end: usize, start: usize) -> bool {
    text.get(end..start).is_some_and(|gap| gap.matches('\n').count() == 1 && gap.trim().is_empty())
}

/// The cells of a row of a table.
fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_escaped = false;
    for c in row.trim().trim_start_matches('|').chars() {
        match (c, cells.last_mut()) {
            ('|', _) if !is_escaped => cells.push(String::new()),
            ('|', Some(cell)) => {
                cell.pop();
                cell.push(c);
            }
            (_, Some(cell)) => cell.push(c),
            _ => {}
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    cells.into_iter().map(|cell| cell.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// A row as it reads in a sentence, each cell behind the name of its column where there is a `header`.
pub fn row_as_prose(row: &str, header: Option<&str>) -> String {
    let names = header.map(cells).unwrap_or_default();
    let told = cells(row).into_iter().enumerate().filter(|(_, cell)| !cell.is_empty());
    let told = told.map(|(column, cell)| match names.get(column).filter(|name| !name.is_empty()) {
        Some(name) => format!("{}: {cell}", name.trim_end_matches(':')),
        None => cell,
    });
    told.collect::<Vec<_>>().join(" – ")
}

/// The range without the marker of a list item.
fn without_marker(text: &str, range: Range<usize>) -> Range<usize> {
    let sentence = text.get(range.clone()).unwrap_or_default();
    let digits = sentence.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = if digits.len() < sentence.len() { digits.strip_prefix(['.', ')']) } else { None };
    let rest = sentence.strip_prefix(['-', '*', '+', '>']).or(numbered).filter(|rest| rest.starts_with(' '));
    rest.map_or(range.clone(), |rest| range.end - rest.trim_start().len()..range.end)
}

/// The heading that a sentence begins with or is, and what is left of the sentence.
fn without_heading(text: &str, range: Range<usize>, context: &str) -> (Option<Range<usize>>, Range<usize>) {
    let sentence = text.get(range.clone()).unwrap_or_default();
    let first = sentence.lines().next().unwrap_or_default();
    let rest = sentence.get(first.len()..).unwrap_or_default();
    let second = rest.trim_start().lines().next().unwrap_or_default();
    let begins = text.get(..range.start).is_some_and(|before| before.trim().is_empty() || ends_block(before));
    let goes_on = text.get(range.end..).is_some_and(|after| !after.trim().is_empty());
    let ends = text.get(range.end..).is_some_and(begins_block);
    let is_underlined = second.len() >= 3 && (second.chars().all(|c| c == '=') || second.chars().all(|c| c == '-'));
    let is_known = (goes_on || !rest.is_empty()) && !ends_as_sentence(first) && is_part_of(first, context);
    let is_alone = rest.is_empty() && begins && ends && goes_on && looks_like_heading(first);
    let is_above = begins
        && looks_like_heading(first)
        && second.starts_with(|c: char| c.is_uppercase() || text::is_unspaced(c))
        && second.chars().count() > first.chars().count();
    let length = if is_underlined {
        first.len() + (rest.len() - rest.trim_start().len()) + second.len()
    } else if is_known || is_marked(first) || is_alone || is_above {
        first.len()
    } else {
        return (None, range);
    };
    let end = range.start + length;
    let left = text.get(end..range.end).unwrap_or_default();
    (Some(range.start..range.start + first.len()), range.end - left.trim_start().len()..range.end)
}

fn ends_block(before: &str) -> bool {
    before
        .trim_end_matches([' ', '\t'])
        .strip_suffix('\n')
        .is_some_and(|line| line.trim_end_matches([' ', '\t', '\r']).ends_with('\n'))
}

fn begins_block(after: &str) -> bool {
    let line = after.trim_start_matches([' ', '\t', '\r']).strip_prefix('\n');
    line.is_some_and(|line| line.trim_start_matches([' ', '\t', '\r']).starts_with('\n'))
}

/// Markdown's own headings, and a line that is bold from end to end.
fn is_marked(line: &str) -> bool {
    let bold = |mark: &str| {
        let inside = line.strip_prefix(mark).and_then(|rest| rest.trim_end_matches(':').strip_suffix(mark));
        inside.is_some_and(|inside| !inside.is_empty() && !inside.contains(mark) && !ends_as_sentence(inside))
    };
    line.starts_with('#') || bold("**") || bold("__")
}

/// Whether a line says again what stands above: a title.
fn is_part_of(line: &str, context: &str) -> bool {
    let words = |text: &str| {
        fold(text).split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ")
    };
    let line = words(line);
    !line.is_empty() && context.split(", ").chain([context]).any(|part| words(part) == line)
}

/// A short line with a capital and no stop. One with figures may well be a fact: "Capacity 400 litres".
fn looks_like_heading(line: &str) -> bool {
    let numbered = line.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ')' | ' '));
    let is_short = line.chars().count() <= LONGEST_HEADING.0 && line.split_whitespace().count() <= LONGEST_HEADING.1;
    let begins = numbered.starts_with(|c: char| c.is_uppercase() || text::is_unspaced(c));
    is_short
        && begins
        && !numbered.contains(|c: char| c.is_numeric() || matches!(c, ':' | '@' | '|'))
        && !ends_as_sentence(line)
}

fn ends_as_sentence(line: &str) -> bool {
    line.trim_end().ends_with(['.', '!', '?', ';', ',', '。', '！', '？', '…', '"', '”', '»', ')'])
}

/// Rules and fences say nothing.
fn says_something(sentence: &str) -> bool {
    !sentence.starts_with("```") && sentence.chars().filter(|c| c.is_alphanumeric()).count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told<'t>(text: &'t str, context: &str) -> Vec<&'t str> {
        pieces(text, context).into_iter().map(|piece| &text[piece.range]).collect()
    }

    #[test]
    fn headings_are_not_quoted() {
        assert_eq!(told("# Parking\n\nIt is behind the house.", ""), ["It is behind the house."]);
        assert_eq!(told("Parking for guests\n\nIt is behind the house.", ""), ["It is behind the house."]);
        assert_eq!(
            told("Parking for guests\nIt is behind the house, as ever.", ""),
            ["It is behind the house, as ever."]
        );
        assert_eq!(told("Parking\n=======\nIt is behind the house.", ""), ["It is behind the house."]);
        assert_eq!(told("**Parking**\n\nIt is behind the house.", ""), ["It is behind the house."]);
        assert_eq!(told("2.3 Parking\n\nIt is behind the house.", ""), ["It is behind the house."]);
        assert_eq!(told("House rules 2024\n\nNo noise.", "House rules 2024, Parking"), ["No noise."]);
        assert_eq!(told("面会のご案内\n\n面会時間は午後八時までです。", ""), ["面会時間は午後八時までです。"]);
    }

    #[test]
    fn lines_that_say_something_are_no_headings() {
        for text in
            ["Capacity 400 litres\n\nSee below.", "Phone: reception\n\nSee below.", "It is **closed**.\n\nSee below."]
        {
            assert_eq!(told(text, "").len(), 2, "{text}");
        }
        assert_eq!(told("Oskar Lund", ""), ["Oskar Lund"]);
        assert_eq!(told("Wrapped as it is, the\nText goes on.", ""), ["Wrapped as it is, the\nText goes on."]);
    }

    #[test]
    fn a_row_knows_its_header_and_neither_header_nor_rule_is_quoted() {
        let text = "Before.\n\n| Item | Price |\n| --- | ---: |\n| Bolt | 3 € |\n| Nut | 2 \\| 1 |\n\n| loose | row |";
        let rows: Vec<_> = pieces(text, "").into_iter().filter(|piece| piece.is_row).collect();
        let prose =
            |piece: &Piece| row_as_prose(&text[piece.range.clone()], piece.header.clone().map(|range| &text[range]));
        let told: Vec<String> = rows.iter().map(prose).collect();
        assert_eq!(told, ["Item: Bolt – Price: 3 €", "Item: Nut – Price: 2 | 1", "loose – row"]);
        assert_eq!(row_as_prose("| EMEA |  | 5 |", Some("|  | Q1 | Q2: |")), "EMEA – Q2: 5");
    }

    proptest! {
        #[test]
        fn pieces_lie_in_their_text_in_order(text in "[a-zA-Z0-9 .:!\\n#|*=\\-äß東。]{0,120}") {
            let mut last = 0;
            for piece in pieces(&text, "a, b") {
                prop_assert!(piece.range.start >= last && text.get(piece.range.clone()).is_some_and(|t| !t.is_empty()));
                for part in [&piece.header, &piece.heading].into_iter().flatten() {
                    prop_assert!(text.get(part.clone()).is_some());
                }
                last = piece.range.end;
            }
        }
    }
}
