//! Benchmarks as jobs.

use crate::bench::{self, Report, Spec};
use crate::error::{Context as _, Error, Kind, Result};
use crate::job::{Job, JobCx, JobSpec, Outcome};
use crate::location::{Location, Scheme};
use crate::store::{Stores, cause};
use futures::future::BoxFuture;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Runs a benchmark and writes its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bench {
    /// What to measure.
    pub spec: Spec,
    /// Where the result goes; nowhere but into the job's outcome where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<Location>,
    /// Whether a result that is there may be replaced.
    #[serde(default)]
    pub overwrite: bool,
    /// The file that the description was read from, for the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_file: Option<String>,
}

/// Makes the job from [`JobSpec::params`].
pub(crate) fn from_params(params: Value) -> Result<Box<dyn Job>> {
    let job: Bench = serde_json::from_value(params).context(|| "reading a benchmark's description".to_owned())?;
    job.spec.validate()?;
    Ok(Box::new(job))
}

impl Bench {
    /// Refuses before hours of work what would fail after them.
    async fn check_out(&self, stores: &Stores, cx: &JobCx) -> Result<()> {
        let Some(out) = &self.out else { return Ok(()) };
        if out.is_container() {
            return Err(Error::usage(format!("{out} is a folder; name the file of the result")));
        }
        // A local file is the user's own; what read-only guards are the places browsed.
        if stores.options().read_only && out.scheme() != Scheme::File {
            return Err(Error::new(Kind::Denied, format!("{out} cannot be written: this is a read-only session"))
                .with_hint("write the result to a local file"));
        }
        if self.overwrite {
            return Ok(());
        }
        let handle = cx.control.race(stores.open(out, &cx.control.meter)).await?;
        match handle.object_store().head(&handle.path(out.key())).await {
            Ok(_) => Err(exists(out)),
            // Whatever else is wrong, writing will tell it better.
            Err(_) => Ok(()),
        }
    }

    /// Writes the result whole or not at all: a put, which on the local disk is a rename.
    async fn write(&self, report: &Report, cx: &JobCx) -> Result<()> {
        let Some(out) = &self.out else { return Ok(()) };
        cx.control.step("writing the result");
        let text = report.to_json()?;
        let handle = cx.control.race(cx.stores.open(out, &cx.control.meter)).await?;
        let mode = if self.overwrite { PutMode::Overwrite } else { PutMode::Create };
        let options = PutOptions { mode, ..PutOptions::default() };
        match handle.object_store().put_opts(&handle.path(out.key()), text.into(), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => Err(exists(out)),
            Err(err) => {
                let error = cause(&err).unwrap_or_else(|| Error::new(Kind::Failed, err.to_string()).with_source(err));
                Err(error.context(format!("writing {out}")))
            }
        }
    }
}

fn exists(out: &Location) -> Error {
    Error::new(Kind::Exists, format!("{out} exists already"))
}

/// "zarr is 11.0 times as fast as cog; 10 patches".
fn sentence(report: &Report) -> String {
    let patches = report.spec.repeats;
    let s = if patches == 1 { "" } else { "es" };
    if let Some(r) = report.summary.ratios.iter().max_by(|a, b| a.means.ratio.total_cmp(&b.means.ratio)) {
        return format!("{} is {:.1} times as fast as {}; {patches} patch{s}", r.fast, r.means.ratio, r.slow);
    }
    let mean = report.summary.series.first().map_or(0.0, |s| s.mean);
    format!("{patches} patch{s}, mean {mean:.1} ms")
}

impl Job for Bench {
    fn title(&self) -> String {
        format!("bench {}", self.spec.label())
    }

    fn spec(&self) -> JobSpec {
        JobSpec { kind: "bench".to_owned(), params: serde_json::to_value(self).unwrap_or_default() }
    }

    /// The description itself stands in the command line where it came from no file.
    fn command(&self) -> Vec<String> {
        let spec = match &self.spec_file {
            Some(file) => file.clone(),
            None => serde_json::to_string(&self.spec).unwrap_or_default(),
        };
        let mut words = vec!["bench".to_owned(), "run".to_owned(), spec];
        if let Some(out) = &self.out {
            words.extend(["--out".to_owned(), out.to_string()]);
        }
        words
    }

    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            self.check_out(&cx.stores, cx).await?;
            let record = |event| cx.event(serde_json::to_value(event).unwrap_or_default());
            let report = bench::run(&self.spec, &cx.stores, &cx.control, &record).await?;
            self.write(&report, cx).await?;
            Ok(Outcome {
                summary: sentence(&report),
                written: self.out.iter().cloned().collect(),
                data: serde_json::to_value(&report)?,
            })
        })
    }
}
