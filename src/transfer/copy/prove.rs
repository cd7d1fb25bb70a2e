//! Whether what was read for a copy in parts is what its source has. Checksums go along with what is sent; what comes
//! from a server has none, so it is held against the source's `ETag`: of parts of the same size, or of all bytes in
//! one piece, which are summed up in their order as they come. Where that does not tell, each part is read once more.

use super::Work;
use super::item::Item;
use super::parts::Sending;
use super::send::arrives_altered;
use crate::error::{Error, Result};
use crate::location::Scheme;
use crate::transfer::digest::{md5_of, whole_etag};
use crate::transfer::download::check::is_sealed;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt as _};
use md5::{Digest as _, Md5};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// Parts that are read once more at once.
const AT_ONCE: usize = 4;

/// What was read so far.
#[derive(Default)]
pub(super) struct Reading(Mutex<State>);

#[derive(Default)]
struct State {
    /// MD5 of each part that was read.
    sums: BTreeMap<u32, [u8; 16]>,
    /// MD5 of all before `next`; absent while somebody works on it, or where it is of no use.
    whole: Option<Md5>,
    next: u32,
    /// Parts that wait for those before them, with their room in memory.
    waiting: BTreeMap<u32, (Bytes, Option<OwnedSemaphorePermit>)>,
    in_order: bool,
}

impl Reading {
    /// `in_order`: all parts are read, and the sum of all is of use.
    pub(super) fn new(in_order: bool) -> Self {
        let whole = in_order.then(Md5::new);
        Self(Mutex::new(State { whole, next: 1, in_order, ..State::default() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a part that was read, with its sum. The oldest that is under way always has its room in memory already,
    /// so that those which wait for it do not wait for ever.
    pub(super) async fn took(&self, number: u32, sum: [u8; 16], body: Bytes, memory: Option<OwnedSemaphorePermit>) {
        {
            let mut state = self.lock();
            state.sums.insert(number, sum);
            if !state.in_order {
                return;
            }
            state.waiting.insert(number, (body, memory));
        }
        loop {
            let taken = self.lock().take_run();
            let Some((mut whole, run)) = taken else { return };
            let (bodies, rooms): (Vec<Bytes>, Vec<_>) = run.into_iter().unzip();
            let summed = tokio::task::spawn_blocking(move || {
                for body in &bodies {
                    whole.update(body);
                }
                whole
            });
            // Without it, all is read once more.
            let summed = summed.await.ok();
            self.lock().whole = summed;
            drop(rooms);
        }
    }

    fn whole(&self, parts: u32) -> Option<[u8; 16]> {
        let mut state = self.lock();
        let is_all = state.next == parts + 1;
        state.whole.take().filter(|_| is_all).map(|sum| sum.finalize().into())
    }

    fn sum(&self, number: u32) -> Option<[u8; 16]> {
        self.lock().sums.get(&number).copied()
    }
}

impl State {
    /// The parts that are next in order, unless somebody works on those before.
    #[expect(clippy::type_complexity, reason = "a sum, and bodies with their room")]
    fn take_run(&mut self) -> Option<(Md5, Vec<(Bytes, Option<OwnedSemaphorePermit>)>)> {
        if self.whole.is_none() || !self.waiting.contains_key(&self.next) {
            return None;
        }
        let mut run = Vec::new();
        while let Some(part) = self.waiting.remove(&self.next) {
            run.push(part);
            self.next += 1;
        }
        Some((self.whole.take()?, run))
    }
}

/// Whether an object is summed up by its `ETag` as a whole.
pub(super) fn is_of_one_piece(item: &Item) -> bool {
    item.from.scheme() == Scheme::S3 && item.etag().is_some_and(|etag| md5_of(etag).is_some())
}

impl Work<'_> {
    /// Fails where what was read is not what the source has; parts that came altered are sent again.
    pub(super) async fn prove_reading(
        &self,
        sending: &Sending<'_>,
        known: &mut BTreeMap<u32, String>,
        range: impl Fn(u32) -> Range<u64>,
    ) -> Result<()> {
        let item = sending.item;
        let Some(etag) = item.etag().filter(|_| item.from.scheme() == Scheme::S3) else { return Ok(()) };
        let parts = known.len() as u32;
        let of_part = |number: u32, etag: &str| sending.reading.sum(number).or_else(|| md5_of(etag));
        let sums: Vec<Option<[u8; 16]>> = known.iter().map(|(number, etag)| of_part(*number, etag)).collect();
        let whole = sending.reading.whole(parts);
        if whole.is_some() && whole == md5_of(etag) {
            return Ok(());
        }
        let hex = |sum: &[u8; 16]| crate::transfer::digest::hex(sum);
        let texts: Option<Vec<String>> = sums.iter().map(|sum| sum.as_ref().map(hex)).collect();
        let of_parts = texts.and_then(|texts| whole_etag(texts.iter().map(String::as_str)));
        if of_parts.as_deref() == Some(etag.trim_matches('"')) {
            return Ok(());
        }
        self.note_once("what is copied is read twice: its ETag does not tell whether it came as it is".to_owned());
        let mut missing = known.keys().copied().zip(sums).collect::<Vec<_>>().into_iter();
        let mut running = FuturesUnordered::new();
        let mut altered = Vec::new();
        loop {
            running.extend(missing.by_ref().take(AT_ONCE - running.len()).map(|(number, sum)| {
                let range = range(number);
                async move { Ok::<_, Error>((number, sum, self.sum_once_more(item, range).await?)) }
            }));
            let Some(read) = running.next().await else { break };
            let (number, sum, again) = read?;
            if sum != Some(again) {
                altered.push((number, again));
            }
        }
        drop(running);
        // The same came again, and is not what the server has a sum of.
        if altered.is_empty()
            && whole.is_some()
            && md5_of(etag).is_some()
            && !is_sealed(&self.know(item).await?.stat.detail)
        {
            return Err(arrives_altered(item));
        }
        for (number, again) in altered {
            self.control.note(format!("part {number} came altered: it is copied again"));
            let etag = self.send_part(sending, number, range(number)).await?;
            if sending.reading.sum(number) != Some(again) {
                return Err(arrives_altered(item));
            }
            known.insert(number, etag);
        }
        Ok(())
    }

    async fn sum_once_more(&self, item: &Item, range: Range<u64>) -> Result<[u8; 16]> {
        let _memory = self.room(range.end - range.start).await?;
        let place = self.place().await?;
        let length = range.end - range.start;
        let read = self.race(self.again(|| item.root.source.read_pinned(item.pinned(), range.clone()))).await;
        Self::leave(place, &read, length);
        Ok(self.digest(&read?).await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_are_summed_up_in_their_order_however_they_come() {
        let bytes: Vec<u8> = (0..=250).cycle().take(10_000).collect();
        let parts: Vec<Bytes> = bytes.chunks(999).map(Bytes::copy_from_slice).collect();
        let reading = Reading::new(true);
        for number in [3, 1, 2, 11, 10, 5, 4, 9, 8, 7, 6] {
            let part = parts[number as usize - 1].clone();
            reading.took(number, Md5::digest(&part).into(), part, None).await;
        }
        assert_eq!(reading.sum(11), Some(Md5::digest(&parts[10]).into()));
        assert_eq!(reading.whole(11), Some(Md5::digest(&bytes).into()));
        let reading = Reading::new(true);
        reading.took(2, [0; 16], parts[1].clone(), None).await;
        assert_eq!(reading.whole(2), None, "one is missing");
    }
}
