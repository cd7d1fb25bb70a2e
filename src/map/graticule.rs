//! Meridians and parallels (or lines of own coordinates), in steps that suit what is seen, and where
//! they meet the edges.

use super::plane::Plane;
use super::view::View;
use crate::widgets::map::dots::{Dots, point};

/// Steps of degrees.
const STEPS: [f64; 8] = [30.0, 20.0, 15.0, 10.0, 5.0, 2.0, 1.0, 0.5];
/// One dot of a line in so many.
const SPARSE: u32 = 3;

/// Where a line meets an edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Dots from the left, or from the top.
    pub dot: f64,
    /// `25°E`
    pub label: String,
}

/// The graticule of a view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Graticule {
    /// Between meridians and between parallels.
    pub steps: [f64; 2],
}

/// The smallest round number that is not less than this.
fn round_up(least: f64) -> f64 {
    let magnitude = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0];
    steps.into_iter().map(|s| s * magnitude).find(|s| *s >= least * (1.0 - 1e-9)).unwrap_or(magnitude * 10.0)
}

fn step(least: f64, degrees: bool) -> f64 {
    if degrees && least > 0.2 {
        return STEPS.into_iter().rev().find(|s| *s >= least).unwrap_or(STEPS[0]);
    }
    round_up(least.max(1e-12))
}

impl Graticule {
    /// With lines at least `apart` dots from one another, across and down.
    pub fn new(view: &View, apart: [f64; 2]) -> Self {
        let degrees = view.plane.is_earth();
        let across = apart[0] * view.unit / view.narrowing();
        let down = apart[1] * view.unit;
        if matches!(view.plane, Plane::North | Plane::South) {
            return Self { steps: [30.0, step(down, true).min(10.0)] };
        }
        Self { steps: [step(across, degrees), step(down, degrees)] }
    }

    /// Draws its lines, dotted.
    pub fn draw(&self, view: &View, dots: &mut impl Dots, ink: u8) {
        let (width, height) = view.dots;
        if matches!(view.plane, Plane::North | Plane::South) {
            return self.draw_polar(view, dots, ink);
        }
        let [low, high] = view.bounds();
        let lines = |axis: usize| {
            let step = self.steps[axis];
            let first = (low[axis] / step).ceil() as i64;
            (0..200).map(move |i| (first + i) as f64 * step).take_while(move |v| *v <= high[axis])
        };
        let limit = if view.plane == Plane::Degrees { 90.0 } else { f64::INFINITY };
        for x in lines(0) {
            let at = view.dot_from(x - view.centre[0], 0.0)[0];
            for y in (0..height).step_by(SPARSE as usize) {
                if view.at([0.0, f64::from(y)])[1].abs() <= limit {
                    point(dots, [at, f64::from(y)], ink);
                }
            }
        }
        for y in lines(1).filter(|y| y.abs() <= limit) {
            let at = view.dot_from(0.0, y)[1];
            for x in (0..width).step_by(SPARSE as usize) {
                point(dots, [f64::from(x), at], ink);
            }
        }
    }

    fn draw_polar(&self, view: &View, dots: &mut impl Dots, ink: u8) {
        let up = if view.plane == Plane::North { 1.0 } else { -1.0 };
        let by = f64::from(SPARSE) * view.unit;
        let farthest = 90.0_f64;
        let mut mark = |lon: f64, distance: f64| {
            let [x, y] = view.plane.place([lon, up * (90.0 - distance)]);
            point(dots, view.dot_from(x - view.centre[0], y), ink);
        };
        let most = 2_000.0;
        let along = (farthest / by).min(most) as u32;
        for meridian in 0..12 {
            (0..along).for_each(|i| mark(f64::from(meridian) * 30.0, f64::from(i) * by));
        }
        for i in 1..=(farthest / self.steps[1]) as u32 {
            let distance = f64::from(i) * self.steps[1];
            let around = (distance * std::f64::consts::TAU / by).min(most * 4.0).max(12.0);
            (0..around as u32).for_each(|k| mark(f64::from(k) * 360.0 / around, distance));
        }
    }

    /// Where meridians (lines of equal x) meet the lower edge.
    pub fn below(&self, view: &View) -> Vec<Mark> {
        let bottom = f64::from(view.dots.1) - 0.5;
        self.marks(view, 0, view.dots.0, |dot| [dot, bottom])
    }

    /// Where parallels (lines of equal y) meet the left edge.
    pub fn beside(&self, view: &View) -> Vec<Mark> {
        self.marks(view, 1, view.dots.1, |dot| [0.5, dot])
    }

