//! The statistics of a benchmark. Pure functions of the values given; what is random is seeded.

use super::rng::Rng;
use serde::{Deserialize, Serialize};

/// Resamples of a bootstrap.
pub const RESAMPLES: usize = 2_000;

/// Seed of the bootstraps, so that a summary can be recomputed to the last digit.
pub const BOOTSTRAP_SEED: u64 = 42;

/// Arithmetic mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Quantile `q` in 0..=1 by linear interpolation between order statistics: type 7 of Hyndman and
/// Fan (1996), the default of R and `NumPy`. 0 of nothing.
pub fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile_sorted(&sorted, q)
}

/// [`quantile`] of values that are in order already.
fn quantile_sorted(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let at = q.clamp(0.0, 1.0) * last as f64;
    let low = (at.floor() as usize).min(last);
    let high = (low + 1).min(last);
    sorted[low] + (sorted[high] - sorted[low]) * (at - low as f64)
}

/// Median.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// [`median`] without sorting, which 2,000 resamples of many values would feel; mixes them up.
fn median_of(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    let odd = values.len() % 2 == 1;
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = below.iter().copied().max_by(f64::total_cmp);
    if odd { upper } else { lower.map_or(upper, |lower| lower + (upper - lower) * 0.5) }
}

/// Standard deviation of a sample (divided by n - 1); 0 of fewer than two values.
pub fn standard_deviation(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let center = mean(values);
    let sum: f64 = values.iter().map(|v| (v - center).powi(2)).sum();
    (sum / (values.len() - 1) as f64).sqrt()
}

/// Standard error of the mean: the standard deviation divided by the square root of n.
pub fn standard_error(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { standard_deviation(values) / (values.len() as f64).sqrt() }
}

/// A 95 % confidence interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// The middle 95 % of bootstrap replicates (Efron 1979, percentile method).
    fn of(mut replicates: Vec<f64>) -> Self {
        replicates.sort_by(f64::total_cmp);
        Self { low: quantile_sorted(&replicates, 0.025), high: quantile_sorted(&replicates, 0.975) }
    }
}

/// Bootstrap 95 % confidence intervals of the mean and of the median: `resamples` ([`RESAMPLES`] are
/// usual) of `values` with replacement, seeded. Of no resamples, the values themselves.
pub fn bootstrap(values: &[f64], resamples: usize, seed: u64) -> (Interval, Interval) {
    if resamples == 0 {
        let point = |value| Interval { low: value, high: value };
        return (point(mean(values)), point(median(values)));
    }
    let mut rng = Rng::new(seed, 0);
    let mut drawn = vec![0.0; values.len()];
    let (mut means, mut medians) = (Vec::with_capacity(resamples), Vec::with_capacity(resamples));
    for _ in 0..resamples {
        for slot in &mut drawn {
            *slot = values[rng.index(values.len())];
        }
        means.push(mean(&drawn));
        medians.push(median_of(&mut drawn));
    }
    (Interval::of(means), Interval::of(medians))
}

/// A ratio of means with its bootstrap 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanRatio {
    /// Mean of the one over mean of the other.
    pub ratio: f64,
    /// Its interval.
    pub ci95: Interval,
}

/// `a / b`; of nothing to nothing 1, and never infinite, which JSON cannot hold.
fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 {
        a / b
    } else if a > 0.0 {
        f64::MAX
    } else {
        1.0
    }
}

/// Mean of the first over mean of the second of `pairs` that were measured at the same patches:
/// whole pairs are drawn, so that what a patch costs both does not widen the interval.
pub fn paired_ratio(pairs: &[(f64, f64)], resamples: usize, seed: u64) -> MeanRatio {
    let of = |pairs: &mut dyn Iterator<Item = (f64, f64)>| {
        let (a, b) = pairs.fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        ratio(a, b)
    };
    let whole = of(&mut pairs.iter().copied());
    if resamples == 0 {
        return MeanRatio { ratio: whole, ci95: Interval { low: whole, high: whole } };
    }
    let mut rng = Rng::new(seed, 1);
    let replicates = (0..resamples).map(|_| of(&mut (0..pairs.len()).map(|_| pairs[rng.index(pairs.len())]))).collect();
    MeanRatio { ratio: whole, ci95: Interval::of(replicates) }
}

