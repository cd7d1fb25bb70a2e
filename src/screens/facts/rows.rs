//! Names and values in sections, with a cursor: one list, or two side by side where there is room.

use crate::action::Action;
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};
use unicode_width::UnicodeWidthChar;

/// From this width on there are two lists.
const WIDE: u16 = 130;

/// Columns of names in a section of short ones.
const NAMES: usize = 13;

/// A line of facts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// Title of a section: the cursor passes it by.
    heading: bool,
    name: String,
    value: String,
    /// How the value looks.
    role: Role,
    /// What is copied; the value where absent.
    copy: Option<String>,
    /// Which version it is about.
    pub(super) version: Option<usize>,
}

impl Row {
    /// The title of a section, with a word beside it.
    pub(super) fn heading(title: &str, note: impl Into<String>) -> Self {
        let (name, value) = (title.to_owned(), note.into());
        Self { heading: true, name, value, role: Role::Dim, copy: None, version: None }
    }

    /// A name and a value.
    pub(super) fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        Self { heading: false, name, value, role: Role::Text, copy: None, version: None }
    }

    /// Something said in the place of a value.
    pub(super) fn note(name: impl Into<String>, words: impl Into<String>) -> Self {
        Self { role: Role::Dim, ..Self::new(name, words) }
    }

    #[must_use]
    pub(super) fn role(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    #[must_use]
    pub(super) fn copied_as(mut self, text: impl Into<String>) -> Self {
        self.copy = Some(text.into());
        self
    }

    #[must_use]
    pub(super) fn of_version(mut self, version: usize) -> Self {
        self.version = Some(version);
        self
    }

    /// What is put on the clipboard.
    pub(super) fn to_copy(&self) -> &str {
        self.copy.as_deref().unwrap_or(&self.value)
    }
}

/// A value in lines of at most so many columns, broken at spaces where there are some.
pub(super) fn wrap(value: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let (mut line, mut used) = (String::new(), 0);
    for c in value.chars() {
        let width = c.width().unwrap_or(0);
        if used + width > columns {
            let cut = line.rfind(' ').filter(|cut| *cut > line.len() / 2);
            let rest = cut.map_or_else(String::new, |cut| line.split_off(cut).trim_start().to_owned());
            lines.push(std::mem::replace(&mut line, rest));
            used = text::width(&line);
        }
        line.push(c);
        used += width;
    }
    lines.push(line);
    lines
}

/// A list of facts with a cursor that stands on facts only.
#[derive(Default)]
struct List {
    rows: Vec<Row>,
    at: usize,
    /// First line shown.
    top: usize,
    height: usize,
}

impl List {
    /// Takes new rows; the cursor stays on what it was on.
    fn set(&mut self, rows: Vec<Row>) {
        let was = self.rows.get(self.at);
        // A line without a name is found by its place alone.
        let same =
            |row: &&Row| was.is_some_and(|w| !w.name.is_empty() && w.name == row.name && w.version == row.version);
        let found = rows.get(self.at).filter(same).map(|_| self.at);
        let found = found.or_else(|| rows.iter().position(|row| same(&row)));
        self.at = found.unwrap_or_else(|| self.at.min(rows.len().saturating_sub(1)));
        self.rows = rows;
        self.settle(1);
    }

    /// Moves off a heading, in this direction or else the other.
    fn settle(&mut self, by: isize) {
        let stands = |i: &usize| self.rows.get(*i).is_some_and(|row| !row.heading);
        let ahead = || (self.at..self.rows.len()).find(stands);
        let behind = || (0..=self.at).rev().find(stands);
        let found = if by >= 0 { ahead().or_else(behind) } else { behind().or_else(ahead) };
        self.at = found.unwrap_or(0);
    }

    fn step(&mut self, by: isize) {
        let last = self.rows.len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(by).min(last);
        self.settle(by);
    }

