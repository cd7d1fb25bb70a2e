//! A large object in parts, copied within the server or through this computer. Each part that is there is
//! journalled, so that another attempt sends only what is missing.

use super::Work;
use super::item::Item;
use super::prove::{Reading, is_of_one_piece};
use super::record::Unfinished;
use super::send::{Sent, changed, is_passing};
use crate::error::{Error, Kind, Result};
use crate::location::{Location, Scheme};
use crate::store::{CLEAN_UP, StoreHandle};
use crate::transfer::digest::{md5_of, whole_etag};
use crate::transfer::download::part_sizes;
use crate::transfer::exists::taken;
use crate::transfer::fate::{Fate, Left, fate};
use crate::transfer::parts::part_size;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::collections::BTreeMap;
use std::ops::Range;
use tokio::sync::OwnedSemaphorePermit;

const MIB: u64 = 1 << 20;
/// The usual part of a copy within a server, which moves no bytes here.
const PART_WITHIN: u64 = 128 * MIB;
/// What S3 allows of a part at least.
const LEAST: u64 = 5 * MIB;
/// Memory, in MiB, that parts on their way through this computer may take.
pub(super) const MEMORY_MIB: usize = 512;
/// Parts of one object that wait for a place or are under way.
const WAITING: usize = 32;

/// An upload under way.
pub(super) struct Sending<'a> {
    pub(super) item: &'a Item,
    to: &'a Location,
    id: String,
    within: bool,
    pub(super) reading: Reading,
}

