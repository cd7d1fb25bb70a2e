//! Reference systems of geometry: which are degrees already, which PROJ turns into degrees (through
//! GDAL, on a thread for blocking work), which are not known.

use crate::error::{Error, Result};
use crate::store::gdal::quietly;
use crate::table::geo::is_crs_code;
use crate::table::{About, GeoColumn};
use gdal::spatial_ref::{AxisMappingStrategy, CoordTransform, SpatialRef};
use serde_json::Value;

/// The reference system of a geometry column.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// In words: `EPSG:3067 (ETRS89 / TM35FIN)`.
    pub words: String,
    how: How,
}

#[derive(Clone, Debug, PartialEq)]
enum How {
    Degrees,
    /// By this definition: a code, PROJJSON, WKT. Never a name of a file or an address, which PROJ would
    /// go and read.
    Projected(String),
    Unknown,
}

/// Systems whose coordinates are taken for longitude and latitude on WGS 84 as they are.
const DEGREES: [&str; 6] = ["OGC:CRS84", "OGC:CRS83", "EPSG:4326", "EPSG:4979", "OGC:CRS84h", "WGS 84"];

impl Reference {
    /// Longitude and latitude.
    pub fn degrees() -> Self {
        Self { words: "longitude, latitude".to_owned(), how: How::Degrees }
    }

    /// One that is not known.
    pub fn unknown() -> Self {
        Self { words: "unknown".to_owned(), how: How::Unknown }
    }

    /// That of a column.
    pub fn of(about: &About, column: &GeoColumn) -> Self {
        let words = column.crs.clone();
        let code = words.split(" (").next().unwrap_or_default().trim().to_owned();
        let how = if DEGREES.iter().any(|known| code.eq_ignore_ascii_case(known)) {
            How::Degrees
        } else if is_crs_code(&code) {
            How::Projected(code)
        } else {
            definition(about, &column.name).map_or(How::Unknown, How::Projected)
        };
        Self { words, how }
    }

    /// Whether positions are in degrees once they were [`Reference::project`]ed.
    pub fn is_earth(&self) -> bool {
        self.how != How::Unknown
    }

    /// Whether [`Reference::project`] has anything to do.
    pub fn is_projected(&self) -> bool {
        matches!(self.how, How::Projected(_))
    }

    /// Turns positions into longitude and latitude, in place; those that have none become NaN. Blocks:
    /// PROJ reads its database.
    pub fn project(&self, positions: &mut [[f64; 2]]) -> Result<()> {
        let How::Projected(definition) = &self.how else { return Ok(()) };
        crate::store::gdal::load()?;
        let failed = |err: gdal::errors::GdalError| {
            let why = format!("coordinates in {} cannot be turned into degrees", self.words);
            Error::unsupported(why).with_source(err)
        };
        let mut x: Vec<f64> = positions.iter().map(|p| p[0]).collect();
        let mut y: Vec<f64> = positions.iter().map(|p| p[1]).collect();
        let (result, _) = quietly(|| {
            let mut from = SpatialRef::from_definition(definition)?;
            let mut to = SpatialRef::from_epsg(4326)?;
            for reference in [&mut from, &mut to] {
                reference.set_axis_mapping_strategy(AxisMappingStrategy::TraditionalGisOrder);
            }
            let transform = CoordTransform::new(&from, &to)?;
            // It fails where a single position does; the others are there all the same.
            let _ = transform.transform_coords(&mut x, &mut y, &mut []);
            Ok(())
        });
        result.map_err(failed)?;
        for ((at, x), y) in positions.iter_mut().zip(x).zip(y) {
            *at = if x.is_finite() && y.is_finite() { [x, y] } else { [f64::NAN; 2] };
        }
        Ok(())
    }
}

/// PROJJSON or WKT of a column, from the file's `geo` key or from the column's extension.
fn definition(about: &About, column: &str) -> Option<String> {
    let from_key = || {
        let (_, text) = about.pairs.iter().find(|(key, _)| key == "geo")?;
        let value: Value = serde_json::from_str(text).ok()?;
        value.get("columns")?.get(column)?.get("crs").cloned()
    };
    let from_field = || {
        let field = about.schema.field_with_name(column).ok()?;
        let value: Value = serde_json::from_str(field.metadata().get("ARROW:extension:metadata")?).ok()?;
        value.get("crs").cloned()
    };
    match from_key().or_else(from_field)? {
        object @ Value::Object(_) => Some(object.to_string()),
        Value::String(text) if text.contains('[') => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finnish_metres_become_degrees() {
        let reference = Reference { words: "EPSG:3067".into(), how: How::Projected("EPSG:3067".into()) };
        let mut at = [[385_595.0, 6_672_125.0], [f64::INFINITY, 0.0]];
        reference.project(&mut at).expect("projected");
        assert!((at[0][0] - 24.938).abs() < 0.01 && (at[0][1] - 60.17).abs() < 0.01, "{at:?}");
        assert!(at[1][0].is_nan());
    }

    #[test]
    fn addresses_are_no_codes() {
        assert!(is_crs_code("EPSG:3067") && is_crs_code("ESRI:102001") && is_crs_code("IAU_2015:30100"));
        for bad in ["http://example.org/crs", "/etc/passwd", "EPSG:", "file:x.prj", "unknown", "a:b c"] {
            assert!(!is_crs_code(bad), "{bad}");
        }
    }
}
