//! MD5 sums of a large file while it is written: a thread follows what has arrived and reads it again from the
//! memory of the system, so that no network ever waits for a digest. Parts are summed up several at a time.

use crate::error::{Context as _, Error, Kind, Result};
use crate::transfer::lanes::{self, LANES, STEP, Sum};
use md5::{Digest as _, Md5};
use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes read at once.
const BLOCK: usize = 1 << 20;
/// Bytes read of each part at once: those of all lanes stay in the processor's cache.
const STRIDE: usize = 32 << 10;
/// Unfinished parts that are looked at: later ones have their time.
const NEAR: usize = 4 * LANES;

/// Bytes of a part that are worth to go on with.
const WORTH: u64 = 256 << 10;
/// So much that waits is summed up although more lanes could go along.
const BACKLOG: u64 = 32 << 20;

/// What has been written of a file.
#[derive(Default)]
struct Written {
    /// Starts and ends of ranges that do not touch.
    ranges: std::collections::BTreeMap<u64, u64>,
    ended: bool,
    /// Grows with every range.
    version: u64,
}

/// A thread that sums up a file while it is written. Dropped, it ends the thread.
pub(super) struct Follower {
    shared: Arc<(Mutex<Written>, Condvar)>,
    digest: tokio::task::JoinHandle<Result<[u8; 16]>>,
}

/// Tells the thread how far the file is.
#[derive(Clone)]
pub(super) struct Teller(Arc<(Mutex<Written>, Condvar)>);

impl Teller {
    /// A range has been written.
    pub(super) fn written(&self, range: Range<u64>) {
        lock(&self.0).add(range);
        self.0.1.notify_all();
    }
}

