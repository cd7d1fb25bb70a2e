//! Reading of a virtual file: what is asked for, what is read ahead of that, and what was asked for before.

use super::{Known, Remote};
use crate::error::Result;
use crate::store::gdal::lock;
use crate::task::Control;
use bytes::Bytes;
use futures::stream::{StreamExt as _, TryStreamExt as _};
use std::ops::Range;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Smallest and largest read ahead of what GDAL asked for. It doubles while reads are sequential, so that never more
/// is read ahead than was read before.
const AHEAD: Range<u64> = (32 << 10)..(8 << 20);

/// A step forward that is still sequential: what is left out costs less than another request.
const NEAR: u64 = 256 << 10;

/// What is read ahead comes in pieces of this size, at once. From so many bytes on, the next are fetched while GDAL
/// decodes those that are there.
const PIECE: u64 = 1 << 20;

/// Bytes fetched for one read before some of them are handed on: less than is kept.
const WINDOW: u64 = 16 << 20;

/// Ranges of one object that lie closer together are fetched as one.
const GAP: u64 = object_store::OBJECT_STORE_COALESCE_DEFAULT;

/// Requests of one read that are under way at once.
const PARALLEL: usize = 16;

/// Of one open file: where the next single read would be sequential, how far it reads ahead, and what is on its way.
pub(in crate::store::gdal) struct Flow {
    next: u64,
    ahead: u64,
    coming: Option<(Range<u64>, AbortOnDropHandle<()>)>,
}

impl Default for Flow {
    fn default() -> Self {
        Self { next: crate::store::gdal::HEAD, ahead: AHEAD.start, coming: None }
    }
}

/// What was asked for before GDAL did.
pub(super) struct Flight {
    ranges: Vec<Range<u64>>,
    /// Cancelled once it is over, however that ended.
    landed: CancellationToken,
    /// Dropped with the file.
    _task: AbortOnDropHandle<()>,
}

impl Remote {
    /// Sends for ranges, which are in order, as [`Remote::read_ranges`] would; not if that took more than `most`
    /// bytes. What is read of them later waits for this, and only then asks for what is still missing.
    pub(in crate::store::gdal) fn ask_ahead(self: &Arc<Self>, control: &Control, ranges: &[Range<u64>], most: u64) {
        let Some(known) = lock(&self.known).clone() else { return };
        let missing = ranges.iter().filter(|range| self.at_hand(&known, range).is_none()).cloned().collect();
        let ranges = merge(missing);
        if ranges.is_empty() || ranges.iter().map(|r| r.end - r.start).sum::<u64>() > most {
            return;
        }
        let landed = CancellationToken::new();
        let over = landed.clone().drop_guard();
        let (remote, control, wanted) = (self.clone(), control.clone(), ranges.clone());
        let task = self.session.runtime.spawn(async move {
            let _over = over;
            let fetches = wanted.into_iter().map(|range| remote.ask_for(&known, range));
            let all = futures::stream::iter(fetches).buffered(PARALLEL).try_for_each(|_| std::future::ready(Ok(())));
            // What goes wrong is met again by the one who reads, and told.
            let _ = control.race(all).await;
        });
        *lock(&self.flight) = Some(Flight { ranges, landed, _task: AbortOnDropHandle::new(task) });
    }

    /// What was asked for ahead, if some of a range is in it: cancelled once it is over.
    fn flight_with(&self, range: &Range<u64>) -> Option<CancellationToken> {
        let overlaps = |flight: &&Flight| flight.ranges.iter().any(|r| r.start < range.end && range.start < r.end);
        lock(&self.flight).as_ref().filter(overlaps).map(|flight| flight.landed.clone())
    }

    /// Waits for what was asked for ahead, if some of a range is in it. Whether that is so: what was missing can be
    /// there now.
    pub(super) fn wait_for_flight(&self, range: &Range<u64>) -> Result<bool> {
        let Some(landed) = self.flight_with(range) else { return Ok(false) };
        if !landed.is_cancelled() {
            self.session.wait(async {
                landed.cancelled().await;
                Ok(())
            })?;
        }
        Ok(true)
    }

    /// A range that is at hand, or was asked for ahead, for which it waits, whatever GDAL is called for meanwhile.
    /// Nothing is asked for.
    pub(in crate::store::gdal) fn arriving(&self, range: &Range<u64>) -> Option<Bytes> {
        if let Some(landed) = self.flight_with(range) {
            self.session.runtime.block_on(landed.cancelled());
        }
        self.without_request(range)
    }

    /// The range to fetch when `wanted` bytes from `at` are missing; and what is on its way already, if they are in it.
    fn plan(flow: &mut Flow, known: &Known, at: u64, wanted: u64) -> (Range<u64>, Option<AbortOnDropHandle<()>>) {
        let coming = flow.coming.take().filter(|(range, _)| range.contains(&at));
        let is_near = at.checked_sub(flow.next).is_some_and(|step| step <= NEAR);
        flow.ahead = match &coming {
            None if is_near => (flow.ahead * 2).min(AHEAD.end),
            None => AHEAD.start,
            Some(_) => flow.ahead,
        };
        let end = at.saturating_add(wanted.max(flow.ahead).min(WINDOW)).min(known.size);
        let end = coming.as_ref().map_or(end, |(range, _)| range.end);
        flow.next = end;
        (at..end, coming.map(|(_, task)| task))
    }

