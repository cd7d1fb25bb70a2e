//! How the samples of a benchmark look: spread, matrix, course of the run.

use super::Paint;
use super::data::Data;
use super::words::{axis_ms, axis_rate, ms};
use crate::bench::stats::quantile;
use crate::text::{clean, fit, width};
use crate::theme::Role;
use crate::widgets::chart::{Chart, Look, Series, Unit, mark};
use crate::widgets::sparkline;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

/// Columns of names on the left of spread and matrix.
const NAMES: u16 = 16;

/// What the course of the run shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Milliseconds of each read.
    Times,
    /// Bytes a second of each read.
    Rates,
}

/// Writes mark and name of a series at the start of a line.
fn name(data: &Data, name: &str, x: u16, y: u16, columns: u16, buf: &mut Buffer, paint: Paint) {
    let i = data.index(name);
    let text = format!(" {} {}", mark(i, paint.unicode), clean(name));
    buf.set_stringn(x, y, fit(&text, usize::from(columns)), usize::from(columns), paint.theme.chart(i));
}

/// The spread of each series on one logarithmic axis: a histogram, and below it a box from the
/// first to the third quartile with the median, and whiskers to the fastest and the slowest.
pub(super) fn spread(data: &Data, area: Rect, buf: &mut Buffer, paint: Paint) {
    let all: Vec<f64> = data.samples.iter().map(|s| s.total_ms).filter(|v| v.is_finite() && *v > 0.0).collect();
    if all.is_empty() || area.height < 2 || area.width < NAMES + 12 {
        paint.say(area, buf, "no sample yet");
        return;
    }
    let low = quantile(&all, 0.0).log10();
    let high = quantile(&all, 1.0).log10();
    // A little air at both ends, and an axis even where all are equal.
    let pad = ((high - low) * 0.03).max(0.02);
    let axis = Axis { low: low - pad, high: high + pad, x: area.x + NAMES, columns: area.width - NAMES - 2 };
    let names = data.names();
    let room = area.height - 1;
    let each = if room >= names.len() as u16 * 3 {
        3
    } else if room >= names.len() as u16 * 2 {
        2
    } else {
        1
    };
    let mut y = area.y;
    for series in names {
        if y + each.min(2) > area.y + room {
            break;
        }
        let times = data.times(series);
        name(data, series, area.x, y, NAMES, buf, paint);
        if !times.is_empty() {
            histogram(&times, &axis, y, paint.theme.chart(data.index(series)), buf, paint);
            if each >= 2 {
                box_plot(&times, &axis, y + 1, paint.theme.chart(data.index(series)), buf, paint);
            }
        }
        y += each;
    }
    axis.labels(y.min(area.bottom() - 1), buf, paint);
}

/// A logarithmic axis of milliseconds.
struct Axis {
    low: f64,
    high: f64,
    x: u16,
    columns: u16,
}

