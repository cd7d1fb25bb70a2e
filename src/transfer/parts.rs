//! Sending one file in parts.

use super::digest::{Digests, Piece, Proof, Want, hex, md5_of, whole_etag, whole_sum};
use super::fate::{Fate, Left, fate};
use super::resume::{Known, Unfinished};
use super::send::is_passing;
use super::source::File;
use super::upload::{Sent, Transfer};
use crate::error::{Error, Kind, Result};
use crate::location::Location;
use crate::store::{CLEAN_UP, Kept, PartSent, Sums, Taken, UploadMeta};
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;
/// Files of this size and more are sent in parts.
pub(super) const IN_PARTS: u64 = 16 * MIB;
/// The smallest part that we send: small enough for a lively chart and little to send again.
const PART: u64 = 8 * MIB;
/// S3: parts of one object, and its size.
const MAX_PARTS: u64 = 10_000;
const MAX_SIZE: u64 = 5 << 40;
/// Memory that parts and files under way may take together. One part may be larger (525 MiB of 5 TiB): then it
/// goes alone.
pub(super) const MEMORY: u64 = 256 * MIB;

/// The size of the parts of a file: at most 10,000, in whole MiB.
pub(super) fn part_size(size: u64) -> Result<u64> {
    if size > MAX_SIZE {
        return Err(Error::new(Kind::Limit, "an object can have at most 5 TiB")
            .with_hint("split the file, or convert it to a format of many objects"));
    }
    Ok(size.div_ceil(MAX_PARTS).div_ceil(MIB).saturating_mul(MIB).max(PART))
}

/// Mebibytes that a piece of `bytes` takes of [`MEMORY`].
pub(super) fn mebibytes(bytes: u64) -> u32 {
    bytes.div_ceil(MIB).clamp(1, MEMORY / MIB) as u32
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
    to: &'a Location,
    upload_id: String,
    keeps: Option<Kept>,
    part_size: u64,
}

/// What is known of the parts so far.
struct Parts {
    known: BTreeMap<u32, Known>,
    /// Parts of which the server said nothing.
    silent: usize,
    /// Bytes that were told as progress.
    advanced: u64,
}

impl Transfer {
    /// Sends a file in parts. An upload that does not succeed is aborted, unless it can go on when the cause is
    /// gone and the parts are known to who retries.
    pub(super) async fn send_in_parts(
        &self,
        file: &File,
        to: &Location,
        meta: &UploadMeta,
        if_absent: bool,
    ) -> Result<Sent> {
        let part_size = part_size(file.stamp.size)?;
        if let Some(left) = self.resume.unfinished(file, part_size).filter(|u| u.location == *to) {
            let sending = Sending { file, to, upload_id: left.upload_id.clone(), keeps: left.keeps, part_size };
            if let Some(ended) = self.go_on(left, &sending, if_absent).await {
                return ended;
            }
        }
        let (upload_id, keeps) = self.begin(file, to, meta, part_size).await?;
        let sending = Sending { file, to, upload_id, keeps, part_size };
        let sent = self.attempt(&sending, BTreeMap::new(), if_absent).await;
        if let Err(err) = &sent {
            self.clean_up(to.key(), &sending.upload_id, err.kind()).await;
        }
        sent
    }

    /// Goes on with what a former attempt left; `None`: it is gone, and all has to be sent again.
    async fn go_on(&self, left: &Unfinished, sending: &Sending<'_>, if_absent: bool) -> Option<Result<Sent>> {
        let mut known = BTreeMap::new();
        let err = match self.resumed(left, sending, &mut known, if_absent).await {
            Ok(sent) => return Some(Ok(sent)),
            Err(err) => err,
        };
        let numbers = known.keys().copied().collect();
        let upload = Left { handle: &self.handle, key: sending.to.key(), id: &left.upload_id, parts: numbers };
        match fate(&self.control, &upload, &err, || self.completed(sending, &known)).await {
            Fate::Ours(sent) => Some(Ok(sent)),
            Fate::Gone => {
                self.control.note(format!("it cannot go on ({err}): all is sent again"));
                self.abort(sending.to.key(), &left.upload_id).await;
                None
            }
            Fate::Stands => {
                self.clean_up(sending.to.key(), &left.upload_id, err.kind()).await;
                Some(Err(err))
            }
        }
    }

