//! Pictures out of characters: two pixels to a cell, or a letter by its weight.

use super::Fit;
use crate::picture::Picture;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;

/// What a picture is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// `▀` with two colours.
    #[default]
    HalfBlocks,
    /// ASCII, dense where it is light.
    Letters,
}

/// From dark to light, on a dark ground.
const RAMP: &[u8; 10] = b" .:-=+*#%@";

/// Draws `small`, a picture of `fit.halves` pixels, into those cells of `fit.cells` that `may`
/// be drawn. Transparent pixels leave the background.
pub fn draw(buffer: &mut Buffer, fit: &Fit, small: &Picture, glyphs: Glyphs, mut may: impl FnMut(&mut Cell) -> bool) {
    // The picture may be half a cell narrower than the cells it touches.
    for position in fit.cells.positions() {
        let Some(cell) = buffer.cell_mut(position) else { continue };
        if !may(cell) {
            continue;
        }
        let (x, y) = (u32::from(position.x - fit.cells.x), u32::from(position.y - fit.cells.y));
        let pair = (opaque(small.pixel(x, y * 2)), opaque(small.pixel(x, y * 2 + 1)));
        match glyphs {
            Glyphs::HalfBlocks => blocks(cell, pair),
            Glyphs::Letters => letter(cell, pair),
        }
    }
}

type Rgb = [u8; 3];

fn opaque([r, g, b, a]: [u8; 4]) -> Option<Rgb> {
    (a >= 128).then_some([r, g, b])
}

fn colour([r, g, b]: Rgb) -> Color {
    Color::Rgb(r, g, b)
}

fn blocks(cell: &mut Cell, pair: (Option<Rgb>, Option<Rgb>)) {
    match pair {
        (None, None) => cell.set_char(' '),
        // One byte instead of three, and nothing to see when the font's block has gaps.
        (Some(above), Some(below)) if above == below => cell.set_char(' ').set_bg(colour(above)),
        (Some(above), Some(below)) => cell.set_char('▀').set_fg(colour(above)).set_bg(colour(below)),
        (Some(above), None) => cell.set_char('▀').set_fg(colour(above)),
        (None, Some(below)) => cell.set_char('▄').set_fg(colour(below)),
    };
}

fn letter(cell: &mut Cell, pair: (Option<Rgb>, Option<Rgb>)) {
    let mean = match pair {
        (Some(a), Some(b)) => [0, 1, 2].map(|i| a[i].midpoint(b[i])),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => {
            cell.set_char(' ');
            return;
        }
    };
    // Rec. 709 luma, in thousandths.
    let luma = (u32::from(mean[0]) * 213 + u32::from(mean[1]) * 715 + u32::from(mean[2]) * 72) / 1000;
    let at = (luma as usize * RAMP.len() / 256).min(RAMP.len() - 1);
    // A letter at full brightness: its weight already says how light the pixel is.
    cell.set_char(char::from(RAMP[at])).set_fg(colour(mean.map(|v| v.saturating_add(64))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;

    fn drawn(pixels: &[[u8; 4]], width: u32, glyphs: Glyphs) -> Buffer {
        let height = pixels.len() as u32 / width;
        let small = Picture { width, height, rgba: pixels.concat().into() };
        let area = Rect::new(0, 0, width as u16, (height as u16).div_ceil(2));
        let mut buffer = Buffer::empty(area);
        let fit = Fit { cells: area, pixels: (width, height), halves: (width as u16, height as u16) };
        draw(&mut buffer, &fit, &small, glyphs, |_| true);
        buffer
    }

    const RED: [u8; 4] = [255, 0, 0, 255];
    const BLUE: [u8; 4] = [0, 0, 255, 255];
    const CLEAR: [u8; 4] = [9, 9, 9, 0];

    #[test]
    fn a_cell_holds_two_pixels_and_leaves_transparent_ones_out() {
        let buffer = drawn(&[RED, CLEAR, CLEAR, RED, BLUE, BLUE, CLEAR, RED], 4, Glyphs::HalfBlocks);
        let look: Vec<_> = buffer.content.iter().map(|c| (c.symbol(), c.fg, c.bg)).collect();
        let (red, blue, none) = (Color::Rgb(255, 0, 0), Color::Rgb(0, 0, 255), Color::Reset);
        assert_eq!(look, [("▀", red, blue), ("▄", blue, none), (" ", none, none), (" ", none, red)]);
    }

    #[test]
    fn an_odd_number_of_rows_ends_in_background() {
        let buffer = drawn(&[RED, BLUE, RED], 1, Glyphs::HalfBlocks);
        assert_eq!((buffer[(0, 1)].symbol(), buffer[(0, 1)].bg), ("▀", Color::Reset));
    }

    #[test]
    fn letters_weigh_as_much_as_the_pixel_is_light() {
        let white = [255; 4];
        let buffer = drawn(&[white, [0, 0, 0, 255], CLEAR, white, [0, 0, 0, 255], CLEAR], 3, Glyphs::Letters);
        assert_eq!(buffer.content.iter().map(|c| c.symbol().to_owned()).collect::<String>(), "@  ");
    }
}
