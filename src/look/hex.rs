//! Bytes: offset, hexadecimal, characters.

use crate::preview::Hex;
use crate::screen::Cx;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

pub(super) fn draw(hex: &Hex, first: usize, frame: &mut Frame, area: Rect, cx: &Cx) {
    let theme = &cx.theme;
    // Offset 8, three columns a byte, a gap, one column a character.
    let per_line = if area.width as usize >= 10 + 16 * 4 { 16 } else { 8 };
    let lines = hex.bytes.chunks(per_line).enumerate().skip(first * 16 / per_line).take(area.height as usize);
    let lines = lines.map(|(i, bytes)| {
        let digits: String = bytes.iter().map(|b| format!("{b:02x} ")).collect::<Vec<_>>().concat();
        let chars: String =
            bytes.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { *b as char } else { '.' }).collect();
        Line::from(vec![
            Span::styled(format!("{:08x}  ", hex.offset + (i * per_line) as u64), theme.style(Role::Dim)),
            Span::styled(format!("{digits:<width$} ", width = per_line * 3), theme.style(Role::Number)),
            Span::styled(chars, theme.style(Role::String)),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}
