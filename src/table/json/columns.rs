//! JSON values as typed Arrow columns.

use super::geometry::to_wkb;
use super::scan::{number, string};
use crate::table::csv::{int, is_lossy};
use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, StringBuilder, new_empty_array,
};
use arrow::datatypes::{DataType, Field};
use std::io::{BufReader, Cursor};

/// The type of a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Only nulls were seen.
    Null,
    /// `true`, `false`.
    Bool,
    /// 64-bit integers.
    Int,
    /// 64-bit floats.
    Float,
    /// Text; other values as they are written.
    Text,
    /// Lists and structs.
    Nested(DataType),
    /// `GeoJSON`, as WKB.
    Geometry,
}

impl Kind {
    /// The type of its Arrow columns.
    pub(super) fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Null | Self::Text => DataType::Utf8,
            Self::Nested(kind) => kind.clone(),
            Self::Geometry => DataType::Binary,
        }
    }

    /// What a value is by itself; a list or an object only that it is nested.
    fn of(raw: &[u8]) -> Self {
        match raw.first() {
            None | Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Bool,
            Some(b'"') => Self::Text,
            Some(b'{' | b'[') => Self::Nested(DataType::Null),
            Some(_) if int(raw).is_some() => Self::Int,
            Some(_) if number(raw).is_some_and(|value| !is_lossy(raw, value)) => Self::Float,
            Some(_) => Self::Text,
        }
    }

    /// The narrowest type that holds `values` besides what it holds already.
    pub(super) fn with(self, values: &[&[u8]]) -> Self {
        let mut kind = self;
        let mut nested: Vec<&[u8]> = Vec::new();
        let mut exact = true;
        for raw in values {
            let one = Self::of(raw);
            if let Self::Nested(_) = one {
                nested.push(raw);
            }
            exact &= one != Self::Int || number(raw).is_some_and(|value| !is_lossy(raw, value));
            kind = match (kind, one) {
                (Self::Geometry, _) => Self::Geometry,
                (kind, Self::Null) | (Self::Null, kind) => kind,
                (Self::Nested(kind), Self::Nested(_)) => Self::Nested(kind),
                (Self::Int, Self::Float) | (Self::Float, Self::Int) => Self::Float,
                (a, b) if a == b => a,
                _ => Self::Text,
            };
        }
        match kind {
            Self::Float if !exact => Self::Text,
            Self::Nested(known) if !nested.is_empty() => match nested_type(&known, &nested) {
                Some(kind) => Self::Nested(kind),
                None => Self::Text,
            },
            other => other,
        }
    }
}

/// The type of lists and objects, wide enough for `known` too; `None` where they have none in common.
fn nested_type(known: &DataType, values: &[&[u8]]) -> Option<DataType> {
    let mut lines = Vec::new();
    for raw in values {
        lines.extend_from_slice(b"{\"v\":");
        lines.extend(raw.iter().filter(|b| **b != b'\n' && **b != b'\r'));
        lines.extend_from_slice(b"}\n");
    }
    let (schema, _) = arrow::json::reader::infer_json_schema(BufReader::new(Cursor::new(lines)), None).ok()?;
    let mut field = schema.field(0).clone();
    if *known != DataType::Null {
        field.try_merge(&Field::new("v", known.clone(), true)).ok()?;
    }
    let found = settled(field.data_type());
    is_nested(&found).then_some(found)
}

fn is_nested(kind: &DataType) -> bool {
    matches!(kind, DataType::List(_) | DataType::Struct(_))
}

/// The same type with text where only nulls or empty lists were seen.
fn settled(kind: &DataType) -> DataType {
    let field = |f: &Field| Field::new(f.name(), settled(f.data_type()), true);
    match kind {
        DataType::Null => DataType::Utf8,
        DataType::List(item) => DataType::List(std::sync::Arc::new(field(item))),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|f| field(f)).collect()),
        other => other.clone(),
    }
}

/// Collects the values of a column.
pub(super) enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Text(StringBuilder),
    Nested { kind: DataType, lines: Vec<u8>, rows: usize },
    Geometry(BinaryBuilder),
}

