//! What inks look like: a scale that is even to the eye where there are colours, sixteen colours in an
//! order, characters where there are none.

use crate::map::{Colours, Scale};
use crate::raster::color::viridis;
use crate::screen::Cx;
use crate::terminal::Colours as Depth;
use crate::theme::Role;
use crate::widgets::map::Look;
use ratatui::style::{Color, Modifier, Style};

/// Words that have a colour of their own, and one for the others.
pub(super) const WORDS: u8 = 6;
/// Steps of numbers where there are many colours, and where there are few.
const MANY: u8 = 24;
const FEW: u8 = 5;
/// From cold to warm in the terminal's own colours.
const ORDERED: [Color; FEW as usize] = [Color::Blue, Color::Cyan, Color::Green, Color::Yellow, Color::LightRed];
/// From little to much, without colours.
const GROWING: [char; FEW as usize] = ['·', '-', '+', 'o', '●'];
const GROWING_ASCII: [char; FEW as usize] = ['.', '-', '+', 'o', '@'];
/// Words told apart without colours; the last is for others.
const APART: [char; WORDS as usize] = ['●', '○', '▲', '■', '◆', '·'];
const APART_ASCII: [char; WORDS as usize] = ['o', 'x', '+', '#', '%', '.'];
/// Words in a picture, where the theme has no colours that are known.
const WHEEL: [[u8; 3]; 6] =
    [[79, 195, 217], [242, 184, 114], [143, 214, 148], [199, 155, 240], [240, 138, 138], [232, 226, 122]];
/// What has no value, without colours.
const NOTHING: char = '×';

/// What colours there are to tell values apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// Many.
    Many,
    /// The terminal's own.
    Few,
    /// None: characters.
    Marks,
}

impl Means {
    pub(super) fn of(cx: &Cx) -> Self {
        let (_, depth) = cx.gallery.shows();
        let without = matches!(cx.theme.chart(0).fg, None | Some(Color::Reset));
        match depth {
            _ if without => Self::Marks,
            Depth::None => Self::Marks,
            Depth::Ansi16 => Self::Few,
            _ => Self::Many,
        }
    }

    /// How many steps numbers have.
    pub(super) fn steps(self) -> u8 {
        if self == Self::Many { MANY } else { FEW }
    }
}

/// The colour of a step. The end that would be lost in the ground is left out.
fn step(at: u8, steps: u8, dark: bool) -> [u8; 3] {
    let share = f64::from(at) / f64::from(steps.max(2) - 1);
    let (low, high) = if dark { (0.18, 1.0) } else { (0.0, 0.86) };
    viridis()[((low + (high - low) * share) * 255.0).round() as usize]
}

/// The styles of all inks of a scale, the last for what has no value.
pub(super) fn styles(scale: &Scale, means: Means, cx: &Cx) -> Vec<Style> {
    let theme = &cx.theme;
    let fg = |colour: Color| Style::default().fg(colour);
    let mut styles: Vec<Style> = match (scale, means) {
        (Scale::Plain, _) => vec![plain(theme.style(Role::Accent))],
        (Scale::Numbers { .. } | Scale::Words { .. }, Means::Marks) => {
            vec![plain(theme.style(Role::Text)); usize::from(scale.inks())]
        }
        (Scale::Numbers { steps, .. }, Means::Few) => {
            (0..*steps).map(|i| fg(ORDERED[usize::from(i).min(ORDERED.len() - 1)])).collect()
        }
        (Scale::Numbers { steps, .. }, Means::Many) => {
            let rgb = |[r, g, b]: [u8; 3]| Color::Rgb(r, g, b);
            (0..*steps).map(|i| fg(rgb(step(i, *steps, theme.is_dark())))).collect()
        }
        (Scale::Words { entries, .. }, _) => {
            let style = |e: &crate::map::Entry| match e.word {
                Some(_) => theme.chart(usize::from(e.ink) - 1),
                None => plain(theme.style(Role::Dim)),
            };
            entries.iter().map(style).collect()
        }
    };
    styles.resize(usize::from(scale.inks()), plain(theme.style(Role::Accent)));
    styles.push(plain(theme.style(Role::Faint)));
    styles
}

