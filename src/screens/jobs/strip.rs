//! The line at the bottom of every screen: what runs, in passing.

use super::words;
use crate::job::{JobView, State};
use crate::text::{clean, fit, fit_middle, rate, width};
use crate::theme::{Role, Theme};
use crate::widgets::{gauge, sparkline};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Rates that the sparkline shows.
const SPARK: usize = 8;
/// Cells of a bar.
const BAR: usize = 8;
/// From so many columns on, what is not named is counted in words.
const WORDS: usize = 90;
/// Columns that a job needs to be recognised.
const LEAST: usize = 38;

/// What runs, in at most `columns`:
/// ` ↑ glodap.csv.zip ████▌··· 62 % 84.0 MiB/s ▁▃▅▇▆▅ 10–15 s │ 2 more, 1 waiting ` (`+2 ○1` where it is narrow). A job that asks stands
/// before all, with the key that `answer`s. Empty when nothing runs. `views` come newest first.
pub fn strip(views: &[JobView], columns: u16, theme: &Theme, unicode: bool, answer: &str) -> Line<'static> {
    let columns = usize::from(columns);
    let count = |state: State| views.iter().filter(|v| v.state == state).count();
    let asking = views.iter().rev().find(|v| v.question.is_some() && v.state.is_active());
    let running: Vec<&JobView> = views.iter().filter(|v| v.state == State::Running).collect();
    let (waiting, paused) = (count(State::Queued), count(State::Paused));
    if running.is_empty() && waiting + paused == 0 {
        return Line::default();
    }
    let dim = theme.style(Role::Dim);
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut room = columns;
    if let Some(view) = asking {
        let words = question(view, columns, answer);
        // With the line between.
        room = room.saturating_sub(width(&words) + 2);
        spans.push(Span::styled(words, theme.style(Role::Warn)));
    }
    // As many as get room enough to be recognised; the oldest, which end first, before the others.
    let others: Vec<&JobView> = running.iter().rev().copied().filter(|v| v.question.is_none()).collect();
    let most = if asking.is_some() && room < LEAST { 0 } else { (room / LEAST).clamp(1, 3) };
    let shown = most.min(others.len());
    let (wait, pause) = if unicode { ("○", "‖") } else { (".", "|") };
    let tail: Vec<String> =
        [(others.len() - shown, "+", "more"), (waiting, wait, "waiting"), (paused, pause, "paused")]
            .iter()
            .filter(|(n, _, _)| *n > 0)
            // The marks are those of the list of jobs.
            .map(|(n, mark, word)| if columns < WORDS { format!("{mark}{n}") } else { format!("{n} {word}") })
            .collect();
    let tail = tail.join(if columns < WORDS { " " } else { ", " });
    let tail = if (room < 30 && shown > 0) || room < width(&tail) + 1 { String::new() } else { tail };
    let tail_room = if tail.is_empty() { 0 } else { width(&tail) + 3 };
    let divider = if unicode { " │" } else { " |" };
    let each = room.saturating_sub(tail_room) / shown.max(1);
    for view in others.into_iter().take(shown) {
        if !spans.is_empty() {
            spans.push(Span::styled(divider, dim));
        }
        spans.extend(piece(view, each.saturating_sub(2), theme, unicode));
    }
    if !tail.is_empty() {
        if !spans.is_empty() {
            spans.push(Span::styled(divider, dim));
        }
        spans.push(Span::styled(format!(" {tail}"), dim));
    }
    Line::from(spans)
}

/// ` ? upload x.tif asks: W answers`.
fn question(view: &JobView, columns: usize, answer: &str) -> String {
    let verb = match answer {
        "" => " asks".to_owned(),
        answer if columns < 30 => format!(" {answer}"),
        answer => format!(" asks: {answer} answers"),
    };
    let room = columns.min(64).saturating_sub(3 + width(&verb));
    let name = fit_middle(&clean(words::name(view)), room).into_owned();
    fit(&format!(" ? {name}{verb}"), columns).into_owned()
}

/// A part of a job behind its name, with the rank in which it is kept: 0 stays longest.
struct Part {
    rank: u8,
    spans: Vec<Span<'static>>,
}

impl Part {
    fn new(rank: u8, text: String, style: Style) -> Self {
        let spans = if text.is_empty() { Vec::new() } else { vec![Span::styled(text, style)] };
        Self { rank, spans }
    }

    /// Columns with the space before it.
    fn columns(&self) -> usize {
        let columns: usize = self.spans.iter().map(Span::width).sum();
        columns + usize::from(columns > 0)
    }
}

/// One job: what does not fit is left out, least important first.
fn piece(view: &JobView, room: usize, theme: &Theme, unicode: bool) -> Vec<Span<'static>> {
    let dim = theme.style(Role::Dim);
    // Where it goes can be read in the list of jobs.
    let name = words::name(view).split(" → ").next().unwrap_or_default();
    let name = clean(name).into_owned();
    let recent = view.throughput.recent(5.0);
    let speed = if recent >= 1.0 { rate(recent) } else { String::new() };
    let bar = words::fraction(view).map_or_else(Vec::new, |f| {
        gauge::spans(Some(f), BAR, unicode, theme.style(Role::Accent), theme.style(Role::Faint)).to_vec()
    });
    let eta = words::to_go(view, unicode).map_or_else(String::new, |eta| format!("eta {eta}"));
    let mut parts = [
        Part { rank: 2, spans: bar },
        Part::new(0, words::share(view), theme.style(Role::Number)),
        Part::new(1, speed, dim),
        Part::new(4, spark(view, unicode), theme.chart(0)),
        Part::new(3, eta, dim),
    ];
    let least = width(&name).min(12);
    for rank in [4, 3, 2, 1, 0] {
        let used: usize = parts.iter().map(Part::columns).sum();
        if 3 + least + used <= room || (rank == 0 && room >= 14) {
            break;
        }
        for part in parts.iter_mut().filter(|p| p.rank == rank) {
            part.spans.clear();
        }
    }
    let used: usize = parts.iter().map(Part::columns).sum();
    let name = fit_middle(&name, room.saturating_sub(3 + used)).into_owned();
    let name_style = Style { fg: theme.style(Role::Text).fg, ..Default::default() };
    let mut spans = vec![
        Span::styled(format!(" {} ", words::kind(&view.kind, unicode)), theme.style(Role::Accent)),
        Span::styled(name, name_style),
    ];
    for part in parts.into_iter().filter(|p| !p.spans.is_empty()) {
        spans.push(Span::raw(" "));
        spans.extend(part.spans);
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
