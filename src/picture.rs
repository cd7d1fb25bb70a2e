//! Pixels: what previews make and terminals show.

use std::sync::Arc;

/// A picture of straight RGBA pixels. Clones share the pixels.
#[derive(Clone)]
pub struct Picture {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// `width * height * 4` bytes, row by row, RGBA, alpha not premultiplied.
    pub rgba: Arc<[u8]>,
}

impl Picture {
    /// Whether there is nothing to be seen: no pixels, or fewer bytes than the size tells.
    pub fn is_empty(&self) -> bool {
        let needed = u64::from(self.width) * u64::from(self.height) * 4;
        needed == 0 || (self.rgba.len() as u64) < needed
    }

    /// The pixel at `(x, y)`; transparent black outside.
    pub fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        if x >= self.width || y >= self.height {
            return [0; 4];
        }
        let at = (y as usize * self.width as usize + x as usize) * 4;
        self.rgba.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default()
    }

    /// The picture at another size. Shrinking averages what falls into a pixel (at most 8 x 8
    /// samples of it, so that the cost depends on the target alone), weighted by alpha; growing
    /// repeats pixels, because a pixel of data has an edge and no gradient.
    #[must_use]
    pub fn resized(&self, width: u32, height: u32) -> Self {
        if self.is_empty() || (width, height) == (self.width, self.height) {
            return self.clone();
        }
        let columns = samples(self.width, width);
        let rows = samples(self.height, height);
        let mut rgba = Vec::with_capacity(width as usize * height as usize * 4);
        for ys in &rows {
            for xs in &columns {
                rgba.extend_from_slice(&self.mean(xs, ys));
            }
        }
        Self { width, height, rgba: rgba.into() }
    }

    fn mean(&self, xs: &[u32], ys: &[u32]) -> [u8; 4] {
        if let (&[x], &[y]) = (xs, ys) {
            return self.pixel(x, y);
        }
        let (mut sum, mut alpha) = ([0u32; 3], 0u32);
        for &y in ys {
            for &x in xs {
                let [r, g, b, a] = self.pixel(x, y);
                let a = u32::from(a);
                for (total, value) in sum.iter_mut().zip([r, g, b]) {
                    *total += u32::from(value) * a;
                }
                alpha += a;
            }
        }
        if alpha == 0 {
            return [0; 4];
        }
        let count = (xs.len() * ys.len()) as u32;
        let channel = |v: u32| ((v + alpha / 2) / alpha) as u8;
        [channel(sum[0]), channel(sum[1]), channel(sum[2]), ((alpha + count / 2) / count) as u8]
    }
}

/// For each of `to` pixels the source positions that are looked at, along one axis.
fn samples(from: u32, to: u32) -> Vec<Vec<u32>> {
    let step = f64::from(from) / f64::from(to.max(1));
    let count = (step.ceil() as u32).clamp(1, 8);
    (0..to)
        .map(|i| {
            (0..count)
                .map(|k| ((f64::from(i) + (f64::from(k) + 0.5) / f64::from(count)) * step) as u32)
                .map(|at| at.min(from.saturating_sub(1)))
                .collect()
        })
        .collect()
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({}x{})", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages_and_leaves_out_transparent_pixels() {
        let rgba = [[200, 0, 0, 255], [0, 200, 0, 0], [100, 0, 0, 255], [0, 0, 0, 0]].concat();
        let small = Picture { width: 2, height: 2, rgba: rgba.into() }.resized(1, 1);
        assert_eq!(small.pixel(0, 0), [150, 0, 0, 128]);
    }

    #[test]
    fn growing_repeats_pixels() {
        let rgba = [[1, 2, 3, 255], [9, 8, 7, 255]].concat();
        let large = Picture { width: 2, height: 1, rgba: rgba.into() }.resized(5, 2);
        let row: Vec<u8> = (0..5).map(|x| large.pixel(x, 1)[0]).collect();
        assert_eq!(row, [1, 1, 9, 9, 9]);
    }

    #[test]
    fn a_picture_that_lies_about_its_size_is_empty() {
        let liar = Picture { width: 70_000, height: 70_000, rgba: vec![0; 16].into() };
        assert!(liar.is_empty());
        assert_eq!(liar.pixel(69_999, 69_999), [0; 4]);
        assert_eq!(liar.resized(4, 4).width, 70_000);
    }
}
