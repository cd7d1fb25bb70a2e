//! The job `download`: objects and prefixes to a folder of this computer.

use crate::error::{Context as _, Error, Result};
use crate::job::{Job, JobCx, JobSpec, Outcome};
use crate::location::{Location, Scheme};
use crate::store::redacted;
use crate::text;
use crate::transfer::{Check, DownloadSpec, Downloads, IfExists, Trail, download};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Files that an outcome tells by name.
const TOLD: usize = 1_000;

/// Downloads objects and prefixes, and resumes what an interruption left.
pub struct Download {
    spec: DownloadSpec,
}

impl Download {
    /// A download.
    pub fn new(spec: DownloadSpec) -> Self {
        Self { spec }
    }

    /// The job that [`JobSpec::params`] describe. A signed address whose signature was not kept is refused.
    pub fn from_params(params: Value) -> Result<Box<dyn Job>> {
        let spec: DownloadSpec = serde_json::from_value(params).context(|| "the spec of a download".into())?;
        if let Some(source) = spec.sources.iter().find(|source| is_cut(source)) {
            return Err(Error::usage(format!("the signature of {source} is not kept on disk"))
                .with_hint("start the download again with a new link: what has arrived is not lost"));
        }
        Ok(Box::new(Self::new(spec)))
    }
}

/// How a source is written down: without what is secret in a web address.
fn shown(source: &Location) -> String {
    let text = source.to_string();
    match source.scheme() {
        Scheme::Http | Scheme::Https => redacted(&text),
        _ => text,
    }
}

/// Whether something secret was taken out of an address when it was written down.
fn is_cut(source: &Location) -> bool {
    matches!(source.scheme(), Scheme::Http | Scheme::Https)
        && source.key().split_once('?').is_some_and(|(_, query)| query.split('&').any(|part| part == "…"))
}

impl Job for Download {
    fn title(&self) -> String {
        match self.spec.sources.as_slice() {
            [one] => {
                let name = one.name().split('?').next().unwrap_or_default();
                let from = if one.bucket() == name { String::new() } else { format!(" ← {}", one.bucket()) };
                format!("download {name}{from}")
            }
            many => {
                let mut buckets: Vec<&str> = many.iter().map(Location::bucket).collect();
                buckets.dedup();
                let from = if let [one] = buckets.as_slice() { (*one).to_owned() } else { "several places".to_owned() };
                let what = if many.iter().any(Location::is_container) { "things" } else { "files" };
                format!("download {} {what} ← {from}", text::count(many.len() as u64))
            }
        }
    }

    fn spec(&self) -> JobSpec {
        let mut params = serde_json::to_value(&self.spec).unwrap_or_default();
        params["sources"] = self.spec.sources.iter().map(shown).collect();
        JobSpec { kind: "download".into(), params }
    }

    fn command(&self) -> Vec<String> {
        let mut words = vec!["get".to_owned()];
        words.extend(self.spec.sources.iter().map(shown));
        words.push(self.spec.destination.to_string());
        if self.spec.if_exists != IfExists::default() {
            words.extend(["--if-exists".to_owned(), self.spec.if_exists.as_str().to_owned()]);
        }
        if !self.spec.check {
            words.push("--no-check".to_owned());
        }
        words
    }

    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let began = std::time::Instant::now();
            let trail = Trail::new(&cx.earlier, cx.recorder());
            let done = download(&cx.stores, &self.spec, &cx.control, &trail).await?;
            Ok(outcome(&done, began.elapsed()))
        })
    }
}

