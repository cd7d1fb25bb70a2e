//! A map: what is drawn on it in braille dots over a ground of outlines and a graticule, with degrees at
//! its edges.
//!
//! ```text
//!  70°N ┤⠀⠀⢀⣀⡠⠤⠤⣀⡀⠀⠀⠀⠀⢀⣀
//!       │⠀⡔⠁⠀⠀⠀⠀⠀⠈⠢⡀⢀⠔⠁⠀⠑
//!  60°N ┤⠜⠀⠀⣤⣶⣶⡄⠀⠀⠀⠈⠁⠀⠀⠀⠀
//!       └───┬───────┬────────
//!          20°E    30°E
//! ```
//!
//! What is drawn is put on a [`Canvas`] before, in dots: it knows neither degrees nor data.

pub mod dots;

use dots::Dots;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::widgets::Widget;

/// Dots of a cell, across and down.
pub const DOTS: (u16, u16) = (2, 4);

/// Bits of a braille character by column and row of its dots (Unicode, chapter 21.1).
const BITS: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// Dots to be shown as braille: those of the data over those of the ground, each with an ink (0 none).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Canvas {
    columns: u16,
    rows: u16,
    ground: Vec<u8>,
    data: Vec<u8>,
}

/// One of the two layers of a canvas, to be drawn on.
pub struct Layer<'a> {
    size: (i32, i32),
    dots: &'a mut [u8],
}

impl Dots for Layer<'_> {
    fn size(&self) -> (i32, i32) {
        self.size
    }

    fn set(&mut self, x: i32, y: i32, ink: u8) {
        if let Some(dot) = self.dots.get_mut(y as usize * self.size.0 as usize + x as usize) {
            *dot = ink;
        }
    }

    /// One dot in eight, each line set off against the one above, so that outlines stay to be seen.
    fn shade(&mut self, x: i32, y: i32, ink: u8) {
        if y % 2 == 0 && (x + y) % 4 == 0 {
            self.set(x, y, ink);
        }
    }
}

impl Canvas {
    /// An empty one of so many cells.
    pub fn new(columns: u16, rows: u16) -> Self {
        let dots = usize::from(columns * DOTS.0) * usize::from(rows * DOTS.1);
        Self { columns, rows, ground: vec![0; dots], data: vec![0; dots] }
    }

    fn size(&self) -> (i32, i32) {
        (i32::from(self.columns * DOTS.0), i32::from(self.rows * DOTS.1))
    }

    /// The layer below: outlines, a graticule. Where several inks meet in a cell the largest shows.
    pub fn ground(&mut self) -> Layer<'_> {
        Layer { size: self.size(), dots: &mut self.ground }
    }

    /// The layer of the data. A cell shows the ink of most of its dots.
    pub fn data(&mut self) -> Layer<'_> {
        Layer { size: self.size(), dots: &mut self.data }
    }

    /// Braille bits and ink of a cell of a layer.
    fn cell(&self, layer: &[u8], column: u16, row: u16, choose: fn(&[u8]) -> u8) -> Option<(u8, u8)> {
        let width = usize::from(self.columns * DOTS.0);
        let (mut bits, mut inks, mut n) = (0, [0; 8], 0);
        for (x, column_bits) in BITS.iter().enumerate() {
            for (y, bit) in column_bits.iter().enumerate() {
                let at = (usize::from(row * DOTS.1) + y) * width + usize::from(column * DOTS.0) + x;
                let ink = layer.get(at).copied().unwrap_or_default();
                if ink > 0 {
                    bits |= bit;
                    inks[n] = ink;
                    n += 1;
                }
            }
        }
        (n > 0).then(|| (bits, choose(&inks[..n])))
    }
}

/// The ink of most dots; of several that are equally many the middle one, so that it is steady.
fn majority(inks: &[u8]) -> u8 {
    let count = |ink: u8| inks.iter().map(|i| usize::from(*i == ink)).sum::<usize>();
    let most = inks.iter().map(|&ink| count(ink)).max().unwrap_or(0);
    let mut candidates: Vec<u8> = inks.iter().copied().filter(|&ink| count(ink) == most).collect();
    candidates.sort_unstable();
    candidates.get(candidates.len() / 2).copied().unwrap_or(0)
}

fn largest(inks: &[u8]) -> u8 {
    inks.iter().copied().max().unwrap_or(0)
}

