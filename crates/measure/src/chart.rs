//! Charts as SVG, for a separate file or inside a page, on a light or dark background. Everything
//! except the colours of the series has the colour of the surrounding text.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Outcome;

/// The colour of a series.
pub type Colour = RGBColor;

/// A chart, or the error that prevented it.
pub type Drawn = Outcome<String>;

/// Colours that colour-blind readers can distinguish, on light and dark (after Okabe and Ito).
pub const PALETTE: [RGBColor; 8] = [
    RGBColor(0x99, 0x99, 0x99),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xb0, 0xa0, 0x20),
];

const WIDTH: i32 = 860;
const HEIGHT: i32 = 400;
const SIZE: (u32, u32) = (WIDTH.unsigned_abs(), HEIGHT.unsigned_abs());

/// One line of a chart of percentiles.
#[derive(Clone, Debug)]
pub struct Line {
    /// The name beside the colour.
    pub name: String,
    /// The colour.
    pub colour: RGBColor,
    /// Quantile and value.
    pub points: Vec<(f64, f64)>,
}

/// The values of a group of bars: the median, the least, the greatest.
pub type Bar = Option<[f64; 3]>;

/// The bars of one colour, one in each group.
#[derive(Clone, Debug)]
pub struct Bars {
    /// The name beside the colour.
    pub name: String,
    /// The colour.
    pub colour: RGBColor,
    /// A bar for each group.
    pub bars: Vec<Bar>,
}

/// An axis with given marks. Its numbers are already logarithms.
#[derive(Clone, Debug)]
struct Axis {
    range: Range<f64>,
    marks: Vec<(f64, String)>,
}

/// The number of nines of a quantile: 0.9 has one, 0.99 has two.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-9).log10()
}

impl Axis {
    /// An axis of quantiles; equal distances are equal numbers of nines.
    fn nines(furthest: f64) -> Self {
        let marks = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];
        let mark = |quantile: f64| (nines(quantile), format!("{} %", plain(quantile * 100.0)));
        let marks = marks.map(mark).into_iter();
        Self {
            marks: marks.filter(|(at, _)| *at <= furthest).collect(),
            range: 0.0..furthest,
        }
    }

    /// An axis of the whole decades around the values.
    fn decades(least: f64, most: f64) -> Self {
        let down = least.max(1e-3).log10().floor();
        let up = most.max(1e-3).log10().ceil().max(down + 1.0);
        let marks =
            (down as i32..=up as i32).map(|decade| (f64::from(decade), plain(10_f64.powi(decade))));
        Self {
            range: down..up,
            marks: marks.collect(),
        }
    }

    fn place(&self, value: f64) -> f64 {
        value
            .max(1e-3)
            .log10()
            .clamp(self.range.start, self.range.end)
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (part * f64::from(limit.1 - limit.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.marks.iter().map(|(at, _)| *at).collect()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        let mark = self.marks.iter().find(|(at, _)| (at - value).abs() < 1e-9);
        mark.map(|(_, name)| name.clone()).unwrap_or_default()
    }
}

/// Draws the title, and below it rows of names with their colours. Returns the height in pixels.
fn head(area: &Area<'_>, title: &str, names: &[(&str, RGBColor)]) -> Outcome<i32> {
    const LEFT: i32 = 76;
    const ROW: i32 = 20;
    let text = |size: i32, across, down| {
        ("sans-serif", size)
            .into_text_style(area)
            .pos(Pos::new(across, down))
    };
    area.draw_text(title, &text(16, HPos::Center, VPos::Top), (WIDTH / 2, 10))?;
    let (mut x, mut y) = (LEFT, 46);
    for (name, colour) in names {
        let len = 32 + 8 * i32::try_from(name.chars().count())?; // fits the widest letters
        if x > LEFT && x + len > WIDTH {
            (x, y) = (LEFT, y + ROW);
        }
        area.draw(&Rectangle::new(
            [(x, y - 5), (x + 16, y + 5)],
            colour.filled(),
        ))?;
        area.draw_text(name, &text(13, HPos::Left, VPos::Center), (x + 22, y))?;
        x += len;
    }
    Ok(y + 12)
}

/// The area of a chart.
type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Draws curves of percentiles with logarithmic axes.
///
/// # Errors
///
/// The error of the drawing library.
pub fn percentiles(title: &str, unit: &str, lines: &[Line]) -> Drawn {
    let points = || lines.iter().flat_map(|line| &line.points);
    let least = points().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let most = points().map(|point| point.1).fold(1.0, f64::max);
    let furthest = points().map(|point| nines(point.0)).fold(1.0, f64::max);
    let (across, down) = (Axis::nines(furthest), Axis::decades(least, most));
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let names: Vec<_> = lines.iter().map(|one| (&*one.name, one.colour)).collect();
        let head = head(&area, title, &names)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .margin_right(30)
            .margin_top(head)
            .x_label_area_size(34)
            .y_label_area_size(64)
            .build_cartesian_2d(across, down.clone())?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.15))
            .label_style(("sans-serif", 12))
            .y_desc(unit)
            .draw()?;
        for line in lines {
            let points = line.points.iter();
            let points = points.map(|(quantile, value)| (nines(*quantile), down.place(*value)));
            let style = line.colour.stroke_width(2);
            chart.draw_series(LineSeries::new(points, style))?;
        }
        area.present()?;
    }
    Ok(adapted(&svg))
}

