//! Colours lowered to what the terminal has.

use super::caps::Colours;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

/// Replaces the colours in `buffer` that the terminal does not have by the nearest that it has.
pub fn adapt(buffer: &mut Buffer, colours: Colours) {
    if colours == Colours::TrueColour {
        return;
    }
    // Neighbours mostly share their colours.
    let mut last = (Color::Reset, Color::Reset);
    let mut lower = |colour: Color| {
        if last.0 != colour {
            last = (colour, nearest(colour, colours));
        }
        last.1
    };
    for cell in &mut buffer.content {
        cell.fg = lower(cell.fg);
        cell.bg = lower(cell.bg);
        cell.underline_color = lower(cell.underline_color);
    }
}

/// The nearest colour that the terminal has.
pub fn nearest(colour: Color, colours: Colours) -> Color {
    match (colours, colour) {
        (Colours::TrueColour, c) | (_, c @ Color::Reset) => c,
        (Colours::None, _) => Color::Reset,
        (Colours::Indexed256, Color::Rgb(r, g, b)) => Color::Indexed(indexed([r, g, b])),
        (Colours::Ansi16, Color::Rgb(r, g, b)) => ansi([r, g, b]),
        (Colours::Ansi16, Color::Indexed(i @ 16..)) => ansi(palette(i)),
        (_, c) => c,
    }
}

const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The levels of the cube just below and above a value; the same twice at the ends.
pub(super) fn levels(value: u8) -> (u8, u8) {
    let above = LEVELS.partition_point(|level| *level < value).min(LEVELS.len() - 1);
    let below = if LEVELS[above] == value { above } else { above.saturating_sub(1) };
    (LEVELS[below], LEVELS[above])
}

/// The sixteen as xterm paints them, in their order. Users change them, but not beyond recognition.
pub(super) const ANSI: [([u8; 3], Color); 16] = [
    ([0, 0, 0], Color::Black),
    ([205, 0, 0], Color::Red),
    ([0, 205, 0], Color::Green),
    ([205, 205, 0], Color::Yellow),
    ([0, 0, 238], Color::Blue),
    ([205, 0, 205], Color::Magenta),
    ([0, 205, 205], Color::Cyan),
    ([229, 229, 229], Color::Gray),
    ([127, 127, 127], Color::DarkGray),
    ([255, 0, 0], Color::LightRed),
    ([0, 255, 0], Color::LightGreen),
    ([255, 255, 0], Color::LightYellow),
    ([92, 92, 255], Color::LightBlue),
    ([255, 0, 255], Color::LightMagenta),
    ([0, 255, 255], Color::LightCyan),
    ([255, 255, 255], Color::White),
];

/// The colour that index 16 to 255 of xterm's palette stands for.
fn palette(index: u8) -> [u8; 3] {
    match index {
        0..=15 => ANSI[index as usize].0,
        16..=231 => {
            let i = index - 16;
            [LEVELS[(i / 36) as usize], LEVELS[(i / 6 % 6) as usize], LEVELS[(i % 6) as usize]]
        }
        _ => [8 + (index - 232) * 10; 3],
    }
}

/// Nearest of the cube and the greys; the first sixteen are the user's and not counted on.
fn indexed(rgb: [u8; 3]) -> u8 {
    let level = |v: u8| (0..6).min_by_key(|&i: &usize| v.abs_diff(LEVELS[i])).unwrap_or(0) as u8;
    let cube = 16 + 36 * level(rgb[0]) + 6 * level(rgb[1]) + level(rgb[2]);
    let mean = rgb.iter().map(|&v| u16::from(v)).sum::<u16>() / 3;
    let grey = 232 + (mean.saturating_sub(3) / 10).min(23) as u8;
    if distance(rgb, palette(grey)) < distance(rgb, palette(cube)) { grey } else { cube }
}

fn ansi(rgb: [u8; 3]) -> Color {
    ANSI.iter().min_by_key(|(c, _)| distance(rgb, *c)).map_or(Color::Reset, |(_, name)| *name)
}

/// "Redmean" (<https://www.compuphase.com/cmetric.htm>): cheap, and near to what is seen.
pub(super) fn distance(a: [u8; 3], b: [u8; 3]) -> i32 {
    let mean = i32::midpoint(i32::from(a[0]), i32::from(b[0]));
    let [r, g, b] = [0, 1, 2].map(|i| i32::from(a[i]) - i32::from(b[i]));
    (((512 + mean) * r * r) >> 8) + 4 * g * g + (((767 - mean) * b * b) >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_the_palette_stay_what_they_are() {
        for i in 16..=255 {
            let [r, g, b] = palette(i);
            let Color::Indexed(found) = nearest(Color::Rgb(r, g, b), Colours::Indexed256) else { panic!("indexed") };
            assert_eq!(palette(found), palette(i));
        }
    }

    #[test]
    fn sixteen_colours_keep_the_hue() {
        let to = |r, g, b| nearest(Color::Rgb(r, g, b), Colours::Ansi16);
        assert_eq!(to(250, 10, 10), Color::LightRed);
        assert_eq!(to(12, 12, 16), Color::Black);
        assert_eq!(to(20, 20, 230), Color::Blue);
        assert_eq!(nearest(Color::Indexed(46), Colours::Ansi16), Color::LightGreen);
        assert_eq!(nearest(Color::Indexed(3), Colours::Ansi16), Color::Indexed(3));
    }

    #[test]
    fn without_colour_there_is_none() {
        for c in [Color::Rgb(1, 2, 3), Color::Red, Color::Indexed(4), Color::Reset] {
            assert_eq!(nearest(c, Colours::None), Color::Reset);
        }
    }
}
