//! True bounds of features, as computed from them.

use super::features::{Features, Kind};
use super::plane::Plane;

/// West, south, east, north. West is greater than east where it goes over the antimeridian (RFC 7946,
/// 5.2). In own units where there are no degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    /// Smallest longitude, or x.
    pub west: f64,
    /// Smallest latitude, or y.
    pub south: f64,
    /// Largest longitude, or x.
    pub east: f64,
    /// Largest latitude, or y.
    pub north: f64,
}

/// Bins of longitude, half a degree each.
const BINS: usize = 720;
/// Bounds go over the antimeridian where they are by so much narrower than those that do not.
const NARROWER: f64 = 0.6;

impl Extent {
    /// Of features; `earth` where they are in degrees. `None` without any.
    pub fn of(features: &Features, earth: bool) -> Option<Self> {
        Self::over(features, 0..features.len(), earth)
    }

    /// Of some features.
    pub fn over(features: &Features, which: impl Iterator<Item = usize>, earth: bool) -> Option<Self> {
        let mut arcs = Arcs::new();
        let (mut south, mut north) = (f64::INFINITY, f64::NEG_INFINITY);
        for feature in which {
            for (kind, positions) in features.parts(feature) {
                let (mut west, mut east) = (f64::INFINITY, f64::NEG_INFINITY);
                for [x, y] in positions {
                    (west, east) = (west.min(*x), east.max(*x));
                    (south, north) = (south.min(*y), north.max(*y));
                }
                arcs.add(west, if kind == Kind::Point { west } else { east }, earth);
            }
        }
        if !(south.is_finite() && north.is_finite() && arcs.low <= arcs.high) {
            return None;
        }
        let (west, east) = if earth { arcs.narrowest() } else { (arcs.low, arcs.high) };
        Some(Self { west, south, east, north })
    }

    /// Of positions around something on earth, by the shorter way: over the antimeridian west is greater than east.
    pub fn around(outline: &[[f64; 2]]) -> Option<Self> {
        let bounds = |turned: bool| {
            outline.iter().fold(None, |b: Option<[f64; 4]>, [lon, lat]| {
                let lon = if turned && *lon < 0.0 { lon + 360.0 } else { *lon };
                let [w, s, e, n] = b.unwrap_or([lon, *lat, lon, *lat]);
                Some([w.min(lon), s.min(*lat), e.max(lon), n.max(*lat)])
            })
        };
        let (plain, turned) = (bounds(false)?, bounds(true)?);
        let [west, south, mut east, north] = if turned[2] - turned[0] < plain[2] - plain[0] { turned } else { plain };
        if east > 180.0 {
            east -= 360.0;
        }
        Some(Self { west, south, east, north })
    }

    /// From west to east, in degrees or own units.
    pub fn width(&self) -> f64 {
        if self.west > self.east { self.east + 360.0 - self.west } else { self.east - self.west }
    }

    /// Whether it goes over the antimeridian.
    pub fn crosses(&self) -> bool {
        self.west > self.east
    }

    /// The plane that suits it: polar for what lies around a pole.
    pub fn plane(&self) -> Plane {
        let around = self.width() > 120.0;
        if (around && self.south > 50.0) || self.south > 78.0 {
            Plane::North
        } else if (around && self.north < -50.0) || self.north < -78.0 {
            Plane::South
        } else {
            Plane::Degrees
        }
    }

    /// Its lower left and upper right corner on a plane.
    pub fn on(&self, plane: Plane) -> [[f64; 2]; 2] {
        let east = self.west + self.width();
        if matches!(plane, Plane::Degrees | Plane::Own) {
            return [[self.west, self.south], [east, self.north]];
        }
        let (mut low, mut high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for step in 0..=36 {
            let lon = self.west + self.width() * f64::from(step) / 36.0;
            for lat in [self.south, self.north] {
                let at = plane.place([lon, lat]);
                for axis in 0..2 {
                    (low[axis], high[axis]) = (low[axis].min(at[axis]), high[axis].max(at[axis]));
                }
            }
        }
        [low, high]
    }
}

/// Which longitudes are taken, around the earth.
struct Arcs {
    taken: Vec<Option<(f64, f64)>>,
    low: f64,
    high: f64,
}

impl Arcs {
    fn new() -> Self {
        Self { taken: vec![None; BINS], low: f64::INFINITY, high: f64::NEG_INFINITY }
    }

