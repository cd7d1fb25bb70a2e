//! Which part of a plane is seen, in how many dots: fitting, moving, going closer.

use crate::scene::Window;

/// Edge of a tile, in pixels of its level: what is read is cut along tiles, so that the same piece is
/// never read twice.
pub(super) const TILE: u64 = 256;
/// A level is sharp enough where it has so many of the pixels wished for in each direction: a little less
/// sharpness often saves three quarters of the bytes.
const ENOUGH: f64 = 1.25;
/// Dots that a pixel takes at most in the smaller direction, as a part of all.
const CLOSEST: f64 = 4.0;

/// Which part of a plane is seen. Positions are pixels of the plane, its upper left corner `[0, 0]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct View {
    /// Pixels of the plane, across and down.
    pub(super) size: (u64, u64),
    /// How many times as high as wide a pixel is drawn.
    pub(super) aspect: f64,
    /// What lies in the middle.
    pub(super) centre: [f64; 2],
    /// Columns of the plane that a dot stands for.
    pub(super) scale: f64,
    /// Dots across and down.
    pub(super) dots: (u32, u32),
}

/// Tiles of a level: `2^level` pixels of the plane are one of it. Columns and rows from and to (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tiles {
    pub(super) level: u32,
    pub(super) columns: (u64, u64),
    pub(super) rows: (u64, u64),
}

impl View {
    /// All of a plane.
    pub(super) fn fit(size: (u64, u64), aspect: f64, dots: (u32, u32)) -> Self {
        let aspect = if aspect > 0.0 && aspect.is_finite() { aspect } else { 1.0 };
        let view = Self { size, aspect, centre: [0.0; 2], scale: 1.0, dots: (dots.0.max(1), dots.1.max(1)) };
        Self { centre: [size.0 as f64 / 2.0, size.1 as f64 / 2.0], scale: view.widest(), ..view }
    }

    /// The scale at which all is seen.
    fn widest(&self) -> f64 {
        let across = self.size.0 as f64 / f64::from(self.dots.0);
        across.max(self.size.1 as f64 * self.aspect / f64::from(self.dots.1))
    }

    /// Columns and rows that a dot stands for.
    pub(super) fn step(&self) -> [f64; 2] {
        [self.scale, self.scale / self.aspect]
    }

    /// Keeps within the plane and within reason.
    fn kept(mut self) -> Self {
        let (widest, least) = (self.widest(), f64::from(self.dots.0.min(self.dots.1)));
        let closest = (CLOSEST / least.max(CLOSEST)).min(self.aspect * CLOSEST / least.max(CLOSEST));
        self.scale = self.scale.clamp(closest.min(widest), widest.max(1.0));
        let step = self.step();
        for axis in 0..2 {
            let (size, dots) = ([self.size.0, self.size.1][axis] as f64, [self.dots.0, self.dots.1][axis]);
            let half = step[axis] * f64::from(dots) / 2.0;
            // What is smaller than the window stays in its middle.
            self.centre[axis] =
                if half * 2.0 >= size { size / 2.0 } else { self.centre[axis].clamp(half, size - half) };
        }
        self
    }

    /// The same with other dots: the same middle and scale.
    pub(super) fn resized(&self, dots: (u32, u32)) -> Self {
        Self { dots: (dots.0.max(1), dots.1.max(1)), ..*self }.kept()
    }

    /// The plane's pixel coordinates at a dot.
    pub(super) fn at(&self, dot: [f64; 2]) -> [f64; 2] {
        let step = self.step();
        [
            self.centre[0] + (dot[0] - f64::from(self.dots.0) / 2.0) * step[0],
            self.centre[1] + (dot[1] - f64::from(self.dots.1) / 2.0) * step[1],
        ]
    }

    /// The dot at pixel coordinates.
    pub(super) fn dot(&self, at: [f64; 2]) -> [f64; 2] {
        let step = self.step();
        [
            (at[0] - self.centre[0]) / step[0] + f64::from(self.dots.0) / 2.0,
            (at[1] - self.centre[1]) / step[1] + f64::from(self.dots.1) / 2.0,
        ]
    }

