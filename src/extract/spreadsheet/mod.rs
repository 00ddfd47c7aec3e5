//! Workbooks: each sheet, hidden ones too, as one table, its cells as people see them.
//!
//! Cells are taken one after the other where the format allows it, so that a sheet costs what it holds and not what
//! it spans. Formulas are never evaluated: what was last computed stands in the file.

mod xls_bounds;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{DataRef, Reader, SheetType, Xls, XlsError, Xlsb, Xlsx};

use super::Extracted;
use super::cells::{Sheet, Workbook, rounded, shown};
use super::fault::{Fault, Kind, Warning};
use super::number_format::NumberFormat;
use super::package::Package;
use super::properties::{Vocabulary, take_in};

/// Bytes of the texts that cells share: they are held all at once.
const LARGEST_STRINGS: u64 = 64 << 20;

/// The text of an Office Open XML workbook.
///
/// # Errors
/// [`Kind::Encrypted`], [`Kind::Damaged`] and [`Kind::TooComplex`].
pub fn open_xml(bytes: &[u8], package: &mut Package<'_>) -> Result<Extracted, Fault> {
    let mut workbook = begun(package)?;
    let mut book: Xlsx<_> = guarded(|| Xlsx::new(Cursor::new(bytes)))?;
    let mut formats: Option<Vec<NumberFormat>> = None;
    for name in sheets(&book, package)? {
        let mut sheet = Sheet::new(&name);
        let mut has_empty = false;
        let read = guarded(|| -> Result<Result<(), Fault>, calamine::XlsxError> {
            let mut cells = book.worksheet_cells_reader(&name)?;
            let formats = formats.get_or_insert_with(|| {
                let code =
                    |style: &calamine::Style| style.number_format.as_ref().map(|format| format.format_code.clone());
                cells.styles().iter().map(|style| NumberFormat::new(&code(style).unwrap_or_default())).collect()
            });
            while let Some((cell, style)) = cells.next_cell_with_style_id()? {
                has_empty |= matches!(cell.get_value(), DataRef::Empty);
                let text = match (cell.get_value(), formats.get(style)) {
                    (DataRef::Float(value), Some(format)) => format.shown(*value, rounded),
                    (value, _) => shown(&value.clone().into()),
                };
                if let Err(fault) = workbook.take(&mut sheet, cell.get_position(), text) {
                    return Ok(Err(fault));
                }
            }
            Ok(Ok(()))
        });
        // Only such a sheet is read twice: the first reading tells formats, and no formulas.
        let without = if has_empty { guarded(|| formulas_without_value(&mut book, &name)).unwrap_or(0) } else { 0 };
        if without > 0 {
            let message = without_value(&name, without);
            workbook.composer.warnings.push(Warning::new(Kind::NoText, None, message));
        }
        close(&mut workbook, sheet, read)?;
    }
    workbook.finish("")
}

/// How many formulas of a sheet nobody has computed yet.
fn formulas_without_value(book: &mut Xlsx<Cursor<&[u8]>>, name: &str) -> Result<usize, calamine::XlsxError> {
    let mut cells = book.worksheet_cells_reader(name)?;
    let mut count = 0;
    while let Some(cell) = cells.next_cell_with_formula_metadata()? {
        count += usize::from(cell.formula.is_some() && matches!(cell.value, DataRef::Empty));
    }
    Ok(count)
}

fn without_value(sheet: &str, count: usize) -> String {
    let have = if count == 1 { "formula has" } else { "formulas have" };
    format!(
        "in the sheet {sheet:?}, {count} {have} no stored value: open the file in a spreadsheet program and save it once"
    )
}

/// The text of a binary workbook.
///
/// # Errors
/// As [`open_xml`].
pub fn binary(bytes: &[u8], package: &mut Package<'_>) -> Result<Extracted, Fault> {
    let mut workbook = begun(package)?;
    let mut book: Xlsb<_> = guarded(|| Xlsb::new(Cursor::new(bytes)))?;
    for name in sheets(&book, package)? {
        let mut sheet = Sheet::new(&name);
        let read = guarded(|| -> Result<Result<(), Fault>, calamine::XlsbError> {
            let mut cells = book.worksheet_cells_reader(&name)?;
            while let Some(cell) = cells.next_cell()? {
                let text = shown(&cell.get_value().clone().into());
                if let Err(fault) = workbook.take(&mut sheet, cell.get_position(), text) {
                    return Ok(Err(fault));
                }
            }
            Ok(Ok(()))
        });
        close(&mut workbook, sheet, read)?;
    }
    workbook.finish("")
}

