//! All versions below a prefix: current, old, deleted ones; looked at, restored, undeleted.

use super::act::{Act, What};
use super::object::{ask_restore, warning};
use super::{CONTEXTS, bars, copy, may_write, stamp, toggle_read_only};
use crate::action::Action;
use crate::entry::Version;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::preview::Probe;
use crate::screen::popup::moved;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::store::{Fact, Told};
use crate::task::{Feed, Pending, poll_slot};
use crate::text;
use crate::theme::Role;
use futures::stream::BoxStream;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

/// More are not read: a prefix with more is looked at by parts.
/// That many take about 25 MB.
const MOST: usize = 50_000;

/// Which versions are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    All,
    /// Versions of objects that are deleted.
    Deleted,
    /// Old versions of objects that stand.
    Old,
}

impl Shown {
    fn next(self) -> Self {
        match self {
            Self::All => Self::Deleted,
            Self::Deleted => Self::Old,
            Self::Old => Self::All,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::All => "all versions",
            Self::Deleted => "deleted objects",
            Self::Old => "old versions",
        }
    }
}

/// The screen.
pub(in crate::screens) struct Versions {
    base: Location,
    feed: Option<Feed<Vec<Version>>>,
    all: Vec<Version>,
    /// Index into `all` of the current version of the same key, for each.
    current: Vec<u32>,
    /// Indices into `all`.
    rows: Vec<u32>,
    shown: Shown,
    error: Option<Error>,
    /// There are more than were read.
    more: bool,
    stale: bool,
    at: usize,
    top: usize,
    height: usize,
    versioning: Option<Fact<Told>>,
    asked: Option<Pending<Fact<Told>>>,
    act: Act,
}

fn pages(base: &Location, cx: &Cx) -> BoxStream<'static, Result<Vec<Version>>> {
    cx.stores.versions(base, true)
}

impl Versions {
    /// Versions of all objects below `base`.
    pub(in crate::screens) fn open(base: &Location, cx: &mut Cx) -> Self {
        let base = if base.is_account() { base.clone() } else { base.as_container() };
        cx.last_command = Some(vec!["stat".to_owned(), "--versions".to_owned(), base.to_string()]);
        let (stores, at) = (cx.stores.clone(), base.clone());
        let asked =
            Pending::spawn(&cx.waker, async move { Ok(stores.open(&at, stores.meter()).await?.versioning().await) });
        Self {
            feed: Some(Feed::spawn(&cx.waker, pages(&base, cx))),
            base,
            all: Vec::new(),
            current: Vec::new(),
            rows: Vec::new(),
            shown: Shown::All,
            error: None,
            more: false,
            stale: false,
            at: 0,
            top: 0,
            height: 20,
            versioning: None,
            asked: Some(asked),
            act: Act::default(),
        }
    }

    fn reload(&mut self, cx: &Cx) {
        self.feed = Some(Feed::spawn(&cx.waker, pages(&self.base, cx)));
        (self.stale, self.error, self.more) = (true, None, false);
    }

    /// Takes a page; its keys come in order, the newest version of each first.
    fn take(&mut self, page: Vec<Version>) {
        if std::mem::take(&mut self.stale) {
            self.all.clear();
            self.current.clear();
            self.rows.clear();
        }
        for version in page {
            let at = self.all.len() as u32;
            let same = self.all.last().is_some_and(|v| v.location.key() == version.location.key());
            let current = if same { self.current.last().copied().unwrap_or(at) } else { at };
            self.all.push(version);
            self.current.push(current);
            if self.is_shown(at) {
                self.rows.push(at);
            }
        }
        self.at = self.at.min(self.rows.len().saturating_sub(1));
    }

    fn is_shown(&self, at: u32) -> bool {
        let Some((version, current)) = self.all.get(at as usize).zip(self.current_of(at)) else { return false };
        match self.shown {
            Shown::All => true,
            Shown::Deleted => current.deleted,
            Shown::Old => !current.deleted && !version.current && !version.deleted,
        }
    }

    fn current_of(&self, at: u32) -> Option<&Version> {
        self.all.get(*self.current.get(at as usize)? as usize)
    }

