//! The command lines that do what was done last.

use super::{Cursor, copied_and_closed, framed, hints, wrapped};
use crate::action::Action;
use crate::screen::{Cx, Flow, Screen};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

/// The popup.
pub(in crate::screens) struct Commands {
    /// Newest first.
    lines: Vec<String>,
    cursor: Cursor,
}

impl Commands {
    pub(in crate::screens) fn open(commands: &[Vec<String>]) -> Self {
        Self { lines: commands.iter().map(|words| text::command_line(words)).collect(), cursor: Cursor::default() }
    }
}

impl Screen for Commands {
    fn contexts(&self) -> &'static [&'static str] {
        &["menu"]
    }
    fn title(&self) -> String {
        "command lines".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        if self.cursor.update(action, self.lines.len(), 5) {
            return Flow::Done;
        }
        match action {
            Action::Enter | Action::Yank => match self.lines.get(self.cursor.at) {
                Some(line) => copied_and_closed(cx, "command line", line.clone()),
                None => Flow::Close,
            },
            Action::Close | Action::Back => Flow::Close,
            Action::Quit | Action::Help => Flow::Ignored,
            _ => Flow::Done,
        }
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let width = area.width.min(110);
        let whole = self.lines.get(self.cursor.at).map(|line| wrapped(line, usize::from(width.saturating_sub(4))));
        let whole = whole.unwrap_or_default();
        // The list tells enough where the line fits into it.
        let whole = if whole.len() > 1 { whole } else { Vec::new() };
        let height = (self.lines.len().max(1) + whole.len()) as u16 + 4 + u16::from(!whole.is_empty());
        let inner = framed(frame, area, width, height, "The same on the command line", cx);
        if self.lines.is_empty() {
            let words = "Nothing was done yet that a command line could do.";
            let words: Vec<Line> = wrapped(words, usize::from(inner.width)).into_iter().map(Line::raw).collect();
            frame.render_widget(Paragraph::new(words).style(theme.style(Role::Dim)), inner);
            return;
        }
        let foot = Rect { y: inner.bottom().saturating_sub(1), height: 1.min(inner.height), ..inner };
        let body = Rect { height: inner.height.saturating_sub(2), ..inner };
        let below = (whole.len() as u16).min(body.height.saturating_sub(2));
        let list = Rect { height: (body.height - below - u16::from(below > 0)).min(self.lines.len() as u16), ..body };
        let top = self.cursor.window(usize::from(list.height.max(1)));
        for (i, line) in self.lines.iter().enumerate().skip(top).take(usize::from(list.height)) {
            let style = if i == self.cursor.at { theme.style(Role::Cursor) } else { Style::default() };
            let line = text::clean(line).into_owned();
            let line = text::fit_middle(&line, usize::from(list.width)).into_owned();
            let at = Rect { y: list.y + (i - top) as u16, height: 1, ..list };
            frame.render_widget(Paragraph::new(line).style(style), at);
        }
        let rest = Rect { y: list.bottom() + 1, height: below, ..inner };
        let rows: Vec<Line> = whole.into_iter().map(Line::raw).collect();
        frame.render_widget(Paragraph::new(rows).style(theme.style(Role::String)), rest);
        let label = |action| cx.keymap.label(self.contexts(), action);
        let pairs = [(label(Action::Enter), "copies it"), (label(Action::Back), "closes")];
        frame.render_widget(Paragraph::new(hints(&pairs, foot.width, cx)), foot);
    }
}
