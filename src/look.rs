//! How a preview is loaded under a moving cursor, and drawn: the newest wish wins, scrolling stays
//! free, what was seen a moment ago is there at once.

use crate::action::Action;
use crate::error::{Error, Result};
use crate::location::Location;
use crate::preview::{Ask, Facts, Loaded, Preview, Probe, Tree};
use crate::previews;
use crate::screen::Cx;
use crate::screen::popup::moved;
use crate::task::{Pending, poll_slot};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod facts;
mod hex;
mod raster;
mod table;
mod text_lines;
mod tree;

/// The cursor rests so long before anything is requested.
const DEBOUNCE: Duration = Duration::from_millis(70);
/// Previews that are kept for coming back.
const KEPT: usize = 24;
/// A preview that takes longer is given up.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A preview being loaded or shown.
#[derive(Default)]
pub struct Look {
    probe: Option<Probe>,
    pending: Option<Pending<Loaded>>,
    since: Option<Instant>,
    loaded: Option<Result<Arc<Loaded>>>,
    kept: VecDeque<(Location, Option<String>, Arc<Loaded>)>,
    /// Size of the area drawn last, in cells; what is loaded next suits it.
    area: (u16, u16),
    /// Pixels that were asked for last.
    asked: (u32, u32),
    view: View,
    /// First line and first column shown.
    scroll: (usize, usize),
    /// The line of a tree that the cursor is on.
    at: usize,
    /// Whether the keys are for this, and not for the list beside it.
    has_keys: bool,
}

/// Draws names and values, from the line `first` on.
pub(crate) fn draw_facts(facts: &Facts, first: usize, frame: &mut Frame, area: Rect, cx: &Cx) {
    facts::draw(facts, first, frame, area, cx);
}

/// What of a preview is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Rows, picture, text.
    #[default]
    Content,
    /// Names and values about it.
    Facts,
}

impl Look {
    /// Wishes to see this (or nothing). The same wish again changes nothing.
    pub fn show(&mut self, probe: Option<Probe>, cx: &Cx) {
        let same = |a: &Probe, b: &Probe| a.location == b.location && a.etag == b.etag && a.size == b.size;
        if let (Some(a), Some(b)) = (&probe, &self.probe)
            && same(a, b)
        {
            return;
        }
        self.pending = None;
        self.loaded = None;
        (self.scroll, self.at) = ((0, 0), 0);
        self.probe.clone_from(&probe);
        let Some(probe) = probe else { return };
        let known = self.kept.iter().find(|(at, etag, _)| *at == probe.location && *etag == probe.etag);
        if let Some((_, _, loaded)) = known {
            self.loaded = Some(Ok(loaded.clone()));
            return;
        }
        self.load(probe, DEBOUNCE, cx);
    }

    /// Loads it again, now.
    pub fn refresh(&mut self, cx: &Cx) {
        if let Some(probe) = self.probe.clone() {
            self.kept.retain(|(at, _, _)| *at != probe.location);
            self.load(probe, Duration::ZERO, cx);
        }
    }

    fn load(&mut self, probe: Probe, after: Duration, cx: &Cx) {
        let stores = cx.stores.clone();
        let pixels = self.pixels(cx);
        self.asked = pixels;
        self.since = Some(Instant::now());
        self.pending = Some(Pending::spawn(&cx.waker, async move {
            tokio::time::sleep(after).await;
            let mut ask = Ask::new(probe, stores.meter().child());
            ask.pixels = pixels;
            let guard = CancelOnDrop(ask.control.clone());
            let loaded = tokio::time::timeout(TIMEOUT, previews::load(stores, ask)).await;
            drop(guard);
            loaded.unwrap_or_else(|_| {
                Err(Error::new(crate::error::Kind::Limit, "the preview took longer than a minute")
                    .with_hint("the server is slow, or the file needs more reading than a look is worth"))
            })
        }));
    }

    /// Pixels that a picture in the area can make use of.
    fn pixels(&self, cx: &Cx) -> (u32, u32) {
        let (columns, rows) = self.area;
        // The first wish may come before the first frame: then a pane of an ordinary size is assumed.
        let area = Rect { x: 0, y: 0, width: columns.max(40), height: rows.max(12) };
        let pixels = cx.gallery.pixels(area);
        (pixels.0.clamp(64, 2048), pixels.1.clamp(64, 2048))
    }

    /// Whether a picture is shown that has more pixels to give than were asked for, and there is room for them: the
    /// terminal told late what it can show, or its window has grown.
    fn is_coarse(&self, cx: &Cx) -> bool {
        let Some(Preview::Raster(raster)) = self.loaded().map(|l| &l.preview) else { return false };
        let (wanted, asked) = (self.pixels(cx), self.asked);
        let has_more = u64::from(raster.picture.width) < raster.size.0;
        let has_room = |wanted: u32, asked: u32| wanted > asked.saturating_mul(5) / 4;
        self.pending.is_none() && has_more && has_room(wanted.0, asked.0) && has_room(wanted.1, asked.1)
    }

