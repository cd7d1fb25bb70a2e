//! The dashboard of a benchmark, while it runs and afterwards.
//!
//! ```text
//! ── COG vs Zarr ───────────────────── ▶ patch 12 of 30: zarr ██████····  41 % ──
//!  ✓ pixels equal: 12,582,912 values compared, 11 of 11 patches by checksum
//!  series      n  mean ms     95 % of mean   median    p90    p99         ratio
//!  ● cog      11    1,234    1,100 – 1,350    1,201  1,400  1,502        11.0×
//!  ◆ zarr     11      112       104 – 121       110    130    141      fastest
//! ── spread ──────────────────────────── ‹spread› matrix  times  rates ──
//!  ● cog                                                  ▂ ▄█▃ ▂
//!                                                         ──━┃━──
//!  ◆ zarr         ▂█▄▂
//! ```

mod data;
mod export;
mod pictures;
mod table;
mod words;

use crate::action::Action;
use crate::error::Error;
use crate::job::{JobId, JobView, State};
use crate::screen::{Cx, Flow, Open, Screen};
use crate::task::{Pending, poll_slot};
use crate::text::{clean, count, duration, fit, fit_middle, width};
use crate::theme::{Role, Theme};
use crate::widgets::chart::mark;
use crate::widgets::gauge;
use data::Data;
use pictures::Course;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// What is shown below the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Show {
    Spread,
    Matrix,
    Times,
    Rates,
}

impl Show {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Spread, "spread"), (Self::Matrix, "patches"), (Self::Times, "times"), (Self::Rates, "rates")];

    fn step(self, by: usize) -> Self {
        let at = Self::ALL.iter().position(|(s, _)| *s == self).unwrap_or(0);
        Self::ALL[(at + by) % Self::ALL.len()].0
    }
}

/// The dashboard of one benchmark.
pub struct Dashboard {
    id: JobId,
    view: Option<JobView>,
    data: Data,
    show: Show,
    export: Option<Pending<Vec<String>>>,
}

impl Dashboard {
    /// Of the job of this id.
    pub fn new(id: JobId, cx: &Cx) -> Self {
        let mut screen = Self { id, view: None, data: Data::default(), show: Show::Spread, export: None };
        screen.look(cx);
        screen
    }

    fn look(&mut self, cx: &Cx) {
        if let Some(view) = cx.jobs.view(&self.id) {
            self.take(view, cx);
        }
    }

    /// Takes a snapshot of the job.
    pub fn take(&mut self, view: JobView, cx: &Cx) {
        self.data.take(&view, &cx.waker);
        self.view = Some(view);
    }

    fn is_active(&self) -> bool {
        self.view.as_ref().is_some_and(|v| v.state.is_active())
    }

    fn cancel(&self, cx: &mut Cx) {
        if self.is_active() {
            cx.jobs.cancel(&self.id);
            cx.toast("the benchmark is told to stop");
        } else {
            cx.toast("the benchmark has ended already");
        }
    }

    fn retry(&mut self, cx: &mut Cx) {
        if self.is_active() {
            cx.toast("the benchmark runs already");
            return;
        }
        match cx.jobs.retry(&self.id) {
            Ok(id) => {
                self.id = id;
                self.data = Data::default();
                self.look(cx);
            }
            Err(err) => cx.fail(&err),
        }
    }

    fn export(&mut self, cx: &mut Cx) {
        match (&self.data.report, &self.export) {
            (None, _) => {
                cx.fail(&Error::usage("there is no result yet").with_hint("save it when the benchmark is done"));
            }
            (_, Some(_)) => {}
            (Some(report), None) => {
                self.export =
                    Some(Pending::spawn(&cx.waker, export::write((**report).clone(), std::path::PathBuf::from("."))));
            }
        }
    }
}