    fn show_next(&mut self) {
        let was = self.rows.get(self.at).copied();
        self.shown = self.shown.next();
        self.rows = (0..self.all.len() as u32).filter(|at| self.is_shown(*at)).collect();
        let near = was.and_then(|was| self.rows.iter().position(|at| *at >= was));
        self.at = near.unwrap_or(self.rows.len().saturating_sub(1));
    }

    fn chosen(&self) -> Option<&Version> {
        self.all.get(*self.rows.get(self.at)? as usize)
    }

    fn step(&mut self, action: Action) -> bool {
        let page = self.height.max(2) - 1;
        let to = moved(self.at, action, self.rows.len(), page, page / 2);
        self.at = to.unwrap_or(self.at);
        to.is_some()
    }

    fn look(&self, cx: &mut Cx) -> Flow {
        match self.chosen() {
            Some(v) if v.deleted => cx.toast("a mark of deletion holds no bytes: look at an older version"),
            Some(v) => {
                let probe = Probe { size: v.size, etag: v.etag.clone(), ..Probe::new(v.location.clone()) };
                return Flow::Open(crate::screens::open_thing(probe));
            }
            None => {}
        }
        Flow::Done
    }

    fn restore(&mut self, cx: &mut Cx) {
        let Some(version) = self.chosen().cloned() else { return };
        let current = self.rows.get(self.at).and_then(|at| self.current_of(*at));
        let seen = current.filter(|v| v.current).map(|v| v.id.clone());
        let warning = warning(self.versioning.as_ref(), &self.all, &version);
        ask_restore(&mut self.act, version, seen, warning, cx);
    }

    fn undelete(&mut self, cx: &mut Cx) {
        let deleted = self.rows.get(self.at).and_then(|at| self.current_of(*at)).filter(|v| v.deleted);
        let Some(at) = deleted.map(|v| v.location.with_version(None)) else {
            cx.toast("it is not deleted");
            return;
        };
        if may_write(&at, cx) {
            self.act.ask(What::Undelete { at });
        }
    }

    fn draw_nothing(&self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let lines = if let Some(err) = &self.error {
            let mut lines = vec![Line::raw(""), Line::styled(err.to_string(), theme.style(Role::Bad))];
            lines.extend(err.hint().map(|hint| Line::raw(hint.to_owned())));
            lines
        } else if self.feed.is_some() {
            vec![Line::raw(""), Line::styled("listing versions…", theme.style(Role::Dim))]
        } else {
            let words = match self.shown {
                Shown::All => "nothing here, and nothing was",
                Shown::Deleted => "no deleted objects",
                Shown::Old => "no old versions of objects that stand",
            };
            vec![Line::raw(""), Line::styled(words, theme.style(Role::Dim))]
        };
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
    }

    /// State, name, size, time, id, as wide as there is room. A name stands once, above its versions.
    fn line<'a>(&self, row: usize, width: usize, is_at: bool, cx: &Cx) -> Line<'a> {
        let Some(version) = self.rows.get(row).and_then(|at| self.all.get(*at as usize)) else { return Line::raw("") };
        let theme = &cx.theme;
        let plain = |role: Role| if is_at { Style::default() } else { Style { bg: None, ..theme.style(role) } };
        let (word, role) = match (version.deleted, version.current) {
            (true, _) => ("deleted", Role::Bad),
            (false, true) => ("current", Role::Good),
            (false, false) => ("old", Role::Dim),
        };
        let size = version.size.map(text::bytes).unwrap_or_default();
        let time = stamp(version.modified);
        let time = if width >= 46 { format!("  {}", time.get(..16).unwrap_or(&time)) } else { String::new() };
        let id = text::fit(&text::clean(&version.id), 12).into_owned();
        let id = if width >= 76 { format!("  {id:<12}") } else { String::new() };
        let before = row.checked_sub(1).and_then(|r| self.rows.get(r)).and_then(|at| self.all.get(*at as usize));
        let again = row > self.top && before.is_some_and(|b| b.location.key() == version.location.key());
        let key = version.location.key();
        let name = key.strip_prefix(self.base.key()).filter(|n| !n.is_empty()).unwrap_or(key);
        let name =
            if again && !is_at { if cx.unicode { "  ⋮".into() } else { "  :".into() } } else { text::clean(name) };
        let tail = 10 + time.len() + id.len();
        let room = width.saturating_sub(tail + 10);
        let name = text::fit_middle(&name, room).into_owned();
        let pad = " ".repeat((room + 1).saturating_sub(text::width(&name)));
        let name_role = if again { Role::Faint } else { Role::Text };
        Line::from(vec![
            Span::styled(format!("{word:<8} "), plain(role)),
            Span::styled(name, plain(name_role)),
            Span::raw(pad),
            Span::styled(format!("{size:>10}"), plain(Role::Number)),
            Span::styled(time, plain(Role::Dim)),
            Span::styled(id, plain(Role::Faint)),
        ])
    }
}

