//! The job `copy`: objects and all below prefixes from any place to another; with `move`, their sources are deleted.

use crate::error::{Context as _, Error, Result};
use crate::job::{Job, JobCx, JobSpec, Outcome};
use crate::location::{Location, Scheme};
use crate::text;
use crate::transfer::{CopyRecord, CopyReport, CopySpec, IfExists, copy};
use futures::future::BoxFuture;
use serde_json::{Value, json};

/// Copies or moves, and resumes what an interruption left.
pub struct Copy {
    spec: CopySpec,
}

impl Copy {
    /// A copy; relative paths are completed, so that it can be resumed from another folder.
    pub fn new(mut spec: CopySpec) -> Self {
        for location in spec.sources.iter_mut().chain([&mut spec.destination]) {
            if location.scheme() == Scheme::File
                && let Ok(path) = std::path::absolute(location.key())
                && let Some(path) = path.to_str()
            {
                *location = location.with_key(path);
            }
        }
        Self { spec }
    }

    /// The job that [`JobSpec::params`] describe.
    pub fn from_params(params: Value) -> Result<Box<dyn Job>> {
        let spec: CopySpec = serde_json::from_value(params).context(|| "the spec of a copy".into())?;
        if spec.sources.is_empty() {
            return Err(Error::usage("nothing to copy was named"));
        }
        Ok(Box::new(Self::new(spec)))
    }

    fn verb(&self) -> &'static str {
        if self.spec.moves { "move" } else { "copy" }
    }
}

/// The job that does what `spec` says: files are uploaded to a store, objects downloaded to the disk, which know
/// more of files; all else is copied. A folder under a new name is for the copy, and so is what is moved.
pub fn job_for(spec: &CopySpec) -> JobSpec {
    let is_file = |location: &Location| location.scheme() == Scheme::File;
    let renamed = matches!(spec.sources.as_slice(), [one] if one.is_container()) && !spec.destination.is_container();
    let (from_disk, to_disk) = (spec.sources.iter().all(is_file), is_file(&spec.destination));
    let to_store = matches!(spec.destination.scheme(), Scheme::S3 | Scheme::Gs | Scheme::Az);
    if !spec.moves && !renamed && from_disk && to_store {
        let files: Vec<Value> = spec.sources.iter().map(|l| json!({ "path": l.key().trim_end_matches('/') })).collect();
        let several = files.len() > 1;
        let to = if several { spec.destination.as_container() } else { spec.destination.clone() };
        let params = json!({ "files": files, "destination": to, "if_exists": spec.if_exists });
        return JobSpec { kind: "upload".into(), params };
    }
    if !spec.moves && !renamed && to_disk && !spec.sources.iter().any(is_file) {
        let params = json!({ "sources": spec.sources, "destination": spec.destination, "if_exists": spec.if_exists });
        return JobSpec { kind: "download".into(), params };
    }
    JobSpec { kind: "copy".into(), params: serde_json::to_value(spec).unwrap_or_default() }
}

/// A few words for where something goes: the bucket, and the folder in it.
fn place(location: &Location) -> String {
    match (location.bucket(), location.key().trim_end_matches('/')) {
        ("", "") => location.to_string(),
        ("", _) => location.name().to_owned(),
        (bucket, "") => bucket.to_owned(),
        (bucket, key) if key.contains('/') => format!("{bucket}/…/{}", location.name()),
        (bucket, _) => format!("{bucket}/{}", location.name()),
    }
}

impl Job for Copy {
    fn title(&self) -> String {
        let (verb, to) = (self.verb(), place(&self.spec.destination));
        match self.spec.sources.as_slice() {
            [one] => format!("{verb} {} → {to}", one.name()),
            many => format!("{verb} {} things → {to}", text::count(many.len() as u64)),
        }
    }

    fn spec(&self) -> JobSpec {
        JobSpec { kind: "copy".into(), params: serde_json::to_value(&self.spec).unwrap_or_default() }
    }

