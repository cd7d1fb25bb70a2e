//! Pieces of an object that were fetched, and which requests fetch the rest best.

use bytes::{Bytes, BytesMut};
use std::collections::BTreeMap;
use std::ops::Range;

/// Neighbours nearer than this come in one request: it costs less than the next request would.
const NEAR: u64 = 64 << 10;
/// Where one request fetches many pieces, only this much of what nobody wants is worth its header.
const NEAR_OF_SEVERAL: u64 = 512;
/// More requests than this are not sent at once for one look …
const MOST: usize = 16;
/// … as long as joining them costs at most so much that nobody wants: about what a fast line brings in the
/// time of two more requests.
const WASTE: u64 = 1 << 20;
/// Longer pieces are fetched by several requests at once.
const LONG: u64 = 8 << 20;

/// Pieces by their offset; they do not overlap.
#[derive(Default)]
pub(super) struct Pieces {
    by_start: BTreeMap<u64, Piece>,
    bytes: u64,
    clock: u64,
}

struct Piece {
    bytes: Bytes,
    /// When it was last used.
    used: u64,
}

impl Pieces {
    /// Adds what of `bytes`, which start at `start`, is not there yet.
    pub(super) fn insert(&mut self, start: u64, bytes: &Bytes) {
        self.clock += 1;
        for gap in self.lacking(&(start..start + bytes.len() as u64)) {
            let part = bytes.slice((gap.start - start) as usize..(gap.end - start) as usize);
            self.bytes += part.len() as u64;
            self.by_start.insert(gap.start, Piece { bytes: part, used: self.clock });
        }
    }

    /// The parts of `range` that are not there.
    pub(super) fn lacking(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let mut out = Vec::new();
        let mut at = range.start;
        for (start, piece) in self.over(range) {
            if *start > at {
                out.push(at..*start);
            }
            at = start + piece.bytes.len() as u64;
        }
        if at < range.end {
            out.push(at..range.end);
        }
        out
    }

    /// The pieces that overlap `range`, in order.
    fn over(&self, range: &Range<u64>) -> impl Iterator<Item = (&u64, &Piece)> {
        let first = self.by_start.range(..=range.start).next_back().filter(|(start, piece)| {
            // The piece before may end before.
            *start + piece.bytes.len() as u64 > range.start
        });
        let from = first.map_or(range.start, |(start, _)| *start);
        self.by_start.range(from..range.end.max(from))
    }

    /// The pieces that overlap `range`, which count as used now.
    pub(super) fn take(&mut self, range: &Range<u64>) -> Vec<(u64, Bytes)> {
        self.clock += 1;
        let found: Vec<(u64, Bytes)> = self.over(range).map(|(start, p)| (*start, p.bytes.clone())).collect();
        for (start, _) in &found {
            if let Some(piece) = self.by_start.get_mut(start) {
                piece.used = self.clock;
            }
        }
        found
    }

    /// The bytes of `range`, if all are there.
    pub(super) fn bytes(&self, range: &Range<u64>) -> Option<Bytes> {
        let length = (range.end - range.start) as usize;
        let mut over = self.over(range);
        let mut out = match over.next() {
            Some((start, piece)) if *start <= range.start => {
                let from = (range.start - start) as usize;
                let to = (from + length).min(piece.bytes.len());
                if to - from == length {
                    return Some(piece.bytes.slice(from..to));
                }
                let mut out = BytesMut::with_capacity(length);
                out.extend_from_slice(&piece.bytes[from..to]);
                out
            }
            _ => return (length == 0).then(Bytes::new),
        };
        for (start, piece) in over {
            if *start != range.start + out.len() as u64 {
                return None;
            }
            out.extend_from_slice(&piece.bytes[..piece.bytes.len().min(length - out.len())]);
        }
        (out.len() == length).then(|| out.freeze())
    }

    /// Lets go what was not used for longest, until at most `bound` bytes are left.
    pub(super) fn let_go(&mut self, bound: u64) {
        if self.bytes <= bound {
            return;
        }
        let mut by_age: Vec<(u64, u64)> = self.by_start.iter().map(|(start, piece)| (piece.used, *start)).collect();
        by_age.sort_unstable();
        for (_, start) in by_age {
            if self.bytes <= bound {
                return;
            }
            if let Some(piece) = self.by_start.remove(&start) {
                self.bytes -= piece.bytes.len() as u64;
            }
        }
    }
}

/// The ranges to ask for: near ones joined, and joined further while they are many and little is wasted; long
/// ones cut. `several`: one request can ask for many.
pub(super) fn joined(ranges: &[Range<u64>], several: bool) -> Vec<Range<u64>> {
    let near = if several { NEAR_OF_SEVERAL } else { NEAR };
    let mut out: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end.saturating_add(near) => last.end = last.end.max(range.end),
            _ => out.push(range.clone()),
        }
    }
    if !several {
        let mut left = WASTE;
        while out.len() > MOST {
            let gaps = out.windows(2).map(|pair| pair[1].start - pair[0].end);
            let Some((at, gap)) = gaps.enumerate().min_by_key(|(_, gap)| *gap).filter(|(_, gap)| *gap <= left) else {
                break;
            };
            left -= gap;
            out[at].end = out.remove(at + 1).end;
        }
    }
    let cut = |range: Range<u64>| {
        let (start, end) = (range.start, range.end);
        (start..end).step_by(LONG as usize).map(move |at| at..(at + LONG).min(end))
    };
    out.into_iter().flat_map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_put_together_and_gaps_are_named() {
        let mut pieces = Pieces::default();
        pieces.insert(10, &Bytes::from_static(b"abcd"));
        pieces.insert(20, &Bytes::from_static(b"efgh"));
        assert_eq!(pieces.lacking(&(8..26)), [8..10, 14..20, 24..26]);
        pieces.insert(8, &Bytes::from_static(b"..ABCD012345EF"));
        assert_eq!(pieces.bytes(&(9..24)).as_deref(), Some(&b".abcd012345efgh"[..]));
        assert_eq!(pieces.bytes(&(9..25)), None);
        assert_eq!(pieces.bytes(&(9..9)).as_deref(), Some(&b""[..]));
        assert_eq!(pieces.bytes, 16);
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let mut pieces = Pieces::default();
        for at in 0..4 {
            pieces.insert(at * 10, &Bytes::from_static(b"0123456789"));
        }
        pieces.take(&(5..6));
        pieces.let_go(25);
        assert_eq!(pieces.lacking(&(0..40)), std::slice::from_ref(&(10..30)));
    }

    #[test]
    fn joining_weighs_requests_against_bytes() {
        let far: Vec<Range<u64>> = (0..40).map(|i| i * (80 << 10)..i * (80 << 10) + 10).collect();
        // 39 gaps of nearly 80 KiB: a MiB of them is worth it, no more.
        assert_eq!(joined(&far, false).len(), 40 - 12);
        assert_eq!(joined(&far, true).len(), 40);
        assert_eq!(joined(&[0..10, 500..600, 70_000..70_001], false), [0..600, 70_000..70_001]);
        assert_eq!(joined(std::slice::from_ref(&(0..20 << 20)), false).len(), 3);
    }
}
