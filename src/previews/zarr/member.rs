//! The metadata of one group or array in words. Everything comes from a file that may say anything:
//! it is shown, not believed.
//!
//! Zarr v2: <https://zarr-specs.readthedocs.io/en/latest/v2/v2.0.html>, v3:
//! <https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html>, sharding:
//! <https://zarr-specs.readthedocs.io/en/latest/v3/codecs/sharding-indexed/index.html>.

use crate::error::{Error, Result};
use crate::text;
use serde_json::{Map, Value};

/// Columns of a name or value that are shown.
pub(super) const VALUE: usize = 200;
/// Dimensions, codecs and fields of a type that are shown.
const LISTED: usize = 32;
/// What a reader wants to know before the other attributes.
const FIRST: [&str; 4] = ["units", "scale_factor", "add_offset", "calendar"];
/// The names of dimensions in version 2, by the convention of xarray.
const DIMENSIONS: &str = "_ARRAY_DIMENSIONS";

/// A group or an array.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    pub(super) form: Form,
    pub(super) attributes: Map<String, Value>,
}

/// What a member is.
#[derive(Clone, Debug, Default)]
pub(super) enum Form {
    #[default]
    Group,
    Array(Box<Array>),
    /// Its metadata cannot be read, and why.
    Broken(String),
}

/// An array, its parts in words.
#[derive(Clone, Debug, Default)]
pub(super) struct Array {
    shape: String,
    dtype: String,
    chunks: String,
    /// Shape of the shards that hold the chunks.
    shards: Option<String>,
    codecs: Vec<String>,
    dimensions: String,
    fill: String,
}

/// Reads JSON. Python writes `NaN` and `Infinity` bare into attributes: they become strings.
pub(super) fn parse(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).or_else(|err| {
        let quoted = std::str::from_utf8(bytes).ok().and_then(quote_numbers);
        quoted.and_then(|text| serde_json::from_str(&text).ok()).ok_or_else(|| Error::from(err))
    })
}

/// `text` with bare `NaN`, `Infinity`, `-Infinity` in quotes; `None` where there are none.
fn quote_numbers(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut inside, mut escaped, mut changed) = (false, false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|w| !inside && rest.starts_with(w));
        if let Some(word) = word {
            out.extend(["\"", word, "\""]);
            rest = &rest[word.len()..];
            changed = true;
            continue;
        }
        if c == '"' && !escaped {
            inside = !inside;
        }
        escaped = inside && c == '\\' && !escaped;
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    changed.then_some(out)
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