fn lock(shared: &(Mutex<Written>, Condvar)) -> MutexGuard<'_, Written> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Follower {
    /// Follows a file: the MD5 of all of it, or, with parts, the MD5 of their MD5s.
    pub(super) fn start(file: Arc<File>, size: u64, parts: Option<Vec<Range<u64>>>) -> Self {
        let shared: Arc<(Mutex<Written>, Condvar)> = Arc::default();
        let seen = shared.clone();
        let digest = tokio::task::spawn_blocking(move || {
            let progress = Followed { shared: seen };
            match parts {
                None => whole(&file, size, &progress),
                Some(parts) => of_parts(&file, &parts, &progress),
            }
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
        lock(&self.shared).ended = true;
        self.shared.1.notify_all();
    }
}

impl Written {
    fn add(&mut self, range: Range<u64>) {
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
        self.version += 1;
    }

    /// The end of what is there from `at` on.
    fn reach(&self, at: u64) -> u64 {
        self.ranges.range(..=at).next_back().map_or(at, |(_, end)| (*end).max(at))
    }
}

/// How far a file is there.
pub(super) trait Progress {
    /// The end of what is there from each of these offsets on, and a number that grows when there is more.
    fn reach(&self, from: &[u64]) -> Result<(Vec<u64>, u64)>;

    /// Waits until there is more than with this number; fails when nothing more will come.
    fn more(&self, than: u64) -> Result<()>;
}

/// All of it is there; asked again and again whether to go on.
pub(super) struct Whole<F: Fn() -> Result<()>>(pub(super) F);

impl<F: Fn() -> Result<()>> Progress for Whole<F> {
    fn reach(&self, from: &[u64]) -> Result<(Vec<u64>, u64)> {
        (self.0)()?;
        Ok((vec![u64::MAX; from.len()], 0))
    }

    fn more(&self, _: u64) -> Result<()> {
        Err(Error::new(Kind::Changed, "the file became shorter while it was compared"))
    }
}

struct Followed {
    shared: Arc<(Mutex<Written>, Condvar)>,
}

impl Progress for Followed {
    fn reach(&self, from: &[u64]) -> Result<(Vec<u64>, u64)> {
        let written = lock(&self.shared);
        if written.ended {
            return Err(Error::cancelled());
        }
        Ok((from.iter().map(|at| written.reach(*at)).collect(), written.version))
    }

    fn more(&self, than: u64) -> Result<()> {
        let mut written = lock(&self.shared);
        while written.version == than {
            if written.ended {
                return Err(Error::cancelled());
            }
            written = self.shared.1.wait(written).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

/// The MD5 of a file. Blocks.
pub(super) fn whole(file: &File, size: u64, progress: &impl Progress) -> Result<[u8; 16]> {
    let mut sum = Md5::new();
    let mut buffer = vec![0; BLOCK.min(size as usize)];
    let mut at = 0;
    while at < size {
        let (reach, version) = progress.reach(&[at])?;
        let end = reach[0].min(size);
        if end == at {
            progress.more(version)?;
        }
        while at < end {
            let n = (end - at).min(BLOCK as u64);
            file.read_exact_at(&mut buffer[..n as usize], at).context(reading)?;
            sum.update(&buffer[..n as usize]);
            at += n;
            progress.reach(&[])?;
        }
    }
    Ok(sum.finalize().into())
}

fn reading() -> String {
    "reading what was written".into()
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
    let mut buffers = vec![vec![0; STRIDE]; LANES];
    while !open.is_empty() {
        let near = open.len().min(NEAR);
        let from: Vec<u64> = open.iter().take(near).map(|part| part.at).collect();
        let (reach, version) = progress.reach(&from)?;
        let mut ready: Vec<(usize, u64)> = (0..near).filter_map(|i| Some((i, open[i].ready(reach[i])?))).collect();
        if let Some(last) = ready.iter().position(|(i, n)| *n < STEP as u64 && open[*i].at + n == open[*i].end) {
            let Some(part) = open.remove(ready[last].0) else { continue };
            let mut rest = vec![0; (part.end - part.at) as usize];
            file.read_exact_at(&mut rest, part.at).context(reading)?;
            sums[part.index] = part.sum.finish(&rest);
            continue;
        }
        let waiting: u64 = ready.iter().map(|(_, n)| n).sum();
        if ready.len() < near.min(LANES) && waiting < BACKLOG {
            progress.more(version)?;
            continue;
        }
        // Those that are there furthest go furthest together.
        ready.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        ready.truncate(LANES);
        advance(file, &mut open, &ready, &mut buffers, progress)?;
    }
    Ok(Md5::digest(sums.concat()).into())
}

/// Sums up parts as far as all of `ready` are there.
fn advance(
    file: &File,
    open: &mut VecDeque<Part>,
    ready: &[(usize, u64)],
    buffers: &mut [Vec<u8>],
    progress: &impl Progress,
) -> Result<()> {
    let mut left = ready.iter().map(|(_, n)| n / STEP as u64 * STEP as u64).min().unwrap_or(0);
    let mut going: Vec<&mut Part> = Vec::with_capacity(ready.len());
    for (i, part) in open.iter_mut().enumerate() {
        if ready.iter().any(|(ready, _)| *ready == i) {
            going.push(part);
        }
    }
    while left > 0 {
        progress.reach(&[])?;
        let n = left.min(STRIDE as u64) as usize;
        for (part, buffer) in going.iter().zip(buffers.iter_mut()) {
            file.read_exact_at(&mut buffer[..n], part.at).context(reading)?;
        }
        let bytes: Vec<&[u8]> = buffers.iter().take(going.len()).map(|buffer| &buffer[..n]).collect();
        lanes::add(&mut going.iter_mut().map(|part| &mut part.sum).collect::<Vec<_>>(), &bytes);
        for part in &mut going {
            part.at += n as u64;
        }
        left -= n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[tokio::test]
    async fn a_file_is_followed_in_whatever_order_it_comes() {
        let body: Vec<u8> = (0..5_000_001_u32).map(|n| (n * 31 % 253) as u8).collect();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&body).expect("writes");
        let (file, size) = (Arc::new(file), body.len() as u64);
        let parts = super::super::check::parts(size, 300_000);
        let expected: Vec<u8> =
            parts.iter().flat_map(|part| Md5::digest(&body[part.start as usize..part.end as usize]).to_vec()).collect();
        let expected: [[u8; 16]; 2] = [Md5::digest(&body).into(), Md5::digest(&expected).into()];
        for (parts, expected) in [None, Some(parts)].into_iter().zip(expected) {
            let follower = Follower::start(file.clone(), size, parts);
            for start in [4_000_000, 1_000_000, 2_000_000, 0, 3_000_000] {
                follower.teller().written(start..size.min(start + 1_000_000));
            }
            follower.teller().written(size - 1..size);
            assert_eq!(follower.finish().await.expect("a digest"), expected);
        }
        let there = Whole(|| Ok(()));
        let few = super::super::check::parts(size, 2_000_003);
        let expected: Vec<u8> =
            few.iter().flat_map(|part| Md5::digest(&body[part.start as usize..part.end as usize]).to_vec()).collect();
        assert_eq!(of_parts(&file, &few, &there).expect("reads"), <[u8; 16]>::from(Md5::digest(expected)));
        assert!(of_parts(&file, std::slice::from_ref(&(0..size + 1)), &there).is_err(), "it is shorter");
        let dropped = Follower::start(file, size, None);
        dropped.teller().written(0..5);
        let ended = dropped.shared.clone();
        drop(dropped);
        assert!(lock(&ended).ended);
    }
}
