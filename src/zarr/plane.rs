//! Two dimensions of an array as a picture, the others as axes with positions. North is up where the
//! coordinates tell; coarser levels (OME-NGFF and ndpyramid's `multiscales`) serve as overviews.
//!
//! <https://ngff.openmicroscopy.org/0.5/index.html#multiscale-md>: `multiscales[0].datasets[].path`, the finest
//! first, in the attributes of the group (in those of version 0.5 below `ome`).

use super::Zarr;
use super::array::Array;
use super::member::sides;
use super::read::{Afford, Span, Values};
use super::ruler::Ruler;
use crate::error::{Error, Kind, Result};
use crate::scene::{self, Axis, Band, Direction, Pixels, Place, Scene, Sheet, Window, Wish, Words};
use crate::task::Control;
use crate::text;
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// Longest dimension of names that are bands instead of positions on an axis.
const MOST_BANDS: u64 = 16;
/// Names of such dimensions.
const BANDS: [&str; 5] = ["band", "bands", "channel", "channels", "c"];
/// Coarser levels that are used.
const LEVELS: usize = 32;

/// Which dimensions are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The one that leads down.
    pub y: usize,
    /// The one that leads to the right.
    pub x: usize,
}

/// A plane of an array. Clones share.
#[derive(Clone)]
pub struct Plane(Arc<Inner>);

struct Inner {
    zarr: Zarr,
    array: Array,
    /// From fine to coarse, without the array itself.
    levels: Vec<Array>,
    choice: Choice,
    /// The dimension whose positions are bands.
    band: Option<usize>,
    /// The dimensions of the scene's axes.
    axes: Vec<usize>,
    /// Whether rows and columns are turned round.
    flip: (bool, bool),
    about: scene::About,
    /// Coordinates of all dimensions, as far as they were read.
    rulers: Arc<[OnceLock<Ruler>]>,
}

impl Plane {
    /// Opens a plane of an array: by its coordinates, else the last two dimensions. Reads no values but the
    /// coordinates of these two.
    pub async fn open(zarr: &Zarr, path: &[String], choice: Option<Choice>, control: &Control) -> Result<Self> {
        let array = zarr.array(path)?;
        let shape = &array.about().shape;
        if array.is_text() {
            return Err(Error::unsupported("its values are text: there is no picture of them"));
        }
        if shape.len() < 2 {
            return Err(Error::usage("a picture needs two dimensions"));
        }
        if shape.contains(&0) {
            return Err(Error::invalid("the array is empty"));
        }
        let bare: Vec<Ruler> = (0..shape.len()).map(|at| Ruler::bare(zarr, &array, at)).collect();
        let choice = choice.unwrap_or_else(|| chosen(&bare));
        if choice.y == choice.x || choice.y.max(choice.x) >= shape.len() {
            return Err(Error::usage("a picture needs two different dimensions"));
        }
        let band = bare.iter().enumerate().position(|(at, ruler)| {
            let is_free = at != choice.y && at != choice.x && (2..=MOST_BANDS).contains(&ruler.len);
            is_free && BANDS.contains(&ruler.name.to_ascii_lowercase().as_str())
        });
        // A coordinate that cannot be read is no reason to show nothing.
        let ruler = async |at: usize| Ruler::read(zarr, &array, at, control).await.unwrap_or_else(|_| bare[at].clone());
        let names = async { Some(ruler(band?).await) };
        let (y, x, names) =
            control.race(async { Ok::<_, Error>(futures::join!(ruler(choice.y), ruler(choice.x), names)) }).await?;
        let flip = (is_turned(&y, 'Y', false), is_turned(&x, 'X', true));
        let rulers: Arc<[OnceLock<Ruler>]> = (0..shape.len()).map(|_| OnceLock::new()).collect();
        for (at, ruler) in [(choice.y, y), (choice.x, x)].into_iter().chain(band.zip(names)) {
            let _ = rulers[at].set(ruler);
        }
        let axes: Vec<usize> =
            (0..shape.len()).filter(|at| ![Some(choice.y), Some(choice.x), band].contains(&Some(*at))).collect();
        let levels = levels(zarr, &array, choice);
        let mut plane = Inner {
            zarr: zarr.clone(),
            array,
            levels,
            choice,
            band,
            axes,
            flip,
            about: scene::About::default(),
            rulers,
        };
        plane.about = plane.describe(&bare);
        Ok(Self(Arc::new(plane)))
    }

