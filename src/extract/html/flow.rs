//! How what a page says is written: text with its white space folded, lists, rows, fences.

use super::Page;
use crate::extract::composer::{LONGEST, begins_block};

/// Deepest indentation of nested lists.
const DEEPEST_LIST: usize = 8;
/// Lists within lists that are told apart.
const LISTS: usize = 1000;

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
        let mut chars = text.chars();
        loop {
            let rest = chars.as_str();
            let Some(c) = chars.next() else { break };
            let out = self.target();
            match c {
                '#' | '`' | '~' if !in_cell && (out.is_empty() || out.ends_with('\n')) && begins_block(rest) => {
                    out.push('\\');
                    out.push(c);
                }
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

    pub(super) fn open_list(&mut self, first: Option<usize>) {
        if self.lists.is_empty() {
            self.gap();
        }
        if self.lists.len() < LISTS {
            self.lists.push(first);
        }
    }

    pub(super) fn item(&mut self) {
        self.line();
        let indent = "  ".repeat(self.lists.len().saturating_sub(1).min(DEEPEST_LIST));
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!("{}. ", *number - 1)
            }
            _ => "- ".to_owned(),
        };
        self.push_raw(&indent);
        self.push_raw(&marker);
    }

    /// An item that is a term.
    pub(super) fn term(&mut self) {
        self.item();
        self.term = Some(self.target().len());
    }

    /// What a term means, on its line: `- term: what it means`.
    pub(super) fn definition(&mut self) {
        let (term, in_list) = (self.term.take(), !self.lists.is_empty());
        let out = self.target();
        let end = out.trim_end().len();
        match term.map(|term| out.get(term..end).unwrap_or_default()) {
            Some("") => {}
            Some(text) if !text.contains('\n') => {
                out.truncate(end);
                out.push_str(": ");
            }
            None if in_list && end > 0 && !out.ends_with('\n') => {
                out.truncate(end);
                out.push_str("; ");
            }
            _ => self.item(),
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
