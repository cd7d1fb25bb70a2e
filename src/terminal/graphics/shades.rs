//! Pictures in sixteen colours: two of them and one of the shades `░ ▒ ▓` make a colour between both, in one cell. In
//! xterm that is nearer to the picture than spreading what is lost over neighbouring cells (ordered, or by Floyd and
//! Steinberg): these are large, and of sixteen colours most are far from all that a satellite sees.

use crate::terminal::colour::{ANSI, distance};
use std::collections::HashMap;

type Rgb = [u8; 3];

/// Shades, with the part of a cell that they cover.
const SHADES: [(char, u32); 3] = [('░', 1), ('▒', 2), ('▓', 3)];
/// Colours far apart are seen as dots, and not as their mean: so much of their distance counts as an error, in
/// thousandths. By eye, on pictures of a satellite and of `viridis`.
const APART: i32 = 30;

/// A colour that can be shown.
struct Mix {
    colour: Rgb,
    glyph: char,
    front: Rgb,
    back: Rgb,
    /// What is against it, in units of [`distance`].
    penalty: i32,
}

/// All mixes of two colours, and which of them is nearest to what was asked for.
pub(super) struct Shades {
    mixes: Vec<Mix>,
    /// By the upper five bits of each channel.
    known: HashMap<u16, usize>,
}

impl Shades {
    pub(super) fn new() -> Self {
        let mut mixes = Vec::with_capacity(ANSI.len() * (ANSI.len() - 1) / 2 * SHADES.len() + ANSI.len());
        for (i, (front, _)) in ANSI.iter().enumerate() {
            mixes.push(Mix { colour: *front, glyph: ' ', front: *front, back: *front, penalty: 0 });
            for (back, _) in &ANSI[i + 1..] {
                let penalty = distance(*front, *back) * APART / 1000;
                mixes.extend(SHADES.iter().map(|(glyph, part)| {
                    let mixed = |c: usize| (u32::from(front[c]) * part + u32::from(back[c]) * (4 - part) + 2) / 4;
                    let colour = [mixed(0) as u8, mixed(1) as u8, mixed(2) as u8];
                    Mix { colour, glyph: *glyph, front: *front, back: *back, penalty }
                }));
            }
        }
        Self { mixes, known: HashMap::new() }
    }

    /// A cell whose upper and lower half are to have these colours: its glyph, and the colours of that and of what is
    /// behind it, both of the sixteen. A shade where both halves are alike, else a half-block.
    pub(super) fn cell(&mut self, [upper, lower]: [Rgb; 2]) -> (char, Rgb, Rgb) {
        let middle = [0, 1, 2].map(|c| u8::midpoint(upper[c], lower[c]));
        let mix = self.nearest(middle);
        let shaded = i32::midpoint(distance(upper, mix.colour), distance(lower, mix.colour)) + mix.penalty;
        let (top, bottom) = (plain(upper), plain(lower));
        let halved = i32::midpoint(distance(upper, top), distance(lower, bottom));
        if halved < shaded && top != bottom { ('▀', top, bottom) } else { (mix.glyph, mix.front, mix.back) }
    }

    fn nearest(&mut self, wanted: Rgb) -> &Mix {
        let key = wanted.iter().fold(0, |key, channel| key << 5 | u16::from(channel >> 3));
        let mixes = &self.mixes;
        let at = *self.known.entry(key).or_insert_with(|| {
            let error = |i: &usize| distance(wanted, mixes[*i].colour) + mixes[*i].penalty;
            (0..mixes.len()).min_by_key(error).unwrap_or(0)
        });
        &self.mixes[at]
    }
}

/// The nearest of the sixteen.
fn plain(wanted: Rgb) -> Rgb {
    ANSI.iter().map(|(colour, _)| *colour).min_by_key(|colour| distance(wanted, *colour)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::color::viridis;

    /// The colour of a cell from afar.
    fn seen((glyph, front, back): (char, Rgb, Rgb)) -> Rgb {
        let part = SHADES.iter().find(|(shade, _)| *shade == glyph).map_or(0, |(_, part)| *part);
        [0, 1, 2].map(|c| ((u32::from(front[c]) * part + u32::from(back[c]) * (4 - part)) / 4) as u8)
    }

    #[test]
    fn a_grey_between_two_is_a_shade_of_both() {
        let mut shades = Shades::new();
        let grey = shades.cell([[178; 3]; 2]);
        assert_eq!(grey.0, '▒');
        assert!(seen(grey)[0].abs_diff(178) < 3, "{grey:?}");
        assert_eq!(shades.cell([[0; 3]; 2]), (' ', [0; 3], [0; 3]));
    }

    #[test]
    fn halves_that_differ_stay_two() {
        assert_eq!(Shades::new().cell([[255, 255, 0], [0, 0, 238]]), ('▀', [255, 255, 0], [0, 0, 238]));
    }

    #[test]
    fn colours_of_a_map_are_twice_as_near_as_the_sixteen() {
        let mut shades = Shades::new();
        let (mut plainly, mut shaded) = (0_i64, 0_i64);
        for colour in viridis() {
            plainly += i64::from(distance(colour, plain(colour)));
            shaded += i64::from(distance(colour, seen(shades.cell([colour; 2]))));
        }
        assert!(shaded * 2 < plainly, "{shaded} of {plainly}");
    }
}