/// Draws groups of bars that begin at zero. A thin line in each bar goes from the least to the
/// greatest value.
///
/// # Errors
///
/// The error of the drawing library.
pub fn bars(title: &str, unit: &str, groups: &[String], series: &[Bars]) -> Drawn {
    let all = series
        .iter()
        .flat_map(|series| series.bars.iter().flatten());
    let most = all.map(|bar| bar[2]).fold(0.0, f64::max);
    let most = if most > 0.0 { most * 1.05 } else { 1.0 };
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let names: Vec<_> = series.iter().map(|one| (&*one.name, one.colour)).collect();
        let head = head(&area, title, &names)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .margin_right(30)
            .margin_top(head)
            .x_label_area_size(34)
            .y_label_area_size(64)
            .build_cartesian_2d(0.0..groups.len() as f64, 0.0..most)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .disable_x_axis()
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.15))
            .label_style(("sans-serif", 12))
            .y_desc(unit)
            .y_label_formatter(&|value| plain(*value))
            .draw()?;
        let step = 0.8 / series.len().max(1) as f64;
        for (at, series) in series.iter().enumerate() {
            let left = |group: usize| group as f64 + 0.1 + step * at as f64;
            let found = series.bars.iter().enumerate();
            let found: Vec<_> = found
                .filter_map(|(group, bar)| Some((left(group), (*bar)?)))
                .collect();
            let colour = series.colour;
            let bar = |&(left, [median, ..]): &(f64, [f64; 3])| {
                Rectangle::new([(left, 0.0), (left + step * 0.92, median)], colour.filled())
            };
            chart.draw_series(found.iter().map(bar))?;
            let spread = |&(left, [_, least, greatest]): &(f64, [f64; 3])| {
                let middle = left + step * 0.46;
                PathElement::new([(middle, least), (middle, greatest)], BLACK.stroke_width(1))
            };
            chart.draw_series(found.iter().map(spread))?;
        }
        let centre = ("sans-serif", 13).into_text_style(&area);
        let centre = centre.pos(Pos::new(HPos::Center, VPos::Top));
        let plot = chart.plotting_area().strip_coord_spec();
        let (across, down) = (plot.get_pixel_range().0, plot.get_pixel_range().1);
        for (at, group) in groups.iter().enumerate() {
            let width = f64::from(across.end - across.start) / groups.len() as f64;
            let x = f64::from(across.start) + width * (at as f64 + 0.5);
            area.draw_text(group, &centre, (x as i32, down.end + 8))?;
        }
        area.present()?;
    }
    Ok(adapted(&svg))
}

/// A number of an axis, without trailing zeros.
fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Replaces black by the colour of the text, which follows the background, and lets the chart
/// shrink with its page.
pub fn adapted(svg: &str) -> String {
    let style = "<style>svg{color:#222;max-width:100%;height:auto;font-family:sans-serif}\
                 @media(prefers-color-scheme:dark){svg{color:#ddd}}</style>";
    let text = svg.replace("\"#000000\"", "\"currentColor\"");
    match text.find('>') {
        Some(end) => format!("{}{style}{}", &text[..=end], text[end + 1..].trim_start()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{Bars, Line, PALETTE, bars, percentiles};

    #[test]
    fn charts_have_their_names_and_need_no_colour_but_that_of_the_text() {
        let line = |points| Line {
            name: "a <line>".to_owned(),
            colour: PALETTE[0],
            points,
        };
        for points in [
            vec![],
            vec![(0.0, 0.0)],
            vec![(0.0, 20.0), (0.5, 30.0), (0.9999, 60_000.0)],
        ] {
            let svg = percentiles("Calls", "ns", &[line(points)]).unwrap();
            assert!(
                svg.contains("a &lt;line&gt;") && svg.contains("Calls"),
                "{svg}"
            );
            assert!(
                !svg.contains("#000000") && svg.contains("currentColor"),
                "{svg}"
            );
        }
        for values in [
            vec![None],
            vec![Some([0.0; 3])],
            vec![Some([2.0, 1.0, 3.0])],
        ] {
            let series = Bars {
                name: "bars".to_owned(),
                colour: PALETTE[1],
                bars: values,
            };
            let svg = bars("Throughput", "GB/s", &["16 bytes".to_owned()], &[series]).unwrap();
            assert!(
                svg.contains("16 bytes") && svg.contains("Throughput"),
                "{svg}"
            );
        }
        assert!(bars("Nothing", "GB/s", &[], &[]).is_ok());
    }
}
