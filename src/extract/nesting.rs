//! Paragraphs, tables and boxes as office documents nest them, flattened to what Markdown holds: a table within a
//! cell becomes its text, a text box or a note follows the paragraph that it hangs on.

use super::composer::{Composer, LONGEST};
use super::fault::Fault;

/// Cells of one row at most; what spans more is cut.
const WIDEST: usize = 1024;
/// What a cell costs, however short its text is.
const CELL: usize = size_of::<String>();
/// Longest text in bytes that a cell repeats to the rows that it spans.
const LONGEST_REPEATED: usize = 200;

/// A block of text.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    Heading(usize, String),
    Paragraph(String),
    /// A line of code, or several.
    Code(String),
    Item {
        depth: usize,
        number: Option<u64>,
        text: String,
    },
    Table(Vec<Vec<String>>),
}

/// A document in the making: what is open, from the outermost in.
#[derive(Default)]
pub struct Nesting {
    pub composer: Composer,
    open: Vec<Open>,
    /// Bytes of text taken in so far, wherever they are now.
    taken: usize,
}

enum Open {
    Paragraph {
        text: String,
        after: Vec<Block>,
    },
    Table(Table),
    /// A box or note, whose blocks come after the paragraph around it.
    Aside(Vec<Block>),
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
    row: Vec<String>,
    /// Whether a cell is open: the last of `row`.
    in_cell: bool,
    span: usize,
    continues: bool,
}

impl Nesting {
    /// Whether there is room for more.
    ///
    /// # Errors
    /// [`super::Kind::TooComplex`].
    pub fn check(&self) -> Result<(), Fault> {
        match self.taken > LONGEST {
            true => Err(Fault::too_complex(format!("its text is longer than {} MiB", LONGEST >> 20))),
            false => self.composer.check(),
        }
    }

    /// Adds to the innermost open paragraph; text elsewhere is white space between elements.
    pub fn text(&mut self, text: &str) {
        if let Some(Open::Paragraph { text: all, .. }) = self.open.last_mut() {
            self.taken += text.len();
            all.push_str(text);
        }
    }

    /// Hangs a block on the innermost open paragraph, or puts it where it stands.
    pub fn hang(&mut self, block: Block) {
        self.taken += size(&block);
        match self.open.last_mut() {
            Some(Open::Paragraph { after, .. }) => after.push(block),
            _ => self.put(block),
        }
    }

    /// Whether a cell of the innermost table is open.
    pub fn in_cell(&self) -> bool {
        matches!(self.open.last(), Some(Open::Table(table)) if table.in_cell)
    }

    pub fn open_paragraph(&mut self) {
        self.open.push(Open::Paragraph { text: String::new(), after: Vec::new() });
    }

    /// Ends a paragraph, which `shape` makes a block of.
    pub fn close_paragraph(&mut self, shape: impl FnOnce(String) -> Block) {
        if let Some(Open::Paragraph { text, after }) = self.open.pop_if(|open| matches!(open, Open::Paragraph { .. })) {
            match text.trim().is_empty() {
                true => self.composer.blank_line(),
                false => self.put(shape(text)),
            }
            after.into_iter().for_each(|block| self.put(block));
        }
    }

    pub fn open_aside(&mut self) {
        self.open.push(Open::Aside(Vec::new()));
    }

    /// Ends a box or note and hangs it on the paragraph around it.
    pub fn close_aside(&mut self) {
        for block in self.take_aside() {
            // It is moved once for every box around it.
            self.taken += CELL;
            match self.open.last_mut() {
                Some(Open::Paragraph { after, .. }) => after.push(block),
                _ => self.put(block),
            }
        }
    }

    /// Ends a box or note and hands over what was in it.
    pub fn take_aside(&mut self) -> Vec<Block> {
        match self.open.pop_if(|open| matches!(open, Open::Aside(_))) {
            Some(Open::Aside(blocks)) => blocks,
            _ => Vec::new(),
        }
    }

    pub fn open_table(&mut self) {
        self.open.push(Open::Table(Table::default()));
    }

    pub fn close_table(&mut self) {
        if let Some(Open::Table(table)) = self.open.pop_if(|open| matches!(open, Open::Table(_))) {
            let mut rows = table.rows;
            let filled = rows.iter().flatten().filter(|cell| !cell.trim().is_empty()).count();
            match rows.iter().map(Vec::len).max() {
                // A frame around text, which people draw as a table of one cell.
                Some(1) if filled == 1 => {
                    let text = rows.drain(..).flatten().find(|cell| !cell.trim().is_empty()).unwrap_or_default();
                    self.put(Block::Paragraph(text));
                }
                Some(_) if filled > 0 => self.put(Block::Table(rows)),
                _ => {}
            }
        }
    }

