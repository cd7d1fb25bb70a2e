//! Geometry as shapes to calculate with: from WKB (by the reader of [`super::wkt`]), from `GeoArrow`'s
//! native encodings and from text, and back as WKB. In the plane: z and m are left out.

use super::wkt::{MAX_DEPTH, NAMES, Reader, Stop, header};
use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, StructArray};
use arrow::datatypes::{DataType, Float64Type};
use geo::{Coord, Geometry, GeometryCollection, LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon};

/// A shape from WKB or EWKB; `None` where the bytes are not that. An empty point is an empty collection of points.
pub(crate) fn from_wkb(bytes: &[u8]) -> Option<Geometry> {
    geometry(&mut Reader::new(bytes), 0).ok()
}

/// Whether the positions of WKB have a z.
pub(crate) fn has_z(bytes: &[u8]) -> bool {
    header(&mut Reader::new(bytes)).is_ok_and(|(_, z, _)| z)
}

fn geometry(r: &mut Reader<'_>, depth: usize) -> Result<Geometry, Stop> {
    let (kind, z, m) = header(r)?;
    body(r, kind, 2 + usize::from(z) + usize::from(m), depth)
}

fn body(r: &mut Reader<'_>, kind: u32, dims: usize, depth: usize) -> Result<Geometry, Stop> {
    Ok(match kind {
        1 => point(r, dims)?.map_or_else(|| MultiPoint::new(Vec::new()).into(), Geometry::Point),
        2 => line(r, dims)?.into(),
        3 => polygon(r, dims)?.into(),
        4 => MultiPoint::new(parts(r, 1, point)?.into_iter().flatten().collect()).into(),
        5 => MultiLineString::new(parts(r, 2, line)?).into(),
        6 => MultiPolygon::new(parts(r, 3, polygon)?).into(),
        _ if depth >= MAX_DEPTH => return Err(Stop::Invalid),
        _ => {
            let n = r.count(9)?;
            let members = (0..n).map(|_| geometry(r, depth + 1)).collect::<Result<Vec<_>, _>>()?;
            Geometry::GeometryCollection(GeometryCollection::new_from(members))
        }
    })
}

