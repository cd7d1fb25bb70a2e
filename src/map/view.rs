//! Which part of a plane is seen, in how many dots: fitting, moving, going closer.

use super::extent::Extent;
use super::plane::Plane;

/// Which part of a plane is seen. Dots are counted from the upper left corner and are square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// The plane.
    pub plane: Plane,
    /// What lies in the middle.
    pub centre: [f64; 2],
    /// Units of the plane that a dot stands for, downwards.
    pub unit: f64,
    /// Dots across and down.
    pub dots: (u32, u32),
}

/// Degrees that a dot is at least: a few centimetres.
const CLOSEST: f64 = 1e-7;
/// Room that is left around what is fitted.
const MARGIN: f64 = 1.08;
/// A fitted point or line is shown with so many degrees (units) around it.
const AROUND: f64 = 0.02;

impl View {
    /// All of `extent`, with some room around it.
    pub fn fit(plane: Plane, extent: &Extent, dots: (u32, u32)) -> Self {
        let [low, high] = extent.on(plane);
        let mut centre = [f64::midpoint(low[0], high[0]), f64::midpoint(low[1], high[1])];
        if plane == Plane::Degrees {
            centre[0] = super::plane::wrap(centre[0]);
        }
        let least = match plane {
            Plane::Own => (centre[0].abs().max(centre[1].abs()) * 1e-6).max(f64::MIN_POSITIVE),
            _ => AROUND,
        };
        let size = [(high[0] - low[0]).max(least), (high[1] - low[1]).max(least)];
        let mut view = Self { plane, centre, unit: 1.0, dots };
        // The narrowing depends on the height that is seen, and that on the narrowing: twice is enough.
        for _ in 0..3 {
            let across = size[0] * view.narrowing() / f64::from(dots.0.max(1));
            view.unit = across.max(size[1] / f64::from(dots.1.max(1))) * MARGIN;
        }
        view.kept()
    }

    /// By how much a degree of longitude is shorter than one of latitude where this looks. Near 1 where
    /// so much of the earth is seen that no one factor is right.
    pub fn narrowing(&self) -> f64 {
        if self.plane != Plane::Degrees {
            return 1.0;
        }
        let height = self.unit * f64::from(self.dots.1);
        let nearness = (1.0 - (height - 30.0) / 90.0).clamp(0.0, 1.0);
        let lat = self.centre[1].clamp(-80.0, 80.0) * nearness;
        lat.to_radians().cos()
    }

    /// What keeps within reason.
    fn kept(mut self) -> Self {
        if self.plane.is_earth() {
            let widest = match self.plane {
                Plane::Degrees => (380.0 / f64::from(self.dots.0.max(1))).max(190.0 / f64::from(self.dots.1.max(1))),
                _ => 360.0 / f64::from(self.dots.1.min(self.dots.0).max(1)),
            };
            self.unit = self.unit.clamp(CLOSEST, widest);
        } else {
            self.unit = self.unit.clamp(1e-9, 1e12);
        }
        match self.plane {
            Plane::Degrees => {
                self.centre[0] = super::plane::wrap(self.centre[0]);
                let free = (90.0 - self.unit * f64::from(self.dots.1) / 2.0).max(0.0);
                let free = free.clamp(60.0, 90.0);
                self.centre[1] = self.centre[1].clamp(-free, free);
                if self.unit * f64::from(self.dots.1) >= 180.0 {
                    self.centre[1] = 0.0;
                }
            }
            Plane::North | Plane::South => self.centre = self.centre.map(|v| v.clamp(-180.0, 180.0)),
            Plane::Own => {}
        }
        self
    }

    /// The same with other dots: as much of the plane as before is seen.
    #[must_use]
    pub fn resized(&self, dots: (u32, u32)) -> Self {
        let ratio = f64::from(self.dots.1.max(1)) / f64::from(dots.1.max(1));
        let across = f64::from(self.dots.0.max(1)) / f64::from(dots.0.max(1));
        Self { dots, unit: self.unit * ratio.max(across), ..*self }.kept()
    }

    /// The dot of a position on the plane; where the plane begins again the one nearest to the middle.
    pub fn dot(&self, at: [f64; 2]) -> [f64; 2] {
        let mut dx = at[0] - self.centre[0];
        if let Some(period) = self.plane.period() {
            dx -= (dx / period).round() * period;
        }
        self.dot_from(dx, at[1])
    }

    /// The dot of what lies `dx` units right of the middle, at `y`.
    pub fn dot_from(&self, dx: f64, y: f64) -> [f64; 2] {
        [
            dx * self.narrowing() / self.unit + f64::from(self.dots.0) / 2.0,
            (self.centre[1] - y) / self.unit + f64::from(self.dots.1) / 2.0,
        ]
    }

