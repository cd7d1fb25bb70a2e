//! An invented piece of southern Finland, seen from above: a long lake with islands and inlets,
//! forest stands and clear-cuts, fields around the shores, a town, roads. It is drawn in
//! top-of-atmosphere reflectance of the four 10 m bands of Sentinel-2, for a day of the year.

use super::noise::{Cell, cell, fbm, hash, quantile, rows, step, unit, value};

/// Pixels along each side of the whole landscape, at 10 m.
pub(super) const SIDE: usize = 1098;
/// Easting of its west edge in EPSG:32635, metres; on the 60 m grid of tile 35VLH.
pub(super) const WEST: f64 = 355_200.0;
/// Northing of its north edge in EPSG:32635, metres.
pub(super) const NORTH: f64 = 6_772_800.0;
/// Metres of a pixel.
pub(super) const PIXEL: f64 = 10.0;
/// The bands, in the order of all arrays here.
pub(super) const BANDS: [&str; 4] = ["B02", "B03", "B04", "B08"];

/// Added to `reflectance * 10000` since processing baseline 04.00 (`RADIO_ADD_OFFSET` is its negative).
const OFFSET: f32 = 1000.0;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Kind {
    #[default]
    Forest,
    Water,
    Field,
    Clearcut,
    Built,
    Road,
}

/// What lies in one pixel, whatever the day.
#[derive(Clone, Copy, Debug, Default)]
struct Ground {
    kind: Kind,
    /// -1..1: texture.
    tone: f32,
    /// 0..1: depth of water; how far inside its parcel for a field.
    depth: f32,
    /// Which stand or parcel.
    id: u32,
}

/// The ground of all pixels, row by row from the north-west.
pub(super) struct Landscape(Vec<Ground>);

/// The sky over the landscape on a day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sky {
    /// Day of the year.
    pub(super) day: f32,
    /// Share of pixels under clouds, 0..1.
    pub(super) clouds: f64,
    /// Seed of the clouds.
    pub(super) seed: u32,
    /// Strength of the algal bloom in the lake, 0..1.
    pub(super) bloom: f32,
    /// Whether the edge of the swath cuts off the south-east corner.
    pub(super) edge: bool,
}

/// A square of the landscape, in its pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Columns from the west edge.
    pub(super) x: usize,
    /// Rows from the north edge.
    pub(super) y: usize,
    /// Pixels along each side.
    pub(super) side: usize,
}

impl Window {
    /// GDAL's geotransform of the window, EPSG:32635.
    pub(super) fn transform(self) -> [f64; 6] {
        [WEST + self.x as f64 * PIXEL, PIXEL, 0.0, NORTH - self.y as f64 * PIXEL, 0.0, -PIXEL]
    }
}

impl Landscape {
    /// Draws it.
    pub(super) fn new() -> Self {
        let sample: Vec<f32> =
            (0..SIDE * SIDE).step_by(53).map(|i| height((i % SIDE) as f32, (i / SIDE) as f32)).collect();
        let shore = quantile(sample, 0.27);
        let mut ground = vec![Ground::default(); SIDE * SIDE];
        rows(&mut ground, SIDE, |y, line| {
            for (x, g) in line.iter_mut().enumerate() {
                *g = survey(x as f32, y as f32, shore);
            }
        });
        Self(ground)
    }

    /// Digital numbers of a window under a sky: the four bands one after another, each row by row.
    /// 0 is no data.
    pub(super) fn scene(&self, window: Window, sky: &Sky) -> Vec<u16> {
        let cover = Clouds::new(sky);
        let side = window.side;
        let mut pixels = vec![[0_u16; 4]; side * side];
        rows(&mut pixels, side, |row, line| {
            let y = window.y + row;
            for (column, pixel) in line.iter_mut().enumerate() {
                let x = window.x + column;
                if sky.edge && column + row * 2 > side * 27 / 10 {
                    continue;
                }
                let Some(ground) = self.0.get(y * SIDE + x) else { continue };
                let seen = cover.over(x as f32, y as f32, reflectance(ground, x as f32, y as f32, sky));
                for (band, (dn, r)) in pixel.iter_mut().zip(seen).enumerate() {
                    let grain = unit(hash(x as i32, y as i32, sky.seed + band as u32)) - 0.5;
                    *dn = (r * 10_000.0 + OFFSET + grain * 12.0).round().clamp(1.0, 65_534.0) as u16;
                }
            }
        });
        (0..4).flat_map(|band| pixels.iter().map(move |p| p[band])).collect()
    }
}

