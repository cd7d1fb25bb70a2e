//! A query that runs: its rows as they come.

use super::answer::Answer;
use super::faults::Faults;
use super::tally::{Reading, Tally};
use super::{Engine, Settings};
use crate::error::{Error, Result};
use crate::table::Geo;
use crate::task::Control;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use futures::StreamExt as _;
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Batches made before they are asked for.
const AHEAD: usize = 2;

/// A query that was planned. Its rows are made as they are taken, a few ahead; dropping it stops it.
pub struct Running {
    schema: SchemaRef,
    rows: mpsc::Receiver<Result<RecordBatch>>,
    control: Control,
    plan: Arc<dyn ExecutionPlan>,
    tally: Tally,
    /// Keeps the threads and the temporary folder.
    engine: Engine,
    _task: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Running {
    pub(super) fn start(
        engine: &Engine,
        (sql, tables): (&str, &[String]),
        mut stream: SendableRecordBatchStream,
        plan: Arc<dyn ExecutionPlan>,
        tally: Tally,
        faults: Faults,
        control: &Control,
    ) -> Self {
        let schema = distinct(&stream.schema(), tables);
        let (to, rows) = mpsc::channel(AHEAD);
        let (sql, named) = (sql.to_owned(), schema.clone());
        let task = engine.spawn(async move {
            while let Some(batch) = stream.next().await {
                let batch = batch.map_err(|err| faults.explain(err, &sql)).and_then(|batch| renamed(&batch, &named));
                let failed = batch.is_err();
                if to.send(batch).await.is_err() || failed {
                    return;
                }
            }
        });
        Self { schema, rows, control: control.clone(), plan, tally, engine: engine.clone(), _task: task }
    }

    /// Columns of the result; geometry named in the fields' metadata.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Which columns are geometry.
    pub fn geo(&self) -> Geo {
        Geo::of_schema(&self.schema)
    }

    /// The next rows; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let rows = &mut self.rows;
        self.control.race(async { rows.recv().await.transpose() }).await
    }

    /// What was read so far.
    pub fn reading(&self) -> Reading {
        self.tally.reading(self.plan.as_ref(), self.control.meter.cost())
    }

    /// How it is done, a line for each step.
    pub fn steps(&self) -> Vec<String> {
        displayable(self.plan.as_ref()).indent(false).to_string().lines().map(str::to_owned).collect()
    }

    /// The result as a table to be looked at.
    pub fn into_rows(self) -> Arc<Answer> {
        Arc::new(Answer::new(self))
    }

    pub(super) fn settings(&self) -> &Settings {
        self.engine.settings()
    }

    pub(super) fn folder(&self) -> Result<&std::path::Path> {
        self.engine.folder()
    }
}

/// The same columns, none called as another (`id`, `id:1`), and none with the address of its table in its name.
fn distinct(schema: &SchemaRef, tables: &[String]) -> SchemaRef {
    let mut taken = HashSet::new();
    let fields = schema.fields().iter().map(|field| {
        let bare = super::bare(field.name(), tables);
        let mut name = bare.clone();
        let mut n = 0;
        while !taken.insert(name.clone()) {
            n += 1;
            name = format!("{bare}:{n}");
        }
        if name == *field.name() { field.clone() } else { Arc::new(Field::clone(field).with_name(name)) }
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn renamed(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), batch.columns().to_vec(), &options)
        .or_else(|_| {
            // A null where the plan promised none: the promise was a step's, not the data's.
            super::plain::fitted(batch, schema)
        })
        .map_err(|err: Error| err.context("the result"))
}
