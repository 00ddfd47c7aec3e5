//! Writes Markdown: what every reader of a format with structure makes of a document, with the marks of where it
//! came from.

use serde_json::{Map, Value};

use super::fault::{Fault, Warning};
use super::{Extracted, Scan, Structure, escape, lowered};
use crate::place::{Mark, Place, within};

/// Bytes of text that one document may come to.
pub const LONGEST: usize = 64 << 20;
/// Blank lines within code that are kept one after the other.
const MOST_BLANK: usize = 2;
/// Deepest indentation of nested lists.
const DEEPEST_LIST: usize = 8;

/// A text in the making. Nothing that is written to it can break its structure: what would begin a block at the
/// beginning of a line is escaped, and cells are told apart.
#[derive(Debug, Default)]
pub struct Composer {
    out: String,
    marks: Vec<Mark>,
    /// The place of what is written next, where it changed.
    place: Option<Place>,
    in_list: bool,
    /// The code that was written line by line, as long as nothing follows it.
    code: Option<Code>,
    pub title: Option<String>,
    pub metadata: Map<String, Value>,
    pub warnings: Vec<Warning>,
    pub scans: Vec<Scan>,
}

#[derive(Debug)]
struct Code {
    fence: String,
    /// Where it ends, its fence included.
    end: usize,
    /// Blank lines after it.
    blank: usize,
}

