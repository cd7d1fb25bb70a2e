//! Times of 96 bits (INT96: nanoseconds of a day, and the day), which old writers and Spark leave behind. In 64 bits
//! of nanoseconds, the default, the years end at 2262, and 9999-12-31, which often stands for "never", would be a day
//! of 1816. They are read as microseconds, which reach further than any calendar; what is finer is cut off.
//! <https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#deprecated-timestamp-types>

use ::parquet::basic::Type;
use ::parquet::file::metadata::FileMetaData;
use ::parquet::schema::types::SchemaDescriptor;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, TimeUnit};
use std::sync::Arc;

/// The schema with microseconds for times of 96 bits; `None` where there are none, or where the writer says itself
/// how they are meant.
pub(crate) fn with_micros(schema: &Schema, file: &FileMetaData) -> Option<Schema> {
    let descr = file.schema_descr();
    let is_told = || file.key_value_metadata().is_some_and(|pairs| pairs.iter().any(|kv| kv.key == "ARROW:schema"));
    if !has_int96(descr) || is_told() {
        return None;
    }
    let mut leaf = 0;
    let fields: Fields = schema.fields().iter().map(|field| coarser(field, descr, &mut leaf)).collect();
    // Leaves that do not correspond would change others.
    (leaf == descr.num_columns()).then(|| Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn has_int96(descr: &SchemaDescriptor) -> bool {
    (0..descr.num_columns()).any(|leaf| descr.column(leaf).physical_type() == Type::INT96)
}

/// A field whose first leaf is `leaf`, which is then the one behind its last.
fn coarser(field: &FieldRef, descr: &SchemaDescriptor, leaf: &mut usize) -> FieldRef {
    let kind = match field.data_type() {
        DataType::Struct(inner) => DataType::Struct(inner.iter().map(|f| coarser(f, descr, leaf)).collect()),
        DataType::List(item) => DataType::List(coarser(item, descr, leaf)),
        DataType::LargeList(item) => DataType::LargeList(coarser(item, descr, leaf)),
        DataType::FixedSizeList(item, n) => DataType::FixedSizeList(coarser(item, descr, leaf), *n),
        DataType::Map(entries, sorted) => DataType::Map(coarser(entries, descr, leaf), *sorted),
        other => {
            let is_int96 = *leaf < descr.num_columns() && descr.column(*leaf).physical_type() == Type::INT96;
            *leaf += 1;
            match other {
                DataType::Timestamp(TimeUnit::Nanosecond, zone) if is_int96 => {
                    DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
                }
                other => other.clone(),
            }
        }
    };
    Arc::new(Field::clone(field).with_data_type(kind))
}
