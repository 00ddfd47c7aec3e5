//! Tables without lines: rows whose cells stand under each other.

use super::columns::median;
use super::segments::Segment;

/// Rows that make a table.
const FEWEST_ROWS: usize = 3;
/// Columns of one table.
const MOST_COLUMNS: usize = 64;
/// Letters in a table's typical cell; longer ones are prose in columns.
const LONGEST_CELL: f64 = 40.0;
/// Letters in a typical line of a narrow column of prose.
const SHORTEST_LINE: f64 = 20.0;

/// How far the lines of one cell are apart at most, in their size.
const LEADING: f64 = 1.45;

/// Rows of a block: lines that are read on, or the cells of a table.
pub enum Rows {
    Lines(Vec<Vec<Segment>>),
    Table(Table),
}

/// A table as it is set: a row of cells for each line.
pub struct Table {
    lines: Vec<Vec<String>>,
    /// Of each line, how far it is below the one above, in the size of its letters.
    steps: Vec<f64>,
}

/// Finds the tables among the rows of a block.
pub fn split(rows: Vec<Vec<Segment>>) -> Vec<Rows> {
    let mut found = Vec::new();
    let mut lines: Vec<Vec<Segment>> = Vec::new();
    let mut run: Vec<Vec<Segment>> = Vec::new();
    let mut columns: Vec<(f64, f64)> = Vec::new();
    for row in rows {
        let follows = run
            .last()
            .and_then(|last| last.first())
            .zip(row.first())
            .is_none_or(|(last, first)| first.baseline - last.baseline <= 2.5 * first.size.max(last.size));
        let is_within = || run.last().is_some_and(|last| is_below(last, &row) && is_inside(&columns, &row));
        let is_candidate = row.iter().all(|cell| cell.table.is_none()) && (row.len() >= 2 || is_within());
        let widened = is_candidate.then(|| widened(&columns, &row)).flatten().filter(|_| follows);
        match widened {
            Some(widened) => columns = widened,
            None => {
                close(&mut run, &columns, &mut lines, &mut found);
                columns =
                    if is_candidate { row.iter().map(|cell| (cell.left, cell.right)).collect() } else { Vec::new() };
                if !is_candidate {
                    lines.push(row);
                    continue;
                }
            }
        }
        run.push(row);
    }
    close(&mut run, &columns, &mut lines, &mut found);
    if !lines.is_empty() {
        found.push(Rows::Lines(lines));
    }
    found
}

/// Whether rows are those of tables, nearly all of them, and not lines of prose that stand in columns.
pub fn are_tables(rows: Vec<Vec<Segment>>) -> bool {
    let count = rows.len();
    let inside = |rows: Rows| match rows {
        Rows::Table(table) if !has_prose(&table.lines) => table.lines.len(),
        _ => 0,
    };
    let inside: usize = split(rows).into_iter().map(inside).sum();
    inside > 0 && 10 * inside >= 8 * count
}

/// What stands in tables among the first and last of a page's rows, those that have cells in all columns but the first.
pub fn edges(rows: &[Vec<Segment>], lines: usize) -> Vec<&Segment> {
    let windows = || rows.windows(FEWEST_ROWS);
    let edges = windows().take(lines).chain(windows().rev().take(lines));
    edges.flat_map(whole).flatten().collect()
}

/// The rows of a table without gaps, where these are one.
fn whole(rows: &[Vec<Segment>]) -> Vec<&Vec<Segment>> {
    let found = split(Vec::from(rows));
    let [Rows::Table(table)] = found.as_slice() else { return Vec::new() };
    if has_prose(&table.lines) {
        return Vec::new();
    }
    let is_whole = |row: &Vec<String>| row.iter().skip(1).all(|cell| !cell.is_empty());
    rows.iter().zip(&table.lines).filter(|(_, cells)| is_whole(cells)).map(|(row, _)| row).collect()
}

/// Whether prose stands in a column of a table.
fn has_prose(table: &[Vec<String>]) -> bool {
    let width = table.first().map_or(0, Vec::len);
    let column = |at: usize| table.iter().filter_map(move |row| row.get(at)).filter(|cell| !cell.is_empty());
    (0..width).any(|at| is_prose(&column(at).collect::<Vec<_>>()))
}

/// Whether lines are filled as those of prose are, and begin within sentences, with ever other words.
fn is_prose(lines: &[&String]) -> bool {
    let usual = median(lines.iter().map(|line| letters(line)).collect());
    let longest = lines.iter().map(|line| letters(line)).fold(1.0, f64::max);
    // Scripts without spaces say more in fewer letters, and have no capitals.
    let is_unspaced = lines.iter().flat_map(|line| line.chars()).all(|c| c > '\u{2E80}');
    let is_long = usual >= SHORTEST_LINE || (is_unspaced && usual >= 8.0);
    let begun = lines.iter().filter(|line| line.starts_with(|c: char| c.is_uppercase() || c.is_numeric())).count();
    let mut words: Vec<Option<&str>> = lines.iter().map(|line| line.split(' ').next()).collect();
    words.sort_unstable();
    let same = words.chunk_by(|one, next| one == next).map(<[_]>::len).max().unwrap_or(0);
    let is_flowing = 2 * begun < lines.len() && 2 * same < lines.len();
    usual > LONGEST_CELL || (is_long && usual >= 0.8 * longest && is_flowing)
}