fn array_v3(document: &Value) -> Result<Array> {
    let grid = document.get("chunk_grid");
    let regular = grid.and_then(|g| g.pointer("/configuration/chunk_shape"));
    let outer = match regular.and_then(shape) {
        Some(chunks) => chunks,
        None => grid.map(name_of).unwrap_or_default(),
    };
    let mut array = Array {
        shape: required_shape(document)?,
        dtype: document.get("data_type").map(dtype_v3).unwrap_or_default(),
        dimensions: document.get("dimension_names").map(names).unwrap_or_default(),
        fill: document.get("fill_value").map(value).unwrap_or_default(),
        ..Array::default()
    };
    let codecs = document.get("codecs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let sharding = codecs.iter().find(|c| name_of(c) == "sharding_indexed").and_then(|c| c.get("configuration"));
    if let Some(inner) = sharding {
        array.shards = Some(outer);
        array.chunks = inner.get("chunk_shape").and_then(shape).unwrap_or_default();
        array.codecs = inner.get("codecs").map(codec_names).unwrap_or_default();
        array.codecs.extend(codecs.iter().filter(|c| name_of(c) != "sharding_indexed").filter_map(codec));
    } else {
        array.chunks = outer;
        array.codecs = document.get("codecs").map(codec_names).unwrap_or_default();
    }
    array.codecs.truncate(LISTED);
    Ok(array)
}

fn array_v2(document: &Value, attributes: &Map<String, Value>) -> Result<Array> {
    let mut codecs = document.get("filters").map(codec_names).unwrap_or_default();
    codecs.extend(document.get("compressor").and_then(codec));
    Ok(Array {
        shape: required_shape(document)?,
        dtype: document.get("dtype").map(dtype_v2).unwrap_or_default(),
        chunks: document.get("chunks").and_then(shape).unwrap_or_default(),
        shards: None,
        codecs,
        dimensions: attributes.get(DIMENSIONS).map(names).unwrap_or_default(),
        fill: document.get("fill_value").map(value).unwrap_or_default(),
    })
}

fn required_shape(document: &Value) -> Result<String> {
    document.get("shape").and_then(shape).ok_or_else(|| Error::invalid("not metadata of a Zarr array: no `shape`"))
}

/// `6×4×600×600`; empty for no dimensions.
fn shape(value: &Value) -> Option<String> {
    let sides = value.as_array()?;
    let words = sides.iter().take(LISTED).map(|n| n.as_u64().map(|n| n.to_string()));
    let mut shape = words.collect::<Option<Vec<_>>>()?.join("×");
    if sides.len() > LISTED {
        shape.push('…');
    }
    Some(shape)
}

/// Names of dimensions; one without a name is `_`.
fn names(value: &Value) -> String {
    let names = value.as_array().map(Vec::as_slice).unwrap_or_default();
    let words: Vec<_> = names.iter().take(LISTED).map(|n| text::fit(n.as_str().unwrap_or("_"), 40)).collect();
    words.join(",")
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

fn dtype_v3(value: &Value) -> String {
    let name = name_of(value);
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
        let fields = value.as_array().map_or(0, Vec::len);
        return format!("record of {fields} fields");
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
    pub(super) fn detail(&self) -> String {
        match &self.form {
            Form::Group => "group".to_owned(),
            Form::Array(array) => array.detail(),
            Form::Broken(why) => text::fit(why, VALUE * 2).into_owned(),
        }
    }

    /// Names and short values, those first that tell how to read the numbers.
    pub(super) fn shown_attributes(&self) -> Vec<(String, String)> {
        let first = FIRST.iter().filter_map(|&name| self.attributes.get_key_value(name));
        let is_known =
            |name: &str| FIRST.contains(&name) || (name == DIMENSIONS && matches!(self.form, Form::Array(_)));
        let others = self.attributes.iter().filter(|(name, _)| !is_known(name));
        first.chain(others).map(|(name, v)| (text::fit(name, 80).into_owned(), value(v))).collect()
    }
}

impl Array {
    /// `10×10 f32`.
    pub(super) fn shape_and_type(&self) -> String {
        let shape = if self.shape.is_empty() { "scalar" } else { &self.shape };
        format!("{shape} {}", self.dtype).trim_end().to_owned()
    }

    fn detail(&self) -> String {
        let chunks = match &self.shards {
            Some(shards) => format!("shards {shards} of chunks {}", self.chunks),
            None if self.chunks.is_empty() => String::new(),
            None => format!("chunks {}", self.chunks),
        };
        let parts = [self.shape_and_type(), chunks, self.codecs.join(" "), self.dimensions.clone()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
    }

    /// The same one by one, for an array that is looked at alone.
    pub(super) fn facts(&self) -> Vec<(String, String)> {
        let codecs = if self.codecs.is_empty() { "none".to_owned() } else { self.codecs.join(" ") };
        let rows = [
            ("Shape", self.shape.clone()),
            ("Type", self.dtype.clone()),
            ("Dimensions", self.dimensions.clone()),
            ("Shards", self.shards.clone().unwrap_or_default()),
            ("Chunks", self.chunks.clone()),
            ("Codecs", codecs),
            ("Fill value", self.fill.clone()),
        ];
        rows.into_iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.to_owned(), v)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
            (json!([["a", "<i4"]]), "record of 1 fields"),
            (json!(""), ""),
        ] {
            assert_eq!(dtype_v2(&v2), short, "{v2}");
        }
        for (v3, short) in [
            (json!("uint16"), "u16"),
            (json!("float64"), "f64"),
            (json!("string"), "string"),
            (json!("int"), "int"),
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
    fn what_python_calls_json_is_read() {
        let parsed = parse(br#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" NaN"}"#).expect("read");
        assert_eq!(parsed, json!({ "a": "NaN", "b": ["-Infinity", "Infinity"], "c": "NaN \" NaN" }));
        assert!(parse(b"{\"a\": NaN").is_err());
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
        assert!(text::width(&shown[3].1) <= VALUE);
    }
}
