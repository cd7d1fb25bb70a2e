//! The list of jobs: one line each, with as many columns as fit.

use super::order::{Group, group};
use super::paint::Paint;
use super::{JobsScreen, words};
use crate::job::{JobView, State};
use crate::text::{clean, fit, fit_middle, rate, width};
use crate::theme::Role;
use crate::widgets::gauge;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// Widths of the columns behind the title; 0 where there is no room for one.
#[derive(Clone, Copy)]
struct Columns {
    word: usize,
    title: usize,
    bar: usize,
    amount: usize,
    rate: usize,
    eta: usize,
    age: usize,
}

impl Columns {
    fn new(total: usize) -> Self {
        // Widest first: each step gives up what matters least.
        let mut c = Self { word: 12, title: 0, bar: 24, amount: 22, rate: 13, eta: 14, age: 8 };
        match total {
            150.. => {}
            110..150 => c.bar = 14,
            88..110 => c = Self { bar: 12, amount: 0, age: 0, ..c },
            64..88 => c = Self { bar: 10, amount: 0, age: 0, eta: 12, rate: 12, ..c },
            44..64 => c = Self { bar: 0, amount: 0, age: 0, eta: 12, rate: 0, ..c },
            _ => c = Self { word: 0, title: 0, bar: 0, amount: 0, rate: 0, eta: 0, age: 0 },
        }
        c.title = total.saturating_sub(3 + c.word + c.behind());
        // Beyond some length a title only moves the numbers out of sight.
        if c.title > 70 {
            c.bar += c.title - 70;
            c.title = 70;
        }
        c
    }

    /// All behind the title but the age; percent is always there.
    fn progress(&self) -> usize {
        usize::from(self.bar > 0) + self.bar + 6 + self.amount + self.rate + self.eta
    }

    fn behind(&self) -> usize {
        self.progress() + self.age + 1
    }
}

impl JobsScreen {
    /// Lines that the list wants: a job each, and one between those that go on and those that have ended.
    pub(super) fn list_lines(&self) -> usize {
        self.views().len() + usize::from(self.divider().is_some())
    }

    /// The first job that has ended, where others go on before it.
    fn divider(&self) -> Option<usize> {
        self.views().iter().position(|v| group(v) == Group::Past).filter(|at| *at > 0)
    }

    pub(super) fn draw_list(&mut self, area: Rect, buf: &mut Buffer, paint: Paint) {
        self.draw_head(area, buf, paint);
        let rows = usize::from(area.height.saturating_sub(1));
        // The line between is the first to go.
        let divider = self.divider().filter(|_| rows >= 8 || self.list_lines() <= rows);
        let line_of = |i: usize| i + usize::from(divider.is_some_and(|d| i >= d));
        let lines = self.views().len() + usize::from(divider.is_some());
        self.page = rows.max(1);
        let at = self.index().unwrap_or(0);
        let here = line_of(at);
        if here >= self.top + rows {
            self.top = here + 1 - rows.min(here + 1);
        }
        self.top = self.top.min(here).min(lines.saturating_sub(rows));
        let columns = Columns::new(usize::from(area.width));
        for row in self.top..lines.min(self.top + rows) {
            let y = area.y + 1 + (row - self.top) as u16;
            if divider == Some(row) {
                let ended = self.views().len() - row;
                let text = format!(" {} earlier ", crate::text::count(ended as u64));
                paint.faint_rule(Rect { y, height: 1, ..area }, buf, &text);
                continue;
            }
            let i = row - usize::from(divider.is_some_and(|d| row > d));
            let Some(view) = self.views().get(i) else { break };
            buf.set_line(area.x, y, &job_line(view, columns, paint, &self.retry), area.width);
            if i == at {
                buf.set_style(Rect { y, height: 1, ..area }, paint.style(Role::Cursor));
            }
        }
        if self.views().is_empty() && rows > 0 {
            let words = "no job matches";
            buf.set_stringn(area.x + 1, area.y + 1, words, usize::from(area.width), paint.style(Role::Dim));
        }
    }

    fn draw_head(&self, area: Rect, buf: &mut Buffer, paint: Paint) {
        let title = if self.filter.is_empty() {
            "jobs".to_owned()
        } else {
            format!("jobs /{} {} of {}", self.filter, self.listed, self.all.len())
        };
        // Where words have no room, the marks of the list count.
        let room = usize::from(area.width).saturating_sub(width(&title) + 16);
        let counts = self.counts(true, paint);
        let counts = if counts.width() > room { self.counts(false, paint) } else { counts };
        paint.rule(Rect { height: 1, ..area }, buf, &title, &counts);
    }