impl Screen for Dashboard {
    fn contexts(&self) -> &'static [&'static str] {
        &["jobs", "list", "global"]
    }

    fn title(&self) -> String {
        self.view.as_ref().map_or_else(|| "benchmark".to_owned(), |v| clean(&v.title).into_owned())
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match action {
            Action::ViewNext | Action::NextPane | Action::Right | Action::Enter => self.show = self.show.step(1),
            Action::PrevPane | Action::Left => self.show = self.show.step(Show::ALL.len() - 1),
            Action::Cancel => self.cancel(cx),
            Action::Retry => self.retry(cx),
            Action::Export => self.export(cx),
            Action::Refresh => self.look(cx),
            Action::Jobs => return Flow::Replace(Open::Jobs(Some(self.id.clone()))),
            Action::Command => {
                if let Some(view) = &self.view {
                    cx.last_command = Some(view.command.clone());
                }
                return Flow::Ignored;
            }
            Action::Back | Action::Close => return Flow::Close,
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        self.look(cx);
        match poll_slot(&mut self.export) {
            Some(Ok(files)) => cx.toast(format!("saved {}", files.join(", "))),
            Some(Err(err)) => cx.fail(&err),
            None => {}
        }
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.is_active()
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let paint = Paint { theme: &cx.theme, unicode: cx.unicode };
        let buf = frame.buffer_mut();
        let Some(view) = &self.view else {
            paint.say(area, buf, "this benchmark is not known");
            return;
        };
        if area.height < 3 || area.width < 20 {
            return;
        }
        let mut rest = self.head(view, area, buf, paint);
        if rest.height < 3 {
            return;
        }
        let table = Rect { height: table::height(&self.data).min(rest.height), ..rest };
        table::draw(&self.data, table, buf, paint);
        rest = Rect { y: table.bottom(), height: rest.height - table.height, ..rest };
        if rest.height >= self.heights().iter().sum::<u16>() + 14 && rest.width >= 70 {
            self.all(rest, buf, paint);
        } else if rest.height >= 4 {
            paint.rule(rest, buf, self.tab().1, &self.tabs(paint, area.width));
            self.picture(self.show, Rect { y: rest.y + 1, height: rest.height - 1, ..rest }, buf, paint);
        }
    }
}

impl Dashboard {
    fn tab(&self) -> (Show, &'static str) {
        Show::ALL.into_iter().find(|(s, _)| *s == self.show).unwrap_or(Show::ALL[0])
    }

