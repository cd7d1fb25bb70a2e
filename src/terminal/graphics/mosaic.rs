//! Pictures out of characters. Each cell has two colours and a glyph that shares it between them; both are chosen
//! so that they come nearest to the picture there (the smallest sum of squares), as chafa does
//! (<https://hpjansson.org/chafa/>). Without colours or Unicode: a letter by its weight.

use super::Fit;
use super::shades::Shades;
use crate::picture::Picture;
use crate::terminal::caps::{Colours, Graphics};
use crate::terminal::colour;
use ratatui::buffer::{Buffer, Cell};
use ratatui::style::Color;

/// What a picture is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Glyphs {
    /// `▀ ▄ ▌ ▐`: in every font.
    #[default]
    HalfBlocks,
    /// `░ ▒ ▓` beside halves, where there are sixteen colours: these are in every font too.
    Shades,
    /// Two by three blocks (Unicode 13, U+1FB00): not in every font.
    Sextants,
    /// Two by four dots (U+2800).
    Braille,
    /// ASCII, dense where it is light.
    Letters,
}

/// Dots of a cell, across and down.
pub(super) type Grid = (u16, u16);

impl Graphics {
    /// Dots that a cell has where pictures are made of characters, as they are until the terminal's own protocol
    /// is ready.
    pub(super) fn grid(self) -> Grid {
        match self {
            Self::Sextants => (2, 3),
            Self::Braille => (2, 4),
            _ => (2, 2),
        }
    }
}

impl Glyphs {
    /// Those that can be shown.
    pub(super) fn of(graphics: Graphics, unicode: bool, colours: Colours) -> Self {
        match graphics {
            _ if !unicode || colours == Colours::None => Self::Letters,
            Graphics::Sextants => Self::Sextants,
            Graphics::Braille => Self::Braille,
            _ if colours == Colours::Ansi16 => Self::Shades,
            _ => Self::HalfBlocks,
        }
    }
}

type Rgb = [u8; 3];

/// What stands in a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tile {
    glyph: char,
    /// Colour of the glyph, and of what is behind it; `None` leaves what is there.
    front: Option<Rgb>,
    back: Option<Rgb>,
}

/// The tiles of `small`, a picture of the dots of `cells` columns and rows, row by row.
pub(super) fn tiles(small: &Picture, cells: (u16, u16), grid: Grid, glyphs: Glyphs, colours: Colours) -> Vec<Tile> {
    let mut tiles = Vec::with_capacity(usize::from(cells.0) * usize::from(cells.1));
    let mut dots = Vec::with_capacity(8);
    let mut shades = (glyphs == Glyphs::Shades).then(Shades::new);
    for row in 0..u32::from(cells.1) {
        for column in 0..u32::from(cells.0) {
            let (across, down) = (u32::from(grid.0), u32::from(grid.1));
            dots.clear();
            dots.extend((0..down * across).map(|i| {
                let [r, g, b, a] = small.pixel(column * across + i % across, row * down + i / across);
                (a >= 128).then_some([r, g, b])
            }));
            if let Some((shades, halves)) = shades.as_mut().zip(halves(&dots)) {
                let (glyph, front, back) = shades.cell(halves);
                tiles.push(Tile { glyph, front: Some(front), back: Some(back) });
                continue;
            }
            let mut tile = tile(&dots, glyphs);
            tile.front = tile.front.map(|colour| dithered(colour, (column, row * 2), colours));
            let below = if tile.front.is_some() { row * 2 + 1 } else { row };
            tile.back = tile.back.map(|colour| dithered(colour, (column, below), colours));
            tiles.push(tile);
        }
    }
    tiles
}

/// The colours of the upper and the lower half of a cell of two by two dots, where nothing of it is transparent.
fn halves(dots: &[Option<Rgb>]) -> Option<[Rgb; 2]> {
    let half = |dots: &[Option<Rgb>]| dots.iter().all(Option::is_some).then(|| mean(dots.iter().flatten()))?;
    let (upper, lower) = dots.split_at_checked(2)?;
    Some([half(upper)?, half(lower)?])
}

/// Puts tiles into those cells of `fit.cells` that `may` be drawn.
pub(super) fn draw(buffer: &mut Buffer, fit: &Fit, tiles: &[Tile], mut may: impl FnMut(&mut Cell) -> bool) {
    for (position, tile) in fit.cells.positions().zip(tiles) {
        let Some(cell) = buffer.cell_mut(position) else { continue };
        if !may(cell) {
            continue;
        }
        cell.set_char(tile.glyph);
        if let Some([r, g, b]) = tile.front {
            cell.set_fg(Color::Rgb(r, g, b));
        }
        if let Some([r, g, b]) = tile.back {
            cell.set_bg(Color::Rgb(r, g, b));
        }
    }
}