impl Screen for Versions {
    fn contexts(&self) -> &'static [&'static str] {
        if self.act.is_asking() { &["confirm"] } else { CONTEXTS }
    }

    fn title(&self) -> String {
        format!("versions of {}", self.base.name())
    }

    fn here(&self) -> Option<Location> {
        Some(self.base.clone())
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.feed.is_some() || self.act.is_working()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.act.is_asking() {
            self.act.update(action, cx);
            return Flow::Done;
        }
        if self.step(action) {
            return Flow::Done;
        }
        match action {
            Action::Back | Action::Leave | Action::Left | Action::Versions => return Flow::Close,
            Action::Enter | Action::Right => return self.look(cx),
            Action::Refresh => self.reload(cx),
            Action::ViewNext => self.show_next(),
            Action::ReadOnly => toggle_read_only(&self.base, cx),
            Action::Restore => self.restore(cx),
            Action::Undelete => self.undelete(cx),
            Action::Facts | Action::EditFacts => {
                if let Some(version) = self.chosen() {
                    let whole = version.deleted || version.current;
                    let at = if whole { version.location.with_version(None) } else { version.location.clone() };
                    return Flow::Open(Open::Facts(at));
                }
            }
            Action::Yank => {
                if let Some(address) = self.chosen().map(|v| v.location.to_string()) {
                    copy(&address, cx);
                }
            }
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        while let Some(page) = self.feed.as_mut().and_then(Feed::take) {
            match page {
                Ok(page) => self.take(page),
                Err(err) => self.error = Some(err),
            }
            if self.all.len() >= MOST {
                self.more = true;
                self.feed = None;
            }
        }
        if self.feed.as_ref().is_some_and(Feed::is_done) {
            self.feed = None;
            if std::mem::take(&mut self.stale) {
                self.take(Vec::new());
                self.all.clear();
                self.rows.clear();
                self.current.clear();
            }
        }
        if let Some(Ok(fact)) = poll_slot(&mut self.asked) {
            self.versioning = Some(fact);
        }
        if self.act.poll(cx) {
            self.reload(cx);
        }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let more = if self.feed.is_some() { "…" } else { "" };
        let first = if self.more { "of the first " } else { "" };
        let note = format!("{}  {first}{}{more}", self.shown.words(), text::count(self.rows.len() as u64));
        let hints = [
            (Action::Enter, "look"),
            (Action::Restore, "restore"),
            (Action::Undelete, "undelete"),
            (Action::ViewNext, self.shown.next().words()),
            (Action::Facts, "facts"),
            (Action::ReadOnly, if super::is_writable(&self.base, cx) { "forbid writing" } else { "allow writing" }),
            (Action::Help, "all keys"),
        ];
        let body = bars(&format!("versions of {}", self.base), &self.base, &note, &hints, frame, area, cx);
        let errors = if self.error.is_some() && !self.rows.is_empty() { 2 } else { 0 };
        let [body, below] = Layout::vertical([Constraint::Min(1), Constraint::Length(errors)]).areas(body);
        self.height = usize::from(body.height);
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(self.height));
        for line in 0..body.height {
            let row = self.top + usize::from(line);
            if row >= self.rows.len() {
                break;
            }
            let is_at = row == self.at;
            let style = if is_at { cx.theme.style(Role::Cursor) } else { Style::default() };
            let at = Rect { y: body.y + line, height: 1, ..body };
            frame.render_widget(Paragraph::new(self.line(row, usize::from(body.width), is_at, cx)).style(style), at);
        }
        if self.rows.is_empty() {
            self.draw_nothing(frame, body, cx);
        } else if let Some(err) = &self.error {
            let text = format!("the list is not complete: {err}");
            frame.render_widget(Paragraph::new(text).style(cx.theme.style(Role::Bad)).wrap(Wrap { trim: true }), below);
        }
        self.act.draw(frame, area, cx);
    }
}
