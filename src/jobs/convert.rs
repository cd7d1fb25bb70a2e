//! The job `convert`: one format into another.

use crate::convert::csv_geoparquet::{self, Options, Report};
use crate::error::{Context as _, Error, Result};
use crate::job::{Job, JobCx, JobSpec, Outcome};
use crate::location::{Location, Scheme};
use crate::text;
use crate::transfer::{IfExists, room};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Converts a table into another format.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Convert {
    /// What is read.
    pub source: Location,
    /// What is written.
    pub destination: Location,
    /// The format to be written.
    #[serde(default)]
    pub to: Format,
    /// What the conversion is told, as with `-o key=value`.
    #[serde(default)]
    pub options: Map<String, Value>,
    /// What happens where something stands at the destination.
    #[serde(default)]
    pub if_exists: IfExists,
}

/// A format that can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `GeoParquet` 1.1 with points.
    #[default]
    GeoParquet,
}

impl Format {
    /// As it is written on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GeoParquet => "geoparquet",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "geoparquet" => Ok(Self::GeoParquet),
            _ => Err(Error::usage(format!("`{text}` is not a format that can be written; geoparquet is"))),
        }
    }
}

impl Convert {
    /// The job that [`JobSpec::params`] describe. Unknown formats and options are refused.
    pub fn from_params(params: Value) -> Result<Box<dyn Job>> {
        for (key, check) in [("to", is::<Format> as fn(&str) -> Result<()>), ("if_exists", is::<IfExists>)] {
            if let Some(text) = params.get(key).and_then(Value::as_str) {
                check(text)?;
            }
        }
        let job: Self = serde_json::from_value(params).context(|| "the spec of a conversion".into())?;
        Ok(Box::new(job.checked()?))
    }

    /// With its options checked, and relative paths completed, so that it can be run from another folder.
    pub fn checked(mut self) -> Result<Self> {
        Options::from_map(&self.options)?;
        for location in [&mut self.source, &mut self.destination] {
            if location.scheme() == Scheme::File
                && let Ok(path) = std::path::absolute(Path::new(location.key()))
                && let Some(path) = path.to_str()
            {
                *location = location.with_key(path);
            }
        }
        Ok(self)
    }
}

fn is<T: std::str::FromStr<Err = Error>>(text: &str) -> Result<()> {
    text.parse::<T>().map(drop)
}

/// "1,402,829 rows, 3 without a place, 41.2 MB, 1m12s".
fn sentence(report: &Report) -> String {
    let mut words = vec![format!("{} row{}", text::count(report.rows), if report.rows == 1 { "" } else { "s" })];
    if report.null_geometries > 0 {
        words.push(format!("{} without a place", text::count(report.null_geometries)));
    }
    words.push(text::bytes(report.bytes_written));
    words.push(text::duration(std::time::Duration::from_secs_f64(report.seconds.max(0.0))));
    words.join(", ")
}

impl Job for Convert {
    fn title(&self) -> String {
        format!("convert {} → {}", self.source.name(), self.destination.name())
    }

    fn spec(&self) -> JobSpec {
        JobSpec { kind: "convert".into(), params: serde_json::to_value(self).unwrap_or_default() }
    }

    fn command(&self) -> Vec<String> {
        let mut words = vec!["convert".to_owned(), self.source.to_string(), self.destination.to_string()];
        words.extend(["--to".to_owned(), self.to.as_str().to_owned()]);
        for (key, value) in &self.options {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            words.extend(["-o".to_owned(), format!("{key}={value}")]);
        }
        if self.if_exists != IfExists::default() {
            words.extend(["--if-exists".to_owned(), self.if_exists.as_str().to_owned()]);
        }
        words
    }

    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let mut options = Options::from_map(&self.options)?;
            let Some((destination, overwrite)) =
                room(&cx.stores, &self.destination, self.if_exists, &cx.control).await?
            else {
                let summary = format!("{} exists and was left as it is", self.destination);
                return Ok(Outcome { summary, written: Vec::new(), data: json!({ "skipped": true }) });
            };
            options.overwrite = overwrite;
            let report = csv_geoparquet::run(&cx.stores, &self.source, &destination, &options, &cx.control).await?;
            Ok(Outcome { summary: sentence(&report), written: vec![destination], data: serde_json::to_value(&report)? })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Value {
        json!({
            "source": "s3://p@b/glodap.csv", "destination": "s3://p@b/glodap.parquet", "to": "geoparquet",
            "options": { "lon": "G2longitude", "lat": "G2latitude", "missing": "-9999" }, "if_exists": "overwrite",
        })
    }

    #[test]
    fn it_can_be_said_as_a_command_line_and_made_again() {
        let job = Convert::from_params(params()).expect("a job");
        assert_eq!(job.title(), "convert glodap.csv → glodap.parquet");
        assert_eq!(
            job.command().join(" "),
            "convert s3://p@b/glodap.csv s3://p@b/glodap.parquet --to geoparquet -o lon=G2longitude \
             -o lat=G2latitude -o missing=-9999 --if-exists overwrite"
        );
        assert_eq!(job.spec().params, params());
        assert_eq!(crate::jobs::from_spec(job.spec()).expect("known").spec(), job.spec());
    }

    #[test]
    fn what_is_not_known_is_refused_before_it_starts() {
        let with = |key: &str, value: Value| {
            let mut params = params();
            params[key] = value;
            Convert::from_params(params).map(|_| ()).expect_err("refused").to_string()
        };
        assert!(with("options", json!({"lng": "x"})).contains("known are lon, lat"));
        assert!(with("to", json!("shapefile")).contains("geoparquet is"));
        assert!(with("if_exists", json!("never")).contains("fail, skip, overwrite, rename"));
    }
}
