//! Geometry as Well-Known Text for people: from WKB (OGC 06-103r4 and ISO 13249-3, little and big
//! endian, EWKB's flags too) and from `GeoArrow`'s native encodings. Cut at a length, never panics.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, FixedSizeListArray, Float64Array, GenericListArray};
use arrow::array::{OffsetSizeTrait, StringArray, StringBuilder, StructArray};
use arrow::datatypes::{DataType, Float64Type};
use std::fmt::Write as _;

/// What stands in a cell whose bytes are not WKB.
pub(crate) const INVALID: &str = "invalid WKB";

/// Geometries nested deeper than this are taken for garbage.
pub(super) const MAX_DEPTH: usize = 8;

/// Why reading or writing stopped.
#[derive(Debug, PartialEq)]
pub(super) enum Stop {
    /// The text is long enough.
    Full,
    /// The bytes are not WKB.
    Invalid,
}

/// `bytes` (WKB) as WKT of at most about `max` characters, `…` at the end where it was cut; `None`
/// where they are not WKB.
pub(crate) fn from_wkb(bytes: &[u8], max: usize) -> Option<String> {
    let mut out = Out { text: String::new(), max };
    let mut reader = Reader::new(bytes);
    match geometry(&mut reader, &mut out, 0) {
        Ok(()) => Some(out.text),
        Err(Stop::Full) => Some(out.cut()),
        Err(Stop::Invalid) => None,
    }
}

/// A column of WKB as a column of WKT; nulls stay null, what is not WKB becomes [`INVALID`].
/// `None` where the column holds no bytes at all.
pub(crate) fn wkb_column(column: &ArrayRef, max: usize) -> Option<StringArray> {
    let column = match column.data_type() {
        DataType::Binary => column.clone(),
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            arrow::compute::cast(column, &DataType::Binary).ok()?
        }
        _ => return None,
    };
    let binary: &BinaryArray = column.as_binary::<i32>();
    let text = binary.iter().map(|cell| cell.map(|b| from_wkb(b, max).unwrap_or_else(|| INVALID.to_owned())));
    Some(text.collect())
}

struct Out {
    text: String,
    max: usize,
}

impl Out {
    fn push(&mut self, text: &str) -> Result<(), Stop> {
        self.text.push_str(text);
        if self.text.len() > self.max { Err(Stop::Full) } else { Ok(()) }
    }

    fn number(&mut self, value: f64) -> Result<(), Stop> {
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{value}");
        if self.text.len() > self.max { Err(Stop::Full) } else { Ok(()) }
    }

    /// The text up to the last whole word, all ASCII.
    fn cut(mut self) -> String {
        self.text.truncate(self.max.min(self.text.len()));
        if let Some(end) = self.text.rfind([' ', ',', '(']) {
            self.text.truncate(end + 1);
        }
        let kept = self.text.trim_end_matches([' ', ',']).len();
        self.text.truncate(kept);
        self.text.push('…');
        self.text
    }
}

/// Bytes of WKB on their way to text or to shapes.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    little: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, little: true }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(Stop::Invalid)?;
        self.bytes = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, Stop> {
        let raw = self.take::<4>()?;
        Ok(if self.little { u32::from_le_bytes(raw) } else { u32::from_be_bytes(raw) })
    }

    pub(super) fn f64(&mut self) -> Result<f64, Stop> {
        let raw = self.take::<8>()?;
        Ok(if self.little { f64::from_le_bytes(raw) } else { f64::from_be_bytes(raw) })
    }

    /// A number of things of at least `least` bytes each.
    pub(super) fn count(&mut self, least: usize) -> Result<u32, Stop> {
        let n = self.u32()?;
        let needed = (n as usize).checked_mul(least).ok_or(Stop::Invalid)?;
        if needed > self.bytes.len() { Err(Stop::Invalid) } else { Ok(n) }
    }
}

/// Kinds of geometry as WKT names them, in the order of their numbers in WKB.
pub(super) const NAMES: [&str; 7] =
    ["POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION"];

/// The head of a geometry: its kind (1 to 7, an index into [`NAMES`] plus one), whether it has z, whether m.
pub(super) fn header(r: &mut Reader<'_>) -> Result<(u32, bool, bool), Stop> {
    r.little = match r.take::<1>()?[0] {
        0 => false,
        1 => true,
        _ => return Err(Stop::Invalid),
    };
    let raw = r.u32()?;
    // EWKB keeps dimensions and a reference system in the high bits, ISO in the thousands.
    if raw & 0x2000_0000 != 0 {
        r.u32()?;
    }
    let low = raw & 0x0fff_ffff;
    let (kind, thousands) = (low % 1000, low / 1000);
    if !(1..=7).contains(&kind) || thousands > 3 {
        return Err(Stop::Invalid);
    }
    let z = raw & 0x8000_0000 != 0 || thousands == 1 || thousands == 3;
    let m = raw & 0x4000_0000 != 0 || thousands == 2 || thousands == 3;
    Ok((kind, z, m))
}

