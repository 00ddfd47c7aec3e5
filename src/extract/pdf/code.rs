//! Programs, and what machines print: lines in letters that are all of one width, between text in others.

use super::segments::Segment;

/// Width of such a letter, in its size: that of Courier, which the others follow.
const LETTER: f64 = 0.6;
/// Deepest indentation and widest gap that is kept, in letters.
const WIDEST: usize = 120;
/// Blank lines that are kept between two lines.
const MOST_BLANK: usize = 2;

/// Rows of a block.
pub enum Rows {
    Text(Vec<Vec<Segment>>),
    Code(String),
}

/// Takes a document as one in text where most of it is in letters of one width: that is how it was typed.
pub fn judge<'s>(segments: impl Iterator<Item = &'s mut Segment>) {
    let segments: Vec<&mut Segment> = segments.collect();
    let (mut code, mut all) = (0, 0);
    for segment in &segments {
        all += segment.text.len();
        // Writings whose letters all have one width say nothing by it.
        if segment.is_monospaced {
            code += segment.text.len();
        }
    }
    if 2 * code > all {
        segments.into_iter().for_each(|segment| segment.is_monospaced = false);
    }
}

/// Finds the code among the rows of a block. A row alone is a name or an address within the text.
pub fn split(rows: Vec<Vec<Segment>>) -> Vec<Rows> {
    let mut found = Vec::new();
    let mut text: Vec<Vec<Segment>> = Vec::new();
    let mut code: Vec<Vec<Segment>> = Vec::new();
    for row in rows {
        if row.iter().all(|segment| segment.is_monospaced && segment.text.is_ascii()) {
            code.push(row);
            continue;
        }
        close(&mut code, &mut text, &mut found);
        text.push(row);
    }
    close(&mut code, &mut text, &mut found);
    if !text.is_empty() {
        found.push(Rows::Text(text));
    }
    found
}

fn close(code: &mut Vec<Vec<Segment>>, text: &mut Vec<Vec<Segment>>, found: &mut Vec<Rows>) {
    if code.len() < 2 {
        text.append(code);
        return;
    }
    if !text.is_empty() {
        found.push(Rows::Text(std::mem::take(text)));
    }
    found.push(Rows::Code(written(&std::mem::take(code))));
}

/// The rows with their indentation, their gaps and the blank lines between them.
fn written(rows: &[Vec<Segment>]) -> String {
    let left = rows.iter().flatten().map(|segment| segment.left).fold(f64::MAX, f64::min);
    let baselines: Vec<f64> = rows.iter().filter_map(|row| Some(row.first()?.baseline)).collect();
    let steps = baselines.windows(2).filter_map(|pair| Some(pair.last()? - pair.first()?));
    let leading = steps.fold(f64::MAX, f64::min).max(1.0);
    let mut out = String::new();
    let mut last: Option<f64> = None;
    for row in rows {
        let Some(first) = row.first() else { continue };
        let lines = last.map_or(0.0, |last| ((first.baseline - last) / leading).round().max(1.0));
        out.extend(std::iter::repeat_n('\n', (lines as usize).min(MOST_BLANK + 1)));
        last = Some(first.baseline);
        let mut at = left;
        for segment in row {
            let letters = ((segment.left - at) / (LETTER * segment.size)).round().max(0.0) as usize;
            let least = usize::from(at > left);
            out.extend(std::iter::repeat_n(' ', letters.clamp(least, WIDEST)));
            out.push_str(&segment.text);
            at = segment.right;
        }
    }
    out
}
