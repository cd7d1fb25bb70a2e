//! Between which values colours are spread.

use super::summary::Summary;

/// The share of the values left out at each end by [`Stretch::Percentile`].
const TAIL: f64 = 0.02;
/// How many standard deviations from the mean [`Stretch::Sigma`] goes.
const SIGMAS: f64 = 2.0;
/// A picture whose middle value is darker than this is lifted to [`WISH`].
const DARK: f64 = 0.2;
const WISH: f64 = 0.3;

/// Between which values colours are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Stretch {
    /// From 2 to 98 % of the values.
    #[default]
    Percentile,
    /// From the smallest to the largest.
    MinMax,
    /// Two standard deviations around the mean.
    Sigma,
    /// What the type can hold; of floating point 0 to 1, or from the smallest to the largest.
    Stored,
    /// As the user says.
    Manual(f64, f64),
}

impl Stretch {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Percentile => "2–98 %",
            Self::MinMax => "min–max",
            Self::Sigma => "mean ± 2σ",
            Self::Stored => "as stored",
            Self::Manual(..) => "typed",
        }
    }

    /// The next of those that need no numbers, or the one before.
    #[must_use]
    pub fn next(self, forward: bool) -> Self {
        const ALL: [Stretch; 4] = [Stretch::Percentile, Stretch::MinMax, Stretch::Sigma, Stretch::Stored];
        let Some(at) = ALL.iter().position(|s| *s == self) else { return Self::Percentile };
        ALL[(at + if forward { 1 } else { ALL.len() - 1 }) % ALL.len()]
    }

    /// The limits for values of a type (`u8`, `f32`); `centred` for a map whose middle is 0. The lower is
    /// never above the upper; both are the same where all values are.
    pub fn limits(self, summary: &Summary, dtype: &str, centred: bool) -> (f64, f64) {
        let tally = &summary.tally;
        let Some((min, max)) = tally.extremes() else {
            return if let Self::Manual(a, b) = self { (a, b) } else { (0.0, 1.0) };
        };
        let (low, high) = match self {
            Self::Manual(low, high) => return (low, high),
            Self::MinMax => (min, max),
            Self::Percentile => {
                let at = |share| summary.quantile(share).unwrap_or(min);
                (at(TAIL), at(1.0 - TAIL))
            }
            Self::Sigma => {
                let far = SIGMAS * tally.deviation();
                ((tally.mean - far).max(min), (tally.mean + far).min(max))
            }
            Self::Stored => stored(dtype).unwrap_or(if min >= 0.0 && max <= 1.0 { (0.0, 1.0) } else { (min, max) }),
        };
        // Few values that differ among many that do not: show them, too.
        let (low, high) = if low < high { (low, high) } else { (min, max) };
        if centred && low < 0.0 && high > 0.0 {
            let far = high.max(-low);
            return (-far, far);
        }
        (low, high)
    }
}

fn stored(dtype: &str) -> Option<(f64, f64)> {
    Some(match dtype {
        "u8" => (0.0, 255.0),
        "i8" => (-128.0, 127.0),
        "u16" => (0.0, f64::from(u16::MAX)),
        "i16" => (f64::from(i16::MIN), f64::from(i16::MAX)),
        _ => return None,
    })
}

/// Where a value lies between two limits, 0 to 1; in the middle where they are the same.
pub fn position(value: f64, (low, high): (f64, f64)) -> f64 {
    // Halves, as the difference of the largest values is none.
    let span = high / 2.0 - low / 2.0;
    if span > 0.0 { ((value / 2.0 - low / 2.0) / span).clamp(0.0, 1.0) } else { 0.5 }
}

/// The exponent that lifts a dark picture of several bands: clouds and snow take the upper percentiles and
/// leave the land black. 1 where the middle of what is stretched is bright enough.
pub fn brightening(summaries: &[Summary], limits: &[(f64, f64)]) -> f64 {
    let each = summaries.iter().zip(limits);
    let mut seen: Vec<f64> = each.flat_map(|(s, l)| s.sample().iter().map(|v| position(f64::from(*v), *l))).collect();
    if seen.is_empty() {
        return 1.0;
    }
    let middle = seen.len() / 2;
    let (_, median, _) = seen.select_nth_unstable_by(middle, f64::total_cmp);
    if *median >= DARK { 1.0 } else { (WISH.ln() / median.max(0.01).ln()).clamp(0.3, 1.0) }
}

