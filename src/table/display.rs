//! Cells as text for the screen and as JSON for machines.

use super::Table;
use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, RecordBatch, types};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Number, Value};
use std::fmt::Write as _;

/// What stands in a cell without a value.
const NULL: &str = "∅";
/// Items of a list, entries of a map, bytes of a binary shown before `…`.
const MOST: usize = 16;

/// The cell at `row`, `column` as text for the screen: nulls as `∅`, binary as hex, lists `[1, 2]`,
/// structs `{a: 1}`, times in ISO 8601 with their zone. Text is not cleaned of control characters.
pub fn format_cell(batch: &RecordBatch, row: usize, column: usize) -> String {
    let mut out = String::new();
    if column < batch.num_columns() && row < batch.num_rows() {
        write(&mut out, batch.column(column), row);
    }
    out
}

/// The rows of a table as JSON objects in the order of its columns. Numbers stay numbers (not finite
/// ones become "NaN", "Infinity", "-Infinity"), decimals and times become strings, binary hex.
pub fn to_json_rows(table: &Table) -> Vec<Value> {
    json_rows(&table.batch)
}

/// The same of a batch.
pub fn json_rows(batch: &RecordBatch) -> Vec<Value> {
    let schema = batch.schema();
    let row = |row| {
        let cells = schema.fields().iter().zip(batch.columns());
        Value::Object(cells.map(|(f, column)| (f.name().clone(), json(column, row))).collect())
    };
    (0..batch.num_rows()).map(row).collect()
}

/// A cell as JSON, as in [`to_json_rows`]; `null` beyond the end.
pub(crate) fn cell_json(column: &ArrayRef, row: usize) -> Value {
    if row < column.len() { json(column, row) } else { Value::Null }
}

/// A type in words: `f64`, `text`, `timestamp[ns, UTC]`, `list<i32>`.
pub fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Boolean => "bool".into(),
        DataType::Int8 => "i8".into(),
        DataType::Int16 => "i16".into(),
        DataType::Int32 => "i32".into(),
        DataType::Int64 => "i64".into(),
        DataType::UInt8 => "u8".into(),
        DataType::UInt16 => "u16".into(),
        DataType::UInt32 => "u32".into(),
        DataType::UInt64 => "u64".into(),
        DataType::Float16 => "f16".into(),
        DataType::Float32 => "f32".into(),
        DataType::Float64 => "f64".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".into(),
        DataType::FixedSizeBinary(n) => format!("binary[{n}]"),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("time[{}]", unit_name(*unit)),
        DataType::Duration(unit) => format!("duration[{}]", unit_name(*unit)),
        DataType::Timestamp(unit, None) => format!("timestamp[{}]", unit_name(*unit)),
        DataType::Timestamp(unit, Some(zone)) => format!("timestamp[{}, {zone}]", unit_name(*unit)),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => {
            format!("decimal({p},{s})")
        }
        DataType::List(f) | DataType::LargeList(f) | DataType::ListView(f) | DataType::LargeListView(f) => {
            format!("list<{}>", type_name(f.data_type()))
        }
        DataType::FixedSizeList(f, n) => format!("list<{}>[{n}]", type_name(f.data_type())),
        DataType::Struct(fields) => {
            let inner: Vec<String> =
                fields.iter().map(|f| format!("{}: {}", f.name(), type_name(f.data_type()))).collect();
            format!("struct<{}>", inner.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(f) if f.len() == 2 => {
                format!("map<{}, {}>", type_name(f[0].data_type()), type_name(f[1].data_type()))
            }
            _ => "map".into(),
        },
        DataType::Dictionary(_, value) => type_name(value),
        other => other.to_string().to_lowercase(),
    }
}

fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

