//! Values to inks, and what a legend says of them. Ink 0 is nothing; 1 to [`Scale::inks`] are colours in
//! order, the last of all is for what has no value.

use super::features::Values;

/// The part of the numbers between which colours are spread: what is beyond has the first or last one.
const PERCENTILES: (f64, f64) = (0.02, 0.98);
/// Numbers looked at for it.
const LOOKED_AT: usize = 1 << 16;

/// How values become inks.
#[derive(Clone, Debug, PartialEq)]
pub enum Scale {
    /// All alike.
    Plain,
    /// Numbers in equal steps.
    Numbers {
        /// What the first and the last colour begin and end with.
        between: (f64, f64),
        /// Smallest and largest of all.
        extremes: (f64, f64),
        /// How many colours.
        steps: u8,
        /// How many features have no value.
        missing: u64,
    },
    /// The most frequent words, then the others.
    Words {
        /// A line of the legend each.
        entries: Vec<Entry>,
        /// The ink of each code.
        inks: Vec<u8>,
        /// How many features have no value.
        missing: u64,
    },
}

/// A line of a legend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The word; `None` for all others.
    pub word: Option<String>,
    /// How many features.
    pub count: u64,
    /// How many words: 1, or those that are others.
    pub words: usize,
    /// Its ink.
    pub ink: u8,
}

impl Scale {
    /// For values, with so many steps of numbers or so many words.
    pub fn of(values: &Values, steps: u8, words: u8) -> Self {
        match values {
            Values::None => Self::Plain,
            Values::Numbers(numbers) => of_numbers(numbers, steps),
            Values::Words { codes, names } => of_words(codes, names, words),
        }
    }

    /// How many inks it has but for the one of what has no value.
    pub fn inks(&self) -> u8 {
        match self {
            Self::Plain => 1,
            Self::Numbers { steps, .. } => *steps,
            Self::Words { entries, .. } => entries.len().max(1) as u8,
        }
    }

    /// The ink of what has no value.
    pub fn missing(&self) -> u8 {
        self.inks() + 1
    }

    /// The ink of a number.
    pub fn ink_of(&self, value: f64) -> u8 {
        match self {
            Self::Numbers { between, steps, .. } if !value.is_nan() => {
                let span = between.1 - between.0;
                let share = if span > 0.0 { ((value - between.0) / span).clamp(0.0, 1.0) } else { 0.5 };
                1 + ((share * f64::from(*steps)) as u8).min(steps - 1)
            }
            _ => self.missing(),
        }
    }

    /// The ink of each feature of `count`.
    pub fn ink_all(&self, values: &Values, count: usize) -> Vec<u8> {
        match (self, values) {
            (Self::Numbers { .. }, Values::Numbers(numbers)) => numbers.iter().map(|v| self.ink_of(*v)).collect(),
            (Self::Words { inks, entries, .. }, Values::Words { codes, .. }) => {
                let other = entries.iter().find(|e| e.word.is_none()).map_or(1, |e| e.ink);
                let ink = |code: &u32| match *code {
                    Values::MISSING => self.missing(),
                    code => inks.get(code as usize).copied().unwrap_or(other),
                };
                codes.iter().map(ink).collect()
            }
            _ => vec![1; count],
        }
    }
}

fn of_numbers(numbers: &[f64], steps: u8) -> Scale {
    let valid = || numbers.iter().copied().filter(|v| v.is_finite());
    let extremes = valid().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let missing = numbers.iter().filter(|v| !v.is_finite()).count() as u64;
    if extremes.0 > extremes.1 {
        return Scale::Numbers { between: (0.0, 0.0), extremes: (f64::NAN, f64::NAN), steps, missing };
    }
    let mut seen: Vec<f64> = valid().step_by(numbers.len().div_ceil(LOOKED_AT).max(1)).collect();
    seen.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| seen.get(((seen.len().max(1) - 1) as f64 * share).round() as usize).copied();
    let between = (at(PERCENTILES.0).unwrap_or(extremes.0), at(PERCENTILES.1).unwrap_or(extremes.1));
    // Few that differ among many that do not: they are shown, too.
    let between = if between.0 < between.1 { between } else { extremes };
    Scale::Numbers { between, extremes, steps, missing }
}

fn of_words(codes: &[u32], names: &[String], most: u8) -> Scale {
    let mut counts = vec![0_u64; names.len()];
    let (mut missing, mut beyond) = (0, 0);
    for &code in codes {
        match code {
            Values::MISSING => missing += 1,
            code => match counts.get_mut(code as usize) {
                Some(count) => *count += 1,
                None => beyond += 1,
            },
        }
    }
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(counts[i]), names[i].clone()));
    let all_fit = order.len() <= usize::from(most) && beyond == 0;
    let apart = if all_fit { order.len() } else { usize::from(most).saturating_sub(1).min(order.len()) };
    let other = apart as u8 + 1;
    let mut inks = vec![other; names.len()];
    let mut entries = Vec::new();
    for (ink, &at) in (1..).zip(&order[..apart]) {
        inks[at] = ink;
        entries.push(Entry { word: Some(names[at].clone()), count: counts[at], words: 1, ink });
    }
    if !all_fit {
        let count = order[apart..].iter().map(|&at| counts[at]).sum::<u64>() + beyond;
        entries.push(Entry { word: None, count, words: order.len() - apart, ink: other });
    }
    Scale::Words { entries, inks, missing }
}

/// A number with about five digits, for a legend.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if value.is_nan() {
        return "none".to_owned();
    }
    if value.fract() == 0.0 && size < 1e6 {
        return format!("{value:.0}");
    }
    match size {
        0.000_1..0.01 => format!("{value:.5}"),
        0.01..1.0 => format!("{value:.4}"),
        1.0..100.0 => format!("{value:.2}"),
        100.0..1e5 => format!("{value:.1}"),
        1e5..1e9 => format!("{value:.0}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_and_outliers_do_not_hide_them() {
        let mut numbers: Vec<f64> = (0..1000).map(f64::from).collect();
        numbers.extend([1e9, f64::NAN]);
        let scale = Scale::of(&Values::Numbers(numbers), 10, 6);
        let Scale::Numbers { between, extremes, missing, .. } = &scale else { panic!("{scale:?}") };
        assert!(between.1 < 1000.0 && (extremes.1 - 1e9).abs() < 1.0 && *missing == 1);
        assert_eq!(
            (scale.ink_of(-5.0), scale.ink_of(500.0), scale.ink_of(1e9), scale.ink_of(f64::NAN)),
            (1, 6, 10, 11)
        );
        let one = Scale::of(&Values::Numbers(vec![3.0, 3.0]), 10, 6);
        assert_eq!(one.ink_of(3.0), 6);
    }

    #[test]
    fn the_most_frequent_words_and_others() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).into();
        let values = Values::Words { codes: vec![2, 2, 2, 1, 1, 0, 3, Values::MISSING, Values::OTHER], names };
        let scale = Scale::of(&values, 10, 3);
        let Scale::Words { entries, missing, .. } = &scale else { panic!("{scale:?}") };
        let told: Vec<(Option<&str>, u64)> = entries.iter().map(|e| (e.word.as_deref(), e.count)).collect();
        assert_eq!(told, [(Some("c"), 3), (Some("b"), 2), (None, 3)]);
        assert_eq!((*missing, scale.ink_all(&values, 9)), (1, vec![1, 1, 1, 2, 2, 3, 3, 4, 3]));
    }
}
