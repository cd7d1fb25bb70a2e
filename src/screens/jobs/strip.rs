//! The line at the bottom of every screen: what runs, in passing.

use super::words;
use crate::job::{JobView, State};
use crate::text::{clean, fit_middle, rate};
use crate::theme::{Role, Theme};
use crate::widgets::sparkline;
use ratatui::text::{Line, Span};

/// Rates that the sparkline shows.
const SPARK: usize = 8;

/// What runs, in at most `columns`: ` ↑ glodap.csv.zip 62 % 84.0 MiB/s ▁▃▅▇▆▅ eta 12 s │ ⟳ safe→zarr 3/12 `.
/// Empty when nothing does. `views` as [`crate::job::Jobs::views`] gives them, newest first.
pub fn strip(views: &[JobView], columns: u16, theme: &Theme, unicode: bool) -> Line<'static> {
    let columns = usize::from(columns);
    let running: Vec<&JobView> = views.iter().filter(|v| matches!(v.state, State::Running | State::Paused)).collect();
    let waiting = views.iter().filter(|v| v.state == State::Queued).count();
    if running.is_empty() && waiting == 0 {
        return Line::default();
    }
    // As many as get room enough to be recognised; the oldest, which end first, before the others.
    let shown = (columns / 26).clamp(1, 4).min(running.len());
    let more = running.len() - shown;
    let tail = match (more, waiting) {
        _ if columns < 40 => String::new(),
        (0, 0) => String::new(),
        (0, w) => format!("{w} waiting"),
        (m, 0) => format!("{m} more"),
        (m, w) => format!("{m} more, {w} waiting"),
    };
    let tail_room = if tail.is_empty() { 0 } else { tail.len() + 3 };
    let room = columns.saturating_sub(tail_room) / shown.max(1);
    let bar = theme.style(Role::Dim);
    let divider = if unicode { " │" } else { " |" };
    let mut spans: Vec<Span<'static>> = Vec::new();
    for view in running.iter().rev().take(shown) {
        if !spans.is_empty() {
            spans.push(Span::styled(divider, bar));
        }
        spans.extend(piece(view, room.saturating_sub(2), theme, unicode));
    }
    if !tail.is_empty() {
        if !spans.is_empty() {
            spans.push(Span::styled(divider, bar));
        }
        spans.push(Span::styled(format!(" {tail}"), bar));
    }
    Line::from(spans)
}

/// One job: what does not fit is left out, least important first.
fn piece(view: &JobView, room: usize, theme: &Theme, unicode: bool) -> Vec<Span<'static>> {
    let (text, dim) = (theme.style(Role::Text).fg, theme.style(Role::Dim));
    // Where it goes can be read in the list of jobs.
    let name = words::name(view).split(" → ").next().unwrap_or_default();
    let name = clean(name).into_owned();
    let done = if matches!(view.kind.as_str(), "upload" | "download" | "copy" | "convert") || view.total == 0 {
        words::percent(view)
    } else {
        format!("{}/{}", view.done, view.total)
    };
    let recent = view.throughput.recent(5.0);
    let speed = if recent > 0.0 { rate(recent) } else { String::new() };
    let spark = spark(view, unicode);
    let eta = view.eta.map(|e| format!("eta {}", words::rough(e))).unwrap_or_default();
    let paused = if view.state == State::Paused { "paused" } else { "" };
    // Parts behind the name in the order of the line, each with the rank in which it is kept.
    let mut parts = [
        (0, done, theme.style(Role::Number)),
        (1, speed, dim),
        (3, spark, theme.chart(0)),
        (2, eta, dim),
        (0, paused.to_owned(), theme.style(Role::Warn)),
    ];
    let least = name.chars().count().min(12);
    for rank in [3, 2, 1] {
        let used: usize = parts.iter().filter(|p| !p.1.is_empty()).map(|p| p.1.chars().count() + 1).sum();
        if 3 + least + used <= room {
            break;
        }
        for part in parts.iter_mut().filter(|p| p.0 == rank) {
            part.1.clear();
        }
    }
    if room < 14 {
        for part in &mut parts {
            part.1.clear();
        }
    }
    let used: usize = parts.iter().filter(|p| !p.1.is_empty()).map(|p| p.1.chars().count() + 1).sum();
    let name = fit_middle(&name, room.saturating_sub(3 + used)).into_owned();
    let name_style = ratatui::style::Style { fg: text, ..Default::default() };
    let mut spans = vec![
        Span::styled(format!(" {} ", words::kind(&view.kind, unicode)), theme.style(Role::Accent)),
        Span::styled(name, name_style),
    ];
    for (_, words, style) in parts.into_iter().filter(|p| !p.1.is_empty()) {
        spans.push(Span::raw(" "));
        spans.push(Span::styled(words, style));
    }
    spans
}

/// The last rates; bounded, however long the job runs.
fn spark(view: &JobView, unicode: bool) -> String {
    let samples: Vec<_> = view.throughput.samples().rev().take(SPARK + 1).collect();
    let rates: Vec<f64> = samples
        .windows(2)
        .rev()
        .map(|w| w[0].bytes.saturating_sub(w[1].bytes) as f64 / (w[0].t - w[1].t).max(1e-9))
        .collect();
    if rates.iter().all(|r| *r == 0.0) {
        return String::new();
    }
    sparkline::text(&rates, SPARK, unicode)
}