impl Axis {
    fn column(&self, value: f64) -> u16 {
        let part = ((value.max(1e-6).log10() - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        ((part * f64::from(self.columns)) as u16).min(self.columns.saturating_sub(1))
    }

    fn labels(&self, y: u16, buf: &mut Buffer, paint: Paint) {
        let mut free = self.x;
        let first = self.low.floor() as i32;
        let narrow = self.high - self.low < 1.2;
        let steps: &[f64] = if narrow { &[1.0, 1.5, 2.0, 3.0, 5.0, 7.0] } else { &[1.0, 2.0, 5.0] };
        for decade in first..=self.high.ceil() as i32 {
            for step in steps {
                let value = step * 10_f64.powi(decade);
                if value.log10() < self.low || value.log10() > self.high {
                    continue;
                }
                let label = axis_ms(value);
                let x = self.x + self.column(value);
                if x >= free && x + width(&label) as u16 <= self.x + self.columns + 2 {
                    buf.set_string(x, y, &label, paint.style(Role::Dim));
                    free = x + width(&label) as u16 + 3;
                }
            }
        }
    }
}

fn histogram(times: &[f64], axis: &Axis, y: u16, style: ratatui::style::Style, buf: &mut Buffer, paint: Paint) {
    let mut counts = vec![0.0; usize::from(axis.columns)];
    for value in times {
        counts[usize::from(axis.column(*value))] += 1.0;
    }
    let blocks = sparkline::text(&counts, counts.len(), paint.unicode);
    for (i, (block, count)) in blocks.chars().zip(&counts).enumerate() {
        if *count > 0.0 {
            buf[(axis.x + i as u16, y)].set_char(block).set_style(style);
        }
    }
}

fn box_plot(times: &[f64], axis: &Axis, y: u16, style: ratatui::style::Style, buf: &mut Buffer, paint: Paint) {
    let at = |q: f64| axis.x + axis.column(quantile(times, q));
    let [low, first, median, third, high] = [0.0, 0.25, 0.5, 0.75, 1.0].map(at);
    let (whisker, body, middle) = (paint.glyph("─", "-"), paint.glyph("━", "="), paint.glyph("┃", "|"));
    for x in low..=high {
        let glyph = if (first..=third).contains(&x) { body } else { whisker };
        let style = if glyph == body { style } else { paint.style(Role::Dim) };
        buf.set_string(x, y, glyph, style);
    }
    buf.set_string(median, y, middle, style.add_modifier(ratatui::style::Modifier::BOLD));
}

/// Milliseconds by series and patch: the fuller the slower, with numbers where there is room.
pub(super) fn matrix(data: &Data, area: Rect, buf: &mut Buffer, paint: Paint) {
    let repeats = data.samples.iter().map(|s| s.repeat).max().map_or(0, |r| r as usize + 1);
    if repeats == 0 || area.height < 2 || area.width < NAMES + 12 {
        paint.say(area, buf, "no sample yet");
        return;
    }
    let room = usize::from(area.width - NAMES - 2);
    let columns = repeats.min(room);
    let cell = (room / columns).clamp(1, 9);
    let longest = data.samples.iter().map(|s| ms(s.total_ms).len()).max().unwrap_or(0);
    let numbers = cell >= longest + 2;
    let (low, high) = range(data);
    header(repeats, columns, cell, area, buf, paint);
    for (row, series) in data.names().into_iter().enumerate() {
        let y = area.y + 1 + row as u16;
        if y + 1 >= area.bottom() {
            break;
        }
        name(data, series, area.x, y, NAMES, buf, paint);
        for (column, value) in means(data, series, repeats, columns).into_iter().enumerate() {
            let x = area.x + NAMES + (column * cell) as u16;
            let Some(value) = value else { continue };
            let level = ((value.log10() - low) / (high - low).max(1e-9) * 7.999).clamp(0.0, 7.999) as usize;
            let shade = sparkline::level(level, paint.unicode).to_string();
            let style = paint.theme.chart(data.index(series));
            if numbers {
                buf.set_string(x, y, &shade, style);
                let text = format!("{:>w$}", ms(value), w = cell - 2);
                buf.set_string(x + 1, y, text, paint.style(Role::Number));
            } else {
                buf.set_string(x, y, shade.repeat(cell), style);
            }
        }
    }
    let y = (area.y + 1 + data.series.len() as u16).min(area.bottom() - 1);
    let (fast, slow) = (sparkline::level(0, paint.unicode), sparkline::level(7, paint.unicode));
    let words = format!("{fast} {}   {slow} {}", axis_ms(10_f64.powf(low)), axis_ms(10_f64.powf(high)));
    buf.set_stringn(area.x + NAMES, y, words, room, paint.style(Role::Dim));
}

fn range(data: &Data) -> (f64, f64) {
    let logs = || data.samples.iter().map(|s| s.total_ms.max(1e-3).log10()).filter(|v| v.is_finite());
    (logs().fold(f64::INFINITY, f64::min), logs().fold(f64::NEG_INFINITY, f64::max))
}

fn header(repeats: usize, columns: usize, cell: usize, area: Rect, buf: &mut Buffer, paint: Paint) {
    buf.set_stringn(area.x + 1, area.y, "patch", usize::from(NAMES), paint.style(Role::Dim));
    let mut free = 0;
    for column in 0..columns {
        let repeat = column * repeats / columns + 1;
        let label = repeat.to_string();
        let x = column * cell + if cell > 5 { cell - 1 - label.len() } else { 0 };
        let round = column == 0 || cell > 5 || repeat.is_multiple_of(5);
        if x >= free && round && x + label.len() <= usize::from(area.width - NAMES) {
            buf.set_string(area.x + NAMES + x as u16, area.y, &label, paint.style(Role::Dim));
            free = x + label.len() + 1;
        }
    }
}

/// The mean of the repeats of each column.
fn means(data: &Data, series: &str, repeats: usize, columns: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0_u32); columns];
    for sample in data.samples.iter().filter(|s| s.series == series) {
        // The column whose repeats, from column * repeats / columns on, hold this one.
        let at = ((sample.repeat as usize + 1) * columns - 1) / repeats;
        if let Some((sum, n)) = sums.get_mut(at) {
            *sum += sample.total_ms;
            *n += 1;
        }
    }
    sums.into_iter().map(|(sum, n)| (n > 0).then(|| sum / f64::from(n))).collect()
}

/// Each read at the time it began, a line for each series.
pub(super) fn course(data: &Data, course: Course, area: Rect, buf: &mut Buffer, paint: Paint) {
    let lines: Vec<Vec<(f64, f64)>> = data
        .names()
        .iter()
        .map(|name| {
            let value = |s: &crate::bench::Sample| match course {
                Course::Times => s.total_ms,
                Course::Rates => s.bytes as f64 / (s.total_ms / 1e3).max(1e-6),
            };
            let of = data.samples.iter().filter(|s| s.series == *name);
            let mut points: Vec<(f64, f64)> = of.map(|s| (s.t_ms / 1e3, value(s))).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points
        })
        .collect();
    let names: Vec<String> = data.names().into_iter().map(|n| clean(n).into_owned()).collect();
    let series: Vec<Series> = names
        .iter()
        .zip(&lines)
        .enumerate()
        .map(|(i, (name, points))| Series { name, style: paint.theme.chart(i), points })
        .collect();
    let ends = data.samples.iter().map(|s| (s.t_ms + s.total_ms) / 1e3);
    let end = ends.fold(0.0, f64::max).max(0.1);
    let look = Look { label: paint.style(Role::Dim), grid: paint.style(Role::Faint), unicode: paint.unicode };
    let (unit, y_label): (Unit, &dyn Fn(f64, f64) -> String) = match course {
        Course::Times => (Unit::Decimal, &|v, _| axis_ms(v)),
        Course::Rates => (Unit::Binary, &axis_rate),
    };
    let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let chart =
        Chart { series: &series, range: (0.0, end), unit, y_label, filled: false, empty: "no sample yet", look };
    chart.render(area, buf);
}
