//! Where a picture goes.

use super::super::caps::Graphics;
use crate::picture::Picture;
use ratatui::layout::Rect;

/// The place of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The cells that it touches.
    pub cells: Rect,
    /// Its size in pixels of the terminal.
    pub pixels: (u32, u32),
    /// Its size in dots, where it is made of characters.
    pub dots: (u16, u16),
}

/// The largest place within `area` of `screen` that keeps the shape of the picture, centred.
/// `cell` is the size of a cell in pixels. `None` where there is nothing to show, or no room.
pub fn fit(picture: &Picture, area: Rect, screen: Rect, cell: (u16, u16), graphics: Graphics) -> Option<Fit> {
    let mut area = area;
    // A sixel picture that touches the last line scrolls the screen.
    if graphics == Graphics::Sixel && area.bottom() == screen.bottom() {
        area.height = area.height.saturating_sub(1);
    }
    if graphics == Graphics::None || picture.is_empty() || area.is_empty() {
        return None;
    }
    let cell = (f64::from(cell.0.max(1)), f64::from(cell.1.max(1)));
    let room = (f64::from(area.width) * cell.0, f64::from(area.height) * cell.1);
    let scale = (room.0 / f64::from(picture.width)).min(room.1 / f64::from(picture.height));
    let width = (f64::from(picture.width) * scale).clamp(1.0, room.0);
    let height = (f64::from(picture.height) * scale).clamp(1.0, room.1);
    let grid = graphics.grid();
    let dots = |length: f64, cell: f64, grid: u16, room: u16| {
        ((length / cell * f64::from(grid)).round() as u16).clamp(1, room.saturating_mul(grid))
    };
    let dots = (dots(width, cell.0, grid.0, area.width), dots(height, cell.1, grid.1, area.height));
    let mut pixels = (width.round() as u32, height.round() as u32);
    let (columns, rows) = if graphics.is_characters() {
        (dots.0.div_ceil(grid.0), dots.1.div_ceil(grid.1))
    } else {
        // Terminals paint whole bands of six.
        if graphics == Graphics::Sixel && pixels.1 > 6 {
            pixels.1 -= pixels.1 % 6;
        }
        ((f64::from(pixels.0) / cell.0).ceil() as u16, (f64::from(pixels.1) / cell.1).ceil() as u16)
    };
    let (columns, rows) = (columns.clamp(1, area.width), rows.clamp(1, area.height));
    let dots = (dots.0.min(columns * grid.0), dots.1.min(rows * grid.1));
    let cells = Rect {
        x: area.x + (area.width - columns) / 2,
        y: area.y + (area.height - rows) / 2,
        width: columns,
        height: rows,
    };
    Some(Fit { cells, pixels, dots })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32) -> Picture {
        Picture { width, height, rgba: vec![0; (width * height * 4) as usize].into() }
    }

    fn placed(size: (u32, u32), area: Rect, graphics: Graphics) -> Fit {
        fit(&picture(size.0, size.1), area, Rect::new(0, 0, 80, 24), (8, 16), graphics).expect("fits")
    }

    #[test]
    fn the_shape_is_kept_and_the_rest_is_margin() {
        let square = placed((100, 100), Rect::new(10, 2, 40, 10), Graphics::HalfBlocks);
        assert_eq!(square.cells, Rect::new(20, 2, 20, 10));
        assert_eq!(square.dots, (40, 20));
        let dots = placed((100, 100), Rect::new(10, 2, 40, 10), Graphics::Braille).dots;
        assert_eq!(dots, (40, 40));
        let wide = placed((400, 100), Rect::new(0, 0, 40, 20), Graphics::Kitty);
        assert_eq!((wide.pixels, wide.cells), ((320, 80), Rect::new(0, 7, 40, 5)));
    }

    #[test]
    fn a_sixel_picture_never_touches_the_last_line() {
        let fit = placed((100, 100), Rect::new(0, 0, 80, 24), Graphics::Sixel);
        assert_eq!(fit.cells.bottom(), 23);
        assert_eq!(fit.pixels.1 % 6, 0);
    }

    #[test]
    fn extreme_shapes_still_fit() {
        for size in [(1, 4000), (4000, 1), (1, 1)] {
            for graphics in
                [Graphics::HalfBlocks, Graphics::Sextants, Graphics::Braille, Graphics::Kitty, Graphics::Sixel]
            {
                let area = Rect::new(3, 3, 7, 5);
                let fit = placed(size, area, graphics);
                assert_eq!(area.intersection(fit.cells), fit.cells, "{size:?} {graphics:?}");
                assert!(fit.dots.0 >= 1 && fit.dots.1 >= 1);
            }
        }
        assert!(fit(&picture(0, 0), Rect::new(0, 0, 9, 9), Rect::new(0, 0, 9, 9), (8, 16), Graphics::Kitty).is_none());
        assert!(fit(&picture(4, 4), Rect::ZERO, Rect::ZERO, (0, 0), Graphics::Kitty).is_none());
    }
}
