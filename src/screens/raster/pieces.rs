//! Pieces that were read, kept for coming back; bounded in bytes.

use super::view::{Tiles, View};
use crate::scene::{Pixels, Window};
use std::sync::Arc;

/// Bytes of values that are kept of a scene.
const MOST_BYTES: usize = 192 << 20;

/// What was read, and for what: bands and positions on the axes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) bands: Vec<usize>,
    pub(super) at: Vec<u64>,
}

/// A part of the plane as it was read.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) key: Key,
    pub(super) tiles: Tiles,
    pub(super) window: Window,
    pub(super) pixels: Pixels,
}

impl Piece {
    fn bytes(&self) -> usize {
        let alpha = self.pixels.alpha.as_ref().map_or(0, Vec::len);
        self.pixels.values.iter().map(|v| v.len() * size_of::<f32>()).sum::<usize>() + alpha
    }

    /// Pixels of the plane that one of its own stands for, across.
    pub(super) fn step(&self) -> f64 {
        self.window.width as f64 / self.pixels.width.max(1) as f64
    }

    fn touches(&self, [left, top, right, bottom]: [f64; 4]) -> bool {
        let w = self.window;
        let (x, y) = (w.x as f64, w.y as f64);
        x < right && left < x + w.width as f64 && y < bottom && top < y + w.height as f64
    }
}

/// The pieces, those used last at the end.
#[derive(Default)]
pub(super) struct Pieces {
    kept: Vec<Arc<Piece>>,
    bytes: usize,
    /// Grows with each piece.
    pub(super) generation: u64,
}

