//! How the table is stored: row groups, their column chunks, the pages of these.
//!
//! ```text
//!  ▾ row group 1      1,048,576 rows     96.2 MiB
//!      column      type     stored  ratio  codec  encodings   nulls  min … max
//!    ▸ h_mean      DOUBLE  8.1 MiB    1.0  zstd   PLAIN           0  -12.3 … 4031.2
//! ```

use super::sheet::Sheet;
use crate::action::Action;
use crate::error::Result;
use crate::screen::popup::moved;
use crate::screen::{Cx, Target};
use crate::table::{Chunk, Group, Layout, Page};
use crate::task::{Pending, Waker, poll_slot};
use crate::text;
use crate::theme::Role;
use crate::widgets::grid::{Side, paint};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use std::collections::BTreeSet;

/// Pages of a chunk that are listed.
const MOST_PAGES: usize = 5_000;

/// A line, by what it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Row {
    Group(usize),
    Chunks,
    Chunk(usize, usize),
    Pages,
    Page(usize, usize, usize),
}

/// The view.
#[derive(Default)]
pub(super) struct LayoutView {
    pending: Option<Pending<Option<Layout>>>,
    layout: Option<Result<Option<Layout>>>,
    groups: BTreeSet<usize>,
    chunks: BTreeSet<(usize, usize)>,
    rows: Vec<Row>,
    at: usize,
    top: usize,
    height: usize,
}

impl LayoutView {
    /// Has the layout read, once.
    pub(super) fn load(&mut self, sheet: &Sheet, waker: &Waker) {
        if self.pending.is_none() && self.layout.is_none() {
            let rows = sheet.data.rows().clone();
            self.pending = Some(Pending::spawn(waker, async move { rows.layout().await }));
        }
    }

    pub(super) fn poll(&mut self) {
        if let Some(layout) = poll_slot(&mut self.pending) {
            if let Ok(Some(layout)) = &layout
                && layout.groups.len() == 1
            {
                self.groups.insert(0);
            }
            self.layout = Some(layout);
            self.arrange();
        }
    }

    pub(super) fn is_loading(&self) -> bool {
        self.pending.is_some()
    }

    /// The layout, once it is there.
    pub(super) fn known(&self) -> Option<&Layout> {
        self.layout.as_ref()?.as_ref().ok()?.as_ref()
    }

    fn arrange(&mut self) {
        let mut rows = Vec::new();
        for (g, group) in self.known().into_iter().flat_map(|l| &l.groups).enumerate() {
            rows.push(Row::Group(g));
            if !self.groups.contains(&g) {
                continue;
            }
            rows.push(Row::Chunks);
            for (c, chunk) in group.chunks.iter().enumerate() {
                rows.push(Row::Chunk(g, c));
                if self.chunks.contains(&(g, c)) && !chunk.pages.is_empty() {
                    rows.push(Row::Pages);
                    rows.extend((0..chunk.pages.len().min(MOST_PAGES)).map(|p| Row::Page(g, c, p)));
                }
            }
        }
        self.rows = rows;
    }

    /// Moves or folds; tells whether it was that.
    pub(super) fn update(&mut self, action: Action) -> bool {
        let (page, last) = (self.height.max(2) - 1, self.rows.len().saturating_sub(1));
        match action {
            Action::Enter => return self.fold(None),
            Action::Right => return self.fold(Some(true)),
            Action::Left => return self.fold(Some(false)),
            _ => {}
        }
        let Some(to) = moved(self.at, action, self.rows.len(), page, page / 2) else { return false };
        self.at = to;
        // Heads are passed over.
        if matches!(self.rows.get(self.at), Some(Row::Chunks | Row::Pages)) {
            let up = matches!(action, Action::Up | Action::PageUp | Action::HalfUp);
            self.at = if up { self.at.saturating_sub(1) } else { (self.at + 1).min(last) };
        }
        true
    }