impl Builder {
    pub(super) fn new(kind: &Kind) -> Self {
        match kind {
            Kind::Bool => Self::Bool(BooleanBuilder::new()),
            Kind::Int => Self::Int(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Null | Kind::Text => Self::Text(StringBuilder::new()),
            Kind::Nested(kind) => Self::Nested { kind: kind.clone(), lines: Vec::new(), rows: 0 },
            Kind::Geometry => Self::Geometry(BinaryBuilder::new()),
        }
    }

    /// Adds a value (`None`: there is none); `false` where it does not fit.
    pub(super) fn push(&mut self, raw: Option<&[u8]>, kind: &Kind) -> bool {
        let raw = raw.filter(|raw| *raw != b"null");
        let Some(raw) = raw else {
            match self {
                Self::Bool(values) => values.append_null(),
                Self::Int(values) => values.append_null(),
                Self::Float(values) => values.append_null(),
                Self::Text(values) => values.append_null(),
                Self::Geometry(values) => values.append_null(),
                Self::Nested { lines, rows, .. } => {
                    lines.extend_from_slice(b"null\n");
                    *rows += 1;
                }
            }
            return true;
        };
        match self {
            Self::Bool(values) => match raw {
                b"true" => values.append_value(true),
                b"false" => values.append_value(false),
                _ => return false,
            },
            Self::Int(values) => match (Kind::of(raw), int(raw)) {
                (Kind::Int, Some(value)) => values.append_value(value),
                _ => return false,
            },
            Self::Float(values) => match number(raw).filter(|value| !is_lossy(raw, *value)) {
                Some(value) => values.append_value(value),
                None => return false,
            },
            // Where nothing was seen yet, the first value tells the type.
            Self::Text(_) if *kind == Kind::Null => return false,
            Self::Text(values) if raw.first() == Some(&b'"') => values.append_value(string(raw)),
            Self::Text(values) => values.append_value(String::from_utf8_lossy(raw)),
            Self::Geometry(values) => values.append_value(to_wkb(raw)),
            Self::Nested { lines, rows, .. } => {
                if !matches!(raw.first(), Some(b'{' | b'[')) {
                    return false;
                }
                lines.extend_from_slice(raw);
                lines.push(b'\n');
                *rows += 1;
            }
        }
        true
    }

    /// The column; `None` where nested values do not fit their type.
    pub(super) fn finish(self) -> Option<ArrayRef> {
        Some(match self {
            Self::Bool(mut values) => std::sync::Arc::new(values.finish()),
            Self::Int(mut values) => std::sync::Arc::new(values.finish()),
            Self::Float(mut values) => std::sync::Arc::new(values.finish()),
            Self::Text(mut values) => std::sync::Arc::new(values.finish()),
            Self::Geometry(mut values) => std::sync::Arc::new(values.finish()),
            Self::Nested { kind, rows: 0, .. } => new_empty_array(&kind),
            Self::Nested { kind, lines, rows } => {
                let mut decoder = arrow::json::ReaderBuilder::new_with_field(Field::new("v", kind, true))
                    .with_strict_mode(true)
                    .with_coerce_primitive(true)
                    .with_batch_size(rows)
                    .build_decoder()
                    .ok()?;
                decoder.decode(&lines).ok()?;
                let batch = decoder.flush().ok()??;
                (batch.num_rows() == rows).then(|| batch.column(0).clone())?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[&str]) -> Kind {
        let raw: Vec<&[u8]> = values.iter().map(|v| v.as_bytes()).collect();
        Kind::Null.with(&raw)
    }

    #[test]
    fn a_column_is_the_narrowest_type_that_holds_it() {
        assert_eq!(kind(&["1", "null", "-2"]), Kind::Int);
        assert_eq!(kind(&["1", "2.5", "NaN"]), Kind::Float);
        assert_eq!(kind(&["1", "\"x\""]), Kind::Text);
        assert_eq!(kind(&["9007199254740993", "0.5"]), Kind::Text, "no float is that integer");
        assert_eq!(kind(&["18446744073709551615"]), Kind::Text, "beyond 64 bits with a sign");
        assert_eq!(kind(&["null"]), Kind::Null);
        assert_eq!(kind(&["true", "1"]), Kind::Text);
        assert_eq!(kind(&["{\"a\":1}", "7"]), Kind::Text);
        assert!(matches!(kind(&["{\"a\":1}", "{\"b\":[1.5]}"]), Kind::Nested(DataType::Struct(f)) if f.len() == 2));
        assert!(matches!(kind(&["[]"]), Kind::Nested(DataType::List(_))));
    }

    #[test]
    fn nested_values_that_do_not_fit_are_told() {
        let narrow = kind(&["{\"a\":1}"]);
        let build = |kind: &Kind, raw: &str| {
            let mut builder = Builder::new(kind);
            builder.push(Some(raw.as_bytes()), kind) && builder.finish().is_some()
        };
        assert!(build(&narrow, "{\"a\": 2}"));
        assert!(!build(&narrow, "{\"a\":1,\"b\":2}"), "a member that is new");
        assert!(build(&narrow.clone().with(&[b"{\"a\":1,\"b\":2}"]), "{\"a\":1,\"b\":2}"));
        assert!(!build(&Kind::Int, "1.5") && !build(&Kind::Null, "1"));
    }
}
