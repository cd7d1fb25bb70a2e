//! A chart over time in braille dots: an area for one series, lines with marks for several.
//!
//! ```text
//! 100 MiB/s┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈
//!                ⢀⣀⣤⣶⣿⣿⣶⣤⣀  ⢀⣀⣤⣴
//!  50 MiB/s┈┈┈⢀⣴⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣷⣿⣿⣿⣿
//!         0⣀⣠⣾⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿
//!          0 s       30 s      60 s
//! ```
//!
//! The work of one draw is bounded by the width, however many points there are.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::widgets::Widget;
use std::borrow::Cow;
use unicode_width::UnicodeWidthStr;

/// Points looked at for one column of dots.
const PER_COLUMN: usize = 16;
/// By how much the y axis is longer than the largest value, so that a constant is no full box.
const HEADROOM: f64 = 1.05;
const MARKS: [char; 6] = ['●', '◆', '▲', '■', '○', '◇'];
const ASCII_MARKS: [char; 6] = ['o', 'x', '+', '*', '#', '@'];

/// The mark of the `i`th series, on its line and in the legend.
pub fn mark(i: usize, unicode: bool) -> char {
    if unicode { MARKS[i % MARKS.len()] } else { ASCII_MARKS[i % ASCII_MARKS.len()] }
}

/// One line of a chart.
pub struct Series<'a> {
    /// Its name in the legend.
    pub name: &'a str,
    /// Its colour.
    pub style: Style,
    /// `(x, y)`, x ascending; points whose x is no number or goes back are left out.
    pub points: &'a [(f64, f64)],
}

/// In which steps the y axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// 1, 2, 5, 10, …
    Decimal,
    /// The same in units of 1024: bytes.
    Binary,
}

/// How the parts that are no data look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Labels of the axes.
    pub label: Style,
    /// Lines of the grid.
    pub grid: Style,
    /// Braille and blocks, or ASCII.
    pub unicode: bool,
}

/// The chart. See the module's picture.
pub struct Chart<'a> {
    /// What is drawn.
    pub series: &'a [Series<'a>],
    /// First and last x, in seconds.
    pub range: (f64, f64),
    /// Steps of the y axis.
    pub unit: Unit,
    /// Label of a y value, given with the largest so that all labels can have its unit.
    pub y_label: &'a dyn Fn(f64, f64) -> String,
    /// Fills below the line; for one series.
    pub filled: bool,
    /// What stands there without data.
    pub empty: &'a str,
    /// Looks.
    pub look: Look,
}

/// Round values from 0 to at least `max`, at most `most` steps of them.
pub fn ticks(max: f64, most: usize, unit: Unit) -> Vec<f64> {
    let most = most.max(1);
    let max = if max.is_finite() && max > 0.0 { max } else { 1.0 };
    let scale = match unit {
        Unit::Decimal => 1.0,
        Unit::Binary => 1024_f64.powi((max.ln() / 1024_f64.ln()).floor().clamp(0.0, 6.0) as i32),
    };
    let raw = max / scale / most as f64;
    let magnitude = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|m| m * magnitude)
        .find(|step| *step * most as f64 >= max / scale * (1.0 - 1e-9))
        .unwrap_or(10.0 * magnitude)
        * scale;
    let steps = ((max / step) - 1e-9).ceil().max(1.0) as usize;
    (0..=steps.min(most)).map(|i| i as f64 * step).collect()
}

/// Round times within `range` that stand at least `1 / most` of it apart, with the step.
fn time_ticks(range: (f64, f64), most: usize) -> (f64, Vec<f64>) {
    const STEPS: [f64; 22] = [
        0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0,
        3600.0, 7200.0, 21600.0, 86400.0,
    ];
    let span = (range.1 - range.0).max(1e-3);
    let raw = span / most.max(1) as f64;
    let step = STEPS.into_iter().find(|s| *s >= raw).unwrap_or_else(|| (raw / 86400.0).ceil() * 86400.0);
    let first = (range.0 / step).ceil();
    let count = ((range.1 / step).floor() - first).max(-1.0) as usize;
    (step, (0..=count.min(most + 1)).map(|i| (first + i as f64) * step).filter(|t| *t <= range.1 + 1e-9).collect())
}

fn time_label(t: f64, step: f64) -> String {
    if step >= 3600.0 {
        format!("{:.0} h", t / 3600.0)
    } else if step >= 60.0 {
        format!("{:.0} min", t / 60.0)
    } else if step >= 1.0 {
        format!("{t:.0} s")
    } else {
        format!("{t:.2} s")
    }
}

