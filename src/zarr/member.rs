//! The metadata of one group or array. Everything comes from a file that may say anything: it is
//! shown, not believed.
//!
//! Zarr v2: <https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html>, v3:
//! <https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html>, sharding:
//! <https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html>.

use super::values::Item;
use crate::error::{Error, Result};
use crate::text;
use serde_json::{Map, Value};

/// Columns of a name or value that are shown.
pub const VALUE: usize = 200;
/// Dimensions, codecs and fields of a type that are shown.
const LISTED: usize = 32;
/// How types of several fields are called, and how many of these are named.
const RECORD: &str = "record";
const FIELDS: usize = 4;
/// What a reader wants to know before the other attributes.
const FIRST: [&str; 6] = ["long_name", "standard_name", "units", "scale_factor", "add_offset", "calendar"];
/// The names of dimensions in version 2, by the convention of xarray.
pub(super) const DIMENSIONS: &str = "_ARRAY_DIMENSIONS";

/// A group or an array.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// What it is.
    pub form: Form,
    /// What its author wrote about it.
    pub attributes: Map<String, Value>,
}

/// What a member is.
#[derive(Clone, Debug, Default)]
pub enum Form {
    /// Holds members.
    #[default]
    Group,
    /// Holds values.
    Array(Box<About>),
    /// Its metadata cannot be read, and why.
    Broken(String),
}

/// What an array's metadata say.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// 2 or 3.
    pub version: u8,
    /// Its extent, slowest dimension first.
    pub shape: Vec<u64>,
    /// A short name of its type in both versions: `f32`, `u16`, `datetime64[ns]`.
    pub dtype: String,
    /// Extent of a chunk, or of the chunks within a shard; empty where the grid is none of equal boxes.
    pub chunks: Vec<u64>,
    /// Extent of the shards that hold the chunks.
    pub shards: Option<Vec<u64>>,
    /// How the chunks lie, where they are no equal boxes.
    pub grid: String,
    /// Names of what packs the values, in the order of writing: `blosc(lz4)`.
    pub codecs: Vec<String>,
    /// Names of the dimensions; as many as it has, or none.
    pub dimensions: Vec<String>,
    /// What stands where nothing is stored.
    pub fill: Value,
    /// The metadata as they are.
    pub document: Value,
}

/// From a `zarr.json`.
pub(super) fn of_v3(document: &Value) -> Result<Member> {
    if document.get("zarr_format").and_then(Value::as_u64) != Some(3) {
        return Err(Error::invalid("not Zarr v3 metadata: `zarr_format` is not 3"));
    }
    let form = match document.get("node_type").and_then(Value::as_str) {
        Some("group") => Form::Group,
        Some("array") => Form::Array(Box::new(array_v3(document)?)),
        _ => return Err(Error::invalid("not Zarr v3 metadata: `node_type` is neither group nor array")),
    };
    let attributes = document.get("attributes").and_then(Value::as_object).cloned().unwrap_or_default();
    Ok(Member { form, attributes })
}

/// From a `.zarray` or `.zgroup` and the `.zattrs` beside it.
pub(super) fn of_v2(is_array: bool, document: &Value, attributes: Map<String, Value>) -> Result<Member> {
    if document.get("zarr_format").and_then(Value::as_u64) != Some(2) {
        return Err(Error::invalid("not Zarr v2 metadata: `zarr_format` is not 2"));
    }
    let form = if is_array { Form::Array(Box::new(array_v2(document, &attributes)?)) } else { Form::Group };
    Ok(Member { form, attributes })
}

