//! How a large object is cut into ranges, and in which order these are read: so that the sums of its parts can be
//! made side by side while it arrives, and not after it.

use super::check::{Proof, part_sizes, parts};
use crate::transfer::lanes::LANES;
use std::ops::Range;

const MIB: u64 = 1 << 20;
/// Ceph's gateway keeps an object, and each of its parts, in pieces of so many bytes (`rgw_obj_stripe_size`): of one
/// in which a range ends, two are read.
const STRIPE: u64 = 4 * MIB;
/// Sizes of ranges.
const SMALLEST: u64 = 8 * MIB;
const LARGEST: u64 = 64 * MIB;

/// The size of the ranges of a file: many enough to go side by side, large enough not to be only requests.
pub(super) fn range_size(size: u64) -> u64 {
    (size / 64).div_ceil(STRIPE).saturating_mul(STRIPE).clamp(SMALLEST, LARGEST)
}

/// The size of the parts by which an object is proved, the likeliest first; nothing where it is not by parts.
pub(super) fn summed_parts(proof: &Proof, size: u64) -> Option<u64> {
    let Proof::Parts(_, parts) = proof else { return None };
    part_sizes(size, *parts).first().copied().filter(|part| *part > 0)
}

/// How many of so many parts are read in turn: enough that there is something for every lane all the time, and else
/// as few as can be, so that their sums do not wait for each other.
fn in_turn(parts: usize) -> usize {
    parts.div_ceil((parts / LANES).max(1)).max(1)
}

/// How an object is cut into ranges.
pub(super) struct Cut {
    /// Bytes of a part. No range reaches from one of several ranges into the next.
    part: u64,
    /// Bytes of a range, from the beginning of a part.
    range: u64,
    /// Parts of which ranges are read in turn.
    together: u64,
}

impl Cut {
    /// Of an object of `size` bytes into ranges of about `range`.
    pub(super) fn new(size: u64, part: Option<u64>, range: u64) -> Self {
        let range = range.max(1);
        match part {
            Some(part) if part > range => {
                let even = part.div_ceil(part.div_ceil(range)).div_ceil(STRIPE).saturating_mul(STRIPE);
                let together = in_turn(parts(size, part).len()) as u64;
                Self { part, range: even.min(part), together }
            }
            // Several whole parts.
            Some(part) => Self { part: range / part * part, range: range / part * part, together: 1 },
            None => Self { part: range, range, together: 1 },
        }
    }

    /// The ranges of what is missing, in the order in which they are read.
    pub(super) fn ranges(&self, missing: impl IntoIterator<Item = Range<u64>>) -> Vec<Range<u64>> {
        let mut ranges = Vec::new();
        for gap in missing {
            let mut from = gap.start;
            while from < gap.end {
                let part = from / self.part * self.part;
                let next = part + ((from - part) / self.range + 1).saturating_mul(self.range);
                let end = next.min(part.saturating_add(self.part)).min(gap.end);
                ranges.push(from..end);
                from = end;
            }
        }
        ranges.sort_by_key(|range| {
            let part = range.start / self.part;
            (part / self.together, range.start % self.part / self.range, part)
        });
        ranges
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_many_but_not_small() {
        assert_eq!(range_size(3 * MIB), SMALLEST);
        assert_eq!(range_size(1 << 30), 16 * MIB);
        assert_eq!(range_size(5 << 40), LARGEST);
    }

    #[test]
    fn parts_come_in_turns_of_about_one_size() {
        assert_eq!([0, 1, 5, 16, 17, 21, 40, 128].map(in_turn), [1, 1, 5, 16, 17, 21, 20, 16]);
    }

    /// The parts that have a byte among the first ranges.
    fn begun(ranges: &[Range<u64>], part: u64) -> std::collections::BTreeSet<u64> {
        ranges.iter().flat_map(|range| [range.start / part, (range.end - 1) / part]).collect()
    }

    #[test]
    fn ranges_of_large_parts_come_in_turn_and_stay_within_them() {
        let (size, part) = (1 << 30, 50 * MIB);
        let ranges = Cut::new(size, Some(part), 16 * MIB).ranges(std::iter::once(0..size));
        assert!(ranges.iter().all(|range| range.start / part == (range.end - 1) / part), "one crosses a boundary");
        assert_eq!(begun(&ranges[..21], part), (0..21).collect(), "the first of every part");
        assert!(ranges[..21].iter().all(|range| range.start % part == 0));
        let ranges_of_many = Cut::new(4 << 30, Some(part), 16 * MIB).ranges(std::iter::once(0..4 << 30));
        assert_eq!(begun(&ranges_of_many[..17], part), (0..17).collect(), "of as many as are summed up together");
        let inner = ranges.iter().filter(|range| range.end % part != 0 && range.end != size);
        assert!(inner.clone().count() > 0 && inner.clone().all(|range| range.end % part % STRIPE == 0), "in pieces");
    }

    #[test]
    fn whatever_is_cut_all_of_it_is_read_once() {
        let size = (1 << 30) + 12_345;
        let gaps = [0..3_u64, 1_000_000..500_000_000, 500_000_001..size];
        for part in [None, Some(1), Some(5_000_000), Some(8 * MIB), Some(15 * MIB + 1), Some(50 * MIB), Some(2 * size)]
        {
            let mut ranges = Cut::new(size, part, range_size(size)).ranges(gaps.clone());
            assert!(
                ranges.iter().all(|range| range.start < range.end && range.end - range.start <= range_size(size)),
                "{part:?}"
            );
            ranges.sort_by_key(|range| range.start);
            let mut joined: Vec<Range<u64>> = Vec::new();
            for range in ranges {
                match joined.last_mut().filter(|last| last.end == range.start) {
                    Some(last) => last.end = range.end,
                    None => joined.push(range),
                }
            }
            assert_eq!(joined, gaps, "{part:?}");
        }
        let all = Cut::new(size, None, size).ranges(std::iter::once(0..size));
        assert_eq!(all, std::slice::from_ref(&(0..size)));
    }
}