/// Round values between two limits for a legend, at most `most` of them.
pub fn steps((low, high): (f64, f64), most: usize) -> Vec<f64> {
    let span = high - low;
    if span.is_nan() || span <= 0.0 || !span.is_finite() || most == 0 {
        return Vec::new();
    }
    let rough = span / most as f64;
    let magnitude = 10_f64.powf(rough.log10().floor());
    let Some(step) = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|s| s * magnitude).find(|s| *s >= rough * 0.999_999) else {
        return Vec::new();
    };
    let first = (low / step).ceil();
    // By multiples, so that no rounding adds up; -0 is 0.
    (0..=most).map(|i| (first + i as f64) * step + 0.0).take_while(|v| *v <= high).collect()
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // numbers that are exact
mod tests {
    use super::*;

    fn ramp() -> Summary {
        Summary::of(&(0..=1000_u16).map(|v| f32::from(v) - 300.0).collect::<Vec<_>>())
    }

    #[test]
    fn limits_are_as_they_are_called() {
        let of = |stretch: Stretch| stretch.limits(&ramp(), "i16", false);
        assert_eq!(of(Stretch::MinMax), (-300.0, 700.0));
        assert_eq!(of(Stretch::Percentile), (-280.0, 680.0));
        assert_eq!(of(Stretch::Stored), (-32768.0, 32767.0));
        assert_eq!(of(Stretch::Manual(5.0, 1.0)), (5.0, 1.0));
        // Mean 1, deviation 3: from the smallest value there is to 7.
        let mostly_nothing = Summary::of(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 10.0]);
        let (low, high) = Stretch::Sigma.limits(&mostly_nothing, "f32", false);
        assert!(low == 0.0 && (high - 7.0).abs() < 1e-9, "{low} {high}");
        assert_eq!(Stretch::MinMax.limits(&ramp(), "i16", true), (-700.0, 700.0), "0 is in the middle");
    }

    #[test]
    fn what_differs_little_is_still_seen() {
        let mut values = vec![5.0_f32; 1000];
        values[7] = 6.0;
        assert_eq!(Stretch::Percentile.limits(&Summary::of(&values), "f32", false), (5.0, 6.0));
        assert_eq!(Stretch::Percentile.limits(&Summary::of(&[5.0]), "f32", false), (5.0, 5.0));
        assert_eq!(Stretch::Percentile.limits(&Summary::default(), "f32", false), (0.0, 1.0));
        assert!((position(5.0, (5.0, 5.0)) - 0.5).abs() < f64::EPSILON);
        assert!((position(f64::MAX, (f64::MIN, f64::MAX)) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn steps_of_a_legend_are_round() {
        assert_eq!(steps((-280.0, 680.0), 5), [-200.0, 0.0, 200.0, 400.0, 600.0]);
        assert_eq!(steps((0.12, 0.47), 4), [0.2, 0.300_000_000_000_000_04, 0.4]);
        assert!(steps((1.0, 1.0), 4).is_empty() && steps((f64::MIN, f64::MAX), 4).is_empty());
    }

    #[test]
    fn a_dark_picture_is_lifted_and_a_bright_one_is_not() {
        let mut land = vec![50.0_f32; 900];
        land.extend([1000.0; 100]);
        let dark = vec![Summary::of(&land); 3];
        let gamma = brightening(&dark, &[(0.0, 1000.0); 3]);
        assert!((0.05_f64.powf(gamma) - 0.3).abs() < 0.01, "{gamma}");
        let bright = vec![Summary::of(&[400.0; 9]); 3];
        assert!((brightening(&bright, &[(0.0, 1000.0); 3]) - 1.0).abs() < f64::EPSILON);
    }
}