    /// The dimensions that are seen where nobody chooses; `None` where there is no picture.
    pub fn natural(zarr: &Zarr, array: &Array) -> Option<Choice> {
        let dimensions = array.about().shape.len();
        let rulers: Vec<Ruler> = (0..dimensions).map(|at| Ruler::bare(zarr, array, at)).collect();
        (dimensions > 1 && !array.is_text()).then(|| chosen(&rulers))
    }

    /// The array.
    pub fn array(&self) -> &Array {
        &self.0.array
    }

    /// Which dimensions are seen.
    pub fn choice(&self) -> Choice {
        self.0.choice
    }

    /// Reads the coordinates of the axes, so that their positions have words from then on.
    pub async fn name_axes(&self, control: &Control) -> Result<()> {
        for &at in &self.0.axes {
            if self.0.rulers[at].get().is_none() {
                let ruler = control.race(Ruler::read(&self.0.zarr, &self.0.array, at, control)).await?;
                let _ = self.0.rulers[at].set(ruler);
            }
        }
        Ok(())
    }
}

/// The dimensions that lead north and east; the last two where nothing tells.
fn chosen(rulers: &[Ruler]) -> Choice {
    let last = rulers.len() - 1;
    let find = |axis: char| rulers.iter().rposition(|ruler| ruler.axis == Some(axis) && ruler.len > 1);
    match (find('Y'), find('X')) {
        (Some(y), Some(x)) => Choice { y, x },
        (Some(y), None) if y != last => Choice { y, x: last },
        (None, Some(x)) if x != last => Choice { y: last, x },
        _ => Choice { y: last - 1, x: last },
    }
}

/// Whether positions are counted against the way they are drawn: north up, east to the right.
fn is_turned(ruler: &Ruler, axis: char, rises: bool) -> bool {
    ruler.axis == Some(axis) && ruler.rises().is_some_and(|r| r != rises)
}

/// The coarser arrays of the pyramid that an array is the finest level of.
fn levels(zarr: &Zarr, array: &Array, choice: Choice) -> Vec<Array> {
    let Some((name, mut group)) = array.path().split_last().map(|(name, above)| (name, above.to_vec())) else {
        return Vec::new();
    };
    let mut inner = name.clone();
    // ndpyramid keeps the variable in a group for each level; NGFF's levels are arrays.
    for _ in 0..2 {
        let multiscales = zarr.hierarchy().members.get(&group).and_then(|member| {
            let attributes = &member.attributes;
            attributes.get("multiscales").or_else(|| attributes.get("ome").and_then(|ome| ome.get("multiscales")))
        });
        if let Some(found) = multiscales.and_then(|m| pyramid(zarr, array, &group, &inner, m, choice)) {
            return found;
        }
        let Some(last) = group.pop() else { break };
        inner = format!("{last}/{inner}");
    }
    Vec::new()
}

/// `inner` is the array's path below the group that has the `multiscales`.
fn pyramid(
    zarr: &Zarr,
    array: &Array,
    group: &[String],
    inner: &str,
    multiscales: &Value,
    choice: Choice,
) -> Option<Vec<Array>> {
    let datasets = multiscales.as_array()?.first()?.get("datasets")?.as_array()?;
    let paths: Vec<&str> = datasets.iter().filter_map(|d| d.get("path")?.as_str()).take(LEVELS).collect();
    let own = paths.iter().position(|path| inner == *path || inner.starts_with(&format!("{path}/")))?;
    let below = &inner[paths[own].len()..];
    let mut last = array.about().shape.clone();
    let mut found = Vec::new();
    for path in &paths[own + 1..] {
        let whole: Vec<String> =
            group.iter().cloned().chain(format!("{path}{below}").split('/').map(str::to_owned)).collect();
        let Ok(level) = zarr.array(&whole) else { continue };
        let shape = level.about().shape.clone();
        let same = |(at, (a, b)): (usize, (&u64, &u64))| at == choice.y || at == choice.x || a == b;
        let coarser =
            shape.len() == last.len() && shape[choice.y] <= last[choice.y] && shape[choice.x] <= last[choice.x];
        if coarser && !shape.contains(&0) && shape.iter().zip(&last).enumerate().all(same) {
            found.push(level);
            last = shape;
        }
    }
    Some(found)
}

