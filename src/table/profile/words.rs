//! A profile in words, for a screen and for the command line.

use super::{Distinct, Profile};
use crate::text;

impl Profile {
    /// Counts, extremes, moments and quantiles as names and values, with the digits that count.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let share = |n: u64| {
            let share = if self.rows == 0 { 0.0 } else { n as f64 / self.rows as f64 * 100.0 };
            let part = if n > 0 { format!("  {share:.1} %") } else { String::new() };
            format!("{}{part}", text::count(n))
        };
        let mut out = vec![("rows", text::count(self.rows))];
        out.extend(self.nulls.map(|n| ("nulls", share(n))));
        if self.nans > 0 {
            out.push(("NaN", share(self.nans)));
        }
        out.extend(self.distinct.map(|distinct| match distinct {
            Distinct::Exact(n) => ("distinct", text::count(n)),
            Distinct::About(n) => ("distinct", format!("about {}", text::count(n))),
        }));
        out.extend(self.min.clone().map(|v| ("min", v)));
        out.extend(self.max.clone().map(|v| ("max", v)));
        out.extend(self.mean.map(|v| ("mean", rounded(v))));
        out.extend(self.deviation.map(|v| ("deviation", rounded(v))));
        out.extend(self.lengths.map(|(a, b)| ("length", format!("{} to {}", text::count(a), text::count(b)))));
        for (q, value) in &self.quantiles {
            let name = match (q * 100.0).round() as u32 {
                1 => "1 %",
                5 => "5 %",
                25 => "25 %",
                50 => "median",
                75 => "75 %",
                95 => "95 %",
                _ => "99 %",
            };
            out.push((name, value.parse::<f64>().map_or_else(|_| value.clone(), rounded)));
        }
        out
    }
}

/// With seven digits that count.
pub(crate) fn rounded(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let digits = 6 - value.abs().log10().floor() as i32;
    if (0..=12).contains(&digits) {
        let text = format!("{value:.*}", digits as usize);
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else if (-9..0).contains(&digits) {
        format!("{value:.0}")
    } else {
        format!("{value:.6e}")
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn numbers_have_the_digits_that_count() {
        assert_eq!(rounded(1_843.250_004_9), "1843.25");
        assert_eq!(rounded(-0.000_123_456_78), "-0.0001234568");
        assert_eq!(rounded(7_600_000.0), "7600000");
        assert_eq!(rounded(1.5e300), "1.500000e300");
        assert_eq!(rounded(0.0), "0");
    }
}
