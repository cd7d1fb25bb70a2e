//! A picture, and a line about how its values became colours.

use crate::preview::Raster;
use crate::screen::Cx;
use crate::text;
use crate::theme::Role;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::widgets::Paragraph;

pub(super) fn draw(raster: &Raster, frame: &mut Frame, area: Rect, cx: &Cx) {
    let [picture, words] = Layout::vertical([Constraint::Min(1), Constraint::Length(1)]).areas(area);
    let line = text::fit(&text::clean(&raster.stretch), area.width as usize).into_owned();
    frame.render_widget(Paragraph::new(line).style(cx.theme.style(Role::Dim)), words);
    cx.gallery.place(frame.buffer_mut(), picture, 0, &raster.picture);
}
