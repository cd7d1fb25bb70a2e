//! The pictures of a job: bytes a second both ways, requests a second, latencies over time and in all.

use super::paint::Paint;
use super::{JobsScreen, Show, words};
use crate::job::{JobView, State};
use crate::text::{rate, width};
use crate::theme::Role;
use crate::widgets::chart::{Chart, Look, Series, Unit};
use crate::widgets::gauge;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

/// Both ways are drawn where the lesser is at least this share of the larger.
const BOTH: f64 = 0.02;
/// Of a job that took no longer, in seconds, there is no picture.
const SHORT: f64 = 0.5;
/// Rows that the bars of the percentiles take, with their axis.
const BARS: u16 = 5;

/// What the axes of a chart say.
struct Axes<'a> {
    /// What it is, for where there is room.
    title: &'static str,
    unit: Unit,
    y_label: &'a dyn Fn(f64, f64) -> String,
    empty: &'static str,
}

/// A series by its name, colour and points.
type Drawn<'a> = (String, usize, &'a [(f64, f64)]);

impl JobsScreen {
    pub(super) fn draw_picture(&self, view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) {
        if area.height == 0 {
            return;
        }
        match self.show {
            Show::Latency => self.draw_latency(view, area, buf, paint),
            Show::Requests => self.draw_requests(view, area, buf, paint),
            Show::Bytes | Show::Log if area.height >= 20 => self.draw_all(view, area, buf, paint),
            Show::Bytes | Show::Log => self.draw_bytes(view, area, buf, paint),
        }
    }

    /// Where there is room, all that changes with time at once, on one axis of time.
    fn draw_all(&self, view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) {
        let has_latency = !self.rates.p50.is_empty() && area.height >= 26;
        let bars = if view.latency.is_some() && area.height >= 36 { BARS + 1 } else { 0 };
        let rest = area.height - bars;
        let bytes = Rect { height: if has_latency { rest / 2 } else { rest * 3 / 5 }, ..area };
        self.draw_bytes(view, bytes, buf, paint);
        let below = Rect { y: bytes.bottom() + 1, height: rest - bytes.height - 1, ..area };
        let side_by_side = has_latency && area.width >= 130;
        if side_by_side {
            let left = Rect { width: below.width / 2 - 1, ..below };
            let right = Rect { x: left.right() + 2, width: below.width - left.width - 2, ..below };
            self.draw_requests(view, left, buf, paint);
            self.draw_latency_chart(right, buf, paint);
        } else if has_latency {
            let upper = Rect { height: below.height / 2, ..below };
            let lower = Rect { y: upper.bottom() + 1, height: below.height - upper.height - 1, ..below };
            self.draw_requests(view, upper, buf, paint);
            self.draw_latency_chart(lower, buf, paint);
        } else {
            self.draw_requests(view, below, buf, paint);
        }
        if bars > 0 {
            latency_bars(view, Rect { y: area.bottom() - BARS, height: BARS, ..area }, buf, paint);
        }
    }

    fn draw_bytes(&self, view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) {
        let c = view.counts;
        let (sent, received) = (c.bytes_out as f64, c.bytes_in as f64);
        let last = |points: &[(f64, f64)]| recent(points, 5.0);
        let words = |name: &str, points: &[(f64, f64)]| match view.state {
            State::Running => format!("{name} {}", rate(last(points))),
            _ => name.to_owned(),
        };
        let mut drawn: Vec<Drawn> = Vec::new();
        if sent > 0.0 && sent >= received * BOTH {
            drawn.push((words("sent", &self.rates.sent), 0, &self.rates.sent));
        }
        if received > 0.0 && received >= sent * BOTH {
            drawn.push((words("received", &self.rates.received), 1, &self.rates.received));
        }
        if drawn.is_empty() {
            // Nothing went over the wire, or the journal does not tell which way it went.
            drawn.push((String::new(), 0, &self.rates.bytes));
        }
        let is_short = is_short(view);
        let empty = match view.state {
            _ if is_short => "it was over too soon for a picture",
            State::Queued => "waits for its turn",
            State::Running => "no data yet",
            _ => "no throughput was recorded",
        };
        let axes = Axes { title: "throughput", unit: Unit::Binary, y_label: &bytes_label, empty };
        self.draw_chart(&drawn, &axes, area, buf, paint);
    }

