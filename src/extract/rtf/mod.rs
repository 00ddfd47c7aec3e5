//! Rich Text Format: paragraphs, headings, lists, tables and notes, walked over token by token.
//!
//! Groups are kept on a stack of our own, so depth costs a few bytes; pictures and embedded objects are passed over.

mod characters;
mod destinations;

use std::collections::{HashMap, HashSet};

use rtf_grimoire::tokenizer::{Token, read_token};

use super::Extracted;
use super::docx::promised_level;
use super::fault::{Fault, Kind};
use super::nesting::{Block, Nesting, flattened};
use super::properties::state;
use characters::{Characters, symbol};
use destinations::{Into, destination};

/// Groups within each other at most.
const DEEPEST: usize = 200_000;
/// Fonts and styles that are kept.
const MOST_ENTRIES: usize = 10_000;
/// Levels of lists that are counted.
const LEVELS: usize = 9;

/// The text of a document.
///
/// # Errors
/// [`Kind::Damaged`] for what is no RTF, [`Kind::TooComplex`] beyond the bounds.
pub fn extract(bytes: &[u8]) -> Result<Extracted, Fault> {
    if !bytes.trim_ascii_start().starts_with(b"{\\rtf") {
        return Err(Fault::new(Kind::Damaged, "the file is damaged: it does not begin as RTF does"));
    }
    let mut reader = Reader::default();
    let mut rest = bytes.trim_ascii();
    while !rest.is_empty() {
        // `\bin` alone is followed by bytes; the tokenizer takes longer words for it.
        let (after, token) = match rest.strip_prefix(b"\\bin").and_then(|word| word.first()) {
            Some(letter) if letter.is_ascii_alphabetic() => rtf_grimoire::tokenizer::read_control_word(rest),
            _ => read_token(rest),
        }
        .unwrap_or((rest.get(1..).unwrap_or_default(), Token::Newline(Vec::new())));
        reader.token(token)?;
        rest = after;
    }
    reader.finish()
}

#[derive(Default)]
struct Reader {
    nesting: Nesting,
    groups: Vec<Group>,
    group: Group,
    characters: Characters,
    paragraph: Paragraph,
    in_table: bool,
    /// Whether a paragraph is open.
    is_open: bool,
    /// The paragraphs around the open asides, and whether they were open.
    around: Vec<(Paragraph, bool)>,
    /// Headings by the number of their style.
    headings: HashMap<i32, usize>,
    style: (i32, String),
    statement: String,
    moment: [i32; 5],
    /// What numbers the open paragraph, as it is written.
    label: String,
    counted: [u64; LEVELS],
    /// Headers and footers, each once.
    furniture: Vec<Block>,
    seen: HashSet<String>,
}

/// What holds until the end of a group.
#[derive(Default, Clone, Copy)]
struct Group {
    into: Into,
    /// `\*` stood at its beginning: who does not know what follows passes over it.
    is_optional: bool,
    is_hidden: bool,
    font: i32,
    /// Characters that stand in for one in Unicode.
    stand_ins: Option<u32>,
    /// Whether its end ends an aside.
    opened: Option<Aside>,
}

#[derive(Clone, Copy, PartialEq)]
enum Aside {
    /// A note or a text box, which hangs on its paragraph.
    Hanging,
    /// A header or footer.
    Furniture,
}

#[derive(Default, Clone, Copy)]
struct Paragraph {
    in_table: bool,
    outline: Option<usize>,
    style: i32,
    list: Option<i32>,
    depth: usize,
}

impl Reader {
    fn token(&mut self, token: Token) -> Result<(), Fault> {
        self.nesting.check()?;
        match token {
            Token::StartGroup => {
                self.flush();
                self.characters.no_stand_ins();
                if self.groups.len() >= DEEPEST {
                    return Err(Fault::too_complex(format!("its groups are nested over {DEEPEST} deep")));
                }
                self.groups.push(self.group);
                self.group = Group { is_optional: false, opened: None, ..self.group };
            }
            Token::EndGroup => {
                self.flush();
                self.characters.no_stand_ins();
                self.end_group();
            }
            Token::ControlWord { name, arg } => self.word(&name, arg),
            Token::ControlSymbol('*') => self.group.is_optional = true,
            Token::ControlSymbol('\\') => self.bytes(b"\\"),
            Token::ControlSymbol('{') => self.bytes(b"{"),
            Token::ControlSymbol('}') => self.bytes(b"}"),
            Token::ControlSymbol('\r' | '\n') => self.word("par", None),
            Token::ControlSymbol(sign) => {
                if !self.characters.stands_in() {
                    match sign {
                        '~' => self.say("\u{A0}"),
                        '_' => self.say("-"),
                        _ => {}
                    }
                }
            }
            Token::Text(text) => self.bytes(&text),
            Token::ControlBin(_) | Token::Newline(_) => {}
        }
        Ok(())
    }