    /// Sends what is missing, as far as file and server still have what was sent before. `all` becomes the
    /// parts that were sent and that the file holds.
    async fn resumed(
        &self,
        left: &Unfinished,
        sending: &Sending<'_>,
        all: &mut BTreeMap<u32, Known>,
        if_absent: bool,
    ) -> Result<Sent> {
        self.control.step("comparing what was sent before with the file");
        let parts = parts_of(sending.file.stamp.size, sending.part_size);
        *all = self.still_in(sending, &parts, &left.parts).await?;
        let known = match self.handle.parts_sent(sending.to.key(), &left.upload_id).await {
            Ok(there) => {
                // What it has taken no server loses: it has put it together, or thrown it away.
                if let Some(lost) = all.keys().find(|number| !there.iter().any(|part| part.number == **number)) {
                    return Err(Error::new(Kind::NotFound, format!("the server does not have part {lost} any more")));
                }
                self.reconcile(sending, &parts, all.clone(), &there).await?
            }
            Err(err) if err.kind() == Kind::Unsupported => all.clone(),
            Err(err) => return Err(err),
        };
        all.extend(known.clone());
        self.control.note(format!("going on after {} of {} parts that were sent before", known.len(), parts.len()));
        self.attempt(sending, known, if_absent).await
    }

    /// The parts that were sent and that the file still holds; a file that holds others is another one.
    async fn still_in(
        &self,
        sending: &Sending<'_>,
        parts: &[Part],
        sent: &BTreeMap<u32, Known>,
    ) -> Result<BTreeMap<u32, Known>> {
        let mut before = parts.iter().filter_map(|part| Some((part, sent.get(&part.number)?)));
        let (mut running, mut same) = (FuturesUnordered::new(), BTreeMap::new());
        loop {
            running.extend(before.by_ref().take(2 - running.len()).map(|(p, known)| self.holds(sending, p, known)));
            let Some(held) = running.next().await else { return Ok(same) };
            let (number, known) = held?;
            same.insert(number, known);
        }
    }

    async fn holds(&self, sending: &Sending<'_>, part: &Part, known: &Known) -> Result<(u32, Known)> {
        self.control.turn().await?;
        let _memory = self.memory(part.len).await?;
        let (_, digests) = self.piece(sending.file, part.offset, part.len, Want::default()).await?;
        if digests.crc32c == known.digests.crc32c {
            return Ok((part.number, known.clone()));
        }
        let path = sending.file.path.display();
        Err(Error::invalid(format!("{path} has other content than before, although its size and time are the same")))
    }

    /// Of the parts known, those that the server has; and those that it has although nobody came to write that
    /// down, where they are what the file holds.
    async fn reconcile(
        &self,
        sending: &Sending<'_>,
        parts: &[Part],
        mut known: BTreeMap<u32, Known>,
        there: &[PartSent],
    ) -> Result<BTreeMap<u32, Known>> {
        let there: BTreeMap<u32, &PartSent> = there.iter().map(|part| (part.number, part)).collect();
        let sizes: BTreeMap<u32, u64> = parts.iter().map(|part| (part.number, part.len)).collect();
        let is_same = |number: &u32, known: &mut Known| {
            // Some list no ETags (s3s-fs): then the size has to do.
            let same = |etag: &str| etag.is_empty() || etag.trim_matches('"') == known.etag.trim_matches('"');
            there.get(number).is_some_and(|t| Some(&t.size) == sizes.get(number) && same(&t.etag))
        };
        known.retain(is_same);
        for part in parts {
            if known.contains_key(&part.number) {
                continue;
            }
            let Some(theirs) = there.get(&part.number).filter(|theirs| theirs.size == part.len) else { continue };
            let listed = md5_of(&theirs.etag);
            if listed.is_none() && !theirs.etag.is_empty() {
                continue;
            }
            let want = Want { md5: true, sha256: sending.keeps == Some(Kept::Sha256) };
            let (_, digests) = self.piece(sending.file, part.offset, part.len, want).await?;
            let is_kept = match sending.keeps {
                Some(Kept::Crc32c) => theirs.sums.crc32c == Some(digests.crc32c),
                Some(Kept::Sha256) => theirs.sums.sha256.is_some() && theirs.sums.sha256 == digests.sha256,
                None => true,
            };
            // Without an ETag it is believed for now: only we know this upload, and the ETag of the whole, or
            // reading it again, will tell.
            if listed.is_none_or(|md5| digests.md5 == Some(md5)) && is_kept {
                let etag = format!("\"{}\"", digests.md5.as_ref().map(|sum| hex(sum)).unwrap_or_default());
                let adopted = Known { etag, digests };
                self.resume.part(&sending.upload_id, part.number, part.len, &adopted);
                known.insert(part.number, adopted);
            }
        }
        Ok(known)
    }

