//! Which rows make a sample: chosen by a seed, so that the same table gives the same map.

use std::ops::Range;

/// How many rows are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// A random sample of so many.
    Sample(u64),
    /// All there are.
    All,
}

/// Sizes of samples, in steps.
const STEPS: [u64; 8] = [100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000];
/// Runs of rows that a sample is read in where reading costs requests.
const RUNS: u64 = 32;

impl Default for Want {
    fn default() -> Self {
        Self::Sample(1_000)
    }
}

impl Want {
    /// The next larger one of a table of so many rows.
    #[must_use]
    pub fn more(self, total: Option<u64>) -> Self {
        let Self::Sample(now) = self else { return self };
        let next = STEPS.into_iter().find(|step| *step > now);
        next.filter(|next| total.is_none_or(|total| *next < total)).map_or(Self::All, Self::Sample)
    }

    /// The next smaller one.
    #[must_use]
    pub fn fewer(self, total: Option<u64>) -> Self {
        let now = match self {
            Self::Sample(now) => now,
            Self::All => total.unwrap_or(u64::MAX),
        };
        Self::Sample(STEPS.into_iter().rev().find(|step| *step < now).unwrap_or(STEPS[0]))
    }

    /// How many of `total` that is.
    pub fn of(self, total: u64) -> u64 {
        match self {
            Self::Sample(n) => n.min(total),
            Self::All => total,
        }
    }
}

/// `SplitMix64` (Steele, Lea and Flood 2014): the same numbers on every machine and in every version.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}

/// Ranges of rows that together are a sample: a table is cut into equal stretches, and of each a run at
/// a random place is taken. Neighbours in a run are alike: this costs few requests and is no random
/// sample of single rows.
pub fn runs(total: u64, wanted: u64, seed: u64) -> Vec<Range<u64>> {
    if wanted >= total {
        return std::iter::once(0..total).filter(|r| !r.is_empty()).collect();
    }
    let mut random = Random(seed);
    let count = RUNS.min(wanted).max(1);
    let cut = |i: u64, n: u64| (u128::from(n) * u128::from(i) / u128::from(count)) as u64;
    let runs = (0..count).map(|i| {
        let stretch = cut(i, total)..cut(i + 1, total);
        let length = (cut(i + 1, wanted) - cut(i, wanted)).min(stretch.end - stretch.start);
        let start = stretch.start + random.below(stretch.end - stretch.start - length + 1);
        start..start + length
    });
    runs.filter(|r| !r.is_empty()).collect()
}

/// So many of `0..total`, each equally likely, ascending (Knuth, 3.4.2, algorithm S).
pub fn choose(total: usize, wanted: usize, seed: u64) -> Vec<u32> {
    let mut random = Random(seed);
    let mut left = wanted.min(total) as u64;
    let mut out = Vec::with_capacity(left as usize);
    for at in 0..total as u64 {
        if left == 0 {
            break;
        }
        if random.below(total as u64 - at) < left {
            out.push(at as u32);
            left -= 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_as_many_rows_as_wanted_in_order_and_stable() {
        for (total, wanted) in [(328_557, 1_000), (40, 33), (1_000_000_000_000, 10_000), (5, 1_000), (7, 3)] {
            let runs = runs(total, wanted, 5);
            assert_eq!(runs.iter().map(|r| r.end - r.start).sum::<u64>(), wanted.min(total), "{total} {wanted}");
            assert!(runs.windows(2).all(|w| w[0].end <= w[1].start) && runs.last().is_some_and(|r| r.end <= total));
            assert_eq!(runs, super::runs(total, wanted, 5));
        }
        assert!(runs(0, 10, 1).is_empty());
        assert_ne!(runs(1_000_000, 1_000, 1), runs(1_000_000, 1_000, 2));
    }

    #[test]
    fn a_choice_is_spread_over_all() {
        let chosen = choose(100_000, 1_000, 7);
        assert_eq!(chosen.len(), 1_000);
        assert!(chosen.windows(2).all(|w| w[0] < w[1]));
        for tenth in 0..10 {
            let n = chosen.iter().filter(|at| **at / 10_000 == tenth).count();
            assert!((60..140).contains(&n), "{n} in tenth {tenth}");
        }
        assert_eq!(choose(3, 10, 7), [0, 1, 2]);
    }

    #[test]
    fn steps_lead_to_all_and_back() {
        let total = Some(328_557);
        let mut want = Want::default();
        for _ in 0..4 {
            want = want.more(total);
        }
        assert_eq!(want, Want::Sample(100_000));
        assert_eq!((want.more(total), Want::All.fewer(total)), (Want::All, Want::Sample(100_000)));
        assert_eq!(Want::Sample(100).fewer(total), Want::Sample(100));
        assert_eq!(Want::Sample(1_000).more(Some(2_000)), Want::All);
    }
}
