//! The keys of the screen below.

use super::framed;
use crate::action::Action;
use crate::screen::{Cx, Flow, Open, Screen};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Keys of the screen below.
pub(in crate::screens) struct Help {
    contexts: &'static [&'static str],
    scroll: usize,
}

impl Help {
    pub(in crate::screens) fn open(contexts: &'static [&'static str]) -> Self {
        Self { contexts, scroll: 0 }
    }
}

impl Screen for Help {
    fn contexts(&self) -> &'static [&'static str] {
        &["list", "global"]
    }
    fn title(&self) -> String {
        "help".into()
    }
    fn is_popup(&self) -> bool {
        true
    }
    fn update(&mut self, action: Action, _cx: &mut Cx) -> Flow {
        match action {
            Action::Up => self.scroll = self.scroll.saturating_sub(1),
            Action::Down => self.scroll += 1,
            Action::PageUp | Action::HalfUp => self.scroll = self.scroll.saturating_sub(10),
            Action::PageDown | Action::HalfDown => self.scroll += 10,
            Action::Top => self.scroll = 0,
            Action::Enter => return Flow::Replace(Open::Keys(self.contexts)),
            Action::Help | Action::Close => return Flow::Close,
            _ => return Flow::Ignored,
        }
        Flow::Done
    }
    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let keys = cx.keymap.list(self.contexts);
        // Two columns where there is room, read downwards.
        let columns = if area.width >= 96 { 2 } else { 1 };
        let per_column = keys.len().div_ceil(columns);
        let (lines, room) = (per_column as u16 + 2, area.height);
        let title = if lines > room { "Keys: j k scroll, Enter changes them" } else { "Keys: Enter changes them" };
        let longest = keys.iter().map(|(action, _)| text::width(action.about())).max().unwrap_or(0);
        let inner = framed(frame, area, (columns * (19 + longest)) as u16, lines, title, cx);
        self.scroll = self.scroll.min(per_column.saturating_sub(inner.height as usize));
        let width = inner.width / columns as u16;
        for (column, chunk) in keys.chunks(per_column.max(1)).enumerate() {
            let lines = chunk.iter().skip(self.scroll).map(|(action, labels)| {
                let labels = text::fit(&labels.join(" "), 16).into_owned();
                let pad = " ".repeat(17 - text::width(&labels));
                Line::from(vec![
                    Span::styled(labels, theme.style(Role::Key)),
                    Span::raw(pad),
                    Span::raw(text::fit(action.about(), usize::from(width).saturating_sub(18)).into_owned()),
                ])
            });
            let at = Rect { x: inner.x + column as u16 * width, width: width.saturating_sub(1), ..inner };
            frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), at);
        }
    }
}
