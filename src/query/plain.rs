//! Tables of formats that know no pushdown of their own: read from end to end through [`Rows::scan`], only the
//! columns that are needed.

use super::tally::Tally;
use crate::error::{Error, Result};
use crate::table::{Rows, Scan};
use crate::task::Control;
use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as Outcome};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::StreamExt as _;
use std::sync::Arc;

/// Open tables one after the other, as one: each has the columns of the first.
#[derive(Debug)]
pub(super) struct RowsTable {
    pub(super) tables: Vec<Arc<dyn Rows>>,
    pub(super) schema: SchemaRef,
    pub(super) control: Held,
    pub(super) tally: Tally,
}

/// A [`Control`] that can stand in a table.
#[derive(Clone)]
pub(super) struct Held(pub(super) Control);

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Control")
    }
}

#[async_trait]
impl TableProvider for RowsTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Outcome<Arc<dyn ExecutionPlan>> {
        exec(&self.tables, &self.schema, projection, (limit, None), &self.control, &self.tally)
    }
}

/// The first rows of a table, and nothing more of it.
pub(super) fn limited(
    rows: Arc<dyn Rows>,
    schema: &SchemaRef,
    projection: Option<&Vec<usize>>,
    limit: usize,
    tally: &Tally,
) -> Outcome<Arc<dyn ExecutionPlan>> {
    exec(&[rows], schema, projection, (Some(limit), Some(limit as u64)), &Held(Control::default()), tally)
}

fn exec(
    tables: &[Arc<dyn Rows>],
    schema: &SchemaRef,
    projection: Option<&Vec<usize>>,
    (limit, first): (Option<usize>, Option<u64>),
    control: &Held,
    tally: &Tally,
) -> Outcome<Arc<dyn ExecutionPlan>> {
    let schema = match projection {
        Some(columns) => Arc::new(schema.project(columns)?),
        None => schema.clone(),
    };
    let (schema, control, tally) = (schema.clone(), control.clone(), tally.clone());
    let part = Part { tables: tables.to_vec(), schema: schema.clone(), first, control, tally };
    Ok(Arc::new(StreamingTableExec::try_new(schema.clone(), vec![Arc::new(part)], None, [], false, limit)?))
}

#[derive(Debug)]
struct Part {
    tables: Vec<Arc<dyn Rows>>,
    schema: SchemaRef,
    first: Option<u64>,
    control: Held,
    tally: Tally,
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (schema, first, control) = (self.schema.clone(), self.first, self.control.clone());
        let tally = self.tally.clone();
        let stream = futures::stream::iter(self.tables.clone()).flat_map(move |rows| {
            let has = |name: &str| rows.about().schema.column_with_name(name).is_some();
            let columns = schema.fields().iter().map(|f| f.name().clone()).filter(|name| has(name)).collect();
            let scan = Scan { columns: Some(columns), rows: first.map(|n| Vec::from([0..n])) };
            let (schema, tally) = (schema.clone(), tally.clone());
            rows.scan(scan, &control.0).map(move |batch| {
                let batch = batch.inspect(|batch| tally.scanned(batch.num_rows()));
                batch.and_then(|batch| fitted(&batch, &schema)).map_err(|err| DataFusionError::External(Box::new(err)))
            })
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream))
    }
}

/// The batch with exactly these columns: missing ones null, others of the type that was promised.
pub(super) fn fitted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let misfit = |name: &str, err: datafusion::arrow::error::ArrowError| {
        Error::invalid(format!("a value of the column `{name}` is not of its type")).with_source(err)
    };
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        None => Ok(new_null_array(field.data_type(), rows)),
        Some(array) if array.data_type() == field.data_type() => Ok(array.clone()),
        Some(array) => cast(array, field.data_type()).map_err(|err| misfit(field.name(), err)),
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|err| Error::invalid("rows do not fit their columns").with_source(err))
}