impl Composer {
    /// What is written from here on comes from `place`.
    pub fn place(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// The last `length` bytes that were written come from `place` already.
    pub fn turn(&mut self, length: usize, place: Place) {
        self.mark(self.out.len().saturating_sub(length), place);
    }

    /// A heading of level 1 to 6.
    pub fn heading(&mut self, level: usize, text: &str) {
        let text = folded(text);
        if !text.is_empty() {
            self.begin(false);
            self.out.push_str(&"#".repeat(level.clamp(1, 6)));
            self.out.push(' ');
            self.out.push_str(&escape::heading(&text));
        }
    }

    /// A paragraph. Its white space is folded; `\n` stays a line's end.
    pub fn paragraph(&mut self, text: &str) {
        let lines: Vec<String> = text.lines().map(folded).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() {
            return;
        }
        self.begin(false);
        for (number, line) in lines.iter().enumerate() {
            if number > 0 {
                self.out.push('\n');
            }
            self.out.push_str(&escape::line(line, number > 0));
        }
    }

    /// An item of a list, `depth` 0 for the outermost; `number` for an ordered one.
    pub fn item(&mut self, depth: usize, number: Option<u64>, text: &str) {
        let text = folded(text);
        if text.is_empty() {
            return;
        }
        self.begin(true);
        self.out.push_str(&"  ".repeat(depth.min(DEEPEST_LIST)));
        match number {
            Some(number) => self.out.push_str(&format!("{number}. ")),
            None => self.out.push_str("- "),
        }
        // With the sign of the item before it, a row of dashes would be a rule.
        self.out.push_str(&escape::line(&text, true));
    }

    /// Preformatted text.
    pub fn code(&mut self, language: &str, text: &str) {
        let fence = fence(text);
        self.begin(false);
        self.out.push_str(&format!("{fence}{language}\n{}\n{fence}", text.trim_end_matches('\n')));
    }

    /// A line of preformatted text, which goes on with the one before where nothing stands between them.
    pub fn code_line(&mut self, text: &str) {
        let goes_on = |code: &Code| code.end == self.out.len() && fence(text).len() <= code.fence.len();
        match self.code.take().filter(goes_on) {
            Some(code) => {
                self.out.truncate(code.end.saturating_sub(code.fence.len()));
                self.out.extend(std::iter::repeat_n('\n', code.blank));
                self.out.push_str(&format!("{}\n{}", text.trim_end(), code.fence));
                self.code = Some(Code { end: self.out.len(), blank: 0, ..code });
            }
            None => {
                self.code("", text.trim_end());
                self.code = Some(Code { fence: fence(text), end: self.out.len(), blank: 0 });
            }
        }
    }

    /// An empty line, which counts within code alone.
    pub fn blank_line(&mut self) {
        if let Some(code) = &mut self.code {
            code.blank = (code.blank + 1).min(MOST_BLANK);
        }
    }

    /// A table whose first row is its header. Rows without any text are left out.
    pub fn table<R: AsRef<[String]>>(&mut self, rows: &[R]) {
        let mut table = self.open_table();
        rows.iter().for_each(|row| table.row(None, row.as_ref()));
    }

    /// A table that is written row by row.
    pub fn open_table(&mut self) -> Table<'_> {
        Table { composer: self, columns: 0, expected: None }
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Whether there is room for more.
    ///
    /// # Errors
    /// [`super::Kind::TooComplex`] beyond [`LONGEST`].
    pub fn check(&self) -> Result<(), Fault> {
        match self.out.len() > LONGEST {
            true => Err(Fault::too_complex(format!("its text is longer than {} MiB", LONGEST >> 20))),
            false => Ok(()),
        }
    }

    /// Adds the Markdown that was made of another document, with its headings below `level`. Of what is attached under a
    /// name, the places and scans come along.
    pub fn append(&mut self, other: &Extracted, level: usize, attachment: Option<&str>) {
        self.warnings.extend(other.warnings.iter().cloned());
        let text = other.content.trim_end();
        let blank = text.len() - text.trim_start().len();
        let mut scans = attachment.map_or([].as_slice(), |_| other.scans.as_slice()).iter().peekable();
        if blank == text.len() {
            scans.for_each(|scan| self.scan(self.out.len(), scan, level, attachment));
            return;
        }
        // The first line keeps its indentation: it may be code by it.
        let mut from = text.get(..blank).and_then(|blank| blank.rfind('\n')).map_or(0, |end| end + 1);
        self.begin(false);
        let marks = attachment.map(|_| within(&other.marks, text, &(from..text.len()))).unwrap_or_default();
        let mut marks = marks.into_iter().peekable();
        let edits = lowered::edits(text, level);
        for (range, new) in edits.into_iter().chain([(text.len()..text.len(), String::new())]) {
            while let Some(mark) = marks.next_if(|mark| mark.at <= range.start) {
                let at = self.out.len() + mark.at.saturating_sub(from);
                self.mark(at, mark.place.attached(attachment.unwrap_or_default()));
            }
            while let Some(scan) = scans.next_if(|scan| scan.at.min(text.len()) <= range.start) {
                let at = self.out.len() + scan.at.min(text.len()).saturating_sub(from);
                self.scan(at, scan, level, attachment);
            }
            self.out.push_str(text.get(from..range.start).unwrap_or_default());
            self.out.push_str(&new);
            from = range.end;
        }
    }

    /// Takes over the scan of what is attached under a name: its text belongs at byte `at`.
    fn scan(&mut self, at: usize, scan: &Scan, level: usize, attachment: Option<&str>) {
        let attachments = attachment.map(str::to_owned).into_iter().chain(scan.attachments.iter().cloned()).collect();
        let heading = scan.heading.as_ref().map(|heading| lowered::whole(heading, level));
        self.scans.push(Scan { at, attachments, heading, ..scan.clone() });
    }

    /// The document.
    pub fn finish(self, media_type: &str) -> Extracted {
        Extracted {
            title: self.title.map(|title| folded(&title)).filter(|title| !title.is_empty()),
            metadata: self.metadata,
            content: self.out,
            structure: Structure::Markdown,
            marks: self.marks,
            warnings: self.warnings,
            scans: self.scans,
            media_type: media_type.to_owned(),
        }
    }

    /// Begins a block: after a blank line, or a line's end between items.
    fn begin(&mut self, in_list: bool) {
        if !self.out.is_empty() {
            self.out.push_str(if in_list && self.in_list { "\n" } else { "\n\n" });
        }
        self.in_list = in_list;
        if let Some(place) = self.place.take() {
            self.mark(self.out.len(), place);
        }
    }

    fn mark(&mut self, at: usize, place: Place) {
        // A row or line moves on with the lines of the text, so the same one again is news.
        let moves_on = place.advanced(1) != place;
        if moves_on || self.marks.last().is_none_or(|last| last.place != place) {
            self.marks.push(Mark { at, place });
        }
    }
}

/// A fence that is longer than any within.
fn fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// A table that is being written.
pub struct Table<'a> {
    composer: &'a mut Composer,
    columns: usize,
    /// Where the next line is taken to come from, unless it is told.
    expected: Option<Place>,
}

