//! A document as sentences, headings and rows of tables, in order.

use std::ops::Range;

use super::Structure;
use crate::text::sentences;

/// Longer runs without a stop are no sentences: names are read from them in pieces, facts are not.
const LONGEST: usize = 1500;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Sentence,
    /// A heading, or a piece of a run that is no sentence.
    Label,
    Row,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unit {
    pub range: Range<usize>,
    pub role: Role,
    /// It begins a paragraph, a section or a table.
    pub begins: bool,
}

/// What `content` is made of; code in Markdown is left out.
pub(super) fn units(content: &str, structure: Structure) -> Vec<Unit> {
    let code = if structure == Structure::Markdown { fences(content) } else { Vec::new() };
    let (mut code, mut found, mut last) = (code.into_iter().peekable(), Vec::new(), 0);
    for range in sentences(content) {
        while code.next_if(|fence| fence.end <= range.start).is_some() {}
        if code.peek().is_some_and(|fence| fence.start < range.end) {
            continue;
        }
        let text = content.get(range.clone()).unwrap_or_default();
        let gap = content.get(last..range.start).unwrap_or_default();
        let begins = gap.bytes().filter(|byte| *byte == b'\n').count() > 1 || found.is_empty();
        last = range.end;
        if range.len() > LONGEST {
            pieces(text, range.start, &mut found);
            continue;
        }
        let role = match text.bytes().next() {
            Some(b'#') => Role::Label,
            Some(b'|') => Role::Row,
            _ => Role::Sentence,
        };
        found.push(Unit { range, role, begins });
    }
    found
}

/// Cuts a run at white space.
fn pieces(text: &str, offset: usize, found: &mut Vec<Unit>) {
    let mut start = 0;
    while start < text.len() {
        let limit = text.floor_char_boundary(start + LONGEST);
        let window = text.get(start..limit).unwrap_or_default();
        let cut = if limit == text.len() { None } else { window.rfind(char::is_whitespace).filter(|at| *at > 0) };
        let end = cut.map_or(limit, |at| start + at).max(text.ceil_char_boundary(start + 1));
        found.push(Unit { range: offset + start..offset + end, role: Role::Label, begins: true });
        start = end;
    }
}

/// Code between lines of three backticks or tildes.
fn fences(content: &str) -> Vec<Range<usize>> {
    let (mut found, mut open, mut at) = (Vec::new(), None::<(usize, &str)>, 0);
    for line in content.split_inclusive('\n') {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (open, mark) {
            (None, Some(mark)) => open = Some((at, mark)),
            (Some((start, opened)), Some(mark)) if opened == mark => {
                found.push(start..at + line.len());
                open = None;
            }
            _ => {}
        }
        at += line.len();
    }
    found.extend(open.map(|(start, _)| start..at));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_rows_and_sentences_are_told_apart_and_code_is_left_out() {
        let text = "# Acme\n\nAcme is big. It grew.\n\n```\nlet a = 1;\n```\n| a | b |\n";
        let found: Vec<_> =
            units(text, Structure::Markdown).into_iter().map(|unit| (&text[unit.range], unit.role)).collect();
        let expected = [
            ("# Acme", Role::Label),
            ("Acme is big.", Role::Sentence),
            ("It grew.", Role::Sentence),
            ("| a | b |", Role::Row),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn runs_without_stops_are_read_in_pieces() {
        let text = "Ärger ".repeat(1000) + &"ö".repeat(5000);
        let found = units(&text, Structure::Prose);
        assert!(found.iter().all(|unit| unit.range.len() <= LONGEST + 4 && text.get(unit.range.clone()).is_some()));
        assert_eq!(found.iter().map(|unit| unit.range.len()).sum::<usize>(), text.len());
    }
}
