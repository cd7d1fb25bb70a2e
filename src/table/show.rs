//! What is read of a table made ready to be shown.

use super::geo::{Encoding, Geo};
use super::{Column, Rows, Table, wkt};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;

/// Characters of WKT in a cell.
const MOST_WKT: usize = 200;

/// Rows that were read of `rows`, from row `offset` on: geometry as WKT, columns in words.
pub(crate) fn shown(rows: &Arc<dyn Rows>, batch: &RecordBatch, offset: u64) -> Table {
    let about = rows.about();
    let schema = batch.schema();
    let columns = schema.fields().iter().map(|field| {
        about.columns.iter().find(|c| c.name == *field.name()).cloned().unwrap_or_else(|| Column {
            name: field.name().clone(),
            kind: super::type_name(field.data_type()),
            numeric: field.data_type().is_numeric(),
            ..Column::default()
        })
    });
    Table {
        facts: about.facts.clone(),
        columns: columns.collect(),
        batch: with_wkt(batch, &about.geo),
        offset,
        total_rows: about.total_rows,
        total_columns: about.schema.fields().len(),
        rows: Some(rows.clone()),
    }
}

/// The same rows with geometry as text, cut to what a cell can show.
pub fn with_wkt(batch: &RecordBatch, geo: &Geo) -> RecordBatch {
    as_text(batch, geo, MOST_WKT)
}

/// The same rows with geometry as text, all of it.
pub(crate) fn with_full_wkt(batch: &RecordBatch, geo: &Geo) -> RecordBatch {
    as_text(batch, geo, usize::MAX)
}

fn as_text(batch: &RecordBatch, geo: &Geo, most: usize) -> RecordBatch {
    let mut fields = Vec::new();
    let mut arrays: Vec<ArrayRef> = Vec::new();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let text = geo.column(field.name()).and_then(|g| match &g.encoding {
            Encoding::Wkb => wkt::wkb_column(array, most),
            Encoding::Native(kind) => wkt::native_column(array, kind, most),
            Encoding::Wkt => None,
        });
        if let Some(text) = text {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            arrays.push(Arc::new(text));
        } else {
            fields.push(field.clone());
            arrays.push(array.clone());
        }
    }
    // The arrays are as long as the batch and typed as their fields say, so that this cannot fail.
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap_or_else(|_| batch.clone())
}