    /// Fetches what is not held, and as it is sequential more; the bytes from `at` on.
    fn missing(self: &Arc<Self>, flow: &mut Flow, known: &Arc<Known>, at: u64, wanted: u64) -> Result<Bytes> {
        if self.wait_for_flight(&(at..at + 1))?
            && let Some(bytes) = self.held(known, at)
        {
            return Ok(bytes);
        }
        let (range, coming) = Self::plan(flow, known, at, wanted);
        if let Some(task) = coming {
            // What went wrong with it is met again below.
            self.session.wait(async {
                // Cancelled or not, it is over.
                let _ = task.await;
                Ok(())
            })?;
            self.read_on(flow, known, range.end);
            if let Some(bytes) = self.held(known, at) {
                return Ok(bytes);
            }
        }
        let first = range.start..range.end.min(range.start + PIECE * 2);
        let bytes = if range == first {
            self.session.wait(self.fetch(known, range.clone()))?
        } else {
            self.session.wait(self.fetch_pieces(known, range.clone()))?
        };
        self.read_on(flow, known, range.end);
        Ok(bytes)
    }

    /// Fetches a range in pieces, all at once; they are kept, the first is the answer.
    pub(in crate::store::gdal) async fn fetch_pieces(&self, known: &Known, range: Range<u64>) -> Result<Bytes> {
        let starts = (range.start..range.end).step_by(PIECE as usize);
        let fetches = starts.map(|start| self.fetch(known, start..range.end.min(start + PIECE)));
        let mut pieces = futures::stream::iter(fetches).buffered(PARALLEL);
        let first = pieces.try_next().await?.unwrap_or_default();
        while pieces.try_next().await?.is_some() {}
        Ok(first)
    }

    /// Has the bytes from `start` on fetched meanwhile, if it was read so far in one go.
    fn read_on(self: &Arc<Self>, flow: &mut Flow, known: &Arc<Known>, start: u64) {
        let range = start..start.saturating_add(flow.ahead).min(known.size);
        if flow.ahead < PIECE || range.is_empty() {
            return;
        }
        let (remote, known, wanted) = (self.clone(), known.clone(), range.clone());
        let (control, abandoned) = self.session.listens_to();
        let task = self.session.runtime.spawn(async move {
            let work = control.race(remote.fetch_pieces(&known, wanted));
            tokio::select! {
                biased;
                () = abandoned.cancelled() => {}
                _ = work => {}
            }
        });
        flow.coming = Some((range, AbortOnDropHandle::new(task)));
    }

    /// Fills `out` from `offset` on; fewer bytes only at the end of the file.
    pub(in crate::store::gdal) fn read_at(
        self: &Arc<Self>,
        flow: &mut Flow,
        offset: u64,
        out: &mut [u8],
    ) -> Result<usize> {
        let known = self.known()?;
        let zeros = lock(&self.zeros).clone();
        let left = usize::try_from(known.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = out.len().min(left);
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let next = zeros.get(zeros.partition_point(|range| range.end <= at));
            if let Some(range) = next.filter(|range| range.start <= at) {
                let n = usize::try_from(range.end - at).unwrap_or(usize::MAX).min(len - done);
                out[done..done + n].fill(0);
                done += n;
                continue;
            }
            let before = next.map_or(usize::MAX, |range| usize::try_from(range.start - at).unwrap_or(usize::MAX));
            let wanted = before.min(len - done);
            let bytes = match self.held(&known, at) {
                Some(bytes) => bytes,
                None => self.missing(flow, &known, at, wanted as u64)?,
            };
            let n = bytes.len().min(wanted);
            out[done..done + n].copy_from_slice(&bytes[..n]);
            done += n;
        }
        Ok(len)
    }

    /// Reads all `ranges`; what is not held is fetched in few parallel requests.
    pub(in crate::store::gdal) fn read_ranges(self: &Arc<Self>, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let known = self.known()?;
        let find = |range: &Range<u64>| match self.at_hand(&known, range) {
            None if self.wait_for_flight(range)? => Ok(self.at_hand(&known, range)),
            found => Ok(found),
        };
        let mut found: Vec<Option<Bytes>> = ranges.iter().map(find).collect::<Result<_>>()?;
        let missing: Vec<Range<u64>> =
            ranges.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(r, _)| r.clone()).collect();
        let merged = merge(missing);
        let fetches = merged.iter().map(|range| {
            let (remote, known, range) = (self.clone(), known.clone(), range.clone());
            async move { remote.fetch(&known, range).await }
        });
        let fetched: Vec<Bytes> = if merged.is_empty() {
            Vec::new()
        } else {
            self.session.wait(futures::stream::iter(fetches).buffered(PARALLEL).try_collect())?
        };
        for (range, slot) in ranges.iter().zip(&mut found).filter(|(_, slot)| slot.is_none()) {
            let index = merged.partition_point(|m| m.start <= range.start).saturating_sub(1);
            if let (Some(outer), Some(bytes)) = (merged.get(index), fetched.get(index)) {
                *slot = Some(bytes.slice((range.start - outer.start) as usize..(range.end - outer.start) as usize));
            }
        }
        Ok(found.into_iter().map(Option::unwrap_or_default).collect())
    }
}

/// Ranges in order, those that lie closely together as one.
fn merge(mut ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    ranges.sort_by_key(|r| (r.start, r.end));
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(GAP) => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}
