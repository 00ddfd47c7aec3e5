//! A picture of a page that holds no text, for text recognition: what its images show, painted on white.

use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use hayro_interpret::font::GlyphRun;
use hayro_interpret::hayro_syntax::Filter;
use hayro_interpret::hayro_syntax::object::Stream;
use hayro_interpret::kurbo::{Affine, BezPath, Point, Rect, Shape};
use hayro_interpret::{
    BlendMode, ClipPath, Device, DrawMode, DrawProps, Image, ImageData, ImageDrawProps, Paint, RasterImage, SoftMask,
};

use super::bounds::unpacks_to;
use super::glyphs::{Exceeded, whole};

/// Most pixels of a picture, drawn or decoded.
const MOST_PIXELS: f64 = 40_000_000.0;
/// Most bytes that a picture unpacks to.
const LARGEST: u64 = 256 << 20;
/// Most bytes of a pixel; a few more are put up with.
const BYTES: f64 = 4.0;
/// Finest resolution, in pixels an inch: letters gain nothing by more.
const FINEST: f64 = 300.0;
const COARSEST: f64 = 100.0;
/// Time that one page may take.
const LONGEST: Duration = Duration::from_secs(20);
/// Images that are painted on one page.
const MOST_IMAGES: usize = 2_000;

/// A page that is being painted, in grey.
pub struct Canvas {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
    /// Pixels a point.
    scale: f64,
    images: usize,
    /// The file of an image that is the whole page as it is.
    whole: Option<Vec<u8>>,
    began: Instant,
}

impl Canvas {
    /// A white page of `width` by `height` points, for images of `resolution` pixels an inch.
    pub fn new(width: f64, height: f64, resolution: f64) -> Option<Canvas> {
        let most = (MOST_PIXELS / (width * height)).sqrt();
        let scale = (resolution.clamp(COARSEST, FINEST) / 72.0).min(most);
        let side = |points: f64| u32::try_from(whole((points * scale).floor())).ok().filter(|side| *side > 0);
        let (columns, rows) = (side(width)?, side(height)?);
        let pixels = vec![255; usize::try_from(u64::from(columns) * u64::from(rows)).ok()?];
        Some(Canvas { width: columns, height: rows, pixels, scale, images: 0, whole: None, began: Instant::now() })
    }

    /// The picture as a file: PNG, or JPEG where the page is one.
    pub fn finish(self) -> Option<Vec<u8>> {
        match (self.images, self.whole) {
            (0, _) => None,
            (1, Some(file)) => Some(file),
            _ => encoded(self.width, self.height, &self.pixels),
        }
    }

    /// Paints an image of `size` pixels, each of which has a shade and how much of it covers what is below.
    fn paint(&mut self, size: (u32, u32), transform: Affine, pixel: impl Fn(usize) -> (u8, u8)) {
        let placed = Affine::scale(self.scale) * transform;
        let (width, height) = (f64::from(size.0), f64::from(size.1));
        let inverse = placed.inverse();
        let bounds = (placed * Rect::new(0.0, 0.0, width, height).to_path(0.1)).bounding_box();
        if !bounds.is_finite() || !inverse.is_finite() {
            return;
        }
        // Where the image is finer than the canvas, several of its pixels make one.
        let samples = whole(inverse.determinant().abs().sqrt()).clamp(1, 4);
        let clipped = |from: f64, to: f64, most: u32| {
            let limit = |at: f64| u32::try_from(whole(at.clamp(0.0, f64::from(most)))).unwrap_or(0);
            limit(from.floor())..limit(to.ceil())
        };
        for y in clipped(bounds.y0, bounds.y1, self.height) {
            for x in clipped(bounds.x0, bounds.x1, self.width) {
                let (mut shade, mut cover, mut hits) = (0_u32, 0_u32, 0_u32);
                for sample in 0..samples * samples {
                    let step = |at: i32| (f64::from(at) + 0.5) / f64::from(samples);
                    let point =
                        Point::new(f64::from(x) + step(sample % samples), f64::from(y) + step(sample / samples));
                    let Point { x: u, y: v } = inverse * point;
                    if !(0.0..width).contains(&u) || !(0.0..height).contains(&v) {
                        continue;
                    }
                    // Both are within the image, and their fraction is dropped.
                    let at = (v as usize) * (size.0 as usize) + u as usize;
                    let (one, over) = pixel(at);
                    shade += u32::from(one) * u32::from(over);
                    cover += u32::from(over);
                    hits += 1;
                }
                let place = (y as usize) * (self.width as usize) + x as usize;
                if let (Some(below), true) = (self.pixels.get_mut(place), hits > 0) {
                    let shade = (shade + u32::from(*below) * (255 * hits - cover)) / (255 * hits);
                    *below = u8::try_from(shade).unwrap_or(u8::MAX);
                }
            }
        }
    }

    /// The file of an image that is a JPEG already and stands upright on the page.
    fn keep(&mut self, image: &RasterImage<'_>, transform: Affine) {
        let [a, b, c, d, ..] = transform.as_coeffs();
        let is_upright = a > 0.0 && d > 0.0 && b.abs() < 0.01 * a && c.abs() < 0.01 * d && (a / d - 1.0).abs() < 0.1;
        let stream = image.stream();
        let is_jpeg = stream.filters().as_slice() == [Filter::DctDecode];
        let is_masked = [b"SMask".as_slice(), b"Mask", b"Decode"].iter().any(|key| stream.dict().contains_key(key));
        if self.images == 1 && is_upright && is_jpeg && !is_masked {
            self.whole = Some(stream.raw_data().into_owned())
                .filter(|file| frame(file).is_some_and(|(_, components)| components < 4));
        }
    }
}