    /// Looks along an edge where a coordinate passes a multiple of its step.
    fn marks(&self, view: &View, axis: usize, dots: u32, edge: impl Fn(f64) -> [f64; 2]) -> Vec<Mark> {
        let step = self.steps[axis];
        let value = |dot: f64| {
            let at = view.at(edge(dot));
            match view.plane {
                // The edge may lie beyond the poles.
                Plane::Degrees if axis == 0 => Some(super::plane::wrap(at[0])),
                plane => plane.locate(at).map(|at| at[axis]),
            }
        };
        let mut out = Vec::new();
        let mut before = value(0.0);
        for dot in 1..=dots {
            let now = value(f64::from(dot));
            if let (Some(a), Some(b)) = (before, now) {
                // A jump is the antimeridian, whose label is that of 180.
                let jump = axis == 0 && view.plane.is_earth() && (a - b).abs() > 180.0;
                let (a_step, b_step) = ((a / step).floor(), (b / step).floor());
                let at = if jump { 180.0 } else { a_step.max(b_step) * step };
                if jump && (180.0 / step).fract() == 0.0 || !jump && (a_step - b_step).abs() > 0.5 {
                    out.push(Mark { dot: f64::from(dot) - 0.5, label: label(view.plane, axis, at, step) });
                }
            }
            before = now;
        }
        out
    }
}

fn label(plane: Plane, axis: usize, value: f64, step: f64) -> String {
    let places = (-step.log10()).ceil().clamp(0.0, 7.0) as usize;
    if plane == Plane::Own {
        return format!("{value:.places$}");
    }
    degrees(value, axis == 0, places)
}

/// `24.94°E`, `60°N`, `0°`.
pub fn degrees(value: f64, longitude: bool, places: usize) -> String {
    let text = format!("{:.places$}", value.abs());
    let zero = text.bytes().all(|b| matches!(b, b'0' | b'.'));
    let side = match (longitude, value < 0.0) {
        _ if zero || (longitude && (value.abs() - 180.0).abs() < 1e-9) => "",
        (true, true) => "W",
        (true, false) => "E",
        (false, true) => "S",
        (false, false) => "N",
    };
    format!("{text}°{side}")
}

/// A round length in kilometres and how many dots it takes, at most `most` dots; `None` off the earth.
pub fn scale_bar(view: &View, most: f64) -> Option<(f64, f64)> {
    let per_dot = view.kilometres()? / f64::from(view.dots.0.max(1));
    let wish = per_dot * most;
    let magnitude = 10_f64.powf(wish.log10().floor());
    let length = [5.0, 2.0, 1.0].into_iter().map(|s| s * magnitude).find(|s| *s <= wish)?;
    Some((length, length / per_dot))
}

#[cfg(test)]
mod tests {
    use super::super::extent::Extent;
    use super::*;

    #[test]
    fn meridians_are_round_and_where_they_are() {
        let extent = Extent { west: 20.0, south: 59.5, east: 31.5, north: 70.0 };
        let view = View::fit(Plane::Degrees, &extent, (120, 100));
        let graticule = Graticule::new(&view, [15.0, 20.0]);
        let below: Vec<String> = graticule.below(&view).into_iter().map(|m| m.label).collect();
        assert!(below.contains(&"25°E".to_owned()) && below.contains(&"30°E".to_owned()), "{below:?}");
        for mark in graticule.beside(&view) {
            let lat: f64 = mark.label.trim_end_matches("°N").parse().expect("a latitude");
            assert!((view.dot([25.0, lat])[1] - mark.dot).abs() <= 1.0, "{mark:?}");
        }
    }

    #[test]
    fn labels_say_as_much_as_the_step() {
        assert_eq!(label(Plane::Degrees, 0, -108.25, 0.05), "108.25°W");
        assert_eq!(label(Plane::Degrees, 1, 0.0, 10.0), "0°");
        assert_eq!(label(Plane::Degrees, 0, 180.0, 30.0), "180°");
        assert_eq!(label(Plane::Own, 0, 500_000.0, 1e5), "500000");
        let view = View::fit(Plane::Degrees, &Extent { west: 24.0, south: 60.0, east: 26.0, north: 61.0 }, (100, 80));
        let (km, dots) = scale_bar(&view, 30.0).expect("on earth");
        assert!([10.0, 20.0, 50.0].contains(&km) && dots <= 30.0, "{km} {dots}");
    }
}