/// `points` as they can be searched: those that go back in x left out.
fn ascending(points: &[(f64, f64)]) -> Cow<'_, [(f64, f64)]> {
    if points.is_sorted_by(|a, b| a.0 <= b.0) {
        return points.into();
    }
    let mut last = f64::NEG_INFINITY;
    let goes_on = |p: &&(f64, f64)| {
        let on = p.0 >= last;
        last = if on { p.0 } else { last };
        on
    };
    points.iter().filter(goes_on).copied().collect::<Vec<_>>().into()
}

/// The mean of each of `n` equal columns of `range`; between points the line that joins them.
fn columns(points: &[(f64, f64)], range: (f64, f64), n: usize) -> Vec<Option<f64>> {
    let width = (range.1 - range.0) / n.max(1) as f64;
    (0..n)
        .map(|i| {
            let from = range.0 + width * i as f64;
            let to = if i + 1 == n { range.1 + width * 1e-6 } else { from + width };
            let lo = points.partition_point(|p| p.0 < from);
            let hi = points.partition_point(|p| p.0 < to).max(lo);
            if hi > lo {
                let stride = (hi - lo).div_ceil(PER_COLUMN);
                let (mut sum, mut count) = (0.0, 0_u32);
                for (_, y) in points[lo..hi].iter().step_by(stride).filter(|p| p.1.is_finite()) {
                    sum += y;
                    count += 1;
                }
                return (count > 0).then(|| sum / f64::from(count));
            }
            let (a, b) = (points.get(lo.checked_sub(1)?)?, points.get(lo)?);
            let part = (f64::midpoint(from, to) - a.0) / (b.0 - a.0).max(f64::MIN_POSITIVE);
            let value = a.1 + (b.1 - a.1) * part.clamp(0.0, 1.0);
            value.is_finite().then_some(value)
        })
        .collect()
}

impl Widget for Chart<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        if area.width < 4 || area.height < 2 {
            return;
        }
        let several = self.series.len() > 1;
        let mut plot = area;
        if several {
            plot.y += 1;
            plot.height -= 1;
            self.legend(Rect { height: 1, ..area }, buf);
        }
        if plot.height >= 3 {
            plot.height -= 1; // labels of time
        }
        let per_cell = if self.look.unicode { 2 } else { 1 };
        let widest = usize::from(plot.width) * per_cell;
        let points: Vec<_> = self.series.iter().map(|s| ascending(s.points)).collect();
        let lines: Vec<_> = points.iter().map(|p| columns(p, self.range, widest)).collect();
        let max = lines.iter().flatten().flatten().copied().fold(0.0, f64::max);
        if lines.iter().flatten().flatten().next().is_none() {
            self.nothing(plot, buf);
            return;
        }
        let marks = ticks(max * HEADROOM, (usize::from(plot.height) / 3).clamp(1, 6), self.unit);
        let top = marks.last().copied().unwrap_or(1.0);
        let labels: Vec<String> = marks.iter().map(|v| (self.y_label)(*v, top)).collect();
        let gutter = labels.iter().map(|l| l.width()).max().unwrap_or(0) as u16 + 1;
        if gutter + 8 > plot.width {
            self.draw_all(&lines, plot, top, buf);
            return;
        }
        let inner = Rect { x: plot.x + gutter, width: plot.width - gutter, ..plot };
        self.grid(&marks, &labels, top, inner, gutter, buf);
        self.times(inner, area.bottom(), buf);
        let n = usize::from(inner.width) * per_cell;
        let lines: Vec<_> = points.iter().map(|p| columns(p, self.range, n)).collect();
        self.draw_all(&lines, inner, top, buf);
    }
}