    fn tabs(&self, paint: Paint, columns: u16) -> Line<'static> {
        let mut spans = Vec::new();
        for (show, name) in Show::ALL {
            if show == self.show {
                let (l, r) = if paint.unicode { ("‹", "›") } else { ("<", ">") };
                spans.push(Span::styled(format!("{l}{name}{r}"), paint.style(Role::Accent)));
            } else if columns >= 60 {
                spans.push(Span::styled(format!(" {name} "), paint.style(Role::Dim)));
            }
        }
        Line::from(spans)
    }

    fn picture(&self, show: Show, area: Rect, buf: &mut Buffer, paint: Paint) {
        match show {
            Show::Spread => pictures::spread(&self.data, area, buf, paint),
            Show::Matrix => pictures::matrix(&self.data, area, buf, paint),
            Show::Times => pictures::course(&self.data, Course::Times, area, buf, paint),
            Show::Rates => pictures::course(&self.data, Course::Rates, area, buf, paint),
        }
    }

    /// Lines that spread and matrix take.
    fn heights(&self) -> [u16; 2] {
        let n = self.data.series.len().clamp(1, 12) as u16;
        [n * 3 + 1, n + 2]
    }

    /// Everything at once; where only one course of the run fits, the one that was asked for.
    fn all(&self, area: Rect, buf: &mut Buffer, paint: Paint) {
        let [spread, matrix] = self.heights();
        let mut y = area.y;
        for (title, height, show) in
            [("milliseconds: spread", spread, Show::Spread), ("milliseconds by patch", matrix, Show::Matrix)]
        {
            paint.rule(Rect { y, height: 1, ..area }, buf, title, &Line::default());
            self.picture(show, Rect { y: y + 1, height, ..area }, buf, paint);
            y += height + 2;
        }
        let left = area.bottom().saturating_sub(y);
        let (times, rates) = ("milliseconds over the run", "bytes a second over the run");
        let half = area.width / 2;
        let panes: &[(&str, u16, u16, Show)] = match self.show {
            _ if area.width >= 100 => {
                &[(times, area.x, half - 1, Show::Times), (rates, area.x + half, area.width - half, Show::Rates)]
            }
            Show::Rates => &[(rates, area.x, area.width, Show::Rates)],
            _ => &[(times, area.x, area.width, Show::Times)],
        };
        for &(title, x, wide, show) in panes {
            let pane = Rect { x, y, width: wide, height: left };
            paint.rule(Rect { height: 1, ..pane }, buf, title, &Line::default());
            self.picture(show, Rect { y: y + 1, height: left.saturating_sub(1), ..pane }, buf, paint);
        }
    }

    /// Title with progress, what was found, and whether the pixels are equal. Returns what is left.
    fn head(&self, view: &JobView, area: Rect, buf: &mut Buffer, paint: Paint) -> Rect {
        paint.rule(Rect { height: 1, ..area }, buf, &view.title, &progress(view, area.width, paint));
        let mut y = area.y + 1;
        let mut line = |text: &str, style: Style, buf: &mut Buffer| {
            if y < area.bottom() {
                buf.set_stringn(
                    area.x + 1,
                    y,
                    fit(text, usize::from(area.width) - 2),
                    usize::from(area.width) - 2,
                    style,
                );
                y += 1;
            }
        };
        match &view.state {
            State::Failed(why) => {
                line(&format!("{} {}", paint.glyph("✗", "x"), clean(why)), paint.style(Role::Bad), buf);
            }
            State::Interrupted => {
                line("interrupted: its program ended before it; r runs it again", paint.style(Role::Warn), buf);
            }
            State::Cancelled => line("cancelled; r runs it again", paint.style(Role::Warn), buf),
            _ => {}
        }
        let (words, role) = self.equality(view, paint);
        line(&words, paint.style(role), buf);
        for note in self.notes() {
            line(&note, paint.style(Role::Warn), buf);
        }
        if area.height >= 30 {
            y = self.series(Rect { y, height: area.bottom() - y, ..area }, buf, paint);
        }
        if area.height >= 20 {
            y += 1;
        }
        let y = y.min(area.bottom());
        Rect { y, height: area.bottom() - y, ..area }
    }

    /// Whether all series hold the same pixels.
    fn equality(&self, view: &JobView, paint: Paint) -> (String, Role) {
        let (whole, equal) = self.data.checked;
        let asked = self.data.report.as_ref().is_none_or(|r| r.spec.verify);
        let patches = format!("{} of {} patches by checksum", count(equal as u64), count(whole as u64));
        if whole > equal {
            return (format!("{} pixels differ: only {patches}", paint.glyph("✗", "x")), Role::Bad);
        }
        let compared = self.data.verified.map(|values| format!("{} values", count(values)));
        if !asked {
            return ("pixels were not compared".to_owned(), Role::Dim);
        }
        match (compared, whole) {
            (Some(values), 0) => (format!("{} pixels equal: {values} compared", paint.glyph("✓", "+")), Role::Good),
            (Some(values), _) => {
                (format!("{} pixels equal: {values} compared, {patches}", paint.glyph("✓", "+")), Role::Good)
            }
            (None, n) if n > 0 => (format!("{} pixels equal: {patches}", paint.glyph("✓", "+")), Role::Good),
            (None, _) if view.state.is_active() => ("pixels are not compared yet".to_owned(), Role::Dim),
            (None, _) => ("pixels were not compared".to_owned(), Role::Dim),
        }
    }

    /// What makes the numbers weak.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.data.report.as_ref().is_some_and(|r| r.environment.build == "debug") {
            notes.push("measured with a debug build: times of decoding mean little".to_owned());
        }
        let fewest = self.data.series.iter().map(|s| self.data.times(&s.name).len()).min().unwrap_or(0);
        if self.data.report.is_some() && fewest < 8 {
            notes.push("fewer than 8 samples: intervals are rough".to_owned());
        }
        notes
    }

    /// What was found: a line for each series. Returns the next free line.
    fn series(&self, area: Rect, buf: &mut Buffer, paint: Paint) -> u16 {
        let mut y = area.y + 1;
        for (i, s) in self.data.series.iter().enumerate() {
            if y + 12 > area.bottom() {
                break;
            }
            let e = s.extent;
            let size = format!("{} x {} x {} x {}", e.dates, e.bands, e.height, e.width);
            let name = fit_middle(&clean(&s.name), 18).into_owned();
            let pad = " ".repeat(20_usize.saturating_sub(width(&name)));
            let (x, _) = buf.set_stringn(
                area.x + 1,
                y,
                format!("{} {name}{pad}", mark(i, paint.unicode)),
                usize::from(area.width) - 1,
                paint.theme.chart(i),
            );
            let place = clean(&s.location.to_string()).into_owned();
            let facts = format!("{:<5} {size:<24} {:<28} ", s.format.label(), clean(&s.layout));
            let room = usize::from(area.right().saturating_sub(x));
            let (x, _) = buf.set_stringn(x, y, fit(&facts, room), room, paint.style(Role::Dim));
            let room = usize::from(area.right().saturating_sub(x));
            buf.set_stringn(x, y, fit_middle(&place, room), room, paint.style(Role::Text));
            y += 1;
        }
        y
    }
}

