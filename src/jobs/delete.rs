//! The job `delete`: objects, prefixes and folders.

use crate::error::{Context as _, Result};
use crate::job::{Job, JobCx, JobSpec, Outcome};
use crate::location::Location;
use crate::text;
use crate::transfer::{DeleteSpec, Deleted, Gone, delete, objects};
use futures::future::BoxFuture;
use serde_json::Value;

/// Deletes, and goes on after an interruption with what is left.
pub struct Delete {
    spec: DeleteSpec,
}

impl Delete {
    /// A deletion.
    pub fn new(spec: DeleteSpec) -> Self {
        Self { spec }
    }

    /// The job that [`JobSpec::params`] describe.
    pub fn from_params(params: Value) -> Result<Box<dyn Job>> {
        let spec = serde_json::from_value(params).context(|| "the spec of a deletion".into())?;
        Ok(Box::new(Self { spec }))
    }
}

impl Job for Delete {
    fn title(&self) -> String {
        let many = self.spec.confirmed.filter(|n| *n != 1).map(objects);
        match (self.spec.targets.as_slice(), many) {
            ([one], Some(many)) => format!("delete {many} of {}", one.location.name()),
            ([one], None) => format!("delete {}", one.location.name()),
            (_, Some(many)) => format!("delete {many}"),
            (several, None) => format!("delete {} things", several.len()),
        }
    }

    fn spec(&self) -> JobSpec {
        JobSpec { kind: "delete".into(), params: serde_json::to_value(&self.spec).unwrap_or_default() }
    }

    fn writes(&self) -> Vec<Location> {
        self.spec.targets.iter().map(|target| target.location.clone()).collect()
    }

    fn command(&self) -> Vec<String> {
        let mut words = vec!["rm".to_owned()];
        words.extend(self.spec.targets.iter().map(|target| target.location.to_string()));
        if self.spec.targets.iter().any(|target| target.below) {
            words.push("-r".to_owned());
        }
        if self.spec.versions {
            words.push("--versions".to_owned());
        }
        if words.iter().any(|word| matches!(word.as_str(), "-r" | "--versions"))
            && let Some(confirmed) = self.spec.confirmed
        {
            words.extend(["--count".to_owned(), confirmed.to_string()]);
        }
        words
    }

    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let began = std::time::Instant::now();
            let gone = Gone::new(&cx.earlier, cx.recorder());
            let deleted = delete(&cx.stores, &self.spec, &cx.control, &gone).await?;
            Ok(outcome(deleted, self.spec.versions, began.elapsed()))
        })
    }
}

fn outcome(deleted: Deleted, versions: bool, took: std::time::Duration) -> Outcome {
    let how = match (versions, deleted.marked) {
        (true, _) => "deleted for good, with all versions",
        (false, true) => "marked as deleted; their versions are kept, undelete brings them back",
        (false, false) => "deleted",
    };
    let (bytes, took) = (text::bytes(deleted.tally.bytes), text::duration(took));
    let summary = format!("{}, {bytes}, {how}; {took}", objects(deleted.tally.objects));
    Outcome { summary, written: Vec::new(), data: serde_json::to_value(deleted).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;
    use crate::transfer::Target;

    #[test]
    fn it_can_be_said_as_a_command_line_and_made_again() {
        let target = Target { location: Location::parse("s3://p@b/tmp/").expect("an address"), below: true };
        let spec = DeleteSpec { targets: vec![target], confirmed: Some(1204), ..DeleteSpec::default() };
        let job = Delete::new(spec);
        assert_eq!(job.title(), "delete 1,204 objects of tmp/");
        assert_eq!(job.command().join(" "), "rm s3://p@b/tmp/ -r --count 1204");
        assert_eq!(crate::jobs::from_spec(job.spec()).expect("known").spec(), job.spec());
    }
}
