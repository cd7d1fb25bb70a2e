//! Fields as typed Arrow columns.

use super::kind::{boolean, date, float, has_leading_zeros, int, is_lossy, time};
use super::{Kind, Missing, Record};
use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions,
    StringBuilder,
};
use arrow::datatypes::{Field, Schema, SchemaRef};
use std::sync::Arc;

/// A field that does not fit its column.
#[derive(Debug)]
pub(crate) struct Misfit {
    /// Column, counted in the record.
    pub(crate) column: usize,
    /// The field.
    pub(crate) field: String,
}

enum Builder {
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Float(Float64Builder),
    Date(Date32Builder),
    /// Nanoseconds or microseconds since 1970.
    Time(Int64Builder),
    Text(StringBuilder),
}

/// Collects records as columns.
pub(crate) struct Columns {
    schema: SchemaRef,
    /// Index in the record, type and values of each column.
    parts: Vec<(usize, Kind, Builder)>,
    missing: Missing,
    rows: usize,
    text_bytes: usize,
    /// Fields that were not UTF-8 and were read as Windows-1252.
    pub(crate) latin: u64,
    /// Whether all text is Windows-1252.
    pub(crate) windows_1252: bool,
}

impl Columns {
    /// Of each `(index in the record, name, type)`.
    pub(crate) fn new(columns: &[(usize, String, Kind)], missing: Missing) -> Self {
        let fields: Vec<Field> =
            columns.iter().map(|(_, name, kind)| Field::new(name, kind.data_type(), true)).collect();
        let columns = columns.iter().map(|(index, _, kind)| (*index, *kind, builder(*kind))).collect();
        let schema = Arc::new(Schema::new(fields));
        Self { schema, parts: columns, missing, rows: 0, text_bytes: 0, latin: 0, windows_1252: false }
    }

    /// Their schema; every field is nullable.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Type of the column at `index` of the record.
    pub(crate) fn kind(&self, index: usize) -> Option<Kind> {
        self.parts.iter().find(|(i, ..)| *i == index).map(|(_, kind, _)| *kind)
    }

    /// Rows collected.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of text collected: Arrow's text columns end at 2 GiB.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Adds a record; fields that it lacks are null.
    pub(crate) fn push(&mut self, record: Record<'_>) -> Result<(), Misfit> {
        for (index, kind, builder) in &mut self.parts {
            let raw = record.get(*index).unwrap_or_default();
            let fits = match builder {
                Builder::Text(text) => {
                    if self.missing.is_text(raw.trim_ascii()) {
                        text.append_null();
                    } else if let Ok(valid) = std::str::from_utf8(raw)
                        && (!self.windows_1252 || raw.is_ascii())
                    {
                        text.append_value(valid);
                    } else {
                        // It gives every byte a character: nothing is lost.
                        self.latin += 1;
                        text.append_value(super::windows_1252(raw));
                    }
                    self.text_bytes += raw.len();
                    true
                }
                _ => push_value(builder, *kind, raw.trim_ascii(), &self.missing),
            };
            if !fits {
                return Err(Misfit { column: *index, field: String::from_utf8_lossy(raw).into_owned() });
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The rows collected so far, which are then forgotten.
    pub(crate) fn take(&mut self) -> arrow::error::Result<RecordBatch> {
        let arrays = self.parts.iter_mut().map(|(_, kind, b)| finish(b, *kind)).collect::<arrow::error::Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        self.text_bytes = 0;
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
    }
}

fn builder(kind: Kind) -> Builder {
    match kind {
        Kind::Bool => Builder::Bool(BooleanBuilder::new()),
        Kind::Int => Builder::Int(Int64Builder::new()),
        Kind::Float => Builder::Float(Float64Builder::new()),
        Kind::Date => Builder::Date(Date32Builder::new()),
        Kind::Time { .. } => Builder::Time(Int64Builder::new()),
        Kind::Text => Builder::Text(StringBuilder::new()),
    }
}

/// Adds a value of a type other than text; `false` where the field is none of it.
fn push_value(builder: &mut Builder, kind: Kind, field: &[u8], missing: &Missing) -> bool {
    let absent = missing.is_value(field);
    match builder {
        // Zeros in front would be lost: the column is one of names.
        Builder::Int(_) if !absent && has_leading_zeros(field) => return false,
        Builder::Int(values) => match int(field) {
            Some(value) => values.append_option((!absent && !missing.is_number(value as f64)).then_some(value)),
            // A missing value may be written as a number of another kind: `-9999.0`.
            None if absent || float(field).is_some_and(|v| missing.is_number(v)) => values.append_null(),
            None => return false,
        },
        Builder::Float(values) => match float(field) {
            Some(value) if !absent && is_lossy(field, value) => return false,
            Some(value) => values.append_option((!absent && !missing.is_number(value)).then_some(value)),
            None if absent => values.append_null(),
            None => return false,
        },
        _ if absent || float(field).is_some_and(|v| missing.is_number(v)) => match builder {
            Builder::Bool(values) => values.append_null(),
            Builder::Date(values) => values.append_null(),
            Builder::Time(values) => values.append_null(),
            _ => {}
        },
        Builder::Bool(values) => match boolean(field) {
            Some(value) => values.append_value(value),
            None => return false,
        },
        Builder::Date(values) => match date(field) {
            Some(value) => values.append_value(value),
            None => return false,
        },
        Builder::Time(values) => {
            let Some((value, form)) = time(field) else { return false };
            // Neither a zone nor a fraction of a second is dropped or made up.
            if !matches!(kind, Kind::Time { nanos, zoned } if form.zoned == zoned && (nanos || !form.nanos)) {
                return false;
            }
            let number = match kind {
                Kind::Time { nanos: true, .. } => value.timestamp_nanos_opt(),
                _ => Some(value.timestamp_micros()),
            };
            match number {
                Some(number) => values.append_value(number),
                None => return false,
            }
        }
        Builder::Text(_) => return false,
    }
    true
}

fn finish(builder: &mut Builder, kind: Kind) -> arrow::error::Result<ArrayRef> {
    Ok(match builder {
        Builder::Bool(values) => Arc::new(values.finish()),
        Builder::Int(values) => Arc::new(values.finish()),
        Builder::Float(values) => Arc::new(values.finish()),
        Builder::Date(values) => Arc::new(values.finish()),
        Builder::Time(values) => arrow::compute::cast(&values.finish(), &kind.data_type())?,
        Builder::Text(values) => Arc::new(values.finish()),
    })
}
