//! What is known of many values: how many, their range, mean, spread, quantiles, histogram.

/// Values kept for quantiles and histograms: more would not move the percentiles visibly.
const SAMPLED: usize = 1 << 16;

/// Counts, extremes and moments of values that come one after the other (Welford 1962).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tally {
    /// Values that are numbers.
    pub count: u64,
    /// Pixels without a value: nodata, masked, not finite.
    pub empty: u64,
    /// The smallest; infinite where there is none.
    pub min: f64,
    /// The largest; infinite where there is none.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

impl Default for Tally {
    fn default() -> Self {
        Self { count: 0, empty: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, mean: 0.0, squares: 0.0 }
    }
}

impl Tally {
    /// Counts a value; one that is not finite is no value.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.empty += 1;
            return;
        }
        self.count += 1;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let from = value - self.mean;
        self.mean += from / self.count as f64;
        self.squares += from * (value - self.mean);
    }

    /// The standard deviation of all of them.
    pub fn deviation(&self) -> f64 {
        if self.count == 0 { 0.0 } else { (self.squares / self.count as f64).max(0.0).sqrt() }
    }

    /// The smallest and the largest; `None` where there are no values.
    pub fn extremes(&self) -> Option<(f64, f64)> {
        (self.count > 0).then_some((self.min, self.max))
    }
}

/// A [`Tally`] with quantiles, of the values of a picture.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Counts and moments.
    pub tally: Tally,
    /// Some of the values, in their order.
    sample: Vec<f32>,
}

impl Summary {
    /// Of values, NaN where there are none.
    pub fn of(values: &[f32]) -> Self {
        let mut tally = Tally::default();
        for value in values {
            tally.add(f64::from(*value));
        }
        let step = values.len().div_ceil(SAMPLED).max(1);
        let mut sample: Vec<f32> = values.iter().copied().step_by(step).filter(|v| v.is_finite()).collect();
        sample.sort_unstable_by(f32::total_cmp);
        Self { tally, sample }
    }

    /// The value below which a share of all of them lies.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let last = self.sample.len().checked_sub(1);
        let at = |last: usize| f64::from(self.sample[(last as f64 * share.clamp(0.0, 1.0)).round() as usize]);
        // A few values may have fallen between those that were sampled.
        last.map(at).or_else(|| self.tally.extremes().map(|(min, _)| min))
    }

    /// How many of the sampled values lie in each of `bins` equal parts between two values; those beyond
    /// the ends are left out.
    pub fn histogram(&self, (low, high): (f64, f64), bins: usize) -> Vec<u64> {
        let mut counts = vec![0; bins];
        let span = high - low;
        for &value in &self.sample {
            let share = if span > 0.0 { (f64::from(value) - low) / span } else { 0.5 };
            if (0.0..=1.0).contains(&share) && bins > 0 {
                counts[((share * bins as f64) as usize).min(bins - 1)] += 1;
            }
        }
        counts
    }

    /// Values that occur, with how often they do among those sampled; the most frequent first.
    pub fn frequent(&self) -> Vec<(f64, u64)> {
        let mut found: Vec<(f64, u64)> = self
            .sample
            .chunk_by(|a, b| a.to_bits() == b.to_bits())
            .map(|run| (f64::from(run[0]), run.len() as u64))
            .collect();
        found.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.total_cmp(&b.0)));
        found
    }

    /// Some of the values, in their order.
    pub(super) fn sample(&self) -> &[f32] {
        &self.sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_quantiles_are_right() {
        let mut values: Vec<f32> = (0..=1000_u16).map(f32::from).collect();
        values.extend([f32::NAN, f32::INFINITY]);
        let summary = Summary::of(&values);
        let tally = summary.tally;
        assert_eq!((tally.count, tally.empty, tally.extremes()), (1001, 2, Some((0.0, 1000.0))));
        // Of 0..=n the variance is n (n + 2) / 12.
        assert!((tally.mean - 500.0).abs() < 1e-9 && (tally.deviation().powi(2) - 83_500.0).abs() < 1e-6);
        assert_eq!((summary.quantile(0.02), summary.quantile(0.98)), (Some(20.0), Some(980.0)));
        assert_eq!(summary.histogram((0.0, 1000.0), 4), [250, 250, 250, 251]);
        assert_eq!(summary.histogram((400.0, 499.0), 1), [100]);
    }

    #[test]
    fn without_values_there_is_nothing() {
        let summary = Summary::of(&[f32::NAN; 3]);
        assert_eq!((summary.quantile(0.5), summary.tally.extremes()), (None, None));
        assert_eq!(summary.histogram((0.0, 1.0), 3), [0; 3]);
        assert_eq!(Summary::of(&[7.0]).histogram((7.0, 7.0), 3), [0, 1, 0]);
    }
}