    fn fold(&mut self, open: Option<bool>) -> bool {
        fn turn<T: Ord>(set: &mut BTreeSet<T>, of: T, open: Option<bool>) {
            if open.unwrap_or_else(|| !set.contains(&of)) {
                set.insert(of);
            } else {
                set.remove(&of);
            }
        }
        let row = self.rows.get(self.at).copied();
        let target = match (row, open) {
            // Out of a page to its chunk, out of a folded chunk to its group.
            (Some(Row::Page(g, c, _)), Some(false)) => Row::Chunk(g, c),
            (Some(Row::Chunk(g, c)), Some(false)) if !self.chunks.contains(&(g, c)) => Row::Group(g),
            (Some(row), _) => row,
            (None, _) => return true,
        };
        match target {
            Row::Group(g) => turn(&mut self.groups, g, open),
            Row::Chunk(g, c) => turn(&mut self.chunks, (g, c), open),
            _ => {}
        }
        self.arrange();
        self.at = self.rows.iter().position(|r| *r == target).unwrap_or(0);
        true
    }

    /// Puts the cursor on the row `from_top` lines below the first in sight.
    pub(super) fn click(&mut self, from_top: usize) {
        let row = self.top + from_top;
        if self.at == row {
            self.fold(None);
        } else if row < self.rows.len() {
            self.at = row;
        }
    }

    pub(super) fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        self.height = usize::from(area.height.max(1));
        self.at = self.at.min(self.rows.len().saturating_sub(1));
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(self.height));
        if self.at <= 1 {
            self.top = 0;
        }
        let theme = &cx.theme;
        let say = |frame: &mut Frame, words: &str, role| {
            let lines = super::tree::wrapped(words, area.width.saturating_sub(2).into());
            for (line, y) in lines.iter().zip(area.y..area.bottom()) {
                frame.buffer_mut().set_string(area.x + 1, y, line, theme.style(role));
            }
        };
        let layout = match &self.layout {
            None => return say(frame, "reading the page index…", Role::Dim),
            Some(Err(err)) => return say(frame, &super::words(err), Role::Bad),
            Some(Ok(None)) => {
                return say(frame, "This format keeps rows one after the other: no groups, no pages.", Role::Dim);
            }
            Some(Ok(Some(layout))) => layout,
        };
        for (i, y) in (self.top..self.rows.len()).zip(area.y..area.bottom()) {
            let line = Rect { y, height: 1, ..area };
            let is_at = i == self.at;
            if is_at {
                frame.buffer_mut().set_style(line, theme.style(Role::Cursor));
            }
            let mut pen = Pen { frame, line, x: line.x + 1, is_at, cx };
            let mark = |is_open: bool, can: bool| match (can, is_open, cx.unicode) {
                (false, ..) => " ",
                (_, true, true) => "▾",
                (_, false, true) => "▸",
                (_, true, false) => "v",
                (_, false, false) => ">",
            };
            match self.rows[i] {
                Row::Group(g) => group(&mut pen, g, &layout.groups[g], mark(self.groups.contains(&g), true)),
                Row::Chunks => chunk_heads(&mut pen),
                Row::Chunk(g, c) => {
                    let of = &layout.groups[g].chunks[c];
                    chunk(&mut pen, of, mark(self.chunks.contains(&(g, c)), !of.pages.is_empty()));
                }
                Row::Pages => page_heads(&mut pen),
                Row::Page(g, c, p) => page(&mut pen, p, &layout.groups[g].chunks[c].pages[p]),
            }
            if cx.mouse {
                cx.hits.add(line, Target::Row(i - self.top));
            }
        }
    }
}

/// Draws cells of a line one after the other.
struct Pen<'a, 'b> {
    frame: &'a mut Frame<'b>,
    line: Rect,
    x: u16,
    is_at: bool,
    cx: &'a Cx,
}

impl Pen<'_, '_> {
    fn put(&mut self, text: &str, width: u16, side: Side, role: Role) {
        let room = self.line.right().saturating_sub(self.x);
        if room > 0 {
            let style = if self.is_at { Style::default() } else { Style { bg: None, ..self.cx.theme.style(role) } };
            paint(self.frame.buffer_mut(), (self.x, self.line.y), width.min(room), &text::clean(text), side, style);
        }
        self.x = self.x.saturating_add(width + 2).min(self.line.right());
    }

    fn left(&mut self, text: &str, width: u16, role: Role) {
        self.put(text, width, Side::Left, role);
    }

    fn right(&mut self, text: &str, width: u16, role: Role) {
        self.put(text, width, Side::Right, role);
    }

    /// Cells for names, which get what is left on wide screens.
    fn name_width(&self) -> u16 {
        (self.line.width / 5).clamp(12, 36)
    }

    fn is_wide(&self) -> bool {
        self.line.width >= 110
    }
}

