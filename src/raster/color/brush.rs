//! Values of a pixel to its colour.

use super::map::ColorMap;
use super::stretch::position;
use std::collections::HashMap;
use std::sync::Arc;

/// Turns the values of a pixel into a colour.
#[derive(Clone, Debug)]
pub enum Brush {
    /// One band by a colour map.
    Map {
        /// Its colours, from the lower limit to the upper.
        colors: Box<[[u8; 3]; 256]>,
        /// The values of the first and the last colour.
        limits: (f64, f64),
    },
    /// Three bands as red, green and blue.
    Rgb {
        /// The values of the darkest and the brightest of each.
        limits: [(f64, f64); 3],
        /// The exponent that brightens; 1 leaves it.
        gamma: f64,
    },
    /// One band whose values are names.
    Classes(Arc<HashMap<i64, [u8; 4]>>),
}

impl Brush {
    /// By a colour map.
    pub fn map(map: ColorMap, inverted: bool, limits: (f64, f64)) -> Self {
        Self::Map { colors: Box::new(map.colors(inverted)), limits }
    }

    /// By the colours of values.
    pub fn classes(colors: impl IntoIterator<Item = (f64, [u8; 4])>) -> Self {
        Self::Classes(Arc::new(colors.into_iter().map(|(value, color)| (value.round() as i64, color)).collect()))
    }

    /// How many bands it needs.
    pub fn bands(&self) -> usize {
        if matches!(self, Self::Rgb { .. }) { 3 } else { 1 }
    }

    /// RGBA of the values of a pixel, as many as [`Brush::bands`]; transparent where there are none.
    pub fn color(&self, values: &[f32]) -> [u8; 4] {
        match self {
            Self::Map { colors, limits } => match values.first() {
                Some(value) if !value.is_nan() => {
                    let [r, g, b] = colors[(position(f64::from(*value), *limits) * 255.0).round() as usize];
                    [r, g, b, 255]
                }
                _ => [0; 4],
            },
            Self::Rgb { limits, gamma } => {
                let is_empty = values.iter().all(|v| v.is_nan());
                let channel = |i: usize| {
                    let value = values.get(i).copied().filter(|v| !v.is_nan());
                    let share = value.map_or(0.0, |v| position(f64::from(v), limits[i]));
                    let lifted = if *gamma < 1.0 { share.powf(*gamma) } else { share };
                    (lifted * 255.0).round() as u8
                };
                if is_empty { [0; 4] } else { [channel(0), channel(1), channel(2), 255] }
            }
            Self::Classes(colors) => {
                let class = values.first().filter(|v| !v.is_nan()).map(|v| v.round() as i64);
                class.and_then(|class| colors.get(&class)).copied().unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_colours_and_gaps_stay_transparent() {
        let grey = Brush::map(ColorMap::Grey, false, (10.0, 20.0));
        assert_eq!([5.0, 10.0, 20.0, 99.0].map(|v| grey.color(&[v])[0]), [0, 0, 255, 255]);
        assert_eq!(grey.color(&[f32::NAN]), [0; 4]);
        assert_eq!(Brush::map(ColorMap::Grey, true, (10.0, 20.0)).color(&[10.0])[0], 255);
        assert_eq!(grey.color(&[f32::INFINITY]), [255; 4]);
        let rgb = Brush::Rgb { limits: [(0.0, 100.0), (0.0, 10.0), (0.0, 1.0)], gamma: 1.0 };
        assert_eq!(rgb.color(&[100.0, 0.0, f32::NAN]), [255, 0, 0, 255]);
        assert_eq!(rgb.color(&[f32::NAN; 3]), [0; 4]);
        let lifted = Brush::Rgb { limits: [(0.0, 1.0); 3], gamma: 0.5 };
        assert_eq!(lifted.color(&[0.25; 3]), [128, 128, 128, 255]);
    }

    #[test]
    fn classes_have_their_own_colours() {
        let classes = Brush::classes([(3.0, [1, 2, 3, 255]), (-1.0, [9; 4])]);
        assert_eq!(classes.color(&[3.0]), [1, 2, 3, 255]);
        assert_eq!(classes.color(&[-1.0]), [9; 4]);
        assert_eq!(classes.color(&[4.0]), [0; 4]);
        assert_eq!(classes.bands(), 1);
    }
}