/// The text of a workbook in a compound file.
///
/// # Errors
/// As [`open_xml`].
pub fn compound(bytes: &[u8], records: &[u8]) -> Result<Extracted, Fault> {
    // This format is loaded as a whole, each sheet as the rectangle that it spans.
    xls_bounds::check(records)?;
    let mut workbook = Workbook::default();
    let opened = guarded(|| match Xls::new(Cursor::new(bytes)) {
        Err(XlsError::Password) => Ok(None),
        other => other.map(Some),
    })?;
    let Some(mut book) = opened else {
        return Err(Fault::new(Kind::Encrypted, "the workbook is protected by a password"));
    };
    for name in names(&book) {
        let mut sheet = Sheet::new(&name);
        let range = match guarded(|| book.worksheet_range(&name)) {
            Ok(range) => range,
            Err(fault) => {
                close(&mut workbook, sheet, Err(fault))?;
                continue;
            }
        };
        let (top, left) = range.start().unwrap_or_default();
        for (row, column, value) in range.used_cells() {
            let at = |first: u32, offset: usize| first.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
            workbook.take(&mut sheet, (at(top, row), at(left, column)), shown(value))?;
        }
        close(&mut workbook, sheet, Ok(Ok(())))?;
    }
    workbook.finish("application/vnd.ms-excel")
}

/// A workbook with what its package states, whose parts were found to be within bounds: they are unpacked without any
/// from here on.
fn begun(package: &mut Package<'_>) -> Result<Workbook, Fault> {
    let mut workbook = Workbook::default();
    take_in(package, Vocabulary::OpenXml, &mut workbook.composer)?;
    let read =
        |name: &&str| name.starts_with("xl/") && !name.starts_with("xl/media/") && !name.ends_with("vbaproject.bin");
    let names: Vec<String> = package.names().filter(read).map(str::to_owned).collect();
    for name in names {
        let bytes = package.measure(&name)?;
        if name.contains("sharedstrings") && bytes > LARGEST_STRINGS {
            return Err(Fault::too_complex(format!(
                "its cells' texts unpack to more than {} MiB",
                LARGEST_STRINGS >> 20
            )));
        }
    }
    Ok(workbook)
}

/// The names of a package's sheets; each has its own part, or reading them would have no end.
fn sheets<'a, B: Reader<Cursor<&'a [u8]>>>(book: &B, package: &Package<'_>) -> Result<Vec<String>, Fault> {
    let names = names(book);
    match names.len() > package.names().count() {
        true => Err(Fault::damaged("it names more sheets than it has")),
        false => Ok(names),
    }
}

fn names<'a, B: Reader<Cursor<&'a [u8]>>>(book: &B) -> Vec<String> {
    let has_cells = |sheet: &&calamine::Sheet| {
        matches!(sheet.typ, SheetType::WorkSheet | SheetType::MacroSheet | SheetType::DialogSheet)
    };
    book.sheets_metadata().iter().filter(has_cells).map(|sheet| sheet.name.clone()).collect()
}

/// Writes what was read of a sheet. One that breaks off is a warning, and the others go in.
fn close(workbook: &mut Workbook, sheet: Sheet, read: Result<Result<(), Fault>, Fault>) -> Result<(), Fault> {
    if let Err(fault) = read {
        let message = format!("the sheet {:?} could be read in part only: {}", sheet.name(), fault.message);
        workbook.composer.warnings.push(Warning::new(fault.kind, None, message));
    } else if let Ok(Err(fault)) = read {
        return Err(fault);
    }
    workbook.close(sheet)
}

