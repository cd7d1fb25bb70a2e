//! Features on a plane, arranged so that drawing and picking look only at what is in view, and at no
//! more than there are dots: points in bins, and once more thinned out in bins of several sizes.

use super::extent::Extent;
use super::features::{Features, Kind};
use super::plane::Plane;
use super::view::View;
use std::sync::Arc;

/// Points that a bin holds on average.
const IN_A_BIN: usize = 8;
/// Bins across, and down, at most.
const MOST_BINS: usize = 1_024;
/// Bins across of the thinned levels.
const LEVELS: [usize; 5] = [128, 256, 512, 1_024, 2_048];

/// Features on a plane. See the module.
#[derive(Debug)]
pub struct Scene {
    /// What they are.
    pub features: Arc<Features>,
    /// The plane.
    pub plane: Plane,
    /// Bounds of those that are shown.
    pub extent: Option<Extent>,
    /// How many are shown.
    pub count: usize,
    pub(super) points: Bins,
    pub(super) shapes: Vec<Shape>,
}

/// A feature that is no single point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) feature: u32,
    pub(super) ink: u8,
    /// Its corners on the plane.
    pub(super) low: [f64; 2],
    pub(super) high: [f64; 2],
}

/// Points, sorted by the bin that they lie in.
#[derive(Debug, Default)]
pub(super) struct Bins {
    pub(super) low: [f64; 2],
    pub(super) size: [f64; 2],
    across: usize,
    starts: Vec<u32>,
    pub(super) at: Vec<[f64; 2]>,
    pub(super) ink: Vec<u8>,
    feature: Vec<u32>,
    levels: Vec<Level>,
}

/// Bins of one size that hold any point, by rows.
#[derive(Debug)]
pub(super) struct Level {
    across: usize,
    rows: Vec<u32>,
    bins: Vec<(u16, u8)>,
}

/// What lies under a cursor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pick {
    /// The feature.
    pub feature: usize,
    /// How many dots away; 0 within an area.
    pub dots: f64,
}

impl Scene {
    /// Arranges those features that are in `which` (all without), each with its ink. Blocks.
    pub fn new(features: Arc<Features>, which: Option<&[u32]>, inks: &[u8], plane: Plane) -> Self {
        let all: Vec<u32>;
        let which = if let Some(which) = which {
            which
        } else {
            all = (0..features.len() as u32).collect();
            &all
        };
        let extent = Extent::over(&features, which.iter().map(|f| *f as usize), plane.is_earth());
        // East of the antimeridian is counted on from 180.
        let turn = extent.filter(|e| e.crosses() && plane == Plane::Degrees).map(|e| e.west);
        let place = |at: [f64; 2]| {
            let [x, y] = plane.place(at);
            [if turn.is_some_and(|west| x < west) { x + 360.0 } else { x }, y]
        };
        let (mut at, mut ink, mut feature, mut shapes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for &f in which {
            let own = inks.get(f as usize).copied().unwrap_or(1);
            if let Some(point) = features.point(f as usize) {
                at.push(place(point));
                ink.push(own);
                feature.push(f);
                continue;
            }
            let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
            for p in features.parts(f as usize).flat_map(|(_, positions)| positions) {
                let p = plane.place(*p);
                for axis in 0..2 {
                    (low[axis], high[axis]) = (low[axis].min(p[axis]), high[axis].max(p[axis]));
                }
            }
            shapes.push(Shape { feature: f, ink: own, low, high });
        }
        // Large ones are drawn first, so that small ones within them stay to be seen.
        let area = |s: &Shape| (s.high[0] - s.low[0]) * (s.high[1] - s.low[1]);
        shapes.sort_by(|a, b| area(b).total_cmp(&area(a)));
        let count = which.len();
        Self { plane, extent, count, points: Bins::new(&at, &ink, &feature), shapes, features }
    }

    /// What lies at a dot of a view, or near it by so many dots: a point or line before the smallest area.
    pub fn pick(&self, view: &View, dot: [f64; 2], reach: f64) -> Option<Pick> {
        let mut best: Option<Pick> = None;
        let mut offer = |pick: Pick| {
            if pick.dots <= reach && best.is_none_or(|b| pick.dots < b.dots) {
                best = Some(pick);
            }
        };
        self.points.each_near(view, dot, reach, |feature, dots| offer(Pick { feature: feature as usize, dots }));
        let centre = view.at(dot);
        let mut inside = None;
        for shape in &self.shapes {
            let Some(shift) = shift_to(view, shape, centre, reach) else { continue };
            let (near, within) = self.nearness(view, shape, shift, dot);
            offer(Pick { feature: shape.feature as usize, dots: near });
            if within {
                inside = Some(Pick { feature: shape.feature as usize, dots: 0.0 });
            }
        }
        best.filter(|b| b.dots < 1.0 || inside.is_none()).or(inside).or(best)
    }

    /// Dots from the nearest edge or point of a shape, and whether the dot lies within it.
    fn nearness(&self, view: &View, shape: &Shape, shift: f64, dot: [f64; 2]) -> (f64, bool) {
        let place = |at: &[f64; 2]| {
            let [x, y] = self.plane.place(*at);
            view.dot_from(x + shift - view.centre[0], y)
        };
        let (mut near, mut within) = (f64::INFINITY, false);
        for (kind, positions) in self.features.parts(shape.feature as usize) {
            let Some(first) = positions.first() else { continue };
            let mut before =
                if kind == Kind::Ring { positions.last().map_or_else(|| place(first), place) } else { place(first) };
            for position in positions {
                let now = place(position);
                if kind == Kind::Ring && (before[1] > dot[1]) != (now[1] > dot[1]) {
                    let x = before[0] + (dot[1] - before[1]) / (now[1] - before[1]) * (now[0] - before[0]);
                    within ^= x > dot[0];
                }
                let from = if kind == Kind::Point { now } else { before };
                near = near.min(distance(dot, from, now));
                before = now;
            }
        }
        (near, within)
    }
}

/// By how much a shape has to be moved to lie where the view looks; `None` where it is not near `centre`.
fn shift_to(view: &View, shape: &Shape, centre: [f64; 2], reach: f64) -> Option<f64> {
    let room = [reach * view.unit / view.narrowing(), reach * view.unit];
    if centre[1] < shape.low[1] - room[1] || centre[1] > shape.high[1] + room[1] {
        return None;
    }
    let period = view.plane.period();
    let shifts = [0.0, -1.0, 1.0].map(|n| n * period.unwrap_or(0.0));
    let fits = |shift: &f64| (shape.low[0] + shift - room[0]..=shape.high[0] + shift + room[0]).contains(&centre[0]);
    shifts.into_iter().find(fits)
}

/// From a position to a segment.
fn distance(at: [f64; 2], from: [f64; 2], to: [f64; 2]) -> f64 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let square = along[0] * along[0] + along[1] * along[1];
    let share = (at[0] - from[0]) * along[0] + (at[1] - from[1]) * along[1];
    let share = if square > 0.0 { (share / square).clamp(0.0, 1.0) } else { 0.0 };
    (from[0] + along[0] * share - at[0]).hypot(from[1] + along[1] * share - at[1])
}