impl Work<'_> {
    fn part_size(&self, item: &Item, within: bool) -> Result<u64> {
        let size = item.size();
        let least = part_size(size)?;
        Ok(match self.spec.part {
            0 if let Some(same) = parts_of_source(item).filter(|_| !within) => same,
            0 if within => least.max(PART_WITHIN.min(size.div_ceil(MIB).max(1) * MIB)),
            0 => least,
            wished => least_of(size).max(wished).max(LEAST),
        })
    }

    /// Writes it in parts.
    pub(super) async fn in_parts(&self, item: &Item, to: &Location, if_absent: bool, within: bool) -> Result<Sent> {
        self.know(item).await?;
        let _large = self.race(async { Ok(self.large.acquire().await) }).await?;
        let part = self.part_size(item, within)?;
        if let Some(left) = self.record.take_unfinished(item, to) {
            if left.part_size != part {
                self.abort(&item.root.target, to.key(), &left.upload_id).await;
            } else if let Some(ended) = self.go_on(item, to, if_absent, within, left).await {
                return ended;
            }
        }
        if if_absent && self.find(item, to).await?.is_some() {
            return Err(taken(to));
        }
        let reading = Reading::new(!within && is_of_one_piece(item));
        let sending = Sending { item, to, id: self.begin(item, to, part).await?, within, reading };
        let sent = self.attempt(&sending, part, BTreeMap::new(), if_absent).await;
        if let Err(err) = &sent {
            self.clean_up(&sending, err).await;
        }
        sent
    }

    /// Goes on with what a former attempt left; `None`: it is gone, and all has to be copied again.
    async fn go_on(
        &self,
        item: &Item,
        to: &Location,
        if_absent: bool,
        within: bool,
        left: Unfinished,
    ) -> Option<Result<Sent>> {
        self.control.note(format!("going on after {} parts that were copied before", left.parts.len()));
        let sending = Sending { item, to, id: left.upload_id, within, reading: Reading::new(false) };
        let err = match self.attempt(&sending, left.part_size, left.parts.clone(), if_absent).await {
            Ok(sent) => return Some(Ok(sent)),
            Err(err) => err,
        };
        let (handle, numbers) = (&item.root.target, left.parts.keys().copied().collect());
        let upload = Left { handle, key: to.key(), id: &sending.id, parts: numbers };
        match fate(self.control, &upload, &err, || self.completed(&sending, left.part_size, &left.parts)).await {
            Fate::Ours(sent) => Some(Ok(sent)),
            Fate::Gone => {
                self.control.note(format!("it cannot go on ({err}): all is copied again"));
                self.abort(handle, to.key(), &sending.id).await;
                None
            }
            Fate::Stands => {
                self.clean_up(&sending, &err).await;
                Some(Err(err))
            }
        }
    }

    /// What stands, if a former attempt has made it of these parts.
    async fn completed(&self, sending: &Sending<'_>, part: u64, known: &BTreeMap<u32, String>) -> Result<Option<Sent>> {
        let Sending { item, to, within, .. } = sending;
        let within = *within;
        let is_all = known.len() as u64 == item.size().div_ceil(part).max(1);
        let Some(expected) = whole_etag(known.values().map(String::as_str)).filter(|_| is_all) else { return Ok(None) };
        let standing = self.find(item, to).await?.filter(|stat| stat.size == item.size());
        let etag = standing.and_then(|stat| stat.etag).filter(|etag| etag.trim_matches('"') == expected);
        if etag.is_some() {
            self.control.advance(item.size());
        }
        Ok(etag.map(|etag| Sent { etag, within, renamed: false }))
    }

    /// Sends the parts that are missing, and completes it.
    async fn attempt(
        &self,
        sending: &Sending<'_>,
        part: u64,
        known: BTreeMap<u32, String>,
        if_absent: bool,
    ) -> Result<Sent> {
        let mut advanced = 0;
        let err = match self.send_parts(sending, part, known, if_absent, &mut advanced).await {
            Ok(etag) => return Ok(Sent { etag, within: sending.within, renamed: false }),
            Err(err) => err,
        };
        self.control.take_back(advanced);
        // What a server says of a range that is not there any more is not the reason.
        let may_have_changed = matches!(err.kind(), Kind::Invalid | Kind::NotFound | Kind::Failed);
        if may_have_changed
            && let Err(why) = self.check_source(sending.item).await
            && why.kind() == Kind::Changed
        {
            return Err(why);
        }
        Err(err)
    }

    /// Begins an upload. Told to stop meanwhile, it waits a little for its id, so that it can be undone.
    async fn begin(&self, item: &Item, to: &Location, part: u64) -> Result<String> {
        let (target, meta) = (&item.root.target, self.meta(item, to).await?);
        let mut create = std::pin::pin!(self.again(|| target.create_upload(to.key(), &meta)));
        if let Ok(created) = self.race(async { Ok(create.as_mut().await) }).await {
            let id = created?;
            self.record.begun(item, to, &id, part);
            return Ok(id);
        }
        if let Ok(Ok(id)) = tokio::time::timeout(CLEAN_UP, create).await {
            self.abort(target, to.key(), &id).await;
        }
        Err(Error::cancelled())
    }

    async fn send_parts(
        &self,
        sending: &Sending<'_>,
        part: u64,
        mut known: BTreeMap<u32, String>,
        if_absent: bool,
        advanced: &mut u64,
    ) -> Result<String> {
        let (item, to, target) = (sending.item, sending.to, &sending.item.root.target);
        let size = item.size();
        let count = size.div_ceil(part).max(1) as u32;
        let range = |number: u32| {
            let start = u64::from(number - 1) * part;
            start..(start + part).min(size)
        };
        let mut advance = |bytes: u64| {
            self.control.advance(bytes);
            *advanced += bytes;
        };
        advance(known.keys().filter(|n| **n <= count).map(|n| range(*n).end - range(*n).start).sum());
        let mut waiting = (1..=count).filter(|n| !known.contains_key(n)).collect::<Vec<_>>().into_iter();
        let mut running = FuturesUnordered::new();
        loop {
            self.tell_part(known.len() as u32, count);
            let next = waiting.by_ref().take(WAITING - running.len());
            running.extend(next.map(|n| async move { (n, self.send_part(sending, n, range(n)).await) }));
            let Some((number, sent)) = running.next().await else { break };
            let etag = match sent {
                Ok(etag) => etag,
                Err(err) => {
                    // What is being written to the disk cannot be taken back by dropping it.
                    while to.to_path().is_some() && running.next().await.is_some() {}
                    return Err(err);
                }
            };
            let bytes = range(number).end - range(number).start;
            self.record.part(&sending.id, number, bytes, &etag);
            known.insert(number, etag);
            advance(bytes);
        }
        drop(running);
        if sending.within {
            self.check_source(item).await?;
        } else {
            self.check_unpinned(item).await?;
            self.prove_reading(sending, &mut known, range).await?;
        }
        let expected = whole_etag(known.values().map(String::as_str));
        let parts: Vec<(u32, String)> = known.into_iter().collect();
        let complete = || target.complete_upload(to.key(), &sending.id, &parts, if_absent);
        let completed =
            if to.to_path().is_some() { self.again(complete).await } else { self.race(self.again(complete)).await };
        match completed {
            Ok(etag) => Ok(etag),
            // A former attempt, or a request that was not answered, has completed it: then it is to be what its
            // parts make. s3s-fs denies access to an upload that is completed.
            Err(err) if matches!(err.kind(), Kind::NotFound | Kind::Exists | Kind::Denied) => {
                let found = self.find(item, to).await?.and_then(|stat| stat.etag);
                match (found, expected) {
                    (Some(etag), Some(expected)) if etag.trim_matches('"') == expected => Ok(etag),
                    _ => Err(err),
                }
            }
            Err(err) => Err(err),
        }
    }

    fn tell_part(&self, done: u32, count: u32) {
        if self.single {
            self.control.step(format!("part {} of {count}", (done + 1).min(count)));
        }
    }

    /// A server may copy parts without looking whether the object is still the same.
    async fn check_source(&self, item: &Item) -> Result<()> {
        let now = self.race(self.again(|| Box::pin(item.root.source.stat(&item.from)))).await?;
        if now.etag.as_deref() == item.etag() && now.size == item.size() { Ok(()) } else { Err(changed(item)) }
    }

    pub(super) async fn send_part(&self, sending: &Sending<'_>, number: u32, range: Range<u64>) -> Result<String> {
        let Sending { item, to, id, within, .. } = sending;
        let (root, bytes) = (&item.root, range.end - range.start);
        if *within {
            let place = self.place().await?;
            let copy = || root.target.copy_part(&root.source, item.pinned(), range.clone(), to.key(), id, number);
            let sent = self.race(self.again(copy)).await;
            Self::leave(place, &sent, bytes);
            return sent;
        }
        let memory = self.room(bytes).await?;
        let place = self.place().await?;
        let sent = self.read_and_put_part(sending, number, range).await;
        Self::leave(place, &sent, bytes);
        let (etag, body, sum) = sent?;
        sending.reading.took(number, sum, body, memory).await;
        Ok(etag)
    }

    /// Room in memory for so many bytes.
    pub(super) async fn room(&self, bytes: u64) -> Result<Option<OwnedSemaphorePermit>> {
        let memory = u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX).clamp(1, MEMORY_MIB as u32);
        // The semaphore is never closed.
        self.race(async { Ok(self.memory.clone().acquire_many_owned(memory).await.ok()) }).await
    }

    async fn read_and_put_part(
        &self,
        sending: &Sending<'_>,
        number: u32,
        range: Range<u64>,
    ) -> Result<(String, Bytes, [u8; 16])> {
        let Sending { item, to, id, .. } = sending;
        let (source, target) = (&item.root.source, &item.root.target);
        let body = self.race(self.again(|| source.read_pinned(item.pinned(), range.clone()))).await?;
        let put = || target.put_part(to.key(), id, number, body.clone());
        let etag = if to.to_path().is_some() { self.again(put).await? } else { self.race(self.again(put)).await? };
        let sum = self.digest(&body).await;
        // The MD5 went along with the bytes, and the server has checked it. An ETag that is another sum is none.
        if to.scheme() == Scheme::S3 && md5_of(&etag) != Some(sum) {
            self.note_once("the server's ETags are not MD5 sums: it is not proved by them".to_owned());
        }
        Ok((etag, body, sum))
    }

    /// Aborts an upload that did not succeed, unless it can go on when the server is back, or the credentials are
    /// valid again, and the parts are known to who retries. Where the server itself was denied the source, all goes
    /// another way.
    async fn clean_up(&self, sending: &Sending<'_>, err: &Error) {
        let stopper = *self.stopped_by.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let why = match (err.kind(), stopper) {
            (Kind::Cancelled, Some(stopper)) if !self.control.is_cancelled() => stopper,
            (kind, _) => kind,
        };
        let can_go_on = is_passing(why) || (why == Kind::Denied && !sending.within);
        if can_go_on && self.record.is_recorded() {
            self.note_once("what was copied is kept on the server: retry this job to go on".to_owned());
            return;
        }
        self.abort(&sending.item.root.target, sending.to.key(), &sending.id).await;
    }

    /// Aborts an upload, and says so where that fails.
    pub(super) async fn abort(&self, handle: &StoreHandle, key: &str, id: &str) {
        match handle.discard_upload(key, id).await {
            Ok(()) => self.record.aborted(id),
            Err(err) => self.control.note(err.to_string()),
        }
    }
}

/// The size that the parts of the source seem to have: of the same parts, the same `ETag` is made.
fn parts_of_source(item: &Item) -> Option<u64> {
    if item.from.scheme() != Scheme::S3 {
        return None;
    }
    let (_, parts) = item.etag()?.trim_matches('"').split_once('-')?;
    let likeliest = *part_sizes(item.size(), parts.parse().ok()?).first()?;
    let fits = likeliest >= LEAST.max(least_of(item.size())) && likeliest <= MEMORY_MIB as u64 * MIB / 4;
    fits.then_some(likeliest)
}

/// The smallest part with which an object of this size has at most 10,000.
fn least_of(size: u64) -> u64 {
    size.div_ceil(10_000).div_ceil(MIB) * MIB
}