/// The items of a list-like cell, `None` for other types.
fn items(column: &ArrayRef, row: usize) -> Option<ArrayRef> {
    match column.data_type() {
        DataType::List(_) => Some(column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(column.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => column.as_any().downcast_ref::<FixedSizeListArray>().map(|l| l.value(row)),
        _ => None,
    }
}

/// The value of a dictionary-encoded cell: the dictionary and the index in it.
fn looked_up(column: &ArrayRef, row: usize) -> Option<(ArrayRef, usize)> {
    let dictionary = column.as_any_dictionary_opt()?;
    let values = dictionary.values().clone();
    // Normalising asserts that there are values.
    if values.is_empty() {
        return None;
    }
    let key = dictionary.keys().slice(row, 1);
    let key = arrow::compute::cast(&key, &DataType::UInt64).ok()?;
    let key = usize::try_from(key.as_primitive::<types::UInt64Type>().value(0)).ok()?;
    (key < values.len()).then_some((values, key))
}

fn write(out: &mut String, column: &ArrayRef, row: usize) {
    if column.is_null(row) || *column.data_type() == DataType::Null {
        out.push_str(NULL);
        return;
    }
    if let Some(list) = items(column, row) {
        out.push('[');
        write_items(out, list.len(), |out, i| write(out, &list, i));
        out.push(']');
        return;
    }
    match column.data_type() {
        DataType::Struct(fields) => {
            out.push('{');
            let columns = column.as_struct().columns();
            write_items(out, fields.len(), |out, i| {
                // Writing to a string cannot fail.
                let _ = write!(out, "{}: ", fields[i].name());
                write(out, &columns[i], row);
            });
            out.push('}');
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            out.push('{');
            write_items(out, entries.len(), |out, i| {
                write(out, keys, i);
                out.push_str(": ");
                write(out, values, i);
            });
            out.push('}');
        }
        DataType::Dictionary(..) => match looked_up(column, row) {
            Some((values, key)) => write(out, &values, key),
            None => out.push_str(NULL),
        },
        DataType::Float16 => float(out, f64::from(column.as_primitive::<types::Float16Type>().value(row))),
        // The shortest text that reads back as the same f32, not as its f64 neighbour.
        DataType::Float32 => {
            let value = column.as_primitive::<types::Float32Type>().value(row);
            float_text(out, f64::from(value), &value.to_string(), || format!("{value:e}"));
        }
        DataType::Float64 => float(out, column.as_primitive::<types::Float64Type>().value(row)),
        DataType::Timestamp(unit, zone) => match timestamp(column, row, *unit, zone.as_deref()) {
            Some(text) => out.push_str(&text),
            None => beyond(out, column, row, *unit),
        },
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            hex(out, column, row, MOST * 2);
        }
        _ => leaf(out, column, row),
    }
}

fn write_items(out: &mut String, n: usize, mut item: impl FnMut(&mut String, usize)) {
    for i in 0..n.min(MOST) {
        if i > 0 {
            out.push_str(", ");
        }
        item(out, i);
    }
    if n > MOST {
        let _ = write!(out, ", … {} in all", crate::text::count(n as u64));
    }
}

fn float(out: &mut String, value: f64) {
    float_text(out, value, &value.to_string(), || format!("{value:e}"));
}

fn float_text(out: &mut String, value: f64, plain: &str, scientific: impl Fn() -> String) {
    let size = value.abs();
    if value.is_finite() && size != 0.0 && !(1e-5..1e16).contains(&size) {
        out.push_str(&scientific());
    } else {
        out.push_str(plain);
    }
}

fn leaf(out: &mut String, column: &ArrayRef, row: usize) {
    let options = FormatOptions::new().with_display_error(true);
    match ArrayFormatter::try_new(column.as_ref(), &options) {
        Ok(formatter) => {
            let _ = write!(out, "{}", formatter.value(row));
        }
        Err(_) => out.push('?'),
    }
}

fn bytes_of(column: &ArrayRef, row: usize) -> &[u8] {
    match column.data_type() {
        DataType::Binary => column.as_binary::<i32>().value(row),
        DataType::LargeBinary => column.as_binary::<i64>().value(row),
        DataType::BinaryView => column.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => column.as_fixed_size_binary().value(row),
        _ => &[],
    }
}

fn hex(out: &mut String, column: &ArrayRef, row: usize, most: usize) {
    let bytes = bytes_of(column, row);
    for byte in bytes.iter().take(most) {
        let _ = write!(out, "{byte:02x}");
    }
    if bytes.len() > most {
        out.push('…');
    }
}

/// A time that no calendar holds: what stands there.
fn beyond(out: &mut String, column: &ArrayRef, row: usize, unit: TimeUnit) {
    let number = arrow::compute::cast(&column.slice(row, 1), &DataType::Int64);
    match number.ok().as_ref().and_then(|number| number.as_primitive_opt::<types::Int64Type>()) {
        Some(number) => {
            let _ = write!(out, "{} {} since 1970", number.value(0), unit_name(unit));
        }
        None => leaf(out, column, row),
    }
}

/// ISO 8601: without a zone as it is, in UTC with `Z`, at a fixed offset with that offset, and for a
/// named zone in UTC with the name beside it (no time zone database is carried along).
fn timestamp(column: &ArrayRef, row: usize, unit: TimeUnit, zone: Option<&str>) -> Option<String> {
    let time: DateTime<Utc> = match unit {
        TimeUnit::Second => {
            DateTime::from_timestamp(column.as_primitive::<types::TimestampSecondType>().value(row), 0)?
        }
        TimeUnit::Millisecond => {
            DateTime::from_timestamp_millis(column.as_primitive::<types::TimestampMillisecondType>().value(row))?
        }
        TimeUnit::Microsecond => {
            DateTime::from_timestamp_micros(column.as_primitive::<types::TimestampMicrosecondType>().value(row))?
        }
        TimeUnit::Nanosecond => {
            DateTime::from_timestamp_nanos(column.as_primitive::<types::TimestampNanosecondType>().value(row))
        }
    };
    let Some(zone) = zone else {
        let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        return Some(text.trim_end_matches('Z').to_owned());
    };
    if let Ok(offset) = zone.parse::<chrono::FixedOffset>() {
        return Some(time.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::AutoSi, true));
    }
    let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let utc = ["UTC", "Z", "Etc/UTC", "GMT"].contains(&zone);
    Some(if utc { text } else { format!("{text} ({zone})") })
}