    /// What stands, if it is ours: its `ETag` is that of our parts. The last of them may have been sent without
    /// coming to be written down.
    async fn completed(&self, sending: &Sending<'_>, known: &BTreeMap<u32, Known>) -> Result<Option<Sent>> {
        let parts = parts_of(sending.file.stamp.size, sending.part_size);
        let count = format!("-{}", parts.len());
        let standing = self.find(sending.to).await?.filter(|stat| stat.size == sending.file.stamp.size);
        let etag = standing.and_then(|stat| stat.etag).filter(|etag| etag.trim_matches('"').ends_with(&count));
        let Some(etag) = etag else { return Ok(None) };
        let mut etags = Vec::with_capacity(parts.len());
        for part in &parts {
            if let Some(known) = known.get(&part.number) {
                etags.push(known.etag.clone());
                continue;
            }
            let want = Want { md5: true, sha256: false };
            let (_, digests) = self.piece(sending.file, part.offset, part.len, want).await?;
            etags.push(format!("\"{}\"", digests.md5.as_ref().map(|sum| hex(sum)).unwrap_or_default()));
        }
        if whole_etag(etags.iter().map(String::as_str)).as_deref() != Some(etag.trim_matches('"')) {
            return Ok(None);
        }
        self.control.advance(sending.file.stamp.size);
        Ok(Some(Sent { etag, proof: Some(Proof::Md5) }))
    }

    async fn attempt(&self, sending: &Sending<'_>, known: BTreeMap<u32, Known>, if_absent: bool) -> Result<Sent> {
        let parts = parts_of(sending.file.stamp.size, sending.part_size);
        let already: u64 = parts.iter().filter(|p| known.contains_key(&p.number)).map(|p| p.len).sum();
        self.control.advance(already);
        let mut state = Parts { known, silent: 0, advanced: already };
        let result = self.send_and_complete(sending, &parts, &mut state, if_absent).await;
        if result.is_err() {
            self.control.take_back(state.advanced);
        }
        result
    }

    /// Begins an upload. Told to stop meanwhile, it waits a little for its id, so that it can be undone.
    async fn begin(
        &self,
        file: &File,
        to: &Location,
        meta: &UploadMeta,
        part_size: u64,
    ) -> Result<(String, Option<Kept>)> {
        let keep = self.method.keep();
        self.resume.intend(file, to);
        let mut begin = std::pin::pin!(self.handle.begin_upload(to.key(), meta, keep));
        let stopped = self.race(async { Ok(begin.as_mut().await) }).await;
        if let Ok(begun) = stopped {
            let (id, is_kept) = match begun {
                // Some servers do not know the header.
                Err(err) if err.kind() == Kind::Unsupported && keep.is_some() => {
                    self.method.refuses_sums();
                    self.race(self.handle.begin_upload(to.key(), meta, None)).await?
                }
                other => other?,
            };
            let keeps = keep.filter(|_| is_kept);
            self.resume.begun(file, to, &id, part_size, keeps);
            return Ok((id, keeps));
        }
        if let Ok(Ok((id, _))) = tokio::time::timeout(CLEAN_UP, begin).await {
            self.abort(to.key(), &id).await;
        }
        Err(Error::cancelled())
    }

