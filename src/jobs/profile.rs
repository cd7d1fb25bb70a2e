//! The job `profile`: exact statistics of one column of a table.

use crate::error::{Context as _, Result};
use crate::job::{Job, JobCx, JobSpec, Outcome};
use crate::location::Location;
use crate::probe::Probe;
use crate::table::{Open, Rows, profile};
use crate::tables;
use crate::text;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Bytes that reading may hold at once.
const MAX_BYTES: u64 = 256 << 20;

/// Reads a column from end to end.
#[derive(Clone, Serialize, Deserialize)]
pub struct Profile {
    /// The table.
    pub source: Location,
    /// The name of the column.
    pub column: String,
    /// The table, where it is open already.
    #[serde(skip)]
    pub rows: Option<Arc<dyn Rows>>,
}

impl Profile {
    /// The job that [`JobSpec::params`] describe.
    pub fn from_params(params: Value) -> Result<Box<dyn Job>> {
        let job: Self = serde_json::from_value(params).context(|| "the spec of a profile".into())?;
        Ok(Box::new(job))
    }
}

impl Job for Profile {
    fn title(&self) -> String {
        format!("profile {} of {}", self.column, self.source.name())
    }

    fn spec(&self) -> JobSpec {
        JobSpec { kind: "profile".into(), params: serde_json::to_value(self).unwrap_or_default() }
    }

    fn command(&self) -> Vec<String> {
        vec!["profile".to_owned(), self.source.to_string(), self.column.clone()]
    }

    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let rows = if let Some(rows) = &self.rows {
                rows.clone()
            } else {
                let probe = Probe::new(self.source.clone());
                let open = Open { probe, control: cx.control.clone(), max_bytes: MAX_BYTES };
                tables::open(cx.stores.clone(), open).await?
            };
            cx.control.step("reading the column");
            let found = profile::over(&rows, &self.column, &cx.control).await?;
            let range = match (&found.min, &found.max) {
                (Some(min), Some(max)) => format!(", {} to {}", text::fit(min, 40), text::fit(max, 40)),
                _ => String::new(),
            };
            let summary = format!("{}: {} rows{range}", self.column, text::count(found.rows));
            Ok(Outcome { summary, written: Vec::new(), data: serde_json::to_value(&found)? })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_said_as_a_command_line_and_made_again() {
        let source = Location::parse("s3://p@b/atl06.parquet").expect("an address");
        let job = Profile { source, column: "h mean".to_owned(), rows: None };
        assert_eq!(job.title(), "profile h mean of atl06.parquet");
        assert_eq!(text::command_line(&job.command()), "secchi profile s3://p@b/atl06.parquet 'h mean'");
        assert_eq!(crate::jobs::from_spec(job.spec()).expect("known").spec(), job.spec());
        assert!(job.writes().is_empty());
    }
}
