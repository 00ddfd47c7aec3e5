//! Tables written in text: CSV, TSV and their relatives, to a Markdown table whose rows know their place.

use csv::{ReaderBuilder, StringRecord};

use super::composer::Composer;
use super::fault::{Fault, Kind, Warning};
use super::{Extracted, Format};
use crate::place::Place;

/// Columns that are read of a row: as many as a spreadsheet has.
const COLUMNS: usize = 16_384;
/// Records that tell the delimiter.
const SAMPLE: usize = 100;
/// Bytes that tell the delimiter.
const SAMPLE_BYTES: usize = 64 << 10;
/// Rows above a table that can be its caption.
const CAPTION: u32 = 5;
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The rows as a table. `usual` is the delimiter that the format's name promises.
///
/// # Errors
/// [`Kind::TooComplex`] for more text than a document is given.
pub fn extract(text: &str, usual: u8) -> Result<Extracted, Fault> {
    let (delimiter, text) = match stated_delimiter(text) {
        Some((delimiter, rest)) => (delimiter, rest),
        None => (delimiter(text, usual), text),
    };
    let mut composer = Composer::default();
    let mut reader = reader(delimiter, text);
    let mut record = StringRecord::new();
    let mut next = |record: &mut StringRecord| reader.read_record(record).map_err(Fault::damaged);
    let (mut row, mut more) = (1u32, next(&mut record)?);
    let width = width(text, delimiter);
    // A line above the header that says one thing is the table's caption.
    while more && width > 1 && row <= CAPTION && filled(&record) <= 1 {
        composer.place(place(row, &record));
        composer.paragraph(record.iter().find(|cell| !cell.trim().is_empty()).unwrap_or_default());
        more = next(&mut record)?;
        row = row.saturating_add(1);
    }
    let mut cut = None;
    let mut table = composer.open_table();
    while more {
        if record.len() > COLUMNS {
            cut.get_or_insert(row);
        }
        let cells: Vec<String> = record.iter().take(COLUMNS).map(str::to_owned).collect();
        table.row(Some(place(row, &record)), &cells);
        table.check()?;
        more = next(&mut record)?;
        row = row.saturating_add(1);
    }
    if let Some(row) = cut {
        let message = format!("cells beyond column {COLUMNS} were left out, first in row {row}");
        composer.warnings.push(Warning::new(Kind::TooComplex, None, message));
    }
    let format = if usual == b'\t' { Format::Tsv } else { Format::Csv };
    Ok(composer.finish(format.media_type()))
}

fn reader(delimiter: u8, text: &str) -> csv::Reader<&[u8]> {
    ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes())
}

fn place(row: u32, record: &StringRecord) -> Place {
    let last = u32::try_from(record.len().clamp(1, COLUMNS)).unwrap_or(1);
    Place::Row { sheet: None, row, columns: (1, last) }
}

fn filled(record: &StringRecord) -> usize {
    record.iter().filter(|cell| !cell.trim().is_empty()).count()
}

/// What spreadsheets write above their rows: `sep=;`.
fn stated_delimiter(text: &str) -> Option<(u8, &str)> {
    let (first, rest) = text.split_once('\n')?;
    match first.trim_end().strip_prefix("sep=")?.as_bytes() {
        [delimiter] if DELIMITERS.contains(delimiter) => Some((*delimiter, rest)),
        _ => None,
    }
}

/// The delimiter by which most of the first records have the same number of cells, above one.
fn delimiter(text: &str, usual: u8) -> u8 {
    let score = |delimiter: u8| {
        let widths = widths(text, delimiter);
        let (width, agreeing) = commonest(&widths);
        match width {
            0 | 1 => 0,
            _ => agreeing * 1000 / widths.len().max(1),
        }
    };
    // Of equal ones, the one that the name promises.
    let candidates = DELIMITERS.into_iter().filter(|delimiter| *delimiter != usual);
    candidates.chain([usual]).max_by_key(|delimiter| score(*delimiter)).unwrap_or(usual)
}

fn width(text: &str, delimiter: u8) -> usize {
    commonest(&widths(text, delimiter)).0
}

/// Cells of each of the first records.
fn widths(text: &str, delimiter: u8) -> Vec<usize> {
    let sample = text.get(..text.floor_char_boundary(SAMPLE_BYTES)).unwrap_or(text);
    reader(delimiter, sample).into_records().take(SAMPLE).map_while(Result::ok).map(|record| record.len()).collect()
}

/// The number that occurs most often, and how often.
fn commonest(numbers: &[usize]) -> (usize, usize) {
    let times = |number: usize| numbers.iter().filter(|other| **other == number).count();
    numbers.iter().map(|number| (*number, times(*number))).max_by_key(|(_, times)| *times).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::place::locate;

    fn content(text: &str) -> String {
        extract(text, b',').unwrap().content
    }

    #[test]
    fn rows_become_a_table() {
        let table = "| Team | Cups |\n| --- | --- |\n| Blues | 1 |\n| Leafs, Maple | 13 |";
        for text in [
            "Team,Cups\nBlues,1\n\"Leafs, Maple\",13\n",
            "Team;Cups\r\nBlues;1\r\nLeafs, Maple;13\r\n",
            "Team\tCups\nBlues\t1\nLeafs, Maple\t13",
            "Team|Cups\nBlues|1\nLeafs, Maple|13",
            "sep=;\nTeam;Cups\nBlues;1\nLeafs, Maple;13",
        ] {
            assert_eq!(content(text), table, "{text}");
        }
        assert_eq!(content("only\none\ncolumn\n"), "| only |\n| --- |\n| one |\n| column |");
        assert_eq!(
            content("a,b\n\"two\nlines\",\"say \"\"x\"\"\"\n"),
            "| a | b |\n| --- | --- |\n| two lines | say \"x\" |"
        );
    }

    #[test]
    fn rows_know_their_place() {
        let text = "Stanley Cups,,\nTeam,Location,Cups\nBlues,STL,1\nshort\n,,\nMaple Leafs,TOR,13,extra\n";
        let found = extract(text, b',').unwrap();
        assert!(found.content.starts_with("Stanley Cups\n\n| Team | Location | Cups |\n"), "{}", found.content);
        for (needle, cells) in
            [("Stanley", "row 1"), ("Team", "row 2"), ("Blues", "row 3"), ("short", "row 4"), ("Maple", "row 6")]
        {
            let at = found.content.find(needle).unwrap();
            let location = locate(&found.marks, &found.content, 0, &(at..at + 3)).unwrap();
            assert_eq!(location.to_string(), cells, "{needle}");
        }
    }

    #[test]
    fn claims_of_columns_are_bounded() {
        let found = extract(&format!("a,b\n{}\n", "x,".repeat(100_000)), b',').unwrap();
        assert_eq!(found.warnings.len(), 1);
        assert!(found.content.matches("| x").count() <= COLUMNS);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a-c\",;\t|\r\n ]{0,200}") {
            extract(&text, b',').unwrap();
        }
    }
}
