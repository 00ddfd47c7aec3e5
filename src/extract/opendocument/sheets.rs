//! Workbooks in OpenDocument. Cells hold their text as people see it, so it is taken as it stands; what is repeated a
//! million times stands in the file once, and is read once.

use crate::extract::Extracted;
use crate::extract::cells::{Sheet, Workbook};
use crate::extract::composer::LONGEST;
use crate::extract::fault::{Fault, Kind, Warning};
use crate::extract::package::Package;
use crate::extract::properties::{Vocabulary, take_in};
use crate::extract::xml_events::{Element, Node, Nodes};

/// Cells that one cell or row with text is repeated to, its rows and columns multiplied.
const MOST_REPEATED: u32 = 10_000;

/// The text of a workbook.
///
/// # Errors
/// [`Kind::Damaged`] and [`Kind::TooComplex`].
pub fn extract(package: &mut Package<'_>) -> Result<Extracted, Fault> {
    let mut workbook = Workbook::default();
    take_in(package, Vocabulary::OpenDocument, &mut workbook.composer)?;
    let Some(content) = package.text("content.xml")? else {
        return Err(Fault::new(Kind::Damaged, "the file is damaged: content.xml is missing in it"));
    };
    read(&content, &mut workbook)?;
    workbook.finish("")
}

#[derive(Default)]
struct Cell {
    text: String,
    /// What it holds, where it shows no text.
    value: String,
    columns: u32,
}

fn read(content: &str, workbook: &mut Workbook) -> Result<(), Fault> {
    let mut nodes = Nodes::of(content);
    let (mut sheet, mut cell) = (None::<Sheet>, None::<Cell>);
    let (mut row, mut column, mut rows) = (0u32, 0u32, 1u32);
    let mut in_row: Vec<(u32, String)> = Vec::new();
    let mut in_row_bytes = 0usize;
    // Cells that the open row stands for, and those of the open sheet that were left out.
    let (mut stated, mut left_out) = (0u64, 0u64);
    let mut in_paragraph = 0usize;
    while let Some(node) = nodes.next()? {
        match node {
            Node::Start(element) => match (element.name(), &mut cell) {
                ("automatic-styles" | "annotation" | "tracked-changes" | "shapes", _) => nodes.skip()?,
                ("table", None) if sheet.is_none() => {
                    sheet = Some(Sheet::new(&element.attribute("name").unwrap_or_default()));
                    row = 0;
                }
                ("table-row", None) => (column, rows) = (0, repeated(&element, "number-rows-repeated")),
                ("table-cell" | "covered-table-cell", None) => cell = Some(begun(&element)),
                ("p", Some(cell)) => {
                    in_paragraph += 1;
                    if !cell.text.is_empty() {
                        cell.text.push(' ');
                    }
                }
                ("s" | "tab" | "line-break", Some(cell)) => cell.text.push(' '),
                _ => {}
            },
            Node::Text(text) => {
                if let Some(cell) = cell.as_mut().filter(|_| in_paragraph > 0) {
                    cell.text.push_str(&text);
                }
            }
            Node::End(name) => match name.as_str() {
                "p" => in_paragraph = in_paragraph.saturating_sub(1),
                "table-cell" | "covered-table-cell" => {
                    let Some(Cell { text, value, columns }) = cell.take() else { continue };
                    let shown = if text.trim().is_empty() { value } else { text };
                    if !shown.trim().is_empty() {
                        let times = usize::try_from(columns.min(MOST_REPEATED)).unwrap_or(1);
                        stated += u64::from(columns);
                        in_row_bytes += times * (shown.len() + size_of::<(u32, String)>());
                        if in_row_bytes > LONGEST {
                            return Err(Fault::too_complex(format!("a row is longer than {} MiB", LONGEST >> 20)));
                        }
                        let repeated = (0..columns.min(MOST_REPEATED)).map(|offset| column.saturating_add(offset));
                        in_row.extend(repeated.map(|column| (column, shown.clone())));
                    }
                    column = column.saturating_add(columns);
                }
                "table-row" => {
                    let cells = std::mem::take(&mut in_row);
                    in_row_bytes = 0;
                    let wanted = std::mem::take(&mut stated).saturating_mul(u64::from(rows));
                    if let Some(sheet) = sheet.as_mut().filter(|_| !cells.is_empty()) {
                        let columns = u32::try_from(cells.len()).unwrap_or(u32::MAX);
                        let rows = rows.min((MOST_REPEATED / columns).max(1));
                        left_out = left_out.saturating_add(wanted.saturating_sub(u64::from(columns) * u64::from(rows)));
                        for offset in 0..rows {
                            for (column, text) in &cells {
                                workbook.take(sheet, (row.saturating_add(offset), *column), text.clone())?;
                            }
                        }
                    }
                    row = row.saturating_add(rows);
                }
                "table" if cell.is_none() => {
                    if let Some(sheet) = sheet.take() {
                        note(std::mem::take(&mut left_out), &sheet, workbook);
                        workbook.close(sheet)?;
                    }
                }
                _ => {}
            },
        }
    }
    Ok(())
}

