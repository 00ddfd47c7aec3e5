//! Tables that are drawn with lines: their grid, and the letters in its cells.

use super::glyphs::{Letter, Rule};
use super::segments::{Segment, rows, segments};

/// How far lines that belong together may miss each other, in points.
const TOLERANCE: f64 = 2.5;
/// Cells of one table; a finer grid is a drawing.
const MOST_CELLS: usize = 10_000;
/// Rounds in which lines that touch are gathered; crossings of a table's lines are near each other.
const MOST_GROUPS: usize = 64;

/// Takes the letters that stand in tables out of `letters`, and gives the tables.
pub fn take(letters: &mut Vec<Letter>, rules: &[Rule]) -> Vec<Segment> {
    let mut tables = Vec::new();
    for group in groups(rules).into_iter().take(MOST_GROUPS) {
        let Some(grid) = Grid::new(&group) else { continue };
        let (inside, outside): (Vec<Letter>, Vec<Letter>) = letters.drain(..).partition(|l| grid.place(l).is_some());
        *letters = outside;
        match grid.table(&inside) {
            Some(table) => tables.push(table),
            None => letters.extend(inside),
        }
    }
    tables
}

/// Lines that touch each other, group by group.
fn groups(rules: &[Rule]) -> Vec<Vec<Rule>> {
    let mut left: Vec<Rule> = rules.to_vec();
    let mut groups = Vec::new();
    while let Some(seed) = left.pop() {
        let mut group = vec![seed];
        let mut next = 0;
        while let Some(rule) = group.get(next).cloned() {
            let (touching, rest): (Vec<Rule>, Vec<Rule>) = left.drain(..).partition(|other| touch(&rule, other));
            left = rest;
            group.extend(touching);
            next += 1;
        }
        // Two lines across and two down are the least that a grid has.
        let across = group.iter().filter(|rule| rule.is_horizontal).count();
        if across >= 3 && group.len() - across >= 3 {
            groups.push(group);
        }
    }
    groups
}

fn touch(one: &Rule, other: &Rule) -> bool {
    let spans = |rule: &Rule, at: f64| rule.from - TOLERANCE <= at && at <= rule.to + TOLERANCE;
    match one.is_horizontal == other.is_horizontal {
        true => {
            (one.at - other.at).abs() <= TOLERANCE
                && one.from <= other.to + TOLERANCE
                && other.from <= one.to + TOLERANCE
        }
        false => spans(one, other.at) && spans(other, one.at),
    }
}

struct Grid {
    /// Edges of columns, from the left, and of rows, from the top.
    columns: Vec<f64>,
    rows: Vec<f64>,
    uprights: Vec<Rule>,
}

impl Grid {
    fn new(rules: &[Rule]) -> Option<Grid> {
        let edges = |is_horizontal: bool| {
            let mut at: Vec<f64> = rules.iter().filter(|r| r.is_horizontal == is_horizontal).map(|r| r.at).collect();
            at.sort_by(f64::total_cmp);
            at.dedup_by(|next, last| *next - *last <= TOLERANCE);
            at
        };
        let (columns, rows) = (edges(false), edges(true));
        let is_grid = columns.len() >= 3 && rows.len() >= 3 && columns.len().saturating_mul(rows.len()) <= MOST_CELLS;
        let uprights = rules.iter().filter(|rule| !rule.is_horizontal).cloned().collect();
        is_grid.then_some(Grid { columns, rows, uprights })
    }

    /// The row and column in which a letter stands.
    fn place(&self, letter: &Letter) -> Option<(usize, usize)> {
        let (x, y) = ((letter.left + letter.right) / 2.0, letter.baseline - 0.3 * letter.size);
        let between = |edges: &[f64], at: f64| {
            let after = edges.partition_point(|edge| *edge <= at);
            (after > 0 && after < edges.len()).then(|| after - 1)
        };
        Some((between(&self.rows, y)?, between(&self.columns, x)?))
    }

    /// Whether an edge stands to the left of this cell; a cell that spans several columns has none within.
    fn is_closed(&self, row: usize, column: usize) -> bool {
        let (Some(at), Some(top), Some(bottom)) =
            (self.columns.get(column), self.rows.get(row), self.rows.get(row + 1))
        else {
            return true;
        };
        let middle = (top + bottom) / 2.0;
        self.uprights.iter().any(|r| (r.at - at).abs() <= TOLERANCE && r.from <= middle && middle <= r.to)
    }

    /// The table that `letters` make in this grid, unless they show that it is none.
    fn table(&self, letters: &[Letter]) -> Option<Segment> {
        let (height, width) = (self.rows.len() - 1, self.columns.len() - 1);
        let mut cells: Vec<Vec<Vec<Letter>>> = vec![vec![Vec::new(); width]; height];
        // A cell's letters go to the first of the columns that it spans.
        let mut first = vec![vec![0; width]; height];
        for (row, firsts) in first.iter_mut().enumerate() {
            for column in 1..width {
                let before = firsts.get(column - 1).copied().unwrap_or(0);
                if let Some(first) = firsts.get_mut(column) {
                    *first = if self.is_closed(row, column) { column } else { before };
                }
            }
        }
        for letter in letters {
            let (row, column) = self.place(letter)?;
            let column = first.get(row).and_then(|firsts| firsts.get(column)).copied().unwrap_or(column);
            cells.get_mut(row)?.get_mut(column)?.push(letter.clone());
        }
        let table: Vec<Vec<String>> = cells
            .into_iter()
            .map(|row| row.into_iter().map(text).collect::<Vec<String>>())
            .filter(|row| row.iter().any(|cell| !cell.is_empty()))
            .collect();
        // Columns that no cell uses come of doubled lines.
        let used: Vec<bool> =
            (0..width).map(|at| table.iter().any(|row| row.get(at).is_some_and(|cell| !cell.is_empty()))).collect();
        let table: Vec<Vec<String>> = table
            .into_iter()
            .map(|row| row.into_iter().zip(&used).filter(|(_, used)| **used).map(|(cell, _)| cell).collect())
            .collect();
        let filled = table.iter().flatten().filter(|cell| !cell.is_empty()).count();
        let columns = used.iter().filter(|used| **used).count();
        let longest = table.iter().flatten().map(|cell| cell.chars().count()).max().unwrap_or(0);
        // Boxes around text are drawn with the same lines as tables; they hold much in few cells.
        let is_table = table.len() >= 2 && columns >= 2 && 10 * filled >= 4 * table.len() * columns && longest <= 1_000;
        let size = super::columns::median(letters.iter().map(|letter| letter.size).collect());
        is_table.then(|| Segment {
            text: String::new(),
            left: self.columns.first().copied().unwrap_or(0.0),
            right: self.columns.last().copied().unwrap_or(0.0),
            second: None,
            top: self.rows.first().copied().unwrap_or(0.0),
            baseline: self.rows.last().copied().unwrap_or(0.0),
            size,
            is_bold: false,
            is_monospaced: false,
            is_furniture: false,
            table: Some(table),
        })
    }
}

/// The text of one cell.
fn text(letters: Vec<Letter>) -> String {
    let mut parts = segments(letters);
    let lines = rows(&mut parts);
    let lines = lines.into_iter().flatten().map(|part| part.text);
    lines.collect::<Vec<String>>().join(" ")
}
