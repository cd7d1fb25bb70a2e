//! The job under the cursor: its chart, its numbers, its log.

use super::{JobsScreen, Paint, Rates, Show, words};
use crate::action::Action;
use crate::job::{JobView, State};
use crate::screen::{Cx, Screen as _};
use crate::text::{clean, count, duration, fit, rate, width};
use crate::theme::Role;
use crate::widgets::chart::{Chart, Look, Series, Unit};
use crate::widgets::gauge;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

/// A fact: label, value, role of the value.
type Fact = (&'static str, String, Role);

impl JobsScreen {
    pub(super) fn draw_detail(&self, area: Rect, buf: &mut Buffer, paint: Paint, cx: &Cx) {
        let Some(view) = self.current() else { return };
        let rule = Rect { height: 1, ..area };
        paint.rule(rule, buf, &view.title, &self.tabs(paint, area.width));
        let body = Rect { y: area.y + 1, height: area.height - 1, ..area };
        let retry = cx.keymap.label(self.contexts(), Action::Retry);
        let body = notice(view, &retry, body, buf, paint);
        if self.show == Show::Log {
            self.draw_log(view, body, buf, paint);
            return;
        }
        let wide = body.width >= 110;
        let log_rows = match body.height {
            30.. => 10,
            18..30 => 6,
            13..18 => 3,
            _ => 0,
        };
        let log_rows = log_rows.min(view.log.len() as u16);
        let log_height = if log_rows > 0 { log_rows + u16::from(body.height >= 18) } else { 0 };
        let main = Rect { height: body.height - log_height, ..body };
        if wide {
            let side = 44.min(main.width / 3);
            let chart = Rect { width: main.width - side - 3, ..main };
            self.draw_picture(view, chart, buf, paint);
            let facts = facts(view, &self.rates);
            column(&facts, Rect { x: chart.right() + 3, width: side, ..main }, buf, paint);
        } else {
            let lines = flow(&compact(view, &self.rates), usize::from(main.width), paint);
            let most = if main.height >= 8 { main.height - 5 } else { main.height.min(1) };
            let height = (lines.len() as u16).min(most);
            for (i, line) in lines.iter().take(usize::from(height)).enumerate() {
                buf.set_line(main.x, main.y + i as u16, line, main.width);
            }
            let chart = Rect { y: main.y + height, height: main.height - height, ..main };
            self.draw_picture(view, chart, buf, paint);
        }
        if log_height > 0 {
            let mut log = Rect { y: main.bottom(), height: log_height, ..body };
            if log_height > log_rows {
                paint.rule(Rect { height: 1, ..log }, buf, "log", &Line::default());
                log = Rect { y: log.y + 1, height: log_rows, ..log };
            }
            self.draw_log(view, log, buf, paint);
        }
    }

    /// The views, the one shown marked, and how much of time is shown.
    fn tabs(&self, paint: Paint, columns: u16) -> Line<'static> {
        let mut spans = Vec::new();
        if self.frozen {
            spans.push(Span::styled(paint.glyph("‖ held  ", "held  "), paint.style(Role::Warn)));
        }
        if let Some(span) = self.span.filter(|_| matches!(self.show, Show::Bytes | Show::Requests)) {
            spans.push(Span::styled(
                format!("last {}  ", duration(std::time::Duration::from_secs_f64(span))),
                paint.style(Role::Dim),
            ));
        }
        for (show, name) in Show::ALL {
            if show == self.show {
                let (l, r) = if paint.unicode { ("‹", "›") } else { ("<", ">") };
                spans.push(Span::styled(format!("{l}{name}{r}"), paint.style(Role::Accent)));
            } else if columns >= 70 {
                spans.push(Span::styled(format!(" {name} "), paint.style(Role::Dim)));
            }
        }
        Line::from(spans)
    }

    fn draw_picture(&self, view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) {
        if self.show == Show::Bytes && area.height >= 20 {
            self.draw_all(view, area, buf, paint);
            return;
        }
        match self.show {
            Show::Latency => latency(view, area, buf, paint),
            Show::Requests => self.draw_chart(&self.rates.requests, Unit::Decimal, &requests_label, area, buf, paint),
            Show::Bytes | Show::Log => {
                self.draw_chart(&self.rates.bytes, Unit::Binary, &bytes_label, area, buf, paint);
            }
        }
    }

    /// Where there is room, all that changes with time at once.
    fn draw_all(&self, view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) {
        let latency_rows = if area.height >= 32 && view.latency.is_some() { 6 } else { 0 };
        let above = area.height - latency_rows;
        let bytes = Rect { height: above * 3 / 5, ..area };
        let requests = Rect { y: bytes.bottom() + 1, height: above - bytes.height - 1, ..area };
        self.draw_chart(&self.rates.bytes, Unit::Binary, &bytes_label, bytes, buf, paint);
        self.draw_chart(&self.rates.requests, Unit::Decimal, &requests_label, requests, buf, paint);
        if latency_rows > 0 {
            latency(view, Rect { y: requests.bottom() + 1, height: latency_rows - 1, ..area }, buf, paint);
        }
    }

    fn draw_chart(
        &self,
        points: &[(f64, f64)],
        unit: Unit,
        y_label: &dyn Fn(f64, f64) -> String,
        area: Rect,
        buf: &mut Buffer,
        paint: Paint,
    ) {
        let end = self.rates.end.max(1.0);
        let from = self.span.map_or(0.0, |span| (end - span).max(0.0));
        let look = Look { label: paint.style(Role::Dim), grid: paint.style(Role::Faint), unicode: paint.unicode };
        let style = paint.theme.chart(usize::from(unit == Unit::Decimal));
        let series = [Series { name: "", style, points }];
        let area = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
        let empty = match self.current().map(|v| &v.state) {
            Some(State::Queued) => "waits for its turn",
            Some(State::Running) => "no data yet",
            _ => "no throughput was recorded",
        };
        Chart { series: &series, range: (from, end), unit, y_label, filled: unit == Unit::Binary, empty, look }
            .render(area, buf);
    }

    fn draw_log(&self, view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) {
        let rows = usize::from(area.height);
        if view.log.is_empty() {
            buf.set_stringn(area.x + 2, area.y, "nothing was noted", usize::from(area.width), paint.style(Role::Dim));
            return;
        }
        let back = if self.show == Show::Log { self.log_back.min(view.log.len().saturating_sub(rows)) } else { 0 };
        let end = view.log.len() - back;
        let lines = &view.log[end.saturating_sub(rows)..end];
        for (i, (t, line)) in lines.iter().enumerate() {
            let y = area.y + i as u16;
            let when = format!("{:>14}  ", words::since(view, *t));
            let (x, _) = buf.set_stringn(area.x, y, when, usize::from(area.width), paint.style(Role::Dim));
            let room = usize::from(area.right().saturating_sub(x));
            buf.set_stringn(x, y, fit(&clean(line), room), room, paint.style(Role::Text));
        }
    }
}

