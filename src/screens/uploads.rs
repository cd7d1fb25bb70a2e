//! Unfinished uploads below a prefix: they are paid for, and no listing shows them.
//!
//! ```text
//!  unfinished uploads of s3://allas@bucket/                     12 uploads, 3 selected   writable
//!  ● incoming/B02.tif              2024-06-03 09:40  5 months ago    38 parts   304 MiB
//!    incoming/glodap.csv.zip       2024-06-03 09:41  5 months ago                      a job may go on
//!  Space select  Enter parts and bytes  x abort  O abort all older than …  ? all keys
//! ```

use crate::action::Action;
use crate::error::{Error, Result};
use crate::jobs::abort;
use crate::location::{Location, Scheme};
use crate::screen::popup::moved;
use crate::screen::{Cx, Doom, Flow, Open, Screen};
use crate::store::{Held, StoreHandle, Stores, Unfinished};
use crate::task::{Feed, Pending, poll_slot};
use crate::text;
use crate::theme::Role;
use crate::transfer::{AbortSpec, Claims, Orphan, is_older, parse_age};
use crate::widgets::input::{Edit, Input};
use chrono::{DateTime, Utc};
use futures::stream::{Stream, StreamExt as _};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Wrap};
use std::collections::{BTreeSet, HashMap};

/// More are not listed: whoever has so many aborts by age.
const MOST: usize = 100_000;
/// Asked for their parts by one key.
const MEASURED: usize = 500;
/// Asked for their parts at once.
const AT_ONCE: usize = 4;

/// The age that is proposed.
const AGE: &str = "7d";

/// The screen.
pub(super) struct Uploads {
    base: Location,
    all: Vec<Unfinished>,
    feed: Option<Feed<Vec<Unfinished>>>,
    error: Option<Error>,
    held: HashMap<String, Held>,
    parts: Option<Feed<(String, Held)>>,
    claims: Claims,
    loaded: Option<Pending<()>>,
    selected: BTreeSet<usize>,
    at: usize,
    top: usize,
    height: usize,
    /// An age that is being typed.
    age: Option<Input>,
}

impl Uploads {
    pub(super) fn open(base: &Location, cx: &Cx) -> Self {
        let jobs = cx.jobs.clone();
        let loaded = Pending::spawn(&cx.waker, async move {
            jobs.loaded().await;
            Ok(())
        });
        let mut screen = Self {
            base: base.clone(),
            all: Vec::new(),
            feed: None,
            error: None,
            held: HashMap::new(),
            parts: None,
            claims: abort::claims(&cx.jobs.views()),
            loaded: Some(loaded),
            selected: BTreeSet::new(),
            at: 0,
            top: 0,
            height: 0,
            age: None,
        };
        screen.reload(cx);
        screen
    }

    fn reload(&mut self, cx: &Cx) {
        self.all.clear();
        self.selected.clear();
        self.error = None;
        self.claims = abort::claims(&cx.jobs.views());
        self.feed = Some(Feed::spawn(&cx.waker, listed(cx.stores.clone(), self.base.clone())));
    }

    fn measure(&mut self, which: Vec<Orphan>, cx: &Cx) {
        let (stores, base) = (cx.stores.clone(), self.base.clone());
        let work = futures::stream::once(async move { stores.open(&base, stores.meter()).await }).flat_map(
            move |handle: Result<StoreHandle>| match handle {
                Ok(handle) => held(handle, which.clone()).left_stream(),
                Err(err) => futures::stream::iter([Err(err)]).right_stream(),
            },
        );
        self.parts = Some(Feed::spawn(&cx.waker, work));
    }

    /// Those selected, or the one under the cursor.
    fn chosen(&self) -> Vec<&Unfinished> {
        if self.selected.is_empty() {
            return self.all.get(self.at).into_iter().collect();
        }
        self.selected.iter().filter_map(|at| self.all.get(*at)).collect()
    }

