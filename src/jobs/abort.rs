//! The job `abort-uploads`: uploads in parts that nobody completed go.

use crate::error::{Context as _, Result};
use crate::job::{Job, JobCx, JobSpec, JobView, Outcome, State};
use crate::location::Location;
use crate::text;
use crate::transfer::{AbortSpec, Claims, abort_uploads};
use futures::future::BoxFuture;
use serde_json::{Value, json};

/// Aborts uploads.
pub struct Abort {
    spec: AbortSpec,
}

impl Abort {
    /// An abortion of exactly these.
    pub fn new(spec: AbortSpec) -> Self {
        Self { spec }
    }

    /// The job that [`JobSpec::params`] describe.
    pub fn from_params(params: Value) -> Result<Box<dyn Job>> {
        let spec = serde_json::from_value(params).context(|| "the spec of uploads to abort".into())?;
        Ok(Box::new(Self { spec }))
    }
}

/// `1 unfinished upload`, `12 unfinished uploads`.
fn uploads(n: u64) -> String {
    format!("{} unfinished upload{}", text::count(n), if n == 1 { "" } else { "s" })
}

/// The uploads that jobs may still go on with.
pub fn claims(views: &[JobView]) -> Claims {
    let mut claims = Claims::default();
    views.iter().filter(|view| view.state != State::Done).for_each(|view| claims.learn(&view.events));
    claims
}

impl Job for Abort {
    fn title(&self) -> String {
        let many = uploads(self.spec.uploads.len() as u64);
        format!("abort {many} in {}", self.spec.location.with_key("").name())
    }

    fn spec(&self) -> JobSpec {
        JobSpec { kind: "abort-uploads".into(), params: serde_json::to_value(&self.spec).unwrap_or_default() }
    }

    fn writes(&self) -> Vec<Location> {
        vec![self.spec.location.clone()]
    }

    fn command(&self) -> Vec<String> {
        let mut words = vec!["uploads".to_owned(), "abort".to_owned(), self.spec.location.to_string()];
        if let Some(age) = &self.spec.older_than {
            words.extend(["--older-than".to_owned(), age.clone()]);
            words.extend(["--count".to_owned(), self.spec.uploads.len().to_string()]);
        } else {
            let ids = self.spec.uploads.iter().map(|upload| upload.upload_id.clone());
            words.extend(ids.flat_map(|id| ["--upload-id".to_owned(), id]));
        }
        words
    }

    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let done = abort_uploads(&cx.stores, &self.spec, &cx.control).await?;
            let data = json!({ "aborted": done });
            Ok(Outcome { summary: format!("{} aborted", uploads(done)), written: Vec::new(), data })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;
    use crate::transfer::Orphan;

    #[test]
    fn it_can_be_said_as_a_command_line_and_made_again() {
        let uploads = vec![Orphan { key: "a/x.tif".into(), upload_id: "2~id".into() }];
        let location = Location::parse("s3://p@b/a/").expect("an address");
        let job = Abort::new(AbortSpec { location, uploads, older_than: None });
        assert_eq!(job.title(), "abort 1 unfinished upload in b");
        assert_eq!(job.command().join(" "), "uploads abort s3://p@b/a/ --upload-id 2~id");
        assert_eq!(crate::jobs::from_spec(job.spec()).expect("known").spec(), job.spec());
    }
}
