//! Uploading files and folders.

use super::exists::{IfExists, taken as exists};
use super::parts::{IN_FLIGHT, IN_PARTS, Sums, part_size};
use super::resume::Resume;
use super::source::{File, Source, expand, numbered};
use crate::entry::Stat;
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::{StoreHandle, Stores, UploadMeta};
use crate::task::Control;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Numbers tried for a free name.
const NUMBERS: u32 = 1_000;

/// What to upload, where to, and how. Holds no secret.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct UploadSpec {
    /// Files and folders.
    pub files: Vec<Source>,
    /// The key of a single file, or the container of all (where it ends in `/`, or there are several).
    pub destination: Location,
    /// What is kept beside the bytes; without a content type each file's suffix tells it.
    #[serde(default)]
    pub meta: UploadMeta,
    /// What happens where something stands already.
    #[serde(default)]
    pub if_exists: IfExists,
}

/// A file that was uploaded, or left out since it exists.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Uploaded {
    /// The file.
    pub path: PathBuf,
    /// Where it stands now.
    pub location: Location,
    /// Bytes.
    pub size: u64,
    /// It stood there before and was left as it is.
    pub skipped: bool,
    /// What the server says of it: the proof.
    pub stat: Stat,
}

/// Uploads all files of `spec`, and asks the server of each what it has. On an error the rest is stopped
/// and cleaned up; what is whole stays, and `resume` tells the next attempt of it.
pub async fn upload(stores: &Stores, spec: &UploadSpec, control: &Control, resume: &Resume) -> Result<Vec<Uploaded>> {
    check_meta(&spec.meta)?;
    if spec.destination.is_account() {
        return Err(Error::usage("the destination names no bucket"));
    }
    control.step("looking at the files");
    let (sources, destination) = (spec.files.clone(), spec.destination.clone());
    let files = control.blocking(move |control| expand(&sources, &destination, &control)).await?;
    if files.is_empty() {
        return Err(Error::new(Kind::NotFound, "there is no file to upload"));
    }
    control.set_total(files.iter().fold(0, |sum, file| sum.saturating_add(file.stamp.size)));
    let transfer = Transfer {
        stores,
        handle: control.race(stores.open(&spec.destination, &control.meter)).await?,
        spec,
        control,
        resume,
        files: files.len(),
        finished: AtomicUsize::new(0),
        places: Semaphore::new(IN_FLIGHT as usize),
        stop: CancellationToken::new(),
        sums: Sums::default(),
    };
    if spec.destination.scheme() == Scheme::File && has_meta(&spec.meta) {
        control.note("a local folder keeps no metadata, tags or content types");
    }
    transfer.drop_stale(&files).await;
    let mut waiting = files.iter().enumerate();
    let mut running = FuturesUnordered::new();
    let mut done = Vec::with_capacity(files.len());
    loop {
        running.extend(waiting.by_ref().take(IN_FLIGHT as usize - running.len()).map(|(i, f)| transfer.one_of(i, f)));
        let Some(ended) = running.next().await else { break };
        done.push(ended);
    }
    done.sort_by_key(|(i, _)| *i);
    // The first failure stops the others, which then say that they were cancelled: it is the one to tell.
    let told = done.iter().position(|(_, r)| r.as_ref().is_err_and(|e| e.kind() != Kind::Cancelled));
    match told {
        Some(at) => done.swap_remove(at).1.map(|one| vec![one]),
        None => done.into_iter().map(|(_, result)| result).collect(),
    }
}

fn has_meta(meta: &UploadMeta) -> bool {
    !meta.metadata.is_empty() || !meta.tags.is_empty() || meta.storage_class.is_some()
}

/// What S3 does not take is refused before anything is sent.
fn check_meta(meta: &UploadMeta) -> Result<()> {
    let mut size = 0;
    for (key, value) in &meta.metadata {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if key.is_empty() || !key.bytes().all(is_token) {
            return Err(Error::usage(format!("`{key}` is not a metadata key"))
                .with_hint("use letters, digits, dots, dashes and underscores"));
        }
        if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) || value.trim() != value {
            return Err(Error::usage(format!("the metadata value of `{key}` cannot be sent as it is"))
                .with_hint("use printable ASCII without spaces at its ends"));
        }
        size += key.len() + value.len();
    }
    if size > 2048 {
        return Err(Error::usage(format!("{size} bytes of metadata; S3 keeps at most 2048")));
    }
    if meta.tags.len() > 10 {
        return Err(Error::usage(format!("{} tags; S3 keeps at most 10", meta.tags.len())));
    }
    Ok(())
}