/// A value at an edge of the map.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    /// Cells from the left (below the map) or from the top (beside it).
    pub at: u16,
    /// `60°N`
    pub label: String,
}

/// How the parts look.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// By the ink of the data, 1 first.
    pub inks: Vec<Style>,
    /// Characters by the ink of the data, 1 first, where colour cannot tell inks apart.
    pub marks: Option<Vec<char>>,
    /// By the ink of the ground, 1 first.
    pub ground: Vec<Style>,
    /// Frame and ticks.
    pub frame: Style,
    /// Words at the ticks.
    pub label: Style,
    /// Marks of the cursor in the frame and on the map.
    pub cursor: Style,
    /// A rectangle that is being chosen.
    pub chosen: Style,
}

/// The map. See the module's picture; [`Map::inner`] tells the cells that the canvas takes.
pub struct Map<'a> {
    /// What is on it; `None` where something else will be put into [`Map::inner`].
    pub canvas: Option<&'a Canvas>,
    /// Below it, from the left.
    pub below: &'a [Tick],
    /// Beside it, from the top.
    pub beside: &'a [Tick],
    /// Columns for the labels beside it.
    pub gutter: u16,
    /// The cursor's column and row.
    pub cursor: Option<(u16, u16)>,
    /// A rectangle in cells: columns and rows of two opposite corners.
    pub chosen: Option<[(u16, u16); 2]>,
    /// Looks.
    pub look: &'a Look,
}

impl Map<'_> {
    /// The cells of the map itself within `area`, given the columns for labels beside it.
    pub fn inner(area: Rect, gutter: u16) -> Rect {
        let (left, below) = (gutter + 1, 2);
        Rect {
            x: area.x + left.min(area.width),
            y: area.y,
            width: area.width.saturating_sub(left),
            height: area.height.saturating_sub(below),
        }
    }

    /// Draws what is on the canvas into `area`, without a frame.
    pub fn draw_only(&self, area: Rect, buffer: &mut Buffer) {
        if let Some(canvas) = self.canvas {
            self.draw_canvas(canvas, area.intersection(buffer.area), buffer);
        }
    }

    fn draw_frame(&self, area: Rect, inner: Rect, buffer: &mut Buffer) {
        let (left, bottom) = (inner.x.saturating_sub(1), inner.bottom());
        for y in inner.top()..inner.bottom() {
            put(buffer, (left, y), '│', self.look.frame);
        }
        for x in inner.left()..inner.right() {
            put(buffer, (x, bottom), '─', self.look.frame);
        }
        put(buffer, (left, bottom), '└', self.look.frame);
        for tick in self.beside.iter().filter(|t| t.at < inner.height) {
            put(buffer, (left, inner.y + tick.at), '┤', self.look.frame);
            let width = tick.label.chars().count() as u16;
            let x = left.saturating_sub(width + 1).max(area.x);
            buffer.set_stringn(x, inner.y + tick.at, &tick.label, self.gutter as usize, self.look.label);
        }
        let mut free = area.x;
        for tick in self.below.iter().filter(|t| t.at < inner.width) {
            put(buffer, (inner.x + tick.at, bottom), '┬', self.look.frame);
            let width = tick.label.chars().count() as u16;
            let x = (inner.x + tick.at).saturating_sub(width / 2).min(area.right().saturating_sub(width));
            if x >= free {
                buffer.set_stringn(x, bottom + 1, &tick.label, width as usize, self.look.label);
                free = x + width + 2;
            }
        }
        if let Some((column, row)) = self.cursor {
            put(buffer, (left, inner.y + row), '▶', self.look.cursor);
            put(buffer, (inner.x + column, bottom), '▲', self.look.cursor);
        }
    }

    fn draw_canvas(&self, canvas: &Canvas, inner: Rect, buffer: &mut Buffer) {
        for row in 0..inner.height.min(canvas.rows) {
            for column in 0..inner.width.min(canvas.columns) {
                let at = (inner.x + column, inner.y + row);
                let style = |styles: &[Style], ink: u8| {
                    let last = styles.last().copied().unwrap_or_default();
                    styles.get(usize::from(ink) - 1).copied().unwrap_or(last)
                };
                if let Some((bits, ink)) = canvas.cell(&canvas.data, column, row, majority) {
                    let mark = self.look.marks.as_ref().and_then(|marks| marks.get(usize::from(ink) - 1)).copied();
                    put(buffer, at, mark.unwrap_or_else(|| braille(bits)), style(&self.look.inks, ink));
                } else if let Some((bits, ink)) = canvas.cell(&canvas.ground, column, row, largest) {
                    put(buffer, at, braille(bits), style(&self.look.ground, ink));
                }
            }
        }
    }

    fn draw_cursor(&self, inner: Rect, buffer: &mut Buffer) {
        if let Some([a, b]) = self.chosen {
            let (x, y) = ((a.0.min(b.0), a.0.max(b.0)), (a.1.min(b.1), a.1.max(b.1)));
            for column in x.0..=x.1 {
                for row in y.0..=y.1 {
                    if column == x.0 || column == x.1 || row == y.0 || row == y.1 {
                        restyle(buffer, inner, (column, row), self.look.chosen);
                    }
                }
            }
        }
        if let Some(cursor) = self.cursor {
            restyle(buffer, inner, cursor, self.look.cursor);
            if let Some(cell) = buffer.cell_mut((inner.x + cursor.0, inner.y + cursor.1))
                && matches!(cell.symbol(), " " | "⠀")
            {
                cell.set_char('┼').fg = self.look.cursor.fg.unwrap_or(Color::Reset);
            }
        }
    }
}