impl Chart<'_> {
    fn nothing(&self, area: Rect, buf: &mut Buffer) {
        let row = area.y + area.height / 2;
        let line = if self.look.unicode { "┈" } else { "." }.repeat(usize::from(area.width));
        buf.set_string(area.x, area.bottom() - 1, line, self.look.grid);
        let width = (self.empty.width() as u16).min(area.width);
        buf.set_stringn(area.x + (area.width - width) / 2, row, self.empty, usize::from(area.width), self.look.label);
    }

    fn legend(&self, area: Rect, buf: &mut Buffer) {
        let mut x = area.x + 1;
        for (i, series) in self.series.iter().enumerate() {
            let text = format!("{} {}", mark(i, self.look.unicode), series.name);
            if x + 2 >= area.right() {
                break;
            }
            let room = usize::from(area.right() - x);
            let (next, _) = buf.set_stringn(x, area.y, &text, room, series.style);
            x = next + 3;
        }
    }

    fn row_of(value: f64, top: f64, area: Rect) -> u16 {
        let rows = f64::from(area.height.saturating_sub(1));
        area.bottom() - 1 - ((value / top * rows).round() as u16).min(area.height - 1)
    }

    fn grid(&self, marks: &[f64], labels: &[String], top: f64, area: Rect, gutter: u16, buf: &mut Buffer) {
        let dash = if self.look.unicode { "┈" } else { "." };
        for (value, label) in marks.iter().zip(labels) {
            let y = Self::row_of(*value, top, area);
            let x = area.x - 1 - (label.width() as u16).min(gutter - 1);
            buf.set_string(x, y, label, self.look.label);
            buf.set_string(area.x, y, dash.repeat(usize::from(area.width)), self.look.grid);
        }
    }

    fn times(&self, area: Rect, bottom: u16, buf: &mut Buffer) {
        if area.bottom() >= bottom {
            return;
        }
        let (step, ticks) = time_ticks(self.range, (usize::from(area.width) / 12).max(1));
        let span = (self.range.1 - self.range.0).max(1e-9);
        let mut free = area.x;
        for t in ticks {
            let label = time_label(t, step);
            let width = label.width() as u16;
            let at = area.x + ((t - self.range.0) / span * f64::from(area.width - 1)).round() as u16;
            let x = at.saturating_sub(width / 2).clamp(area.x, (area.right().saturating_sub(width)).max(area.x));
            if x >= free && x + width <= area.right() {
                buf.set_string(x, area.bottom(), &label, self.look.label);
                free = x + width + 2;
            }
        }
    }

    fn draw_all(&self, lines: &[Vec<Option<f64>>], area: Rect, top: f64, buf: &mut Buffer) {
        let several = self.series.len() > 1;
        for (i, (line, series)) in lines.iter().zip(self.series).enumerate() {
            let filled = self.filled && !several;
            if self.look.unicode {
                braille(line, series.style, filled, top, area, buf);
            } else {
                ascii(line, series.style, filled, mark(i, false), top, area, buf);
            }
        }
        if several && self.look.unicode {
            for (i, (line, series)) in lines.iter().zip(self.series).enumerate() {
                marks_on(line, series.style, i, lines.len(), top, area, buf);
            }
        }
    }
}

/// Height of a value in dots, 0 at the bottom.
fn level(value: f64, top: f64, dots: usize) -> usize {
    ((value.max(0.0) / top * (dots - 1) as f64).round() as usize).min(dots - 1)
}

fn braille(line: &[Option<f64>], style: Style, filled: bool, top: f64, area: Rect, buf: &mut Buffer) {
    const BITS: [[u32; 4]; 2] = [[0x40, 0x04, 0x02, 0x01], [0x80, 0x20, 0x10, 0x08]];
    let dots = usize::from(area.height) * 4;
    let mut before: Option<usize> = None;
    for (i, value) in line.iter().enumerate() {
        let Some(at) = value.map(|v| level(v, top, dots)) else {
            before = None;
            continue;
        };
        let (from, to) = match before {
            _ if filled => (0, at),
            Some(b) if b > at => (at, b - 1),
            Some(b) if b < at => (b + 1, at),
            _ => (at, at),
        };
        before = Some(at);
        let x = area.x + (i / 2) as u16;
        for row in from / 4..=to / 4 {
            let bits: u32 = (0..4).filter(|d| (from..=to).contains(&(row * 4 + d))).map(|d| BITS[i % 2][d]).sum();
            let cell = &mut buf[(x, area.bottom() - 1 - row as u16)];
            let old = cell.symbol().chars().next().map_or(0, |c| c as u32);
            let old = if (0x2800..0x2900).contains(&old) { old - 0x2800 } else { 0 };
            cell.set_char(char::from_u32(0x2800 + (old | bits)).unwrap_or(' '));
            // Below its edge the area recedes, so that the edge reads as the line.
            let inside = filled && row + 1 < to / 4 + usize::from(to % 4 == 3);
            cell.set_style(if inside { style.add_modifier(Modifier::DIM) } else { style });
        }
    }
}

