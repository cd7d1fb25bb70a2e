//! Geometry that is written as text: columns of Well-Known Text in CSV and NDJSON, which say nothing of themselves.

use super::geo::{Encoding, GeoColumn};
use super::shape;
use geo::BoundingRect as _;

/// Values of a column that are looked at.
pub(super) const LOOKED_AT: usize = 200;
/// What geometry columns are called, in lower case, the surest first.
const NAMES: [&str; 8] = ["geometry", "geom", "wkt", "the_geom", "wkt_geom", "geometry_wkt", "geom_wkt", "footprint"];

/// The geometry column that a column of text is, if each of its first values (those that are there) is Well-Known
/// Text. Where no `SRID=…;` tells the reference system, coordinates that could be longitude and latitude are.
pub(super) fn written<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> Option<GeoColumn> {
    let (mut any, mut degrees, mut srid) = (false, true, None);
    for text in values.map(str::trim).filter(|text| !text.is_empty()).take(LOOKED_AT) {
        let shape = shape::from_wkt(text).ok()?;
        any = true;
        srid = srid.or_else(|| srid_of(text));
        degrees &= shape
            .bounding_rect()
            .is_none_or(|b| b.min().x >= -180.0 && b.max().x <= 360.0 && b.min().y >= -90.0 && b.max().y <= 90.0);
    }
    let crs = match srid {
        Some(4326) => "OGC:CRS84".to_owned(),
        Some(code) => format!("EPSG:{code}"),
        None if degrees => "OGC:CRS84".to_owned(),
        None => "unknown".to_owned(),
    };
    any.then(|| GeoColumn {
        name: name.to_owned(),
        encoding: Encoding::Wkt,
        geography: false,
        definition: crs.starts_with("EPSG:").then(|| crs.clone()),
        crs,
        covering: None,
        types: Vec::new(),
        bbox: Vec::new(),
    })
}

/// Puts the column first that is most likely meant.
pub(super) fn sort(columns: &mut [GeoColumn]) {
    columns.sort_by_key(|column| {
        let name = column.name.to_lowercase();
        NAMES.iter().position(|known| *known == name).unwrap_or(NAMES.len())
    });
}

/// The number in front of EWKT: `SRID=3067;POINT (1 2)`. 0 is none.
fn srid_of(text: &str) -> Option<u32> {
    let (head, _) = text.split_once(';')?;
    let (key, number) = head.split_once('=')?;
    key.trim().eq_ignore_ascii_case("SRID").then(|| number.trim().parse().ok())?.filter(|srid| *srid > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crs(values: &[&str]) -> Option<String> {
        written("g", values.iter().copied()).map(|column| column.crs)
    }

    #[test]
    fn text_is_geometry_where_all_of_it_is() {
        assert_eq!(crs(&["POINT (25 60)", "", "POLYGON EMPTY"]).as_deref(), Some("OGC:CRS84"));
        assert_eq!(crs(&["POINT (385595 6672125)"]).as_deref(), Some("unknown"));
        assert_eq!(crs(&["SRID=3067;POINT (385595 6672125)"]).as_deref(), Some("EPSG:3067"));
        assert_eq!(crs(&["SRID=4326;POINT (25 60)"]).as_deref(), Some("OGC:CRS84"));
        assert_eq!(crs(&["POINT (25 60)", "POINTLESS"]), None);
        assert_eq!(crs(&["", ""]), None);
    }

    #[test]
    fn the_column_that_is_called_geometry_comes_first() {
        let column = |name: &str| written(name, std::iter::once("POINT (1 2)")).expect("geometry");
        let mut all = [column("centre"), column("WKT"), column("geom")];
        sort(&mut all);
        assert_eq!(all.map(|c| c.name), ["geom", "WKT", "centre"]);
    }
}