fn suffix(z: bool, m: bool) -> &'static str {
    match (z, m) {
        (false, false) => "",
        (true, false) => " Z",
        (false, true) => " M",
        (true, true) => " ZM",
    }
}

fn geometry(r: &mut Reader<'_>, out: &mut Out, depth: usize) -> Result<(), Stop> {
    let (kind, z, m) = header(r)?;
    out.push(NAMES[kind as usize - 1])?;
    out.push(suffix(z, m))?;
    out.push(" ")?;
    body(r, out, kind, z, m, depth)
}

fn body(r: &mut Reader<'_>, out: &mut Out, kind: u32, z: bool, m: bool, depth: usize) -> Result<(), Stop> {
    let dims = 2 + usize::from(z) + usize::from(m);
    match kind {
        1 => {
            let mut values = [0.0; 4];
            for value in &mut values[..dims] {
                *value = r.f64()?;
            }
            // An empty point has no form of its own in WKB: its coordinates are NaN.
            if values[..dims].iter().all(|v| v.is_nan()) {
                return out.push("EMPTY");
            }
            out.push("(")?;
            numbers(out, &values[..dims])?;
            out.push(")")
        }
        2 => line(r, out, dims),
        3 => {
            let n = r.count(4)?;
            list(out, n, |out| line(r, out, dims))
        }
        // Parts of a multi-geometry carry headers of their own.
        4..=6 => {
            let n = r.count(9)?;
            list(out, n, |out| {
                let (part, z, m) = header(r)?;
                if part != kind - 3 {
                    return Err(Stop::Invalid);
                }
                body(r, out, part, z, m, depth)
            })
        }
        _ if depth >= MAX_DEPTH => Err(Stop::Invalid),
        _ => {
            let n = r.count(9)?;
            list(out, n, |out| geometry(r, out, depth + 1))
        }
    }
}

fn line(r: &mut Reader<'_>, out: &mut Out, dims: usize) -> Result<(), Stop> {
    let n = r.count(8 * dims)?;
    list(out, n, |out| {
        let mut values = [0.0; 4];
        for value in &mut values[..dims] {
            *value = r.f64()?;
        }
        numbers(out, &values[..dims])
    })
}

fn numbers(out: &mut Out, values: &[f64]) -> Result<(), Stop> {
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            out.push(" ")?;
        }
        out.number(*value)?;
    }
    Ok(())
}

fn list(out: &mut Out, n: u32, mut item: impl FnMut(&mut Out) -> Result<(), Stop>) -> Result<(), Stop> {
    if n == 0 {
        return out.push("EMPTY");
    }
    out.push("(")?;
    for i in 0..n {
        if i > 0 {
            out.push(", ")?;
        }
        item(out)?;
    }
    out.push(")")
}

/// A column in one of `GeoArrow`'s native encodings (`point`, `linestring`, … `multipolygon`: lists of
/// structs of x, y[, z[, m]], or of fixed-size lists) as WKT. `None` where the column has another form.
pub(crate) fn native_column(column: &ArrayRef, encoding: &str, max: usize) -> Option<StringArray> {
    let name = NAMES.iter().find(|n| n.eq_ignore_ascii_case(encoding))?;
    let levels = match *name {
        "POINT" => 0,
        "LINESTRING" | "MULTIPOINT" => 1,
        "POLYGON" | "MULTILINESTRING" => 2,
        "MULTIPOLYGON" => 3,
        _ => return None,
    };
    let dimensions = dimensions(column.data_type(), levels)?;
    let mut built = StringBuilder::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            built.append_null();
            continue;
        }
        let mut out = Out { text: String::new(), max };
        let result = out.push(name).and_then(|()| out.push(dimensions)).and_then(|()| out.push(" "));
        let result = result.and_then(|()| native(column, row, levels, *name == "MULTIPOINT", &mut out));
        match result {
            Ok(()) => built.append_value(&out.text),
            Err(Stop::Full) => built.append_value(out.cut()),
            Err(Stop::Invalid) => built.append_value("invalid geometry"),
        }
    }
    Some(built.finish())
}

fn dimensions(kind: &DataType, levels: usize) -> Option<&'static str> {
    match kind {
        DataType::List(f) | DataType::LargeList(f) if levels > 0 => dimensions(f.data_type(), levels - 1),
        DataType::Struct(fields) if levels == 0 => {
            let has = |name: &str| fields.iter().any(|f| f.name() == name);
            Some(suffix(has("z"), has("m")))
        }
        DataType::FixedSizeList(field, n) if levels == 0 => Some(match (n, field.name().as_str()) {
            (2, _) => "",
            (3, "xym") => " M",
            (3, _) => " Z",
            (4, _) => " ZM",
            _ => return None,
        }),
        _ => None,
    }
}

