//! The job `sync`: one place becomes like another.

use crate::error::{Context as _, Result};
use crate::job::{Job, JobCx, JobSpec, Outcome};
use crate::text;
use crate::transfer::{Compare, Past, SyncSpec, sync};
use futures::future::BoxFuture;
use serde_json::Value;

/// Steps of a dry run that stand in the log of the job.
const TOLD: usize = 500;

/// Copies what is new or differs, and deletes what is not in the source where that is wished.
pub struct Sync {
    spec: SyncSpec,
}

impl Sync {
    /// A sync.
    pub fn new(spec: SyncSpec) -> Self {
        Self { spec }
    }

    /// The job that [`JobSpec::params`] describe.
    pub fn from_params(params: Value) -> Result<Box<dyn Job>> {
        let spec: SyncSpec = serde_json::from_value(params).context(|| "the spec of a sync".into())?;
        Ok(Box::new(Self { spec }))
    }
}

impl Job for Sync {
    fn title(&self) -> String {
        let SyncSpec { source, destination, dry_run, .. } = &self.spec;
        let verb = if *dry_run { "plan" } else { "sync" };
        let name = |at: &crate::location::Location| at.name().trim_end_matches('/').to_owned();
        format!("{verb} {} → {}", name(source), name(destination))
    }

    fn spec(&self) -> JobSpec {
        JobSpec { kind: "sync".into(), params: serde_json::to_value(&self.spec).unwrap_or_default() }
    }

    fn command(&self) -> Vec<String> {
        let spec = &self.spec;
        let mut words = vec!["sync".to_owned(), spec.source.to_string(), spec.destination.to_string()];
        let mut flag = |on: bool, name: &str| words.extend(on.then(|| name.to_owned()));
        flag(spec.dry_run, "--dry-run");
        flag(spec.delete, "--delete");
        flag(spec.compare == Compare::Checksum, "--checksum");
        flag(spec.compare == Compare::SizeOnly, "--size-only");
        let include = spec.include.iter().map(|pattern| ("--include", pattern));
        let exclude = spec.exclude.iter().map(|pattern| ("--exclude", pattern));
        words.extend(include.chain(exclude).flat_map(|(name, pattern)| [name.to_owned(), pattern.clone()]));
        if let (true, Some(confirmed)) = (spec.delete && !spec.dry_run, spec.confirmed) {
            words.extend(["--count".to_owned(), confirmed.to_string()]);
        }
        words
    }

    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let began = std::time::Instant::now();
            let past = Past::new(&cx.earlier, cx.recorder());
            let mut told = 0;
            let synced = sync(&cx.stores, &self.spec, &cx.control, &past, |step| {
                if self.spec.dry_run && told < TOLD {
                    told += 1;
                    cx.control.note(format!("{} {}  {}", step.verb.as_str(), step.name, step.reason));
                }
                Ok(())
            });
            let synced = synced.await?;
            let nothing = if self.spec.dry_run { "; nothing was changed" } else { "" };
            let words = synced.words(!self.spec.dry_run);
            let summary = format!("{words}{nothing}; {}", text::duration(began.elapsed()));
            Ok(Outcome { summary, written: Vec::new(), data: serde_json::to_value(&synced).unwrap_or_default() })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;

    #[test]
    fn it_can_be_said_as_a_command_line_and_made_again() {
        let at = |text: &str| Location::parse(text).expect(text);
        let spec = SyncSpec {
            delete: true,
            compare: Compare::SizeOnly,
            exclude: vec!["*.tmp".to_owned()],
            confirmed: Some(3),
            ..SyncSpec::new(&at("/data/set"), &at("s3://p@b/set"))
        };
        let job = Sync::new(spec);
        assert_eq!(job.title(), "sync set → set");
        let words = "sync /data/set/ s3://p@b/set/ --delete --size-only --exclude *.tmp --count 3";
        assert_eq!(job.command().join(" "), words);
        assert_eq!(crate::jobs::from_spec(job.spec()).expect("known").spec(), job.spec());
    }
}