impl Table<'_> {
    /// The next row, which comes from `place`; the first is the header. One without any text is left out.
    pub fn row(&mut self, place: Option<Place>, cells: &[String]) {
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            return;
        }
        let composer = &mut *self.composer;
        let is_header = self.columns == 0;
        match is_header {
            true => composer.begin(false),
            false => composer.out.push('\n'),
        }
        if let Some(place) = &place {
            if self.expected.as_ref() != Some(place) {
                composer.mark(composer.out.len(), place.clone());
            }
            self.expected = Some(place.advanced(1));
        }
        composer.out.push('|');
        for cell in cells.iter().map(String::as_str).chain(std::iter::repeat("")).take(self.columns.max(cells.len())) {
            composer.out.push(' ');
            composer.out.push_str(&folded(cell).replace('|', "\\|"));
            composer.out.push_str(" |");
        }
        if is_header {
            self.columns = cells.len();
            composer.out.push('\n');
            // The line that Markdown wants under a header is no row of its own.
            place.into_iter().for_each(|place| composer.mark(composer.out.len(), place));
            composer.out.push_str(&format!("|{}", " --- |".repeat(cells.len())));
        }
    }

    /// Whether there is room for more rows.
    ///
    /// # Errors
    /// As [`Composer::check`].
    pub fn check(&self) -> Result<(), Fault> {
        self.composer.check()
    }
}

/// With its white space folded and without control characters.
pub fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(row: &[&str]) -> Vec<String> {
        row.iter().map(|cell| (*cell).to_owned()).collect()
    }

    #[test]
    fn what_is_written_keeps_its_structure() {
        let mut composer = Composer::default();
        composer.place(Place::Page(1));
        composer.heading(2, " A\n title ");
        composer.paragraph("# no heading\nsecond   line");
        composer.item(0, None, "one");
        composer.item(1, Some(2), "two");
        composer.place(Place::Page(2));
        composer.table(&[cells(&["a|b", "c"]), cells(&["", " "]), cells(&["1"])]);
        composer.code("rust", "let a = `1`;\n");
        let found = composer.finish("text/x");
        let expected = "## A title\n\n\\# no heading\nsecond line\n\n- one\n  2. two\n\n| a\\|b | c |\n| --- | --- |\n| 1 |  |\n\n\
                        ```rust\nlet a = `1`;\n```";
        assert_eq!(found.content, expected);
        let table = expected.find("| a").unwrap();
        let marks = [(0, Place::Page(1)), (table, Place::Page(2))].map(|(at, place)| Mark { at, place });
        assert_eq!(found.marks, marks);
    }

    #[test]
    fn rows_are_marked_where_they_do_not_follow() {
        let mut composer = Composer::default();
        let place = |row| Some(Place::Row { sheet: None, row, columns: (1, 1) });
        let mut table = composer.open_table();
        for row in [1, 2, 3, 7, 8] {
            table.row(place(row), &cells(&[&format!("r{row}")]));
        }
        let found = composer.finish("text/csv");
        let row_at = |needle: &str| {
            let at = found.content.find(needle).unwrap();
            crate::place::locate(&found.marks, &found.content, 0, &(at..at + 2)).unwrap().first
        };
        for row in [1, 2, 3, 7, 8] {
            assert_eq!(Some(row_at(&format!("r{row}"))), place(row));
        }
        assert_eq!(found.marks.len(), 3);
    }
}
