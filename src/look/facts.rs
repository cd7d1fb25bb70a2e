//! Names and values.

use crate::preview::Facts;
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub(super) fn draw(facts: &Facts, first: usize, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    let longest = facts.rows.iter().map(|(name, _)| text::width(name)).max().unwrap_or(0);
    let names = longest.clamp(6, (area.width as usize / 3).max(6));
    let lines = facts.rows.iter().skip(first).take(area.height as usize).map(|(name, value)| {
        if value.is_empty() {
            return Line::styled(text::clean(name).into_owned(), theme.style(Role::Title));
        }
        let name = text::fit(&text::clean(name), names).into_owned();
        let pad = " ".repeat((names + 2).saturating_sub(text::width(&name)));
        let room = (area.width as usize).saturating_sub(names + 2);
        let value = text::fit(&text::clean(value), room).into_owned();
        Line::from(vec![Span::styled(name, theme.style(Role::Name)), Span::raw(pad), Span::raw(value)])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}
