//! The coordinates of a dimension: what its positions are called.

use super::Zarr;
use super::array::Array;
use super::cf::Encoding;
use super::read::{Afford, Span};
use crate::error::Result;
use crate::task::Control;
use crate::text;
use std::sync::Arc;

/// Coordinates that are read.
const MOST: u64 = 1 << 20;
/// Chunks that they may lie in: times that were appended one by one lie in one each.
const AFFORD: Afford = Afford { chunks: 512, bytes: 64 << 20 };
/// Names of dimensions that lead north and east, as they are written.
const NORTH: [&str; 6] = ["y", "lat", "latitude", "northing", "rlat", "yc"];
const EAST: [&str; 6] = ["x", "lon", "longitude", "easting", "rlon", "xc"];

/// One dimension with what is known of its positions. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Ruler {
    /// The dimension's name.
    pub name: String,
    /// Its length.
    pub len: u64,
    /// Decoded coordinates, one for each position; empty where none are known.
    pub values: Arc<[f64]>,
    /// Names, where the positions have such.
    pub names: Arc<[String]>,
    /// How the coordinates are meant.
    pub encoding: Encoding,
    /// `Y`, `X`, `T`, `Z`: what CF calls the axis, where that is known.
    pub axis: Option<char>,
    /// Whether there is an array of its coordinates, read or not.
    pub has_values: bool,
}

/// Which way a dimension leads on a map, by what its metadata say.
fn axis_of(name: &str, coordinate: Option<&Array>) -> Option<char> {
    let words = |attribute: &str| coordinate.and_then(|c| c.attribute(attribute)).and_then(serde_json::Value::as_str);
    if let Some(axis) = words("axis").and_then(|axis| axis.trim().chars().next()) {
        return Some(axis.to_ascii_uppercase()).filter(|axis| "XYZT".contains(*axis));
    }
    let standard = words("standard_name").unwrap_or_default();
    let units = words("units").unwrap_or_default();
    let name = name.to_ascii_lowercase();
    if standard.ends_with("latitude") || standard == "projection_y_coordinate" || units.starts_with("degrees_n") {
        return Some('Y');
    }
    if standard.ends_with("longitude") || standard == "projection_x_coordinate" || units.starts_with("degrees_e") {
        return Some('X');
    }
    if coordinate.is_some_and(|c| c.encoding().times.is_some()) || name == "time" {
        return Some('T');
    }
    if NORTH.contains(&name.as_str()) {
        return Some('Y');
    }
    EAST.contains(&name.as_str()).then_some('X')
}

impl Ruler {
    /// What is known of a dimension of an array without reading its coordinates.
    pub fn bare(zarr: &Zarr, array: &Array, dimension: usize) -> Self {
        let coordinate = find(zarr, array, dimension);
        let name = array.about().dimension(dimension);
        let axis = axis_of(&name, coordinate.as_ref());
        let has_values = coordinate.is_some();
        let encoding = coordinate.map(|c| c.encoding().clone()).unwrap_or_default();
        let len = array.about().shape.get(dimension).copied().unwrap_or(0);
        Self { name, len, encoding, axis, has_values, ..Self::default() }
    }

    /// Reads the coordinates of a dimension, if it has some that are affordable: one request mostly.
    pub async fn read(zarr: &Zarr, array: &Array, dimension: usize, control: &Control) -> Result<Self> {
        let mut ruler = Self::bare(zarr, array, dimension);
        let Some(coordinate) = find(zarr, array, dimension).filter(|_| ruler.len <= MOST) else { return Ok(ruler) };
        if coordinate.is_text() {
            ruler.names = coordinate.read_text(control, MOST).await?.into();
            return Ok(ruler);
        }
        let values = coordinate.read(control, &[Span::all(ruler.len)], AFFORD).await?;
        // Those between would be guessed.
        if values.chunks.0 == values.chunks.1 || values.chunks.1 <= AFFORD.chunks {
            ruler.values = values.numbers.into();
        }
        Ok(ruler)
    }

    /// The values of a one-dimensional array as what its positions are called: of coordinates themselves.
    pub async fn of_values(array: &Array, control: &Control) -> Result<Self> {
        let about = array.about();
        let name = about.dimension(0);
        let mut ruler = Self { name, encoding: array.encoding().clone(), ..Self::default() };
        ruler.len = about.shape.first().copied().unwrap_or(0);
        if ruler.len <= MOST && about.shape.len() == 1 {
            ruler.values = array.read(control, &[Span::all(ruler.len)], AFFORD).await?.numbers.into();
        }
        Ok(ruler)
    }

    /// What a position is called: a date, a number with its unit, a name; else its number.
    pub fn words(&self, position: u64) -> String {
        let at = position as usize;
        if let Some(name) = self.names.get(at) {
            return text::fit(&text::clean(name), 40).into_owned();
        }
        match self.values.get(at) {
            Some(value) if !value.is_nan() => self.encoding.words(*value),
            _ => position.to_string(),
        }
    }

    /// The first and the last position in words, where they are known: `90°N … 90°S`.
    pub fn range(&self) -> Option<String> {
        let known = !self.values.is_empty() || !self.names.is_empty();
        let last = self.len.checked_sub(1).filter(|_| known)?;
        Some(if last == 0 { self.words(0) } else { format!("{} … {}", self.words(0), self.words(last)) })
    }

    /// Whether its coordinates are times.
    pub fn is_time(&self) -> bool {
        self.encoding.times.is_some() && !self.values.is_empty()
    }

    /// Whether the coordinates grow; `None` where they are not known to go one way.
    pub fn rises(&self) -> Option<bool> {
        let (first, last) = (self.values.first()?, self.values.last()?);
        let rises = last > first;
        let on = |pair: &[f64]| if rises { pair[1] > pair[0] } else { pair[1] < pair[0] };
        (self.values.len() > 1 && self.values.windows(2).all(on)).then_some(rises)
    }

    /// The distance between neighbours, where all are the same.
    pub fn step(&self) -> Option<f64> {
        let (first, last) = (self.values.first()?, self.values.last()?);
        let count = self.values.len().checked_sub(1).filter(|n| *n > 0)? as f64;
        let step = (last - first) / count;
        // Coordinates of 32 bits are off by some of their last digit.
        let near = |(i, value): (usize, &f64)| (first + step * i as f64 - value).abs() <= step.abs() * 0.01;
        (step != 0.0 && step.is_finite() && self.values.iter().enumerate().all(near)).then_some(step)
    }
}

/// The array of a dimension's coordinates: called like it, else named in `coordinates` and one-dimensional
/// along it.
fn find(zarr: &Zarr, array: &Array, dimension: usize) -> Option<Array> {
    let about = array.about();
    let (name, len) = (about.dimensions.get(dimension)?, *about.shape.get(dimension)?);
    let hierarchy = zarr.hierarchy();
    let named = || {
        let listed = array.attribute("coordinates").and_then(serde_json::Value::as_str)?;
        listed.split_whitespace().take(64).find_map(|word| {
            let path = hierarchy.nearby(array.path(), word)?;
            let (_, found) = hierarchy.array(&path)?;
            (found.shape == [len] && found.dimensions.first() == Some(name)).then_some(path)
        })
    };
    let path = hierarchy.coordinate(array.path(), name, len).or_else(named)?;
    if path == array.path() {
        return None;
    }
    zarr.coordinate(&path).ok()
}
