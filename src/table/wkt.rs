//! Geometry as Well-Known Text for people: from WKB (OGC 06-103r4 and ISO 13249-3, little and big
//! endian, EWKB's flags too) and from `GeoArrow`'s native encodings. Cut at a length, never panics.
//! What reads either tells it to a [`Visit`], of which the text is one and a map another.

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
pub(crate) enum Stop {
    /// The visitor has enough.
    Full,
    /// The bytes are not WKB.
    Invalid,
}

/// What is told of a geometry, in the order in which WKT writes it.
pub(crate) trait Visit {
    /// A geometry begins, one of a collection too: its kind (1 point … 6 multipolygon, 7 collection), and
    /// whether it has z and m.
    fn begin(&mut self, kind: u32, z: bool, m: bool) -> Result<(), Stop>;
    /// It, or a part, has nothing in it.
    fn empty(&mut self) -> Result<(), Stop>;
    /// A list begins: of parts, of rings, of positions.
    fn open(&mut self) -> Result<(), Stop>;
    /// Another item of the list follows.
    fn next(&mut self) -> Result<(), Stop>;
    /// The list ends.
    fn close(&mut self) -> Result<(), Stop>;
    /// A position: x, y, then z and m where there are; `alone` where it is a point of its own.
    fn position(&mut self, values: &[f64], alone: bool) -> Result<(), Stop>;
}

/// Reads a geometry from WKB.
pub(crate) fn visit_wkb(bytes: &[u8], out: &mut impl Visit) -> Result<(), Stop> {
    geometry(&mut Reader::new(bytes), out, 0)
}