fn native(column: &ArrayRef, row: usize, levels: usize, points: bool, out: &mut Out) -> Result<(), Stop> {
    if levels == 0 {
        return coordinate(column, row, out, true);
    }
    let part = match column.data_type() {
        DataType::List(_) => value_of::<i32>(column.as_list(), row),
        DataType::LargeList(_) => value_of::<i64>(column.as_list(), row),
        _ => return Err(Stop::Invalid),
    };
    let mut index = 0;
    list(out, u32::try_from(part.len()).map_err(|_| Stop::Invalid)?, |out| {
        let at = index;
        index += 1;
        if levels == 1 { coordinate(&part, at, out, points) } else { native(&part, at, levels - 1, points, out) }
    })
}

fn value_of<O: OffsetSizeTrait>(list: &GenericListArray<O>, row: usize) -> ArrayRef {
    list.value(row)
}

fn coordinate(column: &ArrayRef, row: usize, out: &mut Out, brackets: bool) -> Result<(), Stop> {
    let values: Vec<f64> = if let Some(fields) = column.as_any().downcast_ref::<StructArray>() {
        ["x", "y", "z", "m"]
            .iter()
            .filter_map(|name| fields.column_by_name(name))
            .map(|values| float(values, row))
            .collect::<Option<_>>()
            .ok_or(Stop::Invalid)?
    } else if let Some(fixed) = column.as_any().downcast_ref::<FixedSizeListArray>() {
        let item = fixed.value(row);
        (0..item.len()).map(|i| float(&item, i)).collect::<Option<_>>().ok_or(Stop::Invalid)?
    } else {
        return Err(Stop::Invalid);
    };
    if values.iter().all(|v| v.is_nan()) {
        return out.push("EMPTY");
    }
    if brackets {
        out.push("(")?;
    }
    numbers(out, &values)?;
    if brackets { out.push(")") } else { Ok(()) }
}

fn float(values: &ArrayRef, row: usize) -> Option<f64> {
    let values: &Float64Array = values.as_primitive_opt::<Float64Type>()?;
    values.is_valid(row).then(|| values.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn both_byte_orders_and_both_ways_to_say_z() {
        let little = hex("0101000000000000000000f03f0000000000000040");
        assert_eq!(from_wkb(&little, 200).as_deref(), Some("POINT (1 2)"));
        let big = hex("00000003e93ff000000000000040000000000000004008000000000000");
        assert_eq!(from_wkb(&big, 200).as_deref(), Some("POINT Z (1 2 3)"));
        let ewkb = hex("01010000a0e6100000000000000000f03f00000000000000400000000000000840");
        assert_eq!(from_wkb(&ewkb, 200).as_deref(), Some("POINT Z (1 2 3)"));
    }

    #[test]
    fn long_lines_are_cut_and_garbage_is_named() {
        let mut line = vec![1, 2, 0, 0, 0];
        line.extend(1000_u32.to_le_bytes());
        for i in 0..2000 {
            line.extend((f64::from(i) * 0.5).to_le_bytes());
        }
        let text = from_wkb(&line, 40).expect("a line");
        assert!(text.starts_with("LINESTRING (0 0.5, 1 1.5") && text.ends_with('…') && text.len() < 50, "{text}");
        line.truncate(500);
        assert_eq!(from_wkb(&line, 200), None);
        for garbage in
            [&b""[..], b"\x01", b"\x02\x01\0\0\0", b"\x01\xff\xff\xff\x0f", b"\x01\x06\0\0\0\xff\xff\xff\xff"]
        {
            assert_eq!(from_wkb(garbage, 200), None, "{garbage:?}");
        }
    }

    #[test]
    fn collections_cannot_nest_without_end() {
        let mut deep = Vec::new();
        for _ in 0..10_000 {
            deep.extend(hex("010700000001000000"));
        }
        assert_eq!(from_wkb(&deep, 1 << 20), None);
    }

    #[test]
    fn an_empty_point_and_a_polygon_with_a_hole() {
        let nan = f64::NAN.to_le_bytes();
        let empty = [&[1_u8, 1, 0, 0, 0][..], &nan, &nan].concat();
        assert_eq!(from_wkb(&empty, 200).as_deref(), Some("POINT EMPTY"));
        assert_eq!(from_wkb(&hex("010300000000000000"), 200).as_deref(), Some("POLYGON EMPTY"));
    }
}
