//! Seeded noise: the same number for the same place, on every machine.

use crate::task::threads;

/// A well-mixed hash of a lattice point.
pub(super) fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut h = seed ^ (x as u32).wrapping_mul(0x9e37_79b1) ^ (y as u32).wrapping_mul(0x85eb_ca77);
    h = (h ^ (h >> 15)).wrapping_mul(0x2c1b_3c6d);
    h = (h ^ (h >> 12)).wrapping_mul(0x297a_2d39);
    h ^ (h >> 15)
}

/// A hash as a fraction in 0..1.
pub(super) fn unit(h: u32) -> f32 {
    (h >> 8) as f32 / (1 << 24) as f32
}

/// Faster than `f32::floor`, which is a call on machines of the baseline.
fn floor(v: f32) -> i32 {
    let whole = v as i32;
    whole - i32::from(v < whole as f32)
}

/// Value noise in 0..1, smooth, with features about one unit across.
pub(super) fn value(x: f32, y: f32, seed: u32) -> f32 {
    let (ix, iy) = (floor(x), floor(y));
    let (fx, fy) = (x - ix as f32, y - iy as f32);
    let (sx, sy) = (fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy));
    let at = |dx: i32, dy: i32| unit(hash(ix.wrapping_add(dx), iy.wrapping_add(dy), seed));
    let top = at(0, 0) + (at(1, 0) - at(0, 0)) * sx;
    let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * sx;
    top + (bottom - top) * sy
}

/// Fractal noise in 0..1: `octaves` of value noise, each half as large and half as strong, and
/// turned, so that the lattices do not show.
pub(super) fn fbm(x: f32, y: f32, octaves: u32, seed: u32) -> f32 {
    let (mut x, mut y) = (x, y);
    let (mut sum, mut strength, mut total) = (0.0, 1.0, 0.0);
    for octave in 0..octaves {
        sum += strength * value(x, y, seed.wrapping_add(octave * 7919));
        total += strength;
        strength *= 0.5;
        // A turn by 37 degrees and a scale of 2.03.
        (x, y) = (1.621 * x - 1.222 * y + 17.3, 1.222 * x + 1.621 * y - 9.1);
    }
    sum / total
}

/// A cell of an irregular mosaic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Its number, the same everywhere in it.
    pub(super) id: u32,
    /// How far inside it is, in units of the mosaic: 0 on its border.
    pub(super) inside: f32,
}

/// The cell of an irregular mosaic with cells about one unit across.
pub(super) fn cell(x: f32, y: f32, seed: u32) -> Cell {
    let (ix, iy) = (floor(x), floor(y));
    let (mut first, mut second, mut id) = (f32::MAX, f32::MAX, 0);
    for dy in -1..=1 {
        for dx in -1..=1 {
            let (cx, cy) = (ix.wrapping_add(dx), iy.wrapping_add(dy));
            let h = hash(cx, cy, seed);
            let px = cx as f32 + 0.15 + 0.7 * unit(h);
            let py = cy as f32 + 0.15 + 0.7 * unit(h.wrapping_mul(0x9e37_79b1));
            let d = ((px - x).powi(2) + (py - y).powi(2)).sqrt();
            if d < first {
                (second, first, id) = (first, d, h);
            } else if d < second {
                second = d;
            }
        }
    }
    Cell { id, inside: second - first }
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn step(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// The value below which `share` (0..1) of `values` lie.
pub(super) fn quantile(mut values: Vec<f32>, share: f64) -> f32 {
    values.sort_by(f32::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((share.clamp(0.0, 1.0) * last as f64) as usize).copied().unwrap_or_default()
}

/// Calls `row(y, cells of row y)` for all rows, on a few threads.
pub(super) fn rows<T: Send>(cells: &mut [T], width: usize, row: impl Fn(usize, &mut [T]) + Sync) {
    let height = cells.len() / width.max(1);
    let share = height.div_ceil(threads::most()).max(1);
    threads::at_once(cells.chunks_mut((share * width).max(1)).enumerate(), |(band, part)| {
        for (y, line) in part.chunks_mut(width).enumerate() {
            row(band * share + y, line);
        }
    });
}
