//! How the program is drawn: tabs, the screens of the current one, the strip, messages.

use super::App;
use crate::action::Action;
use crate::screen::{Target, Toast};
use crate::screens;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

impl App {
    pub(super) fn render(&mut self, frame: &mut Frame) {
        let area = frame.area();
        let theme = self.cx.theme.clone();
        self.cx.hits.clear();
        frame.render_widget(Block::default().style(theme.style(Role::Text)), area);
        if area.width < 4 || area.height < 3 {
            return;
        }
        let tab_line = u16::from(self.tabs.len() > 1);
        // A long message takes lines from the screen, which stays whole above it: the cursor is never covered.
        let toasts = self.toasts(area.width, (area.height / 3).clamp(1, 6));
        let below = (toasts.len() as u16).max(1);
        let [tabs, body, strip] =
            Layout::vertical([Constraint::Length(tab_line), Constraint::Min(1), Constraint::Length(below)]).areas(area);
        if tab_line > 0 {
            self.render_tabs(frame, tabs);
        }
        let stack = &mut self.tabs[self.current];
        let base = stack.iter().rposition(|s| !s.is_popup()).unwrap_or(0);
        for screen in &mut stack[base..] {
            if screen.is_popup() {
                // What it covers is not to be clicked.
                self.cx.hits.clear();
            }
            screen.draw(frame, body, &self.cx);
        }
        if toasts.is_empty() {
            self.render_strip(frame, strip);
        } else {
            frame.render_widget(Clear, strip);
            let style = theme.style(Role::Text).patch(theme.style(Role::CursorDim));
            frame.render_widget(Paragraph::new(toasts).style(style), strip);
        }
    }

    /// The tabs, each as wide as there is room for; the one shown stands out.
    fn render_tabs(&self, frame: &mut Frame, area: Rect) {
        let theme = &self.cx.theme;
        let room = (usize::from(area.width) / self.tabs.len()).saturating_sub(4).clamp(1, 24);
        let mut spans = Vec::new();
        let mut x = area.x;
        for (i, stack) in self.tabs.iter().enumerate() {
            let title = stack.iter().rev().find(|s| !s.is_popup()).map(|s| s.title()).unwrap_or_default();
            let style = theme.style(if i == self.current { Role::Cursor } else { Role::Bar });
            let title = crate::text::fit_middle(&crate::text::clean(&title), room).into_owned();
            let span = Span::styled(format!(" {} {title} ", i + 1), style);
            let width = (span.width() as u16).min(area.right().saturating_sub(x));
            self.cx.hits.add(Rect { x, width, ..area }, Target::Tab(i));
            x += width;
            spans.push(span);
        }
        frame.render_widget(Paragraph::new(Line::from(spans)).style(theme.style(Role::Bar)), area);
    }

    /// What has just happened, in at most so many lines: the newest message, above it what failed before and was
    /// not long enough to be read.
    fn toasts(&self, width: u16, most: u16) -> Vec<Line<'static>> {
        let Some((newest, older)) = self.cx.toasts.split_last() else { return Vec::new() };
        let mut lines = self.toast(newest, width);
        for toast in older.iter().rev().filter(|toast| toast.bad && toast.text != newest.text) {
            let mut above = self.toast(toast, width);
            if above.len() + lines.len() > usize::from(most) {
                break;
            }
            above.append(&mut lines);
            lines = above;
        }
        lines.truncate(usize::from(most));
        lines
    }

    fn toast(&self, toast: &Toast, width: u16) -> Vec<Line<'static>> {
        let theme = &self.cx.theme;
        let (mark, role) = match (toast.bad, self.cx.unicode) {
            (true, true) => ("✗ ", Role::Bad),
            (true, false) => ("! ", Role::Bad),
            (false, true) => ("✓ ", Role::Good),
            (false, false) => ("* ", Role::Good),
        };
        let rows = screens::wrapped(&toast.text, usize::from(width.saturating_sub(3)));
        let line = |(i, row): (usize, String)| {
            let mark = Span::styled(if i == 0 { mark } else { "  " }, theme.style(role));
            Line::from(vec![mark, Span::raw(row)])
        };
        rows.into_iter().enumerate().map(line).collect()
    }

    /// What earlier sessions left, until it was looked at.
    fn resumable(&self, n: usize) -> Line<'static> {
        let mark = if self.cx.unicode { "↯" } else { "!" };
        let s = if n == 1 { "" } else { "s" };
        Line::styled(format!(" {mark} {n} interrupted job{s}"), self.cx.theme.style(Role::Warn))
    }

    fn render_strip(&self, frame: &mut Frame, area: Rect) {
        let theme = &self.cx.theme;
        frame.render_widget(Block::default().style(theme.style(Role::Bar)), area);
        let mut hints = Vec::new();
        let mut targets = Vec::new();
        let contexts = self.top().contexts();
        let all =
            [(Action::Help, "help"), (Action::Palette, "commands"), (Action::Jobs, "jobs"), (Action::Close, "close")];
        // While jobs run they need the room.
        let narrow = area.width < 100 && self.cx.jobs.active() > 0;
        for (action, word) in all.into_iter().filter(|(a, _)| !narrow || matches!(a, Action::Help | Action::Jobs)) {
            let key = self.cx.keymap.label(contexts, action);
            if !key.is_empty() {
                let hint = [
                    Span::styled(key, theme.style(Role::Key)),
                    Span::styled(format!(" {word}  "), theme.style(Role::Bar)),
                ];
                targets.push((action, hint.iter().map(Span::width).sum::<usize>() as u16));
                hints.extend(hint);
            }
        }
        let hints = Line::from(hints);
        let hint_width = (hints.width() as u16).min(area.width);
        let left = Rect { width: area.width.saturating_sub(hint_width + 1), ..area };
        let count = self.count.map(|n| n.to_string()).unwrap_or_default();
        let typed: String = self.typed.iter().map(ToString::to_string).collect();
        let typed = count + &typed;
        let strip = match (typed.is_empty(), self.interrupted) {
            (false, _) => Line::from(format!(" {typed}…")),
            (true, Some(n)) if n > 0 && self.cx.jobs.active() == 0 => self.resumable(n),
            _ => screens::strip(&self.cx, left.width, contexts),
        };
        frame.render_widget(Paragraph::new(strip).style(theme.style(Role::Bar)), left);
        let right = Rect { x: area.right() - hint_width, width: hint_width, ..area };
        frame.render_widget(Paragraph::new(hints), right);
        let mut x = right.x;
        for (action, width) in targets {
            let width = width.min(right.right().saturating_sub(x));
            self.cx.hits.add(Rect { x, width, ..right }, Target::Act(action));
            x += width;
        }
    }
}
