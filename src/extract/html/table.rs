//! The row of a table that is being read, with cells that span columns and rows.

use html5ever::tokenizer::Tag;

use super::attribute;

/// Columns that one cell spans at most, and rows.
const SPAN: usize = 100;
/// Cells of a row that others can be added to by spanning.
const CELLS: usize = 1_000;
/// Cells of a table that only spans make; beyond, they span no more.
const FILLERS: usize = 20_000;
/// Bytes of a text that is said again in every row that it spans.
const REPEATED: usize = 100;

#[derive(Default)]
pub struct Row {
    cells: Vec<Cell>,
    /// Cells of rows before that reach into this one, and the rows that they still reach: by column.
    from_above: Vec<Option<(String, usize)>>,
    /// Cells that spans have made so far.
    fillers: usize,
}

#[derive(Default)]
struct Cell {
    text: String,
    columns: usize,
    rows: usize,
}

impl Row {
    /// Begins the next cell.
    pub fn cell(&mut self, tag: &Tag) {
        let span =
            |name: &str| attribute(tag, name).and_then(|value| value.parse::<usize>().ok()).unwrap_or(1).clamp(1, SPAN);
        self.cells.push(Cell { text: String::new(), columns: span("colspan"), rows: span("rowspan") });
    }

    /// The text of the cell that is being read.
    pub fn last(&mut self) -> Option<&mut String> {
        self.cells.last_mut().map(|cell| &mut cell.text)
    }

    /// Ends the row: its cells, and those that reach into it.
    pub fn take(&mut self) -> Vec<String> {
        let cells = std::mem::take(&mut self.cells);
        if cells.is_empty() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(cells.len());
        for cell in cells {
            self.fill(&mut out);
            let text = cell.text.trim().to_owned();
            let may_span = out.len() < CELLS && self.fillers < FILLERS;
            let columns = if may_span { cell.columns } else { 1 };
            self.fillers += columns - 1;
            if cell.rows > 1 && may_span {
                let repeated = if text.len() <= REPEATED { text.clone() } else { String::new() };
                let until = out.len() + columns;
                if self.from_above.len() < until {
                    self.from_above.resize(until, None);
                }
                let spanned = self.from_above.get_mut(out.len()..until).unwrap_or_default();
                for (number, column) in spanned.iter_mut().enumerate() {
                    let text = if number == 0 { repeated.clone() } else { String::new() };
                    *column = Some((text, cell.rows));
                }
            }
            out.push(text);
            out.extend(std::iter::repeat_n(String::new(), columns - 1));
        }
        self.fill(&mut out);
        if self.fillers >= FILLERS {
            self.from_above.clear();
        }
        for column in &mut self.from_above {
            *column = column.take().map(|(text, rows)| (text, rows - 1)).filter(|(_, rows)| *rows > 0);
        }
        while self.from_above.last().is_some_and(Option::is_none) {
            self.from_above.pop();
        }
        out
    }

    /// Puts in what reaches into the next columns from above.
    fn fill(&mut self, out: &mut Vec<String>) {
        while let Some(Some((text, _))) = self.from_above.get(out.len()) {
            out.push(text.clone());
            self.fillers += 1;
        }
    }
}