    fn draw_requests(&self, view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) {
        if is_short(view) && self.show != Show::Requests {
            return;
        }
        let now = match view.state {
            State::Running => format!("{:.0} req/s", recent(&self.rates.requests, 5.0)),
            _ => String::new(),
        };
        let axes =
            Axes { title: "requests", unit: Unit::Decimal, y_label: &requests_label, empty: "no request was made" };
        self.draw_chart(&[(now, 2, &self.rates.requests)], &axes, area, buf, paint);
    }

    fn draw_latency(&self, view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) {
        if area.height >= BARS + 8 && !self.rates.p50.is_empty() {
            latency_bars(view, Rect { height: BARS, ..area }, buf, paint);
            let below = Rect { y: area.y + BARS + 1, height: area.height - BARS - 1, ..area };
            self.draw_latency_chart(below, buf, paint);
        } else {
            latency_bars(view, area, buf, paint);
        }
    }

    fn draw_latency_chart(&self, area: Rect, buf: &mut Buffer, paint: Paint) {
        let drawn: [Drawn; 2] = [("p50".to_owned(), 0, &self.rates.p50), ("p99".to_owned(), 2, &self.rates.p99)];
        let axes = Axes {
            title: "latency of each second",
            unit: Unit::Decimal,
            y_label: &latency_label,
            empty: "no request has been answered yet",
        };
        self.draw_chart(&drawn, &axes, area, buf, paint);
    }

    /// A chart below its title; one series is an area, several are lines with marks.
    fn draw_chart(&self, drawn: &[Drawn], axes: &Axes, area: Rect, buf: &mut Buffer, paint: Paint) {
        let end = self.rates.end.max(1.0);
        let is_short = self.current().is_some_and(is_short);
        let from = self.span.map_or(0.0, |span| (end - span).max(0.0));
        let look = Look { label: paint.style(Role::Dim), grid: paint.style(Role::Faint), unicode: paint.unicode };
        let style = |i: usize| paint.theme.chart(i);
        let mut area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        if area.height >= 9 && !is_short {
            title(drawn, axes, (from, end), Rect { height: 1, ..area }, buf, paint);
            area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        }
        let series: Vec<Series> = drawn
            .iter()
            .map(|(name, colour, points)| {
                let points = if is_short { &[] } else { *points };
                Series { name, style: style(*colour), points }
            })
            .collect();
        Chart {
            series: &series,
            range: (from, end),
            unit: axes.unit,
            y_label: axes.y_label,
            filled: true,
            empty: axes.empty,
            look,
        }
        .render(area, buf);
    }
}

/// Whether it has ended before there were samples worth a picture.
fn is_short(view: &JobView) -> bool {
    !view.state.is_active() && view.elapsed.as_secs_f64() < SHORT
}

/// What a chart shows at its left, its largest value at its right.
fn title(drawn: &[Drawn], axes: &Axes, range: (f64, f64), area: Rect, buf: &mut Buffer, paint: Paint) {
    let (dim, text) = (paint.style(Role::Dim), paint.style(Role::Text));
    let (mut x, _) = buf.set_stringn(area.x + 1, area.y, axes.title, usize::from(area.width), text);
    if let [(name, colour, _)] = drawn
        && !name.is_empty()
        && x + 2 + width(name) as u16 + 20 < area.right()
    {
        let style = paint.theme.chart(*colour);
        (x, _) = buf.set_stringn(x + 2, area.y, name, usize::from(area.width), style);
    }
    let shown = |points: &[(f64, f64)]| {
        points.iter().filter(|p| p.0 >= range.0 && p.1.is_finite()).map(|p| p.1).fold(0.0, f64::max)
    };
    let peak = drawn.iter().map(|d| shown(d.2)).fold(0.0, f64::max);
    if peak > 0.0 {
        let words = match axes.title {
            "throughput" => format!("peak {}", rate(peak)),
            "requests" => {
                format!("peak {} req/s", if peak < 10.0 { format!("{peak:.1}") } else { format!("{peak:.0}") })
            }
            _ => format!("worst p99 {}", words::micros(peak as u64)),
        };
        let at = area.right().saturating_sub(width(&words) as u16);
        if at > x + 2 {
            buf.set_string(at, area.y, words, dim);
        }
    }
}

