//! Nested things.

use crate::preview::Tree;
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub(super) fn draw(tree: &Tree, first: usize, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    let lines = tree.nodes.iter().skip(first).take(area.height as usize).map(|node| {
        let indent = "  ".repeat(node.depth.min(20) as usize);
        let name = text::clean(&node.name).into_owned();
        let used = indent.len() + text::width(&name) + 2;
        let room = (area.width as usize).saturating_sub(used);
        let detail = text::fit(&text::clean(&node.detail), room).into_owned();
        let role = if node.target.is_some() { Role::Container } else { Role::Name };
        Line::from(vec![
            Span::raw(indent),
            Span::styled(name, theme.style(role)),
            Span::raw("  "),
            Span::styled(detail, theme.style(Role::Dim)),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}
