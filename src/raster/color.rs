//! Values to colours: which bands make a picture, how they are stretched, what stays transparent.

use super::info::{Info, Interpretation};
use super::view::Pixels;
use crate::task::threads;

mod brush;
mod map;
mod stretch;
mod summary;

pub use brush::Brush;
pub use map::ColorMap;
pub use stretch::{Stretch, brightening as lift, position as share, steps};
pub use summary::{Summary, Tally};

/// Pixels that are worth a thread to paint them.
const WORTH: usize = 1 << 15;

/// Values looked at for a stretch: more would not move the percentiles visibly.
const SAMPLED: usize = 1 << 16;

/// The part of the values between which colours are spread: 2 to 98 %.
const PERCENTILES: (f64, f64) = (0.02, 0.98);

/// A painted picture.
#[derive(Clone, Debug)]
pub struct Painted {
    /// `width * height * 4` bytes, RGBA, alpha not premultiplied.
    pub rgba: Vec<u8>,
    /// What is known of the values of each band read, in its order.
    pub ranges: Vec<ValueRange>,
    /// How values became colours: `bands 3,2,1 · 2–98 %`.
    pub stretch: String,
}

/// Values of a band among the pixels read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ValueRange {
    /// Smallest and largest; `None` where all pixels are empty.
    pub extremes: Option<(f32, f32)>,
    /// Values that became the first and the last colour.
    pub stretched: (f32, f32),
}

/// The bands that make the best picture: true colour by the names of the bands (`B04`, `red`), or
/// by the names in that of the file (`B02_B03_B04_B08.tif`), else as the file says, else the first
/// three, else the first.
pub fn default_bands(info: &Info, file_name: &str) -> Vec<usize> {
    let described: Vec<String> =
        info.bands.iter().map(|b| b.description.clone().unwrap_or_default().to_ascii_lowercase()).collect();
    let stem = file_name.rsplit_once('.').map_or(file_name, |(stem, _)| stem).to_ascii_lowercase();
    let in_name: Vec<String> = stem.split('_').map(str::to_owned).collect();
    let named = true_color(&described).or_else(|| {
        let counted = in_name.len() == info.bands.len();
        counted.then(|| true_color(&in_name)).flatten()
    });
    let find = |wanted| info.bands.iter().position(|b| b.interpretation == wanted).map(|i| i + 1);
    let declared = || Some(vec![find(Interpretation::Red)?, find(Interpretation::Green)?, find(Interpretation::Blue)?]);
    if let Some(bands) = named.or_else(declared) {
        return bands;
    }
    let colors = info.bands.iter().filter(|b| b.interpretation != Interpretation::Alpha).count();
    let palette = info.bands.first().is_some_and(|b| b.palette.is_some());
    // There, bands are fields of different elements, levels and times.
    let steps = ["netCDF", "HDF5Image", "GRIB"].contains(&info.driver.as_str());
    if colors >= 3 && !palette && !steps { vec![1, 2, 3] } else { vec![1] }
}

/// Red, green, blue among names, Sentinel-2's and common ones. `B8A` is no `B8`.
fn true_color(names: &[String]) -> Option<Vec<usize>> {
    let find = |wanted: [&str; 3]| {
        names
            .iter()
            .position(|n| wanted.iter().any(|w| n.split([' ', ',', '(', '-']).next() == Some(*w)))
            .map(|i| i + 1)
    };
    Some(vec![find(["b04", "b4", "red"])?, find(["b03", "b3", "green"])?, find(["b02", "b2", "blue"])?])
}

/// The exponent that lifts a dark picture: clouds and snow take the upper percentiles, and leave the
/// land black. 1 where the median of what is stretched is bright enough; else what lifts it to 0.3.
fn brightening(channels: &[Vec<f32>], ranges: &[ValueRange]) -> f64 {
    const DARK: f64 = 0.2;
    const WISH: f64 = 0.3;
    let step = (channels.first().map_or(0, Vec::len) / SAMPLED).max(1);
    let mut seen: Vec<f32> = channels
        .iter()
        .zip(ranges)
        .flat_map(|(values, range)| {
            values.iter().step_by(step).filter(|v| !v.is_nan()).map(|v| position(*v, range.stretched))
        })
        .collect();
    if seen.is_empty() {
        return 1.0;
    }
    let middle = seen.len() / 2;
    let median = f64::from(*seen.select_nth_unstable_by(middle, f32::total_cmp).1);
    if median >= DARK { 1.0 } else { (WISH.ln() / median.max(0.01).ln()).clamp(0.3, 1.0) }
}

