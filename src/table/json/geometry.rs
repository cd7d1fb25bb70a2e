//! `GeoJSON` geometries (RFC 7946, section 3.1) as Well-Known Binary (OGC 06-103r4, little endian, ISO codes).

use super::scan::{NotJson, items, members, number, string};

/// Collections nested deeper than this are taken for garbage.
const MOST_DEPTH: usize = 8;

/// A geometry as WKB; what is none is kept as it is written, which is no WKB.
pub(super) fn to_wkb(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() / 2 + 16);
    match geometry(raw, &mut out, 0) {
        Ok(()) => out,
        Err(NotJson) => raw.to_vec(),
    }
}

fn geometry(raw: &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), NotJson> {
    if depth > MOST_DEPTH {
        return Err(NotJson);
    }
    let members = members(raw)?;
    let find = |key: &str| members.iter().rev().find(|(k, _)| k == key).map(|(_, v)| *v);
    let kind = string(find("type").ok_or(NotJson)?);
    if kind == "GeometryCollection" {
        let parts = items(find("geometries").ok_or(NotJson)?)?;
        head(out, 7, false);
        count(out, parts.len())?;
        return parts.into_iter().try_for_each(|part| geometry(part, out, depth + 1));
    }
    let coordinates = find("coordinates").ok_or(NotJson)?;
    // The code of a type, and how deep its positions lie.
    let (code, level) = match kind.as_str() {
        "Point" => (1, 0),
        "LineString" => (2, 1),
        "Polygon" => (3, 2),
        "MultiPoint" => (4, 1),
        "MultiLineString" => (5, 2),
        "MultiPolygon" => (6, 3),
        _ => return Err(NotJson),
    };
    let high = first_position(coordinates, level)? > 2;
    shape(coordinates, out, code, high)
}

fn shape(raw: &[u8], out: &mut Vec<u8>, code: u32, high: bool) -> Result<(), NotJson> {
    head(out, code, high);
    match code {
        1 => position(raw, out, high),
        2 => positions(raw, out, high),
        3 => {
            let rings = items(raw)?;
            count(out, rings.len())?;
            rings.into_iter().try_for_each(|ring| positions(ring, out, high))
        }
        _ => {
            let parts = items(raw)?;
            count(out, parts.len())?;
            parts.into_iter().try_for_each(|part| shape(part, out, code - 3, high))
        }
    }
}

/// How many numbers the first position has; 0 where there is none.
fn first_position(raw: &[u8], level: usize) -> Result<usize, NotJson> {
    let mut raw = raw;
    for _ in 0..level {
        match items(raw)?.first() {
            Some(first) => raw = first,
            None => return Ok(0),
        }
    }
    Ok(items(raw)?.len())
}

fn head(out: &mut Vec<u8>, code: u32, high: bool) {
    out.push(1);
    out.extend((code + if high { 1000 } else { 0 }).to_le_bytes());
}

fn count(out: &mut Vec<u8>, n: usize) -> Result<(), NotJson> {
    out.extend(u32::try_from(n).map_err(|_| NotJson)?.to_le_bytes());
    Ok(())
}

fn positions(raw: &[u8], out: &mut Vec<u8>, high: bool) -> Result<(), NotJson> {
    let all = items(raw)?;
    count(out, all.len())?;
    all.into_iter().try_for_each(|one| position(one, out, high))
}

/// Longitude, latitude and, where the first one has it, height. What is empty is no place.
fn position(raw: &[u8], out: &mut Vec<u8>, high: bool) -> Result<(), NotJson> {
    let numbers = items(raw)?;
    if numbers.len() == 1 {
        return Err(NotJson);
    }
    for i in 0..if high { 3 } else { 2 } {
        let value = numbers.get(i).map_or(Some(f64::NAN), |word| number(word)).ok_or(NotJson)?;
        out.extend(value.to_le_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::wkt::from_wkb;

    #[test]
    fn geometries_are_what_they_were() {
        for (json, wkt) in [
            (r#"{"type":"Point","coordinates":[24.9384,60.1699]}"#, "POINT (24.9384 60.1699)"),
            (r#"{"coordinates":[1,2,3],"type":"Point"}"#, "POINT Z (1 2 3)"),
            (r#"{"type":"LineString","coordinates":[[0,0],[1.5,-1]]}"#, "LINESTRING (0 0, 1.5 -1)"),
            (r#"{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}"#, "POLYGON ((0 0, 1 0, 1 1, 0 0))"),
            (r#"{"type":"MultiPoint","coordinates":[[0,0],[1,1]]}"#, "MULTIPOINT (0 0, 1 1)"),
            (r#"{"type":"Point","coordinates":[]}"#, "POINT EMPTY"),
        ] {
            let text = from_wkb(&to_wkb(json.as_bytes()), 500).expect(json);
            assert_eq!(text.replace("((0 0), (1 1))", "(0 0, 1 1)"), wkt);
        }
        let both = br#"{"type":"GeometryCollection","geometries":[{"type":"Point","coordinates":[1,2]}]}"#;
        assert_eq!(from_wkb(&to_wkb(both), 500).expect("wkt"), "GEOMETRYCOLLECTION (POINT (1 2))");
    }

    #[test]
    fn what_is_no_geometry_is_kept() {
        for bad in ["{}", "7", r#"{"type":"Circle","coordinates":[1,2]}"#, r#"{"type":"Point","coordinates":["a",1]}"#]
        {
            assert_eq!(to_wkb(bad.as_bytes()), bad.as_bytes());
        }
    }
}