/// From dark to light, on a dark ground.
const RAMP: &[u8; 10] = b" .:-=+*#%@";

fn letter(dots: &[Option<Rgb>]) -> Tile {
    let Some(mean) = mean(dots.iter().flatten()) else { return Tile { glyph: ' ', front: None, back: None } };
    // Rec. 709 luma, in thousandths.
    let luma = (u32::from(mean[0]) * 213 + u32::from(mean[1]) * 715 + u32::from(mean[2]) * 72) / 1000;
    let at = (luma as usize * RAMP.len() / 256).min(RAMP.len() - 1);
    // A letter at full brightness: its weight already says how light the pixel is.
    let front = mean.map(|v| v.saturating_add(64));
    Tile { glyph: char::from(RAMP[at]), front: Some(front), back: None }
}

/// The halves of a cell of two by two dots, a bit a dot.
const HALVES: [(u8, char); 4] = [(0b0011, '▀'), (0b0101, '▌'), (0b1100, '▄'), (0b1010, '▐')];

fn tile(dots: &[Option<Rgb>], glyphs: Glyphs) -> Tile {
    if glyphs == Glyphs::Letters {
        return letter(dots);
    }
    let opaque = dots.iter().enumerate().filter(|(_, dot)| dot.is_some()).fold(0_u8, |mask, (i, _)| mask | 1 << i);
    let all = u8::MAX >> (8 - dots.len().clamp(1, 8));
    if opaque == all {
        let mut known = [[0; 3]; 8];
        known.iter_mut().zip(dots.iter().flatten()).for_each(|(slot, dot)| *slot = *dot);
        return solid(&known[..dots.len().min(8)], glyphs);
    }
    let (mask, glyph) = match glyphs {
        Glyphs::HalfBlocks | Glyphs::Shades => {
            let choices = HALVES.into_iter().chain([(all, '█'), (0, ' ')]);
            choices.min_by_key(|(mask, _)| (mask ^ opaque).count_ones()).unwrap_or((0, ' '))
        }
        _ => (opaque, glyph(opaque, glyphs)),
    };
    let shown = dots.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).filter_map(|(_, dot)| dot.as_ref());
    Tile { glyph, front: mean(shown), back: None }
}

/// A cell without transparent dots.
fn solid(dots: &[Rgb], glyphs: Glyphs) -> Tile {
    let one = |colour| Tile { glyph: ' ', front: None, back: Some(colour) };
    if dots.iter().all(|dot| *dot == dots[0]) {
        // One byte instead of three, and nothing to see where the font's block has gaps.
        return one(dots[0]);
    }
    let is_halves = matches!(glyphs, Glyphs::HalfBlocks | Glyphs::Shades);
    let nearest =
        |masks: &mut dyn Iterator<Item = u8>| masks.map(|mask| share(dots, mask)).min_by_key(|(error, ..)| *error);
    let best = if is_halves {
        nearest(&mut HALVES[..2].iter().map(|(mask, _)| *mask))
    } else {
        nearest(&mut splits(dots).into_iter())
    };
    let Some((_, mask, front, back)) = best else { return one(dots[0]) };
    if front == back {
        return one(front);
    }
    let glyph = if is_halves {
        HALVES.iter().find(|(known, _)| *known == mask).map_or('▀', |(_, glyph)| *glyph)
    } else {
        glyph(mask, glyphs)
    };
    Tile { glyph, front: Some(front), back: Some(back) }
}

/// Ways to part dots in two groups of alike ones: by each step along the channel in which they differ most.
fn splits(dots: &[Rgb]) -> Vec<u8> {
    let spread = |c: usize| {
        let of = || dots.iter().map(|dot| dot[c]);
        of().max().unwrap_or(0) - of().min().unwrap_or(0)
    };
    let channel = (0..3).rev().max_by_key(|c| spread(*c)).unwrap_or(0);
    let mut order: Vec<usize> = (0..dots.len()).collect();
    order.sort_by_key(|i| std::cmp::Reverse(dots[*i][channel]));
    let mut mask = 0;
    order[..order.len() - 1]
        .iter()
        .map(|i| {
            mask |= 1 << i;
            mask
        })
        .collect()
}