/// The mean of the last seconds of a series of rates.
fn recent(points: &[(f64, f64)], seconds: f64) -> f64 {
    let Some(last) = points.last() else { return 0.0 };
    let (mut sum, mut time) = (0.0, 0.0);
    for pair in points.windows(2).rev().take_while(|p| last.0 - p[0].0 <= seconds) {
        sum += pair[1].1 * (pair[1].0 - pair[0].0);
        time += pair[1].0 - pair[0].0;
    }
    if time > 0.0 { sum / time } else { last.1 }
}

/// The percentiles as bars on a logarithmic scale, since the slowest are often a hundred times slower.
fn latency_bars(view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) {
    let Some(values) = view.latency else {
        let words = "no request has been answered yet";
        buf.set_stringn(area.x + 2, area.y, words, usize::from(area.width), paint.style(Role::Dim));
        return;
    };
    let gutter = 18;
    if area.width < gutter + 10 || area.height < 2 {
        return;
    }
    let room = area.width - gutter - 2;
    let low = (values[0].max(1) as f64).log10().floor();
    let high = (values[3].max(1) as f64).log10().ceil().max(low + 1.0);
    let place = |us: u64| ((us.max(1) as f64).log10() - low) / (high - low);
    let step = if area.height >= 10 { 2 } else { 1 };
    let mut y = area.y + u16::from(area.height >= 8);
    let first = y;
    let styles: [Style; 4] = [0, 1, 2, 3].map(|i| paint.theme.chart(i));
    for ((name, us), style) in
        [("p50", values[0]), ("p90", values[1]), ("p99", values[2]), ("max", values[3])].into_iter().zip(styles)
    {
        if y + 1 >= area.bottom() {
            break;
        }
        buf.set_string(area.x + 2, y, name, paint.style(Role::Dim));
        buf.set_string(area.x + 6, y, format!("{:>10}", words::micros(us)), paint.style(Role::Number));
        let [full, rest] =
            gauge::spans(Some(place(us).max(0.01)), usize::from(room), paint.unicode, style, paint.style(Role::Faint));
        buf.set_line(area.x + gutter, y, &Line::from(vec![full, rest]), room);
        y += step;
    }
    let axis = y.max(first + 1).min(area.bottom() - 1);
    let decades = (high - low) as i32;
    for i in 0..=decades {
        let label = words::micros(10_f64.powi(low as i32 + i) as u64);
        let at = (f64::from(i) / f64::from(decades.max(1)) * f64::from(room - 1)).round() as u16;
        let x = (area.x + gutter + at).min(area.right().saturating_sub(width(&label) as u16 + 1));
        buf.set_line(x, axis, &Line::from(Span::styled(label, paint.style(Role::Dim))), area.width);
    }
}

/// Bytes a second in the unit of the largest label, without zeros behind the point.
fn bytes_label(value: f64, top: f64) -> String {
    const UNITS: [&str; 7] = ["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s", "PiB/s", "EiB/s"];
    let power = if top >= 1.0 { ((top * 1.000_001).ln() / 1024_f64.ln()).floor().clamp(0.0, 6.0) } else { 0.0 };
    number(value / 1024_f64.powf(power), UNITS[power as usize])
}

fn requests_label(value: f64, _top: f64) -> String {
    number(value, "req/s")
}

/// A latency in the unit of the largest label.
fn latency_label(value: f64, top: f64) -> String {
    match top {
        t if t >= 1e6 => number(value / 1e6, "s"),
        t if t >= 1e3 => number(value / 1e3, "ms"),
        _ => number(value, "µs"),
    }
}

fn number(value: f64, unit: &str) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = if value >= 10.0 { 0 } else { 2 };
    let text = format!("{value:.digits$}");
    let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { text.as_str() };
    format!("{text} {unit}")
}