    fn abort(&self, uploads: &[&Unfinished], older_than: Option<String>, cx: &mut Cx) -> Flow {
        if uploads.is_empty() {
            cx.toast("there is nothing to abort");
            return Flow::Done;
        }
        if self.base.scheme() != Scheme::Memory && !cx.is_writable(self.base.store()) {
            let key = cx.keymap.label(self.contexts(), Action::ReadOnly);
            cx.toast(format!("this place is read-only: {key} allows writing"));
            return Flow::Done;
        }
        let held = uploads.iter().filter(|upload| self.claims.holds(&upload.upload_id)).count();
        let uploads = uploads.iter().map(|upload| Orphan::from(*upload)).collect();
        Flow::Open(Open::Sure(Doom::Abort(AbortSpec { location: self.base.clone(), uploads, older_than }, held)))
    }

    /// All that are so old, but for those that a job may still go on with.
    fn abort_old(&mut self, cx: &mut Cx) -> Flow {
        let typed = self.age.take().unwrap_or_default().text().trim().to_owned();
        let age = match parse_age(&typed) {
            Ok(age) => age,
            Err(err) => {
                cx.fail(&err);
                return Flow::Done;
            }
        };
        if self.feed.is_some() {
            cx.toast("they are still being listed: in a moment");
            return Flow::Done;
        }
        let now = Utc::now();
        let free = |upload: &&Unfinished| is_older(upload, age, now) && !self.claims.holds(&upload.upload_id);
        let old: Vec<&Unfinished> = self.all.iter().filter(free).collect();
        self.abort(&old, Some(typed), cx)
    }

    fn movement(&mut self, action: Action) -> bool {
        let page = self.height.max(1);
        let to = moved(self.at, action, self.all.len(), page, page / 2);
        self.at = to.unwrap_or(self.at);
        to.is_some()
    }

    /// Mark, key, start, age, parts and bytes, as wide as there is room.
    fn line<'a>(&self, row: usize, width: usize, cx: &Cx) -> Line<'a> {
        let Some(upload) = self.all.get(row) else { return Line::raw("") };
        let (is_at, theme) = (row == self.at, &cx.theme);
        let plain = |role: Role| if is_at { Style::default() } else { Style { bg: None, ..theme.style(role) } };
        let mark = match (self.selected.contains(&row), cx.unicode) {
            (true, true) => "● ",
            (true, false) => "* ",
            (false, _) => "  ",
        };
        let started = upload.started.map_or_else(|| "-".to_owned(), |at| at.format("%Y-%m-%d %H:%M").to_string());
        let started = if width >= 60 { format!("  {started:<16}") } else { String::new() };
        let age = upload.started.map(|at| age(at, Utc::now())).unwrap_or_default();
        let claimed = self.claims.holds(&upload.upload_id);
        let held = match self.held.get(&upload.upload_id) {
            Some(held) => {
                format!("{} part{} {:>10}", held.parts, if held.parts == 1 { "" } else { "s" }, text::bytes(held.bytes))
            }
            None if claimed => "a job may go on".to_owned(),
            None => String::new(),
        };
        let role = if claimed { Role::Warn } else { Role::Number };
        let held = if width >= 76 { format!("  {held:>22}") } else { String::new() };
        let tail = text::width(&started) + 12 + held.len();
        let key = upload.key.strip_prefix(self.base.key()).filter(|key| !key.is_empty()).unwrap_or(&upload.key);
        let room = width.saturating_sub(tail + 2);
        let key = text::fit_middle(&text::clean(key), room).into_owned();
        let pad = " ".repeat(room.saturating_sub(text::width(&key)));
        Line::from(vec![
            Span::styled(mark, plain(Role::Selected)),
            Span::styled(key, plain(if self.selected.contains(&row) { Role::Selected } else { Role::Text })),
            Span::raw(pad),
            Span::styled(started, plain(Role::Dim)),
            Span::styled(format!("{age:>12}"), plain(Role::Dim)),
            Span::styled(held, plain(role)),
        ])
    }

    fn draw_nothing(&self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let mut lines = vec![Line::raw("")];
        if let Some(err) = &self.error {
            lines.push(Line::styled(err.to_string(), cx.theme.style(Role::Bad)));
            lines.extend(err.hint().map(|hint| Line::raw(hint.to_owned())));
        } else if self.feed.is_some() {
            lines.push(Line::styled("listing unfinished uploads…", cx.theme.style(Role::Dim)));
        } else {
            lines.push(Line::styled(
                "no unfinished uploads here: nothing is paid for in vain",
                cx.theme.style(Role::Good),
            ));
        }
        frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
    }

