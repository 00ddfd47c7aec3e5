//! What a page draws: its letters with their places, its ruled lines, how much of it pictures cover.
//!
//! Knows no layout.

use std::collections::{HashMap, HashSet};
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use hayro_interpret::font::{Glyph, GlyphRun, PositionedGlyph};
use hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro_interpret::hayro_syntax::object::{Dict, Name};
use hayro_interpret::kurbo::{Affine, BezPath, PathEl, Point, Rect, Shape, Vec2};
use hayro_interpret::{BlendMode, ClipPath, Device, DrawMode, DrawProps, Image, ImageDrawProps, SoftMask};

use crate::extract::monospaced::is_monospaced;

/// Letters that are read of one page.
const MOST_LETTERS: usize = 500_000;
/// Ruled lines that are kept of one page; one that draws more is a drawing and no table.
const MOST_RULES: usize = 2_000;
/// Steps of drawing that one page may take.
const MOST_STEPS: usize = 2_000_000;
/// Steps that a form counts for, each of which is interpreted anew.
const FORM: usize = 20;
/// Time that one page may take.
const LONGEST: Duration = Duration::from_secs(10);
/// Thickest ruled line, in points.
const THICKEST_RULE: f64 = 3.0;

/// Thrown through the interpreter, which cannot be stopped otherwise, when a page is beyond its bounds.
pub struct Exceeded;

/// A letter, placed in points in a frame in which its line runs to the right and lines follow downwards.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    pub char: char,
    pub left: f64,
    pub right: f64,
    pub baseline: f64,
    pub size: f64,
    pub is_bold: bool,
    /// Of a font whose letters are all of one width.
    pub is_monospaced: bool,
    /// Declared to be a running header or footer.
    pub is_furniture: bool,
}

/// A ruled line that runs along an axis of the page.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub is_horizontal: bool,
    /// Where it lies across its direction.
    pub at: f64,
    pub from: f64,
    pub to: f64,
}

/// What was drawn on one page.
pub struct Sheet {
    pub width: f64,
    pub height: f64,
    /// By the direction they are written in, in degrees clockwise.
    pub letters: HashMap<i32, Vec<Letter>>,
    pub rules: Vec<Rule>,
    /// Area of the pictures, in square points.
    pub pictured: f64,
    /// Of the largest picture: its area and its pixels an inch.
    pub largest: (f64, f64),
    /// Shapes that were filled or stroked.
    pub shapes: usize,
    /// Letters of which the document does not tell what they mean.
    pub unknown: usize,
    count: usize,
    steps: usize,
    began: Instant,
    /// Where letters stand already: bold is often feigned by drawing twice.
    drawn: HashSet<(char, i32, i32)>,
    /// Whether each open marked content is a running header or footer.
    marked: Vec<bool>,
}

impl Sheet {
    pub fn new(width: f64, height: f64) -> Self {
        Sheet {
            width,
            height,
            letters: HashMap::new(),
            rules: Vec::new(),
            pictured: 0.0,
            largest: (0.0, 0.0),
            shapes: 0,
            unknown: 0,
            count: 0,
            steps: 0,
            began: Instant::now(),
            drawn: HashSet::new(),
            marked: Vec::new(),
        }
    }

    /// Letters that have a meaning.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Counts steps.
    fn step(&mut self, count: usize) {
        let before = self.steps;
        self.steps += count;
        if self.steps > MOST_STEPS || (self.steps / 256 > before / 256 && self.began.elapsed() > LONGEST) {
            resume_unwind(Box::new(Exceeded));
        }
    }

    fn letter(&mut self, char: char, origin: Point, along: Vec2, size: f64, font: Font) {
        let length = along.hypot();
        let is_sane = [origin.x, origin.y, length, size].iter().all(|n| n.is_finite() && n.abs() < 100_000.0);
        // What stands beside the page is not seen.
        let slack = size.max(10.0);
        let is_seen =
            (-slack..self.width + slack).contains(&origin.x) && (-slack..self.height + slack).contains(&origin.y);
        if !is_sane || !is_seen || size < 0.1 {
            return;
        }
        let degrees = whole(along.atan2().to_degrees() / 10.0) * 10;
        // Near a quarter turn it is one: scanned pages are a little askew.
        let degrees = if degrees == -180 { 180 } else { degrees };
        if char != ' ' && self.is_drawn_again(char, origin, size) {
            return;
        }
        if self.count >= MOST_LETTERS {
            resume_unwind(Box::new(Exceeded));
        }
        self.count += usize::from(char != ' ');
        let turn = Affine::rotate(-f64::from(degrees).to_radians());
        let Point { x, y } = turn * origin;
        let is_furniture = self.marked.iter().any(|is| *is);
        let Font { is_bold, is_monospaced } = font;
        let letter =
            Letter { char, left: x, right: x + length, baseline: y, size, is_bold, is_monospaced, is_furniture };
        self.letters.entry(degrees).or_default().push(letter);
    }