fn ascii(line: &[Option<f64>], style: Style, filled: bool, mark: char, top: f64, area: Rect, buf: &mut Buffer) {
    let dots = usize::from(area.height);
    for (i, value) in line.iter().enumerate() {
        let Some(at) = value.map(|v| level(v, top, dots)) else { continue };
        let x = area.x + i as u16;
        for row in if filled { 0 } else { at }..=at {
            let c = if row == at { mark } else { ':' };
            buf[(x, area.bottom() - 1 - row as u16)].set_char(c).set_style(style);
        }
    }
}

/// Puts the mark of a series on its line now and then, so that lines differ without colour.
fn marks_on(line: &[Option<f64>], style: Style, i: usize, of: usize, top: f64, area: Rect, buf: &mut Buffer) {
    const EVERY: usize = 12;
    let cells = line.len() / 2;
    let shift = 2 + i * EVERY / of.max(1);
    for cell in (0..cells).filter(|c| c % EVERY == shift % EVERY) {
        if let Some(value) = line[cell * 2] {
            let row = level(value, top, usize::from(area.height) * 4) / 4;
            buf[(area.x + cell as u16, area.bottom() - 1 - row as u16)].set_char(mark(i, true)).set_style(style);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: &[f64], b: &[f64]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9 * b.abs().max(1.0))
    }

    #[test]
    fn ticks_are_round_and_reach_the_largest() {
        assert!(near(&ticks(87.0, 4, Unit::Decimal), &[0.0, 25.0, 50.0, 75.0, 100.0]));
        assert!(near(&ticks(1.0, 2, Unit::Decimal), &[0.0, 0.5, 1.0]));
        let mib = 1024.0 * 1024.0;
        assert!(near(&ticks(84.0 * mib, 2, Unit::Binary), &[0.0, 50.0 * mib, 100.0 * mib]));
        assert!(near(&ticks(0.0, 3, Unit::Decimal), &[0.0, 0.5, 1.0]));
        for max in [1e-9, 0.3, 7.0, 99.9, 1e6, 3e12, f64::NAN, f64::INFINITY] {
            for most in 1..6 {
                let found = ticks(max, most, Unit::Binary);
                assert!(found.len() >= 2 && found.len() <= most + 1, "{max} {most} {found:?}");
                assert!(!max.is_finite() || found[found.len() - 1] >= max * 0.999_999, "{max} {found:?}");
            }
        }
    }

    #[test]
    fn times_are_round() {
        let (step, found) = time_ticks((0.0, 95.0), 5);
        assert!(near(&found, &[0.0, 30.0, 60.0, 90.0]), "{found:?}");
        assert_eq!(time_label(found[1], step), "30 s");
        let (step, found) = time_ticks((3000.0, 3600.0), 4);
        assert_eq!(time_label(found[0], step), "50 min");
    }

    #[test]
    fn columns_average_and_join() {
        let points = [(0.0, 0.0), (1.0, 10.0), (1.1, 20.0), (4.0, 0.0)];
        let found = columns(&points, (0.0, 4.0), 4);
        assert_eq!(found[1], Some(15.0));
        assert!(found[2].is_some_and(|y| y > 0.0 && y < 20.0), "{found:?}");
        assert_eq!(columns(&[], (0.0, 4.0), 2), [None, None]);
        assert!(columns(&[(0.0, f64::NAN)], (0.0, 1.0), 2).iter().all(Option::is_none));
    }

    #[test]
    fn every_size_is_drawn_within_its_area() {
        let points: Vec<(f64, f64)> = (0..2000).map(|i| (f64::from(i), f64::from(i % 97) * 1e6)).collect();
        let series = [
            Series { name: "a", style: Style::default(), points: &points },
            Series { name: "b", style: Style::default(), points: &points[..10] },
        ];
        for unicode in [true, false] {
            for (w, h) in [(0, 0), (1, 1), (4, 2), (5, 3), (20, 4), (80, 24), (200, 3)] {
                for count in 0..3 {
                    let area = Rect::new(0, 0, w, h);
                    let mut buf = Buffer::empty(area);
                    let look = Look { label: Style::default(), grid: Style::default(), unicode };
                    let y_label = |v: f64, _: f64| format!("{v:.0}");
                    Chart {
                        series: &series[..count],
                        range: (0.0, 2000.0),
                        unit: Unit::Binary,
                        y_label: &y_label,
                        filled: true,
                        empty: "nothing yet",
                        look,
                    }
                    .render(area, &mut buf);
                }
            }
        }
    }
}