    fn header(&self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        frame.render_widget(Block::default().style(theme.style(Role::Bar)), area);
        let writable = cx.is_writable(self.base.store());
        let (word, role) = if writable { ("writable", Role::Warn) } else { ("read-only", Role::Good) };
        let more = if self.feed.is_some() { "…" } else { "" };
        let mut note = format!("{}{more}", text::count(self.all.len() as u64));
        if !self.selected.is_empty() {
            note = format!("{} of {note} selected", self.selected.len());
        }
        let right = Line::from(vec![
            Span::styled(format!("{note}   "), theme.style(Role::Dim)),
            Span::styled(format!("{word} "), theme.style(role)),
        ]);
        let width = (right.width() as u16 + 1).min(area.width);
        let left = Rect { width: area.width - width, ..area };
        let title = text::clean(&format!("unfinished uploads of {}", self.base)).into_owned();
        let title = text::fit_middle(&title, usize::from(left.width.saturating_sub(1))).into_owned();
        frame.render_widget(Paragraph::new(Span::styled(format!(" {title}"), theme.style(Role::Title))), left);
        let right_area = Rect { x: left.right(), width, ..area };
        frame.render_widget(Paragraph::new(right).alignment(Alignment::Right), right_area);
    }

    fn footer(&self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        if let Some(input) = &self.age {
            let (before, after) = input.split();
            let mark = if cx.unicode { "▏" } else { "_" };
            let line = Line::from(vec![
                Span::styled(" abort all older than ", theme.style(Role::Key)),
                Span::raw(format!("{}{mark}{}", text::clean(before), text::clean(after))),
                Span::styled("   12h, 7d, 2w; those that a job may go on with stay", theme.style(Role::Dim)),
            ]);
            frame.render_widget(Paragraph::new(line), area);
            return;
        }
        let locked = if cx.is_writable(self.base.store()) { "forbid writing" } else { "allow writing" };
        let pairs = [
            (Action::Select, "select"),
            (Action::Enter, "parts"),
            (Action::Measure, "parts of all"),
            (Action::AbortUpload, "abort"),
            (Action::AbortOld, "abort all older"),
            (Action::ReadOnly, locked),
            (Action::Help, "all keys"),
        ];
        let mut spans = vec![Span::raw(" ")];
        let mut used = 1;
        for (action, word) in pairs {
            let key = cx.keymap.label(self.contexts(), action);
            used += text::width(&key) + word.len() + 3;
            if key.is_empty() || used > usize::from(area.width) + 2 {
                continue;
            }
            spans.push(Span::styled(key, theme.style(Role::Key)));
            spans.push(Span::styled(format!(" {word}  "), theme.style(Role::Dim)));
        }
        frame.render_widget(Paragraph::new(Line::from(spans)), area);
    }
}

fn listed(stores: Stores, base: Location) -> impl Stream<Item = Result<Vec<Unfinished>>> + Send + 'static {
    futures::stream::once(async move {
        match stores.open(&base, stores.meter()).await {
            Ok(handle) => handle.unfinished(&base),
            Err(err) => futures::stream::iter([Err(err)]).boxed(),
        }
    })
    .flatten()
}

fn held(handle: StoreHandle, which: Vec<Orphan>) -> impl Stream<Item = Result<(String, Held)>> + Send + 'static {
    futures::stream::iter(which)
        .map(move |upload| {
            let handle = handle.clone();
            async move { Ok((upload.upload_id.clone(), handle.held(&upload.key, &upload.upload_id).await?)) }
        })
        .buffer_unordered(AT_ONCE)
}

/// `12 d`, `5 h`, `now`.
fn age(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let minutes = (now - at).num_minutes();
    match minutes {
        ..1 => "now".to_owned(),
        1..60 => format!("{minutes} min"),
        60..2_880 => format!("{} h", minutes / 60),
        _ => format!("{} days", minutes / 1_440),
    }
}

