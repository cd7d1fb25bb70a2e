//! Jobs: the queue and what has ended above, and below how the one under the cursor goes.
//!
//! ```text
//! ── jobs ─────────────────────────────── 1 running · 1 waiting · 7 ended ──
//!  ▶ running     ↑ glodap.csv.zip         ██████▌····  62 %  84.0 MiB/s  10–15 s
//!  ○ waits       ⟳ stations.csv           next
//!  ┈ 7 earlier ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈
//! ── upload glodap.csv.zip ──────────────── ‹bytes› requests  latency  log ──
//!  ▶ part 16 of 32
//!  100 MiB/s ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈   done      131.4 of 212.0 MiB
//!   50 MiB/s ┈┈⣀⣴⣿⣿⣿⣿⣷⣶⣶⣾⣿⣿⣿⣿⣿⣿⣷   eta       10–15 s
//!          0 ⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿⣿   requests  42
//! ── log ──────────────────────────────────────────────────────────────────
//!     +12 s  part 16 of 32
//!  p pause  x cancel  + - zoom  f hold  m view  / filter
//! ```

mod act;
mod detail;
mod facts;
mod list;
mod order;
mod paint;
mod picture;
mod report;
mod strip;
mod words;

pub use strip::strip;
pub(super) use words::percent;

use crate::action::Action;
use crate::job::{JobId, JobView, State};
use crate::meter::Sample;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::screens::popup;
use crate::task::{Pending, Question, poll_slot};
use crate::widgets::input::{Edit, Input};
use paint::Paint;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

const CONTEXTS: &[&str] = &["jobs", "list", "global"];

/// Spans of time that the charts can show, in seconds.
const SPANS: [f64; 9] = [10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0];

/// Over so long the charts take a rate, in seconds.
const SECOND: f64 = 1.0;

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

/// What changes with time of one job, made once when it changes.
#[derive(Clone, Debug, Default)]
struct Rates {
    bytes: Vec<(f64, f64)>,
    sent: Vec<(f64, f64)>,
    received: Vec<(f64, f64)>,
    requests: Vec<(f64, f64)>,
    p50: Vec<(f64, f64)>,
    p99: Vec<(f64, f64)>,
    /// Seconds covered.
    end: f64,
}

impl Rates {
    fn of(view: &JobView) -> Self {
        let end = view.throughput.samples().next_back().map_or(0.0, |s| s.t);
        let samples: Vec<Sample> = view.throughput.samples().copied().collect();
        let rates = |of: fn(&Sample) -> u64| smooth(&samples, of);
        let latency = |i: usize| view.latencies.points().map(|(t, all)| (*t, all[i] as f64)).collect();
        Self {
            bytes: rates(|s| s.bytes),
            sent: rates(|s| s.sent),
            received: rates(|s| s.bytes.saturating_sub(s.sent)),
            requests: rates(|s| s.requests),
            p50: latency(0),
            p99: latency(2),
            end,
        }
    }
}

/// The rate of the last second at each sample: what is counted a part at a time is no comb then.
fn smooth(samples: &[Sample], of: fn(&Sample) -> u64) -> Vec<(f64, f64)> {
    let mut from = 0;
    let mut rates: Vec<(f64, f64)> = Vec::with_capacity(samples.len());
    for (i, now) in samples.iter().enumerate().skip(1) {
        while from + 1 < i && samples[from + 1].t <= now.t - SECOND {
            from += 1;
        }
        let before = &samples[from];
        rates.push((now.t, of(now).saturating_sub(of(before)) as f64 / (now.t - before.t).max(1e-9)));
    }
    // A rate holds from the sample before it, so the first one begins at the start.
    if let (Some(start), Some(first)) = (samples.first(), rates.first().copied()) {
        rates.insert(0, (start.t, first.1));
    }
    rates
}

/// The screen of jobs.
pub struct JobsScreen {
    /// As the engine gave them: first those that the filter lets through, in the order of the list.
    all: Vec<JobView>,
    /// So many of them are listed.
    listed: usize,
    /// The job under the cursor, by its id: the list moves below it.
    at: Option<JobId>,
    /// A job that is to come under the cursor once it is there.
    wanted: Option<JobId>,
    filter: String,
    typing: Option<Input>,
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
    /// Whether there is room for more than what is needed.
    is_tall: bool,
    /// The question that was shown last; put off, it does not come again by itself.
    shown: Option<(JobId, Question)>,
    export: Option<Pending<String>>,
    giving_up: Option<Pending<()>>,
    /// What waits for its key to be pressed again, because it needs a place to be unlocked.
    unlocking: Option<act::Unlocking>,
    /// Keys, for sentences.
    retry: String,
    pause: String,
}