    fn writes(&self) -> Vec<Location> {
        let gone: &[Location] = if self.spec.moves { &self.spec.sources } else { &[] };
        gone.iter().chain([&self.spec.destination]).cloned().collect()
    }

    fn command(&self) -> Vec<String> {
        let mut words = vec![if self.spec.moves { "mv" } else { "cp" }.to_owned()];
        if self.spec.recursive && self.spec.sources.iter().any(Location::is_container) {
            words.push("-r".to_owned());
        }
        words.extend(self.spec.sources.iter().chain([&self.spec.destination]).map(Location::to_string));
        if self.spec.if_exists != IfExists::default() {
            words.extend(["--if-exists".to_owned(), self.spec.if_exists.as_str().to_owned()]);
        }
        words
    }

    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let began = std::time::Instant::now();
            let record = CopyRecord::new(&cx.earlier, cx.recorder());
            let report = copy(&cx.stores, &self.spec, &cx.control, &record).await?;
            Ok(self.outcome(report, began.elapsed()))
        })
    }
}

impl Copy {
    fn outcome(&self, report: CopyReport, took: std::time::Duration) -> Outcome {
        let s = if report.objects == 1 { "" } else { "s" };
        let verb = if self.spec.moves { "moved" } else { "copied" };
        let mut summary = format!(
            "{} object{s} {verb}, {}, {}",
            text::count(report.objects),
            text::bytes(report.bytes),
            text::duration(took)
        );
        if report.within > 0 && report.within == report.objects {
            summary.push_str("; none of it went through this computer");
        }
        if report.skipped > 0 {
            summary.push_str("; ");
            summary.push_str(&text::count(report.skipped));
            summary.push_str(" left as they are");
        }
        let data = json!({
            "stat": report.stat, "objects": report.objects, "bytes": report.bytes,
            "skipped": report.skipped, "within": report.within,
        });
        Outcome { summary, written: report.written, data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    fn job() -> Copy {
        let spec = CopySpec::new(vec![at("s3://allas@lakes/2024/"), at("s3://allas@lakes/x.tif")], at("s3://b/in/"));
        Copy::new(CopySpec { moves: true, if_exists: IfExists::Rename, ..spec })
    }

    #[test]
    fn it_can_be_said_as_a_command_line() {
        assert_eq!(job().title(), "move 2 things → b/in/");
        let expected = "mv -r s3://allas@lakes/2024/ s3://allas@lakes/x.tif s3://b/in/ --if-exists rename";
        assert_eq!(job().command().join(" "), expected);
        let one = Copy::new(CopySpec::new(vec![at("s3://a/x.tif")], at("s3://b/")));
        assert_eq!(
            (one.title().as_str(), one.command().join(" ").as_str()),
            ("copy x.tif → b", "cp s3://a/x.tif s3://b/")
        );
    }

    #[test]
    fn files_to_a_store_are_uploaded_but_not_moved_nor_renamed_folders() {
        let kind =
            |moves, from: &str, to: &str| job_for(&CopySpec { moves, ..CopySpec::new(vec![at(from)], at(to)) }).kind;
        assert_eq!(kind(false, "/d/x.tif", "s3://b/"), "upload");
        assert_eq!(kind(true, "/d/x.tif", "s3://b/"), "copy");
        assert_eq!(kind(false, "/d/set/", "s3://b/set"), "copy");
        assert_eq!(kind(false, "/d/x.tif", "/e/"), "copy");
        assert_eq!(kind(false, "s3://a/x.tif", "s3://b/"), "copy");
    }

    #[test]
    fn it_is_made_again_from_its_spec() {
        let spec = job().spec();
        assert_eq!(spec.params["move"], true);
        assert!(spec.params.get("whole").is_none(), "what is usual is not written");
        let again = crate::jobs::from_spec(spec.clone()).expect("known");
        assert_eq!(again.spec(), spec);
        let short = json!({ "sources": ["s3://a/x"], "destination": "s3://b/" });
        Copy::from_params(short).map(drop).expect("the rest is usual");
        assert!(Copy::from_params(json!({ "sources": [], "destination": "s3://b/" })).is_err());
    }
}
