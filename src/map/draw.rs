//! A scene and the world on dots: of braille or of a picture.

use super::features::Kind;
use super::scene::{Scene, Shape};
use super::view::View;
use super::world::World;
use crate::widgets::map::dots::{Dots, fill, line, point};

/// A shape smaller than so many dots is a point.
const SMALL: f64 = 1.5;

/// The turns of the earth that are in view between two longitudes of the plane.
fn shifts(view: &View, low: f64, high: f64) -> impl Iterator<Item = f64> {
    let [seen_low, seen_high] = view.bounds();
    let (first, last, period) = match view.plane.period() {
        Some(period) => {
            let turns = |v: f64| (v / period).clamp(-4.0, 4.0);
            (turns(seen_low[0] - high).ceil() as i32, turns(seen_high[0] - low).floor() as i32, period)
        }
        None => (0, 0, 0.0),
    };
    (first..=last).map(move |n| f64::from(n) * period)
}

fn is_seen(view: &View, low: [f64; 2], high: [f64; 2], shift: f64) -> bool {
    let [seen_low, seen_high] = view.bounds();
    low[0] + shift <= seen_high[0] && high[0] + shift >= seen_low[0] && low[1] <= seen_high[1] && high[1] >= seen_low[1]
}

/// Draws the features that are in view with their inks: areas are shaded, the largest first.
pub fn draw_features(scene: &Scene, view: &View, dots: &mut impl Dots) {
    for shape in &scene.shapes {
        for shift in shifts(view, shape.low[0], shape.high[0]) {
            if is_seen(view, shape.low, shape.high, shift) {
                draw_shape(scene, view, shape, shift, dots);
            }
        }
    }
    let bins = &scene.points;
    let [low, high] = view.bounds();
    let dot = [view.unit / view.narrowing(), view.unit];
    let (narrowing, unit) = (view.narrowing() / view.unit, 1.0 / view.unit);
    let middle = [f64::from(view.dots.0) / 2.0, f64::from(view.dots.1) / 2.0];
    for shift in shifts(view, bins.low[0], bins.low[0] + bins.size[0]) {
        bins.each_in([low[0] - shift, low[1]], [high[0] - shift, high[1]], dot, |at, ink| {
            let x = (at[0] + shift - view.centre[0]) * narrowing + middle[0];
            point(dots, [x, (view.centre[1] - at[1]) * unit + middle[1]], ink);
        });
    }
}

fn draw_shape(scene: &Scene, view: &View, shape: &Shape, shift: f64, dots: &mut impl Dots) {
    let place = |at: [f64; 2]| view.dot_from(at[0] + shift - view.centre[0], at[1]);
    let size = [0, 1].map(|axis| (shape.high[axis] - shape.low[axis]) / view.unit);
    if size[0] < SMALL && size[1] < SMALL {
        let middle = [0, 1].map(|axis| f64::midpoint(shape.low[axis], shape.high[axis]));
        return point(dots, place(middle), shape.ink);
    }
    let mut rings = Vec::new();
    let mut lines = Vec::new();
    for (kind, positions) in scene.features.parts(shape.feature as usize) {
        let placed = positions.iter().map(|p| place(scene.plane.place(*p)));
        match kind {
            Kind::Point => placed.for_each(|at| point(dots, at, shape.ink)),
            Kind::Line => lines.push(placed.collect::<Vec<_>>()),
            Kind::Ring => rings.push(placed.collect::<Vec<_>>()),
        }
    }
    fill(dots, &rings, shape.ink);
    for ring in &rings {
        path(dots, ring, shape.ink);
        if let (Some(first), Some(last)) = (ring.first(), ring.last()) {
            line(dots, *last, *first, shape.ink);
        }
    }
    for positions in &lines {
        path(dots, positions, shape.ink);
    }
}

fn path(dots: &mut impl Dots, positions: &[[f64; 2]], ink: u8) {
    // What lies within one dot of what was drawn last is not drawn again.
    let Some(mut last) = positions.first().copied() else { return };
    for (i, &at) in positions.iter().enumerate().skip(1) {
        let near = (at[0] - last[0]).abs() < 0.5 && (at[1] - last[1]).abs() < 0.5;
        if !near || i + 1 == positions.len() {
            line(dots, last, at, ink);
            last = at;
        }
    }
}

/// Draws the outlines of the world that are in view: land borders, then coasts.
pub fn draw_world(world: &World, view: &View, dots: &mut impl Dots, border: u8, coast: u8) {
    if !view.plane.is_earth() {
        return;
    }
    let flat = view.plane.period().is_some();
    for (borders, ink) in [(true, border), (false, coast)] {
        for outline in world.lines.iter().filter(|l| l.border == borders) {
            for shift in shifts(view, outline.low[0], outline.high[0]) {
                if flat && !is_seen(view, outline.low, outline.high, shift) {
                    continue;
                }
                let place = |p: &[f64; 2]| {
                    let [x, y] = view.plane.place(*p);
                    view.dot_from(x + shift - view.centre[0], y)
                };
                path(dots, &outline.positions.iter().map(place).collect::<Vec<_>>(), ink);
            }
        }
    }
}

/// Fills the land that is in view.
pub(super) fn fill_land(world: &World, view: &View, dots: &mut impl Dots, ink: u8) {
    if !view.plane.is_earth() {
        return;
    }
    for rings in world.land() {
        for shift in shifts(view, -180.0, 180.0) {
            let place = |p: &[f64; 2]| {
                let [x, y] = view.plane.place(*p);
                view.dot_from(x + shift - view.centre[0], y)
            };
            let placed: Vec<Vec<[f64; 2]>> = rings.iter().map(|ring| ring.iter().map(place).collect()).collect();
            fill(dots, &placed, ink);
        }
    }
}
