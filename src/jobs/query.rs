//! The job `query`: the result of SQL written to a file.

use crate::convert::table::{self, Form, Input, Report};
use crate::error::{Context as _, Error, Result};
use crate::job::{Job, JobCx, JobSpec, Outcome};
use crate::location::Location;
use crate::query::{Engine, Reading, Running, Settings};
use crate::text;
use crate::transfer::{IfExists, room};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Letters of the SQL in a title.
const TITLE: usize = 48;

/// Runs SQL and writes its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// What is asked.
    pub sql: String,
    /// What is written.
    pub destination: Location,
    /// In which format; `None`: the suffix tells.
    #[serde(default)]
    pub to: Option<String>,
    /// What happens where something stands at the destination.
    #[serde(default)]
    pub if_exists: IfExists,
    /// Memory for sorting, grouping and joining, in bytes; `None`: a modest part of what is there.
    #[serde(default)]
    pub memory: Option<u64>,
    /// Where relative paths in the SQL begin: it may be resumed from another folder.
    #[serde(default)]
    pub folder: Option<PathBuf>,
}

impl Query {
    /// The job that [`JobSpec::params`] describe. Unknown formats are refused.
    pub fn from_params(params: Value) -> Result<Box<dyn Job>> {
        let mut job: Self = serde_json::from_value(params).context(|| "the spec of a query".into())?;
        if job.folder.is_none() {
            job.folder = std::env::current_dir().ok();
        }
        job.form()?;
        Ok(Box::new(job))
    }

    fn form(&self) -> Result<Form> {
        match &self.to {
            Some(name) => name.parse(),
            None => Form::of(&self.destination),
        }
    }
}

/// "1,402,829 rows, 41.2 MB, 1m12s".
fn sentence(report: &Report) -> String {
    let s = if report.rows == 1 { "" } else { "s" };
    let seconds = std::time::Duration::from_secs_f64(report.seconds.max(0.0));
    let rows = text::count(report.rows);
    format!("{rows} row{s}, {}, {}", text::bytes(report.bytes_written), text::duration(seconds))
}

impl Job for Query {
    fn title(&self) -> String {
        let sql = self.sql.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("query {} → {}", text::fit(&sql, TITLE), self.destination.name())
    }

    fn spec(&self) -> JobSpec {
        JobSpec { kind: "query".into(), params: serde_json::to_value(self).unwrap_or_default() }
    }

    fn command(&self) -> Vec<String> {
        let mut words = vec!["sql".to_owned(), self.sql.clone(), "--out".to_owned(), self.destination.to_string()];
        if let Some(to) = &self.to {
            words.extend(["--to".to_owned(), to.clone()]);
        }
        if self.if_exists != IfExists::default() {
            words.extend(["--if-exists".to_owned(), self.if_exists.as_str().to_owned()]);
        }
        if let Some(memory) = self.memory {
            words.extend(["--memory".to_owned(), memory.to_string()]);
        }
        words
    }

    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let form = self.form()?;
            let Some((destination, overwrite)) =
                room(&cx.stores, &self.destination, self.if_exists, &cx.control).await?
            else {
                let summary = format!("{} exists and was left as it is", self.destination);
                return Ok(Outcome { summary, written: Vec::new(), data: json!({ "skipped": true }) });
            };
            let settings = Settings { folder: self.folder.clone(), ..Settings::here().with_memory(self.memory) };
            let engine = Engine::new(cx.stores.clone(), settings)?;
            let asked = engine.ask(&self.sql, &cx.control).await?;
            let (report, reading) =
                asked.settled(|running| written(running, cx, &destination, form, overwrite)).await?;
            cx.control.note(format!("read: {reading}"));
            let mut data = serde_json::to_value(&report)?;
            data["cost"] = serde_json::to_value(reading)?;
            Ok(Outcome { summary: sentence(&report), written: vec![destination], data })
        })
    }
}

/// Writes the rows of a query that was begun; gives what it read, too.
async fn written(
    running: Running,
    cx: &JobCx,
    destination: &Location,
    form: Form,
    overwrite: bool,
) -> Result<(Report, Reading)> {
    let (schema, geo) = (running.schema().clone(), running.geo());
    let (told, reading) = tokio::sync::oneshot::channel();
    let rows = futures::stream::unfold((running, Some(told)), |(mut running, told)| async move {
        let next = running.next().await.transpose();
        let Some(batch) = next else {
            // The last that is known of it; nobody may wait for it.
            let _ = told.map(|told| told.send(running.reading()));
            return None;
        };
        Some((batch, (running, told)))
    });
    let input = Input { schema, geo, rows: rows.boxed() };
    let report = table::write(&cx.stores, input, destination, form, overwrite, &cx.control).await?;
    Ok((report, reading.await.map_err(|_| Error::cancelled())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_said_as_a_command_line_and_made_again() {
        let params = json!({
            "sql": "SELECT *\nFROM 's3://p@b/x.parquet'", "destination": "s3://p@b/y.csv", "to": null,
            "if_exists": "overwrite", "memory": null, "folder": "/data",
        });
        let job = Query::from_params(params.clone()).expect("a job");
        assert_eq!(job.title(), "query SELECT * FROM 's3://p@b/x.parquet' → y.csv");
        assert_eq!(job.command()[2..].join(" "), "--out s3://p@b/y.csv --if-exists overwrite");
        assert_eq!(job.spec().params, params);
        assert_eq!(crate::jobs::from_spec(job.spec()).expect("known").spec(), job.spec());
        let odd = json!({"sql": "SELECT 1", "destination": "s3://b/x.shp"});
        let err = Query::from_params(odd).map(|_| ()).expect_err("refused");
        assert!(err.to_string().contains("tells no format"), "{err}");
    }
}
