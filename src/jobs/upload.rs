//! The job `upload`: files and folders to a store.

use crate::error::{Context as _, Result};
use crate::job::{Job, JobCx, JobSpec, Outcome};
use crate::location::Location;
use crate::text;
use crate::transfer::{Checksum, IfExists, Proof, Resume, Source, UploadSpec, Uploaded, upload};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Uploads files and folders, and resumes what an interruption left.
pub struct Upload {
    spec: UploadSpec,
}

impl Upload {
    /// An upload; relative paths are completed, so that it can be resumed from another folder.
    pub fn new(mut spec: UploadSpec) -> Self {
        for source in &mut spec.files {
            source.path = absolute(&source.path);
        }
        Self { spec }
    }

    /// The job that [`JobSpec::params`] describe.
    pub fn from_params(params: Value) -> Result<Box<dyn Job>> {
        let spec = serde_json::from_value(params).context(|| "the spec of an upload".into())?;
        Ok(Box::new(Self::new(spec)))
    }
}

fn absolute(path: &Path) -> PathBuf {
    if path.starts_with("~") {
        return Location::file(path).to_path().unwrap_or_else(|| path.to_owned());
    }
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Job for Upload {
    fn title(&self) -> String {
        let to = match self.spec.destination.bucket() {
            "" => self.spec.destination.name(),
            bucket => bucket,
        };
        match self.spec.files.as_slice() {
            [one] => {
                let name = one.path.file_name().unwrap_or(one.path.as_os_str()).to_string_lossy();
                format!("upload {name} → {to}")
            }
            many => format!("upload {} files → {to}", many.len()),
        }
    }

    fn spec(&self) -> JobSpec {
        // Only a path that is not UTF-8 cannot be written; the upload refuses it with a sentence.
        JobSpec { kind: "upload".into(), params: serde_json::to_value(&self.spec).unwrap_or_default() }
    }

    fn command(&self) -> Vec<String> {
        let mut words = vec!["put".to_owned()];
        words.extend(self.spec.files.iter().map(|source| source.path.to_string_lossy().into_owned()));
        words.push(match self.spec.files.as_slice() {
            [Source { key: Some(key), .. }] => self.spec.destination.as_container().child(key).to_string(),
            _ => self.spec.destination.to_string(),
        });
        let meta = &self.spec.meta;
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        for (key, value) in &meta.metadata {
            option("--metadata", format!("{key}={value}"));
        }
        for (key, value) in &meta.tags {
            option("--tag", format!("{key}={value}"));
        }
        if let Some(kind) = &meta.content_type {
            option("--content-type", kind.clone());
        }
        if let Some(class) = &meta.storage_class {
            option("--storage-class", class.clone());
        }
        if let Some(kind) = &meta.encryption {
            option("--sse", kind.clone());
        }
        if let Some(key) = &meta.encryption_key {
            option("--sse-kms-key-id", key.clone());
        }
        if let Some(acl) = &meta.acl {
            option("--acl", acl.clone());
        }
        if self.spec.checksum != Checksum::default() {
            option("--checksum", self.spec.checksum.as_str().into());
        }
        if self.spec.if_exists != IfExists::default() {
            option("--if-exists", self.spec.if_exists.as_str().into());
        }
        words
    }

    fn run<'a>(&'a self, cx: &'a JobCx) -> BoxFuture<'a, Result<Outcome>> {
        Box::pin(async move {
            let began = std::time::Instant::now();
            let resume = Resume::new(&cx.earlier, cx.recorder());
            let files = upload(&cx.stores, &self.spec, &cx.control, &resume).await?;
            let requests = cx.control.meter.counts().requests;
            Ok(outcome(&files, began.elapsed(), requests))
        })
    }
}

fn outcome(files: &[Uploaded], took: std::time::Duration, requests: u64) -> Outcome {
    let written: Vec<&Uploaded> = files.iter().filter(|f| !f.skipped).collect();
    let skipped = files.len() - written.len();
    let bytes: u64 = written.iter().map(|f| f.size).sum();
    let s = if written.len() == 1 { "" } else { "s" };
    let left = if skipped > 0 { format!("; {skipped} left as they are") } else { String::new() };
    // The weakest of them is what holds for all.
    let weakest: Option<Proof> = written.iter().map(|f| f.proof).max();
    let proved = weakest.map_or_else(String::new, |proof| format!(", {}", proof.words()));
    let (size, time) = (text::bytes(bytes), text::duration(took));
    let summary = format!("{} file{s}, {size}, {time}{proved}{left}", written.len());
    let mut proofs = std::collections::BTreeMap::new();
    for file in &written {
        *proofs.entry(file.proof).or_insert(0_u64) += 1;
    }
    let stat = files.first().map(|f| serde_json::to_value(&f.stat).unwrap_or_default()).unwrap_or_default();
    let data = json!({
        "stat": stat, "files": written.len(), "skipped": skipped, "bytes": bytes, "requests": requests,
        "proofs": proofs,
    });
    Outcome { summary, written: written.iter().map(|f| f.location.clone()).collect(), data }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::UploadMeta;

    fn job() -> Upload {
        Upload::new(UploadSpec {
            files: vec![Source::new("/d/x.tif")],
            destination: Location::parse("s3://allas@bucket/p/").expect("location"),
            meta: UploadMeta {
                content_type: Some("image/tiff".into()),
                metadata: [("fairease.catalog.mediatype".to_owned(), "COG".to_owned())].into(),
                ..UploadMeta::default()
            },
            if_exists: IfExists::Rename,
            checksum: Checksum::Auto,
        })
    }

    #[test]
    fn it_can_be_said_as_a_command_line() {
        assert_eq!(job().title(), "upload x.tif → bucket");
        let words = job().command().join(" ");
        let expected = "put /d/x.tif s3://allas@bucket/p/ --metadata fairease.catalog.mediatype=COG \
                        --content-type image/tiff --if-exists rename";
        assert_eq!(words, expected);
    }

    #[test]
    fn it_is_made_again_from_its_spec() {
        let spec = job().spec();
        let again = crate::jobs::from_spec(spec.clone()).expect("known");
        assert_eq!(again.spec(), spec);
    }
}