impl Inner {
    fn describe(&self, bare: &[Ruler]) -> scene::About {
        let about = self.array.about();
        let encoding = self.array.encoding();
        let (y, x) = (self.ruler(self.choice.y), self.ruler(self.choice.x));
        let size = (about.shape[self.choice.x], about.shape[self.choice.y]);
        let title = match self.array.path().last() {
            Some(name) => name.clone(),
            None => self.array.source().location().name().trim_end_matches('/').to_owned(),
        };
        let is_degrees = x.axis == Some('X') && y.axis == Some('Y') && is_degrees(&x) && is_degrees(&y);
        let place = self.place(&y, &x);
        let level = |level: &Array| (level.about().shape[self.choice.x], level.about().shape[self.choice.y]);
        let shown = [about.shape_and_type(), about.codecs.join(" "), encoding.about.clone()];
        let axis = |&at: &usize| {
            let (rulers, name) = (self.rulers.clone(), bare[at].name.clone());
            let words = move |position: u64| match rulers[at].get() {
                Some(ruler) => ruler.words(position),
                None => position.to_string(),
            };
            Axis { name, len: bare[at].len, first: 0, words: Words::new(words) }
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
            aspect: aspect(&place, size, x.axis == Some('X') && y.axis == Some('Y')),
            place,
            crs: is_degrees.then(|| "OGC:CRS84".to_owned()).or_else(|| self.crs()),
            is_degrees,
            overviews: self.levels.iter().map(level).collect(),
            block: (about.chunks[self.choice.x].min(size.0), about.chunks[self.choice.y].min(size.1)),
            sheets: self.sheets(),
        }
    }