    fn update(&mut self, action: Action) -> bool {
        let page = self.height.max(2) as isize - 1;
        match action {
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::HalfUp => self.step(-(page / 2).max(1)),
            Action::HalfDown => self.step((page / 2).max(1)),
            Action::PageUp => self.step(-page),
            Action::PageDown => self.step(page),
            Action::Top => {
                self.at = 0;
                self.settle(1);
            }
            Action::Bottom => {
                self.at = self.rows.len().saturating_sub(1);
                self.settle(-1);
            }
            _ => return false,
        }
        true
    }

    /// Columns of the names of the section that begins with this row: as many as in the others, where
    /// no name is longer; none where nothing has a name.
    fn names(&self, first: usize, width: usize) -> usize {
        let section = self.rows.iter().skip(first).take_while(|r| !r.heading);
        let longest = section.map(|r| text::width(&text::clean(&r.name))).max().unwrap_or(0);
        let most = (width / 3).max(if width < 30 { 6 } else { NAMES });
        if longest == 0 { 0 } else { longest.max(NAMES).min(most) }
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, focus: bool, cx: &Cx) {
        let theme = &cx.theme;
        let width = usize::from(area.width);
        self.height = usize::from(area.height);
        let mut names = self.names(0, width);
        let mut lines: Vec<Line> = Vec::new();
        let (mut first, mut last) = (0, 0);
        for (i, row) in self.rows.iter().enumerate() {
            if row.heading {
                names = self.names(i + 1, width);
                if i > 0 {
                    lines.push(Line::raw(""));
                }
                lines.push(Line::from(vec![
                    Span::styled(row.name.clone(), theme.style(Role::Title)),
                    Span::styled(format!("  {}", text::clean(&row.value)), theme.style(Role::Dim)),
                ]));
                continue;
            }
            let is_at = i == self.at;
            if is_at {
                // The title above comes into sight with the first of its section.
                let above = self.rows.get(i.wrapping_sub(1)).is_some_and(|r| r.heading);
                first = lines.len().saturating_sub(usize::from(above));
            }
            let style = match (is_at, focus) {
                (true, true) => theme.style(Role::Cursor),
                (true, false) => theme.style(Role::CursorDim),
                _ => Style::default(),
            };
            let plain = |role: Role| if is_at { Style::default() } else { Style { bg: None, ..theme.style(role) } };
            let name = text::clean(&row.name);
            let name = text::fit_middle(&name, names).into_owned();
            let gap_after = if names == 0 { 0 } else { 2 };
            let room = width.saturating_sub(names + gap_after + 2);
            for (n, part) in wrap(&text::clean(&row.value), room).into_iter().enumerate() {
                let name = if n == 0 { name.as_str() } else { "" };
                let pad = " ".repeat((names + gap_after).saturating_sub(text::width(name)));
                let gap = " ".repeat(room.saturating_sub(text::width(&part)));
                lines.push(
                    Line::from(vec![
                        Span::raw("  "),
                        Span::styled(name.to_owned(), plain(Role::Name)),
                        Span::raw(pad),
                        Span::styled(part, plain(row.role)),
                        Span::raw(gap),
                    ])
                    .style(style),
                );
            }
            if is_at {
                last = lines.len();
            }
        }
        self.top = self.top.max(last.saturating_sub(self.height)).min(first);
        self.top = self.top.min(lines.len().saturating_sub(self.height));
        let shown: Vec<Line> = lines.into_iter().skip(self.top).take(self.height).collect();
        frame.render_widget(Paragraph::new(shown), area);
    }
}

/// What is shown: one list after the other, or both side by side.
#[derive(Default)]
pub(super) struct Panes {
    rows: [Vec<Row>; 2],
    lists: [List; 2],
    focus: usize,
    wide: bool,
}

impl Panes {
    /// Takes new rows, those of the first and of the second list.
    pub(super) fn set(&mut self, first: Vec<Row>, second: Vec<Row>) {
        let rows = [first, second];
        if rows != self.rows {
            self.rows = rows;
            self.lay_out();
        }
    }

