//! How what a page says is written: text with its white space folded, rows, fences.

use super::Page;
use crate::extract::composer::LONGEST;
use crate::extract::escape;

impl Page {
    pub(super) fn text(&mut self, text: &str) {
        if self.in_title {
            self.title.get_or_insert_default().push_str(text);
        } else if self.skipping > 0 || self.hidden.is_open() {
        } else if self.out.len() > LONGEST {
            self.is_cut = true;
        } else if self.preformatted > 0 {
            self.push_raw(text);
        } else {
            self.flowing(text);
        }
    }

    /// Adds text with its white space folded.
    pub(super) fn flowing(&mut self, text: &str) {
        if self.heading_open {
            self.heading.get_or_insert_default().push_str(text);
        }
        let in_cell = self.in_cell;
        for c in text.chars() {
            if !in_cell && !c.is_whitespace() {
                self.said.get_or_insert(self.out.len());
            }
            let out = self.target();
            match c {
                c if c.is_whitespace() => {
                    if !out.is_empty() && !out.ends_with([' ', '\n']) {
                        out.push(' ');
                    }
                }
                '|' if in_cell => out.push_str("\\|"),
                c => out.push(c),
            }
        }
    }

    /// Escapes what was said on the open line, if Markdown would take it for structure. It comes in pieces, so only the
    /// end of the line tells.
    pub(super) fn settle(&mut self) {
        let Some(start) = self.said.take() else { return };
        let (before, said) = self.out.split_at_checked(start).unwrap_or_default();
        let goes_on = !before.is_empty() && !before.ends_with("\n\n");
        if escape::begins_block(said.lines().next().unwrap_or_default(), goes_on) {
            self.out.insert(start, '\\');
        }
    }

    pub(super) fn target(&mut self) -> &mut String {
        match self.row.last() {
            Some(cell) if self.in_cell => cell,
            _ => &mut self.out,
        }
    }

    pub(super) fn push_raw(&mut self, text: &str) {
        self.target().push_str(text);
    }

    /// A new line, unless one has just begun.
    pub(super) fn line(&mut self) {
        if self.in_cell {
            return self.flowing(" ");
        }
        self.trim_spaces();
        self.settle();
        if !self.out.is_empty() && !self.out.ends_with('\n') {
            self.out.push('\n');
        }
    }

    /// A blank line, unless there is one; inside an item or a cell, less.
    pub(super) fn gap(&mut self) {
        if self.in_cell {
            return self.flowing(" ");
        }
        if self.lists.is_empty() {
            self.line();
            if !self.out.is_empty() && !self.out.ends_with("\n\n") {
                self.out.push('\n');
            }
        } else if ![". ", "- ", ": "].iter().any(|begun| self.out.ends_with(begun)) {
            self.line();
        }
    }

    pub(super) fn trim_spaces(&mut self) {
        while self.out.ends_with(' ') {
            self.out.pop();
        }
    }

    pub(super) fn end_row(&mut self) {
        self.in_cell = false;
        let mut cells = self.row.take();
        while self.columns > 0 && cells.len() > self.columns && cells.last().is_some_and(String::is_empty) {
            cells.pop();
        }
        if cells.iter().all(String::is_empty) {
            return;
        }
        if self.out.len() > LONGEST {
            self.is_cut = true;
            return;
        }
        if let ([only], 0) = (cells.as_slice(), self.columns) {
            // A table of one cell is for looks.
            self.gap();
            let text = only.replace("\\|", "|");
            self.flowing(&text);
            return self.gap();
        }
        self.line();
        let missing = self.columns.saturating_sub(cells.len());
        self.out.push_str(&format!("| {} |{}\n", cells.join(" | "), "  |".repeat(missing)));
        if self.columns == 0 {
            self.columns = cells.len();
            self.out.push_str(&format!("|{}\n", " --- |".repeat(cells.len())));
        }
    }

    /// Ends preformatted text. A fence is longer than any within.
    pub(super) fn close_fence(&mut self) {
        self.line();
        let code = self.out.get(self.fence + 3..).unwrap_or_default();
        let longest = code.split(|c| c != '`').map(str::len).max().unwrap_or(0).max(2);
        self.out.insert_str(self.fence, &"`".repeat(longest - 2));
        self.out.push_str(&"`".repeat(longest + 1));
    }
}