    /// The position on the plane of a dot.
    pub fn at(&self, dot: [f64; 2]) -> [f64; 2] {
        [
            self.centre[0] + (dot[0] - f64::from(self.dots.0) / 2.0) * self.unit / self.narrowing(),
            self.centre[1] - (dot[1] - f64::from(self.dots.1) / 2.0) * self.unit,
        ]
    }

    /// Lower left and upper right of what is seen.
    pub fn bounds(&self) -> [[f64; 2]; 2] {
        let (low, high) = (self.at([0.0, f64::from(self.dots.1)]), self.at([f64::from(self.dots.0), 0.0]));
        [low, high]
    }

    /// Moved by so many dots.
    #[must_use]
    pub fn moved(&self, dots: [f64; 2]) -> Self {
        let middle = [f64::from(self.dots.0) / 2.0 + dots[0], f64::from(self.dots.1) / 2.0 + dots[1]];
        Self { centre: self.at(middle), ..*self }.kept()
    }

    /// Closer by `factor` (farther below 1); what lies at `dot` stays there.
    #[must_use]
    pub fn closer(&self, factor: f64, dot: [f64; 2]) -> Self {
        let before = self.at(dot);
        let mut view = Self { unit: self.unit / factor, ..*self }.kept();
        // Another middle is narrowed otherwise: a few steps bring the rest.
        for _ in 0..6 {
            let after = view.at(dot);
            view.centre = [view.centre[0] + before[0] - after[0], view.centre[1] + before[1] - after[1]];
        }
        view.kept()
    }

    /// How far it is from the left to the right in the middle, in kilometres; `None` off the earth.
    pub fn kilometres(&self) -> Option<f64> {
        const DEGREE: f64 = 111.195;
        let across = self.unit * f64::from(self.dots.0);
        match self.plane {
            Plane::Own => None,
            // Across, the plane is as true as the narrowing: at the middle's latitude.
            Plane::Degrees => {
                let true_here = self.centre[1].clamp(-89.0, 89.0).to_radians().cos();
                Some(across / self.narrowing() * true_here * DEGREE)
            }
            _ => Some(across * DEGREE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: [f64; 2], b: [f64; 2]) -> bool {
        (a[0] - b[0]).abs() < 1e-6 && (a[1] - b[1]).abs() < 1e-6
    }

    #[test]
    fn what_is_fitted_is_seen_whole() {
        let extent = Extent { west: 20.0, south: 59.0, east: 31.0, north: 70.0 };
        for dots in [(92, 80), (300, 40), (8, 200)] {
            let view = View::fit(Plane::Degrees, &extent, dots);
            for corner in [[20.0, 59.0], [31.0, 70.0]] {
                let [x, y] = view.dot(corner);
                let inside = (0.0..f64::from(dots.0)).contains(&x) && (0.0..f64::from(dots.1)).contains(&y);
                assert!(inside, "{dots:?} {corner:?} at {x} {y}");
            }
        }
    }

    #[test]
    fn going_closer_keeps_what_is_under_the_cursor() {
        let extent = Extent { west: 10.0, south: 10.0, east: 12.0, north: 11.0 };
        let view = View::fit(Plane::Degrees, &extent, (200, 100));
        let under = view.at([30.0, 20.0]);
        let closer = view.closer(2.0, [30.0, 20.0]);
        assert!(near(closer.at([30.0, 20.0]), under), "{under:?} {closer:?}");
        assert!(near(view.at(view.dot([11.5, 10.2])), [11.5, 10.2]));
    }

    #[test]
    fn the_antimeridian_is_no_edge() {
        let fiji = Extent { west: 177.0, south: -19.0, east: -178.0, north: -16.0 };
        let view = View::fit(Plane::Degrees, &fiji, (100, 100));
        let (west, east) = (view.dot([177.0, -17.0]), view.dot([-178.0, -17.0]));
        assert!(west[0] > 0.0 && west[0] < east[0] && east[0] < 100.0, "{west:?} {east:?}");
    }

    #[test]
    fn a_point_can_be_fitted_and_nothing_goes_beyond_the_world() {
        let point = Extent { west: 25.0, south: 60.0, east: 25.0, north: 60.0 };
        let mut view = View::fit(Plane::Degrees, &point, (100, 80));
        assert!(view.unit > 0.0 && view.kilometres().is_some_and(|km| km < 10.0));
        for _ in 0..60 {
            view = view.closer(0.5, [0.0, 0.0]);
        }
        assert!(view.unit * 100.0 <= 381.0 || view.unit * 80.0 <= 191.0, "{view:?}");
        for _ in 0..200 {
            view = view.closer(2.0, [99.0, 79.0]).moved([50.0, -900.0]);
        }
        assert!(view.centre[1].abs() <= 90.0 && view.unit >= CLOSEST, "{view:?}");
    }
}