/// Height above the sea in 0..1; stretched along the lakes' direction, which ice gave them.
fn height(x: f32, y: f32) -> f32 {
    let (along, across) = ((x + y) * 0.707, (y - x) * 0.707);
    let bend = fbm(x / 210.0, y / 210.0, 3, 11) - 0.5;
    fbm(along / 520.0 + bend * 0.5, across / 215.0 + bend, 7, 23)
}

fn survey(x: f32, y: f32, shore: f32) -> Ground {
    let above = height(x, y) - shore;
    if above < 0.0 {
        return Ground { kind: Kind::Water, tone: 0.0, depth: (-above * 14.0).min(1.0), id: 0 };
    }
    let fine = value(x * 0.83, y * 0.83, 5) + value(x * 0.31, y * 0.31, 6) - 1.0;
    let motorway = (y - 0.55 * x - 150.0 - 60.0 * (x / 190.0).sin()).abs() < 1.5;
    let lane = (fbm(x / 260.0, y / 260.0, 3, 31) - 0.5).abs() < 0.0042;
    if motorway || (lane && above > 0.004) {
        return Ground { kind: Kind::Road, tone: fine, ..Ground::default() };
    }
    let town = ((x - 560.0).hypot((y - 480.0) * 1.25)).min(1.7 * (x - 250.0).hypot(y - 830.0));
    if town + 90.0 * (fbm(x / 40.0, y / 40.0, 3, 41) - 0.5) < 92.0 {
        let block = cell(x / 9.0, y / 9.0, 43);
        let street = block.inside < 0.12;
        let kind = if street { Kind::Road } else { Kind::Built };
        return Ground { kind, tone: fine, depth: block.inside, id: block.id };
    }
    let farmed = fbm(x / 150.0, y / 150.0, 3, 53) + 0.16 * (1.0 - step(0.0, 0.17, above));
    if farmed > 0.575 && above > 0.006 {
        let Cell { id, inside } = parcel(x, y);
        return Ground { kind: Kind::Field, tone: fine, depth: inside, id };
    }
    let stand = cell(x / 31.0 + fine * 0.06, y / 24.0 + fine * 0.06, 61);
    let kind = if stand.id.is_multiple_of(17) { Kind::Clearcut } else { Kind::Forest };
    Ground { kind, tone: fine, depth: above, id: stand.id }
}

/// Fields lie in long parcels side by side, each group of them turned its own way.
fn parcel(x: f32, y: f32) -> Cell {
    let group = cell(x / 120.0, y / 120.0, 71);
    let (sin, cos) = (unit(group.id) * std::f32::consts::PI).sin_cos();
    let (u, v) = (x * cos + y * sin, y * cos - x * sin);
    let mut found = cell(u / 34.0, v / 13.0, group.id);
    found.inside = found.inside.min(group.inside * 3.0);
    found
}

/// Top-of-atmosphere reflectance of B02, B03, B04, B08.
fn reflectance(g: &Ground, x: f32, y: f32, sky: &Sky) -> [f32; 4] {
    let season = (sky.day - 152.0) / 60.0;
    let own = unit(g.id.wrapping_mul(0x9e37_79b1));
    match g.kind {
        Kind::Water => {
            let shallow = (1.0 - g.depth).powi(6);
            let bloom = if sky.bloom > 0.0 { sky.bloom * swirl(x, y) * (0.4 + 0.6 * g.depth) } else { 0.0 };
            let wind = 0.002 * (value(x / 14.0, y / 5.0, sky.seed) - 0.5);
            mix(
                mix([0.086, 0.058, 0.031, 0.018], [0.094, 0.079, 0.054, 0.036], shallow),
                [0.090, 0.096, 0.050, 0.060],
                bloom,
            )
            .map(|r| r + wind)
        }
        Kind::Field => {
            let green = [0.083, 0.088, 0.050, 0.38];
            let soil = [0.106, 0.113, 0.128, 0.20];
            let rape = [0.088, 0.128, 0.122, 0.37];
            let ripe = [0.104, 0.126, 0.138, 0.30];
            let base = match g.id % 7 {
                0 => mix(green, rape, step(0.15, 0.45, season)),
                1 => mix(soil, green, step(-0.2, 1.2, season + own * 0.4)),
                2 | 3 => mix(green, ripe, step(0.3, 1.3, season + own * 0.5)),
                4 => mix(soil, [0.092, 0.096, 0.082, 0.29], step(0.0, 1.0, season)),
                _ => mix(green, [0.080, 0.078, 0.044, 0.42], own),
            };
            let ditch = 1.0 - 0.35 * (1.0 - step(0.02, 0.10, g.depth));
            let rows_of_seed = 1.0 + 0.05 * g.tone;
            base.map(|r| r * ditch * rows_of_seed)
        }
        Kind::Forest => {
            let leafy = step(0.62, 1.0, own) * (0.8 + 0.2 * season.clamp(0.0, 1.0));
            let base = mix([0.0765, 0.064, 0.0365, 0.165], [0.079, 0.076, 0.042, 0.29], leafy);
            base.map(|r| r * (1.0 + 0.10 * g.tone + 0.06 * (own - 0.5)))
        }
        Kind::Clearcut => [0.090, 0.090, 0.082, 0.23].map(|r| r * (1.0 + 0.10 * g.tone)),
        Kind::Built => {
            let roof = if own > 0.8 { [0.155, 0.162, 0.175, 0.21] } else { [0.118, 0.112, 0.108, 0.20] };
            mix(roof, [0.084, 0.076, 0.050, 0.28], 0.45 * step(0.1, 0.9, unit(g.id) + 0.5 * g.tone))
                .map(|r| r * (1.0 + 0.12 * g.tone))
        }
        Kind::Road => [0.122, 0.122, 0.126, 0.17].map(|r| r * (1.0 + 0.05 * g.tone)),
    }
}

