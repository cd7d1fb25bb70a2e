//! Coordinates in two dimensions: the grids of ocean models and the swaths of satellites, whose rows and columns follow
//! neither parallels nor meridians.
//!
//! CF names such arrays in the attribute `coordinates`
//! (<https://cfconventions.org/cf-conventions/cf-conventions.html#_two_dimensional_latitude_longitude_coordinate_variables>).
//! They are as large as the plane itself, so that nothing of them is read but what is asked for: the chunk under the
//! cursor, and the edges.

use super::Zarr;
use super::array::Array;
use super::plane::Choice;
use super::read::{Afford, Span};
use crate::error::Result;
use crate::task::Control;
use serde_json::Value;

/// Words of `coordinates` that are looked at.
const WORDS: usize = 64;
/// Positions read along each edge, beside its corners.
const ALONG: u64 = 16;
/// Chunks that an edge may lie in: more are thinned out.
const AFFORD: Afford = Afford { chunks: 8, bytes: 64 << 20 };

/// Latitudes and longitudes of a plane, each an array of its own. Clones share what was read.
#[derive(Clone)]
pub struct Grid {
    latitude: Turned,
    longitude: Turned,
    /// Columns and rows.
    size: (u64, u64),
}

/// An array, and whether its first dimension leads across.
#[derive(Clone)]
struct Turned {
    array: Array,
    across_first: bool,
}

impl Turned {
    /// Values of some columns and rows, as they lie in the array.
    async fn read(&self, control: &Control, columns: Span, rows: Span) -> Result<Vec<f64>> {
        let spans = if self.across_first { [columns, rows] } else { [rows, columns] };
        Ok(self.array.read(control, &spans, AFFORD).await?.numbers)
    }
}

impl Grid {
    /// The coordinates of two dimensions of an array, if it has some. Nothing is read.
    pub fn find(zarr: &Zarr, array: &Array, choice: Choice) -> Option<Self> {
        let about = array.about();
        let size = (*about.shape.get(choice.x)?, *about.shape.get(choice.y)?);
        let names = [about.dimensions.get(choice.x)?, about.dimensions.get(choice.y)?];
        let hierarchy = zarr.hierarchy();
        let group = array.path().split_last().and_then(|(_, group)| hierarchy.members.get(group));
        // xarray tells of coordinates that belong to no variable in the group.
        let listed = [array.attribute("coordinates"), group.and_then(|group| group.attributes.get("coordinates"))];
        let (mut latitude, mut longitude) = (None, None);
        for word in listed.into_iter().flatten().filter_map(Value::as_str).flat_map(str::split_whitespace).take(WORDS) {
            let Some(path) = hierarchy.nearby(array.path(), word) else { continue };
            let Some((_, found)) = hierarchy.array(&path) else { continue };
            let across_first = match &found.dimensions[..] {
                [a, b] if [b, a] == names && found.shape == [size.1, size.0] => false,
                [a, b] if [a, b] == names && found.shape == [size.0, size.1] => true,
                _ => continue,
            };
            let Ok(open) = zarr.array(&path) else { continue };
            let slot = match meaning(&open, word) {
                Some(true) => &mut latitude,
                Some(false) => &mut longitude,
                None => continue,
            };
            slot.get_or_insert(Turned { array: open, across_first });
        }
        Some(Self { latitude: latitude?, longitude: longitude?, size })
    }

    /// Longitude and latitude of a column and a row; `None` where the grid has none (over land, beside a swath).
    pub async fn at(&self, control: &Control, (column, row): (u64, u64)) -> Result<Option<[f64; 2]>> {
        if column >= self.size.0 || row >= self.size.1 {
            return Ok(None);
        }
        Ok(self.line(control, Span::one(column), Span::one(row)).await?.into_iter().next())
    }

    /// Whether rows lead north; `None` where that cannot be told.
    pub async fn rises(&self, control: &Control) -> Result<Option<bool>> {
        let (middle, last) = (Span::one(self.size.0 / 2), self.size.1.saturating_sub(1));
        let first = self.latitude.read(control, middle, Span::one(0)).await?;
        let end = self.latitude.read(control, middle, Span::one(last)).await?;
        let known = first.first().zip(end.first()).filter(|(a, b)| a.is_finite() && b.is_finite() && last > 0);
        Ok(known.map(|(first, end)| end > first))
    }

    /// Positions around the plane, from its first column and row on; of corners and some between them.
    pub async fn outline(&self, control: &Control) -> Result<Vec<[f64; 2]>> {
        let (right, bottom) = (self.size.0.saturating_sub(1), self.size.1.saturating_sub(1));
        let (across, down) = (Span::at_most(0, self.size.0, ALONG), Span::at_most(0, self.size.1, ALONG));
        let one = Span::one;
        let sides = [
            (one(0), one(0), across, one(0), false),
            (one(right), one(0), one(right), down, false),
            (one(right), one(bottom), across, one(bottom), true),
            (one(0), one(bottom), one(0), down, true),
        ];
        let mut around = Vec::new();
        for (corner_x, corner_y, columns, rows, backwards) in sides {
            around.extend(self.line(control, corner_x, corner_y).await?);
            let mut side = self.line(control, columns, rows).await?;
            if backwards {
                side.reverse();
            }
            around.extend(side);
        }
        Ok(around)
    }

    /// Known positions along a row or a column.
    async fn line(&self, control: &Control, columns: Span, rows: Span) -> Result<Vec<[f64; 2]>> {
        let (lon, lat) = futures::try_join!(
            self.longitude.read(control, columns, rows),
            self.latitude.read(control, columns, rows)
        )?;
        let is_place = |[lon, lat]: &[f64; 2]| lon.is_finite() && lat.abs() <= 90.0;
        let placed = lon.into_iter().zip(lat).map(|(lon, lat)| [wrapped(lon), lat]);
        Ok(placed.filter(is_place).collect())
    }
}

/// A longitude from -180 to 180.
fn wrapped(lon: f64) -> f64 {
    if (-180.0..=180.0).contains(&lon) { lon } else { (lon + 180.0).rem_euclid(360.0) - 180.0 }
}

/// Whether an array holds latitudes (`true`) or longitudes, by CF's units and names (sections 4.1 and 4.2).
fn meaning(array: &Array, name: &str) -> Option<bool> {
    let words = |attribute: &str| array.attribute(attribute).and_then(Value::as_str).unwrap_or_default().to_owned();
    match words("standard_name").as_str() {
        "latitude" => return Some(true),
        "longitude" => return Some(false),
        _ => {}
    }
    let units = words("units").replace(['_', ' '], "").to_ascii_lowercase();
    if units.starts_with("degreesn") || units.starts_with("degreen") {
        return Some(true);
    }
    if units.starts_with("degreese") || units.starts_with("degreee") {
        return Some(false);
    }
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let has = |part: &str| name.contains(part);
    if has("lat") { Some(true) } else { has("lon").then_some(false) }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // numbers that are exact
mod tests {
    use super::*;

    #[test]
    fn longitudes_are_wrapped() {
        assert_eq!([0.0, 180.0, 190.0, 360.0, -190.0].map(wrapped), [0.0, 180.0, -170.0, 0.0, 170.0]);
    }
}