/// Paints pixels: three bands as red, green and blue, one by its palette or from dark blue to
/// yellow (viridis). Bands of bytes that are declared as colours stay as they are.
pub fn paint(info: &Info, pixels: &Pixels) -> Painted {
    let count = pixels.width * pixels.height;
    let mut rgba = vec![0; count * 4];
    let numbers: Vec<String> = pixels.bands.iter().map(ToString::to_string).collect();
    let first = pixels.bands.first().and_then(|&n| info.bands.get(n.wrapping_sub(1)));
    let mut ranges = ranges(&pixels.values);
    let stretch = if let (3.., Some(first)) = (pixels.values.len(), first) {
        let as_stored = first.dtype == "UInt8" && first.interpretation == Interpretation::Red;
        if as_stored {
            for range in &mut ranges {
                range.stretched = (0.0, 255.0);
            }
        }
        let gamma = if as_stored { 1.0 } else { brightening(&pixels.values[..3], &ranges) };
        let curve = curve(gamma as f32);
        in_parts(&mut rgba, |first, part| {
            for (index, pixel) in (first..).zip(part.chunks_exact_mut(4)) {
                let mut empty = true;
                for channel in 0..3 {
                    let value = pixels.values[channel][index];
                    empty &= value.is_nan();
                    pixel[channel] = curve[nearest(position(value, ranges[channel].stretched), CURVE)];
                }
                pixel[3] = if empty { 0 } else { 255 };
            }
        });
        let how = match (as_stored, gamma < 1.0) {
            (true, _) => "as stored".to_owned(),
            (false, true) => format!("2–98 %, brightened γ {gamma:.2}"),
            (false, false) => "2–98 %".to_owned(),
        };
        format!("bands {} · {how}", numbers.join(","))
    } else if let (Some(values), Some(first)) = (pixels.values.first(), first) {
        if let Some(palette) = &first.palette {
            for (pixel, value) in rgba.chunks_exact_mut(4).zip(values) {
                let entry = (!value.is_nan()).then(|| palette.get(value.max(0.0) as usize)).flatten();
                pixel.copy_from_slice(entry.unwrap_or(&[0; 4]));
            }
            format!("band {} · palette", numbers.join(","))
        } else {
            let colors = viridis();
            in_parts(&mut rgba, |first, part| {
                for (pixel, &value) in part.chunks_exact_mut(4).zip(&values[first..]) {
                    if !value.is_nan() {
                        let [r, g, b] = colors[nearest(position(value, ranges[0].stretched), 255)];
                        pixel.copy_from_slice(&[r, g, b, 255]);
                    }
                }
            });
            let (low, high) = ranges[0].stretched;
            format!("band {} · 2–98 % · viridis {}…{}", numbers.join(","), short(low), short(high))
        }
    } else {
        String::new()
    };
    if let Some(alpha) = &pixels.alpha {
        for (pixel, &a) in rgba.chunks_exact_mut(4).zip(alpha) {
            pixel[3] = pixel[3].min(a);
        }
    }
    Painted { rgba, ranges, stretch }
}

/// Paints parts of a picture at once. `paint` gets the number of the first pixel, and the RGBA of all of its part.
fn in_parts(rgba: &mut [u8], paint: impl Fn(usize, &mut [u8]) + Sync) {
    let share = (rgba.len() / 4).div_ceil(threads::most()).max(WORTH);
    threads::at_once((0..).step_by(share).zip(rgba.chunks_mut(share * 4)), |(first, part)| paint(first, part));
}

/// Steps of a curve of brightness: as many as values of 16 bits.
const CURVE: usize = 65_535;