/// The error of two colours where `mask` has the first of them, and these colours.
fn share(dots: &[Rgb], mask: u8) -> (u32, u8, Rgb, Rgb) {
    let group = |wanted: u8| dots.iter().enumerate().filter(move |(i, _)| mask >> i & 1 == wanted).map(|(_, dot)| dot);
    let (front, back) = (mean(group(1)).unwrap_or_default(), mean(group(0)).unwrap_or_default());
    let error = |wanted, colour: Rgb| -> u32 {
        group(wanted).flat_map(|dot| (0..3).map(move |c| u32::from(dot[c].abs_diff(colour[c])).pow(2))).sum()
    };
    (error(1, front) + error(0, back), mask, front, back)
}

fn mean<'a>(dots: impl Iterator<Item = &'a Rgb>) -> Option<Rgb> {
    let (mut sum, mut count) = ([0_u32; 3], 0);
    for dot in dots {
        count += 1;
        for (total, value) in sum.iter_mut().zip(dot) {
            *total += u32::from(*value);
        }
    }
    (count > 0).then(|| sum.map(|total| ((total + count / 2) / count) as u8))
}

/// The character whose dots are those of `mask`, row by row.
fn glyph(mask: u8, glyphs: Glyphs) -> char {
    /// Bits of a braille pattern, row by row (Unicode, chapter 21.1).
    const DOTS: [u32; 8] = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80];
    let code = match glyphs {
        Glyphs::Braille => 0x2800 + (0..8).filter(|i| mask >> i & 1 == 1).fold(0, |sum, i| sum | DOTS[i]),
        _ => match u32::from(mask) {
            0 => 0x20,
            // The halves and the whole stand among the block elements.
            0b01_0101 => 0x258c,
            0b10_1010 => 0x2590,
            0b11_1111 => 0x2588,
            mask => 0x1fb00 + mask - 1 - u32::from(mask > 0b01_0101) - u32::from(mask > 0b10_1010),
        },
    };
    char::from_u32(code).unwrap_or(' ')
}

