//! What a query read.

use super::file::File;
use crate::meter::Cost;
use crate::text;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricValue;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts while a query runs. Clones share.
#[derive(Clone, Default)]
pub(super) struct Tally(Arc<Counts>);

#[derive(Default)]
struct Counts {
    files: Mutex<Vec<Arc<File>>>,
    rows: AtomicU64,
}

impl std::fmt::Debug for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tally")
    }
}

/// What a query read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Reading {
    /// Requests, bytes, milliseconds.
    #[serde(flatten)]
    pub cost: Cost,
    /// Rows decoded.
    pub rows_scanned: u64,
    /// Parquet files that the tables consist of.
    pub files: u64,
    /// Row groups in those that were looked at.
    pub row_groups: u64,
    /// Of them, those of which something was read.
    pub row_groups_read: u64,
    /// Bytes written to disk because memory was short.
    pub spilled: u64,
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} · {} rows scanned", self.cost, text::count(self.rows_scanned))?;
        if self.row_groups > 0 {
            let s = if self.row_groups == 1 { "" } else { "s" };
            write!(
                f,
                " · {} of {} row group{s} read",
                text::count(self.row_groups_read),
                text::count(self.row_groups)
            )?;
        }
        if self.spilled > 0 {
            write!(f, " · {} on disk", text::bytes(self.spilled))?;
        }
        Ok(())
    }
}

impl Tally {
    pub(super) fn add(&self, files: &[Arc<File>]) {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner).extend(files.iter().cloned());
    }

    pub(super) fn scanned(&self, rows: usize) {
        self.0.rows.fetch_add(rows as u64, Relaxed);
    }

    /// All of it so far.
    pub(super) fn reading(&self, plan: &dyn ExecutionPlan, cost: Cost) -> Reading {
        let files = self.0.files.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reading =
            Reading { cost, rows_scanned: self.0.rows.load(Relaxed), files: files.len() as u64, ..Reading::default() };
        for file in files.iter() {
            let groups = file.footer_now().map_or(0, |footer| footer.metadata.num_row_groups());
            reading.row_groups += groups as u64;
            reading.row_groups_read += file.groups_read() as u64;
        }
        add(plan, &mut reading);
        reading
    }
}

fn add(plan: &dyn ExecutionPlan, reading: &mut Reading) {
    if let Some(metrics) = plan.metrics() {
        reading.spilled += metrics.spilled_bytes().unwrap_or(0) as u64;
        if plan.name() == "DataSourceExec" {
            let left_out = metrics.iter().filter_map(|metric| match metric.value() {
                MetricValue::Count { name, count } if name == "pushdown_rows_pruned" => Some(count.value()),
                _ => None,
            });
            reading.rows_scanned += (metrics.output_rows().unwrap_or(0) + left_out.sum::<usize>()) as u64;
        }
    }
    for child in plan.children() {
        add(child.as_ref(), reading);
    }
}
