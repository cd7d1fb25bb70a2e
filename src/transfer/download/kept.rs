//! Bytes that were just written and are still in memory, so that a digest need not read them back: as many as there
//! is room for, those first that are needed first. All others are read from the file.

use bytes::{Buf as _, Bytes};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that all files of a transfer may keep.
pub(super) const ROOM: usize = 48 << 20;
/// Smaller ones would take more memory than they hold.
const SMALLEST: usize = 1 << 10;

/// Bytes in memory, with their room there.
pub(super) struct Chunk {
    bytes: Bytes,
    room: OwnedSemaphorePermit,
}

impl Chunk {
    /// What is left of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The next `n` bytes are done with.
    pub(super) fn pass(&mut self, n: usize) {
        self.bytes.advance(n);
    }

    /// All from `at` on; no more than that stays.
    fn split_off(&mut self, at: usize) -> Option<Self> {
        let bytes = self.bytes.split_off(at);
        Some(Self { room: self.room.split(bytes.len())?, bytes })
    }
}

/// Where the next bytes of a range are.
pub(super) enum Piece {
    Memory(Chunk),
    /// So many are only in the file.
    File(u64),
}

/// What is kept of one file, by offset.
pub(super) struct Kept {
    chunks: BTreeMap<u64, Chunk>,
    /// In bytes.
    room: Arc<Semaphore>,
}

impl Kept {
    pub(super) fn new(room: Arc<Semaphore>) -> Self {
        Self { chunks: BTreeMap::new(), room }
    }

    /// Keeps what has been written at `at` where there is room, if need be in the place of others that are needed
    /// later, for sums that go on at `needs`, ascending.
    pub(super) fn add(&mut self, at: u64, bytes: Bytes, needs: &[u64]) {
        let Ok(n) = u32::try_from(bytes.len()) else { return };
        if bytes.len() < SMALLEST {
            return;
        }
        loop {
            if let Ok(room) = self.room.clone().try_acquire_many_owned(n) {
                self.chunks.insert(at, Chunk { bytes, room });
                return;
            }
            match self.latest(needs) {
                Some((latest, ahead)) if ahead > ahead_of(at, needs) => self.chunks.remove(&latest),
                _ => return,
            };
        }
    }

    /// The chunk that is needed latest, and how far it is ahead of its sum.
    fn latest(&self, needs: &[u64]) -> Option<(u64, u64)> {
        let ends = needs.iter().copied().skip(1).chain([u64::MAX]);
        let first = needs.first().copied().unwrap_or(u64::MAX);
        let of_none = self.chunks.range(..first).next_back().map(|(at, _)| (*at, u64::MAX));
        let of_each = needs.iter().zip(ends).filter_map(|(need, end)| {
            let (at, _) = self.chunks.range(*need..end.max(*need)).next_back()?;
            Some((*at, at - need))
        });
        of_none.into_iter().chain(of_each).max_by_key(|(_, ahead)| *ahead)
    }

    /// Where all of `range` is; what is kept of it is not kept any longer.
    pub(super) fn take(&mut self, range: Range<u64>) -> VecDeque<Piece> {
        let mut pieces = VecDeque::new();
        let mut at = range.start;
        while at < range.end {
            let n = if let Some(mut chunk) = self.take_at(at) {
                let most = usize::try_from(range.end - at).unwrap_or(usize::MAX);
                if chunk.bytes.len() > most
                    && let Some(rest) = chunk.split_off(most)
                {
                    self.chunks.insert(range.end, rest);
                }
                let n = chunk.bytes.len() as u64;
                pieces.push_back(Piece::Memory(chunk));
                n
            } else {
                let next = self.chunks.range(at..range.end).next().map_or(range.end, |(next, _)| *next);
                pieces.push_back(Piece::File(next - at));
                next - at
            };
            at += n;
        }
        pieces
    }

    /// The chunk in which `at` lies, from there on. What lies before belongs to another sum.
    fn take_at(&mut self, at: u64) -> Option<Chunk> {
        let (&start, chunk) = self.chunks.range_mut(..=at).next_back()?;
        let before = usize::try_from(at - start).ok().filter(|before| *before < chunk.bytes.len())?;
        if before == 0 { self.chunks.remove(&start) } else { chunk.split_off(before) }
    }

    /// Keeps nothing any longer.
    pub(super) fn clear(&mut self) {
        self.chunks.clear();
    }
}

/// How far `at` is ahead of the sum that goes on before it.
fn ahead_of(at: u64, needs: &[u64]) -> u64 {
    let before = needs.partition_point(|need| *need <= at);
    before.checked_sub(1).map_or(u64::MAX, |i| at - needs[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(room: usize) -> Kept {
        Kept::new(Arc::new(Semaphore::new(room)))
    }

    /// Chunks of these lengths, one behind the other.
    fn add(kept: &mut Kept, mut at: u64, lengths: &[usize], needs: &[u64]) {
        for length in lengths {
            kept.add(at, Bytes::from(vec![0; *length]), needs);
            at += *length as u64;
        }
    }

    /// Bytes of each piece, those of the file negative.
    fn lengths(pieces: VecDeque<Piece>) -> Vec<i64> {
        let length = |piece| match piece {
            Piece::Memory(chunk) => chunk.bytes.len() as i64,
            Piece::File(n) => -(n as i64),
        };
        pieces.into_iter().map(length).collect()
    }

    #[test]
    fn what_is_kept_is_given_once_and_the_rest_is_in_the_file() {
        let mut kept = kept(20_000);
        add(&mut kept, 1000, &[2000, 0, 3000], &[0]);
        add(&mut kept, 9000, &[4000], &[0]);
        assert_eq!(lengths(kept.take(500..10_000)), [-500, 2000, 3000, -3000, 1000], "up to the middle of a chunk");
        assert_eq!(lengths(kept.take(11_000..14_000)), [2000, -1000], "from the middle of one");
        assert_eq!(lengths(kept.take(0..14_000)), [-10_000, 1000, -3000], "what lay before that is another sum's");
        assert_eq!(kept.room.available_permits(), 20_000);
        add(&mut kept, 0, &[1; 2000], &[0]);
        assert!(kept.chunks.is_empty(), "of so small ones it would be mostly the places that they are in");
        add(&mut kept, 0, &[2000], &[0]);
        kept.clear();
        assert_eq!(kept.room.available_permits(), 20_000);
    }

    #[test]
    fn what_is_needed_first_stays_where_room_is_short() {
        let mut kept = kept(10_000);
        let needs = [0, 100_000];
        add(&mut kept, 50_000, &[2000; 3], &needs);
        add(&mut kept, 104_000, &[2000; 2], &needs);
        add(&mut kept, 60_000, &[2000], &needs);
        assert_eq!(kept.chunks.keys().copied().collect::<Vec<_>>(), [50_000, 52_000, 54_000, 104_000, 106_000]);
        add(&mut kept, 100_000, &[2000; 2], &needs);
        assert_eq!(kept.chunks.keys().copied().collect::<Vec<_>>(), [50_000, 100_000, 102_000, 104_000, 106_000]);
        add(&mut kept, 2000, &[5000, 9000], &needs);
        assert_eq!(
            kept.chunks.keys().copied().collect::<Vec<_>>(),
            [2000, 100_000, 102_000],
            "as much as there is room"
        );
        add(&mut kept, 30_000, &[1500], &[40_000, 100_000]);
        assert_eq!(kept.chunks.keys().copied().collect::<Vec<_>>(), [2000, 100_000, 102_000], "the sum has passed it");
        add(&mut kept, 100_000, &[10_001], &needs);
        assert!(kept.chunks.len() < 3);
    }
}
