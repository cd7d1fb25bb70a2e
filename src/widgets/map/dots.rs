//! Points, lines and polygons as dots: the same for braille and for pictures. Everything is clipped to
//! the dots there are before a loop begins, so that a coordinate far away costs nothing.

/// What is drawn on: dots across and down, each with an ink; 0 is none.
pub trait Dots {
    /// Dots across and down.
    fn size(&self) -> (i32, i32);

    /// Sets a dot of a line, which lies inside.
    fn set(&mut self, x: i32, y: i32, ink: u8);

    /// Marks a point there.
    fn mark(&mut self, x: i32, y: i32, ink: u8) {
        self.set(x, y, ink);
    }

    /// Shades a dot of an area.
    fn shade(&mut self, x: i32, y: i32, ink: u8) {
        self.set(x, y, ink);
    }
}

/// Coordinates farther out than this are taken for this.
const FAR: f64 = 1e7;

/// A point, where it is inside.
pub fn point(dots: &mut impl Dots, at: [f64; 2], ink: u8) {
    let (width, height) = dots.size();
    if at[0] >= 0.0 && at[1] >= 0.0 && at[0] < f64::from(width) && at[1] < f64::from(height) {
        dots.mark(at[0] as i32, at[1] as i32, ink);
    }
}

/// A straight line, both ends included.
pub fn line(dots: &mut impl Dots, from: [f64; 2], to: [f64; 2], ink: u8) {
    let (width, height) = dots.size();
    if width < 1 || height < 1 {
        return;
    }
    let Some((from, to)) = clip(from, to, [f64::from(width), f64::from(height)]) else { return };
    let steps = (to[0] - from[0]).abs().max((to[1] - from[1]).abs()).ceil().max(1.0);
    let step = [(to[0] - from[0]) / steps, (to[1] - from[1]) / steps];
    for i in 0..=steps as i32 {
        let i = f64::from(i);
        let (x, y) = ((from[0] + step[0] * i) as i32, (from[1] + step[1] * i) as i32);
        dots.set(x.clamp(0, width - 1), y.clamp(0, height - 1), ink);
    }
}

/// The part of a segment that lies in `0..size` (Liang and Barsky, 1984).
fn clip(from: [f64; 2], to: [f64; 2], size: [f64; 2]) -> Option<([f64; 2], [f64; 2])> {
    if !from.iter().chain(&to).all(|v| v.is_finite()) {
        return None;
    }
    let delta = [to[0] - from[0], to[1] - from[1]];
    let (mut first, mut last) = (0.0_f64, 1.0_f64);
    for axis in 0..2 {
        for (p, q) in [(-delta[axis], from[axis]), (delta[axis], size[axis] - 1e-6 - from[axis])] {
            if p == 0.0 && q < 0.0 {
                return None;
            }
            if p < 0.0 {
                first = first.max(q / p);
            } else if p > 0.0 {
                last = last.min(q / p);
            }
        }
    }
    let at = |t: f64| [from[0] + delta[0] * t, from[1] + delta[1] * t];
    (first <= last).then(|| (at(first), at(last)))
}

/// Fills what lies inside an odd number of rings (each without or with its first position again).
pub fn fill(dots: &mut impl Dots, rings: &[Vec<[f64; 2]>], ink: u8) {
    let (width, height) = dots.size();
    let ys = rings.iter().flatten().map(|p| p[1].clamp(-FAR, FAR));
    let (low, high) = ys.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
    let (first, last) = (low.floor().max(0.0) as i32, high.ceil().min(f64::from(height - 1)) as i32);
    let mut crossings = Vec::new();
    for y in first..=last {
        let middle = f64::from(y) + 0.5;
        crossings.clear();
        for ring in rings {
            for (i, a) in ring.iter().enumerate() {
                let b = ring[(i + 1) % ring.len()];
                if (a[1] > middle) != (b[1] > middle) {
                    crossings.push(a[0] + (middle - a[1]) / (b[1] - a[1]) * (b[0] - a[0]));
                }
            }
        }
        crossings.sort_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            let from = pair[0].ceil().max(0.0) as i32;
            let to = pair[1].floor().min(f64::from(width - 1)) as i32;
            for x in from..=to {
                dots.shade(x, y, ink);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Text(Vec<Vec<u8>>);

    impl Dots for Text {
        fn size(&self) -> (i32, i32) {
            (self.0[0].len() as i32, self.0.len() as i32)
        }
        fn set(&mut self, x: i32, y: i32, ink: u8) {
            self.0[y as usize][x as usize] = ink;
        }
    }

    impl Text {
        fn new() -> Self {
            Self(vec![vec![b'.'; 9]; 5])
        }
        fn lines(&self) -> String {
            self.0.iter().map(|row| String::from_utf8_lossy(row).into_owned()).collect::<Vec<_>>().join("\n")
        }
    }

    #[test]
    fn a_line_from_far_away_is_cut_at_the_edge() {
        let mut text = Text::new();
        line(&mut text, [-1e12, 2.5], [1e12, 2.5], b'#');
        line(&mut text, [f64::NAN, 0.0], [3.0, 3.0], b'!');
        line(&mut text, [-5.0, -5.0], [-1.0, 90.0], b'!');
        assert_eq!(text.lines(), ".........\n.........\n#########\n.........\n.........");
    }

    #[test]
    fn a_hole_stays_empty() {
        let mut text = Text::new();
        let square = |a: f64, b: f64, c: f64, d: f64| vec![[a, b], [c, b], [c, d], [a, d]];
        fill(&mut text, &[square(0.0, 0.0, 9.0, 5.0), square(2.9, 1.0, 5.9, 4.0)], b'#');
        assert_eq!(text.lines(), "#########\n###...###\n###...###\n###...###\n#########");
    }
}
