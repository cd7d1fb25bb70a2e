//! Jobs: the queue and what has ended above, and below how the one under the cursor goes.
//!
//! ```text
//! ── jobs ─────────────────────────────── 1 running · 1 waits · 7 ended ──
//!  ▶ running     ↑ glodap.csv.zip         ██████▌····  62 %  84.0 MiB/s ~12 s
//!  ✓ done        ⟳ stations.csv           1,204,331 rows, 41 s
//! ── upload glodap.csv.zip ──────────────── bytes  requests  latency  log ──
//!  100 MiB/s ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈   done      131.4 of 212.0 MiB
//!   50 MiB/s ┈┈⣀⣴⣿⣿⣿⣿⣷⣶⣶⣾⣿⣿⣿⣿⣿⣿⣷   to go     ~12 s ± 3 s
//!          0 ⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿   requests  42
//! ── log ────────────────────────────────────────────────────────────────
//!     +12 s  part 16 of 32
//! ```

mod detail;
mod list;
mod strip;
mod words;

pub use strip::strip;

use crate::action::Action;
use crate::job::{JobId, JobView};
use crate::screen::{Cx, Flow, Open, Screen};
use crate::text;
use crate::theme::{Role, Theme};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Spans of time that the chart can show, in seconds.
const SPANS: [f64; 8] = [10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0];

/// What stands below the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Show {
    Bytes,
    Requests,
    Latency,
    Log,
}

impl Show {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Bytes, "bytes"), (Self::Requests, "requests"), (Self::Latency, "latency"), (Self::Log, "log")];

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|(s, _)| *s == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()].0
    }
}

/// Rates over time of one job, made once when they change.
#[derive(Clone, Debug, Default)]
struct Rates {
    bytes: Vec<(f64, f64)>,
    requests: Vec<(f64, f64)>,
    /// Seconds covered.
    end: f64,
}

impl Rates {
    fn of(view: &JobView) -> Self {
        let start = view.throughput.samples().next().map_or(0.0, |s| s.t);
        let end = view.throughput.samples().next_back().map_or(0.0, |s| s.t);
        // A rate holds from the sample before it, so the first one begins at the start.
        let from_start = |mut rates: Vec<(f64, f64)>| {
            if let Some(first) = rates.first().copied() {
                rates.insert(0, (start, first.1));
            }
            rates
        };
        Self {
            bytes: from_start(view.throughput.byte_rates()),
            requests: from_start(view.throughput.request_rates()),
            end,
        }
    }
}

/// The screen of jobs.
pub struct JobsScreen {
    views: Vec<JobView>,
    /// The job under the cursor, by its id: the list moves below it.
    at: Option<JobId>,
    /// Ended jobs that were looked for at the start only.
    wanted: Option<JobId>,
    rates: Rates,
    frozen: bool,
    /// The last so many seconds; `None` for all.
    span: Option<f64>,
    show: Show,
    /// Lines from the log's end.
    log_back: usize,
    /// First line of the list that is shown.
    top: usize,
    page: usize,
}

impl JobsScreen {
    /// With the cursor on a job, else on the newest.
    pub fn new(at: Option<JobId>, cx: &Cx) -> Self {
        let mut screen = Self {
            views: Vec::new(),
            at: None,
            wanted: at,
            rates: Rates::default(),
            frozen: false,
            span: None,
            show: Show::Bytes,
            log_back: 0,
            top: 0,
            page: 1,
        };
        screen.take(cx.jobs.views());
        screen
    }

    /// Takes a new snapshot of all jobs: those that are active first, then the newest.
    pub fn take(&mut self, mut views: Vec<JobView>) {
        views.sort_by_key(|v| !v.state.is_active());
        self.views = views;
        if let Some(wanted) = self.wanted.take_if(|id| self.views.iter().any(|v| v.id == *id)) {
            self.at = Some(wanted);
        }
        if self.index().is_none() {
            self.at = self.views.first().map(|v| v.id.clone());
            self.frozen = false;
        }
        self.measure();
    }

    fn measure(&mut self) {
        if !self.frozen {
            self.rates = self.current().map(Rates::of).unwrap_or_default();
        }
    }

    fn index(&self) -> Option<usize> {
        let id = self.at.as_ref()?;
        self.views.iter().position(|v| v.id == *id)
    }

    fn current(&self) -> Option<&JobView> {
        self.views.get(self.index()?)
    }

    fn go(&mut self, to: isize) {
        let last = self.views.len().saturating_sub(1) as isize;
        if let Some(view) = self.views.get(to.clamp(0, last.max(0)) as usize)
            && self.at.as_deref() != Some(view.id.as_str())
        {
            self.at = Some(view.id.clone());
            self.frozen = false;
            self.log_back = 0;
            self.measure();
        }
    }

    fn step(&mut self, by: isize) {
        self.go(self.index().map_or(0, |i| i as isize + by));
    }

    fn scroll(&mut self, by: isize) {
        if self.show == Show::Log {
            let most = self.current().map_or(0, |v| v.log.len());
            self.log_back = self.log_back.saturating_add_signed(-by).min(most.saturating_sub(1));
        } else {
            self.step(by);
        }
    }

    fn zoom(&mut self, closer: bool) {
        let now = self.span.unwrap_or(self.rates.end);
        self.span = if closer {
            SPANS.into_iter().rev().find(|s| *s < now).or(self.span)
        } else {
            self.span.and_then(|_| SPANS.into_iter().find(|s| *s > now && *s < self.rates.end))
        };
    }

