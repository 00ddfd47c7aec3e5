//! The structure of a text, as far as it is cut along it: sections under headings, and the blocks in them. Pure.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::extract::Structure;

/// Bytes of a heading that are kept in a path.
const LONGEST_HEADING: usize = 160;

/// What stands under one heading, with it.
pub struct Section {
    /// The headings it stands under, outermost first.
    pub heading_path: Vec<String>,
    pub blocks: Vec<Block>,
}

/// A stretch of text that belongs together.
pub struct Block {
    pub range: Range<usize>,
    pub kind: Kind,
}

/// What a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Heading,
    Text,
    List,
    /// Rows or lines that belong together.
    Whole,
}

/// The text as sections of blocks, in order. Nothing lies between them.
pub fn sections(text: &str, structure: Structure) -> Vec<Section> {
    let found = match structure {
        Structure::Plain => vec![Section { heading_path: Vec::new(), blocks: paragraphs(text, Kind::Text) }],
        Structure::Code => vec![Section { heading_path: Vec::new(), blocks: paragraphs(text, Kind::Whole) }],
        Structure::Markdown => markdown_sections(text),
    };
    covering(found, text.len())
}

/// Lets every block reach to the next one: what no block claimed, a link's definition say, goes with the one before.
fn covering(mut sections: Vec<Section>, end: usize) -> Vec<Section> {
    let mut next = end;
    for block in sections.iter_mut().rev().flat_map(|section| section.blocks.iter_mut().rev()) {
        block.range.end = next;
        next = block.range.start;
    }
    if let Some(first) = sections.iter_mut().flat_map(|section| section.blocks.iter_mut()).next() {
        first.range.start = 0;
    } else if end > 0 {
        sections.push(Section { heading_path: Vec::new(), blocks: vec![Block { range: 0..end, kind: Kind::Text }] });
    }
    sections
}

/// What blank lines part. Of a program, only those before a line that is not indented: there a new thing begins.
fn paragraphs(text: &str, kind: Kind) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Range<usize>> = None;
    let mut parted = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let range = at..at + line.len();
        at = range.end;
        let is_blank = line.trim().is_empty();
        if is_blank && kind == Kind::Text || parted && !is_blank && !line.starts_with(char::is_whitespace) {
            blocks.extend(open.take().map(|range| Block { range, kind }));
        }
        if !is_blank {
            open = Some(open.map_or(range.start, |o| o.start)..range.end);
        }
        parted = is_blank;
    }
    blocks.extend(open.map(|range| Block { range, kind }));
    blocks
}

fn markdown_sections(text: &str) -> Vec<Section> {
    let mut sections = vec![Section { heading_path: Vec::new(), blocks: Vec::new() }];
    let mut path: Vec<(HeadingLevel, String)> = Vec::new();
    let mut depth = 0usize;
    let mut heading: Option<String> = None;
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                depth += 1;
                if depth > 1 {
                    continue;
                }
                let kind = match tag {
                    Tag::Heading { .. } => {
                        heading = Some(String::new());
                        sections.push(Section { heading_path: Vec::new(), blocks: Vec::new() });
                        Kind::Heading
                    }
                    Tag::CodeBlock(_) | Tag::Table(_) => Kind::Whole,
                    Tag::List(_) => Kind::List,
                    _ => Kind::Text,
                };
                push_block(&mut sections, Block { range, kind });
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                if let TagEnd::Heading(level) = end
                    && depth == 0
                {
                    let title = heading.take().unwrap_or_default();
                    path.retain(|(outer, _)| *outer < level);
                    path.push((level, shorten(title.trim())));
                    if let Some(section) = sections.last_mut() {
                        section.heading_path = path.iter().map(|(_, t)| t.clone()).filter(|t| !t.is_empty()).collect();
                    }
                }
            }
            Event::Text(t) | Event::Code(t) => {
                if let Some(title) = &mut heading {
                    title.push_str(&t);
                }
            }
            // Rules and raw HTML between blocks are text like any other.
            _ if depth == 0 => push_block(&mut sections, Block { range, kind: Kind::Text }),
            _ => {}
        }
    }
    sections
}

fn push_block(sections: &mut [Section], block: Block) {
    if let Some(section) = sections.last_mut() {
        section.blocks.push(block);
    }
}

fn shorten(heading: &str) -> String {
    let mut end = heading.len().min(LONGEST_HEADING);
    while !heading.is_char_boundary(end) {
        end -= 1;
    }
    heading.get(..end).unwrap_or_default().to_owned()
}