/// Mean of `a` over mean of `b`, measured independently: each is resampled on its own.
pub fn independent_ratio(a: &[f64], b: &[f64], seed: u64) -> MeanRatio {
    let mut rng = Rng::new(seed, 2);
    let mut draw =
        |values: &[f64]| (0..values.len()).map(|_| values[rng.index(values.len())]).sum::<f64>() / values.len() as f64;
    let replicates = (0..RESAMPLES).map(|_| ratio(draw(a), draw(b))).collect();
    MeanRatio { ratio: ratio(mean(a), mean(b)), ci95: Interval::of(replicates) }
}

/// The outcome of a Mann–Whitney U test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MannWhitney {
    /// U of the first sample: pairs in which its value is the larger one, ties counted half.
    pub u: f64,
    /// Standardised with tie and continuity correction.
    pub z: f64,
    /// Two-sided probability of so large a difference by chance.
    pub p: f64,
    /// U over the number of pairs: how probably a value of the first sample is the larger one.
    pub superiority: f64,
}

/// Mann–Whitney U test (Mann and Whitney 1947) by the normal approximation with correction for
/// ties and continuity, as in Hollander and Wolfe (1999), section 4.1, equation 4.12 and ties:
/// `mean = n m / 2`, `variance = n m / 12 * ((N + 1) - sum(t^3 - t) / (N (N - 1)))`. The same as
/// `scipy.stats.mannwhitneyu(a, b, method="asymptotic")`. Rough below eight values a side.
/// `None` if a side is empty; `p` is 1 where all values are equal.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<MannWhitney> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let mut all: Vec<(f64, bool)> = a.iter().map(|&v| (v, true)).chain(b.iter().map(|&v| (v, false))).collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut rank_sum, mut ties, mut at) = (0.0, 0.0, 0);
    while let Some(&(value, _)) = all.get(at) {
        let equal = all[at..].iter().take_while(|(v, _)| v.total_cmp(&value).is_eq()).count();
        let rank = at as f64 + f64::midpoint(equal as f64, 1.0);
        rank_sum += rank * all[at..at + equal].iter().filter(|(_, first)| *first).count() as f64;
        ties += (equal as f64).powi(3) - equal as f64;
        at += equal;
    }
    let (count, total) = (a.len() as f64, all.len() as f64);
    let pairs = count * b.len() as f64;
    let u = rank_sum - count * (count + 1.0) / 2.0;
    let variance = pairs / 12.0 * ((total + 1.0) - ties / (total * (total - 1.0)));
    let off = u - pairs / 2.0;
    let z = if variance > 0.0 { off.signum() * (off.abs() - 0.5).max(0.0) / variance.sqrt() } else { 0.0 };
    Some(MannWhitney { u, z, p: erfc(z.abs() / std::f64::consts::SQRT_2).min(1.0), superiority: u / pairs })
}

