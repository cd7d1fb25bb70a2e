//! MD5 sums of a large file while it is written: a thread follows what has arrived, so that no network ever waits
//! for a digest. Parts are summed up several at a time, from memory what is still there, else from the file.

use super::disk::{BLOCK, Draft};
use super::feed::{Feed, STRIDE};
use super::kept::{Kept, Piece};
use crate::error::{Error, Kind, Result};
use crate::transfer::lanes::{self, LANES, STEP, Sum};
use bytes::Bytes;
use md5::{Digest as _, Md5};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Unfinished parts that are looked at: later ones have their time.
const NEAR: usize = 4 * LANES;
/// Bytes of a part that are worth to go on with.
const WORTH: u64 = 256 << 10;
/// So much that waits is summed up although more lanes could go along.
const BACKLOG: u64 = 32 << 20;
/// A lane that is at the end of a chunk copies so many bytes, so that the others need not take smaller steps.
const LEAST: usize = 4 << 10;

/// What has been written of a file.
struct Written {
    size: u64,
    /// Starts and ends of ranges that do not touch.
    ranges: BTreeMap<u64, u64>,
    /// Those of its bytes that are still in memory.
    kept: Kept,
    /// Bytes of all that was told.
    told: u64,
    /// Where the sums go on, ascending.
    needs: Vec<u64>,
    /// When so much is told, the thread goes on.
    awaited: Option<u64>,
    ended: bool,
}

#[derive(Clone)]
struct Shared(Arc<(Mutex<Written>, Condvar)>);

/// A thread that sums up a file while it is written. Dropped, it ends the thread.
pub(super) struct Follower {
    shared: Shared,
    digest: tokio::task::JoinHandle<Result<[u8; 16]>>,
}

/// Tells the thread how far the file is.
#[derive(Clone)]
pub(super) struct Teller(Shared);

impl Teller {
    /// A range has been written, with these bytes of its beginning that are still in memory.
    pub(super) fn written(&self, range: Range<u64>, pieces: Vec<Bytes>) {
        if self.0.lock().add(range, pieces) {
            self.0.0.1.notify_all();
        }
    }
}

impl Shared {
    fn new(size: u64, room: Arc<Semaphore>) -> Self {
        let written = Written {
            size,
            ranges: BTreeMap::new(),
            kept: Kept::new(room),
            told: 0,
            needs: Vec::new(),
            awaited: None,
            ended: false,
        };
        Self(Arc::new((Mutex::new(written), Condvar::new())))
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nobody sums up any longer.
    fn end(&self) {
        let mut written = self.lock();
        written.ended = true;
        written.kept.clear();
        drop(written);
        self.0.1.notify_all();
    }
}

impl Follower {
    /// Follows a file: the MD5 of all of it, or, with parts, the MD5 of their MD5s. `room`: bytes that may be kept in
    /// memory, of this file and others.
    pub(super) fn start(draft: Draft, size: u64, parts: Option<Vec<Range<u64>>>, room: Arc<Semaphore>) -> Self {
        let shared = Shared::new(size, room);
        let file = draft.file.clone();
        let progress = Followed { shared: shared.clone(), draft };
        let digest = tokio::task::spawn_blocking(move || match parts {
            None => whole(&file, size, &progress),
            Some(parts) => of_parts(&file, &parts, &progress),
        });
        Self { shared, digest }
    }

    /// What tells it how far the file is.
    pub(super) fn teller(&self) -> Teller {
        Teller(self.shared.clone())
    }