    /// How many jobs are in each state.
    fn counts(&self, in_words: bool, paint: Paint) -> Line<'static> {
        let asks = self.all.iter().filter(|v| v.question.is_some()).count();
        let count = |f: fn(&State) -> bool| self.all.iter().filter(|v| f(&v.state)).count();
        let parts = [
            (asks, ["?", "?"], if asks == 1 { "asks" } else { "ask" }, Role::Warn),
            (count(|s| matches!(s, State::Running)), ["▶", ">"], "running", Role::Accent),
            (count(|s| matches!(s, State::Queued)), ["○", "."], "waiting", Role::Dim),
            (count(|s| matches!(s, State::Paused)), ["‖", "|"], "paused", Role::Warn),
            (count(|s| matches!(s, State::Interrupted)), ["↯", "!"], "interrupted", Role::Warn),
            (count(|s| matches!(s, State::Failed(_))), ["✗", "x"], "failed", Role::Bad),
            (count(|s| matches!(s, State::Done | State::Cancelled)), ["✓", "+"], "ended", Role::Dim),
        ];
        let mut spans: Vec<Span> = Vec::new();
        for (n, [mark, ascii], word, role) in parts.into_iter().filter(|p| p.0 > 0) {
            if !spans.is_empty() {
                let gap = if in_words { paint.glyph(" · ", ", ") } else { "  " };
                spans.push(Span::styled(gap, paint.style(Role::Dim)));
            }
            let mark = if paint.unicode { mark } else { ascii };
            let text = if in_words { format!("{n} {word}") } else { format!("{mark} {n}") };
            spans.push(Span::styled(text, paint.style(role)));
        }
        Line::from(spans)
    }
}

fn job_line(view: &JobView, c: Columns, paint: Paint, retry: &str) -> Line<'static> {
    let (mark, ascii, word, role) = words::state(view);
    let state = paint.style(role);
    let dim = paint.style(Role::Dim);
    let mut line = Vec::new();
    line.push(Span::styled(format!(" {} ", if paint.unicode { mark } else { ascii }), state));
    if c.word > 0 {
        line.push(Span::styled(format!("{word:<w$}", w = c.word), state));
    }
    let text = if view.state.is_active() { paint.style(Role::Text) } else { dim };
    line.push(Span::styled(format!("{} ", words::kind(&view.kind, paint.unicode)), dim));
    let title = fit_middle(&clean(words::name(view)), c.title.saturating_sub(3)).into_owned();
    line.push(padded(&title, c.title.saturating_sub(2), text));
    if view.state.is_active() && view.state != State::Queued && view.question.is_none() {
        progress(&mut line, view, c, paint);
    } else {
        let room = c.progress();
        let text = match view.state {
            State::Interrupted if room < 24 => words::percent(view),
            State::Interrupted => match words::percent(view) {
                far if far.is_empty() => format!("{retry} resumes it"),
                far => format!("at {far}; {retry} resumes it"),
            },
            State::Queued => waits(view, room),
            State::Done | State::Cancelled if room < 12 => String::new(),
            _ => words::ending(view, retry),
        };
        let style = match view.state {
            State::Failed(_) => paint.style(Role::Bad),
            State::Interrupted => paint.style(Role::Warn),
            _ if view.question.is_some() => paint.style(Role::Warn),
            _ => dim,
        };
        line.push(padded(&format!(" {}", fit(&clean(&text), room.saturating_sub(2))), room, style));
    }
    if c.age > 0 {
        line.push(Span::styled(format!("{:>w$}", words::age(view), w = c.age), dim));
    }
    Line::from(line)
}

/// `next`, `2 before it`.
fn waits(view: &JobView, room: usize) -> String {
    match view.place {
        _ if room < 12 => String::new(),
        Some(0) => "next".to_owned(),
        Some(n) => format!("{n} before it"),
        None => String::new(),
    }
}

fn progress(line: &mut Vec<Span<'static>>, view: &JobView, c: Columns, paint: Paint) {
    let dim = paint.style(Role::Dim);
    let number = paint.style(Role::Number);
    if c.bar > 0 {
        line.push(Span::raw(" "));
        let fraction = words::fraction(view);
        let full = paint.style(if view.state == State::Paused { Role::Dim } else { Role::Accent });
        line.extend(gauge::spans(fraction, c.bar, paint.unicode, full, paint.style(Role::Faint)));
    }
    line.push(Span::styled(format!("{:>6}", words::percent(view)), number));
    let right = |text: String, w: usize, style: Style| Span::styled(format!("{:>w$}", fit(&text, w)), style);
    if c.amount > 0 {
        line.push(right(words::amount(view), c.amount, dim));
    }
    if c.rate > 0 {
        let recent = view.throughput.recent(5.0);
        let text = if recent >= 1.0 && view.state == State::Running { rate(recent) } else { String::new() };
        line.push(right(text, c.rate, paint.style(Role::Text)));
    }
    if c.eta > 0 {
        line.push(right(words::to_go(view, paint.unicode).unwrap_or_default(), c.eta, dim));
    }
}

fn padded(text: &str, columns: usize, style: Style) -> Span<'static> {
    let pad = columns.saturating_sub(width(text));
    Span::styled(format!("{text}{}", " ".repeat(pad)), style)
}