fn array_v3(document: &Value) -> Result<About> {
    let grid = document.get("chunk_grid");
    let outer = grid.and_then(|g| g.pointer("/configuration/chunk_shape")).and_then(numbers);
    let mut about = About {
        version: 3,
        shape: required_shape(document)?,
        dtype: document.get("data_type").map(dtype_v3).unwrap_or_default(),
        dimensions: document.get("dimension_names").map(names).unwrap_or_default(),
        fill: document.get("fill_value").cloned().unwrap_or_default(),
        grid: if outer.is_none() { grid.map(name_of).unwrap_or_default() } else { String::new() },
        document: document.clone(),
        ..About::default()
    };
    let outer = outer.unwrap_or_default();
    let codecs = document.get("codecs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let sharding = codecs.iter().find(|c| name_of(c) == "sharding_indexed").and_then(|c| c.get("configuration"));
    if let Some(inner) = sharding {
        about.shards = Some(outer);
        about.chunks = inner.get("chunk_shape").and_then(numbers).unwrap_or_default();
        about.codecs = inner.get("codecs").map(codec_names).unwrap_or_default();
        about.codecs.extend(codecs.iter().filter(|c| name_of(c) != "sharding_indexed").filter_map(codec));
    } else {
        about.chunks = outer;
        about.codecs = document.get("codecs").map(codec_names).unwrap_or_default();
    }
    about.codecs.truncate(LISTED);
    about.keep_names();
    // The whole of a consolidated group may hang on its root's document.
    if let Some(document) = about.document.as_object_mut() {
        document.remove("consolidated_metadata");
        document.remove("attributes");
    }
    Ok(about)
}

fn array_v2(document: &Value, attributes: &Map<String, Value>) -> Result<About> {
    let mut codecs = document.get("filters").map(codec_names).unwrap_or_default();
    codecs.extend(document.get("compressor").and_then(codec));
    let mut about = About {
        version: 2,
        shape: required_shape(document)?,
        dtype: document.get("dtype").map(dtype_v2).unwrap_or_default(),
        chunks: document.get("chunks").and_then(numbers).unwrap_or_default(),
        shards: None,
        grid: String::new(),
        codecs,
        dimensions: attributes.get(DIMENSIONS).map(names).unwrap_or_default(),
        fill: document.get("fill_value").cloned().unwrap_or_default(),
        document: document.clone(),
    };
    about.keep_names();
    Ok(about)
}

fn required_shape(document: &Value) -> Result<Vec<u64>> {
    document.get("shape").and_then(numbers).ok_or_else(|| Error::invalid("not metadata of a Zarr array: no `shape`"))
}

fn numbers(value: &Value) -> Option<Vec<u64>> {
    value.as_array()?.iter().map(Value::as_u64).collect()
}

/// `6×4×600×600`; empty for no dimensions.
pub fn sides(sides: &[u64]) -> String {
    let mut words = sides.iter().take(LISTED).map(u64::to_string).collect::<Vec<_>>().join("×");
    if sides.len() > LISTED {
        words.push('…');
    }
    words
}

/// Names of dimensions; one without a name is `_`.
fn names(value: &Value) -> Vec<String> {
    let names = value.as_array().map(Vec::as_slice).unwrap_or_default();
    names.iter().map(|n| n.as_str().unwrap_or("_").to_owned()).collect()
}

/// The name of a codec, grid or type of version 3: a string, or an object with a `name`.
fn name_of(value: &Value) -> String {
    let name = value.as_str().or_else(|| value.get("name").and_then(Value::as_str));
    text::fit(name.unwrap_or("?"), 40).into_owned()
}

fn codec_names(value: &Value) -> Vec<String> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter().take(LISTED).filter_map(codec).collect()
}

/// `blosc(lz4)`, `zstd`; `None` for what only turns values into bytes.
fn codec(value: &Value) -> Option<String> {
    let name = match value.get("id").and_then(Value::as_str) {
        Some(id) => text::fit(id, 40).into_owned(),
        None if value.is_null() => return None,
        None => name_of(value),
    };
    if matches!(name.as_str(), "bytes" | "endian" | "vlen-utf8" | "vlen-bytes") {
        return None;
    }
    let inner = value.get("cname").or_else(|| value.pointer("/configuration/cname")).and_then(Value::as_str);
    Some(match inner {
        Some(inner) => format!("{name}({})", text::fit(inner, 20)),
        None => name,
    })
}

