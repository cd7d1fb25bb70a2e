//! What is shown of a file without reading a row of it.

use crate::facts::Facts;
use crate::table::geo::{Encoding, Geo};
use crate::table::{About, Column, display};
use ::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use arrow::datatypes::{Field, Schema, SchemaRef};
use serde_json::Value;
use std::collections::BTreeSet;

/// Columns, facts, metadata.
pub(super) fn about(metadata: &ParquetMetaData, schema: &SchemaRef, geo: &Geo) -> About {
    let file = metadata.file_metadata();
    let pairs: Vec<(String, String)> = file
        .key_value_metadata()
        .into_iter()
        .flatten()
        .map(|kv| (kv.key.clone(), kv.value.clone().unwrap_or_default()))
        .collect();
    let attributes = attributes(&pairs);
    let columns = schema.fields().iter().enumerate().map(|(root, field)| {
        let known = geo.column(field.name());
        Column {
            name: field.name().clone(),
            kind: known.map_or_else(|| display::type_name(field.data_type()), |g| g.kind().to_owned()),
            nulls: nulls(metadata, root),
            numeric: known.is_none() && field.data_type().is_numeric(),
            unit: unit(field, &attributes),
            partition: false,
        }
    });
    let total = metadata.row_groups().iter().map(super::rows_of).fold(0, u64::saturating_add);
    About {
        facts: facts(metadata, schema, geo),
        columns: columns.collect(),
        schema: schema.clone(),
        geo: geo.clone(),
        total_rows: Some(total),
        seen_rows: total,
        pairs,
    }
}