/// The complementary error function, for `x >= 0`: below 3 by the series 7.1.6 of Abramowitz and
/// Stegun (1964), above by their continued fraction 7.1.14.
fn erfc(x: f64) -> f64 {
    let root_pi = std::f64::consts::PI.sqrt();
    if x < 3.0 {
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term > sum * f64::EPSILON {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        return 1.0 - 2.0 / root_pi * (-x * x).exp() * sum;
    }
    let fraction = (1..=60).rev().fold(x, |below, k| x + f64::from(k) / 2.0 / below);
    (-x * x).exp() / (root_pi * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(a: f64, b: f64, tolerance: f64) -> bool {
        (a - b).abs() <= tolerance * b.abs().max(1e-300)
    }

    #[test]
    fn moments_and_quantiles_are_those_of_numpy() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert!(near(mean(&values), 5.0, 1e-15));
        assert!(near(standard_deviation(&values), 2.138_089_935_299_395, 1e-14));
        assert!(near(standard_error(&values), 0.755_928_946_018_454_5, 1e-14));
        assert!(near(median(&values), 4.5, 1e-15));
        assert!(near(quantile(&values, 0.9), 7.6, 1e-14));
        assert!(near(quantile(&values, 0.99), 8.86, 1e-14));
        assert_eq!((quantile(&[], 0.5), standard_error(&[]), standard_deviation(&[3.0])), (0.0, 0.0, 0.0));
    }

    #[test]
    fn erfc_is_right_to_ten_digits() {
        for (x, expected) in [
            (0.0, 1.0),
            (0.5, 0.479_500_122_186_953_5),
            (1.0, 0.157_299_207_050_285_13),
            (2.9, 4.109_787_809_945_887e-5),
            (3.0, 2.209_049_699_858_544e-5),
            (5.0, 1.537_459_794_428_034_8e-12),
        ] {
            assert!(near(erfc(x), expected, 1e-10), "{x}: {} {expected}", erfc(x));
        }
    }

    #[test]
    fn mann_whitney_is_that_of_the_textbook() {
        // The example of SciPy's documentation, without ties.
        let test = mann_whitney(&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0]).expect("values");
        assert!(near(test.u, 17.0, 1e-15));
        assert!(near(test.p, 0.111_346_886_533_140_41, 1e-10), "{}", test.p);
        // With ties: ranks 1.5, 1.5, 3.5, 3.5, 5, 6 of which a holds 1.5, 3.5, 5; U = 4, mean 4.5.
        let tied = mann_whitney(&[1.0, 2.0, 3.0], &[1.0, 2.0, 4.0]).expect("values");
        assert!(near(tied.u, 4.0, 1e-15) && near(tied.p, 1.0, 1e-12));
        assert_eq!(mann_whitney(&[1.0; 4], &[1.0; 4]).map(|t| t.p), Some(1.0));
        assert_eq!(mann_whitney(&[], &[1.0]), None);
    }

    #[test]
    fn bootstraps_repeat_and_cover() {
        let values: Vec<f64> = (0..30).map(|i| f64::from(i % 10)).collect();
        let (means, medians) = bootstrap(&values, RESAMPLES, 7);
        assert_eq!((means, medians), bootstrap(&values, RESAMPLES, 7));
        assert!(means.low < 4.5 && 4.5 < means.high);
        // The normal approximation: 4.5 +- 1.96 * 0.533.
        assert!(near(means.high - means.low, 2.0 * 1.96 * standard_error(&values), 0.1));
        assert!(medians.low <= 4.5 && 4.5 <= medians.high);
        let pairs: Vec<(f64, f64)> = values.iter().map(|v| (3.0 * (v + 1.0), v + 1.0)).collect();
        let paired = paired_ratio(&pairs, RESAMPLES, 7);
        assert!(near(paired.ratio, 3.0, 1e-12) && near(paired.ci95.high, 3.0, 1e-12));
        let one: Vec<f64> = pairs.iter().map(|p| p.0).collect();
        let other: Vec<f64> = pairs.iter().map(|p| p.1).collect();
        let free = independent_ratio(&one, &other, 7);
        assert!(free.ci95.low < 3.0 && free.ci95.high > 3.0);
    }

    proptest! {
        #[test]
        fn statistics_stay_within_their_values(values in proptest::collection::vec(0.0..1e6_f64, 1..40)) {
            let (low, high) = (quantile(&values, 0.0), quantile(&values, 1.0));
            let slack = 1e-9 * high.abs();
            for value in [mean(&values), median(&values), quantile(&values, 0.9)] {
                prop_assert!(low - slack <= value && value <= high + slack);
            }
            prop_assert!(near(median_of(&mut values.clone()), median(&values), 1e-12));
            let (means, medians) = bootstrap(&values, 200, 1);
            prop_assert!(low - slack <= means.low && means.high <= high + slack);
            prop_assert!(low - slack <= medians.low && medians.high <= high + slack);
        }

        #[test]
        fn mann_whitney_does_not_care_for_the_order(
            a in proptest::collection::vec(0..20_i32, 1..12),
            b in proptest::collection::vec(0..20_i32, 1..12),
        ) {
            let a: Vec<f64> = a.into_iter().map(f64::from).collect();
            let b: Vec<f64> = b.into_iter().map(f64::from).collect();
            let one = mann_whitney(&a, &b).expect("values");
            let other = mann_whitney(&b, &a).expect("values");
            prop_assert!((one.u + other.u - (a.len() * b.len()) as f64).abs() < 1e-9);
            prop_assert!((one.p - other.p).abs() < 1e-9 && (0.0..=1.0).contains(&one.p));
            let pairs = a.iter().flat_map(|x| b.iter().map(move |y| {
                if x > y { 1.0 } else if x < y { 0.0 } else { 0.5 }
            }));
            prop_assert!((one.u - pairs.sum::<f64>()).abs() < 1e-9);
        }
    }
}