    fn lay_out(&mut self) {
        let [first, second] = self.rows.clone();
        if self.wide {
            self.lists[0].set(first);
            self.lists[1].set(second);
        } else {
            self.lists[0].set(first.into_iter().chain(second).collect());
            self.lists[1].set(Vec::new());
            self.focus = 0;
        }
    }

    /// The fact under the cursor.
    pub(super) fn row(&self) -> Option<&Row> {
        let list = &self.lists[self.focus];
        list.rows.get(list.at).filter(|row| !row.heading)
    }

    /// Puts the cursor on the first version.
    pub(super) fn go_to_versions(&mut self) {
        for (i, list) in self.lists.iter_mut().enumerate() {
            if let Some(at) = list.rows.iter().position(|row| row.version.is_some()) {
                list.at = at;
                self.focus = i;
                return;
            }
        }
    }

    /// Moves as an action says; tells whether it was a movement.
    pub(super) fn update(&mut self, action: Action) -> bool {
        let other = 1 - self.focus;
        match action {
            Action::NextPane | Action::PrevPane if self.wide => self.focus = other,
            Action::Left if self.focus == 1 => self.focus = 0,
            Action::Right if self.wide && self.focus == 0 => self.focus = 1,
            _ => return self.lists[self.focus].update(action),
        }
        true
    }

    pub(super) fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let wide = area.width >= WIDE && !self.rows[1].is_empty();
        if wide != self.wide {
            let (was, version) = (self.row().map(|r| r.name.clone()), self.row().and_then(|r| r.version));
            self.wide = wide;
            self.lay_out();
            // The cursor stays on what it was on.
            for (i, list) in self.lists.iter_mut().enumerate() {
                let same = |r: &Row| !r.heading && Some(&r.name) == was.as_ref() && r.version == version;
                if let Some(at) = list.rows.iter().position(same) {
                    list.at = at;
                    self.focus = i;
                    break;
                }
            }
        }
        if !wide {
            self.lists[0].draw(frame, area, true, cx);
            return;
        }
        let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(area);
        let role = cx.theme.style(Role::Border);
        let block = Block::default().borders(Borders::RIGHT).border_style(role);
        let inner = block.inner(left);
        frame.render_widget(block, left);
        self.lists[0].draw(frame, inner, self.focus == 0, cx);
        let right = Rect { x: right.x + 1.min(right.width), width: right.width.saturating_sub(1), ..right };
        self.lists[1].draw(frame, right, self.focus == 1, cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_cursor_passes_titles_by() {
        let mut panes = Panes::default();
        let first = vec![Row::heading("A", ""), Row::new("a", "1"), Row::heading("B", ""), Row::new("b", "2")];
        panes.set(first, Vec::new());
        assert_eq!(panes.row().map(Row::to_copy), Some("1"));
        panes.update(Action::Down);
        assert_eq!(panes.row().map(Row::to_copy), Some("2"));
        panes.update(Action::Up);
        panes.update(Action::Up);
        assert_eq!(panes.row().map(Row::to_copy), Some("1"));
        panes.update(Action::Bottom);
        assert_eq!(panes.row().map(Row::to_copy), Some("2"));
        // What came before it does not move it.
        let more = vec![Row::heading("A", ""), Row::new("x", "0"), Row::new("a", "1"), Row::new("b", "2")];
        panes.set(more, Vec::new());
        assert_eq!(panes.row().map(Row::to_copy), Some("2"));
        panes.set(Vec::new(), Vec::new());
        assert!(panes.row().is_none() && panes.update(Action::Down));
    }

    proptest! {
        #[test]
        fn a_wrapped_value_loses_nothing_but_spaces(value in ".{0,60}|[a-z ]{0,60}", columns in 2_usize..20) {
            let value = text::clean(&value).into_owned();
            let lines = wrap(&value, columns);
            let plain = |t: &str| t.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(plain(&lines.concat()), plain(&value));
            prop_assert!(lines.iter().all(|l| text::width(l) <= columns));
        }
    }
}
