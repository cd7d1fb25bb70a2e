//! Points from columns of longitudes and latitudes, as `GeoParquet` 1.1 holds them:
//! <https://geoparquet.org/releases/v1.1.0/>.

use crate::error::{Error, Result};
use arrow::array::{
    ArrayRef, AsArray as _, BinaryBuilder, Float64Array, Float64Builder, NullBufferBuilder, RecordBatch, StructArray,
};
use arrow::datatypes::{DataType, Field, Fields, Float64Type};
use serde_json::{Value, json};
use std::sync::Arc;

/// Name of the column of points.
pub(super) const GEOMETRY: &str = "geometry";
/// Name of the column of their bounds.
pub(super) const BBOX: &str = "bbox";
/// Bytes of a point in Well-Known Binary.
const WKB: usize = 21;

/// Builds points, and remembers what is said of them in the file's metadata.
pub(super) struct Points {
    lon: usize,
    lat: usize,
    /// West, south, east, north of the points so far.
    pub(super) bounds: Option<[f64; 4]>,
    /// Rows without a point.
    pub(super) nulls: u64,
    /// Longitudes above 180 that became negative.
    pub(super) wrapped: u64,
}

fn corners() -> Fields {
    ["xmin", "ymin", "xmax", "ymax"].map(|name| Field::new(name, DataType::Float64, false)).into_iter().collect()
}

/// The two columns that are added.
pub(super) fn fields() -> [Field; 2] {
    [Field::new(GEOMETRY, DataType::Binary, true), Field::new(BBOX, DataType::Struct(corners()), true)]
}

impl Points {
    /// From the columns of these indices.
    pub(super) fn new(lon: usize, lat: usize) -> Self {
        Self { lon, lat, bounds: None, nulls: 0, wrapped: 0 }
    }

    /// Geometry and bounds of each row: null where there is no place on earth. Longitudes of 180 to 360
    /// are those of -180 to 0.
    pub(super) fn of(&mut self, batch: &RecordBatch) -> Result<[ArrayRef; 2]> {
        let (lon, lat) = (numbers(batch, self.lon)?, numbers(batch, self.lat)?);
        let mut geometry = BinaryBuilder::with_capacity(batch.num_rows(), batch.num_rows() * WKB);
        let mut x = Float64Builder::with_capacity(batch.num_rows());
        let mut y = Float64Builder::with_capacity(batch.num_rows());
        let mut valid = NullBufferBuilder::new(batch.num_rows());
        for (lon, lat) in lon.iter().zip(lat.iter()) {
            let Some((lon, lat)) = self.place(lon, lat) else {
                self.nulls += 1;
                geometry.append_null();
                x.append_value(0.0);
                y.append_value(0.0);
                valid.append_null();
                continue;
            };
            geometry.append_value(wkb(lon, lat));
            x.append_value(lon);
            y.append_value(lat);
            valid.append_non_null();
        }
        let (x, y): (ArrayRef, ArrayRef) = (Arc::new(x.finish()), Arc::new(y.finish()));
        let bbox = StructArray::try_new(corners(), vec![x.clone(), y.clone(), x, y], valid.finish())
            .map_err(|err| Error::invalid("the bounds of points cannot be built").with_source(err))?;
        Ok([Arc::new(geometry.finish()), Arc::new(bbox)])
    }

    fn place(&mut self, lon: Option<f64>, lat: Option<f64>) -> Option<(f64, f64)> {
        let (mut lon, lat) = (lon?, lat?);
        if !(-180.0..=360.0).contains(&lon) || !(-90.0..=90.0).contains(&lat) {
            return None;
        }
        if lon > 180.0 {
            lon -= 360.0;
            self.wrapped += 1;
        }
        let [w, s, e, n] = self.bounds.unwrap_or([lon, lat, lon, lat]);
        self.bounds = Some([w.min(lon), s.min(lat), e.max(lon), n.max(lat)]);
        Some((lon, lat))
    }

    /// The file's `geo` metadata. The reference system is not named: that means longitude, latitude on
    /// WGS 84 (OGC:CRS84).
    pub(super) fn metadata(&self) -> Value {
        let corner = |name: &str| json!([BBOX, name]);
        let mut column = json!({
            "encoding": "WKB",
            "geometry_types": ["Point"],
            "covering": { "bbox": {
                "xmin": corner("xmin"), "ymin": corner("ymin"), "xmax": corner("xmax"), "ymax": corner("ymax"),
            } },
        });
        if let Some(bounds) = self.bounds {
            column["bbox"] = json!(bounds);
        }
        json!({ "version": "1.1.0", "primary_column": GEOMETRY, "columns": { GEOMETRY: column } })
    }
}

fn numbers(batch: &RecordBatch, column: usize) -> Result<Float64Array> {
    let array = batch.columns().get(column).ok_or_else(|| Error::invalid("a column of coordinates is missing"))?;
    let array = arrow::compute::cast(array, &DataType::Float64)
        .map_err(|err| Error::invalid("coordinates are not numbers").with_source(err))?;
    Ok(array.as_primitive::<Float64Type>().clone())
}

/// A point in little-endian Well-Known Binary (OGC 06-103r4, 8.2).
fn wkb(x: f64, y: f64) -> [u8; WKB] {
    let mut out = [0; WKB];
    out[0] = 1;
    out[1] = 1;
    out[5..13].copy_from_slice(&x.to_le_bytes());
    out[13..].copy_from_slice(&y.to_le_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array as _;

    #[test]
    fn places_that_are_none_have_no_point() {
        let some = |v: &[f64]| v.iter().map(|v| ((*v - 7777.0).abs() > 1e-9).then_some(*v)).collect::<Float64Array>();
        let lon = some(&[25.0, 7777.0, 200.0, 361.0, f64::NAN, -180.0, 10.0]);
        let lat = some(&[60.0, 60.0, -90.0, 1.0, 1.0, 90.0, -90.1]);
        let batch = RecordBatch::try_from_iter([("x", Arc::new(lon) as ArrayRef), ("y", Arc::new(lat) as ArrayRef)]);
        let mut points = Points::new(0, 1);
        let [geometry, bbox] = points.of(&batch.expect("batch")).expect("points");
        let valid: Vec<bool> = (0..7).map(|i| geometry.is_valid(i)).collect();
        assert_eq!(valid, [true, false, true, false, false, true, false]);
        assert_eq!((0..7).map(|i| bbox.is_valid(i)).collect::<Vec<_>>(), valid);
        assert_eq!((points.nulls, points.wrapped), (4, 1));
        assert_eq!(points.bounds, Some([-180.0, -90.0, 25.0, 90.0]));
        let point = geometry.as_binary::<i32>().value(2).to_vec();
        assert_eq!(point, wkb(-160.0, -90.0));
        assert_eq!(points.metadata()["columns"]["geometry"]["bbox"], json!([-180.0, -90.0, 25.0, 90.0]));
    }
}
