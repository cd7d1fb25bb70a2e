//! Templates to add a place from.

use super::list::shown;
use crate::action::Action;
use crate::config::{Shipped, Template};
use crate::screen::popup::framed;
use crate::screen::{Cx, Flow, Open, PlaceDraft, Screen};
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

/// Lines below the list for what the template under the cursor needs.
const NEEDS: u16 = 4;

/// The popup.
pub(in crate::screens) struct Templates {
    list: Vec<Template>,
    cursor: usize,
    top: usize,
    /// Names that are taken.
    taken: Vec<String>,
}

impl Templates {
    pub(in crate::screens) fn open(cx: &Cx) -> Self {
        let list = Shipped::load().map(|s| s.templates).unwrap_or_default();
        let taken = cx.config.places.keys().cloned().collect();
        Self { list, cursor: 0, top: 0, taken }
    }

    /// The proposed name, with a number where it is taken.
    fn name(&self, proposed: &str) -> String {
        let mut names = std::iter::once(proposed.to_owned()).chain((2_u32..).map(|n| format!("{proposed}-{n}")));
        names.find(|name| !self.taken.contains(name)).unwrap_or_default()
    }
}

impl Screen for Templates {
    fn contexts(&self) -> &'static [&'static str] {
        &["list", "global"]
    }

    fn title(&self) -> String {
        "add a place".into()
    }

    fn is_popup(&self) -> bool {
        true
    }

    fn update(&mut self, action: Action, _cx: &mut Cx) -> Flow {
        let last = self.list.len().saturating_sub(1);
        self.cursor = match action {
            Action::Up => self.cursor.checked_sub(1).unwrap_or(last),
            Action::Down if self.cursor == last => 0,
            Action::Down => self.cursor + 1,
            Action::PageUp | Action::HalfUp => self.cursor.saturating_sub(5),
            Action::PageDown | Action::HalfDown => self.cursor + 5,
            Action::Top => 0,
            Action::Bottom => last,
            Action::Enter | Action::Right => {
                let Some(template) = self.list.get(self.cursor) else { return Flow::Close };
                let draft = PlaceDraft {
                    former: None,
                    name: self.name(&template.name),
                    place: template.place(),
                    needs: template.needs.clone(),
                };
                return Flow::Replace(Open::PlaceForm(Box::new(draft)));
            }
            _ => return Flow::Ignored,
        }
        .min(last);
        Flow::Done
    }

    fn draw(&mut self, frame: &mut Frame, area: Rect, cx: &Cx) {
        let theme = &cx.theme;
        let height = self.list.len() as u16 + NEEDS + 3;
        let inner = framed(frame, area, 100, height, "Add a place: which kind?", cx);
        let below = if inner.height > 2 * NEEDS { NEEDS + 1 } else { 0 };
        let rows = Rect { height: inner.height - below, ..inner };
        let shown_lines = usize::from(rows.height);
        self.top = self.top.min(self.cursor).max((self.cursor + 1).saturating_sub(shown_lines));
        let names = self.list.iter().map(|t| text::width(&t.title)).max().unwrap_or(0);
        for (n, template) in self.list.iter().enumerate().skip(self.top).take(shown_lines) {
            let at = n == self.cursor;
            let mark = if at { "▸ " } else { "  " };
            let pad = " ".repeat(names + 2 - text::width(&template.title));
            let room = usize::from(rows.width).saturating_sub(names + 4);
            let dim = if at { Style::default() } else { theme.style(Role::Dim) };
            let name = shown(&template.title, usize::from(rows.width).saturating_sub(2));
            let mut spans = vec![Span::raw(mark), Span::raw(name), Span::raw(pad)];
            if room > 12 {
                spans.push(Span::styled(text::fit(&template.about, room).into_owned(), dim));
            }
            let style = if at { theme.style(Role::Cursor) } else { Style::default() };
            let area = Rect { y: rows.y + (n - self.top) as u16, height: 1, ..rows };
            frame.render_widget(Paragraph::new(Line::from(spans)).style(style), area);
        }
        if let Some(template) = self.list.get(self.cursor).filter(|_| below > 0) {
            let endpoint = template.endpoint.as_deref().filter(|e| !e.is_empty()).unwrap_or_default();
            let lines = vec![
                Line::styled(endpoint.to_owned(), theme.style(Role::Accent)),
                Line::from(vec![Span::styled("needs ", theme.style(Role::Dim)), Span::raw(template.needs.clone())]),
            ];
            let area = Rect { y: rows.bottom() + 1, height: NEEDS, ..inner };
            frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: true }), area);
        }
    }
}