/// Where there are few colours, what is lost of one is spread over its neighbours: ordered dithering with the
/// matrix of Bayer (1973). Of 256, what is nearly grey is left to the greys, which are fine, and all else to the
/// cube, whose steps are coarse: the greys would be nearer, and take the colour out of dark water.
fn dithered(of: Rgb, (x, y): (u32, u32), colours: Colours) -> Rgb {
    const BAYER: [[i16; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
    /// Less between the strongest and the weakest channel is grey.
    const GREY: u8 = 28;
    let at = BAYER[(y % 4) as usize][(x % 4) as usize];
    let moved = |step: i16| of.map(|v| (i16::from(v) + (at * 2 - 15) * step / 32).clamp(0, 255) as u8);
    let most = of.into_iter().max().unwrap_or(0);
    let least = of.into_iter().min().unwrap_or(0);
    match colours {
        Colours::TrueColour | Colours::None => of,
        Colours::Ansi16 => moved(100),
        Colours::Indexed256 if most - least < GREY => moved(10),
        Colours::Indexed256 => of.map(|v| {
            let (below, above) = colour::levels(v);
            let share = f32::from(v - below) / f32::from((above - below).max(1));
            if share > (f32::from(at) + 0.5) / 16.0 { above } else { below }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;

    fn drawn(pixels: &[[u8; 4]], width: u32, graphics: Graphics, glyphs: Glyphs) -> Buffer {
        let (height, grid) = (pixels.len() as u32 / width, graphics.grid());
        let small = Picture { width, height, rgba: pixels.concat().into() };
        let cells = ((width as u16).div_ceil(grid.0), (height as u16).div_ceil(grid.1));
        let area = Rect::new(0, 0, cells.0, cells.1);
        let mut buffer = Buffer::empty(area);
        let fit = Fit { cells: area, pixels: (width, height), dots: (width as u16, height as u16) };
        draw(&mut buffer, &fit, &tiles(&small, cells, grid, glyphs, Colours::TrueColour), |_| true);
        buffer
    }

    fn look(buffer: &Buffer) -> Vec<(&str, Color, Color)> {
        buffer.content.iter().map(|c| (c.symbol(), c.fg, c.bg)).collect()
    }

    const RED: [u8; 4] = [255, 0, 0, 255];
    const BLUE: [u8; 4] = [0, 0, 255, 255];
    const CLEAR: [u8; 4] = [9, 9, 9, 0];
    const NONE: Color = Color::Reset;
    const R: Color = Color::Rgb(255, 0, 0);
    const B: Color = Color::Rgb(0, 0, 255);

    #[test]
    fn a_cell_is_parted_where_the_picture_is() {
        let rows = [[RED, RED, RED, BLUE, RED, RED], [BLUE, BLUE, RED, BLUE, RED, RED]].concat();
        let buffer = drawn(&rows, 6, Graphics::HalfBlocks, Glyphs::HalfBlocks);
        assert_eq!(look(&buffer), [("▀", R, B), ("▌", R, B), (" ", NONE, R)]);
    }

    #[test]
    fn transparent_dots_leave_what_is_behind() {
        let rows = [
            [RED, RED, CLEAR, CLEAR, CLEAR, BLUE, CLEAR, CLEAR],
            [CLEAR, CLEAR, BLUE, BLUE, CLEAR, BLUE, CLEAR, CLEAR],
        ];
        let buffer = drawn(&rows.concat(), 8, Graphics::HalfBlocks, Glyphs::HalfBlocks);
        assert_eq!(look(&buffer), [("▀", R, NONE), ("▄", B, NONE), ("▐", B, NONE), (" ", NONE, NONE)]);
        // A picture that ends within a cell.
        let buffer = drawn(&[RED, BLUE, RED], 1, Graphics::HalfBlocks, Glyphs::HalfBlocks);
        assert_eq!(buffer.content.iter().map(|c| c.bg).collect::<Vec<_>>(), [NONE, NONE]);
    }

    #[test]
    fn sextants_and_braille_show_each_dot() {
        let rows = [[RED, BLUE], [BLUE, BLUE], [BLUE, RED]].concat();
        let buffer = drawn(&rows, 2, Graphics::Sextants, Glyphs::Sextants);
        assert_eq!(look(&buffer)[0].0, "\u{1fb1f}", "dots 1 and 6");
        let rows = [[RED, BLUE], [BLUE, BLUE], [BLUE, BLUE], [BLUE, RED]].concat();
        let buffer = drawn(&rows, 2, Graphics::Braille, Glyphs::Braille);
        assert_eq!(look(&buffer), [("⢁", R, B)]);
    }

    #[test]
    fn every_sextant_is_the_character_of_its_dots() {
        // Names of the Unicode standard: BLOCK SEXTANT-1, -12, -135 is the left half, -23456 the last.
        for (mask, code) in [(1, 0x1fb00), (3, 0x1fb02), (0b01_0101, 0x258c), (0b01_0110, 0x1fb14), (62, 0x1fb3b)] {
            assert_eq!(glyph(mask, Glyphs::Sextants) as u32, code, "{mask:06b}");
        }
    }

    #[test]
    fn letters_weigh_as_much_as_the_pixel_is_light() {
        let (white, black) = ([255; 4], [0, 0, 0, 255]);
        let row = [white, white, black, black, CLEAR, CLEAR];
        let buffer = drawn(&[row, row].concat(), 6, Graphics::HalfBlocks, Glyphs::Letters);
        assert_eq!(buffer.content.iter().map(Cell::symbol).collect::<String>(), "@  ");
    }

    #[test]
    fn of_sixteen_colours_two_make_one_between() {
        let picture = Picture { width: 64, height: 64, rgba: [180, 180, 180, 255].repeat(64 * 64).into() };
        let glyphs = Glyphs::of(Graphics::HalfBlocks, true, Colours::Ansi16);
        for tile in tiles(&picture, (32, 32), (2, 2), glyphs, Colours::Ansi16) {
            assert_eq!(tile, Tile { glyph: '▒', front: Some([229; 3]), back: Some([127; 3]) });
        }
        // What is transparent stays so.
        let picture =
            Picture { width: 2, height: 2, rgba: [255, 0, 0, 255, 255, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0].into() };
        let half = &tiles(&picture, (1, 1), (2, 2), glyphs, Colours::Ansi16)[0];
        assert_eq!((half.glyph, half.back), ('▀', None));
    }

    #[test]
    fn few_colours_together_have_the_mean_of_the_many() {
        let picture = Picture { width: 64, height: 64, rgba: [180, 180, 180, 255].repeat(64 * 64).into() };
        let tiles = tiles(&picture, (32, 21), (2, 3), Glyphs::Sextants, Colours::Ansi16);
        let shown = tiles.iter().filter_map(|tile| tile.back).map(|[r, g, b]| {
            match crate::terminal::colour::nearest(Color::Rgb(r, g, b), Colours::Ansi16) {
                Color::DarkGray => 127.0,
                Color::Gray => 229.0,
                other => panic!("{other} is no grey near it"),
            }
        });
        let mean = shown.sum::<f64>() / 672.0;
        assert!((mean - 180.0).abs() < 15.0, "{mean}");
    }
}
