//! Lines to read.

use super::{copied_and_closed, framed, hints, wrapped};
use crate::action::Action;
use crate::screen::{Cx, Flow, Screen};
use crate::text;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

/// The popup.
pub(in crate::screens) struct Message {
    title: String,
    lines: Vec<String>,
    scroll: usize,
    height: usize,
}

impl Message {
    pub(in crate::screens) fn open(title: String, lines: Vec<String>) -> Self {
        Self { title, lines, scroll: 0, height: 10 }
    }
}

impl Screen for Message {
    fn contexts(&self) -> &'static [&'static str] {
        &["message", "list", "global"]
    }
    fn title(&self) -> String {
        self.title.clone()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn update(&mut self, action: Action, cx: &mut Cx) -> Flow {
        match action {
            Action::Up => self.scroll = self.scroll.saturating_sub(1),
            Action::Down => self.scroll += 1,
            Action::PageUp | Action::HalfUp => self.scroll = self.scroll.saturating_sub(self.height),
            Action::PageDown | Action::HalfDown => self.scroll += self.height,
            Action::Top => self.scroll = 0,
            Action::Bottom => self.scroll = usize::MAX,
            Action::Yank => return copied_and_closed(cx, &self.title.clone(), self.lines.join("\n")),
            Action::Enter | Action::Close | Action::Back => return Flow::Close,
            _ => return Flow::Ignored,
        }
        Flow::Done
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let width = area.width.saturating_sub(4).min(100);
        let rows = wrapped(&self.lines.join("\n"), usize::from(width.saturating_sub(4)));
        let inner = framed(frame, area, width, rows.len() as u16 + 2, &self.title, cx);
        let is_cut = rows.len() > usize::from(inner.height);
        let height = if is_cut { inner.height.saturating_sub(1) } else { inner.height };
        self.height = usize::from(height.max(1));
        self.scroll = self.scroll.min(rows.len().saturating_sub(self.height));
        let left = rows.len() - self.scroll;
        let shown: Vec<Line> = rows.into_iter().skip(self.scroll).take(self.height).map(Line::raw).collect();
        frame.render_widget(Paragraph::new(shown), Rect { height, ..inner });
        if is_cut {
            let label = |action| cx.keymap.label(self.contexts(), action);
            let more = format!("{} more lines", text::count(left.saturating_sub(self.height) as u64));
            let keys = format!("{} {}", label(Action::Down), label(Action::Up));
            let pairs = [(keys, "scroll"), (label(Action::Yank), "copy"), (more, "")];
            let foot = Rect { y: inner.y + height, height: 1, ..inner };
            frame.render_widget(Paragraph::new(hints(&pairs, inner.width, cx)), foot);
        }
    }
}
