//! A picture from the pieces that are there. Runs off the loop: a terminal of pictures has millions of dots.

use super::pieces::Piece;
use super::view::View;
use super::warp::Warp;
use crate::picture::Picture;
use crate::raster::color::{Brush, Summary};
use std::sync::Arc;

/// Samples along one axis that a dot averages at most.
const MOST_SAMPLES: f64 = 4.0;

/// What a picture is made of.
pub(super) struct Recipe {
    pub(super) view: View,
    /// In the order of drawing.
    pub(super) pieces: Vec<Arc<Piece>>,
    /// How many bands the pieces have.
    pub(super) bands: usize,
    /// From the view's plane to that of the pieces, where that is another.
    pub(super) warp: Option<Arc<Warp>>,
    /// Whether values may be averaged: not those that are names.
    pub(super) averages: bool,
}

/// Values of the dots of a view.
pub(super) struct Canvas {
    size: (usize, usize),
    /// Of each band; NaN where there are none.
    planes: Vec<Vec<f32>>,
    /// Opacity; 0 where there is nothing.
    alpha: Vec<u8>,
}

impl Recipe {
    /// The values of all dots.
    pub(super) fn values(&self) -> Canvas {
        let size = (self.view.dots.0 as usize, self.view.dots.1 as usize);
        let count = size.0 * size.1;
        let mut canvas = Canvas { size, planes: vec![vec![f32::NAN; count]; self.bands], alpha: vec![0; count] };
        for piece in self.pieces.iter().filter(|p| p.pixels.values.len() >= self.bands) {
            match &self.warp {
                None => self.draw_straight(piece, &mut canvas),
                Some(warp) => self.draw_warped(piece, warp, &mut canvas),
            }
        }
        canvas
    }

    fn draw_straight(&self, piece: &Piece, canvas: &mut Canvas) {
        let (w, step) = (piece.window, self.view.step());
        let columns = self.samples(0, (w.x, w.width), piece.pixels.width, step[0], canvas.size.0);
        let rows = self.samples(1, (w.y, w.height), piece.pixels.height, step[1], canvas.size.1);
        for (y, ys) in rows.iter().enumerate().filter(|(_, ys)| !ys.is_empty()) {
            for (x, xs) in columns.iter().enumerate().filter(|(_, xs)| !xs.is_empty()) {
                let at = y * canvas.size.0 + x;
                for (band, plane) in canvas.planes.iter_mut().enumerate() {
                    plane[at] = mean(&piece.pixels.values[band], piece.pixels.width, xs, ys);
                }
                let first = (ys[0] as usize) * piece.pixels.width + xs[0] as usize;
                canvas.alpha[at] = piece.pixels.alpha.as_ref().map_or(255, |a| a[first]);
            }
        }
    }

    /// For each dot along an axis the pixels of a piece that are looked at; none where it does not reach.
    fn samples(&self, axis: usize, (start, len): (u64, u64), pixels: usize, step: f64, dots: usize) -> Vec<Vec<u32>> {
        let (start, len, last) = (start as f64, len as f64, pixels.saturating_sub(1) as f64);
        let own = pixels as f64 / len.max(1.0);
        let count = if self.averages { (step * own).round().clamp(1.0, MOST_SAMPLES) as u32 } else { 1 };
        let first = self.view.at([0.0, 0.0])[axis];
        (0..dots)
            .map(|dot| {
                let left = first + dot as f64 * step;
                let middle = left + step / 2.0;
                if middle < start || middle >= start + len {
                    return Vec::new();
                }
                let sample = |k: u32| {
                    let at = left + step * (f64::from(k) + 0.5) / f64::from(count);
                    ((at - start) * own).floor().clamp(0.0, last) as u32
                };
                (0..count).map(sample).collect()
            })
            .collect()
    }

