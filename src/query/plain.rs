//! Tables of formats that know no pushdown of their own: read from end to end through [`Rows::scan`], only the
//! columns that are needed.

use super::open::with_geometry;
use super::tally::Tally;
use crate::error::{Error, Result};
use crate::table::{About, Rows, Scan, type_name, widened, wider};
use crate::task::Control;
use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as Outcome};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::StreamExt as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Open tables one after the other, as one: with the columns of all.
#[derive(Debug)]
pub(super) struct RowsTable {
    tables: Vec<Arc<dyn Rows>>,
    /// The columns as a plan was made with them; the tables may know better by now.
    schema: Mutex<SchemaRef>,
    control: Held,
    tally: Tally,
}

impl RowsTable {
    pub(super) fn new(tables: Vec<Arc<dyn Rows>>, control: &Control, tally: &Tally) -> Result<Self> {
        let schema = Mutex::new(schema_of(&tables)?);
        Ok(Self { tables, schema, control: Held(control.clone()), tally: tally.clone() })
    }

    /// Takes over what the tables have learnt of their columns; whether that is anything.
    fn settle(&self) -> Result<bool> {
        let new = schema_of(&self.tables)?;
        let mut known = self.schema.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *known != new;
        *known = new;
        Ok(news)
    }

    fn known(&self) -> SchemaRef {
        self.schema.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The tables of a query whose columns may become wider while they are read. Clones share.
#[derive(Clone, Default)]
pub(super) struct Texts(Arc<Mutex<Vec<Arc<RowsTable>>>>);

impl Texts {
    pub(super) fn add(&self, table: &Arc<RowsTable>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(table.clone());
    }

    /// Whether columns are wider than they were when the query was planned. Once it was asked, the next plan is
    /// made with what they are now.
    pub(super) fn settle(&self) -> Result<bool> {
        let tables = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        tables.iter().try_fold(false, |news, table| Ok(table.settle()? || news))
    }
}

/// The columns of all tables, each of a type that holds its values in every one of them.
fn schema_of(tables: &[Arc<dyn Rows>]) -> Result<SchemaRef> {
    let abouts: Vec<Arc<About>> = tables.iter().map(|table| table.about()).collect();
    let Some((first, rest)) = abouts.split_first() else { return Err(Error::invalid("there is no file")) };
    let mut fields: Vec<FieldRef> = first.schema.fields().iter().cloned().collect();
    for field in rest.iter().flat_map(|about| about.schema.fields()) {
        match fields.iter_mut().find(|known| known.name() == field.name()) {
            None => fields.push(Arc::new(Field::clone(field).with_nullable(true))),
            Some(known) if known.data_type() == field.data_type() => {}
            Some(known) => {
                let (a, b) = (known.data_type(), field.data_type());
                let text = (!a.is_nested() && !b.is_nested()).then_some(DataType::Utf8);
                let wide = wider(a, b).or(text).ok_or_else(|| {
                    let (a, b) = (type_name(a), type_name(b));
                    Error::invalid(format!("the column `{}` is {a} in one file and {b} in another", field.name()))
                        .with_hint("name the files that belong together, with * for a part of their names")
                })?;
                *known = Arc::new(Field::clone(known).with_data_type(wide));
            }
        }
    }
    Ok(with_geometry(&Arc::new(Schema::new(fields)), &first.geo, None))
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
        self.known()
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
        exec(&self.tables, &self.known(), projection, (limit, None), &self.control, &self.tally)
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
            let scan = Scan { columns: Some(columns), rows: first.map(|n| std::iter::once(0..n).collect()) };
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
        Some(array) => widened(array, field.data_type()).map_err(|err| misfit(field.name(), err)),
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map_err(|err| Error::invalid("rows do not fit their columns").with_source(err))
}