/// What calamine makes of a file, which may be anything: a panic of its is damage too.
fn guarded<T, E: std::fmt::Display>(read: impl FnOnce() -> Result<T, E>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(found) => found.map_err(|e| match e.to_string() {
            message if message.contains("password") => {
                Fault::new(Kind::Encrypted, "the workbook is protected by a password")
            }
            message => Fault::damaged(message),
        }),
        Err(_) => Err(Fault::damaged("its records contradict each other")),
    }
}

#[cfg(test)]
mod tests {
    use crate::extract::package::{extract, tests};

    fn workbook(rows: &str) -> Vec<u8> {
        let relationship = |id: &str, kind: &str, target: &str| {
            let kinds = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
            format!("<Relationship Id='{id}' Type='{kinds}/{kind}' Target='{target}'/>")
        };
        tests::zipped(&[
            (
                "[Content_Types].xml",
                &tests::types("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"),
            ),
            (
                "_rels/.rels",
                "<Relationships><Relationship Id='r' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument' Target='xl/workbook.xml'/></Relationships>",
            ),
            (
                "xl/workbook.xml",
                "<workbook><sheets><sheet name='Sales' sheetId='1' r:id='r1' state='hidden'/>\
                <sheet name='Lost' sheetId='2' r:id='r2'/></sheets></workbook>",
            ),
            (
                "xl/_rels/workbook.xml.rels",
                &format!(
                    "<Relationships>{}{}{}</Relationships>",
                    relationship("r1", "worksheet", "worksheets/sheet1.xml"),
                    relationship("r2", "worksheet", "worksheets/sheet2.xml"),
                    relationship("r3", "styles", "styles.xml")
                ),
            ),
            (
                "xl/styles.xml",
                "<styleSheet><cellXfs count='3'><xf numFmtId='0'/><xf numFmtId='14'/><xf numFmtId='10'/></cellXfs></styleSheet>",
            ),
            (
                "xl/worksheets/sheet1.xml",
                &format!("<worksheet><dimension ref='A1:XFD1048576'/><sheetData>{rows}</sheetData></worksheet>"),
            ),
            ("xl/worksheets/sheet2.xml", "<worksheet><sheetData><row r='1'><c r='A1'><v>5"),
        ])
    }

    #[test]
    fn cells_have_their_formats_and_a_broken_sheet_is_told() {
        let rows = "<row r='2'><c r='B2' t='inlineStr'><is><t>When</t></is></c><c r='C2' t='inlineStr'><is><t>Share</t></is></c></row>\
            <row r='5'><c r='B5' s='1'><v>45356</v></c><c r='C5' s='2'><f>1/8</f><v>0.125</v></c></row>";
        let found = extract(&workbook(rows)).unwrap();
        assert!(
            found.content.starts_with("# Sales\n\n| When | Share |\n| --- | --- |\n| 2024-03-05 | 12.50% |"),
            "{}",
            found.content
        );
        let at = found.content.find("| 2024").unwrap();
        let place = crate::place::locate(&found.marks, &found.content, 0, &(at..at + 9)).unwrap();
        assert_eq!(place.to_string(), "Sales!B5:C5");
        assert_eq!(found.warnings.len(), 1);
        assert!(found.warnings[0].message.contains("Lost"));
    }

    #[test]
    fn formulas_that_nobody_has_computed_are_told() {
        let rows = "<row r='1'><c r='A1'><v>1</v></c><c r='B1'><f>A1*2</f></c><c r='C1'><f>A1*3</f><v/></c><c r='D1' s='1'/>\
            <c r='E1'><f>A1*4</f><v>4</v></c><c r='F1' t='str'><f>T(D1)</f><v></v></c></row>";
        let found = extract(&workbook(rows)).unwrap();
        let said = "in the sheet \"Sales\", 2 formulas have no stored value";
        assert!(found.warnings[0].message.starts_with(said), "{:?}", found.warnings);
        assert!(!found.warnings.iter().skip(1).any(|warning| warning.message.contains("formula")));
    }

    #[test]
    fn cells_at_the_far_end_cost_nothing() {
        let rows = "<row r='1'><c r='A1'><v>1</v></c></row><row r='1048576'><c r='XFD1048576'><v>2</v></c></row>";
        assert_eq!(extract(&workbook(rows)).unwrap().content.lines().nth(2), Some("| 1 |  |"));
    }
}