/// The brightness of shares from 0 to 1: powers are slow, and pixels many.
fn curve(gamma: f32) -> Vec<u8> {
    (0..=CURVE).map(|step| ((step as f32 / CURVE as f32).powf(gamma) * 255.0).round() as u8).collect()
}

/// The step that is nearest to a share from 0 to 1.
fn nearest(share: f32, steps: usize) -> usize {
    // Not `round`, which is a call for every pixel where the processor's own is not assumed.
    (share * steps as f32 + 0.5) as usize
}

/// A value with about four digits.
pub fn short(value: f32) -> String {
    let size = value.abs();
    match size {
        _ if value.fract() == 0.0 && size < 1e7 => format!("{value:.0}"),
        0.01..1.0 => format!("{value:.4}"),
        1.0..100.0 => format!("{value:.2}"),
        100.0..1e5 => format!("{value:.1}"),
        _ => format!("{value:.3e}"),
    }
}

/// Where `value` lies between two others, 0 to 1; in the middle of a range that is empty.
fn position(value: f32, (low, high): (f32, f32)) -> f32 {
    // Halves, as the difference of the largest values is none.
    let span = high / 2.0 - low / 2.0;
    if value.is_nan() {
        0.0
    } else if span > 0.0 {
        ((value / 2.0 - low / 2.0) / span).clamp(0.0, 1.0)
    } else {
        0.5
    }
}

/// Of all bands at once.
fn ranges(bands: &[Vec<f32>]) -> Vec<ValueRange> {
    threads::at_once(bands, |values| range(values))
}

fn range(values: &[f32]) -> ValueRange {
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for &v in values.iter().filter(|v| v.is_finite()) {
        (low, high) = (low.min(v), high.max(v));
    }
    if low > high {
        return ValueRange::default();
    }
    let step = values.len().div_ceil(SAMPLED).max(1);
    let mut sample: Vec<f32> = values.iter().copied().step_by(step).filter(|v| v.is_finite()).collect();
    let mut at = |share: f64| {
        if sample.is_empty() {
            return low;
        }
        let index = ((sample.len() - 1) as f64 * share).round() as usize;
        *sample.select_nth_unstable_by(index, f32::total_cmp).1
    };
    let stretched = (at(PERCENTILES.0), at(PERCENTILES.1));
    // Few values that differ among many that do not: show them, too.
    let stretched = if stretched.0 < stretched.1 { stretched } else { (low, high) };
    ValueRange { extremes: Some((low, high)), stretched }
}

