//! From the pixels of one plane to those of another, by a grid of known places between which is
//! interpolated: exact where both lie in one reference system, and within parts of a pixel elsewhere.

use super::view::View;

/// Cells of the grid in each direction.
const CELLS: usize = 64;

/// A grid of places: for each corner of its cells on one plane where that lies on another.
#[derive(Debug)]
pub(super) struct Warp {
    size: (u64, u64),
    nodes: Vec<Option<[f64; 2]>>,
}

impl Warp {
    /// The corners of the cells on a plane of this size, row by row.
    pub(super) fn corners(size: (u64, u64)) -> Vec<[f64; 2]> {
        let at = |i: usize, size: u64| size as f64 * i as f64 / CELLS as f64;
        (0..=CELLS).flat_map(|row| (0..=CELLS).map(move |column| [at(column, size.0), at(row, size.1)])).collect()
    }

    /// From where the corners lie.
    pub(super) fn new(size: (u64, u64), nodes: Vec<Option<[f64; 2]>>) -> Self {
        Self { size, nodes }
    }

    /// By a function.
    pub(super) fn of(size: (u64, u64), place: &dyn Fn([f64; 2]) -> Option<[f64; 2]>) -> Self {
        Self::new(size, Self::corners(size).into_iter().map(place).collect())
    }

    /// Where a place of the one plane lies on the other.
    pub(super) fn turn(&self, at: [f64; 2]) -> Option<[f64; 2]> {
        let cell = |at: f64, size: u64| {
            let position = at / size.max(1) as f64 * CELLS as f64;
            let index = position.floor().clamp(0.0, (CELLS - 1) as f64);
            (index as usize, position - index)
        };
        let ((column, right), (row, down)) = (cell(at[0], self.size.0), cell(at[1], self.size.1));
        let node = |column: usize, row: usize| self.nodes.get(row * (CELLS + 1) + column).copied().flatten();
        let above = [node(column, row)?, node(column + 1, row)?];
        let below = [node(column, row + 1)?, node(column + 1, row + 1)?];
        let along = |edge: [[f64; 2]; 2], axis: usize| edge[0][axis] * (1.0 - right) + edge[1][axis] * right;
        Some([0, 1].map(|axis| along(above, axis) * (1.0 - down) + along(below, axis) * down))
    }

    /// The part of the other plane that is seen, and how many of its pixels a dot stands for.
    pub(super) fn seen(&self, view: &View, other: (u64, u64)) -> Option<([f64; 4], f64)> {
        const STEPS: u32 = 8;
        let [left, top, right, bottom] = view.seen();
        let mut part = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
        for row in 0..=STEPS {
            for column in 0..=STEPS {
                let share = |low: f64, high: f64, i: u32| low + (high - low) * f64::from(i) / f64::from(STEPS);
                if let Some([x, y]) = self.turn([share(left, right, column), share(top, bottom, row)]) {
                    part = [part[0].min(x), part[1].min(y), part[2].max(x), part[3].max(y)];
                }
            }
        }
        let (width, height) = (other.0 as f64, other.1 as f64);
        let inside = part[0] < width && part[1] < height && part[2] > 0.0 && part[3] > 0.0;
        let dots = [(right - left) / view.step()[0], (bottom - top) / view.step()[1]];
        let step = ((part[2] - part[0]) / dots[0].max(1.0)).min((part[3] - part[1]) / dots[1].max(1.0)).max(1e-6);
        let kept = [part[0].max(0.0), part[1].max(0.0), part[2].min(width), part[3].min(height)];
        inside.then_some((kept, step))
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // numbers that are exact
mod tests {
    use super::*;

    #[test]
    fn straight_turns_are_exact() {
        let warp = Warp::of((1_000, 500), &|[x, y]| Some([y * 3.0 + 7.0, x / 2.0 - 5.0]));
        for [x, y] in [[0.0, 0.0], [999.5, 499.5], [123.4, 56.7]] {
            let [a, b] = warp.turn([x, y]).expect("a place");
            assert!((a - (y * 3.0 + 7.0)).abs() < 1e-9 && (b - (x / 2.0 - 5.0)).abs() < 1e-9, "{a} {b}");
        }
    }

    #[test]
    fn what_is_seen_of_the_other_plane_is_known() {
        let warp = Warp::of((1_000, 1_000), &|[x, y]| Some([x * 2.0 - 500.0, y * 2.0]));
        let view = View::fit((1_000, 1_000), 1.0, (100, 100));
        let (part, step) = warp.seen(&view, (1_000, 1_000)).expect("they overlap");
        assert_eq!(part, [0.0, 0.0, 1_000.0, 1_000.0]);
        assert!((step - 20.0).abs() < 1e-9);
        let far = Warp::of((1_000, 1_000), &|[x, y]| Some([x + 5_000.0, y]));
        assert_eq!(far.seen(&view, (1_000, 1_000)), None);
        let nowhere = Warp::of((1_000, 1_000), &|_| None);
        assert!(nowhere.turn([1.0, 1.0]).is_none() && nowhere.seen(&view, (9, 9)).is_none());
    }
}
