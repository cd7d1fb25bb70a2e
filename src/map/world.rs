//! Outlines of countries: Natural Earth, 1:110m Admin 0 countries (<https://www.naturalearthdata.com>,
//! public domain), in `assets/world.bin`, which `tests/python/world.py` writes and describes.

use std::collections::HashMap;

/// The file.
const FILE: &[u8] = include_bytes!("../../assets/world.bin");

/// Outlines of the countries of the world.
#[derive(Debug, Default)]
pub struct World {
    countries: Vec<Country>,
    pub(super) lines: Vec<Outline>,
}

#[derive(Debug)]
struct Country {
    name: String,
    rings: Vec<Vec<[f64; 2]>>,
}

/// A coast or a land border.
#[derive(Debug)]
pub(super) struct Outline {
    pub(super) border: bool,
    pub(super) positions: Vec<[f64; 2]>,
    /// Its corners.
    pub(super) low: [f64; 2],
    pub(super) high: [f64; 2],
}

/// Positions in 1/100 degree.
type Ring = Vec<(i32, i32)>;

struct Bytes<'a>(std::slice::Iter<'a, u8>);

impl Bytes<'_> {
    fn number(&mut self) -> Option<u32> {
        let mut value = 0;
        for shift in (0..32).step_by(7) {
            let byte = *self.0.next()?;
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn difference(&mut self) -> Option<i32> {
        self.number().map(|n| (n >> 1) as i32 ^ -((n & 1) as i32))
    }

    fn text(&mut self) -> Option<String> {
        let bytes: Vec<u8> = (0..self.number()?).map_while(|_| self.0.next().copied()).collect();
        String::from_utf8(bytes).ok()
    }
}

fn parse(bytes: &[u8]) -> Option<Vec<(String, Vec<Ring>)>> {
    let mut bytes = Bytes(bytes.strip_prefix(b"SWM1")?.iter());
    let mut countries = Vec::new();
    for _ in 0..bytes.number()? {
        let name = bytes.text()?;
        let mut rings = Vec::new();
        for _ in 0..bytes.number()? {
            let (mut x, mut y, mut ring) = (0, 0, Vec::new());
            for _ in 0..bytes.number()? {
                (x, y) = (x + bytes.difference()?, y + bytes.difference()?);
                ring.push((x, y));
            }
            rings.push(ring);
        }
        countries.push((name, rings));
    }
    Some(countries)
}

/// The cut along the antimeridian and the bottom of Antarctica are edges of the source and not of land.
fn is_cut(a: (i32, i32), b: (i32, i32)) -> bool {
    (a.0.abs() == 18_000 && a.0 == b.0) || (a.1 <= -8_999 && b.1 <= -8_999)
}

fn degrees((x, y): (i32, i32)) -> [f64; 2] {
    [f64::from(x) / 100.0, f64::from(y) / 100.0]
}

impl World {
    /// Reads the outlines, which takes about a millisecond.
    pub fn load() -> Self {
        let countries = parse(FILE).unwrap_or_default();
        let mut seen: HashMap<_, u8> = HashMap::new();
        let key = |a, b| if a < b { (a, b) } else { (b, a) };
        let rings = || countries.iter().flat_map(|(_, rings)| rings);
        let edges = |ring: &Ring| -> Vec<((i32, i32), (i32, i32))> {
            ring.iter().copied().zip(ring.iter().copied().cycle().skip(1)).collect()
        };
        for (a, b) in rings().flat_map(edges) {
            *seen.entry(key(a, b)).or_default() += 1;
        }
        let mut lines: Vec<Outline> = Vec::new();
        for ring in rings() {
            let mut last: Option<(u8, (i32, i32))> = None;
            for (a, b) in edges(ring) {
                // 1 coast, 2 a border, 0 a border that was told of already.
                let count = seen.entry(key(a, b)).or_default();
                let class = std::mem::replace(count, (*count).min(1) * u8::from(*count < 2));
                if class == 0 || is_cut(a, b) {
                    last = None;
                    continue;
                }
                match lines.last_mut() {
                    Some(line) if last == Some((class, a)) => line.positions.push(degrees(b)),
                    _ => lines.push(Outline {
                        border: class > 1,
                        positions: vec![degrees(a), degrees(b)],
                        low: [0.0; 2],
                        high: [0.0; 2],
                    }),
                }
                last = Some((class, b));
            }
        }
        for line in &mut lines {
            (line.low, line.high) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
            for p in &line.positions {
                for (axis, at) in p.iter().enumerate() {
                    line.low[axis] = line.low[axis].min(*at);
                    line.high[axis] = line.high[axis].max(*at);
                }
            }
        }
        let countries = countries.into_iter().map(|(name, rings)| Country {
            name,
            rings: rings.into_iter().map(|ring| ring.into_iter().map(degrees).collect()).collect(),
        });
        Self { countries: countries.collect(), lines }
    }

    /// The country at a longitude and latitude; none at sea. As true as its outline is coarse.
    pub fn country(&self, at: [f64; 2]) -> Option<&str> {
        let within = |country: &&Country| country.rings.iter().filter(|ring| winds(ring, at)).count() % 2 == 1;
        self.countries.iter().find(within).map(|country| country.name.as_str())
    }

    /// The rings of land, country by country: to be filled.
    pub(super) fn land(&self) -> impl Iterator<Item = &[Vec<[f64; 2]>]> {
        self.countries.iter().map(|country| country.rings.as_slice())
    }
}

fn winds(ring: &[[f64; 2]], at: [f64; 2]) -> bool {
    let mut within = false;
    for (a, b) in ring.iter().zip(ring.iter().cycle().skip(1)) {
        if (a[1] > at[1]) != (b[1] > at[1]) && a[0] + (at[1] - a[1]) / (b[1] - a[1]) * (b[0] - a[0]) > at[0] {
            within = !within;
        }
    }
    within
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_lie_where_they_lie() {
        let world = World::load();
        assert_eq!(world.countries.len(), 177);
        assert_eq!(world.country([25.0, 62.0]), Some("Finland"));
        assert_eq!(world.country([-108.0, 39.0]), Some("United States of America"));
        assert_eq!(world.country([28.2, -29.5]), Some("Lesotho"));
        assert_eq!(world.country([-30.0, 40.0]), None);
    }

    #[test]
    fn borders_are_told_from_coasts_and_told_once() {
        let world = World::load();
        let edges = |border: bool| -> usize {
            world.lines.iter().filter(|l| l.border == border).map(|l| l.positions.len() - 1).sum()
        };
        assert!(edges(false) > 4_000 && edges(true) > 1_500, "{} {}", edges(false), edges(true));
        assert!(world.lines.iter().all(|l| l.positions.iter().any(|p| p[1] > -89.9)));
    }
}