    fn ruler(&self, at: usize) -> Ruler {
        self.rulers[at].get().cloned().unwrap_or_default()
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
        let attributes: Vec<(String, String)> = self
            .zarr
            .hierarchy()
            .members
            .get(self.array.path())
            .map(super::Member::shown_attributes)
            .unwrap_or_default();
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

    /// The array whose resolution is just enough for `pixels` of the window, and its number.
    fn level(&self, window: Window, pixels: (u64, u64)) -> (Option<usize>, &Array) {
        let full = self.about.size;
        let enough = |level: &&Array| {
            let (columns, rows) = (level.about().shape[self.choice.x], level.about().shape[self.choice.y]);
            let seen =
                |part: u64, all: u64, whole: u64| (u128::from(part) * u128::from(all) / u128::from(whole)) as u64;
            seen(window.width, columns, full.0) >= pixels.0 && seen(window.height, rows, full.1) >= pixels.1
        };
        match self.levels.iter().rposition(|level| enough(&level)) {
            Some(at) => (Some(at), &self.levels[at]),
            None => (None, &self.array),
        }
    }

    /// The part of a level that a window is, with at most so many positions.
    fn spans(&self, level: &Array, window: Window, pixels: (u64, u64), band: u64, at: &[u64]) -> Vec<Span> {
        let shape = &level.about().shape;
        let full = self.about.size;
        let span = |dimension: usize, start: u64, len: u64, whole: u64, most: u64, turned: bool| {
            let size = shape[dimension];
            let start = if turned { whole - start - len } else { start };
            let scaled = |n: u64| (u128::from(n) * u128::from(size) / u128::from(whole)) as u64;
            let first = scaled(start).min(size - 1);
            let end = scaled(start + len).max(first + 1).min(size);
            Span::at_most(first, end - first, most)
        };
        let mut spans: Vec<Span> = shape.iter().map(|_| Span::one(0)).collect();
        spans[self.choice.y] = span(self.choice.y, window.y, window.height, full.1, pixels.1, self.flip.0);
        spans[self.choice.x] = span(self.choice.x, window.x, window.width, full.0, pixels.0, self.flip.1);
        for (dimension, position) in self.axes.iter().zip(at) {
            spans[*dimension] = Span::one((*position).min(shape[*dimension] - 1));
        }
        if let Some(dimension) = self.band {
            spans[dimension] = Span::one(band.min(shape[dimension] - 1));
        }
        spans
    }

    /// Rows from what was read, the first on top.
    fn rows(&self, values: Values) -> Vec<f64> {
        let (height, width) = (values.shape[self.choice.y] as usize, values.shape[self.choice.x] as usize);
        let upright = self.choice.y < self.choice.x;
        if upright && self.flip == (false, false) {
            return values.numbers;
        }
        let mut out = Vec::with_capacity(values.numbers.len());
        for row in 0..height {
            let row = if self.flip.0 { height - 1 - row } else { row };
            for column in 0..width {
                let column = if self.flip.1 { width - 1 - column } else { column };
                let at = if upright { row * width + column } else { column * height + row };
                out.push(values.numbers[at]);
            }
        }
        out
    }

    async fn picture(&self, control: &Control, wish: &Wish) -> Result<Pixels> {
        let pixels = fitted(wish.window, wish.pixels);
        let (overview, level) = self.level(wish.window, pixels);
        let mut values = Vec::new();
        let mut size = (0, 0);
        for band in &wish.bands {
            let spans = self.spans(level, wish.window, pixels, *band as u64 - 1, &wish.at);
            size = (spans[self.choice.x].count as usize, spans[self.choice.y].count as usize);
            let read = level.read(control, &spans, Afford::LOOK).await?;
            values.push(self.rows(read).into_iter().map(|v| v as f32).collect());
        }
        Ok(Pixels { width: size.0, height: size.1, bands: wish.bands.clone(), values, alpha: None, overview })
    }
}

/// Pixels across and down for a window: its shape kept, nothing enlarged.
fn fitted(window: Window, most: (u32, u32)) -> (u64, u64) {
    let scale = (f64::from(most.0.max(1)) / window.width as f64).min(f64::from(most.1.max(1)) / window.height as f64);
    let side = |n: u64| ((n as f64 * scale.min(1.0)).round() as u64).clamp(1, n);
    (side(window.width), side(window.height))
}

fn is_degrees(ruler: &Ruler) -> bool {
    let unit = ruler.encoding.unit.to_ascii_lowercase();
    let name = ruler.name.to_ascii_lowercase();
    unit.starts_with("degree") || (unit.is_empty() && ["lat", "latitude", "lon", "longitude"].contains(&name.as_str()))
}

/// How many times as high as wide a pixel is drawn: as it lies on a map; where it is none (times over depths), so that
/// the picture is no thin line.
fn aspect(place: &Place, size: (u64, u64), is_map: bool) -> f64 {
    match place {
        Place::Affine(t) if is_map && t[1] != 0.0 => (t[5] / t[1]).abs().clamp(0.05, 20.0),
        _ if is_map => 1.0,
        _ => {
            let slant = size.1 as f64 / size.0.max(1) as f64;
            slant.clamp(1.0 / 3.0, 3.0) / slant
        }
    }
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

impl Scene for Plane {
    fn about(&self) -> &scene::About {
        &self.0.about
    }

    fn read(&self, control: &Control, wish: Wish) -> BoxFuture<'static, Result<Pixels>> {
        let (inner, control) = (self.0.clone(), control.clone());
        Box::pin(async move {
            inner.about.check(&wish)?;
            inner.picture(&control, &wish).await
        })
    }

    fn values(
        &self,
        control: &Control,
        bands: Vec<usize>,
        window: Window,
        at: Vec<u64>,
    ) -> BoxFuture<'static, Result<Vec<Vec<f64>>>> {
        let (inner, control) = (self.0.clone(), control.clone());
        Box::pin(async move {
            inner.about.check(&Wish { bands: bands.clone(), window, pixels: (1, 1), at: at.clone() })?;
            if window.width.saturating_mul(window.height) > 64 << 20 {
                return Err(Error::new(Kind::Limit, "so many values are not read at once"));
            }
            let mut out = Vec::with_capacity(bands.len());
            for band in bands {
                let spans = inner.spans(&inner.array, window, (window.width, window.height), band as u64 - 1, &at);
                let read = inner.array.read(&control, &spans, Afford::EXACT).await?;
                out.push(inner.rows(read));
            }
            Ok(out)
        })
    }
}