/// `bytes` (WKB) as WKT of at most about `max` characters, `…` at the end where it was cut; `None`
/// where they are not WKB.
pub(crate) fn from_wkb(bytes: &[u8], max: usize) -> Option<String> {
    let mut out = Out { text: String::new(), max };
    match visit_wkb(bytes, &mut out) {
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

impl Visit for Out {
    fn begin(&mut self, kind: u32, z: bool, m: bool) -> Result<(), Stop> {
        self.push(NAMES[kind as usize - 1])?;
        self.push(suffix(z, m))?;
        self.push(" ")
    }

    fn empty(&mut self) -> Result<(), Stop> {
        self.push("EMPTY")
    }

    fn open(&mut self) -> Result<(), Stop> {
        self.push("(")
    }

    fn next(&mut self) -> Result<(), Stop> {
        self.push(", ")
    }

    fn close(&mut self) -> Result<(), Stop> {
        self.push(")")
    }

    fn position(&mut self, values: &[f64], alone: bool) -> Result<(), Stop> {
        if alone {
            self.push("(")?;
        }
        for (i, value) in values.iter().enumerate() {
            if i > 0 {
                self.push(" ")?;
            }
            self.number(*value)?;
        }
        if alone { self.push(")") } else { Ok(()) }
    }
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

fn geometry<V: Visit>(r: &mut Reader<'_>, out: &mut V, depth: usize) -> Result<(), Stop> {
    let (kind, z, m) = header(r)?;
    out.begin(kind, z, m)?;
    body(r, out, kind, z, m, depth)
}

fn body<V: Visit>(r: &mut Reader<'_>, out: &mut V, kind: u32, z: bool, m: bool, depth: usize) -> Result<(), Stop> {
    let dims = 2 + usize::from(z) + usize::from(m);
    match kind {
        1 => {
            let mut values = [0.0; 4];
            for value in &mut values[..dims] {
                *value = r.f64()?;
            }
            // An empty point has no form of its own in WKB: its coordinates are NaN.
            if values[..dims].iter().all(|v| v.is_nan()) {
                return out.empty();
            }
            out.position(&values[..dims], true)
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

fn line<V: Visit>(r: &mut Reader<'_>, out: &mut V, dims: usize) -> Result<(), Stop> {
    let n = r.count(8 * dims)?;
    list(out, n, |out| {
        let mut values = [0.0; 4];
        for value in &mut values[..dims] {
            *value = r.f64()?;
        }
        out.position(&values[..dims], false)
    })
}

fn list<V: Visit>(out: &mut V, n: u32, mut item: impl FnMut(&mut V) -> Result<(), Stop>) -> Result<(), Stop> {
    if n == 0 {
        return out.empty();
    }
    out.open()?;
    for i in 0..n {
        if i > 0 {
            out.next()?;
        }
        item(out)?;
    }
    out.close()
}

/// A column in one of `GeoArrow`'s native encodings (`point`, `linestring`, … `multipolygon`: lists of
/// structs of x, y[, z[, m]], or of fixed-size lists) as WKT. `None` where the column has another form.
pub(crate) fn native_column(column: &ArrayRef, encoding: &str, max: usize) -> Option<StringArray> {
    let form = Native::of(column.data_type(), encoding)?;
    let mut built = StringBuilder::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            built.append_null();
            continue;
        }
        let mut out = Out { text: String::new(), max };
        match form.visit(column, row, &mut out) {
            Ok(()) => built.append_value(&out.text),
            Err(Stop::Full) => built.append_value(out.cut()),
            Err(Stop::Invalid) => built.append_value("invalid geometry"),
        }
    }
    Some(built.finish())
}

/// The form of a column in a native encoding.
#[derive(Clone, Copy)]
pub(crate) struct Native {
    /// 1 point … 6 multipolygon.
    kind: u32,
    z: bool,
    m: bool,
}

impl Native {
    /// `None` where columns of this type are not in the encoding.
    pub(crate) fn of(column: &DataType, encoding: &str) -> Option<Self> {
        let kind = NAMES.iter().position(|n| n.eq_ignore_ascii_case(encoding))? as u32 + 1;
        let (z, m) = dimensions(column, levels(kind)?)?;
        Some(Self { kind, z, m })
    }

    /// Reads the geometry of a row, which is not null.
    pub(crate) fn visit(self, column: &ArrayRef, row: usize, out: &mut impl Visit) -> Result<(), Stop> {
        out.begin(self.kind, self.z, self.m)?;
        native(column, row, levels(self.kind).ok_or(Stop::Invalid)?, self.kind == 4, out)
    }
}

/// How many lists stand around a position.
fn levels(kind: u32) -> Option<usize> {
    match kind {
        1 => Some(0),
        2 | 4 => Some(1),
        3 | 5 => Some(2),
        6 => Some(3),
        _ => None,
    }
}

fn dimensions(kind: &DataType, levels: usize) -> Option<(bool, bool)> {
    match kind {
        DataType::List(f) | DataType::LargeList(f) if levels > 0 => dimensions(f.data_type(), levels - 1),
        DataType::Struct(fields) if levels == 0 => {
            let has = |name: &str| fields.iter().any(|f| f.name() == name);
            Some((has("z"), has("m")))
        }
        DataType::FixedSizeList(field, n) if levels == 0 => Some(match (n, field.name().as_str()) {
            (2, _) => (false, false),
            (3, "xym") => (false, true),
            (3, _) => (true, false),
            (4, _) => (true, true),
            _ => return None,
        }),
        _ => None,
    }
}

fn native<V: Visit>(column: &ArrayRef, row: usize, levels: usize, points: bool, out: &mut V) -> Result<(), Stop> {
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

fn coordinate<V: Visit>(column: &ArrayRef, row: usize, out: &mut V, alone: bool) -> Result<(), Stop> {
    let (mut values, mut n) = ([0.0; 4], 0);
    let mut push = |value: Option<f64>| {
        let slot = values.get_mut(n).ok_or(Stop::Invalid)?;
        *slot = value.ok_or(Stop::Invalid)?;
        n += 1;
        Ok(())
    };
    if let Some(fields) = column.as_any().downcast_ref::<StructArray>() {
        for name in ["x", "y", "z", "m"] {
            if let Some(field) = fields.column_by_name(name) {
                push(float(field, row))?;
            }
        }
    } else if let Some(fixed) = column.as_any().downcast_ref::<FixedSizeListArray>() {
        let item = fixed.value(row);
        for i in 0..item.len() {
            push(float(&item, i))?;
        }
    } else {
        return Err(Stop::Invalid);
    }
    if values[..n].iter().all(|v| v.is_nan()) {
        return out.empty();
    }
    out.position(&values[..n], alone)
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