/// Tells how many cells were left out that only repeat others.
fn note(left_out: u64, sheet: &Sheet, workbook: &mut Workbook) {
    if left_out > 0 {
        let message = format!("in the sheet {:?}, {left_out} cells were left out that repeat others", sheet.name());
        workbook.composer.warnings.push(Warning::new(Kind::TooComplex, None, message));
    }
}

fn begun(element: &Element<'_>) -> Cell {
    let value = ["date-value", "time-value", "boolean-value", "string-value", "value"];
    Cell {
        text: String::new(),
        value: value.iter().find_map(|name| element.attribute(name)).unwrap_or_default(),
        columns: repeated(element, "number-columns-repeated"),
    }
}

fn repeated(element: &Element<'_>, name: &str) -> u32 {
    element.number(name).and_then(|times| u32::try_from(times).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use crate::extract::package::{extract, tests};

    #[test]
    fn cells_are_taken_as_they_are_shown_and_repetition_costs_little() {
        let cell = |attributes: &str, text: &str| format!("<table:table-cell {attributes}>{text}</table:table-cell>");
        let far = "<table:table-row table:number-rows-repeated='1000000'><table:table-cell table:number-columns-repeated='16384'/></table:table-row>";
        let content = format!(
            "<c><office:body><office:spreadsheet><table:table table:name='S'>{far}<table:table-row>{}{}{}</table:table-row>\
             <table:table-row table:number-rows-repeated='2'>{}{}</table:table-row>{far}</table:table></office:spreadsheet></office:body></c>",
            cell("table:number-columns-repeated='2'", ""),
            cell("office:value-type='percentage' office:value='0.125'", "<text:p>12.5%</text:p>"),
            cell(
                "",
                "<text:p>a<text:span>b</text:span></text:p><office:annotation><text:p>gone</text:p></office:annotation>"
            ),
            cell("table:number-columns-repeated='2'", ""),
            cell("table:number-columns-repeated='2' office:value='7'", ""),
        );
        let mimetype = "application/vnd.oasis.opendocument.spreadsheet";
        let found = extract(&tests::zipped(&[("mimetype", mimetype), ("content.xml", &content)])).unwrap();
        assert_eq!(found.content, "# S\n\n| 12.5% | ab |\n| --- | --- |\n| 7 | 7 |\n| 7 | 7 |");
        let place = crate::place::locate(&found.marks, &found.content, 0, &(40..found.content.len())).unwrap();
        assert_eq!(place.to_string(), "S!C1000002:D1000003");
        assert_eq!(found.warnings, []);
    }

    #[test]
    fn a_cell_that_fills_a_sheet_is_taken_ten_thousand_times_and_the_rest_is_named() {
        let sheet = |rows: u32, columns: u32| {
            let content = format!(
                "<c><table:table table:name='S'><table:table-row table:number-rows-repeated='{rows}'>\
                 <table:table-cell table:number-columns-repeated='{columns}'><text:p>xyz</text:p></table:table-cell>\
                 </table:table-row></table:table></c>"
            );
            let mimetype = "application/vnd.oasis.opendocument.spreadsheet";
            let found = extract(&tests::zipped(&[("mimetype", mimetype), ("content.xml", &content)])).unwrap();
            (found.content.matches("xyz").count(), found.warnings.into_iter().map(|warning| warning.message).collect())
        };
        let all: Vec<String> = Vec::new();
        assert_eq!(sheet(100, 100), (10_000, all));
        let rest = |cells: u64| vec![format!("in the sheet \"S\", {cells} cells were left out that repeat others")];
        assert_eq!(sheet(1_048_576, 16_384), (10_000, rest(1_048_576 * 16_384 - 10_000)));
        assert_eq!(sheet(1_048_576, 3), (9_999, rest(1_048_576 * 3 - 9_999)));
    }
}