/// "12 files, 1.2 GiB, 41 s, checked by MD5; 2 renamed".
fn outcome(done: &Downloads, took: std::time::Duration) -> Outcome {
    let read = || done.files.iter().filter(|file| !file.skipped);
    let (files, bytes) = (read().count(), read().fold(0_u64, |sum, file| sum.saturating_add(file.size)));
    let skipped = done.files.len() - files;
    let renamed = read().filter(|file| file.renamed.is_some()).count();
    let s = if files == 1 { "" } else { "s" };
    let mut summary =
        format!("{} file{s}, {}, {}", text::count(files as u64), text::bytes(bytes), text::duration(took));
    let checks = checks(done);
    let words: Vec<String> = match checks.as_slice() {
        [(check, _)] => vec![check.words().to_owned()],
        many => many.iter().map(|(check, n)| format!("{} {}", text::count(*n as u64), check.words())).collect(),
    };
    if !words.is_empty() {
        summary.push_str(", checked ");
        summary.push_str(&words.join(", "));
    }
    for (n, what) in [(skipped, "left as they are"), (renamed, "renamed"), (done.refused.len(), "left out")] {
        if n > 0 {
            let _ = write!(summary, "; {} {what}", text::count(n as u64));
        }
    }
    let written = read().take(TOLD).map(|file| Location::file(&file.path)).collect();
    let other_names: Vec<Value> = read()
        .filter_map(|file| Some((file, file.renamed?)))
        .take(TOLD)
        .map(|(file, why)| json!({ "location": shown(&file.location), "path": file.path, "why": why }))
        .collect();
    let refused: Vec<Value> =
        done.refused.iter().take(TOLD).map(|one| json!({ "location": shown(&one.location), "why": one.why })).collect();
    let checked: serde_json::Map<String, Value> = checks
        .iter()
        .filter_map(|(check, n)| Some((serde_json::to_value(check).ok()?.as_str()?.to_owned(), json!(n))))
        .collect();
    let data = json!({
        "files": files, "bytes": bytes, "skipped": skipped, "renamed": other_names, "left_out": refused,
        "checked": checked,
    });
    Outcome { summary, written, data }
}

/// By what how many files were compared, the strongest first.
fn checks(done: &Downloads) -> Vec<(Check, usize)> {
    let count = |check: Check| done.files.iter().filter(|file| file.check == Some(check)).count();
    Check::ALL.into_iter().map(|check| (check, count(check))).filter(|(_, n)| *n > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transfer::{Downloaded, Refused, Why};

    fn location(text: &str) -> Location {
        Location::parse(text).expect(text)
    }

    fn job(sources: &[&str]) -> Download {
        Download::new(DownloadSpec {
            sources: sources.iter().map(|source| location(source)).collect(),
            destination: location("/d/"),
            if_exists: IfExists::Skip,
            check: true,
        })
    }

    #[test]
    fn it_can_be_said_as_a_command_line_and_made_again() {
        let one = job(&["s3://allas@bucket/p/x.tif"]);
        assert_eq!(one.title(), "download x.tif ← bucket");
        assert_eq!(one.command().join(" "), "get s3://allas@bucket/p/x.tif /d/ --if-exists skip");
        let spec = one.spec();
        assert_eq!(crate::jobs::from_spec(spec.clone()).expect("known").spec(), spec);
        assert_eq!(job(&["s3://b/"]).title(), "download b");
        assert_eq!(job(&["s3://b/x", "s3://b/y"]).title(), "download 2 files ← b");
        assert_eq!(job(&["s3://b/x/", "s3://c/y"]).title(), "download 2 things ← several places");
    }

    #[test]
    fn a_signature_is_written_nowhere() {
        let signed = job(&["https://h/b/x.tif?list-type=2&X-Amz-Signature=abcdef"]);
        assert_eq!(signed.title(), "download x.tif ← h");
        assert!(!format!("{:?} {:?}", signed.spec(), signed.command()).contains("abcdef"));
        let err = crate::jobs::from_spec(signed.spec()).map(|_| ()).expect_err("cannot go on");
        assert!(err.to_string().contains("signature"), "{err}");
    }

    #[test]
    fn an_outcome_tells_names_and_proofs() {
        let file = |name: &str, check, renamed| Downloaded {
            location: location("s3://b/").child(name),
            path: format!("/d/{name}").into(),
            size: 10,
            skipped: false,
            check: Some(check),
            renamed,
        };
        let files = vec![
            file("a", Check::Md5, None),
            file("b", Check::Md5, Some(Why::Taken)),
            Downloaded { skipped: true, check: None, ..file("c", Check::Md5, None) },
        ];
        let refused = vec![Refused { location: location("s3://b/link/x"), why: "a link".into() }];
        let told = outcome(&Downloads { files, refused }, std::time::Duration::from_millis(48));
        assert_eq!(told.summary, "2 files, 20 B, 48 ms, checked by MD5; 1 left as they are; 1 renamed; 1 left out");
        assert_eq!(told.data["renamed"][0]["why"], "taken");
        assert_eq!(told.data["checked"]["md5"], 2);
        let mixed = vec![file("a", Check::Md5, None), file("b", Check::Length, None)];
        let told = outcome(&Downloads { files: mixed, refused: Vec::new() }, std::time::Duration::ZERO);
        assert_eq!(told.summary, "2 files, 20 B, 0 ms, checked 1 by MD5, 1 by length and version alone");
    }
}
