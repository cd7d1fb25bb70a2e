//! Sending one file: in one put, or in parts.

use super::resume::Unfinished;
use super::source::{File, changed};
use super::upload::Transfer;
use crate::error::{Context as _, Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::UploadMeta;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use md5::{Digest as _, Md5};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const MIB: u64 = 1 << 20;
/// Files of this size and more are sent in parts.
pub(super) const IN_PARTS: u64 = 16 * MIB;
/// The smallest part that we send: small enough for a lively chart and little to send again.
const PART: u64 = 8 * MIB;
/// S3: parts of one object, and its size.
const MAX_PARTS: u64 = 10_000;
const MAX_SIZE: u64 = 5 << 40;
/// Parts and small files in flight at once.
pub(super) const IN_FLIGHT: u32 = 4;
/// Memory that those may take; larger parts take several places.
const MEMORY: u64 = 512 * MIB;
/// How often a part is sent before it counts as failed.
const TRIES: u32 = 3;
/// How long the clean-up of an upload may take when the user waits for it.
const CLEAN_UP: Duration = Duration::from_secs(15);

const ALTERED: &str = "check the network between here and the server, then try again";

/// The size of the parts of a file: at most 10,000, in whole MiB.
pub(super) fn part_size(size: u64) -> Result<u64> {
    if size > MAX_SIZE {
        return Err(Error::new(Kind::Limit, "an object can have at most 5 TiB")
            .with_hint("split the file, or convert it to a format of many objects"));
    }
    Ok(size.div_ceil(MAX_PARTS).div_ceil(MIB).saturating_mul(MIB).max(PART))
}

/// Places that a part of this size takes among those in flight.
fn places(part: u64) -> u32 {
    (part.saturating_mul(u64::from(IN_FLIGHT)) / MEMORY).clamp(1, u64::from(IN_FLIGHT)) as u32
}

/// Whether sending again may help.
fn is_passing(kind: Kind) -> bool {
    matches!(kind, Kind::Unreachable | Kind::Failed | Kind::Limit)
}

/// Whether the server's `ETag`s are MD5 sums: not with encryption by a key service, nor on every server.
#[derive(Default)]
pub(super) struct Sums(AtomicU8);

impl Sums {
    const UNKNOWN: u8 = 0;
    const MD5: u8 = 1;
    const OTHER: u8 = 2;
}

/// The MD5 that an `ETag` is, if it looks like one.
fn md5_of(etag: &str) -> Option<[u8; 16]> {
    let hex = etag.trim_matches('"');
    let mut out = [0; 16];
    if hex.len() != 32 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(hex.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// The `ETag` that S3 gives to an object of these parts, without quotes; `None` where they are not MD5 sums.
fn whole_etag(parts: &BTreeMap<u32, String>) -> Option<String> {
    let mut all = Md5::new();
    for etag in parts.values() {
        all.update(md5_of(etag)?);
    }
    Some(format!("{}-{}", hex(&all.finalize()), parts.len()))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Bytes `offset..offset + len` of a file, with their MD5. Blocks.
fn read_part(file: &std::fs::File, path: &Path, offset: u64, len: u64) -> Result<(Bytes, [u8; 16])> {
    let len = usize::try_from(len).map_err(|_| Error::new(Kind::Limit, "a part is larger than memory"))?;
    let mut buffer = vec![0; len];
    read_exact_at(file, &mut buffer, offset).map_err(|err| match err.kind() {
        std::io::ErrorKind::UnexpectedEof => changed(path),
        _ => Error::from(err).context(format!("reading {}", path.display())),
    })?;
    let sum = Md5::digest(&buffer).into();
    Ok((buffer.into(), sum))
}

#[cfg(unix)]
fn read_exact_at(file: &std::fs::File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(not(unix))]
fn read_exact_at(file: &std::fs::File, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    // A handle of its own: parts are read at once, and this handle has only one position.
    let mut own = file.try_clone()?;
    own.seek(SeekFrom::Start(offset))?;
    own.read_exact(buffer)
}

/// One part to send.
struct Part {
    number: u32,
    offset: u64,
    len: u64,
}

/// An upload in parts under way.
struct Sending<'a> {
    file: &'a File,
    key: &'a str,
    upload_id: String,
    source: Arc<std::fs::File>,
    count: usize,
    sent: AtomicUsize,
}

impl Transfer<'_> {
    /// Sends a small file in one put; its `ETag`.
    pub(super) async fn put(&self, file: &File, to: &Location, meta: &UploadMeta, if_absent: bool) -> Result<String> {
        let _place = self.race(async { Ok(self.places.acquire().await) }).await?;
        let (path, stamp) = (file.path.clone(), file.stamp);
        let read = move |_| {
            let source = std::fs::File::open(&path).context(|| format!("opening {}", path.display()))?;
            let read = read_part(&source, &path, 0, stamp.size)?;
            // What was read is whole only if the file is still the same.
            stamp.check(&path)?;
            Ok(read)
        };
        let (body, sum) = self.control.blocking(read).await?;
        let put = || self.handle.put_object(to.key(), body.clone(), meta, if_absent);
        let sent = self.again(put).await;
        let etag = self.settle(sent, to, if_absent, Some(&hex(&sum))).await?;
        if !self.is_as_sent(&etag, sum) && self.are_sums() {
            return Err(Error::invalid(format!("{to} arrived altered")).with_hint(ALTERED));
        }
        self.control.advance(stamp.size);
        Ok(etag)
    }

    /// Sends a file in parts; the object's `ETag`. An upload that does not succeed is aborted, unless the
    /// server is out of reach and the parts are known to who retries.
    pub(super) async fn send_in_parts(
        &self,
        file: &File,
        to: &Location,
        meta: &UploadMeta,
        if_absent: bool,
    ) -> Result<String> {
        let size = part_size(file.stamp.size)?;
        if let Some(left) = self.resume.unfinished(file, size).filter(|u| u.location == *to) {
            self.control.note(format!("going on after {} parts that were sent before", left.parts.len()));
            match self.attempt(file, to, size, if_absent, Some(left), meta).await {
                // The server may have forgotten the upload or its parts: then all is sent again.
                Err(err) if matches!(err.kind(), Kind::NotFound | Kind::Invalid) => {
                    self.control.note(format!("it cannot go on ({err}): all is sent again"));
                }
                other => return other,
            }
        }
        self.attempt(file, to, size, if_absent, None, meta).await
    }

    async fn attempt(
        &self,
        file: &File,
        to: &Location,
        part_size: u64,
        if_absent: bool,
        left: Option<&Unfinished>,
        meta: &UploadMeta,
    ) -> Result<String> {
        let source = std::fs::File::open(&file.path).context(|| format!("opening {}", file.path.display()))?;
        let (upload_id, known) = if let Some(left) = left {
            (left.upload_id.clone(), left.parts.clone())
        } else {
            (self.create(file, to, meta, part_size).await?, BTreeMap::new())
        };
        let parts = parts_of(file.stamp.size, part_size);
        let sending = Sending {
            file,
            key: to.key(),
            upload_id,
            source: Arc::new(source),
            count: parts.len(),
            sent: AtomicUsize::new(known.len()),
        };
        let already: u64 = parts.iter().filter(|p| known.contains_key(&p.number)).map(|p| p.len).sum();
        self.control.advance(already);
        let mut advanced = already;
        let result = self.send_and_complete(&sending, parts, known, to, if_absent, &mut advanced).await;
        if let Err(err) = &result {
            self.take_back(advanced);
            self.clean_up(to.key(), &sending.upload_id, err.kind()).await;
        }
        result
    }

    /// Begins an upload. Told to stop meanwhile, it waits a little for its id, so that it can be undone.
    async fn create(&self, file: &File, to: &Location, meta: &UploadMeta, part_size: u64) -> Result<String> {
        let mut create = std::pin::pin!(self.handle.create_upload(to.key(), meta));
        let stopped = self.race(async { Ok(create.as_mut().await) }).await;
        if let Ok(created) = stopped {
            let id = created?;
            self.resume.begun(file, to, &id, part_size);
            return Ok(id);
        }
        if let Ok(Ok(id)) = tokio::time::timeout(CLEAN_UP, create).await {
            self.abort(to.key(), &id).await;
        }
        Err(Error::cancelled())
    }

    async fn send_and_complete(
        &self,
        sending: &Sending<'_>,
        parts: Vec<Part>,
        mut known: BTreeMap<u32, String>,
        to: &Location,
        if_absent: bool,
        advanced: &mut u64,
    ) -> Result<String> {
        self.tell_part(sending);
        let missing: Vec<Part> = parts.into_iter().filter(|part| !known.contains_key(&part.number)).collect();
        let mut waiting = missing.iter();
        let mut running = FuturesUnordered::new();
        loop {
            let next = waiting.by_ref().take(IN_FLIGHT as usize - running.len());
            running.extend(next.map(|part| async move { (part, self.send_part(sending, part).await) }));
            let Some((part, sent)) = running.next().await else { break };
            let etag = match sent {
                Ok(etag) => etag,
                Err(err) => {
                    // What is being written to the disk cannot be taken back by dropping it.
                    while self.is_local() && running.next().await.is_some() {}
                    return Err(err);
                }
            };
            self.resume.part(&sending.upload_id, part.number, part.len, &etag);
            known.insert(part.number, etag);
            self.control.advance(part.len);
            *advanced += part.len;
            sending.sent.fetch_add(1, Relaxed);
            self.tell_part(sending);
        }
        drop(running);
        let (path, stamp) = (sending.file.path.clone(), sending.file.stamp);
        self.control.blocking(move |_| stamp.check(&path)).await?;
        if if_absent && self.find(to).await?.is_some() {
            return Err(super::exists::taken(to));
        }
        let expected = whole_etag(&known);
        let parts: Vec<(u32, String)> = known.into_iter().collect();
        let complete = || self.handle.complete_upload(sending.key, &sending.upload_id, &parts, if_absent);
        let completed = self.again(complete).await;
        let expected = expected.filter(|_| self.sums.0.load(Relaxed) == Sums::MD5);
        self.settle(completed, to, if_absent, expected.as_deref()).await
    }

    fn tell_part(&self, sending: &Sending<'_>) {
        if self.files == 1 {
            let next = sending.sent.load(Relaxed).saturating_add(1).min(sending.count);
            self.control.step(format!("part {next} of {}", sending.count));
        }
    }

    /// Reads and sends one part until its `ETag` says that it arrived as it is.
    async fn send_part(&self, sending: &Sending<'_>, part: &Part) -> Result<String> {
        let _places = self.race(async { Ok(self.places.acquire_many(places(part.len)).await) }).await?;
        let (source, path, offset, len) = (sending.source.clone(), sending.file.path.clone(), part.offset, part.len);
        let (body, sum) = self.control.blocking(move |_| read_part(&source, &path, offset, len)).await?;
        let put = || self.handle.put_part(sending.key, &sending.upload_id, part.number, body.clone());
        let mut etag = self.again(put).await?;
        if self.is_as_sent(&etag, sum) {
            return Ok(etag);
        }
        self.control.meter.retried();
        etag = self.again(put).await?;
        if self.is_as_sent(&etag, sum) {
            return Ok(etag);
        }
        if self.are_sums() {
            return Err(Error::invalid(format!("part {} arrived altered, twice", part.number)).with_hint(ALTERED));
        }
        Ok(etag)
    }

    /// Whether the server's `ETag`s were MD5 sums before. If none was so far, one that is not tells that they
    /// are something else there, rather than that bytes were altered.
    fn are_sums(&self) -> bool {
        let found = self.sums.0.compare_exchange(Sums::UNKNOWN, Sums::OTHER, Relaxed, Relaxed);
        if found.is_ok() {
            self.control.note("the server's ETags are not MD5 sums: what it received is not verified by them");
        }
        found == Err(Sums::MD5)
    }

    /// Whether the `ETag` says that the part arrived as it was sent, or says nothing of it.
    fn is_as_sent(&self, etag: &str, sum: [u8; 16]) -> bool {
        let Some(theirs) = md5_of(etag) else { return true };
        if self.spec.destination.scheme() != Scheme::S3 || self.sums.0.load(Relaxed) == Sums::OTHER {
            return true;
        }
        if theirs == sum {
            self.sums.0.store(Sums::MD5, Relaxed);
        }
        theirs == sum
    }

    /// Sends until it succeeds, fails for good, or was sent [`TRIES`] times.
    async fn again<T, F: Future<Output = Result<T>>>(&self, send: impl Fn() -> F) -> Result<T> {
        let mut pause = Duration::from_millis(250);
        let send = || async { if self.is_local() { send().await } else { self.race(send()).await } };
        for _ in 1..TRIES {
            match send().await {
                Err(err) if is_passing(err.kind()) => {
                    self.control.note(format!("once more in {}: {err}", crate::text::duration(pause)));
                    self.control.meter.retried();
                    self.race(async {
                        tokio::time::sleep(pause).await;
                        Ok(())
                    })
                    .await?;
                    pause *= 4;
                }
                other => return other,
            }
        }
        send().await
    }

    fn is_local(&self) -> bool {
        self.spec.destination.scheme() == Scheme::File
    }

    /// A request that was sent again may find what its first sending has done: if what stands there is what
    /// we sent (nothing stood there before), it is ours.
    async fn settle(
        &self,
        sent: Result<String>,
        to: &Location,
        if_absent: bool,
        expected: Option<&str>,
    ) -> Result<String> {
        let err = match sent {
            // Ceph tells no ETag when it completes an upload: then it is to be what its parts make.
            Ok(etag) if etag.is_empty() => return Ok(expected.unwrap_or_default().to_owned()),
            Err(err) if (if_absent && err.kind() == Kind::Exists) || err.kind() == Kind::NotFound => err,
            other => return other,
        };
        let found = self.find(to).await?.and_then(|stat| stat.etag);
        match (found, expected) {
            (Some(etag), Some(expected)) if etag.trim_matches('"') == expected => Ok(etag),
            _ if err.kind() == Kind::Exists => Err(super::exists::taken(to)),
            _ => Err(err),
        }
    }

    async fn clean_up(&self, key: &str, upload_id: &str, why: Kind) {
        if why == Kind::Unreachable && self.resume.is_recorded() {
            self.control.note("what was sent is kept on the server: retry this job to go on");
            return;
        }
        self.abort(key, upload_id).await;
    }

    /// Aborts an upload, and says so where that fails. A part that was on its way can make it fail at first.
    pub(super) async fn abort(&self, key: &str, upload_id: &str) {
        let persist = async {
            let mut pause = Duration::from_millis(50);
            loop {
                match self.handle.abort_upload(key, upload_id).await {
                    Err(err) if is_passing(err.kind()) && pause < Duration::from_secs(2) => {
                        tokio::time::sleep(pause).await;
                        pause *= 2;
                    }
                    other => return other,
                }
            }
        };
        let why = match tokio::time::timeout(CLEAN_UP, persist).await {
            Ok(Ok(())) => return self.resume.aborted(upload_id),
            Ok(Err(err)) => err.to_string(),
            Err(_) => "it took too long".to_owned(),
        };
        self.control.note(format!("the unfinished upload {upload_id} could not be removed: {why}"));
    }
}

fn parts_of(size: u64, part_size: u64) -> Vec<Part> {
    let count = size.div_ceil(part_size);
    (0..count)
        .map(|i| {
            let offset = i * part_size;
            Part { number: i as u32 + 1, offset, len: part_size.min(size - offset) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_at_most_ten_thousand_and_cover_the_file() {
        for size in [IN_PARTS, 256 * MIB, 80 << 30, (80 << 30) + 1, MAX_SIZE] {
            let part = part_size(size).expect("fits");
            assert!(part >= PART && part.is_multiple_of(MIB));
            let parts = parts_of(size, part);
            assert!(parts.len() as u64 <= MAX_PARTS, "{size}");
            assert_eq!(parts.iter().map(|p| p.len).sum::<u64>(), size);
            assert!(places(part) >= 1 && places(part) <= IN_FLIGHT);
            assert!(u64::from(IN_FLIGHT / places(part)) * part <= MEMORY.max(part));
        }
        assert_eq!(part_size(MAX_SIZE + 1).map_err(|e| e.kind()), Err(Kind::Limit));
        assert_eq!(parts_of(256 * MIB, PART).len(), 32);
    }

    #[test]
    fn etags_of_parts_tell_that_of_the_whole() {
        // printf abc | md5sum; the md5 of those 16 bytes twice by `xxd -r -p | md5sum`.
        let etag = "\"900150983cd24fb0d6963f7d28e17f72\"".to_owned();
        assert_eq!(md5_of(&etag), Some(Md5::digest(b"abc").into()));
        let twice = BTreeMap::from([(1, etag.clone()), (2, etag)]);
        let sum = Md5::digest([Md5::digest(b"abc"), Md5::digest(b"abc")].concat());
        assert_eq!(whole_etag(&twice), Some(format!("{}-2", hex(&sum))));
        assert_eq!(whole_etag(&BTreeMap::from([(1, "\"7\"".to_owned())])), None);
        assert_eq!(md5_of("ü0150983cd24fb0d6963f7d28e17f72"), None);
    }
}
