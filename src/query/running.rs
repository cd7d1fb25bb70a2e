//! A query that runs: its rows as they come.

use super::answer::Answer;
use super::tally::Reading;
use super::{Asked, Settings};
use crate::error::{Error, Result};
use crate::table::Geo;
use crate::task::senseless;
use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use futures::{FutureExt as _, StreamExt as _};
use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

/// Batches made before they are asked for.
const AHEAD: usize = 2;

/// A query that was planned. Its rows are made as they are taken, a few ahead; dropping it stops it.
pub struct Running {
    schema: SchemaRef,
    rows: mpsc::Receiver<Result<RecordBatch>>,
    plan: Arc<dyn ExecutionPlan>,
    ordered: bool,
    /// Keeps the threads and the temporary folder.
    asked: Asked,
    _task: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Running {
    pub(super) fn start(
        asked: Asked,
        plan: Arc<dyn ExecutionPlan>,
        tasks: Arc<TaskContext>,
        ordered: bool,
    ) -> Result<Self> {
        let question = asked.question.clone();
        let explain = move |err| question.faults.explain(err, &question.sql);
        let mut stream = execute_stream(plan.clone(), tasks).map_err(&explain)?;
        let schema = distinct(&stream.schema(), &asked.question.names());
        let (to, rows) = mpsc::channel(AHEAD);
        let named = schema.clone();
        let task = asked.engine.spawn(async move {
            loop {
                // A decoder that panics would only end the rows.
                let batch = match AssertUnwindSafe(stream.next()).catch_unwind().await {
                    Ok(None) => return,
                    Ok(Some(batch)) => batch.map_err(&explain).and_then(|batch| renamed(&batch, &named)),
                    Err(_) => Err(senseless()),
                };
                let failed = batch.is_err();
                if to.send(batch).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Self { schema, rows, plan, ordered, asked, _task: task })
    }

    /// Whether its rows come in the same order whenever it is run.
    pub fn is_ordered(&self) -> bool {
        self.ordered
    }

    /// Begins from the first row again, where it failed because columns turned out to be wider; else `false`.
    pub(super) async fn again(&mut self, err: &Error) -> Result<bool> {
        let wider = self.asked.is_wider(err)?;
        if wider {
            *self = self.asked.run().await?;
        }
        Ok(wider)
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
        self.asked.control.race(async { rows.recv().await.transpose() }).await
    }

    /// What was read so far.
    pub fn reading(&self) -> Reading {
        self.asked.question.tally.reading(self.plan.as_ref(), self.asked.control.meter.cost())
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
        self.asked.engine.settings()
    }

    pub(super) fn folder(&self) -> Result<&std::path::Path> {
        self.asked.engine.folder()
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
