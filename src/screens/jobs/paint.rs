//! With what the jobs are drawn.

use crate::action::Action;
use crate::screen::Cx;
use crate::text;
use crate::theme::{Role, Theme};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// With what is drawn.
#[derive(Clone, Copy)]
pub(super) struct Paint<'a> {
    pub(super) theme: &'a Theme,
    pub(super) unicode: bool,
}

impl Paint<'_> {
    pub(super) fn glyph(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    pub(super) fn style(self, role: Role) -> ratatui::style::Style {
        self.theme.style(role)
    }

    /// A rule across with a title and something at its right; returns where the right part began.
    pub(super) fn rule(self, area: Rect, buf: &mut Buffer, title: &str, right: &ratatui::text::Line) {
        let faint = self.style(Role::Border);
        buf.set_string(area.x, area.y, self.glyph("─", "-").repeat(usize::from(area.width)), faint);
        let wanted = right.width() as u16 + 5;
        let used = if right.width() > 0 && wanted + 16 <= area.width { wanted } else { 0 };
        let room = usize::from(area.width.saturating_sub(used + 5));
        let title = format!(" {} ", text::fit_middle(&text::clean(title), room));
        if area.width > 6 {
            buf.set_stringn(area.x + 2, area.y, title, room + 2, self.style(Role::Title));
        }
        if used > 0 {
            let x = area.right() - used + 1;
            buf.set_string(x, area.y, " ", faint);
            buf.set_line(x + 1, area.y, right, used);
            buf.set_string(x + used - 4, area.y, " ", faint);
        }
    }

    /// A quiet rule across with a word at its left.
    pub(super) fn faint_rule(self, area: Rect, buf: &mut Buffer, word: &str) {
        let dash = self.glyph("┈", ".").repeat(usize::from(area.width.saturating_sub(2)));
        buf.set_stringn(area.x + 1, area.y, dash, usize::from(area.width), self.style(Role::Faint));
        if area.width > 8 {
            buf.set_stringn(area.x + 2, area.y, word, usize::from(area.width) - 4, self.style(Role::Dim));
        }
    }

    pub(super) fn nothing(self, area: Rect, buf: &mut Buffer, cx: &Cx) {
        let key = |action| cx.keymap.label(&["browse", "list", "global"], action);
        let lines = [
            "No jobs yet.".to_owned(),
            String::new(),
            format!("{}  uploads to the place you look at", key(Action::Upload)),
            format!("{}  converts what is under the cursor", key(Action::Convert)),
            format!("{}  benchmarks formats and storages", key(Action::Benchmark)),
        ];
        let wide = lines.iter().map(|l| text::width(l)).max().unwrap_or(0) as u16;
        let x = area.x + area.width.saturating_sub(wide) / 2;
        let y = area.y + area.height.saturating_sub(lines.len() as u16) / 2;
        for (i, line) in lines.iter().enumerate().take(usize::from(area.height)) {
            let role = if i == 0 { Role::Text } else { Role::Dim };
            let row = (y + i as u16).min(area.bottom().saturating_sub(1));
            buf.set_stringn(x, row, line, usize::from(area.width), self.style(role));
        }
    }
}
