//! What the sheets of an old workbook (BIFF) claim to span, before anybody makes room for it.

use crate::extract::fault::Fault;

/// Cells that all sheets may span together.
const MOST_CELLS: u64 = 4_000_000;
/// Records that are walked over, however often sheets share them.
const MOST_RECORDS: usize = 30_000_000;

const END: u16 = 0x000A;
const SHEET: u16 = 0x0085;
const DIMENSIONS: u16 = 0x0200;
const BEGIN: u16 = 0x0809;
/// Records that begin with a row and a column: formulas, blanks, numbers, labels.
const CELLS: &[u16] = &[0x0006, 0x00BD, 0x00BE, 0x00D6, 0x00FD, 0x0201, 0x0203, 0x0204, 0x0205, 0x027E];

/// Walks over a workbook's stream.
///
/// # Errors
/// [`crate::extract::Kind::TooComplex`] where sheets span too much, [`crate::extract::Kind::Damaged`] where they contradict themselves.
pub fn check(stream: &[u8]) -> Result<(), Fault> {
    let mut walked = 0;
    let mut spanned = 0u64;
    let sheets =
        Records(stream).take(MOST_RECORDS).filter(|(kind, _)| *kind == SHEET).filter_map(|(_, data)| long(data, 0));
    for sheet in sheets {
        let records = usize::try_from(sheet).ok().and_then(|at| stream.get(at..)).unwrap_or_default();
        let (mut depth, mut cells) = (0usize, None::<(u16, u16, u16, u16)>);
        for (kind, data) in Records(records) {
            walked += 1;
            if walked > MOST_RECORDS {
                return Err(Fault::too_complex("its sheets have too many records"));
            }
            match kind {
                BEGIN => depth += 1,
                END if depth <= 1 => break,
                END => depth -= 1,
                DIMENSIONS => spanned = spanned.saturating_add(claimed(data)?),
                kind if CELLS.contains(&kind) => {
                    let (Some(row), Some(column)) = (short(data, 0), short(data, 2)) else { continue };
                    // Some records hold a stretch of cells, and end with the column of the last.
                    let last = match kind {
                        0x00BD | 0x00BE => data.len().checked_sub(2).and_then(|at| short(data, at)).unwrap_or(column),
                        _ => column,
                    };
                    let (top, left, bottom, right) = cells.unwrap_or((row, column, row, last));
                    cells = Some((top.min(row), left.min(column), bottom.max(row), right.max(last)));
                }
                _ => {}
            }
        }
        if let Some((top, left, bottom, right)) = cells {
            let side = |first: u16, last: u16| u64::from(last.saturating_sub(first)) + 1;
            spanned = spanned.saturating_add(side(top, bottom) * side(left, right));
        }
        if spanned > 2 * MOST_CELLS {
            return Err(Fault::too_complex(format!("its sheets span more than {MOST_CELLS} cells")));
        }
    }
    Ok(())
}

/// Cells that a sheet says it spans.
fn claimed(data: &[u8]) -> Result<u64, Fault> {
    let (rows, columns) = match data.len() {
        10 => ((short(data, 0).map(u32::from), short(data, 2).map(u32::from)), (short(data, 4), short(data, 6))),
        _ => ((long(data, 0), long(data, 4)), (short(data, 8), short(data, 10))),
    };
    let ((Some(top), Some(bottom)), (Some(left), Some(right))) = (rows, columns) else { return Ok(0) };
    if bottom == 0 || right == 0 {
        return Ok(0);
    }
    // As it is read later: what begins beyond its last column begins at the first.
    let left = if left > 0xFF || right < left { 0 } else { left };
    match bottom.checked_sub(top) {
        Some(rows) => Ok(u64::from(rows) * u64::from(right.saturating_sub(left))),
        None => Err(Fault::damaged("a sheet ends before it begins")),
    }
}

/// The records of a stream: kind and data.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, length) = (short(self.0, 0)?, usize::from(short(self.0, 2)?));
        let data = self.0.get(4..4 + length)?;
        self.0 = self.0.get(4 + length..)?;
        Some((kind, data))
    }
}

fn short(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

fn long(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Kind;

    fn record(kind: u16, data: &[u8]) -> Vec<u8> {
        [&kind.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), data].concat()
    }

    fn workbook(sheet: &[Vec<u8>]) -> Vec<u8> {
        let globals = [record(BEGIN, &[]), record(SHEET, &[18, 0, 0, 0, 0, 0]), record(END, &[])].concat();
        assert_eq!(globals.len(), 18);
        [globals, record(BEGIN, &[]), sheet.concat(), record(END, &[])].concat()
    }

    #[test]
    fn what_a_sheet_claims_or_spans_is_bounded() {
        let dimensions =
            |rows: u32| record(DIMENSIONS, &[&[0; 4][..], &rows.to_le_bytes(), &[0, 0, 4, 0, 0, 0]].concat());
        let cell = |row: u16, column: u16| record(0x0203, &[row.to_le_bytes(), column.to_le_bytes()].concat());
        let kind = |sheet: &[Vec<u8>]| check(&workbook(sheet)).err().map(|fault| fault.kind);
        assert_eq!(kind(&[dimensions(100), cell(0, 0), cell(99, 3)]), None);
        assert_eq!(kind(&[dimensions(u32::MAX)]), Some(Kind::TooComplex));
        assert_eq!(kind(&[cell(0, 0), cell(65_535, 255)]), Some(Kind::TooComplex));
        let backwards = record(DIMENSIONS, &[9, 0, 0, 0, 5, 0, 0, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(kind(&[backwards]), Some(Kind::Damaged));
    }
}