    fn add(&mut self, west: f64, east: f64, earth: bool) {
        (self.low, self.high) = (self.low.min(west), self.high.max(east));
        if !earth || !west.is_finite() || !east.is_finite() {
            return;
        }
        let bin = |lon: f64| (lon + 180.0) * BINS as f64 / 360.0;
        let (first, last) = (bin(west).floor() as i64, bin(east).floor() as i64);
        for at in first..=last.min(first + BINS as i64 - 1) {
            let slot = &mut self.taken[at.rem_euclid(BINS as i64) as usize];
            // Within the bin, counted from -180.
            let start = -180.0 + at as f64 * 360.0 / BINS as f64;
            let turn = (at.div_euclid(BINS as i64) * 360) as f64;
            let (a, b) = (west.max(start) - turn, east.min(start + 360.0 / BINS as f64) - turn);
            let (low, high) = slot.unwrap_or((a, b));
            *slot = Some((low.min(a), high.max(b)));
        }
    }

    /// The arc from west to east that holds them all, over the antimeridian where that is much shorter.
    fn narrowest(&self) -> (f64, f64) {
        let taken: Vec<(f64, f64)> = self.taken.iter().flatten().copied().collect();
        let (Some(first), Some(last)) = (taken.first(), taken.last()) else { return (self.low, self.high) };
        let plain = (first.0, last.1);
        let gap = taken.windows(2).max_by(|a, b| (a[1].0 - a[0].1).total_cmp(&(b[1].0 - b[0].1)));
        match gap {
            Some(&[before, after]) => {
                let over = 360.0 - (after.0 - before.1);
                if over < (plain.1 - plain.0) * NARROWER { (after.0, before.1) } else { plain }
            }
            _ => plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(points: &[[f64; 2]]) -> Extent {
        let mut features = Features::new();
        for (row, at) in points.iter().enumerate() {
            features.push_point(row as u64, *at);
        }
        Extent::of(&features, true).expect("points")
    }

    #[test]
    fn bounds_are_those_of_the_data() {
        let extent = of(&[[25.1, 60.0], [24.9, 61.5], [30.0, 59.0]]);
        assert_eq!(extent, Extent { west: 24.9, south: 59.0, east: 30.0, north: 61.5 });
        assert!(Extent::of(&Features::new(), true).is_none());
    }

    #[test]
    fn over_the_antimeridian_where_that_is_shorter() {
        let fiji = of(&[[179.2, -17.0], [-179.6, -16.0], [178.0, -18.0]]);
        assert!(fiji.crosses() && (fiji.width() - 2.4).abs() < 1e-9, "{fiji:?}");
        let world = of(&[[-170.0, 0.0], [-60.0, 0.0], [0.0, 0.0], [60.0, 0.0], [120.0, 0.0], [170.0, 0.0]]);
        assert!(!world.crosses(), "{world:?}");
    }

    #[test]
    fn around_a_pole_it_is_seen_from_above() {
        assert_eq!(of(&[[-170.0, 80.0], [-40.0, 60.0], [90.0, 70.0]]).plane(), Plane::North);
        assert_eq!(of(&[[0.0, -79.0], [10.0, -85.0]]).plane(), Plane::South);
        assert_eq!(of(&[[20.0, 60.0], [31.0, 70.0]]).plane(), Plane::Degrees);
    }

    #[test]
    fn an_outline_over_the_antimeridian_is_narrow() {
        let fiji = Extent::around(&[[177.0, -16.0], [-178.0, -16.0], [-178.0, -19.0], [177.0, -19.0]]).expect("one");
        assert_eq!((fiji.west, fiji.east), (177.0, -178.0));
        let lake = Extent::around(&[[24.0, 60.0], [25.0, 61.0]]).expect("one");
        assert_eq!((lake.west, lake.south, lake.east, lake.north), (24.0, 60.0, 25.0, 61.0));
        assert!(Extent::around(&[]).is_none());
    }
}