    fn end_group(&mut self) {
        let ended = self.group;
        if let Some(outer) = self.groups.pop() {
            self.group = outer;
        }
        match ended.opened {
            Some(Aside::Hanging) => {
                self.end_paragraph();
                self.nesting.close_aside();
                (self.paragraph, self.is_open) = self.around.pop().unwrap_or_default();
            }
            Some(Aside::Furniture) => {
                self.end_paragraph();
                (self.paragraph, self.is_open) = self.around.pop().unwrap_or_default();
                for block in self.nesting.take_aside() {
                    let said = flattened(vec![block.clone()]).trim().to_owned();
                    if said.chars().any(char::is_alphabetic) && self.seen.insert(said) {
                        self.furniture.push(block);
                    }
                }
            }
            None => {}
        }
        if let Into::Statement(key) = ended.into
            && !key.is_empty()
            && self.group.into != ended.into
        {
            let stated = std::mem::take(&mut self.statement);
            let stated = match key {
                "created" | "modified" => {
                    let [year, month, day, ..] = std::mem::take(&mut self.moment);
                    format!("{year:04}-{month:02}-{day:02}")
                }
                _ => super::composer::folded(&stated),
            };
            state(&mut self.nesting.composer, key, stated);
        }
    }

    fn word(&mut self, name: &str, arg: Option<i32>) {
        let number = arg.unwrap_or(0);
        if name == "'" {
            if let Ok(byte) = u8::try_from(number) {
                self.bytes(&[byte]);
            }
            return;
        }
        if name == "u" {
            let unit = u16::try_from(number & 0xFFFF).unwrap_or(0);
            let text = self.characters.unit(unit, self.group.stand_ins.unwrap_or(1));
            return self.say(&text);
        }
        self.flush();
        if self.characters.stands_in() {
            return;
        }
        if let Some(into) = destination(self.group.into, name) {
            self.group.into = into;
            self.group.is_optional = false;
            if name != "shptxt" || into != Into::Body {
                return;
            }
        }
        if std::mem::take(&mut self.group.is_optional) {
            self.group.into = Into::Nowhere;
            return;
        }
        match name {
            "uc" => self.group.stand_ins = u32::try_from(number).ok(),
            "ansicpg" => self.characters.code_page(number),
            "mac" => self.characters.code_page(10000),
            "deff" => self.characters.default_font = number,
            "f" => self.group.font = number,
            "fcharset" if self.group.into == Into::Fonts => self.characters.font(self.group.font, number),
            "plain" => (self.group.is_hidden, self.group.font) = (false, self.characters.default_font),
            "v" | "deleted" => self.group.is_hidden = arg != Some(0),
            "yr" => self.moment[0] = number,
            "mo" => self.moment[1] = number,
            "dy" => self.moment[2] = number,
            "s" if self.group.into == Into::Styles => self.style.0 = number,
            _ if self.group.into != Into::Body => {
                if self.group.into == Into::Label
                    && let Some(text) = symbol(name)
                {
                    self.label.push_str(text);
                }
            }
            "par" | "sect" | "page" => self.end_paragraph(),
            "line" => self.say("\n"),
            "pard" => self.paragraph = Paragraph::default(),
            "intbl" => self.paragraph.in_table = true,
            "s" => self.paragraph.style = number,
            "outlinelevel" => self.paragraph.outline = usize::try_from(number).ok(),
            "ls" => self.paragraph.list = Some(number),
            "ilvl" => self.paragraph.depth = usize::try_from(number).unwrap_or(0).min(LEVELS - 1),
            "cell" | "nestcell" => self.end_cell(name == "nestcell"),
            "row" => {
                if self.in_table {
                    self.nesting.close_row(1);
                }
            }
            "footnote" | "shptxt" | "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr"
            | "footerf" => {
                let hangs = matches!(name, "footnote" | "shptxt");
                if hangs {
                    self.begin_paragraph();
                }
                if self.group.opened.is_none() {
                    self.nesting.open_aside();
                    self.around.push((self.paragraph, self.is_open));
                    self.group.opened = Some(if hangs { Aside::Hanging } else { Aside::Furniture });
                    (self.paragraph, self.is_open) = Default::default();
                }
            }
            _ => {
                if let Some(text) = symbol(name) {
                    self.say(text);
                }
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if self.group.into != Into::Nowhere {
            self.characters.bytes(bytes);
        }
    }

    /// Hands over the bytes that have been collected, now that what they mean may change.
    fn flush(&mut self) {
        let text = self.characters.text(self.group.font);
        if !text.is_empty() {
            self.give(&text);
        }
    }

    fn say(&mut self, text: &str) {
        self.flush();
        self.give(text);
    }

    fn give(&mut self, text: &str) {
        match self.group.into {
            Into::Nowhere | Into::Fonts | Into::Statement("") => {}
            Into::Statement(_) => self.statement.push_str(text),
            Into::Label => self.label.push_str(text),
            Into::Styles => {
                self.style.1.push_str(text);
                if text.ends_with(';') {
                    let (number, name) = std::mem::take(&mut self.style);
                    let level = promised_level(name.trim_matches([';', ' ']));
                    if let Some(level) = level.filter(|_| self.headings.len() < MOST_ENTRIES) {
                        self.headings.insert(number, level);
                    }
                }
            }
            Into::Body if self.group.is_hidden || text.is_empty() => {}
            Into::Body => {
                if self.is_open || !text.trim().is_empty() {
                    self.begin_paragraph();
                    self.nesting.text(text);
                }
            }
        }
    }

    fn begin_paragraph(&mut self) {
        if self.is_open {
            return;
        }
        // A note within a cell is no row of its own.
        if self.around.is_empty() {
            match (self.paragraph.in_table, self.in_table) {
                (true, false) => self.nesting.open_table(),
                (false, true) => self.close_table(),
                _ => {}
            }
            self.in_table = self.paragraph.in_table;
            if self.in_table && !self.nesting.in_cell() {
                self.nesting.open_cell(0);
            }
        }
        self.nesting.open_paragraph();
        self.is_open = true;
    }

    fn end_paragraph(&mut self) {
        self.flush();
        let label = std::mem::take(&mut self.label);
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let Paragraph { outline, style, list, depth, .. } = self.paragraph;
        let heading = outline.filter(|outline| *outline < 9).map(|outline| outline + 1);
        let heading = heading.or_else(|| self.headings.get(&style).copied());
        let label = label.trim();
        let is_item = list.is_some_and(|list| list != 0) || !label.is_empty();
        let number = self.number(label, depth);
        self.nesting.close_paragraph(|text| match (heading, is_item) {
            (Some(level), _) => Block::Heading(level, format!("{label} {text}")),
            (None, true) => Block::Item { depth, number, text },
            (None, false) => Block::Paragraph(text),
        });
    }

    /// The number of an item: what its label says, or the next where it is counted otherwise.
    fn number(&mut self, label: &str, depth: usize) -> Option<u64> {
        if !label.chars().any(char::is_alphanumeric) || label == "o" {
            return None;
        }
        self.counted.iter_mut().skip(depth + 1).for_each(|deeper| *deeper = 0);
        let digits: String =
            label.chars().rev().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
        let counted = self.counted.get_mut(depth)?;
        *counted = digits.chars().rev().collect::<String>().parse().unwrap_or(counted.saturating_add(1));
        Some(*counted)
    }

    fn end_cell(&mut self, is_nested: bool) {
        self.flush();
        self.paragraph.in_table = true;
        if is_nested {
            return self.say(" ");
        }
        self.begin_paragraph();
        self.end_paragraph();
        self.nesting.close_cell();
    }

    fn close_table(&mut self) {
        self.nesting.close_cell();
        self.nesting.close_row(1);
        self.nesting.close_table();
    }

    fn finish(mut self) -> Result<Extracted, Fault> {
        self.flush();
        while !self.groups.is_empty() {
            self.end_group();
        }
        self.end_paragraph();
        if self.in_table {
            self.close_table();
        }
        std::mem::take(&mut self.furniture).into_iter().for_each(|block| self.nesting.put(block));
        self.nesting.check()?;
        Ok(self.nesting.composer.finish("application/rtf"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        extract(format!("{{\\rtf1\\ansi\\ansicpg1252\\deff0 {text}}}").as_bytes()).unwrap().content
    }

    #[test]
    fn characters_come_from_code_pages_and_units() {
        assert_eq!(
            read(r"Caf\'e9 \u8364? \u-10179\'3f\u-8704\'3f {\uc2\u945\'e1\'e1 b}\uc0\u946 c"),
            "Café € 😀 α bβc"
        );
        assert_eq!(
            read(
                r"{\fonttbl{\f0 Arial;}{\f1\fcharset204 Arial;}{\f2\fcharset128 M;}}{\f1\'cf\'f0}\f2\'83\'7d\plain\'e9"
            ),
            "Прマé"
        );
        assert_eq!(read(r"a\~b\_c\-d \{\\\} \ldblquote q\rdblquote\emdash e\tab f"), "a b-cd {\\} “q”—e f");
    }

    #[test]
    fn what_is_not_text_goes() {
        let text = r"a{\*\unknown gone}{\pict\bin5 }}{{x}{\v gone}{\deleted gone}{\field{\*\fldinst HYPERLINK}{\fldrslt link}}{\*\binx y}";
        assert_eq!(read(text), "alink");
        assert_eq!(read(r"\bin-3 a\bin99999 b"), "ab");
    }

    #[test]
    fn structure_survives() {
        let text = r"{\stylesheet{\s0 Normal;}{\s1 heading 1;}{\s2 \'dcberschrift 2;}}{\info{\title T}{\author Kim}{\operator x}{\creatim\yr2024\mo3\dy5}}
{\header Company\par}{\header Company\par}\pard\s1 Top\par\pard\s2 Two\par\pard Text{\footnote\pard A note.} on.\par
{\listtext 1.\tab}\ls1 one\par{\listtext\'b7\tab}\ls1\ilvl1 dot\par{\pard\listtext 2.\tab}\ls1\ilvl0 two\par
\trowd\pard\intbl a\par b\cell\cell c\cell\row\trowd\intbl 1\cell 2\cell 3\cell\row\pard After\par
{\shp{\*\shpinst{\sp{\sn x}{\sv y}}{\shptxt\pard Box\par}}{\shprslt gone}}";
        let found = extract(format!("{{\\rtf1\\ansi {text}}}").as_bytes()).unwrap();
        let expected = "# Top\n\n## Two\n\nText on.\n\nA note.\n\n1. one\n  - dot\n2. two\n\n| a b |  | c |\n| --- | --- | --- |\n| 1 | 2 | 3 |\n\n\
                        After\n\nBox\n\nCompany";
        assert_eq!(found.content, expected);
        assert_eq!(found.title.as_deref(), Some("T"));
        assert_eq!(
            serde_json::Value::Object(found.metadata),
            serde_json::json!({"author": "Kim", "created": "2024-03-05"})
        );
    }

    #[test]
    fn depth_costs_little_and_has_an_end() {
        assert_eq!(read(&format!("{}x", "{\\b ".repeat(100_000))), "x");
        let deep = format!("{{\\rtf1 {}", "{".repeat(300_000));
        assert_eq!(extract(deep.as_bytes()).unwrap_err().kind, Kind::TooComplex);
        assert_eq!(extract(b"no rtf").unwrap_err().kind, Kind::Damaged);
    }

    proptest! {
        #[test]
        fn any_words_are_read(words in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "\\par ", "\\cell ", "\\row ", "\\intbl ", "\\pard ", "\\u8364", "\\u-9999999999 ", "\\uc3 ", "\\'e9", "\\'", "\\bin9 ",
            "\\footnote ", "\\header ", "\\listtext ", "\\*", "\\info", "\\title ", "\\shptxt ", "\\stylesheet ", "\\s1 ", "heading 1;", "text",
            "\\", "\u{e9}", "\\ls1 ", "\\ilvl-5 ", "\\outlinelevel99999 ", "\n",
        ]), 0..60)) {
            let _ = extract(format!("{{\\rtf1 {}", words.concat()).as_bytes());
        }
    }
}