    fn draw_warped(&self, piece: &Piece, warp: &Warp, canvas: &mut Canvas) {
        let w = piece.window;
        let (width, height) = (piece.pixels.width, piece.pixels.height);
        let own = [width as f64 / w.width.max(1) as f64, height as f64 / w.height.max(1) as f64];
        let size = [self.view.size.0 as f64, self.view.size.1 as f64];
        let find = |dot: [f64; 2]| {
            let here = self.view.at(dot);
            let on_plane = here[0] >= 0.0 && here[1] >= 0.0 && here[0] < size[0] && here[1] < size[1];
            let there = on_plane.then(|| warp.turn(here)).flatten()?;
            let (x, y) = ((there[0] - w.x as f64) * own[0], (there[1] - w.y as f64) * own[1]);
            let inside = x >= 0.0 && y >= 0.0 && x < width as f64 && y < height as f64;
            inside.then_some(y as usize * width + x as usize)
        };
        let count = if self.averages { self.warped_samples(warp, own) } else { 1 };
        let part = |k: u32| (f64::from(k) + 0.5) / f64::from(count);
        let mut found = Vec::new();
        for y in 0..canvas.size.1 {
            for x in 0..canvas.size.0 {
                let Some(from) = find([x as f64 + 0.5, y as f64 + 0.5]) else { continue };
                let samples = (0..count).flat_map(|row| (0..count).map(move |column| (column, row)));
                found.clear();
                found.extend(samples.filter_map(|(c, r)| find([x as f64 + part(c), y as f64 + part(r)])));
                let at = y * canvas.size.0 + x;
                for (band, plane) in canvas.planes.iter_mut().enumerate() {
                    plane[at] = mean_of(found.iter().map(|from| piece.pixels.values[band][*from]));
                }
                canvas.alpha[at] = piece.pixels.alpha.as_ref().map_or(255, |a| a[from]);
            }
        }
    }

    /// How many pixels of a piece lie in a dot, along one axis.
    fn warped_samples(&self, warp: &Warp, own: [f64; 2]) -> u32 {
        let step = self.view.step();
        let [x, y] = self.view.centre;
        let Some((here, there)) = warp.turn([x, y]).zip(warp.turn([x + step[0], y + step[1]])) else { return 1 };
        let far = ((there[0] - here[0]) * own[0]).abs().max(((there[1] - here[1]) * own[1]).abs());
        far.round().clamp(1.0, MOST_SAMPLES) as u32
    }
}

fn mean(values: &[f32], width: usize, xs: &[u32], ys: &[u32]) -> f32 {
    if let ([x], [y]) = (xs, ys) {
        return values[*y as usize * width + *x as usize];
    }
    mean_of(ys.iter().flat_map(|y| xs.iter().map(|x| values[*y as usize * width + *x as usize])))
}

/// The mean of the values there are.
fn mean_of(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) =
        values.filter(|v| !v.is_nan()).fold((0.0_f64, 0_u32), |(sum, count), v| (sum + f64::from(v), count + 1));
    if count == 0 { f32::NAN } else { (sum / f64::from(count)) as f32 }
}

impl Canvas {
    /// What is known of the values in sight, of each band; what is masked is no value.
    pub(super) fn summaries(&self) -> Vec<Summary> {
        let seen = |plane: &Vec<f32>| {
            let values: Vec<f32> = plane.iter().zip(&self.alpha).filter(|(_, a)| **a > 0).map(|(v, _)| *v).collect();
            Summary::of(&values)
        };
        self.planes.iter().map(seen).collect()
    }

    /// The picture; where nothing is it is transparent. A cross is drawn around `cross`, where one is wished for.
    pub(super) fn paint(&self, brush: &Brush, cross: Option<[f64; 2]>) -> Picture {
        let (width, height) = self.size;
        let mut rgba = vec![0; width * height * 4];
        let mut values = vec![f32::NAN; self.planes.len()];
        for (at, pixel) in rgba.chunks_exact_mut(4).enumerate() {
            if self.alpha[at] == 0 {
                continue;
            }
            for (value, plane) in values.iter_mut().zip(&self.planes) {
                *value = plane[at];
            }
            let [r, g, b, a] = brush.color(&values);
            pixel.copy_from_slice(&[r, g, b, a.min(self.alpha[at])]);
        }
        if let Some(cross) = cross {
            draw_cross(&mut rgba, self.size, cross);
        }
        Picture { width: width as u32, height: height as u32, rgba: rgba.into() }
    }
}