/// `record (height f32, quality u8)`: `fields` are pairs of a name and a type, or objects with both.
fn record(fields: &[Value], dtype: fn(&Value) -> String) -> String {
    let field = |field: &Value| {
        let name = field.get(0).or_else(|| field.get("name")).and_then(Value::as_str).unwrap_or("?");
        let own = field.get(1).or_else(|| field.get("data_type")).map(dtype).unwrap_or_default();
        format!("{} {own}", text::fit(name, 20))
    };
    let mut words: Vec<String> = fields.iter().take(FIELDS).map(field).collect();
    if fields.len() > FIELDS {
        words.push(format!("{} more", fields.len() - FIELDS));
    }
    text::fit(&format!("{RECORD} ({})", words.join(", ")), 120).into_owned()
}

fn dtype_v3(value: &Value) -> String {
    let name = name_of(value);
    // zarr-python's name, and that of the registry of extensions.
    if matches!(name.as_str(), "structured" | "struct") {
        let fields = value.pointer("/configuration/fields").and_then(Value::as_array);
        return record(fields.map(Vec::as_slice).unwrap_or_default(), dtype_v3);
    }
    let short = match name.as_str() {
        "numpy.datetime64" | "numpy.timedelta64" => {
            let unit = value.pointer("/configuration/unit").and_then(Value::as_str).unwrap_or("?");
            return format!("{}[{}]", name.trim_start_matches("numpy."), text::fit(unit, 20));
        }
        _ => [("uint", "u"), ("int", "i"), ("float", "f"), ("complex", "c")]
            .into_iter()
            .find_map(|(long, short)| name.strip_prefix(long).map(|bits| (short, bits)))
            .filter(|(_, bits)| !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit())),
    };
    match short {
        Some((letter, bits)) => format!("{letter}{bits}"),
        None => name,
    }
}

/// A type as `NumPy` writes it: `<u2` is `u16`; a list is a record.
fn dtype_v2(value: &Value) -> String {
    let Some(name) = value.as_str() else {
        let fields = value.as_array().map(Vec::as_slice).unwrap_or_default();
        return record(fields, dtype_v2);
    };
    let body = name.trim_start_matches(['<', '>', '|', '=']);
    let (kind, size) = body.split_at(body.chars().next().map_or(0, char::len_utf8));
    let bits = size.parse::<u32>().ok().and_then(|n| n.checked_mul(8));
    match (kind, bits) {
        ("b", _) => "bool".to_owned(),
        ("i" | "u" | "f" | "c", Some(bits)) => format!("{kind}{bits}"),
        ("M" | "m", _) => {
            let unit = size.trim_start_matches('8');
            format!("{}{}", if kind == "M" { "datetime64" } else { "timedelta64" }, text::fit(unit, 20))
        }
        ("O", _) => "object".to_owned(),
        _ => text::fit(body, 40).into_owned(),
    }
}

/// A value in one short line.
fn value(value: &Value) -> String {
    let words = match value {
        Value::String(words) => words.clone(),
        other => other.to_string(),
    };
    // What lies beyond is cut in any case: a value may have megabytes.
    let start: String = words.chars().take(VALUE * 4).collect();
    text::fit(&start.split_whitespace().collect::<Vec<_>>().join(" "), VALUE).into_owned()
}

impl Member {
    /// In the place of one whose metadata cannot be read.
    pub(super) fn broken(err: &Error) -> Self {
        Self { form: Form::Broken(err.to_string()), attributes: Map::new() }
    }

    /// What stands beside its name.
    pub fn detail(&self) -> String {
        match &self.form {
            Form::Group => "group".to_owned(),
            Form::Array(about) => about.detail(),
            Form::Broken(why) => text::fit(why, VALUE * 2).into_owned(),
        }
    }

    /// The array's metadata, where it is one.
    pub fn array(&self) -> Option<&About> {
        match &self.form {
            Form::Array(about) => Some(about),
            _ => None,
        }
    }

    /// An attribute that is text.
    pub fn words(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).and_then(Value::as_str).map(str::trim).filter(|words| !words.is_empty())
    }

    /// Names and short values, those first that tell how to read the numbers.
    pub fn shown_attributes(&self) -> Vec<(String, String)> {
        let first = FIRST.iter().filter_map(|&name| self.attributes.get_key_value(name));
        let is_known =
            |name: &str| FIRST.contains(&name) || (name == DIMENSIONS && matches!(self.form, Form::Array(_)));
        let others = self.attributes.iter().filter(|(name, _)| !is_known(name));
        first.chain(others).map(|(name, v)| (text::fit(name, 80).into_owned(), self.shown(name, v))).collect()
    }

    /// A value in words: what stands for missing ones as a number, which xarray writes in base64.
    fn shown(&self, name: &str, attribute: &Value) -> String {
        let missing = || super::cf::missing_of(attribute, self.array()?);
        match missing().filter(|_| name == "_FillValue" && attribute.is_string()) {
            Some(number) if number.is_nan() => "NaN".to_owned(),
            Some(number) => crate::quantity::plain(number),
            None => value(attribute),
        }
    }
}