    fn cancel(&mut self, cx: &mut Cx) {
        let Some(view) = self.current() else { return };
        if view.state.is_active() {
            cx.jobs.cancel(&view.id);
            let again = cx.keymap.label(self.contexts(), Action::Retry);
            cx.toast(format!("{} is told to stop; {again} starts it again", text::clean(&view.title)));
        } else {
            cx.toast("this job has ended already");
        }
    }

    fn retry(&mut self, cx: &mut Cx) {
        let Some(view) = self.current() else { return };
        if view.state.is_active() {
            cx.toast("this job runs already");
            return;
        }
        cx.last_command = Some(view.command.clone());
        match cx.resume(&view.id) {
            Ok(id) => {
                cx.toast(format!("{} runs again", text::clean(&view.title)));
                self.wanted = Some(id);
                self.take(cx.jobs.views());
            }
            Err(err) => cx.fail(&err),
        }
    }

    fn open(&self) -> Flow {
        match self.current() {
            Some(view) if view.kind == "bench" => Flow::Open(Open::BenchDashboard(view.id.clone())),
            Some(view) => {
                Flow::Open(Open::Message { title: text::clean(&view.title).into_owned(), lines: words::all(view) })
            }
            None => Flow::Done,
        }
    }
}

impl Screen for JobsScreen {
    fn contexts(&self) -> &'static [&'static str] {
        &["jobs", "list", "global"]
    }

    fn title(&self) -> String {
        "jobs".to_owned()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let page = self.page as isize;
        match action {
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp => self.scroll(-page),
            Action::PageDown => self.scroll(page),
            Action::HalfUp => self.scroll(-(page / 2).max(1)),
            Action::HalfDown => self.scroll((page / 2).max(1)),
            Action::Top => self.go(0),
            Action::Bottom => self.go(isize::MAX),
            Action::Enter | Action::Right => return self.open(),
            Action::ViewNext | Action::NextPane => {
                self.show = self.show.next();
                self.log_back = 0;
            }
            Action::ZoomIn => self.zoom(true),
            Action::ZoomOut => self.zoom(false),
            Action::ZoomAll => self.span = None,
            Action::Freeze => {
                self.frozen = !self.frozen;
                self.measure();
            }
            Action::Cancel => self.cancel(cx),
            Action::Retry => self.retry(cx),
            Action::Command => {
                if let Some(view) = self.current() {
                    cx.last_command = Some(view.command.clone());
                }
                return Flow::Ignored;
            }
            Action::Refresh => {
                cx.jobs.refresh();
                self.take(cx.jobs.views());
            }
            Action::Back | Action::Left | Action::Close | Action::Jobs => return Flow::Close,
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        self.take(cx.jobs.views());
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.views.iter().any(|v| v.state.is_active())
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let buf = frame.buffer_mut();
        let paint = Paint { theme: &cx.theme, unicode: cx.unicode };
        if self.views.is_empty() {
            paint.nothing(area, buf, cx);
            return;
        }
        let most = if area.height < 16 { 2 } else { (area.height / 3).max(4) };
        let rows = (self.views.len() as u16).clamp(1, most).min(area.height.saturating_sub(1));
        let list = Rect { height: (rows + 1).min(area.height), ..area };
        self.draw_list(list, buf, paint);
        let rest = Rect { y: list.bottom(), height: area.height - list.height, ..area };
        if rest.height >= 2 {
            self.draw_detail(rest, buf, paint, cx);
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

    fn style(self, role: Role) -> ratatui::style::Style {
        self.theme.style(role)
    }

    /// A rule across with a title and something at its right; returns where the right part began.
    fn rule(self, area: Rect, buf: &mut Buffer, title: &str, right: &ratatui::text::Line) {
        let faint = self.style(Role::Border);
        buf.set_string(area.x, area.y, self.glyph("─", "-").repeat(usize::from(area.width)), faint);
        let wanted = right.width() as u16 + 5;
        let used = if right.width() > 0 && wanted + 16 <= area.width { wanted } else { 0 };
        let room = usize::from(area.width.saturating_sub(used + 5));
        let title = format!(" {} ", text::fit_middle(&text::clean(title), room));
        if area.width > 6 {
            buf.set_stringn(area.x + 2, area.y, title, room + 2, self.style(Role::Title));
        }
        if used > 0 {
            let x = area.right() - used + 1;
            buf.set_string(x, area.y, " ", faint);
            buf.set_line(x + 1, area.y, right, used);
            buf.set_string(x + used - 4, area.y, " ", faint);
        }
    }

    fn nothing(self, area: Rect, buf: &mut Buffer, cx: &Cx) {
        let key = |action| cx.keymap.label(&["browse", "list", "global"], action);
        let lines = [
            "No jobs yet.".to_owned(),
            String::new(),
            format!("{}  uploads to the place you look at", key(Action::Upload)),
            format!("{}  converts what is under the cursor", key(Action::Convert)),
            format!("{}  benchmarks formats and storages", key(Action::Benchmark)),
        ];
        let wide = lines.iter().map(|l| text::width(l)).max().unwrap_or(0) as u16;
        let x = area.x + area.width.saturating_sub(wide) / 2;
        let y = area.y + area.height.saturating_sub(lines.len() as u16) / 2;
        for (i, line) in lines.iter().enumerate().take(usize::from(area.height)) {
            let role = if i == 0 { Role::Text } else { Role::Dim };
            let row = (y + i as u16).min(area.bottom().saturating_sub(1));
            buf.set_stringn(x, row, line, usize::from(area.width), self.style(role));
        }
    }
}