    async fn send_and_complete(
        &self,
        sending: &Sending<'_>,
        parts: &[Part],
        state: &mut Parts,
        if_absent: bool,
    ) -> Result<Sent> {
        self.tell_part(state.known.len(), parts.len());
        let missing: Vec<&Part> = parts.iter().filter(|part| !state.known.contains_key(&part.number)).collect();
        let mut waiting = missing.into_iter();
        let mut running = FuturesUnordered::new();
        loop {
            let room = self.pace.window().max(1).saturating_sub(running.len());
            running.extend(
                waiting.by_ref().take(room).map(|part| async move { (part, self.send_part(sending, part).await) }),
            );
            let Some((part, sent)) = running.next().await else { break };
            let (known, proof) = match sent {
                Ok(sent) => sent,
                Err(err) => {
                    // What is being written to the disk cannot be taken back by dropping it.
                    while self.is_local() && running.next().await.is_some() {}
                    return Err(err);
                }
            };
            state.silent += usize::from(proof.is_none());
            self.resume.part(&sending.upload_id, part.number, part.len, &known);
            state.known.insert(part.number, known);
            self.control.advance(part.len);
            state.advanced += part.len;
            self.tell_part(state.known.len(), parts.len());
        }
        drop(running);
        let (path, stamp) = (sending.file.path.clone(), sending.file.stamp);
        self.control.blocking(move |_| stamp.check(&path)).await?;
        // The last parts may have arrived after the user said stop.
        self.control.check()?;
        self.complete(sending, state, if_absent).await
    }

    async fn complete(&self, sending: &Sending<'_>, state: &Parts, if_absent: bool) -> Result<Sent> {
        let listed: Vec<PartSent> =
            state.known.iter().map(|(number, known)| listed(*number, known, sending.keeps)).collect();
        let finish = || self.handle.finish_upload(sending.to.key(), &sending.upload_id, &listed, if_absent);
        let (finished, tries) = self.again(finish).await;
        let is_md5 = sending.keeps.is_none() && state.silent == 0 && self.is_s3();
        let expected = whole_etag(state.known.values().map(|k| k.etag.as_str()));
        let taken = match finished {
            Ok(taken) => taken,
            Err(err) => {
                let etag = self.ours_after_all(err, sending.to, if_absent, expected.as_deref(), tries).await?;
                Taken { etag, ..Taken::default() }
            }
        };
        // Ceph tells no ETag when it completes an upload: then it is to be what its parts make.
        let etag = if taken.etag.is_empty() { expected.clone().unwrap_or_default() } else { taken.etag.clone() };
        let proof = match sending.keeps {
            Some(kept) => self.kept(sending.to, kept, state, &taken).await?,
            None if !self.is_s3() => Some(Proof::Size),
            None if self.spec.checksum == super::Checksum::None => Some(Proof::Size),
            // The ETag of the whole is compared by whoever asks what stands there.
            None if is_md5 && expected.as_deref() == Some(etag.trim_matches('"')) => Some(Proof::Md5),
            None => None,
        };
        Ok(Sent { etag, proof })
    }