/// How much the currents have gathered of what floats: 0..1.
fn swirl(x: f32, y: f32) -> f32 {
    let bend = fbm(x / 70.0, y / 70.0, 3, 83) * 5.0;
    step(0.50, 0.72, fbm(x / 46.0 + bend, y / 130.0 + bend * 0.7, 4, 89))
}

fn mix(a: [f32; 4], b: [f32; 4], share: f32) -> [f32; 4] {
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share)
}

/// Cumulus, its veils, and the shadow it throws to the north-north-west (the sun stands in the
/// south-south-east when the satellite passes at half past ten).
struct Clouds {
    seed: u32,
    /// Thickness in 0..1 at one of [`Clouds::STEP`] pixels each way; empty on a clear day.
    grid: Vec<f32>,
}

impl Clouds {
    /// Clouds have no finer features, and noise is what the drawing of a scene costs.
    const STEP: usize = 3;
    /// Beyond the landscape's edge clouds go on for as far as their shadows reach.
    const WIDTH: usize = (SIDE + 48) / Self::STEP;

    fn new(sky: &Sky) -> Self {
        if sky.clouds <= 0.0 {
            return Self { seed: sky.seed, grid: Vec::new() };
        }
        let mut grid = vec![0.0; Self::WIDTH * Self::WIDTH];
        rows(&mut grid, Self::WIDTH, |y, line| {
            for (x, cell) in line.iter_mut().enumerate() {
                *cell = puff((x * Self::STEP) as f32, (y * Self::STEP) as f32, sky.seed);
            }
        });
        let threshold = quantile(grid.iter().copied().step_by(29).collect(), 1.0 - sky.clouds);
        for cell in &mut grid {
            *cell = step(threshold - 0.02, threshold + 0.10, *cell);
        }
        Self { seed: sky.seed, grid }
    }

    fn thickness(&self, x: f32, y: f32) -> f32 {
        let (u, v) = (x / Self::STEP as f32, y / Self::STEP as f32);
        let (ix, iy) = (u as usize, v as usize);
        let (fx, fy) = (u - ix as f32, v - iy as f32);
        let at = |dx: usize, dy: usize| self.grid.get((iy + dy) * Self::WIDTH + ix + dx).copied().unwrap_or_default();
        let top = at(0, 0) + (at(1, 0) - at(0, 0)) * fx;
        let bottom = at(0, 1) + (at(1, 1) - at(0, 1)) * fx;
        top + (bottom - top) * fy
    }

    fn over(&self, x: f32, y: f32, ground: [f32; 4]) -> [f32; 4] {
        if self.grid.is_empty() {
            return ground;
        }
        let shadow = 1.0 - 0.55 * self.thickness(x + 11.0, y + 29.0);
        // The blue light scattered in the air does not come from the ground: no shadow takes it.
        let air = [0.062, 0.034, 0.018, 0.008];
        let lit: [f32; 4] = std::array::from_fn(|i| (ground[i] - air[i]) * shadow + air[i]);
        let thick = self.thickness(x, y);
        if thick <= 0.0 {
            return lit;
        }
        let billow = 0.85 + 0.3 * (value(x / 9.0, y / 9.0, self.seed ^ 5) - 0.5);
        mix(lit, [0.54, 0.52, 0.51, 0.57].map(|r| r * billow), thick.powf(0.8))
    }
}

fn puff(x: f32, y: f32, seed: u32) -> f32 {
    let lumps = fbm(x / 120.0 + 31.0, y / 95.0, 6, seed);
    lumps + 0.35 * (value(x / 420.0, y / 420.0, seed ^ 0x55) - 0.5)
}