impl Pieces {
    pub(super) fn add(&mut self, piece: Arc<Piece>) {
        self.bytes += piece.bytes();
        self.generation += 1;
        self.kept.push(piece);
        while self.bytes > MOST_BYTES && self.kept.len() > 1 {
            self.bytes -= self.kept.remove(0).bytes();
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self { generation: self.generation + 1, ..Self::default() };
    }

    /// The tiles of those wished for that are not there: the smallest rectangle around them.
    pub(super) fn missing(&self, key: &Key, wished: Tiles) -> Option<Tiles> {
        let known: Vec<&Tiles> =
            self.kept.iter().filter(|p| p.key == *key && p.tiles.level == wished.level).map(|p| &p.tiles).collect();
        Tiles::around(wished.level, wished.each().filter(|tile| !known.iter().any(|tiles| tiles.has(*tile))))
    }

    /// What there is to draw a part of the plane from, in the order of drawing: the coarsest first, then
    /// sharper ones, those of the level wished for last. Marks them as used.
    pub(super) fn draw(&mut self, key: &Key, level: u32, part: [f64; 4]) -> Vec<Arc<Piece>> {
        let (used, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.kept).into_iter().partition(|p| p.key == *key && p.touches(part));
        self.kept = rest;
        self.kept.extend(used.iter().cloned());
        let mut used = used;
        used.sort_by_key(|p| match p.tiles.level {
            own if own > level => (0, u32::MAX - own),
            own if own < level => (1, own),
            _ => (2, 0),
        });
        // What is covered whole needs nothing below it.
        let [left, top, right, bottom] = part;
        let covers = |p: &Arc<Piece>| {
            let (x, y) = (p.window.x as f64, p.window.y as f64);
            x <= left && y <= top && x + p.window.width as f64 >= right && y + p.window.height as f64 >= bottom
        };
        let first = used.iter().rposition(covers).unwrap_or(0);
        used.split_off(first)
    }

    /// The values at pixel coordinates, as the sharpest piece has them there.
    pub(super) fn value(&self, key: &Key, at: [f64; 2]) -> Option<Vec<f32>> {
        let here = [at[0], at[1], at[0], at[1]];
        let inside = |p: &&Arc<Piece>| {
            p.key == *key && p.touches([here[0] - 0.01, here[1] - 0.01, here[2] + 0.01, here[3] + 0.01])
        };
        let piece = self.kept.iter().filter(inside).min_by(|a, b| a.step().total_cmp(&b.step()))?;
        let own = |at: f64, start: u64, len: u64, pixels: usize| {
            let share = (at - start as f64) / len.max(1) as f64 * pixels as f64;
            (share.max(0.0) as usize).min(pixels.saturating_sub(1))
        };
        let (w, p) = (piece.window, &piece.pixels);
        let index = own(at[1], w.y, w.height, p.height) * p.width + own(at[0], w.x, w.width, p.width);
        let is_masked = p.alpha.as_ref().is_some_and(|a| a.get(index) == Some(&0));
        let value = |plane: &Vec<f32>| plane.get(index).copied().filter(|_| !is_masked).unwrap_or(f32::NAN);
        Some(p.values.iter().map(value).collect())
    }

    /// The piece that covers all of the plane, at any level.
    pub(super) fn whole(&self, key: &Key, view: &View) -> Option<Arc<Piece>> {
        let all = |p: &&Arc<Piece>| {
            let w = p.window;
            p.key == *key && (w.x, w.y, w.width, w.height) == (0, 0, view.size.0, view.size.1)
        };
        self.kept.iter().filter(all).min_by_key(|p| p.tiles.level).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::tiles_of;
    use super::*;

    const SIZE: (u64, u64) = (4_096, 4_096);

    fn key() -> Key {
        Key { bands: vec![1], at: Vec::new() }
    }

    fn piece(level: u32, part: [f64; 4]) -> Arc<Piece> {
        let tiles = tiles_of(level, part, SIZE);
        let (width, height) = tiles.pixels(SIZE);
        let (width, height) = (width as usize, height as usize);
        let values = vec![vec![level as f32; width * height]];
        let pixels = Pixels { width, height, bands: vec![1], values, alpha: None, overview: None };
        Arc::new(Piece { key: key(), tiles, window: tiles.window(SIZE), pixels })
    }

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let mut pieces = Pieces::default();
        pieces.add(piece(0, [0.0, 0.0, 512.0, 512.0]));
        let wished = tiles_of(0, [200.0, 0.0, 900.0, 512.0], SIZE);
        let missing = pieces.missing(&key(), wished).expect("the right half");
        assert_eq!((missing.columns, missing.rows), ((2, 4), (0, 2)));
        let other = Key { bands: vec![2], at: Vec::new() };
        assert_eq!(pieces.missing(&other, wished), Some(wished));
        pieces.add(piece(0, [512.0, 0.0, 1_024.0, 512.0]));
        assert_eq!(pieces.missing(&key(), wished), None);
    }

    #[test]
    fn coarse_pieces_lie_below_sharp_ones() {
        let mut pieces = Pieces::default();
        for (level, part) in
            [(0, [0.0, 0.0, 256.0, 256.0]), (4, [0.0, 0.0, 4_096.0, 4_096.0]), (1, [0.0, 0.0, 512.0, 512.0])]
        {
            pieces.add(piece(level, part));
        }
        let levels = |pieces: &mut Pieces, part| -> Vec<u32> {
            pieces.draw(&key(), 1, part).iter().map(|p| p.tiles.level).collect()
        };
        assert_eq!(levels(&mut pieces, [0.0, 0.0, 1_000.0, 1_000.0]), [4, 0, 1]);
        assert_eq!(levels(&mut pieces, [0.0, 0.0, 300.0, 300.0]), [1], "it covers all that is seen");
        assert_eq!(levels(&mut pieces, [600.0, 600.0, 700.0, 700.0]), [4]);
    }

    #[test]
    fn what_was_used_last_is_kept() {
        let mut pieces = Pieces::default();
        // 16 MiB each.
        for i in 0..16 {
            let part = [0.0, 0.0, 2_048.0, 2_048.0];
            let mut one = Arc::into_inner(piece(0, part)).expect("alone");
            one.key.at = vec![i];
            pieces.add(Arc::new(one));
            let first = Key { at: vec![0], ..key() };
            assert_eq!(pieces.draw(&first, 0, part).len(), 1, "the first one is used all the time");
        }
        assert!(pieces.bytes <= MOST_BYTES && pieces.kept.len() == 12, "{} {}", pieces.bytes, pieces.kept.len());
    }
}