    /// Moved by so many dots.
    pub(super) fn moved(&self, dots: [f64; 2]) -> Self {
        let step = self.step();
        Self { centre: [self.centre[0] + dots[0] * step[0], self.centre[1] + dots[1] * step[1]], ..*self }.kept()
    }

    /// Closer by `factor` (farther below 1); what lies at `at` stays where it is, as far as the edges allow.
    pub(super) fn closer(&self, factor: f64, at: [f64; 2]) -> Self {
        let scale = Self { scale: self.scale / factor, ..*self }.kept().scale;
        let share = scale / self.scale;
        let centre = [0, 1].map(|axis| at[axis] + (self.centre[axis] - at[axis]) * share);
        Self { centre, scale, ..*self }.kept()
    }

    /// One dot for each column of the plane, around `at`.
    pub(super) fn true_size(&self, at: [f64; 2]) -> Self {
        Self { centre: at, scale: 1.0, ..*self }.kept()
    }

    /// With `at` in sight: moved as little as that needs.
    pub(super) fn showing(&self, at: [f64; 2]) -> Self {
        let dot = self.dot(at);
        let over = |dot: f64, dots: u32| {
            let last = f64::from(dots) - 0.5;
            if dot < 0.5 {
                dot - 0.5
            } else if dot > last {
                dot - last
            } else {
                0.0
            }
        };
        let by = [over(dot[0], self.dots.0), over(dot[1], self.dots.1)];
        if by[0].abs() + by[1].abs() > 0.0 { self.moved(by) } else { *self }
    }

    /// Whether all of the plane is seen.
    pub(super) fn is_whole(&self) -> bool {
        self.scale >= self.widest() * 0.999_999
    }

    /// Left, top, right, bottom of what is seen of the plane.
    pub(super) fn seen(&self) -> [f64; 4] {
        let (low, high) = (self.at([0.0, 0.0]), self.at([f64::from(self.dots.0), f64::from(self.dots.1)]));
        let (width, height) = (self.size.0 as f64, self.size.1 as f64);
        [low[0].clamp(0.0, width), low[1].clamp(0.0, height), high[0].clamp(0.0, width), high[1].clamp(0.0, height)]
    }

    /// The level whose pixels are as large as dots, or a little larger.
    pub(super) fn level(&self) -> u32 {
        let step = self.step();
        level_for(step[0].min(step[1]))
    }

    /// The tiles that are seen.
    pub(super) fn tiles(&self) -> Tiles {
        let level = self.level();
        let [left, top, right, bottom] = self.seen();
        tiles_of(level, [left, top, right, bottom], self.size)
    }
}

/// The level for so many pixels of the plane to a dot.
pub(super) fn level_for(step: f64) -> u32 {
    (step * ENOUGH).log2().floor().clamp(0.0, 40.0) as u32
}

/// The tiles of a level that a part of the plane touches.
pub(super) fn tiles_of(level: u32, [left, top, right, bottom]: [f64; 4], size: (u64, u64)) -> Tiles {
    let edge = (TILE << level) as f64;
    let range = |low: f64, high: f64, size: u64| {
        let most = size.div_ceil(TILE << level).max(1);
        let first = ((low / edge).floor().max(0.0) as u64).min(most - 1);
        let last = ((high / edge).ceil().max(0.0) as u64).clamp(first + 1, most);
        (first, last)
    };
    Tiles { level, columns: range(left, right, size.0), rows: range(top, bottom, size.1) }
}

impl Tiles {
    /// The window of the plane that they cover.
    pub(super) fn window(&self, size: (u64, u64)) -> Window {
        let edge = TILE << self.level;
        let (x, y) = (self.columns.0 * edge, self.rows.0 * edge);
        let (right, bottom) = ((self.columns.1 * edge).min(size.0), (self.rows.1 * edge).min(size.1));
        Window { x, y, width: right.saturating_sub(x), height: bottom.saturating_sub(y) }
    }

    /// Pixels of the level, across and down.
    pub(super) fn pixels(&self, size: (u64, u64)) -> (u32, u32) {
        let window = self.window(size);
        let pixels = |n: u64| n.div_ceil(1 << self.level).min(u64::from(u32::MAX)) as u32;
        (pixels(window.width), pixels(window.height))
    }