    /// Begins a cell, after `skipped` that have none in this row.
    pub fn open_cell(&mut self, skipped: usize) {
        if let Some(Open::Table(table)) = self.open.last_mut() {
            let room = WIDEST.saturating_sub(table.row.len());
            table.row.extend(std::iter::repeat_n(String::new(), skipped.min(room)));
            table.row.push(String::new());
            self.taken += (skipped.min(room) + 1) * CELL;
            (table.in_cell, table.span, table.continues) = (true, 1, false);
        }
    }

    /// The open cell spans so many columns.
    pub fn span(&mut self, columns: usize) {
        if let Some(Open::Table(table)) = self.open.last_mut() {
            table.span = columns.max(1);
        }
    }

    /// The open cell is part of the one above it.
    pub fn continues(&mut self) {
        if let Some(Open::Table(table)) = self.open.last_mut() {
            table.continues = true;
        }
    }

    /// Ends a cell. One that a cell above reaches down to says the same, so that its row stands for itself.
    pub fn close_cell(&mut self) {
        let Some(Open::Table(table)) = self.open.last_mut() else { return };
        if !std::mem::take(&mut table.in_cell) {
            return;
        }
        let column = table.row.len().saturating_sub(1);
        let above = table.rows.last().and_then(|row| row.get(column)).filter(|_| table.continues);
        if let (Some(above), Some(cell)) = (above, table.row.last_mut())
            && cell.is_empty()
            && above.len() <= LONGEST_REPEATED
        {
            self.taken += above.len();
            cell.push_str(above);
        }
        let room = WIDEST.saturating_sub(table.row.len());
        table.row.extend(std::iter::repeat_n(String::new(), (table.span - 1).min(room)));
        self.taken += table.span.min(WIDEST) * CELL;
    }

    /// Whether the open row holds any text: one without stands nowhere.
    pub fn row_has_text(&self) -> bool {
        matches!(self.open.last(), Some(Open::Table(table)) if table.row.iter().any(|cell| !cell.trim().is_empty()))
    }

    /// Ends a row, which stands there `times` times; a row that was taken out stands there zero times.
    pub fn close_row(&mut self, times: usize) {
        if let Some(Open::Table(table)) = self.open.last_mut() {
            let row = std::mem::take(&mut table.row);
            let bytes: usize = row.iter().map(|cell| cell.len() + CELL).sum();
            if row.iter().any(|cell| !cell.trim().is_empty()) {
                let room = LONGEST.saturating_sub(self.taken) / bytes.max(1) + 1;
                self.taken = self.taken.saturating_add(bytes.saturating_mul(times.saturating_sub(1)));
                table.rows.extend(std::iter::repeat_n(row, times.min(room)));
            }
        }
    }

    /// Puts a block where it belongs: into the innermost cell or box, or the document.
    pub fn put(&mut self, block: Block) {
        for open in self.open.iter_mut().rev() {
            match open {
                Open::Aside(blocks) => return blocks.push(block),
                Open::Table(table) => {
                    if let Some(cell) = table.row.last_mut().filter(|_| table.in_cell) {
                        if !cell.is_empty() {
                            cell.push('\n');
                        }
                        let text = flat(block);
                        // It is copied once for every table around it.
                        self.taken += text.len();
                        cell.push_str(&text);
                    }
                    return;
                }
                Open::Paragraph { .. } => {}
            }
        }
        match block {
            Block::Heading(level, text) => self.composer.heading(level, &text),
            Block::Paragraph(text) => self.composer.paragraph(&text),
            Block::Code(text) => self.composer.code_line(&text),
            Block::Item { depth, number, text } => self.composer.item(depth, number, &text),
            Block::Table(rows) => self.composer.table(&widened(rows)),
        }
    }
}

/// With the first row as wide as the widest, which makes the columns.
fn widened(mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    rows.retain(|row| row.iter().any(|cell| !cell.trim().is_empty()));
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    if let Some(header) = rows.first_mut() {
        header.resize(width, String::new());
    }
    rows
}

fn flat(block: Block) -> String {
    match block {
        Block::Item { number: Some(number), text, .. } => format!("{number}. {text}"),
        Block::Heading(_, text) | Block::Paragraph(text) | Block::Code(text) | Block::Item { text, .. } => text,
        Block::Table(rows) => {
            let filled =
                |row: Vec<String>| row.into_iter().filter(|c| !c.trim().is_empty()).collect::<Vec<_>>().join(", ");
            rows.into_iter().map(filled).collect::<Vec<_>>().join("; ")
        }
    }
}

/// The text of blocks, flattened.
pub fn flattened(blocks: Vec<Block>) -> String {
    blocks.into_iter().map(flat).collect::<Vec<_>>().join("\n")
}

fn size(block: &Block) -> usize {
    match block {
        Block::Heading(_, text) | Block::Paragraph(text) | Block::Code(text) | Block::Item { text, .. } => text.len(),
        Block::Table(rows) => rows.iter().flatten().map(|cell| cell.len() + CELL).sum(),
    }
}
