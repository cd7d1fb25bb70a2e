//! MD5 sums of a large file while it is written: a thread follows what has arrived and reads it again from the
//! memory of the system, so that no network ever waits for a digest. Parts are summed up several at a time.

use super::lanes;
use crate::error::{Context as _, Error, Kind, Result};
use md5::{Digest as _, Md5};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// What has been written of a file.
#[derive(Default)]
struct Written {
    /// Starts and ends of ranges that do not touch.
    ranges: std::collections::BTreeMap<u64, u64>,
    ended: bool,
}

/// Tells the thread how far the file is. Dropped, it ends the thread.
pub(super) struct Follower {
    shared: Arc<(Mutex<Written>, Condvar)>,
    digest: tokio::task::JoinHandle<Result<[u8; 16]>>,
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
            let wait = |range: Range<u64>| wait(&seen, &range);
            match parts {
                None => whole(&file, size, wait),
                Some(parts) => of_parts(&file, &parts, wait),
            }
        });
        Self { shared, digest }
    }

    /// A range has been written.
    pub(super) fn written(&self, range: Range<u64>) {
        lock(&self.shared).add(range);
        self.shared.1.notify_all();
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
    }

    fn holds(&self, range: &Range<u64>) -> bool {
        range.is_empty() || self.ranges.range(..=range.start).next_back().is_some_and(|(_, end)| *end >= range.end)
    }
}

/// Waits until the range is there; fails when it will not come.
fn wait(shared: &(Mutex<Written>, Condvar), range: &Range<u64>) -> Result<()> {
    let mut written = lock(shared);
    while !written.holds(range) {
        if written.ended {
            return Err(Error::cancelled());
        }
        written = shared.1.wait(written).unwrap_or_else(PoisonError::into_inner);
    }
    Ok(())
}

/// The MD5 of a file. Blocks.
pub(super) fn whole(file: &File, size: u64, wait: impl Fn(Range<u64>) -> Result<()>) -> Result<[u8; 16]> {
    let mut sum = Md5::new();
    let mut buffer = vec![0; BLOCK.min(size as usize)];
    let mut at = 0;
    while at < size {
        let n = (size - at).min(BLOCK as u64);
        wait(at..at + n)?;
        file.read_exact_at(&mut buffer[..n as usize], at).context(|| "reading what was written".into())?;
        sum.update(&buffer[..n as usize]);
        at += n;
    }
    Ok(sum.finalize().into())
}

/// The MD5 of the MD5s of parts. Blocks.
pub(super) fn of_parts(file: &File, parts: &[Range<u64>], wait: impl Fn(Range<u64>) -> Result<()>) -> Result<[u8; 16]> {
    let mut all = Md5::new();
    for group in parts.chunks(lanes::LANES) {
        wait(group[0].start..group[group.len() - 1].end)?;
        for sum in lanes::sums(file, group).context(|| "reading what was written".into())? {
            all.update(sum);
        }
    }
    Ok(all.finalize().into())
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
                follower.written(start..size.min(start + 1_000_000));
            }
            follower.written(size - 1..size);
            assert_eq!(follower.finish().await.expect("a digest"), expected);
        }
        let dropped = Follower::start(file, size, None);
        dropped.written(0..5);
        let ended = dropped.shared.clone();
        drop(dropped);
        assert!(lock(&ended).ended);
    }
}
