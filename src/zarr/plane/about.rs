//! What a plane is, told from its coordinates and attributes as far as they were read.

use super::Inner;
use crate::scene::{self, Axis, Band, Direction, Place, Sheet, Words};
use crate::text;
use crate::zarr::array::Array;
use crate::zarr::member::{Member, sides};
use crate::zarr::ruler::Ruler;
use serde_json::Value;
use std::sync::Arc;

impl Inner {
    pub(super) fn describe(&self) -> scene::About {
        let about = self.array.about();
        let encoding = self.array.encoding();
        let (y, x) = (self.ruler(self.choice.y), self.ruler(self.choice.x));
        let size = (about.shape[self.choice.x], about.shape[self.choice.y]);
        let title = match self.array.path().last() {
            Some(name) => name.clone(),
            None => self.array.source().location().name().trim_end_matches('/').to_owned(),
        };
        // Beside a grid the dimensions count cells, or degrees on a turned globe.
        let is_map = x.axis == Some('X') && y.axis == Some('Y');
        let is_degrees = is_map && self.grid.is_none() && is_degrees(&x) && is_degrees(&y);
        let place = self.place(&y, &x);
        let level = |level: &Array| (level.about().shape[self.choice.x], level.about().shape[self.choice.y]);
        let shown = [about.shape_and_type(), about.codecs.join(" "), encoding.about.clone()];
        let axis = |&at: &usize| {
            let (rulers, len, name) = (self.rulers.clone(), about.shape[at], about.dimension(at));
            let words = move |position: u64| match rulers[at].get() {
                Some(ruler) => ruler.words(position),
                None => position.to_string(),
            };
            Axis { name, len, first: 0, words: Words::new(words) }
        };
        scene::About {
            title,
            summary: shown.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · "),
            location: self.array.source().member(self.array.path()),
            size,
            directions: [Self::direction(&x, self.flip.1), Self::direction(&y, self.flip.0)],
            bands: self.bands(),
            first: vec![1],
            axes: self.axes.iter().map(axis).collect(),
            outline: outline(&place, size, is_degrees),
            aspect: if is_map { place.aspect(size, is_degrees).clamp(0.05, 20.0) } else { slant(size) },
            place,
            crs: is_degrees.then(|| "OGC:CRS84".to_owned()).or_else(|| self.crs()),
            is_degrees,
            overviews: self.levels.iter().map(level).collect(),
            block: (about.chunks[self.choice.x].min(size.0), about.chunks[self.choice.y].min(size.1)),
            sheets: self.sheets(),
            parts: Vec::new(),
            part: None,
        }
    }

    /// What is known of a dimension.
    pub(super) fn ruler(&self, at: usize) -> Ruler {
        self.rulers[at].get().cloned().unwrap_or_else(|| Ruler::bare(&self.zarr, &self.array, at))
    }

    fn direction(ruler: &Ruler, turned: bool) -> Direction {
        let unit = Some(ruler.encoding.unit.clone()).filter(|unit| !unit.is_empty() && !ruler.is_time());
        // Degrees and metres are told by the place; times and names are not.
        let words = (ruler.is_time() || !ruler.names.is_empty()).then(|| {
            let ruler = ruler.clone();
            Words::new(move |at| ruler.words(if turned { ruler.len.saturating_sub(at + 1) } else { at }))
        });
        Direction { name: ruler.name.clone(), unit, words }
    }

    fn bands(&self) -> Vec<Band> {
        let (about, encoding) = (self.array.about(), self.array.encoding());
        let unit = Some(encoding.unit.clone()).filter(|unit| !unit.is_empty());
        let band = |name: String| Band { name, dtype: about.dtype.clone(), unit: unit.clone(), ..Band::default() };
        match self.band {
            Some(at) => {
                let ruler = self.ruler(at);
                let name =
                    |i| if ruler.range().is_some() { ruler.words(i) } else { format!("{} {}", ruler.name, i + 1) };
                (0..ruler.len).map(|i| band(name(i))).collect()
            }
            None if encoding.about.is_empty() => vec![band(self.array.path().last().cloned().unwrap_or_default())],
            None => vec![band(encoding.about.clone())],
        }
    }