/// An upload of several files under way.
pub(super) struct Transfer<'a> {
    pub(super) stores: &'a Stores,
    pub(super) handle: StoreHandle,
    pub(super) spec: &'a UploadSpec,
    pub(super) control: &'a Control,
    pub(super) resume: &'a Resume,
    /// How many files there are.
    pub(super) files: usize,
    finished: AtomicUsize,
    /// Bounds what is in flight, and with it the memory.
    pub(super) places: Semaphore,
    /// Set when one file failed.
    stop: CancellationToken,
    pub(super) sums: Sums,
}

impl Transfer<'_> {
    /// Runs `future` unless the user, or another file's failure, stops the work first.
    pub(super) async fn race<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::cancelled()),
            result = self.control.race(future) => result,
        }
    }

    /// Takes progress back that did not come to an end.
    pub(super) fn take_back(&self, bytes: u64) {
        let (done, _) = self.control.progress();
        // Files that advance just now may be a part ahead for a moment; the end is right.
        self.control.set_done(done.saturating_sub(bytes));
    }

    /// Aborts uploads of former attempts that will not go on, so that none is orphaned.
    async fn drop_stale(&self, files: &[File]) {
        let keep: Vec<&str> = files
            .iter()
            .filter_map(|file| self.resume.unfinished(file, part_size(file.stamp.size).ok()?))
            .map(|unfinished| unfinished.upload_id.as_str())
            .collect();
        for stale in self.resume.stale(&keep) {
            if stale.location.store() == self.spec.destination.store() {
                self.control.note(format!("removing an unfinished upload of {}", stale.path.display()));
                self.abort(stale.location.key(), &stale.upload_id).await;
            }
        }
    }

    async fn one_of(&self, index: usize, file: &File) -> (usize, Result<Uploaded>) {
        let result = self.one(file).await.context(|| format!("uploading {}", file.path.display()));
        if result.is_err() {
            self.stop.cancel();
        }
        let finished = self.finished.fetch_add(1, Relaxed) + 1;
        if self.files > 1 {
            self.control.step(format!("{finished} of {} files", self.files));
        }
        (index, result)
    }

    async fn one(&self, file: &File) -> Result<Uploaded> {
        self.race(std::future::ready(Ok(()))).await?;
        if let Some(uploaded) = self.done_before(file).await? {
            return Ok(uploaded);
        }
        let mut to = file.location.clone();
        // An upload that goes on keeps the name it had found.
        if let Some(left) = self.resume.unfinished(file, part_size(file.stamp.size)?) {
            to = left.location.clone();
        }
        let rule = self.spec.if_exists;
        for number in 1..=NUMBERS {
            let standing = if rule == IfExists::Overwrite { None } else { self.find(&to).await? };
            let sent = match standing {
                Some(stat) if rule == IfExists::Skip => return Ok(self.skipped(file, to, stat)),
                Some(_) => Err(exists(&to)),
                None => self.send(file, &to, rule != IfExists::Overwrite).await,
            };
            match sent {
                Ok(etag) => return self.prove(file, to, &etag).await,
                Err(err) if err.kind() == Kind::Exists && rule == IfExists::Rename => {
                    to = numbered(&file.location, number);
                }
                // It came to stand there between our look and our put.
                Err(err) if err.kind() == Kind::Exists && rule == IfExists::Skip => {
                    let stat = self.find(&to).await?.ok_or(err)?;
                    return Ok(self.skipped(file, to, stat));
                }
                Err(err) => return Err(err),
            }
        }
        Err(exists(&file.location).with_hint("a thousand numbered names are taken too"))
    }

    fn skipped(&self, file: &File, location: Location, stat: Stat) -> Uploaded {
        self.control.note(format!("{location} exists already: left as it is"));
        self.control.advance(file.stamp.size);
        Uploaded { path: file.path.clone(), location, size: stat.size, skipped: true, stat }
    }

    /// The file as a former attempt left it on the server, if it still stands there.
    async fn done_before(&self, file: &File) -> Result<Option<Uploaded>> {
        let Some(done) = self.resume.finished(file) else { return Ok(None) };
        let Some(stat) = self.find(&done.location).await? else { return Ok(None) };
        if stat.size != file.stamp.size || (done.etag.is_some() && stat.etag != done.etag) {
            return Ok(None);
        }
        self.control.advance(file.stamp.size);
        let (path, location, size) = (file.path.clone(), done.location.clone(), stat.size);
        Ok(Some(Uploaded { path, location, size, skipped: false, stat }))
    }

    async fn send(&self, file: &File, to: &Location, if_absent: bool) -> Result<String> {
        let mut meta = self.spec.meta.clone();
        if meta.content_type.is_none() {
            meta.content_type = super::content_type(to.name()).map(str::to_owned);
        }
        if file.stamp.size < IN_PARTS {
            self.put(file, to, &meta, if_absent).await
        } else {
            self.send_in_parts(file, to, &meta, if_absent).await
        }
    }

    /// What stands at `location`.
    pub(super) async fn find(&self, location: &Location) -> Result<Option<Stat>> {
        match self.race(Box::pin(self.stores.stat(location, &self.control.meter))).await {
            Ok(stat) => Ok(Some(stat)),
            Err(err) if err.kind() == Kind::NotFound => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Asks the server what it has, and compares: some accept a write and keep something else.
    async fn prove(&self, file: &File, location: Location, etag: &str) -> Result<Uploaded> {
        let mut stat = self.standing(&location).await?;
        let wished = &self.spec.meta.tags;
        if stat.tags != *wished && !wished.is_empty() && location.scheme() == Scheme::S3 {
            // Ceph 16 forgets the tags that an upload in parts was begun with.
            self.race(self.handle.set_tags(location.key(), wished)).await?;
            stat = self.standing(&location).await?;
        }
        if let Some(why) = self.differs(&stat, file, etag) {
            return Err(Error::invalid(format!("{location} is not what was sent: {why}")));
        }
        self.resume.file(file, &location, stat.etag.as_deref());
        Ok(Uploaded { path: file.path.clone(), location, size: stat.size, skipped: false, stat })
    }

    async fn standing(&self, location: &Location) -> Result<Stat> {
        let found = self.find(location).await?;
        found.ok_or_else(|| Error::invalid(format!("the server took {location} but does not have it")))
    }

    fn differs(&self, stat: &Stat, file: &File, etag: &str) -> Option<String> {
        if stat.size != file.stamp.size {
            return Some(format!("it has {} bytes, the file {}", stat.size, file.stamp.size));
        }
        let theirs = stat.etag.as_deref().unwrap_or(etag);
        if !etag.is_empty() && theirs.trim_matches('"') != etag.trim_matches('"') {
            return Some(format!("its ETag is {theirs}, that of another write; ours was {etag}"));
        }
        if stat.location.scheme() == Scheme::File {
            return None;
        }
        let meta = &self.spec.meta;
        // Header names are not case-sensitive, and servers keep them in lower case.
        let kept = |key: &str| stat.metadata.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v);
        for (key, value) in &meta.metadata {
            if kept(key) != Some(value) {
                return Some(format!("its metadata `{key}` is {:?}", kept(key).map_or("absent", String::as_str)));
            }
        }
        if let Some(wish) = &meta.content_type
            && stat.content_type.as_ref() != Some(wish)
        {
            return Some(format!("its content type is {:?}", stat.content_type.as_deref().unwrap_or("absent")));
        }
        (stat.tags != meta.tags && !meta.tags.is_empty()).then(|| "its tags are others".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_that_cannot_be_sent_is_refused_first() {
        let meta = |key: &str, value: &str| UploadMeta {
            metadata: [(key.to_owned(), value.to_owned())].into(),
            ..UploadMeta::default()
        };
        check_meta(&meta("fairease.catalog.mediatype", "COG")).expect("is fine");
        for bad in [meta("a b", "x"), meta("", "x"), meta("k", "Järvi"), meta("k", "a\r\nb: c"), meta("k", " x")] {
            assert_eq!(check_meta(&bad).map_err(|e| e.kind()), Err(Kind::Usage), "{bad:?}");
        }
        assert!(check_meta(&meta("k", &"x".repeat(2048))).is_err());
    }
}