impl Screen for Uploads {
    fn contexts(&self) -> &'static [&'static str] {
        if self.age.is_some() { &["prompt"] } else { &["uploads", "list", "global"] }
    }

    fn title(&self) -> String {
        format!("uploads of {}", self.base.name())
    }

    fn here(&self) -> Option<Location> {
        Some(self.base.clone())
    }

    fn wants_text(&self) -> bool {
        self.age.is_some()
    }

    fn is_moving(&self, _cx: &Cx) -> bool {
        self.feed.is_some()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.age.is_some() {
            match action {
                Action::Enter => return self.abort_old(cx),
                Action::Back | Action::Close => self.age = None,
                _ => return Flow::Ignored,
            }
            return Flow::Done;
        }
        if self.movement(action) {
            return Flow::Done;
        }
        match action {
            Action::Back if !self.selected.is_empty() => self.selected.clear(),
            Action::Back | Action::Leave | Action::Left | Action::Uploads => return Flow::Close,
            Action::Refresh => self.reload(cx),
            Action::Select => {
                if self.at < self.all.len() && !self.selected.remove(&self.at) {
                    self.selected.insert(self.at);
                }
                self.movement(Action::Down);
            }
            Action::SelectAll => self.selected = (0..self.all.len()).collect(),
            Action::SelectNone => self.selected.clear(),
            Action::Enter | Action::Right => {
                let which = self.all.get(self.at).map(Orphan::from).into_iter().collect();
                self.measure(which, cx);
            }
            Action::Measure => self.measure(self.all.iter().take(MEASURED).map(Orphan::from).collect(), cx),
            Action::AbortUpload => {
                let chosen = self.chosen();
                return self.abort(&chosen, None, cx);
            }
            Action::AbortOld => self.age = Some(Input::new(AGE)),
            Action::Yank => {
                if let Some(upload) = self.all.get(self.at) {
                    cx.clipboard = Some(upload.upload_id.clone());
                    cx.toast(format!("copied: {}", text::clean(&upload.upload_id)));
                }
            }
            Action::ReadOnly => {
                let on = !cx.is_writable(self.base.store());
                if cx.stores.options().read_only {
                    cx.toast("everything is read-only: the program was started with --read-only");
                } else {
                    cx.set_writable(self.base.store(), on);
                    cx.toast(if on {
                        "writing is allowed here until you leave or press the key again"
                    } else {
                        "read-only again"
                    });
                }
            }
            _ => return Flow::Ignored,
        }
        Flow::Done
    }

    fn edit(&mut self, edit: &Edit, _cx: &mut Cx) -> Flow {
        if let Some(input) = &mut self.age {
            input.apply(edit);
        }
        Flow::Done
    }

    fn poll(&mut self, cx: &mut Cx) {
        if poll_slot(&mut self.loaded).is_some() {
            self.claims = abort::claims(&cx.jobs.views());
        }
        while let Some(page) = self.feed.as_mut().and_then(Feed::take) {
            match page {
                Ok(page) => self.all.extend(page),
                Err(err) => self.error = Some(err),
            }
        }
        if self.all.len() >= MOST || self.feed.as_ref().is_some_and(Feed::is_done) {
            self.feed = None;
        }
        while let Some(answer) = self.parts.as_mut().and_then(Feed::take) {
            match answer {
                Ok((id, held)) => drop(self.held.insert(id, held)),
                Err(err) => cx.fail(&err),
            }
        }
        if self.parts.as_ref().is_some_and(Feed::is_done) {
            self.parts = None;
        }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let [header, body, footer] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(area);
        self.header(frame, header, cx);
        self.footer(frame, footer, cx);
        let body = Rect { x: body.x + 1.min(body.width), width: body.width.saturating_sub(2), ..body };
        self.height = usize::from(body.height);
        self.at = self.at.min(self.all.len().saturating_sub(1));
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(self.height));
        if self.all.is_empty() {
            return self.draw_nothing(frame, body, cx);
        }
        for (row, y) in (self.top..self.all.len()).zip(body.y..body.bottom()) {
            let style = if row == self.at { cx.theme.style(Role::Cursor) } else { Style::default() };
            let line = Paragraph::new(self.line(row, body.width.into(), cx)).style(style);
            frame.render_widget(line, Rect { y, height: 1, ..body });
        }
    }
}