/// What a job that is not running says: its end, and what can be done. Returns what is left.
fn notice(view: &JobView, retry: &str, area: Rect, buf: &mut Buffer, paint: Paint) -> Rect {
    if area.height < 4 {
        return area;
    }
    let (mark, ascii, word, role) = words::state(&view.state);
    let said = clean(&words::ending(view, retry)).into_owned();
    let words = match view.state {
        State::Running if said.is_empty() => return area,
        State::Running => said,
        State::Queued => "waits for its turn".to_owned(),
        State::Failed(_) | State::Cancelled => format!("{word}: {said}; {retry} runs it again"),
        State::Done | State::Interrupted | State::Paused => format!("{word}: {said}"),
    };
    let mark = if paint.unicode { mark } else { ascii };
    let room = usize::from(area.width.saturating_sub(4));
    let (x, _) = buf.set_stringn(area.x + 1, area.y, mark, 2, paint.style(role));
    buf.set_stringn(x + 1, area.y, fit(&words, room), room, paint.style(role));
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

fn facts(view: &JobView, rates: &Rates) -> Vec<Fact> {
    let c = view.counts;
    let mut out: Vec<Fact> = Vec::new();
    let percent = words::percent(view);
    out.push(("done", join(&[words::amount(view), percent]), Role::Number));
    out.push(("elapsed", duration(view.elapsed), Role::Number));
    if let Some(to_go) = words::to_go(view, &rates.bytes) {
        out.push(("to go", to_go, Role::Number));
    }
    out.push(("", String::new(), Role::Text));
    if view.state.is_active() {
        out.push(("now", rate(view.throughput.recent(5.0)), Role::Number));
    }
    let seconds = view.elapsed.as_secs_f64();
    let mean = if seconds > 0.0 { (c.bytes_in + c.bytes_out) as f64 / seconds } else { 0.0 };
    out.push(("mean", rate(mean), Role::Number));
    out.push(("received", crate::text::bytes(c.bytes_in), Role::Number));
    out.push(("sent", crate::text::bytes(c.bytes_out), Role::Number));
    out.push(("", String::new(), Role::Text));
    out.push(("requests", count(c.requests), Role::Number));
    out.push(("errors", count(c.errors), if c.errors > 0 { Role::Bad } else { Role::Number }));
    out.push(("retries", count(c.retries), if c.retries > 0 { Role::Warn } else { Role::Number }));
    if view.state.is_active() {
        out.push(("in flight", count(view.in_flight), Role::Number));
    }
    if let Some([p50, p90, p99, max]) = view.latency {
        out.push(("", String::new(), Role::Text));
        for (label, us) in [("p50", p50), ("p90", p90), ("p99", p99), ("max", max)] {
            out.push((label, words::micros(us), Role::Number));
        }
    }
    out
}

/// The same in three groups that make three lines at 80 columns.
fn compact(view: &JobView, rates: &Rates) -> Vec<Fact> {
    let c = view.counts;
    let mut out: Vec<Fact> = vec![("done", join(&[words::percent(view), words::amount(view)]), Role::Number)];
    out.push(("in", duration(view.elapsed), Role::Number));
    if let Some(to_go) = words::to_go(view, &rates.bytes) {
        out.push(("to go", to_go, Role::Number));
    }
    out.push(("\n", String::new(), Role::Text));
    out.push(("requests", count(c.requests), Role::Number));
    out.push(("errors", count(c.errors), if c.errors > 0 { Role::Bad } else { Role::Number }));
    out.push(("retries", count(c.retries), if c.retries > 0 { Role::Warn } else { Role::Number }));
    if view.state.is_active() {
        out.push(("in flight", count(view.in_flight), Role::Number));
    }
    if let Some([p50, p90, p99, max]) = view.latency {
        out.push(("\n", String::new(), Role::Text));
        out.push(("latency", String::new(), Role::Dim));
        for (label, us) in [("p50", p50), ("p90", p90), ("p99", p99), ("max", max)] {
            out.push((label, words::micros(us), Role::Number));
        }
    }
    out
}

fn join(parts: &[String]) -> String {
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|p| !p.is_empty()).collect();
    if parts.is_empty() { "–".to_owned() } else { parts.join("  ") }
}