/// The columns with one more row, unless a cell of it stands in two of them.
fn widened(columns: &[(f64, f64)], row: &[Segment]) -> Option<Vec<(f64, f64)>> {
    let mut columns = columns.to_vec();
    for cell in row {
        let slack = 0.3 * cell.size;
        let mut under = (0..columns.len())
            .filter(|at| columns.get(*at).is_some_and(|c| cell.left < c.1 + slack && c.0 < cell.right + slack));
        match (under.next(), under.next()) {
            (Some(at), None) => {
                let column = columns.get_mut(at)?;
                *column = (column.0.min(cell.left), column.1.max(cell.right));
            }
            (None, _) if columns.len() < MOST_COLUMNS => {
                let place = columns.partition_point(|column| column.0 < cell.left);
                columns.insert(place, (cell.left, cell.right));
            }
            _ => return None,
        }
    }
    Some(columns)
}

fn close(run: &mut Vec<Vec<Segment>>, columns: &[(f64, f64)], lines: &mut Vec<Vec<Segment>>, found: &mut Vec<Rows>) {
    let run = std::mem::take(run);
    let Some(table) = table(&run, columns) else {
        lines.extend(run);
        return;
    };
    if !lines.is_empty() {
        found.push(Rows::Lines(std::mem::take(lines)));
    }
    found.push(Rows::Table(table));
}

/// Whether a row is no further below another than a cell's line is below the one before.
fn is_below(last: &[Segment], row: &[Segment]) -> bool {
    last.first().zip(row.first()).is_some_and(|(last, first)| step(last, first) <= LEADING)
}

/// Whether a row stands under columns of a table, and not under the first.
fn is_inside(columns: &[(f64, f64)], row: &[Segment]) -> bool {
    let inside = |cell: &Segment| {
        let slack = 0.3 * cell.size;
        columns.iter().skip(1).any(|(left, right)| *left - slack <= cell.left && cell.right <= *right + slack)
    };
    row.iter().all(inside)
}

fn step(above: &Segment, below: &Segment) -> f64 {
    (below.baseline - above.baseline) / below.size.max(above.size)
}

fn table(run: &[Vec<Segment>], columns: &[(f64, f64)]) -> Option<Table> {
    if run.len() < FEWEST_ROWS || columns.len() < 2 {
        return None;
    }
    let mut table: Vec<Vec<String>> = Vec::with_capacity(run.len());
    for row in run {
        let mut cells = vec![String::new(); columns.len()];
        for segment in row {
            let middle = (segment.left + segment.right) / 2.0;
            let at = columns.iter().position(|(left, right)| (*left..=*right).contains(&middle))?;
            let cell = cells.get_mut(at).filter(|cell| cell.is_empty())?;
            cell.clone_from(&segment.text);
        }
        table.push(cells);
    }
    let firsts = run.windows(2).filter_map(|pair| Some(step(pair.first()?.first()?, pair.last()?.first()?)));
    let found = Table { lines: table, steps: std::iter::once(0.0).chain(firsts).collect() };
    let (table, rows) = (&found.lines, found.rows());
    let filled = || table.iter().flatten().filter(|cell| !cell.is_empty());
    let is_short = median(filled().map(|cell| letters(cell)).collect()) <= LONGEST_CELL;
    let in_rows = rows.iter().flatten().filter(|cell| !cell.is_empty()).count();
    let is_full = 10 * in_rows >= 6 * rows.len() * columns.len();
    // Two columns are labels and values as often; figures tell.
    let figures = table.iter().filter(|row| row.last().is_some_and(|cell| is_figure(cell))).count();
    let is_wide = columns.len() > 2 || 3 * figures >= 2 * table.len();
    // Bullets and numbers of a list stand in a column of their own.
    let is_list =
        table.iter().all(|row| row.first().is_some_and(|cell| cell.chars().count() <= 4)) && columns.len() == 2;
    (is_short && is_full && is_wide && !is_list && rows.len() > 1).then_some(found)
}

impl Table {
    /// Its rows: a line without a first cell goes on with the cells above, where it is as close to them as lines of one
    /// cell are and rows are not.
    pub fn rows(&self) -> Vec<Vec<String>> {
        let lines = || self.lines.iter().zip(&self.steps);
        let is_first = |line: &[String]| line.first().is_some_and(|cell| !cell.is_empty());
        let usual = median(lines().skip(1).filter(|(line, _)| is_first(line)).map(|(_, step)| *step).collect());
        let mut rows: Vec<Vec<String>> = Vec::new();
        for (line, step) in lines() {
            let is_close = *step <= LEADING && *step <= 0.9 * usual;
            match rows.last_mut().filter(|_| is_close && !is_first(line)) {
                Some(row) => row.iter_mut().zip(line).for_each(|(cell, line)| add(cell, line)),
                None => rows.push(line.clone()),
            }
        }
        rows
    }
}

/// Goes on with the text of a cell.
fn add(cell: &mut String, line: &str) {
    if !cell.is_empty() && !line.is_empty() {
        cell.push(' ');
    }
    cell.push_str(line);
}

fn letters(cell: &str) -> f64 {
    f64::from(u32::try_from(cell.chars().count()).unwrap_or(u32::MAX))
}

fn is_figure(cell: &str) -> bool {
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    digits > 0 && 2 * digits >= cell.chars().filter(|c| c.is_alphanumeric()).count()
}