fn counted(n: u64, what: &str) -> String {
    format!("{} {what}{}", text::count(n), if n == 1 { "" } else { "s" })
}

fn group(pen: &mut Pen, g: usize, group: &Group, mark: &str) {
    pen.left(&format!("{mark} row group {}", g + 1), 18, Role::Title);
    pen.right(&counted(group.rows, "row"), 18, Role::Number);
    pen.right(&text::bytes(group.stored), 10, Role::Number);
    let plain: u64 = group.chunks.iter().map(|c| c.plain).sum();
    if plain > 0 {
        pen.left(&format!("{} unpacked", text::bytes(plain)), 19, Role::Dim);
    }
    pen.left(&counted(group.chunks.len() as u64, "column chunk"), 22, Role::Dim);
}

fn chunk_heads(pen: &mut Pen) {
    let (name, wide) = (pen.name_width(), pen.is_wide());
    pen.x += 2;
    pen.left("column", name, Role::Dim);
    pen.left("type", if wide { 24 } else { 10 }, Role::Dim);
    pen.right("stored", 10, Role::Dim);
    pen.right("ratio", 5, Role::Dim);
    pen.left("codec", 7, Role::Dim);
    if wide {
        pen.left("encodings", 24, Role::Dim);
    }
    pen.right("nulls", if wide { 11 } else { 6 }, Role::Dim);
    if wide {
        pen.right("distinct", 9, Role::Dim);
    }
    pen.left("min … max", 60, Role::Dim);
}

fn chunk(pen: &mut Pen, chunk: &Chunk, mark: &str) {
    let (name, wide) = (pen.name_width(), pen.is_wide());
    pen.left(&format!("{mark} {}", chunk.column), name + 2, Role::Name);
    pen.left(&chunk.kind, if wide { 24 } else { 10 }, Role::Dim);
    pen.right(&text::bytes(chunk.stored), 10, Role::Number);
    let ratio =
        if chunk.stored == 0 { String::new() } else { format!("{:.1}", chunk.plain as f64 / chunk.stored as f64) };
    pen.right(&ratio, 5, Role::Number);
    pen.left(&chunk.codec, 7, Role::Text);
    if wide {
        pen.left(&chunk.encodings, 24, Role::Text);
    }
    pen.right(&chunk.nulls.map_or_else(String::new, text::count), if wide { 11 } else { 6 }, Role::Number);
    if wide {
        pen.right(&chunk.distinct.map_or_else(String::new, text::count), 9, Role::Number);
    }
    let bloom = if chunk.bloom { "  bloom filter" } else { "" };
    let pages = if chunk.pages.is_empty() || !wide {
        String::new()
    } else {
        format!("  {}", counted(chunk.pages.len() as u64, "page"))
    };
    let range = range(chunk.min.as_deref(), chunk.max.as_deref());
    let rest = pen.line.right().saturating_sub(pen.x + 1);
    pen.left(&format!("{range}{bloom}{pages}"), rest, Role::Text);
}

fn page_heads(pen: &mut Pen) {
    pen.x += 4;
    for (head, width) in [("page", 6), ("first row", 12), ("offset", 14), ("stored", 10), ("nulls", 8)] {
        pen.right(head, width, Role::Dim);
    }
    pen.left("min … max", 60, Role::Dim);
}

fn page(pen: &mut Pen, p: usize, page: &Page) {
    pen.x += 4;
    pen.right(&(p + 1).to_string(), 6, Role::Dim);
    pen.right(&text::count(page.first_row + 1), 12, Role::Number);
    pen.right(&text::count(page.offset), 14, Role::Number);
    pen.right(&text::bytes(page.stored), 10, Role::Number);
    pen.right(&page.nulls.map_or_else(String::new, text::count), 8, Role::Number);
    let rest = pen.line.right().saturating_sub(pen.x + 1);
    pen.left(&range(page.min.as_deref(), page.max.as_deref()), rest, Role::Text);
}

/// `min … max`, as far as they are told.
fn range(min: Option<&str>, max: Option<&str>) -> String {
    match (min, max) {
        (None, None) => String::new(),
        (min, max) => {
            let cut = |value: Option<&str>| text::fit(value.unwrap_or("?"), 40).into_owned();
            format!("{} … {}", cut(min), cut(max))
        }
    }
}