fn json(column: &ArrayRef, row: usize) -> Value {
    if column.is_null(row) || *column.data_type() == DataType::Null {
        return Value::Null;
    }
    if let Some(list) = items(column, row) {
        return (0..list.len()).map(|i| json(&list, i)).collect();
    }
    match column.data_type() {
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Int8 => column.as_primitive::<types::Int8Type>().value(row).into(),
        DataType::Int16 => column.as_primitive::<types::Int16Type>().value(row).into(),
        DataType::Int32 => column.as_primitive::<types::Int32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<types::Int64Type>().value(row).into(),
        DataType::UInt8 => column.as_primitive::<types::UInt8Type>().value(row).into(),
        DataType::UInt16 => column.as_primitive::<types::UInt16Type>().value(row).into(),
        DataType::UInt32 => column.as_primitive::<types::UInt32Type>().value(row).into(),
        DataType::UInt64 => column.as_primitive::<types::UInt64Type>().value(row).into(),
        DataType::Float16 => json_float(f64::from(column.as_primitive::<types::Float16Type>().value(row))),
        DataType::Float32 => {
            let value = column.as_primitive::<types::Float32Type>().value(row);
            json_float(value.to_string().parse().unwrap_or_else(|_| f64::from(value)))
        }
        DataType::Float64 => json_float(column.as_primitive::<types::Float64Type>().value(row)),
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            Value::Object(fields.iter().zip(columns).map(|(f, c)| (f.name().clone(), json(c, row))).collect())
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let mut map = Map::new();
            for i in 0..entries.len() {
                let mut key = String::new();
                write(&mut key, entries.column(0), i);
                map.insert(key, json(entries.column(1), i));
            }
            Value::Object(map)
        }
        DataType::Dictionary(..) => looked_up(column, row).map_or(Value::Null, |(values, key)| json(&values, key)),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let mut text = String::new();
            hex(&mut text, column, row, usize::MAX);
            Value::String(text)
        }
        _ => {
            let mut text = String::new();
            write(&mut text, column, row);
            Value::String(text)
        }
    }
}

fn json_float(value: f64) -> Value {
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => "NaN".into(),
        None if value > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        ArrayRef, BinaryArray, Decimal128Array, DictionaryArray, Float32Array, Float64Array, ListArray,
    };
    use arrow::array::{Int32Array, StringArray, StructArray, TimestampMillisecondArray};
    use std::sync::Arc;

    fn cell(array: impl Array + 'static, row: usize) -> String {
        let array: ArrayRef = Arc::new(array);
        let batch = RecordBatch::try_from_iter([("a", array)]).expect("batch");
        format_cell(&batch, row, 0)
    }

    #[test]
    fn cells_read_as_a_scientist_writes_them() {
        assert_eq!(cell(Float32Array::from(vec![0.1]), 0), "0.1");
        assert_eq!(cell(Float64Array::from(vec![1e300, -2.5e-7, f64::NAN, 0.0, 1e6]), 0), "1e300");
        assert_eq!(cell(Float64Array::from(vec![Some(-2.5e-7), None]), 0), "-2.5e-7");
        assert_eq!(cell(Float64Array::from(vec![Some(-2.5e-7), None]), 1), "∅");
        assert_eq!(cell(BinaryArray::from_vec(vec![b"\x00\xff"]), 0), "00ff");
        let decimal = Decimal128Array::from(vec![-12345]).with_precision_and_scale(10, 2).expect("scale");
        assert_eq!(cell(decimal, 0), "-123.45");
        assert_eq!(cell(StringArray::from(vec![""]), 0), "", "an empty text is not a null");
    }

    #[test]
    fn times_keep_their_zones() {
        let times = |zone: Option<&str>| {
            let array = TimestampMillisecondArray::from(vec![1_577_836_800_500]);
            cell(if let Some(z) = zone { array.with_timezone(z) } else { array }, 0)
        };
        assert_eq!(times(None), "2020-01-01T00:00:00.500");
        assert_eq!(times(Some("UTC")), "2020-01-01T00:00:00.500Z");
        assert_eq!(times(Some("+02:00")), "2020-01-01T02:00:00.500+02:00");
        assert_eq!(times(Some("Europe/Helsinki")), "2020-01-01T00:00:00.500Z (Europe/Helsinki)");
        let far = TimestampMillisecondArray::from(vec![i64::MAX]);
        assert_eq!(cell(far, 0), "9223372036854775807 ms since 1970", "no calendar holds it");
    }

    #[test]
    fn nested_cells_are_readable_and_bounded() {
        let list = ListArray::from_iter_primitive::<types::Int32Type, _, _>(vec![Some((0..100).map(Some)), None]);
        let text = cell(list, 0);
        assert!(text.starts_with("[0, 1, 2,") && text.ends_with("… 100 in all]"), "{text}");
        let inner: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
        let made = StructArray::try_from(vec![("x", inner)]).expect("struct");
        assert_eq!(cell(made, 1), "{x: ∅}");
        let dictionary: DictionaryArray<types::Int8Type> = vec!["a", "b", "a"].into_iter().collect();
        assert_eq!(cell(dictionary, 1), "b");
    }
}
