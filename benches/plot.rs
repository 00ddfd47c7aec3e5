//! Lines over two logarithmic axes, as SVG that can be read on light and on dark.

use std::fmt::Write;
use std::path::Path;

/// Size of the picture, and of its margins: left, right, top, bottom.
const SIZE: (f64, f64) = (720.0, 420.0);
const MARGINS: (f64, f64, f64, f64) = (70.0, 170.0, 40.0, 50.0);
/// Colours of the lines, told apart by those who see few colours, on white and on black.
const COLOURS: [&str; 6] = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#b8860b", "#56b4e9"];
/// The least distance of two names beside the lines' ends.
const APART: f64 = 16.0;

pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

pub struct Plot {
    pub title: String,
    pub across: String,
    pub up: String,
    pub lines: Vec<Line>,
}

/// One axis: whole powers of ten from the least to the greatest.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    fn of(numbers: impl Iterator<Item = f64> + Clone) -> Self {
        let from = numbers.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let to = numbers.fold(f64::NEG_INFINITY, f64::max).log10().ceil();
        Axis { from, to: to.max(from + 1.0) }
    }

    /// Where on the axis, from 0 to 1.
    fn part(&self, number: f64) -> f64 {
        (number.log10() - self.from) / (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        (self.from as i32..=self.to as i32).map(|power| 10f64.powi(power))
    }
}

impl Plot {
    pub fn write(mut self, path: &Path) {
        for line in &mut self.lines {
            line.points.retain(|(x, y)| *x > 0.0 && *y > 0.0);
        }
        self.lines.retain(|line| !line.points.is_empty());
        std::fs::write(path, self.svg()).unwrap();
        println!("drawn: {}", path.display());
    }

    fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| line.points.iter());
        let (across, up) = (Axis::of(points().map(|point| point.0)), Axis::of(points().map(|point| point.1)));
        let (left, right, top, bottom) = MARGINS;
        let (width, height) = (SIZE.0 - left - right, SIZE.1 - top - bottom);
        let x = |number: f64| left + across.part(number) * width;
        let y = |number: f64| top + (1.0 - up.part(number)) * height;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" font-size=\"13\">\n\
             <style>text {{ fill: #333 }} .grid {{ stroke: #999; stroke-opacity: .35 }} \
             @media (prefers-color-scheme: dark) {{ text {{ fill: #ddd }} }}</style>\n\
             <text x=\"{left}\" y=\"22\" font-size=\"15\">{}</text>\n",
            SIZE.0,
            SIZE.1,
            escaped(&self.title)
        );
        for power in across.powers() {
            let at = x(power);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{at:.1} {top}V{:.1}\"/><text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                top + height,
                top + height + 18.0,
                number(power)
            );
        }
        for power in up.powers() {
            let at = y(power);
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{left} {at:.1}H{:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left + width,
                left - 8.0,
                at + 4.0,
                number(power)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(18 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            left + width / 2.0,
            SIZE.1 - 10.0,
            escaped(&self.across),
            top + height / 2.0,
            escaped(&self.up)
        );
        let names = self.names(&y);
        for ((line, colour), name) in self.lines.iter().zip(COLOURS.iter().cycle()).zip(names) {
            let path: Vec<String> = line.points.iter().map(|p| format!("{:.1} {:.1}", x(p.0), y(p.1))).collect();
            let _ =
                writeln!(svg, "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join("L"));
            for point in &path {
                let (x, y) = point.split_once(' ').unwrap();
                let _ = writeln!(svg, "<circle cx=\"{x}\" cy=\"{y}\" r=\"3.5\" fill=\"{colour}\"/>");
            }
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" style=\"fill:{colour}\">{}</text>",
                left + width + 10.0,
                name + 4.0,
                escaped(&line.name)
            );
        }
        svg + "</svg>\n"
    }

    /// Where each line's name stands: at its end, and not upon another.
    fn names(&self, y: &dyn Fn(f64) -> f64) -> Vec<f64> {
        let mut places: Vec<(usize, f64)> =
            self.lines.iter().map(|line| y(line.points.last().unwrap().1)).enumerate().collect();
        places.sort_by(|a, b| a.1.total_cmp(&b.1));
        for at in 1..places.len() {
            places[at].1 = places[at].1.max(places[at - 1].1 + APART);
        }
        places.sort_by_key(|(line, _)| *line);
        places.into_iter().map(|(_, place)| place).collect()
    }
}

fn number(power: f64) -> String {
    match power {
        power if power >= 1e6 => format!("{}M", power / 1e6),
        power if power >= 1e3 => format!("{}k", power / 1e3),
        power => format!("{power}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