/// Whether a picture unpacks to what its pixels may take.
fn is_bounded(stream: &Stream<'_>, pixels: f64) -> bool {
    let data = stream.raw_data();
    stream.filters().iter().all(|filter| match filter {
        Filter::FlateDecode => {
            let bytes = f64::from(u32::try_from(unpacks_to(&data, true, LARGEST)).unwrap_or(u32::MAX));
            bytes <= BYTES * pixels + 1e6
        }
        // Its own size counts, whatever the document says of it.
        Filter::DctDecode => frame(&data).is_none_or(|(pixels, _)| pixels <= MOST_PIXELS),
        _ => true,
    })
}

/// Pixels and colour components of a JPEG file (ITU T.81, B.2.2). Four are ink, which is read differently from program
/// to program.
fn frame(file: &[u8]) -> Option<(f64, u8)> {
    let mut rest = file.strip_prefix(&[0xFF, 0xD8])?;
    loop {
        let [0xFF, marker, high, low, data @ ..] = rest else { return None };
        match (marker, data) {
            (0xC0..=0xC2, [_, top, bottom, left, right, components, ..]) => {
                let height = f64::from(u16::from_be_bytes([*top, *bottom]));
                return Some((height * f64::from(u16::from_be_bytes([*left, *right])), *components));
            }
            (0xFF, _) => rest = rest.get(1..)?,
            _ => rest = rest.get(2 + usize::from(u16::from_be_bytes([*high, *low]))..)?,
        }
    }
}

impl<'a> Device<'a> for Canvas {
    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        let pixels = f64::from(image.width()) * f64::from(image.height());
        if self.images >= MOST_IMAGES || self.began.elapsed() > LONGEST {
            resume_unwind(Box::new(Exceeded));
        }
        let stream = match &image {
            Image::Stencil(image) => image.stream(),
            Image::Raster(image) => image.stream(),
        };
        if pixels > MOST_PIXELS || !is_bounded(stream, pixels) {
            return;
        }
        self.images += 1;
        match image {
            Image::Stencil(image) => image.with_stencil(
                |mask, paint| {
                    let shade = shade(paint);
                    let transform = props.transform * scaled(mask.scale_factors);
                    let cover = |at: usize| mask.data.get(at).copied().unwrap_or(0);
                    self.paint((mask.width, mask.height), transform, |at| (shade, cover(at)));
                },
                None,
            ),
            Image::Raster(image) => {
                self.keep(&image, props.transform);
                image.with_rgba(
                    |data, alpha| {
                        let transform = props.transform * scaled(data.scale_factors());
                        let size = (data.width(), data.height());
                        let alpha = alpha.filter(|alpha| (alpha.width, alpha.height) == size);
                        let cover =
                            |at: usize| alpha.as_ref().map_or(255, |alpha| alpha.data.get(at).copied().unwrap_or(255));
                        match &data {
                            ImageData::Luma(luma) => {
                                let shade = |at: usize| luma.data.get(at).copied().unwrap_or(255);
                                self.paint(size, transform, |at| (shade(at), cover(at)));
                            }
                            ImageData::Rgb(rgb) => {
                                let shade = |at: usize| match rgb.data.get(3 * at..3 * at + 3) {
                                    Some([red, green, blue]) => grey([*red, *green, *blue]),
                                    _ => 255,
                                };
                                self.paint(size, transform, |at| (shade(at), cover(at)));
                            }
                        }
                    },
                    None,
                );
            }
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}

    fn push_clip_path(&mut self, _: &ClipPath) {
        if self.began.elapsed() > LONGEST {
            resume_unwind(Box::new(Exceeded));
        }
    }

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}

    fn draw_glyph_run(&mut self, _: &GlyphRun<'_, 'a>, _: DrawProps<'a>, _: &DrawMode) {}

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}

fn scaled((x, y): (f32, f32)) -> Affine {
    Affine::scale_non_uniform(f64::from(x), f64::from(y))
}

fn shade(paint: &Paint<'_>) -> u8 {
    match paint {
        Paint::Color(color) => {
            let [red, green, blue, _] = color.to_rgba().to_rgba8();
            grey([red, green, blue])
        }
        Paint::Pattern(_) => 0,
    }
}

/// Lightness of a colour (ITU-R BT.601).
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    u8::try_from(sum / 1000).unwrap_or(u8::MAX)
}

/// A PNG file of grey pixels; of one bit each where they are black and white.
fn encoded(width: u32, height: u32, pixels: &[u8]) -> Option<Vec<u8>> {
    let is_plain = pixels.iter().all(|pixel| matches!(pixel, 0 | 255));
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_compression(png::Compression::Fast);
    let packed: Vec<u8>;
    let data = match is_plain {
        true => {
            encoder.set_depth(png::BitDepth::One);
            let pack =
                |eight: &[u8]| (0..8).fold(0, |byte, at| byte << 1 | u8::from(eight.get(at).is_some_and(|p| *p > 0)));
            packed = pixels.chunks(usize::try_from(width).ok()?).flat_map(|row| row.chunks(8).map(pack)).collect();
            &packed
        }
        false => pixels,
    };
    encoder.write_header().ok()?.write_image_data(data).ok()?;
    Some(file)
}
