//! Nested things.

use crate::preview::Tree;
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

/// Draws it from the node `first` on; `cursor` is the node that the keys are at.
pub(super) fn draw(tree: &Tree, first: usize, cursor: Option<usize>, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    let lines = tree.nodes.iter().enumerate().skip(first).take(area.height as usize).map(|(i, node)| {
        let is_at = cursor == Some(i);
        let ink = |role| if is_at { Style::default() } else { theme.style(role) };
        let indent = "  ".repeat(node.depth.min(20) as usize);
        let name = text::clean(&node.name).into_owned();
        let used = indent.len() + text::width(&name) + 2;
        let room = (area.width as usize).saturating_sub(used);
        let detail = text::fit(&text::clean(&node.detail), room).into_owned();
        let role = if node.target.is_some() { Role::Container } else { Role::Name };
        let rest = room.saturating_sub(text::width(&detail));
        let line = Line::from(vec![
            Span::raw(indent),
            Span::styled(name, ink(role)),
            Span::raw("  "),
            Span::styled(detail, ink(Role::Dim)),
            Span::raw(" ".repeat(if is_at { rest } else { 0 })),
        ]);
        if is_at { line.style(theme.style(Role::Cursor)) } else { line }
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}
