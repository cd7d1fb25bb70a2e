//! A picture out of half-blocks, as a plain widget. Where the terminal may show it better, use
//! [`crate::terminal::Gallery::place`].

use crate::picture::Picture;
use crate::terminal::Graphics;
use crate::terminal::graphics::{fit, halfblocks};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::Widget;

/// Draws a picture as large as fits, centred, with its shape kept.
pub struct HalfBlocks<'a> {
    /// What to draw.
    pub picture: &'a Picture,
    /// Half-blocks or letters.
    pub glyphs: halfblocks::Glyphs,
}

impl Widget for HalfBlocks<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let screen = buffer.area;
        if let Some(fit) = fit(self.picture, area.intersection(screen), screen, (8, 16), Graphics::HalfBlocks) {
            let small = self.picture.resized(u32::from(fit.halves.0), u32::from(fit.halves.1));
            halfblocks::draw(buffer, &fit, &small, self.glyphs, |_| true);
        }
    }
}
