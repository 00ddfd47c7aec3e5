//! One page: what it draws, as stretches of lines in the frame they are read in.

use std::panic::{AssertUnwindSafe, catch_unwind};

use flate2::read::ZlibDecoder;
use hayro_interpret::hayro_syntax::Filter;
use hayro_interpret::hayro_syntax::content::TypedIter;
use hayro_interpret::hayro_syntax::object::{Array, Stream};
use hayro_interpret::hayro_syntax::page::Page;
use hayro_interpret::kurbo::{Affine, Point, Rect};
use hayro_interpret::{
    Context, Device, InterpreterCache, InterpreterSettings, RenderContent, TransformExt, interpret, interpret_page,
};

use super::glyphs::{Exceeded, Letter, Rule, Sheet};
use super::scan::Canvas;
use super::segments::{Segment, segments};
use super::tables;

/// Most that the instructions of one page come to.
const LONGEST: usize = 96 << 20;
/// Share of a page that pictures cover where they are what it shows.
const PICTURED: f64 = 0.05;
/// Shapes that may be letters drawn as such.
const DRAWN: usize = 300;

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Text,
    Blank,
    /// Pictures, or drawings, and no letter.
    Picture,
    /// Letters that the document does not tell the meaning of.
    Unknown,
}

/// A page as it was read.
pub struct Read {
    pub kind: Kind,
    /// What is written in the page's main direction, of a page this high, and what is written across it.
    pub height: f64,
    pub segments: Vec<Segment>,
    pub across: Vec<Vec<Segment>>,
    /// Whether a part of its instructions cannot be read.
    pub is_damaged: bool,
    /// Whether it is beyond its bounds, so that a part of it was not read.
    pub is_exceeded: bool,
    /// Its size in points, and the pixels an inch of its largest picture.
    size: (f64, f64),
    resolution: f64,
}

/// Reads a page.
pub fn read<'a>(page: &Page<'a>, cache: &InterpreterCache<'a>) -> Read {
    let size = page.render_dimensions();
    let size = (f64::from(size.0), f64::from(size.1));
    let mut sheet = Sheet::new(size.0, size.1);
    let (is_damaged, is_exceeded) = draw(page, cache, RenderContent::all(), &mut sheet);
    let kind = match (sheet.count(), sheet.unknown) {
        (0, 0) if sheet.pictured > PICTURED * size.0 * size.1 || sheet.shapes > DRAWN => Kind::Picture,
        (0, 0) => Kind::Blank,
        (known, unknown) if unknown > 20 && unknown > known => Kind::Unknown,
        (0, _) => Kind::Blank,
        _ => Kind::Text,
    };
    let resolution = sheet.largest.1;
    let mut groups: Vec<(i32, Vec<Letter>)> = sheet.letters.drain().collect();
    groups.sort_by_key(|(degrees, letters)| (std::cmp::Reverse(letters.len()), *degrees));
    let mut groups = groups.into_iter();
    let (degrees, mut letters) = groups.next().unwrap_or_default();
    let (height, down) = match degrees {
        90 => (size.0, size.0),
        180 => (size.1, size.1),
        -90 => (size.0, 0.0),
        _ => (size.1, 0.0),
    };
    letters.iter_mut().for_each(|letter| letter.baseline += down);
    let rules: Vec<Rule> = sheet.rules.iter().filter_map(|rule| rule.turned(degrees, down)).collect();
    let mut found = tables::take(&mut letters, &rules);
    found.extend(segments(letters));
    let across = groups.map(|(_, letters)| segments(letters)).collect();
    Read { kind, height, segments: found, across, is_damaged, is_exceeded, size, resolution }
}

/// A picture of a page.
pub fn picture<'a>(page: &Page<'a>, read: &Read, cache: &InterpreterCache<'a>) -> Option<Vec<u8>> {
    let mut canvas = Canvas::new(read.size.0, read.size.1, read.resolution)?;
    draw(page, cache, RenderContent::PAGE, &mut canvas);
    canvas.finish()
}

/// Draws a page. Tells whether a part of it cannot be read, and whether it is beyond its bounds.
fn draw<'a>(
    page: &Page<'a>,
    cache: &InterpreterCache<'a>,
    content: RenderContent,
    device: &mut impl Device<'a>,
) -> (bool, bool) {
    let mut is_damaged = false;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let (instructions, is_whole) = instructions(page);
        is_damaged = !is_whole;
        let (width, height) = page.render_dimensions();
        let bounds = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
        let transform = page.initial_transform(true).to_kurbo();
        // The page's own instructions are run by themselves, so that one broken stream of several does not go unseen.
        let settings = InterpreterSettings { render_content: content - RenderContent::PAGE, ..Default::default() };
        let mut context = Context::new(transform, bounds, cache, page.xref(), settings);
        interpret(TypedIter::new(&instructions), page.resources(), &mut context, device);
        interpret_page(page, &mut context, device);
    }));
    match outcome {
        Ok(()) => (is_damaged, false),
        Err(cause) => match cause.is::<Exceeded>() {
            true => (is_damaged, true),
            false => (true, false),
        },
    }
}

/// The instructions of a page, and whether they are all there.
fn instructions(page: &Page<'_>) -> (Vec<u8>, bool) {
    let page = page.raw();
    let one = page.get::<Stream<'_>>(b"Contents");
    let several = page.get::<Array<'_>>(b"Contents").filter(|_| one.is_none());
    let streams = one.into_iter().chain(several.iter().flat_map(|streams| streams.iter::<Stream<'_>>()));
    let mut all = Vec::new();
    let mut is_whole = true;
    for stream in streams {
        is_whole &= is_intact(&stream);
        match stream.decoded_data() {
            Ok(data) if all.len() + data.len() > LONGEST => return (all, false),
            Ok(data) => {
                all.extend_from_slice(&data);
                // A stream ends a word.
                all.push(b'\n');
            }
            Err(_) => is_whole = false,
        }
    }
    (all, is_whole)
}

/// Whether a stream unpacks to its end. The interpreter is content with what comes out before it breaks.
fn is_intact(stream: &Stream<'_>) -> bool {
    if stream.filters().as_slice() != [Filter::FlateDecode] {
        return true;
    }
    let packed = stream.raw_data();
    let unpacked = std::io::copy(&mut ZlibDecoder::new(&*packed), &mut std::io::sink());
    unpacked.is_ok()
}

impl Rule {
    /// This in the frame of what is written in another direction, which is `down` lower.
    fn turned(&self, degrees: i32, down: f64) -> Option<Rule> {
        if degrees % 90 != 0 {
            return None;
        }
        let turn = Affine::rotate(-f64::from(degrees).to_radians());
        let ends = match self.is_horizontal {
            true => (Point::new(self.from, self.at), Point::new(self.to, self.at)),
            false => (Point::new(self.at, self.from), Point::new(self.at, self.to)),
        };
        let (one, other) = (turn * ends.0, turn * ends.1);
        Some(match (one.x - other.x).abs() > (one.y - other.y).abs() {
            true => Rule { is_horizontal: true, at: one.y + down, from: one.x.min(other.x), to: one.x.max(other.x) },
            false => {
                Rule { is_horizontal: false, at: one.x, from: one.y.min(other.y) + down, to: one.y.max(other.y) + down }
            }
        })
    }
}
