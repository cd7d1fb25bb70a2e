//! What was copied, as plain text: no frame and nothing beside it, so that the mouse selects it clean.

use super::hints;
use crate::action::Action;
use crate::screen::{Cx, Flow, Screen};
use crate::terminal::clipboard;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

/// The screen. It may hold a signed link, which is gone when it closes.
pub(in crate::screens) struct Plain {
    title: String,
    text: String,
    scroll: usize,
    height: usize,
}

impl Plain {
    pub(in crate::screens) fn open(title: String, text: String) -> Self {
        Self { title, text, scroll: 0, height: 10 }
    }
}

/// Rows that fill the width: cut anywhere, because every space counts.
fn rows(text: &str, width: usize) -> Vec<String> {
    let mut out = Vec::new();
    for line in text.split('\n') {
        let (mut row, mut used) = (String::new(), 0);
        for c in text::clean(line).chars() {
            let columns = text::width(c.encode_utf8(&mut [0; 4]));
            if used + columns > width && !row.is_empty() {
                out.push(std::mem::take(&mut row));
                used = 0;
            }
            row.push(c);
            used += columns;
        }
        out.push(row);
    }
    out
}

impl Screen for Plain {
    fn contexts(&self) -> &'static [&'static str] {
        &["menu"]
    }

    fn title(&self) -> String {
        "copied".into()
    }

    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match action {
            Action::Up => self.scroll = self.scroll.saturating_sub(1),
            Action::Down => self.scroll += 1,
            Action::PageUp => self.scroll = self.scroll.saturating_sub(self.height),
            Action::PageDown => self.scroll += self.height,
            Action::Top => self.scroll = 0,
            Action::Bottom => self.scroll = usize::MAX,
            Action::Yank if self.text.len() <= clipboard::LIMIT => {
                cx.clipboard = Some(self.text.clone());
                cx.toast("sent to the clipboard again");
            }
            Action::Back | Action::Close | Action::Enter => return Flow::Close,
            Action::Quit | Action::Help => return Flow::Ignored,
            _ => {}
        }
        Flow::Done
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let [bar, body, foot] =
            Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]).areas(area);
        let theme = &cx.theme;
        frame.render_widget(Block::default().style(theme.style(Role::Bar)), bar);
        let title = text::clean(&self.title).into_owned();
        let title = text::fit(&title, usize::from(bar.width).saturating_sub(2)).into_owned();
        frame.render_widget(Paragraph::new(Span::styled(format!(" {title}"), theme.style(Role::Title))), bar);
        let rows = rows(&self.text, usize::from(body.width));
        self.height = usize::from(body.height.max(1));
        self.scroll = self.scroll.min(rows.len().saturating_sub(self.height));
        let shown: Vec<Line> = rows.into_iter().skip(self.scroll).take(self.height).map(Line::raw).collect();
        frame.render_widget(Paragraph::new(shown), body);
        let label = |action| cx.keymap.label(self.contexts(), action);
        let pairs = [(label(Action::Back), "back"), (label(Action::Yank), "send it again"), (String::new(), "")];
        let mut line = hints(&pairs, foot.width, cx);
        let advice = "   not there? select it with the mouse (Shift in tmux)";
        if line.width() + text::width(advice) <= usize::from(foot.width) {
            line.push_span(Span::styled(advice, theme.style(Role::Dim)));
        }
        frame.render_widget(Paragraph::new(line), foot);
    }
}