fn column(facts: &[Fact], area: Rect, buf: &mut Buffer, paint: Paint) {
    // Groups lose the line between them before anything is lost.
    let tight = facts.len() > usize::from(area.height);
    let shown = facts.iter().filter(|f| !(tight && f.0.is_empty()));
    for (i, (label, value, role)) in shown.take(usize::from(area.height)).enumerate() {
        let y = area.y + i as u16;
        buf.set_stringn(area.x, y, label, usize::from(area.width), paint.style(Role::Dim));
        if area.width > 12 {
            let room = usize::from(area.width) - 11;
            buf.set_stringn(area.x + 11, y, fit(value, room), room, paint.style(*role));
        }
    }
}

fn flow(facts: &[Fact], columns: usize, paint: Paint) -> Vec<Line<'static>> {
    let mut lines: Vec<Vec<Span<'static>>> = vec![vec![Span::raw(" ")]];
    let mut used = 1;
    for (label, value, role) in facts {
        let needs = width(label) + width(value) + 4;
        if *label == "\n" || used + needs > columns + 3 {
            lines.push(vec![Span::raw(" ")]);
            used = 1;
        }
        if *label == "\n" {
            continue;
        }
        used += needs;
        if let Some(line) = lines.last_mut() {
            line.push(Span::styled(format!("{label} "), paint.style(Role::Dim)));
            line.push(Span::styled(format!("{value}   "), paint.style(*role)));
        }
    }
    lines.into_iter().map(Line::from).collect()
}

/// The percentiles as bars on a logarithmic scale, since the slowest are often a hundred times slower.
fn latency(view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) {
    let Some(values) = view.latency else {
        buf.set_stringn(
            area.x + 2,
            area.y,
            "no request has been answered yet",
            usize::from(area.width),
            paint.style(Role::Dim),
        );
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
    let styles = [0, 1, 2, 3].map(|i| paint.theme.chart(i));
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
        buf.set_string(x, axis, &label, paint.style(Role::Dim));
    }
}

/// Bytes a second in the unit of the largest label, without zeros behind the point.
fn bytes_label(value: f64, top: f64) -> String {
    const UNITS: [&str; 5] = ["B/s", "KiB/s", "MiB/s", "GiB/s", "TiB/s"];
    let power = if top >= 1.0 { ((top * 1.000_001).ln() / 1024_f64.ln()).floor().clamp(0.0, 4.0) } else { 0.0 };
    number(value / 1024_f64.powf(power), UNITS[power as usize])
}

fn requests_label(value: f64, _top: f64) -> String {
    number(value, "req/s")
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