    fn is_drawn_again(&mut self, char: char, origin: Point, size: f64) -> bool {
        let cell = size * 0.05;
        let (x, y) = (whole(origin.x / cell), whole(origin.y / cell));
        let around = [-1, 0, 1].into_iter().flat_map(|dx| [-1, 0, 1].map(|dy| (char, x + dx, y + dy)));
        let is_again = around.into_iter().any(|place| self.drawn.contains(&place));
        self.drawn.insert((char, x, y));
        is_again
    }

    fn rule(&mut self, rect: Rect) {
        let rect = rect.abs();
        let (width, height) = (rect.width(), rect.height());
        let long = width.max(height);
        if long < 8.0 || width.min(height) > THICKEST_RULE || !long.is_finite() || self.rules.len() >= MOST_RULES {
            return;
        }
        let middle = rect.center();
        self.rules.push(match width > height {
            true => Rule { is_horizontal: true, at: middle.y, from: rect.x0, to: rect.x1 },
            false => Rule { is_horizontal: false, at: middle.x, from: rect.y0, to: rect.y1 },
        });
    }

    fn edges(&mut self, rect: Rect) {
        let Rect { x0, y0, x1, y1 } = rect.abs();
        for edge in [(x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1)] {
            self.rule(Rect::new(edge.0, edge.1, edge.2, edge.3));
        }
    }
}

impl<'a> Device<'a> for Sheet {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, mode: &DrawMode) {
        self.step(1);
        self.shapes += 1;
        if self.rules.len() >= MOST_RULES || path.elements().len() > 10_000 {
            return;
        }
        let path = props.transform * path;
        if let DrawMode::Fill(_) = mode {
            let bounds = path.bounding_box();
            match bounds.width().min(bounds.height()) > THICKEST_RULE {
                // The edges of shaded cells are where a table without lines has them.
                true if path.elements().len() <= 6 => self.edges(bounds),
                _ => self.rule(bounds),
            }
            return;
        }
        let (mut at, mut start) = (Point::ZERO, Point::ZERO);
        for element in path.elements() {
            match *element {
                PathEl::MoveTo(point) => (at, start) = (point, point),
                PathEl::LineTo(point) => {
                    self.rule(Rect::from_points(at, point));
                    at = point;
                }
                PathEl::ClosePath => {
                    self.rule(Rect::from_points(at, start));
                    at = start;
                }
                PathEl::QuadTo(_, point) | PathEl::CurveTo(_, _, point) => at = point,
            }
        }
    }

    fn push_clip_path(&mut self, _: &ClipPath) {
        self.step(FORM);
    }

    fn push_clip_rect(&mut self, _: &Rect) {
        self.step(1);
    }

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {
        self.step(1);
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, _: &DrawMode) {
        let glyphs = run.glyphs();
        let widens = is_stretched(glyphs);
        let font = glyphs.first().and_then(|glyph| Font::of(glyph));
        for glyph in glyphs {
            self.step(1);
            let placed = props.transform * glyph.transform();
            let [a, b, c, d, ..] = placed.as_coeffs();
            let (across, up) = (Vec2::new(a, b), Vec2::new(c, d));
            let size = up.hypot() * 1000.0;
            let advance = f64::from(advance(glyph).unwrap_or(500.0));
            let font = font.unwrap_or_else(|| Font::of_width(advance));
            let width = advance * if widens { across.hypot() } else { up.hypot() };
            let along = match run.writing_mode() {
                WritingMode::Horizontal => across / across.hypot() * width,
                WritingMode::Vertical => -up / up.hypot() * size,
            };
            let Some(text) = glyph.as_unicode() else {
                self.unknown += 1;
                continue;
            };
            let origin = placed * Point::ZERO;
            let letters = spelled(&text);
            let share = along / f64::from(u32::try_from(letters.len().max(1)).unwrap_or(u32::MAX));
            if letters.is_empty() {
                self.unknown += 1;
            }
            let mut at = origin;
            for char in letters {
                self.letter(char, at, share, size, font);
                at += share;
            }
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        self.step(1);
        let pixels = f64::from(image.width()) * f64::from(image.height());
        let pixel = props.transform.determinant().abs();
        let area = pixel * pixels;
        if area.is_finite() && area > 0.0 {
            self.pictured += area.min(self.width * self.height);
            if area > self.largest.0 {
                self.largest = (area, 72.0 / pixel.sqrt());
            }
        }
    }

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}

    fn begin_marked_content(&mut self, tag: &[u8], properties: Option<&Dict<'_>>) {
        self.step(1);
        let is_pagination =
            || properties.and_then(|p| p.get::<Name<'_>>(b"Type")).is_some_and(|t| &*t == b"Pagination");
        self.marked.push(tag == b"Artifact" && is_pagination());
    }

    fn end_marked_content(&mut self) {
        self.marked.pop();
    }
}

