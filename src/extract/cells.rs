//! Cells of sheets, written as tables that say which rows they come from.

use calamine::Data;

use super::Extracted;
use super::composer::{Composer, LONGEST};
use super::fault::Fault;
use crate::place::Place;

/// Cells with text that a workbook may have.
const MOST_CELLS: usize = 3_000_000;
/// Cells that the tables of a workbook may span.
const MOST_SPANNED: u64 = 6_000_000;
/// Columns of a sheet that is written as it is, however few of its cells have text.
const USUAL_COLUMNS: u64 = 64;
/// Rows before a table that may be its title.
const MOST_TITLES: usize = 10;

/// A workbook in the making.
#[derive(Default)]
pub struct Workbook {
    pub composer: Composer,
    sheets: usize,
    cells: usize,
    bytes: usize,
    spanned: u64,
}

/// The cells of a sheet that have text: row and column from 0.
pub struct Sheet {
    name: String,
    cells: Vec<(u32, u32, String)>,
}

impl Sheet {
    pub fn new(name: &str) -> Self {
        Sheet { name: name.to_owned(), cells: Vec::new() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Workbook {
    /// Takes in a cell.
    ///
    /// # Errors
    /// [`super::Kind::TooComplex`] where there are too many.
    pub fn take(&mut self, sheet: &mut Sheet, (row, column): (u32, u32), text: String) -> Result<(), Fault> {
        if text.trim().is_empty() {
            return Ok(());
        }
        self.cells += 1;
        self.bytes += text.len();
        if self.cells > MOST_CELLS || self.bytes > LONGEST {
            return Err(Fault::too_complex(format!(
                "it has more than {MOST_CELLS} cells or {} MiB of text",
                LONGEST >> 20
            )));
        }
        sheet.cells.push((row, column, text));
        Ok(())
    }

    /// Writes a sheet: its name, what stands above its table, and the table.
    ///
    /// # Errors
    /// [`super::Kind::TooComplex`] where its cells lie too far apart.
    pub fn close(&mut self, sheet: Sheet) -> Result<(), Fault> {
        self.sheets += 1;
        let Sheet { name, mut cells } = sheet;
        cells.sort_by_key(|(row, column, _)| (*row, *column));
        let (Some(left), Some(right)) =
            (cells.iter().map(|(_, column, _)| *column).min(), cells.iter().map(|(_, column, _)| *column).max())
        else {
            return Ok(());
        };
        let place = |row: u32| Place::Row {
            sheet: Some(name.clone()),
            row: row.saturating_add(1),
            columns: (left.saturating_add(1), right.saturating_add(1)),
        };
        let rows: Vec<&[(u32, u32, String)]> = cells.chunk_by(|one, other| one.0 == other.0).collect();
        let columns = self.columns(&cells, left, right, rows.len())?;
        let titles = match rows.iter().any(|row| row.len() > 1) {
            true => rows.iter().take(MOST_TITLES).take_while(|row| row.len() == 1).count(),
            false => 0,
        };
        if let Some((row, _, _)) = cells.first() {
            self.composer.place(place(*row));
        }
        self.composer.heading(1, &name);
        for (row, _, text) in rows.iter().take(titles).copied().flatten() {
            self.composer.place(place(*row));
            self.composer.paragraph(&super::composer::folded(text));
        }
        let mut table = self.composer.open_table();
        for row in rows.iter().skip(titles) {
            let mut line = vec![String::new(); columns.len()];
            for (_, column, text) in *row {
                if let Some(cell) = columns.binary_search(column).ok().and_then(|place| line.get_mut(place)) {
                    cell.clone_from(text);
                }
            }
            table.row(row.first().map(|(row, _, _)| place(*row)), &line);
            table.check()?;
        }
        Ok(())
    }

    /// The columns of a sheet's table: all from the first to the last that has text, unless that would span too much,
    /// and then those that have text.
    fn columns(&mut self, cells: &[(u32, u32, String)], left: u32, right: u32, rows: usize) -> Result<Vec<u32>, Fault> {
        let left_over = MOST_SPANNED.saturating_sub(self.spanned);
        let spanned = |columns: u64| columns.saturating_mul(rows as u64);
        let all = u64::from(right - left) + 1;
        let is_sparse = all > USUAL_COLUMNS && spanned(all) > 8 * cells.len() as u64;
        let columns = match !is_sparse && spanned(all) <= left_over {
            true => (left..=right).collect(),
            false => {
                let mut used: Vec<u32> = cells.iter().map(|(_, column, _)| *column).collect();
                used.sort_unstable();
                used.dedup();
                used
            }
        };
        if spanned(columns.len() as u64) > left_over {
            return Err(Fault::too_complex("its cells lie too far apart"));
        }
        self.spanned += spanned(columns.len() as u64);
        Ok(columns)
    }

    /// The document.
    ///
    /// # Errors
    /// As [`Composer::check`].
    pub fn finish(mut self, media_type: &str) -> Result<Extracted, Fault> {
        self.composer.check()?;
        self.composer.metadata.insert("sheet_count".into(), self.sheets.into());
        Ok(self.composer.finish(media_type))
    }
}

/// A cell's value as text: dates in ISO's way, numbers with the digits that a spreadsheet keeps.
pub fn shown(value: &Data) -> String {
    match value {
        Data::Empty => String::new(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => rounded(*number),
        Data::String(text) => text.clone(),
        Data::Bool(truth) => String::from(if *truth { "TRUE" } else { "FALSE" }),
        Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Error(error) => error.to_string(),
        Data::DateTime(moment) if moment.is_duration() => {
            let seconds = (moment.as_f64() * 86_400.0).round();
            let sign = if seconds < 0.0 { "-" } else { "" };
            // A number without fraction, and in range: floats saturate.
            let seconds = seconds.abs() as u64;
            format!("{sign}{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
        Data::DateTime(moment) => {
            let (year, month, day, hour, minute, second, _) = moment.to_ymd_hms_milli();
            let time = format!("{hour:02}:{minute:02}:{second:02}");
            match moment.as_f64() {
                days if (0.0..1.0).contains(&days) => time,
                days if days.fract() == 0.0 => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {time}"),
            }
        }
    }
}

/// A number with at most 15 digits that count, which is what spreadsheets show.
pub fn rounded(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return format!("{number:.0}");
    }
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    match rounded.abs() {
        size if size != 0.0 && !(1e-9..1e21).contains(&size) => format!("{rounded:e}"),
        _ => rounded.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use calamine::{ExcelDateTime, ExcelDateTimeType};

    use super::*;

    #[test]
    fn values_are_shown_as_people_see_them() {
        let moment = |days, kind| Data::DateTime(ExcelDateTime::new(days, kind, false));
        let at = |days| moment(days, ExcelDateTimeType::DateTime);
        let values = [
            Data::Float(13.0),
            Data::Float(0.1 + 0.2),
            Data::Float(-2.5),
            Data::Float(1e300),
            Data::Bool(true),
            at(45943.0),
            at(45943.5),
            at(0.25),
            moment(1.5, ExcelDateTimeType::TimeDelta),
        ];
        let expected =
            ["13", "0.3", "-2.5", "1e300", "TRUE", "2025-10-13", "2025-10-13 12:00:00", "06:00:00", "36:00:00"];
        assert_eq!(values.map(|value| shown(&value)), expected);
        assert_eq!(shown(&Data::Float(f64::NAN)), "NaN");
    }

    #[test]
    fn a_sheet_of_one_row_is_no_longer_than_that() {
        let mut workbook = Workbook::default();
        let mut sheet = Sheet::new("Notes");
        workbook.take(&mut sheet, (0, 0), "alone".to_owned()).unwrap();
        workbook.close(sheet).unwrap();
        let found = workbook.finish("").unwrap();
        let at = crate::place::locate(&found.marks, &found.content, 0, &(0..found.content.len())).unwrap();
        assert_eq!(at.to_string(), "Notes!A1");
    }

    #[test]
    fn a_sheet_is_a_table_with_its_rows_places() {
        let mut workbook = Workbook::default();
        let mut sheet = Sheet::new("Sales");
        for (row, column, text) in [(0, 2, "Report"), (3, 2, "K"), (3, 4, "V"), (4, 2, "a"), (8, 4, "1")] {
            workbook.take(&mut sheet, (row, column), text.to_owned()).unwrap();
        }
        workbook.close(sheet).unwrap();
        let found = workbook.finish("x").unwrap();
        assert_eq!(found.content, "# Sales\n\nReport\n\n| K |  | V |\n| --- | --- | --- |\n| a |  |  |\n|  |  | 1 |");
        let at = |needle: &str| {
            let at = found.content.find(needle).unwrap();
            crate::place::locate(&found.marks, &found.content, 0, &(at..at + 1)).unwrap().to_string()
        };
        assert_eq!(
            ["Report", "| K", "| a", "|  |  | 1"].map(at),
            ["Sales!C1:E1", "Sales!C4:E4", "Sales!C5:E5", "Sales!C9:E9"]
        );
    }

    #[test]
    fn cells_far_apart_cost_what_they_hold() {
        let mut workbook = Workbook::default();
        let mut sheet = Sheet::new("S");
        for row in 0..2000 {
            workbook.take(&mut sheet, (row * 500, [0, 16_383][row as usize % 2]), "x".into()).unwrap();
        }
        workbook.close(sheet).unwrap();
        assert!(workbook.finish("x").unwrap().content.len() < 100_000);
    }

    #[test]
    fn a_diagonal_that_spans_too_much_is_refused() {
        let mut workbook = Workbook::default();
        let mut sheet = Sheet::new("S");
        (0..16_000).for_each(|place| workbook.take(&mut sheet, (place, place), "x".into()).unwrap());
        assert_eq!(workbook.close(sheet).unwrap_err().kind, crate::extract::Kind::TooComplex);
    }
}