    /// Each of them.
    pub(super) fn each(self) -> impl Iterator<Item = (u64, u64)> {
        (self.rows.0..self.rows.1)
            .flat_map(move |row| (self.columns.0..self.columns.1).map(move |column| (column, row)))
    }

    /// Whether a tile is one of them.
    pub(super) fn has(&self, (column, row): (u64, u64)) -> bool {
        (self.columns.0..self.columns.1).contains(&column) && (self.rows.0..self.rows.1).contains(&row)
    }

    /// The smallest rectangle around some of them.
    pub(super) fn around(level: u32, tiles: impl Iterator<Item = (u64, u64)>) -> Option<Self> {
        tiles.fold(None, |found: Option<Self>, (column, row)| {
            let one = Self { level, columns: (column, column + 1), rows: (row, row + 1) };
            Some(found.map_or(one, |f| Self {
                columns: (f.columns.0.min(column), f.columns.1.max(column + 1)),
                rows: (f.rows.0.min(row), f.rows.1.max(row + 1)),
                ..one
            }))
        })
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // numbers that are exact
mod tests {
    use super::*;

    fn near(a: [f64; 2], b: [f64; 2]) -> bool {
        (a[0] - b[0]).abs() < 1e-6 && (a[1] - b[1]).abs() < 1e-6
    }

    #[test]
    fn all_is_seen_when_fitted_and_dots_lead_back() {
        for (size, aspect) in [((10_980, 10_980), 1.0), ((400, 50), 1.0), ((1, 1), 1.0), ((360, 180), 2.0)] {
            let view = View::fit(size, aspect, (120, 80));
            assert!(view.is_whole());
            assert_eq!(view.seen(), [0.0, 0.0, size.0 as f64, size.1 as f64], "{size:?}");
            assert!(near(view.at(view.dot([0.3, 0.7])), [0.3, 0.7]));
            let corner = view.dot([size.0 as f64, size.1 as f64]);
            assert!(corner[0] <= 120.0 + 1e-9 && corner[1] <= 80.0 + 1e-9, "{corner:?}");
        }
    }

    #[test]
    fn going_closer_keeps_what_is_under_the_cursor() {
        let view = View::fit((10_980, 10_980), 1.0, (120, 80)).closer(8.0, [5_490.0, 5_490.0]);
        let at = [5_300.0, 5_600.0];
        let dot = view.dot(at);
        assert!(near(view.closer(2.0, at).dot(at), dot));
        let back = (0..20).fold(view, |view, _| view.closer(0.5, at));
        assert!(back.is_whole(), "{back:?}");
        let close = (0..60).fold(view, |view, _| view.closer(2.0, at));
        assert!((close.step()[0] * 80.0 - 4.0).abs() < 1e-9, "a pixel is no larger than a quarter of the screen");
    }

    #[test]
    fn the_window_stays_on_the_plane() {
        let view = View::fit((1_000, 1_000), 1.0, (100, 100)).true_size([500.0, 500.0]);
        let end = (0..50).fold(view, |view, _| view.moved([60.0, -60.0]));
        assert_eq!(end.seen(), [900.0, 0.0, 1_000.0, 100.0]);
        assert_eq!(end.showing([950.0, 50.0]), end);
        assert_eq!(end.showing([899.5, 50.0]).seen(), [899.0, 0.0, 999.0, 100.0]);
    }

    #[test]
    fn the_level_suits_the_dots_and_tiles_cover_what_is_seen() {
        let view = View::fit((10_980, 10_980), 1.0, (120, 120));
        // 91.5 pixels to a dot: 64 are sharp enough.
        assert_eq!(view.level(), 6);
        assert_eq!(view.tiles(), Tiles { level: 6, columns: (0, 1), rows: (0, 1) });
        assert_eq!(view.tiles().pixels(view.size), (172, 172));
        let close = view.true_size([5_000.0, 10_980.0]);
        let tiles = close.tiles();
        assert_eq!((close.level(), tiles.columns, tiles.rows), (0, (19, 20), (42, 43)));
        assert_eq!(tiles.window(close.size), Window { x: 4_864, y: 10_752, width: 256, height: 228 });
        let around = Tiles::around(3, [(4, 9), (2, 9), (3, 11)].into_iter()).expect("some");
        assert_eq!((around.columns, around.rows, around.each().count()), ((2, 5), (9, 12), 9));
    }
}