impl Bins {
    fn new(at: &[[f64; 2]], ink: &[u8], feature: &[u32]) -> Self {
        if at.is_empty() {
            return Self::default();
        }
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for p in at {
            for axis in 0..2 {
                (low[axis], high[axis]) = (low[axis].min(p[axis]), high[axis].max(p[axis]));
            }
        }
        let size = [0, 1].map(|axis| (high[axis] - low[axis]).max(f64::MIN_POSITIVE));
        let across = ((at.len() / IN_A_BIN) as f64).sqrt().ceil().clamp(1.0, MOST_BINS as f64) as usize;
        let mut bins = Self { low, size, across, ..Self::default() };
        let place = |p: [f64; 2]| bins.column(p[0], 0, across) + bins.column(p[1], 1, across) * across;
        // A counting sort.
        let mut starts = vec![0_u32; across * across + 1];
        for p in at {
            starts[place(*p) + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut order = vec![0_u32; at.len()];
        for (i, p) in at.iter().enumerate() {
            let slot = &mut next[place(*p)];
            order[*slot as usize] = i as u32;
            *slot += 1;
        }
        bins.starts = starts;
        bins.at = order.iter().map(|&i| at[i as usize]).collect();
        bins.ink = order.iter().map(|&i| ink[i as usize]).collect();
        bins.feature = order.iter().map(|&i| feature[i as usize]).collect();
        let levels: Vec<Level> = LEVELS.into_iter().filter(|n| n * n < at.len()).map(|n| bins.level(n)).collect();
        bins.levels = levels;
        bins
    }

    /// The bin of `n` along an axis.
    fn column(&self, v: f64, axis: usize, n: usize) -> usize {
        (((v - self.low[axis]) / self.size[axis] * n as f64).max(0.0) as usize).min(n - 1)
    }

    /// Which bins hold any point, each with the ink of most of them (Boyer and Moore, 1981).
    fn level(&self, across: usize) -> Level {
        let mut votes = vec![(0_u8, 0_u32); across * across];
        for (p, &ink) in self.at.iter().zip(&self.ink) {
            let vote = &mut votes[self.column(p[0], 0, across) + self.column(p[1], 1, across) * across];
            *vote = match *vote {
                (_, 0) => (ink, 1),
                (lead, n) if lead == ink => (lead, n + 1),
                (lead, n) => (lead, (n - 1).max(1)),
            };
        }
        let (mut rows, mut bins) = (vec![0], Vec::new());
        for row in votes.chunks_exact(across) {
            let taken = row.iter().enumerate().filter(|(_, (_, n))| *n > 0);
            bins.extend(taken.map(|(column, (ink, _))| (column as u16, *ink)));
            rows.push(bins.len() as u32);
        }
        Level { across, rows, bins }
    }

    /// Shows each point, or bin of points, that may lie in a part of the plane: where it is, and its ink.
    /// `dot` is the size of a dot on the plane.
    pub(super) fn each_in(&self, low: [f64; 2], high: [f64; 2], dot: [f64; 2], mut show: impl FnMut([f64; 2], u8)) {
        let apart = |axis: usize| high[axis] < self.low[axis] || low[axis] > self.low[axis] + self.size[axis];
        if self.at.is_empty() || apart(0) || apart(1) {
            return;
        }
        let range = |axis: usize, n: usize| self.column(low[axis], axis, n)..=self.column(high[axis], axis, n);
        let fine = |level: &&Level| (0..2).all(|axis| self.size[axis] / level.across as f64 <= dot[axis]);
        if let Some(level) = self.levels.iter().find(fine) {
            let n = level.across;
            let columns = range(0, n);
            for row in range(1, n) {
                let y = self.low[1] + (row as f64 + 0.5) * self.size[1] / n as f64;
                for (column, ink) in &level.bins[level.rows[row] as usize..level.rows[row + 1] as usize] {
                    if columns.contains(&usize::from(*column)) {
                        show([self.low[0] + (f64::from(*column) + 0.5) * self.size[0] / n as f64, y], *ink);
                    }
                }
            }
            return;
        }
        let columns = range(0, self.across);
        for row in range(1, self.across) {
            let (first, last) = (row * self.across + columns.start(), row * self.across + columns.end());
            let points = self.starts[first] as usize..self.starts[last + 1] as usize;
            for (at, ink) in self.at[points.clone()].iter().zip(&self.ink[points]) {
                show(*at, *ink);
            }
        }
    }

    fn each_near(&self, view: &View, dot: [f64; 2], reach: f64, mut offer: impl FnMut(u32, f64)) {
        if self.at.is_empty() {
            return;
        }
        let centre = view.at(dot);
        let room = [reach * view.unit / view.narrowing(), reach * view.unit];
        let period = view.plane.period().unwrap_or(0.0);
        for shift in [0.0, -period, period] {
            let x = centre[0] + shift;
            let outside = |v: f64, axis: usize| {
                v + room[axis] < self.low[axis] || v - room[axis] > self.low[axis] + self.size[axis]
            };
            if outside(x, 0) || outside(centre[1], 1) {
                continue;
            }
            let columns = self.column(x - room[0], 0, self.across)..=self.column(x + room[0], 0, self.across);
            let rows =
                self.column(centre[1] - room[1], 1, self.across)..=self.column(centre[1] + room[1], 1, self.across);
            for row in rows {
                let (first, last) = (row * self.across + columns.start(), row * self.across + columns.end());
                for i in self.starts[first] as usize..self.starts[last + 1] as usize {
                    let p = self.at[i];
                    let away = [(p[0] - x) * view.narrowing() / view.unit, (p[1] - centre[1]) / view.unit];
                    offer(self.feature[i], away[0].hypot(away[1]));
                }
            }
            if period == 0.0 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(n: usize) -> Features {
        let mut features = Features::new();
        for i in 0..n * n {
            features.push_point(i as u64 + 1_000, [20.0 + (i % n) as f64 * 0.01, 60.0 + (i / n) as f64 * 0.01]);
        }
        features
    }

    #[test]
    fn the_nearest_is_picked() {
        let features = Arc::new(grid(50));
        let scene = Scene::new(features.clone(), None, &[], Plane::Degrees);
        let view = View::fit(Plane::Degrees, &scene.extent.expect("an extent"), (160, 80));
        for wanted in [0, 49, 1_275, 2_499] {
            let dot = view.dot(features.point(wanted).expect("a point"));
            let pick = scene.pick(&view, [dot[0] + 0.3, dot[1] - 0.2], 3.0).expect("one");
            assert_eq!((pick.feature, features.row(pick.feature)), (wanted, wanted as u64 + 1_000));
        }
        assert_eq!(scene.pick(&view, [-500.0, 0.0], 3.0), None);
        let some = Scene::new(features, Some(&[7]), &[], Plane::Degrees);
        assert_eq!(some.pick(&view, view.dot([20.07, 60.0]), 3.0).map(|p| p.feature), Some(7));
        assert_eq!(some.pick(&view, view.dot([20.01, 60.0]), 1.0), None);
    }

    #[test]
    fn thinned_levels_show_what_single_points_would() {
        let features = Arc::new(grid(200));
        let scene = Scene::new(features, None, &vec![3; 40_000], Plane::Degrees);
        let all = ([20.0, 60.0], [22.0, 62.0]);
        let (mut thin, mut single) = (0, 0);
        scene.points.each_in(all.0, all.1, [0.02, 0.02], |_, ink| thin += usize::from(ink == 3));
        scene.points.each_in(all.0, all.1, [1e-9, 1e-9], |_, ink| single += usize::from(ink == 3));
        assert!((10_000..=16_384).contains(&thin), "{thin}");
        assert_eq!(single, 40_000);
        let mut few = 0;
        scene.points.each_in([20.0, 60.0], [20.1, 60.1], [1e-9, 1e-9], |_, _| few += 1);
        assert!((100..1_000).contains(&few), "{few}");
    }
}
