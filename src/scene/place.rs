//! Coordinates of a plane: pixels to the world and back.

use std::sync::Arc;

/// Where the pixels of a plane lie, in its own coordinates.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Place {
    /// Nowhere: a plain picture.
    #[default]
    Nowhere,
    /// By an affine geotransform in GDAL's order: `x = t0 + column * t1 + row * t2`,
    /// `y = t3 + column * t4 + row * t5`.
    Affine([f64; 6]),
    /// By the coordinate of each column's and each row's middle.
    Rulers {
        /// Across: one for each column.
        across: Arc<[f64]>,
        /// Down: one for each row.
        down: Arc<[f64]>,
    },
}

impl Place {
    /// The world coordinates of pixel coordinates.
    pub fn world(&self, [column, row]: [f64; 2]) -> Option<[f64; 2]> {
        let at = match self {
            Self::Nowhere => return None,
            Self::Affine(t) => [t[0] + column * t[1] + row * t[2], t[3] + column * t[4] + row * t[5]],
            Self::Rulers { across, down } => [value_at(across, column)?, value_at(down, row)?],
        };
        at.iter().all(|v| v.is_finite()).then_some(at)
    }

    /// The pixel coordinates of world coordinates, also outside the plane; `None` where the transform
    /// cannot be inverted, and outside rulers.
    pub fn pixel(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let at = match self {
            Self::Nowhere => return None,
            Self::Affine(t) => {
                let area = t[1] * t[5] - t[2] * t[4];
                let (dx, dy) = (x - t[0], y - t[3]);
                [(dx * t[5] - dy * t[2]) / area, (dy * t[1] - dx * t[4]) / area]
            }
            Self::Rulers { across, down } => [position_of(across, x)?, position_of(down, y)?],
        };
        at.iter().all(|v| v.is_finite()).then_some(at)
    }

    /// How many times as high as wide a pixel of a plane is drawn: as it lies in the world. A projection's exactly,
    /// one of degrees as it is in the middle.
    pub fn aspect(&self, size: (u64, u64), is_degrees: bool) -> f64 {
        let Some([across, down]) = self.step(size) else { return 1.0 };
        let middle = self.world([size.0 as f64 / 2.0, size.1 as f64 / 2.0]);
        let narrow = match middle {
            // So much of the earth has no one latitude.
            Some([_, lat]) if is_degrees && down * (size.1 as f64) < 40.0 => lat.clamp(-80.0, 80.0).to_radians().cos(),
            _ => 1.0,
        };
        let aspect = down / (across * narrow);
        if aspect.is_finite() && (0.02..50.0).contains(&aspect) { aspect } else { 1.0 }
    }

    /// How far the middles of neighbours lie apart, across and down, in the middle of the plane.
    pub fn step(&self, size: (u64, u64)) -> Option<[f64; 2]> {
        let middle = [size.0 as f64 / 2.0, size.1 as f64 / 2.0];
        let here = self.world(middle)?;
        let right = self.world([middle[0] + 0.5, middle[1]])?;
        let below = self.world([middle[0], middle[1] + 0.5])?;
        let far = |to: [f64; 2]| 2.0 * (to[0] - here[0]).hypot(to[1] - here[1]);
        Some([far(right), far(below)])
    }
}

/// The value at a continuous position; entry `i` lies at `i + 0.5`. Half a pixel beyond the ends.
fn value_at(ruler: &[f64], position: f64) -> Option<f64> {
    let last = ruler.len().checked_sub(1)?;
    let at = position - 0.5;
    if !(-0.5..=last as f64 + 0.5).contains(&at) {
        return None;
    }
    if last == 0 {
        return Some(ruler[0]);
    }
    let index = (at.max(0.0).floor() as usize).min(last - 1);
    let share = at - index as f64;
    Some(ruler[index] + (ruler[index + 1] - ruler[index]) * share)
}

/// The position at which a monotonic ruler has a value.
fn position_of(ruler: &[f64], value: f64) -> Option<f64> {
    let last = ruler.len().checked_sub(1)?;
    if last == 0 {
        return (ruler[0].to_bits() == value.to_bits()).then_some(0.5);
    }
    let rises = ruler[last] > ruler[0];
    let before = ruler.partition_point(|v| if rises { *v <= value } else { *v >= value });
    let index = before.saturating_sub(1).min(last - 1);
    let at = index as f64 + (value - ruler[index]) / (ruler[index + 1] - ruler[index]);
    (-0.5..=last as f64 + 0.5).contains(&at).then_some(at + 0.5)
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // numbers that are exact
mod tests {
    use super::*;

    fn near(a: [f64; 2], b: [f64; 2]) -> bool {
        (a[0] - b[0]).abs() < 1e-9 && (a[1] - b[1]).abs() < 1e-9
    }

    #[test]
    fn pixels_lead_to_the_world_and_back() {
        let rulers = Place::Rulers { across: [10.0, 20.0, 40.0].into(), down: [60.0, 50.0].into() };
        for place in [Place::Affine([500.0, 10.0, 2.0, 6000.0, -1.0, -10.0]), rulers] {
            for at in [[0.0, 0.0], [0.5, 1.5], [2.75, 0.25], [3.0, 2.0]] {
                let world = place.world(at).expect("a place");
                assert!(near(place.pixel(world).expect("a pixel"), at), "{place:?} {at:?} {world:?}");
            }
        }
    }

    #[test]
    fn the_middle_of_a_pixel_has_its_rulers_value() {
        let place = Place::Rulers { across: [10.0, 20.0, 40.0].into(), down: [60.0].into() };
        assert_eq!(place.world([1.5, 0.5]), Some([20.0, 60.0]));
        assert_eq!(place.world([-0.1, 0.5]), None);
        assert_eq!(place.pixel([100.0, 60.0]), None);
        assert_eq!(Place::Nowhere.world([0.0, 0.0]), None);
    }

    #[test]
    fn what_cannot_be_inverted_has_no_pixel() {
        assert_eq!(Place::Affine([0.0; 6]).pixel([1.0, 1.0]), None);
    }
}