/// The characters of all inks, where there are no colours.
pub(super) fn marks(scale: &Scale, means: Means, unicode: bool) -> Option<Vec<char>> {
    if means != Means::Marks || *scale == Scale::Plain {
        return None;
    }
    let table = match (scale, unicode) {
        (Scale::Words { .. }, true) => APART,
        (Scale::Words { .. }, false) => APART_ASCII,
        (_, true) => pad(GROWING),
        (_, false) => pad(GROWING_ASCII),
    };
    let inks = usize::from(scale.inks());
    let mut marks: Vec<char> = (0..inks).map(|i| table[i.min(table.len() - 1)]).collect();
    if let Scale::Words { entries, .. } = scale
        && entries.last().is_some_and(|e| e.word.is_none())
        && let (Some(mark), Some(other)) = (marks.last_mut(), table.last())
    {
        *mark = *other;
    }
    marks.push(if unicode { NOTHING } else { 'x' });
    Some(marks)
}

fn pad(growing: [char; FEW as usize]) -> [char; WORDS as usize] {
    let mut out = [growing[FEW as usize - 1]; WORDS as usize];
    out[..FEW as usize].copy_from_slice(&growing);
    out
}

/// A style's foreground and weight, without its ground.
pub(super) fn plain(style: Style) -> Style {
    Style { bg: None, ..style }
}

/// How the map looks.
pub(super) fn look(scale: &Scale, means: Means, cx: &Cx) -> Look {
    let theme = &cx.theme;
    let faint = plain(theme.style(Role::Faint));
    let cursor = theme.style(Role::Cursor);
    Look {
        inks: styles(scale, means, cx),
        marks: marks(scale, means, cx.unicode),
        // The graticule, land borders, coasts.
        ground: vec![
            plain(theme.style(Role::Border)).add_modifier(Modifier::DIM),
            faint,
            plain(theme.style(Role::Dim)),
        ],
        frame: plain(theme.style(Role::Border)),
        label: plain(theme.style(Role::Dim)),
        cursor: Style { fg: theme.style(Role::Key).fg, ..cursor },
        chosen: theme.style(Role::CursorDim),
    }
}

/// The same for a picture.
pub(super) fn colours(scale: &Scale, cx: &Cx) -> Colours {
    let theme = &cx.theme;
    let dark = theme.is_dark();
    let rgb = |colour: Option<Color>, otherwise: [u8; 3]| match colour {
        Some(Color::Rgb(r, g, b)) => [r, g, b],
        _ => otherwise,
    };
    let sea = rgb(theme.style(Role::Text).bg, if dark { [11, 23, 32] } else { [250, 250, 247] });
    let toward = |share: u32| {
        let target: u32 = if dark { 255 } else { 0 };
        sea.map(|c| ((u32::from(c) * (100 - share) + target * share) / 100) as u8)
    };
    let accent = rgb(theme.style(Role::Accent).fg, [79, 195, 217]);
    let mut inks: Vec<[u8; 3]> = match scale {
        Scale::Plain => vec![accent],
        Scale::Numbers { steps, .. } => (0..*steps).map(|i| step(i, *steps, dark)).collect(),
        Scale::Words { entries, .. } => {
            let one = |e: &crate::map::Entry| match e.word {
                Some(_) => rgb(theme.chart(usize::from(e.ink) - 1).fg, WHEEL[(usize::from(e.ink) - 1) % WHEEL.len()]),
                None => toward(45),
            };
            entries.iter().map(one).collect()
        }
    };
    inks.resize(usize::from(scale.inks()), accent);
    inks.push(toward(30));
    Colours { sea, land: toward(7), lines: [toward(10), toward(18), toward(38)], inks }
}