/// Viridis (Smith, van der Walt; CC0) in 256 steps, from the polynomial fit by Matt Zucker (CC0,
/// <https://www.shadertoy.com/view/WlfXRN>), which stays within two in a hundred of the table.
pub fn viridis() -> [[u8; 3]; 256] {
    const FIT: [[f64; 3]; 7] = [
        [0.277_727_327_223_417_7, 0.005_407_344_544_966_578, 0.334_099_805_335_306_1],
        [0.105_093_043_108_577_4, 1.404_613_529_898_575, 1.384_590_162_594_685],
        [-0.330_861_828_725_556_3, 0.214_847_559_468_213, 0.095_095_163_028_236_59],
        [-4.634_230_498_983_486, -5.799_100_973_351_585, -19.332_440_956_279_87],
        [6.228_269_936_347_081, 14.179_933_366_805_09, 56.690_552_600_681_05],
        [4.776_384_997_670_288, -13.745_145_377_746_01, -65.353_032_633_372_34],
        [-5.435_455_855_934_631, 4.645_852_612_178_535, 26.312_435_249_583_2],
    ];
    std::array::from_fn(|i| {
        let t = i as f64 / 255.0;
        std::array::from_fn(|c| {
            let value = FIT.iter().rev().fold(0.0, |sum, k| sum * t + k[c]);
            (value.clamp(0.0, 1.0) * 255.0).round() as u8
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::BandInfo;

    fn info(names: &[&str]) -> Info {
        let band = |n: &&str| BandInfo {
            description: Some((*n).to_owned()).filter(|n| !n.is_empty()),
            dtype: "UInt16".into(),
            ..BandInfo::default()
        };
        Info { bands: names.iter().map(band).collect(), ..Info::default() }
    }

    fn pixels(values: Vec<Vec<f32>>) -> Pixels {
        let bands = (1..=values.len()).collect();
        Pixels { width: values[0].len(), height: 1, bands, values, alpha: None, overview: None }
    }

    #[test]
    fn true_colour_is_found_by_names() {
        assert_eq!(default_bands(&info(&["B02", "B03", "B04", "B08"]), "x.tif"), [3, 2, 1]);
        assert_eq!(default_bands(&info(&["", "", "", ""]), "B02_B03_B04_B08.tif"), [3, 2, 1]);
        assert_eq!(default_bands(&info(&["", "", "", ""]), "scene.tif"), [1, 2, 3]);
        assert_eq!(default_bands(&info(&["B8A", "B11"]), "x.tif"), [1]);
        let times = Info { driver: "netCDF".into(), ..info(&["", "", "", ""]) };
        assert_eq!(default_bands(&times, "sst.nc"), [1], "times are no colours");
        let mut declared = info(&["", "", "", ""]);
        for (band, meaning) in declared.bands.iter_mut().zip([
            Interpretation::Alpha,
            Interpretation::Blue,
            Interpretation::Green,
            Interpretation::Red,
        ]) {
            band.interpretation = meaning;
        }
        assert_eq!(default_bands(&declared, "x.tif"), [4, 3, 2]);
    }

    #[test]
    fn a_stretch_ignores_outliers_and_leaves_gaps_transparent() {
        let mut values: Vec<f32> = (0..1000_u16).map(f32::from).collect();
        values[0] = -1e30;
        values[999] = f32::NAN;
        let painted = paint(&info(&[""]), &pixels(vec![values]));
        let (low, high) = painted.ranges[0].stretched;
        assert!((15.0..25.0).contains(&low) && (970.0..985.0).contains(&high), "{low} {high}");
        assert_eq!(painted.ranges[0].extremes, Some((-1e30, 998.0)));
        assert_eq!(&painted.rgba[999 * 4..], [0; 4]);
        assert_eq!(painted.rgba[3], 255);
    }

    #[test]
    fn constant_empty_and_extreme_values_are_painted() {
        for values in [vec![7.0; 4], vec![f32::NAN; 4], vec![f32::MIN, f32::MAX, 0.0, f32::INFINITY]] {
            let painted = paint(&info(&[""]), &pixels(vec![values.clone()]));
            assert_eq!(painted.rgba.len(), 16);
            paint(&info(&["", "", ""]), &pixels(vec![values.clone(), values.clone(), values]));
        }
    }

    #[test]
    fn viridis_is_viridis() {
        let known =
            [(0, [68, 1, 84]), (64, [59, 82, 139]), (128, [33, 145, 140]), (191, [94, 201, 98]), (255, [253, 231, 37])];
        for (step, color) in known {
            for (a, b) in viridis()[step].into_iter().zip(color) {
                assert!(a.abs_diff(b) <= 5, "step {step}: {:?}", viridis()[step]);
            }
        }
    }

    #[test]
    fn a_dark_picture_under_clouds_is_lifted_and_a_bright_one_is_not() {
        let ranges = [ValueRange { stretched: (0.0, 1000.0), ..ValueRange::default() }; 3];
        let mut land = vec![50.0_f32; 900];
        land.extend([1000.0; 100]);
        let gamma = brightening(&[land.clone(), land.clone(), land], &ranges);
        assert!((f64::from(0.05_f32.powf(gamma as f32)) - 0.3).abs() < 0.01, "{gamma}");
        let bright = vec![400.0_f32; 1000];
        assert!((brightening(&[bright.clone(), bright.clone(), bright], &ranges) - 1.0).abs() < f64::EPSILON);
        assert!((brightening(&[vec![f32::NAN], vec![], vec![]], &ranges) - 1.0).abs() < f64::EPSILON);
    }
}