fn braille(bits: u8) -> char {
    char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' ')
}

fn put(buffer: &mut Buffer, at: (u16, u16), symbol: char, style: Style) {
    if let Some(cell) = buffer.cell_mut(at) {
        cell.set_char(symbol).set_style(style);
    }
}

/// Another ground below a cell, whose symbol keeps its colour.
fn restyle(buffer: &mut Buffer, inner: Rect, at: (u16, u16), style: Style) {
    let inside = at.0 < inner.width && at.1 < inner.height;
    if inside && let Some(cell) = buffer.cell_mut((inner.x + at.0, inner.y + at.1)) {
        let kept = if style.add_modifier.is_empty() { Style { fg: None, ..style } } else { style };
        cell.set_style(kept);
    }
}

impl Widget for Map<'_> {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        let inner = Self::inner(area, self.gutter);
        if inner.is_empty() || inner.right() > buffer.area.right() || area.bottom() > buffer.area.bottom() {
            return;
        }
        self.draw_frame(area, inner, buffer);
        if let Some(canvas) = self.canvas {
            self.draw_canvas(canvas, inner, buffer);
            self.draw_cursor(inner, buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_covers_the_ground_and_most_dots_give_the_colour() {
        let mut canvas = Canvas::new(4, 2);
        dots::line(&mut canvas.ground(), [0.0, 5.5], [7.5, 5.5], 1);
        for (x, y, ink) in [(2.0, 4.0, 1), (3.0, 4.0, 2), (3.0, 5.0, 2)] {
            dots::point(&mut canvas.data(), [x, y], ink);
        }
        let style = |colour| Style::new().fg(colour);
        let look = Look {
            inks: vec![style(Color::Red), style(Color::Blue)],
            ground: vec![style(Color::Gray)],
            ..Look::default()
        };
        let below = [Tick { at: 2, label: "20°E".into() }];
        let beside = [Tick { at: 0, label: "60°N".into() }];
        let map = Map {
            canvas: Some(&canvas),
            below: &below,
            beside: &beside,
            gutter: 5,
            cursor: None,
            chosen: None,
            look: &look,
        };
        let area = Rect::new(0, 0, 10, 4);
        let mut buffer = Buffer::empty(area);
        map.render(area, &mut buffer);
        let lines: Vec<String> =
            (0..4).map(|y| (0..10).map(|x| buffer[(x, y)].symbol().to_owned()).collect()).collect();
        assert_eq!(lines, ["60°N ┤    ", "     │⠒⠙⠒⠒", "     └──┬─", "      20°E"]);
        assert_eq!((buffer[(7, 1)].fg, buffer[(8, 1)].fg), (Color::Blue, Color::Gray));
    }

    #[test]
    fn a_tie_is_steady() {
        assert_eq!(majority(&[3, 1]), majority(&[1, 3]));
        assert_eq!(majority(&[1, 9, 9, 5]), 9);
    }
}