    /// The digest, once everything has been written.
    pub(super) async fn finish(mut self) -> Result<[u8; 16]> {
        let failed = |_| Error::new(Kind::Failed, "a checking thread failed");
        (&mut self.digest).await.map_err(failed)?
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl Written {
    /// Notes a range; whether the thread waits for it.
    fn add(&mut self, range: Range<u64>, pieces: Vec<Bytes>) -> bool {
        if self.ended {
            return false;
        }
        self.told += range.end - range.start;
        let mut at = range.start;
        for piece in pieces {
            let end = at + piece.len() as u64;
            self.kept.add(at, piece, &self.needs);
            at = end;
        }
        let (mut start, mut end) = (range.start, range.end);
        if let Some((&before, &until)) = self.ranges.range(..=start).next_back()
            && until >= start
        {
            (start, end) = (before, end.max(until));
        }
        while let Some((&next, &until)) = self.ranges.range(start..=end).next() {
            self.ranges.remove(&next);
            end = end.max(until);
        }
        self.ranges.insert(start, end);
        let is_awaited = self.awaited.is_some_and(|told| self.is_there(told));
        if is_awaited {
            self.awaited = None;
        }
        is_awaited
    }

    /// Whether so much was told, or all is written.
    fn is_there(&self, told: u64) -> bool {
        self.told >= told || self.reach(0) >= self.size
    }

    /// Fails when nobody wants the sum any longer.
    fn check(&self) -> Result<()> {
        if self.ended { Err(Error::cancelled()) } else { Ok(()) }
    }

    /// The end of what is there from `at` on.
    fn reach(&self, at: u64) -> u64 {
        self.ranges.range(..=at).next_back().map_or(at, |(_, end)| (*end).max(at))
    }
}

/// How far a file is there.
pub(super) trait Progress {
    /// The end of what is there from each of these offsets on, at which the sums go on, ascending; and how much was
    /// told.
    fn reach(&self, from: &[u64]) -> Result<(Vec<u64>, u64)>;

    /// Waits until so much was told, or all is there; fails when nothing more will come.
    fn more(&self, told: u64) -> Result<()>;

    /// Where the bytes of a range are, all of which are there. To be asked once.
    fn take(&self, range: Range<u64>) -> VecDeque<Piece> {
        VecDeque::from([Piece::File(range.end - range.start)])
    }

    /// This range has been summed up.
    fn passed(&self, _: Range<u64>) {}

    /// Whether to go on.
    fn check(&self) -> Result<()>;
}

/// All of it is there; asked again and again whether to go on.
pub(super) struct Whole<F: Fn() -> Result<()>>(pub(super) F);

impl<F: Fn() -> Result<()>> Progress for Whole<F> {
    fn reach(&self, from: &[u64]) -> Result<(Vec<u64>, u64)> {
        self.check()?;
        Ok((vec![u64::MAX; from.len()], 0))
    }

    fn more(&self, _: u64) -> Result<()> {
        Err(Error::new(Kind::Changed, "the file became shorter while it was compared"))
    }

    fn check(&self) -> Result<()> {
        (self.0)()
    }
}

/// Dropped, it lets go of what is kept: nobody needs it then.
struct Followed {
    shared: Shared,
    draft: Draft,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl Progress for Followed {
    fn reach(&self, from: &[u64]) -> Result<(Vec<u64>, u64)> {
        let mut written = self.shared.lock();
        written.check()?;
        written.needs.clear();
        written.needs.extend(from);
        Ok((from.iter().map(|at| written.reach(*at)).collect(), written.told))
    }

    fn more(&self, told: u64) -> Result<()> {
        let mut written = self.shared.lock();
        while !written.is_there(told) {
            written.check()?;
            written.awaited = Some(told);
            written = self.shared.0.1.wait(written).unwrap_or_else(PoisonError::into_inner);
        }
        written.check()
    }

    fn take(&self, range: Range<u64>) -> VecDeque<Piece> {
        self.shared.lock().kept.take(range)
    }

    fn passed(&self, range: Range<u64>) {
        self.draft.passed(range);
    }

    fn check(&self) -> Result<()> {
        self.shared.lock().check()
    }
}

/// The MD5 of a file. Blocks.
pub(super) fn whole(file: &File, size: u64, progress: &impl Progress) -> Result<[u8; 16]> {
    let mut sum = Md5::new();
    let mut feed = Feed::default();
    let mut at = 0;
    while at < size {
        let (reach, told) = progress.reach(&[at])?;
        let end = reach[0].min(size);
        if end == at {
            progress.more(told + BLOCK)?;
            continue;
        }
        let from = at;
        feed.begin(at, progress.take(at..end));
        while at < end {
            progress.check()?;
            feed.fill(file, 1)?;
            let n = feed.next().len().min(BLOCK as usize);
            sum.update(&feed.next()[..n]);
            feed.pass(n);
            at += n as u64;
        }
        progress.passed(from..end);
    }
    Ok(sum.finalize().into())
}

/// A part whose sum goes on.
struct Part {
    /// Its place among the parts.
    index: usize,
    at: u64,
    end: u64,
    sum: Sum,
}

impl Part {
    /// What of it can be summed up now: a piece that is worth it, or all to its end.
    fn ready(&self, reach: u64) -> Option<u64> {
        let there = reach.min(self.end).saturating_sub(self.at);
        (self.at + there == self.end || there >= WORTH).then_some(there)
    }
}

/// The MD5 of the MD5s of parts, those side by side of which there is something. Blocks.
pub(super) fn of_parts(file: &File, parts: &[Range<u64>], progress: &impl Progress) -> Result<[u8; 16]> {
    let mut sums = vec![[0; 16]; parts.len()];
    let part = |(index, range): (usize, &Range<u64>)| Part { index, at: range.start, end: range.end, sum: Sum::new() };
    let mut open: VecDeque<Part> = parts.iter().enumerate().map(part).collect();
    let mut feeds: Vec<Feed> = std::iter::repeat_with(Feed::default).take(LANES).collect();
    while !open.is_empty() {
        let near = open.len().min(NEAR);
        let from: Vec<u64> = open.iter().take(near).map(|part| part.at).collect();
        let (reach, told) = progress.reach(&from)?;
        let mut ready: Vec<(usize, u64)> = (0..near).filter_map(|i| Some((i, open[i].ready(reach[i])?))).collect();
        if let Some(last) = ready.iter().position(|(i, n)| *n < STEP as u64 && open[*i].at + n == open[*i].end) {
            let Some(part) = open.remove(ready[last].0) else { continue };
            let feed = &mut feeds[0];
            feed.begin(part.at, progress.take(part.at..part.end));
            let n = (part.end - part.at) as usize;
            feed.fill(file, n)?;
            sums[part.index] = part.sum.finish(&feed.next()[..n]);
            continue;
        }
        let waiting: u64 = ready.iter().map(|(_, n)| n).sum();
        let missing = near.min(LANES).saturating_sub(ready.len()) as u64;
        if missing > 0 && waiting < BACKLOG {
            // Blocks are written one at a time: so many are not there sooner.
            progress.more(told + (missing * BLOCK).min(BACKLOG - waiting))?;
            continue;
        }
        // Those that are there furthest go furthest together.
        ready.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        ready.truncate(LANES);
        advance(file, &mut open, &ready, &mut feeds, progress)?;
    }
    Ok(Md5::digest(sums.concat()).into())
}

/// Sums up parts as far as all of `ready` are there.
fn advance(
    file: &File,
    open: &mut VecDeque<Part>,
    ready: &[(usize, u64)],
    feeds: &mut [Feed],
    progress: &impl Progress,
) -> Result<()> {
    let all = ready.iter().map(|(_, n)| n / STEP as u64 * STEP as u64).min().unwrap_or(0);
    let mut left = all;
    let mut going: Vec<(&mut Part, &mut Feed)> = Vec::with_capacity(ready.len());
    let parts = open.iter_mut().enumerate().filter(|(i, _)| ready.iter().any(|(ready, _)| ready == i));
    for ((_, part), feed) in parts.zip(feeds) {
        feed.begin(part.at, progress.take(part.at..part.at + left));
        going.push((part, feed));
    }
    while left > 0 {
        progress.check()?;
        let least = left.min(LEAST as u64) as usize;
        let mut n = left.min(STRIDE as u64) as usize;
        for (_, feed) in &mut going {
            feed.fill(file, least)?;
            n = n.min(feed.next().len() / STEP * STEP);
        }
        let (mut sums, bytes): (Vec<&mut Sum>, Vec<&[u8]>) =
            going.iter_mut().map(|(part, feed)| (&mut part.sum, &feed.next()[..n])).unzip();
        lanes::add(&mut sums, &bytes);
        for (part, feed) in &mut going {
            part.at += n as u64;
            feed.pass(n);
        }
        left -= n as u64;
    }
    for (part, _) in going {
        progress.passed(part.at - all..part.at);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::super::disk::Disk;
    use super::super::kept::ROOM;
    use super::*;
    use std::io::Write as _;

    fn body() -> Vec<u8> {
        (0..5_000_001_u32).map(|n| (n * 31 % 253) as u8).collect()
    }

    fn file(body: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(body).expect("writes");
        Arc::new(file)
    }

    fn draft(file: &Arc<File>) -> Draft {
        Draft::new(file.clone(), &Disk::default())
    }

    fn room(bytes: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(bytes))
    }

    fn sum_of_sums(body: &[u8], parts: &[Range<u64>]) -> [u8; 16] {
        let sum = |part: &Range<u64>| Md5::digest(&body[part.start as usize..part.end as usize]).to_vec();
        Md5::digest(parts.iter().flat_map(sum).collect::<Vec<u8>>()).into()
    }

    type Parts = Option<Vec<Range<u64>>>;

    /// What is followed, and its digest.
    fn followed(body: &[u8]) -> [(Parts, [u8; 16]); 4] {
        let [many, few, tiny] = [300_000, 1_700_003, 4001].map(|part| check::parts(body.len() as u64, part));
        let digests = [&many, &few, &tiny].map(|parts| sum_of_sums(body, parts));
        let whole = (None, Md5::digest(body).into());
        [whole, (Some(many), digests[0]), (Some(few), digests[1]), (Some(tiny), digests[2])]
    }

    /// Tells of a range in blocks of odd sizes, none of which is too small to be kept.
    fn tell(teller: &Teller, body: &[u8], range: Range<u64>) {
        let mut at = range.start;
        for length in [1025, 100_001, 16_384, 4095].into_iter().cycle() {
            let end = if range.end - at < length + 2000 { range.end } else { at + length };
            teller.written(at..end, vec![Bytes::copy_from_slice(&body[at as usize..end as usize])]);
            at = end;
            if at == range.end {
                break;
            }
        }
    }

    #[tokio::test]
    async fn a_file_is_followed_in_whatever_order_it_comes() {
        let body = body();
        let (file, size) = (file(&body), body.len() as u64);
        for (parts, expected) in followed(&body) {
            let follower = Follower::start(draft(&file), size, parts, room(0));
            for start in [4_000_000, 1_000_000, 2_000_000, 0, 3_000_000] {
                follower.teller().written(start..size.min(start + 1_000_000), Vec::new());
            }
            follower.teller().written(size - 1..size, Vec::new());
            assert_eq!(follower.finish().await.expect("a digest"), expected);
        }
        let there = Whole(|| Ok(()));
        let few = check::parts(size, 2_000_003);
        assert_eq!(of_parts(&file, &few, &there).expect("reads"), sum_of_sums(&body, &few));
        assert!(of_parts(&file, std::slice::from_ref(&(0..size + 1)), &there).is_err(), "it is shorter");
        let room = room(10_000);
        let dropped = Follower::start(draft(&file), size, None, room.clone());
        let teller = dropped.teller();
        tell(&teller, &body, 2_000_000..2_005_000);
        drop(dropped);
        tell(&teller, &body, 2_005_000..2_010_000);
        assert!(teller.0.lock().ended);
        assert_eq!(room.available_permits(), 10_000, "nothing is kept for nobody");
    }

    #[tokio::test]
    async fn what_is_in_memory_is_not_read_back() {
        let (body, nothing) = (body(), file(&[]));
        let size = body.len() as u64;
        for (parts, expected) in followed(&body) {
            let room = room(ROOM);
            let follower = Follower::start(draft(&nothing), size, parts, room.clone());
            for n in [3, 0, 9, 1, 2, 8, 7, 4, 6, 5] {
                let range = n * 500_000..size.min((n + 1) * 500_000 + u64::from(n == 9));
                tell(&follower.teller(), &body, range);
            }
            assert_eq!(follower.finish().await.expect("a digest"), expected);
            assert_eq!(room.available_permits(), ROOM, "all that was summed up is let go");
        }
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_comes_from_the_file() {
        let body = body();
        let (file, size) = (file(&body), body.len() as u64);
        for bytes in [70_000, 300_000, 2_000_000, ROOM] {
            for (parts, expected) in followed(&body) {
                let room = room(bytes);
                let follower = Follower::start(draft(&file), size, parts, room.clone());
                let teller = follower.teller();
                // Some of it was there before, and some comes twice.
                teller.written(1_000_000..1_234_567, Vec::new());
                teller.written(4_900_000..size, Vec::new());
                let mut starts: Vec<u64> = (0..size).step_by(123_457).collect();
                starts.sort_by_key(|start| (start % 5, start % 3));
                for (i, start) in starts.into_iter().enumerate() {
                    let range = start..size.min(start + 123_457);
                    if i % 4 == 3 {
                        teller.written(range, Vec::new());
                    } else {
                        tell(&teller, &body, range);
                    }
                }
                assert_eq!(follower.finish().await.expect("a digest"), expected, "{bytes}");
                assert_eq!(room.available_permits(), bytes);
            }
        }
    }
}
