//! Uploading files and folders.

use super::ahead::Ahead;
use super::digest::{Checksum, Digests, Method, Proof};
use super::exists::{Conflicts, IfExists, Verdict, taken};
use super::media::check_meta;
use super::pace::Pace;
use super::parts::{IN_PARTS, MEMORY, mebibytes, part_size};
use super::resume::Resume;
use super::source::{File, Source, expand, numbered};
use super::standing::Wanted;
use super::together::Together;
use crate::entry::Stat;
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::{StoreHandle, Stores, UploadMeta};
use crate::task::Control;
use bytes::Bytes;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Numbers tried for a free name.
const NUMBERS: u32 = 1_000;
/// So many small files are each asked for when they are written; more are looked up in listings at the end.
const FEW: usize = 8;

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
    /// How what arrives is proved.
    #[serde(default)]
    pub checksum: Checksum,
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
    /// What vouches for it.
    pub proof: Proof,
    /// What the server says of it; of many small files, what it answered when it took them.
    pub stat: Stat,
}

/// What came of sending a file.
pub(super) struct Sent {
    pub(super) etag: String,
    /// `None`: it has to be read again.
    pub(super) proof: Option<Proof>,
}

/// Uploads all files of `spec`, and proves of each that the server has it. On an error the rest is stopped
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
    let limit = stores.concurrency();
    let is_s3 = spec.destination.scheme() == Scheme::S3;
    let transfer = Arc::new(Transfer {
        handle: control.race(stores.open(&spec.destination, &control.meter)).await?,
        spec: spec.clone(),
        control: control.clone(),
        resume: resume.clone(),
        files: files.len(),
        small: files.iter().filter(|file| file.stamp.size < IN_PARTS).count(),
        finished: AtomicUsize::new(0),
        pace: Pace::new(limit).watching(&control.meter),
        memory: Semaphore::new(mebibytes(MEMORY) as usize),
        stop: CancellationToken::new(),
        together: Together::default(),
        method: Method::new(spec.checksum, is_s3),
        conflicts: Conflicts::new(spec.if_exists).remembering(resume.answer()),
        obeys: AtomicBool::new(false),
        crowded: AtomicBool::new(matches!(spec.if_exists, IfExists::Skip | IfExists::Ask)),
        keeps_meta: AtomicBool::new(false),
        read: Mutex::default(),
    });
    transfer.explain();
    transfer.drop_stale(&files).await;
    transfer.drop_strays().await;
    let outcome = Box::pin(transfer.clone().all(files, limit)).await;
    if let (None, Some(verdict)) = (resume.answer(), transfer.conflicts.settled())
        && spec.if_exists == IfExists::Ask
    {
        resume.for_all(verdict);
    }
    outcome
}

fn has_meta(meta: &UploadMeta) -> bool {
    !meta.metadata.is_empty() || !meta.tags.is_empty() || meta.storage_class.is_some()
}

/// An upload of several files under way.
pub(super) struct Transfer {
    pub(super) handle: StoreHandle,
    pub(super) spec: UploadSpec,
    pub(super) control: Control,
    pub(super) resume: Resume,
    /// How many files there are, and how many of them go in one request.
    pub(super) files: usize,
    small: usize,
    finished: AtomicUsize,
    /// How much is under way at once.
    pub(super) pace: Pace,
    /// Mebibytes that may be held in memory.
    memory: Semaphore,
    /// Set when one file failed.
    stop: CancellationToken,
    pub(super) together: Together,
    pub(super) method: Method,
    conflicts: Conflicts,
    /// Whether the server is known to obey writes that are to replace nothing.
    obeys: AtomicBool,
    /// Whether things stand at destinations already: then it is looked before anything is sent.
    crowded: AtomicBool,
    /// Whether a HEAD has shown that the server keeps metadata and tags as they were sent.
    keeps_meta: AtomicBool,
    /// Small files that were read ahead, by their path.
    read: Mutex<HashMap<PathBuf, (Bytes, Digests)>>,
}

/// What is to be done with a file.
enum Step {
    /// Send it there, over what stands there or only if nothing does.
    Send {
        if_absent: bool,
    },
    /// It stands there already, from an attempt that was ended before it could say so.
    Ours(Stat),
    Skip(Stat),
    Rename,
}

impl Transfer {
    pub(super) fn is_s3(&self) -> bool {
        self.spec.destination.scheme() == Scheme::S3
    }

    pub(super) fn is_local(&self) -> bool {
        self.spec.destination.scheme() == Scheme::File
    }