    /// Pulls what has arrived.
    pub fn poll(&mut self, cx: &Cx) {
        if let Some(probe) = self.probe.clone().filter(|_| self.is_coarse(cx)) {
            self.load(probe, Duration::ZERO, cx);
        }
        let Some(result) = poll_slot(&mut self.pending) else { return };
        self.loaded = Some(result.map(Arc::new));
        if let (Some(Ok(loaded)), Some(probe)) = (&self.loaded, &self.probe) {
            self.kept.push_front((probe.location.clone(), probe.etag.clone(), loaded.clone()));
            self.kept.truncate(KEPT);
        }
    }

    /// Whether something is on its way.
    pub fn is_loading(&self) -> bool {
        self.pending.is_some()
    }

    /// What is shown, once it is there.
    pub fn loaded(&self) -> Option<&Loaded> {
        self.loaded.as_ref()?.as_ref().ok().map(AsRef::as_ref)
    }

    /// Content, then facts, then content again.
    pub fn next_view(&mut self) {
        self.view = if self.view == View::Content { View::Facts } else { View::Content };
        (self.scroll, self.at) = ((0, 0), 0);
    }

    /// Tells whether the keys are for this: then a cursor stands in what can be chosen from.
    pub fn focus(&mut self, has_keys: bool) {
        self.has_keys = has_keys;
    }

    /// The tree shown, if any of its nodes leads somewhere.
    fn choices(&self) -> Option<&Tree> {
        match self.loaded().map(|l| &l.preview) {
            Some(Preview::Tree(tree)) if self.view == View::Content => {
                tree.nodes.iter().any(|node| node.target.is_some()).then_some(tree)
            }
            _ => None,
        }
    }

    /// Where what is under the cursor leads.
    pub fn target(&self) -> Option<Location> {
        self.choices()?.nodes.get(self.at)?.target.clone()
    }

    /// Scrolls as a movement says, `page` lines a page; tells whether it was one.
    pub fn update(&mut self, action: Action, page: isize) -> bool {
        if self.has_keys && self.choices().is_some() {
            return self.step(action, page);
        }
        match action {
            Action::Up => self.scroll(-1, 0),
            Action::Down => self.scroll(1, 0),
            Action::Left => self.scroll(0, -1),
            Action::Right => self.scroll(0, 1),
            Action::HalfUp => self.scroll(-page / 2, 0),
            Action::HalfDown => self.scroll(page / 2, 0),
            Action::PageUp => self.scroll(-page, 0),
            Action::PageDown => self.scroll(page, 0),
            Action::Top => self.scroll_to(0),
            Action::Bottom => self.scroll_to(usize::MAX),
            _ => return false,
        }
        true
    }

    /// Moves the cursor of a tree, which stays in sight.
    fn step(&mut self, action: Action, page: isize) -> bool {
        let page = page.unsigned_abs();
        let Some(at) = moved(self.at, action, self.lines(), page, page / 2) else { return false };
        self.at = at;
        // Title and cost stand above and below.
        let height = usize::from(self.area.1.saturating_sub(2)).max(1);
        self.scroll.0 = self.scroll.0.min(self.at).max((self.at + 1).saturating_sub(height));
        true
    }

    /// Scrolls by lines and columns.
    fn scroll(&mut self, lines: isize, columns: isize) {
        let last = self.lines().saturating_sub(1);
        self.scroll.0 = self.scroll.0.saturating_add_signed(lines).min(last);
        self.scroll.1 = self.scroll.1.saturating_add_signed(columns).min(self.columns().saturating_sub(1));
    }

    /// Scrolls to a line, or the last.
    fn scroll_to(&mut self, line: usize) {
        self.scroll.0 = line.min(self.lines().saturating_sub(self.area.1.saturating_sub(4) as usize));
    }

    fn lines(&self) -> usize {
        match (self.view, self.loaded().map(|l| &l.preview)) {
            (_, None) => 0,
            (View::Facts, Some(preview)) => facts_of(preview).map_or(0, |f| f.rows.len()),
            (View::Content, Some(preview)) => match preview {
                Preview::Text(t) => t.lines.len(),
                Preview::Facts(f) => f.rows.len(),
                Preview::Hex(h) => h.bytes.len().div_ceil(16),
                Preview::Table(t) => t.batch.num_rows(),
                Preview::Tree(t) => t.nodes.len(),
                Preview::Raster(_) => 0,
            },
        }
    }

    fn columns(&self) -> usize {
        match self.loaded().map(|l| &l.preview) {
            Some(Preview::Table(t)) => t.columns.len(),
            Some(_) => 200,
            None => 0,
        }
    }