    /// Where the plane lies: evenly spaced coordinates are an affine transform, others rulers.
    fn place(&self, y: &Ruler, x: &Ruler) -> Place {
        let turned = |ruler: &Ruler, turned: bool| -> Arc<[f64]> {
            if turned { ruler.values.iter().rev().copied().collect() } else { ruler.values.clone() }
        };
        let (down, across) = (turned(y, self.flip.0), turned(x, self.flip.1));
        if down.is_empty() || across.is_empty() {
            return self.transform().map_or(Place::Nowhere, Place::Affine);
        }
        let step = |ruler: &Ruler, turned: bool| ruler.step().map(|step| if turned { -step } else { step });
        if let (Some(dy), Some(dx)) = (step(y, self.flip.0), step(x, self.flip.1)) {
            return Place::Affine([across[0] - dx / 2.0, dx, 0.0, down[0] - dy / 2.0, 0.0, dy]);
        }
        if y.rises().is_none() || x.rises().is_none() {
            return Place::Nowhere;
        }
        Place::Rulers { across, down }
    }

    /// The grid mapping of CF: the variable, and its attribute `name`.
    fn mapping(&self, name: &str) -> Option<&str> {
        let mapping = self.array.attribute("grid_mapping").and_then(Value::as_str).unwrap_or("spatial_ref");
        let path = self.zarr.hierarchy().nearby(self.array.path(), mapping.split([':', ' ']).next()?)?;
        self.zarr.hierarchy().members.get(&path)?.words(name)
    }

    /// GDAL's geotransform, which rioxarray writes beside the reference system.
    fn transform(&self) -> Option<[f64; 6]> {
        let numbers: Vec<f64> =
            self.mapping("GeoTransform")?.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        numbers.try_into().ok()
    }

    /// The name of the reference system.
    fn crs(&self) -> Option<String> {
        let wkt = self.mapping("crs_wkt").or_else(|| self.mapping("spatial_ref"))?;
        let code = wkt.rsplit_once("\"EPSG\"").map(|(_, end)| {
            end.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).take(8).collect::<String>()
        });
        match code.filter(|code| !code.is_empty()) {
            Some(code) => Some(format!("EPSG:{code}")),
            None => wkt.split('"').nth(1).map(|name| text::fit(&text::clean(name), 40).into_owned()),
        }
    }

    fn sheets(&self) -> Vec<Sheet> {
        let about = self.array.about();
        let mut sheets = vec![Sheet::list("array", about.facts())];
        let attributes: Vec<(String, String)> =
            self.zarr.hierarchy().members.get(self.array.path()).map(Member::shown_attributes).unwrap_or_default();
        if !attributes.is_empty() {
            sheets.push(Sheet::list("attributes", attributes));
        }
        if !self.levels.is_empty() {
            let rows = std::iter::once(&self.array).chain(&self.levels).enumerate();
            let row = |(at, level): (usize, &Array)| {
                vec![at.to_string(), sides(&level.about().shape), sides(&level.about().chunks), level.path().join("/")]
            };
            sheets.push(Sheet::table("levels", &["level", "shape", "chunks", "path"], rows.map(row).collect()));
        }
        sheets
    }
}

fn is_degrees(ruler: &Ruler) -> bool {
    let unit = ruler.encoding.unit.to_ascii_lowercase();
    let name = ruler.name.to_ascii_lowercase();
    unit.starts_with("degree") || (unit.is_empty() && ["lat", "latitude", "lon", "longitude"].contains(&name.as_str()))
}

/// How many times as high as wide a pixel of what is no map (times over depths) is drawn, so that the picture is no
/// thin line.
fn slant(size: (u64, u64)) -> f64 {
    let slant = size.1 as f64 / size.0.max(1) as f64;
    slant.clamp(1.0 / 3.0, 3.0) / slant
}

/// The corners in longitude and latitude.
fn outline(place: &Place, size: (u64, u64), is_degrees: bool) -> Vec<[f64; 2]> {
    if !is_degrees {
        return Vec::new();
    }
    let (width, height) = (size.0 as f64, size.1 as f64);
    let corners = [[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]];
    let found: Option<Vec<[f64; 2]>> = corners.into_iter().map(|at| place.world(at)).collect();
    found.unwrap_or_default().into_iter().map(|[x, y]| [x, y.clamp(-90.0, 90.0)]).collect()
}