impl JobsScreen {
    /// With the cursor on a job, else on the first.
    pub fn new(at: Option<JobId>, cx: &Cx) -> Self {
        let mut screen = Self {
            all: Vec::new(),
            listed: 0,
            at: None,
            wanted: at,
            filter: String::new(),
            typing: None,
            rates: Rates::default(),
            frozen: false,
            span: None,
            show: Show::Bytes,
            log_back: 0,
            top: 0,
            page: 1,
            is_tall: false,
            shown: None,
            export: None,
            giving_up: None,
            unlocking: None,
            retry: cx.keymap.label(CONTEXTS, Action::Retry),
            pause: cx.keymap.label(CONTEXTS, Action::Pause),
        };
        screen.take(cx.jobs.views());
        screen
    }

    /// Takes a new snapshot of all jobs.
    pub fn take(&mut self, views: Vec<JobView>) {
        self.all = views;
        self.arrange();
    }

    /// The jobs that are listed.
    fn views(&self) -> &[JobView] {
        &self.all[..self.listed]
    }

    fn arrange(&mut self) {
        self.listed = order::arrange(&mut self.all, &self.filter);
        if let Some(wanted) = self.wanted.take_if(|id| self.all[..self.listed].iter().any(|v| v.id == *id)) {
            self.at = Some(wanted);
        }
        if self.index().is_none() {
            self.at = self.views().first().map(|v| v.id.clone());
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
        self.views().iter().position(|v| v.id == *id)
    }

    fn current(&self) -> Option<&JobView> {
        self.views().get(self.index()?)
    }

    fn go(&mut self, to: isize) {
        let last = self.views().len().saturating_sub(1) as isize;
        if let Some(view) = self.views().get(to.clamp(0, last.max(0)) as usize)
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

    /// Ends typing, or the filter; whether there was something to end.
    fn peel(&mut self) -> bool {
        let was = self.typing.take().is_some() || !self.filter.is_empty();
        if was {
            self.filter.clear();
            self.arrange();
        }
        was
    }

    /// What can be done now, in the last line.
    fn draw_foot(&self, area: Rect, buf: &mut ratatui::buffer::Buffer, cx: &Cx) {
        if let Some(input) = &self.typing {
            let line = popup::input_line(input, area.width, " /", cx);
            buf.set_line(area.x, area.y, &line, area.width);
            return;
        }
        let key = |action| cx.keymap.label(CONTEXTS, action);
        let both = |a, b| format!("{} {}", key(a), key(b)).trim().to_owned();
        let mut pairs: Vec<(String, &str)> = Vec::new();
        match self.current().map(|v| (&v.state, v.question.is_some())) {
            Some((_, true)) => pairs.push((key(Action::Enter), "answer")),
            Some((State::Running, _)) => pairs.push((key(Action::Pause), "pause")),
            Some((State::Paused, _)) => pairs.push((key(Action::Pause), "go on")),
            Some((State::Queued, _)) => {
                pairs.push((both(Action::Sooner, Action::Later), "sooner, later"));
                pairs.push((key(Action::Pause), "pause"));
            }
            Some((State::Interrupted, _)) => {
                pairs.push((key(Action::Retry), "resume"));
                pairs.push((key(Action::ResumeAll), "resume all"));
                pairs.push((key(Action::GiveUp), "give up"));
            }
            Some((State::Failed(_) | State::Cancelled, _)) => pairs.push((key(Action::Retry), "try again")),
            Some((State::Done, _)) => pairs.push((key(Action::Retry), "do it again")),
            None => pairs.push((key(Action::Back), "show all")),
        }
        if self.current().is_some_and(|v| v.state.is_active()) {
            pairs.push((key(Action::Cancel), "cancel"));
        }
        if self.current().is_some() {
            pairs.push((key(Action::Enter), "details"));
            pairs.push((key(Action::ViewNext), "view"));
            pairs.push((both(Action::ZoomIn, Action::ZoomOut), "zoom"));
            pairs.push((key(Action::ZoomAll), "all"));
            pairs.push((key(Action::Freeze), if self.frozen { "let run" } else { "hold" }));
            pairs.push((key(Action::Filter), "filter"));
            pairs.push((key(Action::Export), "save"));
        }
        if pairs.iter().filter(|(_, word)| *word == "answer" || *word == "details").count() == 2 {
            pairs.retain(|(_, word)| *word != "details");
        }
        let line = popup::hints(&pairs, area.width.saturating_sub(1), cx);
        buf.set_line(area.x + 1, area.y, &line, area.width.saturating_sub(1));
    }
}

impl Screen for JobsScreen {
    fn contexts(&self) -> &'static [&'static str] {
        if self.typing.is_some() { &["prompt"] } else { CONTEXTS }
    }

    fn title(&self) -> String {
        "jobs".to_owned()
    }

    fn wants_text(&self) -> bool {
        self.typing.is_some()
    }

    fn edit(&mut self, edit: &Edit, _cx: &mut Cx) -> Flow {
        let Some(input) = &mut self.typing else { return Flow::Ignored };
        if input.apply(edit) {
            input.text().clone_into(&mut self.filter);
            self.arrange();
        }
        Flow::Done
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        let page = self.page as isize;
        let unlocking = self.unlocking.take();
        match action {
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp => self.scroll(-page),
            Action::PageDown => self.scroll(page),
            Action::HalfUp => self.scroll(-(page / 2).max(1)),
            Action::HalfDown => self.scroll((page / 2).max(1)),
            Action::Top => self.go(0),
            Action::Bottom => self.go(isize::MAX),
            Action::Enter if self.typing.is_some() => self.typing = None,
            Action::Enter | Action::Right => return self.open(cx),
            Action::Filter => self.typing = Some(Input::new(self.filter.clone())),
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
            Action::Pause => self.pause(cx),
            Action::Sooner => self.reorder(-1, cx),
            Action::Later => self.reorder(1, cx),
            Action::Cancel => self.cancel(cx),
            Action::Retry => self.retry(unlocking.as_ref(), cx),
            Action::ResumeAll => self.resume_all(unlocking.as_ref(), cx),
            Action::GiveUp => self.give_up(cx),
            Action::Export => self.export(cx),
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
            Action::Back if self.peel() => {}
            Action::Back | Action::Left | Action::Close | Action::Jobs => return Flow::Close,
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        self.take(cx.jobs.views());
        if let Some(Err(err)) = poll_slot(&mut self.giving_up) {
            cx.fail(&err);
        }
        match poll_slot(&mut self.export) {
            Some(Ok(file)) => cx.toast(format!("saved {file}")),
            Some(Err(err)) => cx.fail(&err),
            None => {}
        }
    }

    /// A question that was not shown yet opens by itself, but not under what is being typed.
    fn take_open(&mut self) -> Option<Open> {
        if self.typing.is_some() {
            return None;
        }
        let asks = |v: &&JobView| match (&v.question, &self.shown) {
            (Some(now), Some((id, then))) => *id != v.id || now != then,
            (now, _) => now.is_some(),
        };
        let (id, question) = self.all.iter().rev().find(asks).map(|v| (v.id.clone(), v.question.clone()))?;
        self.shown = question.map(|question| (id.clone(), question));
        self.wanted = Some(id.clone());
        Some(Open::Question { job: Some(id), by_itself: true })
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.all.iter().any(|v| v.state.is_active())
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let buf = frame.buffer_mut();
        let paint = Paint { theme: &cx.theme, unicode: cx.unicode };
        if self.all.is_empty() {
            paint.nothing(area, buf, cx);
            return;
        }
        self.is_tall = area.height >= 30;
        let foot = u16::from(area.height >= 16 || (self.typing.is_some() && area.height > 2));
        let area = Rect { height: area.height - foot, ..area };
        let most = if area.height < 16 { 2 } else { (area.height / 3).max(4) };
        let rows = (self.list_lines() as u16).clamp(1, most).min(area.height.saturating_sub(1));
        let list = Rect { height: (rows + 1).min(area.height), ..area };
        self.draw_list(list, buf, paint);
        let rest = Rect { y: list.bottom(), height: area.height - list.height, ..area };
        if rest.height >= 2 {
            self.draw_detail(rest, buf, paint, cx);
        }
        if foot > 0 {
            self.draw_foot(Rect { y: area.bottom(), height: 1, ..area }, buf, cx);
        }
    }
}

/// Nothing but a mark and a word, for places that name jobs in passing.
pub(super) fn mark<'a>(view: &JobView, cx: &Cx) -> Line<'a> {
    let (mark, ascii, word, role) = words::state(view);
    let mark = if cx.unicode { mark } else { ascii };
    Line::styled(format!("{mark} {word:<8}"), cx.theme.style(role))
}