    /// Whether small files are sent without a look at what stands where they go.
    pub(super) fn is_blind(&self) -> bool {
        let unlooked = self.obeys.load(Relaxed) && !self.crowded.load(Relaxed);
        self.is_s3() && self.small >= FEW && (self.overwrites() || unlooked)
    }

    /// Whether it is settled that what stands where files go is written over.
    fn overwrites(&self) -> bool {
        self.conflicts.settled() == Some(Verdict::Overwrite)
    }

    fn read(&self) -> MutexGuard<'_, HashMap<PathBuf, (Bytes, Digests)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was read ahead until it is sent.
    pub(super) fn keep_read(&self, read: Vec<(PathBuf, (Bytes, Digests))>) {
        self.read().extend(read);
    }

    /// What was read ahead of a file.
    pub(super) fn take_read(&self, file: &File) -> Option<(Bytes, Digests)> {
        self.read().remove(&file.path)
    }

    /// Says once what will not be as one may think.
    fn explain(&self) {
        if self.is_local() && has_meta(&self.spec.meta) {
            self.control.note("a local folder keeps no metadata, tags or content types");
        }
        if self.spec.checksum == Checksum::None {
            self.control.note("no checksums: only sizes will be compared");
        }
    }

    /// Runs `future` unless the user, or another file's failure, stops the work first.
    pub(super) async fn race<T>(&self, future: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(Error::cancelled()),
            result = self.control.race(future) => result,
        }
    }

    /// Room in memory for so many bytes.
    pub(super) async fn memory(&self, bytes: u64) -> Result<Option<SemaphorePermit<'_>>> {
        // The semaphore is never closed.
        self.race(async { Ok(self.memory.acquire_many(mebibytes(bytes)).await.ok()) }).await
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

    /// All files: first those that tell how the server behaves, then the others at once, then the look whether
    /// all are there.
    async fn all(self: Arc<Self>, files: Vec<File>, limit: usize) -> Result<Vec<Uploaded>> {
        let before = self.done_before(&files).await?;
        let mut done: Vec<(usize, Result<Uploaded>)> = Vec::with_capacity(files.len());
        let mut waiting = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            match before.get(&index) {
                Some(uploaded) => {
                    self.control.advance(file.stamp.size);
                    self.finished.fetch_add(1, Relaxed);
                    done.push((index, Ok(uploaded.clone())));
                }
                None => waiting.push((index, file)),
            }
        }
        let mut waiting = waiting.into_iter().peekable();
        self.learn(&mut waiting, &mut done).await;
        let mut ahead = Ahead::new(self.clone(), waiting);
        let mut running = JoinSet::new();
        loop {
            while running.len() < limit.max(1)
                && let Some((index, file)) = ahead.next().await
            {
                let transfer = self.clone();
                running.spawn(async move { transfer.one_of(index, &file).await });
            }
            let Some(ended) = running.join_next().await else { break };
            done.push(ended.map_err(|err| Error::new(Kind::Failed, "a worker failed").with_source(err))?);
        }
        done.sort_by_key(|(i, _)| *i);
        // The first failure stops the others, which then say that they were cancelled: it is the one to tell.
        if let Some(at) = done.iter().position(|(_, r)| r.as_ref().is_err_and(|e| e.kind() != Kind::Cancelled)) {
            return done.swap_remove(at).1.map(|one| vec![one]);
        }
        let done = done.into_iter().map(|(_, result)| result).collect::<Result<Vec<_>>>()?;
        if done.len() != self.files {
            let lost = format!("of {} files only {} were sent", self.files, done.len());
            return Err(Error::new(Kind::Failed, lost).with_hint("retry this job: what is missing is sent"));
        }
        self.all_there(&done).await?;
        Ok(done)
    }

    /// Sends the first small files one after the other until it is known whether the server obeys writes that are
    /// to replace nothing: then no other file needs a question before it.
    async fn learn(
        &self,
        waiting: &mut std::iter::Peekable<std::vec::IntoIter<(usize, File)>>,
        done: &mut Vec<(usize, Result<Uploaded>)>,
    ) {
        match self.handle.obeys_conditions() {
            Some(obeys) => return self.obeys.store(obeys, Relaxed),
            None if self.small < FEW || self.overwrites() => return,
            None => {}
        }
        for _ in 0..2 {
            let Some((index, file)) = waiting.next_if(|(_, file)| file.stamp.size < IN_PARTS) else { return };
            let (index, result) = self.one_of(index, &file).await;
            let ours = result.as_ref().ok().filter(|one| !one.skipped).map(|one| one.location.clone());
            let failed = result.is_err();
            done.push((index, result));
            if failed {
                return;
            }
            if let Some(location) = ours {
                // The same once more: a server that obeys refuses it, any other writes what stands there already.
                let again = self.put(&file, &location, &self.meta_of(&location), true).await;
                self.control.take_back(if again.is_ok() { file.stamp.size } else { 0 });
                let obeys = again.is_err_and(|err| err.kind() == Kind::Exists);
                if !obeys {
                    self.control.note(
                        "this server writes over what stands there even if told not to: each name is asked for first",
                    );
                }
                return self.obeys.store(obeys, Relaxed);
            }
        }
    }

    async fn one_of(&self, index: usize, file: &File) -> (usize, Result<Uploaded>) {
        let result = Box::pin(self.one(file)).await.context(|| format!("uploading {}", file.path.display()));
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
        self.race(self.control.turn()).await?;
        let mut to = file.location.clone();
        // An upload that goes on keeps the name it had found.
        if let Some(left) = self.resume.unfinished(file, part_size(file.stamp.size)?) {
            to = left.location.clone();
        } else if let Some(intent) = self.resume.intent(file) {
            to = intent.location.clone();
        }
        let (mut taken_by, mut number) = (None, 0);
        while number < NUMBERS {
            match self.step(file, &to, taken_by.take()).await? {
                Step::Skip(stat) => return Ok(self.skipped(file, to, stat)),
                Step::Rename => {
                    number += 1;
                    to = numbered(&file.location, number);
                }
                Step::Ours(stat) => {
                    let etag = stat.etag.unwrap_or_default();
                    self.control.advance(file.stamp.size);
                    return self.prove(file, to, Sent { etag, proof: Some(Proof::Md5) }).await;
                }
                Step::Send { if_absent } => match self.send(file, &to, if_absent).await {
                    Ok(sent) => return self.prove(file, to, sent).await,
                    // It came to stand there between our look and our put, or it was not looked; or it is ours, and
                    // was still on its way when the attempt that sent it was killed.
                    Err(err)
                        if err.kind() == Kind::Exists
                            && (self.spec.if_exists != IfExists::Fail || self.resume.is_again()) =>
                    {
                        self.crowded.store(true, Relaxed);
                        taken_by = Some(self.find(&to).await?.ok_or(err)?);
                    }
                    Err(err) => return Err(err),
                },
            }
        }
        Err(taken(&file.location).with_hint("a thousand numbered names are taken too"))
    }

    /// What to do at `to`; `standing` is what was found there already.
    async fn step(&self, file: &File, to: &Location, standing: Option<Stat>) -> Result<Step> {
        let small = file.stamp.size < IN_PARTS;
        let intended = self.resume.intent(file).is_some_and(|intent| intent.location == *to);
        let overwrite = self.overwrites();
        let look = intended || !(overwrite || small && self.obeys.load(Relaxed) && !self.crowded.load(Relaxed));
        let standing = match standing {
            None if look => self.find(to).await?,
            other => other,
        };
        let Some(stat) = standing else { return Ok(Step::Send { if_absent: !overwrite }) };
        // Whatever an attempt before came to write down: the same content is what it sent.
        if self.resume.is_again() && small && self.is_content_of(file, &stat).await? {
            return Ok(Step::Ours(stat));
        }
        // An upload in parts that was completed is found out where it goes on.
        if intended && !small && self.resume.unfinished(file, part_size(file.stamp.size)?).is_some() {
            return Ok(Step::Send { if_absent: !overwrite });
        }
        Ok(match self.conflicts.decide(&self.control, to, Some(&stat), Some(file.stamp.size)).await? {
            Verdict::Skip => Step::Skip(stat),
            Verdict::Rename => Step::Rename,
            Verdict::Overwrite => Step::Send { if_absent: false },
        })
    }

    fn skipped(&self, file: &File, location: Location, stat: Stat) -> Uploaded {
        self.control.note(format!("{location} exists already: left as it is"));
        self.control.advance(file.stamp.size);
        let (path, size) = (file.path.clone(), stat.size);
        Uploaded { path, location, size, skipped: true, proof: Proof::Size, stat }
    }

    /// What is kept beside the bytes of what goes to `to`.
    fn meta_of(&self, to: &Location) -> UploadMeta {
        let mut meta = self.spec.meta.clone();
        if meta.content_type.is_none() {
            meta.content_type = super::content_type(to.name()).map(str::to_owned);
        }
        meta
    }

    async fn send(&self, file: &File, to: &Location, if_absent: bool) -> Result<Sent> {
        let meta = self.meta_of(to);
        if file.stamp.size < IN_PARTS {
            self.put(file, to, &meta, if_absent).await
        } else {
            self.send_in_parts(file, to, &meta, if_absent).await
        }
    }

    /// What stands at `location`, without its tags.
    pub(super) async fn find(&self, location: &Location) -> Result<Option<Stat>> {
        self.again(|| self.handle.find(location)).await.0
    }

    /// Removes what was written altered, as long as it is that, and gives the error on.
    pub(super) async fn withdrawn(&self, err: Error, location: &Location, etag: &str) -> Error {
        if err.kind() != Kind::Invalid || etag.is_empty() {
            return err;
        }
        match self.race(self.handle.delete_unchanged(location.key(), etag)).await {
            Ok(()) => self.control.note(format!("{location} was removed: it had arrived altered")),
            Err(why) => self.control.note(format!("{location} had arrived altered and could not be removed: {why}")),
        }
        err
    }

    /// Has it proved that what stands there is what was sent. Of many small files the server's answer is proof
    /// enough, once one of them has shown that it keeps metadata too; whether all are there is looked at the end.
    async fn prove(&self, file: &File, location: Location, sent: Sent) -> Result<Uploaded> {
        let proof = sent.proof.unwrap_or(Proof::ReadBack);
        if sent.proof.is_none()
            && let Err(err) = self.read_back(file, &location).await
        {
            return Err(self.withdrawn(err, &location, &sent.etag).await);
        }
        let (path, size) = (file.path.clone(), file.stamp.size);
        let by_answer = self.is_s3() && size < IN_PARTS && self.small >= FEW && !sent.etag.is_empty();
        if by_answer && self.keeps_meta.load(Relaxed) {
            let stat = super::standing::stat_of(&location, size, &sent.etag, &self.meta_of(&location));
            self.resume.file(file, &location, Some(&sent.etag), proof);
            return Ok(Uploaded { path, location, size, skipped: false, proof, stat });
        }
        let stat = self.proof_of_head(file, &location, &sent.etag).await?;
        self.keeps_meta.store(true, Relaxed);
        self.resume.file(file, &location, stat.etag.as_deref(), proof);
        Ok(Uploaded { path, location, size, skipped: false, proof, stat })
    }

    /// The files that a former attempt wrote and that still stand there, by index.
    async fn done_before(&self, files: &[File]) -> Result<std::collections::HashMap<usize, Uploaded>> {
        let known = files.iter().enumerate().filter_map(|(i, file)| Some((i, file, self.resume.finished(file)?)));
        let known: Vec<_> = known.collect();
        if known.is_empty() {
            return Ok(std::collections::HashMap::new());
        }
        self.control.step("looking at what was sent before");
        let wanted = known.iter().map(|(_, file, done)| Wanted {
            location: done.location.clone(),
            size: file.stamp.size,
            etag: done.etag.clone(),
        });
        let there = self.standing(wanted.collect()).await?;
        let mut found = std::collections::HashMap::new();
        for (index, file, done) in known {
            let Some(etag) = there.get(&done.location) else { continue };
            let (path, location, size) = (file.path.clone(), done.location.clone(), file.stamp.size);
            let stat = super::standing::stat_of(&location, size, etag, &self.meta_of(&location));
            found.insert(index, Uploaded { path, location, size, skipped: false, proof: done.proof, stat });
        }
        Ok(found)
    }

    /// Fails where the server does not have what it took.
    async fn all_there(&self, done: &[Uploaded]) -> Result<()> {
        let small = |one: &&Uploaded| !one.skipped && one.size < IN_PARTS;
        if !self.is_s3() || self.small < FEW {
            return Ok(());
        }
        self.control.step("looking whether all are there");
        let wanted: Vec<Wanted> = done
            .iter()
            .filter(small)
            .map(|one| Wanted { location: one.location.clone(), size: one.size, etag: one.stat.etag.clone() })
            .collect();
        let there = self.standing(wanted).await?;
        self.control.step(format!("{0} of {0} files", self.files));
        match done.iter().filter(small).find(|one| !there.contains_key(&one.location)) {
            Some(lost) => Err(Error::invalid(format!("the server took {} but does not have it", lost.location))
                .with_hint("retry this job: what is missing is sent again")),
            None => Ok(()),
        }
    }
}
