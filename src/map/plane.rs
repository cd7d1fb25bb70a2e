//! Planes that maps are drawn on. Their unit is a degree of latitude, or that of a reference system that
//! is not known.

/// How coordinates come to lie on a plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plane {
    /// Longitude to the right, latitude up (plate carrée; [`super::View`] narrows it with the latitude).
    #[default]
    Degrees,
    /// Seen from above the north pole: azimuthal, distances from the pole are true (Snyder 1987, 25).
    North,
    /// Seen from below the south pole.
    South,
    /// Coordinates of a reference system that is not known, as they are.
    Own,
}

impl Plane {
    /// The position of `[lon, lat]` in degrees (or own units) on the plane.
    pub fn place(self, [x, y]: [f64; 2]) -> [f64; 2] {
        match self {
            Self::Degrees | Self::Own => [x, y],
            Self::North => polar(x, 90.0 - y, -1.0),
            Self::South => polar(x, 90.0 + y, 1.0),
        }
    }

    /// The inverse of [`Plane::place`]; `None` where there is no place on earth.
    pub fn locate(self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let (distance, up) = match self {
            Self::Own => return Some([x, y]),
            Self::Degrees => return (y.abs() <= 90.0).then(|| [wrap(x), y]),
            Self::North => (x.hypot(y), -1.0),
            Self::South => (x.hypot(y), 1.0),
        };
        let lon = if distance == 0.0 { 0.0 } else { x.atan2(y * up).to_degrees() };
        (distance <= 180.0).then_some([lon, up * (distance - 90.0)])
    }

    /// After how many units it begins again to the right.
    pub fn period(self) -> Option<f64> {
        (self == Self::Degrees).then_some(360.0)
    }

    /// Whether there are degrees, so that outlines of the world fit.
    pub fn is_earth(self) -> bool {
        self != Self::Own
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Degrees => "equirectangular",
            Self::North => "north polar",
            Self::South => "south polar",
            Self::Own => "own coordinates",
        }
    }
}

fn polar(lon: f64, distance: f64, up: f64) -> [f64; 2] {
    let (sin, cos) = lon.to_radians().sin_cos();
    [distance * sin, distance * cos * up]
}

/// A longitude between -180 and 180.
pub fn wrap(lon: f64) -> f64 {
    if (-180.0..=180.0).contains(&lon) { lon } else { (lon + 180.0).rem_euclid(360.0) - 180.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for plane in [Plane::Degrees, Plane::North, Plane::South, Plane::Own] {
            for at in [[25.0, 60.0], [-170.0, 71.5], [0.0, -89.0], [179.0, 0.0]] {
                let back = plane.locate(plane.place(at)).expect("on earth");
                assert!((back[0] - at[0]).abs() < 1e-9 && (back[1] - at[1]).abs() < 1e-9, "{plane:?} {at:?} {back:?}");
            }
        }
        assert_eq!(Plane::Degrees.locate([10.0, 91.0]), None);
        assert!((wrap(190.0) + 170.0).abs() < 1e-9 && (wrap(-540.0) + 180.0).abs() < 1e-9);
    }
}