    /// Draws it: a title, the content, what it cost.
    pub fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        self.area = (area.width, area.height);
        if area.width == 0 || area.height == 0 {
            return;
        }
        if self.is_coarse(cx) {
            // It is asked for again in `poll`.
            cx.waker.wake();
        }
        let theme = &cx.theme;
        match &self.loaded {
            Some(Ok(loaded)) => {
                let loaded = loaded.clone();
                let [title, content, cost] =
                    Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(area);
                let words = title_of(&loaded);
                let words = text::fit(&text::clean(&words), area.width as usize).into_owned();
                frame.render_widget(Paragraph::new(Line::styled(words, theme.style(Role::Title))), title);
                let choice = self.choices().map(|_| self.has_keys);
                frame.render_widget(Paragraph::new(cost_line(&loaded, choice, area.width, cx)), cost);
                self.draw_content(&loaded, frame, content, cx);
            }
            Some(Err(err)) => {
                let mut lines = vec![Line::raw(""), Line::styled(err.to_string(), theme.style(Role::Bad))];
                if let Some(hint) = err.hint() {
                    lines.extend([Line::raw(""), Line::raw(hint.to_owned())]);
                }
                frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
            }
            None if self.pending.is_some() && self.since.is_some_and(|s| s.elapsed() > DEBOUNCE * 2) => {
                let line = Line::styled("reading…", theme.style(Role::Dim));
                frame.render_widget(Paragraph::new(vec![Line::raw(""), line]), area);
            }
            None => {}
        }
    }

    fn draw_content(&self, loaded: &Loaded, frame: &mut Frame, area: Rect, cx: &Cx) {
        if self.view == View::Facts
            && let Some(facts) = facts_of(&loaded.preview)
        {
            facts::draw(facts, self.scroll.0, frame, area, cx);
            return;
        }
        match &loaded.preview {
            Preview::Text(text) => text_lines::draw(text, self.scroll, frame, area, cx),
            Preview::Facts(facts) => facts::draw(facts, self.scroll.0, frame, area, cx),
            Preview::Hex(hex) => hex::draw(hex, self.scroll.0, frame, area, cx),
            Preview::Table(table) => table::draw(table, self.scroll, frame, area, cx),
            Preview::Raster(raster) => raster::draw(raster, frame, area, cx),
            Preview::Tree(tree) => {
                let cursor = (self.has_keys && self.choices().is_some()).then_some(self.at);
                tree::draw(tree, self.scroll.0, cursor, frame, area, cx);
            }
        }
    }
}

/// Tells blocking work to stop when its preview is no longer wanted.
struct CancelOnDrop(crate::task::Control);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn facts_of(preview: &Preview) -> Option<&Facts> {
    match preview {
        Preview::Table(t) => Some(&t.facts),
        Preview::Raster(r) => Some(&r.facts),
        Preview::Tree(t) => Some(&t.facts),
        Preview::Facts(f) => Some(f),
        Preview::Text(_) | Preview::Hex(_) => None,
    }
}

fn title_of(loaded: &Loaded) -> String {
    match facts_of(&loaded.preview) {
        Some(facts) if !facts.title.is_empty() => facts.title.clone(),
        _ => match &loaded.preview {
            Preview::Text(t) => {
                let more = if t.truncated { "more than " } else { "" };
                let lines = if t.lines.len() == 1 { "line" } else { "lines" };
                format!("{}  {more}{} {lines}", loaded.format, text::count(t.lines.len() as u64))
            }
            Preview::Hex(h) => match h.size {
                Some(size) => format!("bytes  {}", text::bytes(size)),
                None => "bytes".to_owned(),
            },
            _ => loaded.format.to_owned(),
        },
    }
}

/// `3 requests · 212 kB · 48 ms`, and how to see more where there is room; `choice`: whether the keys are in what
/// can be chosen from.
fn cost_line<'a>(loaded: &Loaded, choice: Option<bool>, width: u16, cx: &Cx) -> Line<'a> {
    let theme = &cx.theme;
    let cost = loaded.cost.to_string();
    let words = if cx.unicode { cost } else { cost.replace('·', "-") };
    let mut line = Line::from(vec![Span::styled(words, theme.style(Role::Dim))]);
    let key = |action| cx.keymap.label(&["browse", "list", "global"], action);
    let choose = choice.map(
        |has_keys| {
            if has_keys { (key(Action::Enter), " opens") } else { (key(Action::NextPane), " choose") }
        },
    );
    // By the width alone: what it cost takes more or less room each time.
    let choose = choose.filter(|_| width > 45);
    let facts = facts_of(&loaded.preview).filter(|_| width > if choose.is_some() { 62 } else { 50 });
    let facts = facts.map(|_| (key(Action::ViewNext), " facts"));
    for (key, what) in choose.into_iter().chain(facts) {
        line.push_span(Span::raw("   "));
        line.push_span(Span::styled(key, theme.style(Role::Key)));
        line.push_span(Span::styled(what, theme.style(Role::Dim)));
    }
    line
}