/// Parts of a multi-geometry, which carry heads of their own.
fn parts<T>(
    r: &mut Reader<'_>,
    kind: u32,
    read: impl Fn(&mut Reader<'_>, usize) -> Result<T, Stop>,
) -> Result<Vec<T>, Stop> {
    let n = r.count(9)?;
    let mut parts = Vec::new();
    for _ in 0..n {
        let (part, z, m) = header(r)?;
        if part != kind {
            return Err(Stop::Invalid);
        }
        parts.push(read(r, 2 + usize::from(z) + usize::from(m))?);
    }
    Ok(parts)
}

fn coordinate(r: &mut Reader<'_>, dims: usize) -> Result<Coord, Stop> {
    let (x, y) = (r.f64()?, r.f64()?);
    for _ in 2..dims {
        r.f64()?;
    }
    Ok(Coord { x, y })
}

fn point(r: &mut Reader<'_>, dims: usize) -> Result<Option<Point>, Stop> {
    let at = coordinate(r, dims)?;
    Ok((!(at.x.is_nan() && at.y.is_nan())).then_some(Point(at)))
}

fn line(r: &mut Reader<'_>, dims: usize) -> Result<LineString, Stop> {
    let n = r.count(8 * dims)?;
    (0..n).map(|_| coordinate(r, dims)).collect::<Result<Vec<_>, _>>().map(LineString::new)
}

fn polygon(r: &mut Reader<'_>, dims: usize) -> Result<Polygon, Stop> {
    let n = r.count(4)?;
    let mut rings = Vec::new();
    for _ in 0..n {
        rings.push(line(r, dims)?);
    }
    Ok(of_rings(rings))
}

fn of_rings(rings: Vec<LineString>) -> Polygon {
    let mut rings = rings.into_iter();
    let outer = rings.next().unwrap_or_else(|| LineString::new(Vec::new()));
    Polygon::new(outer, rings.collect())
}

/// A shape as little-endian WKB (OGC 06-103r4, 8.2). An empty point has NaN for coordinates.
pub(crate) fn to_wkb(shape: &Geometry) -> Vec<u8> {
    let mut out = Vec::new();
    write(shape, &mut out);
    out
}

fn write(shape: &Geometry, out: &mut Vec<u8>) {
    match shape {
        Geometry::Point(p) => {
            head(out, 1);
            coord(out, p.0);
        }
        Geometry::Line(l) => {
            head(out, 2);
            coords(out, &[l.start, l.end]);
        }
        Geometry::LineString(l) => {
            head(out, 2);
            coords(out, &l.0);
        }
        Geometry::Polygon(p) => write_polygon(p, out),
        Geometry::Rect(r) => write_polygon(&r.to_polygon(), out),
        Geometry::Triangle(t) => write_polygon(&t.to_polygon(), out),
        Geometry::MultiPoint(m) => {
            head(out, 4);
            count(out, m.0.len());
            m.0.iter().for_each(|p| write(&Geometry::Point(*p), out));
        }
        Geometry::MultiLineString(m) => {
            head(out, 5);
            count(out, m.0.len());
            for l in &m.0 {
                head(out, 2);
                coords(out, &l.0);
            }
        }
        Geometry::MultiPolygon(m) => {
            head(out, 6);
            count(out, m.0.len());
            m.0.iter().for_each(|p| write_polygon(p, out));
        }
        Geometry::GeometryCollection(c) => {
            head(out, 7);
            count(out, c.0.len());
            c.0.iter().for_each(|g| write(g, out));
        }
    }
}

fn head(out: &mut Vec<u8>, kind: u32) {
    out.push(1);
    out.extend(kind.to_le_bytes());
}

fn count(out: &mut Vec<u8>, n: usize) {
    out.extend((n as u32).to_le_bytes());
}

fn coord(out: &mut Vec<u8>, at: Coord) {
    out.extend(at.x.to_le_bytes());
    out.extend(at.y.to_le_bytes());
}

fn coords(out: &mut Vec<u8>, all: &[Coord]) {
    count(out, all.len());
    for at in all {
        coord(out, *at);
    }
}

fn write_polygon(p: &Polygon, out: &mut Vec<u8>) {
    head(out, 3);
    if p.exterior().0.is_empty() {
        return count(out, 0);
    }
    count(out, 1 + p.interiors().len());
    coords(out, &p.exterior().0);
    p.interiors().iter().for_each(|ring| coords(out, &ring.0));
}

/// A row of a column in one of `GeoArrow`'s native encodings (`point` … `multipolygon`: lists of structs of x, y, …,
/// or of fixed-size lists); `None` where it is null or has another form.
pub(crate) fn from_native(column: &ArrayRef, row: usize, encoding: &str) -> Option<Geometry> {
    if column.is_null(row) {
        return None;
    }
    Some(match encoding {
        "point" => {
            let at = native_coord(column, row)?;
            if at.x.is_nan() && at.y.is_nan() { MultiPoint::new(Vec::new()).into() } else { Point(at).into() }
        }
        "linestring" => native_line(column, row)?.into(),
        "multipoint" => {
            let line = native_line(column, row)?;
            MultiPoint::new(line.0.into_iter().map(Point).collect()).into()
        }
        "polygon" => of_rings(native_lines(column, row)?).into(),
        "multilinestring" => MultiLineString::new(native_lines(column, row)?).into(),
        "multipolygon" => {
            let polygons = items(column, row)?;
            let all = (0..polygons.len()).map(|i| native_lines(&polygons, i).map(of_rings));
            MultiPolygon::new(all.collect::<Option<_>>()?).into()
        }
        _ => return None,
    })
}

fn items(column: &ArrayRef, row: usize) -> Option<ArrayRef> {
    match column.data_type() {
        DataType::List(_) => Some(column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(column.as_list::<i64>().value(row)),
        _ => None,
    }
}

fn native_line(column: &ArrayRef, row: usize) -> Option<LineString> {
    let points = items(column, row)?;
    (0..points.len()).map(|i| native_coord(&points, i)).collect::<Option<Vec<_>>>().map(LineString::new)
}

fn native_lines(column: &ArrayRef, row: usize) -> Option<Vec<LineString>> {
    let lines = items(column, row)?;
    (0..lines.len()).map(|i| native_line(&lines, i)).collect()
}

fn native_coord(column: &ArrayRef, row: usize) -> Option<Coord> {
    let float = |values: &ArrayRef, i: usize| Some(values.as_primitive_opt::<Float64Type>()?.value(i));
    if let Some(fields) = column.as_any().downcast_ref::<StructArray>() {
        return Some(Coord {
            x: float(fields.column_by_name("x")?, row)?,
            y: float(fields.column_by_name("y")?, row)?,
        });
    }
    let item = column.as_any().downcast_ref::<FixedSizeListArray>()?.value(row);
    (item.len() >= 2).then(|| Some(Coord { x: float(&item, 0)?, y: float(&item, 1)? }))?
}

/// A shape from Well-Known Text (also EWKT's `SRID=…;` before it); z and m are read and left out. The error says
/// what was expected where.
pub(crate) fn from_wkt(text: &str) -> Result<Geometry, String> {
    let body = text.trim_start();
    let body = match body.split_once(';') {
        Some((srid, rest)) if srid.to_ascii_uppercase().starts_with("SRID=") => rest,
        _ => body,
    };
    let mut words = Words { text: body, at: 0 };
    let shape = words.geometry(0)?;
    match words.peek() {
        None => Ok(shape),
        Some(_) => Err(words.expected("nothing more")),
    }
}

struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl Words<'_> {
    fn peek(&mut self) -> Option<char> {
        let rest = self.text.get(self.at..)?;
        self.at += rest.len() - rest.trim_start().len();
        self.text.get(self.at..)?.chars().next()
    }

    fn expected(&self, what: &str) -> String {
        let found: String = self.text.get(self.at..).unwrap_or_default().chars().take(12).collect();
        let found = if found.is_empty() { "the end".to_owned() } else { format!("`{found}`") };
        format!("the WKT is not understood at character {}: {what} was expected, not {found}", self.at + 1)
    }

    fn take(&mut self, c: char) -> bool {
        let is = self.peek() == Some(c);
        self.at += usize::from(is);
        is
    }

    fn word(&mut self) -> String {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        self.at += end;
        rest[..end].to_ascii_uppercase()
    }

    fn geometry(&mut self, depth: usize) -> Result<Geometry, String> {
        self.peek();
        let start = self.at;
        let name = self.word();
        let bare = name.trim_end_matches(['Z', 'M']);
        let known = NAMES.iter().position(|n| *n == name || *n == bare);
        let Some(kind) = known.filter(|_| depth <= MAX_DEPTH) else {
            self.at = start;
            return Err(self.expected("a geometry such as POINT or POLYGON"));
        };
        let before = self.at;
        if !matches!(self.word().as_str(), "Z" | "M" | "ZM") {
            self.at = before;
        }
        Ok(match kind {
            0 => match self.list(Self::coord)?.as_slice() {
                [] => MultiPoint::new(Vec::new()).into(),
                [at] => Point(*at).into(),
                _ => return Err(self.expected("one point")),
            },
            1 => LineString::new(self.list(Self::coord)?).into(),
            2 => of_rings(self.list(Self::line)?).into(),
            3 => MultiPoint::new(self.list(Self::member)?.into_iter().map(Point).collect()).into(),
            4 => MultiLineString::new(self.list(Self::line)?).into(),
            5 => MultiPolygon::new(self.list(|w| w.list(Self::line).map(of_rings))?).into(),
            _ => Geometry::GeometryCollection(GeometryCollection::new_from(self.list(|w| w.geometry(depth + 1))?)),
        })
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let before = self.at;
        if self.word() == "EMPTY" {
            return Ok(Vec::new());
        }
        self.at = before;
        if !self.take('(') {
            return Err(self.expected("`(`"));
        }
        let mut all = vec![item(self)?];
        while self.take(',') {
            all.push(item(self)?);
        }
        if self.take(')') { Ok(all) } else { Err(self.expected("`,` or `)`")) }
    }

    fn line(&mut self) -> Result<LineString, String> {
        self.list(Self::coord).map(LineString::new)
    }

    /// A point of a MULTIPOINT: in brackets of its own, or not.
    fn member(&mut self) -> Result<Coord, String> {
        if !self.take('(') {
            return self.coord();
        }
        let at = self.coord()?;
        if self.take(')') { Ok(at) } else { Err(self.expected("`)`")) }
    }

    fn coord(&mut self) -> Result<Coord, String> {
        let at = Coord { x: self.number()?, y: self.number()? };
        while self.peek().is_some_and(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
            self.number()?;
        }
        Ok(at)
    }

    fn number(&mut self) -> Result<f64, String> {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')));
        let end = end.unwrap_or(rest.len());
        let value = rest[..end].parse().map_err(|_| self.expected("a number"))?;
        self.at += end;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::wkt;

    #[test]
    fn text_to_shape_to_bytes_to_text() {
        for text in [
            "POINT (1 -2.5)",
            "LINESTRING (0 0, 1 1, 2 0)",
            "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1))",
            "MULTIPOINT (1 2, 3 4)",
            "MULTILINESTRING ((0 0, 1 1), (2 2, 3 3))",
            "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
            "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))",
            "POLYGON EMPTY",
            "MULTIPOINT EMPTY",
        ] {
            let shape = from_wkt(text).expect(text);
            let bytes = to_wkb(&shape);
            assert_eq!(from_wkb(&bytes).as_ref(), Some(&shape), "{text}");
            let again = wkt::from_wkb(&bytes, 1 << 20).expect(text);
            assert_eq!(again.replace(['(', ')'], ""), text.replace(['(', ')'], ""));
        }
        assert_eq!(from_wkt(" srid=4326; point z(1 2 3)"), from_wkt("POINT(1 2)"));
        assert_eq!(from_wkt("MULTIPOINT ((1 2), (3 4))"), from_wkt("MULTIPOINT (1 2, 3 4)"));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let wrong = |text: &str| from_wkt(text).expect_err(text);
        assert!(
            wrong("POINT (1, 2)").ends_with("at character 9: a number was expected, not `, 2)`"),
            "{}",
            wrong("POINT (1, 2)")
        );
        assert!(wrong("CIRCLE (1 2)").contains("a geometry such as POINT"));
        assert!(wrong("POINT (1 2").ends_with("not the end"));
        assert!(wrong("POINT (1 2) x").contains("nothing more"));
        assert!(wrong(&"GEOMETRYCOLLECTION (".repeat(1000)).contains("a geometry such as"));
    }

    #[test]
    fn garbage_is_no_shape() {
        for garbage in [&b""[..], b"\x01", b"\x01\x06\0\0\0\xff\xff\xff\xff", b"\x01\x63\0\0\0"] {
            assert_eq!(from_wkb(garbage), None, "{garbage:?}");
        }
        let deep = hex_repeat(&[1, 7, 0, 0, 0, 1, 0, 0, 0], 10_000);
        assert_eq!(from_wkb(&deep), None);
    }

    fn hex_repeat(bytes: &[u8], n: usize) -> Vec<u8> {
        bytes.iter().copied().cycle().take(bytes.len() * n).collect()
    }
}