impl About {
    /// Names that are not as many as the dimensions name nothing.
    fn keep_names(&mut self) {
        if self.dimensions.len() != self.shape.len() {
            self.dimensions.clear();
        }
    }

    /// The name of a dimension; `dim 0` where it has none.
    pub fn dimension(&self, axis: usize) -> String {
        match self.dimensions.get(axis) {
            Some(name) if !name.is_empty() && name != "_" => text::fit(name, 40).into_owned(),
            _ => format!("dim {axis}"),
        }
    }

    /// Whether its values are numbers, times or truths.
    pub fn is_number(&self) -> bool {
        Item::of(self).is_some()
    }

    /// Whether each of its values is of several numbers: complex ones, records.
    pub fn is_compound(&self) -> bool {
        self.is_complex() || self.dtype.starts_with(RECORD)
    }

    /// Whether its values are complex numbers.
    pub fn is_complex(&self) -> bool {
        self.dtype.strip_prefix('c').is_some_and(|bits| bits.parse::<u32>().is_ok())
    }

    /// Number of values; saturates.
    pub fn count(&self) -> u64 {
        self.shape.iter().fold(1, |n, side| n.saturating_mul(*side))
    }

    /// Bytes of one value, where all take the same.
    pub fn item(&self) -> Option<u64> {
        let digit = self.dtype.find(|c: char| c.is_ascii_digit()).unwrap_or(self.dtype.len());
        let (kind, digits) = self.dtype.split_at(digit);
        let size = digits.parse::<u64>().ok().filter(|n| *n > 0);
        match kind {
            "S" | "V" => return size,
            "U" => return size.and_then(|n| n.checked_mul(4)),
            _ => {}
        }
        match self.dtype.as_str() {
            "bool" => Some(1),
            "bfloat16" => Some(2),
            name if name.starts_with("datetime64") || name.starts_with("timedelta64") => Some(8),
            _ => size.map(|bits| bits.div_ceil(8)),
        }
    }

    /// Bytes that all values take in memory, where that is known.
    pub fn bytes(&self) -> Option<u64> {
        self.item().map(|item| self.count().saturating_mul(item))
    }

    /// The box that one object of the store holds: a shard, or a chunk.
    pub fn object(&self) -> &[u64] {
        self.shards.as_deref().unwrap_or(&self.chunks)
    }

    /// How many objects lie along each dimension, if all are stored.
    pub fn grid_shape(&self) -> Vec<u64> {
        self.shape.iter().zip(self.object()).map(|(n, side)| n.div_ceil((*side).max(1))).collect()
    }

    /// `10×10 f32`.
    pub fn shape_and_type(&self) -> String {
        let shape = if self.shape.is_empty() { "scalar".to_owned() } else { sides(&self.shape) };
        format!("{shape} {}", self.dtype).trim_end().to_owned()
    }

    /// What stands beside its name in one line.
    pub fn detail(&self) -> String {
        let chunks = match &self.shards {
            Some(shards) => format!("shards {} of chunks {}", sides(shards), sides(&self.chunks)),
            None if self.chunks.is_empty() => self.grid.clone(),
            None => format!("chunks {}", sides(&self.chunks)),
        };
        let names: Vec<_> = self.dimensions.iter().take(LISTED).map(|n| text::fit(n, 40)).collect();
        let parts = [self.shape_and_type(), chunks, self.codecs.join(" "), names.join(",")];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
    }

