//! All columns by name, found as one types; Enter goes there.

use super::sheet::Sheet;
use crate::action::Action;
use crate::screen::Cx;
use crate::screen::popup::framed;
use crate::screens::popup;
use crate::text;
use crate::theme::Role;
use crate::widgets::input::{Edit, Input};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// The popup.
pub(super) struct Find {
    input: Input,
    /// Columns that fit, by their place in the file, the best first.
    found: Vec<usize>,
    at: usize,
    top: usize,
}

impl Find {
    pub(super) fn open(sheet: &Sheet) -> Self {
        let mut find = Self { input: Input::default(), found: Vec::new(), at: 0, top: 0 };
        find.search(sheet);
        find.at = sheet.columns.id(sheet.at).unwrap_or(0);
        find
    }

    fn search(&mut self, sheet: &Sheet) {
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(self.input.text(), CaseMatching::Smart, Normalization::Smart);
        let mut buffer = Vec::new();
        let columns = (0..sheet.columns.total()).filter_map(|id| Some((id, sheet.columns.by_id(id)?)));
        let mut found: Vec<(u32, usize)> = columns
            .filter_map(|(id, column)| {
                let name = Utf32Str::new(&column.heads[0], &mut buffer);
                pattern.score(name, &mut matcher).map(|score| (score, id))
            })
            .collect();
        found.sort_by_key(|(score, id)| (std::cmp::Reverse(*score), *id));
        self.found = found.into_iter().map(|(_, id)| id).collect();
        self.at = 0;
    }

    /// Moves; tells whether it was a movement.
    pub(super) fn update(&mut self, action: Action) -> bool {
        self.at = match action {
            Action::Up => self.at.saturating_sub(1),
            Action::Down => self.at + 1,
            _ => return false,
        }
        .min(self.found.len().saturating_sub(1));
        true
    }

    pub(super) fn edit(&mut self, edit: &Edit, sheet: &Sheet) {
        if self.input.apply(edit) {
            self.search(sheet);
        }
    }

    /// The column under the cursor.
    pub(super) fn chosen(&self) -> Option<usize> {
        self.found.get(self.at).copied()
    }

    pub(super) fn draw(&mut self, sheet: &Sheet, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let height = (sheet.columns.total() as u16).saturating_add(3).clamp(5, 22);
        let title = format!("Columns: {} of {}", self.found.len(), sheet.columns.total());
        let inner = framed(frame, area, 78, height, &title, cx);
        frame.render_widget(Paragraph::new(popup::input_line(&self.input, inner.width, "f", cx)), inner);
        let list = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
        let room = usize::from(list.height.max(1));
        self.top = self.top.min(self.at).max((self.at + 1).saturating_sub(room));
        let names = (usize::from(list.width) / 2).max(12);
        for (i, y) in (self.top..self.found.len()).zip(list.y..list.bottom()) {
            let Some(column) = sheet.columns.by_id(self.found[i]) else { continue };
            let is_at = i == self.at;
            let ink = |role| if is_at { Style::default() } else { theme.style(role) };
            let name = text::fit(&column.heads[0], names).into_owned();
            let pad = " ".repeat(names.saturating_sub(text::width(&name)) + 1);
            let hidden = if column.is_hidden() { "hidden  " } else { "" };
            let line = Line::from(vec![
                Span::styled(format!(" {name}{pad}"), ink(Role::Name)),
                Span::styled(format!("{}  ", text::fit(&column.heads[1], 24)), ink(Role::Dim)),
                Span::styled(hidden, ink(Role::Warn)),
                Span::styled(column.heads[2].clone(), ink(Role::Dim)),
            ]);
            let style = if is_at { theme.style(Role::Cursor) } else { Style::default() };
            frame.render_widget(Paragraph::new(line).style(style), Rect { y, height: 1, ..list });
        }
    }
}