/// The unit of a column: its field's own metadata, or what pandas and xarray keep for the whole table:
/// `{"h": {"units": "m"}}`, `{"units": {"h": "m"}}`.
fn unit(field: &Field, attributes: &Value) -> Option<String> {
    let own = field.metadata().iter().find(|(key, _)| matches!(key.to_ascii_lowercase().as_str(), "unit" | "units"));
    let name = field.name().as_str();
    let of = |key: &str| {
        let value = attributes.get(name).and_then(|a| a.get(key)).or_else(|| attributes.get(key)?.get(name));
        value.and_then(Value::as_str)
    };
    let text = own.map(|(_, value)| value.as_str()).or_else(|| of("units")).or_else(|| of("unit"))?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Attributes that pandas keeps with a table.
fn attributes(pairs: &[(String, String)]) -> Value {
    let json = |key: &str| -> Option<Value> {
        let (_, text) = pairs.iter().find(|(name, _)| name == key)?;
        serde_json::from_str(text).ok()
    };
    json("PANDAS_ATTRS").or_else(|| json("pandas")?.get("attributes").cloned()).unwrap_or_default()
}

/// Nulls of a root column that is one flat leaf, from the statistics of all row groups.
fn nulls(metadata: &ParquetMetaData, root: usize) -> Option<u64> {
    let schema = metadata.file_metadata().schema_descr();
    let mut leaves = (0..schema.num_columns()).filter(|leaf| schema.get_column_root_idx(*leaf) == root);
    let leaf = leaves.next()?;
    if leaves.next().is_some() || schema.column(leaf).max_rep_level() > 0 {
        return None;
    }
    if schema.column(leaf).max_def_level() == 0 {
        return Some(0);
    }
    metadata
        .row_groups()
        .iter()
        .map(|group| group.columns().get(leaf)?.statistics()?.null_count_opt())
        .try_fold(0_u64, |sum, nulls| sum.checked_add(nulls?))
}

fn facts(metadata: &ParquetMetaData, schema: &Schema, geo: &Geo) -> Facts {
    let file = metadata.file_metadata();
    let chunks = || metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let codecs: BTreeSet<String> = chunks().map(|c| codec(&c.compression().to_string())).collect();
    let codecs = codecs.into_iter().collect::<Vec<_>>().join(", ");
    let n = metadata.row_groups().iter().map(super::rows_of).fold(0, u64::saturating_add);
    let rows = crate::text::count(n);
    let width = schema.fields().len();
    let name = if geo.standard.is_empty() { "Parquet" } else { &geo.standard };
    let mut title = format!("{name} · {rows} rows × {width} columns");
    if !codecs.is_empty() {
        title.push_str(" · ");
        title.push_str(&codecs);
    }
    let mut out = vec![
        ("rows".to_owned(), rows),
        ("columns".to_owned(), crate::text::count(width as u64)),
        ("row groups".to_owned(), row_groups(metadata)),
    ];
    let stored: u64 = chunks().filter_map(|c| u64::try_from(c.compressed_size()).ok()).fold(0, u64::saturating_add);
    let plain: u64 = chunks().filter_map(|c| u64::try_from(c.uncompressed_size()).ok()).fold(0, u64::saturating_add);
    out.push((
        "compression".to_owned(),
        format!("{codecs}, {} of {}", crate::text::bytes(stored), crate::text::bytes(plain)),
    ));
    let indexed = chunks().next().is_some() && chunks().all(|c| c.offset_index_offset().is_some());
    out.push(("page index".to_owned(), if indexed { "yes" } else { "no" }.to_owned()));
    if super::with_micros(schema, file).is_some() {
        out.push(("times".to_owned(), "INT96, read to the microsecond".to_owned()));
    }
    if let Some(by) = file.created_by() {
        out.push(("created by".to_owned(), by.to_owned()));
    }
    for column in &geo.columns {
        out.push((format!("geometry `{}`", column.name), String::new()));
        out.push((
            "encoding".to_owned(),
            match &column.encoding {
                Encoding::Wkb => "WKB".to_owned(),
                Encoding::Wkt => "WKT".to_owned(),
                Encoding::Native(kind) => format!("native {kind}"),
            },
        ));
        if !column.types.is_empty() {
            out.push(("types".to_owned(), column.types.join(", ")));
        }
        out.push(("CRS".to_owned(), column.crs.clone()));
        if !column.bbox.is_empty() {
            let numbers: Vec<String> = column.bbox.iter().map(ToString::to_string).collect();
            out.push(("bbox".to_owned(), numbers.join(", ")));
        }
        if let Some(covering) = &column.covering {
            out.push(("bounds of rows".to_owned(), format!("{} …", covering.xmin.join("."))));
        }
    }
    let keys: Vec<&str> = file.key_value_metadata().into_iter().flatten().map(|kv| kv.key.as_str()).collect();
    if !keys.is_empty() {
        out.push(("metadata keys".to_owned(), keys.join(", ")));
    }
    Facts { title, rows: out }
}

fn row_groups(metadata: &ParquetMetaData) -> String {
    let groups = metadata.row_groups();
    let most = groups.iter().map(super::rows_of).max().unwrap_or(0);
    match groups.len() {
        0 | 1 => groups.len().to_string(),
        n => format!("{} of at most {} rows", crate::text::count(n as u64), crate::text::count(most)),
    }
}

/// `ZSTD(ZstdLevel(1))` as `zstd`.
pub(super) fn codec(name: &str) -> String {
    name.split('(').next().unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::DataType;
    use serde_json::json;

    #[test]
    fn units_are_found_where_writers_put_them() {
        let bare = Field::new("h", DataType::Float64, true);
        let own = bare.clone().with_metadata([("Units".to_owned(), " m ".to_owned())].into());
        assert_eq!(unit(&own, &Value::Null).as_deref(), Some("m"));
        assert_eq!(unit(&bare, &Value::Null), None);
        assert_eq!(unit(&bare, &json!({"h": {"units": "km"}})).as_deref(), Some("km"));
        assert_eq!(unit(&bare, &json!({"units": {"h": "dm"}})).as_deref(), Some("dm"));
        let pandas = ("pandas".to_owned(), json!({"attributes": {"units": {"h": "K"}}}).to_string());
        assert_eq!(unit(&bare, &attributes(&[pandas])).as_deref(), Some("K"));
    }
}