fn advance(glyph: &Glyph<'_>) -> Option<f32> {
    match glyph {
        Glyph::Outline(glyph) => glyph.advance_width(),
        Glyph::Type3(glyph) => glyph.advance_width(),
    }
}

/// What a font tells of its letters.
#[derive(Clone, Copy, Default)]
struct Font {
    is_bold: bool,
    is_monospaced: bool,
}

impl Font {
    /// What the font tells itself, where it can be had: Type 1 fonts tell nothing.
    fn of(glyph: &Glyph<'_>) -> Option<Font> {
        let Glyph::Outline(glyph) = glyph else { return Some(Font::default()) };
        let font = glyph.font_data()?;
        let name = font.postscript_name.as_deref().unwrap_or_default();
        let is_bold =
            font.weight.is_some_and(|weight| weight >= 600) || name.contains("Bold") || name.contains("Black");
        Some(Font { is_bold, is_monospaced: font.is_monospace || is_monospaced(name) })
    }

    /// What can be told by a letter's width, in thousandths of its size: Courier and its like have this one alone, and
    /// so has Computer Modern Typewriter.
    fn of_width(width: f64) -> Font {
        Font { is_bold: false, is_monospaced: (width - 600.0).abs() < 3.0 || (width - 525.0).abs() < 1.0 }
    }
}

/// Whether letters are as wide as their horizontal scale says. A substituted font is stretched until it fits, and
/// then that scale is not the text's: which it is shows in how far apart the letters stand.
fn is_stretched(glyphs: &[PositionedGlyph<'_>]) -> bool {
    let (mut by_width, mut by_height) = (0.0, 0.0);
    for pair in glyphs.windows(2) {
        let [one, next] = pair else { continue };
        let [a, b, c, d, ..] = one.transform().as_coeffs();
        let distance = (next.transform() * Point::ZERO - one.transform() * Point::ZERO).hypot();
        let advance = f64::from(advance(one).unwrap_or(500.0));
        by_width += (distance - advance * Vec2::new(a, b).hypot()).abs();
        by_height += (distance - advance * Vec2::new(c, d).hypot()).abs();
    }
    by_width <= by_height
}

/// The letters of what a glyph means: ligatures spelled out, without what is no letter.
fn spelled(text: &BfString) -> Vec<char> {
    let mut letters = Vec::with_capacity(1);
    let mut spell = |char: char| match char {
        '\u{FB00}' => letters.extend("ff".chars()),
        '\u{FB01}' => letters.extend("fi".chars()),
        '\u{FB02}' => letters.extend("fl".chars()),
        '\u{FB03}' => letters.extend("ffi".chars()),
        '\u{FB04}' => letters.extend("ffl".chars()),
        '\u{FB05}' | '\u{FB06}' => letters.extend("st".chars()),
        // Bullets of the symbol fonts.
        '\u{F0B7}' | '\u{F0A7}' | '\u{F0D8}' | '\u{F0A8}' | '\u{F06E}' | '\u{F0FC}' => letters.push('•'),
        '\u{AD}' | '\u{2010}' | '\u{2011}' => letters.push('-'),
        '\u{E000}'..='\u{F8FF}' | '\u{FFFD}' | '\u{FEFF}' | '\u{200B}'..='\u{200F}' => {}
        char if char.is_whitespace() => letters.push(' '),
        char if char.is_control() => {}
        char => letters.push(char),
    };
    match text {
        BfString::Char(char) => spell(*char),
        BfString::String(string) => string.chars().take(16).for_each(spell),
    }
    letters
}

/// A number without its fraction; one beyond the bounds of the type is its nearest bound.
pub fn whole(number: f64) -> i32 {
    number.round() as i32
}