/// Four arms around a dot, white with a dark edge, so that they are seen on any ground.
fn draw_cross(rgba: &mut [u8], (width, height): (usize, usize), [x, y]: [f64; 2]) {
    const ARM: std::ops::RangeInclusive<i64> = 4..=12;
    let (x, y) = (x.floor() as i64, y.floor() as i64);
    let mut set = |x: i64, y: i64, color: [u8; 4]| {
        let inside = (0..width as i64).contains(&x) && (0..height as i64).contains(&y);
        if inside {
            let at = (y as usize * width + x as usize) * 4;
            rgba[at..at + 4].copy_from_slice(&color);
        }
    };
    for (side, color) in [(-1, [0, 0, 0, 255]), (1, [0, 0, 0, 255]), (0, [255; 4])] {
        for far in ARM {
            for far in [far, -far] {
                set(x + far, y + side, color);
                set(x + side, y + far, color);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // numbers that are exact
mod tests {
    use super::super::pieces::Key;
    use super::super::view::tiles_of;
    use super::*;
    use crate::raster::color::ColorMap;
    use crate::scene::Pixels;

    const SIZE: (u64, u64) = (8, 4);

    /// A piece of all of the plane, whose values are its column plus ten times its row.
    fn piece() -> Arc<Piece> {
        let tiles = tiles_of(0, [0.0, 0.0, 8.0, 4.0], SIZE);
        let values = (0..32_u8).map(|i| f32::from(i % 8 + i / 8 * 10)).collect();
        let pixels = Pixels { width: 8, height: 4, bands: vec![1], values: vec![values], alpha: None, overview: None };
        let key = Key { bands: vec![1], at: Vec::new() };
        Arc::new(Piece { key, tiles, window: tiles.window(SIZE), pixels })
    }

    fn recipe(view: View) -> Recipe {
        Recipe { view, pieces: vec![piece()], bands: 1, warp: None, averages: true }
    }

    #[test]
    fn each_pixel_is_where_it_belongs() {
        let canvas = recipe(View::fit(SIZE, 1.0, (8, 4))).values();
        assert_eq!(canvas.planes[0][8 + 3], 13.0);
        // Twice as many dots: each pixel takes four.
        let canvas = recipe(View::fit(SIZE, 1.0, (16, 8))).values();
        assert_eq!([canvas.planes[0][0], canvas.planes[0][17], canvas.planes[0][18]], [0.0, 0.0, 1.0]);
        // Half as many: each dot is the mean of four.
        let canvas = recipe(View::fit(SIZE, 1.0, (4, 2))).values();
        assert_eq!(canvas.planes[0][0], 5.5);
    }

    #[test]
    fn beside_the_plane_there_is_nothing() {
        let canvas = recipe(View::fit(SIZE, 1.0, (8, 8))).values();
        assert_eq!(canvas.alpha.iter().filter(|a| **a > 0).count(), 32);
        let picture = canvas.paint(&Brush::map(ColorMap::Grey, false, (0.0, 37.0)), None);
        assert_eq!((picture.pixel(0, 0), picture.pixel(0, 2), picture.pixel(7, 5)), ([0; 4], [0, 0, 0, 255], [255; 4]));
        assert_eq!(canvas.summaries()[0].tally.extremes(), Some((0.0, 37.0)));
        assert_eq!(canvas.summaries()[0].tally.count, 32, "what lies beside the plane is not counted");
    }

    #[test]
    fn another_plane_is_turned_to_this_one() {
        // The other plane is this one mirrored.
        let warp = Warp::of(SIZE, &|[x, y]: [f64; 2]| Some([8.0 - x, y]));
        let recipe = Recipe { warp: Some(Arc::new(warp)), ..recipe(View::fit(SIZE, 1.0, (8, 4))) };
        let canvas = recipe.values();
        assert_eq!([canvas.planes[0][0], canvas.planes[0][7]], [7.0, 0.0]);
    }

    #[test]
    fn a_cross_is_kept_inside() {
        let canvas = recipe(View::fit((8, 8), 1.0, (40, 40))).values();
        for at in [[0.0, 0.0], [39.9, 39.9], [-50.0, 400.0], [20.0, 20.0]] {
            let picture = canvas.paint(&Brush::map(ColorMap::Grey, false, (0.0, 37.0)), Some(at));
            assert_eq!(picture.rgba.len(), 40 * 40 * 4);
        }
    }
}