    /// The same one by one, for an array that is looked at alone.
    pub fn facts(&self) -> Vec<(String, String)> {
        let codecs = if self.codecs.is_empty() { "none".to_owned() } else { self.codecs.join(" ") };
        let names: Vec<_> = (0..self.dimensions.len().min(LISTED)).map(|axis| self.dimension(axis)).collect();
        let grid = self.grid_shape();
        let objects = grid.iter().fold(1_u64, |n, side| n.saturating_mul(*side));
        let word = if self.shards.is_some() { "shard" } else { "chunk" };
        let s = if objects == 1 { "" } else { "s" };
        let count = if grid.is_empty() { String::new() } else { format!("{} {word}{s}", text::count(objects)) };
        let rows = [
            ("Shape", sides(&self.shape)),
            ("Type", self.dtype.clone()),
            ("Dimensions", names.join(", ")),
            ("In memory", self.bytes().map(text::bytes).unwrap_or_default()),
            ("Shards", self.shards.as_deref().map(sides).unwrap_or_default()),
            ("Chunks", if self.chunks.is_empty() { self.grid.clone() } else { sides(&self.chunks) }),
            ("Grid", if grid.len() > 1 { format!("{} = {count}", sides(&grid)) } else { count }),
            ("Codecs", codecs),
            ("Fill value", if self.fill.is_null() { "none".to_owned() } else { value(&self.fill) }),
        ];
        rows.into_iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.to_owned(), v)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn missing_values_are_shown_as_numbers() {
        let array = json!({ "zarr_format": 2, "shape": [3], "chunks": [2], "dtype": "<f8", "fill_value": 0 });
        let attributes = json!({ "_FillValue": "AAAAAAAA+H8=", "note": "AAAAAAAA+H8=" });
        let member = of_v2(true, &array, attributes.as_object().expect("an object").clone()).expect("an array");
        let shown = member.shown_attributes();
        let of = |name: &str| shown.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        assert_eq!((of("_FillValue"), of("note")), (Some("NaN"), Some("AAAAAAAA+H8=")));
    }

    #[test]
    fn types_have_one_short_name_in_both_versions() {
        for (v2, short) in [
            (json!("<u2"), "u16"),
            (json!(">f8"), "f64"),
            (json!("|b1"), "bool"),
            (json!("<M8[ns]"), "datetime64[ns]"),
            (json!("|S10"), "S10"),
            (json!("|O"), "object"),
            (json!("<i99999999999"), "i99999999999"),
            (json!([["a", "<i4"]]), "record (a i32)"),
            (json!(""), ""),
        ] {
            assert_eq!(dtype_v2(&v2), short, "{v2}");
        }
        for (v3, short) in [
            (json!("uint16"), "u16"),
            (json!("float64"), "f64"),
            (json!("string"), "string"),
            (json!("int"), "int"),
            (json!("complex64"), "c64"),
            (
                json!({ "name": "structured", "configuration": { "fields": [["a", "int32"], ["b", "float64"]] } }),
                "record (a i32, b f64)",
            ),
            (
                json!({ "name": "struct", "configuration": { "fields": [{ "name": "a", "data_type": "int32" }] } }),
                "record (a i32)",
            ),
            (
                json!({ "name": "numpy.datetime64", "configuration": { "unit": "s", "scale_factor": 1 } }),
                "datetime64[s]",
            ),
            (json!(7), "?"),
        ] {
            assert_eq!(dtype_v3(&v3), short, "{v3}");
        }
    }

    #[test]
    fn attributes_that_tell_how_to_read_come_first() {
        let attributes =
            json!({ "z": 1, "scale_factor": 0.1, "_ARRAY_DIMENSIONS": ["x"], "units": "K", "long": "w ".repeat(500) });
        let document = json!({ "zarr_format": 2, "shape": [3], "chunks": [2], "dtype": "<f4", "compressor": null });
        let member = of_v2(true, &document, attributes.as_object().expect("object").clone()).expect("array");
        assert_eq!(member.detail(), "3 f32  chunks 2  x");
        let shown = member.shown_attributes();
        assert_eq!(shown.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["units", "scale_factor", "z", "long"]);
        let about = member.array().expect("an array");
        assert_eq!((about.item(), about.bytes(), about.grid_shape()), (Some(4), Some(12), vec![2]));
        assert!(text::width(&shown[3].1) <= VALUE);
    }
}