/// State, step, bar and time to go, as much as fits.
fn progress(view: &JobView, columns: u16, paint: Paint) -> Line<'static> {
    let dim = paint.style(Role::Dim);
    match &view.state {
        State::Queued => Line::styled("waits for its turn", dim),
        State::Done => Line::styled(
            format!("{} done in {}", paint.glyph("✓", "+"), duration(view.elapsed)),
            paint.style(Role::Good),
        ),
        State::Failed(_) => Line::styled(format!("{} failed", paint.glyph("✗", "x")), paint.style(Role::Bad)),
        State::Cancelled => Line::styled("cancelled", paint.style(Role::Warn)),
        State::Interrupted => Line::styled("interrupted", paint.style(Role::Warn)),
        State::Running | State::Paused => {
            let part = (view.total > 0).then(|| view.done as f64 / view.total as f64);
            let mut spans = Vec::new();
            if columns >= 70 {
                let step = fit(&clean(&view.step), 30).into_owned();
                spans.push(Span::styled(format!("{step}  "), paint.style(Role::Text)));
            }
            let bar = if columns >= 100 { 24 } else { 10 };
            spans.extend(gauge::spans(part, bar, paint.unicode, paint.style(Role::Accent), paint.style(Role::Faint)));
            let percent = part.map_or_else(String::new, |p| format!(" {:.0} %", (p * 100.0).floor()));
            spans.push(Span::styled(percent, paint.style(Role::Number)));
            if let Some(eta) = view.eta.filter(|_| columns >= 60) {
                spans.push(Span::styled(format!("  ~{}", duration(eta)), dim));
            }
            Line::from(spans)
        }
    }
}

/// With what is drawn.
#[derive(Clone, Copy)]
struct Paint<'a> {
    theme: &'a Theme,
    unicode: bool,
}

impl Paint<'_> {
    fn glyph(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    fn style(self, role: Role) -> Style {
        self.theme.style(role)
    }

    /// A calm line in the middle.
    fn say(self, area: Rect, buf: &mut Buffer, words: &str) {
        if area.height == 0 {
            return;
        }
        let x = area.x + area.width.saturating_sub(width(words) as u16) / 2;
        buf.set_stringn(x, area.y + area.height / 2, words, usize::from(area.width), self.style(Role::Dim));
    }

    /// A rule across with a title and something at its right.
    fn rule(self, area: Rect, buf: &mut Buffer, title: &str, right: &Line) {
        let faint = self.style(Role::Border);
        buf.set_string(area.x, area.y, self.glyph("─", "-").repeat(usize::from(area.width)), faint);
        let wanted = right.width() as u16 + 5;
        let used = if right.width() > 0 && wanted + 12 <= area.width { wanted } else { 0 };
        let room = usize::from(area.width.saturating_sub(used + 5));
        let title = format!(" {} ", fit_middle(&clean(title), room));
        buf.set_stringn(area.x + 2, area.y, title, room + 2, self.style(Role::Title));
        if used > 0 {
            let x = area.right() - used + 1;
            buf.set_string(x, area.y, " ", faint);
            buf.set_line(x + 1, area.y, right, used);
            buf.set_string(x + used - 4, area.y, " ", faint);
        }
    }
}