    /// Whether the server keeps the checksum that the parts make together.
    async fn kept(&self, to: &Location, kept: Kept, state: &Parts, taken: &Taken) -> Result<Option<Proof>> {
        let digests: Vec<Digests> = state.known.values().map(|known| known.digests).collect();
        let (name, proof, mut theirs) = match kept {
            Kept::Crc32c => ("crc32c", Proof::Crc32c, taken.crc32c.clone()),
            Kept::Sha256 => ("sha256", Proof::Sha256, taken.sha256.clone()),
        };
        if theirs.is_none() {
            theirs = self.find(to).await?.and_then(|stat| stat.detail.checksums.get(name).cloned());
        }
        let ours = whole_sum(kept, &digests);
        // Another form, such as the CRC of the whole object, says neither yes nor no.
        let theirs = theirs.as_deref().and_then(|text| text.rsplit_once('-')).map(|(sum, _)| sum.to_owned());
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours == theirs => Ok(Some(proof)),
            (Some(_), Some(_)) => Err(Error::invalid(format!("{to} arrived altered")).with_hint(super::send::ALTERED)),
            _ => Ok(None),
        }
    }

    fn tell_part(&self, sent: usize, count: usize) {
        if self.files == 1 {
            self.control.step(format!("part {} of {count}", sent.saturating_add(1).min(count)));
        }
    }

    /// Reads and sends one part; without a proof where the server says nothing of it.
    async fn send_part(&self, sending: &Sending<'_>, part: &Part) -> Result<(Known, Option<Proof>)> {
        let place = self.race(async { Ok(self.pace.place().await) }).await?;
        let _memory = self.memory(part.len).await?;
        self.control.turn().await?;
        let piece = Piece::Part(sending.keeps);
        let (body, digests) = self.piece(sending.file, part.offset, part.len, self.method.want(piece)).await?;
        let send = |sums: Sums| {
            let body = body.clone();
            async move {
                let (key, id) = (sending.to.key(), sending.upload_id.as_str());
                self.handle.send_part(key, id, part.number, body, &sums).await
            }
        };
        let (sent, tries) = self.proved(&digests, piece, send).await;
        match &sent {
            Err(err) if is_passing(err.kind()) => place.failed(),
            _ if tries > 1 => place.failed(),
            _ => place.done(part.len),
        }
        let (taken, proof) = sent.map_err(|err| err.context(format!("part {}", part.number)))?;
        Ok((Known { etag: taken.etag, digests }, proof))
    }

    async fn clean_up(&self, key: &str, upload_id: &str, why: Kind) {
        let can_go_on = matches!(why, Kind::Unreachable | Kind::Denied | Kind::Limit | Kind::Failed);
        if can_go_on && self.resume.is_recorded() {
            self.control.note("what was sent is kept on the server: retry this job to go on");
            return;
        }
        self.abort(key, upload_id).await;
    }

    /// Aborts an upload, and says so where that fails.
    pub(super) async fn abort(&self, key: &str, upload_id: &str) {
        match self.handle.discard_upload(key, upload_id).await {
            Ok(()) => self.resume.aborted(upload_id),
            Err(err) => self.control.note(err.to_string()),
        }
    }

    /// Removes uploads that a killed attempt may have begun without coming to write that down: those of the very
    /// key, begun since, that hold nothing.
    pub(super) async fn drop_strays(&self) {
        /// Clocks that differ more are refused by servers anyway.
        const SKEW: chrono::TimeDelta = chrono::TimeDelta::minutes(15);
        for intent in self.resume.strays(IN_PARTS).filter(|i| i.location.store() == self.spec.destination.store()) {
            let since = chrono::DateTime::from_timestamp_millis(intent.at).map(|at| at - SKEW);
            // A server that lists none (s3s) has to be believed.
            let found = self.handle.uploads_of(intent.location.key()).await.unwrap_or_default();
            for (id, begun) in found {
                let is_empty = self.handle.parts_sent(intent.location.key(), &id).await.is_ok_and(|p| p.is_empty());
                if is_empty && begun.is_some() && begun >= since {
                    self.control.note(format!("removing an upload of {} that was just begun", intent.location));
                    self.abort(intent.location.key(), &id).await;
                }
            }
        }
    }
}

fn listed(number: u32, known: &Known, keeps: Option<Kept>) -> PartSent {
    let sums = match keeps {
        Some(Kept::Crc32c) => Sums { crc32c: Some(known.digests.crc32c), ..Sums::default() },
        Some(Kept::Sha256) => Sums { sha256: known.digests.sha256, ..Sums::default() },
        None => Sums::default(),
    };
    PartSent { number, size: 0, etag: known.etag.clone(), sums }
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
        let border = MAX_PARTS * PART;
        for size in [IN_PARTS, 256 * MIB, border - 1, border, border + 1, 80 << 30, MAX_SIZE - 1, MAX_SIZE] {
            let part = part_size(size).expect("fits");
            assert!(part >= PART && part.is_multiple_of(MIB));
            let parts = parts_of(size, part);
            assert!(parts.len() as u64 <= MAX_PARTS, "{size}");
            assert_eq!(parts.iter().map(|p| p.len).sum::<u64>(), size);
            assert!(parts.windows(2).all(|w| w[0].offset + w[0].len == w[1].offset && w[0].len == part));
            assert!(parts.last().is_some_and(|last| last.len > 0));
            assert!(u64::from(mebibytes(part)) * MIB <= MEMORY);
        }
        assert_eq!(part_size(border).ok(), Some(PART));
        assert_eq!(part_size(border + 1).ok(), Some(PART + MIB));
        assert_eq!(part_size(MAX_SIZE).ok(), Some(525 * MIB), "5 TiB / 10,000, in whole MiB");
        assert_eq!(part_size(MAX_SIZE + 1).map_err(|e| e.kind()), Err(Kind::Limit));
        assert_eq!(parts_of(256 * MIB, PART).len(), 32);
        assert_eq!((mebibytes(0), mebibytes(PART + 1)), (1, 9));
    }
}
